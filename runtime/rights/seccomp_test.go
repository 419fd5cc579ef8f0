//go:build linux

package rights

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/profiles/seccomp"
	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
)

// TestSeccomp compares the verdicts of the filter with those of Docker's default profile, for every
// system call and for arguments around the profile's conditions, with each set of capabilities that
// makes a difference.
func TestSeccomp(t *testing.T) {
	sets := map[string]uint64{
		"none":    0,
		"default": uint64(config.DefaultCapabilities),
		"all":     ^uint64(0) >> (63 - unix.CAP_LAST_CAP),
	}
	for _, c := range capability.ListKnown() {
		sets[c.String()] = 1 << c
	}
	numbers := callNumbers(t)
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			profile := dockerProfile(t, set)
			filter := virtualMachine(t, Filter(config.Capabilities(set)))
			for number := range uint32(600) {
				rules := profile.about(numbers[number])
				for _, arg := range arguments {
					want := rules.verdict(arg)
					if number == unix.SYS_PIVOT_ROOT && set>>unix.CAP_SYS_ADMIN&1 == 1 {
						want = unix.SECCOMP_RET_ALLOW // for a container in the container
					}
					if number > unix.SYS_REMOVEXATTRAT { // runc puts that before any profile
						want = errno(unix.ENOSYS)
					}
					// require.Equal would take longer than all else: there are millions.
					if got := run(t, filter, auditArch, number, arg); got != want {
						t.Fatalf("call %d %v, argument %#x: %#x instead of %#x",
							number, numbers[number], arg, got, want)
					}
				}
			}
			// Those of the x32 kind, and those of another architecture.
			require.Equal(t, errno(unix.EPERM), run(t, filter, auditArch, 0x40000000, 0))
			require.Equal(t, uint32(unix.SECCOMP_RET_KILL_PROCESS),
				run(t, filter, unix.AUDIT_ARCH_I386, 1, 0))
		})
	}
}

// arguments are values for the first one: socket families, personalities and flags of clone.
var arguments = func() (all []uint64) {
	for i := range uint64(50) {
		all = append(all, i)
	}
	for bit := range 64 {
		all = append(all, 1<<bit)
	}
	return append(all, 0x20008, 0x20009, 0xffffffff, 0xfffffffe, 0xffffffffffffffff, 0x1_0000_0008,
		0x7e020000, 0x3d0f00)
}()

func TestExplain(t *testing.T) {
	require.ErrorContains(t, Explain(159), "32 bits")
	for _, status := range []int{0, 1, 31, 128, 137, 158, 160} {
		require.NoError(t, Explain(status))
	}
}

type profile []specs.LinuxSyscall

// dockerProfile is the one that Docker makes of its default profile for these capabilities.
func dockerProfile(t *testing.T, capabilities uint64) profile {
	var names []string
	for _, c := range capability.ListKnown() {
		if capabilities>>c&1 == 1 {
			names = append(names, "CAP_"+strings.ToUpper(c.String()))
		}
	}
	set := &specs.LinuxCapabilities{Bounding: names}
	spec := &specs.Spec{Process: &specs.Process{Capabilities: set}}
	p, err := seccomp.GetDefaultProfile(spec)
	require.NoError(t, err)
	require.Equal(t, specs.ActErrno, p.DefaultAction)
	require.EqualValues(t, unix.EPERM, *p.DefaultErrnoRet)
	return p.Syscalls
}

// about are the rules of the profile about a call with any of these names.
func (p profile) about(names []string) (rules profile) {
	for _, rule := range p {
		named := func(name string) bool { return slices.Contains(rule.Names, name) }
		if slices.ContainsFunc(names, named) {
			rules = append(rules, rule)
		}
	}
	return rules
}

// verdict is what the rules about a call say to it: the most permissive one that fits.
func (p profile) verdict(arg uint64) uint32 {
	result := errno(unix.EPERM)
	for _, rule := range p {
		if !fits(rule.Args, arg) {
			continue
		}
		if rule.Action == specs.ActAllow {
			return unix.SECCOMP_RET_ALLOW
		}
		result = errno(unix.Errno(*rule.ErrnoRet))
	}
	return result
}

func fits(conditions []specs.LinuxSeccompArg, arg uint64) bool {
	for _, c := range conditions {
		switch {
		case c.Index != 0:
			return false
		case c.Op == specs.OpEqualTo && arg != c.Value,
			c.Op == specs.OpLessThan && arg >= c.Value,
			c.Op == specs.OpMaskedEqual && arg&c.Value != c.ValueTwo:
			return false
		case c.Op != specs.OpEqualTo && c.Op != specs.OpLessThan && c.Op != specs.OpMaskedEqual:
			panic("a condition that this test does not know: " + c.Op)
		}
	}
	return true
}

func errno(e unix.Errno) uint32 { return unix.SECCOMP_RET_ERRNO | uint32(e) }

// callNumbers are the names of system calls by number, from the source of golang.org/x/sys.
func callNumbers(t *testing.T) map[uint32][]string {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil && os.Getenv("SYS") != "" {
		dir, err = []byte(os.Getenv("SYS")), nil // where there is no Go
	}
	require.NoError(t, err)
	file := fmt.Sprintf("unix/zsysnum_linux_%s.go", runtime.GOARCH)
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
	require.NoError(t, err)
	numbers := map[uint32][]string{}
	constant := regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)`)
	for _, match := range constant.FindAllStringSubmatch(string(source), -1) {
		number, err := strconv.ParseUint(match[2], 10, 32)
		require.NoError(t, err)
		numbers[uint32(number)] = append(numbers[uint32(number)], strings.ToLower(match[1]))
	}
	require.Greater(t, len(numbers), 300)
	return numbers
}

func virtualMachine(t *testing.T, filter []unix.SockFilter) *bpf.VM {
	var program []bpf.Instruction
	for _, f := range filter {
		raw := bpf.RawInstruction{Op: f.Code, Jt: f.Jt, Jf: f.Jf, K: f.K}
		program = append(program, raw.Disassemble())
	}
	vm, err := bpf.NewVM(program)
	require.NoError(t, err)
	return vm
}

// run runs the filter for a call. The machine is one for packets, whose words have the most
// significant byte first.
func run(t *testing.T, vm *bpf.VM, arch, number uint32, arg uint64) uint32 {
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offsetNumber:], number)
	binary.BigEndian.PutUint32(data[offsetArch:], arch)
	binary.BigEndian.PutUint32(data[offsetArgLow:], uint32(arg))
	binary.BigEndian.PutUint32(data[offsetArgHigh:], uint32(arg>>32))
	result, err := vm.Run(data)
	require.NoError(t, err)
	return uint32(result)
}
