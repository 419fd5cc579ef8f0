package wholefile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWrite replaces a file as a whole, and leaves it and nothing else when it cannot.
func TestWrite(t *testing.T) {
	t.Run("and wait", func(t *testing.T) { testWrite(t, Write) })
	t.Run("soon", func(t *testing.T) { testWrite(t, WriteSoon) })
}

func testWrite(
	t *testing.T, write func(name string, mode os.FileMode, write func(*os.File) error) error,
) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "report.json")
	put := func(text string, fail error) func(*os.File) error {
		return func(f *os.File) error {
			_, err := f.WriteString(text)
			require.NoError(t, err)
			return fail
		}
	}
	require.NoError(t, write(file, 0o644, put("one", nil)))
	require.NoError(t, write(file, 0o644, put("two", nil)))
	err := write(file, 0o644, put("thr", os.ErrDeadlineExceeded))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	got, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "two", string(got))

	// The file that could not be read is told, and not the one to write.
	err = write(file, 0o644, func(*os.File) error {
		_, err := os.Open(filepath.Join(dir, "missing"))
		return err
	})
	require.ErrorContains(t, err, "open "+dir+"/missing: no such file")

	// While another one is written. A name that both had would be in the way of one of them.
	require.NoError(t, write(file, 0o644, func(f *os.File) error {
		return errors.Join(write(file, 0o644, put("inner", nil)), put("outer", nil)(f))
	}))
	got, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "outer", string(got))

	// Through a link, and into what is no regular file.
	require.NoError(t, os.Symlink("report.json", filepath.Join(dir, "link")))
	require.NoError(t, write(filepath.Join(dir, "link"), 0o644, put("four", nil)))
	got, err = os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "four", string(got))
	require.NoError(t, write(os.DevNull, 0o644, put("gone", nil)))
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.False(t, info.Mode().IsRegular())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)

	err = write(filepath.Join(dir, "none", "report.json"), 0o644, put("", nil))
	require.EqualError(t, err, "write "+dir+"/none/report.json: no such file or directory")
}
