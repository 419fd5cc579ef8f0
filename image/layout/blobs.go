//go:build linux

package layout

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// A blob is any piece of an image, in a file that is named by the digest of its bytes: so what is
// there need not be fetched again, and what is not what was asked for is noticed.

// Blob is the path of a blob.
func (s *Store) Blob(digest v1.Hash) string { return s.path("blobs/sha256/" + digest.Hex) }

// Has tells whether a blob is there.
func (s *Store) Has(digest v1.Hash) bool {
	_, err := os.Stat(s.Blob(digest))
	return err == nil
}

// ErrContent is the error of a blob that is not what its digest says.
var ErrContent = errors.New("is not what its digest says")

// Add puts a blob in the store, unless it is there. fill is to append what is missing to a file,
// in which an attempt that broke off may have left a part. If fill fails, the part stays for the
// next attempt, as long as there is room for it.
func (s *Store) Add(blob v1.Descriptor, fill func(part *os.File, have int64) error) error {
	if err := checkDescriptor(blob); err != nil {
		return err
	}
	release, err := s.guard("blob-" + blob.Digest.Hex)
	if err != nil {
		return err
	}
	defer release()
	if s.Has(blob.Digest) { // perhaps since another program has fetched it
		return nil
	}
	part, have, err := s.openPart(blob)
	if err != nil {
		return err
	}
	defer part.Close()
	if have < blob.Size || blob.Size == 0 {
		err = fill(part, have)
	}
	if err == nil {
		err = verify(part, blob)
	}
	if err == nil {
		return os.Rename(part.Name(), s.Blob(blob.Digest))
	}
	info, statErr := part.Stat()
	isUseful := statErr == nil && info.Size() > 0 && errors.As(err, new(*Incomplete))
	if !isUseful {
		os.Remove(part.Name())
	}
	return err
}

// Incomplete is the error of an attempt after which another one may go on.
type Incomplete struct{ Err error }

func (e *Incomplete) Error() string { return e.Err.Error() }
func (e *Incomplete) Unwrap() error { return e.Err }

// checkDescriptor refuses what leads to no file of the store.
func checkDescriptor(d v1.Descriptor) error {
	if d.Digest.Algorithm != "sha256" || len(d.Digest.Hex) != 2*sha256.Size {
		return fmt.Errorf("digest %q: must be one of sha256", d.Digest)
	}
	if d.Size < 0 {
		return fmt.Errorf("%s: size %d", d.Digest, d.Size)
	}
	return nil
}

func (s *Store) openPart(blob v1.Descriptor) (part *os.File, have int64, err error) {
	path := s.path("partial/blob-" + blob.Digest.Hex)
	if part, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, 0, err
	}
	if have, err = part.Seek(0, io.SeekEnd); err == nil && have > blob.Size {
		have = 0
		if err = part.Truncate(0); err == nil {
			_, err = part.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		part.Close()
	}
	return part, have, err
}

func verify(part *os.File, blob v1.Descriptor) error {
	info, err := part.Stat()
	if err != nil {
		return err
	}
	if info.Size() != blob.Size {
		return fmt.Errorf("%w: %d bytes instead of %d", ErrContent, info.Size(), blob.Size)
	}
	if _, err = part.Seek(0, io.SeekStart); err != nil {
		return err
	}
	digest, _, err := v1.SHA256(part)
	if err == nil && digest != blob.Digest {
		err = fmt.Errorf("%w: it has %s", ErrContent, digest)
	}
	return err
}

// AddNew puts a blob in the store whose digest is known only when it has been written.
func (s *Store) AddNew(write func(io.Writer) error) (v1.Descriptor, error) {
	part, err := os.CreateTemp(s.path("partial"), "new-*")
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer os.Remove(part.Name())
	defer part.Close()
	digest := sha256.New()
	counted := &counter{}
	to := interruptibleWriter{io.MultiWriter(part, digest, counted), s.ctx}
	if err := write(to); err != nil {
		return v1.Descriptor{}, err
	}
	blob := v1.Descriptor{
		Size:   counted.n,
		Digest: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digest.Sum(nil))},
	}
	if err := part.Chmod(0o644); err != nil {
		return blob, err
	}
	return blob, os.Rename(part.Name(), s.Blob(blob.Digest))
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}

