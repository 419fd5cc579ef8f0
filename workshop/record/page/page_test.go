package page

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/browser"
	"container.example/workshop/internal/skip"
	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/recordtest"
)

// file writes the page of a recording.
func file(t *testing.T, r *record.Recording) string {
	t.Helper()
	var text bytes.Buffer
	require.NoError(t, Write(&text, r))
	name := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(name, text.Bytes(), 0o644))
	return name
}

// goTo shows a step of a recording.
func goTo(p *browser.Page, n int) {
	p.Eval(fmt.Sprintf(`location.hash = "#%d"`, n))
	p.Wait(fmt.Sprintf(`document.querySelector(".position").textContent.startsWith("%d ")`, n))
}

// TestPages looks at pages in one browser: each has a window of its own, which shares nothing with
// the others.
func TestPages(t *testing.T) {
	b := browser.Start(t)
	for name, look := range map[string]func(*testing.T, *browser.Browser){
		"access":    testAccess,
		"cgroups":   testCgroups,
		"compare":   testCompare,
		"engine":    testEngine,
		"hostile":   testHostile,
		"keyboard":  testKeyboard,
		"long":      testLong,
		"looks":     testLooks,
		"maker":     testMaker,
		"notes":     testNotes,
		"print":     testPrint,
		"recording": testRecording,
		"refused":   testRefused,
	} {
		t.Run(name, func(t *testing.T) { look(t, b) })
	}
}

// testEngine looks at a recording such as that of podman: long commands with ids of 64 digits,
// names of packages with their paths, and hundreds of steps.
func testEngine(t *testing.T, b *browser.Browser) {
	id := strings.Repeat("0123456789abcdef", 4)
	command := append([]string{"conmon"}, slices.Repeat([]string{"--exit-command-arg", id}, 40)...)
	r := recordtest.New(command...)
	r.Recording.Mounts[1].Root = "/" + id
	r.Recording.Mounts[1].Options = "rw,nosuid,nodev,noexec,relatime"
	for range 400 {
		r.Step(record.Step{Call: "mount", Key: "mount", Place: &record.Place{
			File: "github.com/opencontainers/runc/libcontainer/mount_linux.go", Line: 57,
			Function: "github.com/opencontainers/runc/libcontainer.(*initProcess).start",
		}})
	}
	name := file(t, r.Recording)
	for _, view := range []browser.View{browser.Projector, browser.Phone} {
		p := b.Open(t, name, view)
		p.Press("End")
		p.WaitText(".position", "400 / 400")
		assert.Empty(t, p.Wide())
		assert.LessOrEqual(t, browser.Value[float64](p,
			`document.querySelector(".position").getBoundingClientRect().right`),
			float64(view.Width), "all of the number of the step is on the screen")
		for _, what := range []string{".bar h1", ".tree"} {
			assert.Less(t, browser.Value[float64](p, fmt.Sprintf(
				`document.querySelector(%q).getBoundingClientRect().height`, what)),
				float64(view.Height)/4, "%s is short", what)
		}
		assert.Contains(t, p.Text(".tree"), "conmon --exit-command-arg 0123456789ab… ")
		assert.Equal(t, strings.Join(command, " "),
			browser.Value[string](p, `document.querySelector(".process").title`))
		row := p.Text(".mounts tbody tr:nth-child(2)")
		assert.Contains(t, row, "proc /0123456789ab…")
		assert.Contains(t, row, "rw,nosuid,nodev,noexec,relatime")
		assert.Equal(t, 4, p.Count(".mounts tbody tr:nth-child(2) wbr"))
		assert.Equal(t, "libcontainer/mount_linux.go:57 in libcontainer.(*initProcess).start",
			p.Text(".source figcaption"))
	}
}

