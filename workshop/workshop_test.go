//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

func TestMain(m *testing.M) {
	if status, ok := asHelper(); ok {
		os.Exit(status)
	}
	if os.Getenv(changer) != "" {
		os.Exit(m.Run())
	}
	// Scripts wait about as long as they work. The flag -parallel says otherwise.
	if err := flag.Set("test.parallel", strconv.Itoa(harness.MostHosts())); err != nil {
		panic(err) // package testing has such a flag
	}
	testscript.Main(m, map[string]func(){"workshop": main})
}

// TestCommand runs the scripts in testdata, each in a module of its own. The condition sweep is for
// what takes long, and is tested in another way as well.
func TestCommand(t *testing.T) {
	t.Parallel()
	harness.NeedsGo(t)
	root, err := moduleRoot()
	require.NoError(t, err)
	shared := t.TempDir()
	require.NoError(t, copyModule(root, shared))
	home, cache := goEnv(t, "GOMODCACHE"), goEnv(t, "GOCACHE")
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GOMODCACHE", home)
			env.Setenv("GOCACHE", cache)
			env.Setenv("XDG_CACHE_HOME", filepath.Dir(cache))
			// Without the path of the module, the go command compiles our programs once for all
			// scripts.
			env.Setenv("GOFLAGS", "-mod=mod -trimpath")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("LC_ALL", "C.UTF-8")
			env.Cd = filepath.Join(env.WorkDir, "workshop")
			if err := os.MkdirAll(env.Cd, 0o755); err != nil {
				return err
			}
			return ownModule(shared, env.Cd)
		},
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "sweep":
				return skip.SweepAll(), nil
			case "few":
				return skip.Few(), nil
			}
			return false, fmt.Errorf("condition %q: there is none", condition)
		},
		RequireUniqueNames: true,
	})
}

// copyModule copies what the command needs of the module.
func copyModule(root, dir string) error {
	files, err := exec.Command("git", "-C", root, "ls-files", "-co", "--exclude-standard").Output()
	names := strings.Fields(string(files))
	if err != nil { // without git, or not in a repository
		names = []string{"go.mod", "go.sum", "testdata", "scripts", "image", "internal", "runtime"}
		steps, _ := filepath.Glob(filepath.Join(root, "step*"))
		for _, step := range steps {
			names = append(names, filepath.Base(step))
		}
	}
	// go test keeps a result until something changes that the tests looked at, and it does not see
	// what cp(1) looks at.
	for _, name := range names {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return err
		}
	}
	args := append([]string{"-a", "--parents"}, names...)
	cmd := exec.Command("cp", append(args, dir)...)
	cmd.Dir = root
	return cmd.Run()
}

