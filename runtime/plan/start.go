//go:build linux

package plan

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cloneArgs is the kernel's struct clone_args (clone3(2)).
type cloneArgs struct {
	flags      uint64
	_          uint64 // pidfd
	childTID   uint64
	_          uint64 // parent_tid
	exitSignal uint64
	stack      uint64
	stackSize  uint64
	_          [3]uint64 // tls, set_tid, set_tid_size
	cgroup     uint64
}

// Start clones the child into new namespaces, which flags name (CLONE_NEW*), and into a cgroup of
// version 2 if cgroup is not -1. It makes the calls that have been released, and waits for more.
// Until execve(2) it shares the memory and the descriptors of this process, as a thread does:
// nothing is copied, and the parent sees what comes of each call.
//
// The child has a session keyring without the keys of the caller (session-keyring(7)), if Keyring
// does not say otherwise. The parent makes it, because the user of the container would share a
// quota of 200 keys with all containers.
//
// All signals are blocked in the child. None of the caller's handlers is left there
// (CLONE_CLEAR_SIGHAND), because a handler of Go's would find no Go.
func (p *Plan) Start(flags uintptr, cgroup int) (pid int, err error) {
	const always = unix.CLONE_VM | unix.CLONE_FILES | unix.CLONE_CLEAR_SIGHAND |
		unix.CLONE_CHILD_CLEARTID
	stack, size := p.stackOfChild()
	args := &cloneArgs{
		flags:      uint64(flags) | always,
		childTID:   uint64(uintptr(unsafe.Pointer(&p.at))),
		exitSignal: uint64(unix.SIGCHLD),
		stack:      uint64(stack),
		stackSize:  uint64(size),
	}
	if cgroup != -1 {
		args.flags |= unix.CLONE_INTO_CGROUP
		args.cgroup = uint64(cgroup)
	}
	if err := beDumpable(); err != nil {
		return 0, err
	}
	pid, errno, keyring := clone(args, p.shared, p.keeps)
	p.keyring = keyring
	switch {
	case keyring != 0 && !canDoWithoutKeyring(keyring):
		return 0, keyringError(keyring)
	case errno != 0:
		return 0, errno
	}
	p.child = pid
	return pid, nil
}

// stackOfChild is where the stack of the child begins, and its size. Its end, from which it grows
// down, is a multiple of 16: on arm64 any other is a fault at the first use (SIGBUS), which QEMU
// leaves out when it emulates arm64.
func (list *shared) stackOfChild() (start, size uintptr) {
	const alignment = 16
	start = uintptr(unsafe.Pointer(&list.stack))
	end := (start + stackSize) &^ (alignment - 1)
	return start, end - start
}

func keyringError(errno unix.Errno) error {
	err := fmt.Errorf("join session keyring: %w", errno)
	if errno == unix.EDQUOT {
		return fmt.Errorf("%w (each container takes one key of those in "+
			"/proc/sys/kernel/keys/maxkeys)", err)
	}
	return err
}

// clone calls clone3(2) with all signals blocked, which the child inherits, as well as the keyring
// of this thread: while they are blocked Go lets no other thread go on here. Nothing here may
// allocate or grow the stack.
//
//go:nosplit
//go:norace
func clone(
	args *cloneArgs, list *shared, keepKeyring bool,
) (pid int, errno, keyring syscall.Errno) {
	all, before := ^uint64(0), uint64(0)
	setMask, old := uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&before))
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, setMask, old, 8, 0, 0)
	if !keepKeyring {
		_, _, keyring = syscall.RawSyscall6(unix.SYS_KEYCTL, unix.KEYCTL_JOIN_SESSION_KEYRING,
			0, 0, 0, 0, 0)
	}
	r := -int(keyring)
	if keyring == 0 || canDoWithoutKeyring(keyring) {
		r = clone3(args, unsafe.Sizeof(*args), list, entry(run))
	}
	syscall.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, old, 0, 8, 0, 0)
	if r < 0 {
		return 0, syscall.Errno(-r), keyring
	}
	return r, 0, keyring
}

