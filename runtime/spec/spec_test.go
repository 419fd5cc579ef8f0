//go:build linux

package spec

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/rootfs"
)

// usual is what the flags make by default, when nothing is left to be found out.
func usual() *config.Container {
	return &config.Container{
		Command:      []string{"sh", "-c", "echo 'a < b && c'"},
		Namespaces:   config.DefaultNamespaces,
		Hostname:     "container",
		Rootfs:       "rootfs",
		Layers:       config.Overlay,
		User:         "0",
		UIDs:         config.IDMap{{Inside: 0, Outside: 100000, Size: 65536}},
		GIDs:         config.IDMap{{Inside: 0, Outside: 100000, Size: 65536}},
		Capabilities: config.DefaultCapabilities,
		Network:      config.NoNetwork,
		Terminal:     config.TerminalNo,
		Env: []config.Variable{
			{Name: "PATH", Value: "/bin"},
			{Name: "HOME", Value: "/root"},
		},
		Workdir: "/",
	}
}

// with returns the usual container, changed.
func with(change func(c *config.Container)) *config.Container {
	c := usual()
	change(c)
	return c
}

// alone returns a container with just these namespaces, and what cannot be without others left out.
func alone(namespaces config.Namespaces) *config.Container {
	return with(func(c *config.Container) {
		c.Namespaces = namespaces
		if !namespaces.Has(unix.CLONE_NEWUTS) {
			c.Hostname = ""
		}
		if !namespaces.Has(unix.CLONE_NEWNS) {
			c.Rootfs, c.Layers = "", ""
		}
		if !namespaces.Has(unix.CLONE_NEWNET) {
			c.Network = config.HostNetwork
		}
		if !namespaces.Has(unix.CLONE_NEWUSER) {
			c.UIDs, c.GIDs = nil, nil
		}
	})
}

// values are containers with something that the specification has words for, by name.
func values() map[string]*config.Container {
	all := map[string]*config.Container{
		"usual":  usual(),
		"limits": with(func(c *config.Container) { c.Memory, c.Pids, c.CPUs = 64<<20, 24, 0.29 }),
		"memory": with(func(c *config.Container) { c.Memory = 1 << 20 }),
		"pids":   with(func(c *config.Container) { c.Pids = 1 }),
		"volumes": with(func(c *config.Container) {
			c.Volumes = []config.Volume{
				{Source: "/srv", Target: "/mnt/a", ReadOnly: true},
				{Source: ".", Target: "/mnt"},
				{Source: "/nowhere", Target: "/dev/shm"},
			}
		}),
		"volumes of the same root": with(func(c *config.Container) {
			c.UIDs[0].Outside = os.Geteuid()
			c.Volumes = []config.Volume{{Source: "/srv", Target: "/mnt"}}
		}),
		"no user namespace": with(func(c *config.Container) {
			c.Namespaces &^= unix.CLONE_NEWUSER
			c.UIDs, c.GIDs = nil, nil
			c.Volumes = []config.Volume{{Source: "/srv", Target: "/mnt"}}
		}),
		"several maps": with(func(c *config.Container) {
			c.UIDs = config.IDMap{
				{Inside: 0, Outside: 1000, Size: 1},
				{Inside: 1, Outside: 100000, Size: 65535},
			}
			c.GIDs = config.IDMap{{Inside: 0, Outside: 4294967294, Size: 1}}
		}),
		"user":    with(func(c *config.Container) { c.User = "33:44" }),
		"groups":  with(func(c *config.Container) { c.User, c.Groups = "33:44", []int{44, 5} }),
		"group":   with(func(c *config.Container) { c.User = "0:5" }),
		"highest": with(func(c *config.Container) { c.User = "2147483647:2147483647" }),
		"no capabilities": with(func(c *config.Container) {
			c.Capabilities = 0
		}),
		"all capabilities, and devices": with(func(c *config.Container) {
			c.Capabilities = allCapabilities()
			c.Namespaces &^= unix.CLONE_NEWUSER
			c.UIDs, c.GIDs = nil, nil
		}),
		"ulimits": with(func(c *config.Container) {
			c.Ulimits = []config.Ulimit{
				{Name: "nofile", Soft: 100, Hard: 200},
				{Name: "core", Soft: 0, Hard: unix.RLIM_INFINITY},
				{Name: "stack", Soft: unix.RLIM_INFINITY, Hard: unix.RLIM_INFINITY},
			}
		}),
		"spared":    with(func(c *config.Container) { c.OOMScoreAdj = pointer(-1000) }),
		"not":       with(func(c *config.Container) { c.OOMScoreAdj = pointer(0) }),
		"terminal":  with(func(c *config.Container) { c.Terminal = config.TerminalYes }),
		"read-only": with(func(c *config.Container) { c.ReadOnly = true }),
		"texts": with(func(c *config.Container) {
			c.Command = []string{"printf", "%s\n", "", "\x01\t\"\\ü\u2028</script>&"}
			c.Env = []config.Variable{
				{Name: "A", Value: ""},
				{Name: "B", Value: "x=y=\n"},
				{Name: "A", Value: "again"},
			}
			c.Workdir = "/a b/ü"
			c.Rootfs = "/root file system"
		}),
		"host network": alone(config.DefaultNamespaces &^ unix.CLONE_NEWNET),
		"no namespace": alone(0),
	}
	for _, n := range namespaceTypes {
		all["alone "+string(n.name)] = alone(n.flag)
		all["without "+string(n.name)] = alone(allNamespaces &^ n.flag)
	}
	return all
}

