package skip

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"container.example/workshop/internal/lazyregexp"
)

// A language is one of those in which tests have programs that nobody compiles.
type language struct {
	debian string // the package that has all of it
	loads  lazyregexp.Regexp
	// load are the arguments with which it loads a module that is one of its own. Another one may
	// be missing on purpose.
	load func(module string) []string
	// where are the arguments with which it tells its own path: what lies in PATH may be a script
	// that looks for the version that is asked for.
	where []string
}

var languages = map[string]language{
	"bash": {debian: "bash"},
	"perl": {
		debian: "perl",
		loads:  lazyregexp.New(`(?m)^[ \t]*use ([A-Z]\w*(?:::\w+)*)`),
		load:   func(module string) []string { return []string{"-M" + module, "-e", "1"} },
	},
	"python3": {
		debian: "python3",
		loads:  lazyregexp.New(`(?m)^[ \t]*(?:import|from)[ \t]+(\w+(?:[ \t]*,[ \t]*\w+)*)`),
		load: func(module string) []string {
			return []string{"-c", fmt.Sprintf("import sys\nif '%s' in "+
				"getattr(sys, 'stdlib_module_names', ()): import %[1]s", module)}
		},
		where: []string{"-c", "import sys; print(sys.executable)"},
	},
}

// Language skips a test for a script if what its first line names is not there, or not all of the
// modules that it loads: some machines have only the smallest part of a language. It names the
// package of Debian that has all of it.
func Language(t testing.TB, script string) {
	t.Helper()
	first, _, _ := strings.Cut(script, "\n")
	words := strings.Fields(strings.TrimPrefix(first, "#!"))
	if !strings.HasPrefix(first, "#!") || len(words) == 0 {
		return
	}
	path := words[0]
	if filepath.Base(path) == "env" && len(words) > 1 {
		path = words[1]
	}
	if _, known := languages[filepath.Base(path)]; known {
		Interpreter(t, path, script)
	}
}

// Interpreter is the path of the interpreter of a program, given by its name or its path: that of
// the interpreter itself, if it tells it. Without it, or one of the modules that the program loads,
// the test is skipped.
func Interpreter(t testing.TB, name, program string) string {
	t.Helper()
	l := languages[filepath.Base(name)]
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, fmt.Sprintf("asks for %s (apt-get install %s)", name, l.debian))
	}
	if l.load == nil {
		return path
	}
	for _, m := range l.loads.FindAllStringSubmatch(program, -1) {
		for _, module := range strings.FieldsFunc(m[1], isBetween) {
			if !loadable(path, l.load(module)) {
				Missing(t, fmt.Sprintf("asks for the module %s of %s (apt-get install %s)", module,
					name, l.debian))
			}
		}
	}
	if l.where != nil {
		out, err := exec.Command(path, l.where...).Output()
		if itself := strings.TrimSpace(string(out)); err == nil && filepath.IsAbs(itself) {
			return itself
		}
	}
	return path
}

func isBetween(r rune) bool { return r == ',' || r == ' ' || r == '\t' }

var loaded sync.Map // whether an interpreter could do something: by its path and its arguments

// loadable tells whether an interpreter that gets these arguments succeeds.
func loadable(path string, args []string) bool {
	key := path + "\x00" + strings.Join(args, "\x00")
	if ok, known := loaded.Load(key); known {
		return ok.(bool)
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = os.TempDir() // and not where a module of this name may lie
	ok := cmd.Run() == nil
	loaded.Store(key, ok)
	return ok
}
