//go:build linux

package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// The fuzz tests unpack layers that nobody would write. Bytes of an archive that are changed at
// random rarely get past its checksums, so the bytes choose entries, with few names, which often
// meet: links on the way of others, whiteouts of what comes later, names that lead out.

// choices are bytes that choose.
type choices struct{ data []byte }

func (c *choices) of(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := c.data[0]
	c.data = c.data[1:]
	return int(b) % n
}

var fuzzNames = []string{
	"a", "b", "c", "..", ".", "", ".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq", ".wh.", ".wh..",
	".wh..wh.x", "\xff", strings.Repeat("n", 256),
}

func (c *choices) name() string {
	const most, usual = 4, 3 // usual are the first of the names
	parts := make([]string, 1+c.of(most))
	for i := range parts {
		parts[i] = fuzzNames[c.of(usual)]
		if c.of(most) == 0 {
			parts[i] = fuzzNames[c.of(len(fuzzNames))]
		}
	}
	name := strings.Join(parts, "/")
	if c.of(most) == 0 {
		name = "/" + name
	}
	return name
}

// Where a link may lead: out of the layer, to what must not change, if anybody followed it.
var fuzzTargets = []string{
	"/", "..", "../..", "../../outside", "/outside", "a", "../a", "/a/b", "b",
}

var fuzzKinds = []byte{
	tar.TypeReg, tar.TypeDir, tar.TypeSymlink, tar.TypeLink, tar.TypeDir, tar.TypeReg,
	tar.TypeFifo, tar.TypeChar, tar.TypeBlock, tar.TypeSymlink, 'Z',
}

var fuzzAttributes = []string{
	"user.x", "trusted.overlay.opaque", "user.overlay.opaque", "trusted.overlay.redirect",
	"security.capability", "nothing",
}

// archive is an archive of as many entries as the choices are enough for.
func (c *choices) archive(t *testing.T) []byte {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for range 1 + c.of(16) {
		h := &tar.Header{
			Typeflag:   fuzzKinds[c.of(len(fuzzKinds))],
			Name:       c.name(),
			Mode:       int64(c.of(8)) * 0o777,
			Uid:        c.of(3),
			PAXRecords: map[string]string{},
			Format:     tar.FormatPAX,
		}
		switch h.Typeflag {
		case tar.TypeReg:
			h.Size = int64(c.of(3)) * 3000
		case tar.TypeLink, tar.TypeSymlink:
			h.Linkname = fuzzTargets[c.of(len(fuzzTargets))]
			if c.of(2) == 0 {
				h.Linkname = c.name()
			}
		case tar.TypeChar, tar.TypeBlock:
			h.Devminor = int64(c.of(2))
		case 'Z':
			h.Format, h.PAXRecords = tar.FormatGNU, nil
		}
		if c.of(8) == 1 && h.PAXRecords != nil {
			h.PAXRecords["SCHILY.xattr."+fuzzAttributes[c.of(len(fuzzAttributes))]] = "y"
		}
		if w.WriteHeader(h) == nil { // a name that no archive can have
			_, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size)))
			require.NoError(t, err)
		}
	}
	require.NoError(t, w.Close())
	return archive.Bytes()
}

// fuzzLimits are large enough for most of what is chosen.
var fuzzLimits = Limits{Bytes: 20000, Entries: 24}

// A fuzzPlace is where layers are unpacked, with something beside them that nobody may change.
type fuzzPlace struct{ dir, base, upper string }

func newFuzzPlace(t *testing.T) fuzzPlace {
	p := fuzzPlace{dir: t.TempDir()}
	p.base, p.upper = filepath.Join(p.dir, "layers/base"), filepath.Join(p.dir, "layers/upper")
	for _, dir := range []string{p.base, p.upper, filepath.Join(p.dir, "outside/a/b")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "outside/b"), []byte("here"), 0o600))
	return p
}

// state is what is below a directory, without what is below another one.
func state(t *testing.T, dir, without string) (files []string) {
	require.NoError(t, filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		if p == without {
			return filepath.SkipDir
		}
		if err != nil {
			return err
		}
		line, err := describe(p)
		files = append(files, strings.TrimPrefix(p, dir)+" "+line)
		return err
	}))
	return files
}

