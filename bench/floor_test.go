//go:build linux

package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// TestFloorHasTheList makes sure that floor.c gets the calls that `container plan` prints, and
// compiles.
func TestFloorHasTheList(t *testing.T) {
	harness.NeedsGo(t)
	t.Chdir("..")
	dir := t.TempDir()
	rootfs := t.TempDir()
	list, err := floorList(dir, rootfs, nothing)
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(list) {
		if _, call, ok := strings.Cut(line, "}, // "); ok {
			lines = append(lines, call)
		}
	}

	container := filepath.Join(dir, "container")
	require.NoError(t, goBuild("-o", container, "./runtime"))
	plan, err := output(container, append([]string{"plan", "-rootfs", rootfs}, nothing...)...)
	require.NoError(t, err)
	require.Equal(t, plan, strings.Join(lines, ""))

	if _, err := exec.LookPath("gcc"); err == nil {
		require.NoError(t, compileFloor(dir, list))
	}
}
