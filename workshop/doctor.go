//go:build linux

package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
)

// A finding is what the doctor says about one thing that the workshop needs.
type finding struct {
	what   string
	steps  string // that need it: 1-5
	have   string // what there is
	lack   string // what is missing; nothing if it is fine
	remedy string // what to do about it
	minor  bool   // the step can be done without
}

func (a *app) doctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Tell what this machine has and lacks for each step",
		Long: `Try all that the workshop needs on this machine, and say what to do about what is missing. The exit status is 0
if all five steps can be done, and 1 if not.`,
		Example: `  workshop doctor
  sudo env "PATH=$PATH" go tool workshop doctor`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			root, err := moduleRoot()
			if err != nil {
				return err
			}
			return a.examine(cmd.Context(), root)
		},
	}
}

// examine prints all findings.
func (a *app) examine(ctx context.Context, root string) error {
	out := a.out
	bad := map[byte]bool{}
	for _, check := range []func(context.Context, string) []finding{
		findGo, findKernel, findNamespaces, findUserNamespaces, findCgroups, findFileSystems, findSeccomp, findRootfs, findHost,
	} {
		for _, f := range check(ctx, root) {
			mark, text := out.good.Render("✓"), f.have
			switch {
			case f.lack != "" && f.minor:
				mark, text = out.note.Render("-"), f.lack
			case f.lack != "":
				mark, text = out.bad.Render("✗"), f.lack
				for n := f.steps[0]; n <= f.steps[len(f.steps)-1]; n++ {
					bad[n] = true
				}
			}
			out.printf("%s %-26s %s %s\n", mark, f.what, out.faint.Render(fmt.Sprintf("%-4s", f.steps)), out.wrap(text, 34))
			if f.lack != "" {
				for line := range strings.SplitSeq(f.remedy, "\n") {
					out.printf("  %-31s %s %s\n", "", out.note.Render("→"), out.wrap(line, 36))
				}
			}
		}
	}
	var can, cannot []string
	for n := byte('1'); n <= '5'; n++ {
		if bad[n] {
			cannot = append(cannot, string(n))
		} else {
			can = append(can, string(n))
		}
	}
	if len(cannot) == 0 {
		out.printf("\n%s All five steps can be done here.\n", out.good.Render("✓"))
		return nil
	}
	out.printf("\n%s Not all of it can be done here: step %s.", out.bad.Render("✗"), strings.Join(cannot, ", "))
	if len(can) > 0 {
		out.printf(" What can: step %s.", strings.Join(can, ", "))
	}
	out.printf("\n")
	return errFailed
}

func findGo(ctx context.Context, root string) []finding {
	f := finding{what: "Go", steps: "1-5", remedy: "install it from https://go.dev/dl, and have it in PATH; sudo has a PATH of its own: sudo env \"PATH=$PATH\" ..."}
	cmd := exec.CommandContext(ctx, "go", "version")
	cmd.Dir = root // where go.mod says which version
	text, err := cmd.Output()
	if f.have = strings.TrimSpace(strings.TrimPrefix(string(text), "go version ")); err != nil {
		f.lack = fmt.Sprintf("go version: %v", err)
	}
	return []finding{f}
}

// release is the version of the kernel as a number: 6.2 is 602.
func release() (text string, number int) {
	var u unix.Utsname
	if unix.Uname(&u) != nil { // cannot fail
		return "", 0
	}
	text = unix.ByteSliceToString(u.Release[:])
	var major, minor int
	fmt.Sscanf(text, "%d.%d", &major, &minor)
	return text, 100*major + minor
}

func findKernel(context.Context, string) []finding {
	text, number := release()
	f := finding{what: "Linux", steps: "1-5", have: text + " on " + runtime.GOARCH, remedy: "take a newer kernel, or the workshop's VM"}
	if number < 512 {
		f.lack = text + ": before 5.12 the throw-away host cannot be made read-only (mount_setattr(2))"
	}
	rights := finding{what: "rights", steps: "2-5", have: "root"}
	if os.Geteuid() != 0 {
		rights.minor = true
		rights.lack = "an ordinary user: containers need a user namespace, and limits need root"
		rights.remedy = "sudo env \"PATH=$PATH\" " + self() + " doctor"
	}
	return []finding{f, rights}
}

