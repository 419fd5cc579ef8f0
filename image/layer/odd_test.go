//go:build linux

package layer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// An oddHeader is a header of an archive as no program of today writes it (tar(5)).
type oddHeader struct {
	name, size string
	kind       byte
	magic      string
}

func (h oddHeader) String() string {
	const block, checksum = 512, 148
	header := make([]byte, block)
	for at, text := range map[int]string{
		0: h.name, 100: "0000644\x00", 108: "0000000\x00", 116: "0000000\x00", 124: h.size,
		136: "00000000000\x00", checksum: "        ", 156: string(h.kind), 257: h.magic,
	} {
		copy(header[at:], text)
	}
	sum := 0
	for _, b := range header {
		sum += int(b)
	}
	copy(header[checksum:], fmt.Sprintf("%06o\x00 ", sum))
	return string(header)
}

// padded is data as it is in an archive.
func padded(text string) string {
	const block = 512
	return text + strings.Repeat("\x00", (block-len(text)%block)%block)
}

// record is one of an extended header: its length counts itself.
func record(key, value string) string {
	text := " " + key + "=" + value + "\n"
	for length := len(text); ; length++ {
		if r := fmt.Sprint(length) + text; len(r) == length {
			return r
		}
	}
}

// TestOddArchives unpacks what old programs wrote, and some others write.
func TestOddArchives(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.Lacking(t, "needs root, to set owners")
	}
	const ustar, five, none = "ustar\x0000", "00000000005\x00", "00000000000\x00"
	const base256 = "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x05"
	header := func(name, size string, kind byte, magic string) string {
		return oddHeader{name, size, kind, magic}.String()
	}
	text := padded("text\n")
	file := func(name string) string { return header(name, five, '0', ustar) + text }
	extended := func(records ...string) string {
		all := strings.Join(records, "")
		return header("x", fmt.Sprintf("%011o\x00", len(all)), 'x', ustar) + padded(all)
	}
	long := strings.Repeat("n", 255)
	attribute := record("SCHILY.xattr.user.x", "a\x00b")
	size, path, other := record("size", "5"), record("path", "g"), record("path", "h")
	for _, odd := range []struct{ name, archive, want string }{
		{"no end", file("f"), "f"},
		{"of version 7", header("f", five, 0, "") + text, "f"},
		{"a directory of version 7", header("d/", none, 0, "") + file("d/f"), "d/f"},
		{"contiguous", header("f", five, '7', ustar) + text, "f"},
		{"a size in base 256", header("f", base256, '0', ustar) + text, "f"},
		{"another size", extended(size) + header("f", none, '0', ustar) + text, "f"},
		{"a name in Latin 1", file("caf\xe9"), "caf\xe9"},
		{"a name of 255 bytes", extended(record("path", long)) + file("f"), long},
		{"a name that is there twice", extended(path, other) + file("f"), "h"},
		{"a time before 1970", extended(record("mtime", "-1.5")) + file("f"), "f"},
		{"a time in small parts", extended(record("mtime", "1.00000000001")) + file("f"), "f"},
		{"an attribute with NUL", extended(attribute) + file("f"), "f"},
		{"a record of somebody", extended(record("VENDOR.x", "y")) + file("f"), "f"},
	} {
		t.Run(odd.name, func(t *testing.T) {
			dir := t.TempDir()
			limits := Limits{Bytes: 100, Entries: 9}
			_, err := Unpack(bytes.NewReader([]byte(odd.archive)), dir, nil, &limits)
			require.NoError(t, err)
			text, err := os.ReadFile(filepath.Join(dir, odd.want))
			require.NoError(t, err)
			require.Equal(t, "text\n", string(text))
			if strings.Contains(odd.archive, "xattr") {
				value := make([]byte, 9)
				n, err := unix.Getxattr(filepath.Join(dir, "f"), "user.x", value)
				require.NoError(t, err)
				require.Equal(t, "a\x00b", string(value[:n]))
			}
		})
	}
}
