//go:build linux

package plan

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A kind is how an argument is printed: by a function, which gets the call, the index of the
// argument, and the names that numbers of this kind have.
type kind struct {
	print func(p *Plan, c *call, i int, names names) string
	names names
}

// Kinds without names of their own. Those with names are in tables.go.
var (
	fd         = &kind{print: descriptor}
	text       = &kind{print: quoted}
	source     = &kind{print: printSource}
	counted    = &kind{print: quotedLength} // the length is the next argument
	texts      = &kind{print: quotedArray}
	groupIDs   = &kind{print: printGroups} // their number is the argument before
	number     = &kind{print: decimal}
	mode       = &kind{print: octal}
	last       = &kind{print: lastDescriptor}
	openHow    = &kind{print: printOpenHow}
	mountAttr  = &kind{print: printMountAttr}
	rlimit     = &kind{print: printRlimit}
	userCaps   = &kind{print: printUserCaps}
	signal     = &kind{print: printSignal}
	sigaction  = &kind{print: printSigaction}
	sigset     = &kind{print: printSigset}
	program    = &kind{print: printProgram}
	pollFds    = &kind{print: printPollFds}
	timeout    = &kind{print: printTimeout}
	prctlValue = &kind{print: printPrctlValue}
	ioctlValue = &kind{print: printIoctlValue}
)

// A names is a list of numbers with names, as a man page has it.
type names []struct {
	value uint64
	name  string
}

// one is the name of a number, or the number in hex.
func (ns names) one(value uint64) string {
	for _, n := range ns {
		if n.value == value {
			return n.name
		}
	}
	return fmt.Sprintf("%#x", value)
}

// flags are the names of the bits that are set, and the rest in hex. A name for several bits must
// come before the names for one of them.
func (ns names) flags(value uint64) string {
	var set []string
	for _, n := range ns {
		if n.value != 0 && value&n.value == n.value {
			set = append(set, n.name)
			value &^= n.value
		}
	}
	if value != 0 {
		set = append(set, fmt.Sprintf("%#x", value))
	}
	if len(set) == 0 {
		return "0"
	}
	return strings.Join(set, "|")
}

// flagged and chosen print a number by its names: by those of its bits, or by its own.
func flagged(_ *Plan, c *call, i int, names names) string { return names.flags(uint64(c.args[i])) }
func chosen(_ *Plan, c *call, i int, names names) string  { return names.one(uint64(c.args[i])) }

func decimal(_ *Plan, c *call, i int, _ names) string {
	return strconv.FormatInt(int64(c.args[i]), 10)
}

func octal(_ *Plan, c *call, i int, _ names) string { return fmt.Sprintf("%#o", c.args[i]) }

// fileMode is the type of a file and its permissions.
func fileMode(_ *Plan, c *call, i int, names names) string {
	return fmt.Sprintf("%s|%#o", names.one(uint64(c.args[i]&unix.S_IFMT)), c.args[i]&^unix.S_IFMT)
}

// descriptor prints the name of a descriptor in angle brackets, because the name may look like a
// path or a number.
func descriptor(p *Plan, c *call, i int, _ names) string {
	if c.later>>i&1 == 0 {
		return p.parentsDescriptor(int(int32(c.args[i])))
	}
	if name, ok := p.named[int(c.args[i])]; ok {
		return angled(name)
	}
	return fmt.Sprintf("<result of call %d>", c.args[i]+1)
}

// parentsDescriptor prints a descriptor that the parent has open.
func (p *Plan) parentsDescriptor(number int) string {
	if number == unix.AT_FDCWD {
		return "AT_FDCWD"
	}
	if name, ok := p.names[number]; ok {
		return angled(name)
	}
	return strconv.Itoa(number)
}

func lastDescriptor(p *Plan, c *call, i int, names names) string {
	if c.args[i] == uintptr(^uint32(0)) {
		return "~0"
	}
	return decimal(p, c, i, names)
}

// quoted prints a text that ends with a zero.
func quoted(p *Plan, c *call, i int, _ names) string {
	if c.args[i] == 0 {
		return "NULL"
	}
	return quote(p.cString(c.args[i]))
}

// printSource names the open file that BindFD mounts. Its number differs from one run to the next.
func printSource(p *Plan, c *call, i int, names names) string {
	if digits, ok := strings.CutPrefix(p.cString(c.args[i]), "self/fd/"); ok {
		if number, err := strconv.Atoi(digits); err == nil {
			return "self/fd/" + p.parentsDescriptor(number)
		}
	}
	return quoted(p, c, i, names)
}

func quotedLength(p *Plan, c *call, i int, _ names) string {
	return quote(string(p.memory(c.args[i], c.args[i+1])))
}

