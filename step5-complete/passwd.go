//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// named finds the line of a user in a passwd(5), or of a group in a group(5), of a root file system. A number is an id
// and never a name: or else the file could give it the rights of another.
func named(root, file, name string) []string {
	if _, err := parseID(name); err == nil {
		return entry(root, file, 2, name)
	}
	return entry(root, file, 0, name)
}

// entry finds the line of a file in the form of passwd(5) whose field number i is value: nil if there is none.
func entry(root, file string, i int, value string) []string {
	for line := range strings.Lines(readSmall(root, file)) {
		if fields := strings.Split(strings.TrimSpace(line), ":"); len(fields) > 2 && fields[i] == value {
			return fields
		}
	}
	return nil
}

// readSmall reads a file that need not be there, and that may be anything if a container brought it: a link that leads
// out of its root, a pipe that nobody writes to, or a terabyte of nothing.
func readSmall(root, file string) string {
	dir, err := unix.Open(root+"/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, file, &unix.OpenHow{
		Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT,
	})
	if err != nil {
		return ""
	}
	f := os.NewFile(uintptr(fd), file)
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	text, _ := io.ReadAll(io.LimitReader(f, 1<<20))
	return string(text)
}

// subordinates returns the ids that the caller may use besides its own, by subuid(5) or subgid(5).
func subordinates(file string) (start, count int) {
	uid := strconv.Itoa(os.Getuid())
	fields := entry("", file, 0, uid)
	if user := entry("", "etc/passwd", 2, uid); fields == nil && user != nil {
		fields = entry("", file, 0, user[0])
	}
	if len(fields) < 3 {
		return 0, 0
	}
	start, startErr := strconv.Atoi(fields[1])
	count, countErr := strconv.Atoi(fields[2])
	if startErr != nil || countErr != nil {
		return 0, 0
	}
	return start, count
}

// hasID tells whether an id is one of the user namespace whose map is in the file.
func hasID(file string, id int) bool {
	ids, err := os.ReadFile(file)
	for line := range bytes.Lines(ids) {
		var inside, outside, count int
		if _, err := fmt.Sscan(string(line), &inside, &outside, &count); err == nil && inside <= id && id-inside < count {
			return true
		}
	}
	return err != nil // without user namespaces no id is missing
}
