//go:build linux

package inject

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/lazyregexp"
	"container.example/workshop/internal/ptrace"
)

// about is the path that a call is about, or what it asks for if it is several calls in one.
func (th *thread) about(tid int, c *Call) string {
	switch c.Number {
	case unix.SYS_CLONE, unix.SYS_PRCTL, unix.SYS_KEYCTL:
		return fmt.Sprint(c.Args[0])
	case unix.SYS_FCNTL, unix.SYS_FLOCK, unix.SYS_IOCTL:
		return fmt.Sprint(th.file(c.Args[0]), " ", c.Args[1])
	case unix.SYS_MMAP:
		return fmt.Sprint(c.Args[3])
	case unix.SYS_PPOLL:
		if th.hasWaited { // on a slow machine only
			return AfterWait
		}
	case unix.SYS_CLOSE:
		file := th.file(c.Args[0])
		delete(th.files, c.Args[0])
		delete(th.paths, c.Args[0])
		return file
	}
	switch {
	case onFile[c.Number]:
		return th.file(c.Args[0])
	case onPath[c.Number]:
		return numbers.ReplaceAllString(c.path, "N")
	}
	return ""
}

// path is the path that a call is about, as it is, or nothing.
func (th *thread) path(tid int, c *Call) string {
	switch {
	case onFile[c.Number]:
		return th.paths[c.Args[0]]
	case onPath[c.Number]:
		return readText(tid, c.Args[1])
	}
	return ""
}

// inherit names the file that a call writes to if the process has not opened it itself: a shell
// opens the file of a redirection before it starts what is to write there. Only files that change
// something in the kernel matter.
func (c *Call) inherit(tid int) {
	writes := c.Number == unix.SYS_WRITE || c.Number == unix.SYS_PWRITE64 ||
		c.Number == unix.SYS_WRITEV
	if !writes || c.path != "" {
		return
	}
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, c.Args[0]))
	if err != nil || !ofKernel.MatchString(path) {
		return
	}
	c.path, c.About = path, numbers.ReplaceAllString(path, "N")
}

// ofKernel matches the path of a file of a cgroup, or of one that maps ids.
var ofKernel = lazyregexp.New(`^/sys/fs/cgroup/|^/proc/\d+/(uid_map|gid_map|setgroups)$`)

// ofProcess matches the directory of a process, whose number is another one each time.
var ofProcess = lazyregexp.New(`^/proc/\d+`)

// AfterWait is what a call is about that is made because a process has waited for long.
const AfterWait = "after a wait"

// onFile are calls whose first argument is an open file, and onPath those whose second is a path.
var (
	onFile = map[int]bool{
		unix.SYS_CLOSE:      true,
		unix.SYS_FSTAT:      true,
		unix.SYS_FSTATFS:    true,
		unix.SYS_GETDENTS64: true,
		unix.SYS_PREAD64:    true,
		unix.SYS_PWRITE64:   true,
		unix.SYS_READ:       true,
		unix.SYS_WRITE:      true,
		unix.SYS_WRITEV:     true,
	}
	onPath = map[int]bool{
		unix.SYS_FACCESSAT:  true,
		unix.SYS_FACCESSAT2: true,
		unix.SYS_FCHMODAT:   true,
		unix.SYS_FCHOWNAT:   true,
		unix.SYS_MKDIRAT:    true,
		unix.SYS_NEWFSTATAT: true,
		unix.SYS_OPENAT:     true,
		unix.SYS_OPENAT2:    true,
		unix.SYS_READLINKAT: true,
		unix.SYS_STATX:      true,
		unix.SYS_UNLINKAT:   true,
	}
)

// numbers are what differs from one run to the next: those of processes, and random names.
var numbers = lazyregexp.New(`[0-9a-f]*[0-9][0-9a-f]*`)

// file is the path of an open file, or the number of a standard stream.
func (p *process) file(fd uint64) string {
	if path := p.files[fd]; path != "" || fd > 2 {
		return path
	}
	return fmt.Sprint(fd)
}

// isDup tells whether a call makes its second argument another descriptor of the file of the first.
// Not every processor has dup2(2).
func isDup(number int) bool { return Name(number) == "dup2" || Name(number) == "dup3" }

// place makes a relative path absolute if it begins at the directory of a cgroup, where the file of
// that name is another one than elsewhere, or at that of a process: newuidmap(1) opens a map so.
func (c *Call) place(tid int) {
	const cgroups = "/sys/fs/cgroup"
	path, from := "", "cwd"
	switch {
	case Name(c.Number) == "mkdir", Name(c.Number) == "rmdir":
		path = readText(tid, c.Args[0])
	case onPath[c.Number]:
		path = readText(tid, c.Args[1])
		if int32(c.Args[0]) != unix.AT_FDCWD {
			from = fmt.Sprintf("fd/%d", c.Args[0])
		}
	}
	if path == "" || filepath.IsAbs(path) {
		return
	}
	dir, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", tid, from))
	isMap := strings.HasSuffix(path, "_map") && strings.HasPrefix(dir, "/proc/")
	if err != nil || dir != cgroups && !strings.HasPrefix(dir, cgroups+"/") && !isMap {
		return
	}
	full := filepath.Join(dir, path)
	c.Text = strings.Replace(c.Text, strconv.Quote(path), strconv.Quote(full), 1)
	c.About, c.path = full, full
}

