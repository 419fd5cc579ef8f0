//go:build linux

package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/stretchr/testify/require"

	"container.example/workshop/runtime/config"
)

// limited is the specification of a container with limits, and so with cgroup mounts on all
// machines.
func limited(t *testing.T) *specs.Spec {
	t.Helper()
	s, err := Of(with(func(c *config.Container) { c.Memory, c.Pids, c.CPUs = 64<<20, 24, 0.5 }))
	require.NoError(t, err)
	return s
}

func find(t *testing.T, s *specs.Spec, destination string) *specs.Mount {
	t.Helper()
	i := slices.IndexFunc(s.Mounts, func(m specs.Mount) bool {
		return m.Destination == destination
	})
	require.GreaterOrEqual(t, i, 0, destination)
	return &s.Mounts[i]
}

func add(s *specs.Spec, target, kind, source string, options ...string) {
	s.Mounts = append(s.Mounts, specs.Mount{
		Destination: target,
		Type:        kind,
		Source:      source,
		Options:     options,
	})
}

// without takes a namespace away, and what cannot be without it.
func without(s *specs.Spec, kind specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == kind
	})
	if kind == specs.UserNamespace {
		s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
	}
}

// More isolation than is asked for is fine, and so is another way to ask for the same.
func TestAccepted(t *testing.T) {
	want, err := From(limited(t))
	require.NoError(t, err)
	for name, change := range map[string]func(s *specs.Spec){
		"new privileges": func(s *specs.Spec) { s.Process.NoNewPrivileges = false },
		"no filter":      func(s *specs.Spec) { s.Linux.Seccomp = nil },
		"no paths hidden": func(s *specs.Spec) {
			s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
		},
		"paths below": func(s *specs.Spec) {
			s.Linux.MaskedPaths = []string{"/proc/scsi/scsi", "/proc/acpi/", "/sys/firmware/efi"}
			s.Linux.ReadonlyPaths = []string{"/proc/sys/net", "/proc/asound"}
		},
		"paths of other machines": func(s *specs.Spec) {
			s.Linux.MaskedPaths = []string{"/sys/devices/system/cpu/cpu1023/thermal_throttle"}
		},
		"more sets": func(s *specs.Spec) {
			s.Process.Capabilities.Ambient = []string{"CAP_KILL"}
			s.Process.Capabilities.Inheritable = []string{"CAP_CHOWN"}
		},
		"any order": func(s *specs.Spec) { slices.Reverse(s.Mounts) },
		"no mounts": func(s *specs.Spec) { s.Mounts = nil },
		"no flags":  func(s *specs.Spec) { find(t, s, "/sys").Options = nil },
		"some flags": func(s *specs.Spec) {
			find(t, s, "/proc").Options = []string{"defaults"}
			find(t, s, "/dev").Options = []string{"nodev", "exec"}
		},
		"other sources":    func(s *specs.Spec) { find(t, s, "/dev/shm").Source = "shm" },
		"cgroup2":          func(s *specs.Spec) { find(t, s, "/sys/fs/cgroup").Type = "cgroup2" },
		"relative":         func(s *specs.Spec) { find(t, s, "/dev/pts").Destination = "dev/pts/" },
		"annotations":      func(s *specs.Spec) { s.Annotations = map[string]string{"x": "y"} },
		"version":          func(s *specs.Spec) { s.Version = "1.0.2-dev" },
		"no umask":         func(s *specs.Spec) { s.Process.User.Umask = nil },
		"size, no console": func(s *specs.Spec) { s.Process.ConsoleSize = &specs.Box{Height: 25} },
		"private":          func(s *specs.Spec) { s.Linux.RootfsPropagation = "rprivate" },
		"devices":          func(s *specs.Spec) { s.Linux.Resources.Devices[0].Type = "a" },
		"no devices":       func(s *specs.Spec) { s.Linux.Resources.Devices = nil },
		"swap":             func(s *specs.Spec) { s.Linux.Resources.Memory.Swap = nil },
		"a killer": func(s *specs.Spec) {
			s.Linux.Resources.Memory.DisableOOMKiller = pointer(false)
		},
		"default period": func(s *specs.Spec) { s.Linux.Resources.CPU.Period = nil },
		"other period": func(s *specs.Spec) {
			*s.Linux.Resources.CPU.Quota, *s.Linux.Resources.CPU.Period = 10_000, 20_000
		},
		"empty": func(s *specs.Spec) {
			s.Hooks = &specs.Hooks{Poststop: []specs.Hook{}}
			s.Linux.Resources.BlockIO = &specs.LinuxBlockIO{}
			s.Linux.Sysctl = map[string]string{}
		},
		"settings of Docker": func(s *specs.Spec) {
			s.Linux.Sysctl = map[string]string{
				"net.ipv4.ip_unprivileged_port_start": "0",
				"net.ipv4.ping_group_range":           "0 2147483647",
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := limited(t)
			change(s)
			got, err := From(s)
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
}

func TestAcceptedWithOtherValues(t *testing.T) {
	s := limited(t)
	s.Process.User = specs.User{UID: 1, GID: 0}
	s.Process.Args = nil // the command line may have one
	s.Process.Capabilities.Permitted = nil
	s.Linux.Resources = nil
	s.Linux.UIDMappings, s.Linux.GIDMappings = nil, nil
	without(s, specs.CgroupNamespace)
	s.Mounts = nil
	got, err := From(s)
	require.NoError(t, err)
	require.Equal(t, "1:0", got.User)
	require.Empty(t, got.Command)
	require.Nil(t, got.UIDs)
	require.Zero(t, got.Memory+got.Pids)

	s = limited(t)
	s.Process.Capabilities = nil
	s.Linux.Seccomp = nil
	s.Linux.Resources.Memory.Limit = pointer[int64](-1)
	s.Linux.Resources.Memory.Swap = pointer[int64](-1)
	s.Linux.Resources.Pids.Limit = pointer[int64](-1)
	got, err = From(s)
	require.NoError(t, err)
	require.Zero(t, got.Capabilities)
	require.Zero(t, got.Memory+got.Pids)
	require.Equal(t, 0.5, got.CPUs)

	// No namespace at all.
	got, err = From(&specs.Spec{
		Version: "1.0.0",
		Root:    &specs.Root{Path: "/"},
		Process: &specs.Process{Args: []string{"true"}, Cwd: "/"},
	})
	require.NoError(t, err)
	require.Equal(t, &config.Container{
		Command:  []string{"true"},
		User:     "0",
		Network:  config.HostNetwork,
		Terminal: config.TerminalNo,
		Workdir:  "/",
	}, got)
}

// Bind mounts are volumes.
func TestVolumes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	s := limited(t)
	add(s, "/mnt", "bind", "/srv", "rbind", "rw", "rprivate", "nodev", "nosuid", "ridmap")
	add(s, "srv/../data/", "none", file, "bind", "ro", "private", "relatime", "idmap")
	add(s, "/etc/hosts", "", file, "rro", "bind", "ridmap")
	add(s, "/dev/shm", "bind", "/dev/shm", "rbind", "ro", "rw", "ridmap")
	got, err := From(s)
	require.NoError(t, err)
	require.Equal(t, []config.Volume{
		{Source: "/srv", Target: "/mnt"},
		{Source: file, Target: "/data", ReadOnly: true},
		{Source: file, Target: "/etc/hosts", ReadOnly: true},
		{Source: "/dev/shm", Target: "/dev/shm"},
	}, got.Volumes)
}

// Paths in a file are relative to its directory.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	asked := with(func(c *config.Container) {
		c.Volumes = []config.Volume{
			{Source: "data", Target: "/data"},
			{Source: "/srv", Target: "/srv"},
		}
	})
	s, err := Of(asked)
	require.NoError(t, err)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	file := filepath.Join(dir, "config.json")
	require.NoError(t, os.WriteFile(file, text, 0o600))

	c, err := Load(file)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "rootfs"), c.Rootfs)
	require.Equal(t, filepath.Join(dir, "data"), c.Volumes[0].Source)
	require.Equal(t, "/srv", c.Volumes[1].Source)

	t.Chdir(dir)
	c, err = Load("config.json")
	require.NoError(t, err)
	require.Equal(t, asked, c)
}

