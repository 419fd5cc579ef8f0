//go:build linux

package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// valid is a container that nothing is wrong with, but for what change changes.
func valid(change func(c *Container)) *Container {
	c := &Container{
		Command:      []string{"sh"},
		Namespaces:   DefaultNamespaces,
		Hostname:     "box",
		Rootfs:       "rootfs",
		Layers:       Overlay,
		User:         "0",
		Capabilities: DefaultCapabilities,
		Network:      NoNetwork,
	}
	change(c)
	return c
}

// bare is a container without namespaces: it asks for nothing that would need one.
func bare(change func(c *Container)) *Container {
	c := &Container{Command: []string{"sh"}, Network: HostNetwork}
	change(c)
	return c
}

func score(n int) *int { return &n }

func TestCheckAccepts(t *testing.T) {
	for name, c := range map[string]*Container{
		"defaults":        valid(func(*Container) {}),
		"none":            bare(func(*Container) {}),
		"long hostname":   valid(func(c *Container) { c.Hostname = strings.Repeat("a", 64) }),
		"short hostname":  valid(func(c *Container) { c.Hostname = "a" }),
		"copy":            valid(func(c *Container) { c.Layers, c.Keep = Copy, "kept" }),
		"bind":            valid(func(c *Container) { c.Layers = Bind }),
		"snapshot":        valid(func(c *Container) { c.Layers = Snapshot }),
		"kept snapshot":   valid(func(c *Container) { c.Layers, c.Keep = Snapshot, "kept" }),
		"image":           image(1, Overlay),
		"copied image":    image(2, Copy),
		"largest image":   image(MaxLowers, Overlay),
		"keep":            valid(func(c *Container) { c.Keep = "kept" }),
		"bridge":          valid(func(c *Container) { c.Network = Bridge }),
		"host network":    valid(func(c *Container) { c.Network = HostNetwork }),
		"least memory":    valid(func(c *Container) { c.Memory = 512 << 10 }),
		"lowest score":    valid(func(c *Container) { c.OOMScoreAdj = score(-1000) }),
		"highest score":   valid(func(c *Container) { c.OOMScoreAdj = score(1000) }),
		"absolute":        bare(func(c *Container) { c.Workdir = "/srv" }),
		"without tty":     bare(func(c *Container) { c.Terminal = TerminalNo }),
		"tty":             valid(func(c *Container) { c.Terminal = TerminalYes }),
		"many volumes":    valid(func(c *Container) { c.Volumes = volumes(MaxVolumes) }),
		"volume in dev":   valid(func(c *Container) { c.Volumes = []Volume{{Target: "/dev/shm"}} }),
		"like the kernel": valid(func(c *Container) { c.Volumes = []Volume{{Target: "/process"}} }),
		"init": valid(func(c *Container) {
			c.Init, c.Pids = true, 16
			c.Ulimits = []Ulimit{
				{"data", 64 << 20, 1 << 30},
				{"nofile", 16, 16},
				{"nproc", 16, 16},
				{"stack", 64 << 10, 64 << 10},
				{"core", 0, 0},
			}
		}),
		"few pids": valid(func(c *Container) {
			c.Pids, c.Ulimits = 1, []Ulimit{{"nofile", 3, 3}}
		}),
		"init without limits": valid(func(c *Container) { c.Init = true }),
	} {
		require.NoError(t, c.Check(), name)
	}
}

// image is a container of an image with n layers.
func image(n int, layers Layers) *Container {
	return valid(func(c *Container) {
		c.Rootfs, c.Layers, c.Image = "", layers, "sha256:01"
		for range n {
			c.Lowers = append(c.Lowers, "/layer")
		}
	})
}

func volumes(n int) (all []Volume) {
	for range n {
		all = append(all, Volume{Source: "/a", Target: "/a"})
	}
	return all
}

