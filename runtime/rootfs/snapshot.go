//go:build linux

package rootfs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
)

// A rootfs that is a subvolume of Btrfs needs no overlay: a snapshot of it is another subvolume,
// which shares all data with it until one of the two is written to (btrfs-subvolume(8)). Two calls
// of ioctl(2) make and remove one.

// TakeSnapshot makes the snapshot that is to be the root of a container with -layers snapshot, in a
// directory beside the rootfs, or in that of -keep, where it stays. Nobody else on the host has a
// way into either: what root of the container writes belongs to root, and so would a setuid
// program.
func TakeSnapshot(
	c *config.Container, trace func(what string),
) (remove func() error, err error) {
	remove = func() error { return nil }
	if c.Layers != config.Snapshot {
		return remove, nil
	}
	rootfs, err := unix.Open(c.Rootfs, openDirectory, 0)
	if errors.Is(err, unix.ENOENT) {
		err = fmt.Errorf("%w (%s)", err, noRootfs)
	}
	if err == nil {
		defer unix.Close(rootfs)
		err = mustBeSubvolume(rootfs)
	}
	if err != nil {
		return remove, fmt.Errorf("rootfs %q: %w", c.Rootfs, err)
	}
	if c.Keep != "" {
		c.Snapshot = path.Join(c.Keep, snapshotName)
		if err := snapshotOnce(rootfs, c.Keep, trace); err != nil {
			return remove, fmt.Errorf("snapshot %q: %w", c.Snapshot, err)
		}
		return remove, nil
	}
	real, err := os.Readlink(fdPath(rootfs))
	if err != nil {
		return remove, err
	}
	above := path.Dir(real)
	s := &snapshot{trace: trace}
	if err := s.make(rootfs, above); err != nil {
		return s.remove, fmt.Errorf("snapshot in %q: %w", above, err)
	}
	c.Snapshot = path.Join(above, s.name, snapshotName)
	return s.remove, nil
}

// snapshotName is what a snapshot is called in its directory.
const snapshotName = "snapshot"

const openDirectory = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC

// subvolumeRoot is the number of the root directory of each subvolume
// (BTRFS_FIRST_FREE_OBJECTID).
const subvolumeRoot = 256

func mustBeSubvolume(fd int) error {
	var fs unix.Statfs_t
	var stat unix.Stat_t
	if err := errors.Join(unix.Fstatfs(fd, &fs), unix.Fstat(fd, &stat)); err != nil {
		return err
	}
	switch {
	case fs.Type != unix.BTRFS_SUPER_MAGIC:
		return errors.New("not on Btrfs, which alone has snapshots: use -layers overlay")
	case stat.Ino != subvolumeRoot:
		return errors.New("not a subvolume: copy it to one that btrfs subvolume create makes, " +
			"or use -layers overlay")
	}
	return nil
}

