//go:build linux

package main

import (
	"flag"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// asked is the container that flags ask for.
func asked(t *testing.T, args ...string) *config.Container {
	t.Helper()
	r, err := parse(args)
	require.NoError(t, err, args)
	return r.Container
}

// defaults is the container that no flags ask for, but for what change changes.
func defaults(change func(c *config.Container)) *config.Container {
	c := &config.Container{
		Command:      []string{"sh"},
		Namespaces:   config.DefaultNamespaces,
		Hostname:     "container",
		Rootfs:       "rootfs",
		Layers:       config.Overlay,
		User:         "0",
		Capabilities: config.DefaultCapabilities,
		Network:      config.NoNetwork,
	}
	change(c)
	return c
}

// Each flag sets its field and no other, and what follows the command is the command's.
func TestFlags(t *testing.T) {
	score := -1000
	const everything config.Capabilities = 1<<(unix.CAP_LAST_CAP+1) - 1
	for _, c := range []struct {
		flags string
		want  func(c *config.Container)
	}{
		{"", func(*config.Container) {}},
		{"-ns uts,pid,mnt,net", func(c *config.Container) {
			c.Namespaces = unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS |
				unix.CLONE_NEWNET
		}},
		{"-hostname box", func(c *config.Container) { c.Hostname = "box" }},
		{"-rootfs /srv", func(c *config.Container) { c.Rootfs = "/srv" }},
		{"-layers copy", func(c *config.Container) { c.Layers = config.Copy }},
		{"-layers bind", func(c *config.Container) { c.Layers = config.Bind }},
		{"-layers snapshot", func(c *config.Container) { c.Layers = config.Snapshot }},
		{"-keep kept", func(c *config.Container) { c.Keep = "kept" }},
		{"-read-only", func(c *config.Container) { c.ReadOnly = true }},
		{"-volume a:/b -volume /c:/d:ro", func(c *config.Container) {
			c.Volumes = []config.Volume{
				{Source: "a", Target: "/b"},
				{Source: "/c", Target: "/d", ReadOnly: true},
			}
		}},
		// As they have to be mounted: what is inside another one comes later.
		{"-volume a:/x/y/z -volume b:/c/d -volume c:/x -volume d:/c/e", func(c *config.Container) {
			c.Volumes = []config.Volume{
				{Source: "c", Target: "/x"},
				{Source: "b", Target: "/c/d"},
				{Source: "d", Target: "/c/e"},
				{Source: "a", Target: "/x/y/z"},
			}
		}},
		{"-memory 64M", func(c *config.Container) { c.Memory = 64 << 20 }},
		{"-pids 32", func(c *config.Container) { c.Pids = 32 }},
		{"-cpus 0.5", func(c *config.Container) { c.CPUs = 0.5 }},
		{"-oom-score-adj -1000", func(c *config.Container) { c.OOMScoreAdj = &score }},
		{"-user 1000:5", func(c *config.Container) { c.User = "1000:5" }},
		{"-cap-add NET_ADMIN", func(c *config.Container) {
			c.Capabilities |= 1 << unix.CAP_NET_ADMIN
		}},
		{"-cap-drop KILL", func(c *config.Container) { c.Capabilities &^= 1 << unix.CAP_KILL }},
		// In their order: that is how everything but one is taken away.
		{"-cap-drop ALL -cap-add KILL", func(c *config.Container) {
			c.Capabilities = 1 << unix.CAP_KILL
		}},
		{"-cap-add KILL -cap-drop ALL", func(c *config.Container) { c.Capabilities = 0 }},
		{"-cap-add ALL", func(c *config.Container) { c.Capabilities = everything }},
		{"-ulimit nofile=1:2 -ulimit core=0", func(c *config.Container) {
			c.Ulimits = []config.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}, {Name: "core"}}
		}},
		{"-net bridge", func(c *config.Container) { c.Network = config.Bridge }},
		{"-tty", func(c *config.Container) { c.Terminal = config.TerminalYes }},
		{"-tty=false", func(c *config.Container) { c.Terminal = config.TerminalNo }},
		{"-env A=1 -env B= -env A=x=y", func(c *config.Container) {
			c.Env = []config.Variable{
				{Name: "A", Value: "1"},
				{Name: "B"},
				{Name: "A", Value: "x=y"},
			}
		}},
		{"-workdir /srv", func(c *config.Container) { c.Workdir = "/srv" }},
		{"-init", func(c *config.Container) { c.Init = true }},
		{"--", func(*config.Container) {}},
		// Two dashes do too.
		{"--hostname=box --init=true", func(c *config.Container) {
			c.Hostname, c.Init = "box", true
		}},
	} {
		t.Run(c.flags, func(t *testing.T) {
			require.Equal(t, defaults(c.want), asked(t, append(strings.Fields(c.flags), "sh")...))
		})
	}
	require.Equal(t, []string{"sh", "-init", "--", "-x"},
		asked(t, "sh", "-init", "--", "-x").Command)
}

