//go:build linux

package rootfs

import (
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/plan"
)

// devices are the ones of every container, with the numbers that the kernel's list of devices gives
// them.
var devices = []struct {
	name         string // in /dev
	major, minor uint32
}{
	{"null", 1, 3},
	{"zero", 1, 5},
	{"full", 1, 7},
	{"random", 1, 8},
	{"urandom", 1, 9},
	{"tty", 5, 0},
}

// deviceAt returns the number of the device that a file is, if it is one of them, or 0. That it is
// not there is for others to say.
func deviceAt(path string) uint64 {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return 0
	}
	return deviceOf(&stat)
}

// IsDevice tells whether a file is one of those that each container has.
func IsDevice(path string) bool { return deviceAt(path) != 0 }

func deviceOf(stat *unix.Stat_t) uint64 {
	for _, d := range devices {
		if stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == unix.Mkdev(d.major, d.minor) {
			return stat.Rdev
		}
	}
	return 0
}

func isDevice(stat *unix.Stat_t) bool {
	kind := stat.Mode & unix.S_IFMT
	return kind == unix.S_IFCHR || kind == unix.S_IFBLK
}

const noDevice = "a device: none works in a container but those of each /dev, as null"

// deviceLinks are links in /dev that programs expect.
var deviceLinks = []struct{ name, target string }{
	{"ptmx", "pts/ptmx"},
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
}

// makeDevices fills /dev, a tmpfs where device files do not work, with mounts of the host's: a user
// namespace may not make any, and root without one may make only what is of no use. Each is made
// sure to be that device: the host may be a container too, with anything in its /dev.
func (r *Root) makeDevices() {
	p := r.p
	for _, d := range devices {
		p.About("device", "/dev/"+d.name)
		p.Hint(plan.ErrCheck, "not that device on the host")
		tree := p.OpenTree(r.host, "dev/"+d.name, unix.AT_RECURSIVE)
		p.Must(p.Statx(tree), plan.StatxMode, plan.ModeMask, plan.Mode(unix.S_IFCHR))
		p.Must(p.Statx(tree), plan.StatxDevice, ^uint64(0), plan.Device(d.major, d.minor))
		p.Mknodat(r.dev, d.name, 0o666)
		p.MoveMount(tree, r.dev, d.name)
		p.Close(tree)
	}
	for _, l := range deviceLinks {
		p.About("link", "/dev/"+l.name)
		p.Symlinkat(l.target, r.dev, l.name)
	}
}
