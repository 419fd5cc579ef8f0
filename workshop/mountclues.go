//go:build linux

package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues about calls that change the mounts or the root, and were refused.

func notPrivate(c cause) string {
	private := "Mounts are still shared with the host: / is a shared mount here, as on every " +
		"machine with systemd, and " +
		"pivot_root(2) refuses that. Make all mounts private before the second copy does " +
		"anything else: mount(2) on / " +
		"with MS_PRIVATE and MS_REC."
	point := "The new root has to be a mount point: bind the directory on itself first, mount(2) " +
		"with MS_BIND. And the " +
		"place for the old root has to be in or below the new one."
	switch {
	case c.madeUnplaced("move_mount") && c.madeUnplaced("mount_setattr"):
		return "The mount that came from the parent is a copy of a shared one, and is shared " +
			"too: pivot_root(2) refuses that. Give it MS_PRIVATE as its propagation in " +
			"mount_setattr(2), or make it private when it has its place."
	case c.path == "." && c.binds() && !c.made("chdir("):
		return "The new root is \".\" here, the working directory, and that is still the one in " +
			"which the program was started: chdir(2) into the new root comes before."
	case c.seen && !c.made("CLONE_NEWNS") && !c.made("setns("):
		return "None of your processes asked for a mount namespace: pivot_root(2) would change " +
			"the root of the host itself, and is refused here. CLONE_NEWNS of clone(2) or " +
			"unshare(2) makes a namespace. Make its mounts private before anything else, " +
			"mount(2) on / with MS_PRIVATE and MS_REC: its copy of / is still shared with the host."
	case c.swapped():
		return "The first path is the new root, and the second one, in or below that, the place " +
			"for the old root. Here they are the other way round."
	case c.privateAlone() != "" && c.binds() && !c.outsideNewRoot():
		return "The new root lies on a mount that is still shared with the host, and " +
			"pivot_root(2) refuses that. " + c.privateAlone()
	case c.boundLater():
		return enteredBefore
	case c.sharedAgain() != "":
		return fmt.Sprintf("%s made the mounts shared, and pivot_root(2) refuses a new root on "+
			"such a mount. Leave that call out: mount(2) on / with MS_PRIVATE and MS_REC has to "+
			"come last.", c.sharedAgain())
	case c.notShared() && c.outsideNewRoot():
		return c.placeOutside()
	case c.notShared():
		return point
	case c.seen && c.binds():
		return private + c.privateInVain()
	}
	return private + " " + point
}

// cuts tells whether a call of mount(2) makes mounts private, or slaves. With MS_BIND or MS_REMOUNT
// it does what these ask for, and nothing else.
func cuts(made string) bool {
	return slices.ContainsFunc(cutting, func(flag string) bool {
		return strings.Contains(made, flag)
	}) && !strings.Contains(made, "MS_BIND") && !strings.Contains(made, "MS_REMOUNT")
}

// sharedAgain is the call that made all mounts shared, if the mounts have remained so, or nothing.
func (c cause) sharedAgain() (shared string) {
	for _, made := range c.mounts() {
		switch {
		case lastPath(made) != "/" || strings.Contains(made, "MS_BIND"):
		case strings.Contains(made, "MS_SHARED"):
			shared = made
		case cuts(made):
			shared = ""
		}
	}
	return shared
}

// cutting are the flags that make a mount private, or a slave.
var cutting = []string{"MS_PRIVATE", "MS_SLAVE", "MS_UNBINDABLE"}

// binds tells whether the program bound a directory or a file. With MS_REMOUNT the flag only says
// that the other flags are those of one mount.
func (c cause) binds() bool { return slices.ContainsFunc(c.mounts(), isBind) }

func isBind(made string) bool {
	return strings.Contains(made, "MS_BIND") && !strings.Contains(made, "MS_REMOUNT")
}

// privateInVain is for a program that wanted to do both in one call.
func (c cause) privateInVain() string {
	for _, made := range c.mounts() {
		if strings.Contains(made, "MS_PRIVATE") && strings.Contains(made, "MS_BIND") {
			return " With MS_BIND in the same call the kernel does not look at MS_PRIVATE, as in " +
				made + ": each has a call of its own (mount(2))."
		}
	}
	return ""
}

