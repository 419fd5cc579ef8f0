//go:build linux

// Package isolated runs a test once more where it can do no harm: in namespaces of its own, or as
// an ordinary user.
package isolated

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// env has the name of the test that is run once more.
const env = "TEST_ISOLATED"

// In runs the test that calls it once more, in new namespaces (CLONE_NEW* of clone(2)), for an
// ordinary user with a user namespace. There it returns true, and mounts reach nobody else. A test
// that is skipped there, or cannot have the namespaces, is skipped.
func In(t *testing.T, namespaces uintptr) bool {
	t.Helper()
	if os.Getenv(env) == t.Name() {
		if namespaces&unix.CLONE_NEWNS != 0 {
			require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		}
		return true
	}
	cmd := again(t)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	run(t, cmd, "no namespaces for this user here", unix.EPERM, unix.ENOSPC)
	return false
}

// AsNobody runs the test that calls it once more, as an ordinary user. There, and if the caller is
// one already, it returns true.
func AsNobody(t *testing.T) bool {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv(env) == t.Name() {
		return true
	}
	const nobody = 65534
	cmd := again(t)
	cmd.Env = append(cmd.Env, "TMPDIR=/tmp") // root's may be closed to others
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
	}
	// Root of a user namespace may have no other ids.
	run(t, cmd, "no ordinary user here", unix.EPERM, unix.EINVAL)
	return false
}

// again is this program, which runs the test alone.
func again(t *testing.T) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	// The test that waits writes the report: it is allowed to.
	cmd.Env = append(os.Environ(), env+"="+t.Name(), skip.ReportEnv+"=")
	return cmd
}

// run starts the test once more, and that decides. If the kernel refuses to start it with one of
// these errors, the test is skipped.
func run(t *testing.T, cmd *exec.Cmd, why string, refused ...error) {
	t.Helper()
	said, err := cmd.CombinedOutput()
	for _, r := range refused {
		if errors.Is(err, r) {
			skip.Lacking(t, fmt.Sprintf("%s: %v", why, err))
		}
	}
	require.NoError(t, err, string(said))
	if before, _, skipped := strings.Cut(string(said), "--- SKIP: "+t.Name()); skipped {
		lines := strings.Split(strings.TrimSpace(before), "\n")
		_, why, _ := strings.Cut(lines[len(lines)-1], ": ") // after file and line
		skip.Lacking(t, why)
	}
}