// quotedArray prints the arguments or the environment of a program. There is one execve(2) for each
// directory of PATH: only the first shows the texts.
func quotedArray(p *Plan, c *call, i int, _ names) string {
	for k := 0; &p.calls[k] != c; k++ {
		if slices.Contains(p.calls[k].args[:], c.args[i]) {
			return "the same"
		}
	}
	var list []string
	for at := c.args[i]; ; at += unsafe.Sizeof(at) {
		address := *read[uintptr](p, at)
		if address == 0 {
			return "[" + strings.Join(list, ", ") + "]"
		}
		list = append(list, quote(p.cString(address)))
	}
}

// printOpenHow prints struct open_how like the arguments of open(2), without braces. With O_PATH
// there is no access mode, and only a file that is made has a mode.
func printOpenHow(p *Plan, c *call, i int, _ names) string {
	how := read[unix.OpenHow](p, c.args[i])
	flags := openFlags.names.flags(how.Flags &^ unix.O_ACCMODE)
	if how.Flags&unix.O_PATH == 0 {
		flags = accessModes.one(how.Flags&unix.O_ACCMODE) + "|" + flags
	}
	if how.Flags&unix.O_CREAT != 0 || how.Flags&unix.O_TMPFILE == unix.O_TMPFILE {
		flags += fmt.Sprintf(", %#o", how.Mode)
	}
	return flags + ", " + resolveFlags.flags(how.Resolve)
}

