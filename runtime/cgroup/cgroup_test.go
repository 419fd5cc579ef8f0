//go:build linux

package cgroup

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/isolated"
	"container.example/workshop/internal/skip"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// The file and the number that each flag stands for, on both versions. Memory is memory and swap:
// otherwise what does not fit would go to swap. Only that limit a kernel may be without
// (swapaccount=0).
func TestLimits(t *testing.T) {
	for _, c := range []struct {
		name string
		c    config.Container
		want []limit
	}{
		{"none", config.Container{}, nil},
		{"memory", config.Container{Memory: 64 << 20}, []limit{
			{
				flag: "memory 67108864", controller: "memory",
				v2: "memory.max", v1: "memory.limit_in_bytes", value: 67108864,
			},
			{
				flag: "memory 67108864", controller: "memory",
				v2: "memory.swap.max", value: 0, optional: true,
			},
			{
				flag: "memory 67108864", controller: "memory",
				v1: "memory.memsw.limit_in_bytes", value: 67108864, optional: true,
			},
		}},
		{"pids", config.Container{Pids: 32}, []limit{{
			flag: "pids 32", controller: "pids", v2: "pids.max", v1: "pids.max", value: 32,
		}}},
		{"cpus", config.Container{CPUs: 0.5}, []limit{{
			flag: "cpus 0.5", controller: "cpu",
			v2: "cpu.max", v1: "cpu.cfs_quota_us", value: 50000,
			accepted: "the kernel takes 0.01 and more, and no more than a cgroup above has",
		}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, limits(&c.c))
			require.Equal(t, len(c.want) > 0, IsLimited(&c.c))
		})
	}
}

// Neither a number that a computer cannot write exactly nor one that is too large becomes another
// limit than the one that was asked for.
func TestQuota(t *testing.T) {
	for cpus, want := range map[float64]int64{
		0.01: 1000, 0.29: 29000, 0.5: 50000, 1: 100000, 1.1: 110000, 2.3: 230000, 64: 6400000,
		0.000001: 0, 1e6: 1e11, 1e300: 1e11,
	} {
		require.Equal(t, want, Quota(cpus), cpus)
	}
	require.EqualValues(t, 100000, Period,
		"the kernel's default (cpu.max): only the quota is written")
}

// Each controller is named once: its directory is made once, and its hierarchy mounted once.
func TestControllers(t *testing.T) {
	require.Empty(t, controllers(nil))
	require.Equal(t, []string{"memory", "pids", "cpu"},
		controllers(limits(&config.Container{Memory: 1, Pids: 1, CPUs: 1})))
	require.Equal(t, []string{"cpu"}, controllers(limits(&config.Container{CPUs: 1})))
}

// No other program's directory has such a name, because those that are stale are removed.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		name := newName()
		require.True(t, isName(name), name)
		require.False(t, seen[name], "twice")
		seen[name] = true
	}
	for _, name := range []string{
		"", "container-", "container-1", "container-0123456789abcde", "container-0123456789abcdef0",
		"container-0123456789ABCDEF", "container-0123456789abcdeg", "0123456789abcdef",
		"container_0123456789abcdef", "container-0123456789abcde/", "container-0123456789abcd..",
		"docker-0123456789abcdef", "xcontainer-0123456789abcdef",
		"container-0123456789abcdef.scope",
	} {
		require.False(t, isName(name), name)
	}
	require.True(t, isName("container-0123456789abcdef"))
}

func lines(t *testing.T, write func(p *plan.Plan)) []string {
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	write(p)
	for _, c := range p.Calls() {
		require.Empty(t, c.Allowed, "a limit that is not there is an error")
	}
	return p.Lines()
}

