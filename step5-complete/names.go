//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// nameFiles tell a program what it and others are called: hosts(5), hostname(5) and resolv.conf(5).
var nameFiles = []string{"etc/hosts", "etc/hostname", "etc/resolv.conf"}

// writeNames writes them on the stage, and returns a detached mount of each.
func writeNames(j *job) (trees []int, err error) {
	name, _ := os.Hostname()
	address, _, _ := strings.Cut(j.address, "/")
	if address == "" {
		address = "127.0.1.1"
	}
	texts := []string{
		fmt.Sprintf("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n%s %s\n", address, name),
		name + "\n",
		resolvers(),
	}
	if err := os.Mkdir(path.Join(stage, "etc"), 0o755); err != nil {
		return nil, fmt.Errorf("mkdir: %w", err)
	}
	for i, file := range nameFiles {
		file = path.Join(stage, file)
		if err := os.WriteFile(file, []byte(texts[i]), 0o644); err != nil {
			return nil, fmt.Errorf("write: %w", err)
		}
		fd, err := unix.OpenTree(unix.AT_FDCWD, file, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("open_tree %q: %w", file, err)
		}
		trees = append(trees, fd)
	}
	return trees, nil
}

// resolvers is the resolv.conf of the host, without servers on the loopback interface of the host: the
// container has another. Where systemd-resolved is that server, it keeps a file with those behind it.
func resolvers() string {
	text := readSmall("", "etc/resolv.conf")
	if !has(unix.CLONE_NEWNET) {
		return text
	}
	if behind := readSmall("", "run/systemd/resolve/resolv.conf"); behind != "" && strings.Contains(text, "127.0.0.53") {
		text = behind
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) < 2 || fields[0] != "nameserver" || !isLoopback(fields[1]) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

func isLoopback(address string) bool { return strings.HasPrefix(address, "127.") || address == "::1" }

// bindNames mounts them over those of the root file system. What has no place for them goes without: a
// link to a directory that is not there, to a device, or a root file system that cannot be written to.
func bindNames(trees []int) error {
	for i, file := range nameFiles {
		target, err := openTargetInside("/"+file, false)
		if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EEXIST) || errors.Is(err, unix.ENOTDIR) {
			trace("no place for /%s: %v", file, err)
			continue
		}
		if err != nil {
			return fmt.Errorf("open %q: %w", "/"+file, err)
		}
		defer unix.Close(target)
		if isOn(target, unix.PROC_SUPER_MAGIC) || isOn(target, unix.SYSFS_MAGIC) {
			return fmt.Errorf("open %q: leads into /proc or /sys", "/"+file)
		}
		var stat unix.Stat_t
		if err := unix.Fstat(target, &stat); err != nil {
			return fmt.Errorf("stat %q: %w", "/"+file, err)
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFREG {
			trace("no place for /%s: not a regular file", file)
			continue
		}
		trace("bind /%s", file)
		if err := attachTo(trees[i], target); err != nil {
			return fmt.Errorf("bind %q: %w", "/"+file, err)
		}
	}
	return nil
}
