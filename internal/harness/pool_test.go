//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// ofLines writes a script for each of these lines.
func ofLines(t *testing.T, lines ...string) (all []Script) {
	dir := t.TempDir()
	for i, line := range lines {
		name := fmt.Sprint("script-", i)
		file := filepath.Join(dir, name+".txtar")
		require.NoError(t, os.WriteFile(file, []byte(line+"\n"), 0o644))
		all = append(all, Script{Step: "step1-skeleton", Name: name, File: file})
	}
	return all
}

const (
	right = usage + `exec "$@"`
	hang  = "exec container run sleep 6200"
	// pivots is a script that changes the root of its host.
	pivots = "rootfs\nexec sh -c 'mount --make-rprivate / && mount --bind rootfs rootfs && " +
		"cd rootfs && pivot_root . .'"
)

// TestPool runs scripts on three hosts at once.
func TestPool(t *testing.T) {
	t.Parallel()
	t.Run("each script once", func(t *testing.T) {
		lines := make([]string, 20)
		for i := range lines {
			lines[i] = []string{"exec true", "exec false"}[i%2]
		}
		results := map[string][]Status{}
		all := ofLines(t, lines...)
		o := Options{Program: program(t, right), Hosts: 3, All: true}
		require.NoError(t, check(t.Context(), t, o, all, func(e Event) {
			results[e.Script.Name] = append(results[e.Script.Name], e.Status)
		}))
		require.Len(t, results, len(lines))
		for i, script := range all {
			want := []Status{Started, []Status{Passed, Failed}[i%2]}
			require.Equal(t, want, results[script.Name], script.Name)
		}
	})
	t.Run("the first failure in their order", func(t *testing.T) {
		fifo := filepath.Join(t.TempDir(), "fifo")
		require.NoError(t, unix.Mkfifo(fifo, 0o666))
		// The third script fails before the second one. The others are still running then.
		all := ofLines(t, "exec true", "exec grep no "+fifo, "exec false", hang, hang)
		o := Options{Program: program(t, right), Hosts: 3, Timeout: time.Hour}
		var failed []string
		require.NoError(t, check(t.Context(), t, o, all, func(e Event) {
			if e.Status != Failed {
				return
			}
			if failed = append(failed, e.Script.Name); e.Script == all[2] {
				if err := os.WriteFile(fifo, []byte("yes\n"), 0); err != nil {
					t.Error(err)
				}
			}
		}))
		require.Equal(t, []string{"script-2", "script-1"}, failed)
	})
	t.Run("after one that changes the root of its host", func(t *testing.T) {
		skip.Tool(t, "pivot_root", "util-linux")
		all := ofLines(t, "exec true", pivots, "exec true", pivots, "exec false", "exec true")
		for _, hosts := range []int{1, 2} {
			var left [][]string
			statuses := map[string]Status{}
			o := Options{Program: program(t, right), Hosts: hosts, All: true}
			require.NoError(t, check(t.Context(), t, o, all, func(e Event) {
				statuses[e.Script.Name] = e.Status
				if len(e.Left) > 0 {
					left = append(left, e.Left)
					require.Contains(t, e.Log, rootGone)
				}
			}))
			require.Equal(t, [][]string{{rootGone}, {rootGone}}, left)
			require.Equal(t, map[string]Status{
				"script-0": Passed, "script-1": Failed, "script-2": Passed,
				"script-3": Failed, "script-4": Failed, "script-5": Passed,
			}, statuses)
		}
	})
	t.Run("there is no program", func(t *testing.T) {
		none := errors.New("it is not built")
		o := Options{Program: "/no/such", Hosts: 3, Built: func() error { return none }}
		err := check(t.Context(), t, o, ofLines(t, "exec true", "exec true"), func(e Event) {
			t.Errorf("%s: %s", e.Script.Name, e.Status)
		})
		require.ErrorIs(t, err, none)
	})
}

// TestPatience gives a script less time than the user gives each.
func TestPatience(t *testing.T) {
	t.Setenv(TimeoutEnv, "1h")
	all := ofLines(t, "exec true", hang)
	o := Options{Program: program(t, right), All: true, Patience: func(s Script) time.Duration {
		if s == all[1] {
			return time.Second
		}
		return 0
	}}
	var last Event
	require.NoError(t, check(t.Context(), t, o, all, func(e Event) { last = e }))
	require.Contains(t, last.Waiting, "sleep 6200")
}

// TestPoolEnd requires that the first script in their order decides, whether it failed or its host
// was gone.
func TestPoolEnd(t *testing.T) {
	p := newPool(t.Context(), 3)
	first, second, third := p.workers[0], p.workers[1], p.workers[2]
	for n, w := range p.workers {
		require.True(t, p.begin(w, n+1))
	}
	gone := errors.New("the host is gone")
	p.end(second, gone)
	require.ErrorIs(t, p.err, gone)
	require.NoError(t, first.ctx.Err())
	require.NoError(t, second.ctx.Err(), "it takes itself away")
	require.Error(t, third.ctx.Err())
	p.end(first, nil)
	require.NoError(t, p.err)
	p.end(third, gone)
	require.NoError(t, p.err)
	require.False(t, p.begin(first, 4))
	require.Error(t, first.ctx.Err())
}