// The child joins first and then makes its cgroup namespace, which takes the cgroup it is in for
// its root (cgroup_namespaces(7)).
func TestJoin(t *testing.T) {
	g := &Cgroup{
		dirs:  []directory{{path: "/sys/fs/cgroup/memory/a"}, {path: "/sys/fs/cgroup/pids/a"}},
		tasks: []int{70, 71},
	}
	const unshare = `unshare(CLONE_NEWCGROUP)`
	join := []string{
		`write(</sys/fs/cgroup/memory/a/tasks>, "0", 1)`,
		`write(</sys/fs/cgroup/pids/a/tasks>, "0", 1)`,
	}
	for _, c := range []struct {
		g          *Cgroup
		namespaces config.Namespaces
		want       []string
	}{
		{g, config.DefaultNamespaces, append(join, unshare)},
		{g, config.DefaultNamespaces &^ unix.CLONE_NEWCGROUP, join},
		{&Cgroup{}, unix.CLONE_NEWCGROUP, []string{unshare}},
		{&Cgroup{}, 0, []string{}},
	} {
		got := lines(t, func(p *plan.Plan) {
			c.g.Join(p, &config.Container{Namespaces: c.namespaces})
		})
		require.Equal(t, c.want, got)
	}
}

// On version 2 the child is born in the directory; on version 1 there is none that it could be born
// in.
func TestFD(t *testing.T) {
	require.Equal(t, -1, (&Cgroup{}).FD())
	require.Equal(t, 7, (&Cgroup{dirs: []directory{{lock: 7}}}).FD())
	require.Equal(t, -1,
		(&Cgroup{dirs: []directory{{lock: 7}, {lock: 8}}, tasks: []int{9, 10}}).FD())
}

// The list of a container that is not made has names where it would have descriptors.
func TestExample(t *testing.T) {
	c := &config.Container{Memory: 1, Pids: 1, CPUs: 1, Namespaces: unix.CLONE_NEWCGROUP}
	g, err := Example(c)
	require.NoError(t, err)
	got := lines(t, func(p *plan.Plan) { g.Join(p, c) })
	want := []string{`unshare(CLONE_NEWCGROUP)`}
	v2, err := isV2()
	require.NoError(t, err)
	if !v2 {
		want = []string{
			`write(</sys/fs/cgroup/memory/container-.../tasks>, "0", 1)`,
			`write(</sys/fs/cgroup/pids/container-.../tasks>, "0", 1)`,
			`write(</sys/fs/cgroup/cpu/container-.../tasks>, "0", 1)`,
			`unshare(CLONE_NEWCGROUP)`,
		}
	}
	require.Equal(t, want, got)
	require.Equal(t, !v2, g.JoinsLate())
	require.Equal(t, -1, g.FD())
	none, err := Example(&config.Container{})
	require.NoError(t, err)
	require.False(t, none.JoinsLate(), "no cgroup")
}

// A limit that cannot be set is an error, which says what was asked for and where it went wrong.
func TestSet(t *testing.T) {
	dir := t.TempDir()
	var heard []string
	g := &Cgroup{trace: func(what string) { heard = append(heard, what) }}
	there, missing := filepath.Join(dir, "pids.max"), filepath.Join(dir, "memory.swap.max")
	require.NoError(t, os.WriteFile(there, []byte("max"), 0o600))

	require.NoError(t, g.set(limit{flag: "pids 32", value: 32}, there))
	text, err := os.ReadFile(there)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(text), "32"))
	require.Equal(t, []string{"write " + there + ": 32"}, heard)

	require.EqualError(t, g.set(limit{flag: "pids 32", value: 32}, missing),
		"pids 32: write memory.swap.max: no such file or directory")
	require.EqualError(t, g.set(limit{flag: "cpus 9", accepted: "a hint"}, missing),
		"cpus 9: write memory.swap.max: no such file or directory (a hint)")
	heard = nil
	require.NoError(t, g.set(limit{optional: true}, missing), "the kernel is built without it")
	require.Empty(t, heard)
	require.ErrorIs(t, g.set(limit{optional: true}, dir), unix.EISDIR, "it is there, so it counts")
	require.NoError(t, (&Cgroup{}).set(limit{value: 1}, there), "nobody hears of it")
}

// A cgroup can have limits only if the one above passes the controller on.
func TestPassOn(t *testing.T) {
	dir := t.TempDir()
	wanted := []string{"memory", "pids"}
	require.ErrorIs(t, passOn(dir, wanted), unix.ENOENT)
	file := filepath.Join(dir, "cgroup.subtree_control")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, passOn(dir, wanted))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "+pids", string(text)[:5], "one write for each")
	require.NoError(t, passOn(dir, nil))
	require.ErrorIs(t, passOn(filepath.Join(dir, "nowhere"), nil), unix.ENOENT)
}

