//go:build linux

package harness

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/lessons"
	"container.example/workshop/internal/skip"
)

const lesson = "step5-complete"

// TestStages requires of each chapter that its promises are kept when it is built, after the
// chapters before it and after the first one alone, and that they were not kept before: the ways
// out that it closes were open. One in three chapters is tried after the first one alone (see
// skip.OneIn), and all of them after those before.
func TestStages(t *testing.T) {
	t.Parallel()
	NeedsGo(t)
	root, err := ModuleRoot()
	require.NoError(t, err)
	chapters, err := Chapters(root, lesson)
	require.NoError(t, err)
	require.NotEmpty(t, chapters)
	alone := map[string]bool{}
	for _, chapter := range skip.OneIn(t, 3, chapters[2:]) {
		alone[chapter.Letter] = true
	}
	with := make([][]string, len(chapters)) // the stages that have a chapter, by their letters
	done := ""
	for i, chapter := range chapters {
		done += chapter.Letter
		with[i] = []string{done}
		if alone[chapter.Letter] {
			with[i] = append(with[i], chapters[0].Letter+chapter.Letter)
		}
	}
	dir := t.TempDir()
	buildStages(t, dir, root, slices.Concat(with...))
	before := "" // the program of the step before
	for i, chapter := range chapters {
		without := before
		before = with[i][0]
		t.Run(chapter.Letter, func(t *testing.T) {
			t.Parallel()
			scripts := slices.Concat(chapter.Promises, chapter.WaysOut)
			// Some promises hold before, and must not be broken. The first one is what is new.
			isNew := append(chapter.Promises[:1:1], chapter.WaysOut...)
			for id, e := range judgeAll(t, stage5(dir, without), isNew) {
				if e.Status == Passed {
					t.Errorf("%s is kept without the chapter", id)
				}
			}
			for _, letters := range with[i] {
				for id, e := range judgeAll(t, stage5(dir, letters), scripts) {
					if e.Status == Failed || e.NotBuilt != "" {
						t.Errorf("%s is not kept with the chapters %s:\n%s", id, letters, e.Log)
					}
				}
			}
		})
	}
}

// TestTitles requires that a chapter is called the same in its file and in the plan.
func TestTitles(t *testing.T) {
	root, err := ModuleRoot()
	require.NoError(t, err)
	files, err := lessons.Files(filepath.Join(root, lesson))
	require.NoError(t, err)
	chapters, err := Chapters(root, lesson)
	require.NoError(t, err)
	for _, chapter := range chapters {
		title := fmt.Sprintf("\n// Chapter %s: %s.", chapter.Letter, chapter.Title)
		own := func(f lessons.File) bool { return strings.Contains(f.Text, title) }
		require.True(t, slices.ContainsFunc(files, own), "no file begins with %q", title)
	}
}

// stage5 is the program in dir that has these chapters. Without any it is that of the step before.
func stage5(dir, letters string) Options {
	return Options{Program: filepath.Join(dir, "after-"+letters), Ours: true}
}

// buildStages builds the programs that have these chapters, and that of the step before.
func buildStages(t *testing.T, dir, root string, stages []string) {
	programs := map[string]map[string][]byte{
		"after-": goFiles(t, filepath.Join(root, "step4-cgroups")),
	}
	for _, letters := range stages {
		files, err := lessons.Stage(filepath.Join(root, lesson), letters)
		require.NoError(t, err)
		programs["after-"+letters] = files
	}
	require.NoError(t, BuildAll(t.Context(), dir, root, programs))
}

// judgeAll runs each of the scripts against a program and returns what became of them.
func judgeAll(t *testing.T, o Options, scripts []Script) map[string]Event {
	results := map[string]Event{}
	o.All = true
	require.NoError(t, check(t.Context(), t, o, scripts, func(e Event) {
		if e.Status != Started {
			results[e.Script.ID()] = e
		}
	}))
	require.Len(t, results, len(scripts))
	return results
}
