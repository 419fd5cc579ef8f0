//go:build linux

package record

import (
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/nofile"
	"container.example/workshop/runtime/plan"
)

// child is the process that becomes the command. It makes a list of system calls, and has no Go of
// its own: to start this program again for them takes as long as a whole container.
type child struct {
	plan  *plan.Plan
	files []int // that are open until the child has them
}

// childArgs are what the child is called before the command. It shares the memory of the recorder,
// which has other words there.
var childArgs = []string{"workshop", "record", "--"}

// exitRefused is the exit status of a child that does not become the command, as a shell has it.
const exitRefused = 126

// newChild writes the list of the child. The path is that of the program of the command. Until the
// list is released the child waits.
func newChild(path string, command []string, streams [3]*os.File) (c *child, err error) {
	p, err := plan.New(nil)
	if err != nil {
		return nil, err
	}
	c = &child{plan: p}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	p.KeepKeyring()
	p.ExitStatus(exitRefused)
	self, err := plan.OpenSelf()
	if err != nil {
		return nil, err
	}
	c.files = append(c.files, self)
	p.DieWithParent(p.Open(self, "recorder")) // until it is followed
	if err := p.Release(); err != nil {
		return nil, err
	}
	p.Unshare(unix.CLONE_FILES)
	for i, stream := range streams {
		fd, err := above(stream)
		if err != nil {
			return nil, err
		}
		c.files = append(c.files, fd)
		p.Dup3(p.Open(fd, ""), p.Open(i, ""), 0)
	}
	if limit, errno := nofile.Callers(); errno == 0 {
		p.Setrlimit(unix.RLIMIT_NOFILE, unix.Rlimit{Cur: limit.Soft, Max: limit.Hard})
	}
	p.Prctl(unix.PR_SET_PDEATHSIG, 0)
	return c, c.execute(path, command)
}

// execute writes the end of the list.
func (c *child) execute(path string, command []string) error {
	p, blocked := c.plan, unix.Sigset_t{}
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, nil, &blocked); err != nil {
		return fmt.Errorf("sigprocmask: %w", err)
	}
	filter, err := newFilter(callNumbers())
	if err != nil {
		return err
	}
	if !mayFilter() {
		p.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1)
	}
	p.BlockSignals(blocked.Val[0])
	p.Seccomp(filter)
	p.Execve(path, p.Array(command), p.Array(os.Environ()))
	return p.Err()
}

// mayFilter tells whether this thread may take a filter as it is. An ordinary user may only by
// giving up what set-user-ID programs would give (PR_SET_NO_NEW_PRIVS of prctl(2)). The kernel
// looks at the rights first, and at the filter, which is at no address, then.
func mayFilter() bool {
	nowhere := unix.SockFprog{Len: 1}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0,
		uintptr(unsafe.Pointer(&nowhere)))
	return errno != unix.EACCES
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
	const lowest = 3
	fd, err := unix.FcntlInt(stream.Fd(), unix.F_DUPFD_CLOEXEC, lowest)
	runtime.KeepAlive(stream)
	if err != nil {
		return -1, fmt.Errorf("dup %s: %w", stream.Name(), err)
	}
	return fd, nil
}

// close gives back what the list took. The child has become the command, or is dead.
func (c *child) close() {
	for _, fd := range c.files {
		_ = unix.Close(fd)
	}
	c.plan.Free()
}
