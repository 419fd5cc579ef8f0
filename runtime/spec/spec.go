//go:build linux

// Package spec says what a container is in the words of the OCI runtime specification
// (https://github.com/opencontainers/runtime-spec), and makes a container of such words: the
// config.json of runc, containerd and Kubernetes.
//
// The specification has no words for -init, -net bridge, -image, -layers and -keep: an image store
// prepares the root file system, and plugins the network.
package spec

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/network"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/users"
)

// ErrNoWords is the error of Of for a container that the specification cannot describe.
var ErrNoWords = errors.New("the specification has no words for it")

// version is the oldest one that has all of this, so every runtime knows it.
const version = "1.0.2"

// umask is that of every command, in the specification a decimal number.
const umask uint32 = 0o022

// Of returns the specification of a container in which nothing is left to be found out: User is
// numbers, Env is all of the environment, and the user namespace has its id maps.
//
// Layers and Keep are not in it. Of a ulimit that is there twice, the last one is.
func Of(c *config.Container) (*specs.Spec, error) {
	switch {
	case c.Init:
		return nil, fmt.Errorf("-init: %w", ErrNoWords)
	case len(c.Lowers) > 0:
		return nil, fmt.Errorf("-image: %w", ErrNoWords)
	case c.Network == config.Bridge:
		return nil, fmt.Errorf("-net %q: %w", c.Network, ErrNoWords)
	}
	process, err := processOf(c)
	if err != nil {
		return nil, err
	}
	mounts, err := mountsOf(c)
	if err != nil {
		return nil, err
	}
	s := &specs.Spec{
		Version:  version,
		Process:  process,
		Root:     &specs.Root{Path: "/"},
		Hostname: c.Hostname,
		Mounts:   mounts,
		Linux: &specs.Linux{
			Namespaces: namespacesOf(c.Namespaces),
			Resources:  resourcesOf(c),
		},
	}
	if c.Namespaces.Has(unix.CLONE_NEWNS) {
		s.Root = &specs.Root{Path: c.Rootfs, Readonly: c.ReadOnly}
		s.Linux.MaskedPaths = rootfs.MaskedPaths()
		s.Linux.ReadonlyPaths = rootfs.ReadOnlyPaths()
	}
	if c.Namespaces.Has(unix.CLONE_NEWUSER) {
		s.Linux.UIDMappings, s.Linux.GIDMappings = mappingsOf(c.UIDs), mappingsOf(c.GIDs)
	}
	if c.Namespaces.Has(unix.CLONE_NEWNET) {
		s.Linux.Sysctl = map[string]string{}
		for _, setting := range network.Settings(users.LastGroup(c)) {
			s.Linux.Sysctl[setting.Name] = setting.Value
		}
	}
	if s.Linux.Seccomp, err = profileFor(c.Capabilities); err != nil {
		return nil, err
	}
	return s, checkUTF8(c)
}

// checkUTF8 looks at what may be any bytes. JSON would have others in place of those that are not
// UTF-8 (RFC 8259, 8.1).
func checkUTF8(c *config.Container) error {
	texts := append([]string{c.Rootfs, c.Hostname, c.Workdir}, c.Command...)
	for _, v := range c.Env {
		texts = append(texts, v.Name, v.Value)
	}
	for _, v := range c.Volumes {
		texts = append(texts, v.Source, v.Target)
	}
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return fmt.Errorf("%q: must be UTF-8 for JSON", text)
		}
	}
	return nil
}

func processOf(c *config.Container) (*specs.Process, error) {
	user, err := userOf(c.User)
	if err != nil {
		return nil, err
	}
	for _, gid := range c.Groups {
		user.AdditionalGids = append(user.AdditionalGids, uint32(gid))
	}
	p := &specs.Process{
		Terminal:        c.Terminal == config.TerminalYes,
		User:            user,
		Args:            c.Command,
		Cwd:             path.Clean("/" + c.Workdir),
		Capabilities:    &specs.LinuxCapabilities{Bounding: rights.CapabilityNames(c.Capabilities)},
		NoNewPrivileges: true,
		OOMScoreAdj:     c.OOMScoreAdj,
	}
	if user.UID == 0 { // execve(2) gives another user none: capabilities(7)
		p.Capabilities.Effective = p.Capabilities.Bounding
		p.Capabilities.Permitted = p.Capabilities.Bounding
	}
	for _, v := range c.Env {
		p.Env = append(p.Env, v.Name+"="+v.Value)
	}
	p.Rlimits = rlimitsOf(c.Ulimits)
	return p, nil
}

