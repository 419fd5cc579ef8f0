//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Numbers of layers: of the image that is pulled, and of the one that containers are started from.
const (
	pulledLayers  = 5
	startedLayers = 20
)

// debianBytes is about what the files of a minimal Debian have.
const debianBytes = 170e6

// images is what the measuring process has to know of the registry, and of the images in it.
type images struct {
	Address string
	Source  string // of the files
	Bytes   int64  // of the files
	Packed  int64  // bytes of the layers
	Second  int64  // bytes of the second image that the first does not have
	Lowest  string // layer of the image of many, unpacked
}

func (i images) name(image string) string { return i.Address + "/bench/" + image + ":latest" }

// buildImages makes the programs, images, and a registry on loopback that has them. The registry is
// in this process and not in the one that measures: getrusage(2) counts the memory of the process
// that starts a program as the program's own.
func buildImages(o options, dir string) error {
	for name, source := range map[string]string{"container": "./runtime", "image": "./image"} {
		if err := goBuild("-o", filepath.Join(dir, name), source); err != nil {
			return err
		}
	}
	i := images{Source: o.rootfs}
	var err error
	if i.Address, err = serve(); err != nil {
		return err
	}
	if err := i.pushPulled(dir); err != nil {
		return err
	}
	if err := i.pushStarted(dir); err != nil {
		return err
	}
	text, err := json.Marshal(i)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "images.json"), text, 0o644)
}

// serve starts the registry. It answers GET /sent with the bytes that it has sent.
func serve() (address string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	var sent atomic.Int64
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sent", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, sent.Load())
	})
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(&counted{ResponseWriter: w, sent: &sent}, r)
	})
	go http.Serve(listener, mux) // until the process ends
	return listener.Addr().String(), nil
}

// counted adds the bytes of a body to a sum.
type counted struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counted) Write(p []byte) (n int, err error) {
	n, err = c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// files returns the directory whose files are the image: what the command line names, or a Debian,
// or, where none can be made, files of the same sizes.
func (i *images) files(dir string) (rootfs string, err error) {
	if i.Source != "" {
		return i.Source, nil
	}
	rootfs = filepath.Join(dir, "debian")
	i.Source = "Debian"
	if _, err := output("scripts/mkrootfs.sh", "-o", rootfs, "debian"); err != nil {
		leftOut("a Debian", err)
		i.Source = "files of sizes as in Debian"
		return rootfs, makeFiles(rootfs, debianBytes)
	}
	return rootfs, nil
}

// pushPulled makes the images that are pulled: the first, one with the same files in one layer, and
// the second, whose last layer is another.
func (i *images) pushPulled(dir string) error {
	rootfs, err := i.files(dir)
	if err != nil {
		return err
	}
	layers, size, err := layersOf(rootfs, dir, pulledLayers)
	if err != nil {
		return err
	}
	i.Bytes = size
	for _, l := range layers {
		packed, err := l.Size()
		if err != nil {
			return err
		}
		i.Packed += packed
	}
	if _, err := i.push("first", layers...); err != nil {
		return err
	}
	last, err := single("second", 1e6)
	if err != nil {
		return err
	}
	second, err := i.push("second", append(layers[:pulledLayers-1:pulledLayers-1], last)...)
	if err != nil {
		return err
	}
	if i.Second, err = own(second, last); err != nil {
		return err
	}
	if layers, _, err = layersOf(rootfs, dir, 1); err != nil {
		return err
	}
	_, err = i.push("single", layers...)
	return err
}

// layersOf makes n layers of the files of a directory.
func layersOf(rootfs, dir string, n int) (layers []v1.Layer, size int64, err error) {
	archives, size, err := split(rootfs, filepath.Join(dir, "layer"), n)
	for _, archive := range archives {
		defer os.Remove(archive)
		l, packErr := pack(func() (io.ReadCloser, error) { return os.Open(archive) })
		err = errors.Join(err, packErr)
		layers = append(layers, l)
	}
	if err == nil && len(layers) != n {
		err = fmt.Errorf("%s: has too few files for %d layers", rootfs, n)
	}
	return layers, size, err
}

// own is the size of all of an image that is not in layers below its last one.
func own(image v1.Image, last v1.Layer) (int64, error) {
	layer, err := last.Size()
	if err != nil {
		return 0, err
	}
	manifest, err := image.RawManifest()
	if err != nil {
		return 0, err
	}
	config, err := image.RawConfigFile()
	return layer + int64(len(manifest)) + int64(len(config)), err
}

// pushStarted makes the image of many layers: BusyBox, and then one file in each.
func (i *images) pushStarted(dir string) error {
	rootfs := filepath.Join(dir, "rootfs")
	if _, err := output("scripts/mkrootfs.sh", "-o", rootfs); err != nil {
		return err
	}
	layers, _, err := layersOf(rootfs, dir, 1)
	if err != nil {
		return err
	}
	for n := range startedLayers - 1 {
		l, err := single(fmt.Sprint("layer", n), 1)
		if err != nil {
			return err
		}
		layers = append(layers, l)
	}
	if _, err := i.push("many", layers...); err != nil {
		return err
	}
	id, err := layers[0].DiffID()
	i.Lowest = filepath.Join("layers", id.Algorithm, id.Hex)
	return err
}

// push puts an image of layers into the registry.
func (i *images) push(image string, layers ...v1.Layer) (v1.Image, error) {
	reference, err := name.ParseReference(i.name(image))
	if err != nil {
		return nil, err
	}
	base := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	base = mutate.ConfigMediaType(base, types.OCIConfigJSON)
	base, err = mutate.ConfigFile(base, &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		RootFS:       v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return nil, err
	}
	made, err := mutate.AppendLayers(base, layers...)
	if err != nil {
		return nil, err
	}
	return made, remote.Write(reference, made)
}

// pack makes a layer of an archive, compressed as Docker does it.
func pack(open tarball.Opener) (v1.Layer, error) {
	return tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer),
		tarball.WithCompressionLevel(gzip.DefaultCompression), tarball.WithCompressedCaching)
}

