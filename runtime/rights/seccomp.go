//go:build linux

package rights

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
)

// A seccomp filter is a program that the kernel runs at each system call (seccomp(2)). It sees the
// number and the arguments, and returns a verdict. This one decides as Docker's default profile
// does. But programs for another architecture, such as of 32 bits, do not run at all: Docker lets
// those of i386 run, and by their socketcall(2), whose arguments a filter does not see, they get
// the sockets that the profile refuses to others.

// verdict is what becomes of a system call.
type verdict uint8

const (
	refuse verdict = iota // EPERM
	allow
	notImplemented // ENOSYS: the C library then uses clone, whose arguments a filter can see
	byCloneFlags
	byPersonality
	bySocketFamily
)

// x32Calls is where the numbers begin that amd64 has for programs with pointers of 32 bits.
const x32Calls = 0x40000000

// knownCalls is one more than the highest number that the profile knows.
const knownCalls = unix.SYS_REMOVEXATTRAT + 1

// verdictsFor returns the verdicts by number.
func verdictsFor(capabilities config.Capabilities) (verdicts [knownCalls]verdict) {
	set := func(v verdict, calls ...uint32) {
		for _, number := range calls {
			verdicts[number] = v
		}
	}
	set(allow, allowedCalls...)
	set(allow, archCalls...)
	set(byCloneFlags, unix.SYS_CLONE)
	set(byPersonality, unix.SYS_PERSONALITY)
	set(bySocketFamily, unix.SYS_SOCKET)
	set(notImplemented, unix.SYS_CLONE3)
	for _, c := range capabilityCalls {
		if capabilities.Has(c.capability) {
			set(allow, c.calls...)
		}
	}
	// The one call that Docker's profile lacks: with the right to mount it gives nothing more, and
	// without it that right is not enough to make a container in this one.
	if capabilities.Has(unix.CAP_SYS_ADMIN) {
		set(allow, unix.SYS_PIVOT_ROOT)
	}
	return verdicts
}

// block is a part of the filter: the verdict for the numbers from first on.
type block struct {
	first   uint32
	verdict verdict
}

// Filter returns the filter for a container with these capabilities.
func Filter(capabilities config.Capabilities) []unix.SockFilter {
	blocks := make([]block, 0, 128)
	verdicts := verdictsFor(capabilities)
	for number, v := range verdicts {
		if number == 0 || v != verdicts[number-1] {
			blocks = append(blocks, block{uint32(number), v})
		}
	}
	// Calls that are younger than the profile do not exist: runc says so too, and programs then try
	// others.
	blocks = append(blocks, block{knownCalls, notImplemented}, block{x32Calls, refuse})
	f := make(filter, 0, 256)
	f.add(loadArch, bpf.JumpIf{Cond: bpf.JumpEqual, Val: auditArch, SkipTrue: 1},
		bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}, loadNumber)
	f.search(blocks)
	return f
}

// Explain tells why a command was killed, if it was by the filter: the kernel says nothing to it.
func Explain(status int) error {
	if status != 128+int(unix.SIGSYS) {
		return nil
	}
	return errors.New("filter of system calls: killed the command, or a process of it (a program " +
		"for another architecture, such as of 32 bits, does not run in a container)")
}

// filter is the program, in the kernel's form.
type filter []unix.SockFilter

func (f *filter) add(instructions ...bpf.Instruction) {
	for _, instruction := range instructions {
		raw, err := instruction.Assemble()
		if err != nil {
			// One that is not BPF: see TestSeccomp.
			panic(fmt.Sprintf("seccomp filter: %#v: %v", instruction, err))
		}
		*f = append(*f, unix.SockFilter{Code: raw.Op, Jt: raw.Jt, Jf: raw.Jf, K: raw.K})
	}
}

// search adds the search for the block of a number, by halves: the kernel takes seven steps instead
// of hundreds.
func (f *filter) search(blocks []block) {
	if len(blocks) == 1 {
		f.add(programs[blocks[0].verdict]...)
		return
	}
	middle := len(blocks) / 2
	jump := len(*f)
	f.add(bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: blocks[middle].first})
	f.search(blocks[:middle])
	skip := len(*f) - jump - 1
	if skip > 255 { // the field has eight bits
		panic(fmt.Sprintf("seccomp filter: a jump over %d instructions", skip))
	}
	(*f)[jump].Jt = uint8(skip)
	f.search(blocks[middle:])
}

