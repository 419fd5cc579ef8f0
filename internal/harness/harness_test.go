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

	"container.example/workshop/internal/lessons"
	"container.example/workshop/internal/skip"
)

// stepEnv has this test binary do what that of a step does, in the directory of the step.
const stepEnv = "WORKSHOP_TEST_STEP"

// A wrongProgram is a file of testdata/programs: a program for one step, most of them wrong in one
// way.
type wrongProgram struct {
	name string
	text map[string]string // what is in the file, by name
}

// get is what is in the file under a name, without the line break at its end.
func (p wrongProgram) get(name string) string { return strings.TrimSpace(p.text[name]) }

// kind is the step whose source a program changes. Any other program is a kind of its own.
func (p wrongProgram) kind() string {
	if p.text["file"] != "" {
		return p.get("step")
	}
	return p.name
}

// TestPrograms runs the programs in testdata/programs, most of them wrong in one way, and requires
// that exactly those scripts fail that should: those that are named in the file. Each file is a
// program for one step: a shell script, a Go program, or a change to our own, file, old and new.
// A file may say that what it shows needs root.
// Of the changes to a step it is one in three (see skip.OneIn).
func TestPrograms(t *testing.T) {
	t.Parallel()
	NeedsGo(t)
	root, err := ModuleRoot()
	require.NoError(t, err)
	before := machine(t)
	programs := skip.OneInEach(t, 3, readPrograms(t, "*"), wrongProgram.kind)
	dir := t.TempDir()
	buildPrograms(t, dir, root, programs)
	t.Run("group", func(t *testing.T) {
		for _, p := range programs {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				if p.get("needs") == "root" && os.Geteuid() != 0 {
					skip.Lacking(t, "asks for root: a user namespace closes these ways out, too")
				}
				all, err := Scripts(root, p.get("step"))
				require.NoError(t, err)
				scripts := slices.DeleteFunc(all, func(s Script) bool {
					return !isWanted(p.get("run"), s.ID())
				})
				o := Options{Program: filepath.Join(dir, p.name), Timeout: patience()}
				p.judge(t, ofEvents(judgeAll(t, o, scripts)))
			})
		}
	})
	require.Equal(t, before, machine(t), "the machine is not as it was before")
}

// TestRun has go test judge some of these programs in the directory of their step: one that is
// right, one that hangs, one that leaves something behind, and a Go package.
func TestRun(t *testing.T) {
	if os.Getenv(stepEnv) != "" {
		Run(t)
		return
	}
	t.Parallel()
	NeedsGo(t)
	root, err := ModuleRoot()
	require.NoError(t, err)
	timeout := patience().String()
	for _, p := range readPrograms(t, "right-shell-2", "hangs", "no-newuts", "no-usage") {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run", "^TestRun$/"+p.get("run"))
			cmd.Dir = filepath.Join(root, p.get("step"))
			cmd.Env = append(os.Environ(), programEnv+"="+p.place(t, root), "CI=",
				reportEnv+"=", TimeoutEnv+"="+timeout, stepEnv+"="+p.get("step"),
				// What was compiled once in such a directory need not be compiled again.
				"GOFLAGS="+os.Getenv("GOFLAGS")+" -trimpath")
			out, _ := cmd.CombinedOutput() // its status says that scripts failed
			p.judge(t, ofOutput(out))
		})
	}
}

// TestInterrupted ends go test while it builds the program: no file is left behind.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	root, err := ModuleRoot()
	require.NoError(t, err)
	tools, temporary := t.TempDir(), t.TempDir()
	file, script := filepath.Join(tools, "go"), "#!/bin/sh\nkill -TERM $PPID\nexec sleep 3600\n"
	require.NoError(t, os.WriteFile(file, []byte(script), 0o755))
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestRun$")
	cmd.Dir = filepath.Join(root, "step1-skeleton")
	cmd.Env = append(os.Environ(), stepEnv+"=step1-skeleton", programEnv+"=", reportEnv+"=",
		prebuiltEnv+"=", "TMPDIR="+temporary, "PATH="+tools+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "terminated")
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestNobodyReads has a run of tests write to a pipe that nobody reads, as after the end of the go
// command: no file is left behind.
func TestNobodyReads(t *testing.T) {
	t.Parallel()
	root, err := ModuleRoot()
	require.NoError(t, err)
	temporary := t.TempDir()
	p := readPrograms(t, "right-shell-2")[0]
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestRun$/command-runs")
	cmd.Dir = filepath.Join(root, p.get("step"))
	cmd.Env = append(os.Environ(), programEnv+"="+p.place(t, root), "CI=", reportEnv+"=",
		stepEnv+"="+p.get("step"), "TMPDIR="+temporary)
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer writer.Close()
	require.NoError(t, reader.Close())
	cmd.Stdout, cmd.Stderr = writer, writer
	require.Error(t, cmd.Run())
	left, err := os.ReadDir(temporary)
	require.NoError(t, err)
	require.Empty(t, left)
}

