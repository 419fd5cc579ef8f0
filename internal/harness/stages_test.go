//go:build linux

package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/lessons"
)

const lesson = "step5-complete"

// TestStages requires of each chapter that its promises are kept when it is built, after the
// chapters before it and after the first one alone, and that they were not kept before: the ways
// out that it closes were open.
func TestStages(t *testing.T) {
	NeedsGo(t)
	root, err := ModuleRoot()
	require.NoError(t, err)
	host, err := NewHost(root)
	require.NoError(t, err)
	defer host.Close()
	chapters, err := Chapters(root, lesson)
	require.NoError(t, err)
	require.NotEmpty(t, chapters)
	programs := &stages{root: root}
	done := ""
	for i, chapter := range chapters {
		done += chapter.Letter
		if programs.letters = append(programs.letters, done); i > 1 {
			programs.letters = append(programs.letters, chapters[0].Letter+chapter.Letter)
		}
	}
	defer func() { require.NoError(t, os.RemoveAll(programs.dir)) }()
	done = ""
	for i, chapter := range chapters {
		before := done
		done += chapter.Letter
		t.Run(chapter.Letter, func(t *testing.T) {
			scripts := slices.Concat(chapter.Promises, chapter.WaysOut)
			// Some promises hold before, and must not be broken. The first one is what is new.
			isNew := append(chapter.Promises[:1:1], chapter.WaysOut...)
			for id, e := range judgeAll(t, host, programs.after(t, before), isNew) {
				if e.Status == Passed {
					t.Errorf("%s is kept without the chapter", id)
				}
			}
			stages := []string{done}
			if i > 1 {
				stages = append(stages, chapters[0].Letter+chapter.Letter)
			}
			for _, letters := range stages {
				for id, e := range judgeAll(t, host, programs.after(t, letters), scripts) {
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

// stages are the programs as they are after some chapters. All are compiled when the first is
// needed.
type stages struct {
	root    string
	letters []string
	dir     string // of the programs
}

// after returns the program after these chapters. Without any it is that of the step before.
func (s *stages) after(t *testing.T, letters string) string {
	if s.dir == "" {
		s.build(t)
	}
	return filepath.Join(s.dir, "after-"+letters)
}

func (s *stages) build(t *testing.T) {
	programs := map[string]map[string][]byte{}
	for _, letters := range s.letters {
		files, err := lessons.Stage(filepath.Join(s.root, lesson), letters)
		require.NoError(t, err)
		programs["after-"+letters] = files
	}
	dir, err := os.MkdirTemp("", "container-stages-")
	require.NoError(t, err)
	s.dir = dir
	require.NoError(t, BuildAll(t.Context(), dir, s.root, programs))
	before := filepath.Join(s.root, "step4-cgroups")
	require.NoError(t, Build(t.Context(), filepath.Join(dir, "after-"), before))
}

// judgeAll runs each of the scripts against a program and returns what became of them.
func judgeAll(t *testing.T, host *Host, program string, scripts []Script) map[string]Event {
	results := map[string]Event{}
	o := Options{Program: program, Ours: true, All: true}
	require.NoError(t, host.Check(t.Context(), o, scripts, func(e Event) {
		if e.Status != Started {
			results[e.Script.ID()] = e
		}
	}))
	require.Len(t, results, len(scripts))
	return results
}
