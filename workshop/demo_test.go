//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// broken are changes to the steps, one for each demo, that take away what it shows: file, old and
// new.
var broken = map[string][3]string{
	"uts": {"flags.go", `unix.CLONE_NEWUTS`, `unix.CLONE_NEWIPC`},
	"pid": {"flags.go", `"uts,pid,mnt"`, `"uts,mnt"`},
	"mnt": {"main.go", `unix.MS_PRIVATE|unix.MS_REC`, `unix.MS_SHARED|unix.MS_REC`},
	"net": {"flags.go", `unix.CLONE_NEWNET`, `unix.CLONE_NEWIPC`},
	"ipc": {"flags.go", `unix.CLONE_NEWIPC`, `unix.CLONE_NEWNET`},
	"user": {
		"main.go",
		`ContainerID: 0, HostID: os.Getuid()`,
		`ContainerID: 7, HostID: os.Getuid()`,
	},
	"time":   {"flags.go", `unix.CLONE_NEWTIME`, `unix.CLONE_NEWCGROUP`},
	"rootfs": {"main.go", `pivotRoot(*rootfs)`, ``},
	"memory": {"limits.go", `return n * unit, nil`, `return 4 * n * unit, nil`},
	"cpu":    {"limits.go", `min(cpus, 1e6) * 100_000`, `min(cpus, 1e6) * 10_000_000`},
	"pids":   {"limits.go", `v1: "pids.max", value: n`, `v1: "pids.max", value: n + 200`},
	"cgroup": {
		"main.go",
		`unix.Unshare(int(cloneFlags&later))`,
		`unix.Unshare(int(cloneFlags & unix.CLONE_NEWTIME))`,
	},
	"process":  {"main.go", `setEnvironment()`, ``},
	"dev":      {"masks.go", `"/proc/interrupts",`, ``},
	"layers":   {"rootfs.go", `mountLayer()`, ``},
	"images":   {"image.go", `image.Layers, image.Manifest`, `image.Layers, ""`},
	"btrfs":    {"main.go", `pivotRoot(*rootfs)`, ``},
	"rights":   {"rights.go", `unix.CAP_SETUID,`, `unix.CAP_SETUID, unix.CAP_SYS_ADMIN,`},
	"calls":    {"seccomp.go", `unix.CLONE_NEWUSER |`, ``},
	"nobody":   {"users.go", `firstID, countIDs = 100000, 65536`, `firstID, countIDs = 0, 65536`},
	"terminal": {"terminal.go", `_, err = unix.Setsid()`, `err = nil`},
	"bridge":   {"network.go", `= ports.Attrs().Index`, `= 0 * ports.Attrs().Index`},
}

// TestChooseDemos chooses by name, step and chapter, and all.
func TestChooseDemos(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	demos, err := harness.Demos(root)
	require.NoError(t, err)
	a := &app{out: newOutput(&bytes.Buffer{}, false, nil)}
	for what, number := range map[string]int{"": len(demos), "uts": 1, "2": 3, "5b": 3, "moon": 0} {
		chosen, err := a.chooseDemos(root, demos, strings.Fields(what))
		require.Len(t, chosen, number, what)
		require.Equal(t, number == 0, err != nil, what)
	}
}

// TestDemosBroken breaks what each demo shows, and requires that the demo is red: one that cannot
// fail proves nothing. That they are green is tested with the steps. It breaks one in two (see
// skip.OneIn).
func TestDemosBroken(t *testing.T) {
	t.Parallel()
	harness.NeedsGo(t)
	root, err := moduleRoot()
	require.NoError(t, err)
	demos, err := harness.Demos(root)
	require.NoError(t, err)
	require.Len(t, demos, len(broken))
	demos = skip.OneIn(t, 2, demos)
	hosts := newHosts(t, root)
	var changes []change
	for _, d := range demos {
		c, ok := broken[d.Name]
		require.True(t, ok, "no change that breaks %s", d.Name)
		changes = append(changes, change{c[0], c[1], c[2]})
	}
	programs := changedPrograms(t, root, changes, func(n int) (map[string][]byte, error) {
		return stepFiles(filepath.Join(root, demos[n].Program))
	})
	for n, d := range demos {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			var last harness.Event
			o := harness.Options{Program: programs.path(t, n), Ours: true}
			require.NoError(t, hosts.take(t).Check(t.Context(), o, []harness.Script{d.Script},
				func(e harness.Event) { last = e }))
			if last.Status == harness.Skipped {
				skip.Lacking(t, last.Reason)
			}
			require.Equal(t, harness.Failed, last.Status)
		})
	}
}

