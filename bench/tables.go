//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// gap is a pause before each measurement: what the one before left to the kernel is not on the bill
// of the next.
const gap = 5 * time.Millisecond

// awaitCalm waits for a gap, and on until nobody else has work for a processor, but not forever.
func awaitCalm() {
	for range 20 {
		time.Sleep(gap)
		// proc_loadavg(5): 0.20 0.18 0.12 1/80 11206. Of 80 threads one runs: this.
		load, err := os.ReadFile("/proc/loadavg")
		if err != nil || strings.HasPrefix(strings.Fields(string(load))[3], "1/") {
			return
		}
	}
}

// times measures one container at a time, from start to end. In each round the contestants have
// another order, and what slows the machine down slows all of them.
func (b *bench) times() error {
	if b.fifo {
		if err := schedule(unix.SCHED_FIFO, 20); err != nil {
			return err
		}
	}
	times := make([][]time.Duration, len(b.contestants))
	for range b.rounds {
		for _, i := range rand.Perm(len(b.contestants)) {
			awaitCalm()
			took, err := b.time(b.contestants[i])
			if err != nil {
				return err
			}
			times[i] = append(times[i], took)
		}
	}
	class := ""
	if b.fifo {
		class = ", under SCHED_FIFO"
		if err := schedule(unix.SCHED_NORMAL, 0); err != nil {
			return err
		}
	}
	fmt.Printf("one container, from start to the end of its last process, %d rounds in random "+
		"order, on %d processors%s; the limits are %s:\n\n",
		b.rounds, runtime.NumCPU(), class, strings.Join(b.limits(), " "))
	rivals := []string{bubblewrap, crun, runc, floor}
	header("", "median ms", "half of them", "of bubblewrap", "of crun", "of runc", "of the floor")
	for i, c := range b.contestants {
		slices.Sort(times[i])
		b.median[c.name] = quantile(times[i], 2)
	}
	for i, c := range b.contestants {
		cells := []string{
			c.name,
			milliseconds(b.median[c.name]),
			milliseconds(quantile(times[i], 1)) + " to " + milliseconds(quantile(times[i], 3)),
		}
		for _, rival := range rivals {
			cells = append(cells, ratio(b.median[c.name], b.median[rival]))
		}
		row(cells...)
	}
	if b.has(theSame) {
		overlay := lackingOverlay
		if bubblewrapHas("--tmp-overlay") {
			overlay = ""
		}
		fmt.Printf("\n"+lacking+"\n", theSame, overlay)
	}
	return nil
}

// schedule gives this thread another class of sched(7), which the processes that it starts inherit.
// It is for one container at a time: many of SCHED_FIFO at once leave the kernel's own threads, and
// the rest of the machine, without a processor for minutes.
func schedule(policy, priority uint32) error {
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Priority: priority}
	if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
		return fmt.Errorf("sched_setattr %d: %w", policy, err)
	}
	return nil
}

// time runs one container.
func (b *bench) time(c contestant) (time.Duration, error) {
	p, err := b.prepare(c, nothing...)
	if err != nil {
		return 0, err
	}
	defer p.closeFiles()
	start := time.Now()
	if err = p.start(); err == nil {
		err = p.wait()
	}
	if err == nil {
		err = waitForOthers()
	}
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", c.name, err)
	}
	return took, b.tidy()
}

