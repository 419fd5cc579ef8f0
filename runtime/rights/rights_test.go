//go:build linux

package rights

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/moby/sys/capability"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// calls returns the calls that write adds to a list, which is not made: no test here needs root.
func calls(t *testing.T, write func(p *plan.Plan)) []plan.Call {
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	write(p)
	require.NoError(t, p.Err())
	return p.Calls()
}

// drop returns what Drop adds for the user with these ids.
func drop(t *testing.T, c *config.Container, uid, gid int, ignored ...unix.Signal) []plan.Call {
	return calls(t, func(p *plan.Plan) {
		require.NoError(t, Drop(p, c, uid, gid, p.Open(100, "runtime"), ignored))
	})
}

func lines(calls []plan.Call) (lines []string) {
	for _, c := range calls {
		lines = append(lines, c.Line)
	}
	return lines
}

// defaults is a container with a user namespace, where root has all capabilities to begin with.
func defaults() *config.Container {
	return &config.Container{
		Namespaces:   config.DefaultNamespaces,
		Capabilities: config.DefaultCapabilities,
	}
}

// everything are all capabilities that there are.
const everything config.Capabilities = 1<<(unix.CAP_LAST_CAP+1) - 1

const (
	dieWithParent = `prctl(PR_SET_PDEATHSIG, SIGKILL)`
	parentLives   = `ppoll([<runtime> POLLIN], 1, now) must: 0`
)

// Each call takes away what the ones before it needed: PR_CAPBSET_DROP needs CAP_SETPCAP, and
// setresgid(2) needs CAP_SETGID, both of which setresuid(2) takes. Then the child is no longer
// killed with its parent, and that is mended at once. The filter of seccomp(2) is last: a call
// behind it would have to be allowed to every command.
func TestOrderOfRights(t *testing.T) {
	c := defaults()
	c.Capabilities = everything &^ (1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_BPF)
	c.Ulimits = []config.Ulimit{
		{Name: "nofile", Soft: 10, Hard: 20},
		{Name: "core", Soft: 0, Hard: unix.RLIM_INFINITY},
	}
	require.Equal(t, []string{
		`prlimit64(0, RLIMIT_NOFILE, {soft: 10, hard: 20})`,
		`prlimit64(0, RLIMIT_CORE, {soft: 0, hard: unlimited})`,
		`prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) or EINVAL`,
		`prctl(PR_CAPBSET_DROP, CAP_BPF) or EINVAL`,
		`setresgid(100, 100, 100)`,
		`setresuid(1000, 1000, 1000)`,
		dieWithParent, // the kernel forgot it
		parentLives,
		`capset({none})`,
		`rt_sigaction(SIGHUP, SIG_DFL)`,
		`rt_sigaction(SIGINT, SIG_DFL)`,
		`rt_sigprocmask(SIG_SETMASK, [])`,
		`prctl(PR_SET_NO_NEW_PRIVS, 1)`,
		fmt.Sprintf(`seccomp(SECCOMP_SET_MODE_FILTER, %d instructions)`,
			len(Filter(c.Capabilities))),
	}, lines(drop(t, c, 1000, 100, unix.SIGHUP, unix.SIGINT)))
}

// A protection that cannot be had is an error. Only a capability that the kernel does not know need
// not be dropped.
func TestNoErrorIsAllowedButForUnknownCapabilities(t *testing.T) {
	c := defaults()
	c.Capabilities = 0
	c.Ulimits = []config.Ulimit{{Name: "nofile", Soft: 10, Hard: 20}}
	for _, call := range drop(t, c, 1000, 100, unix.SIGHUP) {
		if strings.HasPrefix(call.Line, "prctl(PR_CAPBSET_DROP, ") {
			require.Equal(t, []unix.Errno{unix.EINVAL}, call.Allowed, call.Line)
		} else {
			require.Empty(t, call.Allowed, call.Line)
		}
	}
}

