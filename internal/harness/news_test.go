//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/inject"
)

// TestFallsOf tells whose end it was, and whose signal.
func TestFallsOf(t *testing.T) {
	stack := called(1, unix.SYS_CLONE, "clone(17)", 0, 17, 1<<40)
	c := &Conduct{}
	c.noteFalls(inject.Result{
		Hung: "7 sleep (S).",
		Calls: []inject.Call{
			called(1, unix.SYS_EXECVE, `execve("/usr/bin/env")`, 0), stack,
			called(3, unix.SYS_EXECVE, `execve("/bin/true")`, 0),
		},
		Ends: []inject.End{
			{Process: 2, Signal: unix.SIGSEGV, Birth: stack, OfStack: true},
			{Process: 0, Signal: unix.SIGSEGV, OfStack: true},
			{
				Process: 1, Signal: unix.SIGSEGV, OfStack: true,
				Birth: called(0, unix.SYS_CLONE, "clone(17)", 0, 17),
			},
			{Process: 3, Signal: unix.SIGKILL}, // by the harness
		},
	}, []string{"container", "run", "true"})
	assert.Equal(t, []Fall{
		{Signal: "SIGSEGV", Birth: "clone()", HasStack: true, OfStack: true, By: "/usr/bin/env"},
		{Signal: "SIGSEGV"},
		{
			Signal: "SIGSEGV", Birth: "clone()", By: "/usr/bin/env",
			Last: "clone()",
		},
	}, c.Falls, "it made no call, so it executes what its parent does")
	assert.Empty(t, c.CommandEnd)

	c = &Conduct{}
	c.noteFalls(inject.Result{
		Calls: []inject.Call{called(3, unix.SYS_EXECVE, `execve("/bin/true")`, 0)},
		Ends:  []inject.End{{Process: 3, Signal: unix.SIGKILL}},
	}, []string{"container", "run", "true"})
	assert.Equal(t, "SIGKILL", c.CommandEnd)
}

// TestNoNews keeps quiet about errors with which nothing is wrong.
func TestNoNews(t *testing.T) {
	words := []string{"container", "run", "true"}
	c := conduct([]inject.Call{
		called(0, unix.SYS_UNLINKAT, `unlinkat(-100, "dir")`, unix.EISDIR),
		called(0, unix.SYS_UNLINKAT, `unlinkat(-100, "gone")`, unix.ENOENT),
		called(0, unix.SYS_MOUNT, `mount("proc", "/proc")`, unix.ENOSYS),
		called(0, unix.SYS_PRCTL, "prctl(24, 41)", unix.EINVAL, unix.PR_CAPBSET_DROP, 41),
		called(0, unix.SYS_EXECVE, `execve("/sbin/true")`, unix.ENOENT),
		called(0, unix.SYS_EXECVE, `execve("/bin/true")`, 0),
		called(1, unix.SYS_READ, "read(0)", unix.EIO),
	}, words, "")
	assert.Empty(t, c.Refused)
	require.Len(t, c.Steps, 4, "and none is a look in another directory: %v", c.Steps)
	assert.Equal(t, `execve("/bin/true")`, c.Steps[3].Text)
	require.Len(t, c.Others, 1, "prctl(2)")
	assert.Contains(t, c.Others[0].Text, "prctl", "what the command does is its own business")

	// What was refused first was made in the end.
	mkdir := func(errno unix.Errno) inject.Call {
		return called(0, unix.SYS_MKDIRAT, `mkdirat(-100, "rootfs/old")`, errno)
	}
	c = conduct([]inject.Call{mkdir(unix.ENOENT), mkdir(0)}, words, "")
	assert.Empty(t, c.Refused)

	// A file of a user namespace is one of the kernel.
	deny := called(0, unix.SYS_WRITE, `write(</proc/N/setgroups>, "deny", 4)`, 0)
	deny.About = "/proc/N/setgroups"
	assert.Len(t, conduct([]inject.Call{deny}, words, "").Made, 1)

	// Of many looks of a process the last are kept.
	var looks []inject.Call
	for n := range 30 {
		looks = append(looks, called(0, unix.SYS_OPENAT, fmt.Sprintf(`openat(-100, "f%d")`, n),
			unix.ENOENT))
	}
	c = conduct(looks, words, "")
	require.Len(t, c.Refused, 20)
	assert.Contains(t, c.Refused[19].Text, "f29")
}

// TestUnshared is inside after pivot_root(2), and so are those in the same mount namespace, but not
// the one that made that.
func TestUnshared(t *testing.T) {
	child := func(c inject.Call) inject.Call {
		c.Parent = c.Process - 1
		return c
	}
	c := conduct([]inject.Call{
		called(0, unix.SYS_EXECVE, `execve("/bin/a")`, 0),
		child(called(1, unix.SYS_UNSHARE, "unshare()", 0, unix.CLONE_NEWNS)),
		child(called(2, unix.SYS_UNSHARE, "unshare()", 0, unix.CLONE_NEWNS)),
		child(called(2, unix.SYS_PIVOT_ROOT, `pivot_root(".", ".")`, 0)),
		child(called(1, unix.SYS_EXECVE, `execve("/bin/b")`, 0)),
		child(called(2, unix.SYS_EXECVE, `execve("/bin/c")`, 0)),
	}, []string{"container", "run", "true"}, "")
	assert.Equal(t, []string{"/bin/c"}, c.RanInside)
}

