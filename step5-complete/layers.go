//go:build linux

package main

import (
	"errors"
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
		trace("copy %s", *rootfs)
		same := func(uid, gid uint32) (int, int) { return int(uid), int(gid) }
		if err := copyTree(lower, layer+"/upper", same); err != nil && !(*keep != "" && errors.Is(err, os.ErrExist)) {
			return "", fmt.Errorf("copy %q: %w", *rootfs, err)
		}
		return root, unix.Mount(layer+"/upper", root, "", unix.MS_BIND, "")
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, layer, layer)
	if has(unix.CLONE_NEWUSER) { // trusted attributes are for root of the host: see overlayfs.rst, userxattr
		options += ",userxattr"
	}
	return root, mountOn(root, "overlay", unix.MS_NODEV, options)
}

// mountOn mounts a new file system on a path of the host.
func mountOn(target, fstype string, flags uintptr, options string) error {
	trace("mount %s %s %s", fstype, target, options)
	if err := unix.Mount(fstype, target, fstype, flags, options); err != nil {
		return fmt.Errorf("mount %s %q: %w", fstype, target, err)
	}
	return nil
}