func printMountAttr(p *Plan, c *call, i int, _ names) string {
	attr := read[unix.MountAttr](p, c.args[i])
	var fields []string
	if attr.Attr_set != 0 {
		fields = append(fields, "set: "+mountAttributes.flags(attr.Attr_set))
	}
	if attr.Attr_clr != 0 {
		fields = append(fields, "clear: "+mountAttributes.flags(attr.Attr_clr))
	}
	if attr.Propagation != 0 {
		fields = append(fields, "propagation: "+mountFlags.names.flags(attr.Propagation))
	}
	if attr.Attr_set&unix.MOUNT_ATTR_IDMAP != 0 {
		fields = append(fields, "userns: "+p.parentsDescriptor(int(attr.Userns_fd)))
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

func printGroups(p *Plan, c *call, i int, _ names) string {
	ids := p.memory(c.args[i], 4*c.args[i-1])
	if len(ids) == 0 {
		return "NULL"
	}
	var list []string
	for at := 0; at < len(ids); at += 4 {
		list = append(list, fmt.Sprint(binary.NativeEndian.Uint32(ids[at:])))
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func printRlimit(p *Plan, c *call, i int, _ names) string {
	limit := read[unix.Rlimit](p, c.args[i])
	amount := func(n uint64) string {
		if n == unix.RLIM_INFINITY {
			return "unlimited"
		}
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("{soft: %s, hard: %s}", amount(limit.Cur), amount(limit.Max))
}

// printUserCaps prints three sets of capabilities. Each is in two halves: the first struct has the
// lower ones (capset(2)).
func printUserCaps(p *Plan, c *call, i int, _ names) string {
	data := read[[2]unix.CapUserData](p, c.args[i])
	permitted := capabilitySet(data[0].Permitted, data[1].Permitted)
	effective := capabilitySet(data[0].Effective, data[1].Effective)
	inheritable := capabilitySet(data[0].Inheritable, data[1].Inheritable)
	switch {
	case inheritable != "none" || permitted != effective:
		return fmt.Sprintf("{permitted: %s, effective: %s, inheritable: %s}",
			permitted, effective, inheritable)
	case permitted == "none":
		return "{none}"
	}
	return "{permitted, effective: " + permitted + "}"
}

func capabilitySet(low, high uint32) string {
	set := uint64(high)<<32 | uint64(low)
	switch set {
	case 0:
		return "none"
	case 1<<(unix.CAP_LAST_CAP+1) - 1:
		return "all"
	}
	var list []string
	for n := range uint64(64) {
		if set>>n&1 == 1 {
			list = append(list, capabilities.names.one(n))
		}
	}
	return strings.Join(list, "|")
}

// printSigaction prints the handler, the first word of the kernel's struct sigaction.
func printSigaction(p *Plan, c *call, i int, _ names) string {
	return handlers.one(*read[uint64](p, c.args[i]))
}

func printSigset(p *Plan, c *call, i int, _ names) string {
	set := *read[uint64](p, c.args[i])
	var list []string
	for n := range 64 {
		if set>>n&1 == 1 {
			list = append(list, signalName(n+1))
		}
	}
	return "[" + strings.Join(list, " ") + "]"
}

func printSignal(_ *Plan, c *call, i int, _ names) string { return signalName(int(c.args[i])) }

func signalName(number int) string {
	if name := unix.SignalName(unix.Signal(number)); name != "" {
		return name
	}
	return strconv.Itoa(number) // 0, or a real-time signal (signal(7))
}

// printProgram prints the length of a seccomp filter. The instructions would fill the screen.
func printProgram(p *Plan, c *call, i int, _ names) string {
	return fmt.Sprintf("%d instructions", *read[uint16](p, c.args[i]))
}

func printPollFds(p *Plan, c *call, i int, _ names) string {
	poll := read[unix.PollFd](p, c.args[i])
	name := p.parentsDescriptor(int(poll.Fd))
	return fmt.Sprintf("[%s %s]", name, pollEvents.flags(uint64(poll.Events)))
}

func printTimeout(p *Plan, c *call, i int, _ names) string {
	d := time.Duration(read[unix.Timespec](p, c.args[i]).Nano())
	if d == 0 {
		return "now"
	}
	return d.String()
}

func printPrctlValue(p *Plan, c *call, i int, _ names) string {
	switch c.args[i-1] {
	case unix.PR_CAPBSET_DROP, unix.PR_CAPBSET_READ:
		return chosen(p, c, i, capabilities.names)
	case unix.PR_CAP_AMBIENT:
		return chosen(p, c, i, ambientOptions)
	case unix.PR_SET_PDEATHSIG:
		return signalName(int(c.args[i]))
	}
	return decimal(p, c, i, nil)
}

func printIoctlValue(p *Plan, c *call, i int, _ names) string {
	at := c.args[i]
	switch c.args[i-1] {
	case unix.SIOCSIFFLAGS:
		r := read[interfaceRequest](p, at)
		flags := binary.NativeEndian.Uint16(r.value[:])
		return fmt.Sprintf("{%s %s}", r, interfaceFlags.flags(uint64(flags)))
	case unix.SIOCSIFADDR, unix.SIOCSIFNETMASK:
		r := read[interfaceRequest](p, at)
		return fmt.Sprintf("{%s %s}", r, inet(r.value[:]))
	case unix.SIOCADDRT:
		// In struct rtentry the destination is at byte 8, the gateway at 24, the netmask at 40.
		route := read[[56]byte](p, at)
		to := inet(route[8:]) + "/" + inet(route[40:])
		if to == "0.0.0.0/0.0.0.0" {
			to = "default"
		}
		return fmt.Sprintf("{%s via %s}", to, inet(route[24:]))
	case unix.TIOCSPTLCK:
		return fmt.Sprintf("{%d}", *read[int32](p, at))
	case unix.TIOCSWINSZ:
		size := read[unix.Winsize](p, at)
		return fmt.Sprintf("{%d rows, %d columns}", size.Row, size.Col)
	case unix.TIOCSCTTY:
		return decimal(p, c, i, nil)
	}
	if p.memory(at, 1) != nil {
		return "{...}"
	}
	return fmt.Sprintf("%#x", at)
}

// inet prints the address of a struct sockaddr_in (ip(7)).
func inet(sockaddr []byte) string {
	return fmt.Sprintf("%d.%d.%d.%d", sockaddr[4], sockaddr[5], sockaddr[6], sockaddr[7])
}

func (r *interfaceRequest) String() string { return printable(unix.ByteSliceToString(r.name[:])) }

// memory returns bytes in the memory of the list, or nil for another address. If the list outgrew
// its memory, there are addresses that are 0.
func (p *Plan) memory(address, size uintptr) []byte {
	offset := address - uintptr(unsafe.Pointer(p.shared))
	if offset >= memorySize || size > memorySize-offset {
		return nil
	}
	return unsafe.Slice((*byte)(p.pointer(address)), size)
}

// read returns the value at an address in the memory of the list, or a zero.
func read[T any](p *Plan, address uintptr) *T {
	var zero T
	b := p.memory(address, unsafe.Sizeof(zero))
	if b == nil {
		return &zero
	}
	return (*T)(unsafe.Pointer(&b[0]))
}

// cString returns the text at an address, which ends with a zero.
func (p *Plan) cString(address uintptr) string {
	rest := memorySize - (address - uintptr(unsafe.Pointer(p.shared)))
	return unix.ByteSliceToString(p.memory(address, rest))
}

// quote prints a text in quotation marks.
func quote(s string) string {
	head, dots := cut(s)
	return strconv.Quote(head) + dots
}

// angled prints the name of a descriptor.
func angled(name string) string {
	head, dots := cut(name)
	return "<" + printable(head) + dots + ">"
}

// cut returns the beginning of a text that would be long in print, and dots for the rest.
func cut(s string) (head, dots string) {
	const most = 80
	width := 0
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		if width += len(printable(s[i : i+size])); width > most {
			return s[:i], "..."
		}
		i += size
	}
	return s, ""
}

// printable is a text in which no character can harm a terminal.
func printable(s string) string {
	q := strconv.Quote(s)
	return q[1 : len(q)-1]
}
