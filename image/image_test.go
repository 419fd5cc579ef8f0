//go:build linux

package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// The scripts run twice: as root, and as an ordinary user that has ids in subuid(5). Each runs in a
// mount namespace in which nothing of the host can be written to but their directory.
const (
	ordinaryUser = 12345
	namespaceEnv = "IMAGE_TEST_NAMESPACE" // tells that the tests run in one of their own
)

func TestMain(m *testing.M) {
	if os.Args[0] == waiting {
		status, _ := inUserNamespace()
		os.Exit(status)
	}
	commands := map[string]func(){
		"change":   change,
		"engine":   engine,
		"files":    printDirectory,
		"image":    main,
		"makefile": makeFile,
		"pack":     packLayers,
		"tree":     printTree,
	}
	if _, isCommand := commands[filepath.Base(os.Args[0])]; !isCommand {
		startInNamespace()
		moreAtOnce()
	}
	testscript.Main(m, commands)
}

// moreAtOnce runs more tests at once than there are processors, unless the user says how many:
// scripts wait about as long as they work.
func moreAtOnce() {
	flag.Parse()
	isSet := false
	flag.Visit(func(f *flag.Flag) { isSet = isSet || f.Name == "test.parallel" })
	if !isSet {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.NumCPU()))
	}
}

// confine makes the machine read-only for the thread of a script, and for all that it starts.
func confine(place string) error {
	runtime.LockOSThread() // the thread ends with the script
	set := func(dir string, attr unix.MountAttr) error {
		return unix.MountSetattr(unix.AT_FDCWD, dir, unix.AT_RECURSIVE, &attr)
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	return errors.Join(
		set("/", unix.MountAttr{
			Attr_set:    unix.MOUNT_ATTR_RDONLY,
			Propagation: unix.MS_PRIVATE,
		}),
		set(place, unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}),
		set("/proc", unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}), // for newuidmap
	)
}

// become makes an ordinary user of the thread of a script, and gives him its files. The other
// threads stay root: the system call is about one (setresuid(2), C library/kernel differences).
func become(user int, dir string) error {
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, user, user)
	})
	if err != nil {
		return err
	}
	id := uintptr(user)
	for _, call := range [][4]uintptr{
		{unix.SYS_SETGROUPS, 0, 0, 0},
		{unix.SYS_SETRESGID, id, id, id},
		{unix.SYS_SETRESUID, id, id, id},
	} {
		if _, _, errno := unix.RawSyscall(call[0], call[1], call[2], call[3]); errno != 0 {
			return fmt.Errorf("become %d: %w", user, errno)
		}
	}
	return nil
}

// startInNamespace starts the tests again in a mount namespace.
func startInNamespace() {
	if os.Geteuid() != 0 || os.Getenv(namespaceEnv) != "" {
		return
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), namespaceEnv+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Unshareflags: unix.CLONE_NEWNS,
		Pdeathsig:    unix.SIGKILL,
	}
	if err := cmd.Run(); cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "mount namespace:", err)
		os.Exit(1)
	}
	os.Exit(cmd.ProcessState.ExitCode())
}

// TestScripts runs the scripts in testdata/image; those that begin with root- as root only.
func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, for owners and mounts")
	}
	t.Parallel()
	place := newPlace(t)
	t.Run("root", func(t *testing.T) { place.run(t, 0) })
	t.Run("user", func(t *testing.T) { place.run(t, ordinaryUser) })
}

// sameForAll are scripts about names, the command line, archives, and what a registry says.
var sameForAll = regexp.MustCompile(`^(limits|names|pull-.*|registry|save-load|tag|usage)\.txtar$`)

// place is where the scripts run.
type place struct{ scripts, work string }

