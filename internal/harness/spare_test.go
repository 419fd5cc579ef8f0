//go:build linux

package harness

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// TestSpare gives a tree that a script had to the next one only if it is as it was made.
func TestSpare(t *testing.T) {
	made := 0
	create := func(to string) error {
		made++
		bin := filepath.Join(to, "bin")
		require.NoError(t, os.MkdirAll(bin, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(bin, "sh"), []byte("text"), 0o755))
		return os.Symlink("sh", filepath.Join(bin, "ls"))
	}
	dir := t.TempDir()
	s := &spare{path: filepath.Join(dir, "spare")}
	require.NoError(t, s.stock(create))
	require.NoError(t, s.give(filepath.Join(dir, "first"), create))
	require.Equal(t, 1, made, "the first script gets the one that was there before it")
	s.keep()
	for _, c := range []struct {
		name   string
		change func(root string) error
		again  bool // the next script gets the same one
	}{
		{"nothing", func(string) error { return nil }, true},
		{"a file that came and went", func(root string) error {
			file := filepath.Join(root, "old")
			require.NoError(t, os.Mkdir(file, 0o700))
			return os.Remove(file)
		}, true},
		{"a file more", func(root string) error {
			return os.WriteFile(filepath.Join(root, "letter"), nil, 0o644)
		}, true},
		{"a directory more", func(root string) error {
			return os.MkdirAll(filepath.Join(root, "bin", "old", "bin"), 0o755)
		}, true},
		{"a hard link more", func(root string) error {
			return os.Link(filepath.Join(root, "bin", "sh"), filepath.Join(root, "other"))
		}, false},
		{"a file in the place of a directory", func(root string) error {
			bin := filepath.Join(root, "bin")
			require.NoError(t, os.RemoveAll(bin))
			return os.WriteFile(bin, nil, 0o755)
		}, false},
		{"a file less", func(root string) error {
			return os.Remove(filepath.Join(root, "bin", "ls"))
		}, false},
		{"another text of the same length", func(root string) error {
			return os.WriteFile(filepath.Join(root, "bin", "sh"), []byte("TEXT"), 0o755)
		}, false},
		{"a mode", func(root string) error {
			return os.Chmod(filepath.Join(root, "bin", "sh"), 0o700)
		}, false},
		{"the mode of a directory", func(root string) error {
			return os.Chmod(filepath.Join(root, "bin"), 0o700)
		}, false},
		{"an attribute of a directory", func(root string) error {
			return unix.Setxattr(root, "user.mine", []byte("x"), 0)
		}, false},
		{"the owner of a directory", func(root string) error {
			return os.Chown(filepath.Join(root, "bin"), 1, 1)
		}, false},
		{"a hard link that came and went", func(root string) error {
			other := filepath.Join(root, "other")
			require.NoError(t, os.Link(filepath.Join(root, "bin", "sh"), other))
			return os.Remove(other)
		}, false},
		{"a whiteout", func(root string) error {
			return unix.Mknod(filepath.Join(root, "old"), unix.S_IFCHR, 0)
		}, true},
		{"a time that was set back", func(root string) error {
			sh := filepath.Join(root, "bin", "sh")
			info, err := os.Stat(sh)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(sh, []byte("TEXT"), 0o755))
			return os.Chtimes(sh, info.ModTime(), info.ModTime())
		}, false},
		{"another link", func(root string) error {
			ls := filepath.Join(root, "bin", "ls")
			require.NoError(t, os.Remove(ls))
			return os.Symlink("shell", ls)
		}, false},
		{"it is gone", os.RemoveAll, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "rootfs")
			require.NoError(t, s.give(root, create))
			switch err := c.change(root); {
			case err == unix.EOPNOTSUPP:
				skip.Lacking(t, "asks for extended attributes")
			case errors.Is(err, unix.EPERM):
				skip.Lacking(t, "asks for root")
			default:
				require.NoError(t, err)
			}
			s.keep()
			before, root := made, filepath.Join(t.TempDir(), "rootfs")
			require.NoError(t, s.give(root, create))
			require.Equal(t, c.again, made == before)
			text, err := os.ReadFile(filepath.Join(root, "bin", "ls"))
			require.NoError(t, err)
			require.Equal(t, "text", string(text))
			names, err := filepath.Glob(filepath.Join(root, "*"))
			require.NoError(t, err)
			require.Equal(t, []string{filepath.Join(root, "bin")}, names)
			names, err = filepath.Glob(filepath.Join(root, "bin", "*"))
			require.NoError(t, err)
			require.Len(t, names, 2)
			s.keep()
		})
	}
	// A script may ask for two, and in the place of nothing that is there.
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	require.NoError(t, s.give(one, create))
	require.NoError(t, s.give(two, create))
	require.FileExists(t, filepath.Join(one, "bin", "sh"))
	require.FileExists(t, filepath.Join(two, "bin", "sh"))
	s.keep()
	require.NoError(t, os.Mkdir(one, 0o755))
	before := made
	require.NoError(t, s.give(one, create))
	require.Equal(t, before+1, made, "what is there is not replaced")
}