func pointer[T any](value T) *T { return &value }

const allNamespaces = config.DefaultNamespaces | unix.CLONE_NEWTIME

// allCapabilities are those that have a name.
func allCapabilities() config.Capabilities {
	all, err := rights.ParseCapability("ALL")
	if err != nil {
		panic(err)
	}
	return all
}

// throughJSON is what comes back of a container that was printed.
func throughJSON(t *testing.T, c *config.Container) *config.Container {
	t.Helper()
	require.NoError(t, c.Check())
	s, err := Of(c)
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	decoded, err := decode(text)
	require.NoError(t, err)
	got, err := From(decoded)
	require.NoError(t, err, "%s", text)
	return got
}

// Nothing is lost on the way from a container to its specification and back.
func TestRoundTrip(t *testing.T) {
	for name, c := range values() {
		t.Run(name, func(t *testing.T) { require.Equal(t, c, throughJSON(t, c)) })
	}
}

func TestRoundTripOfAny(t *testing.T) {
	r := random{rand.New(rand.NewPCG(1, 2))}
	for i := range 1000 {
		c := r.container()
		require.Equal(t, c, throughJSON(t, c), "%d", i)
	}
}

// random makes containers that can be asked for.
type random struct{ *rand.Rand }

func (r random) coin() bool { return r.IntN(2) == 0 }

func (r random) text() string {
	runes := []rune("aZ09 _-./=:,\\\"'<&\n\tüЖ水😀")
	return string(runes[r.IntN(len(runes))]) + fmt.Sprint(r.IntN(1000))
}

func (r random) idMap() (m config.IDMap) {
	for range 1 + r.IntN(3) {
		m = append(m, config.IDRange{
			Inside:  int(r.Uint32()),
			Outside: int(r.Uint32()),
			Size:    1 + int(r.Uint32()>>1),
		})
	}
	m[r.IntN(len(m))].Inside = 0
	return m
}

