//go:build linux

package store

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNames has the forms of Docker's reference, and what is none.
func TestNames(t *testing.T) {
	const digest = "sha256:" + "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, full := range map[string]string{
		"alpine":                         "docker.io/library/alpine:latest",
		"alpine:3.20":                    "docker.io/library/alpine:3.20",
		"me/tool":                        "docker.io/me/tool:latest",
		"docker.io/alpine":               "docker.io/library/alpine:latest",
		"index.docker.io/library/a":      "docker.io/library/a:latest",
		"localhost/a":                    "localhost/a:latest",
		"localhost:5000/a/b:tag":         "localhost:5000/a/b:tag",
		"[::1]:5000/a":                   "[::1]:5000/a:latest",
		"Host/a":                         "Host/a:latest",
		"host.example/a__b/c-d--e.f":     "host.example/a__b/c-d--e.f:latest",
		"alpine@" + digest:               "docker.io/library/alpine@" + digest,
		"localhost:1/alpine:x@" + digest: "localhost:1/alpine@" + digest,
		"a:" + strings.Repeat("t", 128):  "docker.io/library/a:" + strings.Repeat("t", 128),
	} {
		got, err := Normalise(name)
		require.NoError(t, err)
		assert.Equal(t, full, got)
		again, err := Normalise(got)
		require.NoError(t, err)
		assert.Equal(t, full, again, "the full form is its own full form")
	}
	for _, name := range []string{
		"", ":", "/", "a/", "/a", "a//b", "A", "a:", "a:.x", "a:-x", "a..b", "a___b", "-a", "a_",
		"a/../b", "../a", "a b", "a@", "a@sha256:0", "a@md5:" + digest[7:], "localhost:x/a",
		"a:" + strings.Repeat("t", 129), "h.-x/a", "a\x00", "http://h/a", "[::1/a", "x]/a",
	} {
		got, err := Normalise(name)
		assert.ErrorContains(t, err, "image name ", "%q became %q", name, got)
	}
}

func TestDir(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("XDG_DATA_HOME", "relative")
	t.Setenv("CONTAINER_IMAGES", "")
	dir, err := Dir()
	require.NoError(t, err)
	assert.Equal(t, "/home/me/.local/share/container-workshop/images", dir)

	t.Setenv("XDG_DATA_HOME", "/data")
	dir, err = Dir()
	require.NoError(t, err)
	assert.Equal(t, "/data/container-workshop/images", dir)

	t.Setenv("CONTAINER_IMAGES", "/images/")
	dir, err = Dir()
	require.NoError(t, err)
	assert.Equal(t, "/images", dir)
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CONTAINER_IMAGES", dir)
	t.Setenv("PATH", "/nowhere")
	_, err := Open("alpine")
	require.EqualError(t, err, `image "alpine": not here (get it: go tool image pull alpine)`)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "image"), nil, 0o755))
	t.Setenv("PATH", "/nowhere:"+dir)
	_, err = Open("alpine")
	require.EqualError(t, err, `image "alpine": not here (get it: image pull alpine)`)

	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(`{"manifests":[
		{"digest":"sha256:00"},
		{"digest":"sha256:01","annotations":{"org.opencontainers.image.ref.name":
			"docker.io/library/alpine:latest"}}]}`), 0o644))
	file := RunFile(dir, "sha256:01")
	assert.Equal(t, dir+"/run/01.json", file)
	require.NoError(t, os.Mkdir(filepath.Dir(file), 0o755))
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o644)) }
	write(`{"layers":["layers/sha256/a","layers/sha256/b"],"env":["A=1"],"user":"1:2"}`)
	image, err := Open("alpine")
	require.NoError(t, err)
	assert.Equal(t, []string{dir + "/layers/sha256/a", dir + "/layers/sha256/b"}, image.Layers)
	assert.Equal(t, []string{"A=1"}, image.Env)
	assert.Equal(t, "1:2", image.User)

	other, err := os.Open(file)
	require.NoError(t, err)
	defer other.Close()
	const exclusive = syscall.LOCK_EX | syscall.LOCK_NB
	assert.ErrorIs(t, flock(other, exclusive), syscall.EWOULDBLOCK, "it is in use")
	require.NoError(t, image.Close())
	assert.NoError(t, flock(other, exclusive), "it is no longer in use")
	require.NoError(t, flock(other, syscall.LOCK_UN))

	for text, why := range map[string]string{"{": "unexpected EOF", "{}": "no layers"} {
		write(text)
		_, err = Open("alpine")
		assert.ErrorContains(t, err, why)
	}
	require.NoError(t, os.Remove(file))
	_, err = Open("alpine")
	assert.ErrorIs(t, err, os.ErrNotExist)
}

// FuzzNormalise makes full names: each is its own full name, and no path out of a directory.
func FuzzNormalise(f *testing.F) {
	digest := "@sha256:" + strings.Repeat("0", 64)
	for _, name := range []string{
		"alpine", "a/b:1", "localhost:5000/a/b:tag", "[::1]:5000/a" + digest, "index.docker.io/x",
		"A.B/c__d---e:T" + digest, "docker.io/x", "a..b", ":1", "@", "x:", "x@sha256:", "HOST/x",
		"a.b", "a/.b",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		full, err := Normalise(name)
		if err != nil {
			require.NotContains(t, err.Error(), "\n")
			return
		}
		again, err := Normalise(full)
		require.NoError(t, err)
		require.Equal(t, full, again)
		require.NotContains(t, full, "..")
	})
}