// TestMissing names the path of a call that is not there, and no other argument of the call.
func TestMissing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "there"), 0o755))
	for text, want := range map[string]string{
		`chroot("there")`: "",
		`chroot("no")`:    "no",
		`mount("proc", "there/proc", "proc", 0x0)`:  "there/proc",
		`mount("proc", "there", "proc", 0x0)`:       "",
		`mount("a", "b", 0, MS_BIND)`:               "b",
		`mount("a", "there", 0, MS_BIND)`:           "a",
		`pivot_root("there", "there/old")`:          "there/old",
		`mount("overlay", "there", "overlay", 0x0)`: "",
	} {
		call, _, _ := strings.Cut(text, "(")
		r := Refusal{Call: call, Text: text, Errno: "ENOENT"}
		assert.Equal(t, want, (&Conduct{}).missing(r, dir), text)
		r.Inside = true
		assert.Empty(t, (&Conduct{}).missing(r, dir), "it is not known of another root")
	}
	c := &Conduct{Made: []string{`mkdirat(AT_FDCWD, "no")`}}
	assert.Empty(t, c.missing(Refusal{Call: "chroot", Text: `chroot("no")`, Errno: "ENOENT"}, dir),
		"it was there, and the program has tidied up")
}

// TestHolds tells whether a line holds for what came of the program the second time.
func TestHolds(t *testing.T) {
	for _, c := range []struct {
		line, status, stdout, stderr string
		holds                        bool
	}{
		{"exec container run true", "exit status 0", "", "", true},
		{"! exec container run true", "exit status 0", "", "", false},
		{"! exec container run true", "exit status 1", "", "", true},
		{"exec container run true", "", "", "", false},
		{"exec sh x.sh", "exit status 0", "", "", false},
		{"exits 3 container run x", "exit status 3", "", "", true},
		{"exits 3 container run x", "exit status 2", "", "", false},
		{"stdout '^a$'", "exit status 0", "b\na\n", "", true},
		{"! stdout a", "exit status 0", "b\n", "", true},
		{"stderr a", "exit status 0", "a", "", false},
		{"[root] stderr a", "exit status 0", "", "a", true},
		{"stdout -count=2 a", "exit status 0", "a\na\n", "", false},
		{"cmp stdout x", "exit status 0", "", "", false},
		{
			"! exec container run true", "exit status 2", "",
			"panic: x\n\ngoroutine 1 [running]:\n", false,
		},
	} {
		conduct := &Conduct{Status: c.status, Stdout: c.stdout, Stderr: c.stderr}
		assert.Equal(t, c.holds, conduct.holds(c.line), "%+v", c)
	}
}

// TestAgain has the program that got a signal run once more, with the signal.
func TestAgain(t *testing.T) {
	const script = `rootfs
cp command rootfs/command
! exec container run -pids 9 sh /command TERM &container&
running 'sleep 0.1'
exec pkill -TERM -o -f 'container run -pids'
wait container
cmp stdout before
exec container run -pids 8 true &other&
exec pkill -INT -o -f 'container run -pids'
cmp stdout before
`
	signalled := Failure{Ran: "exec find /sys"}.again(script, 7)
	assert.Equal(t, rerun{
		line: "! exec container run -pids 9 sh /command TERM", signal: unix.SIGTERM,
		running: "sleep 0.1", copies: [][2]string{{"command", "rootfs/command"}},
	}, signalled)
	assert.Equal(t, rerun{
		line: "exec container run -pids 8 true", signal: unix.SIGINT,
		copies: [][2]string{{"command", "rootfs/command"}},
	}, Failure{Ran: "exec find /sys"}.again(script, 10), "of the last one that was started")
	assert.Zero(t, Failure{Ran: "exec find /sys"}.again(script, 9).signal, "it is not sent yet")
	for script, bare := range map[string]bool{
		"exec container run true\n":                      true,
		"rootfs\nexec container run true\n":              false,
		"[root] rootfs\nexec container run true\n":       false,
		"exec container run true\n-- rootfs --\nfile\n":  false,
		"# No rootfs.\nexec container run -rootfs x y\n": true,
	} {
		r := Failure{Ran: "exec container run true"}.again(script, 1)
		assert.Equal(t, bare, r.bare, script)
	}
	assert.Equal(t, rerun{line: "exec container run true"},
		Failure{Ran: "exec container run true"}.again(script, 7), "this line ran the program")
}

// TestIsLike takes cgroups for the same whose names may be random, and nothing else.
func TestIsLike(t *testing.T) {
	const dir = "/sys/fs/cgroup/harness/"
	left := []string{"new: cgroup " + dir + "c-17", "new: process 7 sleep"}
	for line, is := range map[string]bool{
		"new: cgroup " + dir + "c-23":   true,
		"new: cgroup " + dir + "c/c-17": false,
		"new: process 8 sleep":          false,
		"new: process 7 sleep":          true,
		"gone: cgroup " + dir + "c-17":  false,
	} {
		assert.Equal(t, is, isLike(line, left), line)
	}
}

// TestLeftByProgram blames earlier runs of the program for what is in the way, and not the script.
func TestLeftByProgram(t *testing.T) {
	const run, mount = "exec container run true\n", "exec mount -t tmpfs x x\n"
	for script, by := range map[string]bool{
		run + run: true, "rootfs\n" + run: false, mount + run: false, run + mount + run: false,
		"exec container run sleep 9 &\n" + run: false, "[root] " + run + run: true,
	} {
		line := strings.Count(script, "\n")
		assert.Equal(t, by, leftByProgram(script, line), "%q", script)
	}
}