func (r random) container() *config.Container {
	c := alone(config.Namespaces(r.Uint64()) & allNamespaces)
	c.Command = []string{r.text(), r.text()}
	c.Capabilities = config.Capabilities(r.Uint64()) & allCapabilities()
	if c.Namespaces.Has(unix.CLONE_NEWUTS) {
		c.Hostname = fmt.Sprint("host", r.IntN(1000))
	}
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		c.UIDs, c.GIDs = r.idMap(), r.idMap()
	}
	if r.coin() {
		c.User = fmt.Sprintf("%d:%d", 1+r.Uint32()>>2, r.Uint32()>>1)
	}
	if c.Namespaces.Has(unix.CLONE_NEWNS) {
		c.ReadOnly = r.coin()
		c.Rootfs = r.text()
		if r.coin() {
			c.Terminal = config.TerminalYes
		}
		for range r.IntN(4) {
			c.Volumes = append(c.Volumes, config.Volume{
				Source:   r.text(),
				Target:   "/srv/" + strings.ReplaceAll(r.text(), ".", ""),
				ReadOnly: r.coin(),
			})
			last := &c.Volumes[len(c.Volumes)-1]
			last.Target = filepath.Clean(last.Target)
		}
	}
	for _, name := range []string{"nofile", "nproc", "core", "memlock"}[:r.IntN(5)] {
		soft, hard := r.Uint64()>>1, r.Uint64()>>1
		c.Ulimits = append(c.Ulimits, config.Ulimit{
			Name: name,
			Soft: min(soft, hard),
			Hard: max(soft, hard),
		})
	}
	if r.coin() {
		c.Memory = 1<<20 + r.Int64()>>1
	}
	if r.coin() {
		c.Pids = 1 + r.Int64()>>1
	}
	if r.coin() {
		c.CPUs = float64(1+r.Int64N(1e9)) / cgroup.Period
	}
	if r.coin() {
		c.OOMScoreAdj = pointer(r.IntN(2001) - 1000)
	}
	c.Env = nil
	for range r.IntN(4) {
		c.Env = append(c.Env, config.Variable{
			Name:  strings.ReplaceAll(r.text(), "=", ""),
			Value: r.text(),
		})
	}
	c.Workdir = filepath.Clean("/" + r.text())
	return c
}

// A share of processor time is what it was, to the microsecond.
func TestQuota(t *testing.T) {
	for quota := int64(1); quota < 1_000_000; quota++ {
		if got := cgroup.Quota(float64(quota) / cgroup.Period); got != quota {
			t.Fatalf("%d of %d: %d", quota, cgroup.Period, got)
		}
	}
	for text, want := range map[string]int64{"0.29": 29000, "0.57": 57000, "1.1": 110000} {
		var cpus float64
		_, err := fmt.Sscan(text, &cpus)
		require.NoError(t, err)
		require.Equal(t, want, cgroup.Quota(cpus))
	}
}

// What the specification cannot say exactly is the same after the first time.
func TestSettles(t *testing.T) {
	c := with(func(c *config.Container) {
		c.CPUs = 1.0 / 3
		c.Terminal = config.TerminalIfCaller
		c.Workdir = ""
		c.User = "0:0"
		c.Layers = config.Copy
		c.Keep = "kept"
		c.Ulimits = []config.Ulimit{
			{Name: "nofile", Soft: 1, Hard: 1},
			{Name: "core", Soft: 2, Hard: 2},
			{Name: "nofile", Soft: 3, Hard: 3},
		}
	})
	once := throughJSON(t, c)
	require.Equal(t, once, throughJSON(t, once))
	require.Equal(t, config.TerminalNo, once.Terminal)
	require.Equal(t, "/", once.Workdir)
	require.Equal(t, "0", once.User)
	require.Equal(t, 0.33333, once.CPUs)
	require.Equal(t, c.Ulimits[1:], once.Ulimits)
}

