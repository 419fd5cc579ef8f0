package main

import (
	"encoding/xml"
	"fmt"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const repository = "../.."

// The pictures that scripts/pictures.sh makes for the README.
const (
	watch  = "docs/screens/watch.svg"
	record = "docs/screens/record.png"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, file))
	require.NoError(t, err)
	return string(text)
}

// TestFiles requires that the files are those that the program draws, and no others.
func TestFiles(t *testing.T) {
	files, err := filepath.Glob("*.svg")
	require.NoError(t, err)
	require.Len(t, files, len(drawings()))
	for _, d := range drawings() {
		require.Equal(t, string(d.svg()), read(t, filepath.Join(dir, d.name+".svg")),
			"%s: go run ./docs/pictures", d.name)
	}
}

// TestForm requires that each file is whole, says in words what it shows, has colours for both
// kinds of pages, and asks for nothing from elsewhere.
func TestForm(t *testing.T) {
	files := map[string]string{"watch": read(t, watch)}
	for _, d := range drawings() {
		files[d.name] = string(d.svg())
	}
	for name, file := range files {
		t.Run(name, func(t *testing.T) {
			elements := map[string]int{}
			attributes := map[string]string{}
			decoder := xml.NewDecoder(strings.NewReader(file))
			for {
				token, err := decoder.Token()
				if err == io.EOF {
					break
				}
				require.NoError(t, err)
				if element, ok := token.(xml.StartElement); ok {
					elements[element.Name.Local]++
					for _, a := range element.Attr {
						attributes[a.Name.Local] = a.Value
					}
				}
			}
			assert.Equal(t, "img", attributes["role"])
			assert.Equal(t, "title desc", attributes["aria-labelledby"])
			assert.NotContains(t, attributes, "href")
			assert.Equal(t, 1, elements["title"])
			assert.Equal(t, 1, elements["desc"])
			for name := range elements {
				assert.Contains(t, []string{
					"svg", "title", "desc", "style", "marker", "path", "rect", "g", "text", "tspan",
				}, name)
			}
			assert.Contains(t, file, "@media (prefers-color-scheme: dark)")
			assert.NotContains(t, file, "@import")
			assert.NotRegexp(t, `url\([^#]`, file)
		})
	}
}

