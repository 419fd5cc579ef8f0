//go:build linux

package spec

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"
)

// Whatever cannot be done, or only with less isolation, is refused by name, and nothing else is.
func TestRefused(t *testing.T) {
	for _, refused := range []struct {
		want   string
		change func(s *specs.Spec)
	}{
		{
			want: `hooks: not supported`,
			change: func(s *specs.Spec) {
				s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "/bin/true"}}}
			},
		},
		{
			want:   `ociVersion: "2.0.0": must be 1.x`,
			change: func(s *specs.Spec) { s.Version = "2.0.0" },
		},
		{
			want:   `domainname: not supported`,
			change: func(s *specs.Spec) { s.Domainname = "example" },
		},
		{
			want: `windows: not supported`,
			change: func(s *specs.Spec) {
				s.Windows = &specs.Windows{LayerFolders: []string{"C:"}}
			},
		},
		{
			want:   `hostname "": must be 1 to 64 bytes`,
			change: func(s *specs.Spec) { s.Hostname = "" },
		},
		{
			want: `hostname: the namespace for it, uts, is not in linux.namespaces`,
			change: func(s *specs.Spec) {
				without(s, specs.UTSNamespace)
			},
		},

		// process
		{
			want:   `process: missing`,
			change: func(s *specs.Spec) { s.Process = nil },
		},
		{
			want:   `process.apparmorProfile: not supported`,
			change: func(s *specs.Spec) { s.Process.ApparmorProfile = "p" },
		},
		{
			want:   `process.selinuxLabel: not supported`,
			change: func(s *specs.Spec) { s.Process.SelinuxLabel = "l" },
		},
		{
			want: `process.user.additionalGids: 4294967295: must be below 2147483648`,
			change: func(s *specs.Spec) {
				s.Process.User.AdditionalGids = []uint32{5, 1<<32 - 1}
			},
		},
		{
			want: `process.user.umask: 63: must be 18 (octal 022)`,
			change: func(s *specs.Spec) {
				s.Process.User.Umask = pointer[uint32](0o077)
			},
		},
		{
			want: `process.user: 2147483648:0: must be below 2147483648`,
			change: func(s *specs.Spec) {
				s.Process.User.UID = math.MaxInt32 + 1
			},
		},
		{
			want:   `process.cwd: missing`,
			change: func(s *specs.Spec) { s.Process.Cwd = "" },
		},
		{
			want:   `process.cwd "tmp": must be an absolute path`,
			change: func(s *specs.Spec) { s.Process.Cwd = "tmp" },
		},
		{
			want: `process.args: "a\x00b": must be without zero bytes`,
			change: func(s *specs.Spec) {
				s.Process.Args = []string{"a\x00b"}
			},
		},
		{
			want: `process.env: "A\x00=": must be without zero bytes`,
			change: func(s *specs.Spec) {
				s.Process.Env = []string{"A\x00="}
			},
		},
		{
			want: `process.env: "NAME": must be NAME=VALUE`,
			change: func(s *specs.Spec) {
				s.Process.Env = append(s.Process.Env, "NAME")
			},
		},
		{
			want: `process.env: "=VALUE": must be NAME=VALUE`,
			change: func(s *specs.Spec) {
				s.Process.Env = append(s.Process.Env, "=VALUE")
			},
		},
		{
			want: `process.consoleSize: not supported: it is the caller's`,
			change: func(s *specs.Spec) {
				s.Process.Terminal = true
				s.Process.ConsoleSize = &specs.Box{Height: 25, Width: 80}
			},
		},
		{
			want: `process.oomScoreAdj "1001": must be -1000 to 1000`,
			change: func(s *specs.Spec) {
				s.Process.OOMScoreAdj = pointer(1001)
			},
		},
		{
			want: `process.capabilities.ambient: not supported for another user than root`,
			change: func(s *specs.Spec) {
				s.Process.User.UID = 1
				s.Process.Capabilities.Ambient = []string{"CAP_KILL"}
			},
		},
		{
			want: `process.capabilities: must be the same in bounding, effective and ` +
				`permitted`,
			change: func(s *specs.Spec) {
				s.Process.Capabilities.Effective = nil
			},
		},
		{
			want: `process.capabilities: must be in bounding to be in another set`,
			change: func(s *specs.Spec) {
				s.Process.Capabilities.Inheritable = []string{"CAP_SYS_ADMIN"}
			},
		},
		{
			want: `process.capabilities.effective: unknown capability "ALL"`,
			change: func(s *specs.Spec) {
				s.Process.User.UID = 1
				s.Process.Capabilities.Effective = []string{"ALL"}
			},
		},
		{
			want: `process.capabilities.permitted: unknown capability "cap_kill"`,
			change: func(s *specs.Spec) {
				s.Process.User.UID = 1
				s.Process.Capabilities.Permitted = []string{"cap_kill"}
			},
		},
		{
			want: `process.rlimits[0]: unknown type "NOFILE"`,
			change: func(s *specs.Spec) {
				s.Process.Rlimits = []specs.POSIXRlimit{{Type: "NOFILE"}}
			},
		},
		{
			want: `process.rlimits[0]: "RLIMIT_FILES": unknown limit "files": must be of ` +
				`core, cpu, data, fsize, locks, memlock, ` +
				`msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack`,
			change: func(s *specs.Spec) {
				s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_FILES"}}
			},
		},
		{
			want: `process.rlimits[0]: "RLIMIT_CORE": the soft limit is above the hard ` +
				`one`,
			change: func(s *specs.Spec) {
				s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_CORE", Soft: 2, Hard: 1}}
			},
		},
		{
			want: `process.rlimits[1]: "RLIMIT_CORE": must be there once`,
			change: func(s *specs.Spec) {
				s.Process.Rlimits = make([]specs.POSIXRlimit, 2)
				s.Process.Rlimits[0].Type, s.Process.Rlimits[1].Type = "RLIMIT_CORE", "RLIMIT_CORE"
			},
		},

		// root
		{
			want:   `root.path: missing`,
			change: func(s *specs.Spec) { s.Root = nil },
		},
		{
			want: `root.path: "a\x00b": must be without zero bytes`,
			change: func(s *specs.Spec) {
				s.Root.Path = "a\x00b"
			},
		},
		{
			want: `root.path: "rootfs": must be "/" without a mount namespace`,
			change: func(s *specs.Spec) {
				without(s, specs.MountNamespace)
				s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
				s.Linux.Resources.Devices = nil
			},
		},
		{
			want: `linux.rootfsPropagation: "shared": must be "private", with a mount ` +
				`namespace`,
			change: func(s *specs.Spec) {
				s.Linux.RootfsPropagation = "shared"
			},
		},
		{
			want: `linux.maskedPaths: must be with a mount namespace, and so readonlyPaths`,
			change: func(s *specs.Spec) {
				without(s, specs.MountNamespace)
				s.Root, s.Mounts, s.Linux.MaskedPaths = nil, nil, nil
				s.Linux.Resources.Devices = nil
			},
		},
		{
			want: `linux.maskedPaths: "/proc/keys/../version": the runtime does not mask it`,
			change: func(s *specs.Spec) {
				s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/keys/../version")
			},
		},
		{
			want: `linux.maskedPaths: "/proc/version": the runtime does not mask it`,
			change: func(s *specs.Spec) {
				s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/version")
			},
		},
		{
			want: `linux.maskedPaths: "/proc/keys-too": the runtime does not mask it`,
			change: func(s *specs.Spec) {
				s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/keys-too")
			},
		},
		{
			want: `linux.maskedPaths: "/proc/sys": the runtime does not mask it`,
			change: func(s *specs.Spec) {
				s.Linux.MaskedPaths = append(s.Linux.MaskedPaths, "/proc/sys")
			},
		},
		{
			want: `linux.readonlyPaths: "/proc": the runtime does not make it read-only`,
			change: func(s *specs.Spec) {
				s.Linux.ReadonlyPaths = append(s.Linux.ReadonlyPaths, "/proc")
			},
		},

		// namespaces
		{
			want: `linux.namespaces[0].path: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Namespaces[0].Path = "/proc/1/ns/uts"
			},
		},
		{
			want: `linux.namespaces[7]: unknown namespace "moon"`,
			change: func(s *specs.Spec) {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "moon"})
			},
		},
		{
			want: `linux.namespaces[7]: "uts": must be there once`,
			change: func(s *specs.Spec) {
				s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: "uts"})
			},
		},
		{
			want: `linux.uidMappings: must be with linux.gidMappings, or both left out`,
			change: func(s *specs.Spec) {
				s.Linux.GIDMappings = nil
			},
		},
		{
			want: `linux.uidMappings: must map containerID 0, and so gidMappings: root ` +
				`of the container makes it`,
			change: func(s *specs.Spec) {
				s.Linux.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 1, HostID: 1, Size: 9}}
			},
		},
		{
			want: `linux.uidMappings: must be with a user namespace`,
			change: func(s *specs.Spec) {
				maps := s.Linux.UIDMappings
				without(s, specs.UserNamespace)
				s.Linux.UIDMappings, s.Linux.GIDMappings = maps, maps
			},
		},

		// resources
		{
			want: `linux.resources.devices[1]: not supported: only the rule that denies ` +
				`all`,
			change: func(s *specs.Spec) {
				rule := specs.LinuxDeviceCgroup{
					Allow:  true,
					Type:   "c",
					Major:  pointer[int64](10),
					Minor:  pointer[int64](229),
					Access: "rwm",
				}
				s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, rule)
			},
		},
		{
			want: `linux.resources.devices[0]: not supported: only the rule that denies ` +
				`all`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Devices[0].Allow = true
			},
		},
		{
			want: `linux.resources.devices[0]: must be with a mount namespace, and with ` +
				`a user namespace or without CAP_SYS_ADMIN`,
			change: func(s *specs.Spec) {
				without(s, specs.UserNamespace)
				all := append(s.Process.Capabilities.Bounding, "CAP_SYS_ADMIN")
				s.Process.Capabilities = &specs.LinuxCapabilities{
					Bounding:  all,
					Effective: all,
					Permitted: all,
				}
				s.Linux.Seccomp = nil
			},
		},
		{
			want: `linux.resources.memory.limit: 0: must be above 0, or -1 for none`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Memory = &specs.LinuxMemory{Limit: pointer[int64](0)}
			},
		},
		{
			want: `linux.resources.memory.swap: 134217728: must be the limit`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Memory.Swap = pointer[int64](128 << 20)
			},
		},
		{
			want: `linux.resources.memory.swap: -1: must be the limit`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Memory.Swap = pointer[int64](-1)
			},
		},
		{
			want: `linux.resources.memory.disableOOMKiller: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Memory.DisableOOMKiller = pointer(true)
			},
		},
		{
			want: `linux.resources.memory.swappiness: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Memory.Swappiness = pointer[uint64](0) // 0 asks for something
			},
		},
		{
			want: `linux.resources.pids.limit: -2: must be above 0, or -1 for none`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Pids.Limit = pointer[int64](-2)
			},
		},
		{
			want: `linux.resources.cpu.quota: -5: must be above 0, or -1 for none`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.CPU.Quota = pointer[int64](-5)
			},
		},
		{
			want: `linux.resources.cpu.period: 0: must be above 0, and with a quota`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.CPU.Period = pointer[uint64](0)
			},
		},
		{
			want: `linux.resources.cpu.period: 100000: must be above 0, and with a quota`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.CPU.Quota = nil
			},
		},
		{
			want: `linux.resources.cpu.shares: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.CPU.Shares = pointer[uint64](1024)
			},
		},
		{
			want: `linux.resources.unified: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Resources.Unified = map[string]string{"memory.high": "1"}
			},
		},
		{
			want: `linux.sysctl: "net.ipv4.ip_forward": not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Sysctl = map[string]string{"net.ipv4.ip_forward": "1"}
			},
		},
		{
			want: `linux.sysctl: "net.ipv4.ip_unprivileged_port_start": "1024": ` +
				`must be what each container gets`,
			change: func(s *specs.Spec) {
				s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "1024"}
			},
		},
		{
			want: `linux.sysctl: "net.ipv4.ping_group_range": "1 0": must be what each ` +
				`container gets`,
			change: func(s *specs.Spec) {
				s.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "1 0"}
			},
		},
		{
			want: `linux.devices: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/fuse", Type: "c"}}
			},
		},
		{
			want: `linux.intelRdt: not supported`,
			change: func(s *specs.Spec) {
				s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: "guaranteed"}
			},
		},

		// seccomp
		{
			want: `linux.seccomp: must be left out, or what container spec prints: the ` +
				`runtime's own for these capabilities`,
			change: func(s *specs.Spec) {
				s.Linux.Seccomp.Syscalls = append(s.Linux.Seccomp.Syscalls, specs.LinuxSyscall{
					Names:  []string{"bpf"},
					Action: specs.ActAllow,
				})
			},
		},

		// mounts
		{
			want: `mounts: must be with a mount namespace`,
			change: func(s *specs.Spec) {
				without(s, specs.MountNamespace)
				s.Root, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil
				s.Linux.Resources.Devices = nil
			},
		},
		{
			want: `mounts[7] "/mnt": type "tmpfs": must be a bind mount, or one that ` +
				`container spec prints with these namespaces and limits`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "tmpfs", "tmpfs")
			},
		},
		{
			want: `mounts[0] "/proc": type "tmpfs": must be "proc"`,
			change: func(s *specs.Spec) {
				find(t, s, "/proc").Type = "tmpfs"
			},
		},
		{
			want: `mounts[1] "/sys": option "rw": not supported there`,
			change: func(s *specs.Spec) {
				find(t, s, "/sys").Options = []string{"rw"}
			},
		},
		{
			want: `mounts[2] "/dev": option "noexec": not supported there`,
			change: func(s *specs.Spec) {
				m := find(t, s, "/dev")
				m.Options = append(m.Options, "noexec")
			},
		},
		{
			want: `mounts[4] "/dev/shm": option "size=1m": not supported there`,
			change: func(s *specs.Spec) {
				find(t, s, "/dev/shm").Options = []string{"nosuid", "mode=1777", "size=1m"}
			},
		},
		{
			want: `mounts[6] "/sys/fs/cgroup": option "shared": not supported there`,
			change: func(s *specs.Spec) {
				find(t, s, "/sys/fs/cgroup").Options = []string{"shared"}
			},
		},
		{
			want:   `mounts[7] "/dev/": must be there once`,
			change: func(s *specs.Spec) { add(s, "/dev/", "tmpfs", "tmpfs") },
		},
		{
			want: `mounts[6] "/sys/fs/cgroup": type "cgroup": must be a bind mount, or ` +
				`one that container spec prints with these namespaces and limits`,
			change: func(s *specs.Spec) {
				without(s, specs.CgroupNamespace)
			},
		},
		{
			want: `mounts[0] "/proc": type "proc": must be a bind mount of the host's: ` +
				`the namespace that it shows is not the container's own`,
			change: func(s *specs.Spec) {
				without(s, specs.PIDNamespace)
			},
		},
		{
			want: `mounts[7] "/%s": source: missing`,
			change: func(s *specs.Spec) {
				add(s, "/%s", "bind", "", "rbind", "ridmap")
			},
		},
		{
			want: `linux.rootfsPropagation: "r": must be "private", with a mount namespace`,
			change: func(s *specs.Spec) {
				s.Linux.RootfsPropagation = "r"
			},
		},
		{
			want: `linux.rootfsPropagation: "private": must be "private", with a mount namespace`,
			change: func(s *specs.Spec) {
				without(s, specs.MountNamespace)
				s.Root, s.Mounts, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil, nil, nil
				s.Linux.Resources.Devices = nil
				s.Linux.RootfsPropagation = "private"
			},
		},
		{
			want: `mounts[0].uidMappings: not supported`,
			change: func(s *specs.Spec) {
				s.Mounts[0].UIDMappings = s.Linux.UIDMappings
			},
		},
		{
			want: `mounts "/srv:/proc/sys": /proc is the container's own`,
			change: func(s *specs.Spec) {
				add(s, "/proc/sys", "none", "/srv", "rbind", "ridmap")
			},
		},
		{
			want: `mounts[7] "/mnt": source: missing`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "", "rbind", "ridmap")
			},
		},
		{
			want: `mounts[7] "/mnt": option "noexec": not supported`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "/srv", "rbind", "ridmap", "noexec")
			},
		},
		{
			want: `mounts[7] "/mnt": option "rslave": not supported`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "/srv", "rbind", "ridmap", "rslave")
			},
		},
		{
			want: `mounts[7] "/mnt": option "bind": must be "rbind": there are mounts ` +
				`below "/"`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "/", "bind", "idmap")
			},
		},
		{
			want: `mounts[7] "/mnt": option "idmap": must be "ridmap" with "rbind"`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "/srv", "rbind", "idmap")
			},
		},
		{
			want: `mounts[7] "/mnt": options: must have "ridmap": in this user namespace ` +
				`the runtime gives files the same owners inside as outside`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "/srv", "rbind")
			},
		},
		{
			want: `mounts[7] "/mnt": options: "ridmap" needs a user namespace with ` +
				`another root`,
			change: func(s *specs.Spec) {
				without(s, specs.UserNamespace)
				add(s, "/mnt", "bind", "/srv", "rbind", "ridmap")
			},
		},
		{
			want: `mounts[7] "/mnt": "a\x00b": must be without zero bytes`,
			change: func(s *specs.Spec) {
				add(s, "/mnt", "bind", "a\x00b", "rbind", "ridmap")
			},
		},
	} {
		t.Run(refused.want, func(t *testing.T) {
			s := limited(t)
			refused.change(s)
			_, err := From(s)
			require.EqualError(t, err, refused.want)
		})
	}
}

