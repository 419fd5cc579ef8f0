//go:build linux

package layer

import (
	"bytes"
	"io"
	"testing"

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