// canDoWithoutKeyring tells whether an error is no reason not to start the child. A kernel may be
// built without keys; and a container, in which this one is made, may forbid the call, as this one
// does: then there are no keys to be had.
//
//go:nosplit
func canDoWithoutKeyring(errno syscall.Errno) bool {
	return errno == unix.ENOSYS || errno == unix.EPERM
}

// Keyring is why the child still has the session keyring of the caller, or nil.
func (p *Plan) Keyring() error {
	if p.keyring == 0 {
		return nil
	}
	return p.keyring
}

// clone3 returns what the system call does, in the parent. The child, on its own stack, calls the
// function at the address run, in the way of the compiler (ABIInternal of
// cmd/compile/abi-internal.md). Called by its name, in the way of assembly, it would be entered
// through a wrapper of the compiler, which tells a race detector: that one is lost without Go.
//
//go:noescape
func clone3(args *cloneArgs, size uintptr, list *shared, run uintptr) int

// entry is the address of the first instruction of a function that is no closure.
//
//go:nosplit
//go:norace
func entry(f func(*shared)) uintptr { return **(**uintptr)(unsafe.Pointer(&f)) }

// load and store read and write a word that the other process looks at: after load all is seen that
// was written before the other's store. The functions of sync/atomic do not do in the child: a race
// detector wants to know of them.
//
//go:noescape
func load(word *uint32) uint32

//go:noescape
func store(word *uint32, value uint32)

// run is all that the child does. It must not allocate or grow its stack, nor panic: there is
// nothing that would help it.
//
//go:nosplit
//go:norace
func run(list *shared) {
	for i := uint32(0); ; i++ {
		for {
			ready := load(&list.ready)
			if i < ready {
				break
			}
			store(&list.at, i+1)
			futex(&list.at, futexWake, 1)
			if list.await(ready) {
				exit(list)
			}
		}
		c := list.call(uintptr(i))
		c.make(list)
		if c.errno != 0 && !c.allows(c.errno) {
			break
		}
		if c.errno != 0 {
			i += uint32(c.skip)
		}
	}
	exit(list)
}

//go:nosplit
//go:norace
func exit(list *shared) {
	for {
		syscall.RawSyscall(unix.SYS_EXIT_GROUP, list.status, 0, 0)
	}
}

// await waits until there may be more calls than ready, and tells whether the parent is gone. A
// parent whose threads are killed can lose its children before the last thread ends: then it is too
// late for DieWithParent, and too early to see its end at once.
//
//go:nosplit
//go:norace
func (list *shared) await(ready uint32) (orphaned bool) {
	address, patience := unsafe.Pointer(&list.ready), unsafe.Pointer(&list.patience)
	_, _, errno := syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(address), futexWait, uintptr(ready),
		uintptr(patience), 0, 0)
	if errno != unix.ETIMEDOUT {
		return false
	}
	parent, now := unsafe.Pointer(&list.parent), unsafe.Pointer(&list.now)
	n, _, errno := syscall.RawSyscall6(unix.SYS_PPOLL, uintptr(parent), 1, uintptr(now), 0, 8, 0)
	return errno == 0 && n == 1
}

// exitFailed is the exit status of a runtime that could not make the container.
const exitFailed = 125

// ExitStatus is that of a child that does not become the command. Without it, it is the one of a
// runtime that could not make the container.
func (p *Plan) ExitStatus(status int) { p.status = uintptr(status) }

// KeepKeyring has the child keep the session keyring of the caller. It is called before Start.
func (p *Plan) KeepKeyring() { p.keeps = true }

// call is list.calls[i] without the check of the index, which would panic.
//
//go:nosplit
//go:norace
func (list *shared) call(i uintptr) *call {
	return (*call)(unsafe.Add(unsafe.Pointer(&list.calls), i*unsafe.Sizeof(call{})))
}

// maxTries is how often openat2(2) is made as long as it says EAGAIN: with RESOLVE_IN_ROOT it does
// not go up by ".." while a file is renamed or mounted, anywhere on the machine.
const maxTries = 1000

