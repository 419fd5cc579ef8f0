//go:build linux

package main

import (
	"os"
	"path/filepath"
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
