//go:build linux

package harness

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/inject"
)

// TestConduct tells what is news of the calls of a program.
func TestConduct(t *testing.T) {
	const atFDCWD = 1<<32 - 100 // as an argument of 32 bits
	parents := []int{0, 0, 1, 0}
	call := func(process, number int, text string, errno unix.Errno) inject.Call {
		first := uint64(atFDCWD) // the argument
		if number == unix.SYS_UNSHARE {
			first = unix.CLONE_NEWNS
		}
		c := inject.Call{Text: text, Errno: errno, Args: [6]uint64{first}}
		c.Process, c.Parent, c.Number = process, parents[process], number
		return c
	}
	c := conduct([]inject.Call{
		// What one process looks for in several directories is no news when it is found, and what
		// another one did not find is.
		call(1, unix.SYS_EXECVE, `execve("/bin/bash")`, unix.ENOENT),
		call(2, unix.SYS_EXECVE, `execve("/usr/local/bin/env")`, unix.ENOENT),
		call(2, unix.SYS_EXECVE, `execve("/usr/bin/env")`, 0),
		// Python does without a directory for what it has compiled, and mount(8) without one for
		// its notes.
		call(0, unix.SYS_MKDIRAT, `mkdirat(-100, "/usr/lib/python3/__pycache__")`, unix.EROFS),
		call(0, unix.SYS_MKDIRAT, `mkdirat(-100, "/run/mount")`, unix.EROFS),
		// The runtime of a language opens the files of its limits. A program asks for the
		// directory.
		call(0, unix.SYS_OPENAT, `openat(-100, "/sys/fs/cgroup/cpu.max")`, unix.ENOENT),
		call(0, unix.SYS_NEWFSTATAT, `newfstatat(-100, "/sys/fs/cgroup/pids")`, unix.ENOENT),
	}, []string{"container", "run", "true"}, "")
	var refused []string
	for _, r := range c.Refused {
		refused = append(refused, r.Text)
	}
	require.Equal(t, []string{
		`execve("/bin/bash")`, `newfstatat(AT_FDCWD, "/sys/fs/cgroup/pids")`,
	}, refused)
	require.Equal(t, []string{"/usr/bin/env"}, c.Ran)

	// A question has an answer, which is no failure.
	c = conduct([]inject.Call{
		call(0, unix.SYS_READLINKAT, `readlinkat(-100, "/old")`, unix.EINVAL),
		call(0, unix.SYS_EPOLL_CTL, `epoll_ctl(5, 1, 4)`, unix.EPERM),
		call(0, unix.SYS_READLINKAT, `readlinkat(-100, "/new")`, unix.ELOOP),
	}, []string{"container", "run", "true"}, "")
	require.Len(t, c.Others, 1)
	require.Equal(t, `readlinkat(AT_FDCWD, "/new")`, c.Others[0].Text)

	// Of chroot(2) only the process that made it is inside, and what it starts.
	c = conduct([]inject.Call{
		call(1, unix.SYS_CHROOT, `chroot("rootfs")`, 0),
		call(1, unix.SYS_EXECVE, `execve("/bin/sh")`, 0),
		call(2, unix.SYS_EXECVE, `execve("/bin/false")`, 0),
		call(3, unix.SYS_EXECVE, `execve("/usr/bin/tail")`, 0),
		call(3, unix.SYS_MKDIRAT, `mkdirat(-100, "/proc/mine")`, unix.ENOENT),
	}, []string{"container", "run", "true"}, "")
	require.Equal(t, []string{"/bin/sh", "/bin/false"}, c.RanInside)
	require.False(t, c.Refused[0].Inside)

	// Of pivot_root(2) all in the mount namespace are, as of pivot_root(8) in a shell.
	c = conduct([]inject.Call{
		call(1, unix.SYS_UNSHARE, `unshare(131072)`, 0),
		call(1, unix.SYS_EXECVE, `execve("/bin/sh")`, 0),
		call(2, unix.SYS_PIVOT_ROOT, `pivot_root(".", "mnt")`, 0),
		call(1, unix.SYS_EXECVE, `execve("/bin/false")`, 0),
		call(0, unix.SYS_EXECVE, `execve("/usr/bin/tail")`, 0),
	}, []string{"container", "run", "true"}, "")
	require.Equal(t, []string{"/bin/false"}, c.RanInside)

	// A child executes what its parent does, until it executes something else; and what a tool
	// looks for is its own business.
	c = conduct([]inject.Call{
		call(1, unix.SYS_EXECVE, `execve("/usr/bin/cp")`, 0),
		call(2, unix.SYS_NEWFSTATAT, `newfstatat(-100, "/letter")`, unix.ENOENT),
		call(3, unix.SYS_NEWFSTATAT, `newfstatat(-100, "/postcard")`, unix.ENOENT),
	}, []string{"container", "run", "true"}, "")
	require.Equal(t, []string{"/usr/bin/cp", ""}, []string{c.Refused[0].By, c.Refused[1].By})

	// What the program could do without is told apart.
	c = conduct([]inject.Call{
		call(1, unix.SYS_NEWFSTATAT, `newfstatat(-100, "/bin/probe")`, unix.ENOENT),
		call(1, unix.SYS_NEWFSTATAT, `newfstatat(-100, "/letter")`, unix.ENOENT),
		call(1, unix.SYS_MOUNT, `mount("proc", "/nowhere", "proc")`, unix.ENOENT),
		call(1, unix.SYS_EXECVE, `execve("/bin/sh")`, 0),
	}, []string{"container", "run", "probe"}, "")
	require.Empty(t, c.Refused)
	require.Len(t, c.Excused, 2)

	// A mount that failed is no reason to go on for a process above it.
	c = conduct([]inject.Call{
		call(1, unix.SYS_MOUNT, `mount("sh", "sh", "", MS_BIND)`, unix.ENOENT),
		call(0, unix.SYS_EXECVE, `execve("/usr/sbin/ip")`, 0),
	}, []string{"container", "run", "sh"}, "")
	require.Len(t, c.Refused, 1)
}

