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
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/store"
)

// An Unpacking unpacks the layers of an image, from the lowest up.
type Unpacking struct {
	store  *Store
	image  *Image
	limits layer.Limits
	dirs   []string // of the layers so far, relative to the store
	chain  string   // the digest of all layers so far
	Notes  []string
}

// Unpack begins to unpack an image.
func (s *Store) Unpack(image *Image, limits layer.Limits) *Unpacking {
	return &Unpacking{store: s, image: image, limits: limits}
}

// Next unpacks the next layer, whose blob has to be there. What is unpacked already is not
// unpacked again.
func (u *Unpacking) Next() error {
	n := len(u.dirs)
	diffID := u.image.Config.RootFS.DiffIDs[n].Hex
	name, err := u.unpacked(diffID)
	if err != nil {
		return fmt.Errorf("layer %d, %s: %w", n+1, u.image.Manifest.Layers[n].Digest, err)
	}
	u.dirs = append(u.dirs, filepath.Join("layers/sha256", name))
	u.chain = chainID(u.chain, diffID)
	return nil
}

// chainID names a layer on those below it, by the digest of their names (the OCI image
// specification, Layer ChainID).
func chainID(below, diffID string) string {
	if below == "" {
		return diffID
	}
	sum := sha256.Sum256([]byte("sha256:" + below + " sha256:" + diffID))
	return hex.EncodeToString(sum[:])
}

// names are those that the directory of a layer may have: the diff id, with the chain id of the
// layers below for a layer that would be another one on other layers, and the diff id alone for one
// that would not.
func names(diffID, below string) (onThese, onAny string) {
	if below == "" {
		below = "none"
	}
	return diffID + ".on-" + below, diffID
}

// unpacked returns the name of the directory of the next layer, which it makes if it is not there.
func (u *Unpacking) unpacked(diffID string) (name string, err error) {
	release, err := u.store.guard("unpack-" + diffID)
	if err != nil {
		return "", err
	}
	defer release()
	onThese, onAny := names(diffID, u.chain)
	if u.store.hasLayer(onThese) {
		return onThese, nil
	}
	if u.store.hasLayer(onAny) && u.suits(onAny) {
		return onAny, nil
	}
	part := u.store.path("partial/layer-" + diffID)
	if err := os.RemoveAll(part); err != nil { // of a program that was killed
		return "", err
	}
	defer os.RemoveAll(part) // it is elsewhere if all went well
	result, err := u.unpack(part)
	if err != nil {
		return "", err
	}
	u.Notes = append(u.Notes, result.Notes...)
	switch {
	case result.Dependent:
		name = onThese
	case u.store.hasLayer(onAny):
		return onAny, nil
	default:
		name = onAny
	}
	return name, os.Rename(part, u.store.path("layers/sha256/"+name))
}

func (s *Store) hasLayer(name string) bool {
	_, err := os.Stat(s.path("layers/sha256/" + name))
	return err == nil
}

// suits tells whether a layer that was unpacked on other layers has the root of those below here.
// If it has another one, only the archive knows whether that is its own.
func (u *Unpacking) suits(name string) bool {
	if len(u.dirs) == 0 {
		return true
	}
	var below, own unix.Stat_t
	err := errors.Join(
		unix.Stat(u.store.path(u.dirs[len(u.dirs)-1]), &below),
		unix.Stat(u.store.path("layers/sha256/"+name), &own),
	)
	return err == nil && below.Mode == own.Mode && below.Uid == own.Uid && below.Gid == own.Gid
}

