//go:build linux

package record

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/nofile"
)

// child is what the process needs that becomes the command. It is a copy of this process (fork(2))
// with one thread, which makes the system calls of become. To execute this program again, as
// os/exec would have it, takes as long as a whole container: a program of Go has much to begin
// with.
//
// In the copy there is no Go but the code: no scheduler, no heap, no stack that grows. All that it
// looks at is here before it is made.
type child struct {
	wait, letGo int // the ends of the pipe on which it waits until it is followed
	streams     [3]int
	limit       *nofile.Limit // of open files, or nil
	filter      *unix.SockFprog
	path        *byte
	args, env   []*byte
	signals     uint64 // those that are blocked in the command, as sigprocmask(2) has them
	// refused is the error of the call that kept it from becoming the command, or 0. It is in
	// memory that the copy shares.
	refused *uint32
	memory  []byte // in which refused is
}

// childArgs are what the child is called before the command. Its own memory has the words that the
// recorder was called with.
var childArgs = []string{"workshop", "record", "--"}

// newChild makes ready what the child needs. The path is that of the program of the command.
func newChild(path string, command []string, streams [3]*os.File) (c *child, err error) {
	c = &child{wait: -1, letGo: -1, streams: [3]int{-1, -1, -1}}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("pipe2: %w", err)
	}
	c.wait, c.letGo = pipe[0], pipe[1]
	for i, stream := range streams {
		if c.streams[i], err = above(stream); err != nil {
			return nil, err
		}
	}
	if limit, errno := nofile.Callers(); errno == 0 {
		c.limit = &limit
	}
	filter, err := newFilter(callNumbers(), conditions)
	if err != nil {
		return nil, err
	}
	c.filter = &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if c.path, err = unix.BytePtrFromString(path); err != nil {
		return nil, err
	}
	if c.args, err = syscall.SlicePtrFromStrings(command); err != nil {
		return nil, err
	}
	if c.env, err = syscall.SlicePtrFromStrings(os.Environ()); err != nil {
		return nil, err
	}
	c.memory, err = unix.Mmap(-1, 0, pageSize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	c.refused = (*uint32)(unsafe.Pointer(&c.memory[0]))
	return c, nil
}

// above is another descriptor of a file, or of /dev/null, that is none of the standard streams: the
// child can make those of them in any order.
func above(stream *os.File) (int, error) {
	if stream == nil {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return -1, err
		}
		defer null.Close()
		stream = null
	}
	fd, err := unix.FcntlInt(stream.Fd(), unix.F_DUPFD_CLOEXEC, len(child{}.streams))
	runtime.KeepAlive(stream)
	if err != nil {
		return -1, fmt.Errorf("dup %s: %w", stream.Name(), err)
	}
	return fd, nil
}

// start makes the child, which waits.
func (c *child) start() (pid int, err error) {
	syscall.ForkLock.Lock() // no descriptor is open at that moment that another program is to get
	pid, errno := c.fork()
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return 0, fmt.Errorf("fork: %w", errno)
	}
	for _, fd := range []*int{&c.wait, &c.streams[0], &c.streams[1], &c.streams[2]} {
		_ = unix.Close(*fd)
		*fd = -1
	}
	return pid, nil
}

// goOn lets the child go on.
func (c *child) goOn() error {
	_, err := unix.Write(c.letGo, []byte("!"))
	return err
}

// close gives back what the child was made ready with. A child that still waits ends.
func (c *child) close() {
	for _, fd := range []int{c.wait, c.letGo, c.streams[0], c.streams[1], c.streams[2]} {
		if fd != -1 {
			_ = unix.Close(fd)
		}
	}
	if c.memory != nil {
		_ = unix.Munmap(c.memory) // an error is out of the question: it is there
	}
}

// failure is why the child did not become the command, or nil.
func (c *child) failure() error {
	if *c.refused == 0 {
		return nil
	}
	return unix.Errno(*c.refused)
}

// fork makes the copy, with all signals blocked: in the copy a handler of Go's would find no Go.
//
//go:nosplit
//go:norace
func (c *child) fork() (pid int, errno syscall.Errno) {
	all := ^uint64(0)
	setSignals(&all, &c.signals)
	r, _, errno := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	if errno == 0 && r == 0 {
		c.become()
	}
	setSignals(&c.signals, nil)
	return int(r), errno
}

// Exit statuses of a child that does not become the command, as a shell has them.
const (
	exitRefused  = 126
	exitNotThere = 127
)

// become is all that the child does.
//
//go:nosplit
//go:norace
func (c *child) become() {
	errno := c.prepare()
	if errno == 0 {
		_, _, errno = syscall.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(c.path)),
			uintptr(unsafe.Pointer(&c.args[0])), uintptr(unsafe.Pointer(&c.env[0])))
	}
	*c.refused = uint32(errno)
	status := uintptr(exitRefused)
	if errno == unix.ENOENT {
		status = exitNotThere
	}
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, status, 0, 0)
	}
}

// prepare waits, and makes of the copy of the recorder what the command is to begin with.
//
//go:nosplit
//go:norace
func (c *child) prepare() syscall.Errno {
	// The end of the recorder is the end of the pipe, once no other end is open here.
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(c.letGo), 0, 0)
	var word byte
	n, _, errno := syscall.RawSyscall(unix.SYS_READ, uintptr(c.wait),
		uintptr(unsafe.Pointer(&word)), 1)
	if errno != 0 || n != 1 {
		return unix.EPIPE
	}
	for i := range uintptr(len(c.streams)) {
		fd := *(*int)(unsafe.Add(unsafe.Pointer(&c.streams), i*unsafe.Sizeof(c.wait)))
		if _, _, errno := syscall.RawSyscall(unix.SYS_DUP3, uintptr(fd), i, 0); errno != 0 {
			return errno
		}
	}
	if c.limit != nil {
		_, _, errno := syscall.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE,
			uintptr(unsafe.Pointer(c.limit)), 0, 0, 0)
		if errno != 0 {
			return errno
		}
	}
	dropHandlers()
	errno = c.install()
	if errno == unix.EACCES {
		// An ordinary user may have a filter only by giving up what set-user-ID programs
		// would give.
		syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0)
		errno = c.install()
	}
	setSignals(&c.signals, nil)
	return errno
}

// install takes the filter that makes the calls of interest stop. The command has it too.
//
//go:nosplit
//go:norace
func (c *child) install() syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(c.filter)))
	return errno
}

// dropHandlers has no signal caught: until execve(2), which does the same, one may come. What is
// ignored stays so (signal(7)).
//
//go:nosplit
//go:norace
func dropHandlers() {
	const last, caught = 64, 2 // SIG_DFL is 0, SIG_IGN 1
	for signal := uintptr(1); signal <= last; signal++ {
		var action, none [4]uint64 // the kernel's struct sigaction: the handler is its first word
		syscall.RawSyscall6(unix.SYS_RT_SIGACTION, signal, 0, uintptr(unsafe.Pointer(&action)),
			8, 0, 0)
		if action[0] >= caught {
			syscall.RawSyscall6(unix.SYS_RT_SIGACTION, signal, uintptr(unsafe.Pointer(&none)), 0,
				8, 0, 0)
		}
	}
}

// setSignals changes which signals are blocked in this thread.
//
//go:nosplit
//go:norace
func setSignals(blocked, before *uint64) {
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(blocked)), uintptr(unsafe.Pointer(before)), 8, 0, 0)
}
