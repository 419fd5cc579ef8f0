//go:build linux

package layout

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/store"
)

// A Kept is the directory of -keep of a container that has ended.
type Kept struct {
	dir  string
	lock *os.File
}

// OpenKept opens such a directory, and locks it as the runtime does, so that no container changes
// what is being packed.
func OpenKept(dir string) (*Kept, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	k := &Kept{dir: dir, lock: lock}
	err = flock(lock, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errors.New("in use by a container")
	}
	if err == nil {
		if _, statErr := os.Stat(k.upper()); statErr != nil {
			err = errors.New("nothing of a container is in it (one with -layers overlay, which " +
				"is the default, leaves a directory upper)")
		}
	}
	if err != nil {
		k.Close()
		return nil, fmt.Errorf("keep %s: %w", dir, err)
	}
	return k, nil
}

// Close lets containers use it again.
func (k *Kept) Close() error { return k.lock.Close() }

func (k *Kept) upper() string { return filepath.Join(k.dir, "upper") }

// Base is the manifest of the image that the container was made of.
func (k *Kept) Base() (v1.Hash, error) {
	text, err := os.ReadFile(filepath.Join(k.dir, store.KeptFrom))
	if errors.Is(err, os.ErrNotExist) {
		return v1.Hash{}, fmt.Errorf("keep %s: it is not said there of which image the container "+
			"was (-base tells)", k.dir)
	}
	if err != nil {
		return v1.Hash{}, err
	}
	return v1.NewHash(strings.TrimSpace(string(text)))
}

// root is who root of the container was on the host: the upper directory belongs to him.
func (k *Kept) root() (layer.Owner, error) {
	var stat unix.Stat_t
	err := unix.Stat(k.upper(), &stat)
	return layer.Owner{UID: stat.Uid, GID: stat.Gid}, err
}

// FindManifest returns the descriptor of a manifest that is in the store.
func (s *Store) FindManifest(digest v1.Hash) (d v1.Descriptor, err error) {
	info, err := os.Stat(s.Blob(digest))
	if err != nil {
		return d, fmt.Errorf("the image below, %s, is no longer here", digest)
	}
	d = v1.Descriptor{Digest: digest, Size: info.Size()}
	var manifest v1.Manifest
	err = s.decode(d, &manifest)
	d.MediaType = manifest.MediaType
	if d.MediaType == "" {
		d.MediaType = types.OCIManifestSchema1
	}
	return d, err
}

// Commit makes an image: the one below, and one layer more of what the container has changed.
func (s *Store) Commit(below *Image, kept *Kept) (v1.Descriptor, layer.Packed, error) {
	var packed layer.Packed
	dirs, err := s.Layers(below)
	if err != nil {
		return v1.Descriptor{}, packed, err
	}
	root, err := kept.root()
	if err != nil {
		return v1.Descriptor{}, packed, err
	}
	diffID := sha256.New()
	d, err := s.AddNew(func(w io.Writer) error {
		compressed := gzip.NewWriter(w)
		packed, err = layer.Pack(io.MultiWriter(compressed, diffID), kept.upper(), dirs, root)
		return errors.Join(err, compressed.Close())
	})
	if err != nil {
		return d, packed, err
	}
	manifest := below.Manifest
	d.MediaType = types.OCILayer
	if manifest.MediaType == types.DockerManifestSchema2 {
		d.MediaType = types.DockerLayer
	}
	manifest.Layers = append(manifest.Layers, d)
	if manifest.MediaType == "" {
		manifest.MediaType = types.OCIManifestSchema1
	}
	config, err := s.extendConfig(below, "sha256:"+hex.EncodeToString(diffID.Sum(nil)))
	if err != nil {
		return d, packed, err
	}
	manifest.Config.Digest, manifest.Config.Size = config.Digest, config.Size
	manifest.Config.Data = nil
	d, err = s.addManifest(manifest)
	return d, packed, err
}

// extendConfig adds a layer to the config of an image. All else stays, also what we do not know.
func (s *Store) extendConfig(below *Image, diffID string) (v1.Descriptor, error) {
	text, err := s.ReadBlob(below.Manifest.Config)
	if err != nil {
		return v1.Descriptor{}, err
	}
	config := map[string]any{}
	if err := json.Unmarshal(text, &config); err != nil {
		return v1.Descriptor{}, err
	}
	ids := below.Config.RootFS.DiffIDs
	all := make([]string, len(ids), len(ids)+1)
	for i, id := range ids {
		all[i] = id.String()
	}
	now := time.Now().UTC().Format(time.RFC3339)
	history, _ := config["history"].([]any)
	config["rootfs"] = map[string]any{"type": "layers", "diff_ids": append(all, diffID)}
	config["created"] = now
	step := map[string]any{"created": now, "created_by": "image commit"}
	config["history"] = append(history, step)
	if text, err = json.Marshal(config); err != nil {
		return v1.Descriptor{}, err
	}
	return s.AddBytes(text)
}
