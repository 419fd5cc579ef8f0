//go:build linux

package harness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// controllers are those that step 4 sets limits with.
var controllers = []string{"memory", "pids", "cpu"}

// devices is a hierarchy of version 1 that runc, with which a script compares, does not do without.
const devices = "devices"

// cgroupPrefix begins the names of subtrees.
const cgroupPrefix = "workshop-"

// cgroupName is the name of a subtree. It has the thread of the first stage that waits for the
// others, because a process may have several throw-away hosts at once, each on a thread of its own;
// and its pid namespace, because another may have the same numbers: a container may share the
// hierarchies with its host.
func cgroupName() string {
	return fmt.Sprintf("%s%d-%d", cgroupPrefix, pidNamespace(), unix.Gettid())
}

// pidNamespace is the number of the pid namespace of this process (namespaces(7)), or 0 if there is
// no /proc of that namespace: in that of another one this process has another number.
func pidNamespace() uint64 {
	if self, _ := os.Readlink("/proc/self"); self != strconv.Itoa(os.Getpid()) {
		return 0
	}
	var namespace unix.Stat_t
	_ = unix.Stat("/proc/self/ns/pid", &namespace)
	return namespace.Ino
}

// cgroupFS is where the hierarchies are mounted, on a host and on the throw-away host.
const cgroupFS = "/sys/fs/cgroup"

// A subtree is a cgroup of the harness's own in one hierarchy of cgroups(7).
type subtree struct {
	V2          bool
	Controllers string // of a version 1 hierarchy, in the form of its mount option: cpu,cpuacct
	Dir         string // the path of the cgroup, as the host sees it
}

type subtrees []subtree

// makeCgroups makes a cgroup called name in each hierarchy that has one of the controllers, as
// root, and else in what is delegated to this user. What it made it returns even with an error.
func makeCgroups(name string) (trees subtrees, err error) {
	if os.Geteuid() != 0 {
		return makeDelegated(name)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, m := range mounts {
		tree := subtree{V2: m.FSType == "cgroup2", Dir: filepath.Join(m.Mountpoint, name)}
		var here []string
		if tree.V2 {
			names, _ := os.ReadFile(filepath.Join(m.Mountpoint, "cgroup.controllers"))
			here = strings.Fields(string(names))
		} else {
			here = strings.Split(m.VFSOptions, ",")
		}
		wanted := intersect(here, append([]string{devices}, controllers...))
		if len(wanted) == 0 || strings.Contains(m.Mountpoint, name) {
			continue
		}
		if tree.V2 {
			if err := enable(m.Mountpoint, wanted); err != nil {
				return trees, err
			}
		} else {
			tree.Controllers = strings.Join(remove(here, "rw", "ro"), ",")
		}
		removeStale(m.Mountpoint)
		if err := os.Mkdir(tree.Dir, 0o755); err != nil {
			return trees, err
		}
		if err := protect(tree); err != nil {
			return trees, err
		}
		found = append(found, wanted...)
		trees = append(trees, tree)
	}
	if missing := remove(controllers, found...); len(missing) > 0 {
		return trees, fmt.Errorf("no cgroup controllers %s", strings.Join(missing, " "))
	}
	return trees, nil
}

// protect keeps the machine usable whatever the program does: one that starts itself forever, or
// that takes all memory, meets a limit. No script needs as much.
func protect(tree subtree) error {
	memory := maxMemory()
	for file, value := range map[string]uint64{
		"pids.max": uint64(MaxTasks() + ownTasks), "memory.max": memory,
		"memory.limit_in_bytes": memory,
	} {
		path := filepath.Join(tree.Dir, file)
		if _, err := os.Stat(path); err != nil {
			continue // another version's, or another hierarchy's
		}
		if err := os.WriteFile(path, fmt.Append(nil, value), 0); err != nil {
			return err
		}
	}
	return nil
}

// maxMemory is how much memory there is for one throw-away host, in bytes: a quarter of the
// machine's.
func maxMemory() uint64 { return max(machineMemory()/4, 1<<30) }

// machineMemory is how much memory the machine has, in bytes.
func machineMemory() uint64 {
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info) // fails for a bad address only
	return uint64(info.Totalram) * uint64(info.Unit)
}

// MaxTasks is how many processes and threads a script can have at once on the throw-away host. It
// is reached before the memory is used up: a program of Go that starts itself forever takes about
// 0.2 MiB for each.
func MaxTasks() int { return int(min(4096, maxMemory()>>19)) }

