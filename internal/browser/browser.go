// Package browser lets a test look at a page as people do: it opens the page in headless Chromium
// at the size of a projector or of a phone, presses keys, and looks at what is there. Nothing in
// it waits for a fixed time: a condition is looked at whenever the browser draws.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"container.example/workshop/internal/skip"
)

// patience is for what the browser is asked, on the busiest machine. A test that fails ends after
// it; none passes because of it.
const patience = 2 * time.Minute

// programs are what Chromium is called. The first two have nothing around the page: no bar, no
// tabs, and a third of the work.
var programs = []string{
	"chromium-headless-shell",
	"chrome-headless-shell",
	"chromium",
	"chromium-browser",
	"google-chrome",
	"google-chrome-stable",
}

// View is how a page is looked at.
type View struct {
	Width, Height int
	Dark          bool // prefers-color-scheme: dark
	Still         bool // prefers-reduced-motion: reduce
	Touch         bool // fingers, and no mouse
	Print         bool // as it is printed
}

// The sizes that every page is for.
var (
	Projector = View{Width: 1280, Height: 720}
	Phone     = View{Width: 390, Height: 844, Touch: true}
)

// Browser is a running Chromium.
type Browser struct {
	ctx context.Context
}

// Start starts Chromium, which ends with the test. Without Chromium the test is skipped; with
// CI=true it fails.
func Start(t testing.TB) *Browser {
	t.Helper()
	program := ""
	for _, name := range programs {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		skip.Missing(t, "no browser: none of "+strings.Join(programs, ", ")+" is in PATH "+
			"(apt-get install chromium-headless-shell, or chromium)")
	}
	dir := ownDir(t)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.Env("TMPDIR="+dir),
		// Its sandbox needs namespaces, which root and a container do not have for it. The pages
		// are our own.
		chromedp.NoSandbox,
		chromedp.UserDataDir(filepath.Join(dir, "profile")),
		// The font is the same on every machine that has one, at any size of the screen.
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("hide-scrollbars", false),
	)
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(stop)
	// Its log is of no interest to a test, and names events that are newer than the library.
	quiet := func(string, ...any) {}
	ctx, cancel := chromedp.NewContext(ctx, chromedp.WithLogf(quiet), chromedp.WithErrorf(quiet))
	t.Cleanup(func() {
		limited, done := context.WithTimeout(ctx, patience)
		_ = chromedp.Cancel(limited) // asks it to end; one that does not in time is killed
		done()
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	return &Browser{ctx: ctx}
}

// ownDir is a directory for all that the browser writes: profile and temporary files. Its name is
// short, unlike that of t.TempDir: the browser binds a socket in it, see unix(7).
func ownDir(t testing.TB) string {
	dir, err := os.MkdirTemp("", "browser-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Processes of the browser that end after its first one may still write.
		for end := time.Now().Add(patience); os.RemoveAll(dir) != nil; {
			if time.Now().After(end) {
				t.Errorf("remove %s: never empty", dir)
				return
			}
		}
	})
	return dir
}

// Page is a page in a window of its own, which shares nothing with other windows.
type Page struct {
	t    testing.TB
	ctx  context.Context
	view View

	mu     sync.Mutex
	errors []string
}

// Open opens a URL, or a file by its name. An error of a script of the page, or a file that the
// page asks for and does not get, fails the test, unless Errors has taken it. If the test fails, a
// picture of the page is kept.
func (b *Browser) Open(t testing.TB, url string, view View) *Page {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	p := &Page{t: t, ctx: ctx}
	t.Cleanup(func() {
		p.end()
		cancel()
	})
	if err := chromedp.Listen(ctx, p.listen); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	p.Look(view)
	p.Visit(url)
	return p
}

// end judges what the page had to say, and keeps a picture of it if the test has failed.
func (p *Page) end() {
	if !p.t.Failed() {
		p.Eval("0") // the browser tells of errors before it answers this
		for _, text := range p.Errors() {
			p.t.Errorf("the page: %s", text)
		}
	}
	if p.t.Failed() {
		p.keepPicture()
	}
}

