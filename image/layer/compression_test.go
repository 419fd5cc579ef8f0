//go:build linux

package layer

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// TestWindow reads what needs as much memory as the program zstd takes, and refuses more.
func TestWindow(t *testing.T) {
	text := bytes.Repeat([]byte("text "), 1<<17) // longer than a block, so that there is a window
	for window, want := range map[int]string{
		maxWindow: "",
		2 * maxWindow: "zstd: needs a window of more than 128 MiB (compress it without --long, " +
			"or with --long=27)",
	} {
		var packed bytes.Buffer
		w, err := zstd.NewWriter(&packed, zstd.WithWindowSize(window))
		require.NoError(t, err)
		_, err = w.Write(text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		r, err := Decompress(&packed)
		require.NoError(t, err)
		defer r.Close()
		got, err := io.ReadAll(r)
		if want != "" {
			require.EqualError(t, err, want)
			continue
		}
		require.NoError(t, err)
		require.True(t, bytes.Equal(text, got))
	}
}

// TestCompressions reads what is compressed in all ways that are found in images, whatever their
// media types say.
func TestCompressions(t *testing.T) {
	pack := func(newWriter func(io.Writer) io.WriteCloser, text string) string {
		var packed bytes.Buffer
		w := newWriter(&packed)
		_, err := io.WriteString(w, text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return packed.String()
	}
	gzipped := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zstandard := func(w io.Writer) io.WriteCloser {
		packed, err := zstd.NewWriter(w)
		require.NoError(t, err)
		return packed
	}
	const skipped = "\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" // pzstd writes such a frame
	const bzip2 = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xc0\x6f\xe0\x65\x00\x00\x01\xc1\x80" +
		"\x00\x10\x02\x00\x04\x40\x20\x00\x21\x8c\x83\x34\xd0\x88\xf1\x77\x24\x53\x85" +
		"\x09\x0c\x06\xfe\x06\x50"
	for name, packed := range map[string]string{
		"not at all":         "text\n",
		"gzip":               pack(gzipped, "text\n"),
		"gzip in two parts":  pack(gzipped, "te") + pack(gzipped, "xt\n"),
		"gzip, and nothing":  pack(gzipped, "text\n") + pack(gzipped, ""),
		"zstd":               pack(zstandard, "text\n"),
		"zstd in two parts":  pack(zstandard, "te") + pack(zstandard, "xt\n"),
		"zstd, and a remark": pack(zstandard, "text\n") + skipped,
		"a remark, and zstd": skipped + pack(zstandard, "text\n"),
		"bzip2":              bzip2,
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Decompress(strings.NewReader(packed))
			require.NoError(t, err)
			defer r.Close()
			got, err := io.ReadAll(r)
			require.NoError(t, err)
			require.Equal(t, "text\n", string(got))
		})
	}
	_, err := Decompress(strings.NewReader("\xfd7zXZ\x00\x00\x04"))
	require.EqualError(t, err, "compressed with xz: unpack it before (xz -d)")
}