// make makes the call.
//
//go:nosplit
//go:norace
func (c *call) make(list *shared) {
	var args [6]uintptr
	for i := range args {
		args[i] = c.args[i]
		if c.later>>i&1 == 1 {
			args[i] = list.call(args[i]).result
		}
	}
	c.made = true
	if c.errno = uint32(c.fault); c.errno != 0 {
		return
	}
	for range maxTries {
		r, _, errno := syscall.RawSyscall6(uintptr(c.number), args[0], args[1], args[2], args[3],
			args[4], args[5])
		c.result, c.errno = r, uint32(errno)
		if c.number != unix.SYS_OPENAT2 || errno != unix.EAGAIN {
			break
		}
	}
	for k := c.check; k != nil && c.errno == 0; k = k.next {
		if !k.holds() {
			c.errno = uint32(ErrCheck)
		}
	}
}

//go:nosplit
//go:norace
func (c *check) holds() bool {
	return (*c.word&c.mask == *c.against) != c.differ
}

// futex wakes the process that waits for a word to change, or waits as long as the word has a
// value. An error is a reason to look at the word again.
//
//go:nosplit
//go:norace
func futex(word *uint32, operation uintptr, value uint32) {
	address := uintptr(unsafe.Pointer(word))
	syscall.RawSyscall6(unix.SYS_FUTEX, address, operation, uintptr(value), 0, 0, 0)
}

// Operations of futex(2). The kernel's own wake-up at the end of the child is not one of
// FUTEX_PRIVATE_FLAG.
const (
	futexWait = 0
	futexWake = 1
)

// Release lets the child make all calls that the list has by now. If somebody watches, that is
// after Start.
func (p *Plan) Release() error {
	if p.err != nil {
		return p.err
	}
	switch {
	case p.watch == nil:
		p.release(p.n)
	case p.child != 0:
		return p.releaseWatched()
	default: // the child is not to wait before it would die with its parent
		p.release(p.groupEnd(0))
	}
	return nil
}

// A Watch sees the calls as they are made.
type Watch interface {
	// Before gets a call, in print, that is about to be made, and whether it is one that executes
	// the command, which it may not come back from. After an error the child stays where it is.
	Before(call string, executes bool) error
	// After gets the result, in print.
	After(result string)
}

// releaseWatched lets the child make the calls one by one, or those that are made together.
func (p *Plan) releaseWatched() error {
	for p.watched < p.n && load(&p.at) != gone {
		first, end := p.watched, p.groupEnd(p.watched)
		if err := p.watch.Before(p.Line(first), first >= p.command); err != nil {
			return err
		}
		if end > int(p.ready) {
			p.release(end)
		}
		p.watched = p.awaitBehind(end)
		for i := first; i < end && p.calls[i].made; i++ {
			switch {
			case i > first:
				p.watch.After(p.Line(i) + p.result(i))
			case p.watched != executed || p.calls[i].errno != 0:
				p.watch.After(p.result(i))
			}
		}
	}
	return nil
}

// executed is what awaitBehind returns when the child no longer waits.
const executed = math.MaxInt

// awaitBehind waits until the child waits behind n calls, or some that it leaves out, and returns
// the next one.
func (p *Plan) awaitBehind(n int) (next int) {
	at := load(&p.at)
	for at != gone && (at == running || at <= uint32(n)) {
		at = p.awaitChange(at)
	}
	if at == gone {
		return executed
	}
	return int(at) - 1
}

func (p *Plan) release(n int) {
	store(&p.ready, uint32(n))
	// An error is out of the question: the word is there.
	futex(&p.ready, futexWake, 1)
}

// Await waits until the child has made all calls that were released. An error says which one
// failed. There is nothing to wait for without a child.
func (p *Plan) Await() error {
	if p.child == 0 {
		return nil
	}
	if p.await(int(p.ready)); load(&p.at) != gone {
		return nil
	}
	return cmp.Or(p.interrupt, p.Failed(), errGone)
}

// InterruptBy has a wait for the child end, and the child with it, when interrupted returns an
// error. The child may be busy for long, with a file system that is far away.
func (p *Plan) InterruptBy(interrupted func() error) { p.interrupted = interrupted }