// Root of the container has the capabilities of the flags, in whatever group. Another user has
// none.
func TestOnlyRootHasCapabilities(t *testing.T) {
	const all = `capset({permitted, effective: CAP_CHOWN|CAP_NET_ADMIN})`
	become := func(uid, gid int, capset string) []string {
		return []string{
			fmt.Sprintf(`setresgid(%[1]d, %[1]d, %[1]d)`, gid),
			fmt.Sprintf(`setresuid(%[1]d, %[1]d, %[1]d)`, uid),
			dieWithParent,
			parentLives,
			capset,
		}
	}
	for _, c := range []struct {
		uid, gid int
		want     []string
	}{
		{0, 0, []string{all}},
		{0, 5, become(0, 5, all)},
		{1000, 0, become(1000, 0, `capset({none})`)},
		{1000, 5, become(1000, 5, `capset({none})`)},
	} {
		t.Run(fmt.Sprint(c.uid, ":", c.gid), func(t *testing.T) {
			container := defaults()
			container.Capabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_NET_ADMIN
			var got []string
			for _, line := range lines(drop(t, container, c.uid, c.gid)) {
				if strings.HasPrefix(line, "prctl(PR_CAPBSET_DROP") {
					continue
				}
				if strings.HasPrefix(line, "rt_sigprocmask") {
					break
				}
				got = append(got, line)
			}
			require.Equal(t, c.want, got)
		})
	}
}

// The filter is for the capabilities of the container, also if its user has none of them: Docker's
// profile goes by the bounding set.
func TestFilterIsThatOfTheContainer(t *testing.T) {
	for _, set := range []config.Capabilities{0, config.DefaultCapabilities, everything} {
		c := defaults()
		c.Capabilities = set
		want := fmt.Sprintf("seccomp(SECCOMP_SET_MODE_FILTER, %d instructions)", len(Filter(set)))
		for _, uid := range []int{0, 1000} {
			all := lines(drop(t, c, uid, 0))
			require.Equal(t, want, all[len(all)-1])
		}
	}
	// Otherwise the lengths would tell nothing.
	require.NotEqual(t, len(Filter(0)), len(Filter(config.DefaultCapabilities)))
}

// What is not kept is dropped from the bounding set, all of capabilities(7): what the kernel of
// this machine knows makes no difference to the list.
func TestBoundingSet(t *testing.T) {
	for name, keep := range map[string]config.Capabilities{
		"none":    0,
		"default": config.DefaultCapabilities,
		"all":     everything,
		"first":   1 << unix.CAP_CHOWN,
		"last":    1 << unix.CAP_LAST_CAP,
	} {
		t.Run(name, func(t *testing.T) {
			var want, got []string
			for _, c := range capability.ListKnown() {
				if keep>>c&1 == 0 {
					want = append(want, "CAP_"+strings.ToUpper(c.String()))
				}
			}
			for _, call := range calls(t, func(p *plan.Plan) { boundCapabilities(p, keep) }) {
				require.Equal(t, "PR_CAPBSET_DROP", call.Args[0])
				got = append(got, call.Args[1])
			}
			require.ElementsMatch(t, want, got)
		})
	}
}

// Without a user namespace there is nobody to give what this process has not.
func TestNoCapabilityIsAdded(t *testing.T) {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	match := regexp.MustCompile(`(?m)^CapPrm:\t([0-9a-f]+)$`).FindSubmatch(status)
	require.NotNil(t, match)
	own, err := strconv.ParseUint(string(match[1]), 16, 64)
	require.NoError(t, err)

	c := &config.Container{Capabilities: math.MaxUint64}
	got, err := permitted(c)
	require.NoError(t, err)
	require.EqualValues(t, own, got)
	c.Capabilities = 1 << unix.CAP_CHOWN
	got, err = permitted(c)
	require.NoError(t, err)
	require.EqualValues(t, own&1, got)

	// Root of a user namespace has them all (user_namespaces(7)).
	c.Namespaces = unix.CLONE_NEWUSER
	got, err = permitted(c)
	require.NoError(t, err)
	require.EqualValues(t, 1, got)
}

