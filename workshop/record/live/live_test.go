package live

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/browser"
	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/recordtest"
)

// A program is one that is recorded: it makes the steps of a recording.
type program struct {
	page *Server
	http *httptest.Server
	made chan int   // the number of each step after which it was let go
	err  chan error // how it ended
}

// start starts a program whose page is served.
func start(t *testing.T, r *record.Recording) *program {
	t.Helper()
	p := &program{
		page: New("127.0.0.1"),
		made: make(chan int, len(r.Steps)),
		err:  make(chan error, 1),
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.http = httptest.NewUnstartedServer(p.page)
	p.http.Start()
	t.Cleanup(func() {
		cancel()
		p.http.CloseClientConnections()
		p.http.Close()
	})
	begin := *r
	begin.Steps, begin.Ended = nil, ""
	for _, table := range r.Start.Mounts {
		begin.Mounts = r.Mounts[:len(table)]
	}
	require.NoError(t, p.page.Begin(&begin))
	go func() {
		for i, step := range r.Steps {
			for _, table := range step.Changes.Mounts {
				begin.Mounts = r.Mounts[:max(len(begin.Mounts), slices.Max(table)+1)]
			}
			if err := p.page.Gate(ctx, step); err != nil {
				p.err <- err
				return
			}
			p.made <- i + 1
		}
		p.err <- p.page.End(r.Ended, "")
	}()
	return p
}

func (p *program) url() string { return p.http.URL + p.page.Path() }

func TestLive(t *testing.T) {
	b := browser.Start(t)
	r := recordtest.Container(true)
	program := start(t, r)
	p := b.Open(t, program.url(), browser.Projector)

	p.WaitText(".position", "1 / 1")
	p.WaitText(".notice", "the program waits")
	assert.Empty(t, program.made, "nobody has pressed a key")
	p.Press("ArrowRight")
	assert.Equal(t, 1, <-program.made)
	p.WaitText(".position", "2 / 2")
	p.Press("j")
	assert.Equal(t, 2, <-program.made)
	p.WaitText(".position", "3 / 3")

	// What has happened can be gone through; the program waits meanwhile.
	p.Press("Home", "ArrowRight")
	p.WaitText(".step h2", "clone")
	assert.Contains(t, p.Text(".changes"), "a copy of the 9 mounts")
	assert.Empty(t, program.made)
	p.Press("End", "ArrowRight")
	assert.Equal(t, 3, <-program.made)
	p.WaitText(".position", "4 / 4")
	assert.Contains(t, p.Text(".changes"), "into cgroup")

	// A page that is loaded again, and another one, are where the program is.
	p.Reload()
	p.WaitText(".position", "4 / 4")
	other := b.Open(t, program.url(), browser.Phone)
	other.WaitText(".position", "4 / 4")
	other.Click(`[aria-label="next step"]`)
	assert.Equal(t, 4, <-program.made)
	p.WaitText(".position", "5 / 5")
	assert.Empty(t, other.Wide())

	// The connection breaks, and the browser makes it again.
	program.http.CloseClientConnections()
	p.Wait(`document.querySelector(".notice").textContent.startsWith("the program waits")`)
	p.Press("ArrowRight")
	assert.Equal(t, 5, <-program.made)
	p.WaitText(".position", "6 / 6")
	assert.Equal(t, 6, p.Count(".steps li"), "no step came twice")
	p.Errors() // of the connection

	// It plays to the end.
	p.HoldClock()
	p.Press("Space")
	for n := 6; n < len(r.Steps); n++ {
		p.Tick()
		assert.Equal(t, n, <-program.made)
		p.WaitText(".position", fmt.Sprintf("%d / %d", n+1, n+1))
	}
	p.Tick()
	p.WaitText(".notice", "the program has ended")
	assert.Contains(t, p.Text(".facts"), "status 0")
	require.NoError(t, <-program.err)
	p.Press("End", "ArrowRight")
	p.WaitText(".position", "16 / 16")
	p.Visit(program.url() + "#10")
	p.WaitText(".position", "10 / 16")
	assert.Contains(t, p.Text(".changes"), "mounts: 10 → 1")
	other.Errors()
}

// ask asks the server as a program does, which may say what it wants of itself.
func (p *program) ask(t *testing.T, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	request, err := http.NewRequest(method, p.http.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			request.Host = headers[i+1]
		}
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	require.NoError(t, err)
	assert.Equal(t, "frame-ancestors 'none'", response.Header.Get("Content-Security-Policy"))
	return response.StatusCode, string(text)
}

// TestStrangers requires that nobody but the page lets the program go on.
func TestStrangers(t *testing.T) {
	p := start(t, recordtest.Container(true))
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"no secret", "POST", "/next", "1", nil, 404},
		{"another secret", "POST", "/" + strings.Repeat("A", 26) + "/next", "1", nil, 404},
		{"the page without the secret", "GET", "/", "", nil, 404},
		{"not POST", "GET", p.page.Path() + "next", "", nil, 404},
		{
			"a name that points here", "POST", p.page.Path() + "next", "1",
			[]string{"Host", "evil.example:80"},
			421,
		},
		{
			"another site", "POST", p.page.Path() + "next", "1",
			[]string{"Sec-Fetch-Site", "cross-site"},
			403,
		},
		{"not a number", "POST", p.page.Path() + "next", "one", nil, 400},
		{"too long", "POST", p.page.Path() + "next", strings.Repeat("1", 1000), nil, 400},
		{"a step to come", "POST", p.page.Path() + "next", "999", nil, 204},
		{"nothing there", "GET", p.page.Path() + "../../etc/passwd", "", nil, 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, _ := p.ask(t, test.method, test.path, test.body, test.headers...)
			assert.Equal(t, test.want, status)
			assert.Empty(t, p.made)
		})
	}
	status, text := p.ask(t, "GET", p.page.Path(), "", "Host", "localhost:1")
	assert.Equal(t, 200, status)
	assert.Contains(t, text, "connect-src 'self'")
	status, _ = p.ask(t, "POST", p.page.Path()+"next", "1", "Sec-Fetch-Site", "same-origin")
	assert.Equal(t, 204, status)
	assert.Equal(t, 1, <-p.made)
}

// TestMany requires that there is an end to how many pages are open.
func TestMany(t *testing.T) {
	p := start(t, recordtest.Container(true))
	for range maxPages {
		response, err := http.Get(p.url() + "events")
		require.NoError(t, err)
		defer response.Body.Close()
		require.Equal(t, 200, response.StatusCode)
	}
	status, _ := p.ask(t, "GET", p.page.Path()+"events", "")
	assert.Equal(t, 503, status)
}

// TestInterrupted requires that the program is let go with an error when the server ends.
func TestInterrupted(t *testing.T) {
	page := New("127.0.0.1")
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	ended := make(chan error, 1)
	go func() { ended <- page.Gate(ctx, record.Step{Call: "clone"}) }()
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
}

func TestAround(t *testing.T) {
	lines := around(&record.Place{File: "source.go", Line: 1})
	assert.Equal(t, "package live", lines[1])
	assert.Len(t, lines, 4)
	assert.Empty(t, around(&record.Place{File: "/dev/zero", Line: 1}))
	assert.Empty(t, around(&record.Place{File: "missing.go", Line: 1}))
	assert.Empty(t, around(nil))
}
