//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Names of contestants that others are compared with, or that have a target.
const (
	floor      = "the floor: the same list, static C"
	bubblewrap = "bubblewrap, filter of runc"
	theSame    = "bubblewrap, the same"
	crun       = "crun, with limits"
	runc       = "runc, with limits"
	ours       = "container"
	limited    = "container, with limits"
	bridged    = "container, with bridge"
)

// bench is what is measured, and what came of it.
type bench struct {
	options
	dir         string
	null        *os.File
	env         []string
	hidden      []string // hierarchies of cgroups
	contestants []contestant
	lastID      int

	median   map[string]time.Duration // from start to end
	resident map[string]int           // kB
	atOnce   map[string]time.Duration // for each of the highest number at once
}

// newBench prepares this process.
func newBench(o options, dir string) (b *bench, err error) {
	b = &bench{
		options: o,
		dir:     dir,
		env: slices.DeleteFunc(os.Environ(), func(v string) bool {
			return strings.HasPrefix(v, directory+"=")
		}),
		median:   map[string]time.Duration{},
		resident: map[string]int{},
		atOnce:   map[string]time.Duration{},
	}
	if err := b.mount(); err != nil {
		return nil, err
	}
	if b.null, err = os.OpenFile("/dev/null", os.O_RDWR, 0); err != nil {
		return nil, err
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("prctl subreaper: %w", err)
	}
	return b, nil
}

// findContestants finds those that the machine has.
func (b *bench) findContestants() error {
	all, err := b.all()
	if err != nil {
		return err
	}
	for _, c := range all {
		if _, err := b.output(c, nothing...); err != nil {
			leftOut(c.name, err)
			continue
		}
		b.contestants = append(b.contestants, c)
	}
	if !b.has(ours) {
		return errors.New("nothing to measure")
	}
	return nil
}

func (b *bench) has(name string) bool {
	return slices.ContainsFunc(b.contestants, func(c contestant) bool { return c.name == name })
}

// mount changes what contestants see of the machine, in the mount namespace of this process.
func (b *bench) mount() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount private /: %w", err)
	}
	if err := replaceNull(filepath.Join(b.dir, "dev")); err != nil {
		return fmt.Errorf("mount /dev/null: %w", err)
	}
	// For bubblewrap, which cannot mount one. On the machine's the cgroups are mounted.
	if err := os.Mkdir(b.sys(), 0o755); err != nil {
		return err
	}
	if err := unix.Mount("sysfs", b.sys(), "sysfs", unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mount sysfs: %w", err)
	}
	if b.onlyV1 {
		if err := b.hide("/sys/fs/cgroup/unified"); err != nil {
			return err
		}
	}
	if b.fifo {
		return b.hideCPUs()
	}
	return nil
}

func (b *bench) sys() string { return filepath.Join(b.dir, "sys") }

// replaceNull mounts another /dev/null over the machine's: crun gives the standard streams to root
// of its container, and the owner of a device is the same wherever it is seen.
func replaceNull(dir string) error {
	null := filepath.Join(dir, "null")
	return errors.Join(
		os.Mkdir(dir, 0o755),
		unix.Mount("tmpfs", dir, "tmpfs", 0, ""),
		unix.Mknod(null, unix.S_IFCHR, int(unix.Mkdev(1, 3))),
		os.Chmod(null, 0o666),
		unix.Mount(null, "/dev/null", "", unix.MS_BIND, ""))
}

// hide mounts an empty file system in the place of a hierarchy of cgroups. Without one crun would
// make directories below it, in a file system that is the machine's.
func (b *bench) hide(hierarchy string) error {
	err := unix.Unmount(hierarchy, unix.MNT_DETACH)
	if err == nil {
		err = unix.Mount("tmpfs", hierarchy, "tmpfs", 0, "")
	}
	if err != nil {
		return fmt.Errorf("hide %s: %w", hierarchy, err)
	}
	b.hidden = append(b.hidden, hierarchy)
	return nil
}

