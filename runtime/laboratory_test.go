//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/store"
	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/inject"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/users"
)

// hangs is the time after which a run is taken for one that hangs: on a machine that is emulated
// it is more than a minute, as it is for scripts.
var hangs = harness.Timeout()

// A role is what a process does when it makes a call.
type role string

const (
	inRuntime     role = "runtime"
	inList        role = "list"
	inListOfCopy  role = "list of the copy"
	inCopy        role = "copy"
	inInit        role = "init"
	inChildOfInit role = "child of the init"
	inCommand     role = "command" // not ours
)

func (r role) isList() bool { return r == inList || r == inListOfCopy }

// isTried tells whether a call is to fail when it is made in this role. The child that makes the
// calls of a list also waits and wakes, and ends: that cannot fail.
func (r role) isTried(c inject.Call) bool {
	name := inject.Name(c.Number)
	if r.isList() {
		return name != "futex" && c.About != inject.AfterWait
	}
	return r != inCommand && (leftOut[name] == "" || isOurs(c))
}

// role tells who makes a call: the processes are born in a fixed order.
func (l *laboratory) role(p inject.Point) role {
	child := 2 // of the init
	if l.has("copy") {
		child = 3
	}
	switch {
	case p.Process == 0:
		return inRuntime
	case p.Process == 1 && p.Image == 0:
		return inList
	case p.Process == 2 && p.Image == 0 && l.has("copy"):
		return inListOfCopy
	case p.Process == 2 && p.Image == 1 && l.has("copy"):
		return inCopy
	case p.Process == 1 && l.has("-init"):
		return inInit
	case p.Process == child && p.Image == 0 && l.has("-init"):
		return inChildOfInit
	}
	return inCommand
}

// listed is a call of the list.
type listed struct {
	plan.Call
	isKnown, isLie bool // see allowances
}

// A laboratory is where containers of one kind are made.
type laboratory struct {
	*testing.T
	kind
	host   *harness.Place
	mounts string // of the host
	recording

	runs atomic.Int64
	bad  atomic.Int64 // trials with complaints
	// A run holds alone for reading. For writing it is held by a lane that looks for what any of
	// them has left.
	alone sync.RWMutex
	// excused is how many runs said that they left something behind that is not looked at yet.
	excused atomic.Int64
}

// A recording is what becomes of a container without a fault.
type recording struct {
	calls     []inject.Call
	list      map[inject.Point]listed
	isolation string // what the witness says
}

// recordings are those of each kind, for the next test of it.
var recordings = map[string]recording{}

func newLaboratory(t *testing.T, k kind) *laboratory {
	for _, condition := range []string{"ours", k.needs} {
		if condition != "" && harness.Missing(condition) != "" {
			harness.Skip(t, harness.Missing(condition))
		}
	}
	nothing := inject.Program{Path: "/bin/true", Args: []string{"true"}}
	if _, err := nothing.Run(nil, hangs); err != nil {
		harness.Skip(t, "a program cannot be traced: "+err.Error())
	}
	if harness.Missing("root") == "" {
		k.flags += " " + k.asRoot
	}
	if harness.Missing("cgroups") == "" {
		k.flags += " " + k.asLimited
	}
	l := &laboratory{T: t, kind: k, host: harness.Visit(t)}
	l.makeRootfs()
	l.makeImage()
	if k.needs == "btrfs" {
		l.makeSubvolume()
	}
	require.NoError(t, os.Mkdir(l.path("volume"), 0o755))
	require.NoError(t, os.WriteFile(l.path("volume/file"), nil, 0o644))
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	l.mounts = string(mounts)
	return l
}

func (l *laboratory) path(name string) string { return filepath.Join(l.host.Work, name) }

// makeRootfs makes a root file system that is small, because its files are copied one by one.
func (l *laboratory) makeRootfs() {
	for _, dir := range []string{"", "bin", "etc", "tmp", "home"} {
		require.NoError(l, os.Mkdir(l.path("rootfs/"+dir), 0o755))
	}
	from, to := filepath.Join(l.host.Rootfs, "bin"), l.path("rootfs/bin")
	require.NoError(l, exec.Command("cp", "-a", from+"/busybox", from+"/sh", to).Run())
	require.NoError(l, exec.Command("cp", l.host.Probe, to).Run()) // a link to it, perhaps
	passwd := "root:x:0:0:root:/root:/bin/sh\ndemo:x:1000:2000:demo:/home:/bin/sh\n"
	require.NoError(l, os.WriteFile(l.path("rootfs/etc/passwd"), []byte(passwd), 0o644))
	require.NoError(l, os.Link(l.path("rootfs/etc/passwd"), l.path("rootfs/etc/passwd-")))
	require.NoError(l, os.Chmod(l.path("rootfs/tmp"), 0o777|os.ModeSticky))
}

