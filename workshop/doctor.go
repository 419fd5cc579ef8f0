//go:build linux

package main

import (
	"cmp"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"unsafe"

	"github.com/moby/sys/mountinfo"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
)

// A finding is what the doctor says about one thing that the workshop needs.
type finding struct {
	what   string
	steps  string // that need it: 1-5, 4 or 5c
	have   string // what there is
	lack   string // what is missing; nothing if it is fine
	remedy string // what to do about it
	minor  bool   // the step can be done without
}

func (a *app) doctor() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "Tell what this machine has and lacks for each step and chapter",
		Description: `Try all that the workshop needs on this machine, and say what to do about
what is missing. The exit status is 0 if all five steps can be done, and 1 if
not.

  workshop doctor
  sudo env "PATH=$PATH" go tool workshop doctor`,
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := atMost(cmd, 0); err != nil {
				return err
			}
			p, c, s, err := a.openCourse()
			if err != nil {
				return err
			}
			return a.examine(ctx, p, c, s)
		},
	}
}

// examine prints all findings, and then what they mean for each lesson.
func (a *app) examine(ctx context.Context, p *place, c *course, s state) error {
	out := a.out
	bad := map[string]bool{} // lessons that cannot be done
	for _, check := range []func(context.Context, string) []finding{
		findGo, a.findKernel, findNamespaces, findUserNamespaces, a.findCgroups, findFileSystems,
		findSeccomp, findFirewall,
		findRootfs, func(context.Context, string) []finding { return findProgram(p, s) }, findHost,
	} {
		for _, f := range check(ctx, p.root) {
			mark, text := out.good.Render("✓"), f.have
			switch {
			case f.lack != "" && f.minor:
				mark, text = out.note.Render("-"), f.lack
			case f.lack != "":
				mark, text = out.bad.Render("✗"), f.lack
				for _, l := range c.lessons {
					bad[l.id()] = bad[l.id()] || f.concerns(l)
				}
			}
			indent := 34
			if out.width < 60 {
				indent = 4
				out.printf(
					"%s %s %s\n    %s\n",
					mark,
					f.what,
					out.faint.Render(f.steps),
					out.wrap(text, indent),
				)
			} else {
				steps := out.faint.Render(fmt.Sprintf("%-4s", f.steps))
				out.printf("%s %-26s %s %s\n", mark, f.what, steps, out.wrap(text, indent))
			}
			if f.lack != "" {
				for line := range strings.SplitSeq(f.remedy, "\n") {
					out.printf(
						"%s %s %s\n",
						strings.Repeat(" ", indent-1),
						out.note.Render("→"),
						out.wrap(line, indent+2),
					)
				}
			}
		}
	}
	var can, cannot []string
	for _, l := range c.lessons {
		if bad[l.id()] {
			cannot = append(cannot, l.id())
		} else {
			can = append(can, l.id())
		}
	}
	if len(cannot) == 0 {
		out.printf("\n%s All five steps can be done here.\n", out.good.Render("✓"))
		return nil
	}
	out.printf(
		"\n%s Not all of it can be done here: step %s.",
		out.bad.Render("✗"),
		strings.Join(cannot, ", "),
	)
	if len(can) > 0 {
		out.printf(" What can: step %s.", strings.Join(can, ", "))
	}
	out.printf("\n")
	return errFailed
}

// concerns tells whether a lesson needs the thing: steps names it as 4, 2-5 or 5c.
func (f finding) concerns(l lesson) bool {
	if from, to, ok := strings.Cut(f.steps, "-"); ok {
		return number(l.step) >= from && number(l.step) <= to
	}
	return f.steps == l.id() || f.steps == number(l.step)
}