// TestContrast requires that all text can be read, and all lines seen, by people who see little
// (WCAG 2: 4.5 for text, 3 for lines).
func TestContrast(t *testing.T) {
	for name, p := range map[string]palette{"light": light, "dark": dark} {
		behind := []string{p.page}
		for _, l := range []look{host, own, key, gone} {
			behind = append(behind, p.fill[l])
			assert.GreaterOrEqual(t, contrast(t, p.border[l], p.fill[l]), 3.0, "%s: %s", name, l)
			assert.GreaterOrEqual(t, contrast(t, p.border[l], p.page), 3.0, "%s: %s", name, l)
		}
		for _, fill := range behind {
			assert.GreaterOrEqual(t, contrast(t, p.ink, fill), 4.5, "%s: text on %s", name, fill)
			assert.GreaterOrEqual(t, contrast(t, p.line, fill), 3.0, "%s: line on %s", name, fill)
			assert.GreaterOrEqual(t, contrast(t, p.cross, fill), 3.0, "%s: cross on %s", name, fill)
		}
		require.Len(t, p.inks, len(inks))
		for ink, color := range p.inks {
			assert.GreaterOrEqual(t, contrast(t, color, p.page), 4.5, "%s: %s", name, ink)
		}
		assert.GreaterOrEqual(t, contrast(t, p.line, p.page), 4.5, "%s: faint", name)
	}
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func luminance(t *testing.T, color string) (sum float64) {
	for i, share := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(color[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += share * c
	}
	return sum
}

// picture matches a picture of this directory in a README.
var picture = regexp.MustCompile(`!\[([^\]]*)\]\((?:\.\./)?docs/pictures/([^)]*)\)`)

// readmes are the texts with pictures.
var readmes = []string{
	".", "step1-skeleton", "step2-namespaces", "step3-rootfs", "step4-cgroups", "step5-complete",
	"runtime", "image",
}

// TestReadmes requires that each drawing is in one README, with a text alternative that says the
// same, and that each step and each chapter has one.
func TestReadmes(t *testing.T) {
	seen := map[string][]string{}
	for _, place := range readmes {
		for _, match := range picture.FindAllStringSubmatch(read(t, place+"/README.md"), -1) {
			seen[match[2]] = append(seen[match[2]], strings.Join(strings.Fields(match[1]), " "))
		}
		require.True(t, picture.MatchString(read(t, place+"/README.md")), place)
	}
	for _, d := range drawings() {
		require.Equal(t, []string{d.desc}, seen[d.name+".svg"], d.name)
	}
	require.Len(t, seen, len(drawings()))
	chapters := strings.Split(read(t, "step5-complete/README.md"), "\n## Chapter ")[1:]
	require.Len(t, chapters, 8)
	for i, chapter := range chapters {
		file := fmt.Sprintf("(../docs/pictures/step5%c.svg)", 'a'+i)
		require.True(t, strings.Contains(chapter, file), file)
	}
}

// TestWatch requires that the README has the picture of workshop watch, with the text alternative
// that is in it, and that the promise in it is one of ours.
func TestWatch(t *testing.T) {
	file := read(t, watch)
	of := regexp.MustCompile(`!\[([^\]]+)\]\(` + watch + `\)`)
	alternative := of.FindStringSubmatch(read(t, "README.md"))
	require.NotNil(t, alternative)
	desc := escape(strings.Join(strings.Fields(alternative[1]), " "))
	require.Contains(t, file, ">"+desc+"</desc>")
	script := regexp.MustCompile(`testdata/[a-z0-9-]*/[a-z0-9-]*\.txtar`).FindString(file)
	require.FileExists(t, filepath.Join(repository, script))
	require.NotContains(t, file, "/tmp")
}

// code matches what is written in the type of a program.
var code = regexp.MustCompile(`<tspan class="code">([^<]*)</tspan>`)

// TestRecord requires that the README has the picture of a recording, of the size of a projector,
// and that it does not weigh much.
func TestRecord(t *testing.T) {
	file := read(t, record)
	require.Less(t, len(file), 150_000)
	size, err := png.DecodeConfig(strings.NewReader(file))
	require.NoError(t, err)
	require.Equal(t, [2]int{1280, 720}, [2]int{size.Width, size.Height})
	alternative := regexp.MustCompile(`!\[[^\]]{100,}\]\(` + record + `\)`)
	require.True(t, alternative.MatchString(read(t, "README.md")))
}

// TestChinese requires that the README in Chinese has the pictures of the one in English.
func TestChinese(t *testing.T) {
	pictures := regexp.MustCompile(`!\[([^\]]+)\]\(([^)]*)\)`)
	files := func(readme string) (files []string) {
		for _, match := range pictures.FindAllStringSubmatch(read(t, readme), -1) {
			files = append(files, match[2])
		}
		return files
	}
	require.Equal(t, files("README.md"), files("README.zh-CN.md"))
}

// TestWords requires that names and numbers are those of the program: what is written in its type
// stands in the README or in the sources of its directory.
func TestWords(t *testing.T) {
	of := map[string]string{}
	for _, place := range readmes {
		text := read(t, place+"/README.md")
		sources, err := filepath.Glob(filepath.Join(repository, place, "*.go"))
		require.NoError(t, err)
		for _, file := range sources {
			source, err := os.ReadFile(file)
			require.NoError(t, err)
			text += string(source)
		}
		for _, match := range picture.FindAllStringSubmatch(text, -1) {
			of[match[2]] = picture.ReplaceAllString(text, "")
		}
	}
	unescape := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&quot;", `"`, "&amp;", "&").Replace
	for _, d := range drawings() {
		for _, match := range code.FindAllStringSubmatch(string(d.svg()), -1) {
			for _, word := range strings.Fields(unescape(match[1])) {
				word = strings.TrimSuffix(word, "...")
				assert.True(t, strings.Contains(of[d.name+".svg"], word), "%s: %q", d.name, word)
			}
		}
	}
}

// TestCapabilities requires that the cells that are filled are those of the number below them.
func TestCapabilities(t *testing.T) {
	mask := uint64(0)
	source := read(t, "step5-complete/rights.go")
	for _, c := range kept {
		mask |= 1 << c.number
		require.Contains(t, source, "unix.CAP_"+c.name+",\n")
	}
	require.Contains(t, string(rights().svg()), fmt.Sprintf("CapEff %016x", mask))
}
