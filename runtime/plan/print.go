//go:build linux

package plan

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A list is printed for people: one line for each call, in the form of strace(1). The text is made
// when it is asked for, from the numbers and addresses in the list, so writing the list costs
// nothing.
//
// Lines are not numbered and show no addresses, so diff(1) of two lists shows what a flag of the
// container changes.

// Line returns call i in print: the call, the name of the descriptor that it returns, unless that
// is the path, and what the list does with the outcome.
//
//	openat2(AT_FDCWD, "/srv/rootfs", O_PATH|O_CLOEXEC, 0) as <root>
//	openat2(<root>, "/proc", O_PATH|O_CLOEXEC, RESOLVE_NO_SYMLINKS) or ENOENT: leaves out 3
//	fstatfs(</proc>) must: proc
func (p *Plan) Line(i int) string {
	made := p.callName(i) + "(" + strings.Join(p.args(i), ", ") + ")"
	return made + p.nameGiven(i) + p.outcome(i)
}

// Lines returns all calls in print.
func (p *Plan) Lines() []string {
	lines := make([]string, p.n)
	for i := range lines {
		lines[i] = p.Line(i)
	}
	return lines
}

// Print writes all calls, one a line.
func (p *Plan) Print(w io.Writer) error {
	for _, line := range p.Lines() {
		if _, err := io.WriteString(w, line+"\n"); err != nil {
			return fmt.Errorf("print the plan: %w", err)
		}
	}
	return nil
}

// A Call is a call of the list for tests, which can ask for more than its line.
type Call struct {
	Name    string
	Args    []string // in print
	Line    string
	Allowed []unix.Errno // errors that do not end the list
	Skip    int          // how many of the next calls are left out after an allowed error
}

// Calls returns all calls.
func (p *Plan) Calls() []Call {
	calls := make([]Call, p.n)
	for i := range calls {
		c := &p.calls[i]
		calls[i] = Call{
			Name:    p.callName(i),
			Args:    p.args(i),
			Line:    p.Line(i),
			Allowed: c.allowedErrors(),
			Skip:    int(c.skip),
		}
	}
	return calls
}

// form finds how call i is printed, or nil.
func (p *Plan) form(i int) *form {
	for k := range forms {
		if forms[k].number == p.calls[i].number {
			return &forms[k]
		}
	}
	return nil
}

// callName is the name of the system call.
func (p *Plan) callName(i int) string {
	if f := p.form(i); f != nil {
		return f.name
	}
	return fmt.Sprintf("syscall_%d", p.calls[i].number)
}

// args are the arguments in print, without those that are not shown.
func (p *Plan) args(i int) (printed []string) {
	f := p.form(i)
	if f == nil {
		return []string{"..."}
	}
	for k, kind := range f.args {
		if kind != nil {
			printed = append(printed, kind.print(p, &p.calls[i], k, kind.names))
		}
	}
	return printed
}

// nameGiven tells how later calls name the descriptor that call i returns, unless the name is the
// path that the call opens.
func (p *Plan) nameGiven(i int) string {
	name, ok := p.named[i]
	if c := &p.calls[i]; !ok || c.number == unix.SYS_OPENAT2 && name == p.cString(c.args[1]) {
		return ""
	}
	return " as " + angled(name)
}

// outcome says what the list does with the outcome of call i.
func (p *Plan) outcome(i int) string {
	c := &p.calls[i]
	condition := p.condition(i)
	var names []string
	for _, errno := range c.allowedErrors() {
		if errno == ErrCheck && condition != "" {
			names = append(names, "refused")
		} else {
			names = append(names, errnoName(errno))
		}
	}
	if len(names) == 0 {
		return condition
	}
	text := " or " + strings.Join(names, ", ")
	if condition != "" {
		text = condition + "," + text
	}
	if c.skip != 0 {
		text += fmt.Sprintf(": leaves out %d", c.skip)
	}
	return text
}

