package wall

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a test waits for what has to come. Nothing passes because of it.
const patience = 2 * time.Minute

// serve serves a wall at an address until stop is called, which is when all is saved.
func serve(t *testing.T, o Options, address string) (s *Server, at string, stop func()) {
	t.Helper()
	o.Course, o.Code = testCourse(), "code"
	if o.Most == 0 {
		o.Most = 200
	}
	s, err := NewServer(o)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-ended)
		})
	}
	t.Cleanup(stop)
	return s, listener.Addr().String(), stop
}

// wait waits until the rows are so.
func wait(t *testing.T, w *Wall, so func([]Row) bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		_, changed := w.snapshot()
		if so(w.Rows()) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			require.Fail(t, "the wall never gets there", "%+v", w.Rows())
		}
	}
}

// join runs a client for somebody, and collects what is said to them.
func join(t *testing.T, at, name string) (c *Client, notices chan Notice) {
	t.Helper()
	c, err := NewClient(at+"/code", name, NewToken())
	require.NoError(t, err)
	c.first = time.Millisecond
	notices = make(chan Notice, 100)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.Run(ctx, func(n Notice) { notices <- n })
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return c, notices
}

// said is the next notice.
func said(t *testing.T, notices chan Notice) Notice {
	t.Helper()
	select {
	case n := <-notices:
		return n
	case <-time.After(patience):
		require.Fail(t, "nothing is said")
		return Notice{}
	}
}

// TestHundred has a hundred participants at once, a restart of the wall, and one of theirs.
func TestHundred(t *testing.T) {
	file := filepath.Join(t.TempDir(), "wall.json")
	s, at, stop := serve(t, Options{File: file}, "127.0.0.1:0")
	clients, notices := make([]*Client, 100), make([]chan Notice, 100)
	for i := range clients {
		clients[i], notices[i] = join(t, at, fmt.Sprintf("Person %d", i))
		clients[i].Send(broken("").Standing, nil)
	}
	all := func(s Standing) func([]Row) bool {
		return func(rows []Row) bool {
			for _, row := range rows {
				if row.Standing != s {
					return false
				}
			}
			return len(rows) == 100
		}
	}
	wait(t, s.Wall, all(broken("").Standing))
	for i := range clients {
		require.Equal(t, Notice{Text: fmt.Sprintf("The wall shows you as Person %d.", i)},
			said(t, notices[i]))
	}
	before := s.Rows()
	stop()

	// While it is away they go on. Each is told once, and only what is newest arrives.
	on := Standing{"2", Broken, "step2-namespaces/hostname-in"}
	for i, c := range clients {
		c.Send(Standing{Lesson: "2", Verdict: NoBuild}, []string{"1"})
		require.Equal(t, Notice{
			Text: "The wall does not answer. It is tried again; your work goes on.",
			Bad:  true,
		}, said(t, notices[i]))
		c.Send(Standing{Lesson: "2", Verdict: NotBuilt}, []string{"1"})
		c.Send(on, []string{"1"})
	}
	s, _, _ = serve(t, Options{File: file}, at)
	require.Len(t, s.Rows(), 100)
	require.Equal(t, before[0].Name, s.Rows()[0].Name)
	wait(t, s.Wall, all(on))
	for i := range clients {
		require.Equal(t, Notice{Text: "The wall answers again."}, said(t, notices[i]))
		require.Empty(t, notices[i])
	}

	// A participant starts again: the token is the same, and so is the row.
	again, err := NewClient(at+"/code", "Person 7", clients[7].token)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		again.Run(ctx, func(n Notice) { notices[7] <- n })
	}()
	again.Send(Standing{Lesson: "2", Verdict: Begun}, []string{"1"})
	require.Equal(t, Notice{Text: "The wall shows you as Person 7."}, said(t, notices[7]))
	cancel()
	<-ended
	wait(t, s.Wall, all(on))

	// Somebody else with that name is somebody else.
	other, news := join(t, at, "person 7")
	other.Send(on, nil)
	require.Equal(t, Notice{
		Text: "There is another person 7 on the wall. It shows you as person 7 (2).",
	}, said(t, news))
	var number int
	wait(t, s.Wall, func(rows []Row) bool {
		for _, row := range rows {
			if row.Name == "person 7 (2)" {
				number = row.Number
			}
		}
		return number > 0
	})
	_, ok := s.Remove(number)
	require.True(t, ok)
	other.Send(Standing{Lesson: "2", Verdict: Kept}, nil)
	require.Equal(t, Notice{
		Text: "The wall takes nothing from here: the instructor has taken your row away.",
		Bad:  true,
	}, said(t, news))
}

