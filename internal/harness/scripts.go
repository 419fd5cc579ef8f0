//go:build linux

package harness

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// scriptTimeout is the time after which a script that hangs is ended.
func scriptTimeout() time.Duration {
	if timeout, err := time.ParseDuration(os.Getenv(TimeoutEnv)); err == nil {
		return timeout
	}
	return time.Minute
}

// Run runs the scripts of all the steps up to the one of the package being tested, which is the working
// directory, as subtests step/script. It must run under Main.
func Run(t *testing.T) {
	wd, err := os.Getwd()
	require.NoError(t, err)
	root, err := ModuleRoot()
	require.NoError(t, err)
	// go test keeps a result until something changes that the tests looked at: look at what the other
	// stages use.
	for _, name := range []string{programEnv, reportEnv, TimeoutEnv, prebuiltEnv, "CI", "PATH"} {
		_ = os.Getenv(name)
	}
	// The program is among that: the test binary contains next to nothing of it.
	for _, pattern := range []string{
		"scripts/mkrootfs.sh", "internal/harness/probe/*.go", filepath.Base(wd) + "/*.go", filepath.Base(wd) + "/*/*.[gs]*",
	} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		for _, file := range files {
			_, err := os.Stat(file)
			require.NoError(t, err)
		}
	}
	scripts, err := Scripts(root, filepath.Base(wd))
	require.NoError(t, err)
	for len(scripts) > 0 {
		step := scripts[0].Step
		n := slices.IndexFunc(scripts, func(s Script) bool { return s.Step != step })
		if n < 0 {
			n = len(scripts)
		}
		t.Run(step, func(t *testing.T) {
			for _, script := range scripts[:n] {
				run(t, script)
			}
		})
		scripts = scripts[n:]
	}
	if os.Getenv(programEnv) != "" {
		return // the demos show our own programs
	}
	demos, err := Demos(root)
	require.NoError(t, err)
	t.Run("demos", func(t *testing.T) {
		for _, demo := range demos {
			if demo.Program == filepath.Base(wd) {
				run(t, demo.Script)
			}
		}
	})
}

// run runs one script, and fails it when it leaves something behind.
func run(t *testing.T, script Script) {
	s := &scriptT{T: t, asker: asker{name: script.ID()}}
	testscript.RunT(s, params(script.File, s.condition))
}

// params are those of a script on the throw-away host.
func params(script string, condition func(string) (bool, error)) testscript.Params {
	dir := os.Getenv(dirEnv)
	return testscript.Params{
		Files:       []string{script},
		WorkdirRoot: filepath.Join(dir, "work"),
		Setup: func(env *testscript.Env) error {
			// The applets of the rootfs serve a host that lacks, say, hostname.
			env.Setenv("PATH", filepath.Join(dir, "bin")+":"+os.Getenv("PATH")+":"+filepath.Join(dir, "rootfs", "bin"))
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"rootfs":  rootfs,
			"exits":   exits,
			"running": running,
			"cgroup":  cgroup,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	}
}

// asker answers the conditions of a script, and remembers what it found missing.
type asker struct {
	name    string   // step/script
	missing []string // what the conditions of the script found missing on the machine
	// ofProgram tells that it was the program in which the last of them found something missing.
	ofProgram bool
	notBuilt  string // a flag that the program does not take yet
}

// scriptT is a test that runs one script at a time, because they share the host, and looks at the host
// before and after.
type scriptT struct {
	*testing.T
	asker
	visit *visit
}

func (s *scriptT) Parallel()     {}
func (s *scriptT) Verbose() bool { return testing.Verbose() }

func (s *scriptT) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) {
		v, err := beginVisit(name)
		require.NoError(t, err)
		defer func() {
			complaints, err := v.end(t.Failed())
			for _, complaint := range complaints {
				t.Error(complaint)
			}
			require.NoError(t, err)
			if !t.Skipped() {
				record(s.name, "ran")
			}
		}()
		s.T, s.visit = t, v
		f(s)
	})
}

// FailNow is called when a line has failed, before what is in the background is awaited.
func (s *scriptT) FailNow() {
	s.visit.fail()
	s.T.FailNow()
}