// TestShell opens a shell on the throw-away host of a demonstration. It is that host, with the
// program of the demonstration, and not this machine.
func TestShell(t *testing.T) {
	root, err := moduleRoot()
	require.NoError(t, err)
	demos, err := harness.Demos(root)
	require.NoError(t, err)
	before, err := os.Hostname()
	require.NoError(t, err)
	h, err := openHouse(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, h.close()) }()
	play, err := h.prepare(t.Context(), demos[0])
	require.NoError(t, err)
	var output []byte
	sh := func() (*exec.Cmd, error) { return h.host.Shell(demos[0].Script) }
	err = play(t.Context(), &shellStage{t: t, sh: sh, output: &output})
	require.ErrorIs(t, err, errFailed, "the host has another name now, and that is shown")
	require.Contains(t, string(output), "I am in script-uts on host\n")
	require.Contains(t, string(output), "container runs: container\n")
	require.Contains(t, string(output), "now other\n")
	after, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// shellStage opens a shell before the first command, and types into it.
type shellStage struct {
	silentStage
	t      *testing.T
	sh     shell
	output *[]byte
}

func (s *shellStage) before(context.Context, cue) error {
	if *s.output != nil {
		return nil
	}
	cmd, err := s.sh()
	require.NoError(s.t, err)
	cmd.Stdin = strings.NewReader(`echo "I am in $(basename "$PWD") on $(hostname)"
echo "container runs: $(container run -ns uts hostname)"
hostname other; echo "now $(hostname)"
`)
	*s.output, err = cmd.Output()
	return err
}

// TestAuditorium plays to a screen: what is told, typed, shown and proven, and the keys.
func TestAuditorium(t *testing.T) {
	a := &app{out: newOutput(&bytes.Buffer{}, false, nil)}
	demo := harness.Demo{Script: harness.Script{Name: "uts"}, Title: "A name"}
	s := newAuditorium(a, demo, func() (*exec.Cmd, error) { return exec.Command("true"), nil })
	view := func() string { return ansi.Strip(s.View().Content) }
	press := func(keys rune) tea.Cmd {
		_, cmd := s.Update(keyPress(keys))
		return cmd
	}
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})
	s.Update(tellMsg{"This is the host."})
	_, cmd := s.Update(typeMsg{cue{command: "hostname"}})
	require.NotNil(t, cmd)
	s.Update(tickMsg{})
	s.Update(tickMsg{})
	require.Contains(t, view(), "# ho ")
	require.NotContains(t, view(), "# hostname")
	goOn := make(chan struct{})
	s.Update(waitMsg{goOn})
	require.Contains(t, view(), "space goes on")
	press(tea.KeySpace)
	require.Contains(t, view(), "# hostname")
	select {
	case <-goOn:
	default:
		require.Fail(t, "space does not go on")
	}
	press(tea.KeySpace) // nobody waits: no harm
	s.Update(showMsg{0, "host"})
	s.Update(typeMsg{cue{command: "container run hostname", inside: true}})
	s.Update(showMsg{1, "inside\x1b[2J\n" + strings.Repeat("wide ", 60)})
	s.Update(proofMsg{"there it is: host"})
	require.Regexp(t, `(?m)^host +│ inside`, view())
	require.Contains(t, view(), "✓ there it is: host")

	for _, size := range []tea.WindowSizeMsg{
		{Width: 60, Height: 24},
		{Width: 80, Height: 24},
		{Width: 200, Height: 50},
	} {
		s.Update(size)
		lines := strings.Split(s.View().Content, "\n")
		require.LessOrEqual(t, len(lines), size.Height, view())
		for _, line := range lines {
			require.LessOrEqual(t, ansi.StringWidth(line), size.Width)
		}
		require.Equal(t, size.Width >= 80, strings.Contains(s.View().Content, "│"))
	}
	s.Update(tea.WindowSizeMsg{Width: 80, Height: 24})

	// Back to what was shown before, and on again.
	s.Update(tellMsg{"The host does not notice."})
	goOn = make(chan struct{})
	s.Update(waitMsg{goOn})
	require.Contains(t, view(), "The host does not notice.")
	press(tea.KeyLeft)
	require.Contains(t, view(), "This is the host.")
	require.NotContains(t, view(), "inside")
	require.Contains(t, view(), "1 back")
	press(tea.KeyLeft) // there is nothing before it
	press(tea.KeySpace)
	require.Contains(t, view(), "The host does not notice.")
	select {
	case <-goOn:
		require.Fail(t, "space went on while the past was shown")
	default:
	}

	// A shell, while it waits; and what was done in it may be why it is broken.
	require.Contains(t, view(), "! shell")
	require.NotNil(t, press('!'))
	press(tea.KeySpace)
	require.NotContains(t, view(), "! shell")
	require.Nil(t, press('!'))
	s.Update(overMsg{"✗ uts is broken"})
	require.Contains(t, view(), "A shell was open")
	require.Equal(t, tea.QuitMsg{}, press('q')())
}
