//go:build linux

package harness

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"container.example/workshop/internal/lazyregexp"
)

// flagPrefix starts the condition [flag:NAME] of a script: the program takes the flag -NAME.
const flagPrefix = "flag:"

// values are arguments that the flags take, so that a program that has the flag can run.
var values = map[string][]string{
	"ns":       {"uts,pid,mnt"},
	"hostname": {"workshop"},
	"rootfs":   {"rootfs"},
	"memory":   {"64M"},
	"pids":     {"64"},
	"cpus":     {"0.5"},
	"user":     {"0:0"},
	"net":      {"none"},
}

// asked keeps what was found out about the flags of the program: it is asked once, and not again
// for each script.
var asked = map[string]bool{}

// takesFlag tells whether the program under test takes a flag. A flag that a program does not know
// is answered like any other that it does not know: as wrong usage, as a command that is not found,
// or not at all. So each question is asked twice, once with a flag that nobody has, and the answers
// are compared.
func takesFlag(name string) (bool, error) {
	if takes, known := asked[name]; known {
		return takes, nil
	}
	before, err := hostState()
	if err != nil {
		return false, err
	}
	nobodys := name + "-no-such"
	takes := false
	for _, rest := range [][]string{nil, append(values[name], "true")} {
		ask := func(flag string) string {
			return strings.ReplaceAll(answer(flag, rest), nobodys, name)
		}
		mine, other := ask(name), ask(nobodys)
		if takes = mine != other && differs(mine, other, ask(nobodys)); takes {
			break
		}
	}
	asked[name] = takes
	return takes, restore(before) // what the program left behind is not the fault of the script
}

// differs tells whether an answer is another one than that to a flag that nobody has, which was
// given twice. A program may print a word that it makes up at each start, such as the name of a
// container: what is in only one of two answers to the same question tells nothing.
func differs(mine, other, again string) bool {
	if other == again {
		return mine != other // nothing is made up, and every difference counts
	}
	withoutRandom := func(text string) string {
		lines := strings.Split(text, "\n")
		for i, line := range lines {
			words := wordsOf(line)
			for j, word := range words {
				if !slices.Contains(wordsOf(other), word) ||
					!slices.Contains(wordsOf(again), word) {
					words[j] = "?"
				}
			}
			lines[i] = strings.Join(words, " ")
		}
		slices.Sort(lines)
		return strings.Join(lines, "\n")
	}
	return withoutRandom(mine) != withoutRandom(other)
}

// wordsOf are the words of a text, each of which a program may make up as a whole.
func wordsOf(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
}

// numbers are what differs from one start of a program to the next, such as process ids and
// addresses.
var numbers = lazyregexp.New(`0x[0-9a-f]+|[0-9]+`)

// answer is what the program says to a flag and further arguments: its status and all that it
// writes.
func answer(flag string, rest []string) string {
	ctx, cancel := context.WithTimeout(context.Background(), now().Timeout)
	defer cancel()
	dir := now().Dir // where there is a rootfs
	args := append([]string{"run", "-" + flag}, rest...)
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", "container"), args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // a process that was left behind may hold the pipe
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	// Two processes may write their lines in the one order or in the other.
	lines := strings.Split(numbers.ReplaceAllString(out.String(), "N"), "\n")
	slices.Sort(lines)
	return fmt.Sprintf("%v\n%s", err, strings.Join(lines, "\n"))
}