func testRecording(t *testing.T, b *browser.Browser) {
	name := file(t, recordtest.Container(true))
	t.Run("keys", func(t *testing.T) {
		p := b.Open(t, name, browser.Projector)
		assert.Contains(t, p.Text(".step"), "before the first step")
		p.Press("ArrowRight")
		p.WaitText(".step h2", "clone")
		assert.Contains(t, p.Address(), "#1")
		p.Press("ArrowRight", "j", "k", "ArrowLeft")
		p.Wait(`location.hash == "#1"`)
		p.Press("PageDown")
		p.Wait(`location.hash == "#11"`)
		p.Press("End")
		p.WaitText(".position", "16 / 16")
		p.Press("ArrowRight")
		p.WaitText(".position", "16 / 16")
		p.Press("Home")
		p.WaitText(".position", "0 / 16")
		p.Press("?")
		p.WaitText("dialog[open]", "ten steps on")
		p.Press("Escape")
		p.Wait(`!document.querySelector("dialog[open]")`)
	})
	t.Run("address", func(t *testing.T) {
		p := b.Open(t, "file://"+name+"#9", browser.Projector)
		assert.Equal(t, "pivot_root", p.Text(".step h2"))
		p.Press("ArrowRight", "ArrowRight")
		p.Wait(`location.hash == "#11"`)
		p.Back()
		p.WaitText(".step h2", "umount2")
		p.Back()
		p.WaitText(".step h2", "pivot_root")
		p.Forward()
		p.WaitText(".step h2", "umount2")
		p.Visit("file://" + name + "#99999")
		p.WaitText(".position", "16 / 16")
		p.Eval(`location.hash = "#77"`)
		p.Wait(`location.hash == "#16"`)
	})
	t.Run("clone", func(t *testing.T) {
		p := b.Open(t, "file://"+name+"#1", browser.Projector)
		assert.Contains(t, p.Text(".changes"), "+ new: process 1 (on the host 42)")
		assert.Contains(t, p.Text(".changes"), "new namespaces: mnt, net, pid, user, uts")
		assert.Contains(t, p.Text(".changes"), "a copy of the 9 mounts")
		assert.Contains(t, p.Text(".tree"), "1 (on the host 42)")
		assert.Equal(t, 5, p.Count(`.beside [data-group="namespaces"].row-changed`))
		assert.Contains(t, p.Text(".source .here"), "▶ 23")
		assert.Contains(t, p.Text(".promises"), "step2-namespaces/pid-one")
		assert.Equal(t, "https://man7.org/linux/man-pages/man2/clone.2.html",
			browser.Value[string](p, `document.querySelector(".links a").href`))
	})
	t.Run("state", func(t *testing.T) {
		p := b.Open(t, "file://"+name+"#7", browser.Projector)
		assert.Contains(t, p.Text(`[data-group="hostname"]`),
			"laptop ≠ changed: container was laptop")
		assert.Contains(t, p.Text("#card-cgroups"), "memory.max 64 MiB")
		assert.Equal(t, 1, p.Count(".cable"), "eth0 is joined to the bridge")
		goTo(p, 10)
		assert.Contains(t, p.Text(".changes"), "mounts: 10 → 1")
		assert.Equal(t, 9, p.Count(`.mounts tr[data-sign="−"]`))
		goTo(p, 12)
		assert.Contains(t, p.Text(".changes"), "effective capabilities: all → 4")
		goTo(p, 16)
		assert.Contains(t, p.Text(".changes"), "gone: process 1 (on the host 42)")
	})
	t.Run("a process is chosen", func(t *testing.T) {
		p := b.Open(t, "file://"+name+"#10", browser.Projector)
		p.Click(`[data-pid="40"]`)
		p.WaitText(".beside thead", "process 40")
		p.Press("j")
		p.WaitText(".position", "11 /")
		assert.Contains(t, p.Text(".beside thead"), "process 40")
		p.Click(`[data-pid="40"]`)
		p.WaitText(".beside thead", "process 1 (on the host 42)")
	})
	t.Run("play", func(t *testing.T) {
		p := b.Open(t, name, browser.Projector)
		p.HoldClock()
		p.Press("Space")
		p.Tick()
		p.WaitText(".step h2", "clone")
		p.Tick()
		p.WaitText(".step h2", "mkdir")
		p.Press("Space")
		p.Tick()
		p.WaitText(".position", "2 /")
		assert.Equal(t, "play",
			browser.Value[string](p, `document.querySelectorAll(".controls button")[2].ariaLabel`))
	})
	t.Run("mouse and fingers", func(t *testing.T) {
		p := b.Open(t, name, browser.Projector)
		p.HoldClock()
		p.Click(`[data-step="3"]`)
		p.WaitText(".position", "3 /")
		// What was clicked has not kept the key.
		for _, click := range []struct{ on, position string }{
			{on: `[data-step="3"]`, position: "4 /"},
			{on: `[data-pid]`, position: "5 /"},
			{on: `[title="next step (→)"]`, position: "7 /"},
		} {
			p.Click(click.on)
			p.Press("Space")
			p.WaitText(`[title="play (Space)"]`, "❚❚")
			p.Tick()
			p.WaitText(".position", click.position)
			p.Press("Space")
		}
		p = b.Open(t, name, browser.Phone)
		p.Click(`[aria-label="next step"]`)
		p.WaitText(".position", "1 /")
		p.Swipe(300, 400, 100, 410)
		p.WaitText(".position", "2 /")
		p.Swipe(100, 400, 300, 410)
		p.WaitText(".position", "1 /")
		p.Swipe(200, 500, 190, 300) // this scrolls
		p.Swipe(300, 400, 100, 410)
		p.WaitText(".position", "2 /")
	})
}

