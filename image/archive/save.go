//go:build linux

package archive

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"container.example/workshop/image/layout"
	"container.example/workshop/image/store"
)

// Save writes an image to an archive, as docker save does since version 25: it is an OCI image
// layout, and has a manifest.json besides, for programs that know no other form. Both name the same
// blobs. It has one image, because not every program takes more.
func Save(s *layout.Store, full string, image *layout.Image, to io.Writer) error {
	w := tar.NewWriter(to)
	d := image.Descriptor
	d.Annotations = map[string]string{
		"io.containerd.image.name": full,
		store.RefName:              full[strings.LastIndexAny(full, ":@")+1:],
	}
	index := v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     []v1.Descriptor{d},
	}
	blob := func(d v1.Descriptor) string { return "blobs/sha256/" + d.Digest.Hex }
	saved := savedImage{Config: blob(image.Manifest.Config), RepoTags: []string{full}}
	if strings.Contains(full, "@") { // a digest is no tag
		saved.RepoTags = nil
	}
	for _, l := range image.Manifest.Layers {
		saved.Layers = append(saved.Layers, blob(l))
	}
	for _, file := range []struct {
		name  string
		value any
	}{
		{"oci-layout", map[string]string{"imageLayoutVersion": "1.0.0"}},
		{"index.json", index},
		{"manifest.json", []savedImage{saved}},
	} {
		if err := addJSON(w, file.name, file.value); err != nil {
			return err
		}
	}
	written := map[v1.Hash]bool{}
	for _, d := range append([]v1.Descriptor{d, image.Manifest.Config}, image.Manifest.Layers...) {
		if written[d.Digest] { // two layers may be the same
			continue
		}
		if err := addBlob(w, blob(d), s.Blob(d.Digest)); err != nil {
			return err
		}
		written[d.Digest] = true
	}
	return w.Close()
}

// header has no time, so that the same image is the same archive.
func header(name string, size int64) *tar.Header {
	return &tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     0o644,
		Size:     size,
		ModTime:  time.Unix(0, 0),
	}
}

func addJSON(w *tar.Writer, name string, value any) error {
	text, err := json.Marshal(value)
	if err == nil {
		err = w.WriteHeader(header(name, int64(len(text))))
	}
	if err == nil {
		_, err = w.Write(text)
	}
	return err
}

func addBlob(w *tar.Writer, name, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = w.WriteHeader(header(name, info.Size()))
	}
	if err == nil {
		_, err = io.Copy(w, file)
	}
	return err
}