// ownTasks is more than the harness itself has there: a program that starts itself forever gets to
// MaxTasks, which is how it is known.
const ownTasks = 2 * spareThreads

// makeDelegated makes a cgroup in the part of the version 2 hierarchy that is delegated to this
// user (cgroups(7), "delegation"), as systemd does with that of a user's services. It is the
// nearest one at or above the cgroup of this process, because only there may the user move a
// process from the one to the other.
func makeDelegated(name string) (subtrees, error) {
	own, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	why := errors.New("only root may make cgroups here, or who runs under systemd-run --user " +
		"--scope")
	for dir := own; strings.HasPrefix(dir, cgroupFS+"/"); dir = filepath.Dir(dir) {
		if unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) != nil {
			break
		}
		err := enable(dir, controllers)
		if errors.Is(err, unix.EBUSY) && dir == own &&
			unix.Access(filepath.Join(filepath.Dir(dir), "cgroup.procs"), unix.W_OK) != nil {
			err = makeRoom(dir)
		}
		if err != nil {
			why = err
			continue
		}
		removeStale(dir)
		tree := subtree{V2: true, Dir: filepath.Join(dir, name)}
		if err := os.Mkdir(tree.Dir, 0o755); err != nil {
			return nil, err
		}
		return subtrees{tree}, protect(tree)
	}
	return nil, why
}

// ownCgroup returns the directory of the cgroup of this process on version 2.
func ownCgroup() (string, error) {
	if !HasCgroup2() {
		return "", errors.New("only root may make cgroups of version 1")
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	_, path, _ := strings.Cut(strings.TrimSpace(string(text)), "0::")
	return filepath.Join(cgroupFS, path), err
}

// makeRoom moves all processes of a delegated cgroup to a leaf below it: the shell and go test are
// there too, and a cgroup that has processes cannot pass controllers on. They stay in the leaf.
func makeRoom(dir string) error {
	leaf := filepath.Join(dir, "callers")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	// Meanwhile one of them may start a process here, as go build does. It is moved the next time.
	const most = 100
	var err error
	for range most {
		if err = moveAll(dir, leaf); err == nil {
			err = enable(dir, controllers)
		}
		if !errors.Is(err, unix.EBUSY) {
			break
		}
	}
	return err
}

// moveAll moves all processes of one cgroup to another one.
func moveAll(from, to string) error {
	procs, err := os.ReadFile(filepath.Join(from, "cgroup.procs"))
	for pid := range bytes.FieldsSeq(procs) {
		moved := os.WriteFile(filepath.Join(to, "cgroup.procs"), pid, 0)
		if !errors.Is(moved, unix.ESRCH) { // it ended meanwhile
			err = errors.Join(err, moved)
		}
	}
	return err
}

// enable passes controllers on to the cgroups in dir (cgroups(7), subtree_control).
func enable(dir string, controllers []string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"),
		[]byte("+"+strings.Join(controllers, " +")), 0)
}

// joinCgroups moves this process into the subtrees, and makes them the roots of what it sees of the
// hierarchies, by a cgroup namespace.
func joinCgroups() error {
	for _, tree := range now().Cgroups {
		if err := os.WriteFile(filepath.Join(tree.Dir, "cgroup.procs"), []byte("0"),
			0); err != nil {
			return err
		}
	}
	return unix.Unshare(unix.CLONE_NEWCGROUP)
}