// ownModule makes a module for one script of a copy that all share. The script may change the
// programs of the steps; the other directories are those of the copy.
func ownModule(shared, dir string) error {
	entries, err := os.ReadDir(shared)
	if err != nil {
		return err
	}
	args := []string{"-a"}
	for _, entry := range entries {
		from := filepath.Join(shared, entry.Name())
		if !entry.IsDir() || strings.HasPrefix(entry.Name(), "step") {
			args = append(args, from)
		} else if err := os.Symlink(from, filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return exec.Command("cp", append(args, dir)...).Run()
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// TestHints requires of each script that it has hints, and that the lines of our own step are
// there.
func TestHints(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	scripts, err := allScripts(root)
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	page := regexp.MustCompile(`[a-z_]+\([1-8]\)`)
	onlyGo := regexp.MustCompile(
		`\b(os|exec|syscall|unix|signal|errors|runtime|fmt|flag)\.[A-Z]\w*|` +
			`SysProcAttr|Cloneflags|goroutine`,
	)
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
		for _, text := range h.Hints {
			if word := onlyGo.FindString(text); word != "" {
				t.Errorf("%s: %q is for programs of Go alone", h.File, word)
			}
		}
		for _, reference := range h.Source {
			text, line, err := source(root, reference)
			switch {
			case err != nil:
				t.Errorf("%s: %v", h.File, err)
			case text == "" || line < 1 || strings.Count(text, "\n") > 150:
				t.Errorf(
					"%s: %s: line %d and %d more",
					h.File,
					reference,
					line,
					strings.Count(text, "\n"),
				)
			case !strings.HasPrefix(reference, s.Step+"/"):
				t.Errorf("%s: %s is not of this step", h.File, reference)
			}
		}
		for _, line := range h.Real {
			dir, sentence, _ := strings.Cut(line, ": ")
			require.DirExists(t, filepath.Join(root, dir), h.File)
			require.True(t, strings.HasSuffix(sentence, "."), "%s: %s", h.File, line)
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "testdata", "step*", "*.hints"))
	require.NoError(t, err)
	for _, file := range files {
		h, err := os.ReadFile(file)
		require.NoError(t, err)
		_, err = parseHints(file, string(h))
		require.NoError(t, err)
		if filepath.Base(file) != "any.hints" { // groups that may still be empty
			require.True(t, used[file], "%s: no script has these hints", file)
		}
	}
}

// TestRuntimeHints requires of the hints beside the scripts of the runtime that the lines they name
// are there.
func TestRuntimeHints(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "testdata", harness.Runtime, "*.hints"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		paragraphs := strings.Split(strings.TrimSpace(string(text)), "\n\n")
		require.Len(t, paragraphs, 4, file)
		for reference := range strings.SplitSeq(paragraphs[3], "\n") {
			_, _, err := source(root, reference)
			require.NoError(t, err, file)
		}
	}
}

// TestSubjects requires that the scripts whose hints are given for others are there.
func TestSubjects(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	names := []string{"step4-cgroups/memory-file", "step3-rootfs/rootfs-without-command"}
	for _, s := range subjects {
		names = append(names, s.script)
	}
	for _, name := range names {
		about, err := findScript(root, name)
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
		for line := range strings.Lines(string(text)) {
			if name := strings.TrimSpace(line); name != "" && !strings.HasPrefix(name, "chapter ") {
				require.FileExists(t, filepath.Join(filepath.Dir(file), name+".txtar"), file)
			}
		}
	}
}

func TestParseCommand(t *testing.T) {
	c := parseCommand(`[!cgroup2] ! exec container run sh -c 'echo ''a b''; exit'`)
	require.True(t, c.negated)
	require.Equal(t, "exec", c.name)
	require.Equal(t, []string{"container", "run", "sh", "-c", "echo 'a b'; exit"}, c.args)
	require.Equal(t, "container run true", commandLine("exits 0 container run true"))
	require.Equal(
		t,
		"container run sleep 1",
		commandLine("! exec container run sleep 1 &container&"),
	)
	require.Equal(t, "container run ''", commandLine("exits 2 container run ''"))
}

// TestExplain requires that the words for a failure say what the script wanted and what was seen.
func TestExplain(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	// event is that of the line of a script that begins so.
	event := func(id, line string, f harness.Failure) harness.Event {
		s, err := findScript(root, id)
		require.NoError(t, err)
		for f.Line = 1; !strings.HasPrefix(s.Line(f.Line), line); f.Line++ {
			require.Less(t, f.Line, 100, "no such line")
		}
		return harness.Event{Script: s, Status: harness.Failed, Failure: f}
	}
	rows := func(e harness.Event) string {
		x, err := explain(e)
		require.NoError(t, err)
		var lines []string
		for _, row := range x.rows() {
			lines = append(lines, row[0]+": "+row[1])
		}
		return strings.Join(lines, "\n")
	}
	ended := []harness.Background{
		{
			Command: "container run -pids 24 sleep 6100",
			State:   "exit status 2",
			Stderr:  "container: no flag -pids",
		},
	}

	text := rows(event("pids-file", "cgroup pids.max", harness.Failure{
		Ran: "! exec container run -pids 24 sleep 6100 &container&", Background: ended,
		Message: "no cgroup has 24 in pids.max",
	}))
	require.Contains(
		t,
		text,
		"ran: container run -pids 24 sleep 6100\nexpected: a cgroup whose file pids.max says 24\n",
	)
	require.Contains(
		t,
		text,
		"before: it had ended: exit status 2 (wrong usage)\nclue: -pids is a flag",
	)
	require.Contains(t, text, "stderr: container: no flag -pids")

	text = rows(event("pids-file", "wait container", harness.Failure{
		Ran: "exec pkill -KILL -x -f 'sleep 6100'", Message: "unexpected command success",
		Background: []harness.Background{
			{Command: "container run -pids 24 sleep 6100", State: "exit status 0"},
		},
	}))
	require.Contains(t, text, "ran: container run -pids 24 sleep 6100\n")
	require.Contains(
		t,
		text,
		"expected: the program in the background ends with an exit status other than 0\nseen: "+
			"exit status 0",
	)

	text = rows(event("pids-file", "cgroup pids.max", harness.Failure{
		Ran: "! exec container run -pids 24 sleep 6100 &container&", Message: "no cgroup has 24",
		Background: []harness.Background{
			{Command: "container run -pids 16 sleep 6100", Stderr: "it began\n"},
			{
				Command: "container run -pids 24 sleep 6100", State: "exit status 125",
				Stderr: "it exists\n",
			},
		},
	}))
	require.Contains(t, text, "stderr: it exists")

	text = rows(event("mounts-out", "! grep", harness.Failure{
		Ran: "exec container run sh -c 'mount -t tmpfs from-the-container /mnt; true'",
		Message: "unexpected match for `from-the-container` found in " +
			"/proc/self/mountinfo: from-the-container",
	}))
	require.Contains(t, text, `expected: /proc/self/mountinfo without "from-the-container"`)
	require.Contains(t, text, "seen: there it is: from-the-container")

	for _, b := range []struct {
		state, stderr string
		says          bool
	}{
		{"exit status 1", "container: exec \"-pids\": executable file not found\n", true},
		{"exit status 2", "container: no flag -pids\n", true},
		{"exit status 0", "", true},
		{"exit status 1", "container: -pids 24: mkdir /sys/fs/cgroup/mine: no such file\n", false},
		{"exit status 1", "container: too few pids\n", false},
		{"", "", false},
	} {
		text = rows(event("pids-file", "cgroup pids.max", harness.Failure{
			Ran: "! exec container run -pids 24 sleep 6100 &container&",
			Background: []harness.Background{
				{Command: "container run -pids 24 sleep 6100", State: b.state, Stderr: b.stderr},
			},
		}))
		require.Equal(t, b.says, strings.Contains(text, "clue: -pids is a flag of your own"), text)
	}

	for id, lines := range map[string][]struct {
		made    []string
		refused []harness.Refusal
		says    string
	}{
		"step2-namespaces/mounts-out": {
			{made: nil, says: "Nobody asked for a mount namespace"},
			{made: []string{"clone(CLONE_NEWNS)"}, says: "still shared with the host"},
		},
		"step3-rootfs/root-is-rootfs": {
			{made: nil, says: "None of your processes has changed its root"},
			{made: []string{`chroot("/")`}, says: `chroot(2) was given "/"`},
			{
				refused: []harness.Refusal{
					{Call: "chroot", Text: `chroot("./tree")`, Errno: "ENOENT"},
					{Call: "umount2", Text: `umount2("/proc")`, Errno: "EINVAL"},
				},
				says: `It looks for "./tree"`,
			},
		},
	} {
		for _, l := range lines {
			text = rows(event(id, map[bool]string{true: "! grep", false: "stdout 'from"}[id ==
				"step2-namespaces/mounts-out"], harness.Failure{
				Ran: "exec container run cat /letter", Message: "no match", Stderr: "no such file",
				Conduct: &harness.Conduct{
					Made: l.made, Refused: l.refused, Ran: []string{"/usr/bin/cat"},
				},
			}))
			require.Contains(t, text, l.says)
		}
	}

	panics := "panic: no\n\ngoroutine 1 [running]:\nmain.main()\n\t/home/me/main.go:9 +0x1d\n"
	text = rows(
		event(
			"step1-skeleton/exit-status",
			"exits 42",
			harness.Failure{Message: "container run: exit status 2, want 42", Stderr: panics},
		),
	)
	require.Contains(t, text, "seen: exit status 2 (a panic)")
	text = rows(event("step1-skeleton/exit-status", "exits 42", harness.Failure{
		Message: "container run: exit status 2, want 42",
		Stderr:  "true: I may not\n" + panics,
	}))
	require.Contains(t, text, "stderr: true: I may not", "what the command said before")
	text = rows(
		event(
			"exit-status-signal",
			"exits 137",
			harness.Failure{Message: "sh killed.sh: exit status 255, want 137"},
		),
	)
	require.Contains(
		t,
		text,
		"expected: exit status 137 (ended by signal 9, KILL)\nseen: exit status 255 (-1 as a "+
			"byte: Go's ExitCode",
	)
	text = rows(
		event(
			"exit-status-signal",
			"exits 137",
			harness.Failure{Message: "sh killed.sh: exit status 247, want 137"},
		),
	)
	require.Contains(
		t,
		text,
		"seen: exit status 247 (-9 as a byte: in many languages that stands for signal 9)",
	)

	text = rows(
		event("ps-alone", "stdout '^ *1 '", harness.Failure{Message: "no match", Stdout: "PID"}),
	)
	require.Contains(t, text, `expected: a line that begins with "1 " on standard output`)

	e := event("command-runs", "exec container", harness.Failure{Tasks: harness.MaxTasks()})
	require.Contains(t, rows(e), "does the second copy of the program start a copy again")

	if !harness.HasCgroup2() {
		e := event(
			"memory-file",
			"[!cgroup2] cgroup",
			harness.Failure{Background: []harness.Background{
				{Stderr: "container: mkdir /sys/fs/cgroup/mine: read-only file system\n"},
			}},
		)
		require.Contains(t, rows(e), "clue: This machine has version 1 of cgroups")
	}
}
