//go:build linux

package layout

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/store"
)

// Removed is what a collection has removed.
type Removed struct {
	Blobs, Layers int
	Bytes         int64
}

// Prune removes what no image in the index needs, and no container. It waits until no other program
// adds to the store.
func (s *Store) Prune() (removed Removed, err error) {
	if err := s.wait(s.lock, unix.LOCK_EX); err != nil {
		return removed, err
	}
	return s.collect()
}

// Undo removes what an attempt has added to the store that came to nothing, unless other programs
// are adding to the store: then a later one removes it.
func (s *Store) Undo() error {
	err := flock(s.lock, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	if err == nil {
		_, err = s.collect()
	}
	return err
}

func (s *Store) collect() (removed Removed, err error) {
	needed, err := s.needed()
	if err != nil {
		return removed, err
	}
	if err := s.collectRunFiles(needed); err != nil {
		return removed, err
	}
	for dir, count := range map[string]*int{
		"blobs/sha256":  &removed.Blobs,
		"layers/sha256": &removed.Layers,
		"partial":       new(int),
	} {
		entries, err := os.ReadDir(s.path(dir))
		if err != nil {
			return removed, err
		}
		for _, entry := range entries {
			name := filepath.Join(dir, entry.Name())
			if needed[name] {
				continue
			}
			*count++
			removed.Bytes += diskUsage(s.path(name))
			if err := os.RemoveAll(s.path(name)); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// needed are the files of the store that images need, by their paths below the store. What an
// index of another program holds beside images is needed, too.
func (s *Store) needed() (map[string]bool, error) {
	index, err := s.Index()
	if err != nil {
		return nil, err
	}
	needed := map[string]bool{}
	for _, d := range index.Manifests {
		if err := s.need(d, needed); err != nil {
			return nil, err
		}
	}
	return needed, nil
}

func (s *Store) need(d v1.Descriptor, needed map[string]bool) error {
	needed["blobs/sha256/"+d.Digest.Hex] = true
	runFile, err := filepath.Rel(s.Dir, store.RunFile(s.Dir, d.Digest.String()))
	if err != nil {
		return err
	}
	needed[runFile] = true
	if err := s.needLayers(runFile, needed); err != nil {
		return err
	}
	if image, err := s.Image(d); err == nil { // with those of which nothing is seen
		dirs, _ := s.Layers(image)
		for _, dir := range dirs {
			needed["layers/sha256/"+filepath.Base(dir)] = true
		}
	}
	var document struct {
		Config    v1.Descriptor
		Layers    []v1.Descriptor
		Manifests []v1.Descriptor
	}
	if err := s.decode(d, &document); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // image check complains about it
		}
		return err
	}
	for _, blob := range append(document.Layers, document.Config) {
		needed["blobs/sha256/"+blob.Digest.Hex] = true
	}
	for _, child := range document.Manifests {
		if err := s.need(child, needed); err != nil {
			return err
		}
	}
	return nil
}

// needLayers adds the unpacked layers of an image.
func (s *Store) needLayers(runFile string, needed map[string]bool) error {
	text, err := os.ReadFile(s.path(runFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var image store.Image
	if err := json.Unmarshal(text, &image); err != nil {
		return err
	}
	for _, dir := range image.Layers {
		needed[dir] = true
	}
	return nil
}

// collectRunFiles removes what the runtime reads of images that are gone. Does a container use an
// image, its layers are needed.
func (s *Store) collectRunFiles(needed map[string]bool) error {
	files, err := filepath.Glob(s.path("run/*.json"))
	if err != nil {
		return err
	}
	for _, path := range files {
		name := "run/" + filepath.Base(path)
		if needed[name] {
			continue
		}
		file, err := tryAlone(path)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = s.needLayers(name, needed)
		} else if err == nil {
			err = os.Remove(path)
			file.Close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// diskUsage is the room that a file takes on the disk, and all that is below it. A file of several
// names counts as often.
func diskUsage(path string) (bytes int64) {
	filepath.WalkDir(path, func(path string, _ fs.DirEntry, _ error) error {
		var stat unix.Stat_t
		if unix.Lstat(path, &stat) == nil {
			bytes += stat.Blocks * 512
		}
		return nil
	})
	return bytes
}

// Check reads all blobs again and compares them with their digests, and looks whether each image
// has all that it needs. It tells what is wrong.
func (s *Store) Check(wrong func(string)) error {
	entries, err := os.ReadDir(s.path("blobs/sha256"))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		digest := v1.Hash{Algorithm: "sha256", Hex: entry.Name()}
		if err := s.checkBlob(digest); err != nil {
			wrong("blob " + digest.String() + ": " + err.Error())
		}
	}
	index, err := s.Index()
	if err != nil {
		return err
	}
	for _, d := range index.Manifests {
		needed := map[string]bool{}
		if err := s.need(d, needed); err != nil {
			wrong("image " + Name(d) + ": " + err.Error())
			continue
		}
		for name := range needed {
			isOurs := Name(d) != "" || !strings.HasPrefix(name, "run/")
			if _, err := os.Stat(s.path(name)); err != nil && isOurs {
				wrong("image " + Name(d) + ": lacks " + name)
			}
		}
	}
	return nil
}

func (s *Store) checkBlob(digest v1.Hash) error {
	file, err := os.Open(s.Blob(digest))
	if err != nil {
		return err
	}
	defer file.Close()
	got, _, err := v1.SHA256(file)
	if err == nil && got != digest {
		err = ErrContent
	}
	return err
}
