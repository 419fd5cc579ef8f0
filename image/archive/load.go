//go:build linux

package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/layout"
	"container.example/workshop/image/store"
)

// Options are how to load.
type Options struct {
	Name     string // of the image, or "" for what the file says
	Platform v1.Platform
	Limits   layer.Limits
	Loaded   func(name string, notes []string) // is called for each image
}

// loader loads the images of one file.
type loader struct {
	store *layout.Store
	file  string
	box   box
	Options
}

// Load loads the images in a file or directory to the store.
func Load(s *layout.Store, file string, o Options) error {
	b, err := openBox(file, filepath.Join(s.Dir, "partial"), o.Limits)
	if err != nil {
		return err
	}
	defer b.Close()
	l := &loader{store: s, file: file, box: b, Options: o}
	// What docker save writes today is both: the names are in manifest.json, the rest is better in
	// index.json.
	var index v1.IndexManifest
	err = readJSON(b, "index.json", &index)
	if err == nil && len(index.Manifests) > 0 {
		return l.layout(index)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var saved []savedImage
	err = readJSON(b, "manifest.json", &saved)
	if err == nil && len(saved) > 0 && saved[0].Config != "" {
		return l.saved(saved)
	}
	if t, ok := b.(*tarFile); ok && !t.has("oci-layout") && !t.has("repositories") {
		return l.export(t)
	} else if ok && t.has("repositories") {
		return errors.New("no manifest.json in it: docker save writes one since version 1.10")
	}
	return errors.New("no image in it: neither index.json nor manifest.json")
}

// Names that an image may have in the index of a layout: that which Docker writes is in full.
var nameAnnotations = []string{"io.containerd.image.name", store.RefName}

// layout loads the images of an OCI image layout.
func (l *loader) layout(index v1.IndexManifest) error {
	images := map[string][]v1.Descriptor{} // by name; several are for several platforms
	var order []string
	for _, d := range index.Manifests {
		name := ""
		for _, annotation := range nameAnnotations {
			if name == "" {
				name = d.Annotations[annotation]
			}
		}
		if images[name] == nil {
			order = append(order, name)
		}
		images[name] = append(images[name], d)
	}
	if l.Name != "" && len(order) > 1 {
		return fmt.Errorf("-name %q: there are %d images in it", l.Name, len(order))
	}
	for _, name := range order {
		d, err := layout.Choose(images[name], l.Platform)
		if err != nil {
			return err
		}
		full, err := l.fullName(name)
		if err != nil {
			return err
		}
		if err := checkName(full, d); err != nil {
			return err
		}
		if err := l.image(full, d); err != nil {
			return fmt.Errorf("%s: %w", full, err)
		}
	}
	return nil
}

// fullName is the name that the image gets: that of the user, or that in the file. A mere tag, as
// many programs write it, is one of an image that is called like the file.
func (l *loader) fullName(name string) (string, error) {
	if l.Name != "" {
		return store.Normalise(l.Name)
	}
	if name == "" {
		name = l.nameOfFile()
	} else if !strings.ContainsAny(name, "/:@") {
		if full, err := store.Normalise(l.nameOfFile() + ":" + name); err == nil {
			return full, nil
		}
	}
	full, err := store.Normalise(name)
	if err != nil {
		err = fmt.Errorf("%w: give it another one with -name", err)
	}
	return full, err
}

// checkName refuses a name with a digest that is another one. Whoever runs an image by its digest
// relies on getting that one, and the names in a file are those of a stranger.
func checkName(full string, d v1.Descriptor) error {
	_, digest, found := strings.Cut(full, "@")
	if found && digest != d.Digest.String() {
		return fmt.Errorf("%s: the digest of the image is %s: give it another name with -name",
			full, d.Digest)
	}
	return nil
}

func (l *loader) nameOfFile() string {
	name := strings.ToLower(filepath.Base(l.file))
	for {
		rest := name
		for _, suffix := range []string{".gz", ".tgz", ".zst", ".tar"} {
			rest = strings.TrimSuffix(rest, suffix)
		}
		if rest == name {
			return name
		}
		name = rest
	}
}

// image loads an image of a layout.
func (l *loader) image(name string, d v1.Descriptor) error {
	if err := l.blob(d); err != nil {
		return err
	}
	if d.MediaType.IsIndex() {
		text, err := l.store.ReadBlob(d)
		if err != nil {
			return err
		}
		var index v1.IndexManifest
		if err := json.Unmarshal(text, &index); err != nil {
			return err
		}
		child, err := layout.Choose(index.Manifests, l.Platform)
		if err != nil {
			return err
		}
		return l.image(name, child)
	}
	config, layers, err := l.store.Blobs(d)
	if err != nil {
		return err
	}
	for _, blob := range append([]v1.Descriptor{config}, layers...) {
		if err := l.blob(blob); err != nil {
			return err
		}
	}
	return l.prepare(name, d)
}

func (l *loader) prepare(name string, d v1.Descriptor) error {
	notes, err := l.store.Prepare(name, d, l.Limits)
	if err != nil {
		return err
	}
	l.Loaded(name, notes)
	return nil
}

func (l *loader) blob(d v1.Descriptor) error {
	err := l.store.Add(d, func(part *os.File, have int64) error {
		file, _, err := l.box.open(path.Join("blobs/sha256", d.Digest.Hex))
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err := io.CopyN(io.Discard, file, have); err != nil {
			return err
		}
		_, err = io.Copy(part, io.LimitReader(file, d.Size-have+1))
		return err
	})
	if err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	return nil
}

// savedImage is what docker save says of an image in manifest.json.
type savedImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// saved loads what docker save wrote.
func (l *loader) saved(images []savedImage) error {
	if l.Name != "" && len(images) > 1 {
		return fmt.Errorf("-name %q: there are %d images in it", l.Name, len(images))
	}
	for _, image := range images {
		config, err := l.addFile(image.Config)
		if err != nil {
			return err
		}
		config.MediaType = types.OCIConfigJSON
		var layers []v1.Descriptor
		for _, name := range image.Layers {
			d, err := l.addLayerFile(name)
			if err != nil {
				return fmt.Errorf("layer %s: %w", name, err)
			}
			layers = append(layers, d)
		}
		names := image.RepoTags
		if l.Name != "" || len(names) == 0 {
			names = []string{""}
		}
		d, err := l.store.AddManifest(config, layers)
		if err != nil {
			return err
		}
		for _, name := range names {
			full, err := l.fullName(name)
			if err != nil {
				return err
			}
			if err := checkName(full, d); err != nil {
				return err
			}
			if err := l.prepare(full, d); err != nil {
				return fmt.Errorf("%s: %w", full, err)
			}
		}
	}
	return nil
}

func (l *loader) addFile(name string) (v1.Descriptor, error) {
	file, _, err := l.box.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer file.Close()
	return l.store.AddNew(func(w io.Writer) error {
		_, err := io.Copy(w, file)
		return err
	})
}

func (l *loader) addLayerFile(name string) (v1.Descriptor, error) {
	file, _, err := l.box.open(name)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer file.Close()
	d, _, err := l.addLayer(file)
	return d, err
}

// addLayer adds a layer, compressed, and returns its diff id besides.
func (l *loader) addLayer(archive io.Reader) (d v1.Descriptor, diffID v1.Hash, err error) {
	unpacked, err := layer.Decompress(archive)
	if err != nil {
		return d, diffID, err
	}
	defer unpacked.Close()
	digest := sha256.New()
	d, err = l.store.AddNew(func(w io.Writer) error {
		packed := gzip.NewWriter(w)
		limited := io.LimitReader(unpacked, l.Limits.Bytes+1)
		n, err := io.Copy(io.MultiWriter(packed, digest), limited)
		if err == nil && n > l.Limits.Bytes {
			err = layer.ErrBytes
		}
		return errors.Join(err, packed.Close())
	})
	d.MediaType = types.OCILayer
	return d, v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(digest.Sum(nil))}, err
}