// testRefused looks at a call that the kernel refused, which is seen without colour.
func testRefused(t *testing.T, b *browser.Browser) {
	p := b.Open(t, file(t, recordtest.Container(false)), browser.Projector)
	goTo(p, 10)
	assert.Equal(t, "mount ✗ EPERM", p.Text(".step h2"))
	assert.Contains(t, p.Text(".words"), ". The kernel refused it.")
	assert.Contains(t, p.Text(`[data-step="10"]`), "✗ mount proc /proc")
	assert.Contains(t, p.Text("[aria-live]"), "Refused, EPERM")
	assert.GreaterOrEqual(t, p.Contrast(".step .refused"), 4.5)
	p.Press("Home", "f", "ArrowRight")
	p.WaitText(".position", "10 /")
	assert.Equal(t, 1, p.Count(".steps button"))
	p.Press("f")
	p.WaitText(".buttons", "process 42")
	assert.Equal(t, 9, p.Count(".steps button"))
	p.Press("f")
	p.WaitText(".buttons", "all steps")
}

// testNotes looks at what the recorder says of itself.
func testNotes(t *testing.T, b *browser.Browser) {
	r := recordtest.Container(true)
	r.Notes = []string{"recorded as an ordinary user", "<b>and so on</b>"}
	r.Machine.Cgroups = ""
	p := b.Open(t, file(t, r), browser.Projector)
	assert.Contains(t, p.Text(".facts"), "no cgroups")
	p.Press("Home")
	p.WaitText(".position", "0 /")
	assert.Contains(t, p.Text(".step"), "recorded as an ordinary user")
	assert.Contains(t, p.Text(".step"), "<b>and so on</b>")
	goTo(p, 10)
	assert.NotContains(t, p.Text(".step"), "recorded as")
}

// testCgroups looks at a value that changes in a control group and in the one above it, as those do
// that count (cgroups(7)): each is named. A value that changes in one of them speaks for itself.
func testCgroups(t *testing.T, b *browser.Browser) {
	const above, below = ":/above", ":/above/below"
	counts := func(n string) map[string]string { return map[string]string{"pids.current": n} }
	sample := recordtest.New("sh").Step(record.Step{Call: "mkdir"}).
		Cgroup(above, nil, counts("0")).Cgroup(below, nil, counts("0")).
		Step(record.Step{Call: "clone3"}).
		Cgroup(above, nil, counts("1")).Cgroup(below, nil, counts("1")).
		Step(record.Step{Call: "exit"}).Cgroup(below, nil, counts("0"))
	p := b.Open(t, file(t, sample.Recording), browser.Projector)
	goTo(p, 2)
	assert.Contains(t, p.Text(".step"), "pids.current of :/above: 0 → 1")
	assert.Contains(t, p.Text(".step"), "pids.current of :/above/below: 0 → 1")
	goTo(p, 3)
	assert.Contains(t, p.Text(".step"), "pids.current: 1 → 0")
}

// testMaker looks at calls whose line is not known: those of a script, and of a program that was
// compiled without -g.
func testMaker(t *testing.T, b *browser.Browser) {
	sample := recordtest.New("sh", "-c", "hostname box\n  exit").
		Step(record.Step{Call: "sethostname"}).
		Step(record.Step{Call: "mount"}).Place("", 0, "child")
	p := b.Open(t, file(t, sample.Recording), browser.Projector)
	goTo(p, 1)
	assert.Equal(t, "command sh -c hostname box exit", p.Text(".source"))
	goTo(p, 2)
	assert.Equal(t, "in child, line not known (compile with -g)", p.Text(".source figcaption"))

	sample.Step(record.Step{Call: "chdir"}).Place("main.c", 7, "main", "chdir();")
	p = b.Open(t, "file://"+file(t, sample.Recording)+"#2", browser.Projector)
	assert.Equal(t, "in child, line not known", p.Text(".source figcaption"), "it has -g")
}