// snapshotOnce makes the snapshot in the directory of -keep, or leaves it at the one that was kept.
func snapshotOnce(rootfs int, keep string, trace func(string)) error {
	dir, err := unix.Open(keep, openDirectory, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	if kept, err := unix.Openat(dir, snapshotName, openDir, 0); err == nil {
		defer unix.Close(kept)
		return mustBeSubvolume(kept)
	}
	say(trace, "snapshot "+keep)
	return createSnapshot(dir, rootfs)
}

// A snapshot is the one of a container that keeps nothing, in a directory of its own. A runtime
// that was killed leaves it there, and a later one in the same place removes it. It knows a stale
// one by the lock of the directory, which flock(2) holds as long as the runtime lives.
type snapshot struct {
	trace      func(string)
	name       string // of the directory, or none
	above, dir int    // descriptors of the directory above, and of it
}

const snapshotPrefix = ".container-"

func isSnapshotDir(name string) bool {
	digits, ok := strings.CutPrefix(name, snapshotPrefix)
	return ok && len(digits) == 16 && strings.Trim(digits, "0123456789abcdef") == ""
}

func (s *snapshot) make(rootfs int, above string) (err error) {
	if s.above, err = unix.Open(above, openDirectory, 0); err != nil {
		return err
	}
	if err = mayRemoveSubvolumes(s.above); err == nil {
		removeStaleSnapshots(s.above)
		err = s.makeLocked()
	}
	if err != nil {
		unix.Close(s.above)
		return err
	}
	say(s.trace, "snapshot "+path.Join(above, s.name))
	return createSnapshot(s.dir, rootfs)
}

// makeLocked makes the directory and locks it. Another runtime may be faster and take it for stale:
// then it is made again.
func (s *snapshot) makeLocked() error {
	for {
		name := fmt.Sprintf("%s%016x", snapshotPrefix, rand.Uint64())
		if err := unix.Mkdirat(s.above, name, 0o700); err != nil {
			if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
				return fmt.Errorf("mkdir: %w (use -keep with another directory of that file "+
					"system)", err)
			}
			return fmt.Errorf("mkdir: %w", err)
		}
		dir, err := lockSnapshotDir(s.above, name)
		switch {
		case err == nil:
			s.name, s.dir = name, dir
			return nil
		case !errors.Is(err, unix.ENOENT) && !errors.Is(err, unix.EWOULDBLOCK):
			_ = unix.Unlinkat(s.above, name, unix.AT_REMOVEDIR)
			return err
		}
	}
}

// lockSnapshotDir opens a directory and locks it, if it still has its name then.
func lockSnapshotDir(above int, name string) (dir int, err error) {
	if dir, err = unix.Openat(above, name, openDir, 0); err != nil {
		return -1, fmt.Errorf("open %q: %w", name, err)
	}
	var opened, named unix.Stat_t
	if err = unix.Flock(dir, unix.LOCK_EX|unix.LOCK_NB); err == nil {
		err = unix.Fstat(dir, &opened)
	}
	if err == nil {
		err = unix.Fstatat(above, name, &named, unix.AT_SYMLINK_NOFOLLOW)
	}
	if err == nil && named.Ino != opened.Ino {
		err = unix.ENOENT
	}
	if err != nil {
		unix.Close(dir)
		return -1, fmt.Errorf("lock %q: %w", name, err)
	}
	return dir, nil
}

// remove removes the snapshot and its directory.
func (s *snapshot) remove() error {
	if s.name == "" {
		return nil
	}
	defer unix.Close(s.above)
	defer unix.Close(s.dir)
	say(s.trace, "remove snapshot "+s.name)
	if err := removeSnapshotDir(s.above, s.dir, s.name); err != nil {
		return fmt.Errorf("remove snapshot %q: %w", s.name, err)
	}
	return nil
}

func removeSnapshotDir(above, dir int, name string) error {
	err := unix.Unlinkat(above, name, unix.AT_REMOVEDIR)
	if !errors.Is(err, unix.ENOTEMPTY) { // no snapshot was made
		return err
	}
	if err := destroySubvolume(dir, snapshotName); err != nil {
		return err
	}
	return unix.Unlinkat(above, name, unix.AT_REMOVEDIR)
}

// removeStaleSnapshots removes what runtimes left that were killed. An error is for the next one to
// see.
func removeStaleSnapshots(above int) {
	list, err := os.ReadDir(fdPath(above))
	if err != nil {
		return
	}
	for _, entry := range list {
		if !isSnapshotDir(entry.Name()) {
			continue
		}
		if dir, err := lockSnapshotDir(above, entry.Name()); err == nil {
			_ = removeSnapshotDir(above, dir, entry.Name())
			unix.Close(dir)
		}
	}
}

