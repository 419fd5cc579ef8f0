package harness

import "strings"

// Words takes a line of a script apart as testscript does: words are separated by blanks, and in
// quotation marks ' a blank is one like any other. Two of them in there stand for one. Variables
// are expanded by the function, except in quotation marks; nil leaves them as they are.
func Words(line string, variable func(string) string) (words []string) {
	var word, bare strings.Builder // bare is the part that was not quoted yet
	quoted, inWord := false, false
	flush := func() {
		text := bare.String()
		bare.Reset()
		if variable != nil {
			text = expand(text, variable)
		}
		word.WriteString(text)
	}
	end := func() {
		flush()
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case ch == '\'' && quoted && i+1 < len(line) && line[i+1] == '\'':
			word.WriteByte(ch)
			i++
		case ch == '\'':
			flush()
			quoted, inWord = !quoted, true
		case quoted:
			word.WriteByte(ch)
		case ch == ' ' || ch == '\t':
			end()
		default:
			bare.WriteByte(ch)
			inWord = true
		}
	}
	end()
	return words
}

// expand replaces $NAME and ${NAME}.
func expand(text string, variable func(string) string) string {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "$")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name := after
		if inner, rest, ok := strings.Cut(strings.TrimPrefix(after, "{"), "}"); ok &&
			after[0] == '{' {
			name, after = inner, rest
		} else {
			name = after[:len(after)-len(strings.TrimLeft(after, letters))]
			after = after[len(name):]
		}
		out.WriteString(variable(name))
		text = after
	}
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"