// memory measures the processes of the runtime while its container sleeps.
func (b *bench) memory() error {
	const samples = 3
	fmt.Print("\nmemory of the runtime while its container sleeps, median of ", samples, ":\n\n")
	header("", "processes", "resident kB", "proportional kB")
	for _, c := range b.contestants {
		var number, resident, proportional []int
		for range samples {
			p, err := b.prepare(c, sleep...)
			if err != nil {
				return err
			}
			if err = p.start(); err == nil {
				time.Sleep(250 * time.Millisecond) // the sleep is twice as long
				pids := runtimeProcesses(p.pid)
				number = append(number, len(pids))
				resident = append(resident, rollup(pids, "Rss:"))
				proportional = append(proportional, rollup(pids, "Pss:"))
				err = errors.Join(p.wait(), waitForOthers())
			}
			p.closeFiles()
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
		b.resident[c.name] = middle(resident)
		row(c.name, strconv.Itoa(middle(number)), strconv.Itoa(middle(resident)),
			strconv.Itoa(middle(proportional)))
	}
	return nil
}

// manyAtOnce starts many containers before it waits for any of them. The contestants take turns.
func (b *bench) manyAtOnce() error {
	const samples = 3
	cells := make([][]string, len(b.contestants))
	heads := []string{""}
	for _, n := range b.many {
		heads = append(heads, strconv.Itoa(n))
		took := make([][]time.Duration, len(b.contestants))
		failed := make([]int, len(b.contestants))
		for range samples {
			for _, i := range rand.Perm(len(b.contestants)) {
				time.Sleep(gap + time.Duration(n)*time.Millisecond)
				all, failures, err := b.timeMany(b.contestants[i], n)
				if err != nil {
					return err
				}
				took[i] = append(took[i], all/time.Duration(n))
				failed[i] += failures
			}
		}
		for i, c := range b.contestants {
			cell := milliseconds(middle(took[i]))
			if failed[i] > 0 {
				cell += fmt.Sprintf(" (%d failed)", failed[i])
			} else if n == slices.Max(b.many) {
				b.atOnce[c.name] = middle(took[i])
			}
			cells[i] = append(cells[i], cell)
		}
	}
	fmt.Print("\nmany at once, ms for each, median of ", samples, ":\n\n")
	header(heads...)
	for i, c := range b.contestants {
		row(append([]string{c.name}, cells[i]...)...)
	}
	return nil
}

func (b *bench) timeMany(c contestant, n int) (took time.Duration, failed int, err error) {
	processes := make([]*process, n)
	for i := range processes {
		if processes[i], err = b.prepare(c, nothing...); err != nil {
			return 0, 0, err
		}
		defer processes[i].closeFiles()
	}
	start := time.Now()
	for _, p := range processes {
		if err := p.start(); err != nil {
			return 0, 0, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for _, p := range processes {
		if p.wait() != nil {
			failed++
		}
	}
	err = waitForOthers()
	took = time.Since(start)
	return took, failed, errors.Join(err, b.tidy())
}

// sample is how many containers the first and the last ones of a sequence are.
const sample = 100

// inSequence runs many containers one after the other, without a pause. What they leave behind
// would show.
func (b *bench) inSequence() error {
	if b.sequence == 0 {
		return nil
	}
	fmt.Printf("\n%d in sequence, lower quartile in ms of the first and the last %d, and what the "+
		"machine has more of afterwards:\n\n", b.sequence, sample)
	header("", "first", "last", "of the first", "cgroups", "kernel memory kB")
	for _, c := range b.contestants {
		if c.name != ours && c.name != limited && c.name != bridged {
			continue
		}
		before := takeStock()
		var times []time.Duration
		for range b.sequence {
			took, err := b.time(c)
			if err != nil {
				return err
			}
			times = append(times, took)
		}
		after := takeStock()
		first, last := lower(times[:sample]), lower(times[len(times)-sample:])
		row(c.name, milliseconds(first), milliseconds(last), ratio(last, first),
			fmt.Sprintf("%+d", after.cgroups-before.cgroups),
			fmt.Sprintf("%+d", after.memory-before.memory))
	}
	return nil
}

// targets prints what the runtime is to reach, and what it did.
func (b *bench) targets() {
	fmt.Print("\ntargets:\n\n")
	header("", "at most", "here", "")
	for _, t := range []struct {
		name, rival string
		most        float64
	}{
		{ours, bubblewrap, 0.90},
		{limited, bubblewrap, 1},
		{bridged, bubblewrap, 1.15},
		{limited, runc, 0.14},
		{limited, crun, 0.25},
		{ours, floor, 1.45},
	} {
		if b.median[t.name] == 0 || b.median[t.rival] == 0 {
			continue
		}
		here := float64(b.median[t.name]) / float64(b.median[t.rival])
		target(t.name+": of "+t.rival, t.most, here, "")
	}
	target(ours+": resident", 3, float64(b.resident[ours])/1024, " MiB")
	if most := slices.Max(b.many); b.atOnce[ours] != 0 {
		here := float64(b.atOnce[ours]) / float64(time.Millisecond)
		target(fmt.Sprintf("%s: %d at once, each", ours, most), 4, here, " ms")
	}
}

func target(what string, most, here float64, unit string) {
	verdict := "reached"
	if here > most {
		verdict = "missed"
	}
	row(what, fmt.Sprintf("%.2f%s", most, unit), fmt.Sprintf("%.2f%s", here, unit), verdict)
}

// header begins a table in Markdown: the first column has names, the others numbers.
func header(cells ...string) {
	row(cells...)
	fmt.Printf("| --- |%s\n", strings.Repeat(" ---: |", len(cells)-1))
}

func row(cells ...string) { fmt.Printf("| %s |\n", strings.Join(cells, " | ")) }

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f", float64(d)/float64(time.Millisecond))
}

func ratio(a, b time.Duration) string {
	if b == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

// quantile returns the value that so many quarters of the sorted ones are below.
func quantile[T any](sorted []T, quarters int) T { return sorted[(len(sorted)-1)*quarters/4] }

func middle[T time.Duration | int](values []T) T {
	return quantile(slices.Sorted(slices.Values(values)), 2)
}

// lower is the lower quartile, which other work on the machine changes less than the median.
func lower(times []time.Duration) time.Duration {
	return quantile(slices.Sorted(slices.Values(times)), 1)
}
