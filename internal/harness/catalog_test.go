//go:build linux

package harness

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// catalogue writes a module with these files, by their names below testdata, and returns its root.
func catalogue(t *testing.T, files map[string]string) (root string) {
	root = t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, "testdata", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	return root
}

// ids are the names of scripts as step/name.
func ids(scripts []Script) (all []string) {
	for _, s := range scripts {
		all = append(all, s.ID())
	}
	return all
}

var twoSteps = map[string]string{
	"step1-one/order.txt":        "second\nfirst\n",
	"step1-one/first.txtar":      "",
	"step1-one/second.txtar":     "",
	"step1-one/changed.txtar":    "",
	"step1-one/not-yet-ps.txtar": "",
	"step2-two/order.txt": "chapter a 35 The command\nb\na\n\nchapter h 30 optional A " +
		"network\nc\nescape-x\n",
	"step2-two/a.txtar":           "",
	"step2-two/b.txtar":           "",
	"step2-two/c.txtar":           "",
	"step2-two/escape-x.txtar":    "",
	"step2-two/changed.txtar":     "",
	"step2-two/not-yet-dev.txtar": "",
	"runtime/b.txtar":             "",
	"runtime/own.txtar":           "[!ours] skip 'nobody asks for it'\n",
}

func TestScripts(t *testing.T) {
	root := catalogue(t, twoSteps)
	scripts, err := Scripts(root, "step1-one")
	require.NoError(t, err)
	require.Equal(t, []string{
		"step1-one/second", "step1-one/first", "step1-one/changed", "step1-one/not-yet-ps",
	}, ids(scripts))

	scripts, err = Scripts(root, "step2-two")
	require.NoError(t, err)
	require.Equal(t, []string{
		"step1-one/second", "step1-one/first",
		"step2-two/b", "step2-two/a", "step2-two/c", "step2-two/escape-x", "step2-two/changed",
		"step2-two/not-yet-dev",
	}, ids(scripts), "a script that a later step replaces does not run, nor does what was not "+
		"isolated yet")
	require.Equal(t, "a", scripts[3].Chapter)
	require.Equal(t, "h", scripts[5].Chapter)
	require.Empty(t, scripts[0].Chapter)

	scripts, err = Scripts(root, Runtime)
	require.NoError(t, err)
	require.Equal(t, []string{
		"step1-one/second", "step1-one/first",
		"step2-two/a", "step2-two/c", "step2-two/escape-x", "step2-two/changed",
		"runtime/b", "runtime/own",
	}, ids(scripts))
	require.False(t, scripts[6].Ours())
	require.True(t, scripts[7].Ours())

	_, err = Scripts(root, "step3-three")
	require.ErrorContains(t, err, "step3-three")
}

func TestChapters(t *testing.T) {
	root := catalogue(t, twoSteps)
	chapters, err := Chapters(root, "step2-two")
	require.NoError(t, err)
	require.Len(t, chapters, 2)
	a, h := chapters[0], chapters[1]
	require.Equal(t, []any{"a", "The command", 35, false},
		[]any{a.Letter, a.Title, a.Minutes, a.Optional})
	require.Equal(t, []string{"step2-two/b", "step2-two/a"}, ids(a.Promises))
	require.Empty(t, a.WaysOut)
	require.Equal(t, []any{"h", "A network", 30, true},
		[]any{h.Letter, h.Title, h.Minutes, h.Optional})
	require.Equal(t, []string{"step2-two/c"}, ids(h.Promises))
	require.Equal(t, []string{"step2-two/escape-x"}, ids(h.WaysOut))

	chapters, err = Chapters(root, "step1-one")
	require.NoError(t, err)
	require.Empty(t, chapters)
}

func TestOrderMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a\na\n":                           "line 2: a: a second time",
		"chapter a 35\n":                   "line 1: want a name",
		"chapter a soon A title\n":         `line 1: minutes "soon"`,
		"chapter a 1 One\nchapter a 1 Two": "line 2: chapter a: a second time",
		"one two\n":                        "line 1: want a name",
	} {
		_, err := parseOrder("step", text)
		require.ErrorContains(t, err, want, text)
	}
}

// TestOrder compares the files order.txt of this module with the scripts beside them.
func TestOrder(t *testing.T) {
	root, err := ModuleRoot()
	require.NoError(t, err)
	steps, err := Steps(root)
	require.NoError(t, err)
	for _, step := range append(steps, "demos") {
		text, err := os.ReadFile(filepath.Join(root, "testdata", step, "order.txt"))
		require.NoError(t, err)
		o, err := parseOrder(step, string(text))
		require.NoError(t, err, step)
		scripts, chapters, err := readStep(root, step)
		require.NoError(t, err)
		rest := slices.Clone(o.names)
		for _, s := range scripts {
			i := slices.Index(rest, s.Name)
			if i >= 0 {
				rest = slices.Delete(rest, i, i+1)
				continue
			}
			// A step 5 without chapters names only those that are met first.
			if !s.NotYet() && (!strings.HasPrefix(step, "step5") || len(chapters) > 0) {
				t.Errorf("%s: not in order.txt", s.ID())
			}
		}
		require.Empty(t, rest, "%s/order.txt: there are no such scripts", step)
	}
}

// TestFlagsAsked requires of a script of steps 1 to 4 that asks for a flag which the article's
// program does not have, that it says so: a program without the flag is not broken.
func TestFlagsAsked(t *testing.T) {
	root, err := ModuleRoot()
	require.NoError(t, err)
	steps, err := Steps(root)
	require.NoError(t, err)
	asks := regexp.MustCompile(`(?m)^[^#\n]*\bcontainer run (?:[^\n]* )?-(rootfs|ns|hostname) `)
	for _, step := range steps[:4] {
		scripts, _, err := readStep(root, step)
		require.NoError(t, err)
		for _, s := range scripts {
			text, err := os.ReadFile(s.File)
			require.NoError(t, err)
			for _, m := range asks.FindAllStringSubmatch(string(text), -1) {
				require.Contains(t, string(text), "[!flag:"+m[1]+"] skip ", s.ID())
			}
		}
	}
}

// TestPromise looks for the promise of a line: a sentence may begin in one comment and go on in the
// next ones.
func TestPromise(t *testing.T) {
	file := filepath.Join(t.TempDir(), "usage.txtar")
	require.NoError(t, os.WriteFile(file, []byte("# Wrong usage is status 2: no argument,\n"+
		"exits 2 container\n# or another word.\n\nexits 2 container fly\n# It ends.\nstdout .\n"),
		0o644))
	for line, want := range []string{
		0: "Wrong usage is status 2: no argument, or another word.",
		2: "Wrong usage is status 2: no argument ...",
		5: "Wrong usage is status 2: no argument, or another word.",
		7: "It ends.",
	} {
		if want != "" {
			promise, err := Script{Name: "usage", File: file}.Promise(line)
			require.NoError(t, err)
			require.Equal(t, want, promise, "line %d", line)
		}
	}
}