// mayRemoveSubvolumes makes sure that a snapshot in a directory can be removed again. Root of the
// machine can. Anybody else can make one, but without an option of the mount not remove it.
func mayRemoveSubvolumes(dir int) error {
	ids, _ := files.Read("/proc/self/uid_map") // none: there are no user namespaces
	all := ids == "" || strings.Join(strings.Fields(ids), " ") == "0 0 4294967295"
	if os.Geteuid() == 0 && all {
		return nil
	}
	var stat unix.Statx_t
	if err := unix.Statx(dir, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &stat); err != nil {
		return fmt.Errorf("statx: %w", err)
	}
	mounts, err := files.Read("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(mounts) {
		if !strings.HasPrefix(line, fmt.Sprint(stat.Mnt_id, " ")) {
			continue
		}
		_, ofFileSystem, _ := strings.Cut(line, " - ") // proc_pid_mountinfo(5)
		if strings.Contains(ofFileSystem, "user_subvol_rm_allowed") {
			return nil
		}
	}
	return errors.New("an ordinary user could not remove it: mount the file system with the " +
		"option user_subvol_rm_allowed, or use -keep")
}

// snapshotArgs and subvolumeArgs are the kernel's struct btrfs_ioctl_vol_args_v2 and struct
// btrfs_ioctl_vol_args (linux/btrfs.h).
type snapshotArgs struct {
	source        int64
	transid, flag uint64
	_             [4]uint64
	name          [4040]byte
}

type subvolumeArgs struct {
	_    int64
	name [4088]byte
}

const (
	snapCreateV2   = 0x50009417 // BTRFS_IOC_SNAP_CREATE_V2
	snapDestroy    = 0x5000940f // BTRFS_IOC_SNAP_DESTROY
	subvolumeFlags = 0x4008941a // BTRFS_IOC_SUBVOL_SETFLAGS
)

// createSnapshot makes a snapshot of a subvolume in a directory.
func createSnapshot(dir, rootfs int) error {
	args := &snapshotArgs{source: int64(rootfs)}
	copy(args.name[:], snapshotName)
	switch err := ioctl(dir, snapCreateV2, unsafe.Pointer(args)); {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ENOTTY):
		return fmt.Errorf("%w (must be on the file system of the rootfs: use -keep with a "+
			"directory there)", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (only its owner may make a snapshot of a subvolume)", err)
	default:
		return err
	}
}

// destroySubvolume removes a subvolume, and those that the container has made in it.
func destroySubvolume(dir int, name string) error {
	args := &subvolumeArgs{}
	copy(args.name[:], name)
	destroy := func() error { return ioctl(dir, snapDestroy, unsafe.Pointer(args)) }
	err := destroy()
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		makeWritable(dir, name)
		err = destroy()
	}
	if errors.Is(err, unix.ENOTEMPTY) {
		if err := destroyBelow(dir, name); err != nil {
			return err
		}
		err = destroy()
	}
	return err
}

// makeWritable lets an ordinary user remove a subvolume of his own that the container has closed or
// made read-only. An error comes again when it is removed.
func makeWritable(dir int, name string) {
	_ = unix.Fchmodat(dir, name, 0o700, 0)
	if fd, err := unix.Openat(dir, name, openDir, 0); err == nil {
		flags := uint64(0)
		_ = ioctl(fd, subvolumeFlags, unsafe.Pointer(&flags))
		unix.Close(fd)
	}
	_ = unix.Fchmodat(dir, name, 0o700, 0)
}

// destroyBelow removes the subvolumes in a directory and below.
func destroyBelow(above int, name string) error {
	dir, err := unix.Openat(above, name, openDir, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	list, err := os.ReadDir(fdPath(dir))
	if err != nil {
		return err
	}
	for _, entry := range list {
		if !entry.IsDir() {
			continue
		}
		var stat unix.Stat_t
		err := unix.Fstatat(dir, entry.Name(), &stat, unix.AT_SYMLINK_NOFOLLOW)
		if err == nil && stat.Ino == subvolumeRoot {
			err = destroySubvolume(dir, entry.Name())
		} else if err == nil {
			err = destroyBelow(dir, entry.Name())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ioctl(fd int, request uint, argument unsafe.Pointer) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request),
			uintptr(argument))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

func say(trace func(string), what string) {
	if trace != nil {
		trace(what)
	}
}
