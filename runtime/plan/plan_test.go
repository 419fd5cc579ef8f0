//go:build linux

package plan

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// start runs a list to its end, and returns the exit status.
func start(t *testing.T, p *Plan) int {
	require.NoError(t, p.Release())
	pid, err := p.Start(0, -1)
	require.NoError(t, err)
	p.Executed()
	var ws unix.WaitStatus
	_, err = unix.Wait4(pid, &ws, 0, nil)
	require.NoError(t, err)
	return ws.ExitStatus()
}

func TestListIsMade(t *testing.T) {
	dir := t.TempDir()
	p, err := New(nil)
	require.NoError(t, err)
	p.Chdir(dir)
	p.Mkdirat(CWD, "a", 0o700)
	a := p.Openat2(CWD, "a", unix.O_PATH, unix.RESOLVE_NO_SYMLINKS)
	p.Mkdirat(a, "b", 0o700)
	p.Mkdirat(a, "b", 0o700)
	p.Allow(unix.EEXIST)
	p.Openat2(a, "nowhere", unix.O_PATH, 0)
	p.Unless(func() { p.Mkdirat(a, "left-out", 0o700) }, unix.ENOENT)
	env := p.Array(nil)
	p.UnblockSignals()
	p.Command()
	p.Execve("/bin/sh", p.Array([]string{"sh", "-c", "exit 7"}), env)
	require.Equal(t, 7, start(t, p))
	require.NoError(t, p.Failed())
	require.DirExists(t, dir+"/a/b")
	require.NoDirExists(t, dir+"/a/left-out")
}

// A runtime that has given the list back may yet fail, and asks the list for a better reason.
func TestNothingFailedInAListThatWasGivenBack(t *testing.T) {
	p, err := New(nil)
	require.NoError(t, err)
	p.Umask(0)
	p.Free()
	require.NoError(t, p.Failed())
}

// TestStackIsAligned looks at what a processor of arm64 asks for. One of amd64, and QEMU in the
// place of either, would run the child on any stack.
func TestStackIsAligned(t *testing.T) {
	p, err := New(nil)
	require.NoError(t, err)
	start, size := p.stackOfChild()
	require.Zero(t, (start+size)%16)
	require.GreaterOrEqual(t, start, uintptr(unsafe.Pointer(&p.stack)))
	require.LessOrEqual(t, start+size, uintptr(unsafe.Pointer(&p.stack))+stackSize)
	require.Greater(t, size, uintptr(stackSize-16))
}

func TestErrorEndsTheList(t *testing.T) {
	p, err := New(nil)
	require.NoError(t, err)
	p.Asked("workdir", "/nowhere")
	p.Chdir("/nowhere")
	require.Equal(t, 125, start(t, p))
	require.EqualError(t, p.Failed(), `workdir "/nowhere": no such file or directory`)
}

func TestChecks(t *testing.T) {
	const all = ^uint64(0)
	for _, c := range []struct {
		name  string
		must  func(p *Plan, null FD)
		fails bool
	}{
		{
			name: "device",
			must: func(p *Plan, null FD) { p.Must(p.Statx(null), StatxDevice, all, Device(1, 3)) },
		},
		{
			name:  "other device",
			must:  func(p *Plan, null FD) { p.Must(p.Statx(null), StatxDevice, all, Device(1, 5)) },
			fails: true,
		},
		{
			name: "type",
			must: func(p *Plan, null FD) {
				p.Must(p.Statx(null), StatxMode, ModeMask, Mode(unix.S_IFCHR))
			},
		},
		{
			name: "not this type",
			must: func(p *Plan, null FD) {
				p.MustNot(p.Statx(null), StatxMode, ModeMask, Mode(unix.S_IFCHR))
			},
			fails: true,
		},
		{
			name: "same mount",
			must: func(p *Plan, null FD) {
				first := p.Statx(null)
				p.MustMatch(p.Statx(null), first, StatxMount)
			},
		},
		{
			name: "first of two",
			must: func(p *Plan, null FD) {
				at := p.Statx(null)
				p.MustNot(at, StatxDevice, all, Device(1, 3))
				p.Must(at, StatxMode, ModeMask, Mode(unix.S_IFCHR))
			},
			fails: true,
		},
		{
			name: "second of two",
			must: func(p *Plan, null FD) {
				at := p.Statx(null)
				p.Must(at, StatxDevice, all, Device(1, 3))
				p.MustNot(at, StatxMode, ModeMask, Mode(unix.S_IFCHR))
			},
			fails: true,
		},
		{
			name: "where it leads",
			must: func(p *Plan, null FD) {
				to := p.Readlinkat(CWD, fmt.Sprintf("/proc/self/fd/%d", null.number))
				p.MustNotBegin(to, "/dev/zer")
				p.MustNotBegin(to, "/dev\x00")
				p.MustNotBegin(to, "/proc/")
			},
		},
		{
			name: "not where it leads",
			must: func(p *Plan, null FD) {
				to := p.Readlinkat(CWD, fmt.Sprintf("/proc/self/fd/%d", null.number))
				p.MustNotBegin(to, "/proc/")
				p.MustNotBegin(to, "/dev/")
			},
			fails: true,
		},
		{
			name: "result",
			must: func(p *Plan, null FD) { p.Poll(null); p.MustReturn(1) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			null, err := os.Open("/dev/null")
			require.NoError(t, err)
			defer null.Close()
			p, err := New(nil)
			require.NoError(t, err)
			c.must(p, p.Open(int(null.Fd()), "null"))
			p.Chdir("/")
			p.Execve("/bin/true", p.Array([]string{"true"}), p.Array(nil))
			if status := start(t, p); c.fails {
				require.Equal(t, 125, status)
				require.ErrorIs(t, p.Failed(), ErrCheck)
			} else {
				require.Equal(t, 0, status)
				require.NoError(t, p.Failed())
			}
		})
	}
}

// What the list does without is a line for the user, and what it does not need is none.
func TestNotes(t *testing.T) {
	p, err := New(nil)
	require.NoError(t, err)
	allowed := func(path, text, object string) {
		p.Chdir(path)
		p.Note(text, object)
		p.Unless(func() {}, unix.ENOENT)
	}
	allowed("/nowhere", "no place for", "a")
	allowed("/", "no place for", "b")
	allowed("/nowhere", "no place for", "c\n")
	allowed("/nowhere", "nothing in", "d")
	allowed("/nowhere", "no place for", "e")
	p.Execve("/bin/true", p.Array([]string{"true"}), p.Array(nil))
	p.Chdir("/nowhere")
	p.Note("not made", "f")
	require.Empty(t, p.Notes(), "nothing is made yet")
	require.Equal(t, 0, start(t, p))
	require.NoError(t, p.Failed())
	require.Equal(t, []string{
		`no place for "a", "c\n"`, `nothing in "d"`, `no place for "e"`,
	}, p.Notes())
}
