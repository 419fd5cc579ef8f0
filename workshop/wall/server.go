package wall

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"container.example/workshop/internal/wholefile"
	"container.example/workshop/workshop/style"
)

// Limits of what comes in.
const (
	largestBody    = 2 << 10
	largestHeader  = 4 << 10
	headerTime     = 5 * time.Second
	bodyTime       = 10 * time.Second
	writeTime      = 10 * time.Second
	idleTime       = 90 * time.Second
	mostConns      = 1024
	mostPerAddress = 256
	mostViewers    = 200 // pages that are open
)

// Times of the page: how often it is told what is new at most, and at least.
const (
	shortest = 200 * time.Millisecond
	longest  = 15 * time.Second
)

// saveEvery is how often the file is written, if something has changed.
const saveEvery = 5 * time.Second

// Options of a Server.
type Options struct {
	Course Course
	Code   string // the word in the address; empty for the one of the file, or a new one
	File   string // the state is kept in it; empty for nowhere
	Most   int    // participants
	// Join are the addresses that participants can type, each HOST:PORT.
	Join []string
	// Log is told what goes wrong beside the requests.
	Log func(error)
}

// A Server is a wall with an address.
type Server struct {
	*Wall
	file      string
	log       func(error)
	strangers *addresses
	viewers   chan struct{}
	done      chan struct{} // closed at the end
}

// NewServer makes a server, with what is in the file if it is there.
func NewServer(o Options) (*Server, error) {
	if o.Code != "" && !codeOK(o.Code) {
		return nil, fmt.Errorf("-code %q: must be 1 to 20 letters, digits or hyphens", o.Code)
	}
	s := &Server{
		Wall:    New(o.Course, o.Code, o.Most),
		file:    o.File,
		log:     o.Log,
		viewers: make(chan struct{}, mostViewers),
		done:    make(chan struct{}),
	}
	s.strangers = newAddresses(s.clock())
	if o.File != "" {
		text, err := os.ReadFile(o.File)
		if err == nil {
			err = s.restore(text)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("-state %s: %w (remove it to begin anew)", o.File, err)
		}
	}
	if s.code == "" {
		s.code = newCode()
	}
	for _, address := range o.Join {
		s.join = append(s.join, address+"/"+s.code)
	}
	s.dirty = true
	return s, s.save() // an error is to be seen now, and not when the room is full
}

// codeOK tells whether a code can be part of an address without being escaped.
func codeOK(code string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"
	return len(code) <= 20 && strings.Trim(code, letters) == ""
}

// newCode is a code of four characters that nobody takes for others.
func newCode() string {
	const letters = "abcdefghjkmnpqrstuvwxyz23456789"
	code := make([]byte, 4)
	_, _ = rand.Read(code) // never fails
	for i, b := range code {
		code[i] = letters[int(b)%len(letters)]
	}
	return string(code)
}

// Code is the word that is part of the address.
func (s *Server) Code() string { return s.code }

// Typed are the addresses with the code, as one types them after -wall.
func (s *Server) Typed() []string { return s.join }

// save writes the file, if there is something new.
func (s *Server) save() error {
	text, changed, err := s.state()
	if err != nil || !changed || s.file == "" {
		return err
	}
	return wholefile.Write(s.file, 0o600, func(f *os.File) error {
		_, err := f.Write(text)
		return err
	})
}

// Serve serves until ctx is done, and saves then.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       bodyTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    largestHeader,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that speaks no HTTP is no news
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var background sync.WaitGroup
	background.Go(func() { s.keep(ctx) })
	background.Go(func() {
		<-ctx.Done()
		close(s.done) // pages that are open wait for nothing else
		quick, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(quick) != nil {
			server.Close()
		}
	})
	err := server.Serve(&limited{Listener: listener, conns: map[netip.Prefix]int{}})
	cancel()
	background.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, s.save())
}

// keep writes the file now and then.
func (s *Server) keep(ctx context.Context) {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	well := true
	for {
		select {
		case <-ticker.C:
			err := s.save()
			if err != nil {
				s.mu.Lock()
				s.dirty = true // it is tried again
				s.mu.Unlock()
			}
			if err != nil && well && s.log != nil { // once, and not every few seconds
				s.log(err)
			}
			well = err == nil
		case <-ctx.Done():
			return
		}
	}
}

// limited is a listener that closes at once what is more than a machine, or all, may have open.
type limited struct {
	net.Listener
	mu    sync.Mutex
	conns map[netip.Prefix]int
	all   int
}

// Accept waits for the next connection.
func (l *limited) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from := network(conn.RemoteAddr().String())
		if l.add(from) {
			return &counted{Conn: conn, gone: func() { l.remove(from) }}, nil
		}
		conn.Close()
	}
}

func (l *limited) add(from netip.Prefix) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= mostConns || l.conns[from] >= mostPerAddress {
		return false
	}
	l.all++
	l.conns[from]++
	return true
}

func (l *limited) remove(from netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.conns[from]--; l.conns[from] == 0 {
		delete(l.conns, from)
	}
}

