//go:build linux

package rootfs

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
)

// What Btrfs does is in the scripts. Here is what can be tested anywhere.

func TestSnapshotArguments(t *testing.T) {
	// The numbers have the size of the structs in them: _IOW of the kernel's asm-generic/ioctl.h.
	require.EqualValues(t, 1<<30|unsafe.Sizeof(snapshotArgs{})<<16|0x94<<8|23, snapCreateV2)
	require.EqualValues(t, 1<<30|unsafe.Sizeof(subvolumeArgs{})<<16|0x94<<8|15, snapDestroy)
	require.EqualValues(t, 1<<30|8<<16|0x94<<8|26, subvolumeFlags)
	require.EqualValues(t, 56, unsafe.Offsetof(snapshotArgs{}.name))
	require.EqualValues(t, 8, unsafe.Offsetof(subvolumeArgs{}.name))
}

// Only directories of that form are taken for what a runtime has left.
func TestSnapshotDirs(t *testing.T) {
	require.True(t, isSnapshotDir(".container-0123456789abcdef"))
	for _, name := range []string{
		"", ".container-", ".container-0123456789abcde", ".container-0123456789abcdef0",
		".container-0123456789ABCDEF", "container-0123456789abcdef", ".container-0123456789abcdef/",
	} {
		require.False(t, isSnapshotDir(name), name)
	}
}

func TestOnlySubvolumesHaveSnapshots(t *testing.T) {
	dir := t.TempDir()
	c := container(func(c *config.Container) { c.Layers = config.Snapshot })
	for rootfs, want := range map[string]string{
		"/proc":           `not on Btrfs, which alone has snapshots: use -layers overlay`,
		"/proc/self/stat": `not a directory`,
		dir + "/nowhere":  `no such file or directory (` + noRootfs + `)`,
	} {
		c.Rootfs = rootfs
		remove, err := TakeSnapshot(c, nil)
		require.EqualError(t, err, `rootfs "`+rootfs+`": `+want)
		require.NoError(t, remove())
		require.Empty(t, c.Snapshot)
	}
	c.Layers = config.Overlay
	remove, err := TakeSnapshot(c, nil)
	require.NoError(t, err, "none is asked for")
	require.NoError(t, remove())
}

// Whoever removes a stale directory holds its lock. One that is in use stays, and so do others.
func TestStaleSnapshots(t *testing.T) {
	dir := t.TempDir()
	above, err := unix.Open(dir, openDirectory, 0)
	require.NoError(t, err)
	defer unix.Close(above)
	used := &snapshot{above: above}
	require.NoError(t, used.makeLocked())
	var stat unix.Stat_t
	require.NoError(t, unix.Fstat(used.dir, &stat))
	require.EqualValues(t, unix.S_IFDIR|0o700, stat.Mode)

	stale := filepath.Join(dir, ".container-0123456789abcdef")
	other := filepath.Join(dir, ".container-other")
	full := filepath.Join(dir, ".container-00000000000000ff")
	require.NoError(t, os.Mkdir(stale, 0o700))
	require.NoError(t, os.Mkdir(other, 0o700))
	writeFile(t, full+"/file", "")
	removeStaleSnapshots(above)
	require.NoDirExists(t, stale)
	require.DirExists(t, other)
	require.FileExists(t, full+"/file", "no runtime makes a file there")
	require.DirExists(t, filepath.Join(dir, used.name))

	require.NoError(t, unix.Close(used.dir), "its runtime is gone")
	removeStaleSnapshots(above)
	require.NoDirExists(t, filepath.Join(dir, used.name))
	_, err = lockSnapshotDir(above, used.name)
	require.ErrorIs(t, err, unix.ENOENT)
}
