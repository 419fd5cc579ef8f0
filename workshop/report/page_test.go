package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/browser"
)

// TestPageInBrowser looks at the page of many, with what is hostile in it.
func TestPageInBrowser(t *testing.T) {
	b := browser.Start(t)
	dir := t.TempDir()
	var files []string
	for i := range 30 {
		r := sample()
		r.Name = fmt.Sprintf("Person %02d", i)
		for n := range 130 { // so many has the last step
			r.Results = append(r.Results, Result{
				Step: "step5-complete", Name: fmt.Sprintf("promise-%d", n), Title: "One of many.",
				Status: []Status{Passed, NotBuilt}[min(1, n*i/1000)],
			})
		}
		switch i {
		case 3:
			r.Name = "<script>document.title='owned'</script>" + hostile
		case 4:
			r = unbuilt()
			r.Name = "No program"
		case 5:
			r.Name = "Zoe " + strings.Repeat("long ", 1000)
		}
		files = append(files, filepath.Join(dir, fmt.Sprintf("%d.json", i)))
		require.NoError(t, os.WriteFile(files[i], []byte(text(t, r, JSON)), 0o644))
	}
	page, err := Collect(files)
	require.NoError(t, err)
	file := filepath.Join(dir, "page.html")
	f, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, page.Write(f))
	require.NoError(t, f.Close())

	p := b.Open(t, file, browser.Projector)
	assert.Equal(t, "Workshop: 30 reports", browser.Value[string](p, "document.title"))
	assert.Zero(t, p.Count("script, img"))
	assert.Equal(t, 30, p.Count(".who"))
	assert.Equal(t, "30 people", p.Text(".big li:first-child"))
	assert.Equal(t, "step5-complete: 130 passed, 1 not built, 1 not reached",
		browser.Value[string](p, `document.querySelectorAll(".who .step")[2].ariaLabel`))
	assert.Contains(t, p.Text("#p1 summary"), "1 broken: hostname-in")
	assert.False(t, browser.Value[bool](p, `document.querySelector("#p1 pre").checkVisibility()`))
	p.Click("#p1 summary")
	p.Wait(`document.querySelector("#p1 pre").checkVisibility()`)
	assert.Contains(t, p.Text("#p1 pre"), "<script>alert(1)</script>")

	assert.Equal(t, "Zoe "+strings.Repeat("long ", 11)+"…", p.Text("#p30 h3"))
	style := func(selector, property string) string {
		return browser.Value[string](p, fmt.Sprintf(
			`getComputedStyle(document.querySelector(%q))[%q]`, selector, property))
	}
	assert.NotEqual(t, "rgba(0, 0, 0, 0)", style("meter", "backgroundColor"),
		"what Firefox shows for the rest")

	// From a promise to who breaks it.
	assert.Contains(t, p.Text("table td:nth-child(2)"), "29 of 30 keep it")
	p.Click("table a")
	p.Wait(`location.hash !== ""`)
	assert.Contains(t, p.Text(browser.Value[string](p, "location.hash")), "No program")

	p.Look(browser.View{Width: 800, Height: 1000, Print: true})
	assert.Equal(t, "exact", style("i", "printColorAdjust"), "a square is on paper, too")
	for _, view := range []browser.View{browser.Projector, browser.Phone} {
		for _, view.Dark = range []bool{false, true} {
			p.Look(view)
			assert.Empty(t, p.Wide(), "%+v", view)
			for _, selector := range []string{
				"h1", ".soft", ".score", "summary b", "pre", "i.failed", ".step small", "table a",
			} {
				assert.GreaterOrEqual(t, p.Contrast(selector), 4.5, "%s %+v", selector, view)
			}
		}
	}
}
