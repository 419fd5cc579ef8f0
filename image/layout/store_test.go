//go:build linux

package layout

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/store"
	"container.example/workshop/internal/skip"
)

func open(t *testing.T, dir string) *Store {
	s, err := Open(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// TestNamesAtOnce gives many names at once, each in a store that was opened for it. None is lost.
func TestNamesAtOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	const names = 50
	for i := range names {
		s := open(t, dir)
		all.Go(func() {
			d := v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%064d", i)}}
			assert.NoError(t, s.SetName(fmt.Sprintf("name%d", i), d))
		})
	}
	all.Wait()
	index, err := open(t, dir).Index()
	require.NoError(t, err)
	require.Len(t, index.Manifests, names)
}

// TestInterrupted waits for a lock, and ends when the command ends.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	open(t, dir) // shares the lock
	ctx, interrupt := context.WithCancel(t.Context())
	s, err := Open(ctx, dir)
	require.NoError(t, err)
	pruned := make(chan error)
	go func() {
		_, err := s.Prune()
		pruned <- err
	}()
	interrupt()
	require.ErrorIs(t, <-pruned, context.Canceled)
}

// TestLies has manifests and configs that do not say what is so.
func TestLies(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, to set owners")
	}
	const other = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, lie := range []struct {
		name string
		tell func(manifest *v1.Manifest, config *v1.ConfigFile)
		want string
	}{
		{"none", func(*v1.Manifest, *v1.ConfigFile) {}, ""},
		{"another diff id", func(_ *v1.Manifest, c *v1.ConfigFile) {
			c.RootFS.DiffIDs[0], _ = v1.NewHash(other)
		}, "is not what its digest says: unpacked it has sha256:"},
		{"a diff id too many", func(_ *v1.Manifest, c *v1.ConfigFile) {
			c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0])
		}, "manifest and config disagree: 1 layers, 2 diff ids"},
		{"no layers", func(m *v1.Manifest, c *v1.ConfigFile) {
			m.Layers, c.RootFS.DiffIDs = nil, nil
		}, "an image without layers (is it another kind of artifact?)"},
		{"a path for a digest", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Layers[0].Digest = v1.Hash{Algorithm: "sha256", Hex: "../../../etc/passwd"}
		}, "manifest: found non-hex character"},
		{"a path for a diff id", func(_ *v1.Manifest, c *v1.ConfigFile) {
			c.RootFS.DiffIDs[0] = v1.Hash{Algorithm: "sha256", Hex: "../x"}
		}, "config: found non-hex character"},
		{"a short digest", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Layers[0].Digest = v1.Hash{Algorithm: "sha512", Hex: "00"}
		}, "manifest: wrong number of hex digits"},
		{"a size below nothing", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Layers[0].Size = -1
		}, "size -1"},
		{"a huge config", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Config.Size = 1 << 40
		}, "bytes are too many"},
		{"a chart", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Config.MediaType = "application/vnd.cncf.helm.config.v1+json"
		}, `not of an image, but of an artifact of type "application/vnd.cncf.helm.config.`},
		{"an artifact", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Config.MediaType = "application/vnd.oci.empty.v1+json"
			m.ArtifactType = "application/x"
		}, `not of an image, but of an artifact of type "application/x"`},
		{"an old schema", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.SchemaVersion = 1
		}, "manifest: of schema version 1, which is no longer in use (skopeo copy --format oci "},
		{"a layer that is not there", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Layers[0].Digest, _ = v1.NewHash(other)
		}, "no such file or directory"},
		{"a config that is none", func(m *v1.Manifest, _ *v1.ConfigFile) {
			m.Config = m.Layers[0]
			m.Config.MediaType = types.OCIConfigJSON
		}, "config: invalid character"},
	} {
		t.Run(lie.name, func(t *testing.T) {
			s := open(t, t.TempDir())
			_, err := s.Prepare("x", tellLie(t, s, lie.tell), layer.Limits{Bytes: 100, Entries: 9})
			if lie.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, lie.want)
			require.NoError(t, s.Undo())
			for _, dir := range directories {
				left, err := os.ReadDir(s.path(dir))
				require.NoError(t, err)
				require.Empty(t, left, dir)
			}
		})
	}
}

// tellLie puts an image of one layer in the store, of which something else is told.
func tellLie(
	t *testing.T, s *Store, tell func(*v1.Manifest, *v1.ConfigFile),
) (manifest v1.Descriptor) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "f", Typeflag: tar.TypeReg, Mode: 0o644}))
	require.NoError(t, w.Close())
	l, err := s.AddBytes(archive.Bytes())
	require.NoError(t, err)
	l.MediaType = types.OCIUncompressedLayer
	m := v1.Manifest{SchemaVersion: 2, Layers: []v1.Descriptor{l}}
	config := v1.ConfigFile{RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{l.Digest}}}
	tell(&v1.Manifest{Layers: []v1.Descriptor{{}}}, &config)
	text, err := json.Marshal(config)
	require.NoError(t, err)
	m.Config, err = s.AddBytes(text)
	require.NoError(t, err)
	tell(&m, &v1.ConfigFile{RootFS: v1.RootFS{DiffIDs: make([]v1.Hash, 1)}})
	manifest, err = s.addManifest(m)
	require.NoError(t, err)
	return manifest
}

