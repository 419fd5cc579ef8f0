//go:build linux

// Package rights takes from the child what the command may not do: capabilities, ids, resource
// limits, system calls.
package rights

import (
	"path"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
)

// Drop adds the calls that leave the child what the command may do, as the user with these ids.
// Each takes away something that the calls before it needed. parent is a pidfd of the runtime, and
// ignored are the signals that it ignores.
func Drop(
	p *plan.Plan, c *config.Container, uid, gid int, parent plan.FD, ignored []unix.Signal,
) error {
	capabilities, err := permitted(c)
	if err != nil {
		return err
	}
	setUlimits(p, c.Ulimits)
	boundCapabilities(p, c.Capabilities)
	if uid != 0 || gid != 0 {
		p.About("become user", "")
		p.Together(func() {
			p.Setresgid(gid)
			p.Setresuid(uid)
			p.DieWithParent(parent)
		})
	}
	if uid != 0 { // the kernel took them: setresuid(2)
		capabilities = 0
	}
	p.About("set capabilities", "")
	p.Capset(uint64(capabilities))
	p.About("reset signals", "")
	for _, s := range ignored {
		p.DefaultAction(s)
	}
	p.UnblockSignals()
	// From here on execve(2) gives nothing that was not there before: no setuid program helps.
	p.About("no new privileges", "")
	p.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1)
	p.About("filter system calls", "")
	p.Seccomp(Filter(c.Capabilities))
	return nil
}

// EnterWorkdir adds the calls that change to the working directory. A magic link to a descriptor
// that is still open here would lead out of the container (CVE-2024-21626): it is not followed.
func EnterWorkdir(p *plan.Plan, c *config.Container) {
	if !c.Namespaces.Has(unix.CLONE_NEWNS) && c.Workdir == "" {
		return // where the caller is
	}
	dir := path.Clean("/" + c.Workdir)
	p.Asked("workdir", dir)
	p.Fchdir(p.Openat2(plan.CWD, dir, unix.O_PATH|unix.O_DIRECTORY, unix.RESOLVE_NO_MAGICLINKS))
}
