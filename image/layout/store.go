//go:build linux

// Package layout writes the store of images, of which package store tells how it looks like: an OCI
// image layout with the layers unpacked beside it.
//
// Any number of programs may use a store at once. What becomes part of it is made in the directory
// partial, and gets its name when it is whole and right. An image gets its name when all of it is
// on the disk, so that no power cut makes half an image of it. Those that add to the store share
// the lock of the store; one that removes what no image needs has it for itself. The locks are
// those of flock(2), which a killed program does not leave behind.
package layout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/store"
)

// Store is a store that one command has opened. When the context of the command ends, all waiting
// ends, and nothing more is unpacked or written.
type Store struct {
	Dir  string
	ctx  context.Context
	lock *os.File
}

// The directories of a store, which nobody else may enter: in an unpacked layer there may be a
// program that runs with the rights of its owner.
var directories = []string{"blobs/sha256", "layers/sha256", "run", "partial"}

// Open opens the store in a directory, and makes it if it is not there.
func Open(ctx context.Context, dir string) (*Store, error) {
	for _, name := range directories {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
	}
	s := &Store{Dir: dir, ctx: ctx}
	var err error
	if s.lock, err = os.OpenFile(s.path("lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := s.begin(); err != nil {
		s.Close()
		return nil, fmt.Errorf("store %s: %w", dir, err)
	}
	return s, nil
}

// begin takes the shared lock. Whoever is alone here first removes the layers that a killed program
// has not unpacked to the end.
func (s *Store) begin() error {
	err := flock(s.lock, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		if err = s.sweep("layer-*", "new-*"); err == nil {
			err = s.writeMarks()
		}
		if err == nil {
			err = s.afterStart()
		}
	} else if errors.Is(err, unix.EWOULDBLOCK) {
		err = nil
	}
	if err != nil {
		return err
	}
	return s.wait(s.lock, unix.LOCK_SH)
}

// writeMarks makes the two files that make a directory an image layout.
func (s *Store) writeMarks() error {
	if _, err := os.Stat(s.path("index.json")); err == nil {
		return nil
	}
	if err := s.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	return s.writeIndex(&v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{},
	})
}

// bootID is a file of the kernel that has other text each time the machine starts (random(4)).
var bootID = "/proc/sys/kernel/random/boot_id"

