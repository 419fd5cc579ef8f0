package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testPage = `<!doctype html><meta charset="utf-8"><title>test</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
	body { margin: 0; background: #fff; color: #767676 }
	@media (prefers-color-scheme: dark) { body { background: #000 } }
	@media (prefers-reduced-motion: reduce) { body { border-top: 1px solid } }
	.glass { background: rgba(0, 0, 0, 0.5); color: #fff }
</style>
<p id="keys"></p><p class="glass">half</p><button>press</button>
<script>
	let keys = [];
	document.addEventListener("keydown", event => {
		keys.push(event.key);
		document.getElementById("keys").textContent = keys.join(" ");
		history.pushState(null, "", "#" + keys.length);
	});
	document.querySelector("button").onclick = event => { event.target.textContent = "pressed" };
	let from = 0;
	addEventListener("touchstart", event => { from = event.touches[0].clientX });
	addEventListener("touchend", event => {
		const way = event.changedTouches[0].clientX - from;
		document.querySelector("button").textContent = "swiped " + way;
	});
</script>`

func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

func TestPage(t *testing.T) {
	b, file := Start(t), write(t, testPage)
	t.Run("keys and mouse", func(t *testing.T) {
		p := b.Open(t, file, Projector)
		p.Press("ArrowRight", "Space", "n", "?")
		p.WaitText("#keys", "ArrowRight n ?")
		assert.Contains(t, p.Address(), "#4")
		p.Back()
		p.Wait(`location.hash == "#3"`)
		p.Click("button")
		p.WaitText("button", "pressed")
		assert.Equal(t, 2, p.Count("p"))
		p.Reload()
		assert.Equal(t, "press", p.Text("button"))
		assert.NotEmpty(t, p.Picture())
	})
	t.Run("clock", func(t *testing.T) {
		p := b.Open(t, file, Projector)
		p.HoldClock()
		p.Eval(`let count = 0;
			const one = setInterval(() => { count += 1 }, 0);
			setInterval(() => { count += 10 }, 0)`)
		p.Tick()
		p.Eval(`clearInterval(one)`)
		p.Tick()
		assert.Equal(t, 21, Value[int](p, "count"))
	})
	t.Run("view", func(t *testing.T) {
		p := b.Open(t, file, Phone)
		width := func() int { return Value[int](p, "innerWidth") }
		assert.Equal(t, 390, width())
		p.Swipe(300, 300, 100, 300)
		p.WaitText("button", "swiped -200")
		p.Look(View{Width: 800, Height: 600, Dark: true, Still: true})
		assert.Equal(t, 800, width())
		assert.True(t, Value[bool](p, `matchMedia("(prefers-reduced-motion: reduce)").matches`))
	})
	t.Run("contrast", func(t *testing.T) {
		p := b.Open(t, file, Projector)
		// By the tables of WCAG: #767676 is the lightest grey that may be used on white.
		assert.InDelta(t, 4.54, p.Contrast("#keys"), 0.01)
		assert.InDelta(t, 4.00, p.Contrast(".glass"), 0.05)
		p.Look(View{Width: 800, Height: 600, Dark: true})
		assert.InDelta(t, 4.62, p.Contrast("#keys"), 0.01)
	})
	t.Run("wide", func(t *testing.T) {
		p := b.Open(t, file, Phone)
		assert.Empty(t, p.Wide())
		p.Eval(`document.querySelector("button").style.width = "1000px"`)
		assert.Contains(t, fmt.Sprint(p.Wide()), "BUTTON")
	})
}

// TestErrors looks at what fails a test.
func TestErrors(t *testing.T) {
	b := Start(t)
	file := write(t, `<!doctype html><script>nothing.there()</script><img src="missing.png">`)
	p := b.Open(t, file, Projector)
	p.Wait(`document.readyState == "complete"`)
	errors := fmt.Sprint(p.Errors())
	assert.Contains(t, errors, "nothing is not defined")
	assert.Contains(t, errors, "missing.png")
}

// TestSkip looks at what happens on a machine without a browser.
func TestSkip(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("WORKSHOP_REPORT", "") // nothing is missing here
	for ci, want := range map[string]string{"": "skip", "true": "fail"} {
		t.Setenv("CI", ci)
		fake := &fakeTest{TB: t, said: make(chan string, 1)}
		go func() {
			defer close(fake.said)
			Start(fake)
		}()
		assert.Equal(t, want, <-fake.said)
	}
}

// fakeTest tells how a test ended, and ends its goroutine as testing does.
type fakeTest struct {
	testing.TB
	said chan string
}

func (f *fakeTest) Helper() {}

func (f *fakeTest) Skip(...any) {
	f.said <- "skip"
	runtime.Goexit()
}

func (f *fakeTest) Fatal(...any) {
	f.said <- "fail"
	runtime.Goexit()
}

// TestNothingLeft requires that a browser writes into one directory, which goes with it.
func TestNothingLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Run("browser", func(t *testing.T) {
		Start(t).Open(t, "about:blank", Projector)
		left, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, left, 1, "all is in one directory")
	})
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}
