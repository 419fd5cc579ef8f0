//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"time"
)

// steps are those of the lessons, by the directories of their source.
var steps = []string{
	"step1-skeleton", "step2-namespaces", "step3-rootfs", "step4-cgroups", "step5-complete",
}

// mostOfPlain is how many times the plain run a recorded one is to take at most.
const mostOfPlain = 3

// buildRecordings makes the steps, the recorder, and a root file system.
func buildRecordings(_ options, dir string) error {
	b := &bench{dir: dir}
	for _, step := range steps {
		if err := goBuild("-o", b.path(stepName(step)), "./"+step); err != nil {
			return err
		}
	}
	if err := goBuild("-o", b.path("workshop"), "./workshop"); err != nil {
		return err
	}
	_, err := output("scripts/mkrootfs.sh", "-o", b.path("rootfs"))
	return err
}

func stepName(dir string) string {
	name, _, _ := strings.Cut(dir, "-")
	return name
}

// recordings measures each step as it is typed, and with the recorder before it: its start
// and the page that it writes are part of the time.
func (b *bench) recordings() error {
	var runs []contestant // of each step the plain one, and then the recorded one
	for _, dir := range steps {
		plain := b.ours(dir, stepName(dir))
		record := []string{b.path("workshop"), "record", "-o", b.path("run.html"), "--"}
		runs = append(runs, plain, contestant{name: dir, args: append(record, plain.args...)})
	}
	if err := b.tryRecordings(runs); err != nil {
		return err
	}
	times := make([][]time.Duration, len(runs))
	for range b.rounds {
		for _, i := range rand.Perm(len(runs)) {
			awaitCalm()
			took, err := b.time(runs[i])
			if err != nil {
				return err
			}
			times[i] = append(times[i], took)
		}
	}
	fmt.Printf("`container run %s`, from start to end, plain and recorded to a page: the least of "+
		"%d rounds in random order, on %d processors:\n\n",
		strings.Join(nothing, " "), b.rounds, runtime.NumCPU())
	header("", "plain ms", "recorded ms", "of plain", "of the medians", "")
	for i, dir := range steps {
		plain, recorded := times[2*i], times[2*i+1]
		slices.Sort(plain)
		slices.Sort(recorded)
		verdict := "reached"
		if recorded[0] > mostOfPlain*plain[0] {
			verdict = "missed"
		}
		row(dir, milliseconds(plain[0]), milliseconds(recorded[0]), ratio(recorded[0], plain[0]),
			ratio(quantile(recorded, 2), quantile(plain, 2)), verdict)
	}
	return nil
}

// tryRecordings has the files of all runs in memory, and requires that each makes its container: a
// recorder succeeds whatever becomes of the command, and one that fails early is fast.
func (b *bench) tryRecordings(runs []contestant) error {
	for i, c := range runs {
		said, err := b.output(c, nothing...)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if isRecorded := i%2 == 1; isRecorded && !strings.Contains(said, "ended with status 0\n") {
			return fmt.Errorf("%s, recorded: %s", c.name, strings.TrimSpace(said))
		}
	}
	return nil
}
