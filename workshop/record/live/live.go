// Package live shows a recording in a browser while it happens, one step at a key. It serves one
// page and the steps as server-sent events; a program that is recorded waits in Gate until the
// page lets it go on.
package live

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/page"
)

// reconnect is when a browser that lost the connection makes it again.
const reconnect = 200 * time.Millisecond

// maxPages is how many pages may be open at a time.
const maxPages = 32

// Server serves the page of one run of a command.
type Server struct {
	secret string
	host   string // that one may call it by, besides localhost and addresses

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when something below changes
	begin   []byte        // the recording before its first step, as JSON
	steps   [][]byte
	letGo   int // the number of the last step after which the program may go on
	ended   []byte
	pages   int

	// The recording grows while the program runs: only Begin and Gate, for which it waits, read it.
	recording *record.Recording
	mounts    int // how many of its mounts the page has
}

// New makes a server. Host is the one that it listens on.
func New(host string) *Server {
	return &Server{
		secret: rand.Text(), host: host, changed: make(chan struct{}),
		recording: &record.Recording{},
	}
}

// Path is that of the page: nobody who is not told can guess it, and so no other page that is open
// in the browser, and no other user of the machine, can let the program go on.
func (s *Server) Path() string { return "/" + s.secret + "/" }

// change changes something, and tells all who wait for a change.
func (s *Server) change(act func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	act()
	close(s.changed)
	s.changed = make(chan struct{})
}

// until waits until a condition, which is looked at under the lock, is true.
func (s *Server) until(ctx context.Context, condition func() bool) error {
	for {
		s.mu.Lock()
		met, changed := condition(), s.changed
		s.mu.Unlock()
		if met {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
	}
}

// Begin takes the recording before its first step.
func (s *Server) Begin(r *record.Recording) error {
	s.recording, s.mounts = r, len(r.Mounts)
	data, err := json.Marshal(r)
	if err != nil {
		return err
	}
	s.change(func() { s.begin = data })
	return nil
}

// Gate shows a step, and waits until somebody lets the program go on.
func (s *Server) Gate(ctx context.Context, step record.Step) error {
	mounts := s.recording.Mounts[s.mounts:]
	s.mounts += len(mounts)
	data, err := json.Marshal(struct {
		Step   record.Step    `json:"step"`
		Mounts []record.Mount `json:"mounts,omitempty"` // that were not seen before
		Source map[int]string `json:"source,omitempty"`
	}{Step: step, Mounts: mounts, Source: around(step.Place)})
	if err != nil {
		return err
	}
	number := 0
	s.change(func() {
		s.steps = append(s.steps, data)
		number = len(s.steps)
	})
	return s.until(ctx, func() bool { return s.letGo >= number })
}

// End tells how the command has ended.
func (s *Server) End(ended, cut string) error {
	data, err := json.Marshal(map[string]string{"ended": ended, "cut": cut})
	if err != nil {
		return err
	}
	s.change(func() { s.ended = data })
	return nil
}

// ServeHTTP answers a browser.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Security-Policy", "frame-ancestors 'none'")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	name, known := strings.CutPrefix(r.URL.Path, s.Path())
	switch {
	case !s.knowsHost(r.Host):
		http.Error(w, "this server is not called that", http.StatusMisdirectedRequest)
	case !known:
		http.NotFound(w, r)
	case name == "" && r.Method == http.MethodGet:
		header.Set("Content-Type", "text/html; charset=utf-8")
		_ = page.WriteLive(w) // the browser is gone
	case name == "events" && r.Method == http.MethodGet:
		s.serveEvents(w, r)
	case name == "next" && r.Method == http.MethodPost:
		s.serveNext(w, r)
	default:
		http.NotFound(w, r)
	}
}

// knowsHost tells whether the browser was told an address or a name of this server. A page of
// somebody else could have its own name point here (DNS rebinding).
func (s *Server) knowsHost(hostPort string) bool {
	host := hostPort
	if name, _, err := net.SplitHostPort(hostPort); err == nil {
		host = name
	}
	return net.ParseIP(strings.Trim(host, "[]")) != nil || host == "localhost" || host == s.host
}

// serveNext lets the program go on after the step that the body names. The same again does
// nothing, so that two who press a key at once do not skip a step.
func (s *Server) serveNext(w http.ResponseWriter, r *http.Request) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		http.Error(w, "not from this page", http.StatusForbidden)
		return
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 20))
	number, notNumber := strconv.Atoi(string(text))
	if err != nil || notNumber != nil {
		http.Error(w, "want the number of a step", http.StatusBadRequest)
		return
	}
	s.change(func() {
		if number <= len(s.steps) {
			s.letGo = max(s.letGo, number)
		}
	})
	w.WriteHeader(http.StatusNoContent)
}

// serveEvents sends what has happened, and what happens from then on. A browser that connects
// again says what it has seen, and gets the rest.
func (s *Server) serveEvents(w http.ResponseWriter, r *http.Request) {
	sent, _ := strconv.Atoi(r.Header.Get("Last-Event-ID")) // 0 for a browser that is new
	sent = max(0, sent)
	tooMany := false
	s.change(func() {
		if tooMany = s.pages >= maxPages; !tooMany {
			s.pages++
		}
	})
	if tooMany {
		http.Error(w, "too many pages are open", http.StatusServiceUnavailable)
		return
	}
	defer s.change(func() { s.pages-- })
	w.Header().Set("Content-Type", "text/event-stream")
	e := &events{w: w, control: http.NewResponseController(w)}
	fmt.Fprintf(w, "retry: %d\n\n", reconnect.Milliseconds())
	began := false
	for !e.done {
		err := s.until(r.Context(), func() bool {
			return s.begin != nil && !began || sent < len(s.steps) || s.ended != nil
		})
		if err != nil {
			return // the browser is gone, or the server ends
		}
		s.mu.Lock()
		begin, steps, ended := s.begin, s.steps, s.ended
		s.mu.Unlock()
		if !began {
			e.send("begin", 0, begin)
			began = true
		}
		for ; sent < len(steps); sent++ {
			e.send("step", sent+1, steps[sent])
		}
		if ended != nil {
			e.send("ended", 0, ended)
			e.done = true
		}
	}
}

// events writes server-sent events.
type events struct {
	w       http.ResponseWriter
	control *http.ResponseController
	done    bool // nothing more is to be sent, or nobody reads
}

// send sends an event. JSON has no line breaks, which would end it.
func (e *events) send(kind string, id int, data []byte) {
	if e.done {
		return
	}
	number := ""
	if id > 0 {
		number = fmt.Sprintf("id: %d\n", id)
	}
	// A browser that does not read is not waited for.
	deadline := e.control.SetWriteDeadline(time.Now().Add(time.Minute))
	_, err := fmt.Fprintf(e.w, "%sevent: %s\ndata: %s\n\n", number, kind, data)
	e.done = errors.Join(deadline, err, e.control.Flush()) != nil
}