// counted is a connection that is counted until it is closed.
type counted struct {
	net.Conn
	once sync.Once
	gone func()
}

// Close closes the connection.
func (c *counted) Close() error {
	c.once.Do(c.gone)
	return c.Conn.Close()
}

// ServeHTTP answers a request. What is wrong is refused before more of it is read.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	base := "/" + s.code
	if key, row := s.known(r); row && r.URL.Path == base+"/update" {
		s.post(w, r, key, true)
		return
	}
	if !s.strangers.take(network(r.RemoteAddr), s.clock()) {
		h.Set("Retry-After", "2")
		refuse(w, http.StatusTooManyRequests, "too many requests from here")
		return
	}
	switch r.URL.Path {
	case base, base + "/":
		s.page(w, r)
	case base + "/events":
		s.events(w, r)
	case base + "/update":
		s.post(w, r, keyOf(token(r)), false)
	default:
		refuse(w, http.StatusNotFound, "there is no such page (the address ends with the code "+
			"of the wall)")
	}
}

// refuse answers with one line, and ends the connection: the rest of the request is not read.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Connection", "close")
	http.Error(w, why, status)
}

// is tells whether the method is right, and otherwise refuses the request.
func is(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, method := range methods {
		if r.Method == method {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	refuse(w, http.StatusMethodNotAllowed, "the method must be "+strings.Join(methods, " or "))
	return false
}

// token is that of the participant who sends a request.
func token(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// known tells whether the request is of a participant with a row.
func (s *Server) known(r *http.Request) (key string, row bool) {
	if t := token(r); len(t) == tokenLength {
		key = keyOf(t)
		s.mu.Lock()
		defer s.mu.Unlock()
		_, row = s.rows[key]
	}
	return key, row
}

// may tells whether the participant with a row may send now.
func (s *Server) may(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	row := s.rows[key]
	return row != nil && row.bucket.take(s.clock())
}

// post takes an update in.
func (s *Server) post(w http.ResponseWriter, r *http.Request, key string, row bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !is(w, r, http.MethodPost):
		return
	case err != nil || kind != "application/json":
		refuse(w, http.StatusUnsupportedMediaType, "the content must be application/json")
		return
	case len(token(r)) != tokenLength:
		refuse(w, http.StatusUnauthorized, "there must be a token")
		return
	case r.ContentLength > largestBody:
		refuse(w, http.StatusRequestEntityTooLarge, "too long")
		return
	case row && !s.may(key):
		w.Header().Set("Retry-After", "2")
		refuse(w, http.StatusTooManyRequests, "too many updates")
		return
	}
	var u Update
	body := http.MaxBytesReader(w, r.Body, largestBody)
	if err := json.NewDecoder(body).Decode(&u); err != nil {
		refuse(w, http.StatusBadRequest, "this is no update")
		return
	}
	name, err := s.update(key, u)
	switch {
	case errors.Is(err, errFull):
		w.Header().Set("Retry-After", "30")
		refuse(w, http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, errRemoved):
		refuse(w, http.StatusGone, err.Error())
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer{name}) // or nobody listens any longer
	}
}

//go:embed page.html
var pageFile string

// pageText is put together when it is first used: other commands begin sooner without it.
var pageText = sync.OnceValue(func() string {
	return strings.Replace(pageFile, "{{style}}", style.CSS, 1)
})

// policy lets the page run its own script and look at its own server, and nothing else.
var policy = sync.OnceValue(func() string {
	return fmt.Sprintf("default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; "+
		"form-action 'none'; frame-ancestors 'none'; script-src %s; style-src %s",
		hash("script"), hash("style"))
})

// hash is that of an element of the page.
func hash(element string) string {
	_, text, _ := strings.Cut(pageText(), "<"+element+">")
	text, _, _ = strings.Cut(text, "</"+element+">")
	return style.Hash([]byte(text))
}

func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	if !is(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", policy())
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	_, _ = io.WriteString(w, pageText()) // or nobody looks any longer
}

// events tells a page what is on the wall, and again at each change. A page that reads slowly
// misses what was in between, and one that does not read is left alone; others notice nothing.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	if !is(w, r, http.MethodGet) {
		return
	}
	select {
	case s.viewers <- struct{}{}:
		defer func() { <-s.viewers }()
	default:
		w.Header().Set("Retry-After", "30")
		refuse(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	out := http.NewResponseController(w)
	_ = out.SetReadDeadline(time.Time{}) // the request is read, and the answer has no end
	for {
		text, changed := s.snapshot()
		// The page shows times by the clock of the wall.
		_ = out.SetWriteDeadline(time.Now().Add(writeTime))
		_, err := fmt.Fprintf(w, "retry: 2000\ndata: {\"now\": %d, \"wall\": %s}\n\n",
			s.clock().UnixMilli(), text)
		if errors.Join(err, out.Flush()) != nil {
			return
		}
		again := time.NewTimer(longest)
		select {
		case <-changed:
		case <-again.C:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
		again.Reset(shortest) // what comes together is told together
		select {
		case <-again.C:
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
