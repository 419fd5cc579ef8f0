//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// TestNameIgnored tells a name that nobody asked for from one that another namespace has.
func TestNameIgnored(t *testing.T) {
	t.Parallel()
	for made, says := range map[string]string{
		`sethostname("container")`: `the name is "host"`,
		`sethostname("workshop")`:  "in another uts namespace than the one of the command",
	} {
		e := harness.Event{Script: harness.Script{Name: "hostname-flag"}}
		e.Ran, e.Stdout = "exec container run -hostname workshop hostname", "host\n"
		e.Conduct = &harness.Conduct{Made: []string{made}}
		require.Contains(t, nameIgnored(e), says)
	}
}

// TestNameCutOff tells of a name of which the kernel got only the beginning.
func TestNameCutOff(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 65)
	for _, c := range []struct{ name, set, ran, seen, says string }{
		{"workshop", "worksho", "hostname", "worksho", "has 8 bytes, and your program set " +
			"\"worksho\", which is the first 7"},
		{"workshop", "work", "hostname", "work", "If that is cut off and no name of your own"},
		{long, long[:8], "echo started", "started", "sizeof of a pointer is 8"},
		{long, long[:64], "echo started", "started", "the call fails with EINVAL"},
		{"workshop", "container", "hostname", "container", `the name is "container"`},
		{long, long, "echo started", "started", ""},
		{"workshop", "work workshop", "hostname", "host", "in another uts namespace"},
	} {
		e := harness.Event{Script: harness.Script{Name: "hostname-flag"}}
		e.Ran = "exec container run -hostname " + c.name + " " + c.ran
		e.Stdout = c.seen + "\n"
		e.Conduct = &harness.Conduct{}
		for _, name := range strings.Fields(c.set) {
			e.Conduct.Made = append(e.Conduct.Made, fmt.Sprintf("sethostname(%q)", name))
		}
		require.Contains(t, nameIgnored(e), c.says)
		require.Equal(t, c.says == "", nameIgnored(e) == "")
	}
}

// TestNamespaceAmiss tells namespaces that are missing from those that nobody asked for.
func TestNamespaceAmiss(t *testing.T) {
	t.Parallel()
	const (
		still = "-ns cgroup: the cgroup namespace is still the host's\n"
		also  = "-ns uts: the ipc namespace is new too\n"
		time  = "-ns time: the time namespace is still the host's\n"
	)
	for said, says := range map[string]string{
		still:        "-ns cgroup asks for a new cgroup namespace",
		time:         "clone(2) cannot make one",
		also:         "makes a new ipc namespace, too",
		also + still: "with -ns cgroup the command is in the cgroup namespace of the host. Does ",
		"ls: /proc/self/ns: No such file or directory\n" +
			"-ns mnt: nothing in /proc/self/ns of the container: is its /proc mounted?\n": "With " +
			"-ns mnt the command found nothing in /proc/self/ns",
		"ls: /proc/self/ns: No such file or directory\n": "",
		"container: unknown namespace cgroup\n" +
			"-ns cgroup: nothing in /proc/self/ns of the container: is its /proc mounted?\n": "",
		"-ns cgroup: nothing in /proc/self/ns of the container: is its /proc mounted?\n": "",
	} {
		e := harness.Event{Script: harness.Script{Name: "ns-alone"}}
		e.Ran, e.Stderr = "exec sh alone.sh uts ipc cgroup", said
		text := namespaceAmiss(e)
		require.Contains(t, text, says)
		require.Equal(t, says == "", text == "")
		require.Equal(t, text, clue(e))
	}
}

// TestOtherThread tells of the other thread only where the namespace is the host's.
func TestOtherThread(t *testing.T) {
	t.Parallel()
	for inside, told := range map[string]bool{"cgroup:[1]": true, "": false, "cgroup:[2]": false} {
		e := harness.Event{Script: harness.Script{Name: "ns-thread"}}
		e.Stderr = "start 4: the cgroup namespace is '" + inside + "', and that of the host is " +
			"'cgroup:[1]'\n"
		require.Equal(t, told, strings.Contains(clue(e), "In start 4 "), inside)
		require.Equal(t, told, strings.Contains(clue(e), ": another thread"), inside)
		// It may not be in the new namespace in any start.
		e.Stderr = strings.Replace(e.Stderr, "start 4", "start 1", 1)
		require.Equal(t, told, strings.Contains(clue(e), "another thread may have"), inside)
		require.NotContains(t, clue(e), ": another thread", inside)
	}
}

// TestRootfsIgnored takes only the usual root file system for one that the flag did not name.
func TestRootfsIgnored(t *testing.T) {
	t.Parallel()
	for refused, speaks := range map[string]bool{
		`mount("rootfs", "rootfs", 0, MS_BIND)`:                true,
		`mount("proc", "$WORK/rootfs/proc", "proc", 0x0)`:      true,
		`mount("proc", "proc", "proc", 0x0)`:                   false,
		`mount("tmpfs", "/nowhere", "tmpfs", 0x0)`:             false,
		`mount("mine", "mine", 0, MS_BIND)`:                    false,
		`mount("/dev/null", "a rootfs/dev/null", 0, MS_BIND)`:  false,
		`mount("proc", "$WORK/a rootfs/rootfs", "proc", 0x0)`:  false,
		`mount("/rootfs/rootfs", "a rootfs/mine", 0, MS_BIND)`: true,
	} {
		c := cause{text: refused, path: firstPath(refused), seen: true}
		c.event.Ran = "exec container run -rootfs './a rootfs/' cat /letter"
		require.Equal(t, speaks, rootfsIgnored(c) != "", refused)
	}
}

// TestMountsBelow tells of a bind mount that left something behind, or could not do that.
func TestMountsBelow(t *testing.T) {
	t.Parallel()
	e := harness.Event{Failure: harness.Failure{Conduct: &harness.Conduct{
		Made: []string{
			"clone(CLONE_NEWNS|CLONE_NEWUSER)", `mount("rootfs", "rootfs", ..., MS_BIND)`,
		},
	}}}
	e.Script.Name = "rootfs-mounts"
	require.Contains(t, mountsBelow(e), "did not come along")
	e.Message, e.Stderr = "[exit status 125]", "container: invalid argument\n"
	require.Contains(t, mountsBelow(e), "fails with EINVAL in a user namespace")
	e.Conduct.Made[0] = "clone(CLONE_NEWNS)"
	require.Contains(t, mountsBelow(e), "did not come along")
}

// TestLayerAside requires that an overlay which was mounted by other calls is not denied.
func TestLayerAside(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "rootfs-written.txtar")
	require.NoError(t, os.WriteFile(script, []byte("! exists rootfs/mine\n"), 0o644))
	e := harness.Event{Failure: harness.Failure{Conduct: &harness.Conduct{}}}
	e.Script = harness.Script{Step: "step5-complete", Name: "rootfs-written", File: script}
	e.Line = 1
	require.Contains(t, layerAside(e), "no overlay was mounted")
	e.Conduct.Made = []string{`move_mount(6, "", -100, "rootfs", 4)`}
	require.Empty(t, layerAside(e))
}
