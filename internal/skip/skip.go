// Package skip lets a test be skipped, and never quietly: what is missing is said in the report
// that the scripts have as well.
package skip

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// ReportEnv names the file of the report: a line for each test, with its directory.
const ReportEnv = "WORKSHOP_REPORT"

// Lacking skips a test for what the machine or its user lacks, and nobody can install.
func Lacking(t testing.TB, why string) {
	t.Helper()
	if err := report(t.Name(), why); err != nil {
		t.Fatal(err)
	}
	t.Skip(why)
}

// Missing skips a test for what can be installed. With CI=true all of that is there, and the test
// fails.
func Missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	Lacking(t, why)
}

// Tool is the path of a program that a test runs, of the package of Debian.
func Tool(t testing.TB, name, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, fmt.Sprintf("asks for %s (apt-get install %s)", name, debian))
	}
	return path
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
	_, err = fmt.Fprintln(f, filepath.Base(dir), test, "skipped", why)
	return err
}