// print returns a call in the manner of strace(1). What may be the address of a text is shown as
// one. The thread is in the call.
func (c *Call) print(tid int) string {
	var args []string
	for i, arg := range c.Args {
		text := ""
		switch { // what is written has no end of its own
		case i == 1 && (c.Number == unix.SYS_WRITE || c.Number == unix.SYS_PWRITE64):
			text = readWritten(tid, arg, c.Args[2])
		case i == 0 && c.Number == unix.SYS_SETHOSTNAME:
			text = readName(tid, arg, c.Args[1])
		case i == 1 && c.Number == unix.SYS_WRITEV: // the first of its parts (struct iovec)
			text = readWritten(tid, ptrace.ReadWord(tid, arg), ptrace.ReadWord(tid, arg+8))
		case i == 1 && c.Number == unix.SYS_CONNECT:
			text = readSocket(tid, arg)
		default:
			text = readText(tid, arg)
		}
		if text != "" {
			args = append(args, fmt.Sprintf("%q", text))
		} else if n := int64(arg); n >= -4096 && n < 1<<20 {
			args = append(args, fmt.Sprint(n))
		} else {
			args = append(args, "...")
		}
	}
	if onFile[c.Number] && strings.HasPrefix(c.About, "/") {
		args[0] = "<" + ofProcess.ReplaceAllString(c.path, "/proc/N") + ">"
	}
	n := len(args)
	if c.Number == unix.SYS_CONNECT {
		n = 3
	}
	for n > 1 && (args[n-1] == "0" || args[n-1] == "...") {
		n--
	}
	return Name(c.Number) + "(" + strings.Join(args[:n], ", ") + ")"
}

// readSocket returns the path of the socket whose address a thread has there (unix(7)), or "" if it
// is of another family, or has no path.
func readSocket(tid int, address uint64) string {
	if uint16(ptrace.ReadWord(tid, address)) != unix.AF_UNIX {
		return ""
	}
	return readText(tid, address+2)
}

// readText returns a text that a thread has at an address, or "" if there is none.
func readText(tid int, address uint64) string {
	const most = 256
	if int64(address) < 1<<16 { // a small number, or a negative one, as addresses of the kernel are
		return ""
	}
	text := ptrace.ReadMemory(tid, address, most)
	s, _, ended := strings.Cut(string(text), "\x00")
	if !ended && len(text) < most {
		return ""
	}
	if !ended {
		s = whole(s)
	}
	if !isPlain(s) {
		return ""
	}
	return s
}

// readWritten returns the beginning of what a thread writes, or "" if it is no text.
func readWritten(tid int, address, size uint64) string {
	const most = 256
	text := string(ptrace.ReadMemory(tid, address, int(min(most, size))))
	text = strings.TrimSuffix(text, "\x00") // some count the end of a text, too
	if size > most {
		text = whole(text)
	}
	if !isPlain(text) {
		return ""
	}
	return text
}

// readName returns what becomes the name of the host: as many bytes as the call says, or fewer if
// there is a zero byte before that.
func readName(tid int, address, size uint64) string {
	const most = 256
	name, _, _ := strings.Cut(string(ptrace.ReadMemory(tid, address, int(min(most, size)))), "\x00")
	if !isPlain(name) {
		return ""
	}
	return name
}

// written is what a call writes that a thread is in, or the beginning of that.
func (c *Call) written(tid int) string {
	const most, mostParts = 4096, 16
	if c.Number == unix.SYS_WRITE {
		return string(ptrace.ReadMemory(tid, c.Args[1], int(min(most, c.Args[2]))))
	}
	var text []byte
	for i := range min(mostParts, c.Args[2]) { // struct iovec
		at, size := ptrace.ReadWord(tid, c.Args[1]+16*i), ptrace.ReadWord(tid, c.Args[1]+16*i+8)
		text = append(text, ptrace.ReadMemory(tid, at, int(min(most, size)))...)
	}
	return string(text)
}

// whole is the beginning of a text, without a last character that is cut off in UTF-8.
func whole(text string) string {
	for i := len(text) - 1; i >= max(0, len(text)-utf8.UTFMax); i-- {
		if utf8.RuneStart(text[i]) && !utf8.FullRuneInString(text[i:]) {
			return text[:i]
		}
	}
	return text
}

// isPlain tells whether a text has only printable characters, as UTF-8.
func isPlain(text string) bool {
	for _, c := range text {
		if !unicode.IsPrint(c) && c != '\n' {
			return false
		}
	}
	return utf8.ValidString(text)
}
