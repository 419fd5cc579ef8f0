//go:build linux

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"container.example/workshop/image/layout"
)

// Pull gets an image, whose name is in full, to the store, unpacks it, and gives it the name. What
// is there already does not travel.
func Pull(ctx context.Context, s *layout.Store, full string, o Options) (
	manifest v1.Descriptor, notes []string, err error,
) {
	reference, err := parse(full, o)
	if err != nil {
		return manifest, nil, err
	}
	r, err := connect(ctx, reference, o)
	if err == nil {
		manifest, err = r.manifest(ctx, s, reference)
	}
	if err != nil {
		// Nothing was added, and what an earlier attempt has left is good for a later one.
		return manifest, nil, &layout.Incomplete{Err: err}
	}
	config, layers, err := s.Blobs(manifest)
	if err != nil {
		return manifest, nil, err
	}
	// The config first: it tells whether this is an image at all.
	total := config.Size
	for _, l := range layers {
		total += l.Size
	}
	o.Progress.Start(len(layers)+1, total)
	if err := r.add(ctx, s, config); err != nil {
		return manifest, nil, fmt.Errorf("config: %w", err)
	}
	image, err := s.Image(manifest)
	if err != nil {
		return manifest, nil, err
	}
	u := s.Unpack(image, o.Limits)
	if err := r.layers(ctx, s, layers, u); err != nil {
		return manifest, u.Notes, err
	}
	if p := image.Config; p.Architecture != o.Platform.Architecture {
		u.Notes = append(u.Notes, "the image is for "+p.Platform().String())
	}
	if err := u.Finish(); err != nil {
		return manifest, u.Notes, err
	}
	return manifest, u.Notes, s.SetName(full, manifest)
}

// manifest gets the manifest of an image. A name may be that of an index with images for several
// platforms.
func (r *remoteRepository) manifest(
	ctx context.Context, s *layout.Store, reference name.Reference,
) (d v1.Descriptor, err error) {
	const depth = 3 // an index may be in an index
	for range depth {
		got, err := remote.Get(reference, remote.WithContext(ctx),
			remote.WithTransport(r.transport))
		if err != nil {
			return d, fmt.Errorf("manifest: %w", withHint(err))
		}
		if !got.MediaType.IsIndex() {
			d, err = s.AddBytes(got.Manifest)
			d.MediaType = got.MediaType
			return d, err
		}
		index, err := v1.ParseIndexManifest(bytes.NewReader(got.Manifest))
		if err != nil {
			return d, fmt.Errorf("index: %w", err)
		}
		child, err := layout.Choose(index.Manifests, r.Platform)
		if err != nil {
			return d, err
		}
		reference = r.Digest(child.Digest.String())
	}
	return d, errors.New("index: leads to no image")
}

// add puts a blob in the store.
func (r *remoteRepository) add(ctx context.Context, s *layout.Store, blob v1.Descriptor) error {
	what := "is here"
	err := s.Add(blob, func(part *os.File, have int64) error {
		what = "fetched"
		return r.fetch(ctx, blob, part, have)
	})
	if err != nil {
		return fmt.Errorf("blob %s: %w", blob.Digest, err)
	}
	if what == "is here" {
		r.Progress.Bytes(blob.Size)
	}
	r.Progress.Done(blob, what)
	return nil
}

// atOnce are the blobs that are fetched at the same time.
const atOnce = 3

// layers fetches layers, some at a time, and unpacks each when it is there and those below it are
// unpacked.
func (r *remoteRepository) layers(
	ctx context.Context, s *layout.Store, layers []v1.Descriptor, u *layout.Unpacking,
) error {
	ctx, stop := context.WithCancel(ctx)
	var fetching sync.WaitGroup
	defer fetching.Wait()
	defer stop()
	fetched := make([]chan error, len(layers))
	for i := range fetched {
		fetched[i] = make(chan error, 1)
	}
	fetching.Go(func() {
		places := make(chan struct{}, atOnce)
		for i, blob := range layers {
			places <- struct{}{}
			fetching.Go(func() {
				fetched[i] <- r.add(ctx, s, blob)
				<-places
			})
		}
	})
	for i := range layers {
		if err := <-fetched[i]; err != nil {
			return err
		}
		if err := u.Next(); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