// hideCPUs hides the controller cpu of version 1: runc and crun join all that they find, and this
// one refuses a process of SCHED_FIFO.
func (b *bench) hideCPUs() error {
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup"))
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if !slices.Contains(strings.Split(m.VFSOptions, ","), "cpu") {
			continue
		}
		if err := b.hide(m.Mountpoint); err != nil {
			return err
		}
	}
	return nil
}

// tidy removes what crun has left in what is hidden: others look for cgroups there.
func (b *bench) tidy() (err error) {
	for _, dir := range b.hidden {
		entries, readErr := os.ReadDir(dir)
		err = errors.Join(err, readErr)
		for _, entry := range entries {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, entry.Name())))
		}
	}
	return err
}

// all are the contestants, but for those that lack something that is not a program.
func (b *bench) all() ([]contestant, error) {
	rootfs := b.path("rootfs")
	all := []contestant{
		{name: "the command alone", args: []string{"CMD"}},
		{
			name: "unshare, all namespaces",
			args: []string{"unshare", "-muinpC", "--fork", "-R", rootfs, "CMD"},
		},
	}
	if _, err := os.Stat(b.path("floor")); err == nil {
		all = append(all, contestant{name: floor, args: []string{"./floor"}, dir: b.path("floor")})
	}
	wrap := []string{
		"bwrap", "--unshare-all", "--unshare-user", "--bind", rootfs, "/", "--proc", "/proc",
		"--dev", "/dev", "--tmpfs", "/tmp", "--cap-drop", "ALL",
	}
	filtered := append(slices.Clip(wrap), "--seccomp", "3", "CMD")
	ourFilter, err := b.writeOurFilter()
	if err != nil {
		return nil, err
	}
	all = append(all,
		contestant{name: "bubblewrap, no filter", args: append(slices.Clip(wrap), "CMD")},
		contestant{
			name:  "bubblewrap, filter of ours",
			args:  filtered,
			files: []string{ourFilter},
		})
	if filter, err := b.writeRuncFilter(); err == nil {
		all = append(all, contestant{name: bubblewrap, args: filtered, files: []string{filter}})
	} else {
		leftOut(bubblewrap, err)
	}
	if c, err := b.bubblewrapTheSame(ourFilter); err == nil {
		all = append(all, c)
	} else {
		leftOut(theSame, err)
	}
	limits, bridge := b.limits(), []string{"-net", "bridge"}
	both := append(slices.Clip(bridge), limits...)
	return append(all,
		b.oci(crun, "crun"),
		b.oci(runc, "runc"),
		b.ours("step 3", "step3"),
		b.ours("step 4, with limits", "step4", limits...),
		b.ours("step 5", "step5"),
		b.ours("step 5, with limits", "step5", limits...),
		b.container(ours),
		b.container("container once more: the noise"),
		b.container(limited, limits...),
		b.container(bridged, bridge...),
		b.container("container, with limits and bridge", both...),
	), nil
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// ours is a program of this repository.
func (b *bench) ours(name, program string, flags ...string) contestant {
	args := []string{b.path(program), "run"}
	if program == "container" {
		args = append(args, "-rootfs", b.path("rootfs"))
	}
	return contestant{name: name, args: append(append(args, flags...), "CMD")}
}

func (b *bench) container(name string, flags ...string) contestant {
	return b.ours(name, "container", flags...)
}

// oci is a runtime that takes a config.json.
func (b *bench) oci(name, program string) contestant {
	return contestant{
		name: name,
		args: []string{program, "--root", b.path("state-" + program), "run", "ID"},
		dir:  b.path("bundle"),
	}
}

// bubblewrapHas tells whether the installed version has an option.
func bubblewrapHas(option string) bool {
	help, _ := exec.Command("bwrap", "--help").Output() // without it: see all
	return strings.Contains(string(help), option+" ")
}
