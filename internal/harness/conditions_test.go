//go:build linux

package harness

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/skip"
)

// TestNoIDMaps has a program fail with a root file system that is not on the disk, as chapter f
// does where a tmpfs has no idmapped mounts. The scripts that need one are skipped then.
func TestNoIDMaps(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "asks for root")
	}
	host, err := lent.take()
	require.NoError(t, err)
	defer lent.giveBack(host)
	// What a link leads to is on the disk.
	require.NoError(t, host.equip(program(t, `test "$2" = -ns || test -L rootfs`), nil))
	p := fromUser()
	p.Dir, p.NoIDMaps = host.dir, true
	scripts := ofLines(t, "rootfs")
	require.NoError(t, p.give(task{Scripts: scripts, All: true}))
	queue, filler, err := os.Pipe()
	require.NoError(t, err)
	defer queue.Close()
	require.NoError(t, fill(filler, len(scripts)))
	var last Event
	require.NoError(t, serve(t.Context(), p, nil, queue, func(line []byte) {
		require.NoError(t, json.Unmarshal(line, &last))
	}))
	require.Equal(t, Skipped, last.Status, last.Log)
	require.Contains(t, last.Reason, "set TMPDIR to a directory on ext4 or XFS")
}

// TestFew requires that all cases of a script are tried where a change is judged, and in a sweep,
// but for a processor that is emulated.
func TestFew(t *testing.T) {
	for _, c := range []struct {
		ci, sweep, emulated string
		few                 bool
	}{
		{few: true},
		{ci: "true", few: false},
		{sweep: "all", few: false},
		{ci: "true", emulated: "yes", few: true},
		{sweep: "all", emulated: "yes", few: true},
	} {
		t.Setenv("CI", c.ci)
		t.Setenv(sweepEnv, c.sweep)
		t.Setenv(emulatedEnv, c.emulated)
		require.Equal(t, c.few, fromUser().Few, "%+v", c)
	}
	defer func(was func() phase) { now = was }(now)
	for _, few := range []bool{false, true} {
		now = func() phase { return phase{Few: few} }
		s := &asker{}
		met, err := s.condition("few")
		require.NoError(t, err)
		require.Equal(t, few, met)
		require.Empty(t, s.missing, "nothing is missing")
	}
}