func (c *call) allowedErrors() (errors []unix.Errno) {
	for _, errno := range c.allowed {
		if errno != 0 {
			errors = append(errors, unix.Errno(errno))
		}
	}
	return errors
}

// condition is the checks of call i in print.
func (p *Plan) condition(i int) string {
	var all []string
	for check := p.calls[i].check; check != nil; check = check.next {
		all = append(all, p.checkInWords(i, check))
	}
	return strings.Join(all, ",")
}

func (p *Plan) checkInWords(i int, check *check) string {
	verb := " must: "
	if check.differ {
		verb = " must not: "
	}
	// The other word of MustMatch is in the buffer of an earlier call: its value is not known yet.
	if other, offset := p.writer(i, check.against); other != nil {
		what := fmt.Sprintf("word at %d", offset)
		if other.number == unix.SYS_STATX && offset == StatxMount {
			what = "mount"
		}
		return verb + "same " + what + " as " + descriptor(p, other, 0, nil)
	}
	return verb + p.meaning(i, check, *check.against)
}

// meaning says in words what a value of a checked word of call i means.
func (p *Plan) meaning(i int, check *check, value uint64) string {
	if uintptr(unsafe.Pointer(check.word)) == uintptr(unsafe.Pointer(&p.calls[i].result)) {
		return strconv.FormatInt(int64(value), 10)
	}
	c, offset := p.writer(i, check.word)
	switch {
	case c == nil:
	case c.number == unix.SYS_FSTATFS && offset == 0:
		return fileSystems.one(value)
	case c.number == unix.SYS_FSTATFS:
	case c.number == unix.SYS_READLINKAT:
		return strconv.Quote(textOf(value, check.mask))
	case offset == StatxDevice:
		return fmt.Sprintf("device %d:%d", uint32(value), value>>32)
	case offset == StatxMount:
		return fmt.Sprintf("mount %d", value)
	case offset == StatxMode && check.mask == ModeMask:
		return fileTypes.one(value >> 32)
	case offset == StatxAttributes && value == 0:
		return "no " + statxAttributes.flags(check.mask)
	case offset == StatxAttributes:
		return statxAttributes.flags(value)
	}
	return fmt.Sprintf("%#x of %#x in word at %d", value, check.mask, offset)
}

// writer finds the call that writes a word, i or an earlier one, and the offset of the word in the
// buffer of that call.
func (p *Plan) writer(i int, word *uint64) (c *call, offset uintptr) {
	for ; i >= 0; i-- {
		c = &p.calls[i]
		var buffer, size uintptr
		switch c.number {
		case unix.SYS_FSTATFS:
			buffer, size = c.args[1], unsafe.Sizeof(unix.Statfs_t{})
		case unix.SYS_READLINKAT:
			buffer, size = c.args[2], c.args[3]
		case unix.SYS_STATX:
			buffer, size = c.args[4], unsafe.Sizeof(unix.Statx_t{})
		}
		if offset = uintptr(unsafe.Pointer(word)) - buffer; offset < size {
			return c, offset
		}
	}
	return nil, 0
}

// result is what came of call i, in print, or "" if the call was not made.
func (p *Plan) result(i int) string {
	c := &p.calls[i]
	switch errno := unix.Errno(c.errno); {
	case !c.made:
		return ""
	case errno == ErrCheck && c.check != nil && c.fault == 0:
		check := c.check
		for check.next != nil && check.holds() {
			check = check.next
		}
		return " = refused: " + p.meaning(i, check, *check.word&check.mask)
	case errno != 0:
		return " = " + errnoName(errno)
	case c.number == unix.SYS_UMASK: // the mask before
		return fmt.Sprintf(" = %#o", c.result)
	}
	return fmt.Sprintf(" = %d", int(c.result))
}

func errnoName(errno unix.Errno) string {
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return fmt.Sprintf("errno %d", int(errno)) // of the kernel's own, as 524
}