// AddBytes puts a small blob in the store.
func (s *Store) AddBytes(text []byte) (v1.Descriptor, error) {
	return s.AddNew(func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// maxDocument is the size from which a manifest or a config is not read: registries take no larger
// manifest than one of 4 MiB.
const maxDocument = 16 << 20

// ReadBlob returns a small blob, if it is what its digest says.
func (s *Store) ReadBlob(blob v1.Descriptor) ([]byte, error) {
	if blob.Size > maxDocument {
		return nil, fmt.Errorf("%s: %d bytes are too many", blob.Digest, blob.Size)
	}
	text, err := os.ReadFile(s.Blob(blob.Digest))
	if err != nil {
		return nil, err
	}
	if digest, _, err := v1.SHA256(bytes.NewReader(text)); err != nil || digest != blob.Digest {
		return nil, fmt.Errorf("blob %s: %w", blob.Digest, ErrContent)
	}
	return text, nil
}

// An Image is what the manifest and the config of an image say.
type Image struct {
	Descriptor v1.Descriptor // of the manifest
	Manifest   v1.Manifest
	Config     v1.ConfigFile
}

// Blobs are the config and the layers that a manifest names.
func (s *Store) Blobs(manifest v1.Descriptor) (
	config v1.Descriptor, layers []v1.Descriptor, err error,
) {
	m, err := s.manifest(manifest)
	if err != nil {
		return config, nil, err
	}
	for _, blob := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		if err := checkDescriptor(blob); err != nil {
			return config, nil, fmt.Errorf("manifest: %w", err)
		}
	}
	if m.Config.Size > maxDocument {
		return config, nil, fmt.Errorf("config: %d bytes are too many", m.Config.Size)
	}
	return m.Config, m.Layers, nil
}

// manifest reads the manifest of an image. Registries have manifests of other things, too.
func (s *Store) manifest(d v1.Descriptor) (m v1.Manifest, err error) {
	if err := s.decode(d, &m); err != nil {
		return m, fmt.Errorf("manifest: %w", err)
	}
	if m.SchemaVersion == 1 {
		return m, errors.New("manifest: of schema version 1, which is no longer in use (skopeo " +
			"copy --format oci makes a new one)")
	}
	switch m.Config.MediaType {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	case "", "application/octet-stream": // as some programs wrote it
	default:
		kind := m.ArtifactType
		if kind == "" {
			kind = string(m.Config.MediaType)
		}
		return m, fmt.Errorf("manifest: not of an image, but of an artifact of type %q", kind)
	}
	return m, nil
}

// Image reads the image of a manifest.
func (s *Store) Image(manifest v1.Descriptor) (*Image, error) {
	i := &Image{Descriptor: manifest}
	var err error
	if i.Manifest, err = s.manifest(manifest); err != nil {
		return nil, err
	}
	if err := s.decode(i.Manifest.Config, &i.Config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	return i, i.check()
}

func (s *Store) decode(blob v1.Descriptor, to any) error {
	if err := checkDescriptor(blob); err != nil {
		return err
	}
	text, err := s.ReadBlob(blob)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// check is for what the rest relies on.
func (i *Image) check() error {
	layers, ids := i.Manifest.Layers, i.Config.RootFS.DiffIDs
	if len(layers) == 0 {
		return errors.New("an image without layers (is it another kind of artifact?)")
	}
	if len(layers) != len(ids) {
		return fmt.Errorf("manifest and config disagree: %d layers, %d diff ids",
			len(layers), len(ids))
	}
	for n, layer := range layers {
		if err := checkDescriptor(layer); err != nil {
			return err
		}
		if err := checkDescriptor(v1.Descriptor{Digest: ids[n]}); err != nil {
			return err
		}
	}
	return nil
}