// allSteps are the state before the first step and the 15 of recordtest.Container(false).
var allSteps = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// views are the sizes in both colours, or each size once (see skip.OneInEach).
func views(t *testing.T) []browser.View {
	all := []browser.View{browser.Projector, browser.Phone, browser.Projector, browser.Phone}
	all[1].Dark, all[2].Dark = true, true
	return skip.OneInEach(t, 1, all, func(v browser.View) bool { return v.Touch })
}

// testLooks looks at each step in each size and colour: nothing is beyond the edge, and what
// changed can be read.
func testLooks(t *testing.T, b *browser.Browser) {
	name := file(t, recordtest.Container(false))
	for _, view := range views(t) {
		t.Run(fmt.Sprint(view), func(t *testing.T) {
			p := b.Open(t, name, view)
			for _, n := range skip.OneIn(t, 4, allSteps) {
				goTo(p, n)
				require.Empty(t, p.Wide(), "step %d", n)
			}
			for _, what := range []string{
				".changed", ".sign", ".kicker", ".words", ".note", ".refused", "th", ".number",
				".arguments dt", "button",
			} {
				goTo(p, 10)
				if what == ".changed" || what == ".sign" {
					goTo(p, 9)
				}
				assert.GreaterOrEqual(t, p.Contrast(what), 4.5, what)
			}
			p.Press("d")
			goTo(p, 9)
			assert.GreaterOrEqual(t, p.Contrast(".changed"), 4.5, "the other colours")
		})
	}
}

// testAccess looks at what a screen reader and a keyboard need.
func testAccess(t *testing.T, b *browser.Browser) {
	p := b.Open(t, file(t, recordtest.Container(true)), browser.Projector)
	goTo(p, 7)
	assert.Equal(t, "Step 7 of 16. sethostname: the host name in the container is container",
		p.Text("[aria-live]"))
	for _, landmark := range []string{"header", "main", "nav[aria-label]", "h1", "html[lang]"} {
		assert.Equal(t, 1, p.Count(landmark), landmark)
	}
	assert.Empty(t, browser.Value[[]string](p, `
		[...document.querySelectorAll("button, input")].filter(
			one => !(one.ariaLabel || one.innerText.trim())).map(one => one.outerHTML)`))
	assert.Equal(t, "step 7, sethostname: the host name in the container is container",
		browser.Value[string](p, `document.querySelector("input").getAttribute("aria-valuetext")`))
	p.Press("Tab", "Tab")
	assert.Equal(t, "solid",
		browser.Value[string](p, `getComputedStyle(document.activeElement).outlineStyle`))
	p.Press("Enter") // on the button for the colours
	p.Wait(`document.documentElement.dataset.colours == "dark"`)
}

// testKeyboard goes through the list of steps with the keys alone, and scrolls.
func testKeyboard(t *testing.T, b *browser.Browser) {
	p := b.Open(t, file(t, recordtest.Container(true)), browser.Projector)
	focus := func() string {
		return browser.Value[string](p, `document.activeElement.dataset.step ?? ""`)
	}
	p.Eval(`document.querySelector("input").focus()`)
	p.Press("Tab") // to the list, though no row is the current one yet
	assert.Equal(t, "1", focus())
	p.Press("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp")
	p.WaitText(".position", "2 /")
	assert.Equal(t, "2", focus())
	p.Press("ArrowRight")
	p.WaitText(".position", "3 /")
	assert.Equal(t, "3", focus(), "the focus stays where we are")
	p.Press("Tab")
	assert.Equal(t, "step", browser.Value[string](p, "document.activeElement.className"))
	p.Eval(`document.querySelector(".state").focus()`)
	p.Press("ArrowDown")
	p.Wait(`document.querySelector(".state").scrollTop > 0`)
}