func TestFlagsOfHowItIsShown(t *testing.T) {
	for flags, want := range map[string][2]bool{
		"": {}, "-v": {true, false}, "-step": {false, true}, "-v -step": {true, true},
	} {
		r, err := parse(append(strings.Fields(flags), "sh"))
		require.NoError(t, err)
		require.Equal(t, want, [2]bool{r.verbose, r.step}, flags)
		require.Equal(t, defaults(func(*config.Container) {}), r.Container,
			"it is the same container")
	}
}

// What has no meaning without a namespace is left out, if it is a default: what was asked for is an
// error (see TestWrongTogether).
func TestDefaultsDependOnNamespaces(t *testing.T) {
	all := config.DefaultNamespaces
	for _, c := range []struct {
		flags string
		want  func(c *config.Container)
	}{
		{"-ns pid,mnt,net", func(c *config.Container) {
			c.Hostname = ""
			c.Namespaces = unix.CLONE_NEWPID | unix.CLONE_NEWNS | unix.CLONE_NEWNET
		}},
		{"-ns uts,net", func(c *config.Container) {
			c.Rootfs, c.Layers = "", ""
			c.Namespaces = unix.CLONE_NEWUTS | unix.CLONE_NEWNET
		}},
		{"-ns uts,mnt", func(c *config.Container) {
			c.Network = config.HostNetwork
			c.Namespaces = unix.CLONE_NEWUTS | unix.CLONE_NEWNS
		}},
		{"-ns time", func(c *config.Container) {
			c.Hostname, c.Rootfs, c.Layers, c.Network = "", "", "", config.HostNetwork
			c.Namespaces = unix.CLONE_NEWTIME
		}},
		// The network of the host is no network namespace, whatever -ns says.
		{"-net host", func(c *config.Container) {
			c.Network = config.HostNetwork
			c.Namespaces = all &^ unix.CLONE_NEWNET
		}},
		{"-net host -ns uts,mnt,net", func(c *config.Container) {
			c.Network = config.HostNetwork
			c.Namespaces = unix.CLONE_NEWUTS | unix.CLONE_NEWNS
		}},
		{"-net host -ns uts,mnt", func(c *config.Container) {
			c.Network = config.HostNetwork
			c.Namespaces = unix.CLONE_NEWUTS | unix.CLONE_NEWNS
		}},
	} {
		t.Run(c.flags, func(t *testing.T) {
			require.Equal(t, defaults(c.want), asked(t, append(strings.Fields(c.flags), "sh")...))
		})
	}
}