// makeSubvolume makes a copy of it that is a subvolume of Btrfs.
func (l *laboratory) makeSubvolume() {
	const script = "truncate -s 128M disk && mkfs.btrfs -q disk && mkdir fs && " +
		"mount -o loop disk fs && btrfs subvolume create fs/rootfs && cp -a rootfs/. fs/rootfs"
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = l.host.Work
	said, err := cmd.CombinedOutput()
	require.NoError(l, err, string(said))
	l.Cleanup(func() { assert.NoError(l, unix.Unmount(l.path("fs"), unix.MNT_DETACH)) })
}

// makeImage makes an image of the root file system, and of a layer above it.
func (l *laboratory) makeImage() {
	require.NoError(l, os.Mkdir(l.path("layer"), 0o755))
	require.NoError(l, os.WriteFile(l.path("layer/file"), nil, 0o644))
	writeStore(l.T, l.path("store"), &store.Image{Layers: []string{"../rootfs", "../layer"}})
}

// witness is the command that shows how it is isolated.
const witness = "probe isolation"

// args are the flags of run number n, and the command.
func (l *laboratory) args(n int64, command string) []string {
	paths := strings.NewReplacer(
		"ROOTFS", l.path("rootfs"),
		"SUBVOLUME", l.path("fs/rootfs"),
		"VOLUME", l.path("volume"),
		"KEEP", l.keep(n))
	return append(strings.Fields(paths.Replace(l.flags)), strings.Fields(command)...)
}

func (l *laboratory) keep(n int64) string { return l.path(fmt.Sprint("keep", n)) }

// run makes container number n, with a fault if that is not nil.
func (l *laboratory) run(n int64, command string, fault *inject.Fault) inject.Result {
	r, err := inject.Program{
		Path:   l.host.Program,
		Args:   append([]string{"container", "run"}, l.args(n, command)...),
		Dir:    l.host.Work,
		Env:    []string{"PATH=/bin:/usr/bin", "HOME=/", "CONTAINER_IMAGES=" + l.path("store")},
		Filter: true,
	}.Run(fault, hangs)
	assert.NoError(l, err)
	return r
}

// never is a fault that does not come to pass.
var never = inject.Fault{Point: inject.Point{Process: -1}}

// record makes a container without a fault, and remembers the calls and how it is isolated.
func (l *laboratory) record() {
	if before, isKnown := recordings[l.name]; isKnown {
		l.recording = before
		return
	}
	inLane(l.T, func() {
		r := l.run(l.runs.Add(1), witness, nil)
		assert.Zero(l, exitStatus(r.Status), r.Stderr)
		l.calls = r.Calls
		_, l.isolation = l.split(r)
		assert.Contains(l, l.isolation, "end of the isolation")
		if !l.has("-init") { // it is the init that is killed then, and the command with it
			assert.Contains(l, l.isolation, "PDEATHSIG 0 9")
		}
		_, again := l.split(l.run(l.runs.Add(1), witness, &never))
		assert.Equal(l, l.isolation, again, "without a fault the witness says the same again")
	})
	if l.Failed() {
		l.FailNow()
	}
	l.findList()
	recordings[l.name] = l.recording
}

// findList finds the calls of the list, as it is on paper, among those that were made.
func (l *laboratory) findList() {
	p, err := l.onPaper()
	require.NoError(l, err)
	defer p.Free()
	paper := p.Calls()
	l.list = map[inject.Point]listed{}
	i := 0
	for _, c := range l.calls {
		if l.role(c.Point) != inList || !inList.isTried(c) {
			continue
		}
		name := inject.Name(c.Number)
		// A call that was refused did succeed; only the next one shows that.
		if i > 0 && name != paper[i].Name && slices.Contains(paper[i-1].Allowed, plan.ErrCheck) {
			i += paper[i-1].Skip
		}
		require.Less(l, i, len(paper), "not on paper: %s", c.Text)
		made := listed{Call: paper[i]}
		require.Equal(l, made.Name, name, "on paper: %s, made: %s", made.Line, c.Text)
		for _, a := range allowances {
			if a.line.MatchString(made.Line) {
				made.isKnown, made.isLie = true, a.lie
			}
		}
		if len(made.Allowed) > 0 {
			require.True(l, made.isKnown, "not among the allowances: %s", made.Line)
		}
		l.list[c.Point] = made
		if slices.Contains(made.Allowed, c.Errno) {
			i += made.Skip
		}
		i++
	}
	require.Len(l, paper, i, "the list was not made to its end")
}

// request is what run number n asks for.
func (l *laboratory) request(n int64) (*request, error) {
	r, err := parse(l.args(n, witness))
	if err == nil {
		_, err = r.takeImage()
		r.closeImage()
	}
	return r, err
}