// testPrint looks at what is printed: all steps, and no button; on paper, which is light.
func testPrint(t *testing.T, b *browser.Browser) {
	view := browser.View{Width: 800, Height: 1000, Print: true}
	p := b.Open(t, file(t, long(200)), view)
	p.Eval(`dispatchEvent(new Event("beforeprint"))`)
	assert.Equal(t, 200, p.Count(".steps li"))
	assert.Zero(t, browser.Value[int](p, `document.querySelector(".controls button").offsetHeight`))
	p.Eval(`dispatchEvent(new Event("afterprint"))`)
	assert.Equal(t, "static", browser.Value[string](p,
		`getComputedStyle(document.querySelector(".controls")).position`), "on no other text")
	assert.True(t, browser.Value[bool](p, `document.querySelector(".step h2").offsetTop <
		document.querySelector(".steps").offsetTop`), "the step comes before the list")
	ink := `getComputedStyle(document.body).color`
	light := browser.Value[string](p, ink)
	p.Press("d")
	assert.Equal(t, light, browser.Value[string](p, ink))
	view.Print = false
	p.Look(view)
	assert.NotEqual(t, light, browser.Value[string](p, ink))
}

// long is a recording of many steps that add and remove mounts.
func long(steps int) *record.Recording {
	b := recordtest.New("./container", "run", "sh")
	for i := range steps {
		b.Step(record.Step{Call: "mount", Key: fmt.Sprintf("mount tmpfs /tmp/%d", i), Words: "one"})
		b.Mounts("4026531836", func(mounts []record.Mount) []record.Mount {
			if len(mounts) > 30 {
				mounts = mounts[20:]
			}
			return append(mounts, record.Mount{
				ID: 1000 + i, Root: "/", Point: fmt.Sprintf("/tmp/%d", i), Type: "tmpfs",
				Source: "tmpfs",
			})
		})
	}
	return b.Recording
}

// testLong looks at a recording of 5,000 steps: what is not in sight is not in the page, and each
// state is what all steps up to it make, whichever way one comes there.
func testLong(t *testing.T, b *browser.Browser) {
	p := b.Open(t, file(t, long(5000)), browser.Projector)
	p.Press("End")
	p.WaitText(".position", "5000 / 5000")
	assert.Less(t, p.Count(".steps li"), 60)
	assert.Greater(t, p.Count(`script[type="application/json"]`), 1)
	assert.Equal(t, []int{100, 5000, 100, 5000}, browser.Value[[]int](p, `(() => {
		const recording = new Recording(pageData());
		const few = strokes(recording, 103, 6), many = strokes(recording, 20004, 6);
		return [few.length, many.length, strokes(recording, 103, 1).length, many.at(-1).n];
	})()`), "no stroke on another")
	assert.Contains(t, p.Text(`[aria-current="step"]`), "5000")
	for _, n := range []int{4999, 2500, 2499, 50, 49, 1, 3333} {
		goTo(p, n)
		assert.Contains(t, p.Text("#card-mounts .change"), fmt.Sprintf("/tmp/%d", n-1))
	}
	assert.Equal(t, []int{}, browser.Value[[]int](p, `(() => {
		const data = pageData();
		const recording = new Recording(data), plain = recording.at(0), wrong = [];
		data.steps.forEach(step => plain.apply(step.changes));
		const same = (a, b) => JSON.stringify([...a.mounts]) === JSON.stringify([...b.mounts]);
		if (!same(recording.at(5000), plain)) wrong.push(5000);
		for (const n of [7, 4000, 100, 99]) {
			const other = recording.at(0);
			data.steps.slice(0, n).forEach(step => other.apply(step.changes));
			if (!same(recording.at(n), other)) wrong.push(n);
		}
		return wrong;
	})()`))
}

// hostile is text that becomes markup, or ends a script, where it is not taken for text.
const hostile = `</script><script>window.done = "script"</script>` +
	`<img src=x onerror="window.done = 'img'">` + "\u2028'\"`${window.done = 1}\u202e<!--" +
	"a-word-that-is-wider-than-any-window-of-a-phone-and-of-some-projectors/and/has/no/blank/in/it"