// Who may not write there can still have the controllers that are passed on already.
func TestPassOnWithoutRights(t *testing.T) {
	if !isolated.AsNobody(t) {
		return
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "cgroup.subtree_control")
	require.NoError(t, os.WriteFile(file, []byte("memory pids\n"), 0o400))
	require.NoError(t, passOn(dir, []string{"memory"}))
	require.NoError(t, passOn(dir, []string{"pids", "memory"}))
	require.ErrorIs(t, passOn(dir, []string{"memory", "cpu"}), unix.EACCES)
	require.ErrorIs(t, passOn(dir, []string{"mem"}), unix.EACCES, "not a part of a name")
	require.NoError(t, os.Chmod(dir, 0o500))
	require.ErrorIs(t, passOn(dir, []string{"memory"}), unix.EACCES, "no cgroup can be made there")
	require.NoError(t, os.Chmod(dir, 0o700))
}

// Explain tells of the limit of memory only if the kernel does, and only of a command that was
// killed.
func TestExplain(t *testing.T) {
	const killed = 128 + int(unix.SIGKILL)
	for _, c := range []struct {
		file, text string
		status     int
		want       bool
	}{
		{"memory.events", "low 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n", killed, true},
		{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n", killed, true},
		{"memory.events", "oom 1\noom_kill 0\noom_group_kill 3\n", killed, false},
		{"memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n", killed, false},
		{"memory.events", "oom 1\n", killed, false},
		{"memory.events", "", killed, false},
		{"memory.events", "oom_kill 1\n", 0, false},
		{"memory.events", "oom_kill 1\n", 1, false},
		{"memory.events", "oom_kill 1\n", 128 + int(unix.SIGTERM), false},
		{"memory.current", "oom_kill 1\n", killed, false},
	} {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, c.file), []byte(c.text), 0o600))
		g := &Cgroup{dirs: []directory{{path: t.TempDir()}, {path: dir}}}
		if err := g.Explain(c.status); c.want {
			require.ErrorContains(t, err, "-memory")
		} else {
			require.NoError(t, err, "%+v", c)
		}
	}
	require.NoError(t, (&Cgroup{}).Explain(killed))
}

// A directory is locked as soon as others can open it: who finds one without a lock may remove it.
func TestMakeLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	fd, err := makeLocked(dir)
	require.NoError(t, err)
	stat, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o755, stat.Mode(), "the container may look at it")
	for _, how := range []int{unix.LOCK_EX, unix.LOCK_SH} {
		_, err = lock(dir, how|unix.LOCK_NB)
		require.ErrorIs(t, err, unix.EWOULDBLOCK)
		require.ErrorContains(t, err, "flock "+dir)
	}
	require.NoError(t, unix.Close(fd))
	fd, err = lock(dir, unix.LOCK_EX|unix.LOCK_NB)
	require.NoError(t, err)
	require.NoError(t, unix.Close(fd))

	_, err = makeLocked(dir)
	require.EqualError(t, err, "mkdir "+dir+": file exists")
	_, err = makeLocked(dir + "/a/b")
	require.ErrorIs(t, err, unix.ENOENT)
	_, err = lock(dir+"/a", unix.LOCK_EX)
	require.EqualError(t, err, "open "+dir+"/a: no such file or directory")
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	require.Empty(t, list(dir))
	var want []string
	for i := range 1000 { // more than fit into one answer of getdents64(2)
		name := fmt.Sprint("a-name-of-some-length-", i)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		want = append(want, name)
	}
	require.ElementsMatch(t, want, list(dir))
	require.Empty(t, list(filepath.Join(dir, want[0])), "not a directory")
	require.Empty(t, list(filepath.Join(dir, "nowhere")))
}

// A cgroup goes before the one that it is in.
func TestTree(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/b/c", "a/d", "e"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/file"), nil, 0o600))
	all := tree(dir)
	require.Len(t, all, 6)
	require.Equal(t, dir, all[len(all)-1])
	for i, name := range all {
		for _, later := range all[i+1:] {
			require.False(t, strings.HasPrefix(later, name+"/"), "%s before %s", name, later)
		}
	}
	require.Empty(t, tree(filepath.Join(dir, "nowhere")))
}