// TestMisses tells which of the files that were looked for in vain are news. The files that the
// runtime of a language looks for are not, unless the program says that it misses them.
func TestMisses(t *testing.T) {
	look := func(path string) inject.Call {
		c := inject.Call{Text: fmt.Sprintf("openat(-100, %q)", path), Errno: unix.ENOENT}
		c.Number = unix.SYS_OPENAT
		return c
	}
	calls := []inject.Call{
		look(""), look("/usr/bin/python3.11._pth"), look("/lib/python3/settings.json"),
		look("settings.json"), look("other.json"), look("letter"),
	}
	c := conduct(calls, []string{"container", "run", "true"},
		"reads other.json\nNo such file or directory: 'settings.json'\n")
	var texts []string
	for _, r := range c.Refused {
		texts = append(texts, r.Text)
	}
	require.Equal(t, []string{
		`openat(-100, "settings.json")`, `openat(-100, "letter")`,
	}, texts)
	require.True(t, misses("/srv/a: not found", "/srv"))
	require.False(t, misses("/srv/a: not found", "/"), "it is part of any path")
}

// TestOurs keeps quiet about the directories of the harness in $PATH, in which a program looks for
// tools.
func TestOurs(t *testing.T) {
	defer func(was func() phase) { now = was }(now)
	now = func() phase { return phase{Dir: "/host"} }
	look := func(path string) inject.Call {
		return called(1, unix.SYS_EXECVE, fmt.Sprintf("execve(%q)", path), unix.ENOENT)
	}
	calls := []inject.Call{
		called(1, unix.SYS_CHDIR, `chdir("/")`, 0),
		look("/host/bin/ip"), look("/host/rootfs/bin/ip"), look("/host/work/ip"),
		look("/host/bin/ip"),
	}
	c := conduct(calls, []string{"container", "run", "true"}, "")
	require.Len(t, c.Refused, 1)
	require.Equal(t, `execve("/host/work/ip")`, c.Refused[0].Text)
	fell := inject.End{Process: 1, Signal: unix.SIGSEGV}
	c.noteFalls(inject.Result{Calls: calls, Ends: []inject.End{fell}}, nil)
	require.Equal(t, `execve("/host/work/ip")`, c.Falls[0].Last)
}

