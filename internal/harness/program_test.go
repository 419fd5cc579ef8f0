//go:build linux

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// TestBuild builds what people have: directories without go.mod, with cgo, of other languages, and
// with mistakes. What is said must not be about something else.
func TestBuild(t *testing.T) {
	NeedsGo(t)
	const hello = "package main\n\nfunc main() { println(\"built\") }\n"
	for _, c := range []struct {
		name   string
		files  map[string]string
		cause  string // none if it can be built
		advice string
		output string // of the compiler, if the source is wrong
	}{
		{name: "no go.mod", files: map[string]string{"main.go": hello}},
		{
			name: "no go.mod, several files",
			files: map[string]string{
				"main.go":       "package main\n\nfunc main() { hello() }\n",
				"hello.go":      "package main\n\nfunc hello() { println(\"built\") }\n",
				"other_test.go": "package main\n\nfunc main() {}\n",
				"windows.go":    "//go:build windows\n\npackage main\n\nfunc hello() {}\n",
			},
		},
		{
			name: "no go.mod, a package of the workshop's",
			files: map[string]string{
				"main.go": "package main\n\nimport \"golang.org/x/sys/unix\"\n\nfunc main() { " +
					"println(\"built\", unix.Getpid()) }\n",
			},
		},
		{
			name: "go.mod",
			files: map[string]string{
				"go.mod":  "module mine\n\ngo 1.21\n",
				"main.go": hello,
			},
		},
		{
			name: "a workspace above that has not heard of it",
			files: map[string]string{
				"go.work":      "go 1.21\n\nuse ./other\n",
				"other/go.mod": "module other\n\ngo 1.21\n",
				"go.mod":       "module mine\n\ngo 1.21\n",
				"main.go":      hello,
			},
		},
		{
			name: "cgo",
			files: map[string]string{
				"main.go": "package main\n\n// #include <unistd.h>\nimport \"C\"\n\nfunc main() " +
					"{ println(\"built\", C.getpid()) }\n",
			},
		},
		{
			name: "cgo in a package that it imports",
			files: map[string]string{
				"go.mod": "module mine\n\ngo 1.21\n",
				"main.go": "package main\n\nimport \"mine/ids\"\n\nfunc main() " +
					"{ println(\"built\", ids.Own()) }\n",
				"ids/ids.go": "package ids\n\n// #include <unistd.h>\nimport \"C\"\n\n" +
					"func Own() int { return int(C.getpid()) }\n",
			},
		},
		{
			name: "a package for another system",
			files: map[string]string{
				"go.mod":     "module mine\n\ngo 1.21\n",
				"main.go":    "package main\n\nimport _ \"mine/ids\"\n\nfunc main() {}\n",
				"ids/ids.go": "//go:build windows\n\npackage ids\n",
			},
			cause:  "a package that it imports has no Go files for Linux",
			advice: "see the package that is named",
		},
		{
			name: "a program for another system",
			files: map[string]string{
				"go.mod":  "module mine\n\ngo 1.21\n",
				"main.go": "//go:build windows\n\n" + hello,
			},
			cause:  "none of its Go files is for Linux",
			advice: "//go:build",
		},
		{
			name:   "a mistake",
			files:  map[string]string{"main.go": "package main\n\nfunc main() { hello() }\n"},
			output: "main.go:3:15: undefined: hello",
		},
		{
			name:   "Rust",
			files:  map[string]string{"Cargo.toml": "", "src/main.rs": ""},
			cause:  "there are no Go files in it",
			advice: "cargo build",
		},
		{
			name:   "Perl",
			files:  map[string]string{"container.pl": ""},
			cause:  "there are no Go files in it",
			advice: "#!/usr/bin/perl",
		},
		{
			name:   "nothing",
			files:  map[string]string{"README": ""},
			cause:  "there are no Go files in it",
			advice: "main.go",
		},
		{
			name:   "below",
			files:  map[string]string{"cmd/main.go": hello},
			cause:  "there are no Go files in it",
			advice: "/cmd, where there is a package main",
		},
		{
			name:   "a library",
			files:  map[string]string{"lib.go": "package lib\n"},
			cause:  "it is no program, but a library",
			advice: "package main",
		},
		{
			name:   "a new go.mod",
			files:  map[string]string{"go.mod": "module mine\n\ngo 1.999\n", "main.go": hello},
			cause:  "your version of Go is too old",
			advice: "go version",
		},
		{
			name:   "a go.mod that is cut off",
			files:  map[string]string{"go.mod": "module mine\n\nrequire (\n", "main.go": hello},
			cause:  "its go.mod has a mistake",
			advice: "mend the line that is named",
		},
		{
			name:   "without func main",
			files:  map[string]string{"main.go": "package main\n\nfunc Main() {}\n"},
			cause:  "it has no func main",
			advice: "write one",
		},
		{
			name: "packages in a circle",
			files: map[string]string{
				"go.mod":  "module mine\n\ngo 1.21\n",
				"main.go": "package main\n\nimport _ \"mine/a\"\n\nfunc main() {}\n",
				"a/a.go":  "package a\n\nimport _ \"mine/b\"\n",
				"b/b.go":  "package b\n\nimport _ \"mine/a\"\n",
			},
			cause:  "its packages import each other in a circle",
			advice: "remove one of these imports",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.name, "cgo") {
				skip.Tool(t, "gcc", "gcc")
			}
			t.Setenv("GOTOOLCHAIN", "local")
			dir := t.TempDir()
			for name, text := range c.files {
				file := filepath.Join(dir, name)
				require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
				require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
			}
			program := filepath.Join(t.TempDir(), "program")
			err := Build(context.Background(), program, dir)
			if c.cause == "" && c.output == "" {
				require.NoError(t, err)
				out, err := exec.Command(program).CombinedOutput()
				require.NoError(t, err)
				require.Contains(t, string(out), "built")
				files, err := filepath.Glob(filepath.Join(dir, "*"))
				require.NoError(t, err)
				require.LessOrEqual(t, len(files), len(c.files),
					"nothing is added to the directory")
				return
			}
			var b *BuildError
			require.True(t, errors.As(err, &b), "%v", err)
			require.Contains(t, b.Cause, c.cause)
			require.Contains(t, b.Advice, c.advice)
			require.Contains(t, b.Output, c.output)
			if c.output != "" {
				require.Empty(t, b.Cause)
				require.True(t, Mistake.MatchString(b.Output), b.Output)
			}
		})
	}
}

