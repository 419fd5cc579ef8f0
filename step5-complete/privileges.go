//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

var workdir = flag.String("workdir", "", "`DIR` to start the command in (default /)")

// dropPrivileges leaves the child what the command may do. Each line takes away something that the lines before it needed.
func dropPrivileges() error {
	u, err := lookUpUser("")
	if err != nil {
		return err
	}
	if os.Getenv("HOME") == "" {
		os.Setenv("HOME", u.home)
	}
	if err := enterWorkdir(); err != nil {
		return err
	}
	if err := setResourceLimits(); err != nil {
		return err
	}
	if err := boundCapabilities(); err != nil {
		return err
	}
	if err := becomeUser(u); err != nil {
		return err
	}
	// From here on execve(2) gives nothing that was not there before: no setuid program helps.
	trace("prctl no_new_privs")
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("no_new_privs: %w", err)
	}
	return installSeccomp(capabilities)
}

// enterWorkdir changes to the working directory. A magic link to a descriptor that is still open here
// would lead out of the container (CVE-2024-21626): it is not followed.
func enterWorkdir() error {
	dir := path.Clean("/" + *workdir)
	if !has(unix.CLONE_NEWNS) && *workdir == "" {
		return nil // where the caller is
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_MAGICLINKS,
	})
	if err == nil {
		err = unix.Fchdir(fd)
	}
	if err != nil {
		return fmt.Errorf("workdir %q: %w", dir, err)
	}
	return nil
}
