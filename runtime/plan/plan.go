//go:build linux

// Package plan holds the list of system calls that make a container. The parent writes the list,
// and the child makes the calls, one after the other, until execve(2). The child shares the memory
// of the parent and has no Go of its own: no scheduler, no heap, no stack that grows. All that it
// looks at is this list.
package plan

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// call is one system call of the list, and what came of it.
type call struct {
	number  uint32
	errno   uint32
	args    [6]uintptr
	result  uintptr
	check   *check    // that the call has to pass besides, or nil
	allowed [3]uint16 // errors that do not end the list
	fault   uint16    // an error to get without making the call: for tests
	skip    uint8     // how many of the next calls are left out after an allowed error
	later   uint8     // bit i: args[i] is the index of an earlier call, and its result is meant
	made    bool
}

// check compares a word that a call wrote with another word.
type check struct {
	word, against *uint64
	mask          uint64
	differ        bool   // they must differ, not be equal
	next          *check // that it has to pass too, or nil
}

// ErrCheck is the error of a call that succeeded, with a result that the list does not accept.
const ErrCheck = unix.ECANCELED

// maxCalls and memorySize are what the list may use. Only what is written takes memory.
const (
	maxCalls   = 1 << 14
	memorySize = 1 << 24 // execve(2) takes at most 6 MiB of arguments, and hosts(5) 8
	stackSize  = 1 << 14
)

// shared is the beginning of the memory that parent and child share. Behind it is what the
// arguments point to.
type shared struct {
	ready uint32 // how many of the calls the child may make
	at    uint32 // where the child is: see the constants below
	// parent is a pidfd of the parent, which a child that waits looks at after each patience.
	parent   unix.PollFd
	patience unix.Timespec
	now      unix.Timespec
	status   uintptr // of a child that does not become the command
	calls    [maxCalls]call
	stack    [stackSize]byte // of the child
}

// Values of shared.at. Any other is one more than the number of calls that the child has made: it
// waits for the next one.
const (
	gone    = 0              // it has become the command, or is dead: see Start
	running = math.MaxUint32 // it has not waited yet
)

// A Plan is a list that is being written. The methods named after system calls add one each.
type Plan struct {
	*shared
	mapping []byte
	n       int    // calls in the list
	command int    // the first call of those that execute the command
	room    []byte // what is left of the memory
	err     error  // the first that writing the list met
	watch   Watch  // sees the calls being made, if not nil
	watched int    // the call that it is to see next
	groups  []group
	child   int        // its pid, or 0 until Start
	keyring unix.Errno // of joining a session keyring for the child
	keeps   bool       // the child keeps the session keyring of the caller
	// interrupted is asked now and then while this process waits, and interrupt is what it said.
	interrupted func() error
	interrupt   error

	subjects []subject
	notes    []note
	names    map[int]string // of descriptors that the parent has open
	named    map[int]string // of descriptors that calls open
}

// group are calls from one index to before another, between which the child does not wait.
type group struct{ from, to int }

// Together adds the calls of then. Even when somebody watches, the child does not wait between
// them.
func (p *Plan) Together(then func()) {
	from := p.n
	then()
	p.groups = append(p.groups, group{from, p.n})
}

// groupEnd is one more than the last of the calls that are made together with call i.
func (p *Plan) groupEnd(i int) int {
	for _, g := range p.groups {
		if g.from <= i && i < g.to {
			return g.to
		}
	}
	return i + 1
}

// subject is what calls from an index on are about, for error messages.
type subject struct {
	from         int
	what, object string
	asked        bool // the user named the object: the cause says enough without the system call
	hints        []hint
}

type hint struct {
	errno  unix.Errno
	text   string
	opened *call // that succeeded, or nil
}

// New returns an empty list. Each call is shown to watch, if that is not nil, before and after it
// is made.
func New(watch Watch) (*Plan, error) {
	memory, err := unix.Mmap(-1, 0, memorySize, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("mmap %d: %w", memorySize, err)
	}
	p := &Plan{
		mapping: memory,
		shared:  (*shared)(unsafe.Pointer(&memory[0])),
		room:    memory[unsafe.Sizeof(shared{}):],
		command: maxCalls,
		watch:   watch,
		names:   map[int]string{},
		named:   map[int]string{},
	}
	p.at = running
	p.status = exitFailed
	p.parent = unix.PollFd{Fd: -1, Events: unix.POLLIN} // none: poll(2) passes over it
	p.patience = unix.Timespec{Sec: 1}
	return p, nil
}

// An FD is a descriptor: one that is open in the parent, or one that a call of the list will
// return.
type FD struct {
	number int
	later  bool // number is the index of the call
}

// CWD stands for the working directory in calls that take a directory (AT_FDCWD).
var CWD = FD{number: unix.AT_FDCWD}

// Open returns a descriptor of the parent, with the name that it has in print.
func (p *Plan) Open(fd int, name string) FD {
	p.names[fd] = name
	return FD{number: fd}
}

// Name gives the descriptor that the last call returns a name, for print.
func (p *Plan) Name(fd FD, name string) FD {
	p.named[fd.number] = name
	return fd
}