// try starts this program with these attributes, in a user namespace unless we are root, to try what tried says.
func try(what string, attr syscall.SysProcAttr) error {
	if os.Geteuid() != 0 && attr.Credential == nil {
		attr.Cloneflags |= unix.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), tryEnv+"="+what)
	cmd.SysProcAttr = &attr
	out, err := cmd.CombinedOutput()
	if text := strings.TrimSpace(string(out)); text != "" {
		return errors.New(text)
	}
	for errors.Unwrap(err) != nil { // fork/exec /proc/self/exe tells nobody anything
		err = errors.Unwrap(err)
	}
	return err
}

// tryEnv has this program try one thing and say what is wrong with it: see tried.
const tryEnv = "WORKSHOP_TRY"

// tried does what the doctor's other process is for. To have been started may be all.
func tried(what string) error {
	switch what {
	case "user":
		cmd := exec.Command("true")
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		}
		err := cmd.Run()
		for errors.Unwrap(err) != nil {
			err = errors.Unwrap(err)
		}
		return err
	case "overlay":
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := unix.Mount("tmpfs", "/tmp", "tmpfs", 0, ""); err != nil {
			return err
		}
		for _, dir := range []string{"lower", "upper", "work", "merged"} {
			if err := os.Mkdir("/tmp/"+dir, 0o755); err != nil {
				return err
			}
		}
		options := "lowerdir=/tmp/lower,upperdir=/tmp/upper,workdir=/tmp/work"
		if os.Getenv("WORKSHOP_USERXATTR") != "" {
			options += ",userxattr"
		}
		return unix.Mount("overlay", "/tmp/merged", "overlay", 0, options)
	}
	return nil
}

func findNamespaces(context.Context, string) (all []finding) {
	for _, ns := range []struct {
		name  string
		flag  uintptr
		steps string
	}{
		{"uts", unix.CLONE_NEWUTS, "2-5"},
		{"pid", unix.CLONE_NEWPID, "2-5"},
		{"mnt", unix.CLONE_NEWNS, "2-5"},
		{"ipc", unix.CLONE_NEWIPC, "2-5"},
		{"net", unix.CLONE_NEWNET, "2-5"},
		{"cgroup", unix.CLONE_NEWCGROUP, "2-5"},
	} {
		f := finding{what: ns.name + " namespace", steps: ns.steps, have: "made one"}
		if err := try("namespaces", syscall.SysProcAttr{Cloneflags: ns.flag}); err != nil {
			f.lack = err.Error()
			f.remedy = "be root, or see to user namespaces below; in a container, give it the right (docker run --privileged)"
			if _, statErr := os.Stat("/proc/self/ns/" + ns.name); statErr != nil {
				f.remedy = "this kernel was built without it: take another, or the workshop's VM"
			}
		}
		all = append(all, f)
	}
	f := finding{what: "time namespace", steps: "2", have: "made one", minor: true, remedy: "what asks for it is skipped; take Linux 6.2 or later"}
	if _, number := release(); number < 602 {
		f.lack = "execve(2) does not enter one before Linux 6.2"
	} else if err := try("namespaces", syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWTIME}); err != nil && os.Geteuid() == 0 {
		f.lack = err.Error()
	}
	return append(all, f)
}

// findUserNamespaces tries as an ordinary user, and tells who forbids it.
func findUserNamespaces(context.Context, string) []finding {
	f := finding{what: "user namespaces for users", steps: "2-5", have: "an ordinary user may make one", minor: os.Geteuid() == 0}
	attr := syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(os.Geteuid()), Gid: uint32(os.Getegid()), NoSetGroups: true}}
	if os.Geteuid() == 0 {
		attr.Credential.Uid, attr.Credential.Gid = 65534, 65534
	}
	if err := try("user", attr); err != nil {
		f.lack = err.Error()
		f.remedy = whoForbids()
	}
	return []finding{f}
}