// What is wrong is said with the flag, its value, and what would be accepted.
func TestCheckRefuses(t *testing.T) {
	hostname := func(name string) *Container {
		return valid(func(c *Container) { c.Hostname = name })
	}
	volume := func(target string) *Container {
		return valid(func(c *Container) { c.Volumes = []Volume{{Source: "/a", Target: target}} })
	}
	ulimit := func(u Ulimit) *Container {
		return valid(func(c *Container) { c.Init, c.Ulimits = true, []Ulimit{u} })
	}
	const white = `must be without white space and control characters`
	for _, c := range []struct {
		c    *Container
		want string
	}{
		{valid(func(c *Container) { c.Command = nil }), "no command"},
		{valid(func(c *Container) { c.Command = []string{""} }), "no command"},
		{hostname(""), `-hostname "": must be 1 to 64 bytes`},
		{
			hostname(strings.Repeat("a", 65)),
			`-hostname "` + strings.Repeat("a", 65) + `": must be 1 to 64 bytes`,
		},
		{hostname("a b"), `-hostname "a b": ` + white},
		{hostname("a\nb"), `-hostname "a\nb": ` + white},
		{hostname("a\u00a0b"), `-hostname "a\u00a0b": ` + white},
		{hostname("a\x7f"), `-hostname "a\x7f": ` + white},
		{
			valid(func(c *Container) { c.Workdir = "srv" }),
			`-workdir "srv": must be an absolute path`,
		},
		{
			valid(func(c *Container) { c.Layers = "snap" }),
			`-layers "snap": must be overlay, copy, snapshot or bind`,
		},
		{
			valid(func(c *Container) { c.Layers = "" }),
			`-layers "": must be overlay, copy, snapshot or bind`,
		},
		{
			image(1, Bind),
			`-layers "bind": must be overlay or copy with an image: its layers are shared, ` +
				`and nobody writes to them`,
		},
		{
			image(1, Snapshot),
			`-layers "snapshot": must be overlay or copy with an image: its layers are shared, ` +
				`and nobody writes to them`,
		},
		{
			image(MaxLowers+1, Overlay),
			`-image: has 501 layers, and the kernel puts at most 500 together`,
		},
		{
			valid(func(c *Container) { c.Layers, c.Keep = Bind, "kept" }),
			`-keep "kept": must be with -layers overlay, copy or snapshot: bind writes to ` +
				`the rootfs, and there is nothing to keep`,
		},
		{
			valid(func(c *Container) { c.Network = "wifi" }),
			`-net "wifi": must be none, bridge or host`,
		},
		{valid(func(c *Container) { c.Network = "" }), `-net "": must be none, bridge or host`},
		{
			valid(func(c *Container) { c.OOMScoreAdj = score(-1001) }),
			`-oom-score-adj "-1001": must be -1000 to 1000`,
		},
		{
			valid(func(c *Container) { c.OOMScoreAdj = score(1001) }),
			`-oom-score-adj "1001": must be -1000 to 1000`,
		},
		{
			valid(func(c *Container) { c.Memory = 512<<10 - 1 }),
			`-memory "524287": must be at least 524288`,
		},
		{volume("/"), `-volume "/a:/": / is the container's own`},
		{volume("/proc"), `-volume "/a:/proc": /proc is the container's own`},
		{volume("/proc/1/fd"), `-volume "/a:/proc/1/fd": /proc is the container's own`},
		{volume("/sys"), `-volume "/a:/sys": /sys is the container's own`},
		{volume("/sys/fs/cgroup"), `-volume "/a:/sys/fs/cgroup": /sys is the container's own`},
		{volume("/dev"), `-volume "/a:/dev": /dev is the container's own`},
		{
			valid(func(c *Container) { c.Volumes = volumes(MaxVolumes + 1) }),
			`-volume "241": must be at most 240`,
		},
		{
			valid(func(c *Container) { c.Init, c.Pids = true, 15 }),
			`-pids "15": too low for -init, which takes 16`,
		},
		{
			ulimit(Ulimit{"nofile", 15, 100}),
			`-ulimit "nofile=15:100": too low for -init, which takes 16`,
		},
		{
			ulimit(Ulimit{"nproc", 15, 100}),
			`-ulimit "nproc=15:100": too low for -init, which takes 16`,
		},
		{
			ulimit(Ulimit{"data", 64<<20 - 1, 1 << 30}),
			`-ulimit "data=67108863:1073741824": too low for -init, which takes 67108864`,
		},
		{
			ulimit(Ulimit{"stack", 64<<10 - 1, 1 << 30}),
			`-ulimit "stack=65535:1073741824": too low for -init, which takes 65536`,
		},
	} {
		require.EqualError(t, c.c.Check(), c.want)
	}
}

// What would be about the inside of a namespace that the container does not get would change the
// host.
func TestCheckMissesNamespaces(t *testing.T) {
	for _, c := range []struct {
		flag, namespace string
		change          func(c *Container)
	}{
		{"hostname", "uts", func(c *Container) { c.Hostname = "box" }},
		{"rootfs", "mnt", func(c *Container) { c.Rootfs = "rootfs" }},
		{"image", "mnt", func(c *Container) { c.Lowers = []string{"/layer"} }},
		{"layers", "mnt", func(c *Container) { c.Layers = Overlay }},
		{"keep", "mnt", func(c *Container) { c.Keep = "kept" }},
		{"volume", "mnt", func(c *Container) { c.Volumes = []Volume{{Target: "/a"}} }},
		{"read-only", "mnt", func(c *Container) { c.ReadOnly = true }},
		{"tty", "mnt", func(c *Container) { c.Terminal = TerminalYes }},
		{"net", "net", func(c *Container) { c.Network = NoNetwork }},
		{"net", "net", func(c *Container) { c.Network = Bridge }},
	} {
		require.EqualError(t, bare(c.change).Check(),
			"-"+c.flag+": the namespace for it, "+c.namespace+", is not in -ns")
	}
}