// The words for a container with a bit of everything.
func TestWords(t *testing.T) {
	c := with(func(c *config.Container) {
		c.User = "33:44"
		c.Capabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_KILL
		c.Memory, c.Pids, c.CPUs = 64<<20, 24, 0.5
		c.Volumes = []config.Volume{{Source: "/srv", Target: "/mnt", ReadOnly: true}}
		c.ReadOnly = true
	})
	s, err := Of(c)
	require.NoError(t, err)
	require.Equal(t, "1.0.2", s.Version)
	require.Equal(t, &specs.Root{Path: "rootfs", Readonly: true}, s.Root)
	require.Equal(t, "container", s.Hostname)
	require.Equal(t, specs.User{UID: 33, GID: 44, Umask: pointer[uint32](0o022)}, s.Process.User)
	require.True(t, s.Process.NoNewPrivileges)
	require.Equal(t, []string{"PATH=/bin", "HOME=/root"}, s.Process.Env)
	// A user other than root has the bounding set and nothing else.
	bounding := []string{"CAP_CHOWN", "CAP_KILL"}
	require.Equal(t, &specs.LinuxCapabilities{Bounding: bounding}, s.Process.Capabilities)
	require.Equal(t, &specs.LinuxResources{
		Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}},
		Memory: &specs.LinuxMemory{
			Limit: pointer[int64](64 << 20),
			Swap:  pointer[int64](64 << 20),
		},
		Pids: &specs.LinuxPids{Limit: pointer[int64](24)},
		CPU:  &specs.LinuxCPU{Quota: pointer[int64](50000), Period: pointer[uint64](100000)},
	}, s.Linux.Resources)
	mapping := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
	require.Equal(t, mapping, s.Linux.UIDMappings)
	require.Equal(t, mapping, s.Linux.GIDMappings)
	require.Contains(t, s.Linux.MaskedPaths, "/proc/kcore")
	require.Contains(t, s.Linux.ReadonlyPaths, "/proc/sys")
	require.Equal(t, specs.ActErrno, s.Linux.Seccomp.DefaultAction)
	types := []specs.LinuxNamespaceType{"uts", "pid", "mount", "ipc", "network", "user", "cgroup"}
	for i, n := range s.Linux.Namespaces {
		require.Equal(t, specs.LinuxNamespace{Type: types[i]}, n)
	}
	require.Len(t, s.Linux.Namespaces, len(types))
	byTarget := map[string]string{}
	for _, m := range s.Mounts {
		byTarget[m.Destination] = m.Type + " " + m.Source + " " + strings.Join(m.Options, ",")
	}
	require.Equal(t, map[string]string{
		"/proc":       "proc proc nosuid,nodev,noexec",
		"/sys":        "sysfs sysfs ro,nosuid,nodev,noexec",
		"/dev":        "tmpfs tmpfs nosuid,strictatime,mode=755,size=65536k",
		"/dev/pts":    "devpts devpts nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5",
		"/dev/shm":    "tmpfs tmpfs nosuid,nodev,noexec,mode=1777,size=65536k",
		"/dev/mqueue": "mqueue mqueue nosuid,nodev,noexec",
		// One mount, whatever version of cgroups the machine has.
		"/sys/fs/cgroup": "cgroup cgroup ro,nosuid,nodev,noexec",
		"/mnt":           "bind /srv rbind,rprivate,nodev,ro,ridmap",
	}, byTarget)
}

func TestWordsOfRoot(t *testing.T) {
	s, err := Of(usual())
	require.NoError(t, err)
	names := rights.CapabilityNames(config.DefaultCapabilities)
	require.Equal(t, &specs.LinuxCapabilities{
		Bounding:  names,
		Effective: names,
		Permitted: names,
	}, s.Process.Capabilities)
	require.Nil(t, s.Linux.Resources.Memory)
	require.Nil(t, s.Process.OOMScoreAdj)
}

// What a kernel does not mount anew in a user namespace is the host's.
func TestWordsOfHost(t *testing.T) {
	s, err := Of(alone(allNamespaces &^ unix.CLONE_NEWNET &^ unix.CLONE_NEWPID))
	require.NoError(t, err)
	require.Equal(t, []specs.Mount{
		{
			Destination: "/proc",
			Type:        "bind",
			Source:      "/proc",
			Options:     []string{"rbind", "rprivate", "nosuid", "nodev", "noexec"},
		},
		{
			Destination: "/sys",
			Type:        "bind",
			Source:      "/sys",
			Options:     []string{"rbind", "rprivate", "ro", "nosuid", "nodev", "noexec"},
		},
	}, s.Mounts[:2])
}

