//go:build linux

package harness

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A program without a pid namespace has the harness in sight, and may be root.
const chmod = "chmod 6777 /proc/1/exe\n"

// TestSelf has a program try to change the file of the harness.
func TestSelf(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	before, err := os.Stat(self)
	require.NoError(t, err)

	var status Status
	o := Options{Program: program(t, chmod+usage+`exec "$@"`)}
	scripts := ofLines(t, "exec container run true\nstderr 'Read-only file system'")
	require.NoError(t, check(t.Context(), t, o, scripts, func(e Event) { status = e.Status }))
	require.Equal(t, Passed, status)
	after, err := os.Stat(self)
	require.NoError(t, err)
	require.Equal(t, before.Mode(), after.Mode())
}

// TestReplacedSelf runs the test before in a program that has lost its file, as it is with workshop
// watch after the next go build.
func TestReplacedSelf(t *testing.T) {
	const env = "TEST_REPLACED"
	if os.Getenv(env) != "" {
		self, err := os.Executable()
		require.NoError(t, err)
		require.NoError(t, os.Remove(self))
		if os.Getenv(env) == "replaced" {
			require.NoError(t, os.WriteFile(self, []byte("#!/bin/false\n"), 0o755))
		}
		var status Status
		scripts := ofLines(t, "exec container run true")
		o := Options{Program: program(t, chmod+usage+`exec "$@"`)}
		require.NoError(t, check(context.Background(), t, o, scripts, func(e Event) {
			status = e.Status
		}))
		require.Equal(t, Passed, status)
		return
	}
	for _, fate := range []string{"removed", "replaced"} {
		t.Run(fate, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "harness.test")
			require.NoError(t, copyProgram("/proc/self/exe", path))
			cmd := exec.Command(path, "-test.run=^TestReplacedSelf$")
			cmd.Env = append(os.Environ(), env+"="+fate)
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		})
	}
}
