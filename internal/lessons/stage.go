// Package lessons knows how the programs of the steps are written down: step 5 has chapters, and
// the program after some of them is had from the finished one.
package lessons

import (
	"fmt"
	"go/format"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"container.example/workshop/internal/lazyregexp"
)

// A File is a Go file of a step, but for its tests.
type File struct {
	Name     string // main.go
	Chapters string // the letters of the chapters that bring it: none if each program has it
	Given    bool   // it is copied, and not typed
	Text     string
}

var (
	// A comment says whose file it is, as in "// Chapter d: Rights." or "// Chapters f and g: ...".
	fileMark = lazyregexp.New(
		`(?m)^// (Chapters?|Given with chapters?) ([a-z](?:(?:, | and )[a-z])*):`)
	// A line that belongs to a chapter ends in its letter, and one that each of two brings in both.
	lineMark = lazyregexp.New(`\S\s*// ([a-z](?: [a-z])*)$`)
	letter   = lazyregexp.New(`\b[a-z]\b`)
)

// Files returns the files of the step in dir, by name.
func Files(dir string) (files []File, err error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file := File{Name: filepath.Base(path), Text: string(text)}
		if mark := fileMark.FindStringSubmatch(file.Text); mark != nil {
			file.Given = strings.HasPrefix(mark[1], "Given")
			file.Chapters = strings.Join(letter.FindAllString(mark[2], -1), "")
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: no Go files", dir)
	}
	return files, nil
}

// Stage returns the files of the step in dir, by name, as they are when only these chapters have
// been built, such as "acd". The first chapter is in each: the others stand on it.
func Stage(dir, chapters string) (map[string][]byte, error) {
	if !strings.Contains(chapters, "a") {
		return nil, fmt.Errorf("chapters %q: without a, on which the others stand", chapters)
	}
	files, err := Files(dir)
	if err != nil {
		return nil, err
	}
	stage := map[string][]byte{}
	for _, file := range files {
		if file.Chapters != "" && !strings.ContainsAny(file.Chapters, chapters) {
			continue
		}
		lines := slices.DeleteFunc(strings.Split(file.Text, "\n"), func(line string) bool {
			mark := lineMark.FindStringSubmatch(line)
			return mark != nil &&
				!strings.ContainsAny(strings.ReplaceAll(mark[1], " ", ""), chapters)
		})
		// The comments at the ends of lines are aligned anew.
		text, err := format.Source([]byte(strings.Join(lines, "\n")))
		if err != nil {
			return nil, fmt.Errorf("%s without chapters: %w", file.Name, err)
		}
		stage[file.Name] = text
	}
	return stage, nil
}