// request makes a request for an update.
func request(t *testing.T, method, url, body string, header ...string) *http.Request {
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+NewToken())
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

func jsonOf(t *testing.T, u Update) string {
	text, err := json.Marshal(u)
	require.NoError(t, err)
	return string(text)
}

// TestRefused refuses what is wrong, each with its status.
func TestRefused(t *testing.T) {
	s, at, _ := serve(t, Options{}, "127.0.0.1:0")
	url := "http://" + at + "/code"
	good := jsonOf(t, broken("Anna"))
	for i, c := range []struct {
		r    *http.Request
		want int
	}{
		{request(t, "POST", url+"/update", good), 200},
		{request(t, "GET", url, ""), 200},
		{request(t, "HEAD", url, ""), 200},
		{request(t, "GET", "http://"+at+"/", ""), 404},
		{request(t, "GET", "http://"+at+"/other", ""), 404},
		{request(t, "POST", "http://"+at+"/other/update", good), 404},
		{request(t, "GET", url+"/../../etc/passwd", ""), 404},
		{request(t, "GET", url+"/update", ""), 405},
		{request(t, "PUT", url+"/update", good), 405},
		{request(t, "DELETE", url, ""), 405},
		{request(t, "POST", url+"/events", good), 405},
		{request(t, "POST", url+"/update", good, "Content-Type", "text/plain"), 415},
		{request(t, "POST", url+"/update", good, "Content-Type", ""), 415},
		{request(t, "POST", url+"/update", good, "Authorization", ""), 401},
		{request(t, "POST", url+"/update", good, "Authorization", "Bearer x"), 401},
		{request(t, "POST", url+"/update", strings.Repeat(" ", largestBody+1)), 413},
		{request(t, "POST", url+"/update", ""), 400},
		{request(t, "POST", url+"/update", "[]"), 400},
		{request(t, "POST", url+"/update", strings.Repeat("[", largestBody)), 400},
		{request(t, "POST", url+"/update", jsonOf(t, broken("\u202e"))), 400},
		{request(t, "POST", url+"/update", `{"name": "x", "lesson": "77"}`), 400},
		{request(t, "GET", url, "", "X-Long", strings.Repeat("x", 64<<10)), 431},
	} {
		response, err := http.DefaultClient.Do(c.r)
		require.NoError(t, err, i)
		response.Body.Close()
		require.Equal(t, c.want, response.StatusCode, "%d: %s %s", i, c.r.Method, c.r.URL)
		if c.want == 200 {
			require.Equal(t, "nosniff", response.Header.Get("X-Content-Type-Options"))
		}
	}
	// A body of which nobody has said how long it is.
	r := request(t, "POST", url+"/update", "")
	long := strings.Repeat(" ", 10*largestBody) + good
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(long)), -1
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 400, response.StatusCode)
	require.Len(t, s.Rows(), 1)
}