// notShared tells whether the mounts of the program are not shared with the host: it has seen to
// that, or they came with a user namespace, for which the kernel makes slaves of the copies
// (mount_namespaces(7)).
func (c cause) notShared() bool {
	return slices.ContainsFunc(c.mounts(), cuts) || c.made("CLONE_NEWUSER") ||
		c.event.Conduct != nil && slices.ContainsFunc(c.event.Conduct.Made,
			func(made string) bool {
				return strings.HasPrefix(made, "mount_setattr(") && firstPath(made) == "/"
			})
}

// enteredBefore is for a working directory that is below the mount of the new root, and not in it.
const enteredBefore = "Your program went into the directory first, and bound it on itself after " +
	"that. So the working directory is still the one below that mount, and \".\" is no mount " +
	"point: chdir(2) comes after mount(2) with MS_BIND."

// boundLater tells whether the new root is the working directory, and was bound on itself when the
// program was in there already.
func (c cause) boundLater() bool {
	if c.path != "." || c.event.Conduct == nil {
		return false
	}
	dir := filepath.Base(c.workingDir())
	entered, bound := -1, -1
	for i, made := range c.event.Conduct.Made {
		switch call, _, _ := strings.Cut(made, "("); {
		case call == "chdir" || call == "fchdir":
			entered = i
		case call == "mount" && isBind(made) &&
			firstPath(made) == lastPath(made) &&
			(lastPath(made) == "." || filepath.Base(lastPath(made)) == dir):
			bound = i
		}
	}
	return entered >= 0 && bound > entered
}

// placeOutside is for a place for the old root that is not below the new one.
func (c cause) placeOutside() string {
	return fmt.Sprintf("The place for the old root, %q, has to be in or below the new one, %q: "+
		"mkdir(2) makes a directory there. After chdir(2) into the new root pivot_root(\".\", "+
		"\".\") needs none, see the notes of pivot_root(2).", lastPath(c.text), c.path)
}

// swapped tells whether the call got its two paths in the wrong order: the first is below the
// other.
func (c cause) swapped() bool {
	paths := quotedRE.FindAllStringSubmatch(c.text, -1)
	if len(paths) != 2 || paths[1][1] == "/" {
		return false
	}
	if dir := c.workingDir(); paths[1][1] == "." && (dir == "" || dir == "$WORK") {
		return false // in which the new root is
	}
	below, err := filepath.Rel(paths[1][1], paths[0][1])
	return err == nil && below != "." && !strings.HasPrefix(below, "..")
}

// outsideNewRoot tells whether the place for the old root is not below the new root, as far as the
// two paths tell.
func (c cause) outsideNewRoot() bool {
	paths := quotedRE.FindAllStringSubmatch(c.text, -1)
	if len(paths) != 2 {
		return false
	}
	whole := func(path string) string {
		dir := c.workingDir()
		if !filepath.IsAbs(dir) && !strings.HasPrefix(dir, "$WORK") {
			dir = filepath.Join("$WORK", dir)
		}
		if !filepath.IsAbs(path) && !strings.HasPrefix(path, "$WORK") {
			path = filepath.Join(dir, path)
		}
		return filepath.Join("/", path)
	}
	below, err := filepath.Rel(whole(paths[0][1]), whole(paths[1][1]))
	return err == nil && strings.HasPrefix(below, "..")
}

// privateAlone is for a program that made / private, and never the mounts below it.
func (c cause) privateAlone() string {
	now := ""
	for _, made := range c.mounts() {
		private := !strings.Contains(made, "MS_SLAVE")
		switch {
		case !cuts(made):
			continue
		case strings.Contains(made, "MS_REC"), lastPath(made) != "/", c.made("mount_setattr("):
			return ""
		case private:
			now = "private"
		default:
			now = "a slave"
		}
	}
	if now == "" {
		return ""
	}
	return fmt.Sprintf("Your program made / %s without MS_REC: that changes one mount, and those "+
		"below it stay as they are. mount(2) on / takes MS_PRIVATE and MS_REC together.", now)
}

