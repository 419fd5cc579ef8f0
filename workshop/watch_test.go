//go:build linux

package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// watchedChecker is a checker as watch has it, of a program that does not compile.
func watchedChecker(t *testing.T) *checker {
	root, err := moduleRoot()
	require.NoError(t, err)
	course, err := readCourse(root)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"),
		[]byte("package main\n\nthis is not Go\n"), 0o644))
	c := &checker{place: &place{root: root, dir: dir}, course: course, promises: true}
	t.Cleanup(func() { require.NoError(t, c.close()) })
	return c
}

// TestWatchTriesPromises requires that watch tries all promises of a step and of those before it,
// and nothing else.
func TestWatchTriesPromises(t *testing.T) {
	c := watchedChecker(t)
	s, err := c.load()
	require.NoError(t, err)
	l, err := c.course.find("4")
	require.NoError(t, err)
	tried := c.inOrder(l, s)
	c.promises = false
	for _, script := range c.inOrder(l, s) {
		require.Equal(t, !script.NotYet(), slices.Contains(tried, script), script.ID())
	}
}