func findGo(ctx context.Context, root string) []finding {
	f := finding{
		what:  "Go",
		steps: "1-5",
		remedy: "install it from https://go.dev/dl, and have it in PATH; sudo has a PATH of its " +
			"own: sudo env \"PATH=$PATH\" ...",
	}
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

func (a *app) findKernel(context.Context, string) []finding {
	text, number := release()
	f := finding{
		what:   "Linux",
		steps:  "1-5",
		have:   text + " on " + runtime.GOARCH,
		remedy: "take a newer kernel, or the workshop's VM",
	}
	if number < 512 {
		f.lack = text + ": before 5.12 the throw-away host cannot be made read-only " +
			"(mount_setattr(2))"
	}
	rights := finding{what: "rights", steps: "2-5", have: "root"}
	if os.Geteuid() != 0 {
		rights.minor = true
		rights.lack = "an ordinary user: containers need a user namespace, and limits need root"
		rights.remedy = "sudo env \"PATH=$PATH\" " + a.self() + " doctor"
	}
	return []finding{f, rights}
}

// try starts this program with these attributes, in a user namespace unless we are root, to try
// what tried says.
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
	case "network":
		return errors.Join(tryBridge(), tryTable())
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
			f.remedy = "be root, or see to user namespaces below; in a container, give it the " +
				"right (docker run --privileged)"
			if _, statErr := os.Stat("/proc/self/ns/" + ns.name); statErr != nil {
				f.remedy = "this kernel was built without it: take another, or the workshop's VM"
			}
		}
		all = append(all, f)
	}
	f := finding{
		what:   "time namespace",
		steps:  "2",
		have:   "made one",
		minor:  true,
		remedy: "what asks for it is skipped; take Linux 6.2 or later",
	}
	if _, number := release(); number < 602 {
		f.lack = "execve(2) does not enter one before Linux 6.2"
	} else if os.Geteuid() == 0 {
		attr := syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWTIME}
		if err := try("namespaces", attr); err != nil {
			f.lack = err.Error()
		}
	}
	return append(all, f)
}

// findUserNamespaces tries as an ordinary user, and tells who forbids it.
func findUserNamespaces(context.Context, string) []finding {
	f := finding{
		what:  "user namespaces for users",
		steps: "2-5",
		have:  "an ordinary user may make one",
		minor: os.Geteuid() == 0,
	}
	attr := syscall.SysProcAttr{
		Credential: &syscall.Credential{
			Uid:         uint32(os.Geteuid()),
			Gid:         uint32(os.Getegid()),
			NoSetGroups: true,
		},
	}
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
		{"/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "AppArmor forbids it " +
			"(Ubuntu): sysctl kernel.apparmor_restrict_unprivileged_userns=0"},
		{"/proc/sys/kernel/unprivileged_userns_clone", "0", "a switch of Debian's forbids it: " +
			"sysctl kernel.unprivileged_userns_clone=1"},
		{"/proc/sys/user/max_user_namespaces", "0", "there may be none at all: sysctl " +
			"user.max_user_namespaces=10000"},
	} {
		if text, err := os.ReadFile(s.file); err == nil &&
			strings.TrimSpace(string(text)) == s.bad {
			remedies = append(remedies, s.who)
		}
	}
	if len(remedies) == 0 {
		remedies = append(
			remedies,
			"nothing in sysctl forbids it: a filter of system calls, or the container that you "+
				"are in? Be root instead",
		)
	}
	return strings.Join(remedies, "\n")
}

const cgroupRoot = "/sys/fs/cgroup"

