//go:build linux

// Package rights takes from the child what the command may not do: capabilities, ids, resource
// limits, system calls.
package rights

import (
	"errors"
	"fmt"
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

// NewSessionKeyring gives this thread, and so the child, a session keyring without the keys of the
// caller (session-keyring(7)). The parent makes it, because the user of the container would share a
// quota of 200 keys with all containers. A kernel may be built without keys; and a container, in
// which this one is made, may forbid the call, as this one does: then there are no keys to be had,
// which trace, if not nil, hears of.
func NewSessionKeyring(trace func(what string)) error {
	_, err := unix.KeyctlInt(unix.KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0) // 0: one without a name
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		if trace != nil {
			trace(fmt.Sprintf("no session keyring: %v", err))
		}
	case errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("join session keyring: %w (each container takes one key of those in "+
			"/proc/sys/kernel/keys/maxkeys)", err)
	case err != nil:
		return fmt.Errorf("join session keyring: %w", err)
	}
	return nil
}
