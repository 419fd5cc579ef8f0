//go:build linux

package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// create makes a file of the layer, of any kind but a hard link, whose name is free. A directory is
// there already.
func (u *unpacker) create(h *tar.Header, name string, data io.Reader) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		return u.createRegular(h, name, data)
	case tar.TypeDir:
		return u.finishDirectory(u.parent, name, path.Join(u.parentPath, name), h)
	case tar.TypeSymlink:
		if err := unix.Symlinkat(h.Linkname, u.parent, name); err != nil {
			return fmt.Errorf("symlink: %w", err)
		}
		return u.finishFile(name, h)
	case tar.TypeFifo:
		if err := unix.Mknodat(u.parent, name, unix.S_IFIFO|0o600, 0); err != nil {
			return fmt.Errorf("mkfifo: %w", err)
		}
		return u.finishFile(name, h)
	case tar.TypeChar, tar.TypeBlock:
		return u.createDevice(h, name)
	}
	return fmt.Errorf("unknown kind %q of file", h.Typeflag)
}

// createDevice makes a device, which no container can use that forbids devices on its mounts, as
// the runtime does. The device 0/0 would be a whiteout for the overlay: it becomes 0/1, which the
// kernel has no more than the other (both cannot be opened). An ordinary user may make no device:
// he gets a whiteout, so that at least nothing is seen that the device has replaced.
func (u *unpacker) createDevice(h *tar.Header, name string) error {
	kind := uint32(unix.S_IFCHR)
	if h.Typeflag == tar.TypeBlock {
		kind = unix.S_IFBLK
	}
	if h.Devmajor != int64(uint32(h.Devmajor)) || h.Devminor != int64(uint32(h.Devminor)) {
		return errors.New("a device number out of range")
	}
	number := unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))
	if kind == unix.S_IFCHR && number == 0 {
		number = 1
		u.notes.add("made 0/1 instead of the device 0/0, which is a whiteout for an overlay", name)
	}
	err := unix.Mknodat(u.parent, name, kind|0o600, int(number))
	if errors.Is(err, unix.EPERM) {
		u.notes.add(noteDevice, h.Name)
		u.leftOut[path.Join(u.parentPath, name)] = true
		return makeWhiteout(u.parent, name)
	}
	if err != nil {
		return fmt.Errorf("mknod: %w", err)
	}
	return u.finishFile(name, h)
}

const noteDevice = "left a device out, which only root of the host may make"

func (u *unpacker) createRegular(h *tar.Header, name string, data io.Reader) error {
	if u.limits.Bytes -= h.Size; u.limits.Bytes < 0 {
		return ErrBytes
	}
	const flags = unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(u.parent, name, flags, 0o600)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	defer unix.Close(fd)
	if err := u.writeSparse(fd, data, h.Size); err != nil {
		return err
	}
	return u.finishFile(name, h)
}

// blockSize is that of most file systems: a block of zeros can be a hole.
const blockSize = 4096

var zeros [blockSize]byte

// writeSparse writes the data of a file, and leaves holes for blocks of zeros: an archive may say
// that a file has holes in ways that not all programs write or read, and the zeros tell, too.
func (u *unpacker) writeSparse(fd int, data io.Reader, size int64) error {
	if u.buffer == nil {
		u.buffer = make([]byte, 16*blockSize)
	}
	end := int64(0) // of what is written
	for at := int64(0); at < size; {
		n, err := io.ReadFull(data, u.buffer[:min(size-at, int64(len(u.buffer)))])
		if err != nil {
			return fmt.Errorf("archive: %w", err)
		}
		written, err := writeBlocks(fd, u.buffer[:n], at)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		end = max(end, written)
		at += int64(n)
	}
	if end < size { // a hole at the end
		return wrap("truncate", unix.Ftruncate(fd, size))
	}
	return nil
}

// writeBlocks writes runs of blocks that are not zeros. It returns where the last one ends.
func writeBlocks(fd int, data []byte, at int64) (end int64, err error) {
	isHole := func(i int) bool {
		block := data[i:min(i+blockSize, len(data))]
		return bytes.Equal(block, zeros[:len(block)])
	}
	for i := 0; i < len(data); {
		start, hole := i, isHole(i)
		for i < len(data) && isHole(i) == hole {
			i += blockSize
		}
		if hole {
			continue
		}
		i = min(i, len(data))
		if err := writeAll(fd, data[start:i], at+int64(start)); err != nil {
			return 0, err
		}
		end = at + int64(i)
	}
	return end, nil
}

