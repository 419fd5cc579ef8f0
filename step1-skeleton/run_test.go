//go:build linux

package main

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRunErrors requires that no error is lost, whether os/exec wraps it or not, and that none says
// twice what was executed.
func TestRunErrors(t *testing.T) {
	status, err := run(exec.Command("/no/such/command"))
	require.Equal(t, 127, status)
	require.EqualError(t, err, "no such file or directory")
	status, err = run(exec.Command("/etc/passwd"))
	require.Equal(t, 126, status)
	require.EqualError(t, err, "permission denied")
	status, err = run(&exec.Cmd{}) // "exec: no command", which is not wrapped
	require.Equal(t, 126, status)
	require.Error(t, err)
}
