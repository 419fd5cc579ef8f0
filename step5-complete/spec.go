//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/moby/profiles/seccomp"
	"github.com/moby/sys/capability"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// spec prints what the flags say in the language of runc, containerd and Kubernetes: the config.json of the
// OCI runtime specification. It has no words for layers and for the owners of files (an image store
// prepares the root file system), for the network (the work of plugins) and for -init.
func spec() (status int, err error) {
	if *withInit || *network == "bridge" {
		return statusUsage, errors.New("spec: the specification has no -init and no -net bridge")
	}
	u, err := lookUpUser(*rootfs)
	if err != nil {
		return statusFailed, fmt.Errorf("spec: %w", err)
	}
	s := specs.Spec{
		Version:  "1.0.2", // which has all of this, and is known to every runtime
		Process:  specProcess(u),
		Root:     &specs.Root{Path: *rootfs, Readonly: *readOnlyRoot},
		Hostname: *hostname,
		Mounts:   specMounts(),
		Linux: &specs.Linux{
			Resources: specResources(), Namespaces: specNamespaces(), MaskedPaths: maskedPaths, ReadonlyPaths: readOnlyPaths,
		},
	}
	if has(unix.CLONE_NEWUSER) {
		uids, gids := idMaps()
		s.Linux.UIDMappings, s.Linux.GIDMappings = specIDs(uids), specIDs(gids)
	}
	if s.Linux.Seccomp, err = seccomp.GetDefaultProfile(&s); err != nil {
		return statusFailed, fmt.Errorf("spec: seccomp: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", "\t")
	if err := out.Encode(s); err != nil {
		return statusFailed, fmt.Errorf("spec: %w", err)
	}
	return 0, nil
}

func specProcess(u user) *specs.Process {
	p := &specs.Process{
		Terminal: ttyFlag != nil && *ttyFlag, Args: flag.Args(), Cwd: path.Clean("/" + *workdir),
		NoNewPrivileges: true, Capabilities: specCapabilities(u), OOMScoreAdj: oomScoreAdj,
	}
	umask := uint32(0o022)
	p.User = specs.User{UID: uint32(u.uid), GID: uint32(u.gid), Umask: &umask}
	variables := append(defaultEnvironment(*hostname), [2]string{"HOME", u.home})
	for _, variable := range append(variables, environment...) {
		p.Env = append(p.Env, variable[0]+"="+variable[1])
	}
	for _, l := range ulimits {
		p.Rlimits = append(p.Rlimits, specs.POSIXRlimit{Type: "RLIMIT_" + strings.ToUpper(l.name), Soft: l.soft, Hard: l.hard})
	}
	return p
}

func specCapabilities(u user) *specs.LinuxCapabilities {
	var names []string
	for _, known := range capability.ListKnown() {
		if capabilities>>known&1 == 1 {
			names = append(names, "CAP_"+strings.ToUpper(known.String()))
		}
	}
	c := &specs.LinuxCapabilities{Bounding: names}
	if u.uid == 0 {
		c.Effective, c.Permitted = names, names
	}
	return c
}