// A file that is none says so in a line, with its name.
func TestLoadRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	minimal := `{"ociVersion": "1.0.0", "process": {"args": ["a"], "cwd": "/"}`
	for _, refused := range []struct{ text, want string }{
		{
			text: minimal + `, "hooks": {"poststop": [{"path": "/x"}]}}`,
			want: `hooks: not supported`,
		},
		{
			text: minimal + `, "hooks": 5}`,
			want: `cannot unmarshal number into Go struct field Spec.hooks of type specs.Hooks`,
		},
		{text: minimal + `, "annotation": {}}`, want: `unknown field "annotation"`},
		{text: minimal + `, "linux": {"seccomp2": {}}}`, want: `unknown field "seccomp2"`},
		{text: minimal + `} {}`, want: `must be one JSON object`},
		{text: minimal + `} x`, want: `must be one JSON object`},
		{text: minimal, want: `unexpected EOF`},
		{text: "{\"hostname\": \"\xff\"}", want: `must be UTF-8`},
		{text: ``, want: `is empty`},
		{text: `rootfs`, want: `invalid character 'r' looking for beginning of value`},
	} {
		require.NoError(t, os.WriteFile("x.json", []byte(refused.text), 0o600))
		_, err := Load("x.json")
		require.EqualError(t, err, `config "x.json": `+refused.want)
	}
	require.NoError(t, os.WriteFile("x.json", []byte(minimal+"}"), 0o600))
	_, err := Load("x.json")
	require.NoError(t, err)

	_, err = Load("none.json")
	require.EqualError(t, err, `config "none.json": no such file or directory`)
	_, err = Load(".")
	require.EqualError(t, err, `config ".": is a directory`)
}

// What is bound without what is mounted below it must have nothing there.
func TestHasMountsBelow(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink("/", link))
	require.False(t, hasMountsBelow(dir))
	require.False(t, hasMountsBelow("/nowhere"))
	require.True(t, hasMountsBelow("/"))
	require.True(t, hasMountsBelow(link))
	t.Chdir("/")
	require.True(t, hasMountsBelow("."))
}
