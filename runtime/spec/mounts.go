//go:build linux

package spec

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/users"
)

// flagWords are the words of mount(8) for flags of mount(2), and for flags that are not set.
var flagWords = []struct {
	flag       uintptr
	set, clear string
}{
	{unix.MS_RDONLY, "ro", "rw"},
	{unix.MS_NOSUID, "nosuid", "suid"},
	{unix.MS_NODEV, "nodev", "dev"},
	{unix.MS_NOEXEC, "noexec", "exec"},
	{unix.MS_STRICTATIME, "strictatime", "relatime"},
}

// mountsOf are the file systems that the runtime mounts besides the root, and the volumes.
func mountsOf(c *config.Container) (all []specs.Mount, err error) {
	own, err := ownMounts(c)
	if err != nil {
		return nil, err
	}
	for _, m := range own {
		all = append(all, mountOf(m))
	}
	for _, v := range c.Volumes {
		options := []string{"rbind", "rprivate"}
		isDevice := rootfs.IsDevice(v.Source)
		if !isDevice {
			options = append(options, "nodev")
		}
		if v.ReadOnly {
			options = append(options, "ro")
		}
		if users.IsOther(c) && !isDevice {
			// Files have the same owners inside as outside. Runtimes know the word since version
			// 1.2 of the specification; older ones hand it to the kernel, which ignores it.
			options = append(options, "ridmap")
		}
		all = append(all, specs.Mount{
			Destination: v.Target,
			Type:        "bind",
			Source:      v.Source,
			Options:     options,
		})
	}
	return all, nil
}

const cgroupDir = "/sys/fs/cgroup"

// ownMounts are those of package rootfs, as the specification counts them: one mount of the type
// cgroup stands for all by which a container sees its cgroup, be it of version 1 or 2.
func ownMounts(c *config.Container) (all []rootfs.Mount, err error) {
	mounts, err := rootfs.Mounts(c)
	for _, m := range mounts {
		if m.Type == "cgroup" || m.Type == "cgroup2" {
			all = slices.DeleteFunc(all, func(m rootfs.Mount) bool { return m.Target == cgroupDir })
			m = rootfs.Mount{Type: "cgroup", Target: cgroupDir, Flags: m.Flags}
		}
		all = append(all, m)
	}
	return all, err
}

func mountOf(m rootfs.Mount) specs.Mount {
	if m.Target == "/dev" { // where other runtimes put device files, and not mounts of them
		m.Flags &^= unix.MS_NODEV
	}
	s := specs.Mount{Destination: m.Target, Type: m.Type, Source: m.Type}
	if m.FromHost {
		s.Type, s.Source = "bind", m.Target
		s.Options = []string{"rbind", "rprivate"}
	}
	for _, word := range flagWords {
		if m.Flags&word.flag != 0 {
			s.Options = append(s.Options, word.set)
		}
	}
	if m.Options != "" {
		s.Options = append(s.Options, strings.Split(m.Options, ",")...)
	}
	return s
}

// readMounts tells the runtime's own mounts from volumes, and refuses all others. The container
// must have its namespaces and limits already, which decide about the former.
//
// Those of its own that a file does not ask for are mounted all the same: the specification wants
// some of them in every container (config-linux.md, Default Filesystems), and the others show
// nothing but the container's own namespaces.
func (r *reader) readMounts(mounts []specs.Mount) {
	if len(mounts) > 0 && !r.c.Namespaces.Has(unix.CLONE_NEWNS) {
		r.refuse("mounts", "must be with a mount namespace")
		return
	}
	c := *r.c
	var own []rootfs.Mount
	err := users.FindMaps(&c)
	if err == nil {
		own, err = ownMounts(&c)
	}
	if err != nil {
		r.refuse("mounts", "%w", err)
		return
	}
	seen := map[string]bool{}
	for i, m := range mounts {
		field := fmt.Sprintf("mounts[%d] %q", i, m.Destination)
		target := path.Clean("/" + r.text(field, m.Destination))
		is := func(m rootfs.Mount) bool { return m.Target == target }
		at := slices.IndexFunc(own, is)
		bind := slices.Contains(m.Options, "bind") || slices.Contains(m.Options, "rbind")
		switch {
		case bind && (at < 0 || !own[at].FromHost || path.Clean(m.Source) != target):
			r.readVolume(field, target, m, users.IsOther(&c))
		case at < 0:
			r.refuse(field, "type %q: must be a bind mount, or one that container spec prints "+
				"with these namespaces and limits", m.Type)
		case own[at].FromHost && !bind:
			r.refuse(field, "type %q: must be a bind mount of the host's: the namespace that "+
				"it shows is not the container's own", m.Type)
		case !bind && m.Type != own[at].Type && (own[at].Type != "cgroup" || m.Type != "cgroup2"):
			r.refuse(field, "type %q: must be %q", m.Type, own[at].Type)
		case seen[target]:
			r.refuse(field, "must be there once")
		default:
			seen[target] = true
			r.checkOptions(field, m.Options, own[at])
		}
	}
}

