//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	blobserver "github.com/google/go-containerregistry/pkg/registry"
)

// A registry for one room: whoever has pulled the images at home serves them to those who have no
// network there. The protocol is go-containerregistry's; it has no passwords and no TLS.

func (a *app) registry() *cli.Command {
	dir, verbose := "", false
	return &cli.Command{
		Name:      "registry",
		Usage:     "be a registry, on this machine only unless ADDRESS says otherwise",
		ArgsUsage: "[ADDRESS]",
		Description: `Serve what is pushed, until a signal comes. The address is 127.0.0.1:5000, or
HOST:PORT; port 0 is any free one, and the line that is printed has its number.
There are no passwords, and no TLS: whoever reaches another address than
127.0.0.1 may read and write, with -plain-http.`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "dir", Destination: &dir,
				Usage: "keep all in this `DIR`, and not in memory until the end",
			},
			&cli.BoolFlag{
				Name: "v", Destination: &verbose,
				Usage: "print a line for each blob that comes or goes, with its bytes",
			},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := args(cmd, 0, 1)
			if err != nil {
				return err
			}
			address := "127.0.0.1:5000"
			if len(args) > 0 {
				address = args[0]
			}
			if _, _, err := net.SplitHostPort(address); err != nil {
				return errUsage{fmt.Errorf("registry %q: must be HOST:PORT", address)}
			}
			debug.SetMemoryLimit(math.MaxInt64) // a blob that comes is in memory as a whole
			return about("registry", address, serve(ctx, address, dir, verbose))
		},
	}
}

// serve is a registry until ctx is done.
func serve(ctx context.Context, address, dir string, verbose bool) error {
	blobs := blobserver.NewInMemoryBlobHandler()
	if dir != "" {
		if err := os.MkdirAll(filepath.Join(dir, "blobs"), 0o755); err != nil {
			return err
		}
		blobs = blobserver.NewDiskBlobHandler(filepath.Join(dir, "blobs"))
	}
	if verbose {
		blobs = countedBlobs{blobs.(blobStore)}
	}
	var handler http.Handler = blobserver.New(blobserver.WithBlobHandler(blobs),
		blobserver.Logger(log.New(io.Discard, "", 0)))
	if dir != "" {
		journal, err := openJournal(filepath.Join(dir, "manifests"), handler)
		if err != nil {
			return err
		}
		defer journal.file.Close()
		handler = journal
	}
	listener, err := net.Listen("tcp", address)
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // the address is told already
	}
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	const patience = 10 * time.Second
	server := &http.Server{Handler: handler, ReadHeaderTimeout: patience}
	defer context.AfterFunc(ctx, func() { server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// A blobStore is what keeps the blobs of a registry.
type blobStore interface {
	blobserver.BlobHandler
	blobserver.BlobStatHandler
	blobserver.BlobPutHandler
}

// countedBlobs tells of each blob that comes or goes.
type countedBlobs struct{ blobStore }

// Put implements blobserver.BlobPutHandler.
func (c countedBlobs) Put(
	ctx context.Context, repository string, digest v1.Hash, blob io.ReadCloser,
) error {
	counted := &counter{ReadCloser: blob}
	err := c.blobStore.Put(ctx, repository, digest, counted)
	if err == nil {
		tell("came", repository, digest, counted.n)
	}
	return err
}

// Get implements blobserver.BlobHandler.
func (c countedBlobs) Get(
	ctx context.Context, repository string, digest v1.Hash,
) (io.ReadCloser, error) {
	blob, err := c.blobStore.Get(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	counted := &counter{ReadCloser: blob}
	counted.closed = func() { tell("went", repository, digest, counted.n) }
	return counted, nil
}

func tell(what, repository string, digest v1.Hash, n int64) {
	repository = strings.TrimSuffix(repository, "/blobs") // the library's, for one that comes
	fmt.Fprintf(os.Stderr, "%s  %s  %9s  %s\n", what, short(digest), readable(n), repository)
}

// counter counts what is read.
type counter struct {
	io.ReadCloser
	n      int64
	closed func()
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) Close() error {
	if c.closed != nil {
		c.closed()
	}
	return c.ReadCloser.Close()
}

// A journal makes names last: the library has them in memory only. It is a file of the requests
// that changed them, and the next registry makes the same requests.
type journal struct {
	mutex sync.Mutex
	inner http.Handler
	file  *os.File
}

// nameChange is a line of a journal.
type nameChange struct {
	Method, Path, Type string
	Body               []byte
}

// openJournal does what a journal says. The end of one that was cut short is taken off.
func openJournal(name string, inner http.Handler) (*journal, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("another registry uses it")
	}
	changes, whole := json.NewDecoder(file), int64(0)
	for err == nil {
		var c nameChange
		if err = changes.Decode(&c); err == nil {
			whole = changes.InputOffset()
			err = c.do(inner, &answer{})
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = file.Truncate(whole)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &journal{inner: inner, file: file}, nil
}

// do makes the request again.
func (c nameChange) do(handler http.Handler, w http.ResponseWriter) error {
	request, err := http.NewRequest(c.Method, c.Path, bytes.NewReader(c.Body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", c.Type)
	handler.ServeHTTP(w, request)
	return nil
}

// ServeHTTP implements http.Handler.
func (j *journal) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	changes := request.Method == http.MethodPut || request.Method == http.MethodDelete
	if !changes || !strings.Contains(request.URL.Path, "/manifests/") {
		j.inner.ServeHTTP(w, request)
		return
	}
	const limit = 8 << 20
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, limit))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c := nameChange{
		Method: request.Method,
		Path:   request.URL.Path,
		Type:   request.Header.Get("Content-Type"),
		Body:   body,
	}
	j.mutex.Lock()
	defer j.mutex.Unlock()
	a := &answer{header: w.Header()}
	err = c.do(j.inner, a)
	if err == nil && a.status < http.StatusBadRequest {
		err = j.add(c)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.text.Bytes())
}

func (j *journal) add(c nameChange) error {
	line, err := json.Marshal(c)
	if err == nil {
		_, err = j.file.Write(append(line, '\n'))
	}
	return err
}

// An answer is what a handler answers, before it is sent.
type answer struct {
	header http.Header
	status int
	text   bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(p []byte) (int, error) { return a.text.Write(p) }
