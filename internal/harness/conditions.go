//go:build linux

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// asker answers the conditions of a script, and remembers what it found missing.
type asker struct {
	missing []string // what the conditions of the script found missing on the machine
	// ofProgram tells that it was the program in which the last of them found something missing.
	ofProgram bool
	notBuilt  string // a flag that the program does not take yet
}

// condition answers the conditions that are ours.
func (s *asker) condition(name string) (bool, error) {
	if flag, ok := strings.CutPrefix(name, flagPrefix); ok {
		takes, err := takesFlag(flag)
		if !takes && err == nil {
			s.missing, s.ofProgram = append(s.missing, "not built yet: -"+flag), true
			s.notBuilt = flag
		}
		return takes, err
	}
	switch name { // these are nothing that is missing elsewhere
	case "emulated":
		return now().Emulated, nil
	case "few":
		return now().Few, nil
	}
	check, ok := conditions[name]
	if !ok {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	why := check()
	if why != "" {
		s.missing, s.ofProgram = append(s.missing, why), name == "ours" || name == "flags"
	}
	return why == "", nil
}

// conditions say what is missing for them, by trying it.
var conditions = map[string]func() (missing string){
	"user": func() string {
		if err := try(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}); err != nil {
			return "user namespaces: " + err.Error()
		}
		return ""
	},
	"time": func() string {
		host, _ := os.Readlink("/proc/self/ns/time")
		cmd := exec.Command("readlink", "/proc/self/ns/time")
		cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: 0x80} // CLONE_NEWTIME
		inside, err := cmd.Output()
		if err != nil || strings.TrimSpace(string(inside)) == host {
			return "execve(2) does not enter one before Linux 6.2"
		}
		return ""
	},
	"root": func() string {
		ids, _ := os.ReadFile("/proc/self/uid_map")
		if strings.Join(strings.Fields(string(ids)), " ") != "0 0 4294967295" {
			return "only root of the machine may do this"
		}
		return ""
	},
	"cgroups": func() string { return now().NoCgroups },
	"cgroup2": func() string {
		if _, err := os.Stat(filepath.Join(cgroupFS, "cgroup.controllers")); err != nil {
			return "cgroup version 2"
		}
		return ""
	},
	"iproute2": func() string {
		if out, _ := exec.Command("ip", "-V").CombinedOutput(); !strings.Contains(string(out),
			"iproute2") {
			return "iproute2" // that of BusyBox cannot make a pair of interfaces
		}
		return ""
	},
	"swap": func() string {
		for _, file := range []string{
			"harness/memory.swap.max",
			"memory/memory.memsw.limit_in_bytes",
		} {
			if _, err := os.Stat(filepath.Join(cgroupFS, file)); err == nil {
				return ""
			}
		}
		return "swap accounting"
	},
	// Since Linux 6.2 it can be forbidden to type into a terminal (ioctl_tty(2), TIOCSTI).
	"tiocsti": func() string {
		legacy, err := os.ReadFile("/proc/sys/dev/tty/legacy_tiocsti")
		if err == nil && strings.TrimSpace(string(legacy)) == "0" {
			return "dev.tty.legacy_tiocsti is 0: the kernel forbids it to all"
		}
		return ""
	},
	// An overlay in a user namespace marks a directory that hides another one by the attribute
	// user.overlay.opaque (overlayfs.rst). Its upper layer is on a tmpfs, which has such attributes
	// since Linux 6.6.
	"opaque": func() string {
		return lackOfTmpfs(mark, unix.EOPNOTSUPP,
			"a tmpfs has no attributes user.* before Linux 6.6")
	},
	"idmap": func() string {
		return lackOfTmpfs(idmap, unix.EINVAL, "a tmpfs has no idmapped mounts before Linux 6.3")
	},
	// A file system of Btrfs in a file, which a loop device makes a disk of (losetup(8)).
	"btrfs": func() string {
		for _, program := range []string{"mkfs.btrfs", "btrfs"} {
			if _, err := exec.LookPath(program); err != nil {
				return "btrfs-progs"
			}
		}
		const script = "mount -t tmpfs tmpfs . && cd \"$PWD\" && truncate -s 128M disk && " +
			"mkfs.btrfs -q disk && mkdir fs && mount -o loop disk fs"
		cmd := exec.Command("unshare", "-m", "sh", "-c", script)
		cmd.Dir = filepath.Join(now().Dir, "work")
		if out, err := cmd.CombinedOutput(); err != nil {
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			return "Btrfs on a loop device: " + lines[len(lines)-1]
		}
		return ""
	},
	"ours": func() string {
		if now().Program != "" {
			return "this program is not one of the workshop's own"
		}
		return ""
	},
	// The program under test takes the flags of ours, and not only a command as the article's does.
	"flags": func() string {
		if now().Program == "" {
			return ""
		}
		for _, flag := range []string{"ns", "hostname"} {
			if takes, err := takesFlag(flag); err != nil || !takes {
				return "this program does not take -ns and -hostname"
			}
		}
		return ""
	},
}

// lackOfTmpfs says what a tmpfs lacks: why, if what is tried with it fails with the error of that.
func lackOfTmpfs(try func(mount int) error, lacks error, why string) string {
	switch err := tryTmpfs(try); {
	case errors.Is(err, lacks):
		return why
	case err != nil:
		return "a tmpfs to try: " + err.Error()
	}
	return ""
}

// lackOfIDMaps says what to do if root's containers of the program under test do not start here
// because the root file systems of the scripts cannot be idmapped: without a user namespace they
// start. It is found out once.
var lackOfIDMaps = sync.OnceValues(func() (why string, err error) {
	if !now().NoIDMaps || conditions["root"]() != "" {
		return "", nil
	}
	before, err := hostState()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(filepath.Join(now().Dir, "work"), "idmap-")
	if err != nil {
		return "", err
	}
	err = errors.Join(os.Chmod(dir, 0o755), copyRootfs(filepath.Join(dir, "rootfs")))
	if err == nil && !starts(dir) && starts(dir, "-ns", "uts,pid,mnt") {
		why = fmt.Sprintf("a tmpfs has none before Linux 6.3, nor has %s: "+
			"set TMPDIR to a directory on ext4 or XFS", os.TempDir())
	}
	return why, errors.Join(err, restore(before), os.RemoveAll(dir))
})

// starts tells whether the program under test starts a container with these flags. There is a
// rootfs in dir.
func starts(dir string, flags ...string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), now().Timeout)
	defer cancel()
	args := append(append([]string{"run"}, flags...), "true")
	cmd := exec.CommandContext(ctx, filepath.Join(now().Dir, "bin", "container"), args...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second // a process that was left behind may hold the pipe
	return cmd.Run() == nil
}

// tryTmpfs makes a tmpfs, without attaching it anywhere, and tries something with it.
func tryTmpfs(what func(mount int) error) error {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return err
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	return what(mount)
}

// mark sets the attribute of an opaque directory.
func mark(mount int) error {
	dir, err := unix.Openat(mount, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(dir)
	return unix.Fsetxattr(dir, "user.overlay.opaque", []byte("y"), 0)
}

// try starts a program with these attributes.
func try(attr *syscall.SysProcAttr) error {
	cmd := exec.Command(filepath.Join(now().Dir, "bin", "probe"), "true")
	cmd.SysProcAttr = attr
	return cmd.Run()
}