func writeAll(fd int, data []byte, at int64) error {
	for len(data) > 0 {
		n, err := unix.Pwrite(fd, data, at)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		data, at = data[n:], at+int64(n)
	}
	return nil
}

// link makes a hard link. What it links to may be in a layer below: then the file comes up into
// this one, as the kernel does it when a container makes the link. The file gets what this entry
// says of it, the last one.
func (u *unpacker) link(h *tar.Header, name string) error {
	target, err := u.linkTarget(clean(h.Linkname))
	if errors.Is(err, unix.ENOENT) && u.leftOut[clean(h.Linkname)] {
		if err := u.makeRoom(name, false); err != nil {
			return err
		}
		u.notes.add(noteDevice, h.Name)
		return makeWhiteout(u.parent, name)
	}
	if err != nil {
		return fmt.Errorf("link to %q: %w", h.Linkname, err)
	}
	if target.isDir() {
		return fmt.Errorf("link to %q: %w", h.Linkname, unix.EISDIR)
	}
	if target.isSymlink() { // it has no mode
		h.Typeflag = tar.TypeSymlink
	}
	if target.Path == path.Join(u.parentPath, name) { // to itself
		return u.finishLink(name, h)
	}
	if err := u.makeRoom(name, false); err != nil {
		return err
	}
	dir, base := path.Split(target.Path)
	from, err := u.open(strings.TrimSuffix(dir, "/"))
	if err != nil {
		return fmt.Errorf("link to %q: %w", h.Linkname, err)
	}
	defer unix.Close(from)
	if err := unix.Linkat(from, base, u.parent, name, 0); err != nil {
		return fmt.Errorf("link to %q: %w", h.Linkname, err)
	}
	return u.finishLink(name, h)
}

// finishLink gives a file what the entry of a hard link says. The owner is not set again: that
// would take away capabilities, which not every program repeats in the entry of a link.
func (u *unpacker) finishLink(name string, h *tar.Header) error {
	var stat unix.Stat_t
	if err := unix.Fstatat(u.parent, name, &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("stat: %w", err)
	}
	if int(stat.Uid) != h.Uid || int(stat.Gid) != h.Gid {
		return u.finishFile(name, h)
	}
	return errors.Join(u.setAttributes(u.parent, name, h), setTimes(u.parent, name, h))
}

// linkTarget finds the file in this layer that a hard link leads to, or brings it there.
func (u *unpacker) linkTarget(p string) (*Node, error) {
	if strings.HasPrefix(path.Base(p), whiteoutPrefix) {
		return nil, unix.ENOENT
	}
	target, err := u.tree.Find(p)
	if err != nil || target.isDir() || target.in[0] == u.dir {
		return target, err
	}
	u.result.Dependent = true
	// To make the directories above may change where the next entry goes.
	parent, parentPath := u.parent, u.parentPath
	u.parent = -1
	defer func() {
		u.forgetParent()
		u.parent, u.parentPath = parent, parentPath
	}()
	if err := u.enter(path.Dir("/" + target.Path)[1:], true); err != nil {
		return nil, err
	}
	return target, u.copyUpFile(target)
}

// finishDirectory gives a directory what its entry says; its times come last of all.
func (u *unpacker) finishDirectory(dir int, name, p string, h *tar.Header) error {
	u.times[p] = times(h)
	return u.setMetadata(dir, name, h)
}

// finishFile gives a file what its entry says besides its data.
func (u *unpacker) finishFile(name string, h *tar.Header) error {
	if err := u.setMetadata(u.parent, name, h); err != nil {
		return err
	}
	return setTimes(u.parent, name, h)
}

func setTimes(dir int, name string, h *tar.Header) error {
	return wrap("utimensat", unix.UtimesNanoAt(dir, name, times(h), unix.AT_SYMLINK_NOFOLLOW))
}

