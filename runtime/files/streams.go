//go:build linux

package files

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"
)

// A Stream is a standard stream: its descriptor. In package os a write to a pipe without a reader
// would end this process, and an error would be all that there is for a pipe that somebody has made
// non-blocking and that is full: whoever shares it may do that (O_NONBLOCK of open(2)).
type Stream int

// The standard streams.
const Stdin, Stdout, Stderr = Stream(0), Stream(1), Stream(2)

// Write writes all of it.
func (s Stream) Write(b []byte) (written int, err error) {
	for written < len(b) {
		n, err := unix.Write(int(s), b[written:])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := s.await(unix.POLLOUT); err != nil {
				return written, err
			}
		case err != nil:
			return written, fmt.Errorf("write %s: %w", s, err)
		default:
			written += n
		}
	}
	return written, nil
}

// Read waits until there is something to read, or the end.
func (s Stream) Read(b []byte) (n int, err error) {
	for {
		n, err := unix.Read(int(s), b)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := s.await(unix.POLLIN); err != nil {
				return 0, err
			}
		case err != nil:
			return 0, fmt.Errorf("read %s: %w", s, err)
		case n == 0 && len(b) > 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (s Stream) await(event int16) error {
	_, err := unix.Poll([]unix.PollFd{{Fd: int32(s), Events: event}}, -1)
	if err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll %s: %w", s, err)
	}
	return nil
}

func (s Stream) String() string {
	return [...]string{"/dev/stdin", "/dev/stdout", "/dev/stderr"}[s]
}
