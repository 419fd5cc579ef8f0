//go:build linux

package record

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// callKind is a system call that is recorded.
type callKind struct {
	number    int
	name, man string
	// decode says in words what a call does. It returns false if the call is of no interest.
	decode func(*call) bool
	// onFile tells that the call is of interest only for some files.
	onFile bool
	// looks says what the call may change.
	looks look
}

// look is what has to be looked at after a call.
type look uint

const (
	lookProcess look = 1 << iota // all of it
	lookRights                   // of the thread, from now on shown as those of the process
	lookPaths                    // its root and its working directory
	lookMounts
	lookNetwork
	lookCgroups
	lookHostname
)

// call is a system call on its way.
type call struct {
	kind   *callKind
	thread *thread
	tracer *tracer
	raw    [6]uint64

	args       []Arg
	words, key string
	place      *Place

	result, errno string
	other         *process // that it made or changed
	looks         look     // as in callKind, for this one call
	ifRefused     string   // a note, if the recorder is why the kernel refuses the call
	about         string   // what a promise may depend on: a file of a cgroup, a file system
	undo          func()   // takes back what was changed to follow a child
	// answer is the error of a call that succeeds in asking the kernel for what it refuses, or 0.
	answer func() unix.Errno
}

// holds tells whether a call meets a condition, as the filter does it.
func (c condition) holds(args [6]uint64) bool {
	value := uint32(args[c.arg])
	switch {
	case c.any != 0:
		return value&c.any != 0
	case c.none != 0:
		return value&c.none == 0
	case c.below != 0:
		return value < c.below
	case c.isNot0:
		return args[c.arg] != 0
	case len(c.oneOf) == 0:
		return true
	}
	for _, one := range c.oneOf {
		if value == one {
			return true
		}
	}
	return false
}

func (c *call) arg(name, value string) { c.args = append(c.args, Arg{Name: name, Value: value}) }

func (c *call) text(i int) string { return ptrace.ReadText(c.thread.tid, c.raw[i]) }

func (c *call) memory(address uint64, size int) []byte {
	return ptrace.ReadMemory(c.thread.tid, address, size)
}

func (c *call) number(i int) int { return int(int32(c.raw[i])) }

func (c *call) proc(name string) string {
	return fmt.Sprintf("/proc/%d/%s", c.thread.tid, name)
}

// file is what a descriptor of the thread is open for.
func (c *call) file(fd int) string {
	name, err := os.Readlink(c.proc("fd/" + strconv.Itoa(fd)))
	if err != nil {
		return fmt.Sprintf("descriptor %d", fd)
	}
	return strings.TrimSuffix(name, " (deleted)")
}

// descriptorOf is the descriptor that a path stands for: an open file of the thread itself.
func descriptorOf(path string) (fd int, ok bool) {
	for _, dir := range [...]string{"/proc/self/fd/", "/proc/thread-self/fd/"} {
		if name, found := strings.CutPrefix(path, dir); found && isNumber(name) {
			fd, err := strconv.Atoi(name)
			return fd, err == nil
		}
	}
	return 0, false
}

// absolute is a path as the thread sees it, without what depends on where the thread is.
func (c *call) absolute(dir int, path string) string {
	if !filepath.IsAbs(path) {
		from := ""
		if dir == unix.AT_FDCWD {
			from, _ = os.Readlink(c.proc("cwd"))
		} else {
			from = c.file(dir)
		}
		path = filepath.Join(from, path)
	}
	if fd, ok := descriptorOf(path); ok {
		return c.file(fd)
	}
	return filepath.Clean(path)
}

// shown is a path as the program named it, or what its directory is open for.
func (c *call) shown(dir int, path string) string {
	if path == "" && dir != unix.AT_FDCWD {
		return c.file(dir)
	}
	if dir != unix.AT_FDCWD && !filepath.IsAbs(path) {
		return filepath.Join(c.file(dir), path)
	}
	return path
}

// named is a path in a sentence: one that depends on the working directory is told in full.
func (c *call) named(dir int, path string) string {
	if path == "" && dir != unix.AT_FDCWD {
		return c.file(dir)
	}
	return c.absolute(dir, path)
}

// follow has a child followed that the caller would not have followed: without its tracer our
// filter would refuse its calls.
func (c *call) follow() {
	switch c.kind.number {
	case unix.SYS_CLONE:
		if flags := c.raw[0]; flags&unix.CLONE_UNTRACED != 0 {
			// An error: it was killed.
			_ = setFirstArgument(c.thread.tid, flags&^unix.CLONE_UNTRACED)
		}
	case unix.SYS_CLONE3:
		tid, at := c.thread.tid, c.raw[0]
		flags := ptrace.ReadWord(tid, at)
		if flags&unix.CLONE_UNTRACED == 0 {
			return
		}
		if err := ptrace.WriteWord(tid, at, flags&^unix.CLONE_UNTRACED); err == nil {
			c.undo = func() { _ = ptrace.WriteWord(tid, at, flags) } // an error: it was killed
		}
	}
}

// restore takes back what follow has changed.
func (c *call) restore() {
	if c.undo != nil {
		c.undo()
		c.undo = nil
	}
}

// callNumbers are the numbers of all calls that are recorded.
func callNumbers() (numbers []int) {
	for number, kind := range callKinds() {
		if kind != nil {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// callKinds are the calls that are recorded, at their numbers. Other commands of this program need
// no such list.
var callKinds = sync.OnceValue(func() []*callKind {
	const mostNumber = 512
	all := make([]*callKind, mostNumber)
	for i := range fileCalls {
		fileCalls[i].onFile = true
	}
	for _, kinds := range [...][]callKind{
		processCalls, mountCalls, fileCalls, rightsCalls, networkCalls, callsHere,
	} {
		for i := range kinds {
			all[kinds[i].number] = &kinds[i]
		}
	}
	return all
})

// kindOf is the call with this number, or nil if it is not recorded.
func kindOf(number uint64) *callKind {
	if kinds := callKinds(); number < uint64(len(kinds)) {
		return kinds[number]
	}
	return nil
}

// structure is a struct that a call takes by its address.
type structure []byte

func (s structure) u64(offset int) uint64 {
	if len(s) < offset+8 {
		return 0
	}
	return binary.NativeEndian.Uint64(s[offset:])
}

func (s structure) u32(offset int) uint32 {
	if len(s) < offset+4 {
		return 0
	}
	return binary.NativeEndian.Uint32(s[offset:])
}

func (s structure) u16(offset int) uint16 {
	if len(s) < offset+2 {
		return 0
	}
	return binary.NativeEndian.Uint16(s[offset:])
}