// setMetadata sets the owner first, because to change it takes away rights that a program has
// (chown(2)); and the mode last, when nothing more is to be written.
func (u *unpacker) setMetadata(dir int, name string, h *tar.Header) error {
	if err := u.chown(dir, name, h.Uid, h.Gid); err != nil {
		return err
	}
	return u.setAttributes(dir, name, h)
}

// setAttributes sets the extended attributes and the mode.
func (u *unpacker) setAttributes(dir int, name string, h *tar.Header) error {
	const prefix = "SCHILY.xattr."
	for _, record := range sorted(h.PAXRecords) {
		if attribute, ok := strings.CutPrefix(record, prefix); ok {
			if err := u.setAttribute(dir, name, attribute, h.PAXRecords[record]); err != nil {
				return err
			}
		}
	}
	if h.Typeflag == tar.TypeSymlink {
		return nil
	}
	mode := uint32(h.Mode) & 0o7777
	if err := unix.Chmod(procPath(dir, name), mode); err != nil {
		return fmt.Errorf("chmod: %w", err)
	}
	return nil
}

func sorted(records map[string]string) (keys []string) {
	for key := range records {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

const nobody = 65534

// chown sets the owner. An id that the user has not been given becomes nobody's, as it does in the
// runtime, or the user's own if he has no other.
func (u *unpacker) chown(dir int, name string, uid, gid int) error {
	const most = math.MaxUint32 - 1 // the last one means: leave it (chown(2))
	if uid < 0 || gid < 0 || uid > most || gid > most {
		return fmt.Errorf("owner %d:%d out of range", uid, gid)
	}
	flags := unix.AT_SYMLINK_NOFOLLOW
	if name == "" {
		flags = unix.AT_EMPTY_PATH
	}
	err := unix.Fchownat(dir, name, uid, gid, flags)
	if !errors.Is(err, unix.EINVAL) {
		return wrap("chown", err)
	}
	u.notes.add("changed an owner that has no id here", path.Join(u.parentPath, name))
	for _, ids := range [][2]int{{uid, -1}, {-1, gid}} {
		for _, id := range []int{max(ids[0], ids[1]), nobody, 0} {
			newUID, newGID := id, -1
			if ids[0] < 0 {
				newUID, newGID = -1, id
			}
			if err = unix.Fchownat(dir, name, newUID, newGID, flags); err == nil {
				break
			}
		}
		if err != nil {
			return wrap("chown", err)
		}
	}
	return nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// setAttribute sets an extended attribute, but none of the overlay's own: with these an image could
// show the files of another directory, or hide those of its own.
func (u *unpacker) setAttribute(dir int, name, attribute, value string) error {
	if isOverlays(attribute) {
		u.notes.add("left out an attribute that belongs to the overlay", attribute)
		return nil
	}
	err := unix.Lsetxattr(procPath(dir, name), attribute, []byte(value), 0)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EPERM), errors.Is(err, unix.EINVAL):
		u.notes.add("left out an attribute that the kernel refuses", attribute)
		return nil
	}
	return fmt.Errorf("setxattr %s: %w", attribute, err)
}

// clearAttributes removes the extended attributes of a directory that gets new ones.
func clearAttributes(dir int, name string) error {
	names, err := attributes(dir, name)
	if err != nil {
		return wrap("listxattr", err)
	}
	for _, attribute := range names {
		if isOverlays(attribute) || attribute == "security.selinux" {
			continue
		}
		if err := unix.Lremovexattr(procPath(dir, name), attribute); err != nil {
			return fmt.Errorf("removexattr %s: %w", attribute, err)
		}
	}
	return nil
}

// times are those of the last use, which an archive rarely has, and of the last change.
func times(h *tar.Header) []unix.Timespec {
	changed := unix.NsecToTimespec(h.ModTime.UnixNano())
	// UnixNano has no more than 292 years.
	changed.Sec = h.ModTime.Unix()
	changed.Nsec = int64(h.ModTime.Nanosecond())
	used := changed
	if !h.AccessTime.IsZero() {
		used.Sec, used.Nsec = h.AccessTime.Unix(), int64(h.AccessTime.Nanosecond())
	}
	return []unix.Timespec{used, changed}
}
