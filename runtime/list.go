//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/network"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/terminal"
	"container.example/workshop/runtime/users"
)

// A host does what only a process on the host can do for the child. The list asks for it where the
// child needs it.
type host interface {
	// pidfd is a descriptor of the runtime, and free one that calls may give a meaning.
	pidfd() plan.FD
	free(name string) (plan.FD, error)
	// start clones the child, which makes the calls so far, into a cgroup of version 2 if that is
	// not -1.
	start(cgroup int) error
	// onHost makes something on the host for the child, which has that pid, and has it taken back
	// in the end.
	onHost(do func(pid int, trace func(what string)) (takeBack func() error, err error)) error
	// ignored are the signals that the caller ignores.
	ignored() []unix.Signal
	// interrupted returns an error when a signal has asked for the end.
	interrupted() error
	trees() (rootfs.Trees, error)
	// copyRootfs copies the rootfs to the layer when the calls so far are made.
	copyRootfs(from, to string) error
	// lookUpUser finds the user of the container in files that the calls so far have opened.
	lookUpUser(passwd, group plan.FD) (users.User, error)
	// self is a descriptor of this program, for the init to be executed, and ready is one that the
	// init closes when it is ready for signals.
	self() (plan.FD, error)
	ready() (plan.FD, error)
}

// made is what of a container the runtime still has to do with while it runs.
type made struct {
	terminal *terminal.Terminal
	group    *cgroup.Cgroup
	// hasKeyboard: the standard input of the command may be the terminal of the caller.
	hasKeyboard bool
}

// writeList writes the list of system calls that make a container: the child makes them in this
// order, and the last is execve(2). The runtime writes on while the child makes the calls that it
// was given already.
func writeList(p *plan.Plan, c *config.Container, h host) (m made, err error) {
	if m.group, err = cgroup.Example(c); err != nil {
		return m, err
	}
	if cgroup.IsLimited(c) && !m.group.JoinsLate() { // the child is born in it
		if err := makeCgroup(c, h, &m.group); err != nil {
			return m, err
		}
	}
	begin(p, c, h.pidfd())
	if err := h.start(m.group.FD()); err != nil {
		return m, err
	}
	users.BecomeRoot(p, c, h.pidfd())
	if c.Namespaces.Has(unix.CLONE_NEWNET) {
		network.Set(p, network.Settings(users.LastGroup(c)))
	}
	if c.Namespaces.Has(unix.CLONE_NEWUTS) {
		p.About("sethostname", c.Hostname)
		p.Sethostname(c.Hostname)
	}
	self := plan.CWD
	if c.Init {
		if self, err = h.self(); err != nil {
			return m, err
		}
	}
	root, err := makeRoot(p, c, h)
	if err != nil {
		return m, err
	}
	place, err := joinOthers(p, c, h, &m.group)
	if err != nil {
		return m, err
	}
	name := hostname(c)
	if root != nil {
		if err := root.WriteNames(name, place.Address()); err != nil {
			return m, err
		}
		if err := root.MountCgroups(); err != nil {
			return m, err
		}
		root.LeaveHost()
		if terminal.IsWanted(c) {
			m.terminal = terminal.Open(p)
		}
		if err := share(c, h, root); err != nil {
			return m, err
		}
	}
	user, err := findUser(p, c, h)
	if err != nil {
		return m, err
	}
	if m.terminal != nil {
		m.terminal.Take(p, user.UID)
	} else {
		users.GivePipes(p, user)
		if m.hasKeyboard = !terminal.InBackground(); !m.hasKeyboard {
			terminal.LeaveKeyboard(p)
		}
	}
	return m, becomeCommand(p, c, h, self, user, environment(c, name, user.Home))
}