// noMountPoint is for pivot_root(2) that meets the mount of the present root: by either path.
func noMountPoint(c cause) string {
	mounted := func(made string) bool {
		return filepath.Clean(lastPath(made)) == filepath.Clean(c.path)
	}
	switch {
	case c.boundLater():
		return enteredBefore
	case c.inside && c.made("chroot("):
		return "Your program has called chroot(2) before, and the new root is on the same mount " +
			"as that root. pivot_root(2) takes the place of chroot(2): leave that out."
	case slices.ContainsFunc(c.mounts(), mounted) && c.outsideNewRoot():
		return c.placeOutside()
	}
	return "The new root, or the place for the old one, is on the same mount as the present " +
		"root: bind the directory on itself first, mount(2) with MS_BIND, and give pivot_root(2) " +
		"that path."
}

// movedTo tells whether the process that made the call is in a directory, given by a relative path.
func (c cause) movedTo(dir string) bool {
	return strings.HasSuffix("/"+filepath.Clean(c.workingDir()), "/"+dir)
}

// elsewhere is for a relative path that a process used after it had left the directory where the
// program is run.
func (c cause) elsewhere(path string) string {
	dir := c.workingDir()
	if dir == "" || dir == "$WORK" || strings.Trim(dir, "./") == "" && dir != "/" ||
		path == "" || filepath.IsAbs(path) {
		return ""
	}
	return fmt.Sprintf("The path %q begins at the working directory, which chdir(%q) has changed "+
		"before: there is no such path in there. Go there later, or take an absolute path.", path,
		dir)
}

func noOldRoot(c cause) string {
	if c.onPurpose() {
		return noRootfs(c)
	}
	dir := filepath.Clean(c.path)
	if c.path != "" && c.made(`umount2("`+c.path+`"`) && c.binds() {
		return "Your program unmounted something before, and the mount of the new root went with " +
			"that. The old root is unmounted after pivot_root(2)."
	}
	if !filepath.IsAbs(dir) && dir != "." && c.movedTo(dir) {
		return fmt.Sprintf("The working directory is %s already, because of chdir(2), and a "+
			"relative path begins there: %s/%s is meant now, and is not there. Take absolute "+
			"paths, or give pivot_root(2) the new root as \".\".", dir, dir, dir)
	}
	if text := c.oldRootMissing(); text != "" {
		return text
	}
	return "Both directories have to be there: the new root, and in or below it a directory on " +
		"which the old root is put. " +
		"pivot_root(\".\", \".\") needs no such directory, see the notes of pivot_root(2)."
}

// onPurpose tells whether there is no root file system, and that is the point of the script.
func (c cause) onPurpose() bool {
	about := c.event.Script.Name
	return about == "rootfs-missing" || about == "rootfs-a-file"
}

// madeInstead is for a program that makes an empty directory where there is no root file system,
// on purpose: mkdir -p makes all of a path.
func madeInstead(c cause) string {
	if c.event.Script.Name != "rootfs-missing" || c.event.Conduct == nil ||
		parseCommand(c.event.Script.Line(c.event.Line)).name != "exits" {
		return ""
	}
	for _, made := range c.event.Conduct.Made {
		if strings.HasPrefix(made, "chdir(") || strings.HasPrefix(made, "fchdir(") {
			return "" // a relative path begins in another directory since then
		}
		path := filepath.Clean(lastPath(made))
		if strings.HasPrefix(made, "mkdir") && isInWork(path, "rootfs") {
			return fmt.Sprintf("There is no root file system here, on purpose. Your program made "+
				"an empty directory in its place, %s, and went on. Look whether rootfs is there "+
				"before anything is made, and otherwise end with status 125 and a line that names "+
				"it.", made)
		}
	}
	return ""
}

// noDirectory is for a root file system that is a file.
func noDirectory(c cause) string {
	if c.event.Script.Name != "rootfs-a-file" {
		return ""
	}
	if parseCommand(c.event.Script.Line(c.event.Line)).name == "stderr" {
		return "rootfs is a file here, on purpose, and your program ends as it should, with " +
			"status 125. The line with which it does so has to name rootfs."
	}
	return "rootfs is a file here, on purpose. So the error is right, and it has to be told in a " +
		"line on standard error that names rootfs, with status 125."
}

