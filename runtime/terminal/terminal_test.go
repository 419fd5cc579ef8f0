//go:build linux

package terminal

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/signals"
)

// open returns the calls of Open and those of Take.
func open(t *testing.T, uid int) (opened, taken []plan.Call) {
	p, err := plan.New(nil)
	require.NoError(t, err)
	defer p.Free()
	terminal := Open(p)
	n := p.Len()
	terminal.Take(p, uid)
	require.NoError(t, p.Err())
	calls := p.Calls()
	return calls[:n], calls[n:]
}

func lines(calls []plan.Call) (lines []string) {
	for _, c := range calls {
		lines = append(lines, c.Line)
	}
	return lines
}

const resize = `ioctl(<terminal>, TIOCSWINSZ, `

// The terminal is one of the container's own devpts, and no link in the root file system can put
// another in its place (CVE-2025-52565). The console is mounted before anything is that the user or
// the root file system have a say in.
func TestOpen(t *testing.T) {
	opened, _ := open(t, 0)
	got := lines(opened)
	for i, line := range got {
		if strings.HasPrefix(line, resize) { // where the test itself has a terminal
			got = append(got[:i], got[i+1:]...)
			break
		}
	}
	require.Equal(t, []string{
		`openat2(AT_FDCWD, "/dev/pts/ptmx", O_RDWR|O_NOCTTY|O_CLOEXEC, ` +
			`RESOLVE_NO_SYMLINKS) as <master>`,
		`ioctl(<master>, TIOCSPTLCK, {0})`,
		`openat2(AT_FDCWD, "/dev/pts/0", O_RDWR|O_NOCTTY|O_CLOEXEC, ` +
			`RESOLVE_NO_SYMLINKS) as <terminal>`,
		`openat2(AT_FDCWD, "/dev", O_PATH|O_DIRECTORY|O_CLOEXEC, RESOLVE_NO_SYMLINKS)`,
		`fchdir(</dev>)`,
		`mknodat(AT_FDCWD, "console", S_IFREG|0600)`,
		`mount("pts/0", "console", NULL, MS_BIND, NULL)`,
		`chdir("/")`,
	}, got)
}

// The terminal belongs to the user of the command, and its group stays tty. Then the child gets
// descriptors of its own: until then 0 to 2 are those of the runtime, which goes on using them.
func TestTake(t *testing.T) {
	_, taken := open(t, 1000)
	require.Equal(t, []string{
		`fchown(<terminal>, 1000, -1)`,
		`unshare(CLONE_FILES)`,
		`ioctl(<terminal>, TIOCSCTTY, 0)`,
		`dup3(<terminal>, <stdin>, 0)`,
		`dup3(<terminal>, <stdout>, 0)`,
		`dup3(<terminal>, <stderr>, 0)`,
	}, lines(taken))
}

// Whatever else the lists come to have: what touches the standard streams of the runtime comes when
// they are no longer the runtime's, and no error is allowed.
func TestStreamsOfTheRuntimeAreLeftAlone(t *testing.T) {
	opened, taken := open(t, 0)
	streams := regexp.MustCompile(`<(stdin|stdout|stderr)>|\((0|1|2)[,)]`)
	unshared, touched := false, 0
	for _, c := range append(opened, taken...) {
		require.Empty(t, c.Allowed, c.Line)
		if c.Line == `unshare(CLONE_FILES)` {
			unshared = true
		}
		if streams.MatchString(c.Line) {
			require.True(t, unshared, c.Line)
			touched++
		}
		if c.Name == "openat2" {
			require.Contains(t, c.Line, "O_CLOEXEC")
			if !strings.Contains(c.Line, "O_PATH") {
				require.Contains(t, c.Line, "O_NOCTTY",
					"only TIOCSCTTY makes it the terminal of the child")
			}
		}
	}
	require.Equal(t, 3, touched)
}

func TestIsWanted(t *testing.T) {
	for _, c := range []struct {
		terminal   config.Terminal
		namespaces config.Namespaces
		want       bool
	}{
		{config.TerminalYes, unix.CLONE_NEWNS, true},
		{config.TerminalNo, unix.CLONE_NEWNS, false},
		{config.TerminalIfCaller, 0, false}, // it is one of the container's own devpts
	} {
		got := IsWanted(&config.Container{Terminal: c.terminal, Namespaces: c.namespaces})
		require.Equal(t, c.want, got, "%+v", c)
	}
}

// A caller has a terminal only if all three standard streams are one: otherwise the output of the
// command would come through the terminal to a file.
func TestIsWantedIfTheCallerHasOne(t *testing.T) {
	const env = "TEST_STREAMS"
	c := &config.Container{Namespaces: unix.CLONE_NEWNS}
	if want := os.Getenv(env); want != "" {
		require.Equal(t, want == "yes", IsWanted(c))
		return
	}
	master, slave := pair(t)
	defer master.Close()
	defer slave.Close()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	require.NoError(t, err)
	defer null.Close()
	for _, streams := range [][3]*os.File{
		{slave, slave, slave}, {null, slave, slave}, {slave, null, slave}, {slave, slave, null},
	} {
		want := "yes"
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
		for i, f := range streams {
			if f == null {
				want = "no"
			}
			switch i {
			case 0:
				cmd.Stdin = f
			case 1:
				cmd.Stdout = f
			case 2:
				cmd.Stderr = f
			}
		}
		cmd.Env = append(os.Environ(), env+"="+want)
		require.NoError(t, cmd.Run(), "%s: %v", want, streams)
	}
}

