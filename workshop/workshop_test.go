//go:build linux

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if status, ok := asHelper(); ok {
		os.Exit(status)
	}
	testscript.Main(m, map[string]func(){"workshop": main})
}

// TestCommand runs the scripts in testdata, each in a copy of the module.
func TestCommand(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	home, cache := goEnv(t, "GOMODCACHE"), goEnv(t, "GOCACHE")
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOMODCACHE", home)
			env.Setenv("GOCACHE", cache)
			env.Setenv("GOFLAGS", "-mod=mod")
			env.Setenv("HOME", env.WorkDir)
			env.Cd = filepath.Join(env.WorkDir, "workshop")
			if err := os.MkdirAll(env.Cd, 0o755); err != nil {
				return err
			}
			return copyModule(root, env.Cd)
		},
		RequireUniqueNames: true,
	})
}

// copyModule copies what the command needs of the module.
func copyModule(root, dir string) error {
	files, err := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard").Output()
	names := strings.Fields(string(files))
	if err != nil { // without git, or not in a repository
		names = []string{"go.mod", "go.sum", "testdata", "scripts", "internal"}
		steps, _ := filepath.Glob(filepath.Join(root, "step*"))
		for _, step := range steps {
			names = append(names, filepath.Base(step))
		}
	}
	args := append([]string{"-a", "--parents"}, names...)
	cmd := exec.Command("cp", append(args, dir)...)
	cmd.Dir = root
	return cmd.Run()
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// TestHints requires of each script that it has hints, and that the lines of our own step are there.
func TestHints(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	scripts, err := allScripts(root)
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	page := regexp.MustCompile(`[a-z_]+\([1-8]\)`)
	used := map[string]bool{}
	for _, s := range scripts {
		h, err := findHints(s)
		if err != nil {
			t.Error(err)
			continue
		}
		used[h.File] = true
		if !page.MatchString(h.Kernel) {
			t.Errorf("%s: the kernel's part without a man page", h.File)
		}
		for _, reference := range h.Source {
			text, line, err := source(root, reference)
			switch {
			case err != nil:
				t.Errorf("%s: %v", h.File, err)
			case text == "" || line < 1 || strings.Count(text, "\n") > 150:
				t.Errorf("%s: %s: line %d and %d more", h.File, reference, line, strings.Count(text, "\n"))
			case !strings.HasPrefix(reference, s.Step+"/"):
				t.Errorf("%s: %s is not of this step", h.File, reference)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "testdata", "step*", "*.hints"))
	require.NoError(t, err)
	for _, file := range files {
		h, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = parseHints(file, string(h))
		require.NoError(t, err)
		if filepath.Base(filepath.Dir(file)) != "step5-complete" && filepath.Base(file) != "any.hints" { // groups that may still be empty
			require.True(t, used[file], "%s: no script has these hints", file)
		}
	}
}

// TestSubjects requires that the scripts whose hints are given for others are there.
func TestSubjects(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	for _, s := range subjects {
		about, err := findScript(root, s.script)
		require.NoError(t, err)
		_, err = findHints(about)
		require.NoError(t, err)
	}
}

// TestOrder requires of the lists of scripts that they name scripts.
func TestOrder(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "testdata", "step*", "order.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, name := range strings.Fields(string(text)) {
			require.FileExists(t, filepath.Join(filepath.Dir(file), name+".txtar"), file)
		}
	}
}

func TestParseCommand(t *testing.T) {
	c := parseCommand(`[!cgroup2] ! exec container run sh -c 'echo ''a b''; exit'`)
	require.True(t, c.negated)
	require.Equal(t, "exec", c.name)
	require.Equal(t, []string{"container", "run", "sh", "-c", "echo 'a b'; exit"}, c.args)
	require.Equal(t, "container run true", commandLine("exits 0 container run true"))
	require.Equal(t, "container run sleep 1", commandLine("! exec container run sleep 1 &container&"))
	require.Equal(t, "container run ''", commandLine("exits 2 container run ''"))
}

func TestTwoDashes(t *testing.T) {
	require.Equal(t, []string{"inspect", "--json", "-h", "12", "--", "ls", "-lang"}, twoDashes([]string{"inspect", "-json", "-h", "12", "--", "ls", "-lang"}))
}
