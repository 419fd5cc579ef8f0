package lessons

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

const (
	step5    = "../../step5-complete"
	chapters = "abcdefgh"
)

// TestStages compiles the program after each chapter, with each chapter alone, and with each left
// out. One go command does it for all of them, because each start of it takes time. Each of them
// is a package, in a directory with the letters of its chapters, of a module only for that.
func TestStages(t *testing.T) {
	harness.NeedsGo(t)
	stages := map[string]bool{}
	for i, chapter := range chapters {
		stages[chapters[:i+1]] = true
		if chapter != 'a' {
			stages["a"+string(chapter)] = true
			stages[strings.ReplaceAll(chapters, string(chapter), "")] = true
		}
	}
	module := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(module, name), text, 0o644))
	}
	packages := []string{}
	for stage := range stages {
		files, err := Stage(step5, stage)
		require.NoError(t, err)
		packages = append(packages, "./"+stage)
		require.NoError(t, os.Mkdir(filepath.Join(module, stage), 0o755))
		for name, text := range files {
			require.NoError(t, os.WriteFile(filepath.Join(module, stage, name), text, 0o644))
		}
	}
	vet := exec.Command("go", append([]string{"vet"}, packages...)...)
	vet.Dir = module
	vet.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "CGO_ENABLED=0")
	out, err := vet.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// TestStageNeedsA requires that the chapter on which the others stand is not left out.
func TestStageNeedsA(t *testing.T) {
	_, err := Stage(step5, "bcd")
	require.ErrorContains(t, err, "without a")
}

// TestStageOfAll requires that nothing but marks decides: with all chapters it is the program.
func TestStageOfAll(t *testing.T) {
	files, err := Files(step5)
	require.NoError(t, err)
	stage, err := Stage(step5, chapters)
	require.NoError(t, err)
	require.Len(t, stage, len(files))
	for _, file := range files {
		require.Equal(t, file.Text, string(stage[file.Name]), file.Name)
	}
}

// TestTable requires that the table of the README says how many lines a chapter adds to the others:
// for all chapters but the first, which also moves some.
func TestTable(t *testing.T) {
	lines := func(chapters string) (sum int) {
		files, err := Files(step5)
		require.NoError(t, err)
		stage, err := Stage(step5, chapters)
		require.NoError(t, err)
		for _, file := range files {
			isShared := len(file.Chapters) > 1 // it counts for the first that needs it
			if file.Given || isShared && !strings.Contains(chapters, file.Chapters[:1]) {
				continue
			}
			if text, ok := stage[file.Name]; ok {
				sum += linesOfCode(t, file.Name, string(text))
			}
		}
		return sum
	}
	all := lines(chapters)
	row := regexp.MustCompile(
		`(?m)^\| \[([b-h])\].* \| (\d+) \| \d+ \| \d+ \|[^|]*(?:\\\|[^|]*)?\|$`)
	rows := row.FindAllStringSubmatch(read(t, filepath.Join(step5, "README.md")), -1)
	require.Len(t, rows, len(chapters)-1)
	for _, r := range rows {
		without := lines(strings.ReplaceAll(chapters, r[1], ""))
		require.Equal(t, strconv.Itoa(all-without), r[2], "lines of chapter %s", r[1])
	}
	require.Contains(t, read(t, "../../README.md"), fmt.Sprintf("%d lines of code", all))
}
