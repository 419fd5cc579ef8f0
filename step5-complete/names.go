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

// writeNames writes them on the stage.
func writeNames(j *job) error {
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
		return fmt.Errorf("mkdir: %w", err)
	}
	for i, file := range nameFiles {
		if err := os.WriteFile(path.Join(stage, file), []byte(texts[i]), 0o644); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}

// resolvers is the resolv.conf of the host, without servers on the loopback interface of the host: the
// container has another. Where systemd-resolved is that server, it keeps a file with those behind it.
func resolvers() string {
	text := readSmall("", "etc/resolv.conf")
	if !has(unix.CLONE_NEWNET) {
		return text
	}
	if strings.Contains(text, "nameserver 127.0.0.53") {
		text = readSmall("", "run/systemd/resolve/resolv.conf")
	}
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "nameserver 127.") && !strings.HasPrefix(line, "nameserver ::1") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// bindNames mounts them over those of the root file system. What has no place for them goes without: a
// link to a directory that is not there, or a root file system that cannot be written to.
func bindNames(h *host) error {
	for _, file := range nameFiles {
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
		fd, err := h.clone(path.Join(stage, file)[1:])
		if err != nil {
			return fmt.Errorf("open_tree %q: %w", file, err)
		}
		defer unix.Close(fd)
		trace("bind /%s", file)
		if err := attachTo(fd, target); err != nil {
			return fmt.Errorf("bind %q: %w", "/"+file, err)
		}
	}
	return nil
}
