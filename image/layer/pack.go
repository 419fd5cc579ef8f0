//go:build linux

package layer

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Packed tells about a layer that was packed.
type Packed struct {
	Files int   // that are new or other than before
	Gone  int   // files, and directories with all that was in them
	Bytes int64 // of files
	Notes []string
}

// packer packs the upper directory of an overlay into an archive.
type packer struct {
	tar     *tar.Writer
	below   *Tree
	ids     Owner
	links   map[fileID]string // the first name of each file that has several
	changed time.Time         // of the whiteouts
	packed  Packed
	notes   notes
}

type fileID struct{ device, inode uint64 }

// Owner is who root of a container is on the host. The ids of the container follow from there on.
type Owner struct{ UID, GID uint32 }

// idCount are the ids that a container has, if root in it is nobody on the host.
const idCount = 65536

// Pack writes the archive of a layer: what the upper directory of an overlay has changed of the
// layers below, which are in these directories, the lowest first.
func Pack(archive io.Writer, upper string, below []string, root Owner) (Packed, error) {
	tree, err := OpenTree(below)
	if err != nil {
		return Packed{}, err
	}
	defer tree.Close()
	dir, err := unix.Open(upper, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return Packed{}, err
	}
	defer unix.Close(dir)
	var stat unix.Stat_t
	if err := unix.Fstat(dir, &stat); err != nil {
		return Packed{}, err
	}
	p := &packer{
		tar:     tar.NewWriter(archive),
		below:   tree,
		ids:     root,
		links:   map[fileID]string{},
		changed: time.Unix(stat.Mtim.Unix()),
	}
	if err = p.root(dir, &stat); err == nil {
		err = p.directory(dir, "")
	}
	if err := errors.Join(err, p.tar.Close()); err != nil {
		return Packed{}, err
	}
	p.packed.Notes = p.notes.lines()
	return p.packed, nil
}

// root writes an entry for the root of the image, if that is other than before.
func (p *packer) root(dir int, stat *unix.Stat_t) error {
	before, err := p.below.Root()
	if err != nil {
		return err
	}
	uid, gid := p.owner(stat, "/")
	if before.Stat.Mode == stat.Mode && before.Stat.Uid == uid && before.Stat.Gid == gid {
		return nil
	}
	return p.file(dir, ".", "", stat)
}