// mountCgroups shows the subtrees on /sys/fs/cgroup as if they were whole hierarchies.
func mountCgroups() error {
	trees := now().Cgroups
	if len(trees) == 0 {
		return nil
	}
	// The host's view goes first: the same file system cannot be mounted twice on one place. In a
	// user namespace it is locked (mount_namespaces(7)), and a tmpfs comes between.
	err := unix.Unmount(cgroupFS, unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	if trees[0].V2 && err == nil {
		return mountV2()
	}
	if err := unix.Mount("tmpfs", cgroupFS, "tmpfs", 0, "mode=0755"); err != nil {
		return err
	}
	if trees[0].V2 {
		return mountV2()
	}
	for _, tree := range trees {
		dir := filepath.Join(cgroupFS, tree.Controllers)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", dir, "cgroup", 0, tree.Controllers); err != nil {
			return fmt.Errorf("mount %s: %w", dir, err)
		}
		for name := range strings.SplitSeq(tree.Controllers, ",") {
			if err := os.Symlink(tree.Controllers, filepath.Join(cgroupFS, name)); err != nil &&
				!errors.Is(err, fs.ErrExist) {
				return err
			}
		}
	}
	// As systemd does: no program is to take a directory in the tmpfs for a cgroup.
	return unix.Mount("", cgroupFS, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
}

// mountV2 mounts version 2 and moves this process on into a leaf, because a cgroup of version 2
// that has processes cannot pass controllers on (cgroups(7), "no internal processes").
func mountV2() error {
	if err := unix.Mount("cgroup2", cgroupFS, "cgroup2", 0, ""); err != nil {
		return err
	}
	leaf := filepath.Join(cgroupFS, "harness")
	return errors.Join(
		os.Mkdir(leaf, 0o755),
		os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte("0"), 0),
		enable(cgroupFS, controllers))
}

// HasCgroup2 tells whether the machine has version 2 of cgroups(7) mounted where programs look for
// it.
func HasCgroup2() bool {
	var fs unix.Statfs_t
	return unix.Statfs(cgroupFS, &fs) == nil && fs.Type == unix.CGROUP2_SUPER_MAGIC
}

// remove kills what is left in the subtrees and removes them.
func (trees subtrees) remove() (err error) {
	for _, tree := range trees {
		err = errors.Join(err, removeCgroups(tree.Dir))
	}
	return err
}

// removeStale removes the subtrees of test processes that were killed before they could do it.
func removeStale(dir string) {
	for _, tree := range staleIn(dir, cgroupPrefix) {
		_ = removeCgroups(tree)
	}
}

// staleIn are the files in a directory that are named after a prefix, a pid namespace, and a thread
// or process that is gone.
func staleIn(dir, prefix string) []string {
	files, _ := filepath.Glob(filepath.Join(dir, prefix+"*")) // the pattern is well-formed
	return slices.DeleteFunc(files, func(file string) bool { return !isStale(file, prefix) })
}

// isStale tells whether the thread or process after which a file is named is gone. Nobody here can
// tell that of one in another pid namespace: then what it has left is not ours to remove.
func isStale(file, prefix string) bool {
	var namespace uint64
	var id int
	name := strings.TrimPrefix(filepath.Base(file), prefix)
	if n, _ := fmt.Sscanf(name, "%d-%d", &namespace, &id); n != 2 || namespace == 0 ||
		namespace != pidNamespace() {
		return false
	}
	_, err := os.Stat(procPath(id, ""))
	return errors.Is(err, fs.ErrNotExist)
}

// removeCgroups kills the processes in a cgroup and in those below it, and removes them all. A
// cgroup stays busy until its last process is gone, so it tries for some seconds.
func removeCgroups(dir string) (err error) {
	for range 500 {
		if err = removeTree(dir); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return err
}

func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, entry.Name())))
		}
	}
	procs, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	for pid := range bytes.FieldsSeq(procs) {
		var n int
		if fmt.Sscan(string(pid), &n); n > 0 {
			_ = unix.Kill(n, unix.SIGKILL)
		}
	}
	return errors.Join(err, unix.Rmdir(dir))
}

// cgroupDirs lists the cgroups of the throw-away host.
func cgroupDirs() (dirs []string) {
	_ = filepath.WalkDir(cgroupFS, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != cgroupFS {
			dirs = append(dirs, path)
		}
		return nil
	})
	return dirs
}

// hostLimits are the limits of the throw-away host as a whole, by the files that have them.
func hostLimits() map[string]string {
	limits := map[string]string{}
	for _, name := range []string{
		"pids.max", "memory.max", "cpu.max", "pids/pids.max", "memory/memory.limit_in_bytes",
		"memory/memory.memsw.limit_in_bytes", "cpu/cpu.cfs_quota_us",
	} {
		file := filepath.Join(cgroupFS, name)
		if value, err := os.ReadFile(file); err == nil {
			limits[file] = strings.TrimSpace(string(value))
		}
	}
	return limits
}

func intersect(a, b []string) (both []string) {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				both = append(both, x)
			}
		}
	}
	return both
}

func remove(from []string, what ...string) (rest []string) {
	for _, x := range from {
		if len(intersect([]string{x}, what)) == 0 {
			rest = append(rest, x)
		}
	}
	return rest
}
