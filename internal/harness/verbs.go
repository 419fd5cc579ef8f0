//go:build linux

package harness

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// A verb is a command of the scripts.
type verb = func(ts *testscript.TestScript, neg bool, args []string)

// verbs are the commands of the scripts that testscript does not have.
var verbs = map[string]verb{
	"cgroup":  cgroup,
	"exits":   exits,
	"running": running,
	"tool":    tool,
	"until":   until,
}

// cgroup is the command `cgroup FILE VALUE`: it waits for a cgroup on the host that has a file of
// that name whose first word is the value.
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
	}, nobodyLeft) {
		ts.Fatalf("no cgroup has %s in %s; there are:\n%s", args[1], args[0],
			strings.Join(seen, "\n"))
	}
}

// exits is the command `exits N PROGRAM [ARG...]`: the program must exit with status N, or be ended
// by signal N-128.
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

// rootfs is the command `rootfs [DIR]`: it makes a root file system, with /bin/probe in it. The
// script is skipped if the program cannot use one here.
func (t *trial) rootfs(ts *testscript.TestScript, neg bool, args []string) {
	dir := "rootfs"
	if neg || len(args) > 1 {
		ts.Fatalf("usage: rootfs [DIR]")
	}
	if len(args) == 1 {
		dir = args[0]
	}
	lack, err := lackOfIDMaps()
	ts.Check(err)
	if lack != "" {
		t.missing = append(t.missing, lack)
		t.Skip("no idmapped mount of the root file system")
	}
	ts.Check(makeRootfs(ts.MkAbs(dir)))
}

// spareRootfs is the root file system that lies on the throw-away host for the next script.
var spareRootfs = sync.OnceValue(func() *spare {
	return &spare{path: filepath.Join(now().Dir, "work", "spare-rootfs")}
})

// makeRootfs makes a root file system in a directory that is not there yet.
func makeRootfs(to string) error { return spareRootfs().give(to, copyRootfs) }

// copyRootfs copies the root file system of this host, and adds the probe.
func copyRootfs(to string) error {
	from, err := filepath.EvalSymlinks(filepath.Join(now().Dir, "rootfs"))
	probe := filepath.Join("bin", "probe")
	return errors.Join(err, copyTree(from, to),
		copyProgram(filepath.Join(now().Dir, probe), filepath.Join(to, probe)))
}

// copyTree copies directories, links and files, with their modes.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		switch entry.Type() {
		case fs.ModeSymlink:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target)
		case fs.ModeDir:
			info, err := entry.Info()
			if err != nil {
				return err
			}
			return errors.Join(os.Mkdir(target, 0o700), os.Chmod(target, info.Mode()))
		case 0:
			return copyProgram(path, target)
		}
		return fmt.Errorf("copy %s: not a directory, a link or a file", path)
	})
}

// copyProgram copies a file, with its mode.
func copyProgram(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	// whatever the umask of this process is
	return errors.Join(err, target.Chmod(info.Mode()), target.Close())
}

// running is the command `running 'COMMAND LINE'`: it waits for a process on the host to run that,
// by its name or by its whole path. With ! it waits until none does.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] running 'COMMAND LINE'")
	}
	runs := func() bool { return isRunning(args[0]) }
	never := func() bool { return false }
	switch {
	case neg && !eventually(func() bool { return !runs() }, never):
		ts.Fatalf("a process still runs %q", args[0])
	case !neg && !eventually(runs, nobodyLeft):
		ts.Fatalf("no process runs %q", args[0])
	}
}

// isRunning tells whether a process runs a command line, given with or without its directory.
func isRunning(line string) bool {
	for _, pid := range pidsInSight() {
		cmdline, _ := os.ReadFile(procPath(pid, "cmdline"))
		words := strings.ReplaceAll(strings.TrimRight(string(cmdline), "\x00"), "\x00", " ")
		path, _, _ := strings.Cut(words, " ")
		named := filepath.Base(path) + strings.TrimPrefix(words, path)
		if pid != os.Getpid() && (words == line || named == line) {
			return true
		}
	}
	return false
}

// tool is the command `tool NAME`: the program of that name in the module is on the host, too. It
// was built before the host was made (see buildTools).
func tool(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tool NAME")
	}
	_, err := os.Stat(filepath.Join(now().Dir, "bin", args[0]))
	ts.Check(err)
}

// until is the command `until PROGRAM [ARG...]`: it runs the program again and again, until it
// succeeds.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: until PROGRAM [ARG...]")
	}
	var last []byte
	if !eventually(func() bool {
		path, err := lookPath(args[0], ts.Getenv("PATH"))
		ts.Check(err)
		cmd := exec.Command(path, args[1:]...)
		cmd.Dir = ts.MkAbs(".")
		last, err = cmd.CombinedOutput()
		return err == nil
	}, nobodyLeft) {
		ts.Fatalf("%s: did not succeed\n%s", strings.Join(args, " "), last)
	}
}

// lookPath finds a program in the directories of path.
func lookPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		info, err := os.Stat(file)
		if err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return exec.LookPath(name)
}

// nobodyLeft tells whether all that the script had started has ended. What is awaited then comes no
// more.
func nobodyLeft() bool {
	for _, pid := range pidsInSight() {
		if state := statField(pid, 3); pid != os.Getpid() && state != "" &&
			!strings.Contains("ZX", state) {
			return false
		}
	}
	return true
}
