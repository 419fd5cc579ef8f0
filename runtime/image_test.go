//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/store"
	"container.example/workshop/internal/harness"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/rootfs"
)

// storeImage makes the caller's store one with an image of the name a, whose lowest layer has the
// users of the host, and returns the directory. change changes the image.
func storeImage(t *testing.T, layers int, change func(i *store.Image)) (dir string) {
	dir = harness.Visit(t).Work // all else is read-only there
	i := &store.Image{}
	for n := range layers {
		name := fmt.Sprint("layers/", n)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name, "etc"), 0o755))
		i.Layers = append(i.Layers, name)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "layers/0/etc/passwd"), passwd, 0o644))
	if change != nil {
		change(i)
	}
	writeStore(t, dir, i)
	return dir
}

// writeStore makes a directory the caller's store, with an image of the name a.
func writeStore(t *testing.T, dir string, i *store.Image) {
	t.Setenv("CONTAINER_IMAGES", dir)
	i.Manifest = "sha256:01"
	text, err := json.Marshal(i)
	require.NoError(t, err)
	file := store.RunFile(dir, i.Manifest)
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, text, 0o644))
	index := `{"manifests":[{"digest":"` + i.Manifest + `","annotations":{"` + store.RefName +
		`":"docker.io/library/a:latest"}}]}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "index.json"), []byte(index), 0o644))
}

// ofImage is the container that flags ask for, of an image.
func ofImage(t *testing.T, flags string) *config.Container {
	r, err := parse(strings.Fields(flags))
	require.NoError(t, err, flags)
	status, err := r.takeImage()
	require.NoError(t, err, flags)
	require.Zero(t, status)
	defer r.closeImage()
	return r.Container
}

// What the image says counts where no flag says something else, as it does for Docker.
func TestImage(t *testing.T) {
	full := func(i *store.Image) {
		i.Env = []string{"PATH=/bin", "A=image", "B="}
		i.Entrypoint, i.Cmd = []string{"entry", "point"}, []string{"cmd", "-x"}
		i.User, i.Workdir = "33:44", "/srv/./data"
	}
	env := []config.Variable{
		{Name: "PATH", Value: "/bin"},
		{Name: "A", Value: "image"},
		{Name: "B"},
	}
	for _, c := range []struct {
		name   string
		change func(i *store.Image)
		flags  string
		want   func(c *config.Container)
	}{
		{"all is the image's", full, "-image a", func(*config.Container) {}},
		{"a command", full, "-image a sh -c true", func(c *config.Container) {
			c.Command = []string{"entry", "point", "sh", "-c", "true"}
		}},
		{
			"no command", func(i *store.Image) { full(i); i.Cmd = nil }, "-image a",
			func(c *config.Container) { c.Command = []string{"entry", "point"} },
		},
		{
			"no entry point", func(i *store.Image) { full(i); i.Entrypoint = nil }, "-image a",
			func(c *config.Container) { c.Command = []string{"cmd", "-x"} },
		},
		{
			"no entry point and a command", func(i *store.Image) { full(i); i.Entrypoint = nil },
			"-image a sh", func(c *config.Container) { c.Command = []string{"sh"} },
		},
		{"flags win", full, "-user 0 -workdir /tmp -image a", func(c *config.Container) {
			c.User, c.Workdir = "0", "/tmp"
		}},
		{"a variable more", full, "-env A=flag -env C=1 -image a", func(c *config.Container) {
			c.Env = append(env[:3:3], config.Variable{Name: "A", Value: "flag"},
				config.Variable{Name: "C", Value: "1"})
		}},
		{
			"a relative directory", func(i *store.Image) { full(i); i.Workdir = "srv" }, "-image a",
			func(c *config.Container) { c.Workdir = "/srv" },
		},
		{
			"says nothing", nil, "-image a sh",
			func(c *config.Container) {
				c.Command, c.Env, c.User, c.Workdir = []string{"sh"}, nil, "0", ""
			},
		},
		{"copied", full, "-layers copy -keep kept -image a", func(c *config.Container) {
			c.Layers, c.Keep = config.Copy, "kept"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := storeImage(t, 2, c.change)
			require.Equal(t, defaults(func(k *config.Container) {
				k.Rootfs, k.Image = "", "sha256:01"
				k.Lowers = []string{dir + "/layers/0", dir + "/layers/1"}
				k.Command, k.Env = []string{"entry", "point", "cmd", "-x"}, env
				k.User, k.Workdir = "33:44", "/srv/data"
				c.want(k)
			}), ofImage(t, c.flags))
		})
	}
}

// What is wrong is one line, before anything is made.
func TestImageRefused(t *testing.T) {
	for _, c := range []struct {
		flags  string
		change func(i *store.Image)
		status int
		want   string
	}{
		{"-image other sh", nil, statusFailed, `image "other": not here (`},
		{"-image a", nil, statusUsage, `usage: no command, and the image "a" has none`},
		{"-image a -rootfs /", nil, statusUsage, `usage: -image: must be without -rootfs`},
		{
			"-image a -layers bind sh", nil, statusUsage,
			`usage: -layers "bind": must be overlay or copy with an image`,
		},
		{
			"-image a -ns pid sh", nil, statusUsage,
			`usage: -image: the namespace for it, mnt, is not in -ns`,
		},
		{"-image a -net wifi sh", nil, statusUsage, `usage: -net "wifi": must be none, bridge or`},
		{"-config c -image a", nil, statusUsage, `usage: -config: must be without -image`},
		{
			"-image a sh", func(i *store.Image) { i.Env = []string{"A"} }, statusFailed,
			`image "a": environment "A": must be NAME=VALUE`,
		},
		{
			"-image a sh", func(i *store.Image) { i.Cmd = []string{"a\x00b"} }, statusFailed,
			`image "a": "a\x00b": must be without a zero byte`,
		},
	} {
		t.Run(c.flags, func(t *testing.T) {
			storeImage(t, 1, c.change)
			for _, subcommand := range []string{"run", "plan", "spec"} {
				status, err := dispatch(append([]string{subcommand}, strings.Fields(c.flags)...))
				require.Equal(t, c.status, status)
				require.ErrorContains(t, err, c.want)
				require.NotContains(t, err.Error(), "\n")
			}
		})
	}
	t.Run("many layers", func(t *testing.T) {
		storeImage(t, config.MaxLowers+1, nil)
		status, err := dispatch([]string{"run", "-image", "a", "sh"})
		require.Equal(t, statusUsage, status)
		require.ErrorContains(t, err, "-image: has 501 layers, and the kernel puts at most 500 ")
	})
}

// The layers stay as long as the runtime has the image open.
func TestImageIsInUse(t *testing.T) {
	dir := storeImage(t, 1, nil)
	r, err := parse([]string{"-image", "a", "sh"})
	require.NoError(t, err)
	_, err = r.takeImage()
	require.NoError(t, err)
	other, err := os.Open(store.RunFile(dir, "sha256:01"))
	require.NoError(t, err)
	defer other.Close()
	lock := func() error { return unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
	require.ErrorIs(t, lock(), unix.EWOULDBLOCK)
	r.closeImage()
	require.NoError(t, lock())
}

// The image tool reads what the runtime has written in the directory of -keep.
func TestKeptFrom(t *testing.T) { require.Equal(t, store.KeptFrom, rootfs.KeptFrom) }