// onPaper writes the list. The runtime looks at its standard streams: for that they are, for a
// moment, what those of a run are.
func (l *laboratory) onPaper() (p *plan.Plan, err error) {
	r, err := l.request(0)
	if err != nil {
		return nil, err
	}
	null, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(null)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for fd, stream := range []int{null, pipe[1], pipe[1]} {
		before, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		defer unix.Close(before)
		defer unix.Dup3(before, fd, 0)
		if err := unix.Dup3(stream, fd, 0); err != nil {
			return nil, err
		}
	}
	return planOnPaper(r.Container)
}

// judge says what is wrong with the outcome of a trial.
type judge func(f trial, r inject.Result, complain complain)

// complain is like t.Errorf.
type complain func(format string, args ...any)

// runAll tries all, on as many lanes as there are processors.
func (l *laboratory) runAll(trials []trial, judge judge) {
	next := make(chan trial)
	var lanes sync.WaitGroup
	var reached atomic.Int64
	for range runtime.NumCPU() {
		lanes.Go(func() {
			inLane(l.T, func() {
				for f := range next {
					if l.bad.Load() < enoughToMend && l.try(f, judge) {
						reached.Add(1)
					}
				}
				l.alone.Lock()
				defer l.alone.Unlock()
				l.cleanRun(l.Errorf)
			})
		})
	}
	roles := map[role]int{}
	for _, f := range trials {
		next <- f
		roles[f.role]++
	}
	close(next)
	lanes.Wait()
	tried := int(reached.Load())
	harness.Tried(l.T, tried)
	l.Logf("in these: %v; %d did not come to pass", roles, len(trials)-tried)
	if l.bad.Load() < enoughToMend {
		assert.Greater(l, tried, len(trials)/2, "too few to say anything")
	}
}

// enoughToMend is how many trials with complaints end the test.
const enoughToMend = 50

// try tries a fault, and tells whether it came to pass.
func (l *laboratory) try(f trial, judge judge) (reached bool) {
	n := l.runs.Add(1)
	l.alone.RLock()
	r := l.run(n, f.command, &f.Fault)
	if strings.Contains(r.Stderr, ": remove ") {
		l.excused.Add(1)
		defer l.excused.Add(-1)
	}
	l.alone.RUnlock()
	var complaints []string
	complain := func(format string, args ...any) {
		complaints = append(complaints, fmt.Sprintf(format, args...))
	}
	if r.Hung != "" {
		complain("still there after %s: %s", hangs, r.Hung)
	} else {
		judge(f, r, complain)
	}
	l.checkKept(n, f, complain)
	l.checkMounts(complain)
	if !f.Kill { // what a killed runtime leaves the last run takes away
		l.checkHost(complain)
	}
	said, _ := l.split(r)
	result := fmt.Sprintf("status %d, error %q", exitStatus(r.Status), said)
	switch {
	case len(complaints) > 0:
		l.bad.Add(1)
		l.Errorf("%s: %s\n\t%s", f, strings.Join(complaints, "\n\t"), result)
	case all:
		l.Logf("%s: %s", f, result)
	}
	return r.Reached
}

// checkKept looks whether a container can have the directory of -keep again, which the runtime has
// made. That changes the umask of this process for a moment: no run may begin then.
func (l *laboratory) checkKept(n int64, f trial, complain complain) {
	if !l.has("-keep") || f.role != inRuntime {
		return
	}
	l.alone.Lock()
	defer l.alone.Unlock()
	if _, err := os.Stat(l.keep(n)); err != nil {
		return // it was not made
	}
	r, err := l.request(n)
	if err == nil {
		err = users.FindMaps(r.Container)
	}
	if err == nil {
		err = rootfs.TakeKept(r.Container)
	}
	if err == nil {
		err = os.RemoveAll(l.keep(n))
	}
	if err != nil {
		complain("cannot be used any longer: %v", err)
	}
}

func (l *laboratory) checkMounts(complain complain) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || string(mounts) != l.mounts {
		complain("the mounts of the host have changed:\n%s", difference(l.mounts, string(mounts)))
	}
}

// checkHost looks whether the host is as it was. If it is not, the message of a run has to say so,
// and the next run has to put it right.
func (l *laboratory) checkHost(complain complain) {
	if len(l.leftovers()) == 0 {
		return
	}
	l.alone.Lock() // perhaps a container of another lane was still being made
	defer l.alone.Unlock()
	left := l.leftovers()
	if len(left) == 0 {
		return
	}
	if l.excused.Load() == 0 {
		complain("left on the host, without a word: %s", strings.Join(left, ", "))
	}
	l.cleanRun(complain)
}