// The directory is looked up as the container sees it. A magic link to a descriptor that is open
// here would lead to the host (CVE-2024-21626).
func TestWorkdir(t *testing.T) {
	const open = `openat2(AT_FDCWD, %q, O_PATH|O_DIRECTORY|O_CLOEXEC, RESOLVE_NO_MAGICLINKS)`
	for _, c := range []struct {
		name       string
		namespaces config.Namespaces
		workdir    string
		want       string // or none: where the caller is
	}{
		{"root of the container", unix.CLONE_NEWNS, "", "/"},
		{"a directory of the container", unix.CLONE_NEWNS, "/srv/a", "/srv/a"},
		{"no way out by dots", unix.CLONE_NEWNS, "/../a/../../b/", "/b"},
		{"the caller's", unix.CLONE_NEWUTS, "", ""},
		{"a directory of the host", unix.CLONE_NEWUTS, "/srv", "/srv"},
	} {
		t.Run(c.name, func(t *testing.T) {
			container := &config.Container{Namespaces: c.namespaces, Workdir: c.workdir}
			got := calls(t, func(p *plan.Plan) { EnterWorkdir(p, container) })
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Equal(t, []string{fmt.Sprintf(open, c.want), "fchdir(<" + c.want + ">)"},
				lines(got))
			for _, call := range got {
				require.Empty(t, call.Allowed)
			}
		})
	}
}

func TestParseCapability(t *testing.T) {
	for name, want := range map[string]config.Capabilities{
		"NET_ADMIN":     1 << unix.CAP_NET_ADMIN,
		"CAP_NET_ADMIN": 1 << unix.CAP_NET_ADMIN,
		"net_admin":     1 << unix.CAP_NET_ADMIN,
		"cap_chown":     1 << unix.CAP_CHOWN,
		"ALL":           everything,
		"all":           everything,
	} {
		got, err := ParseCapability(name)
		require.NoError(t, err, name)
		require.Equal(t, want, got, name)
	}
	for _, name := range []string{"", "CAP_", "NET", "NET_ADMIN2", "KILL,CHOWN", "12", " CHOWN"} {
		got, err := ParseCapability(name)
		require.ErrorContains(t, err, strconv.Quote(name))
		require.Zero(t, got, "an error adds nothing")
	}
}

func TestCapabilityNames(t *testing.T) {
	require.Empty(t, CapabilityNames(0))
	require.Equal(t, []string{"CAP_CHOWN", "CAP_NET_ADMIN"},
		CapabilityNames(1<<unix.CAP_NET_ADMIN|1<<unix.CAP_CHOWN))
	// What has a name can be given by it.
	for _, name := range CapabilityNames(everything) {
		mask, err := ParseCapability(name)
		require.NoError(t, err)
		require.Equal(t, []string{name}, CapabilityNames(mask))
	}
	require.Len(t, CapabilityNames(everything), unix.CAP_LAST_CAP+1)
}

func TestParseUlimit(t *testing.T) {
	const unlimited = unix.RLIM_INFINITY
	for _, c := range []struct {
		text string
		want config.Ulimit
		err  string // or a part of it
	}{
		{text: "nofile=9", want: config.Ulimit{Name: "nofile", Soft: 9, Hard: 9}},
		{text: "nofile=10:20", want: config.Ulimit{Name: "nofile", Soft: 10, Hard: 20}},
		{text: "nofile=10:10", want: config.Ulimit{Name: "nofile", Soft: 10, Hard: 10}},
		{text: "core=0", want: config.Ulimit{Name: "core"}},
		{text: "core=0:-1", want: config.Ulimit{Name: "core", Hard: unlimited}},
		{
			text: "stack=unlimited",
			want: config.Ulimit{Name: "stack", Soft: unlimited, Hard: unlimited},
		},
		{
			text: "cpu=9223372036854775807",
			want: config.Ulimit{Name: "cpu", Soft: math.MaxInt64, Hard: math.MaxInt64},
		},
		{text: "nofile=20:10", err: "soft limit is above the hard one"},
		{text: "nofile=unlimited:10", err: "soft limit is above the hard one"},
		{text: "nofiles=10", err: `unknown limit "nofiles"`},
		{text: "NOFILE=10", err: `unknown limit "NOFILE"`},
		{text: "=10", err: `unknown limit ""`},
		{text: "", err: `unknown limit ""`},
		{text: "nofile", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=10:", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=:10", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=10:20:30", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=-2", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=1k", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=1.5", err: "must be NAME=SOFT[:HARD]"},
		// prlimit(2) takes the highest number for no limit at all.
		{text: "nofile=18446744073709551615", err: "must be NAME=SOFT[:HARD]"},
		{text: "nofile=9223372036854775808", err: "must be NAME=SOFT[:HARD]"},
	} {
		got, err := ParseUlimit(c.text)
		if c.err != "" {
			require.ErrorContains(t, err, c.err, c.text)
			continue
		}
		require.NoError(t, err, c.text)
		require.Equal(t, c.want, got, c.text)
	}
}