// single is a layer of one file, which cannot be compressed.
func single(name string, size int) (v1.Layer, error) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	text := make([]byte, size)
	rand.NewChaCha8([32]byte{}).Read(text)
	err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(size)})
	if err == nil {
		_, err = w.Write(text)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return pack(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(archive.Bytes())), nil
	})
}

// splitter writes the files of a directory to archives.
type splitter struct {
	from, to string
	archives []string
	file     *os.File
	tar      *tar.Writer
	written  int64
}

// split writes the files of a directory to n archives of about the same size, whose names begin
// with to. Names of one file become files, and devices are left out.
func split(from, to string, n int) (archives []string, size int64, err error) {
	err = filepath.WalkDir(from, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	s := &splitter{from: from, to: to}
	err = filepath.WalkDir(from, func(file string, _ fs.DirEntry, err error) error {
		if err != nil || file == from {
			return err
		}
		name, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		if s.written*int64(n) >= size*int64(len(s.archives)) && len(s.archives) < n {
			if err := s.next(name); err != nil {
				return err
			}
		}
		return s.add(name)
	})
	return s.archives, size, errors.Join(err, s.close())
}

// next begins an archive, with the directories above its first file: an archive without them would
// leave their owners and modes to whoever unpacks it.
func (s *splitter) next(first string) (err error) {
	if err := s.close(); err != nil {
		return err
	}
	archive := fmt.Sprintf("%s%d.tar", s.to, len(s.archives))
	if s.file, err = os.Create(archive); err != nil {
		return err
	}
	s.tar = tar.NewWriter(s.file)
	s.archives = append(s.archives, archive)
	for i, c := range first {
		if c == '/' {
			if err := s.add(first[:i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *splitter) close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.tar.Close(), s.file.Close())
}

func (s *splitter) add(name string) error {
	file := filepath.Join(s.from, name)
	stat, err := os.Lstat(file)
	if err != nil {
		return err
	}
	link := ""
	switch stat.Mode().Type() {
	case 0, fs.ModeDir:
	case fs.ModeSymlink:
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	default:
		return nil
	}
	header, err := tar.FileInfoHeader(stat, link)
	if err != nil {
		return err
	}
	header.Name, header.Uname, header.Gname = name, "", ""
	if stat.IsDir() {
		header.Name += "/"
	}
	if err := s.tar.WriteHeader(header); err != nil || !stat.Mode().IsRegular() {
		return err
	}
	content, err := os.Open(file)
	if err != nil {
		return err
	}
	defer content.Close()
	n, err := io.Copy(s.tar, content)
	s.written += n
	return err
}

// makeFiles makes files of sizes as a Debian has them: half of them have less than 2 kB, and a few
// have most of the bytes. They are the same in each run, and compress to about a third.
func makeFiles(dir string, size int) error {
	random := rand.New(rand.NewPCG(1, 2))
	noise := rand.NewChaCha8([32]byte{})
	for n := 0; size > 0; n++ {
		length := min(size, 20e6, int(math.Exp(7.5+2*random.NormFloat64())))
		size -= length
		text := bytes.Repeat([]byte("and so on "), length/10+1)[:length]
		noise.Read(text[:length/3])
		file := filepath.Join(dir, "usr", fmt.Sprint(n/100), fmt.Sprint(n))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