// The kernel's struct seccomp_data (seccomp(2)). An argument is 64 bits, here with the lower half
// first.
var (
	loadNumber  = bpf.LoadAbsolute{Off: offsetNumber, Size: 4}
	loadArch    = bpf.LoadAbsolute{Off: offsetArch, Size: 4}
	loadArgLow  = bpf.LoadAbsolute{Off: offsetArgLow, Size: 4}
	loadArgHigh = bpf.LoadAbsolute{Off: offsetArgHigh, Size: 4}
)

const (
	offsetNumber  = 0
	offsetArch    = 4
	offsetArgLow  = 16
	offsetArgHigh = 20
)

// newNamespaces are the flags of clone(2) for namespaces, but for CLONE_NEWTIME, which it does not
// take.
const newNamespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// Execution domains of personality(2), where they have the names PER_LINUX32 and UNAME26.
const linux32, uname26 = 0x8, 0x20000

// What a filter returns for yes and for no.
var (
	yes = bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	no  = bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)}
)

// programs are the instructions for each verdict. Those that look at the first argument end in two
// results, for no and for yes.
var programs = [...][]bpf.Instruction{
	refuse:         {no},
	allow:          {yes},
	notImplemented: {bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)}},
	byCloneFlags: {
		loadArgLow,
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: newNamespaces, SkipFalse: 1},
		no,
		yes,
	},
	byPersonality: { // Linux, its two legacy variants of 32 bits, and the question which one it is
		loadArgHigh,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 6},
		loadArgLow,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: linux32, SkipTrue: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uname26, SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: linux32 | uname26, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0xffffffff, SkipTrue: 1},
		no,
		yes,
	},
	bySocketFamily: { // is the bit of its number among those that are allowed?
		loadArgHigh,
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0, SkipFalse: 12},
		loadArgLow,
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: 64, SkipTrue: 10},
		bpf.JumpIf{Cond: bpf.JumpGreaterOrEqual, Val: 32, SkipTrue: 4},
		bpf.TAX{},
		bpf.LoadConstant{Dst: bpf.RegA, Val: 1},
		bpf.ALUOpX{Op: bpf.ALUOpShiftLeft},
		bpf.JumpIf{
			Cond:      bpf.JumpBitsSet,
			Val:       uint32(socketFamilies & 0xffffffff),
			SkipTrue:  6,
			SkipFalse: 5,
		},
		bpf.ALUOpConstant{Op: bpf.ALUOpSub, Val: 32},
		bpf.TAX{},
		bpf.LoadConstant{Dst: bpf.RegA, Val: 1},
		bpf.ALUOpX{Op: bpf.ALUOpShiftLeft},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: uint32(socketFamilies >> 32), SkipTrue: 1},
		no,
		yes,
	},
}

// socketFamilies are those that Docker's profile allows, bit n for number n: not AF_ALG and
// AF_VSOCK, nor those whose protocol the kernel has given up.
const socketFamilies uint64 = 1<<unix.AF_UNSPEC | 1<<unix.AF_UNIX | 1<<unix.AF_INET |
	1<<unix.AF_BRIDGE | 1<<unix.AF_ATMPVC | 1<<unix.AF_X25 | 1<<unix.AF_INET6 | 1<<unix.AF_NETBEUI |
	1<<unix.AF_SECURITY | 1<<unix.AF_KEY | 1<<unix.AF_NETLINK | 1<<unix.AF_PACKET | 1<<unix.AF_ASH |
	1<<unix.AF_RDS | 1<<unix.AF_SNA | 1<<unix.AF_PPPOX | 1<<unix.AF_LLC | 1<<unix.AF_IB |
	1<<unix.AF_MPLS | 1<<unix.AF_CAN | 1<<unix.AF_TIPC | 1<<unix.AF_BLUETOOTH | 1<<unix.AF_IUCV |
	1<<unix.AF_RXRPC | 1<<unix.AF_PHONET | 1<<unix.AF_IEEE802154 | 1<<unix.AF_NFC | 1<<unix.AF_KCM |
	1<<unix.AF_QIPCRTR | 1<<unix.AF_SMC | 1<<unix.AF_XDP | 1<<unix.AF_MCTP