// TestInUse keeps the layers of an image that is open, after its name is gone.
func TestInUse(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, to set owners")
	}
	s := open(t, t.TempDir())
	t.Setenv("CONTAINER_IMAGES", s.Dir)
	const name = "docker.io/library/x:latest"
	nothing := func(*v1.Manifest, *v1.ConfigFile) {}
	_, err := s.Prepare(name, tellLie(t, s, nothing), layer.Limits{Bytes: 100, Entries: 9})
	require.NoError(t, err)
	image, err := store.Open("x")
	require.NoError(t, err)
	require.NoError(t, s.RemoveName(name))
	removed, err := s.Prune()
	require.NoError(t, err)
	require.Zero(t, removed.Layers)
	require.NoError(t, unix.Access(image.Layers[0], unix.F_OK))
	require.NoError(t, image.Close())
	removed, err = s.Prune()
	require.NoError(t, err)
	require.Equal(t, 1, removed.Layers)
}

// TestChoose chooses the image for a platform, and none of Docker's records of how it was made.
func TestChoose(t *testing.T) {
	platform := func(text string) *v1.Platform {
		p, err := v1.ParsePlatform(text)
		require.NoError(t, err)
		return p
	}
	image := func(text string) v1.Descriptor { return v1.Descriptor{Platform: platform(text)} }
	index := []v1.Descriptor{
		image("unknown/unknown"), image("linux/arm/v6"), image("linux/arm/v7"),
		image("linux/amd64"), image("windows/amd64"), image("linux/arm64/v8"),
	}
	for wanted, want := range map[string]string{
		"linux/amd64":    "linux/amd64",
		"linux/arm/v7":   "linux/arm/v7",
		"linux/arm":      "linux/arm/v6", // the first
		"linux/arm64":    "linux/arm64/v8",
		"linux/amd64/v2": "linux/amd64",
	} {
		d, err := Choose(index, *platform(wanted))
		require.NoError(t, err)
		assert.Equal(t, want, d.Platform.String(), "for %s", wanted)
	}
	_, err := Choose(index, *platform("linux/s390x"))
	require.ErrorContains(t, err, "not for linux/s390x (only for linux/arm/v6, linux/arm/v7, ")
	require.NotContains(t, err.Error(), "unknown")
	_, err = Choose(index[:1], *platform("linux/amd64"))
	require.EqualError(t, err, "no image in the index")
	alone := []v1.Descriptor{{Size: 1}}
	d, err := Choose(alone, *platform("linux/amd64"))
	require.NoError(t, err)
	require.Equal(t, alone[0], d)
}

// TestPowerCut takes the power away before an image has its name. Its files are there then, but not
// all that was in them. The next image that needs them gets them anew, and what has a name is
// whole.
func TestPowerCut(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, to set owners")
	}
	before := syncfs
	t.Cleanup(func() { syncfs = before })
	dir := t.TempDir()
	s := open(t, dir)
	nothing := func(*v1.Manifest, *v1.ConfigFile) {}
	manifest := tellLie(t, s, nothing)
	limits := layer.Limits{Bytes: 100, Entries: 9}

	// What an image needs is there when it is written to the disk, and the name comes afterwards.
	powerCut := errors.New("a power cut")
	syncfs = func(int) error {
		image, err := s.Image(manifest)
		require.NoError(t, err)
		dirs, err := s.Layers(image)
		require.NoError(t, err)
		require.FileExists(t, dirs[0]+"/f")
		require.FileExists(t, store.RunFile(dir, manifest.Digest.String()))
		_, err = s.Find("x")
		require.Error(t, err)
		return powerCut
	}
	_, err := s.Prepare("x", manifest, limits)
	require.ErrorIs(t, err, powerCut)
	image, err := s.Image(manifest)
	require.NoError(t, err)
	require.NoError(t, os.Remove(s.Layer(image, 0)+"/f"))
	require.NoError(t, os.Truncate(s.Blob(image.Manifest.Layers[0].Digest), 0))
	require.NoError(t, s.Close())

	// The machine starts again.
	synced := 0
	syncfs = func(int) error { synced++; return nil }
	id := bootID
	t.Cleanup(func() { bootID = id })
	bootID = t.TempDir() + "/boot_id"
	require.NoError(t, os.WriteFile(bootID, []byte("another"), 0o644))
	s = open(t, dir)
	require.Equal(t, manifest.Digest, tellLie(t, s, nothing).Digest)
	_, err = s.Prepare("x", manifest, limits)
	require.NoError(t, err)
	require.Equal(t, 1, synced)
	require.FileExists(t, s.Layer(image, 0)+"/f")
	require.NoError(t, s.Check(func(wrong string) { t.Error(wrong) }))
	require.NoError(t, s.Close())

	// What has a name stays when it starts once more.
	require.NoError(t, os.WriteFile(bootID, []byte("a third"), 0o644))
	s = open(t, dir)
	_, err = s.Find("x")
	require.NoError(t, err)
	require.FileExists(t, s.Layer(image, 0)+"/f")
	require.NoError(t, s.Close())

	// A store in which the disk has damaged a manifest is opened: how else would it be removed?
	path := s.Blob(manifest.Digest)
	require.NoError(t, os.Chmod(path, 0o644))
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	require.NoError(t, os.WriteFile(bootID, []byte("a fourth"), 0o644))
	s = open(t, dir)
	require.NoError(t, s.RemoveName("x"))
	require.NoError(t, s.Close())
	s = open(t, dir)
	require.NoFileExists(t, path)
}