// listen is told what happens in the page.
func (p *Page) listen(event any) {
	text := ""
	switch event := event.(type) {
	case *runtime.EventExceptionThrown:
		text = event.ExceptionDetails.Text
		if thrown := event.ExceptionDetails.Exception; thrown != nil {
			text += " " + thrown.Description
		}
	case *log.EventEntryAdded:
		if event.Entry.Level == log.EntryLevelError {
			text = event.Entry.Text + " " + event.Entry.URL
		}
	}
	if text != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.errors = append(p.errors, text)
	}
}

// Errors are those of the page since the last call: it takes them, and they no longer fail the
// test.
func (p *Page) Errors() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	errors := p.errors
	p.errors = nil
	return errors
}

// do asks the browser for something.
func (p *Page) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// Visit goes to a URL, or to a file by its name, and waits until it is loaded.
func (p *Page) Visit(url string) {
	p.t.Helper()
	if !strings.Contains(url, ":") {
		path, err := filepath.Abs(url)
		if err != nil {
			p.t.Fatal(err)
		}
		url = "file://" + path
	}
	p.do("open "+url, chromedp.Navigate(url))
}

// Look changes how the page is looked at.
func (p *Page) Look(view View) {
	p.t.Helper()
	features := []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: "light"},
		{Name: "prefers-reduced-motion", Value: "no-preference"},
	}
	if view.Dark {
		features[0].Value = "dark"
	}
	if view.Still {
		features[1].Value = "reduce"
	}
	media := "screen"
	if view.Print {
		media = "print"
	}
	var options []chromedp.EmulateViewportOption
	if view.Touch {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	p.view = view
	p.do("set the view",
		chromedp.EmulateViewport(int64(view.Width), int64(view.Height), options...),
		command(emulation.SetEmulatedMedia,
			emulation.SetEmulatedMediaParams{Media: media, Features: features}))
}

// command is an action of the DevTools protocol whose result is of no interest.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// named are the keys that have a name, by it. Others are the character that they type.
var named = map[string]string{
	"ArrowLeft":  kb.ArrowLeft,
	"ArrowRight": kb.ArrowRight,
	"ArrowUp":    kb.ArrowUp,
	"ArrowDown":  kb.ArrowDown,
	"Home":       kb.Home,
	"End":        kb.End,
	"PageUp":     kb.PageUp,
	"PageDown":   kb.PageDown,
	"Enter":      kb.Enter,
	"Escape":     kb.Escape,
	"Tab":        kb.Tab,
	"Space":      " ",
}

// Press presses keys, one after the other: "ArrowRight", "Space", "n".
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		code, ok := named[key]
		if !ok {
			code = key
		}
		p.do("press "+key, chromedp.KeyEvent(code))
	}
}

