//go:build linux

package harness

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/inject"
)

// called is a call of a process, in print, for the tests of this file.
func called(process, number int, text string, errno unix.Errno, args ...uint64) inject.Call {
	c := inject.Call{Text: text, Errno: errno}
	c.Process, c.Number = process, number
	copy(c.Args[:], args)
	return c
}

// TestFalls tells which processes did something for which the kernel ended them.
func TestFalls(t *testing.T) {
	birth := called(0, unix.SYS_CLONE, "clone(67108881, ...)", 0, unix.CLONE_NEWUTS|17, 1<<40)
	plain := called(0, unix.SYS_CLONE, "clone(17)", 0, 17)
	shared := called(0, unix.SYS_CLONE, "clone(273)", 0, unix.CLONE_VM|17)
	vfork := called(0, unix.SYS_CLONE, "clone(16657)", 0, unix.CLONE_VM|unix.CLONE_VFORK|17)
	r := inject.Result{
		Calls: []inject.Call{
			birth,
			called(2, unix.SYS_CHROOT, `chroot("rootfs")`, 0),
			called(2, unix.SYS_FUTEX, `futex(0)`, 0),
			called(3, unix.SYS_EXECVE, `execve("/usr/bin/ip")`, 0),
			called(4, unix.SYS_EXECVE, `execve("/bin/true")`, 0),
		},
		Ends: []inject.End{
			{Process: 0, Signal: unix.SIGBUS},
			{Process: 1, Signal: unix.SIGSEGV, Birth: birth},
			{Process: 2, Signal: unix.SIGSEGV, Birth: plain},
			{Process: 3, Signal: unix.SIGSEGV, Birth: plain},
			{Process: 3, Signal: unix.SIGKILL, Birth: plain},
			{Process: 4, Signal: unix.SIGSEGV, Birth: plain},
			{Process: 1, Signal: unix.SIGSEGV, Birth: shared},
			{Process: 1, Signal: unix.SIGSEGV, Birth: vfork},
		},
	}
	c := &Conduct{}
	c.noteFalls(r, []string{"container", "run", "-memory", "64M", "true"})
	require.Equal(t, []Fall{
		{Signal: "SIGBUS", Last: "clone(CLONE_NEWUTS)"},
		{Signal: "SIGSEGV", Birth: "clone(CLONE_NEWUTS)", HasStack: true},
		{Signal: "SIGSEGV", Birth: "clone()", Last: `chroot("rootfs")`},
		{
			Signal: "SIGSEGV", Birth: "clone()", By: "/usr/bin/ip",
			Last: `execve("/usr/bin/ip")`,
		},
		{Signal: "SIGSEGV", Birth: "clone()", Shares: true},
		{Signal: "SIGSEGV", Birth: "clone()"},
	}, c.Falls)
}

// TestUnseen tells what children said that nobody could hear.
func TestUnseen(t *testing.T) {
	says := func(process int, descriptor uint64, text string) inject.Call {
		c := called(process, unix.SYS_WRITE, "write()", 0, descriptor)
		c.Words = []string{text}
		return c
	}
	r := inject.Result{
		Stderr: "heard\n",
		Calls: []inject.Call{
			says(0, 2, "its own\n"), // the first process may say it again, otherwise
			says(1, 2, "panic: "),
			says(1, 2, "it\nheard\n"),
			says(1, 1, "an answer\n"),
			called(2, unix.SYS_EXECVE, `execve("/usr/bin/ip")`, 0),
			says(2, 2, "of a tool\n"),
			called(3, unix.SYS_EXECVE, `execve("/bin/true")`, 0),
			says(3, 2, "of the command\n"),
		},
	}
	c := &Conduct{}
	c.noteUnseen(r, []string{"container", "run", "true"})
	require.Equal(t, []Unseen{
		{Text: "panic: it\n"}, {By: "/usr/bin/ip", Text: "of a tool\n"},
	}, c.Unseen)
}

// TestUnseenMuch keeps the beginning of what a child says that does not stop.
func TestUnseenMuch(t *testing.T) {
	call := called(1, unix.SYS_WRITE, "write()", 0, 2)
	call.Words = []string{strings.Repeat("x", 1023) + "\n"}
	c := &Conduct{}
	c.noteUnseen(inject.Result{Calls: slices.Repeat([]inject.Call{call}, 100)}, nil)
	require.Len(t, c.Unseen, 1)
	require.Equal(t, 17, strings.Count(c.Unseen[0].Text, "\n"))
}