// checkOptions refuses options that the runtime's own mount does not have. It may have more of
// those that take something away.
func (r *reader) checkOptions(field string, options []string, own rootfs.Mount) {
	accepted := append(strings.Split(own.Options, ","), neutralWords...)
	if own.FromHost {
		accepted = append(accepted, "rbind")
	}
	for _, word := range flagWords {
		if own.Flags&word.flag != 0 {
			accepted = append(accepted, word.set)
		} else {
			accepted = append(accepted, word.clear)
		}
	}
	for _, option := range options {
		if !slices.Contains(accepted, option) {
			r.refuse(field, "option %q: not supported there", option)
		}
	}
}

// neutralWords ask for what is so anyway: no mount of a container is shared with the host.
var neutralWords = []string{"defaults", "async", "private", "rprivate"}

// readVolume reads a bind mount. idmapped tells whether the runtime maps the owners of its files.
func (r *reader) readVolume(field, target string, m specs.Mount, idmapped bool) {
	v := config.Volume{Source: r.inBundle(r.text(field, m.Source)), Target: target}
	if m.Source == "" {
		r.refuse(field, "source: missing")
	}
	recursive, mapped := false, false
	for _, option := range m.Options {
		switch option {
		case "bind", "exec", "nodev", "relatime":
		case "nosuid": // no program gets privileges anyway: prctl(2), PR_SET_NO_NEW_PRIVS
		case "rbind":
			recursive = true
		case "ro", "rro": // with what is mounted below
			v.ReadOnly = true
		case "rw":
			v.ReadOnly = false
		case "idmap", "ridmap":
			mapped = true
		default:
			if !slices.Contains(neutralWords, option) {
				r.refuse(field, "option %q: not supported", option)
			}
		}
	}
	switch {
	case !recursive && hasMountsBelow(v.Source):
		r.refuse(field, "option \"bind\": must be \"rbind\": there are mounts below %q", v.Source)
	case recursive && slices.Contains(m.Options, "idmap"):
		r.refuse(field, "option \"idmap\": must be \"ridmap\" with \"rbind\"")
	case rootfs.IsDevice(v.Source): // a device is the same, whoever owns its file
	case idmapped && !mapped:
		r.refuse(field, "options: must have \"ridmap\": in this user namespace the runtime gives "+
			"files the same owners inside as outside")
	case mapped && !idmapped:
		r.refuse(field, "options: \"ridmap\" needs a user namespace with another root")
	}
	r.c.Volumes = append(r.c.Volumes, v)
}

// hasMountsBelow tells whether something is mounted below a path of the host: the volume would show
// it. Where the path leads nowhere, making the container will fail.
func hasMountsBelow(source string) bool {
	absolute, err := filepath.Abs(source)
	if err != nil {
		return true
	}
	dir, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return false
	}
	below := strings.TrimSuffix(dir, "/") + "/"
	mounts, err := mountinfo.GetMounts(func(m *mountinfo.Info) (skip, stop bool) {
		return !strings.HasPrefix(m.Mountpoint, below), false
	})
	return err != nil || len(mounts) > 0
}
