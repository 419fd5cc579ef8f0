package wall

import (
	"fmt"
	"strings"
	"unicode"
)

// Limits of a name.
const (
	longestName = 40 // characters, without the marks on them
	mostMarks   = 4  // on one character: no script needs more
	// longestNumber is what the wall adds to a name that is there already: " (999)".
	longestNumber = 6
)

// blank are letters and signs that have no ink.
var blank = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x115f, Hi: 0x1160, Stride: 1},
	{Lo: 0x17b4, Hi: 0x17b5, Stride: 1},
	{Lo: 0x2800, Hi: 0x2800, Stride: 1},
	{Lo: 0x3164, Hi: 0x3164, Stride: 1},
	{Lo: 0xffa0, Hi: 0xffa0, Stride: 1},
}}

// joiners are the characters without ink that some scripts and signs cannot do without.
const joiners = "\u200c\u200d"

// CleanName makes a name fit to be shown: in one line, without characters that control the text
// round it, and with no more marks on a character than its line has room for. It refuses a name
// with nothing to see, and one that is too long.
func CleanName(name string) (string, error) { return clean(name, longestName) }

// clean is CleanName for names of so many characters.
func clean(name string, most int) (string, error) {
	var b strings.Builder
	seen, marks := 0, 0
	for _, c := range strings.Join(strings.Fields(strings.ToValidUTF8(name, "")), " ") {
		switch {
		case strings.ContainsRune(joiners, c):
			if marks == 0 && seen > 0 { // once, and between characters
				marks++
				b.WriteRune(c)
			}
		case unicode.Is(unicode.M, c):
			if marks++; seen > 0 && marks <= mostMarks {
				b.WriteRune(c)
			}
		case unicode.Is(blank, c):
		case c == ' ' || unicode.IsGraphic(c) && !unicode.IsSpace(c):
			if seen, marks = seen+1, 0; seen <= most {
				b.WriteRune(c)
			}
		}
	}
	clean := strings.Join(strings.Fields(b.String()), " ")
	switch {
	case strings.Trim(clean, joiners+" ") == "":
		return "", fmt.Errorf("name %q: must have 1 to %d characters that can be seen", name,
			most)
	case seen > most:
		return "", fmt.Errorf("name of %d characters: must have at most %d", seen, most)
	}
	return clean, nil
}