// noRootfs is for a root file system that the program looks for in another place.
func noRootfs(c cause) string {
	line := parseCommand(c.event.Script.Line(c.event.Line))
	if c.onPurpose() && line.name == "stderr" {
		return "There is none here, on purpose, and your program ends as it should. The line " +
			"with which it does so has to name what is missing, rootfs."
	}
	if c.onPurpose() {
		return "There is none here, on purpose. So the error is right, and it has to be told in " +
			"a line on standard error, with status 125."
	}
	if c.changedRoot() {
		return cmp.Or(noPtmx(c.event), noDevNull(c), toolOfHost(c), rootTwice(c), nowhere(c),
			"The root is another one already: paths begin in the container now.")
	}
	if dir := filepath.Clean(c.path); c.call == "chroot" && !filepath.IsAbs(dir) && dir != "." &&
		c.movedTo(dir) {
		return fmt.Sprintf("The working directory is %s already, because of chdir(2), and a "+
			"relative path begins there: %s/%s is meant now, and is not there. Take an absolute "+
			"path, or give it to chroot(2) as \".\".", dir, dir, dir)
	}
	if c.call == "chroot" && c.path != "" && c.path == ranCommand(c.event) {
		return fmt.Sprintf("Your program takes the command for the directory of the root file "+
			"system, which is called rootfs. In a shell, a variable before %q that nobody has set "+
			"does that.", c.path)
	}
	if text := c.elsewhere(c.path); text != "" {
		return text
	}
	if ofKernelRE.MatchString(c.path) {
		return "" // that is no root file system
	}
	if inside, ok := strings.CutPrefix(filepath.Clean(c.path), "rootfs/"); ok {
		return fmt.Sprintf("There is a root file system called rootfs in the directory where the "+
			"program is, and there is no /%s in it.", inside)
	}
	if c.path != "rootfs" && filepath.Clean(c.path) != "rootfs" && c.path != "" && c.path != "/" {
		return rootElsewhere(c.path)
	}
	return fmt.Sprintf("There is no %s in the directory where the program is.",
		orName(c.path, "such directory"))
}

// rootTwice is for a program that changes its root to a directory, and later once more.
func rootTwice(c cause) string {
	if !c.seen || c.call != "chroot" || !c.made(fmt.Sprintf("chroot(%q", c.path)) {
		return ""
	}
	text := fmt.Sprintf("%s is the root already: chroot(2) succeeded before, and there is no "+
		"directory of that name in it.", c.path)
	itself := 0
	for _, file := range c.event.Conduct.Ran {
		if ofItself(file) {
			itself++
		}
	}
	if itself > 1 {
		text += fmt.Sprintf(" Your program started itself %d times: does the second copy start a "+
			"copy again, instead of the command?", itself)
	}
	return text
}

// nowhere is for a file that the program looks for in the new root, and that is not on the host.
func nowhere(c cause) string {
	name := ranCommand(c.event)
	if c.path == "" || filepath.IsAbs(c.path) && onHost(c.path) || executed(c.event) != "no" {
		return ""
	}
	return fmt.Sprintf("There is no %s, neither in the root file system, where paths begin since "+
		"the root was changed, nor outside of it: the scripts run your program in a directory "+
		"that has a root file system called rootfs in it, and nothing else. And none of its "+
		"processes executed %s.", c.path, name)
}

// rootElsewhere is for a root file system in another place than that of the scripts.
func rootElsewhere(path string) string {
	return fmt.Sprintf("The scripts run your program in a directory that has a root file system "+
		"called rootfs in it. It looks for %q: take the relative path rootfs.", path)
}

// rootRE matches what people call a root file system, and ofKernelRE the directories of the file
// systems of the kernel, some of which end so.
var (
	rootRE     = lazyregexp.New(`(?i)root|fs/?$`)
	ofKernelRE = lazyregexp.New(`^/?(sys|proc|dev)(/|$)`)
)