// All that is wrong is said at once: nobody has to try as often as there are mistakes.
func TestCheckSaysAll(t *testing.T) {
	c := valid(func(c *Container) {
		c.Command, c.Hostname, c.Workdir, c.Network = nil, "a b", "srv", "wifi"
	})
	require.EqualError(t, c.Check(), strings.Join([]string{
		`no command`,
		`-hostname "a b": must be without white space and control characters`,
		`-workdir "srv": must be an absolute path`,
		`-net "wifi": must be none, bridge or host`,
	}, "\n"))
}

func TestParseNamespaces(t *testing.T) {
	for list, want := range map[string]Namespaces{
		"uts":         unix.CLONE_NEWUTS,
		"uts,pid,mnt": unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS,
		"mnt,mnt":     unix.CLONE_NEWNS,
		"user,net":    unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
		"ipc,cgroup":  unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP,
		"time":        unix.CLONE_NEWTIME,
		"uts,pid,mnt,ipc,net,user,cgroup,time": DefaultNamespaces |
			unix.CLONE_NEWTIME,
	} {
		got, err := ParseNamespaces(list)
		require.NoError(t, err, list)
		require.Equal(t, want, got, list)
		again, err := ParseNamespaces(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again, "what is printed can be given")
	}
	for list, name := range map[string]string{
		"": "", "uts,": "", ",uts": "", "UTS": "UTS", "uts, pid": " pid", "uts,disk": "disk",
	} {
		got, err := ParseNamespaces(list)
		require.ErrorContains(t, err, `unknown namespace "`+name+`"`, list)
		require.Zero(t, got, "none of them")
	}
}

func TestNamespaces(t *testing.T) {
	require.Equal(t, "cgroup,ipc,mnt,net,pid,user,uts", DefaultNamespaces.String())
	require.Empty(t, Namespaces(0).String())
	require.True(t, DefaultNamespaces.Has(unix.CLONE_NEWUSER))
	require.False(t, DefaultNamespaces.Has(unix.CLONE_NEWTIME))
}

// Docker's fourteen (isolation-standard.md).
func TestDefaultCapabilities(t *testing.T) {
	require.EqualValues(t, 0xa80425fb, DefaultCapabilities)
	require.True(t, DefaultCapabilities.Has(unix.CAP_CHOWN))
	require.True(t, DefaultCapabilities.Has(unix.CAP_SETFCAP))
	require.False(t, DefaultCapabilities.Has(unix.CAP_SYS_ADMIN))
	require.False(t, DefaultCapabilities.Has(unix.CAP_CHECKPOINT_RESTORE))
}

func TestParseVolume(t *testing.T) {
	for text, want := range map[string]Volume{
		"/a:/b":           {Source: "/a", Target: "/b"},
		"a:/b":            {Source: "a", Target: "/b"},
		"/a:/b:ro":        {Source: "/a", Target: "/b", ReadOnly: true},
		"/a:/b:rw":        {Source: "/a", Target: "/b"},
		"/a:/b/":          {Source: "/a", Target: "/b"},
		"/a:/b/../../c/.": {Source: "/a", Target: "/c"},
		"/a:/..":          {Source: "/a", Target: "/"},
		"/a://proc":       {Source: "/a", Target: "/proc"},
	} {
		got, err := ParseVolume(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", ":", "/a", "/a:", ":/b", "/a:b", "/a:/b:", "/a:/b:rx", "/a:/b:ro:", "/a::ro",
		"/a:/b:RO",
	} {
		_, err := ParseVolume(text)
		require.EqualError(t, err, "must be SRC:DST[:ro] with an absolute DST", text)
	}
}

// As in /proc/PID/uid_map.
func TestIDMap(t *testing.T) {
	require.Empty(t, IDMap(nil).String())
	require.Equal(
		t,
		"0 1000 1\n1 100000 65536",
		IDMap{
			{Inside: 0, Outside: 1000, Size: 1},
			{Inside: 1, Outside: 100000, Size: 65536},
		}.String(),
	)
}

func TestUlimitInWords(t *testing.T) {
	const none = unix.RLIM_INFINITY
	for u, want := range map[Ulimit]string{
		{"nofile", 5, 5}:        "nofile=5",
		{"nofile", 5, 6}:        "nofile=5:6",
		{"memlock", none, none}: "memlock=unlimited",
		{"core", 0, none}:       "core=0:unlimited",
	} {
		require.Equal(t, want, u.String())
	}
}

// / is made of the rootfs, or of the layers of an image.
func TestLowerDirs(t *testing.T) {
	c := &Container{Rootfs: "rootfs"}
	require.Equal(t, []string{"rootfs"}, c.LowerDirs())
	require.Equal(t, "rootfs", c.Top())
	c = &Container{Lowers: []string{"/lowest", "/highest"}}
	require.Equal(t, []string{"/lowest", "/highest"}, c.LowerDirs())
	require.Equal(t, "/highest", c.Top())
}
