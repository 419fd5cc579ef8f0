//go:build linux

// Package archive takes images from files, and puts them in files: what docker save and docker
// export write, and the archives and layouts of the OCI.
package archive

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"container.example/workshop/image/layer"
)

// A box has the files of an image, by their names: it is a directory or an archive.
type box interface {
	open(name string) (io.ReadCloser, int64, error)
	Close() error
}

// directory is a box. No name and no link leads out of it.
type directory struct{ *os.Root }

func (d directory) open(name string) (io.ReadCloser, int64, error) {
	file, err := d.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a regular file", name)
	}
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// tarFile is a box: an archive that is not compressed, of which it is known where each file is.
type tarFile struct {
	*os.File
	files map[string]section
	links map[string]string // symbolic and hard links
}

type section struct{ offset, size int64 }

func openTar(file *os.File) (*tarFile, error) {
	t := &tarFile{File: file, files: map[string]section{}, links: map[string]string{}}
	entries := tar.NewReader(file)
	for {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("not a tar archive: %w", err)
		}
		name := path.Clean("/" + h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			offset, err := file.Seek(0, io.SeekCurrent) // the reader does not read ahead
			if err != nil {
				return nil, err
			}
			t.files[name] = section{offset, h.Size}
		case tar.TypeSymlink: // docker save wrote them for a layer that two images have
			t.links[name] = path.Join(path.Dir(name), h.Linkname)
		case tar.TypeLink:
			t.links[name] = path.Clean("/" + h.Linkname)
		}
	}
}

func (t *tarFile) has(name string) bool {
	_, ok := t.files["/"+name]
	return ok
}

func (t *tarFile) open(name string) (io.ReadCloser, int64, error) {
	at := path.Clean("/" + name)
	for range 10 {
		if s, ok := t.files[at]; ok {
			return io.NopCloser(io.NewSectionReader(t, s.offset, s.size)), s.size, nil
		}
		target, ok := t.links[at]
		if !ok {
			break
		}
		at = target
	}
	return nil, 0, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
}

// openBox opens a directory or an archive, which for - is the standard input. One that is
// compressed or comes through a pipe goes first to a file in the directory temp, because it is read
// in another order than it was written in.
func openBox(file, temp string, limits layer.Limits) (box, error) {
	opened := os.Stdin
	if file != "-" {
		info, err := os.Stat(file)
		if err != nil {
			return nil, err
		}
		if info.IsDir() {
			root, err := os.OpenRoot(file)
			return directory{root}, err
		}
		if opened, err = os.Open(file); err != nil {
			return nil, err
		}
	}
	plain, err := decompressed(opened, temp, limits)
	if err != nil {
		opened.Close()
		return nil, err
	}
	t, err := openTar(plain)
	if err != nil {
		plain.Close()
	}
	return t, err
}

// decompressed returns the file as it is when it is not compressed and no pipe, and otherwise one
// without a name that has what is in it.
func decompressed(file *os.File, temp string, limits layer.Limits) (plain *os.File, err error) {
	unpacked, err := layer.Decompress(file)
	if err != nil {
		return nil, err
	}
	defer unpacked.Close()
	if !layer.IsCompressed(unpacked) {
		if _, err = file.Seek(0, io.SeekStart); err == nil {
			return file, nil
		}
	}
	defer file.Close()
	if plain, err = os.CreateTemp(temp, "new-*"); err != nil {
		return nil, err
	}
	os.Remove(plain.Name())
	n, err := io.Copy(plain, io.LimitReader(unpacked, limits.Bytes+1))
	if err == nil && n > limits.Bytes {
		err = layer.ErrBytes
	}
	if err == nil {
		_, err = plain.Seek(0, io.SeekStart)
	}
	if err != nil {
		plain.Close()
		return nil, err
	}
	return plain, nil
}

// readJSON decodes a small file of a box.
func readJSON(b box, name string, to any) error {
	file, size, err := b.open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	const most = 16 << 20
	if size > most {
		return fmt.Errorf("%s: %d bytes are too many", name, size)
	}
	if err := json.NewDecoder(file).Decode(to); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
