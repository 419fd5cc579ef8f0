//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The commands that containers run: one that does nothing, and one that waits long enough to look
// at the processes.
var (
	nothing = []string{"true"}
	sleep   = []string{"sleep", "0.5"}
)

// limits are the flags for a container with limits. A process of SCHED_FIFO cannot join a cgroup
// without time for such (CONFIG_RT_GROUP_SCHED), as a new one is.
func (o options) limits() []string {
	flags := []string{"-memory", "64M", "-pids", "32"}
	if !o.fifo {
		flags = append(flags, "-cpus", "0.5")
	}
	return flags
}

// build makes the programs, a root file system and the specs for other runtimes in a directory.
// Without the floor the rest is measured.
func build(o options, dir string) error {
	programs := map[string]string{
		"step3":     "./step3-rootfs",
		"step4":     "./step4-cgroups",
		"step5":     "./step5-complete",
		"container": "./runtime",
	}
	for name, source := range programs {
		if err := goBuild("-o", filepath.Join(dir, name), source); err != nil {
			return err
		}
	}
	rootfs := filepath.Join(dir, "rootfs")
	if _, err := output("scripts/mkrootfs.sh", "-o", rootfs); err != nil {
		return err
	}
	for _, command := range [][]string{nothing, sleep} {
		if err := writeSpec(o, dir, command); err != nil {
			return err
		}
	}
	if err := errors.Join(buildFloor(dir, nothing), buildFloor(dir, sleep)); err != nil {
		os.RemoveAll(filepath.Join(dir, "floor"))
		leftOut(floor, err)
	}
	return nil
}

// writeSpec writes the config.json of a container, to a bundle of its own for each command.
func writeSpec(o options, dir string, command []string) error {
	args := []string{"spec", "-tty=false", "-rootfs", filepath.Join(dir, "rootfs")}
	args = append(append(args, o.limits()...), command...)
	config, err := output(filepath.Join(dir, "container"), args...)
	if err != nil {
		return err
	}
	bundle := filepath.Join(dir, "bundle", command[0])
	if err := os.MkdirAll(bundle, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(bundle, "config.json"), []byte(config), 0o644)
}

// buildFloor makes the floor for a command.
func buildFloor(dir string, command []string) error {
	list, err := floorList(dir, filepath.Join(dir, "rootfs"), command)
	if err != nil {
		return err
	}
	dir = filepath.Join(dir, "floor", command[0])
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return compileFloor(dir, list)
}

// compileFloor compiles floor.c with a list, in a directory.
func compileFloor(dir, list string) error {
	if err := os.WriteFile(filepath.Join(dir, "list.h"), []byte(list), 0o644); err != nil {
		return err
	}
	_, err := output("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror",
		"-I", dir, "-o", filepath.Join(dir, "floor"), "bench/floor/floor.c")
	return err
}

// floorList returns the list of a container as C. The runtime writes it: two files are added to its
// packages, without a trace in their directories.
func floorList(dir, rootfs string, command []string) (list string, err error) {
	replace := map[string]string{}
	for added, file := range map[string]string{
		"runtime/bench_floor.go":      "bench/floor/list.go",
		"runtime/plan/bench_floor.go": "bench/floor/plan.go",
	} {
		if added, err = filepath.Abs(added); err != nil {
			return "", err
		}
		replace[added] = file
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o644); err != nil {
		return "", err
	}
	program := filepath.Join(dir, "list")
	err = goBuild("-overlay", overlay, "-tags", "floor", "-o", program, "./runtime")
	if err != nil {
		return "", err
	}
	return output(program, append([]string{"floor", "-rootfs", rootfs}, command...)...)
}

func goBuild(args ...string) error {
	_, err := output("go", append([]string{"build"}, args...)...)
	return err
}

// output runs a program, as a build without cgo if that is go, and returns what it prints. An error
// has its last line on standard error.
func output(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", failure(filepath.Base(program)+" "+strings.Join(args, " "), err, stderr.String())
	}
	return string(out), nil
}

// failure is an error with the last line of what a program said about it.
func failure(what string, err error, said string) error {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	if last := lines[len(lines)-1]; last != "" {
		return fmt.Errorf("%s: %w: %s", what, err, last)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// leftOut says that a contestant is not measured, and why, in one line.
func leftOut(name string, err error) {
	cause := strings.ReplaceAll(err.Error(), "\n", "; ")
	fmt.Fprintf(os.Stderr, "bench: without %q: %s\n", name, cause)
}