// export loads what docker export wrote: the files of a container, without a word about what to
// run. They become an image of one layer.
func (l *loader) export(t *tarFile) error {
	if len(t.files)+len(t.links) == 0 {
		return errors.New("no files in it")
	}
	full, err := l.fullName("")
	if err != nil {
		return err
	}
	if _, err := t.Seek(0, io.SeekStart); err != nil {
		return err
	}
	d, diffID, err := l.addLayer(t.File)
	if err != nil {
		return err
	}
	never := v1.Time{Time: time.Unix(0, 0).UTC()} // so that the same file is the same image
	text, err := json.Marshal(v1.ConfigFile{
		Created:      never,
		Architecture: l.Platform.Architecture,
		Variant:      l.Platform.Variant,
		OS:           l.Platform.OS,
		RootFS:       v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{diffID}},
		History: []v1.History{{
			Created:   never,
			CreatedBy: "image load " + filepath.Base(l.file),
		}},
	})
	if err != nil {
		return err
	}
	config, err := l.store.AddBytes(text)
	if err != nil {
		return err
	}
	config.MediaType = types.OCIConfigJSON
	manifest, err := l.store.AddManifest(config, []v1.Descriptor{d})
	if err != nil {
		return err
	}
	return l.prepare(full, manifest)
}
