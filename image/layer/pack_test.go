//go:build linux

package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// TestPackCapability packs a program that got capabilities in a container whose root is nobody on
// the host: there they have the id of that root (version 3), and in the image they have none
// (version 2).
func TestPackCapability(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, to set capabilities and owners")
	}
	upper, below := t.TempDir(), t.TempDir()
	program := filepath.Join(upper, "program")
	require.NoError(t, os.WriteFile(program, nil, 0o755))
	require.NoError(t, os.Chown(program, 100001, 100002))
	const (
		version2    = "\x01\x00\x00\x02"
		version3    = "\x01\x00\x00\x03"
		netRaw      = "\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
		root100000  = "\xa0\x86\x01\x00"
		capability  = "security.capability"
		otherRootID = "\xa1\x86\x01\x00"
	)
	packed := func(value string) string {
		require.NoError(t, unix.Setxattr(program, capability, []byte(value), 0))
		var archive bytes.Buffer
		_, err := Pack(&archive, upper, []string{below}, Owner{UID: 100000, GID: 100000})
		require.NoError(t, err)
		entries := tar.NewReader(&archive)
		h, err := entries.Next()
		require.NoError(t, err)
		if h.Name == "./" { // its owner has changed
			h, err = entries.Next()
			require.NoError(t, err)
		}
		assert.Equal(t, 1, h.Uid)
		assert.Equal(t, 2, h.Gid)
		return h.PAXRecords["SCHILY.xattr."+capability]
	}
	assert.Equal(t, version2+netRaw, packed(version3+netRaw+root100000))
	assert.Equal(t, version3+netRaw+otherRootID, packed(version3+netRaw+otherRootID))
	assert.Equal(t, version2+netRaw, packed(version2+netRaw))
}

// TestPackRefused refuses what an overlay with other options has written: the data are elsewhere.
func TestPackRefused(t *testing.T) {
	for _, attribute := range []string{"redirect", "metacopy"} {
		upper, below := t.TempDir(), t.TempDir()
		dir := filepath.Join(upper, "dir")
		require.NoError(t, os.Mkdir(dir, 0o755))
		err := unix.Setxattr(dir, userPrefix+attribute, []byte("/x"), 0)
		if errors.Is(err, unix.ENOTSUP) {
			skip.Lacking(t, "needs attributes user.* in the directory for temporary files")
		}
		require.NoError(t, err)
		_, err = Pack(&bytes.Buffer{}, upper, []string{below}, Owner{})
		require.ErrorContains(t, err, `"dir": has user.overlay.`+attribute)
	}
}

// TestLinkKeepsCapability unpacks a program with capabilities and a hard link to it, whose entry
// does not repeat them.
func TestLinkKeepsCapability(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, to set capabilities")
	}
	const capability = "security.capability"
	value := "\x01\x00\x00\x02\x00\x20" + string(make([]byte, 14))
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, h := range []*tar.Header{
		{
			Typeflag:   tar.TypeReg,
			Name:       "program",
			Mode:       0o755,
			PAXRecords: map[string]string{"SCHILY.xattr." + capability: value},
		},
		{Typeflag: tar.TypeLink, Name: "link", Linkname: "program", Mode: 0o755},
	} {
		require.NoError(t, w.WriteHeader(h))
	}
	require.NoError(t, w.Close())
	dir := t.TempDir()
	_, err := Unpack(&archive, dir, nil, &Limits{Bytes: 1, Entries: 2})
	require.NoError(t, err)
	got := make([]byte, 64)
	n, err := unix.Getxattr(filepath.Join(dir, "link"), capability, got)
	require.NoError(t, err)
	assert.Equal(t, value, string(got[:n]))
}
