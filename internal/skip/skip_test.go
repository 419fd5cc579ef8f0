package skip

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSkip looks at what becomes of a test, and at what is said of it.
func TestSkip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	t.Setenv(ReportEnv, file)
	const line = "skip TestSkip skipped "
	for _, c := range []struct {
		name, ci      string
		act           func(testing.TB)
		said, written string
	}{
		{
			name: "lacking", ci: "true", act: func(t testing.TB) { Lacking(t, "needs root") },
			said: "skip needs root", written: line + "needs root\n",
		},
		{
			name: "several lines", act: func(t testing.TB) { Lacking(t, "unshare:\nnone\n") },
			said: "skip unshare:\nnone\n", written: line + "unshare: none\n",
		},
		{
			name: "missing", act: func(t testing.TB) { Tool(t, "no-such-tool", "some") },
			said:    "skip asks for no-such-tool (apt-get install some)",
			written: line + "asks for no-such-tool (apt-get install some)\n",
		},
		{
			name: "missing where all is installed", ci: "true",
			act:  func(t testing.TB) { Tool(t, "no-such-tool", "some") },
			said: "fail asks for no-such-tool (apt-get install some)",
		},
		{name: "there", act: func(t testing.TB) { Tool(t, "sh", "dash") }},
	} {
		t.Setenv("CI", c.ci)
		require.NoError(t, os.WriteFile(file, nil, 0o644))
		fake := &fakeTest{TB: t, said: make(chan string, 1)}
		go func() {
			defer close(fake.said)
			c.act(fake)
		}()
		assert.Equal(t, c.said, <-fake.said, c.name)
		written, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, c.written, string(written), c.name)
	}
}

// TestLanguage skips a test for an interpreter or a module that is not there, and for nothing else.
func TestLanguage(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	t.Setenv("CI", "")
	t.Setenv(ReportEnv, filepath.Join(bin, "report")) // what is skipped here is no news
	// A Python that lacks one module, and a Perl that has none.
	require.NoError(t, os.WriteFile(filepath.Join(bin, "python3"),
		[]byte("#!/bin/sh\ncase $2 in *'import ctypes') exit 1 ;; esac\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(bin, "perl"),
		[]byte("#!/bin/sh\nexit 1\n"), 0o755))
	const (
		noCtypes = "skip asks for the module ctypes of python3 (apt-get install python3)"
		noPOSIX  = "skip asks for the module POSIX of perl (apt-get install perl)"
	)
	for _, c := range []struct{ script, said string }{
		{"#!/usr/bin/env python3\nimport os\n", ""},
		{"#!/usr/bin/env python3\nimport os, ctypes\n", noCtypes},
		{"#!/usr/bin/env python3\n  from ctypes import *\n", noCtypes},
		{"#!/usr/bin/env perl\nprint 1;\n", ""},
		{"#!/usr/bin/env perl\nuse strict;\nuse POSIX ();\n", noPOSIX},
		{"#!/usr/bin/env bash\n", "skip asks for bash (apt-get install bash)"},
		{"#!/no/such/python3 -u\n", "skip asks for /no/such/python3 (apt-get install python3)"},
		{"#!/no/such/language\n", ""},
		{"#!/bin/sh\nimport ctypes\n", ""},
		{"package main\n", ""},
	} {
		fake := &fakeTest{TB: t, said: make(chan string, 1)}
		go func() {
			defer close(fake.said)
			Language(fake, c.script)
		}()
		assert.Equal(t, c.said, <-fake.said, c.script)
	}
}

// TestInterpreter gets the path that an interpreter tells of itself, and that in PATH otherwise.
func TestInterpreter(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	for _, c := range []struct{ prints, path string }{
		{"/opt/python/bin/python3", "/opt/python/bin/python3"},
		{"", filepath.Join(bin, "python3")},
		{"no version is set", filepath.Join(bin, "python3")},
	} {
		script := "#!/bin/sh\necho '" + c.prints + "'\n"
		require.NoError(t, os.WriteFile(filepath.Join(bin, "python3"), []byte(script), 0o755))
		assert.Equal(t, c.path, Interpreter(t, "python3", "pass\n"))
	}
}

func TestOneIn(t *testing.T) {
	all := []int{0, 1, 2, 3, 4, 5, 6}
	t.Setenv(sweepEnv, "")
	t.Setenv(ciEnv, "true")
	assert.Equal(t, []int{0, 3, 6}, OneIn(t, 3, all))
	assert.Equal(t, all, OneIn(t, 1, all))
	t.Setenv(ciEnv, "")
	assert.Equal(t, []int{0}, OneIn(t, 1, all))
	t.Setenv(sweepEnv, "all")
	assert.Equal(t, all, OneIn(t, 3, all))
}

func TestOneInEach(t *testing.T) {
	all := []string{"a1", "a2", "b1", "a3", "c1", "a4", "b2", "a5", "a6", "a7", "a8", "a9"}
	kind := func(c string) byte { return c[0] }
	t.Setenv(sweepEnv, "")
	t.Setenv(ciEnv, "true")
	assert.Equal(t, []string{"a1", "b1", "c1", "a4", "a7"}, OneInEach(t, 3, all, kind))
	t.Setenv(ciEnv, "")
	assert.Equal(t, []string{"a1", "b1", "c1", "a9"}, OneInEach(t, 1, all, kind))
	t.Setenv(sweepEnv, "all")
	assert.Equal(t, all, OneInEach(t, 2, all, kind))
}

// fakeTest tells how a test ended, and ends its goroutine as testing does.
type fakeTest struct {
	testing.TB
	said chan string
}

func (f *fakeTest) Helper() {}

func (f *fakeTest) Skip(why ...any) {
	f.said <- "skip " + why[0].(string)
	runtime.Goexit()
}

func (f *fakeTest) Fatal(why ...any) {
	f.said <- "fail " + why[0].(string)
	runtime.Goexit()
}