// testHostile records a program that puts markup wherever it can.
func testHostile(t *testing.T, c *browser.Browser) {
	b := recordtest.New("./container", hostile)
	b.Recording.Machine.Kernel, b.Recording.Ended = hostile, hostile
	b.Recording.Cut = hostile
	b.Step(record.Step{
		Call: hostile, Words: hostile, Key: hostile, Man: hostile, Result: hostile, Errno: hostile,
		Args: []record.Arg{{Name: hostile, Value: hostile}}, Promises: []string{hostile},
	})
	b.Process(42, func(p *record.Process) {
		p.Command, p.Root, p.Dir, p.UIDMap = []string{hostile}, hostile, hostile, hostile
		p.UIDs, p.Groups, p.Terminal, p.Cgroups = hostile, hostile, hostile, []string{hostile}
		p.Namespaces["mnt"], p.Namespaces[hostile] = "7", hostile
		p.Namespaces["uts"], p.Namespaces["net"] = "8", "__proto__"
		p.Capabilities["effective"] = []string{hostile}
	}).Mounts("7", func([]record.Mount) []record.Mount {
		return []record.Mount{{
			Root: hostile, Point: hostile, Type: hostile, Source: hostile, Options: hostile,
			Propagation: hostile,
		}}
	}).Cgroup(hostile, []int{42}, map[string]string{
		hostile: hostile, "__proto__": hostile, "memory.current": hostile,
	}).Place(hostile, 3, hostile, hostile)
	b.Recording.Steps[0].Changes.Hostnames = map[string]string{"8": hostile, "__proto__": hostile}
	b.Recording.Steps[0].Changes.Interfaces = map[string][]record.Interface{
		"__proto__": {{Name: hostile, Addresses: []string{hostile}, Routes: []string{hostile}}},
	}
	name := file(t, b.Recording)
	p := c.Open(t, name, browser.Phone)
	p.Press("ArrowRight", "f", "f", "f")
	p.WaitText(".step h2", "<script>window.done")
	assert.Contains(t, p.Text(".arguments"), "onerror")
	assert.Contains(t, p.Text("#card-network"), "<img src=x")
	assert.Contains(t, p.Text(`[data-group="hostname"]`), "</script>")
	assert.Equal(t, "undefined", browser.Value[string](p, "typeof window.done"))
	assert.Equal(t, 2, p.Count("script"))
	assert.Zero(t, p.Count("img"))
	assert.Empty(t, p.Wide())
	p.Press("?", "Escape", "d", "Home")

	// Should something become markup after all, the page's policy keeps it from doing anything.
	p.Eval(`document.body.insertAdjacentHTML("beforeend", "<img src='data:,' onerror='done = 2'>")`)
	p.Wait(`document.querySelector("img").complete`)
	assert.Equal(t, "undefined", browser.Value[string](p, "typeof window.done"))
	assert.Contains(t, strings.Join(p.Errors(), " "), "Content Security Policy")

	again, err := ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, b.Recording, again)
}

func TestRead(t *testing.T) {
	r := recordtest.Container(true)
	var asPage, asJSON bytes.Buffer
	require.NoError(t, Write(&asPage, r))
	require.NoError(t, r.Write(&asJSON))
	for _, data := range [][]byte{asPage.Bytes(), asJSON.Bytes()} {
		again, err := Read(data)
		require.NoError(t, err)
		assert.Equal(t, r, again)
	}
	many := long(1000) // it lies in several elements
	many.Steps[0].Words = strings.Repeat("é", longestPart)
	asPage.Reset()
	require.NoError(t, Write(&asPage, many))
	assert.Greater(t, strings.Count(asPage.String(), dataGoesOn), 1)
	assert.Equal(t, 1, strings.Count(asPage.String(), `"/tmp/7"`), "a mount is listed once")
	for _, part := range strings.Split(asPage.String(), dataGoesOn) {
		assert.True(t, utf8.ValidString(part))
	}
	again, err := Read(asPage.Bytes())
	require.NoError(t, err)
	assert.Equal(t, many.Steps, again.Steps)
	for text, want := range map[string]string{
		"":                     "not a recording",
		"<html>nothing</html>": "not a recording: this page has none in it",
		"{}":                   "not a recording: no version",
		`{"version": 99}`:      "version 99",
		"\x7fELF":              "not a recording",
		`{"version": 1, "start": {"mounts": {"7": [{"id": 1}]}}}`: "record it again",
		`{"version": 2, "start": {"mounts": {"7": [0]}}}`:         "not a recording",
		`{"version": 2, "steps": 7}`:                              "not a recording",
		dataBegins + `{"version": 2`:                              "this page has none in it",
		dataBegins + `{ ` + dataEnds:                              "not a recording",
		dataBegins + `null` + dataEnds:                            "not a recording",
	} {
		_, err := Read([]byte(text))
		assert.ErrorContains(t, err, want, text)
	}
	_, err = ReadFile("missing.json")
	assert.ErrorContains(t, err, "missing.json")
}
