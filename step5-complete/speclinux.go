//go:build linux

package main

import (
	"slices"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// specNamespaces are those of the flag -ns, by the specification's names.
func specNamespaces() (all []specs.LinuxNamespace) {
	for _, n := range []struct {
		flag uintptr
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
	} {
		if has(n.flag) {
			all = append(all, specs.LinuxNamespace{Type: n.name})
		}
	}
	return all
}

// specMounts are the file systems of mountList, and volumes.
func specMounts() (all []specs.Mount) {
	for _, m := range mountList() {
		if m.fstype == "tmpfs" && m.target == cgroupRoot || m.fstype == "cgroup" && m.target != cgroupRoot {
			continue // version 1: one mount of type cgroup stands for them
		}
		all = append(all, specMount(m))
	}
	if has(unix.CLONE_NEWCGROUP) && !cgroupV2() {
		all = append(all, specMount(mount{"cgroup", cgroupRoot, noSuidExecDev | unix.MS_RDONLY, "", ""}))
	}
	for _, v := range volumes {
		options := []string{"rbind", "rprivate", "nodev"}
		if v.readOnly {
			options = append(options, "ro")
		}
		all = append(all, specs.Mount{Destination: v.target, Type: "bind", Source: v.source, Options: options})
	}
	return all
}

func specMount(m mount) specs.Mount {
	if m.host != "" {
		return specs.Mount{Destination: m.target, Type: "bind", Source: "/" + m.host, Options: append(flagNames(m.flags), "rbind")}
	}
	if m.fstype == "cgroup2" {
		m.fstype = "cgroup"
	}
	options := flagNames(m.flags)
	if m.flags&unix.MS_STRICTATIME != 0 {
		options = append(options, "strictatime")
	}
	if m.data != "" {
		options = append(options, m.data)
	}
	if m.fstype == "devpts" || m.fstype == "tmpfs" { // whose devices are the only ones there are
		options = slices.DeleteFunc(options, func(option string) bool { return option == "nodev" && m.target == "/dev" })
	}
	return specs.Mount{Destination: m.target, Type: m.fstype, Source: m.fstype, Options: options}
}

func specIDs(ids idMap) (all []specs.LinuxIDMapping) {
	for _, r := range ids {
		all = append(all, specs.LinuxIDMapping{ContainerID: uint32(r.ContainerID), HostID: uint32(r.HostID), Size: uint32(r.Size)})
	}
	return all
}

// specResources are the limits. The specification counts swap as version 1 of cgroups(7) does.
func specResources() *specs.LinuxResources {
	r := &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{{Allow: false, Access: "rwm"}}}
	for _, l := range limits {
		value := l.value
		switch l.v1 {
		case "memory.limit_in_bytes":
			r.Memory = &specs.LinuxMemory{Limit: &value, Swap: &value}
		case "pids.max":
			r.Pids = &specs.LinuxPids{Limit: &value}
		case "cpu.cfs_quota_us":
			period := uint64(100_000)
			r.CPU = &specs.LinuxCPU{Quota: &value, Period: &period}
		}
	}
	return r
}
