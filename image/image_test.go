//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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

// The scripts run twice: as root, and as an ordinary user that has ids in subuid(5). Their programs
// run in a mount namespace in which nothing of the host can be written to but their directory.
const (
	ordinaryUser = 12345
	userEnv      = "IMAGE_TEST_USER"  // the program is to run as that user
	placeEnv     = "IMAGE_TEST_PLACE" // and may write in that directory
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
	for name, run := range commands {
		commands[name] = func() {
			confine()
			run()
		}
	}
	if _, isCommand := commands[filepath.Base(os.Args[0])]; !isCommand {
		startInNamespace()
	}
	testscript.Main(m, commands)
}

// confine makes the machine read-only for a program of a script, and an ordinary user of it if the
// script is one of his. Then it is executed again: a change of the user takes from a process what
// others may see of it, and only an execve(2) gives it back.
func confine() {
	place := os.Getenv(placeEnv)
	if place == "" || place == inNamespace {
		return
	}
	os.Unsetenv(placeEnv)
	runtime.LockOSThread() // unshare(2) is about one thread
	id, err := strconv.Atoi(os.Getenv(userEnv))
	set := func(dir string, attr unix.MountAttr) func() error {
		return func() error {
			return unix.MountSetattr(unix.AT_FDCWD, dir, unix.AT_RECURSIVE, &attr)
		}
	}
	for _, step := range []func() error{
		func() error { return unix.Unshare(unix.CLONE_NEWNS) },
		set("/", unix.MountAttr{
			Attr_set:    unix.MOUNT_ATTR_RDONLY,
			Propagation: unix.MS_PRIVATE,
		}),
		set(place, unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}),
		set("/proc", unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}), // for newuidmap
		func() error { return syscall.Setgroups(nil) },
		func() error { return syscall.Setresgid(id, id, id) },
		func() error { return syscall.Setresuid(id, id, id) },
		func() error { return unix.Exec("/proc/self/exe", os.Args, os.Environ()) },
	} {
		if err == nil {
			err = step()
		}
	}
	fmt.Fprintln(os.Stderr, "confine:", err)
	os.Exit(1)
}

const inNamespace = "yes"

// startInNamespace starts the tests again in a mount namespace.
func startInNamespace() {
	if os.Geteuid() != 0 || os.Getenv(placeEnv) != "" {
		return
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), placeEnv+"="+inNamespace)
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
	place := newPlace(t)
	t.Run("root", func(t *testing.T) { place.run(t, 0) })
	t.Run("user", func(t *testing.T) { place.run(t, ordinaryUser) })
}

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

func (p place) run(t *testing.T, user int) {
	if user != 0 {
		skip.Tool(t, "newuidmap", "uidmap")
	}
	scripts, err := filepath.Glob(filepath.Join(p.scripts, "*.txtar"))
	require.NoError(t, err)
	if user != 0 {
		scripts = slices.DeleteFunc(scripts, func(script string) bool {
			return strings.HasPrefix(filepath.Base(script), "root-")
		})
	}
	work := filepath.Join(p.work, strconv.Itoa(user))
	require.NoError(t, os.Mkdir(work, 0o755))
	testscript.Run(t, testscript.Params{
		Files:       scripts,
		WorkdirRoot: work,
		Cmds:        registryVerbs,
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
			env.Setenv(userEnv, strconv.Itoa(user))
			env.Setenv(placeEnv, p.work)
			env.Values[registryKey{}] = new(*faultyRegistry)
			return filepath.WalkDir(env.WorkDir, func(path string, _ os.DirEntry, err error) error {
				if err != nil {
					return err
				}
				return os.Lchown(path, user, user)
			})
		},
	})
}

// runsPodman finds out whether podman is there, and able to keep images here.
func (p place) runsPodman(t *testing.T) bool {
	cmd := exec.Command("engine", "podman", "info")
	cmd.Dir = p.work
	cmd.Env = append(os.Environ(), userEnv+"=0", placeEnv+"="+p.work)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("podman info: %v: %s", err, said)
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
