//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/creack/pty"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// A faultTest has a registry with two images, and a store.
type faultTest struct {
	*testing.T
	dir, store string
	old, now   string // the names of the images
}

func newFaultTest(t *testing.T) *faultTest {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, for mounts")
	}
	f := &faultTest{T: t, dir: t.TempDir()}
	f.store = filepath.Join(f.dir, "store")
	server := httptest.NewServer(quietRegistry())
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	base := "dir ./\nfile a 1\nfile noise noise=300000\n"
	f.old = f.publish(host+"/old:latest", base)
	f.now = f.publish(host+"/new:latest",
		base, "file b 2\nfile more noise=200000\n", "file .wh.a\n")
	return f
}

// publish puts an image of such layers into the registry.
func (f *faultTest) publish(ref string, layers ...string) string {
	dir, err := os.MkdirTemp(f.dir, "image-")
	require.NoError(f, err)
	l := layoutWriter{dir: dir}
	require.NoError(f, os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755))
	for i, text := range layers {
		file := filepath.Join(dir, fmt.Sprintf("layer%d", i))
		require.NoError(f, os.WriteFile(file, []byte(text), 0o644))
		var archive bytes.Buffer
		require.NoError(f, writeLayer(&archive, file))
		l.layer(archive.Bytes(), true)
	}
	require.NoError(f, l.finish())
	reference, err := name.ParseReference(ref)
	require.NoError(f, err)
	image, err := firstImage(dir)
	require.NoError(f, err)
	require.NoError(f, remote.Write(reference, image))
	return ref
}

// image is the program, with these arguments.
func (f *faultTest) image(ctx context.Context, args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "image"
	cmd.Env = append(os.Environ(), "CONTAINER_IMAGES="+f.store)
	output := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, output
}

func (f *faultTest) run(args ...string) string {
	cmd, output := f.image(f.Context(), args...)
	require.NoError(f, cmd.Run(), "image %s: %s", strings.Join(args, " "), output)
	return output.String()
}

// state is what is in the store: each file with a digest of what is in it.
func (f *faultTest) state() (files []string) {
	require.NoError(f, filepath.WalkDir(f.store, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		line := strings.TrimPrefix(path, f.store)
		if e.Type().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %x", sha256.Sum256(text))
		}
		files = append(files, line)
		return nil
	}))
	return files
}

// TestKilled kills image pull at each thing that it does in the store, or at one in four of them
// (see skip.OneIn). Afterwards all is there that was there before, and the next pull gets the
// image.
func TestKilled(t *testing.T) {
	t.Parallel()
	f := newFaultTest(t)
	before := filepath.Join(f.dir, "before")
	f.run("pull", f.old)
	require.NoError(t, os.Rename(f.store, before))
	again := func() {
		require.NoError(t, os.RemoveAll(f.store))
		require.NoError(t, exec.Command("cp", "-a", before, f.store).Run())
	}
	again()
	total, done := f.killAt(0)
	require.True(t, done)
	const least = 10 // blobs, layers and index have more stages than that
	require.Greater(t, total, least)
	var events []int
	for event := range total {
		events = append(events, event+1)
	}
	events = skip.OneIn(t, 4, events)
	killed := 0
	for _, event := range events {
		again()
		_, done := f.killAt(event)
		listed := f.run("list")
		require.Contains(t, listed, f.old)
		require.Empty(t, f.run("check"))
		if done { // the signal was late, or two things were one this time
			require.Contains(t, listed, f.now)
			continue
		}
		killed++
		f.run("pull", f.now)
		require.Empty(t, f.run("check"))
		f.run("rm", f.now)
		require.Equal(t, "removed 0 blobs and 0 layers: 0 B\n", f.run("prune"))
	}
	require.Greater(t, killed, len(events)/2)
	t.Logf("killed at %d places", killed)
}

// killAt kills image pull when it has done so many things in the directories of the store. It tells
// how many it has done when the program came to its end, and whether that was its own.
func (f *faultTest) killAt(event int) (seen int, done bool) {
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	require.NoError(f, err)
	defer unix.Close(watch)
	const events = unix.IN_CREATE | unix.IN_MODIFY | unix.IN_MOVED_TO | unix.IN_DELETE
	for _, dir := range []string{"", "partial", "blobs/sha256", "layers/sha256", "run"} {
		_, err := unix.InotifyAddWatch(watch, filepath.Join(f.store, dir), events)
		require.NoError(f, err)
	}
	cmd, _ := f.image(f.Context(), "pull", f.now)
	require.NoError(f, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cmd.Wait()
		unix.InotifyAddWatch(watch, f.store, events|unix.IN_OPEN) // so that read(2) returns
		os.ReadDir(f.store)
	}()
	buffer := make([]byte, 1<<16)
	for {
		n, err := unix.Read(watch, buffer)
		require.NoError(f, err)
		for at := 0; at < n; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&buffer[at]))
			at += unix.SizeofInotifyEvent + int(e.Len)
			if e.Mask&unix.IN_OPEN != 0 {
				<-ended
				return seen, cmd.ProcessState.Success()
			}
			if seen++; seen == event {
				cmd.Process.Kill()
			}
		}
	}
}

// TestDiskFull pulls with ever more room on the disk, until there is enough. Before that, there is
// one line, and the store is as it was before.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	f := newFaultTest(t)
	require.NoError(t, os.Mkdir(f.store, 0o755))
	mount := func(kilobytes int, flags uintptr) {
		require.NoError(t, unix.Mount("tmpfs", f.store, "tmpfs", flags,
			fmt.Sprintf("size=%dk", kilobytes)))
	}
	mount(16<<10, 0)
	defer unix.Unmount(f.store, unix.MNT_DETACH)
	f.run("pull", f.old)
	before := f.state()
	var fs unix.Statfs_t
	require.NoError(t, unix.Statfs(f.store, &fs))
	used := int(fs.Blocks-fs.Bfree) * int(fs.Bsize) >> 10
	failed := 0
	for room := 0; ; room += 16 {
		mount(used+room, unix.MS_REMOUNT)
		cmd, output := f.image(t.Context(), "pull", f.now)
		if cmd.Run() == nil {
			break
		}
		failed++
		lines := strings.Split(strings.TrimSpace(output.String()), "\n")
		last := lines[len(lines)-1]
		require.Regexp(t, "^image: (pull .*|store .*): no space left on device$", last)
		require.Equal(t, 1, strings.Count(output.String(), "image:"), output)
		require.Equal(t, before, f.state(), "with %d kB of room", room)
	}
	const least = 10
	require.Greater(t, failed, least)
	require.Empty(t, f.run("check"))
	t.Logf("the disk was full at %d places", failed)
}

// TestBar pulls at a terminal: there is a bar, and it is gone at the end.
func TestBar(t *testing.T) {
	f := newFaultTest(t)
	cmd, _ := f.image(t.Context(), "pull", f.now)
	cmd.Stdout, cmd.Stderr = nil, nil
	terminal, err := pty.Start(cmd)
	require.NoError(t, err)
	defer terminal.Close()
	output, _ := io.ReadAll(terminal) // it ends with the error EIO
	require.NoError(t, cmd.Wait())
	require.Contains(t, string(output), "\r[=")
	require.Contains(t, string(output), "of 4 blobs\x1b[K")
	require.Regexp(t, `\r\x1b\[K\S+/new:latest sha256:\w+\r\n$`, string(output))
}