// directory writes what is in a directory. Whiteouts come first, so that whoever unpacks the
// entries one after the other removes before it makes.
func (p *packer) directory(dir int, name string) error {
	names, err := readNames(dir, ".")
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	slices.Sort(names)
	stats := make([]unix.Stat_t, len(names))
	if isOpaque(dir, ".") {
		if before, err := p.below.Find(name); err == nil && before.isDir() && name != "" {
			if err := p.whiteout(path.Join(name, whiteoutOpaque)); err != nil {
				return err
			}
		}
	}
	for i, base := range names {
		if err := unix.Fstatat(dir, base, &stats[i], unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return fmt.Errorf("stat %q: %w", path.Join(name, base), err)
		}
		_, err := p.below.Find(path.Join(name, base))
		if isWhiteout(&stats[i]) && err == nil {
			if err := p.whiteout(path.Join(name, whiteoutPrefix+base)); err != nil {
				return err
			}
		}
	}
	for i, base := range names {
		if isWhiteout(&stats[i]) {
			continue
		}
		if err := p.file(dir, base, path.Join(name, base), &stats[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) whiteout(name string) error {
	p.packed.Gone++
	return p.tar.WriteHeader(&tar.Header{
		Typeflag: tar.TypeReg,
		Name:     name,
		Mode:     0o600,
		ModTime:  p.changed,
		Format:   tar.FormatPAX,
	})
}

// file writes a file, and all that is below it.
func (p *packer) file(dir int, base, name string, stat *unix.Stat_t) error {
	if strings.HasPrefix(base, whiteoutPrefix) {
		p.notes.add("left out a name that means in a layer that a file is gone", name)
		return nil
	}
	h, err := p.header(dir, base, name, stat)
	if err != nil || h == nil {
		return err
	}
	p.packed.Files++
	if err := p.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	switch {
	case h.Typeflag == tar.TypeReg:
		return p.data(dir, base, name, h.Size)
	case h.Typeflag == tar.TypeDir && name != "":
		inside, err := openBeneath(dir, base, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			return fmt.Errorf("open %q: %w", name, err)
		}
		defer unix.Close(inside)
		return p.directory(inside, name)
	}
	return nil
}

// header is the entry of a file, or nil if no layer can have it.
func (p *packer) header(
	dir int, base, name string, stat *unix.Stat_t,
) (h *tar.Header, err error) {
	uid, gid := p.owner(stat, name)
	h = &tar.Header{
		Name:    name,
		Mode:    int64(stat.Mode & 0o7777),
		Uid:     int(uid),
		Gid:     int(gid),
		ModTime: time.Unix(stat.Mtim.Unix()),
		Format:  tar.FormatPAX, // for parts of a second, and attributes
	}
	// Those of a link, too: who makes it may set its owner again, and take capabilities away.
	if h.PAXRecords, err = p.attributes(dir, base, name); err != nil {
		return nil, err
	}
	kind := stat.Mode & unix.S_IFMT
	if kind != unix.S_IFDIR && stat.Nlink > 1 {
		id := fileID{stat.Dev, stat.Ino}
		if first, ok := p.links[id]; ok {
			h.Typeflag, h.Linkname = tar.TypeLink, first
			return h, nil
		}
		p.links[id] = name
	}
	switch kind {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, stat.Size
	case unix.S_IFDIR:
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		if name == "" {
			h.Name = "./"
		}
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = readlink(dir, base); err != nil {
			return nil, fmt.Errorf("readlink %q: %w", name, err)
		}
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if kind == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(stat.Rdev)), int64(unix.Minor(stat.Rdev))
	default:
		p.notes.add("left out a socket, which is nothing without the process that made it", name)
		return nil, nil
	}
	return h, nil
}

// owner is the owner of a file in the image, by that on the host.
func (p *packer) owner(stat *unix.Stat_t, name string) (uid, gid uint32) {
	inside := func(id, root uint32) uint32 {
		if root == 0 {
			return id
		}
		if id < root || id-root >= idCount {
			p.notes.add("changed an owner that the container has no id for", name)
			return nobody
		}
		return id - root
	}
	return inside(stat.Uid, p.ids.UID), inside(stat.Gid, p.ids.GID)
}

// attributes are the extended attributes of a file, without those of the overlay. An overlay that
// says with one of these that the data are elsewhere cannot be packed.
func (p *packer) attributes(dir int, base, name string) (map[string]string, error) {
	names, err := attributes(dir, base)
	if err != nil {
		return nil, fmt.Errorf("listxattr %q: %w", name, err)
	}
	records := map[string]string{}
	for _, attribute := range names {
		own := strings.TrimPrefix(strings.TrimPrefix(attribute, trustedPrefix), userPrefix)
		switch {
		case own != attribute && (own == "redirect" || own == "metacopy"):
			return nil, fmt.Errorf("%q: has %s: mount the overlay without redirect_dir and "+
				"metacopy", name, attribute)
		case own != attribute, attribute == "security.selinux":
			continue
		case strings.HasPrefix(attribute, "system.posix_acl_") && p.ids != Owner{}:
			p.notes.add("left out an access list, whose ids are those of the host", name)
			continue
		}
		value, err := getAttribute(dir, base, attribute)
		if err != nil {
			return nil, fmt.Errorf("getxattr %s of %q: %w", attribute, name, err)
		}
		if attribute == "security.capability" {
			value = p.capability(value)
		}
		records["SCHILY.xattr."+attribute] = value
	}
	return records, nil
}

// capability returns the capabilities of a file as they are in the container. One that a user
// namespace has set has the id of its root behind it (capabilities(7), namespaced file
// capabilities).
func (p *packer) capability(value string) string {
	const version2, version3 = 0x02000000, 0x03000000
	if len(value) != 24 {
		return value
	}
	data := []byte(value)
	magic := binary.LittleEndian.Uint32(data)
	root := binary.LittleEndian.Uint32(data[20:])
	if magic&0xff000000 != version3 || root != p.ids.UID {
		return value
	}
	binary.LittleEndian.PutUint32(data, version2|magic&0x00ffffff)
	return string(data[:20])
}

func (p *packer) data(dir int, base, name string, size int64) error {
	fd, err := openBeneath(dir, base, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return fmt.Errorf("open %q: %w", name, err)
	}
	file := os.NewFile(uintptr(fd), name)
	defer file.Close()
	n, err := io.Copy(p.tar, io.LimitReader(file, size))
	p.packed.Bytes += n
	if err == nil && n < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return nil
}
