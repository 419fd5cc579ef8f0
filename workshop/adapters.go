//go:build linux

package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// adapterEnv has this program speak for an engine: `run [FLAG...] CMD [ARG...]` in the words of the
// engine.
const adapterEnv = "WORKSHOP_ADAPTER"

// engines are those that there are adapters for.
var engines = map[string]struct {
	note string
	run  func(request) (status int, err error)
}{
	"bwrap": {
		"bubblewrap with --unshare-all, --proc and --dev, and no capabilities, as for an " +
			"ordinary user: Flatpak adds a filter of system calls to it.",
		runBubblewrap,
	},
	"runc": {
		"runc with the configuration that `runc spec` writes: Docker adds a filter of system " +
			"calls to it.",
		runOCI,
	},
	"crun": {
		"crun with the configuration that `crun spec` writes: podman adds a filter of system " +
			"calls to it.",
		runOCI,
	},
}

// writeAdapter writes a program that speaks for an engine into dir.
func writeAdapter(dir, engine string) (string, error) {
	if _, err := exec.LookPath(engine); err != nil {
		return "", fmt.Errorf("%s: not installed here", engine)
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, engine+".sh")
	text := fmt.Sprintf(
		"#!/bin/sh\n%s=%s exec '%s' \"$@\"\n",
		adapterEnv,
		engine,
		strings.ReplaceAll(self, "'", `'\''`),
	)
	return file, os.WriteFile(file, []byte(text), 0o755)
}

// A request is a command line of the container, taken apart.
type request struct {
	engine   string
	ns       []string // none if it does not say
	hostname string
	rootfs   string
	memory   string
	pids     int64
	cpus     float64
	user     string
	command  []string
}

// adapt runs an engine as the arguments say, and returns the exit status: 2 for what it does not
// understand, 125 for what the engine cannot do.
func adapt(engine string, args []string) int {
	r := request{engine: engine}
	flags := flag.NewFlagSet("container", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("ns", "", func(s string) error {
		r.ns = strings.Split(s, ",")
		return nil
	})
	flags.StringVar(&r.hostname, "hostname", "container", "")
	flags.StringVar(&r.rootfs, "rootfs", "rootfs", "")
	flags.StringVar(&r.memory, "memory", "", "")
	flags.Int64Var(&r.pids, "pids", 0, "")
	flags.Float64Var(&r.cpus, "cpus", 0, "")
	flags.StringVar(&r.user, "user", "", "")
	if len(args) == 0 || args[0] != "run" || flags.Parse(args[1:]) != nil || flags.NArg() == 0 {
		fmt.Fprintln(
			os.Stderr,
			"usage: container run [-ns LIST] [-hostname NAME] [-rootfs DIR] [-memory N] [-pids "+
				"N] [-cpus N] [-user UID] CMD",
		)
		return 2
	}
	r.command = flags.Args()
	var err error
	if r.rootfs, err = filepath.Abs(r.rootfs); err == nil {
		var status int
		if status, err = engines[engine].run(r); err == nil {
			return status
		}
	}
	fmt.Fprintf(os.Stderr, "container: %v\n", err)
	return 125
}

// start runs an engine on our standard streams, passes signals on, and returns its exit status.
func (r request) start(name string, args ...string) (int, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// An engine may give its streams to the user of the container (fchown(2)). A pipe or a file of
	// the throw-away host it may have; a device is the machine's, and the engine never sees it.
	for fd := range 3 {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
			continue
		}
		if _, err := unix.IoctlGetTermios(fd, unix.TCGETS); err == nil && r.engine != "bwrap" {
			return 0, fmt.Errorf("%s: a terminal of this machine is not handed to it", r.engine)
		}
		switch fd {
		case 0:
			cmd.Stdin = bytes.NewReader(nil)
		case 1:
			cmd.Stdout = struct{ io.Writer }{io.Discard}
		case 2:
			cmd.Stderr = struct{ io.Writer }{io.Discard}
		}
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			_ = cmd.Process.Signal(s) // it is gone, perhaps
		}
	}()
	err := cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		if ws := exit.Sys().(interface {
			Signaled() bool
		}); ws.Signaled() {
			return 128 + int(
				exit.ProcessState.Sys().(interface{ Signal() unix.Signal }).Signal(),
			), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}

