package wall

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Times of a client.
const (
	heartbeat = 30 * time.Second // how often the wall hears of a participant who saves nothing
	postTime  = 10 * time.Second
	firstWait = time.Second // before it is tried again, and twice that the next time
	mostWait  = 30 * time.Second
)

// tokenLength is the length of a token.
const tokenLength = 32

// NewToken is what only one participant knows, and what a row on the wall belongs to.
func NewToken() string {
	token := make([]byte, tokenLength/2)
	_, _ = rand.Read(token) // never fails
	return hex.EncodeToString(token)
}

// A Client tells a wall where one participant stands. It works in the background: the sender waits
// for nothing.
type Client struct {
	name  string
	token string
	url   string
	news  chan Update // the newest one; one that is still there is out of date
	http  *http.Client
	first time.Duration // see firstWait

	// What was sent last, and since when it is so: of the one who sends.
	last   Standing
	passed []string
	since  time.Time
}

// NewClient makes a client for the wall at HOST:PORT/CODE.
func NewClient(address, name, token string) (*Client, error) {
	name, err := CleanName(name)
	if err != nil {
		return nil, fmt.Errorf("-%w", err)
	}
	u, err := url.Parse("http://" + strings.TrimPrefix(address, "http://"))
	if err != nil || u.Host == "" || !codeOK(strings.Trim(u.Path, "/")) ||
		strings.Trim(u.Path, "/") == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("-wall %q: must be HOST:PORT/CODE, as the wall prints it", address)
	}
	return &Client{
		name:  name,
		token: token,
		url:   "http://" + u.Host + "/" + strings.Trim(u.Path, "/") + "/update",
		news:  make(chan Update, 1),
		first: firstWait,
		http: &http.Client{
			Timeout:   postTime,
			Transport: &http.Transport{Proxy: nil, MaxIdleConns: 1, IdleConnTimeout: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the token is for this wall
			},
		},
	}, nil
}

// Send has the standing sent, as soon as the wall answers, and instead of what was to be sent
// before. It is called by one goroutine.
func (c *Client) Send(s Standing, passed []string) {
	next, moved := c.last.after(s)
	if next == c.last && slices.Equal(passed, c.passed) {
		return // the wall knows that, or is going to
	}
	if moved {
		c.since = time.Now()
	}
	c.last, c.passed = next, passed
	u := Update{
		Name:     c.name,
		Standing: next,
		Passed:   passed,
		Age:      int(time.Since(c.since).Seconds()),
	}
	for {
		select {
		case c.news <- u:
			return
		default:
		}
		select {
		case <-c.news:
		default: // it was just taken
		}
	}
}

// A Notice is what a participant should know of the wall.
type Notice struct {
	Text string
	Bad  bool // nothing gets through
}

// errRefused is an answer after which it is of no use to go on.
type errRefused struct{ why string }

func (e errRefused) Error() string { return e.why }

// Run sends what there is to send until ctx is done. It says what has changed, once: that the wall
// shows the participant, does not answer, or answers again.
func (c *Client) Run(ctx context.Context, say func(Notice)) {
	var latest Update
	var since time.Time // when it was so
	var shown string    // the name on the wall
	wait, bad := c.first, false
	timer := time.NewTimer(heartbeat)
	timer.Stop()
	for {
		select {
		case latest = <-c.news:
			since = time.Now().Add(-time.Duration(latest.Age) * time.Second)
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		latest.Age = int(time.Since(since).Seconds())
		name, err := c.post(ctx, latest)
		refused := errRefused{}
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &refused):
			say(Notice{Text: "The wall takes nothing from here: " + refused.why + ".", Bad: true})
			return
		case err != nil:
			if !bad {
				text := "The wall does not answer. It is tried again; your work goes on."
				if errors.Is(err, errFull) {
					text = "The wall is full. It is tried again; your work goes on."
				}
				say(Notice{Text: text, Bad: true})
			}
			bad = true
			// Not all at the same moment.
			timer.Reset(wait/2 + time.Duration(mathrand.Int64N(int64(wait))))
			wait = min(2*wait, mostWait)
			continue
		case name != shown:
			text := "The wall shows you as " + name + "."
			if name != c.name {
				text = "There is another " + c.name + " on the wall. It shows you as " + name + "."
			}
			say(Notice{Text: text})
		case bad:
			say(Notice{Text: "The wall answers again."})
		}
		shown, wait, bad = name, c.first, false
		timer.Reset(heartbeat)
	}
}

// post sends an update, and returns the name that the wall shows.
func (c *Client) post(ctx context.Context, u Update) (name string, err error) {
	text, err := json.Marshal(u)
	if err != nil {
		return "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(text))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+c.token)
	response, err := c.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return "", errRefused{"the code at the end of its address is another one"}
	case http.StatusGone:
		return "", errRefused{"the instructor has taken your row away"}
	case http.StatusBadRequest:
		return "", errRefused{"it has another version of the workshop"}
	case http.StatusServiceUnavailable:
		return "", errFull
	default:
		return "", errors.New(response.Status)
	}
	var a answer
	if err := json.NewDecoder(io.LimitReader(response.Body, largestBody)).Decode(&a); err != nil {
		return "", err
	}
	return clean(a.Name, longestName+longestNumber)
}
