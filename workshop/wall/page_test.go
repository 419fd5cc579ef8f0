package wall

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/browser"
)

// hostileNames are names that a page must show and not obey.
var hostileNames = []string{
	"<script>document.title='owned'</script>", "<img src=x onerror=stop()>", "\"'><b>bold</b>",
	"{{.Name}} ${stop()}", "أحمد", "Z\u0334\u0335\u0336\u0337a",
	strings.Repeat("n", longestName),
}

// people puts so many participants on the wall: the first five are stuck.
func people(t *testing.T, w *Wall, n int) {
	for i := range n {
		u := broken(fmt.Sprintf("Person %02d", i))
		if i < len(hostileNames) {
			u.Name = hostileNames[i]
		}
		if i < 5 {
			u.Age = 60 * (10 + i)
		}
		_, err := w.update(keyOf(fmt.Sprint(i)), u)
		require.NoError(t, err)
	}
}

// TestPage looks at the wall in a browser, while it changes.
func TestPage(t *testing.T) {
	b := browser.Start(t)
	s, at, stop := serve(t, Options{Join: []string{"10.0.0.1:8080"}}, "127.0.0.1:0")
	p := b.Open(t, "http://"+at+"/code", browser.Projector)
	p.WaitText("#join", "go tool workshop watch -wall 10.0.0.1:8080/code -name NAME")
	assert.Equal(t, "Nobody is here yet.", p.Text("#none"))
	assert.Equal(t, 3, p.Count("#plan li"))
	assert.Equal(t, "2 35 min", p.Text("#plan li:nth-child(2) div"))

	people(t, s.Wall, 30)
	p.Wait(`document.querySelectorAll(".row").length === 30`)
	// Names are text, whatever is in them.
	assert.Equal(t, "Workshop wall", browser.Value[string](p, "document.title"))
	assert.Zero(t, p.Count("#rows script, #rows img, #rows b"))
	shown := browser.Value[[]string](p,
		`[...document.querySelectorAll(".row bdi")].map(name => name.textContent)`)
	for _, name := range hostileNames {
		assert.Contains(t, shown, name)
	}
	assert.Equal(t, "30", p.Text("#plan li:first-child .who"))

	// Who is stuck stands out: by words, and by a frame.
	assert.Equal(t, 5, p.Count(".row.stuck"))
	assert.Regexp(t, `^stuck 1\d min$`, p.Text(".row.stuck .time"))
	assert.Contains(t, p.Text("#stuck"), "! 5 stuck for 10 minutes or more: ")
	assert.NotEqual(t, "none", browser.Value[string](p,
		`getComputedStyle(document.querySelector(".row.stuck")).boxShadow`))
	assert.Equal(t, "1 · streams", p.Text(".row:not(.stuck) .what"))
	assert.Regexp(t, `^\d+ of 30 min$`, p.Text(".row:not(.stuck) .time"))

	for _, view := range []browser.View{browser.Projector, browser.Phone} {
		for _, view.Dark = range []bool{false, true} {
			p.Look(view)
			assert.Empty(t, p.Wide(), "%+v", view)
			for _, selector := range []string{
				".row h2", ".row:not(.stuck) .time", ".row.stuck h2", ".row.stuck .time", "#stuck",
				"#clock", "#plan .title",
			} {
				assert.GreaterOrEqual(t, p.Contrast(selector), 4.5, "%s %+v", selector, view)
			}
			// No name is over the next line, or beyond its row.
			assert.Zero(t, browser.Value[int](p, `[...document.querySelectorAll(".row > *")].filter(
				part => part.getBoundingClientRect().right >
					part.parentElement.getBoundingClientRect().right + 0.5).length`))
		}
	}
	p.Look(browser.Projector)
	assert.LessOrEqual(t, browser.Value[int](p, "document.documentElement.scrollHeight"), 720,
		"thirty people are to be seen at once")

	// A step on.
	next := broken(hostileNames[0])
	next.Standing = Standing{"2", Broken, "step2-namespaces/hostname-in"}
	next.Passed = []string{"1"}
	_, err := s.update(keyOf("0"), next)
	require.NoError(t, err)
	p.Wait(`document.querySelectorAll(".row.stuck").length === 4`)
	p.WaitText("#plan li:nth-child(2) .who", "1")
	assert.Equal(t, 1, p.Count(".marks .passed"))
	next.Standing, next.Passed = Standing{Lesson: "2", Verdict: Kept}, []string{"1", "2"}
	_, err = s.update(keyOf("0"), next)
	require.NoError(t, err)
	p.Wait(`document.querySelectorAll(".row.kept").length === 1`)
	assert.Equal(t, "✓ all steps passed", p.Text(".row.kept .what"))

	// Somebody is not heard of any longer, and somebody is taken away.
	s.mu.Lock()
	s.rows[keyOf("1")].Seen = time.Now().Add(-awayAfter - time.Second)
	number := s.rows[keyOf("2")].Number
	s.mu.Unlock()
	s.Remove(number)
	p.Wait(`document.querySelectorAll(".row").length === 29`)
	assert.Equal(t, 1, p.Count(".row.away"))
	assert.Equal(t, "away", p.Text(".row.away .time"))

	// The wall goes away, and comes back at the same address with what it had.
	rows := s.Rows()
	stop()
	p.WaitText("#lost", "The wall does not answer. What you see is of ")
	assert.Equal(t, 29, p.Count(".row"))
	p.Errors() // that it cannot be reached
	s, _, _ = serve(t, Options{}, at)
	for i, row := range rows[:10] {
		_, err := s.update(fmt.Sprint(i), Update{Name: row.Name, Standing: row.Standing})
		require.NoError(t, err)
	}
	p.Wait(`document.getElementById("lost").hidden`)
	p.Wait(`document.querySelectorAll(".row").length === 10`)
	p.Errors()
}

// TestPageOfMany has a hundred and more on it, in smaller type.
func TestPageOfMany(t *testing.T) {
	b := browser.Start(t)
	s, at, _ := serve(t, Options{}, "127.0.0.1:0")
	people(t, s.Wall, 100)
	p := b.Open(t, "http://"+at+"/code", browser.Projector)
	p.Wait(`document.querySelectorAll(".row").length === 100`)
	assert.Equal(t, 1, p.Count("body.many"))
	assert.Zero(t, p.Count("#join:not([hidden])"))
	for _, view := range []browser.View{browser.Projector, browser.Phone} {
		p.Look(view)
		assert.Empty(t, p.Wide())
	}
	p.Look(browser.Projector)
	assert.LessOrEqual(t, browser.Value[int](p, "document.documentElement.scrollHeight"), 720,
		"a hundred people are to be seen at once")
	assert.GreaterOrEqual(t, browser.Value[float64](p,
		`parseFloat(getComputedStyle(document.querySelector(".row h2")).fontSize)`), 15.0)
}
