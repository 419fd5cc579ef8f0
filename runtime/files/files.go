//go:build linux

// Package files reads and writes the small files by which the kernel and an administrator speak. It
// makes just the system calls for that: package os prepares each file for waiting, which takes
// longer than the reading.
package files

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// maxSize is more than any of them has, be it a hosts(5) with all that is not to be reached.
const maxSize = 1 << 23

// Read returns the text of a file. One that is not a regular file has none: a pipe may be waited
// for forever.
func Read(path string) (string, error) {
	const flags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
	fd, err := unix.Open(path, flags, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return ReadRegular(fd)
}

// ReadIfThere returns the text of a file that need not be there, or be for this user to read.
func ReadIfThere(path string) (string, error) {
	text, err := ReadIfExists(path)
	if errors.Is(err, unix.EACCES) {
		return "", nil
	}
	return text, err
}

// ReadIfExists returns the text of a file that need not be there. A link to itself is none.
func ReadIfExists(path string) (string, error) {
	text, err := Read(path)
	for _, absent := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP} {
		if errors.Is(err, absent) {
			return "", nil
		}
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return text, nil
}

// ReadFD returns the text of an open file. One that is too large is an error.
func ReadFD(fd int) (string, error) {
	text := make([]byte, 0, 512) // most are smaller, and this much fits on the stack
	for len(text) < maxSize {
		if len(text) == cap(text) {
			text = append(text, make([]byte, cap(text))...)[:len(text)]
		}
		n, err := unix.Read(fd, text[len(text):cap(text)])
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return string(text), err
		}
		text = text[:len(text)+n]
	}
	return string(text), unix.EFBIG
}

// ReadRegular returns the text of an open file, and nothing if it is not a regular one.
func ReadRegular(fd int) (string, error) {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
		return "", err
	}
	return ReadFD(fd)
}

// Write writes a text to a file that is there, in one system call: a file of the kernel takes it as
// a whole.
func Write(path, text string) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Write(fd, []byte(text))
		if errors.Is(err, unix.EINTR) { // as memory.limit_in_bytes may return
			continue
		}
		if err == nil && n < len(text) {
			err = io.ErrShortWrite
		}
		return err
	}
}