// userOf reads 0 or UID:GID.
func userOf(text string) (specs.User, error) {
	mask := umask
	user := specs.User{Umask: &mask}
	if text == "0" {
		return user, nil
	}
	uidText, gidText, _ := strings.Cut(text, ":")
	uid, uidErr := strconv.ParseUint(uidText, 10, 31)
	gid, gidErr := strconv.ParseUint(gidText, 10, 31)
	if uidErr != nil || gidErr != nil {
		return user, fmt.Errorf("user %q: must be UID:GID", text)
	}
	user.UID, user.GID = uint32(uid), uint32(gid)
	return user, nil
}

// rlimitsOf leaves out those that a later one replaces: the specification forbids two of a type.
func rlimitsOf(ulimits []config.Ulimit) (all []specs.POSIXRlimit) {
next:
	for i, u := range ulimits {
		for _, later := range ulimits[i+1:] {
			if later.Name == u.Name {
				continue next
			}
		}
		all = append(all, specs.POSIXRlimit{
			Type: rlimitPrefix + strings.ToUpper(u.Name),
			Hard: u.Hard,
			Soft: u.Soft,
		})
	}
	return all
}

const rlimitPrefix = "RLIMIT_"

// namespaceTypes are the specification's names of namespaces.
var namespaceTypes = []struct {
	flag config.Namespaces
	name specs.LinuxNamespaceType
}{
	{unix.CLONE_NEWUTS, specs.UTSNamespace},
	{unix.CLONE_NEWPID, specs.PIDNamespace},
	{unix.CLONE_NEWNS, specs.MountNamespace},
	{unix.CLONE_NEWIPC, specs.IPCNamespace},
	{unix.CLONE_NEWNET, specs.NetworkNamespace},
	{unix.CLONE_NEWUSER, specs.UserNamespace},
	{unix.CLONE_NEWCGROUP, specs.CgroupNamespace},
	{unix.CLONE_NEWTIME, specs.TimeNamespace},
}

func namespacesOf(n config.Namespaces) (all []specs.LinuxNamespace) {
	for _, known := range namespaceTypes {
		if n&known.flag != 0 {
			all = append(all, specs.LinuxNamespace{Type: known.name})
		}
	}
	return all
}

func mappingsOf(m config.IDMap) (all []specs.LinuxIDMapping) {
	for _, r := range m {
		all = append(all, specs.LinuxIDMapping{
			ContainerID: uint32(r.Inside),
			HostID:      uint32(r.Outside),
			Size:        uint32(r.Size),
		})
	}
	return all
}

// resourcesOf are the limits. The specification counts swap as version 1 of cgroups(7) does: memory
// and swap together.
func resourcesOf(c *config.Container) *specs.LinuxResources {
	r := &specs.LinuxResources{}
	if deniesDevices(c) {
		r.Devices = []specs.LinuxDeviceCgroup{{Allow: false, Access: allAccess}}
	}
	if c.Memory > 0 {
		limit := c.Memory
		r.Memory = &specs.LinuxMemory{Limit: &limit, Swap: &limit}
	}
	if c.Pids > 0 {
		limit := c.Pids
		r.Pids = &specs.LinuxPids{Limit: &limit}
	}
	if c.CPUs > 0 {
		quota, period := cgroup.Quota(c.CPUs), uint64(cgroup.Period)
		r.CPU = &specs.LinuxCPU{Quota: &quota, Period: &period}
	}
	return r
}

// allAccess is to read, to write and to make device files.
const allAccess = "rwm"

// deniesDevices tells whether no device works but those that every container has. The runtime needs
// no cgroup for that: all mounts are nodev, and so are, for a user namespace, those that are made
// later (mount_namespaces(7)). Without one, who has CAP_SYS_ADMIN can mount without nodev.
func deniesDevices(c *config.Container) bool {
	mayMount := !c.Namespaces.Has(unix.CLONE_NEWUSER) && c.Capabilities.Has(unix.CAP_SYS_ADMIN)
	return c.Namespaces.Has(unix.CLONE_NEWNS) && !mayMount
}

// profileFor is Docker's default profile for these capabilities, with the one call that the filter
// of package rights allows besides. That the filter decides as it does is tested there.
func profileFor(c config.Capabilities) (*specs.LinuxSeccomp, error) {
	profile, err := seccomp.GetDefaultProfile(&specs.Spec{Process: &specs.Process{
		Capabilities: &specs.LinuxCapabilities{Bounding: rights.CapabilityNames(c)},
	}})
	if err != nil {
		return nil, fmt.Errorf("seccomp profile: %w", err)
	}
	if c.Has(unix.CAP_SYS_ADMIN) {
		profile.Syscalls = append(profile.Syscalls, specs.LinuxSyscall{
			Names:  []string{"pivot_root"},
			Action: specs.ActAllow,
		})
	}
	return profile, nil
}