// Skip skips the script, unless the machine has all that it needs and CI=true asks for all that can run.
func (s *scriptT) Skip(args ...any) {
	s.Helper()
	lacking := len(s.missing) > 0
	if s.notBuilt != "" && os.Getenv(programEnv) == "" {
		lacking = false // our own programs have all flags
	}
	if !lacking && os.Getenv("CI") == "true" {
		s.Fatal("skipped, but nothing is missing here: ", fmt.Sprint(args...))
	}
	reason := fmt.Sprint(args...)
	if len(s.missing) > 0 {
		reason += ": " + strings.Join(s.missing, ", ")
	}
	record(s.name, "skipped "+reason)
	s.T.Skip(reason)
}

// condition answers the conditions that are ours.
func (s *asker) condition(name string) (bool, error) {
	if flag, ok := strings.CutPrefix(name, flagPrefix); ok {
		takes, err := takesFlag(flag)
		if !takes && err == nil {
			s.missing, s.ofProgram = append(s.missing, "not built yet: -"+flag), true
			s.notBuilt = flag
		}
		return takes, err
	}
	check, ok := conditions[name]
	if !ok {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	why := check()
	if why != "" {
		s.missing, s.ofProgram = append(s.missing, why), name == "ours" || name == "flags"
	}
	return why == "", nil
}

// conditions say what is missing for them, by trying it.
var conditions = map[string]func() (missing string){
	"user": func() string {
		if err := try(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}); err != nil {
			return "user namespaces: " + err.Error()
		}
		return ""
	},
	"time": func() string {
		host, _ := os.Readlink("/proc/self/ns/time")
		cmd := exec.Command("readlink", "/proc/self/ns/time")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: 0x80} // CLONE_NEWTIME
		inside, err := cmd.Output()
		if err != nil || strings.TrimSpace(string(inside)) == host {
			return "execve(2) does not enter one before Linux 6.2"
		}
		return ""
	},
	"root": func() string {
		if ids, _ := os.ReadFile("/proc/self/uid_map"); strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295" {
			return "only root of the machine may do this"
		}
		return ""
	},
	"cgroups": func() string {
		why, _ := missingCgroups()
		return why
	},
	"cgroup2": func() string {
		if _, err := os.Stat(filepath.Join(cgroupFS, "cgroup.controllers")); err != nil {
			return "cgroup version 2"
		}
		return ""
	},
	"iproute2": func() string {
		if out, _ := exec.Command("ip", "-V").CombinedOutput(); !strings.Contains(string(out), "iproute2") {
			return "iproute2" // that of BusyBox cannot make a pair of interfaces
		}
		return ""
	},
	"swap": func() string {
		for _, file := range []string{"harness/memory.swap.max", "memory/memory.memsw.limit_in_bytes"} {
			if _, err := os.Stat(filepath.Join(cgroupFS, file)); err == nil {
				return ""
			}
		}
		return "swap accounting"
	},
	"ours": func() string {
		if os.Getenv(programEnv) != "" {
			return "this program is not one of the workshop's own"
		}
		return ""
	},
	// The program under test takes the flags of ours, and not only a command as the article's does.
	"flags": func() string {
		if os.Getenv(programEnv) == "" {
			return ""
		}
		dir := os.Getenv(dirEnv)
		cmd := exec.Command(filepath.Join(dir, "bin", "container"), "run", "-ns", "uts,pid,mnt", "-hostname", "workshop", "true")
		cmd.Dir = dir // where there is a rootfs
		if err := cmd.Run(); err != nil {
			return "this program does not take -ns and -hostname"
		}
		return ""
	},
}

// try starts a program with these attributes.
func try(attr *syscall.SysProcAttr) error {
	cmd := exec.Command(filepath.Join(os.Getenv(dirEnv), "bin", "probe"), "true")
	cmd.SysProcAttr = attr
	return cmd.Run()
}