// A verdict is what became of scripts, by their names.
type verdict struct {
	passed, failed, skipped []string
	log                     string
}

// judge requires that exactly those scripts fail that should.
func (p wrongProgram) judge(t *testing.T, v verdict) {
	require.NotEmpty(t, slices.Concat(v.passed, v.failed, v.skipped), "%s", v.log)
	if len(v.failed)+len(v.passed) == 0 {
		t.Skipf("skipped what it is about: %s", strings.Join(v.skipped, ", "))
	}
	want := remove(strings.Fields(p.text["fails"]), v.skipped...)
	slices.Sort(v.failed)
	require.Equal(t, want, v.failed, "%s", v.log)
}

// patience is how long a wrong program may take for a script. Some hang, and all the others are
// quick.
func patience() time.Duration { return fromUser().Timeout / 8 }

// readPrograms reads the programs with such names.
func readPrograms(t *testing.T, patterns ...string) (programs []wrongProgram) {
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join("testdata", "programs", pattern+".txtar"))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			p := wrongProgram{
				name: strings.TrimSuffix(filepath.Base(file), ".txtar"),
				text: map[string]string{},
			}
			for _, f := range archive.Files {
				p.text[f.Name] = string(f.Data)
			}
			programs = append(programs, p)
		}
	}
	return programs
}

// buildPrograms puts the programs into dir, under their names.
func buildPrograms(t *testing.T, dir, root string, programs []wrongProgram) {
	compiled := map[string]map[string][]byte{}
	for _, p := range programs {
		if script := p.text["program"]; script != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, p.name), []byte(script), 0o755))
		} else {
			compiled[p.name] = p.sources(t, root)
		}
	}
	require.NoError(t, BuildAll(t.Context(), dir, root, compiled))
}

// sources are the Go files of a program, by name.
func (p wrongProgram) sources(t *testing.T, root string) map[string][]byte {
	if source := p.text["main.go"]; source != "" {
		return map[string][]byte{"main.go": []byte(source)}
	}
	sources := goFiles(t, filepath.Join(root, p.get("step")))
	file, old := p.get("file"), []byte(p.get("old"))
	require.Equal(t, 1, bytes.Count(sources[file], old), "%s in %s", old, file)
	sources[file] = bytes.Replace(sources[file], old, []byte(p.get("new")), 1)
	return sources
}

// goFiles are the Go files of a step, by name.
func goFiles(t *testing.T, dir string) map[string][]byte {
	files, err := lessons.Files(dir)
	require.NoError(t, err)
	texts := map[string][]byte{}
	for _, file := range files {
		texts[file.Name] = []byte(file.Text)
	}
	return texts
}

// place writes a program to a directory of its own, and returns its path.
func (p wrongProgram) place(t *testing.T, root string) string {
	dir := t.TempDir()
	if script := p.text["program"]; script != "" {
		path := filepath.Join(dir, "program")
		require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
		return path
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	for name, text := range p.sources(t, root) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o644))
	}
	return dir
}

// ofEvents is the verdict of a check. What a step need not isolate yet does not fail it.
func ofEvents(events map[string]Event) (v verdict) {
	for _, e := range events {
		list := &v.passed
		switch {
		case e.Status == Skipped:
			list = &v.skipped
		case e.Status == Failed && !e.Script.NotYet():
			list = &v.failed
			v.log += e.Script.ID() + "\n" + e.Log + "\n"
		}
		*list = append(*list, e.Script.Name)
	}
	return v
}

// ofOutput is the verdict of go test, from its output.
func ofOutput(output []byte) verdict {
	scripts := func(result string) (names []string) {
		pattern := regexp.MustCompile(`(?m)^ *--- ` + result + `: TestRun/[^/\s]+/(\S+) `)
		for _, match := range pattern.FindAllSubmatch(output, -1) {
			names = append(names, string(match[1]))
		}
		return names
	}
	return verdict{
		passed:  scripts("PASS"),
		failed:  scripts("FAIL"),
		skipped: scripts("SKIP"),
		log:     string(output),
	}
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
		if isStale(group, cgroupPrefix) { // otherwise somebody else runs tests beside these
			state = append(state, group)
		}
	}
	return state
}
