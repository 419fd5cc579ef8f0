//go:build linux

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"container.example/workshop/image/layout"
)

// fetch appends what is missing of a blob to a file. A layer that its owner lets nobody else pass
// on is not in the registry but at addresses in the manifest. Nobody is told there who we are.
func (r *remoteRepository) fetch(
	ctx context.Context, blob v1.Descriptor, part *os.File, have int64,
) error {
	r.Progress.Bytes(have)
	address := r.endpoint("blobs", blob.Digest.String())
	err := r.fetchFrom(ctx, r.transport, address, blob, part, have)
	for _, address := range blob.URLs {
		if !errors.As(err, new(*transport.Error)) { // there, or no answer
			break
		}
		err = r.fetchElsewhere(ctx, address, blob, part)
	}
	return err
}

func (r *remoteRepository) fetchElsewhere(
	ctx context.Context, address string, blob v1.Descriptor, part *os.File,
) error {
	have, err := part.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	return r.fetchFrom(ctx, r.guarded(r.Repository), address, blob, part, have)
}

// fetchFrom fetches from one address. When the connection breaks, it goes on from there with the
// next one.
func (r *remoteRepository) fetchFrom(
	ctx context.Context, t http.RoundTripper, address string,
	blob v1.Descriptor, part *os.File, have int64,
) error {
	for failures := 0; ; {
		got, err := r.fetchOnce(ctx, t, address, blob, part, &have)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil { // interrupted
			return &layout.Incomplete{Err: ctx.Err()}
		}
		if !isBroken(err) {
			return withHint(err)
		}
		// A connection that brought something does not count, unless it was next to nothing.
		const enough = 1 << 20
		if failures++; got >= enough {
			failures = 0
		}
		if failures > r.Retries {
			return &layout.Incomplete{Err: fmt.Errorf("%w (%d of %d bytes have come, and the next "+
				"attempt goes on from there)", err, have, blob.Size)}
		}
		if err := wait(ctx, failures, ""); err != nil {
			return err
		}
	}
}

// fetchOnce makes one request for what is missing.
func (r *remoteRepository) fetchOnce(
	ctx context.Context, t http.RoundTripper, address string,
	blob v1.Descriptor, part *os.File, have *int64,
) (got int64, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, err
	}
	if *have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", *have, blob.Size-1))
	}
	answer, err := (&http.Client{Transport: t}).Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if err := r.accept(answer, part, have); err != nil {
		return 0, err
	}
	if _, err := part.Seek(*have, io.SeekStart); err != nil {
		return 0, err
	}
	// One byte more than there should be is enough to know that something is wrong.
	body := reported{io.LimitReader(answer.Body, blob.Size-*have+1), r.Progress}
	got, err = io.Copy(part, body)
	*have += got
	if err == nil && *have < blob.Size {
		err = io.ErrUnexpectedEOF
	}
	return got, err // the store looks whether it is right
}

// reported is a body whose bytes are progress.
type reported struct {
	io.Reader
	progress Progress
}

func (r reported) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.progress.Bytes(int64(n))
	return n, err
}

// accept looks whether an answer has what is missing. Not every server can go on from somewhere: it
// may send all, or not understand, and then the blob is to begin anew.
func (r *remoteRepository) accept(answer *http.Response, part *os.File, have *int64) error {
	err := transport.CheckError(answer, http.StatusOK, http.StatusPartialContent)
	if *have == 0 {
		return err
	}
	wanted := fmt.Sprintf("bytes %d-", *have)
	got := answer.Header.Get("Content-Range")
	if answer.StatusCode == http.StatusPartialContent && strings.HasPrefix(got, wanted) {
		return nil
	}
	r.Progress.Bytes(-*have)
	*have = 0
	if truncateErr := part.Truncate(0); truncateErr != nil {
		return truncateErr
	}
	if answer.StatusCode == http.StatusOK {
		return nil
	}
	return fmt.Errorf("%w: asked for %q, and got status %d, %q", errNoPart, wanted,
		answer.StatusCode, got)
}

var errNoPart = errors.New("the server does not go on from there")

// isCutOff tells whether an error is that of a connection which was there.
func isCutOff(err error) bool {
	for _, known := range []error{
		errStalled, errNoPart, io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}