// What is in a cgroup that is to go is killed, also below it, and nobody else.
func TestKillTree(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "below"), 0o755))
	start := func() *exec.Cmd {
		cmd := exec.Command("sleep", "60")
		require.NoError(t, cmd.Start())
		return cmd
	}
	inside, below, outside := start(), start(), start()
	for name, text := range map[string]string{
		"cgroup.procs":       fmt.Sprintf("%d\n", inside.Process.Pid),
		"below/cgroup.procs": fmt.Sprintf("%d\n", below.Process.Pid),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	killTree(dir)
	for _, cmd := range []*exec.Cmd{inside, below} {
		require.EqualError(t, cmd.Wait(), "signal: killed")
	}
	require.NoError(t, outside.Process.Signal(unix.Signal(0)), "it is there")
	require.NoError(t, outside.Process.Kill())
	_ = outside.Wait()
}

// A process of another pid namespace is 0 there (cgroup.procs), which kill(2) takes for the whole
// process group of whoever asks.
func TestKillTreeSparesItsOwnGroup(t *testing.T) {
	const env = "TEST_KILL"
	if dir := os.Getenv(env); dir != "" {
		killTree(dir)
		return
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0\n"), 0o600))
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a group of its own
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
}

func TestRemove(t *testing.T) {
	require.NoError(t, (&Cgroup{}).Remove())
	dir := filepath.Join(t.TempDir(), "a")
	fd, err := makeLocked(dir)
	require.NoError(t, err)
	tasks, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	g := &Cgroup{dirs: []directory{{path: dir, lock: fd}}, tasks: []int{tasks}}
	require.NoError(t, g.Remove())
	require.NoDirExists(t, dir)
	for _, fd := range []int{fd, tasks} {
		_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.ErrorIs(t, err, unix.EBADF, "closed")
	}

	// What cannot be removed is said, and the rest is removed.
	first, second := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "a")
	require.NoError(t, os.Mkdir(first, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(first, "file"), nil, 0o600))
	require.NoError(t, os.Mkdir(second, 0o755))
	g = &Cgroup{dirs: []directory{{path: first, lock: -1}, {path: second, lock: -1}}}
	require.EqualError(t, g.Remove(), "cgroup: remove "+first+": directory not empty")
	require.NoDirExists(t, second)
}

// A runtime that was killed could not remove its cgroups: one that comes later does, in all
// hierarchies, and takes nothing that is in use or somebody else's.
func TestRemoveStale(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS) {
		return
	}
	require.NoError(t, unix.Mount("tmpfs", root, "tmpfs", 0, ""))
	const stale, used = "container-0123456789abcdef", "container-fedcba9876543210"
	base := filepath.Join(root, "delegated/group") // on version 2
	elsewhere := filepath.Join(root, "user.slice/user-7.slice")
	hierarchies := []string{
		base, elsewhere, root,
		filepath.Join(root, "memory"), filepath.Join(root, "pids/user.slice"),
	}
	locks := map[string]int{}
	for _, dir := range hierarchies {
		for _, name := range []string{stale, used, "container-1", "docker"} {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		}
		how := unix.LOCK_EX
		if dir == root { // somebody else's lock keeps a cgroup too
			how = unix.LOCK_SH
		}
		fd, err := lock(filepath.Join(dir, used), how)
		require.NoError(t, err)
		locks[dir] = fd
	}
	gone := func() (all []string) {
		for _, dir := range hierarchies {
			if _, err := os.Stat(filepath.Join(dir, stale)); err != nil {
				all = append(all, dir)
			}
			for _, name := range []string{used, "container-1", "docker"} {
				require.DirExists(t, filepath.Join(dir, name))
			}
		}
		return all
	}
	other, err := lock(root, unix.LOCK_EX)
	require.NoError(t, err)
	done := make(chan bool)
	go func() {
		removeStale(base)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		require.Fail(t, "it waits for another one that removes them")
	}
	require.Empty(t, gone(), "another one removes them")
	require.NoError(t, unix.Close(other))

	removeStale(elsewhere)
	require.Equal(t, hierarchies[1:], gone(), "a group of somebody else's is not looked through")
	removeStale(root, base)
	require.Equal(t, hierarchies, gone())
	for _, fd := range locks {
		require.NoError(t, unix.Close(fd))
	}
	fd, err := lock(root, unix.LOCK_EX|unix.LOCK_NB)
	require.NoError(t, err, "nobody waits for the next one")
	require.NoError(t, unix.Close(fd))
}