// All problems are named at once.
func TestRefusedTogether(t *testing.T) {
	s := limited(t)
	s.Hostname, s.Domainname, s.Linux.CgroupsPath = "", "example", "/here"
	_, err := From(s)
	require.EqualError(t, err, "domainname: not supported\nlinux.cgroupsPath: not supported\n"+
		`hostname "": must be 1 to 64 bytes`)
}

// Any field that is not understood is refused, also one that a later version of the specification
// will have.
func TestRefusedFields(t *testing.T) {
	s := limited(t)
	fields := 0
	var visit func(v reflect.Value, field, kind string)
	visit = func(v reflect.Value, field, kind string) {
		below := func(known string) bool { return kind == "" || strings.HasPrefix(known, kind+".") }
		switch {
		case slices.Contains(understood, kind):
		case !slices.ContainsFunc(understood, below):
			fields++
			v.Set(something(v.Type()))
			_, err := From(s)
			require.EqualError(t, err, field+": not supported")
			v.SetZero()
		case v.Kind() == reflect.Pointer:
			visit(v.Elem(), field, kind)
		case v.Kind() == reflect.Slice:
			visit(v.Index(0), field+"[0]", kind)
		default:
			for i := range v.NumField() {
				name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
				visit(v.Field(i), join(field, name), join(kind, name))
			}
		}
	}
	visit(reflect.ValueOf(s), "", "")
	require.Greater(t, fields, 40)
}

// something makes a value that asks for something.
func something(kind reflect.Type) reflect.Value {
	v := reflect.New(kind).Elem()
	switch kind.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(kind.Elem()))
		if kind.Elem().Kind() == reflect.Struct { // a pointer to a number may ask for 0
			v.Elem().Set(something(kind.Elem()))
		}
	case reflect.Struct:
		last := kind.NumField() - 1
		v.Field(last).Set(something(kind.Field(last).Type))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(kind, 1, 1))
	case reflect.Map:
		v.Set(reflect.MakeMap(kind))
		v.SetMapIndex(reflect.New(kind.Key()).Elem(), reflect.New(kind.Elem()).Elem())
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	default:
		panic(kind)
	}
	return v
}