// Each name is that of the kernel's constant, as prlimit(2) and ulimit(1) have it.
func TestUlimitNames(t *testing.T) {
	names := []string{
		"core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc",
		"rss", "rtprio", "rttime", "sigpending", "stack",
	}
	var all []config.Ulimit
	var want []string
	for i, name := range names {
		u, err := ParseUlimit(name + "=" + strconv.Itoa(i))
		require.NoError(t, err)
		all = append(all, u)
		want = append(want, fmt.Sprintf("prlimit64(0, RLIMIT_%s, {soft: %d, hard: %d})",
			strings.ToUpper(name), i, i))
	}
	require.Equal(t, want, lines(calls(t, func(p *plan.Plan) { setUlimits(p, all) })))
	require.Len(t, resources, len(names))
}

// Of several limits with one name the last one counts: a hard limit that was lowered cannot be
// raised again.
func TestLastUlimitCounts(t *testing.T) {
	require.Equal(t, []string{
		`prlimit64(0, RLIMIT_CORE, {soft: 0, hard: 0})`,
		`prlimit64(0, RLIMIT_NOFILE, {soft: 20, hard: 20})`,
	}, lines(calls(t, func(p *plan.Plan) {
		setUlimits(p, []config.Ulimit{
			{Name: "nofile", Soft: 10, Hard: 10},
			{Name: "core"},
			{Name: "nofile", Soft: 20, Hard: 20},
		})
	})))
}

// The hard limit of the child is raised from outside, where the caller may, and never lowered: what
// it limits the child still needs.
func TestRaiseHardLimits(t *testing.T) {
	child := exec.Command("sleep", "60")
	require.NoError(t, child.Start())
	defer func() { _ = child.Wait() }()
	defer func() { _ = child.Process.Kill() }()
	pid := child.Process.Pid
	limit := func() (now unix.Rlimit) {
		require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now))
		return now
	}
	require.NoError(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 10, Max: 20}, nil))

	nofile := func(hard uint64) []config.Ulimit {
		return []config.Ulimit{{Name: "nofile", Soft: 5, Hard: hard}}
	}
	require.NoError(t, RaiseHardLimits(pid, nofile(15)))
	require.Equal(t, unix.Rlimit{Cur: 10, Max: 20}, limit())
	require.NoError(t, RaiseHardLimits(pid, nofile(20)))
	require.Equal(t, unix.Rlimit{Cur: 10, Max: 20}, limit())

	err := RaiseHardLimits(pid, nofile(30))
	if errors.Is(err, unix.EPERM) { // not root: it takes CAP_SYS_RESOURCE
		require.EqualError(t, err,
			`ulimit "nofile=5:30": above 20, the hard limit of the caller: operation not permitted`)
		return
	}
	require.NoError(t, err)
	require.Equal(t, unix.Rlimit{Cur: 10, Max: 30}, limit())
}

func TestRaiseHardLimitsOfNobody(t *testing.T) {
	err := RaiseHardLimits(math.MaxInt32, []config.Ulimit{{Name: "nofile"}})
	require.EqualError(t, err, `ulimit "nofile=0": no such process`)
}

// The Go runtime does not survive it when there are no descriptors left, so that is said before.
func TestTooFewDescriptorsAreRefused(t *testing.T) {
	if number := os.Getenv("TEST_DESCRIPTORS"); number != "" {
		err := CheckCallers(false)
		fmt.Printf("with %s: %v\n", number, err)
		return
	}
	require.NoError(t, CheckCallers(false))
	for number, want := range map[string]string{
		"63": "with 63: ulimit nofile 63: too low for the runtime, which takes 64",
		"64": "with 64: <nil>",
	} {
		cmd := exec.Command("sh", "-c", `ulimit -n "$TEST_DESCRIPTORS"; exec "$@"`, "sh",
			os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), "TEST_DESCRIPTORS="+number)
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, string(said))
		require.True(
			t,
			slices.ContainsFunc(strings.Split(string(said), "\n"), func(line string) bool {
				return strings.HasPrefix(line, want)
			}),
			string(said),
		)
	}
}