func (a *app) findCgroups(context.Context, string) (all []finding) {
	version := finding{
		what:   "cgroup version",
		steps:  "4",
		remedy: "mount one: mount -t cgroup2 cgroup2 /sys/fs/cgroup",
	}
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
			if there := strings.Fields(string(text)); !slices.Contains(there, name) {
				f.lack = "not in cgroup.controllers: " + cmp.Or(strings.Join(there, " "), "none is")
				f.remedy = "it is switched off (boot with cgroup_enable=" + name + ") or not " +
					"passed on to the container that you are in: do it on the host"
			}
		} else if dir = filepath.Join(cgroupRoot, name); !exists(dir) {
			f.lack = "no hierarchy of version 1 has it"
			f.remedy = "boot with cgroup_enable=" + name + ", or with version 2: " +
				"systemd.unified_cgroup_hierarchy=1"
		}
		if f.lack == "" {
			// What counts is whether a cgroup can be made.
			if err := tryCgroup(dir, name, v2); err != nil {
				f.lack = "no cgroup can be made: " + innermostError(err)
				f.remedy = "only root may: sudo env \"PATH=$PATH\" " + a.self() + " check"
				if v2 {
					f.remedy += "\nor have systemd delegate one: systemd-run --user --scope -p " +
						"Delegate=yes " + a.self() + " check"
				}
				if os.Geteuid() == 0 {
					f.remedy = "it is mounted read-only, or you are in a container: do it on " +
						"the host"
				}
			} else {
				f.have = "a cgroup can be made"
			}
		}
		all = append(all, f)
	}
	return all
}

// tryCgroup makes a cgroup and removes it: in dir, or in version 2 above our own, where a
// controller may have been delegated to a user.
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
	overlay := finding{
		what:   "overlay file system",
		steps:  "5c",
		have:   "mounted one",
		remedy: "modprobe overlay; in a container: do it on the host",
	}
	if os.Geteuid() != 0 {
		os.Setenv("WORKSHOP_USERXATTR", "1")
		defer os.Unsetenv("WORKSHOP_USERXATTR")
	}
	if err := try("overlay", syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}); err != nil {
		overlay.lack = err.Error()
	}
	// With chapter f the container mounts its layer in a user namespace.
	inside := finding{
		what: "overlay, user namespace", steps: "5f", have: "mounted one", minor: true,
		remedy: "chapters c and f do not go together here: take Linux 5.11 or later, or use -ns " +
			"without user",
	}
	if err := tryInUserNamespace("overlay"); err != nil {
		inside.lack = err.Error()
	}
	dir := filepath.Join(root, "rootfs")
	if !exists(dir) {
		dir = root
	}
	idmap := finding{
		what: "idmapped mounts", steps: "5f", have: "made one of " + relative(dir), minor: true,
		remedy: "it takes root, Linux 5.12 (for tmpfs 6.3) and a file system that can: not an " +
			"overlay (the root of another container), " +
			"and not a folder that a virtual machine shares with its host\nhave the root file " +
			"system elsewhere: scripts/mkrootfs.sh " +
			"-o /var/tmp/rootfs, and -rootfs /var/tmp/rootfs",
	}
	if err := harness.TryIDMap(dir); err != nil {
		idmap.lack = fmt.Sprintf("%s, on %s: %v", relative(dir), fileSystemOf(dir), err)
	}
	return []finding{overlay, inside, idmap}
}

// tryInUserNamespace tries something as root of a user namespace, where root of the machine has
// fewer rights.
func tryInUserNamespace(what string) error {
	return try(what, syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWNS | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	})
}

// fileSystemOf is the type of the file system on which a directory lies (proc_pid_mountinfo(5)).
func fileSystemOf(dir string) string {
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(dir))
	if err != nil || len(mounts) == 0 {
		return "an unknown file system"
	}
	best := mounts[0]
	for _, m := range mounts {
		if len(m.Mountpoint) >= len(best.Mountpoint) {
			best = m
		}
	}
	return best.FSType
}

// findFirewall asks the kernel for its tables of nftables: chapter h has packets masqueraded.
func findFirewall(context.Context, string) []finding {
	f := finding{
		what:   "nf_tables, veth, bridge",
		steps:  "5h",
		have:   "made a bridge and a table",
		minor:  true,
		remedy: "modprobe nf_tables veth bridge",
	}
	if err := tryInNetwork(); err != nil {
		f.lack = err.Error()
	}
	return []finding{f}
}

// tryInNetwork tries in a network namespace what chapter h needs.
func tryInNetwork() error {
	return try("network", syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET})
}

