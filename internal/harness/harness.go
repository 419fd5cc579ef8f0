// Package harness verifies a container program by running the scripts below testdata/ against it.
//
// The program under test is the package being tested, or what the environment variable CONTAINER
// names: a Go package directory, a Go file, or an executable in any language. It is called
// container in the scripts, and they ask nothing of it but its command line.
//
// The scripts run on a throw-away host: the test process starts itself again in new namespaces and
// in a subtree of control groups, with everything that it can see mounted read-only. Whatever the
// program does to that host, its kernel objects are gone with the last process of it.
package harness

// Environment variables of the harness.
const (
	// programEnv names the program under test: a directory, a file.go or an executable. A relative
	// path is one below the root of the module.
	programEnv = "CONTAINER"
	// reportEnv names a file to which each run appends a line for each script: the step, the
	// script, and "ran" or "skipped" with the reason.
	reportEnv = "WORKSHOP_REPORT"

	// shareEnv, such as 2/4, says that this run takes the second of each four scripts: others run
	// the rest at the same time.
	shareEnv = "WORKSHOP_SHARE"

	// TimeoutEnv is the time after which a script is ended, as in 30s; a minute if not set.
	TimeoutEnv = "WORKSHOP_TIMEOUT"

	// emulatedEnv is "yes" if the processor is emulated: a process costs a hundred times as much.
	emulatedEnv = "WORKSHOP_EMULATED"

	// sweepEnv is "all" for all the cases of what tries many that are alike (see package skip).
	sweepEnv = "SWEEP"

	// prebuiltEnv names a directory with programs compiled elsewhere, for a machine without Go:
	// that of the package in the directory x of the module is x/program there, and what
	// scripts/mkrootfs.sh makes is rootfs.
	prebuiltEnv = "WORKSHOP_PREBUILT"
)