// afterStart removes what no image needs if this is the first command since the machine has
// started. A power cut may have left files that are whole by their names only: nobody has waited
// until they were on the disk, as it is done for what an image needs.
func (s *Store) afterStart() error {
	now, err := os.ReadFile(bootID)
	if err != nil {
		return err
	}
	last, err := os.ReadFile(s.path("boot"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if bytes.Equal(now, last) {
		return nil
	}
	if _, err := s.collect(); err != nil {
		// The store is damaged. What is to help, check or rm, is a command, too; the next one tries
		// again.
		return nil
	}
	return s.write("boot", now)
}

// Close gives the lock back.
func (s *Store) Close() error { return s.lock.Close() }

func (s *Store) path(name string) string { return filepath.Join(s.Dir, name) }

func flock(file *os.File, how int) error {
	for {
		if err := unix.Flock(int(file.Fd()), how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// wait locks a file, and waits for whoever has it locked.
func (s *Store) wait(file *os.File, how int) error {
	locked := make(chan error, 1)
	go func() { locked <- flock(file, how) }()
	select {
	case err := <-locked:
		return err
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// interruptible is a reader that ends when the command is to end.
type interruptible struct {
	io.Reader
	ctx context.Context
}

func (r interruptible) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// interruptibleWriter is the same for writing.
type interruptibleWriter struct {
	io.Writer
	ctx context.Context
}

func (w interruptibleWriter) Write(p []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(p)
}

// guard locks a name among those that add to the store, so that two do not make the same.
func (s *Store) guard(name string) (release func(), err error) {
	path := s.path("partial/" + name + ".lock")
	for {
		file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = s.wait(file, unix.LOCK_EX)
		if err != nil {
			file.Close()
			return nil, err
		}
		// The one before may have removed the file, and somebody made another one.
		opened, _ := file.Stat()
		if named, err := os.Stat(path); err == nil && os.SameFile(opened, named) {
			return func() { os.Remove(path); file.Close() }, nil
		}
		file.Close()
	}
}

// sweep removes what is left in partial of programs that were killed.
func (s *Store) sweep(patterns ...string) error {
	for _, pattern := range patterns {
		left, err := filepath.Glob(s.path("partial/" + pattern))
		if err != nil {
			return err
		}
		for _, path := range left {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// write makes a file of the store, or replaces it, in one step for all who read it.
func (s *Store) write(name string, text []byte) error {
	return s.writeSynced(name, text, func(*os.File) error { return nil })
}

// writeSynced is write, with something that waits until the file is on the disk.
func (s *Store) writeSynced(name string, text []byte, sync func(*os.File) error) error {
	file, err := os.CreateTemp(s.path("partial"), "new-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // it is elsewhere if all went well
	_, err = file.Write(text)
	if err == nil {
		err = file.Chmod(0o644)
	}
	if err == nil {
		err = sync(file)
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), s.path(name))
	}
	return err
}

// Index returns the index of the images.
func (s *Store) Index() (*v1.IndexManifest, error) {
	text, err := os.ReadFile(s.path("index.json"))
	if err != nil {
		return nil, err
	}
	index := &v1.IndexManifest{}
	if err := json.Unmarshal(text, index); err != nil {
		return nil, fmt.Errorf("%s: %w", s.path("index.json"), err)
	}
	return index, nil
}

func (s *Store) writeIndex(index *v1.IndexManifest) error {
	text, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := s.writeSynced("index.json", append(text, '\n'), (*os.File).Sync); err != nil {
		return err
	}
	// The new name is on the disk when the directory is (fsync(2)).
	dir, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// changeIndex lets change change the index, while nobody else does.
func (s *Store) changeIndex(change func(*v1.IndexManifest)) error {
	release, err := s.guard("index")
	if err != nil {
		return err
	}
	defer release()
	index, err := s.Index()
	if err != nil {
		return err
	}
	change(index)
	return s.writeIndex(index)
}

// Name is the name of an image of the index, or "".
func Name(d v1.Descriptor) string { return d.Annotations[store.RefName] }

// syncfs is a variable for tests.
var syncfs = unix.Syncfs

// SetName makes a name that of an image, and no longer that of another one. All that the image
// needs is on the disk before. That is asked for once, for the file system: for each of thousands
// of files it would take many times as long.
func (s *Store) SetName(name string, manifest v1.Descriptor) error {
	if err := syncfs(int(s.lock.Fd())); err != nil {
		return fmt.Errorf("syncfs: %w", err)
	}
	manifest.Annotations = map[string]string{store.RefName: name}
	manifest.Data, manifest.URLs = nil, nil
	return s.changeIndex(func(index *v1.IndexManifest) {
		index.Manifests = append(without(index.Manifests, name), manifest)
	})
}

// RemoveName removes a name. An image that has no other one is for Prune to remove.
func (s *Store) RemoveName(name string) error {
	return s.changeIndex(func(index *v1.IndexManifest) {
		index.Manifests = without(index.Manifests, name)
	})
}

func without(manifests []v1.Descriptor, name string) []v1.Descriptor {
	return slices.DeleteFunc(manifests, func(d v1.Descriptor) bool { return Name(d) == name })
}

// Find returns the descriptor of the image that is called name, which is in full.
func (s *Store) Find(name string) (v1.Descriptor, error) {
	index, err := s.Index()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, d := range index.Manifests {
		if Name(d) == name {
			return d, nil
		}
	}
	return v1.Descriptor{}, fmt.Errorf("not here (%s list shows what is)",
		store.Program())
}
