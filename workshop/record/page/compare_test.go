package page

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/browser"
	"container.example/workshop/internal/skip"
	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/compare"
	"container.example/workshop/workshop/record/recordtest"
)

// compared writes the page of a comparison.
func compared(t *testing.T, mine, ours *record.Recording) string {
	t.Helper()
	c, err := compare.Compare(mine, ours)
	require.NoError(t, err)
	var text bytes.Buffer
	require.NoError(t, WriteCompare(&text, c))
	name := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(name, text.Bytes(), 0o644))
	return name
}

func testCompare(t *testing.T, b *browser.Browser) {
	name := compared(t, recordtest.Container(false), recordtest.Container(true))
	t.Run("differences", func(t *testing.T) {
		p := b.Open(t, name, browser.Projector)
		assert.Equal(t, "yours does not call sethostname; ours does between sendto and mount",
			p.Text(".sentences .words"))
		assert.Contains(t, p.Address(), "#7", "it begins where they part")
		assert.Contains(t, p.Text(".side"), "yours does nothing of the kind here")
		assert.Contains(t, p.Text(".side:last-child"), "sethostname")
		assert.Contains(t, p.Text(".side .summary"), "host name ≠ changed: laptop")
		p.Press("n")
		p.WaitText(".position", "11 / 16")
		assert.Contains(t, p.Text(".side"), "mount ✗ EPERM")
		assert.NotContains(t, p.Text(".side:last-child"), "EPERM")
		p.Press("n")
		p.WaitText("[aria-live]", "no more differences")
		p.Press("p")
		p.WaitText(".position", "7 / 16")
		p.Back()
		p.WaitText(".position", "11 / 16")
		p.Press("ArrowRight", "k", "k")
		p.WaitText(".position", "10 / 16")
		p.Click(`[data-step="12"]`)
		p.WaitText(".side h2", "capset")
		p.Click(`[aria-label="difference before"]`)
		p.WaitText(".position", "11 / 16")
	})
	t.Run("looks", func(t *testing.T) {
		for _, view := range views(t) {
			p := b.Open(t, name, view)
			for _, n := range skip.OneIn(t, 4, allSteps) {
				p.Eval(fmt.Sprintf(`location.hash = "#%d"`, n+1))
				p.WaitText(".position", fmt.Sprintf("%d / 16", n+1))
				require.Empty(t, p.Wide(), "row %d", n+1)
			}
			for _, what := range []string{".changed", ".steps .sign", ".who", ".words", "th"} {
				assert.GreaterOrEqual(t, p.Contrast(what), 4.5, what)
			}
		}
	})
	t.Run("alike", func(t *testing.T) {
		p := b.Open(t, compared(t, recordtest.Container(true), recordtest.Container(true)),
			browser.Projector)
		assert.Equal(t, "both do the same in the same order", p.Text(".sentences .words"))
		assert.Zero(t, p.Count(".summary .change"))
	})
	t.Run("empty", func(t *testing.T) {
		none := &record.Recording{Version: record.Version}
		p := b.Open(t, compared(t, none, none), browser.Projector)
		p.Press("n", "p", "Home", "End", "ArrowRight")
		assert.Equal(t, "0 / 0", p.Text(".position"))
	})
	t.Run("hostile", func(t *testing.T) {
		mine := recordtest.New(hostile).Step(record.Step{Call: hostile, Key: hostile}).Recording
		p := b.Open(t, compared(t, mine, recordtest.Container(true)), browser.Phone)
		p.WaitText(".sentences", "<script>window.done")
		p.Press("n", "Home")
		assert.Equal(t, "undefined", browser.Value[string](p, "typeof window.done"))
		assert.Empty(t, p.Wide())
	})
}
