//go:build linux

package main

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
)

// TestSplit makes sure that the archives have all files once, and the directories above each.
func TestSplit(t *testing.T) {
	from := t.TempDir()
	require.NoError(t, makeFiles(from, 2e6))
	require.NoError(t, os.Symlink("usr", filepath.Join(from, "link")))
	archives, size, err := split(from, filepath.Join(t.TempDir(), "layer"), 5)
	require.NoError(t, err)
	require.Len(t, archives, 5)
	require.EqualValues(t, 2e6, size)

	files, link, sum := map[string]bool{}, "", int64(0)
	for _, archive := range archives {
		file, err := os.Open(archive)
		require.NoError(t, err)
		defer file.Close()
		directories := map[string]bool{".": true}
		for r := tar.NewReader(file); ; {
			header, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			entry := path.Clean(header.Name)
			require.True(t, directories[path.Dir(entry)], entry)
			switch header.Typeflag {
			case tar.TypeDir:
				directories[entry] = true
			case tar.TypeSymlink:
				link = header.Linkname
			default:
				require.False(t, files[entry], entry)
				files[entry] = true
				sum += header.Size
			}
		}
	}
	require.Equal(t, size, sum)
	require.Equal(t, "usr", link)
}

// TestSent makes sure that the registry counts what a pull of an image gets, and nothing else.
func TestSent(t *testing.T) {
	address, err := serve()
	require.NoError(t, err)
	p := &pulls{images: images{Address: address}}
	layer, err := single("file", 1000)
	require.NoError(t, err)
	image, err := p.push("one", layer)
	require.NoError(t, err)
	before, err := p.sent()
	require.NoError(t, err)

	reference, err := name.ParseReference(p.name("one"))
	require.NoError(t, err)
	_, err = remote.Head(reference)
	require.NoError(t, err)
	pulled, err := remote.Image(reference)
	require.NoError(t, err)
	_, err = pulled.RawConfigFile()
	require.NoError(t, err)
	layers, err := pulled.Layers()
	require.NoError(t, err)
	content, err := layers[0].Compressed()
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, content)
	require.NoError(t, err)
	require.NoError(t, content.Close())
	after, err := p.sent()
	require.NoError(t, err)
	size, err := own(image, layer)
	require.NoError(t, err)
	require.EqualValues(t, size, after-before)
}

// TestParseImages is about flags that depend on -images.
func TestParseImages(t *testing.T) {
	o, err := parse([]string{"-images"})
	require.NoError(t, err)
	require.Equal(t, 5, o.rounds)
	o, err = parse([]string{"-images", "-n", "100", "-rootfs", "dir"})
	require.NoError(t, err)
	require.Equal(t, 100, o.rounds)
	for _, args := range [][]string{
		{"-rootfs", "dir"},
		{"-images", "-many", "1"},
		{"-images", "-sequence", "0"},
		{"-images", "-fifo"},
		{"-images", "-v1"},
	} {
		_, err := parse(args)
		require.Error(t, err, args)
	}
}