// wrongValues are values that cannot be right on their face. The message has to name the flag, with
// the value, and to say what it accepts. Each flag that has a value is here.
var wrongValues = map[string][]struct{ value, accepts string }{
	"ns": {
		{"uts,disk", `"disk": must be of uts, pid, mnt, ipc, net, user, cgroup and time`},
		{"", `"": must be of uts, pid, mnt, ipc, net, user, cgroup and time`},
	},
	"hostname": {
		{"", "must be 1 to 64 bytes"},
		{strings.Repeat("a", 65), "must be 1 to 64 bytes"},
		{"a b", "must be without white space and control characters"},
	},
	"image": {{"A", "must be [HOST[:PORT]/]PATH[:TAG][@DIGEST]"}, {"", "must be "}},
	"layers": {
		{"snap", "must be overlay, copy, snapshot or bind"},
		{"", "must be overlay, copy, snapshot or bind"},
	},
	"volume": {
		{"/a", "must be SRC:DST[:ro]"},
		{"/a:b", "with an absolute DST"},
		{"/a:/proc/self", "/proc is the container's own"},
	},
	"memory": {
		{"0", "must be a number of bytes above 0, as in 64M"},
		{"524287", "must be at least 524288"},
		{"-1", "must be a number of bytes"},
		{"64T", "must be a number of bytes"},
		{"64MB", "must be a number of bytes"},
		{"64bm", "must be a number of bytes"},
		{"6KM", "must be a number of bytes"},
		{"M", "must be a number of bytes"},
		{"1.5G", "must be a number of bytes"},
		{"", "must be a number of bytes"},
		{"9223372036854775808", "must be a number of bytes"},
		{"9007199254740992K", "must be a number of bytes"}, // 2^63
	},
	"pids": {
		{"0", "must be a whole number above 0"},
		{"-1", "must be a whole number above 0"},
		{"1.5", "must be a whole number above 0"},
		{"max", "must be a whole number above 0"},
		{"9223372036854775808", "must be a whole number above 0"},
	},
	"cpus": {
		{"0", "must be a number above 0, as in 0.5"},
		{"-0.5", "must be a number above 0"},
		{"NaN", "must be a number above 0"},
		{"Inf", "must be a number above 0"},
		{"1e999", "must be a number above 0"},
		{"two", "must be a number above 0"},
	},
	"oom-score-adj": {
		{"1001", "must be -1000 to 1000"},
		{"-1001", "must be -1000 to 1000"},
		{"high", "must be a whole number"},
		{"1.5", "must be a whole number"},
	},
	"cap-add":  {{"FLY", "must be ALL, or one of capabilities(7) as in NET_ADMIN"}},
	"cap-drop": {{"FLY", "must be ALL, or one of capabilities(7) as in NET_ADMIN"}},
	"ulimit": {
		{"files=3", `unknown limit "files": must be of core, cpu, data, fsize, locks, memlock, `},
		{"nofile", "must be NAME=SOFT[:HARD], with numbers or unlimited"},
		{"nofile=x", "must be NAME=SOFT[:HARD], with numbers or unlimited"},
		{"nofile=3:2", "the soft limit is above the hard one"},
	},
	"net": {{"wifi", "must be none, bridge or host"}, {"", "must be none, bridge or host"}},
	"env": {
		{"A", "must be NAME=VALUE"},
		{"=A", "must be NAME=VALUE"},
		{"", "must be NAME=VALUE"},
	},
	"config":    {{"", "must be the name of a file"}},
	"workdir":   {{"srv", "must be an absolute path"}},
	"read-only": {{"perhaps", "must be true or false"}},
	"tty":       {{"perhaps", "must be true or false"}},
	"init":      {{"perhaps", "must be true or false"}},
	"v":         {{"perhaps", "must be true or false"}},
	"step":      {{"perhaps", "must be true or false"}},
}

// anyValue are the flags of which any value may be right: only the files of a container tell.
var anyValue = []string{"rootfs", "keep", "user"}

func TestWrongValues(t *testing.T) {
	var names []string
	(&request{Container: &config.Container{}}).flags().VisitAll(func(f *flag.Flag) {
		names = append(names, f.Name)
	})
	require.ElementsMatch(t, names, slices.Concat(slices.Collect(maps.Keys(wrongValues)), anyValue),
		"each flag is tried with a wrong value")
	for name, values := range wrongValues {
		for _, v := range values {
			t.Run(name+"="+v.value, func(t *testing.T) {
				status, err := dispatch([]string{"run", "-" + name + "=" + v.value, "sh"})
				require.Equal(t, statusUsage, status)
				require.ErrorContains(t, err, "-"+name)
				require.ErrorContains(t, err, strconv.Quote(v.value))
				require.ErrorContains(t, err, v.accepts)
				require.NotContains(t, err.Error(), "\n", "one line")
				require.True(t, strings.HasPrefix(err.Error(), "usage: "), err)
			})
		}
	}
}

// The largest and the smallest that are right.
func TestLimitsOfValues(t *testing.T) {
	require.EqualValues(t, 512<<10, asked(t, "-memory", "524288", "sh").Memory)
	require.EqualValues(t, 512<<10, asked(t, "-memory", "512K", "sh").Memory)
	require.EqualValues(t, 3<<30, asked(t, "-memory", "3G", "sh").Memory)
	require.EqualValues(t, 5e6, asked(t, "-memory", "5000000b", "sh").Memory)
	require.EqualValues(t, 5000<<10, asked(t, "-memory", "5000k", "sh").Memory)
	require.EqualValues(t, 64<<20, asked(t, "-memory", "64m", "sh").Memory)
	require.EqualValues(t, 1<<30, asked(t, "-memory", "1g", "sh").Memory)
	require.EqualValues(t, math.MaxInt64, asked(t, "-memory", "9223372036854775807", "sh").Memory)
	require.EqualValues(t, (1<<53-1)<<10, asked(t, "-memory", "9007199254740991K", "sh").Memory)
	require.EqualValues(t, 1, asked(t, "-pids", "1", "sh").Pids)
	require.EqualValues(t, 1e-9, asked(t, "-cpus", "1e-9", "sh").CPUs)
	require.Equal(t, 1000, *asked(t, "-oom-score-adj", "1000", "sh").OOMScoreAdj)
	require.Equal(t, 0, *asked(t, "-oom-score-adj", "0", "sh").OOMScoreAdj)
}