// TestChildless tells why wait(2) finds no child, if it was seen.
func TestChildless(t *testing.T) {
	const sigchld = uint64(unix.SIGCHLD)
	clone := func(flags uint64) inject.Call {
		return called(0, unix.SYS_CLONE, "clone()", 0, flags|unix.CLONE_NEWPID, 1<<40)
	}
	wait := func(errno unix.Errno, options uint64) inject.Call {
		c := called(0, unix.SYS_WAIT4, "wait4()", errno, 7, 0, options)
		if errno == 0 {
			c.Result = 7
		}
		return c
	}
	asks := func(number int, options ...uint64) inject.Call { // and there is no news
		return called(0, number, "wait()", 0, append([]uint64{0, 0}, options...)...)
	}
	ofChild := func(c inject.Call) inject.Call {
		c.Process, c.Parent = c.Process+1, c.Process
		return c
	}
	handles := func(process int, handler ...string) inject.Call {
		c := called(process, unix.SYS_RT_SIGACTION, "rt_sigaction()", 0, sigchld)
		c.Words = handler
		return c
	}
	for name, c := range map[string]struct {
		calls []inject.Call
		why   string
	}{
		"no signal of the end": {
			[]inject.Call{clone(0), wait(unix.ECHILD, 0)}, "clone(CLONE_NEWPID)",
		},
		"the signal of the end": {[]inject.Call{clone(sigchld), wait(unix.ECHILD, 0)}, ""},
		"no signal, and __WALL": {[]inject.Call{clone(0), wait(0, unix.WALL)}, ""},
		"__WALL, until all went": {
			[]inject.Call{clone(0), wait(0, unix.WALL), wait(unix.ECHILD, 0)}, "wait4(2)",
		},
		"told of before": {
			[]inject.Call{clone(sigchld), wait(0, 0), wait(unix.ECHILD, 0)}, "wait4(2)",
		},
		"told of before, to the shell that executed the program": {
			[]inject.Call{
				clone(sigchld), wait(0, 0), wait(unix.ECHILD, 0),
				called(0, unix.SYS_EXECVE, `execve("/bin/x")`, 0), wait(unix.ECHILD, 0),
			}, "",
		},
		"asked before, and told nothing": {
			[]inject.Call{
				clone(sigchld), asks(unix.SYS_WAIT4, unix.WNOHANG), wait(unix.ECHILD, 0),
			}, "",
		},
		"told of before, by waitid(2)": {
			[]inject.Call{
				clone(sigchld), asks(unix.SYS_WAITID, 0, unix.WEXITED), wait(unix.ECHILD, 0),
			}, "waitid(2)",
		},
		"asked before by waitid(2), and perhaps told": {
			[]inject.Call{
				clone(sigchld), asks(unix.SYS_WAITID, 0, unix.WEXITED|unix.WNOHANG),
				wait(unix.ECHILD, 0),
			}, "",
		},
		"told of before by waitid(2), which keeps the child": {
			[]inject.Call{
				clone(sigchld), asks(unix.SYS_WAITID, 0, unix.WEXITED|unix.WNOWAIT),
				wait(unix.ECHILD, 0),
			}, "",
		},
		"told that it was stopped, perhaps": {
			[]inject.Call{clone(sigchld), wait(0, unix.WUNTRACED), wait(unix.ECHILD, 0)}, "",
		},
		"no signal, asked with __WALL before its end": {
			[]inject.Call{
				clone(0), asks(unix.SYS_WAIT4, unix.WALL|unix.WNOHANG), wait(unix.ECHILD, 0),
			}, "clone(CLONE_NEWPID)",
		},
		"no signal, asked by waitid(2) with __WALL": {
			[]inject.Call{
				clone(0), asks(unix.SYS_WAITID, 0, unix.WEXITED|unix.WALL),
				asks(unix.SYS_WAITID, 0, unix.WEXITED|unix.WALL),
				{
					Point: inject.Point{Number: unix.SYS_WAITID}, Errno: unix.ECHILD,
					Args: [6]uint64{3: unix.WEXITED | unix.WALL},
				},
			}, "waitid(2)",
		},
		"only others are asked for": {
			[]inject.Call{clone(sigchld), wait(unix.ECHILD, unix.WCLONE)}, "wait4(__WCLONE)",
		},
		"others are asked for, and found": {
			[]inject.Call{clone(0), wait(0, unix.WCLONE)}, "",
		},
		"a thread": {
			[]inject.Call{clone(unix.CLONE_THREAD), wait(unix.ECHILD, 0)}, "",
		},
		"found": {[]inject.Call{clone(0), wait(0, 0)}, ""},
		"ignored": {
			[]inject.Call{handles(0, "1"), clone(sigchld), wait(unix.ECHILD, 0)},
			"rt_sigaction(SIGCHLD, SIG_IGN)",
		},
		"ignored, and asked for": {
			[]inject.Call{handles(0, "1"), handles(0), clone(sigchld), wait(unix.ECHILD, 0)},
			"rt_sigaction(SIGCHLD, SIG_IGN)",
		},
		"not wanted": {
			[]inject.Call{handles(0, "0", "2"), clone(sigchld), wait(unix.ECHILD, 0)},
			"rt_sigaction(SIGCHLD, SA_NOCLDWAIT)",
		},
		"ignored by the process that made the one which waits": {
			[]inject.Call{handles(0, "1"), clone(sigchld), ofChild(wait(unix.ECHILD, 0))},
			"rt_sigaction(SIGCHLD, SIG_IGN)",
		},
		"no signal, of a child that its parent waits for by vfork(2)": {
			[]inject.Call{clone(unix.CLONE_VFORK), wait(unix.ECHILD, 0)}, "",
		},
		"handled": {
			[]inject.Call{handles(0, "4096", "4"), clone(sigchld), wait(unix.ECHILD, 0)}, "",
		},
		"ignored no longer": {
			[]inject.Call{
				handles(0, "1"), handles(0, "0"), clone(sigchld), wait(unix.ECHILD, 0),
			}, "",
		},
		"ignored by another": {
			[]inject.Call{handles(1, "1"), clone(sigchld), wait(unix.ECHILD, 0)}, "",
		},
	} {
		conduct := &Conduct{}
		conduct.noteChildless(c.calls)
		require.Equal(t, c.why, conduct.Childless, name)
	}
}

// TestWithoutFlags finds the command of the container behind the flags.
func TestWithoutFlags(t *testing.T) {
	for line, without := range map[string]string{
		"container run true":                     "container run true",
		"container run sh -c x":                  "container run sh -c x",
		"container run -memory 64M -pids 3 true": "container run true",
		"container run -tty -user 1000 sh -v":    "container run sh -v",
		"container run -memory=64M true":         "container run true",
		"container run -memory":                  "container run",
		"container run":                          "container run",
		"container":                              "container",
	} {
		words := WithoutFlags(Words(line, nil))
		require.Equal(t, without, strings.Join(words, " "), line)
	}
}