// TestHostile sends what nobody should, from many connections at once. The wall stays small and
// right, and what participants send arrives.
func TestHostile(t *testing.T) {
	const most = 20
	s, at, _ := serve(t, Options{Most: most}, "127.0.0.1:0")
	url := "http://" + at + "/code"
	anna, notices := join(t, at, "Anna")
	anna.Send(broken("").Standing, nil)
	said(t, notices)

	hostile := []func(i int) *http.Request{
		func(int) *http.Request { return request(t, "GET", "http://"+at+"/guess", "") },
		func(int) *http.Request { return request(t, "POST", url+"/update", "{") },
		func(int) *http.Request {
			return request(t, "POST", url+"/update", strings.Repeat("{\"a\":", 300))
		},
		func(int) *http.Request {
			return request(t, "POST", url+"/update", strings.Repeat("x", 1<<20))
		},
		func(i int) *http.Request { // each is somebody new
			name := fmt.Sprintf("<img src=x onerror=alert(%d)>", i)
			return request(t, "POST", url+"/update", jsonOf(t, broken(name)))
		},
		func(int) *http.Request { // in her name, but without her token
			u := broken("Anna")
			u.Verdict, u.Promise = Kept, ""
			return request(t, "POST", url+"/update", jsonOf(t, u))
		},
		func(int) *http.Request { return request(t, "TRACE", url+"/update", "") },
	}
	statuses := map[int]int{}
	var mu sync.Mutex
	var senders sync.WaitGroup
	for n := range 8 {
		senders.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := range 200 {
				response, err := client.Do(hostile[(i+n)%len(hostile)](i + 1000*n))
				status := 0 // the connection was closed before all of the request was sent
				if err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					response.Body.Close()
					status = response.StatusCode
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	// Meanwhile she works.
	on := Standing{"2", Broken, "step2-namespaces/hostname-in"}
	anna.Send(on, []string{"1"})
	wait(t, s.Wall, func(rows []Row) bool {
		for _, row := range rows {
			if row.Name == "Anna" {
				return row.Standing == on
			}
		}
		return false
	})
	senders.Wait()
	for status := range statuses {
		require.Contains(t, []int{0, 200, 400, 404, 405, 413, 429, 503}, status)
	}
	require.Positive(t, statuses[429], statuses)
	require.LessOrEqual(t, statuses[200], most)

	rows := s.Rows()
	require.LessOrEqual(t, len(rows), most)
	require.LessOrEqual(t, len(s.strangers.buckets), 2)
	names := map[string]bool{}
	for _, row := range rows {
		require.False(t, names[row.Name], row.Name)
		names[row.Name] = true
		clean, err := clean(row.Name, longestName+longestNumber)
		require.NoError(t, err)
		require.Equal(t, clean, row.Name)
	}
	require.True(t, names["Anna"])
	text, _ := s.snapshot()
	require.True(t, json.Valid(text))
	require.NotContains(t, string(text), "<img")

	// A participant who sends too much is slowed down, too.
	token := NewToken()
	if len(rows) == most {
		_, ok := s.Remove(rows[0].Number)
		require.True(t, ok)
	}
	s.mu.Lock()
	s.rows[keyOf(token)] = &Row{Number: 999, Name: "Ben", bucket: newBucket(perRow, s.clock())}
	s.mu.Unlock()
	slowed := 0
	for range 100 {
		response, err := http.DefaultClient.Do(request(t, "POST", url+"/update",
			jsonOf(t, broken("Ben")), "Authorization", "Bearer "+token))
		require.NoError(t, err)
		response.Body.Close()
		if response.StatusCode == http.StatusTooManyRequests {
			slowed++
		}
	}
	require.Positive(t, slowed)
}

// TestConnections closes what is more than one machine may have open. The others stay.
func TestConnections(t *testing.T) {
	_, at, _ := serve(t, Options{}, "127.0.0.1:0")
	var conns []net.Conn
	for range mostPerAddress {
		conn, err := net.Dial("tcp", at)
		require.NoError(t, err)
		defer conn.Close()
		conns = append(conns, conn)
	}
	more, err := net.Dial("tcp", at)
	require.NoError(t, err)
	defer more.Close()
	require.NoError(t, more.SetReadDeadline(time.Now().Add(patience)))
	_, err = more.Read(make([]byte, 1))
	require.Error(t, err)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded)
	_, err = io.WriteString(conns[0], "GET /code HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	answer, err := bufio.NewReader(conns[0]).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200 OK\r\n", answer)
}

// events opens a page's stream, and returns a function that reads the next rows from it.
func events(t *testing.T, at string) func() (names []string) {
	response, err := http.Get("http://" + at + "/code/events")
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close() })
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	lines := bufio.NewReader(response.Body)
	return func() (names []string) {
		for {
			line, err := lines.ReadBytes('\n')
			require.NoError(t, err)
			data, ok := bytes.CutPrefix(line, []byte("data: "))
			if !ok {
				continue
			}
			var news struct {
				Now  int64
				Wall struct{ Rows []struct{ Name string } }
			}
			require.NoError(t, json.Unmarshal(data, &news))
			require.NotZero(t, news.Now)
			for _, row := range news.Wall.Rows {
				names = append(names, row.Name)
			}
			return names
		}
	}
}