// whoForbids reads the switches by which machines forbid user namespaces.
func whoForbids() string {
	var remedies []string
	for _, s := range []struct{ file, bad, who string }{
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor forbids it (Ubuntu): sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "a switch of Debian's forbids it: sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/user/max_user_namespaces", "0", "there may be none at all: sysctl user.max_user_namespaces=10000"},
	} {
		if text, err := os.ReadFile(s.file); err == nil && strings.TrimSpace(string(text)) == s.bad {
			remedies = append(remedies, s.who)
		}
	}
	if len(remedies) == 0 {
		remedies = append(remedies, "nothing in sysctl forbids it: a filter of system calls, or the container that you are in? Be root instead")
	}
	return strings.Join(remedies, "\n")
}

const cgroupRoot = "/sys/fs/cgroup"

func findCgroups(context.Context, string) (all []finding) {
	version := finding{what: "cgroup version", steps: "4", remedy: "mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup"}
	var st unix.Statfs_t
	v2 := false
	switch err := unix.Statfs(cgroupRoot, &st); {
	case err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC:
		version.have, v2 = "2", true
	case err == nil && exists(filepath.Join(cgroupRoot, "memory")):
		version.have = "1, or both (hybrid)"
	default:
		version.lack = "nothing is mounted on " + cgroupRoot
	}
	all = append(all, version)
	for _, name := range []string{"memory", "pids", "cpu"} {
		f := finding{what: "controller " + name, steps: "4", have: "there"}
		dir := cgroupRoot
		if v2 {
			text, _ := os.ReadFile(filepath.Join(cgroupRoot, "cgroup.controllers"))
			if !slices.Contains(strings.Fields(string(text)), name) {
				f.lack = "not in cgroup.controllers: " + strings.TrimSpace(string(text))
				f.remedy = "it is switched off (boot with cgroup_enable=" + name + ") or not passed on to the container that you are in: do it on the host"
			}
		} else if dir = filepath.Join(cgroupRoot, name); !exists(dir) {
			f.lack = "no hierarchy of version 1 has it"
			f.remedy = "boot with cgroup_enable=" + name + ", or with version 2: systemd.unified_cgroup_hierarchy=1"
		}
		if f.lack == "" {
			// What counts is whether a cgroup can be made.
			if err := tryCgroup(dir, name, v2); err != nil {
				f.lack = "no cgroup can be made: " + innermostError(err)
				f.remedy = "only root may: sudo env \"PATH=$PATH\" " + self() + " check"
				if v2 {
					f.remedy += "\nor have systemd delegate one: systemd-run --user --scope -p Delegate=yes " + self() + " check"
				}
				if os.Geteuid() == 0 {
					f.remedy = "it is mounted read-only, or you are in a container: do it on the host"
				}
			} else {
				f.have = "a cgroup can be made"
			}
		}
		all = append(all, f)
	}
	return all
}