// begin is what the child does before it is anybody in its user namespace.
func begin(p *plan.Plan, c *config.Container, pidfd plan.FD) {
	p.DieWithParent(pidfd)
	// In a session of its own nothing in the container can type into the terminal of the caller
	// (TIOCSTI).
	p.About("begin session", "")
	p.Setsid()
	p.Umask(0) // directories and devices get the modes that are written here
	if c.Namespaces.Has(unix.CLONE_NEWNET) {
		network.Loopback(p)
		if c.Network == config.Bridge {
			network.KeepIPv6Off(p)
		}
	}
	if c.Namespaces.Has(unix.CLONE_NEWTIME) { // it is entered by execve(2): time_namespaces(7)
		p.About("unshare", "time")
		p.Hint(unix.ENOSPC, "not the disk: see /proc/sys/user/max_time_namespaces")
		p.Unshare(unix.CLONE_NEWTIME)
	}
}

// makeRoot makes the root of the mount namespace, if the container has one.
func makeRoot(p *plan.Plan, c *config.Container, h host) (*rootfs.Root, error) {
	if !c.Namespaces.Has(unix.CLONE_NEWNS) {
		return nil, nil
	}
	trees, err := h.trees()
	if err != nil {
		return nil, err
	}
	root := rootfs.Assemble(p, c, trees)
	if c.Layers == config.Copy {
		if err := h.copyRootfs(root.CopyFrom(), root.CopyTo()); err != nil {
			return nil, err
		}
	}
	null, err := h.free("null")
	if err != nil {
		return nil, err
	}
	root.Enter()
	root.Furnish(null)
	return root, nil
}

// share mounts what may come from anywhere.
func share(c *config.Container, h host, root *rootfs.Root) (err error) {
	target := plan.CWD
	if len(c.Volumes) > 0 {
		if target, err = h.free("target"); err != nil {
			return err
		}
	}
	return root.Share(target)
}

// joinOthers gives the container its place on the bridge and in the cgroups. The runtime makes both
// while the child makes its root.
func joinOthers(
	p *plan.Plan, c *config.Container, h host, group **cgroup.Cgroup,
) (place *network.Place, err error) {
	if c.Network == config.Bridge {
		if err := p.Await(); err != nil { // its network namespace has to be there
			return nil, err
		}
	}
	if c.Network == config.Bridge || (*group).JoinsLate() {
		if err := p.Release(); err != nil {
			return nil, err
		}
	}
	if c.Network == config.Bridge {
		place = network.Example()
		err := h.onHost(func(pid int, trace func(string)) (func() error, error) {
			place, err = network.Join(pid, trace, h.interrupted)
			return place.Leave, err
		})
		if err != nil {
			return nil, err
		}
		place.Configure(p)
	}
	if (*group).JoinsLate() {
		if err := makeCgroup(c, h, group); err != nil {
			return nil, err
		}
		(*group).Join(p, c)
	}
	return place, nil
}

// makeCgroup makes the cgroup in place of the example.
func makeCgroup(c *config.Container, h host, group **cgroup.Cgroup) error {
	return h.onHost(func(_ int, trace func(string)) (takeBack func() error, err error) {
		*group, err = cgroup.Make(c, trace)
		return (*group).Remove, err
	})
}

func findUser(p *plan.Plan, c *config.Container, h host) (users.User, error) {
	if !users.NeedsFiles(c) {
		return users.LookUp(c, "", "")
	}
	return h.lookUpUser(users.OpenFiles(p))
}

