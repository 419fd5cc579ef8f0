//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/skip"
)

// TestCrew asks for scripts as the tests of a package do, and takes what became of them in another
// order.
func TestCrew(t *testing.T) {
	root, err := ModuleRoot()
	require.NoError(t, err)
	host, err := NewHost(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, host.Close()) }()
	var scripts []Script
	skip.Tool(t, "pivot_root", "util-linux")
	for i, text := range []string{
		"exec true", "exec false", "skip 'no reason'", "exec true", pivots,
	} {
		name := fmt.Sprint("script-", i)
		file := filepath.Join(t.TempDir(), name+".txtar")
		require.NoError(t, os.WriteFile(file, []byte(text+"\n"), 0o644))
		scripts = append(scripts, Script{Step: "step1-skeleton", Name: name, File: file})
	}
	scripts[3].File += "-gone" // nobody can run that: the host ends
	require.NoError(t, host.equip(program(t, usage+`exec "$@"`), nil))
	p := fromUser()
	p.Dir = host.dir
	require.NoError(t, p.give(task{Scripts: scripts, All: true}))
	asked, asking, err := os.Pipe()
	require.NoError(t, err)
	answers, answering, err := os.Pipe()
	require.NoError(t, err)
	var crew sync.WaitGroup
	crew.Go(func() {
		if err := answerAll(t.Context(), p, asked, answering); err != nil {
			t.Error(err)
		}
		answering.Close()
	})
	r := newErrands(scripts, asking, answers)
	status := func(n int) Status {
		e, err := r.take(scripts[n])
		require.NoError(t, err)
		require.Equal(t, scripts[n], e.Script)
		return e.Status
	}
	gone := func() {
		_, err := r.take(scripts[3])
		require.ErrorContains(t, err, "no such file or directory")
	}
	gone() // there is one host, and another one after it
	require.NoError(t, r.ask(scripts[0], scripts[1]))
	require.Equal(t, Skipped, status(2))
	require.Equal(t, Failed, status(1))
	require.Equal(t, Passed, status(0))
	require.Equal(t, Failed, status(1), "a second time")
	require.NoError(t, r.ask(scripts[4], scripts[0]))
	require.Equal(t, Passed, status(0), "after one that changes the root of its host")
	require.Equal(t, Failed, status(4))
	require.NoError(t, r.ask(scripts...))
	gone()
	require.Equal(t, Passed, status(0))
	asking.Close()
	crew.Wait()
	_, err = r.take(scripts[0])
	require.Error(t, err)
}
