// Package skip skips tests, and never quietly: what is missing is in the report, as it is for
// scripts.
package skip

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// ReportEnv names the file of the report: a line for each test, with its directory.
const ReportEnv = "WORKSHOP_REPORT"

const (
	// sweepEnv is "all" for all the cases of sweeps.
	sweepEnv = "SWEEP"
	// ciEnv is "true" where a change is judged, and nobody waits for each test.
	ciEnv = "CI"
	// fewer is how many times fewer cases of a sweep are tried elsewhere.
	fewer = 8
)

// Lacking skips a test for something that the machine or its user lacks, and that cannot be
// installed.
func Lacking(t testing.TB, why string) {
	t.Helper()
	if err := report(t.Name(), why); err != nil {
		t.Fatal(err)
	}
	t.Skip(why)
}

// Missing skips a test for something that can be installed. With CI=true the test fails: all of
// that has to be there.
func Missing(t testing.TB, why string) {
	t.Helper()
	if isCI() {
		t.Fatal(why)
	}
	Lacking(t, why)
}

// Tool is the path of a program that a test runs. Without it the test is skipped, and names the
// package of Debian that has it.
func Tool(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, fmt.Sprintf("asks for %s (apt-get install %s)", name, debian))
	}
	return path
}

func isCI() bool { return os.Getenv(ciEnv) == "true" }

// SweepAll tells whether all the cases of a sweep are to be tried, with SWEEP=all. Otherwise
// some of each kind are, because somebody is waiting for go test.
func SweepAll() bool { return os.Getenv(sweepEnv) == "all" }

// Few tells whether somebody is waiting for go test: neither SweepAll nor CI=true.
func Few() bool { return !SweepAll() && !isCI() }

// OneIn returns every nth of the cases of a sweep with CI=true, one in eight times as many without
// it, and all of them with SweepAll. It logs how many there are.
func OneIn[T any](t testing.TB, n int, all []T) []T {
	t.Helper()
	return OneInEach(t, n, all, func(T) bool { return true })
}

// OneInEach does the same with cases of several kinds: of each kind it returns the first, and after
// that as many as OneIn does.
func OneInEach[T any, K comparable](t testing.TB, n int, all []T, kind func(T) K) []T {
	t.Helper()
	if SweepAll() {
		return all
	}
	if Few() {
		n *= fewer
	}
	var some []T
	seen := map[K]int{}
	for _, c := range all {
		k := kind(c)
		if seen[k]%n == 0 {
			some = append(some, c)
		}
		seen[k]++
	}
	t.Logf("%d of %d cases (all with %s=all)", len(some), len(all), sweepEnv)
	return some
}

func report(test, why string) error {
	name := os.Getenv(ReportEnv)
	if name == "" {
		return nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
	// What a program said may have several lines, and the report has one for each test.
	why = strings.Join(strings.Fields(why), " ")
	_, err = fmt.Fprintln(f, filepath.Base(dir), test, "skipped", why)
	return err
}
