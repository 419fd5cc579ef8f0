//go:build linux

package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRow requires the texts of an explanation in one column, also beside a label that fills its
// own.
func TestRow(t *testing.T) {
	for label, want := range map[string]string{
		"seen":        "  seen      one two three four\n            five\n",
		"letters-9":   "  letters-9 one two three four\n            five\n",
		"ten-letters": "  ten-letters\n            one two three four\n            five\n",
	} {
		var text bytes.Buffer
		out := newOutput(&text, true, func() {})
		out.width = 32
		out.row(label, "one two three four five")
		require.Equal(t, want, text.String())
	}
}