// Message queues are those of an ipc namespace (mq_overview(7)): the host's are not shown.
func TestWordsWithoutQueues(t *testing.T) {
	mounts, err := mountsOf(alone(allNamespaces &^ unix.CLONE_NEWIPC))
	require.NoError(t, err)
	for _, m := range mounts {
		require.NotEqual(t, "mqueue", m.Type)
	}
}

// Without a mount namespace nothing is mounted or hidden, and devices of the host are there.
func TestWordsWithoutMounts(t *testing.T) {
	s, err := Of(alone(allNamespaces &^ unix.CLONE_NEWNS))
	require.NoError(t, err)
	require.Equal(t, &specs.Root{Path: "/"}, s.Root)
	require.Empty(t, s.Mounts)
	require.Empty(t, s.Linux.MaskedPaths)
	require.Empty(t, s.Linux.ReadonlyPaths)
	require.Empty(t, s.Linux.Resources.Devices)
}

// The specification has those mounts that the list of system calls makes, and no others.
func TestMountsOfPlan(t *testing.T) {
	for name, c := range values() {
		if !c.Namespaces.Has(unix.CLONE_NEWNS) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			p, err := plan.New(nil)
			require.NoError(t, err)
			defer p.Free()
			root := rootfs.Assemble(p, c, rootfs.ExampleTrees(c, p))
			root.Enter()
			assembled := p.Len()
			root.Furnish(p.Open(1<<18, "null"))
			require.NoError(t, root.MountCgroups())
			var made, said []string
			for _, call := range p.Calls()[assembled:] {
				mask := slices.Contains(call.Allowed, unix.ENOENT) ||
					call.Args[0] == "self/fd/<null>"
				if (call.Name == "mount" || call.Name == "fsopen") && !mask {
					made = append(made, strings.Trim(call.Args[0], `"`))
				}
			}
			mounts, err := rootfs.Mounts(c)
			require.NoError(t, err)
			for _, m := range mounts {
				if !m.FromHost {
					said = append(said, m.Type)
				}
			}
			require.Equal(t, said, made)
			hasCgroup := slices.ContainsFunc(made, func(kind string) bool {
				return strings.HasPrefix(kind, "cgroup")
			})
			words, err := mountsOf(c)
			require.NoError(t, err)
			require.Equal(t, hasCgroup, slices.ContainsFunc(words, func(m specs.Mount) bool {
				return m.Type == "cgroup"
			}))
		})
	}
}

func TestNoWords(t *testing.T) {
	_, err := Of(with(func(c *config.Container) { c.Init = true }))
	require.ErrorIs(t, err, ErrNoWords)
	_, err = Of(with(func(c *config.Container) { c.Network = config.Bridge }))
	require.ErrorIs(t, err, ErrNoWords)
	_, err = Of(with(func(c *config.Container) { c.Rootfs, c.Lowers = "", []string{"/layer"} }))
	require.ErrorIs(t, err, ErrNoWords)

	for _, user := range []string{"www-data", "33", "33:www-data", "-1:0", "2147483648:0", ""} {
		_, err = Of(with(func(c *config.Container) { c.User = user }))
		require.ErrorContains(t, err, "must be UID:GID")
	}
	for _, change := range []func(c *config.Container){
		func(c *config.Container) { c.Command[2] = "\xff" },
		func(c *config.Container) { c.Env[1].Value = "\xff" },
		func(c *config.Container) { c.Rootfs = "\xff" },
		func(c *config.Container) { c.Volumes = []config.Volume{{Source: "\xff", Target: "/mnt"}} },
	} {
		_, err = Of(with(change))
		require.EqualError(t, err, `"\xff": must be UTF-8 for JSON`)
	}
}