// unpack unpacks the next layer to a directory, and makes sure that it is the layer that the config
// of the image means.
func (u *Unpacking) unpack(to string) (result layer.Result, err error) {
	n := len(u.dirs)
	blob, err := os.Open(u.store.Blob(u.image.Manifest.Layers[n].Digest))
	if err != nil {
		return result, err
	}
	defer blob.Close()
	archive, err := layer.Decompress(blob)
	if err != nil {
		return result, err
	}
	defer archive.Close()
	if err := os.Mkdir(to, 0o755); err != nil {
		return result, err
	}
	below := make([]string, n)
	for i, dir := range u.dirs {
		below[i] = u.store.path(dir)
	}
	digest := sha256.New()
	read := io.TeeReader(interruptible{archive, u.store.ctx}, digest)
	if result, err = layer.Unpack(read, to, below, &u.limits); err != nil {
		return result, err
	}
	// There may be something behind the end of the archive, which has a part in its digest.
	rest, err := io.Copy(io.Discard, io.LimitReader(read, maxRest+1))
	if err == nil && rest > maxRest {
		err = errors.New("archive: goes on behind its end")
	}
	if err != nil {
		return result, err
	}
	if got := hex.EncodeToString(digest.Sum(nil)); got != u.image.Config.RootFS.DiffIDs[n].Hex {
		return result, fmt.Errorf("%w: unpacked it has sha256:%s, and the image says %s",
			ErrContent, got, u.image.Config.RootFS.DiffIDs[n])
	}
	return result, nil
}

// maxRest are the bytes behind the end of an archive. Programs write some, up to full blocks.
const maxRest = 16 << 20

// Finish writes what a runtime needs to know of the image. All layers are unpacked.
func (u *Unpacking) Finish() error {
	config := u.image.Config.Config
	text, err := json.Marshal(store.Image{
		Manifest:   u.image.Descriptor.Digest.String(),
		Layers:     u.seen(),
		Env:        config.Env,
		Entrypoint: config.Entrypoint,
		Cmd:        config.Cmd,
		User:       config.User,
		Workdir:    config.WorkingDir,
	})
	if err != nil {
		return err
	}
	file, err := filepath.Rel(u.store.Dir,
		store.RunFile(u.store.Dir, u.image.Descriptor.Digest.String()))
	if err != nil {
		return err
	}
	if _, err := os.Stat(u.store.path(file)); err == nil {
		return nil // perhaps in use, and so not to be replaced
	}
	return u.store.write(file, append(text, '\n'))
}

// seen are the layers of which something is seen. The kernel does not ask whether the root of a
// layer is opaque: what is below such a one is left out. And it takes no directory twice: of a
// layer that an image has twice, as of an empty one, the upper one is enough, since it shows and
// hides the same.
func (u *Unpacking) seen() (dirs []string) {
	for _, dir := range slices.Backward(u.dirs) {
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
		if layer.IsOpaque(u.store.path(dir)) {
			break
		}
	}
	slices.Reverse(dirs)
	return dirs
}

// Prepare unpacks an image whose blobs are all there, and gives it a name.
func (s *Store) Prepare(name string, manifest v1.Descriptor, limits layer.Limits) (
	notes []string, err error,
) {
	image, err := s.Image(manifest)
	if err != nil {
		return nil, err
	}
	u := s.Unpack(image, limits)
	for range image.Manifest.Layers {
		if err := u.Next(); err != nil {
			return u.Notes, err
		}
	}
	if err := u.Finish(); err != nil {
		return u.Notes, err
	}
	return u.Notes, s.SetName(name, manifest)
}

// tryAlone takes the lock of a file that others share, if nobody does.
func tryAlone(path string) (file *os.File, err error) {
	if file, err = os.Open(path); err != nil {
		return nil, err
	}
	if err = flock(file, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// Layer is the directory of a layer of an image that is unpacked, or "".
func (s *Store) Layer(image *Image, n int) string {
	dirs, err := s.Layers(image)
	if err != nil {
		return ""
	}
	return dirs[n]
}

// Layers are the directories of the layers of an image, all of them, the lowest first.
func (s *Store) Layers(image *Image) (dirs []string, err error) {
	chain := ""
	for _, diffID := range image.Config.RootFS.DiffIDs {
		onThese, name := names(diffID.Hex, chain)
		if s.hasLayer(onThese) {
			name = onThese
		}
		if !s.hasLayer(name) {
			return nil, fmt.Errorf("layer %s: not unpacked", diffID)
		}
		dirs = append(dirs, s.path("layers/sha256/"+name))
		chain = chainID(chain, diffID.Hex)
	}
	return dirs, nil
}
