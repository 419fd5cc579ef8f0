//go:build linux

package harness

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

var (
	// ourWords matches what asks for the text of our own errors: "container: WHAT OBJECT: CAUSE".
	ourWords = regexp.MustCompile(`\b(stdout|stderr|grep|cmp)\b.*\bcontainer: `)
	// ours matches a line that is for our own programs alone.
	ours = regexp.MustCompile(`^\s*(\[[^]]+\]\s*)*\[ours\]`)
	// silence matches a line that takes an empty stream for an answer.
	silence = regexp.MustCompile(`^! (stdout|stderr)\b`)
	// inWords matches a line that asks for an answer, or looks at what came of it.
	inWords = regexp.MustCompile(`^(\[[^]]+\]\s*)*` +
		`(stdout|stderr|cmp|cgroup|running|exits|until|wait|! exists|` +
		`exec (cat|find|ls|stat|pgrep|hostname|sh))\b`)
)

// TestOutcomes requires of the scripts of the steps that they test outcomes and not our words: the
// program under test is anybody's.
func TestOutcomes(t *testing.T) {
	for _, s := range allScripts(t) {
		archive, err := txtar.ParseFile(s.File)
		require.NoError(t, err)
		text := string(archive.Comment)
		if strings.Contains(text, "[!ours] skip") {
			continue
		}
		for i, line := range strings.Split(text, "\n") {
			if ourWords.MatchString(line) && !ours.MatchString(line) {
				t.Errorf("%s:%d: asks for our own words: %s", s.File, i+1, line)
			}
		}
		for _, f := range archive.Files {
			for line := range strings.Lines(string(f.Data)) {
				if ourWords.MatchString(line) {
					t.Errorf("%s: %s: asks for our own words: %s", s.File, f.Name,
						strings.TrimSpace(line))
				}
			}
		}
	}
}

// TestWitness requires of each script that it asks for an answer. An exit status and silence could
// be those of a program that does nothing.
func TestWitness(t *testing.T) {
	for _, s := range allScripts(t) {
		archive, err := txtar.ParseFile(s.File)
		require.NoError(t, err)
		lines := strings.Split(string(archive.Comment), "\n")
		asks := false
		for _, line := range lines {
			asks = asks || inWords.MatchString(line) && !silence.MatchString(line)
		}
		if !asks {
			t.Errorf("%s: a program that does nothing may pass", s.File)
		}
	}
}

// TestSeconds requires of the scripts that they wait for events and not for a time to pass.
func TestSeconds(t *testing.T) {
	tries := regexp.MustCompile(`tries|seq [0-9]+\).*sleep|^exec sleep [0-9.]+$`)
	root, err := ModuleRoot()
	require.NoError(t, err)
	runtimes, _, err := readStep(root, Runtime)
	require.NoError(t, err)
	for _, s := range append(allScripts(t), runtimes...) {
		archive, err := txtar.ParseFile(s.File)
		require.NoError(t, err)
		for line := range strings.Lines(string(txtar.Format(archive))) {
			if tries.MatchString(strings.TrimSpace(line)) {
				t.Errorf("%s: the machine's speed decides: %s", s.File, strings.TrimSpace(line))
			}
		}
	}
}

// allScripts are those of all steps.
func allScripts(t *testing.T) (all []Script) {
	root, err := ModuleRoot()
	require.NoError(t, err)
	steps, err := Steps(root)
	require.NoError(t, err)
	for _, step := range steps {
		scripts, _, err := readStep(root, step)
		require.NoError(t, err)
		all = append(all, scripts...)
	}
	return all
}