func runBubblewrap(r request) (int, error) {
	if r.memory != "" || r.pids != 0 || r.cpus != 0 {
		return 0, errors.New("bwrap: it has no limits")
	}
	// A list of namespaces without user is how a script asks what else there is if that one is left
	// out. Nobody leaves it out who uses bubblewrap, and an ordinary user, for whom it is made,
	// cannot. To root it leaves the capabilities that it takes from an ordinary user.
	args := []string{
		"--unshare-all", "--cap-drop", "ALL", "--die-with-parent", "--new-session",
		"--hostname", r.hostname,
		"--bind", r.rootfs, "/", "--proc", "/proc", "--dev", "/dev", "--chdir", "/",
	}
	if r.user != "" {
		uid, gid, found := strings.Cut(r.user, ":")
		if !found {
			gid = uid
		}
		args = append(args, "--uid", uid, "--gid", gid)
	}
	return r.start("bwrap", append(append(args, "--"), r.command...)...)
}

// ociNamespaces are the names that the OCI has for namespaces.
var ociNamespaces = map[string]specs.LinuxNamespaceType{
	"uts":    specs.UTSNamespace,
	"pid":    specs.PIDNamespace,
	"mnt":    specs.MountNamespace,
	"ipc":    specs.IPCNamespace,
	"net":    specs.NetworkNamespace,
	"cgroup": specs.CgroupNamespace,
}

// runOCI runs runc or crun on a bundle that it wrote itself, with the command in it.
func runOCI(r request) (status int, err error) {
	bundle, err := os.MkdirTemp("", "bundle-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(bundle)) }()
	spec := exec.Command(r.engine, "spec")
	spec.Dir = bundle
	if out, err := spec.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%s spec: %w: %s", r.engine, err, bytes.TrimSpace(out))
	}
	file := filepath.Join(bundle, "config.json")
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	var config specs.Spec
	if err := json.Unmarshal(text, &config); err != nil {
		return 0, err
	}
	if err := r.configure(&config); err != nil {
		return 0, err
	}
	if text, err = json.Marshal(config); err != nil {
		return 0, err
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return 0, err
	}
	id := "attack-" + strings.ToLower(rand.Text())
	root := filepath.Join(bundle, "state")
	status, err = r.start(r.engine, "--root", root, "run", "--bundle", bundle, id)
	_ = exec.Command(r.engine, "--root", root, "delete", "--force", id).
		Run()
		// it is gone, in most cases
	return status, err
}

// configure puts the request into a configuration.
func (r request) configure(config *specs.Spec) error {
	config.Root = &specs.Root{Path: r.rootfs}
	config.Hostname = r.hostname
	config.Process.Args, config.Process.Terminal = r.command, false
	if r.ns != nil {
		config.Linux.Namespaces = nil
	}
	for _, ns := range r.ns {
		kind, ok := ociNamespaces[ns]
		if !ok {
			return fmt.Errorf("%s: -ns %s: not with this configuration", r.engine, ns)
		}
		config.Linux.Namespaces = append(config.Linux.Namespaces, specs.LinuxNamespace{Type: kind})
	}
	if r.ns != nil && !slices.Contains(r.ns, "uts") {
		config.Hostname = ""
	}
	resources := config.Linux.Resources
	if resources == nil {
		resources = &specs.LinuxResources{}
		config.Linux.Resources = resources
	}
	if r.memory != "" {
		limit, err := parseBytes(r.memory)
		if err != nil {
			return err
		}
		resources.Memory = &specs.LinuxMemory{Limit: &limit}
	}
	if r.pids != 0 {
		resources.Pids = &specs.LinuxPids{Limit: &r.pids}
	}
	if r.cpus != 0 {
		quota, period := int64(r.cpus*100_000), uint64(100_000)
		resources.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	if r.user != "" {
		user, group, _ := strings.Cut(r.user, ":")
		uid, err := strconv.ParseUint(user, 10, 32)
		if err != nil {
			return fmt.Errorf("-user %q: %w", r.user, err)
		}
		gid, _ := strconv.ParseUint(group, 10, 32) // 0 if there is none
		config.Process.User = specs.User{UID: uint32(uid), GID: uint32(gid)}
	}
	return nil
}

// parseBytes reads a size such as 64M.
func parseBytes(s string) (int64, error) {
	unit := int64(1)
	if i := strings.IndexAny(s, "KMG"); i == len(s)-1 && i > 0 {
		unit = map[byte]int64{'K': 1 << 10, 'M': 1 << 20, 'G': 1 << 30}[s[i]]
		s = s[:i]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("-memory: %w", err)
	}
	return n * unit, nil
}