func noMountTarget(c cause) string {
	if text := rootfsIgnored(c); text != "" {
		return text
	}
	switch {
	case strings.HasPrefix(c.event.Script.Name, "rootfs-missing"):
		return noRootfs(c)
	case c.about("/dev/null"):
		return maskMissing
	case c.about("overlay"):
		return overlayMissing
	case ofNoDevice.MatchString(c.text), nameAsSource.MatchString(c.text) &&
		!strings.Contains(c.text, "MS_BIND"):
		return noMountPointThere(c, lastPath(c.text))
	case c.missing != "" && c.missing == lastPath(c.text) && c.missing != c.path:
		return noMountPointThere(c, c.missing)
	case c.missing != "" && c.missing == c.path && !rootRE.MatchString(c.path) &&
		!strings.HasPrefix(c.path, "/"):
		return fmt.Sprintf("What is to be mounted, %s, is not there. The path begins at the "+
			"directory in which the scripts run your program: a root file system called rootfs "+
			"is in it, and nothing else.", c.path)
	case c.changedRoot():
		return "Either what is to be mounted or the mount point is not there. After pivot_root " +
			"or chroot paths begin in the root " +
			"file system: is there such a directory in it?"
	case c.elsewhere(c.path) != "" && (c.missing == c.path || lastPath(c.text) == c.path):
		return c.elsewhere(c.path)
	case strings.HasPrefix(c.path, "/dev/"):
		return noFile(c)
	case strings.HasPrefix(c.path, "/") && c.path != "/proc",
		strings.Contains(c.text, "MS_BIND") && rootRE.MatchString(c.path) &&
			!strings.HasPrefix(filepath.Clean(c.path), "rootfs"):
		return noRootfs(c)
	}
	return "Either what is to be mounted or the mount point is not there. The scripts run your " +
		"program in a directory that has a " +
		"root file system called rootfs in it, and the path rootfs is relative to that."
}

// ofNoDevice matches a mount of a file system for which the source is only a name: what is missing
// is the mount point.
var ofNoDevice = lazyregexp.New(`^mount\(.*"(proc|sysfs|tmpfs|devtmpfs|devpts|mqueue|cgroup2?)"`)

// nameAsSource matches a mount whose source is no path: it is a new file system of some type, and
// the kernel looks for the mount point before it looks at the type.
var nameAsSource = lazyregexp.New(`^mount\("[^"/]*", "`)

// noMountPointThere is for a mount point that is missing.
func noMountPointThere(c cause, point string) string {
	relative := !strings.HasPrefix(point, "/")
	switch above := filepath.Dir(filepath.Clean(point)); {
	case relative && c.made("chroot(") && !c.madeAfter("chroot", "chdir", "fchdir"):
		return fmt.Sprintf("The path %q begins at the working directory, and chroot(2) does not "+
			"change that: it is still outside of the new root. chdir(2) to / comes right after "+
			"chroot(2).", point)
	case c.changedRoot():
		return fmt.Sprintf("There is no directory %s in the root file system, where paths begin "+
			"since the root was changed. A mount point has to be there: mkdir(2) makes it, or "+
			"take one that is there.", point)
	case c.elsewhere(point) != "":
		return c.elsewhere(point)
	case relative && strings.HasPrefix(filepath.Clean(point), "rootfs/"):
		return fmt.Sprintf("There is no directory %s: the root file system called rootfs has "+
			"none. A mount point has to be there: mkdir(2) makes it, or take one that is there.",
			point)
	case relative && ofKernelRE.MatchString(point):
		return fmt.Sprintf("There is no directory %s here: a path without / in front begins at "+
			"the working directory. /%[1]s is the one of the machine, or of the container when "+
			"the root is changed.", filepath.Clean(point))
	case rootRE.MatchString(above) && above != "rootfs" && above != "/":
		return rootElsewhere(above)
	case relative:
		return fmt.Sprintf("There is no directory %s here. A mount point has to be there: the "+
			"scripts run your program in a directory that has a root file system called rootfs "+
			"in it, and nothing else.", point)
	}
	return fmt.Sprintf("There is no directory %s on this machine. Is it meant to be in the "+
		"container? Then it is below the directory rootfs, or your root is not changed yet.",
		point)
}

// noSuchType is for a type of file system that the kernel does not know.
func noSuchType(c cause) string {
	if strings.Contains(c.text, "MS_BIND") {
		return ""
	}
	if paths := quotedRE.FindAllStringSubmatch(c.text, -1); len(paths) == 3 &&
		strings.HasPrefix(paths[2][1], "/") {
		return fmt.Sprintf("mount(2) takes what is mounted, the mount point, and the type of the "+
			"file system, in this order. Here the type is %q, which is a path.", paths[2][1])
	}
	return "The kernel takes this call for a mount of a new file system, of a type that it does " +
		"not know. For a directory that is there already the flags have MS_BIND, and then the " +
		"type does not matter (mount(2))."
}