// findProgram looks whether the program that is typed can be executed by others: in chapter f it is
// executed by a user who is nobody on the host.
func findProgram(p *place, s state) []finding {
	f := finding{what: "your program, for others", steps: "5f", minor: true}
	path := p.program(s)
	if built := p.file("container"); path == p.dir && exists(built) {
		path = built
	}
	if !exists(path) {
		return nil // there is none yet
	}
	f.have = "others can execute " + relative(path)
	f.remedy = "root of the container is another user on the host: chmod o+x " + relative(
		path,
	) + ", and each directory above it"
	for d := path; ; d = filepath.Dir(d) {
		var st unix.Stat_t
		if err := unix.Stat(d, &st); err != nil || st.Mode&0o001 == 0 {
			f.lack = "others cannot pass " + d
			if d == path {
				f.lack = "others cannot execute " + relative(path)
			}
		}
		if d == "/" {
			return []finding{f}
		}
	}
}

// tryBridge makes a bridge, which the kernel may have to load a module for (ioctl(2), SIOCBRADDBR).
func tryBridge() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	name := append([]byte("doctor"), 0)
	argument := uintptr(unsafe.Pointer(&name[0]))
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCBRADDBR, argument)
	if errno != 0 {
		return fmt.Errorf("bridge: %w", errno)
	}
	return nil
}

// tryTable asks nf_tables for its generation (netlink(7), NETLINK_NETFILTER): a kernel without it
// refuses the message.
func tryTable() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("netfilter: %w", err)
	}
	defer unix.Close(fd)
	message := make([]byte, unix.SizeofNlMsghdr+4) // and a struct nfgenmsg
	binary.NativeEndian.PutUint32(message[0:], uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST)
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(fd, message, 0, kernel); err != nil {
		return fmt.Errorf("nf_tables: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err != nil || n < unix.SizeofNlMsghdr+4 {
		return fmt.Errorf("nf_tables: no answer: %w", err)
	}
	if kind := binary.NativeEndian.Uint16(answer[4:]); kind == unix.NLMSG_ERROR {
		errno := -int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:]))
		return fmt.Errorf("nf_tables: %w", unix.Errno(errno))
	}
	return nil
}

func findSeccomp(context.Context, string) []finding {
	f := finding{
		what:  "seccomp filters",
		steps: "5e",
		remedy: "this kernel was built without CONFIG_SECCOMP_FILTER: take another, or the " +
			"workshop's VM",
	}
	text, err := os.ReadFile("/proc/sys/kernel/seccomp/actions_avail")
	if f.have = "there"; err != nil || !slices.Contains(strings.Fields(string(text)), "errno") {
		f.lack = "the kernel does not offer them"
	}
	return []finding{f}
}

func findRootfs(_ context.Context, root string) []finding {
	busybox := finding{
		what: "static busybox", steps: "1-5", minor: exists("/usr/bin/apt-get"), lack: "none here",
		remedy: "install the package busybox-static (on some distributions busybox); where " +
			"there is apt-get, it is downloaded when it is needed",
	}
	made := filepath.Join(root, "rootfs", "bin", "busybox")
	for _, name := range []string{"busybox", "busybox.static", made} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		if isStatic(path) {
			busybox.lack, busybox.have = "", relative(path)
			break
		}
		busybox.lack = path + " is not linked statically: it would not run in a root file " +
			"system of its own"
	}
	rootfs := finding{
		what:   "root file system",
		steps:  "3-5",
		have:   "rootfs",
		minor:  true,
		remedy: "make one: scripts/mkrootfs.sh (the scripts make their own)",
	}
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
	f := finding{
		what:   "throw-away host",
		steps:  "1-5",
		have:   "a script ran on one",
		remedy: "be root, or mend what is missing above",
	}
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
		err = host.Check(
			ctx,
			harness.Options{Program: "/bin/true"},
			scripts[:1],
			func(e harness.Event) {
				ran = ran || e.Status != harness.Started
			},
		)
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