// The hierarchies of version 1 are those with limits, by the names that they have in the file
// system; without a namespace they would show the cgroups of the host.
func TestMountsOfVersion1(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS) {
		return
	}
	require.NoError(t, unix.Mount("tmpfs", root, "tmpfs", 0, ""))
	text := filepath.Join(t.TempDir(), "cgroup")
	require.NoError(t, os.WriteFile(text, []byte("12:pids:/\n4:memory:/a\n3:cpu,cpuacct:/a\n"+
		"5:cpuset:/\n1:name=systemd:/\n0::/\n"), 0o600))
	if err := unix.Mount(text, "/proc/self/cgroup", "", unix.MS_BIND, ""); err != nil {
		skip.Lacking(t, fmt.Sprint("mount over /proc/self/cgroup: ", err))
	}
	all := config.Container{Memory: 1, Pids: 1, CPUs: 1, Namespaces: unix.CLONE_NEWCGROUP}
	mounts := func(c *config.Container) []Mount {
		all, err := Mounts(c)
		require.NoError(t, err)
		return all
	}
	v2, err := isV2()
	require.NoError(t, err)
	require.False(t, v2)
	late, err := Example(&all)
	require.NoError(t, err)
	require.True(t, late.JoinsLate())
	require.Equal(t, []Mount{
		{Type: "cgroup", Target: "/sys/fs/cgroup/pids", Options: "pids"},
		{Type: "cgroup", Target: "/sys/fs/cgroup/memory", Options: "memory"},
		{Type: "cgroup", Target: "/sys/fs/cgroup/cpu,cpuacct", Options: "cpu,cpuacct"},
	}, mounts(&all))
	require.Equal(t, []Mount{{Type: "cgroup", Target: "/sys/fs/cgroup/memory", Options: "memory"}},
		mounts(&config.Container{Memory: 1, Namespaces: unix.CLONE_NEWCGROUP}))
	require.Empty(t, mounts(&config.Container{Namespaces: unix.CLONE_NEWCGROUP}))
	all.Namespaces = unix.CLONE_NEWNS
	require.Empty(t, mounts(&all))

	// The own cgroup is that of the hierarchy, if it is to be seen; otherwise the root is.
	own, err := ownPaths()
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"pids": "/", "memory": "/a", "cpu": "/a", "cpuacct": "/a", "cpuset": "/",
		"name=systemd": "/", "": "/",
	}, own)
	require.Equal(t, root+"/memory", findBaseV1("memory", own))
	require.NoError(t, os.MkdirAll(root+"/memory/a", 0o755))
	require.NoError(t, os.MkdirAll(root+"/pids/a", 0o755))
	require.Equal(t, root+"/memory/a", findBaseV1("memory", own))
	require.Equal(t, root+"/pids", findBaseV1("pids", own))
	require.Equal(t, root+"/cpu", findBaseV1("cpu", own))
	require.Equal(t, root+"/cpu", findBaseV1("cpu", nil))
}