// Executed waits until the child has become the command, or is dead. An error says that the wait
// was interrupted.
//
// When the child changed its ids, the kernel took the permission to look at it away from the memory
// that it shared with this process, and so from this process: see beDumpable.
func (p *Plan) Executed() error {
	p.await(-1)
	// The kernel says so a moment before the child has memory of its own.
	for shares := true; shares; {
		var err error
		if shares, err = sameMemory(os.Getpid(), p.child); err != nil {
			time.Sleep(time.Millisecond) // the kernel does not tell: the moment has passed by then
		}
	}
	_ = beDumpable() // an error was one before
	return p.interrupt
}

// beDumpable makes /proc/self, and that of a child that shares the memory of this process, belong
// to its user (PR_SET_DUMPABLE of prctl(2)). execve(2) does not, if its user may not read the file
// of this program.
func beDumpable() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("prctl dumpable: %w", err)
	}
	return nil
}

// sameMemory tells whether two processes share their memory (kcmp(2)).
func sameMemory(a, b int) (bool, error) {
	const kcmpVM = 1
	r, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpVM, 0, 0, 0)
	if errno != 0 {
		return false, errno
	}
	return r == 0, nil
}

// await waits until the child waits behind n calls, or is gone. It may have left out calls, but not
// those behind n.
func (p *Plan) await(n int) {
	for at := load(&p.at); at != gone && at != uint32(n+1); {
		at = p.awaitChange(at)
	}
}

// awaitChange waits until the child is no longer where it was, and returns where it is.
func (p *Plan) awaitChange(was uint32) (at uint32) {
	patience := unix.NsecToTimespec(int64(time.Second / 10))
	for at = load(&p.at); at == was; at = load(&p.at) {
		// Any other error, EINTR or EAGAIN, is a reason to look again.
		_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&p.at)), futexWait,
			uintptr(was), uintptr(unsafe.Pointer(&patience)), 0, 0)
		if errno == unix.ETIMEDOUT && p.interrupted != nil && p.interrupt == nil {
			if p.interrupt = p.interrupted(); p.interrupt != nil {
				_ = unix.Kill(p.child, unix.SIGKILL) // an error: it is gone
			}
		}
	}
	return at
}

// CloseOpened closes the descriptors that the child has opened in this process, too, but for those
// to keep. They lead to mounts of the container, which would be there until this process ends.
func (p *Plan) CloseOpened(keep ...FD) {
	open := map[int]bool{}
	defer func() {
		for fd := range open {
			unix.Close(fd)
		}
	}()
	for i := range p.n {
		c := &p.calls[i]
		switch {
		case c.number == unix.SYS_UNSHARE && c.args[0] == unix.CLONE_FILES:
			return // from here on the child has descriptors of its own
		case !c.made || c.errno != 0 || slices.Contains(keep, FD{i, true}):
		case c.number == unix.SYS_CLOSE && c.later&1 == 1:
			delete(open, int(p.calls[c.args[0]].result))
		case c.number == unix.SYS_OPENAT2 || c.number == unix.SYS_OPEN_TREE ||
			c.number == unix.SYS_SOCKET:
			open[int(c.result)] = true
		}
	}
}

// DieWithParent has the kernel kill the child when this process ends (PR_SET_PDEATHSIG of
// prctl(2)), and the child end by itself if that was before. The kernel forgets it when the child
// changes its ids: then it is to be called again.
//
// Until it is called the end of this process is not noticed. So it is the first thing, and Together
// with a change of ids.
func (p *Plan) DieWithParent(parent FD) {
	p.parent.Fd = int32(parent.number)
	p.Together(func() {
		p.About("die with parent", "")
		p.Hint(ErrCheck, "the runtime was killed")
		p.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL))
		p.Poll(parent)
		p.MustReturn(0)
	})
}

// OpenSelf opens a descriptor of this process, for DieWithParent. It is readable when the process
// has ended. Its number is none of those that a list gives a meaning of its own, which are below
// 10. The lowest one is left open, so that nothing else gets it that a list needs.
func OpenSelf() (pidfd int, err error) {
	low, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return -1, fmt.Errorf("pidfd_open %d: %w", os.Getpid(), err)
	}
	pidfd, err = unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		return -1, fmt.Errorf("dup pidfd: %w", err)
	}
	return pidfd, nil
}