// Result is what the call that opens fd returned: its number.
func (p *Plan) Result(fd FD) (number int, err error) {
	if !fd.later {
		return fd.number, nil
	}
	c := &p.calls[fd.number]
	if !c.made || c.errno != 0 {
		return -1, unix.Errno(c.errno)
	}
	return int(c.result), nil
}

// A Buffer is memory of the list that a call writes to.
type Buffer struct{ start unsafe.Pointer }

// Buffer returns memory of that many bytes, all 0.
func (p *Plan) Buffer(size int) Buffer { return Buffer{p.pointer(p.put(make([]byte, size)))} }

func (b Buffer) word(offset int) *uint64 { return (*uint64)(unsafe.Add(b.start, offset)) }

func (b Buffer) arg() arg { return num(uintptr(b.start)) }

// pointer returns a pointer to an address in the memory of the list.
func (p *Plan) pointer(address uintptr) unsafe.Pointer {
	return unsafe.Add(unsafe.Pointer(p.shared), address-uintptr(unsafe.Pointer(p.shared)))
}

// put copies bytes to the memory of the list, with a zero behind them, and returns their address
// there.
func (p *Plan) put(b []byte) uintptr {
	size := (len(b) + 8) &^ 7
	if size > len(p.room) {
		p.fail(fmt.Errorf("command line: %w", unix.E2BIG))
		return 0
	}
	at := uintptr(unsafe.Pointer(&p.room[0]))
	copy(p.room, b)
	p.room = p.room[size:]
	return at
}

func (p *Plan) text(s string) arg { return num(p.put(unsafe.Slice(unsafe.StringData(s), len(s)))) }

// put copies a value that the kernel reads, which has no pointers of Go's.
func put[T any](p *Plan, v T) uintptr {
	return p.put(unsafe.Slice((*byte)(unsafe.Pointer(&v)), unsafe.Sizeof(v)))
}

// value is put for an argument.
func value[T any](p *Plan, v T) arg { return num(put(p, v)) }

// array copies a list of texts as execve(2) wants it: addresses, and a zero at the end.
func (p *Plan) array(texts []string) arg {
	addresses := make([]uintptr, len(texts)+1)
	for i, s := range texts {
		addresses[i] = p.text(s).value
	}
	return num(p.put(unsafe.Slice((*byte)(unsafe.Pointer(&addresses[0])), 8*len(addresses))))
}

func (p *Plan) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// An arg is an argument of a system call: a number, or the result of an earlier call, of which it
// is the index.
type arg struct {
	value uintptr
	later bool
}

func num[T ~int | ~int32 | ~uint32 | ~int64 | ~uint64 | ~uintptr](n T) arg {
	return arg{value: uintptr(n)}
}

func (fd FD) arg() arg { return arg{uintptr(fd.number), fd.later} }

// add adds a call. It returns what the call will return, as a descriptor.
func (p *Plan) add(number int, args ...arg) FD {
	if p.n == maxCalls {
		p.fail(fmt.Errorf("plan: more than %d system calls", maxCalls))
		p.n--
	}
	c := &p.calls[p.n]
	c.number = uint32(number)
	for i, a := range args {
		c.args[i] = a.value
		if a.later {
			c.later |= 1 << i
		}
	}
	p.n++
	return FD{p.n - 1, true}
}

// Allow makes errors of the last call no reason to stop. At most three.
func (p *Plan) Allow(errors ...unix.Errno) {
	c := &p.calls[p.n-1]
	for i, errno := range errors {
		c.allowed[i] = uint16(errno)
	}
}

// Unless adds the calls of then, which are left out if the last call fails with one of the errors.
func (p *Plan) Unless(then func(), errors ...unix.Errno) {
	p.Allow(errors...)
	i := p.n - 1
	then()
	if p.n-1-i > math.MaxUint8 {
		p.fail(fmt.Errorf("plan: %d system calls depend on one", p.n-1-i))
	}
	p.calls[i].skip = uint8(p.n - 1 - i)
}

// A call may have to pass several checks.

// Must makes the last call fail with ErrCheck unless the bits of mask in a word of the buffer are
// those of want. offset is where the word of 64 bits begins, in bytes.
func (p *Plan) Must(b Buffer, offset int, mask, want uint64) {
	p.mustPass(check{word: b.word(offset), against: p.constant(want), mask: mask})
}

// MustNot makes the last call fail with ErrCheck if the bits of mask in the word are those of bad.
func (p *Plan) MustNot(b Buffer, offset int, mask, bad uint64) {
	p.mustPass(check{word: b.word(offset), against: p.constant(bad), mask: mask, differ: true})
}

// MustMatch makes the last call fail with ErrCheck unless the words at offset of both buffers are
// equal.
func (p *Plan) MustMatch(b, other Buffer, offset int) {
	p.mustPass(check{word: b.word(offset), against: other.word(offset), mask: math.MaxUint64})
}

// MustReturn makes the last call fail with ErrCheck if it returns another number.
func (p *Plan) MustReturn(want uint64) {
	result := (*uint64)(unsafe.Pointer(&p.calls[p.n-1].result))
	p.mustPass(check{word: result, against: p.constant(want), mask: math.MaxUint64})
}

