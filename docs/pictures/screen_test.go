package main

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestScreen requires that words are in the cells and in the style that the terminal has for them.
func TestScreen(t *testing.T) {
	s := screen{columns: 12}
	picture, err := s.draw("ab  \x1b[1mcd \x1b[31m✗\n\n\x1b[0;2m<e>\x1b[22;39;49m f\n\n", "t", "d")
	require.NoError(t, err)
	var texts []string
	text := regexp.MustCompile(`(?m)^<text (.*)</text>$`)
	for _, match := range text.FindAllSubmatch(picture, -1) {
		texts = append(texts, string(match[1]))
	}
	const fit = `lengthAdjust="spacingAndGlyphs">`
	require.Equal(t, []string{
		`x="16" y="31" textLength="18" ` + fit + `ab`,
		`class="bold" x="52" y="31" textLength="18" ` + fit + `cd`,
		`class="bold red" x="79" y="31" textLength="9" ` + fit + `✗`,
		`class="faint" x="16" y="73" textLength="27" ` + fit + `&lt;e&gt;`,
		`x="52" y="73" textLength="9" ` + fit + `f`,
	}, texts)
	require.Contains(t, string(picture), `viewBox="0 0 140 95"`)
}

// TestScreenRefuses requires that nothing is left out of a picture without a word.
func TestScreenRefuses(t *testing.T) {
	for text, why := range map[string]string{
		"wide":              "line 1: 4 columns, and there are 3",
		"a\n\x1b[7mb":       `line 2: sequence "7": no picture of it`,
		"\x1b[38;5;9mc":     `line 1: sequence "38;5;9": no picture of it`,
		"\x1b[2J\x1b[1mabc": `line 1: sequence "2J`,
	} {
		s := screen{columns: 3}
		_, err := s.draw(text, "t", "d")
		require.ErrorContains(t, err, why)
	}
}
