//go:build linux

// Package registry gets images from registries, and puts them there. How a registry is asked, and
// how it is told who asks, is up to go-containerregistry. A blob is fetched here: it may be large,
// and connections break.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"container.example/workshop/image/layer"
)

// Options are how to speak with a registry.
type Options struct {
	Platform  v1.Platform
	Limits    layer.Limits
	PlainHTTP bool          // without TLS, though the registry is on another machine
	Retries   int           // after that many failures in a row there is no further attempt
	Timeout   time.Duration // for a connection on which nothing comes
	Progress  Progress
}

// Progress is told how far it is.
type Progress interface {
	// Start tells how many blobs there are, and their bytes.
	Start(blobs int, bytes int64)
	// Bytes have come or gone.
	Bytes(n int64)
	// Done tells about a blob: what was done with it.
	Done(blob v1.Descriptor, what string)
}

// remoteRepository is a repository of a registry, for one purpose.
type remoteRepository struct {
	name.Repository
	Options
	// transport tells the registry who asks.
	transport http.RoundTripper
}

// parse returns the name of an image, whose full form is that of package store, as the library
// wants it.
func parse(full string, o Options) (name.Reference, error) {
	host, _, _ := strings.Cut(full, "/")
	var options []name.Option
	if o.PlainHTTP || isLoopback(host) {
		options = append(options, name.Insecure) // it tries https, too
	}
	return name.ParseReference(full, options...)
}

// connect asks the registry of an image who we have to be, and becomes that: the names and
// passwords are those of Docker's config.json.
func connect(ctx context.Context, reference name.Reference, o Options) (*remoteRepository, error) {
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, reference.Context())
	if err != nil {
		return nil, fmt.Errorf("credentials: %w", err)
	}
	r := &remoteRepository{Repository: reference.Context(), Options: o}
	r.transport, err = transport.NewWithContext(ctx, reference.Context().Registry, auth,
		&retrying{inner: o.guarded(reference.Context()), retries: o.Retries},
		[]string{reference.Context().Scope("pull")})
	return r, withHint(err)
}

// withHint says what to do about an error of a registry, where that is known.
func withHint(err error) error {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return err
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w (no such image, or not for everybody: docker login and skopeo login "+
			"write to config.json who you are)", err)
	case http.StatusTooManyRequests:
		return fmt.Errorf("%w (try again later)", err)
	}
	return err
}

// guarded makes connections for a registry, through the proxy that the environment names.
func (o Options) guarded(r name.Repository) http.RoundTripper {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}).DialContext
	t.ResponseHeaderTimeout = o.Timeout
	t.TLSHandshakeTimeout = o.Timeout
	t.DisableCompression = true // blobs are what they are
	return &guarded{
		inner:     &watching{inner: t, timeout: o.Timeout},
		plainHTTP: o.PlainHTTP,
		isHere:    isLoopback(r.RegistryStr()),
	}
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") ||
		ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}

// guarded lets nothing go over the network that others may read and change. And no registry that is
// elsewhere leads to this machine, be it by a redirection, an address in a manifest or that of its
// server for tokens: what listens here may trust whoever comes from here.
type guarded struct {
	inner     http.RoundTripper
	plainHTTP bool
	isHere    bool // the registry
}

func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if isLoopback(r.URL.Host) && !g.isHere {
		return nil, fmt.Errorf("%s://%s: the registry leads to this machine", r.URL.Scheme,
			r.URL.Host)
	}
	if r.URL.Scheme != "https" && !g.plainHTTP && !isLoopback(r.URL.Host) {
		return nil, fmt.Errorf("%s://%s: others may read and change what goes there "+
			"(-plain-http allows it)", r.URL.Scheme, r.URL.Host)
	}
	return g.inner.RoundTrip(r)
}

// watching takes a connection for broken on which nothing comes for some time.
type watching struct {
	inner   http.RoundTripper
	timeout time.Duration
}

var errStalled = errors.New("the server is silent")

func (w *watching) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, stop := context.WithCancelCause(r.Context())
	answer, err := w.inner.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop(nil)
		return nil, err
	}
	stalled := fmt.Errorf("%w: nothing came for %s", errStalled, w.timeout)
	answer.Body = &watched{
		ReadCloser: answer.Body,
		ctx:        ctx,
		stop:       stop,
		timer:      time.AfterFunc(w.timeout, func() { stop(stalled) }),
		timeout:    w.timeout,
	}
	return answer, nil
}

// watched is the body of an answer.
type watched struct {
	io.ReadCloser
	ctx     context.Context
	stop    context.CancelCauseFunc
	timer   *time.Timer
	timeout time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && errors.Is(context.Cause(w.ctx), errStalled) {
		err = context.Cause(w.ctx)
	}
	w.timer.Reset(w.timeout)
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.stop(nil)
	return w.ReadCloser.Close()
}

// retrying asks again when a server is too busy or a connection breaks, after a while that doubles.
type retrying struct {
	inner   http.RoundTripper
	retries int
}

func (t *retrying) RoundTrip(r *http.Request) (*http.Response, error) {
	for failures := 0; ; failures++ {
		answer, err := t.inner.RoundTrip(r)
		again := r.Body == nil && failures < t.retries && r.Context().Err() == nil &&
			(isBroken(err) || answer != nil && isBusy(answer.StatusCode))
		if !again {
			return answer, err
		}
		asked := ""
		if answer != nil {
			asked = answer.Header.Get("Retry-After")
			answer.Body.Close()
		}
		if err := wait(r.Context(), failures, asked); err != nil {
			return nil, err
		}
	}
}

func isBusy(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// isBroken tells whether an error is one of a connection, and the next one may be better. That of
// a name that does not exist is none.
func isBroken(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.IsTemporary || dns.IsTimeout
	}
	var n net.Error
	return errors.As(err, new(*net.OpError)) || errors.As(err, &n) && n.Timeout() || isCutOff(err)
}

// The pauses between attempts: each is twice as long as the one before.
const firstPause, longestPause = 200 * time.Millisecond, 30 * time.Second

// wait waits before the next attempt, or as many seconds as the server has asked for.
func wait(ctx context.Context, failures int, asked string) error {
	pause := min(firstPause<<min(failures, 10), longestPause)
	if seconds, err := time.ParseDuration(asked + "s"); err == nil && seconds >= 0 {
		pause = min(seconds, longestPause)
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return nil
	}
}

// endpoint is an address of the registry.
func (r *remoteRepository) endpoint(kind, what string) string {
	u := url.URL{
		Scheme: r.Scheme(),
		Host:   r.RegistryStr(),
		Path:   fmt.Sprintf("/v2/%s/%s/%s", r.RepositoryStr(), kind, what),
	}
	return u.String()
}
