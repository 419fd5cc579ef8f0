//go:build linux

// Package store says where images are, how they are called, and what a runtime has to know about
// one. A runtime imports this package, and pays nothing for it until it opens an image: there is no
// manifest, no digest, no network and no init in here. The image tool writes what it reads.
//
// The store is an OCI image layout with two more directories:
//
//	oci-layout, index.json, blobs/sha256/  as the OCI image specification has them; the names of
//	                                       images are annotations in index.json, in full
//	layers/sha256/<diff id>/               each layer unpacked, as overlayfs wants a lower layer
//	                                       (behind the diff id there may be something more, for a
//	                                       layer that would be another one on other layers)
//	boot                                   which start of the machine the store has seen last
//	run/<digest of the manifest>.json      each image in the few words that a runtime needs
//
// All but index.json never changes once it has its name, and all that an image needs is there
// before index.json names it: so one rename(2) is all that other programs see of a new image.
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
	"strings"
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

// Program is how the image tool is called, for the advice on what to type next: by its name if the
// shell finds it, and otherwise as a tool of this module.
func Program() string {
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		info, err := os.Stat(filepath.Join(dir, "image"))
		if dir != "" && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return "image"
		}
	}
	return "go tool image"
}

// An Image is what a runtime needs to know. It is in use until it is closed: the image tool does
// not remove the layers of an image that is in use, not even when another one has got its name.
type Image struct {
	Manifest string `json:"manifest"` // its digest

	// Layers are directories, the lowest one first, and at least one. In the file they are relative
	// to the store.
	Layers []string `json:"layers"`

	// What the image asks for, where the flags do not.
	Env        []string `json:"env,omitempty"`        // NAME=VALUE
	Entrypoint []string `json:"entrypoint,omitempty"` // goes before the command
	Cmd        []string `json:"cmd,omitempty"`        // the command, if there is none
	User       string   `json:"user,omitempty"`       // UID[:GID], or names
	Workdir    string   `json:"workdir,omitempty"`

	lock *os.File
}

// RunFile is the file in the store that describes the image of that manifest.
func RunFile(dir, manifest string) string {
	return filepath.Join(dir, "run", strings.TrimPrefix(manifest, "sha256:")+".json")
}

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
	for {
		manifest, err := manifestOf(dir, full)
		if err == nil && manifest == "" {
			err = fmt.Errorf("not here (get it: %s pull %s)", Program(), name)
		}
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", name, err)
		}
		image, err := open(dir, manifest)
		if err == nil {
			return image, nil
		}
		// The image may have been removed meanwhile, or replaced: then the index says so now.
		if now, _ := manifestOf(dir, full); now == manifest || !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("image %q: %w", name, err)
		}
	}
}

// KeptFrom is the file in the directory of -keep in which the runtime writes the digest of the
// manifest of the image below, so that image commit knows on what the difference goes.
const KeptFrom = "image"

// RefName is the annotation that has the name of an image in index.json.
const RefName = "org.opencontainers.image.ref.name"

// manifestOf is the digest of the manifest of an image, or "" if no image is called that.
func manifestOf(dir, name string) (digest string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var index struct {
		Manifests []struct {
			Digest      string            `json:"digest"`
			Annotations map[string]string `json:"annotations"`
		} `json:"manifests"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		return "", fmt.Errorf("%s/index.json: %w", dir, err)
	}
	for _, m := range index.Manifests {
		if m.Annotations[RefName] == name {
			return m.Digest, nil
		}
	}
	return "", nil
}

func open(dir, manifest string) (image *Image, err error) {
	file, err := lockFile(RunFile(dir, manifest))
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

// lockFile opens a file with a shared lock. Whoever removes it holds an exclusive lock at that
// moment: so a file that still has its name once it is locked will stay.
func lockFile(path string) (*os.File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err = flock(file, syscall.LOCK_SH); err == nil {
		err = hasName(file, path)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func hasName(file *os.File, path string) error {
	opened, err := file.Stat()
	if err != nil {
		return err
	}
	named, err := os.Stat(path)
	if err == nil && !os.SameFile(opened, named) {
		err = os.ErrNotExist
	}
	return err
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
