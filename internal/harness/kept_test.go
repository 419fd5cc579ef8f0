//go:build linux

package harness

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// emptyCache has a test keep what it makes in a directory of its own. What the go command has
// compiled, it need not compile again.
func emptyCache(t *testing.T) {
	NeedsGo(t)
	dir, err := exec.Command("go", "env", "GOCACHE").Output()
	require.NoError(t, err)
	t.Setenv("GOCACHE", strings.TrimSpace(string(dir)))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
}

// write writes a file, and the directories above it.
func write(t *testing.T, path, text string) {
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
}

// TestKeptProgram requires another name for what is kept as soon as anything is another that it is
// made of, and that the go command is asked where a name does not say all.
func TestKeptProgram(t *testing.T) {
	emptyCache(t)
	root := t.TempDir()
	change := func(file, text string) { write(t, filepath.Join(root, file), text) }
	names := map[string]string{}
	named := func(why string) (isWhole bool) {
		name, isWhole, err := keptProgram(root, filepath.Join(root, "gift"))
		require.NoError(t, err)
		require.Empty(t, names[name], why)
		names[name] = why
		return isWhole
	}
	change("go.mod", "module m\n")
	change("gift/main.go", "package main\n\nfunc main() {}\n")
	require.True(t, named("at first"))
	change("gift/main.go", "package main\n\nfunc main() { println() }\n")
	require.True(t, named("a file was changed"))
	change("gift/more.go", "package main\n")
	require.True(t, named("a file more"))
	change("gift/call_amd64.s", "TEXT ·call(SB),$0\n")
	require.True(t, named("assembly"))
	change("go.mod", "module m\n\nrequire n v1.0.0\n")
	require.True(t, named("a library"))
	change("go.sum", "n v1.0.0 h1:abc\n")
	require.True(t, named("the hash of a library"))
	change("gift/more.go", "package main\n\nimport _ \"m/other\"\n")
	require.False(t, named("a package of the module"))
	change("gift/more.go", "package main\n\n//go:embed text\nvar text string\n")
	require.False(t, named("an embedded file"))
}

// TestKeptAnew requires that a program with a package of the module in it is the one of today.
func TestKeptAnew(t *testing.T) {
	emptyCache(t)
	t.Setenv(prebuiltEnv, "")
	root, at := t.TempDir(), filepath.Join(t.TempDir(), "gift")
	for _, word := range []string{"one", "two", "two"} {
		for file, text := range map[string]string{
			"go.mod":       "module m\n",
			"gift/main.go": "package main\n\nimport \"m/word\"\n\nfunc main() { print(word.It) }\n",
			"word/word.go": "package word\n\nconst It = \"" + word + "\"\n",
		} {
			write(t, filepath.Join(root, file), text)
		}
		require.NoError(t, linkKept(at, root, filepath.Join(root, "gift")))
		out, err := exec.Command(at).CombinedOutput()
		require.NoError(t, err)
		require.Equal(t, word, string(out))
	}
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "*", "*", "*"))
	require.NoError(t, err)
	require.Len(t, left, 1, "%s", left)
}

// TestKeptOld removes what is old when something new is kept, and neither that nor what is recent.
// What others have kept at the same moment stays.
func TestKeptOld(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, days := range map[string]int{"old": 31, "new-killed": 40, "recent": 29} {
		require.NoError(t, os.MkdirAll(filepath.Join(at(name), "below"), 0o755))
		then := time.Now().AddDate(0, 0, -days)
		require.NoError(t, os.Chtimes(at(name), then, then))
	}
	for range 2 {
		require.NoError(t, keep(at("it"), func(path string) error {
			return os.MkdirAll(filepath.Join(path, "below"), 0o755)
		}))
		left, err := filepath.Glob(at("*"))
		require.NoError(t, err)
		require.Equal(t, []string{at("it"), at("recent")}, left)
	}
	require.ErrorIs(t, keep(at("none"), func(string) error { return fs.ErrInvalid }), fs.ErrInvalid)
	require.NoFileExists(t, at("none"))
}

// TestKeptRootfs makes a root file system once, and anew as soon as the script or the BusyBox is
// another.
func TestKeptRootfs(t *testing.T) {
	emptyCache(t)
	root, bin := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	script := filepath.Join(root, "scripts", "mkrootfs.sh")
	made := filepath.Join(root, "made")
	makes := func(letter string) {
		write(t, script, "#!/bin/sh\necho "+letter+" >>"+made+"\nmkdir $2 && echo "+letter+
			" >$2/letter && ln -s letter $2/link && touch $2/.mkrootfs\n")
	}
	places := func() string {
		to := filepath.Join(t.TempDir(), "rootfs")
		require.NoError(t, placeRootfs(to, root))
		letter, err := os.ReadFile(filepath.Join(to, "link"))
		require.NoError(t, err)
		return string(letter)
	}
	makes("a")
	write(t, filepath.Join(bin, "busybox"), "one")
	require.Equal(t, "a\n", places())
	require.Equal(t, "a\n", places())
	makes("b")
	require.Equal(t, "b\n", places())
	write(t, filepath.Join(bin, "busybox"), "two")
	require.Equal(t, "b\n", places())
	require.Equal(t, "b\n", places())
	times, err := os.ReadFile(made)
	require.NoError(t, err)
	require.Equal(t, "a\nb\nb\n", string(times))

	// Without a cache it is made each time; what the script says of its failure is told.
	t.Setenv("XDG_CACHE_HOME", script)
	require.Equal(t, "b\n", places())
	write(t, script, "#!/bin/sh\necho no BusyBox >&2\nexit 1\n")
	require.EqualError(t, placeRootfs(filepath.Join(t.TempDir(), "rootfs"), root), "no BusyBox")
}

// TestCopyTree copies directories, links and files, with their modes.
func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "to")
	require.NoError(t, os.Mkdir(filepath.Join(from, "tmp"), 0o700))
	require.NoError(t, os.Chmod(filepath.Join(from, "tmp"), 0o777|os.ModeSticky))
	require.NoError(t, os.WriteFile(filepath.Join(from, "tmp", "file"), []byte("text"), 0o600))
	require.NoError(t, os.Chmod(filepath.Join(from, "tmp", "file"), 0o4711))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(from, "link")))
	require.NoError(t, copyTree(from, to))
	for _, name := range []string{".", "tmp", "tmp/file", "link"} {
		want, err := os.Lstat(filepath.Join(from, name))
		require.NoError(t, err)
		got, err := os.Lstat(filepath.Join(to, name))
		require.NoError(t, err)
		require.Equal(t, want.Mode(), got.Mode(), name)
	}
	text, err := os.ReadFile(filepath.Join(to, "tmp", "file"))
	require.NoError(t, err)
	require.Equal(t, "text", string(text))
	link, err := os.Readlink(filepath.Join(to, "link"))
	require.NoError(t, err)
	require.Equal(t, "nowhere", link)
}