// Flags that exclude each other, and those without their namespace: it is never a silent ignore.
func TestWrongTogether(t *testing.T) {
	for args, want := range map[string]string{
		"":                            "no command",
		"-init":                       "no command",
		"-ns pid -hostname box sh":    "-hostname: the namespace for it, uts, is not in -ns",
		"-ns pid -rootfs /srv sh":     "-rootfs: the namespace for it, mnt, is not in -ns",
		"-ns pid -layers copy sh":     "-layers: the namespace for it, mnt, is not in -ns",
		"-ns pid -keep kept sh":       "-keep: the namespace for it, mnt, is not in -ns",
		"-ns pid -read-only sh":       "-read-only: the namespace for it, mnt, is not in -ns",
		"-ns pid -volume /a:/b sh":    "-volume: the namespace for it, mnt, is not in -ns",
		"-ns pid -tty sh":             "-tty: the namespace for it, mnt, is not in -ns",
		"-ns pid -net none sh":        "-net: the namespace for it, net, is not in -ns",
		"-ns pid -net bridge sh":      "-net: the namespace for it, net, is not in -ns",
		"-layers bind -keep kept sh":  "-keep \"kept\": must be with -layers overlay, copy",
		"-init -pids 15 sh":           "-pids \"15\": too low for -init",
		"-init -ulimit nofile=15 sh":  "-ulimit \"nofile=15\": too low for -init",
		"-config c.json -hostname a":  "-config: must be without -hostname",
		"-config c.json -read-only":   "-config: must be without -read-only",
		"-user 1 -config c -env A=1":  "-config: must be without -env",
		"-fly":                        "flag provided but not defined: -fly",
		"-hostname":                   "flag needs an argument: -hostname",
		"-hostname a,b -net wifi sh":  `-net "wifi": must be none, bridge or host`,
		"-volume /a:/ -volume /b: sh": `"/b:" for flag -volume: must be SRC:DST[:ro]`,
	} {
		status, err := dispatch(append([]string{"run"}, strings.Fields(args)...))
		require.Equal(t, statusUsage, status, args)
		require.ErrorContains(t, err, want, args)
		require.True(t, strings.HasPrefix(err.Error(), "usage: "), err)
	}
	status, err := dispatch([]string{"run", ""})
	require.Equal(t, statusUsage, status)
	require.EqualError(t, err, "usage: no command")
}

func TestSubcommands(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"fly"}, {"Run"}, {"sh"}, {"-v", "run"}} {
		status, err := dispatch(args)
		require.Equal(t, statusUsage, status, args)
		require.ErrorContains(t, err, "usage: ")
		require.ErrorContains(t, err, "container run|")
		if len(args) > 0 {
			require.ErrorContains(t, err, `"`+args[0]+`"`)
		}
	}
	// Only the runtime starts what is for the inside of a container.
	for _, args := range []string{"child", "child init sh", "child copy /a /b"} {
		status, err := dispatch(strings.Fields(args))
		require.Equal(t, statusFailed, status)
		require.EqualError(t, err, "child: only the runtime itself starts it")
	}
}

// As in a shell; whatever is not about the command is the runtime's.
func TestStatuses(t *testing.T) {
	for _, c := range []struct {
		what  string
		cause unix.Errno
		want  int
	}{
		{"exec", unix.ENOENT, statusNotFound},
		{"exec", unix.ENOTDIR, statusNotFound},
		{"exec", unix.EACCES, statusNotExecutable},
		{"exec", unix.ENOEXEC, statusNotExecutable},
		{"exec", unix.E2BIG, statusNotExecutable},
		{"exec", unix.ELOOP, statusNotExecutable},
		{"workdir", unix.ENOENT, statusFailed},
	} {
		status, err := execStatus(&plan.Error{What: c.what, Cause: c.cause})
		require.Equal(t, c.want, status, "%+v", c)
		require.ErrorIs(t, err, c.cause)
	}
	status, err := execStatus(unix.ENOENT)
	require.Equal(t, statusFailed, status)
	require.Equal(t, unix.ENOENT, err)

	require.Equal(t, 0, exitStatus(0))
	require.Equal(t, 7, exitStatus(7<<8))
	require.Equal(t, 255, exitStatus(255<<8))
	require.Equal(t, 137, exitStatus(unix.WaitStatus(unix.SIGKILL)))
	require.Equal(t, 139, exitStatus(unix.WaitStatus(unix.SIGSEGV)|0x80), "with a core dump")
}
