//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/elastic/go-seccomp-bpf"
	docker "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

var limits = []string{"-memory", "64M", "-pids", "32", "-cpus", "0.5"}

// prepare builds the steps, makes a root file system, and names the contestants that the machine has.
func prepare(dir string) (all []contestant, err error) {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return nil, err
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
	if filter, err := seccompFile(dir); err == nil {
		bwrap := strings.Fields("bwrap --unshare-all --unshare-user --bind rootfs / --proc /proc --dev /dev --tmpfs /tmp --cap-drop ALL --seccomp 3 CMD")
		all = append(all, contestant{name: "bubblewrap", args: bwrap, file: filter})
	}
	for _, runtime := range []string{"crun", "runc"} {
		if err := writeSpecs(dir, rootfs); err != nil {
			return nil, err
		}
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

// seccompFile writes a filter with the calls of Docker's default profile, as a library compiles it.
func seccompFile(dir string) (file string, err error) {
	profile, err := docker.GetDefaultProfile(&specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}})
	if err != nil {
		return "", err
	}
	policy := seccomp.Policy{DefaultAction: seccomp.ActionErrno}
	known := map[string]bool{}
	for _, rule := range profile.Syscalls {
		for _, name := range rule.Names {
			one := seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{{Names: []string{name}, Action: seccomp.ActionAllow}}}
			if _, err := one.Assemble(); err == nil && rule.Action == specs.ActAllow {
				known[name] = true
			}
		}
	}
	var names []string
	for name := range known {
		names = append(names, name)
	}
	policy.Syscalls = []seccomp.SyscallGroup{{Names: names, Action: seccomp.ActionAllow}}
	program, err := policy.Assemble()
	if err != nil {
		return "", err
	}
	raw, err := bpf.Assemble(program)
	if err != nil {
		return "", err
	}
	var text bytes.Buffer
	for _, i := range raw {
		if err := binary.Write(&text, binary.NativeEndian, i); err != nil {
			return "", err
		}
	}
	file = filepath.Join(dir, "seccomp.bpf")
	return file, os.WriteFile(file, text.Bytes(), 0o644)
}
