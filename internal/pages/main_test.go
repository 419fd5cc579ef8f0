package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLinks requires that a link leads to the HTML of a page, and all others to where they led.
func TestLinks(t *testing.T) {
	for link, want := range map[string]string{
		"README.md":                     "README.html",
		"../step5/README.md#chapter-d":  "../step5/README.html#chapter-d",
		"#exercises":                    "#exercises",
		"testdata":                      "testdata",
		"runtime/list.go":               "runtime/list.go",
		"https://example.org/README.md": "https://example.org/README.md",
		"//example.org/README.md":       "//example.org/README.md",
	} {
		require.Equal(t, want, leadTo(link), link)
	}
}

// TestPage requires of a page what the workshop's pages are made of.
func TestPage(t *testing.T) {
	page, err := convert([]byte("# A & B\n\n| a | b |\n| - | - |\n| [c](d.md) | `<e>` |\n"))
	require.NoError(t, err)
	require.Contains(t, string(page), "<title>A &amp; B</title>")
	require.Contains(t, string(page), `<td><a href="d.html">c</a></td>`)
	require.Contains(t, string(page), `<td><code>&lt;e&gt;</code></td>`)
}

// TestModule makes the pages of this module, and requires that what they lead to is there: a file,
// and a heading in it.
func TestModule(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	pages, err := filepath.Glob(filepath.Join(root, "*.md"))
	require.NoError(t, err)
	below, err := filepath.Glob(filepath.Join(root, "*", "*.md"))
	require.NoError(t, err)
	pages = append(pages, below...)
	require.Greater(t, len(pages), 8)
	html := func(file string) string {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		page, err := convert(source)
		require.NoError(t, err)
		return string(page)
	}
	links := regexp.MustCompile(`(?:href|src)="([^":]*)"`)
	for _, page := range pages {
		for _, match := range links.FindAllStringSubmatch(html(page), -1) {
			path, id, _ := strings.Cut(match[1], "#")
			target := page
			if path != "" {
				source := regexp.MustCompile(`\.html$`).ReplaceAllString(path, ".md")
				target = filepath.Join(filepath.Dir(page), source)
				require.True(t, exists(target), "%s leads to %s", page, match[1])
			}
			if id != "" {
				require.Contains(t, html(target), ` id="`+id+`"`, "%s leads to %s", page, match[1])
			}
		}
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}
