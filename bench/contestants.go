//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

var limits = []string{"-memory", "64M", "-pids", "32", "-cpus", "0.5"}

// prepare builds the steps, makes a root file system, and names the contestants that the machine has.
func prepare(dir string) (all []contestant, err error) {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return nil, err
	}
	if err := replaceNull(filepath.Join(dir, "dev")); err != nil {
		return nil, err
	}
	if *onlyV1 {
		if err := unix.Unmount("/sys/fs/cgroup/unified", unix.MNT_DETACH); err != nil {
			return nil, fmt.Errorf("unmount version 2 of cgroups: %w", err)
		}
	}
	for _, step := range []string{"step3-rootfs", "step4-cgroups", "step5-complete"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, step), "./"+step)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, out)
		}
	}
	rootfs := filepath.Join(dir, "rootfs")
	if out, err := exec.Command("scripts/mkrootfs.sh", "-o", rootfs).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkrootfs.sh: %w\n%s", err, out)
	}
	step := func(n string, flags ...string) []string {
		return append(append([]string{filepath.Join(dir, n), "run"}, flags...), "CMD")
	}
	all = []contestant{
		{name: "the command alone", args: []string{"CMD"}},
		{name: "unshare, all namespaces", args: []string{"unshare", "-muinpC", "--fork", "-R", rootfs, "CMD"}},
	}
	if err := writeSpecs(dir, rootfs); err != nil {
		return nil, err
	}
	bwrap := strings.Fields("bwrap --unshare-all --unshare-user --bind rootfs / --proc /proc --dev /dev --tmpfs /tmp --cap-drop ALL")
	all = append(all, contestant{name: "bubblewrap, no filter", args: append(slices.Clip(bwrap), "CMD")})
	if filter, err := runcFilter(dir); err == nil {
		all = append(all, contestant{name: "bubblewrap", args: append(slices.Clip(bwrap), "--seccomp", "3", "CMD"), file: filter})
	} else {
		fmt.Fprintln(os.Stderr, "bench: without bubblewrap: it gets the filter of runc:", err)
	}
	for _, runtime := range []string{"crun", "runc"} {
		all = append(all, contestant{
			name: runtime, args: []string{runtime, "--root", filepath.Join(dir, runtime), "run", "ID"}, dir: filepath.Join(dir, "bundle"),
		})
	}
	all = append(all,
		contestant{name: "step 3", args: step("step3-rootfs")},
		contestant{name: "step 4, with limits", args: step("step4-cgroups", limits...)},
		contestant{name: "step 5, no limits", args: step("step5-complete")},
		contestant{name: "step 5, with limits", args: step("step5-complete", limits...)},
		contestant{name: "step 5, with limits and bridge", args: step("step5-complete", append([]string{"-net", "bridge"}, limits...)...)})
	var present []contestant
	for _, c := range all {
		if out, err := c.command("true").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: without %s: %v %s\n", c.name, err, bytes.TrimSpace(out))
			continue
		}
		present = append(present, c)
	}
	return present, nil
}

// writeSpecs writes the config.json of a container for each command that is run.
func writeSpecs(dir, rootfs string) error {
	for _, command := range [][]string{{"true"}, {"sleep", "1"}} {
		bundle := filepath.Join(dir, "bundle", command[0])
		if err := os.MkdirAll(bundle, 0o755); err != nil {
			return err
		}
		args := append(append([]string{"spec", "-tty=false", "-rootfs", rootfs}, limits...), command...)
		config, err := exec.Command(filepath.Join(dir, "step5-complete"), args...).Output()
		if err != nil {
			return fmt.Errorf("spec: %w", err)
		}
		if err := os.WriteFile(filepath.Join(bundle, "config.json"), config, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// replaceNull mounts another /dev/null over the machine's: crun gives the standard streams to root of its container,
// and the owner of a device is the same wherever it is seen.
func replaceNull(dir string) error {
	null := filepath.Join(dir, "null")
	return errors.Join(os.Mkdir(dir, 0o755), unix.Mount("tmpfs", dir, "tmpfs", 0, ""),
		unix.Mknod(null, unix.S_IFCHR, int(unix.Mkdev(1, 3))), os.Chmod(null, 0o666),
		unix.Mount(null, "/dev/null", "", unix.MS_BIND, ""))
}
