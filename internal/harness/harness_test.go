//go:build linux

package harness

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// stepEnv has this test binary do what that of a step does, in the directory of the step.
const stepEnv = "WORKSHOP_TEST_STEP"

// TestPrograms runs the programs in testdata/programs, most of them wrong in one way, and requires
// that exactly those scripts fail that should: those that are named in the file. Each file is a
// program for one step: a shell script, a Go program, or a change to our own, file, old and new.
func TestPrograms(t *testing.T) {
	if os.Getenv(stepEnv) != "" {
		Run(t)
		return
	}
	NeedsGo(t)
	root, err := ModuleRoot()
	require.NoError(t, err)
	timeout := patience().String()
	before := machine(t)
	files, err := filepath.Glob("testdata/programs/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	t.Run("group", func(t *testing.T) {
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			program := map[string]string{}
			for _, f := range archive.Files {
				program[f.Name] = string(f.Data)
			}
			step := strings.TrimSpace(program["step"])
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				t.Parallel()
				cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run",
					"^TestPrograms$/"+strings.TrimSpace(program["run"]))
				cmd.Dir = filepath.Join(root, step)
				cmd.Env = append(os.Environ(), programEnv+"="+place(t, root, step, program), "CI=",
					reportEnv+"=", TimeoutEnv+"="+timeout, stepEnv+"="+step,
					// What was compiled once in such a directory need not be compiled again.
					"GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
				out, _ := cmd.CombinedOutput() // its status says that scripts failed
				failed, skipped, passed := results(out, "FAIL"), results(out, "SKIP"),
					results(out, "PASS")
				require.NotEmpty(t, slices.Concat(failed, passed, skipped), "%s", out)
				if len(failed)+len(passed) == 0 {
					t.Skipf("skipped what it is about: %s", strings.Join(skipped, ", "))
				}
				want := remove(strings.Fields(program["fails"]), skipped...)
				require.Equal(t, want, failed, "%s", out)
			})
		}
	})
	require.Equal(t, before, machine(t), "the machine is not as it was before")
}

// patience is how long a wrong program may take for a script. Some hang, and all the others are
// quick.
func patience() time.Duration { return fromUser().Timeout / 8 }

// place writes the program to a directory of its own and returns its path.
func place(t *testing.T, root, step string, program map[string]string) string {
	dir := t.TempDir()
	if script := program["program"]; script != "" {
		path := filepath.Join(dir, "program")
		require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
		return path
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		copyFile(t, filepath.Join(root, name), filepath.Join(dir, name))
	}
	if source := program["main.go"]; source != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o644))
		return dir
	}
	sources, err := filepath.Glob(filepath.Join(root, step, "*.go"))
	require.NoError(t, err)
	for _, source := range sources {
		if !strings.HasSuffix(source, "_test.go") {
			copyFile(t, source, filepath.Join(dir, filepath.Base(source)))
		}
	}
	file := filepath.Join(dir, strings.TrimSpace(program["file"]))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	old := []byte(strings.TrimSpace(program["old"]))
	require.Equal(t, 1, bytes.Count(text, old), "%s in %s", old, file)
	text = bytes.Replace(text, old, []byte(strings.TrimSpace(program["new"])), 1)
	require.NoError(t, os.WriteFile(file, text, 0o644))
	return dir
}

// results returns the scripts, as step/name and sorted, of which the test output says so.
func results(output []byte, result string) (scripts []string) {
	pattern := regexp.MustCompile(`(?m)^ *--- ` + result + `: TestPrograms/[^/\s]+/(\S+) `)
	for _, match := range pattern.FindAllSubmatch(output, -1) {
		scripts = append(scripts, string(match[1]))
	}
	slices.Sort(scripts)
	return scripts
}

// machine is what no program may change.
func machine(t *testing.T) []string {
	name, err := os.Hostname()
	require.NoError(t, err)
	state := []string{name}
	mounts, err := mountinfo.GetMounts(nil)
	require.NoError(t, err)
	for _, m := range mounts {
		state = append(state, m.Mountpoint+" "+m.Options)
	}
	groups, err := filepath.Glob(filepath.Join(cgroupFS, "*", cgroupPrefix+"*"))
	require.NoError(t, err)
	for _, group := range groups {
		// Somebody else may run tests beside these: their process is there.
		pid := strings.TrimPrefix(filepath.Base(group), cgroupPrefix)
		if _, err := os.Stat(filepath.Join("/proc", pid)); err != nil {
			state = append(state, group)
		}
	}
	return state
}

func copyFile(t *testing.T, from, to string) {
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o644))
}
