//go:build linux

package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"container.example/workshop/image/layout"
)

// Push puts an image into the registry of its name. Blobs that the registry has do not travel. It
// returns how many bytes did.
func Push(ctx context.Context, s *layout.Store, full string, o Options) (sent int64, err error) {
	if strings.Contains(full, "@") {
		return 0, errors.New("a digest cannot be given to an image: use a tag")
	}
	d, err := s.Find(full)
	if err != nil {
		return 0, err
	}
	reference, err := parse(full, o)
	if err != nil {
		return 0, err
	}
	image, err := ocilayout.Path(s.Dir).Image(d.Digest)
	if err != nil {
		return 0, err
	}
	_, layers, err := s.Blobs(d)
	if err != nil {
		return 0, err
	}
	others, err := elsewhere(s, reference, o)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, l := range layers {
		total += l.Size
	}
	o.Progress.Start(len(layers)+1, total)
	c := &counting{inner: o.guarded(reference.Context()), progress: o.Progress}
	err = remote.Write(reference, &mountable{Image: image, elsewhere: others},
		remote.WithContext(ctx), remote.WithTransport(c),
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithRetryBackoff(remote.Backoff{
			Duration: firstPause,
			Factor:   2,
			Steps:    o.Retries + 1,
			Cap:      longestPause,
		}))
	return c.sent.Load(), withHint(err)
}

// counting counts the bytes that go to a registry.
type counting struct {
	inner    http.RoundTripper
	progress Progress
	sent     atomic.Int64
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		return c.inner.RoundTrip(r)
	}
	body := r.Body
	if r.GetBody != nil {
		// When a token has ended, the library gets another one and sends the same request again,
		// whose body was read already.
		var err error
		if body, err = r.GetBody(); err != nil {
			return nil, err
		}
		r.Body.Close()
	}
	r = r.Clone(r.Context())
	r.Body = &countedBody{ReadCloser: body, counting: c}
	return c.inner.RoundTrip(r)
}

type countedBody struct {
	io.ReadCloser
	counting *counting
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.counting.sent.Add(int64(n))
	b.counting.progress.Bytes(int64(n))
	return n, err
}

// elsewhere finds the other repositories of a registry that are likely to have the layers of images
// that are here: it can take them from there.
func elsewhere(s *layout.Store, to name.Reference, o Options) (
	layers map[v1.Hash]name.Reference, err error,
) {
	index, err := s.Index()
	if err != nil {
		return nil, err
	}
	layers = map[v1.Hash]name.Reference{}
	for _, d := range index.Manifests {
		other, err := parse(layout.Name(d), o)
		if err != nil || other.Context().RegistryStr() != to.Context().RegistryStr() ||
			other.Context().RepositoryStr() == to.Context().RepositoryStr() {
			continue
		}
		_, blobs, err := s.Blobs(d)
		if err != nil {
			continue // image check complains about it
		}
		for _, blob := range blobs {
			layers[blob.Digest] = other
		}
	}
	return layers, nil
}

// mountable is an image whose layers tell where else they may be.
type mountable struct {
	v1.Image
	elsewhere map[v1.Hash]name.Reference
}

func (m *mountable) Layers() ([]v1.Layer, error) {
	layers, err := m.Image.Layers()
	if err != nil {
		return nil, err
	}
	for i, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return nil, err
		}
		if other, ok := m.elsewhere[digest]; ok {
			layers[i] = &remote.MountableLayer{Layer: l, Reference: other}
		}
	}
	return layers, nil
}
