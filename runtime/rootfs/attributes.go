//go:build linux

package rootfs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Files have extended attributes (xattr(7)). Two of them say what somebody may do: access control
// lists (acl(5)), and the capabilities of a program (capabilities(7)).

const (
	accessACL      = "system.posix_acl_access"
	defaultACL     = "system.posix_acl_default"
	fileCapability = "security.capability"
	opaque         = "user.overlay.opaque" // of a directory in a layer (overlayfs.rst)
	trustedOpaque  = "trusted.overlay.opaque"
)

// copyAttributes gives a file the attributes of another one.
func (c *copier) copyAttributes(from, to string) error {
	names, err := grow(func(b []byte) (int, error) { return unix.Llistxattr(from, b) })
	if errors.Is(err, unix.EOPNOTSUPP) { // a file system without any
		return nil
	}
	if err != nil {
		return fmt.Errorf("listxattr: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		if name == "" {
			continue
		}
		value, err := grow(func(b []byte) (int, error) { return unix.Lgetxattr(from, name, b) })
		if errors.Is(err, unix.ENODATA) { // not for this user, or gone
			continue
		}
		if err != nil {
			return fmt.Errorf("getxattr %s: %w", name, err)
		}
		err = unix.Lsetxattr(to, name, c.owners.inAttribute(name, value), 0)
		if err != nil && !isDispensable(name, err) {
			return fmt.Errorf("setxattr %s: %w", name, err)
		}
	}
	return nil
}

// isDispensable tells whether a copy does without an attribute that cannot be set: it says nothing
// about who may do what, and its kind is for root of the host (trusted), for a security module
// (security), or none that the file system of the copy has (user, on a tmpfs before Linux 6.6). A
// layer without the mark of an opaque directory shows files of other layers that it is to hide.
func isDispensable(name string, err error) bool {
	if name == accessACL || name == defaultACL || name == fileCapability || name == opaque {
		return false
	}
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPERM) ||
		errors.Is(err, unix.EACCES)
}

// maxAttributes is how long a list of names, or a value, can be.
const maxAttributes = 1 << 16

// grow returns what get writes, with as much room as that takes.
func grow(get func(b []byte) (int, error)) ([]byte, error) {
	b := make([]byte, 256)
	for {
		n, err := get(b)
		if err == nil {
			return b[:n], nil
		}
		if !errors.Is(err, unix.ERANGE) || len(b) >= maxAttributes {
			return nil, err
		}
		b = make([]byte, 4*len(b))
	}
}

// inAttribute is the value of an attribute with the ids in it that the copy has for them.
func (o owners) inAttribute(name string, value []byte) []byte {
	switch name {
	case accessACL, defaultACL:
		return o.inACL(value)
	case fileCapability:
		return o.inCapability(value)
	}
	return value
}

// inACL shifts the ids in the kernel's struct posix_acl_xattr_header: a version of four bytes, then
// entries of eight, with a tag, permissions, and an id.
func (o owners) inACL(value []byte) []byte {
	const header, entry, user, group = 4, 8, 0x02, 0x08 // ACL_USER and ACL_GROUP
	for at := header; at+entry <= len(value); at += entry {
		id := value[at+4:]
		switch binary.LittleEndian.Uint16(value[at:]) {
		case user:
			binary.LittleEndian.PutUint32(id, o.uid(binary.LittleEndian.Uint32(id)))
		case group:
			binary.LittleEndian.PutUint32(id, o.gid(binary.LittleEndian.Uint32(id)))
		}
	}
	return value
}

// inCapability has the capabilities of a program be for the root that the copy has: that of the
// machine, if there is no other one, whose id is in version 3 of the kernel's struct
// vfs_ns_cap_data.
func (o owners) inCapability(value []byte) []byte {
	const (
		revisions         = 0xff000000
		version2, length2 = 0x02000000, 20
		version3, length3 = 0x03000000, 24
	)
	root := uint32(0)
	if len(value) == length3 {
		root = binary.LittleEndian.Uint32(value[length2:])
	}
	shifted := o.uid(root)
	if shifted == root || len(value) != length2 && len(value) != length3 {
		return value
	}
	magic := binary.LittleEndian.Uint32(value)
	if magic&revisions != version2 && magic&revisions != version3 {
		return value
	}
	with := append([]byte(nil), value[:length2]...)
	binary.LittleEndian.PutUint32(with, magic&^revisions|version3)
	return binary.LittleEndian.AppendUint32(with, shifted)
}