// tryCgroup makes a cgroup and removes it: in dir, or in version 2 above our own, where a controller may have been
// delegated to a user.
func tryCgroup(dir, controller string, v2 bool) (err error) {
	dirs := []string{dir}
	if own, readErr := os.ReadFile("/proc/self/cgroup"); v2 && readErr == nil {
		_, path, _ := strings.Cut(strings.TrimSpace(string(own)), "::")
		for d := filepath.Join(dir, path); len(d) > len(dir); d = filepath.Dir(d) {
			passed, _ := os.ReadFile(filepath.Join(d, "cgroup.subtree_control"))
			if slices.Contains(strings.Fields(string(passed)), controller) {
				dirs = append(dirs, d)
			}
		}
	}
	for _, d := range dirs {
		test := filepath.Join(d, fmt.Sprint("workshop-doctor-", os.Getpid()))
		if err = os.Mkdir(test, 0o755); err == nil {
			return os.Remove(test)
		}
	}
	return err
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// innermostError is the cause, without the paths.
func innermostError(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

func findFileSystems(_ context.Context, root string) []finding {
	overlay := finding{what: "overlay file system", steps: "5", have: "mounted one", remedy: "modprobe overlay; in a container: do it on the host"}
	if os.Geteuid() != 0 {
		os.Setenv("WORKSHOP_USERXATTR", "1")
		defer os.Unsetenv("WORKSHOP_USERXATTR")
	}
	if err := try("overlay", syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}); err != nil {
		overlay.lack = err.Error()
	}
	idmap := finding{
		what: "idmapped mounts", steps: "5", have: "made one of " + relative(root), minor: true,
		remedy: "what asks for it is skipped; it takes root, Linux 5.12 (for tmpfs 6.3) and a file system that can",
	}
	if err := tryIDMap(root); err != nil {
		idmap.lack = err.Error()
	}
	return []finding{overlay, idmap}
}

// tryIDMap makes an idmapped mount of a directory (mount_setattr(2)), without attaching it anywhere.
func tryIDMap(dir string) error {
	cmd := exec.Command("sleep", "10")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		return errors.New("no user namespace")
	}
	defer func() {
		_ = cmd.Process.Kill() // has not ended: it sleeps
		_ = cmd.Wait()
	}()
	ns, err := os.Open(procFile(cmd.Process.Pid, "ns/user"))
	if err != nil {
		return err
	}
	defer ns.Close()
	tree, err := unix.OpenTree(unix.AT_FDCWD, dir, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open_tree: %w", err)
	}
	defer unix.Close(tree)
	err = unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())})
	if err != nil {
		return fmt.Errorf("mount_setattr: %w", err)
	}
	return nil
}

func findSeccomp(context.Context, string) []finding {
	f := finding{what: "seccomp filters", steps: "5", remedy: "this kernel was built without CONFIG_SECCOMP_FILTER: take another, or the workshop's VM"}
	text, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if f.have = "there"; err != nil || !slices.Contains(strings.Fields(string(text)), "errno") {
		f.lack = "the kernel does not offer them"
	}
	return []finding{f}
}

func findRootfs(_ context.Context, root string) []finding {
	busybox := finding{
		what: "static busybox", steps: "1-5", minor: exists("/usr/bin/apt-get"), lack: "none here",
		remedy: "install the package busybox-static (on some distributions busybox); where there is apt-get, it is downloaded when it is needed",
	}
	for _, name := range []string{"busybox", "busybox.static", filepath.Join(root, "rootfs", "bin", "busybox")} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if isStatic(path) {
			busybox.lack, busybox.have = "", relative(path)
			break
		}
		busybox.lack = path + " is not linked statically: it would not run in a root file system of its own"
	}
	rootfs := finding{what: "root file system", steps: "3-5", have: "rootfs", minor: true, remedy: "make one: scripts/mkrootfs.sh (the scripts make their own)"}
	if !exists(filepath.Join(root, "rootfs", "bin")) {
		rootfs.lack = "there is no ./rootfs yet"
	}
	return []finding{busybox, rootfs}
}

// isStatic tells whether a program needs no other file to run.
func isStatic(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	return !slices.ContainsFunc(f.Progs, func(p *elf.Prog) bool { return p.Type == elf.PT_INTERP })
}

// findHost runs a script on a throw-away host: what all checks need.
func findHost(ctx context.Context, root string) []finding {
	f := finding{what: "throw-away host", steps: "1-5", have: "a script ran on one", remedy: "be root, or mend what is missing above"}
	err := func() (err error) {
		host, err := harness.NewHost(root)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, host.Close()) }()
		scripts, err := harness.Scripts(root, "step1-skeleton")
		if err != nil {
			return err
		}
		ran := false
		err = host.Check(ctx, harness.Options{Program: "/bin/true"}, scripts[:1], func(e harness.Event) {
			ran = ran || e.Status != harness.Started
		})
		if err == nil && !ran {
			err = errors.New("no script ran")
		}
		return err
	}()
	if err != nil {
		f.lack = strings.TrimSpace(err.Error())
	}
	return []finding{f}
}
