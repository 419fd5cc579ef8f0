//go:build linux

package archive

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/layout"
	"container.example/workshop/internal/skip"
)

// The documents of an image of one layer, as docker save writes it. In place of the digests there
// are words, which become those of the documents as they are then: so that one which is changed at
// random is still found.
const (
	fuzzIndex = `{"schemaVersion":2,"manifests":[{"mediaType":` +
		`"application/vnd.oci.image.manifest.v1+json","size":MANIFESTSIZE,` +
		`"digest":"sha256:MANIFESTDIGEST","platform":{"os":"linux","architecture":"amd64"},` +
		`"annotations":{"org.opencontainers.image.ref.name":"x:1"}}]}`
	fuzzManifest = `{"schemaVersion":2,"config":{"mediaType":` +
		`"application/vnd.oci.image.config.v1+json","size":CONFIGSIZE,` +
		`"digest":"sha256:CONFIGDIGEST"},"layers":[{"mediaType":` +
		`"application/vnd.oci.image.layer.v1.tar","size":LAYERSIZE,` +
		`"digest":"sha256:LAYERDIGEST"}]}`
	fuzzConfig = `{"os":"linux","architecture":"amd64","config":{"Env":["A=1"],"Cmd":["sh"],` +
		`"User":"1:2"},"history":[{"created_by":"x","empty_layer":true}],` +
		`"rootfs":{"type":"layers","diff_ids":["sha256:LAYERDIGEST"]}}`
	fuzzSaved = `[{"Config":"blobs/sha256/CONFIGDIGEST","RepoTags":["x:2"],` +
		`"Layers":["blobs/sha256/LAYERDIGEST"]}]`
)

// fuzzBox writes a directory with these documents.
func fuzzBox(t *testing.T, index, manifest, config, saved string) (dir string) {
	dir = t.TempDir()
	blobs := filepath.Join(dir, "blobs/sha256")
	require.NoError(t, os.MkdirAll(blobs, 0o755))
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644}))
	require.NoError(t, w.Close())
	known := []string{}
	for _, blob := range []struct{ word, text string }{
		{"LAYER", archive.String()}, {"CONFIG", config}, {"MANIFEST", manifest},
	} {
		text := strings.NewReplacer(known...).Replace(blob.text)
		digest := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
		require.NoError(t, os.WriteFile(filepath.Join(blobs, digest), []byte(text), 0o644))
		known = append(known, blob.word+"DIGEST", digest,
			blob.word+"SIZE", fmt.Sprint(len(text)))
	}
	for name, text := range map[string]string{"index.json": index, "manifest.json": saved} {
		if text != "" {
			text = strings.NewReplacer(known...).Replace(text)
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
	return dir
}

// loaded loads a file. Either there is an image then that is whole, or an error of one line and
// nothing else.
func loaded(t *testing.T, file string) {
	s, err := layout.Open(t.Context(), filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	defer s.Close()
	names := 0
	err = Load(s, file, Options{
		Platform: v1.Platform{OS: "linux", Architecture: "amd64"},
		Limits:   layer.Limits{Bytes: 1 << 20, Entries: 100},
		Loaded:   func(string, []string) { names++ },
	})
	if err == nil {
		require.Positive(t, names)
	}
	require.NoError(t, s.Check(func(wrong string) { t.Error(wrong) }))
	index, indexErr := s.Index()
	require.NoError(t, indexErr)
	require.LessOrEqual(t, len(index.Manifests), names)
	for _, d := range index.Manifests {
		image, err := s.Image(d)
		require.NoError(t, err)
		_, err = s.Layers(image)
		require.NoError(t, err)
		require.NoError(t, s.RemoveName(layout.Name(d)))
	}
	require.NoError(t, s.Undo())
	require.NoError(t, filepath.WalkDir(s.Dir, func(p string, e fs.DirEntry, err error) error {
		switch e.Name() {
		case "boot", "index.json", "oci-layout", "lock":
			return err
		}
		require.True(t, e.IsDir(), "%s is left", p)
		return err
	}))
}

func FuzzLoad(f *testing.F) {
	if os.Geteuid() != 0 {
		skip.Lacking(f, "needs root, for owners")
	}
	f.Add(fuzzIndex, fuzzManifest, fuzzConfig, "")
	f.Add("", "", fuzzConfig, fuzzSaved)
	f.Add("{}", fuzzManifest, fuzzConfig, strings.ReplaceAll(fuzzSaved, "blobs", "../blobs"))
	f.Add(strings.ReplaceAll(fuzzIndex, "linux", "unknown"), fuzzManifest, fuzzConfig, "")
	f.Add(strings.ReplaceAll(fuzzIndex, ".manifest.", ".index."), fuzzIndex, fuzzConfig, "")
	f.Add(fuzzIndex, strings.ReplaceAll(fuzzManifest, "LAYERSIZE", "-1"), fuzzConfig, "")
	f.Add(fuzzIndex, fuzzManifest, `{"rootfs":null,"history":null,"config":null}`, "")
	f.Fuzz(func(t *testing.T, index, manifest, config, saved string) {
		loaded(t, fuzzBox(t, index, manifest, config, saved))
	})
}

// FuzzLoadFile loads a file of any bytes.
func FuzzLoadFile(f *testing.F) {
	if os.Geteuid() != 0 {
		skip.Lacking(f, "needs root, for owners")
	}
	for _, kind := range []byte{tar.TypeReg, tar.TypeLink, tar.TypeSymlink} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		h := &tar.Header{Name: "manifest.json", Typeflag: kind, Linkname: "manifest.json"}
		require.NoError(f, w.WriteHeader(h))
		require.NoError(f, w.Close())
		f.Add(archive.Bytes())
	}
	f.Add([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		file := filepath.Join(t.TempDir(), "x.tar")
		require.NoError(t, os.WriteFile(file, text, 0o644))
		loaded(t, file)
	})
}