// becomeCommand ends the list. self is this program, if that is to be the init.
func becomeCommand(
	p *plan.Plan, c *config.Container, h host, self plan.FD, user users.User, env []string,
) error {
	p.About("set umask", "")
	p.Umask(0o022)
	rights.EnterWorkdir(p, c)
	paths := candidates(c.Command[0], env)
	if len(paths) == 0 {
		return exitError{
			statusNotFound,
			fmt.Errorf("exec %q: no absolute directory in PATH", c.Command[0]),
		}
	}
	var there []plan.FD
	if !c.Init {
		p.Asked("exec", c.Command[0])
		p.Hint(unix.ELOOP,
			"links of the kernel to open files are not followed, and others at most 40 times")
		for _, path := range paths {
			there = append(there, checkLink(p, path))
		}
	}
	// The command gets descriptors 0, 1 and 2, and none of those that are open here
	// (close_range(2)).
	p.About("close descriptors", "")
	p.CloseRange(3)
	if c.Init {
		ready, err := h.ready()
		if err != nil {
			return err
		}
		p.Unshare(unix.CLONE_FILES)
		p.Dup3(ready, p.Open(childPipe, "pipe"), 0)
	}
	users.JoinGroups(p, user)
	rights.KeepNofile(p, c)
	if err := rights.Drop(p, c, user.UID, user.GID, h.pidfd(), h.ignored()); err != nil {
		return err
	}
	p.Asked("exec", c.Command[0])
	for _, why := range whyNotExecuted {
		p.Hint(why.errno, why.hint)
	}
	for _, fd := range there {
		p.HintIf(fd, unix.ENOENT, noInterpreter)
	}
	if user.UID != 0 && rootfs.RootMode(c)&0o001 == 0 {
		p.Hint(unix.EACCES,
			"the directory of the root file system is closed to others: chmod go+rx")
	}
	variables := p.Array(env)
	p.Command()
	if c.Init {
		p.Hint(unix.EACCES, "others must be allowed to execute this program: chmod go+rx")
		p.Execveat(self, p.Array(append([]string{"container", "child", "init"}, c.Command...)),
			variables)
		return nil
	}
	args := p.Array(c.Command)
	for i, path := range paths {
		p.Execve(path, args, variables)
		if i < len(paths)-1 {
			p.Allow(unix.ENOENT, unix.ENOTDIR,
				unix.EACCES) // as a shell goes on with the next directory
		}
	}
	return nil
}

// checkLink makes sure that a path to execute does not lead through /proc to an open file: the
// runtime's own program is one, and would be executed with a link to it that the container could
// write to (CVE-2019-5736).
func checkLink(p *plan.Plan, path string) plan.FD {
	fd := p.Openat2(plan.CWD, path, unix.O_PATH, unix.RESOLVE_NO_MAGICLINKS)
	p.Allow(unix.ENOENT, unix.ENOTDIR, unix.EACCES) // execve(2) will say so
	return fd
}

// whyNotExecuted says what errors of execve(2) mean for a file that is there.
var whyNotExecuted = []struct {
	errno unix.Errno
	hint  string
}{
	{unix.EACCES, "its mode, a directory, or a mount with noexec"},
	{unix.ENOEXEC, "a script without a first line as #!/bin/sh, or for another architecture"},
	{unix.EPERM, "its file capabilities are more than the container has: -cap-add"},
}

const noInterpreter = "it is there: what is missing is the interpreter in its first line, which " +
	"may end in a carriage return, or its dynamic linker"

// candidates are the paths where a command may be, as in execvp(3). A relative directory is none:
// what is executed would depend on where the command is started.
func candidates(command string, env []string) (paths []string) {
	if strings.Contains(command, "/") {
		return []string{command}
	}
	for _, variable := range env {
		list, ok := strings.CutPrefix(variable, "PATH=")
		if !ok {
			continue
		}
		for dir := range strings.SplitSeq(list, ":") {
			if strings.HasPrefix(dir, "/") {
				paths = append(paths, strings.TrimRight(dir, "/")+"/"+command)
			}
		}
	}
	return paths
}

// hostname is the name that the container has for uname(2).
func hostname(c *config.Container) string {
	if c.Namespaces.Has(unix.CLONE_NEWUTS) {
		return c.Hostname
	}
	name, _ := os.Hostname() // by uname(2): cannot fail
	return name
}

// environment is that of the command: what a program expects, and what the user wants. Only the
// type of the terminal is the caller's.
func environment(c *config.Container, hostname, home string) []string {
	term := os.Getenv("TERM")
	if term == "" {
		term = "xterm"
	}
	all := append([]config.Variable{
		{Name: "PATH", Value: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		{Name: "TERM", Value: term},
		{Name: "HOSTNAME", Value: hostname},
	}, c.Env...)
	var env []string
	hasHome := false // be it empty, if it was asked for
next:
	for i, v := range all {
		for _, later := range all[i+1:] {
			if later.Name == v.Name {
				continue next
			}
		}
		hasHome = hasHome || v.Name == "HOME"
		env = append(env, v.Name+"="+v.Value)
	}
	if !hasHome {
		env = append(env, "HOME="+home)
	}
	return env
}
