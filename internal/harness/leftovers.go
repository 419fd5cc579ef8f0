//go:build linux

package harness

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// state is what a container may not change on the host: a set of lines, each naming one thing.
type state map[string]bool

// hostState reads the state of the throw-away host.
func hostState() (state, error) {
	s := state{}
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, err
	}
	for _, m := range mounts {
		s[fmt.Sprintf("mount %s %s (%s)", m.FSType, m.Mountpoint, m.Options)] = true
	}
	for _, pid := range processes() {
		cmdline, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		s[fmt.Sprintf("process %d %s", pid,
			bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '}))] = true
	}
	if len(now().Cgroups) > 0 { // else those in sight are the machine's, where others come and go
		for _, dir := range cgroupDirs() {
			s["cgroup "+dir] = true
		}
		for file, value := range hostLimits() {
			s["limit "+file+" "+value] = true
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, link := range links {
		s["interface "+link.Name] = true
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		return nil, err
	}
	s["net.ipv4.ip_forward "+strings.TrimSpace(string(forward))] = true
	name, err := os.Hostname()
	s["host name "+name] = true
	return s, err
}

// processes lists the processes of the throw-away host but this one, its process 1. Those that are
// dead and have nobody else to wait for them it buries on the way.
func processes() (pids []int) {
	for _, pid := range pidsInSight() {
		if pid == os.Getpid() {
			continue
		}
		if reaped, _ := unix.Wait4(pid, nil, unix.WNOHANG, nil); reaped != pid {
			pids = append(pids, pid)
		}
	}
	return pids
}

// leftovers returns what is on the host now and was not before, and the other way round. What is
// about to go, such as a killed process, gets two seconds for it, on a clock that stands still
// while it does not get a processor. Where a look finds nobody who could change anything, the next
// one sees what lasts.
func leftovers(before state) (lines []string, err error) {
	covered, err := uncoverProc()
	if err != nil {
		return nil, err
	}
	look := func() ([]string, error) {
		differences, err := before.differences()
		lines := append(slices.Clone(covered), differences...)
		slices.Sort(lines)
		return lines, err
	}
	if lines, err = lasting(look); slices.ContainsFunc(lines, isInterface) && netGone() {
		return look()
	}
	return lines, err
}

// netGone waits until the kernel has taken away the interfaces of all network namespaces that have
// ended before: it does that in the background, and no clock of ours sees how busy the machine
// keeps it. One namespace comes after the other, so the last one is the control: ip(8) runs in it,
// has a veth(4) with an end here, and ends. It is false where that cannot be done or seen.
func netGone() bool {
	const control = "control"
	ip := exec.Command("ip", "link", "add", "inside", "type", "veth", "peer", "name", control,
		"netns", strconv.Itoa(os.Getpid()))
	ip.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if ip.Run() != nil {
		return false
	}
	for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
		if _, err := net.InterfaceByName(control); err != nil {
			return true
		}
	}
	return false
}

// lasting looks for what was left until there is nothing, or until it does not go.
func lasting(look func() ([]string, error)) (lines []string, err error) {
	quiet := false
	asBefore := func() bool {
		lines, err = look()
		quiet = !slices.ContainsFunc(lines, moves)
		return len(lines) == 0
	}
	// Waiting does not help where nothing moves, or where the look fails.
	if eventually(asBefore, func() bool { return quiet || err != nil }) || err != nil {
		return nil, err
	}
	return lines, nil
}

// moves tells whether a leftover is a process, which may change others, or an interface: that goes
// by itself, a moment after the last process in its namespace.
func moves(line string) bool {
	_, what, _ := strings.Cut(line, ": ")
	return strings.HasPrefix(what, "process ") || isInterface(line)
}

func isInterface(line string) bool {
	_, what, _ := strings.Cut(line, ": ")
	return strings.HasPrefix(what, "interface ")
}

// differences are what is on the host now and was not before, and the other way round.
func (s state) differences() (lines []string, err error) {
	now, err := hostState()
	if err != nil {
		return nil, err
	}
	for line := range now {
		if !s[line] {
			lines = append(lines, "new: "+line)
		}
	}
	for line := range s {
		if !now[line] {
			lines = append(lines, "gone: "+line)
		}
	}
	return lines, nil
}

// changes returns what lasts of what a script has done to the host by the time it failed: processes
// and their interfaces are just being killed.
func changes(before state) (lines []string, err error) {
	covered, err := uncoverProc()
	if err != nil {
		return nil, err
	}
	differences, err := before.differences()
	for _, line := range differences {
		_, what, _ := strings.Cut(line, ": ")
		switch kind, _, _ := strings.Cut(what, " "); kind {
		case "mount", "cgroup", "host", "limit":
			covered = append(covered, line)
		}
	}
	slices.Sort(covered)
	return covered, err
}

// uncoverProc makes /proc that of the throw-away host again, and tells what it was instead. A
// program whose mounts are shared with the host may have mounted its own there, which shows none of
// the processes here, or have unmounted the one of the host.
func uncoverProc() (lines []string, err error) {
	const most = 1000
	for range most {
		self, _ := os.Readlink("/proc/self")
		if self == strconv.Itoa(os.Getpid()) {
			return lines, nil
		}
		if self != "" || unix.Unmount("/proc", unix.MNT_DETACH) != nil {
			break // it is the machine's, or nothing is mounted there
		}
		lines = []string{"new: mount proc /proc (of the container)"}
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return nil, fmt.Errorf("mount /proc: %w", err)
	}
	return []string{"gone: mount proc /proc"}, nil
}

// restore takes leftovers away, so that the next script starts on a clean host.
func restore(before state) error {
	_, procErr := uncoverProc()
	// Many container programs end on a signal by unmounting and removing: kill, and wait until all
	// is quiet.
	allGone := func() bool {
		pids := processes()
		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
		return len(pids) == 0
	}
	eventually(allGone, func() bool { return false })
	err := errors.Join(procErr, unix.Sethostname([]byte(hostname)), forwardingOff(),
		before.restoreLimits())
	now, stateErr := withoutMounts(before)
	err = errors.Join(err, stateErr)
	for line := range now {
		kind, rest, _ := strings.Cut(line, " ")
		if before[line] {
			continue
		}
		switch kind {
		case "cgroup":
			err = errors.Join(err, removeCgroups(rest))
		case "interface":
			_ = exec.Command("ip", "link", "del", rest).Run() // gone with the other end, perhaps
		}
	}
	return err
}

// restoreLimits gives the cgroups of the throw-away host the limits that they had.
func (s state) restoreLimits() (err error) {
	// Twice, because that of memory can never be above that of memory and swap together, and the
	// order of the two depends on which was changed.
	for range 2 {
		err = nil
		for file, value := range hostLimits() {
			for line := range s {
				was, ok := strings.CutPrefix(line, "limit "+file+" ")
				if ok && was != value {
					err = errors.Join(err, os.WriteFile(file, []byte(was), 0))
				}
			}
		}
	}
	return err
}

// withoutMounts unmounts what was not mounted before, and returns the state after that. The mounts
// go first: there may be what looks like a cgroup on one of them. Several may lie on one another.
func withoutMounts(before state) (now state, err error) {
	const most = 1000
	for range most {
		if now, err = hostState(); err != nil {
			return nil, err
		}
		found := false
		for line := range now {
			mount, ok := strings.CutPrefix(line, "mount ")
			if !ok || before[line] {
				continue
			}
			_, path, _ := strings.Cut(mount, " ")
			path = path[:strings.LastIndex(path, " (")]
			if unix.Unmount(path, unix.MNT_DETACH) == nil { // else gone with one above it, perhaps
				found = true
			}
		}
		if !found {
			break
		}
	}
	return now, nil
}