// TestWrote tells who wrote to standard output.
func TestWrote(t *testing.T) {
	call := func(process, number int, descriptor uint64, errno unix.Errno) inject.Call {
		c := inject.Call{Text: `execve("/usr/bin/ls")`, Errno: errno}
		if number != unix.SYS_EXECVE {
			c.Text = fmt.Sprintf(`write(1, "line %d\n")`, process)
		}
		c.Process, c.Number, c.Args[0] = process, number, descriptor
		return c
	}
	c := conduct([]inject.Call{
		call(0, unix.SYS_WRITE, 2, 0),
		call(0, unix.SYS_WRITE, 1, unix.EPIPE),
		call(1, unix.SYS_EXECVE, 0, 0),
		call(1, unix.SYS_WRITE, 1, 0), // into a pipe
		call(2, unix.SYS_WRITEV, 1, 0),
	}, []string{"container", "run", "true"}, "")
	c.arrived("line 2\n")
	require.Equal(t, []string{""}, c.Wrote)
}

// TestProgramIn finds the program in the lines of scripts that run it, and no other.
func TestProgramIn(t *testing.T) {
	for line, words := range map[string]string{
		"exec container run true":                                 "container run true",
		"[root] ! exec container run false":                       "container run false",
		"exits 3 container run true":                              "container run true",
		"exec sh -c 'container run wc -c </dev/null'":             "container run wc -c",
		"exec sh -c 'exec 7<host; container run cat a/b'":         "container run cat a/b",
		"exec sh -c 'container run false; container run x; true'": "container run false",
		"exec sh -c 'container run yes | head -n 1'":              "",
		"exec sh -c 'seq 9 >n; container run cat <n | cmp - n'":   "",
		"exec sh -c 'container run sleep 9 & wait'":               "",
		`exec sh -c 'container run sh -c "kill $!"'`:              "",
		"exec sh killed.sh":                                       "",
		"exec sh -c 'grep container run.log'":                     "",
		"exec container run sleep 6100 &":                         "",
		"exec setpriv --groups 0 container run probe":             "",
	} {
		require.Equal(t, words, strings.Join(ProgramIn(line, nil), " "), line)
	}
}

// TestFlagsOfMount names the flags of mount(2) that clues speak of, and keeps the others as they
// are.
func TestFlagsOfMount(t *testing.T) {
	for names, flags := range map[string]uint64{
		"MS_REC|MS_PRIVATE":            unix.MS_REC | unix.MS_PRIVATE,
		"MS_REC|MS_UNBINDABLE":         unix.MS_REC | unix.MS_UNBINDABLE,
		"MS_RDONLY|MS_REMOUNT|MS_BIND": unix.MS_REMOUNT | unix.MS_BIND | unix.MS_RDONLY,
		"MS_BIND|MS_PRIVATE|0x200000":  unix.MS_BIND | unix.MS_PRIVATE | unix.MS_RELATIME,
		"0x0":                          0,
	} {
		call := called(0, unix.SYS_MOUNT, `mount(0, "/", 0, 1)`, 0, 0, 0, 0, flags)
		require.Equal(t, `mount(0, "/", 0, `+names+")", withFlags("mount", call))
	}
	call := called(0, unix.SYS_MOUNT, `mount(0, "/")`, 0, 1<<40, 1<<40, 0, unix.MS_REC)
	call.Args[2] = 1 << 40 // what is there is no text, and not left out
	require.Equal(t, `mount(0, "/", ..., MS_REC)`, withFlags("mount", call))
}

// TestFlagsOfUnlinkat names the flag that makes it rmdir(2), and adds nothing where there is none.
func TestFlagsOfUnlinkat(t *testing.T) {
	const here = unix.AT_FDCWD & (1<<64 - 1)
	for flags, want := range map[uint64]string{
		unix.AT_REMOVEDIR: `unlinkat(AT_FDCWD, "dir", AT_REMOVEDIR)`,
		0:                 `unlinkat(AT_FDCWD, "dir")`,
	} {
		text := `unlinkat(-100, "dir")`
		if flags != 0 {
			text = `unlinkat(-100, "dir", 512)`
		}
		call := called(0, unix.SYS_UNLINKAT, text, 0, here, 0, flags)
		require.Equal(t, want, withFlags("unlinkat", call))
	}
}