// newPlace mounts a tmpfs for the scripts.
func newPlace(t *testing.T) place {
	scripts, err := filepath.Abs("../testdata/image")
	require.NoError(t, err)
	work := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(work), 0o755)) // for the ordinary user
	mountWork(t, work)
	program, err := exec.LookPath("image")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(filepath.Dir(filepath.Dir(program)), 0o755))
	passwd, err := os.ReadFile("/etc/passwd")
	require.NoError(t, err)
	user := fmt.Sprintf("ordinary:x:%[1]d:%[1]d::/:/bin/sh\n", ordinaryUser)
	ids := fmt.Sprintf("%d:200000:65536\n", ordinaryUser)
	for file, text := range map[string]string{
		"/etc/passwd": string(passwd) + user,
		"/etc/subuid": ids,
		"/etc/subgid": ids,
	} {
		ours := filepath.Join(work, filepath.Base(file))
		require.NoError(t, os.WriteFile(ours, []byte(text), 0o644))
		if err := unix.Mount(ours, file, "", unix.MS_BIND, ""); err != nil {
			t.Logf("%s: %v", file, err)
		}
	}
	return place{scripts: scripts, work: work}
}

// mountWork mounts a tmpfs, or a directory on the disk where a tmpfs has no attributes user.*, as
// before Linux 6.6.
func mountWork(t *testing.T, work string) {
	require.NoError(t, unix.Mount("tmpfs", work, "tmpfs", 0, "mode=0755"))
	if errors.Is(unix.Setxattr(work, "user.x", nil, 0), unix.ENOTSUP) {
		disk, err := os.MkdirTemp("/var/tmp", "image-*")
		require.NoError(t, err)
		t.Cleanup(func() { os.RemoveAll(disk) })
		require.NoError(t, os.Chmod(disk, 0o755))
		require.NoError(t, unix.Unmount(work, 0))
		require.NoError(t, unix.Mount(disk, work, "", unix.MS_BIND, ""))
	} else {
		require.NoError(t, unix.Removexattr(work, "user.x"))
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(work, unix.MNT_DETACH)) })
}

// verbs are those of the scripts that are not programs.
var verbs = func() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	all := maps.Clone(registryVerbs)
	// become USER makes an ordinary user of root.
	all["become"] = func(ts *testscript.TestScript, _ bool, args []string) {
		user, err := strconv.Atoi(args[0])
		ts.Check(err)
		ts.Check(become(user, ts.MkAbs(".")))
	}
	return all
}()

func (p place) run(t *testing.T, user int) {
	t.Parallel()
	if user != 0 {
		skip.Tool(t, "newuidmap", "uidmap")
	}
	scripts, err := filepath.Glob(filepath.Join(p.scripts, "*.txtar"))
	require.NoError(t, err)
	if user != 0 {
		scripts = slices.DeleteFunc(scripts, func(script string) bool {
			name := filepath.Base(script)
			return strings.HasPrefix(name, "root-") ||
				!skip.SweepAll() && sameForAll.MatchString(name)
		})
		t.Logf("%d scripts (with SWEEP=all also those in which the user makes no difference)",
			len(scripts))
	}
	work := filepath.Join(p.work, strconv.Itoa(user))
	require.NoError(t, os.Mkdir(work, 0o755))
	testscript.Run(t, testscript.Params{
		Files:       scripts,
		WorkdirRoot: work,
		Cmds:        verbs,
		Condition: func(name string) (bool, error) {
			if name == "user" {
				return user != 0, nil
			}
			if name == "podman" {
				return p.runsPodman(t), nil
			}
			_, err := exec.LookPath(name) // a peer
			return err == nil, nil
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("CONTAINER_IMAGES", filepath.Join(env.WorkDir, "images"))
			env.Setenv("HOME", env.WorkDir)
			env.Values[registryKey{}] = new(*faultyRegistry)
			if err := confine(p.work); err != nil || user == 0 {
				return err
			}
			return become(user, env.WorkDir)
		},
	})
}

// runsPodman finds out whether podman is there, and able to keep images here.
func (p place) runsPodman(t *testing.T) bool {
	cmd := exec.Command("engine", "podman", "images")
	cmd.Dir = p.work
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("podman images: %v: %s", err, said)
	}
	return err == nil
}

// lines calls do for each line of a file that is not empty and no comment.
func lines(path string, do func(string) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		if line := scanner.Text(); line != "" && line[0] != '#' {
			if err := do(line); err != nil {
				return fmt.Errorf("%s: %q: %w", path, line, err)
			}
		}
	}
	return scanner.Err()
}