func (p *Plan) constant(n uint64) *uint64 { return (*uint64)(p.pointer(put(p, n))) }

func (p *Plan) mustPass(c check) {
	at := &p.calls[p.n-1].check
	for *at != nil {
		at = &(*at).next
	}
	*at = (*check)(p.pointer(put(p, c)))
}

// About says what the next calls are about: an error message begins with that, and goes on with the
// name of the call.
func (p *Plan) About(what, object string) {
	p.subjects = append(p.subjects, subject{from: p.n, what: what, object: object})
}

// Asked is About for what the user asked for by name. The error message does without the name of
// the call.
func (p *Plan) Asked(what, object string) {
	p.subjects = append(p.subjects, subject{from: p.n, what: what, object: object, asked: true})
}

// Hint says what an error of the next calls, as long as they are about the same, means and what to
// do about it.
func (p *Plan) Hint(errno unix.Errno, text string) {
	s := &p.subjects[len(p.subjects)-1]
	s.hints = append(s.hints, hint{errno: errno, text: text})
}

// HintIf is Hint for when an earlier call, which opens fd, was no failure.
func (p *Plan) HintIf(fd FD, errno unix.Errno, text string) {
	s := &p.subjects[len(p.subjects)-1]
	s.hints = append(s.hints, hint{errno: errno, text: text, opened: &p.calls[fd.number]})
}

// A note is what the user hears when a call fails with an error that the list allows.
type note struct {
	call         int
	text, object string
}

// Note has the user hear of it if the last call fails with an error that the list allows.
func (p *Plan) Note(text, object string) {
	p.notes = append(p.notes, note{p.n - 1, text, object})
}

// Notes are what the user hears of the calls that were made: a line for each text, with all its
// objects.
func (p *Plan) Notes() (lines []string) {
	last := ""
	for _, n := range p.notes {
		if c := &p.calls[n.call]; !c.made || c.errno == 0 {
			continue
		}
		object := fmt.Sprintf(" %q", n.object)
		if n.text == last {
			lines[len(lines)-1] += "," + object
			continue
		}
		lines, last = append(lines, n.text+object), n.text
	}
	return lines
}

// An Error says which call of a list failed, and why.
type Error struct {
	What, Object string // what the call is about
	Call         string // the name of the system call
	Cause        unix.Errno
	Hint         string
}

func (e *Error) Error() string {
	text := e.What
	if e.Object != "" {
		text += fmt.Sprintf(" %q", e.Object)
	}
	switch {
	case e.Cause == ErrCheck && e.Hint != "":
		return text + ": " + e.Hint
	case e.Call == "" || e.Call == e.What:
		text += ": " + e.Cause.Error()
	default:
		text += ": " + e.Call + ": " + e.Cause.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

// Free gives the memory of the list back, which has no calls then. The child must be gone, or have
// executed the command.
func (p *Plan) Free() {
	p.n = 0
	_ = unix.Munmap(p.mapping)
}

// Failed returns the *Error of the call that ended the list before the command was executed, or
// nil.
func (p *Plan) Failed() error {
	for i := range p.n {
		c := &p.calls[i]
		if c.made && c.errno != 0 && !c.allows(c.errno) {
			return p.failure(p.telling(i))
		}
	}
	return nil
}

// telling returns the call whose error tells why the list ended with call i. Of the paths where a
// command may be, one that may not be executed counts for more than the last one, as for execvp(3).
func (p *Plan) telling(i int) int {
	last := &p.calls[i]
	if last.number != unix.SYS_EXECVE ||
		last.errno != uint32(unix.ENOENT) && last.errno != uint32(unix.ENOTDIR) {
		return i
	}
	for k := range i {
		if c := &p.calls[k]; c.number == last.number && c.errno == uint32(unix.EACCES) {
			return k
		}
	}
	return i
}

//go:nosplit
//go:norace
func (c *call) allows(errno uint32) bool {
	return errno == uint32(c.allowed[0]) || errno == uint32(c.allowed[1]) ||
		errno == uint32(c.allowed[2])
}

func (p *Plan) failure(i int) *Error {
	c := &p.calls[i]
	e := &Error{What: p.callName(i), Cause: unix.Errno(c.errno)}
	for _, s := range p.subjects {
		if s.from > i {
			break
		}
		e.What, e.Object, e.Hint = s.what, s.object, ""
		if e.Call = p.callName(i); s.asked {
			e.Call = ""
		}
		for _, h := range s.hints {
			if h.errno == e.Cause && (h.opened == nil || h.opened.made && h.opened.errno == 0) {
				e.Hint = h.text
			}
		}
	}
	return e
}

// A fault is an error that a call gets without being made: for tests.
func (p *Plan) Fault(i int, errno unix.Errno) { p.calls[i].fault = uint16(errno) }

// Len is how many calls there are in the list so far.
func (p *Plan) Len() int { return p.n }

// Err is the first error that writing the list met: it was too long.
func (p *Plan) Err() error { return p.err }

var errGone = errors.New("the child was killed")