// rootfs is the command `rootfs [DIR]`: it makes a root file system, with /bin/probe in it.
func rootfs(ts *testscript.TestScript, neg bool, args []string) {
	dir := "rootfs"
	if neg || len(args) > 1 {
		ts.Fatalf("usage: rootfs [DIR]")
	}
	if len(args) == 1 {
		dir = args[0]
	}
	from := os.Getenv(dirEnv)
	ts.Check(exec.Command("cp", "-a", filepath.Join(from, "rootfs"), ts.MkAbs(dir)).Run())
	ts.Check(exec.Command("cp", filepath.Join(from, "bin", "probe"), filepath.Join(ts.MkAbs(dir), "bin", "probe")).Run())
}

// exits is the command `exits N PROGRAM [ARG...]`: the program must exit with status N, or be ended by
// signal N-128.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N PROGRAM [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	status := 0
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		status = exit.ExitCode()
		if ws := exit.Sys().(syscall.WaitStatus); ws.Signaled() {
			status = 128 + int(ws.Signal())
		}
	} else {
		ts.Check(err)
	}
	if status != want {
		ts.Fatalf("%s: exit status %d, want %d", strings.Join(args[1:], " "), status, want)
	}
}

// running is the command `running 'COMMAND LINE'`: it waits for a process on the host to run that.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: running 'COMMAND LINE'")
	}
	if !eventually(func() bool {
		for _, pid := range processes() {
			cmdline, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
			if strings.ReplaceAll(strings.TrimRight(string(cmdline), "\x00"), "\x00", " ") == args[0] {
				return true
			}
		}
		return false
	}) {
		ts.Fatalf("no process runs %q", args[0])
	}
}

// cgroup is the command `cgroup FILE VALUE`: it waits for a cgroup on the host that has a file of that
// name whose first word is the value.
func cgroup(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: cgroup FILE VALUE")
	}
	var seen []string
	if !eventually(func() bool {
		seen = nil
		for _, dir := range cgroupDirs() {
			if text, err := os.ReadFile(filepath.Join(dir, args[0])); err == nil {
				value, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
				if value == args[1] {
					return true
				}
				seen = append(seen, fmt.Sprintf("%s: %s", dir, value))
			}
		}
		return false
	}) {
		ts.Fatalf("no cgroup has %s in %s; there are:\n%s", args[1], args[0], strings.Join(seen, "\n"))
	}
}

// eventually waits for a condition, for as long as a slow machine may take to start a container.
func eventually(condition func() bool) bool {
	for range 500 {
		if condition() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

// record tells the first stage what became of a script.
func record(script, result string) {
	_, _ = unix.Write(reportFd, []byte(script+" "+result+"\n"))
}

// printReport prints how many scripts ran and why others did not: on stdout, which go test shows for a
// failure or with -v; and if some did not, on the terminal too, if there is one.
func printReport(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var lines, skipped []string
	tried := 0
	for scanner := bufio.NewScanner(f); scanner.Scan(); {
		script, result, _ := strings.Cut(scanner.Text(), " ")
		if number, ok := strings.CutPrefix(result, "tried "); ok {
			n, _ := strconv.Atoi(number) // as Tried wrote it
			tried += n
			continue
		}
		lines = append(lines, scanner.Text())
		if strings.HasPrefix(result, "skipped") {
			skipped = append(skipped, "  "+script+" "+result)
		}
	}
	wd, _ := os.Getwd()
	slices.Sort(skipped)
	summary := fmt.Sprintf("%s: %d scripts ran, %d skipped", filepath.Base(wd), len(lines)-len(skipped), len(skipped))
	if tried > 0 {
		summary += fmt.Sprintf(", %d faults tried", tried)
	}
	summary += "\n"
	if len(skipped) > 0 {
		summary += strings.Join(skipped, "\n") + "\n"
	}
	fmt.Print(summary)
	if tty, err := os.OpenFile("/dev/tty", os.O_WRONLY, 0); err == nil && len(skipped) > 0 {
		fmt.Fprint(tty, summary)
		tty.Close()
	}
	if name := os.Getenv(reportEnv); name != "" {
		report, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err != nil {
			return err
		}
		defer report.Close()
		for _, line := range lines {
			fmt.Fprintln(report, filepath.Base(wd), line)
		}
	}
	return nil
}