// TestBuildFiles builds a program of other files than those that are in the directory.
func TestBuildFiles(t *testing.T) {
	NeedsGo(t)
	dir, program := t.TempDir(), filepath.Join(t.TempDir(), "program")
	for name, text := range map[string]string{
		"go.mod":  "module mine\n\ngo 1.21\n",
		"main.go": "package main\n\nfunc main() { println(word) }\n",
		"old.go":  "package main\n\nconst word = \"old\"\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	before, err := os.ReadDir(dir)
	require.NoError(t, err)
	t.Setenv("TMPDIR", t.TempDir())
	require.NoError(t, BuildFiles(t.Context(), program, dir, map[string][]byte{
		"main.go": []byte("package main\n\nfunc main() { println(word, 2) }\n"),
		"new.go":  []byte("package main\n\nconst word = \"new\"\n"),
	}))
	out, err := exec.Command(program).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "new 2\n", string(out))
	after, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Equal(t, before, after)
	// Nothing is left, even of what cannot be compiled.
	require.Error(t, BuildFiles(t.Context(), program, dir, map[string][]byte{"main.go": nil}))
	left, err := os.ReadDir(os.TempDir())
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestBuildIsEnded requires that nothing is left of a build that is ended before it is done:
// neither temporary files nor a compiler.
func TestBuildIsEnded(t *testing.T) {
	NeedsGo(t)
	dir, begun := t.TempDir(), filepath.Join(t.TempDir(), "begun")
	for name, text := range map[string]string{
		"go.mod":  "module mine\n\ngo 1.21\n",
		"main.go": "package main\n\nfunc main() { println(\"never compiled\") }\n",
		// The go command asks each tool for its version first.
		"tool": "#!/bin/sh\ncase $* in *-V=full*) exec \"$@\"; esac\n" +
			"echo $$ >" + begun + ".new && mv " + begun + ".new " + begun + "\nexec sleep 1000\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755))
	}
	t.Setenv("GOFLAGS", "-toolexec="+filepath.Join(dir, "tool"))
	t.Setenv("GOTMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Build(ctx, filepath.Join(dir, "program"), dir) }()
	var text []byte
	for text == nil {
		select {
		case err := <-ended:
			require.Fail(t, "it ended by itself", "%v", err)
		case <-time.After(time.Millisecond):
			text, _ = os.ReadFile(begun) // not yet there
		}
	}
	compiler, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			_ = unix.Kill(compiler, unix.SIGKILL) // an error: it is gone
		}
	})
	cancel()
	require.Error(t, <-ended)
	left, err := os.ReadDir(os.Getenv("GOTMPDIR"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", compiler))
		return err != nil || strings.Contains(string(stat), ") Z ")
	}, time.Minute, time.Millisecond)
}