// describe tells about a file what a layer says of it.
func describe(p string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(p, &stat); err != nil {
		return "", fmt.Errorf("%s: %w", p, err)
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFDIR {
		stat.Size = 0 // an affair of the file system
	}
	return fmt.Sprintf("%o %d %d %d", stat.Mode, stat.Uid, stat.Size, stat.Rdev), nil
}

// unpacked unpacks an archive, and makes sure that it stays in its directory and its limits.
func (p fuzzPlace) unpacked(t *testing.T, archive []byte, to string, below []string) bool {
	before := state(t, p.dir, to)
	limits := fuzzLimits
	_, err := Unpack(bytes.NewReader(archive), to, below, &limits)
	require.Equal(t, before, state(t, p.dir, to))
	if limits.Bytes < 0 || limits.Entries < 0 {
		require.Error(t, err)
	}
	var size, count int64
	seen := map[uint64]bool{} // of several names
	require.NoError(t, filepath.WalkDir(to, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == to {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		inode := info.Sys().(*syscall.Stat_t).Ino
		if e.Type().IsRegular() && !seen[inode] {
			size += info.Size()
		}
		seen[inode] = true
		count++
		return nil
	}))
	require.LessOrEqual(t, size, fuzzLimits.Bytes)
	require.LessOrEqual(t, count, fuzzLimits.Entries)
	if err != nil {
		require.NotContains(t, err.Error(), "\n")
	}
	return err == nil
}

func FuzzUnpack(f *testing.F) {
	if os.Geteuid() != 0 {
		skip.Lacking(f, "needs root, for owners and mounts")
	}
	for seed := range 64 {
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(i * i * (seed + 1) >> (seed % 7))
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, c := newFuzzPlace(t), &choices{data}
		if !p.unpacked(t, c.archive(t), p.base, nil) {
			return
		}
		if !p.unpacked(t, c.archive(t), p.upper, []string{p.base}) {
			return
		}
		tree, err := OpenTree([]string{p.base, p.upper})
		require.NoError(t, err)
		defer tree.Close()
		root, err := tree.Root()
		require.NoError(t, err)
		require.Equal(t, p.mounted(t), treeState(t, tree, root))
	})
}

// treeState is what state is, of a tree of layers.
func treeState(t *testing.T, tree *Tree, dir *Node) (files []string) {
	entries, err := tree.Entries(dir)
	require.NoError(t, err)
	for _, n := range entries {
		line, err := describe(procPath(n.in[0], n.Path))
		require.NoError(t, err)
		files = append(files, n.Path+" "+line)
		if n.isDir() {
			files = append(files, treeState(t, tree, n)...)
		}
	}
	return files
}

// mounted is what the kernel shows of the layers, in a mount namespace of its own.
func (p fuzzPlace) mounted(t *testing.T) (files []string) {
	lower := p.upper + ":" + p.base
	if IsOpaque(p.upper) { // the kernel does not ask
		lower = p.upper + ":" + filepath.Join(p.dir, "outside/a/b")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			err = unix.Mount("overlay", p.dir, "overlay", 0, "lowerdir="+lower)
		}
		if err == nil {
			err = filepath.WalkDir(p.dir, func(path string, _ fs.DirEntry, err error) error {
				if err != nil || path == p.dir {
					return err
				}
				line, err := describe(path)
				files = append(files, path[len(p.dir)+1:]+" "+line)
				return err
			})
		}
		done <- err
	}()
	require.NoError(t, <-done)
	return files
}

// FuzzArchive unpacks archives whose bytes are changed, but for the checksums, which are made
// right.
func FuzzArchive(f *testing.F) {
	if os.Geteuid() != 0 {
		skip.Lacking(f, "needs root, for owners")
	}
	for _, format := range []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU} {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		for _, h := range []*tar.Header{
			{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o755},
			{Typeflag: tar.TypeReg, Name: "d/f", Size: 3},
			{Typeflag: tar.TypeLink, Name: "l", Linkname: "d/f"},
			{Typeflag: tar.TypeSymlink, Name: "d/s", Linkname: "/d"},
			{Typeflag: tar.TypeReg, Name: "d/s/.wh.x"},
		} {
			h.Format = format
			require.NoError(f, w.WriteHeader(h))
			_, err := w.Write([]byte("abc")[:h.Size])
			require.NoError(f, err)
		}
		require.NoError(f, w.Close())
		f.Add(archive.Bytes())
	}
	f.Fuzz(func(t *testing.T, archive []byte) {
		p := newFuzzPlace(t)
		p.unpacked(t, withChecksums(archive), p.base, nil)
	})
}

// withChecksums makes the checksums of all blocks right that could be headers (tar(5)).
func withChecksums(archive []byte) []byte {
	const block, at, end = 512, 148, 156
	archive = slices.Clone(archive)
	for start := 0; start+block <= len(archive); start += block {
		h := archive[start : start+block]
		if bytes.Equal(h, make([]byte, block)) {
			continue
		}
		copy(h[at:end], "        ")
		sum := 0
		for _, b := range h {
			sum += int(b)
		}
		copy(h[at:end], fmt.Sprintf("%06o\x00 ", sum))
	}
	return archive
}

// FuzzDecompress reads what may be compressed. Whatever comes, it ends with the data or an error.
func FuzzDecompress(f *testing.F) {
	for _, start := range []string{"", "\x1f\x8b\x08\x00", "\x28\xb5\x2f\xfd\x04\x58", "plain"} {
		f.Add([]byte(start + "\x00\x00\x00\x00\x00\xff\x01\x00\x00\xff\xff"))
	}
	f.Fuzz(func(t *testing.T, blob []byte) {
		r, err := Decompress(bytes.NewReader(blob))
		if err != nil {
			return
		}
		defer r.Close()
		const limit = 1 << 20
		_, err = io.CopyN(io.Discard, r, limit)
		if err != nil && !errors.Is(err, io.EOF) {
			require.NotContains(t, err.Error(), "\n")
		}
	})
}
