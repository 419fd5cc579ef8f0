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

// TestBothEnds requires the last line of a text that is too long to be shown.
func TestBothEnds(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		"1\n2\n3\n4\n":                         "1\n2\n3\n4",
		"1\n2\n3\n4\n5\n6\n7\n8\n9\nerror\n\n": "1\n2\n… (7 more lines)\nerror",
	} {
		require.Equal(t, want, bothEnds(text, 3))
	}
}