// mountedAlready is for EBUSY of mount(2).
func mountedAlready(c cause) string {
	switch {
	case strings.Contains(c.text, "MS_REMOUNT"):
		return "A file in there is open for writing, so it cannot become read-only (mount(2), " +
			"EBUSY). Without MS_BIND, MS_REMOUNT is about the whole file system, wherever it is " +
			"mounted; with MS_BIND it is about this mount alone."
	case c.about("overlay"):
		return "The directory that is upperdir, or the one that is workdir, is in use in another " +
			"overlay (overlayfs.rst): each container has two of its own."
	case strings.Contains(c.text, `, "cgroup", `) && !c.made(c.text):
		return "A controller is in one hierarchy at a time, and this one is in use in another " +
			"(cgroups(7)). All are mounted already, below /sys/fs/cgroup: the container needs a " +
			"directory there, and no mount."
	}
	return "The same is mounted there already: was it mounted by the container before, on the host?"
}

// tooManyMounts is for ENOSPC of mount(2).
func tooManyMounts(c cause) string {
	text := "There are too many mounts: /proc/sys/fs/mount-max says how many a mount namespace " +
		"may have."
	if c.notShared() {
		return text
	}
	return text + " As long as they are shared with the host, each mount of a container is made " +
		"there, too: mount(2) on / with MS_PRIVATE and MS_REC comes before." + c.privateInVain()
}

// busyMount is for EBUSY of umount2(2).
func busyMount(cause) string {
	return "Something still uses this mount: a process whose working directory or open file is " +
		"in there, or another mount below it. MNT_DETACH of umount2(2) takes the mount out of " +
		"sight at once, with those below it, and the kernel does the rest when nobody uses it " +
		"any longer."
}

func notMounted(c cause) string {
	if c.path == "." && c.errno == "EINVAL" && c.made("pivot_root(") && !c.made("chdir(") {
		return "\".\" is the working directory, and that is still the one in which the program " +
			"was started: none of your processes has called chdir(2). After chdir(2) into the " +
			"new root and pivot_root(\".\", \".\") the old root lies there."
	}
	if c.errno == "EINVAL" && c.made("CLONE_NEWUSER") {
		return "Either nothing is mounted at this path, or it is a mount that came with the copy " +
			"of the host's: root of a user namespace cannot take these away one by one " +
			"(mount_namespaces(7)). They go together with the old root, after pivot_root(2)."
	}
	if c.seen && c.errno == "ENOENT" && !c.tried("chroot(") && !c.tried("pivot_root(") {
		return fmt.Sprintf("There is no %s. If the old root is to be there: pivot_root(2) puts it "+
			"on a directory of the new one, and none of your processes is known to have called "+
			"that. If yours calls it by its number: that is another one on each kind of "+
			"processor.", orName(c.path, "such path"))
	}
	return "Nothing is mounted at this path. After pivot_root paths begin in the new root." +
		c.oldRootNow()
}

// tried tells whether one of the processes made a call that begins so, whatever came of it.
func (c cause) tried(call string) bool {
	return slices.ContainsFunc(c.event.Conduct.Steps, func(s harness.Step) bool {
		return strings.HasPrefix(s.Text, call)
	})
}

// oldRootNow says where the old root is since pivot_root(2), as far as its paths tell.
func (c cause) oldRootNow() string {
	for _, made := range slices.Backward(c.earlier()) {
		paths := quotedRE.FindAllStringSubmatch(made, -1)
		if !strings.HasPrefix(made, "pivot_root(") || len(paths) != 2 {
			continue
		}
		root, old := filepath.Clean(paths[0][1]), filepath.Clean(paths[1][1])
		if root == "." && old != "." && !filepath.IsAbs(old) && !strings.HasPrefix(old, "..") {
			return fmt.Sprintf(" That call has put the old root on %s of the new root, which is "+
				"/%[1]s now.", old)
		}
		below, ok := strings.CutPrefix(old+"/", root+"/")
		if !ok || root == "." {
			return ""
		}
		return fmt.Sprintf(" That call has put the old root on %s, which is %s now.", old,
			filepath.Clean("/"+below))
	}
	return ""
}
