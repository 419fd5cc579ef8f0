package record

import (
	"fmt"
	"slices"
	"strings"
)

// flag is one bit of an argument, or several, with its name.
type flag struct {
	bits uint64
	name string
}

// flagNames are the names of the bits that are set; what has no name is a number.
func flagNames(value uint64, flags []flag) string {
	var names []string
	for _, f := range flags {
		if f.bits != 0 && value&f.bits == f.bits {
			names = append(names, f.name)
			value &^= f.bits
		}
	}
	if value != 0 || len(names) == 0 {
		names = append(names, number(value))
	}
	return strings.Join(names, "|")
}

func number(value uint64) string {
	if value == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", value)
}

// list joins words as a sentence does: "a, b and c".
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// short cuts what is too long for a sentence.
func short(text string) string {
	const most = 60
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// plural is a number of things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// quoted is a text of the program in a sentence.
func quoted(text string) string { return fmt.Sprintf("%q", short(text)) }

// shortIDs cuts ids of containers, which have 64 digits, to the 12 that engines show.
func shortIDs(text string) string {
	const digits, shown = 64, 12
	var cut strings.Builder
	done, begins := 0, 0 // what is cut, and where the digits begin
	for i := range len(text) + 1 {
		if i < len(text) && strings.IndexByte("0123456789abcdef", text[i]) >= 0 {
			continue
		}
		if i-begins == digits {
			cut.WriteString(text[done:begins+shown] + "…")
			done = i
		}
		begins = i + 1
	}
	return cut.String() + text[done:]
}

// isEmpty tells whether a step has changed nothing.
func (c *Changes) isEmpty() bool {
	return len(c.Processes)+len(c.Mounts)+len(c.Hostnames)+len(c.Interfaces)+len(c.Cgroups) == 0
}

// keyPath is a path in a key: numbers of processes and random names are left out.
func keyPath(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if isRandom(part) {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

// isRandom tells whether a name differs from run to run: it has many digits, or is a number.
func isRandom(name string) bool {
	digits, capitals := 0, 0
	for _, c := range name {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c >= 'A' && c <= 'Z':
			capitals++
		}
	}
	return digits == len(name) && digits > 0 || digits > 4 || len(name) > 20 && capitals > 8
}

// sorted is a copy in order.
func sorted(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return words
}

// isNumber tells whether a name consists of digits.
func isNumber(name string) bool { return name != "" && strings.Trim(name, "0123456789") == "" }