// On version 2 the cgroup is made where the controllers are passed on: nearest above the own one,
// which has processes.
func TestBaseOfVersion2(t *testing.T) {
	if !isolated.In(t, unix.CLONE_NEWNS) {
		return
	}
	require.NoError(t, unix.Mount("tmpfs", root, "tmpfs", 0, ""))
	const own = "/user.slice/session/own"
	asked := limits(&config.Container{Memory: 100})
	slice := filepath.Join(root, "user.slice")
	_, _, err := findBase(asked, own)
	require.EqualError(t, err, "cgroup: write "+root+"/cgroup.subtree_control: no such file or "+
		"directory (no cgroup with the controllers memory was delegated to this user)")
	passesOn := func(dir string) {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), nil, 0o600))
	}
	base := func(own string) string {
		base, all, err := findBase(asked, own)
		require.NoError(t, err)
		require.Equal(t, asked, all)
		return base
	}
	passesOn(root)
	for _, own := range []string{own, "/other", "/", ""} {
		require.Equal(t, root, base(own))
	}
	for _, dir := range []string{slice, slice + "/session"} {
		passesOn(dir)
		require.Equal(t, dir, base(own))
	}
	// The own one is none, whatever it passes on; nor is another one with processes.
	passesOn(root + own)
	require.Equal(t, slice+"/session", base(own))
	writeFile := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(slice, name), []byte(text), 0o600))
	}
	writeFile("session/cgroup.type", "domain\n")
	require.Equal(t, slice+"/session", base(own))
	writeFile("session/cgroup.procs", "7\n")
	require.Equal(t, slice, base(own))

	// So is one in threaded mode: below it no process can be born into a cgroup.
	writeFile("session/cgroup.procs", "")
	for _, kind := range []string{"threaded", "domain threaded", "domain invalid"} {
		writeFile("session/cgroup.type", kind+"\n")
		require.Equal(t, slice, base(own))
	}

	// The limits of the cgroups that are left are those of the container, if they are tighter.
	writeFile("memory.max", "5\n")
	writeFile("session/memory.max", "70\n")
	writeFile("session/own/memory.max", "max\n")
	writeFile("session/own/pids.max", "16\n")
	base1, all, err := findBase(asked, own)
	require.NoError(t, err)
	require.Equal(t, slice, base1)
	require.EqualValues(t, 70, all[0].value)
	require.EqualValues(t, 100, asked[0].value, "what was asked for is not changed")
	require.Equal(t, limit{
		flag:       "cgroup: limit of " + slice + "/session/own",
		controller: "pids",
		v2:         "pids.max",
		value:      16,
	}, all[len(all)-1])
}

func TestTighten(t *testing.T) {
	dir := t.TempDir()
	near, far := filepath.Join(dir, "far/near"), filepath.Join(dir, "far")
	require.NoError(t, os.MkdirAll(near, 0o755))
	for name, text := range map[string]string{
		"far/memory.max": "1000\n", "far/near/memory.max": "500\n", "far/near/memory.high": "400\n",
		"far/near/memory.swap.max": "70\n", "far/pids.max": "max\n", "far/near/pids.max": "32\n",
		"far/cpu.max": "max 100000\n", "far/near/cpu.max": "20000 10000\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	values := func(c *config.Container) map[string]int64 {
		all := map[string]int64{}
		for _, l := range tighten(limits(c), []string{near, far}) {
			if l.v2 != "" {
				all[l.v2] = l.value
			}
		}
		return all
	}
	require.Equal(t, map[string]int64{
		"memory.max": 500, "memory.high": 400, "memory.swap.max": 70, "pids.max": 32,
		"cpu.max": 2 * Period,
	}, values(&config.Container{}))
	require.Equal(t, map[string]int64{
		"memory.max": 500, "memory.high": 400, "memory.swap.max": 0, "pids.max": 32,
		"cpu.max": 2 * Period,
	}, values(&config.Container{Memory: 600, Pids: 33, CPUs: 3}))
	require.Equal(t, map[string]int64{
		"memory.max": 300, "memory.high": 400, "memory.swap.max": 0, "pids.max": 31,
		"cpu.max": Period,
	}, values(&config.Container{Memory: 300, Pids: 31, CPUs: 1}))
	require.Equal(t, limits(&config.Container{Memory: 1}),
		tighten(limits(&config.Container{Memory: 1}), nil))
}

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]int64{
		"0\n": 0, "5": 5, "9223372036854775807\n": 1<<63 - 1, "100000 100000\n": 100000,
		"50000 100000": 50000, "5000 10000": 50000, "1000 1000000": 1000, "1 1000000": 1000,
	} {
		value, limited := parseLimit(text)
		require.True(t, limited, text)
		require.Equal(t, want, value, text)
	}
	for _, text := range []string{"", "max", "max\n", "max 100000\n", "x", "5 0", "5 x", "1.5"} {
		_, limited := parseLimit(text)
		require.False(t, limited, text)
	}
}