// cleanRun makes a container without a fault, which has to take away what others have left.
func (l *laboratory) cleanRun(complain complain) {
	n := l.runs.Add(1)
	r := l.run(n, witness, &never)
	said, shown := l.split(r)
	if exitStatus(r.Status) != 0 || said != "" || shown != l.isolation {
		complain("then without a fault: status %d, stderr %q\n%s", exitStatus(r.Status), said,
			difference(l.isolation, shown))
	}
	_ = os.RemoveAll(l.keep(n)) // in a tmpfs of our own
	if left := l.leftovers(); len(left) > 0 {
		complain("left on the host also by the next run: %s", strings.Join(left, ", "))
	}
}

// leftovers are cgroups of no container, and what there is of a bridge.
func (l *laboratory) leftovers() (left []string) {
	var dirs []string
	if harness.Missing("cgroups") == "" { // otherwise those in sight are the machine's
		here, _ := filepath.Glob("/sys/fs/cgroup/container-*")
		below, _ := filepath.Glob("/sys/fs/cgroup/*/container-*") // the patterns are well-formed
		dirs = append(here, below...)
	}
	snapshots, _ := filepath.Glob(l.path("fs/.container-*"))
	for _, dir := range append(dirs, snapshots...) {
		if !isLocked(dir) { // as it is by the runtime of a container that is there
			left = append(left, dir)
		}
	}
	interfaces, err := os.ReadFile("/proc/thread-self/net/dev") // of this lane
	assert.NoError(l, err)
	if strings.Contains(string(interfaces), "container0:") {
		left = append(left, "bridge container0")
	}
	forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	assert.NoError(l, err)
	if string(forward) != "0\n" {
		left = append(left, "ip_forward "+strings.TrimSpace(string(forward)))
	}
	return left
}

func isLocked(dir string) bool {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return true // it is gone
	}
	defer unix.Close(fd)
	return unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) != nil
}

// split returns the error messages of a run, and what the witness showed.
func (l *laboratory) split(r inject.Result) (said, shown string) {
	said = r.Stderr
	if l.has("-v") { // after the calls, and what came of them
		i := strings.Index(said+"container: ", "container: ")
		said = said[i:]
	}
	shown = strings.ReplaceAll(r.Stdout, "\r\n", "\n")
	if i := strings.Index(shown, "container: "); l.has("-tty") && i >= 0 {
		// Init says it on the terminal of the command, which may still write there.
		end := min(len(shown), i+strings.Index(shown[i:]+"\n", "\n")+1)
		said += shown[i:end]
		shown = shown[:i] + shown[end:]
	}
	return said, strings.ReplaceAll(normal(shown), filepath.Base(l.host.Work), "WORK")
}

var (
	namespaceLine = regexp.MustCompile(`(?m)^namespace (\w+) (.*)$`)
	address       = regexp.MustCompile(`10\.200\.\d+\.\d+`)
	keepNumber    = regexp.MustCompile(`/keep\d+`)
	snapshotName  = regexp.MustCompile(`\.container-[0-9a-f]{16}|subvolid=\d+`)
)

// normal is what the witness shows, without what differs from one container to the next.
func normal(shown string) string {
	shown = snapshotName.ReplaceAllString(shown, "SNAPSHOT")
	shown = namespaceLine.ReplaceAllStringFunc(shown, func(line string) string {
		fields := strings.Fields(line)
		host, err := os.Readlink("/proc/thread-self/ns/" + fields[1])
		if err == nil && len(fields) == 3 && host != fields[2] {
			return fields[0] + " " + fields[1] + ": of its own"
		}
		return fields[0] + " " + fields[1] + ": that of the host"
	})
	shown = address.ReplaceAllString(shown, "ADDRESS")
	return keepNumber.ReplaceAllString(shown, "/KEEP")
}

// difference shows which lines two texts do not have in common.
func difference(want, got string) string {
	var lines []string
	wanted, gotten := strings.Split(want, "\n"), strings.Split(got, "\n")
	for _, line := range wanted {
		if !slices.Contains(gotten, line) {
			lines = append(lines, "\t- "+line)
		}
	}
	for _, line := range gotten {
		if !slices.Contains(wanted, line) {
			lines = append(lines, "\t+ "+line)
		}
	}
	return strings.Join(lines, "\n")
}

// inLane runs a function on a thread with a network namespace of its own, so that the bridge of one
// lane is not that of another. The thread ends with it. It is not the main thread: that of process
// 1 has the orphans of the host for children, and would take the stops of those from the lane that
// traces them (wait(2), __WNOTHREAD).
func inLane(t *testing.T, do func()) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			defer runtime.UnlockOSThread()
			inLane(t, do) // which cannot have this thread
			done <- nil
			return
		}
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0)
		}
		if err == nil {
			do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Errorf("network namespace: %v", err)
	}
}
