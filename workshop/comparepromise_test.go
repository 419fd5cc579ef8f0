//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	pages "container.example/workshop/workshop/record/page"
)

// TestComparePromise compares step 1 with step 2, by a promise of step 2.
func TestComparePromise(t *testing.T) {
	harness.NeedsGo(t)
	root, err := moduleRoot()
	require.NoError(t, err)
	course, err := readCourse(root)
	require.NoError(t, err)
	ctx, dir := context.Background(), t.TempDir()
	program := filepath.Join(dir, "container")
	require.NoError(t, harness.Build(ctx, program, filepath.Join(root, "step1-skeleton")))
	var said bytes.Buffer
	a := &app{out: newOutput(&said, true, nil)}
	c := &checker{place: &place{root: root, dir: filepath.Join(dir, "mine")}, course: course}
	file := c.file("compare.html")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	failure := harness.Event{
		Script: harness.Script{
			Step: "step2-namespaces", Name: "hostname-in",
			File: filepath.Join(root, "testdata/step2-namespaces/hostname-in.txtar"),
		},
		Failure: harness.Failure{
			Line: 4, Ran: "exec container run sh -c 'hostname workshop && hostname'",
		},
	}
	require.NoError(t, a.comparePromise(ctx, c, state{Program: program}, failure))
	require.Contains(t, said.String(), `" where ours does "clone mnt pid uts"`)
	require.Contains(t, said.String(), `yours does not do "sethostname" and "mount `)
	require.Contains(t, said.String(), "compare.html")
	page, err := os.ReadFile(file)
	require.NoError(t, err)
	_, err = pages.Read(page)
	require.ErrorContains(t, err, "this page has none in it", "it is of two recordings")

	failure.Ran = ""
	err = a.comparePromise(ctx, c, state{Program: program}, failure)
	require.ErrorContains(t, err, "nothing to compare")
}
