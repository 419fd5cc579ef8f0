//go:build linux

// Package store says where images are, how they are called, and what a runtime has to know about
// one. A runtime imports this package, and pays nothing for it until it opens an image: there is no
// manifest, no digest, no network and no init in here. The image tool writes what it reads.
//
// The store is an OCI image layout with two more directories:
//
//	oci-layout, index.json, blobs/sha256/     as the OCI image specification has them
//	layers/sha256/<diff id>/                  each layer unpacked, as overlayfs wants a lower layer
//	run/docker.io/library/alpine:latest.json  each image in the few words that a runtime needs
//
// In an unpacked layer a whiteout is a character device 0/0, and a directory that hides what is
// below it has the extended attributes trusted.overlay.opaque=y and user.overlay.opaque=y: the
// first one is for an overlay that root of the host mounts, the second for one that is mounted in a
// user namespace, with the option userxattr (overlayfs.rst). An ordinary user's layers have only
// the second. In the store of root, files belong to the ids that the image gives them, and are to
// be mounted idmapped. In that of an ordinary user they belong to the ids that these are in the
// user namespaces that package users of the runtime makes, and are right as they are.
//
// The mode and the owner of / in the image are those of the directory of its topmost layer.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Dir is the directory of the caller's store, whether it is there or not.
func Dir() (string, error) {
	if dir := os.Getenv("CONTAINER_IMAGES"); dir != "" {
		return filepath.Abs(dir)
	}
	const below = "container-workshop/images"
	// A relative path in there is invalid, and to be ignored (XDG Base Directory Specification).
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, below), nil
	}
	if home := os.Getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".local/share", below), nil
	}
	return "", errors.New("store: no place for it: set CONTAINER_IMAGES to a directory, or HOME")
}

// An Image is what a runtime needs to know. It stays in use until it is closed: the image tool does
// not remove the layers of an image that is in use, not even when another one has got its name.
type Image struct {
	Name     string `json:"name"`     // in full, as Normalise returns it
	Manifest string `json:"manifest"` // its digest

	// Layers are directories, the lowest one first. In the file they are relative to the store.
	// There is at least one.
	Layers []string `json:"layers"`

	// What the image asks for, where the flags do not.
	Env        []string `json:"env,omitempty"`        // NAME=VALUE
	Entrypoint []string `json:"entrypoint,omitempty"` // goes before the command
	Cmd        []string `json:"cmd,omitempty"`        // the command, if there is none
	User       string   `json:"user,omitempty"`       // UID[:GID], or names
	Workdir    string   `json:"workdir,omitempty"`

	lock *os.File
}

// File is where the image of that name, which must be in full, is described.
func File(dir, name string) string { return filepath.Join(dir, "run", name+".json") }

// Open returns the image that is called name, as Docker writes names, in the caller's store. The
// caller keeps it open as long as a container uses the layers: a lock of flock(2) goes with the
// process that holds it, however it ends.
func Open(name string) (*Image, error) {
	full, err := Normalise(name)
	if err != nil {
		return nil, err
	}
	dir, err := Dir()
	if err != nil {
		return nil, err
	}
	image, err := open(dir, full)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("image %q: not here (get it: image pull %s)", name, name)
	}
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", name, err)
	}
	return image, nil
}

func open(dir, name string) (image *Image, err error) {
	file, err := lockFile(File(dir, name))
	if err != nil {
		return nil, err
	}
	image = &Image{lock: file}
	if err = json.NewDecoder(file).Decode(image); err == nil && len(image.Layers) == 0 {
		err = errors.New("no layers")
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("%s: %w", file.Name(), err)
	}
	for i, layer := range image.Layers {
		image.Layers[i] = filepath.Join(dir, layer)
	}
	return image, nil
}

// lockFile opens a file with a shared lock. The image may get another file between the two: then
// the lock is on one that has no name any more, and nobody asks for it.
func lockFile(path string) (*os.File, error) {
	for {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		if err = flock(file, syscall.LOCK_SH); err == nil {
			var same bool
			if same, err = isAt(file, path); same {
				return file, nil
			}
		}
		file.Close()
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
}

// isAt tells whether the file is the one that the path leads to.
func isAt(file *os.File, path string) (bool, error) {
	opened, err := file.Stat()
	if err != nil {
		return false, err
	}
	named, err := os.Stat(path)
	return err == nil && os.SameFile(opened, named), err
}

// Close tells that the layers are no longer used.
func (i *Image) Close() error { return i.lock.Close() }

// flock locks an open file, or waits until it can (flock(2)).
func flock(file *os.File, how int) error {
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
