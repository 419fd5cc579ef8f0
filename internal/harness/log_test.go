//go:build linux

package harness

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/tools/txtar"
)

// TestReadLog reads logs of testscript that were recorded. Each file of testdata/logs has a log and
// what it says, in JSON.
func TestReadLog(t *testing.T) {
	files, err := filepath.Glob("testdata/logs/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(t, err)
		var log, want string
		for _, f := range archive.Files {
			switch f.Name {
			case "log":
				log = string(f.Data)
			case "failure":
				want = string(f.Data)
			}
		}
		var expected Failure
		require.NoError(t, json.Unmarshal([]byte(want), &expected), file)
		require.Equal(t, expected, readLog(log), file)
	}
}

// TestReadable takes what the harness puts into a script out of its log.
func TestReadable(t *testing.T) {
	lines := []int{1, 2, 2, 3, 3, 0} // # ..., at 2, exec true, at 3, exec false, at 0
	log := "# A comment (0.1s)\n> at 2\n> exec true\n> [cgroup2] stage after 2\n> at 3\n> exec " +
		"false\n" +
		"[exit status 1]\nFAIL: /work/x.txtar:5: unexpected command failure\n"
	text, failed := readable(log, "/work/x.txtar", "testdata/x.txtar", lines)
	require.Equal(t, "# A comment (0.1s)\n> exec true\n> exec false\n"+
		"[exit status 1]\nFAIL: testdata/x.txtar:3: unexpected command failure\n", text)
	require.Equal(t, 3, failed)
}