// pair opens a terminal of the host.
func pair(t *testing.T) (master, slave *os.File) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		skip.Lacking(t, fmt.Sprint("no terminals here: ", err))
	}
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	other, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TIOCGPTPEER,
		unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	require.Zero(t, errno)
	return os.NewFile(uintptr(fd), "master"), os.NewFile(other, "slave")
}

// The command gets a terminal as large as the caller's.
func TestSize(t *testing.T) {
	const env = "TEST_SIZE"
	if os.Getenv(env) != "" {
		opened, _ := open(t, 0)
		require.Contains(t, lines(opened), resize+`{17 rows, 91 columns})`)
		require.Less(t, 2, len(opened))
		return
	}
	master, slave := pair(t)
	defer master.Close()
	defer slave.Close()
	require.NoError(t, unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ,
		&unix.Winsize{Row: 17, Col: 91}))
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), env+"=1")
	cmd.Stdin = slave
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
}

// A command that has no terminal has nothing to be connected with.
func TestWithoutTerminal(t *testing.T) {
	var none *Terminal
	none.Connect(nil, 1, nil)
	none.CopyInput()
	none.Resize()
	require.NoError(t, none.Close(nil))
	require.NoError(t, (&Terminal{}).Close(nil), "one that was never opened")
}

// A second ^C ends a command that has nothing to say about the first, and so does a second ^\; but
// not one of each, and not what another program made of the keys.
func TestKeys(t *testing.T) {
	const intr, quit = 3, 28
	reads := []string{"head", "-n", "1"}
	handles := []string{"sh", "-c", "trap : INT; echo ready; until read line; do :; done"}
	ignores := []string{"sh", "-c", "trap '' INT; echo ready; exec head -n 1"}
	for _, c := range []struct {
		name    string
		typed   []byte
		raw     bool // the program gets keys, not signals
		off     bool // no key is for interrupting
		command []string
		killed  bool
	}{
		{"once", []byte{intr}, false, false, reads, false},
		{"twice", []byte{intr, intr}, false, false, reads, true},
		{"twice in a text", []byte{'a', intr, 'b', intr}, false, false, reads, true},
		{"one of each", []byte{intr, quit}, false, false, reads, false},
		{"quit twice", []byte{quit, 'x', quit}, false, false, reads, true},
		{"a program that reads keys", []byte{intr, intr}, true, false, reads, false},
		{"a handler", []byte{intr, intr}, false, false, handles, false},
		{"ignored", []byte{intr, intr}, false, false, ignores, false},
		{"zero is no key", []byte{0, 0}, false, true, reads, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			master, slave := pair(t)
			defer master.Close()
			defer slave.Close()
			// Process 1 of a pid namespace is not ended by a signal for which it has no handler.
			cmd := exec.Command(c.command[0], c.command[1:]...)
			cmd.Stdin = slave
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Setsid:      true,
				Setctty:     true,
				Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
			}
			if err := cmd.Start(); err != nil {
				skip.Lacking(t, fmt.Sprint("no pid namespace for this user here: ", err))
			}
			if c.command[0] == "sh" {
				_, err = out.Read(make([]byte, len("ready\n")))
				require.NoError(t, err)
			}
			settings, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
			require.NoError(t, err)
			if c.raw {
				settings.Lflag &^= unix.ISIG
			}
			if c.off {
				settings.Cc[unix.VINTR] = 0
			}
			require.NoError(t, unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, settings))

			pid := cmd.Process.Pid
			k := &keyboard{
				&Terminal{pid: pid, command: signals.To(pid), master: master},
				map[unix.Signal]bool{},
			}
			n, err := k.Write(c.typed)
			require.NoError(t, err)
			require.Equal(t, len(c.typed), n)
			_, err = master.WriteString("\n") // it ends by itself, if it is still there
			require.NoError(t, err)
			if c.killed {
				require.EqualError(t, cmd.Wait(), "signal: killed")
			} else {
				require.NoError(t, cmd.Wait())
			}
		})
	}
}

// A shell that runs another job in the foreground is not asked for its end by keys for that job
// (tcgetpgrp(3)).
func TestKeysOfAnotherJob(t *testing.T) {
	master, slave := pair(t)
	defer master.Close()
	defer slave.Close()
	inNamespace := func() *exec.Cmd {
		cmd := exec.Command("head", "-n", "1")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Setsid:      true,
			Cloneflags:  unix.CLONE_NEWPID | unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}},
		}
		return cmd
	}
	job, shell := inNamespace(), inNamespace()
	job.Stdin = slave
	job.SysProcAttr.Setctty = true
	toShell, err := shell.StdinPipe()
	require.NoError(t, err)
	if err := job.Start(); err != nil {
		skip.Lacking(t, fmt.Sprint("no pid namespace for this user here: ", err))
	}
	require.NoError(t, shell.Start())
	k := &keyboard{&Terminal{pid: shell.Process.Pid, master: master}, map[unix.Signal]bool{}}
	_, err = k.Write([]byte{3, 3, '\n'})
	require.NoError(t, err)
	require.NoError(t, job.Wait())
	require.NoError(t, toShell.Close())
	require.NoError(t, shell.Wait())
}