// TestSlowReader has a page that does not read. Others get all that is new.
func TestSlowReader(t *testing.T) {
	s, at, stop := serve(t, Options{}, "127.0.0.1:0")
	slow, err := net.Dial("tcp", at)
	require.NoError(t, err)
	defer slow.Close()
	require.NoError(t, slow.(*net.TCPConn).SetReadBuffer(1))
	_, err = io.WriteString(slow, "GET /code/events HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)

	next := events(t, at)
	require.Empty(t, next())
	for i := range 100 {
		name := fmt.Sprintf("%s %d", strings.Repeat("n", 30), i)
		_, err := s.update(fmt.Sprint("key", i), broken(name))
		require.NoError(t, err)
	}
	for len(next()) < 100 {
	}
	_, err = s.update("key0", broken("Anna"))
	require.NoError(t, err)
	require.Equal(t, "Anna", next()[0])
	stop() // does not wait for the slow one
}

// TestFile refuses what it cannot read or write at the beginning, and keeps the code.
func TestFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "wall.json")
	o := Options{Course: testCourse(), Most: 10, File: file, Join: []string{"10.0.0.1:8080"}}
	s, err := NewServer(o)
	require.NoError(t, err)
	require.Regexp(t, `^[a-z0-9]{4}$`, s.Code())
	require.Equal(t, []string{"10.0.0.1:8080/" + s.Code()}, s.Typed())
	_, err = s.update("key", broken("Anna"))
	require.NoError(t, err)
	require.NoError(t, s.save())
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	again, err := NewServer(o)
	require.NoError(t, err)
	require.Equal(t, s.Code(), again.Code())
	require.Len(t, again.Rows(), 1)

	require.NoError(t, os.WriteFile(file, []byte("no"), 0o600))
	_, err = NewServer(o)
	require.ErrorContains(t, err, "-state "+file+": ")
	o.File = filepath.Join(dir, "none", "wall.json")
	_, err = NewServer(o)
	require.ErrorContains(t, err, "no such file or directory")
	o.File, o.Code = "", "a/b"
	_, err = NewServer(o)
	require.EqualError(t, err, `-code "a/b": must be 1 to 20 letters, digits or hyphens`)
}

// TestClient refuses addresses that are none of a wall, and ends for good where it is not wanted.
func TestClient(t *testing.T) {
	for _, address := range []string{
		"", "10.0.0.1:8080", "10.0.0.1:8080/", "https://x/y", "/code", "x:1/a b", "x:1/a/b",
		"x:1/code?x=1", "x:y/code", "[::1/code",
	} {
		_, err := NewClient(address, "Anna", NewToken())
		require.ErrorContains(t, err, "must be HOST:PORT/CODE", address)
	}
	for _, address := range []string{
		"10.0.0.1:8080/k7qm", "http://10.0.0.1:8080/k7qm/", "laptop.local/k7qm", "[::1]:8080/k7qm",
	} {
		_, err := NewClient(address, "Anna", NewToken())
		require.NoError(t, err, address)
	}
	_, err := NewClient("x:1/y", "\u200d", NewToken())
	require.ErrorContains(t, err, `-name "\u200d": must have 1 to 40 characters`)

	s, at, _ := serve(t, Options{Most: 1}, "127.0.0.1:0")
	c, notices := join(t, strings.TrimSuffix(at, "/code"), "Anna")
	c.url = strings.Replace(c.url, "/code/", "/edoc/", 1)
	c.Send(broken("").Standing, nil)
	require.Equal(t, Notice{
		Text: "The wall takes nothing from here: the code at the end of its address is another " +
			"one.",
		Bad: true,
	}, said(t, notices))

	ben, news := join(t, at, strings.Repeat("n", longestName))
	ben.Send(broken("").Standing, nil)
	said(t, news)
	cem, full := join(t, at, "Cem")
	cem.Send(broken("").Standing, nil)
	require.Equal(t, Notice{
		Text: "The wall is full. It is tried again; your work goes on.",
		Bad:  true,
	}, said(t, full))
	_, ok := s.Remove(1)
	require.True(t, ok)
	require.Equal(t, Notice{Text: "The wall shows you as Cem."}, said(t, full))
}
