//go:build linux

package layer

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Decompress returns what is compressed in a blob, with gzip, zstd, bzip2 or not at all. The first
// bytes tell: the media types of images are not always right. It reads ahead, on another processor.
func Decompress(blob io.Reader) (io.ReadCloser, error) {
	const ahead = 1 << 16
	buffered := bufio.NewReaderSize(blob, ahead)
	start, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, err
		}
		return readAhead(unpacked), nil
	case bytes.HasPrefix(start, []byte("BZh")):
		return readAhead(bzip2.NewReader(buffered)), nil
	case bytes.HasPrefix(start, []byte("\xfd7zXZ\x00")):
		return nil, errors.New("compressed with xz: unpack it before (xz -d)")
	case isZstd(start):
		unpacked, err := zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, err
		}
		return readAhead(zstdReader{unpacked}), nil
	}
	return plainReader{buffered}, nil
}

// isZstd tells whether data begin with a frame of zstd, or with one to be skipped, as pzstd writes
// it (RFC 8878, 3.1.1 and 3.1.2).
func isZstd(start []byte) bool {
	isSkipped := len(start) > 3 && start[0]&0xf0 == 0x50 &&
		bytes.Equal(start[1:4], []byte{0x2a, 0x4d, 0x18})
	return isSkipped || bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd})
}

// maxWindow is how far back data compressed with zstd may refer, and so what must be in memory.
// Everybody has to support 8 MiB (RFC 8878, 3.1.1.1.2). The program zstd takes what needs up to
// 128 MiB, the most that --ultra makes of it, unless it is asked for more.
const maxWindow = 128 << 20

type zstdReader struct{ io.Reader }

func (r zstdReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("zstd: needs a window of more than %d MiB (compress it without --long, "+
			"or with --long=27)", maxWindow>>20)
	}
	return n, err
}

type plainReader struct{ io.Reader }

func (plainReader) Close() error { return nil }

// IsCompressed tells whether what Decompress returned differs from what it got.
func IsCompressed(r io.ReadCloser) bool {
	_, plain := r.(plainReader)
	return !plain
}

// aheadReader reads what another goroutine reads for it.
type aheadReader struct {
	chunks  chan chunk
	free    chan []byte
	done    chan struct{}
	current chunk
	buffer  []byte // that current is in
}

type chunk struct {
	data []byte
	err  error
}

func readAhead(r io.Reader) io.ReadCloser {
	const chunks, size = 4, 1 << 18
	a := &aheadReader{
		chunks: make(chan chunk, chunks),
		free:   make(chan []byte, chunks),
		done:   make(chan struct{}),
	}
	for range chunks {
		a.free <- make([]byte, size)
	}
	go func() {
		for {
			var buffer []byte
			select {
			case buffer = <-a.free:
			case <-a.done:
				return
			}
			c := fill(r, buffer)
			a.chunks <- c
			if c.err != nil {
				return
			}
		}
	}()
	return a
}

// fill reads until the buffer is full. It tells the end of the data from that of an archive that is
// cut off, which io.ReadFull does not.
func fill(r io.Reader, buffer []byte) (c chunk) {
	n := 0
	for n < len(buffer) && c.err == nil {
		var m int
		m, c.err = r.Read(buffer[n:])
		n += m
	}
	c.data = buffer[:n]
	return c
}

func (a *aheadReader) Read(p []byte) (int, error) {
	for len(a.current.data) == 0 {
		if a.current.err != nil {
			return 0, a.current.err
		}
		if a.buffer != nil {
			a.free <- a.buffer
		}
		a.current = <-a.chunks
		a.buffer = a.current.data[:cap(a.current.data)]
	}
	n := copy(p, a.current.data)
	a.current.data = a.current.data[n:]
	return n, nil
}

// Close ends the other goroutine at its next chunk.
func (a *aheadReader) Close() error {
	close(a.done)
	return nil
}