// Click clicks the middle of the first element that the selector matches, and taps on it if the
// view is one for fingers.
func (p *Page) Click(selector string) {
	p.t.Helper()
	middle := Value[[]float64](p, fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		element.scrollIntoView({block: "nearest", inline: "nearest", behavior: "instant"});
		const box = element.getBoundingClientRect();
		return [box.x + box.width / 2, box.y + box.height / 2];
	})()`, selector))
	click := chromedp.MouseClickXY(middle[0], middle[1])
	if p.view.Touch {
		click = chromedp.TapXY(middle[0], middle[1])
	}
	p.do("click "+selector, click)
}

// Swipe moves a finger from one point of the window to another. The browser takes a tap that
// follows at once for a part of it, and there is no click.
func (p *Page) Swipe(fromX, fromY, toX, toY float64) {
	p.t.Helper()
	touch := func(kind input.DispatchTouchEventType, points ...*input.TouchPoint,
	) chromedp.Action[chromedp.Void] {
		if points == nil {
			points = []*input.TouchPoint{}
		}
		return command(input.DispatchTouchEvent,
			input.DispatchTouchEventParams{Type: kind, TouchPoints: points})
	}
	p.do("swipe",
		touch(input.DispatchTouchEventTypeTouchStart, &input.TouchPoint{X: fromX, Y: fromY}),
		touch(input.DispatchTouchEventTypeTouchMove, &input.TouchPoint{X: toX, Y: toY}),
		touch(input.DispatchTouchEventTypeTouchEnd))
}

// HoldClock stops the intervals of the page (setInterval) that begin from now on: they are over
// only at a Tick. A page that plays is looked at step by step then, however slow the machine.
func (p *Page) HoldClock() {
	p.t.Helper()
	p.Eval(`(() => {
		const acts = new Map();
		let last = 0;
		window.setInterval = act => { acts.set(++last, act); return last };
		window.clearInterval = number => acts.delete(number);
		window.tick = () => [...acts.values()].forEach(act => act());
	})()`)
}

// Tick lets each interval of a page pass once whose clock is held.
func (p *Page) Tick() {
	p.t.Helper()
	p.Eval("tick()")
}

// Back goes to where the window was before, as the button of the browser does.
func (p *Page) Back() { p.do("go back", chromedp.Evaluate[chromedp.Void]("history.back()")) }

// Forward goes again to where Back came from.
func (p *Page) Forward() {
	p.do("go forward", chromedp.Evaluate[chromedp.Void]("history.forward()"))
}

// Reload loads the page again.
func (p *Page) Reload() { p.do("reload", chromedp.Reload()) }

// Eval runs JavaScript in the page and ignores what it returns.
func (p *Page) Eval(script string) {
	p.t.Helper()
	p.do(script, chromedp.Evaluate[chromedp.Void](script))
}

// Value is what an expression of JavaScript is in the page.
func Value[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	value, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return value
}

// Text is the text of the first element that the selector matches, as one sees it, with single
// blanks.
func (p *Page) Text(selector string) string {
	p.t.Helper()
	text := Value[string](p, fmt.Sprintf("document.querySelector(%q).innerText", selector))
	return strings.Join(strings.Fields(text), " ")
}

// Count is how many elements the selector matches.
func (p *Page) Count(selector string) int {
	p.t.Helper()
	return Value[int](p, fmt.Sprintf("document.querySelectorAll(%q).length", selector))
}

// Address is what the browser shows as the address of the page.
func (p *Page) Address() string {
	p.t.Helper()
	return Value[string](p, "location.href")
}

// Wait waits until an expression of JavaScript is true in the page. It is looked at whenever the
// browser draws, and again in the next page if the page changes.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	script := fmt.Sprintf(`new Promise(done => {
		const look = () => (%s) ? done(true) : requestAnimationFrame(look);
		look();
	})`, expression)
	for {
		_, err := chromedp.Run(ctx, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
		switch {
		case err == nil:
			return
		case ctx.Err() != nil:
			p.t.Fatalf("wait for %s: never so", expression)
		case !elsewhere.MatchString(err.Error()):
			p.t.Fatalf("wait for %s: %v", expression, err)
		}
	}
}

// elsewhere matches the errors of a script whose page was left.
var elsewhere = regexp.MustCompile(`navigated or closed|context was destroyed|context with`)

// WaitText waits until the element that the selector matches shows the text.
func (p *Page) WaitText(selector, text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("document.querySelector(%q)?.innerText.replace(/\\s+/g, ' ').includes(%q)",
		selector, text))
}

// Picture is the window as PNG.
func (p *Page) Picture() []byte {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatalf("take a picture: %v", err)
	}
	return png
}

// keepPicture keeps a picture of a page whose test has failed, for the eye.
func (p *Page) keepPicture() {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Logf("no picture: %v", err)
		return
	}
	dir, err := os.MkdirTemp("", "workshop-pictures-")
	if err != nil {
		p.t.Logf("no picture: %v", err)
		return
	}
	name := strings.NewReplacer("/", "-", " ", "-").Replace(p.t.Name()) + ".png"
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, png, 0o644); err != nil {
		p.t.Logf("no picture: %v", err)
		return
	}
	p.t.Logf("the page as it was: %s", file)
}
