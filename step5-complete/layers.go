//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

var layers = flag.String("layers", "overlay", "`HOW` the rootfs is used: overlay (written to a layer above it), copy, or bind (written to)")

// stage is where the root is put together, in a mount namespace that nobody else sees: a tmpfs, which is
// gone, with what the container wrote, when its last process is.
const stage = "/tmp"

// assembleRoot mounts the root of the container on the stage and returns its path.
func assembleRoot(trees []int) (root string, err error) {
	if err := mountOn(stage, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return "", err
	}
	for _, dir := range []string{"root", "lower", "layer", "layer/upper", "layer/work"} {
		if err := os.Mkdir(filepath.Join(stage, dir), 0o755); err != nil {
			return "", fmt.Errorf("mkdir: %w", err)
		}
	}
	root, lower, layer := stage+"/root", stage+"/lower", stage+"/layer"
	if *layers == "bind" {
		return root, attach(trees[0], root)
	}
	if err := attach(trees[0], lower); err != nil {
		return "", fmt.Errorf("rootfs %q: %w", *rootfs, err)
	}
	if *keep != "" {
		if err := attach(trees[1], layer); err != nil {
			return "", fmt.Errorf("keep %q: %w", *keep, err)
		}
	}
	if *layers == "copy" {
		if err := copyOnce(lower, layer+"/copy"); err != nil {
			return "", fmt.Errorf("copy %q: %w", *rootfs, err)
		}
		return root, unix.Mount(layer+"/copy", root, "", unix.MS_BIND, "")
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, layer, layer)
	if has(unix.CLONE_NEWUSER) { // trusted attributes are for root of the host: see overlayfs.rst, userxattr
		options += ",userxattr"
	}
	return root, mountOn(root, "overlay", unix.MS_NODEV, options)
}

// copyOnce copies a tree, or leaves it at the copy that was kept. Only what is complete has its name (rename(2)).
func copyOnce(from, to string) error {
	if _, err := os.Lstat(to); err == nil {
		return nil
	}
	trace("copy %s", *rootfs)
	part := to + ".part"
	if err := os.RemoveAll(part); err != nil { // of a container that was killed
		return err
	}
	defer os.RemoveAll(part) // what has failed takes no room
	if err := os.Mkdir(part, 0o755); err != nil {
		return err
	}
	same := func(uid, gid uint32) (int, int) { return int(uid), int(gid) }
	if err := copyTree(from, part, same); err != nil {
		return err
	}
	return os.Rename(part, to)
}

// mountOn mounts a new file system on a path of the host.
func mountOn(target, fstype string, flags uintptr, options string) error {
	trace("mount %s %s %s", fstype, target, options)
	if err := unix.Mount(fstype, target, fstype, flags, options); err != nil {
		return fmt.Errorf("mount %s %q: %w", fstype, target, err)
	}
	return nil
}
