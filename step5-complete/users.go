//go:build linux

package main

// Chapter f: Root is nobody. Root of the container is some other user on the host, who owns nothing
// there. The files of the root file system are root's all the same: an idmapped mount translates.

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// The ids 0 to 65535 of the container are the ids from 100000 on the host. No user should have
// these.
const firstID, countIDs = 100000, 65536

// mapRange gives the container a range of ids, if the caller may: an ordinary user has one id to
// give (user_namespaces(7)).
func mapRange(attr *syscall.SysProcAttr) {
	if !hasRange() {
		return
	}
	ids := []syscall.SysProcIDMap{
		{ContainerID: 0, HostID: firstID, Size: countIDs},
	}
	attr.UidMappings, attr.GidMappings = ids, ids
	attr.GidMappingsEnableSetgroups = true
	attr.Credential = &syscall.Credential{Uid: 0, Gid: 0} // and no supplementary groups
}

// hasRange tells whether the caller is root and has these ids: root of a user namespace, such as
// that of a container around us, need not have them.
func hasRange() bool {
	var first, outside, count int
	text, err := os.ReadFile("/proc/self/uid_map")
	must(err, "uid_map")
	_, err = fmt.Sscan(string(text), &first, &outside, &count)
	must(err, "uid_map")
	return os.Getuid() == 0 && first <= firstID && firstID+countIDs <= first+count
}

// sendRootfs sends the child the root file system in the form of a mount that has no place yet
// (open_tree(2)), whose files have the owners that the child's user namespace has for them.
func sendRootfs(cmd *exec.Cmd, socket *os.File) error {
	const both = unix.CLONE_NEWUSER | unix.CLONE_NEWNS
	if !hasRange() || cmd.SysProcAttr.Cloneflags&both != both {
		return sendFile(socket, -1) // the files have the right owners as they are
	}
	if err := giveStreams(); err != nil {
		return err
	}
	namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", cmd.Process.Pid))
	if err != nil {
		return err
	}
	defer namespace.Close()
	tree, err := unix.OpenTree(unix.AT_FDCWD, *rootfs, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("rootfs %q: %w (make one with scripts/mkrootfs.sh)", *rootfs, err)
	}
	defer unix.Close(tree)
	attr := &unix.MountAttr{
		Attr_set:    unix.MOUNT_ATTR_IDMAP,
		Userns_fd:   uint64(namespace.Fd()),
		Propagation: unix.MS_PRIVATE, // or mounts made below it would appear on the host
	}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return fmt.Errorf("rootfs %q: idmapped mount: %w (%s)", *rootfs, err, idmapHint)
	}
	return sendFile(socket, tree)
}

const idmapHint = "its file system may not know them: use another one, or -ns without user"

// receiveRootfs gives the mount that the parent sends a place, and returns it. Without one that is
// the place where the root file system is.
func receiveRootfs(dir string) string {
	tree, err := receiveFile(childSocket)
	must(err, "rootfs %q", dir)
	if tree < 0 {
		return dir
	}
	// This user may not be allowed to reach dir. The mount covers the host's /tmp, in this mount
	// namespace alone.
	err = unix.MoveMount(tree, "", unix.AT_FDCWD, "/tmp", unix.MOVE_MOUNT_F_EMPTY_PATH)
	must(err, "rootfs %q: move_mount to /tmp", dir)
	return "/tmp"
}

// giveStreams gives pipes among the standard streams to root of the container, who may not open
// /dev/stdout otherwise: that opens the pipe once more (proc_pid_fd(5)).
func giveStreams() error {
	for _, stream := range []*os.File{os.Stdin, os.Stdout, os.Stderr} {
		var fs unix.Statfs_t
		err := unix.Fstatfs(int(stream.Fd()), &fs)
		if err != nil || fs.Type != unix.PIPEFS_MAGIC {
			continue // closed, or a file with a name, which is left alone
		}
		if err := stream.Chown(firstID, firstID); err != nil {
			return err
		}
	}
	return nil
}