// TestBuildFailed tells what the go command says of the machine from mistakes in the source.
func TestBuildFailed(t *testing.T) {
	for output, cause := range map[string]string{
		"go: creating work dir: mkdir /tmp/go-build1: no space left on device": "the disk is " +
			"full",
		"go: failed to trim cache: open /root/.cache/x: read-only file system": "cannot be " +
			"written to",
		"go: could not create module cache: mkdir /home/a/go: permission denied": "belongs to " +
			"somebody else",
		"main.go:3:1: syntax error: no space left on device outside function body": "",
		"main.go:3:8: missing go.sum entry for module x":                           "its go.sum",
		"go: updates to go.mod needed; to update it:":                              "its go.mod",
		"go: inconsistent vendoring in /home/a/mine:":                              "vendor",
		`cgo: C compiler "gcc" not found: exec: "gcc": executable file not found`:  "no C compiler",
	} {
		var b *BuildError
		require.True(t, errors.As(buildFailed("mine", output, errors.New("exit status 1")), &b))
		if cause == "" {
			require.Empty(t, b.Cause, output)
		} else {
			require.Contains(t, b.Cause, cause, output)
		}
	}
}

// TestIsWanted requires that only the tests that play a demonstration build what it asks for.
func TestIsWanted(t *testing.T) {
	const demo = "TestPromises/demos/images"
	for _, run := range []string{
		"", ".", "Promises/demos", "TestPromises/demos/^images$", "TestOther|Promises/demos",
		"TestPromises/step2|TestPromises/demos", "TestPromises/(step2|demos)",
		"TestPromises/[|/d]emos/i",
	} {
		require.True(t, isWanted(run, demo), run)
	}
	for _, run := range []string{
		"TestFlags", "TestPromises/step1", "TestPromises/demos/uts", "TestPromises/step2|TestFlags",
		`TestPromises/demos/\|images`,
	} {
		require.False(t, isWanted(run, demo), run)
	}
}

// TestBuildTools builds what a script asks for, and nothing for one that asks for nothing.
func TestBuildTools(t *testing.T) {
	NeedsGo(t)
	root, dir := t.TempDir(), t.TempDir()
	emptyCache(t)
	t.Setenv(prebuiltEnv, "")
	for file, text := range map[string]string{
		"go.mod":       "module m\n",
		"gift/main.go": "package main\n\nfunc main() {}\n",
		"plain.txtar":  "exec true\n# tool gift\n",
		"asks.txtar":   "rootfs\ntool gift\n",
	} {
		path := filepath.Join(root, file)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	gift := filepath.Join(dir, "bin", "gift")
	require.NoError(t, os.Mkdir(filepath.Dir(gift), 0o755))
	script := func(name string) []Script { return []Script{{File: filepath.Join(root, name)}} }
	require.NoError(t, buildTools(dir, root, script("plain.txtar")))
	require.NoFileExists(t, gift)
	require.NoError(t, buildTools(dir, root, script("asks.txtar")))
	require.NoError(t, exec.Command(gift).Run())
}
