//go:build linux

package record

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/ptrace"
)

// status is the text of /proc/PID/status (proc_pid_status(5)).
type status string

// readFile reads a file of /proc or of a control group. Package os would get ready to wait for it
// besides, which takes as long as reading it; and the command waits meanwhile.
func readFile(name string) ([]byte, error) {
	fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(fd)
	buffer := readBuffers.Get().(*[]byte)
	defer readBuffers.Put(buffer)
	text := (*buffer)[:0]
	for {
		n, err := unix.Read(fd, text[len(text):cap(text)])
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: name, Err: err}
		case n == 0:
			*buffer = text
			return bytes.Clone(text), nil
		default:
			text = slices.Grow(text[:len(text)+n], 1)
		}
	}
}

// readBuffers are what readFile reads into: most files are much smaller than what is read at once.
var readBuffers = sync.Pool{New: func() any { return new(make([]byte, 0, 4*ptrace.PageSize)) }}

func readStatus(pid, tid int) status {
	text, _ := readFile(threadFile(pid, tid, "status")) // an error: it is gone
	return status(text)
}

// threadFile is a file of /proc that tells of one thread of a process.
func threadFile(pid, tid int, name string) string {
	if pid == tid { // the first thread's are those of the process, and are found sooner
		return "/proc/" + strconv.Itoa(pid) + "/" + name
	}
	return "/proc/" + strconv.Itoa(pid) + "/task/" + strconv.Itoa(tid) + "/" + name
}

// processOf is the process that a thread belongs to, or 0 if it is gone.
func processOf(tid int) int {
	status, err := readFile("/proc/" + strconv.Itoa(tid) + "/status")
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(statusField(string(status), "Tgid"))
	return pid
}

func (s status) field(name string) string { return statusField(string(s), name) }

// statusField is the value of a line "name:\tvalue".
func statusField(text, name string) string {
	after, found := strings.CutPrefix(text, name+":")
	if !found {
		_, after, _ = strings.Cut(text, "\n"+name+":")
	}
	value, _, _ := strings.Cut(after, "\n")
	return strings.Join(strings.Fields(value), " ")
}

func (s status) number(name string) int {
	n, _ := strconv.Atoi(s.field(name))
	return n
}

// namespaces are those of /proc/PID/ns. A process whose children are elsewhere than itself has two
// of the last two kinds.
var namespaces = []string{
	"user", "uts", "mnt", "ipc", "net", "cgroup",
	"pid", "time", "pid_for_children", "time_for_children",
}

// namespaceLink is the number that names a namespace, or "".
func namespaceLink(file string) string {
	link, err := os.Readlink(file)
	if err != nil {
		return ""
	}
	_, name, _ := strings.Cut(link, ":[")
	return strings.TrimSuffix(name, "]")
}

// readProcess reads what /proc tells of a process, or returns nil if it is gone. What may not be
// read is as before.
func (t *tracer) readProcess(p *process, before *Process) *Process {
	now := &Process{Namespaces: map[string]string{}}
	if before != nil {
		now.PIDs = before.PIDs
	}
	if !t.readRights(p, now) {
		return nil
	}
	now.Command = readCommand(p.pid)
	now.UIDMap = readMap(p.pid, "uid_map")
	now.GIDMap = readMap(p.pid, "gid_map")
	now.readPaths(p)
	for _, kind := range namespaces {
		ns := namespaceLink(threadFile(p.pid, p.view, "ns/"+kind))
		if ns == "" && before != nil {
			ns = before.Namespaces[kind]
		}
		if of, isSecond := strings.CutSuffix(kind, "_for_children"); ns != "" &&
			!(isSecond && ns == now.Namespaces[of]) {
			now.Namespaces[kind] = ns
		}
	}
	now.Session, now.Terminal = readSession(p.pid)
	now.Cgroups = readCgroupNames(p.pid)
	if before != nil {
		now.keep(before)
	}
	return now
}

// readRights reads what is in /proc/PID/status. It returns false if the process is gone.
func (t *tracer) readRights(p *process, now *Process) bool {
	s := readStatus(p.pid, p.view)
	if s == "" {
		p.view = p.pid // the thread has ended
		s = readStatus(p.pid, p.view)
	}
	if s == "" || strings.HasPrefix(s.field("State"), "X") {
		return false
	}
	now.Parent = s.number("PPid")
	now.UIDs, now.GIDs, now.Groups = s.field("Uid"), s.field("Gid"), s.field("Groups")
	now.Filters = max(0, s.number("Seccomp_filters")-t.host.filters)
	now.NoNewPrivs = s.field("NoNewPrivs") == "1" && (t.host.noNewPrivs || p.noNewPrivs)
	now.Capabilities = map[string][]string{
		"effective":   t.host.sets.names(s.field("CapEff")),
		"permitted":   t.host.sets.names(s.field("CapPrm")),
		"inheritable": t.host.sets.names(s.field("CapInh")),
		"bounding":    t.host.sets.names(s.field("CapBnd")),
		"ambient":     t.host.sets.names(s.field("CapAmb")),
	}
	if p.view != p.pid && now.PIDs != nil {
		return true // those of the thread are not those of its process
	}
	now.PIDs = nil
	for word := range strings.FieldsSeq(s.field("NSpid")) {
		n, _ := strconv.Atoi(word)
		now.PIDs = append(now.PIDs, n)
	}
	return true
}

func (now *Process) readPaths(p *process) {
	now.Root = readLink(threadFile(p.pid, p.view, "root"))
	now.Dir = readLink(threadFile(p.pid, p.view, "cwd"))
}

// keep takes over what may not be read.
func (now *Process) keep(before *Process) {
	for _, field := range []struct{ now, before *string }{
		{&now.Root, &before.Root},
		{&now.Dir, &before.Dir},
		{&now.UIDMap, &before.UIDMap},
		{&now.GIDMap, &before.GIDMap},
	} {
		if *field.now == "" {
			*field.now = *field.before
		}
	}
}

func readLink(file string) string {
	link, _ := os.Readlink(file) // an error: it may not be read
	return link
}

func readCommand(pid int) []string {
	dir := "/proc/" + strconv.Itoa(pid)
	text, _ := readFile(dir + "/cmdline")
	if len(text) == 0 {
		name, _ := readFile(dir + "/comm")
		return []string{"[" + strings.TrimSpace(string(name)) + "]"}
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// readMap reads a map of ids, with one space between its numbers.
func readMap(pid int, name string) string {
	text, _ := readFile("/proc/" + strconv.Itoa(pid) + "/" + name)
	var lines []string
	for line := range strings.Lines(string(text)) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// readSession reads the session and the terminal of a process (proc_pid_stat(5)).
func readSession(pid int) (session int, terminal string) {
	const sessionAt, terminalAt = 3, 4 // after the name in parentheses
	text, _ := readFile("/proc/" + strconv.Itoa(pid) + "/stat")
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= terminalAt {
		return 0, ""
	}
	session, _ = strconv.Atoi(fields[sessionAt])
	device, _ := strconv.ParseUint(fields[terminalAt], 10, 32)
	return session, terminalName(device)
}

func terminalName(device uint64) string {
	const firstPTS, lastPTS, serial, console = 136, 143, 4, 5
	major, minor := unix.Major(device), unix.Minor(device)
	switch {
	case device == 0:
		return ""
	case firstPTS <= major && major <= lastPTS:
		return fmt.Sprintf("pts/%d", (major-firstPTS)*256+minor)
	case major == serial && minor < 64:
		return fmt.Sprintf("tty%d", minor)
	case major == serial:
		return fmt.Sprintf("ttyS%d", minor-64)
	case major == console && minor == 1:
		return "console"
	}
	return fmt.Sprintf("%d:%d", major, minor)
}

// mountLines are the numbers of the mounts that were seen, by their lines in a table: most are in
// the next table, too.
type mountLines struct {
	recording *Recording // whose Mounts have the numbers
	byLine    map[string]int
	byMount   map[Mount]int // what is not recorded may differ in their lines
}

func newMountLines(r *Recording) mountLines {
	return mountLines{recording: r, byLine: map[string]int{}, byMount: map[Mount]int{}}
}

// read reads the table of mounts as a process sees it.
func (l *mountLines) read(p *process) []int {
	text, err := readFile(threadFile(p.pid, p.view, "mountinfo"))
	if err != nil {
		return nil
	}
	numbers := make([]int, 0, bytes.Count(text, []byte("\n")))
	var lines []string // that are new
	var at []int       // where they are in numbers
	for line := range bytes.Lines(text) {
		number, known := l.byLine[string(line)]
		if !known {
			lines, at = append(lines, string(line)), append(at, len(numbers))
		}
		numbers = append(numbers, number)
	}
	if l.learn(lines) != nil {
		return nil
	}
	for i, line := range lines {
		numbers[at[i]] = l.byLine[line]
	}
	return numbers
}

// learn parses lines.
func (l *mountLines) learn(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	infos, err := mountinfo.GetMountsFromReader(strings.NewReader(strings.Join(lines, "")), nil)
	if err != nil {
		return err
	}
	for i, m := range infos {
		l.byLine[lines[i]] = l.number(Mount{
			ID: m.ID, Parent: m.Parent,
			Root: m.Root, Point: m.Mountpoint,
			Options:     m.Options,
			Propagation: propagation(m.Optional),
			Type:        m.FSType,
			Source:      m.Source,
			Super:       m.VFSOptions,
		})
	}
	return nil
}

// number is the number of a mount in the recording.
func (l *mountLines) number(m Mount) int {
	number, known := l.byMount[m]
	if !known {
		number = len(l.recording.Mounts)
		l.recording.Mounts = append(l.recording.Mounts, m)
		l.byMount[m] = number
	}
	return number
}

// propagation reads the optional fields of a line: "shared:1 master:2".
func propagation(optional string) string {
	var kinds []string
	for field := range strings.FieldsSeq(optional) {
		switch name, _, _ := strings.Cut(field, ":"); name {
		case "shared", "unbindable":
			kinds = append(kinds, name)
		case "master":
			kinds = append(kinds, "slave")
		}
	}
	if len(kinds) == 0 {
		return "private"
	}
	return strings.Join(kinds, ",")
}

// askHostname reads the hostname of the namespace of another thread, in a thread of its own, which
// enters it and ends there.
func askHostname(tid int) (string, error) {
	type answer struct {
		name string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked
		var name unix.Utsname
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/uts", tid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWUTS)
			_ = unix.Close(fd)
		}
		if err == nil {
			err = unix.Uname(&name)
		}
		answers <- answer{name: unix.ByteSliceToString(name.Nodename[:]), err: err}
	}()
	a := <-answers
	return a.name, a.err
}

// hierarchy is a place where control groups are mounted.
type hierarchy struct {
	controllers string // as /proc/PID/cgroup names them; "" is version 2
	point, root string
}

// readHierarchies reads where control groups are mounted.
func readHierarchies() (all []hierarchy) {
	table, _ := readFile("/proc/thread-self/mountinfo") // an error: no control group is known
	mounts, _ := mountinfo.GetMountsFromReader(bytes.NewReader(table),
		mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	text, _ := readFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for _, m := range mounts {
			if fields[1] == "" && m.FSType == "cgroup2" ||
				m.FSType == "cgroup" && hasControllers(m.VFSOptions, fields[1]) {
				all = append(all, hierarchy{
					controllers: fields[1],
					point:       m.Mountpoint,
					root:        m.Root,
				})
				break
			}
		}
	}
	return all
}

// hasControllers tells whether a hierarchy of version 1 with these options is that of these
// controllers.
func hasControllers(options, controllers string) bool {
	all := strings.Split(options, ",")
	for name := range strings.SplitSeq(controllers, ",") {
		if !slices.Contains(all, name) {
			return false
		}
	}
	return controllers != ""
}

// readCgroupNames reads the control groups of a process, by the names of State.Cgroups. The roots
// of the hierarchies are left out: nothing is limited there.
func readCgroupNames(pid int) (names []string) {
	text, _ := readFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	for line := range strings.Lines(string(text)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[2] != "/" {
			names = append(names, fields[1]+":"+fields[2])
		}
	}
	slices.Sort(names)
	return names
}

// directory is where a control group is mounted, by its name in State.Cgroups.
func (h *host) directory(name string) string {
	controllers, path, _ := strings.Cut(name, ":")
	for _, hierarchy := range h.cgroups {
		if hierarchy.controllers != controllers {
			continue
		}
		inside, err := filepath.Rel(hierarchy.root, path)
		if err == nil && inside != ".." && !strings.HasPrefix(inside, "../") {
			return filepath.Join(hierarchy.point, inside)
		}
	}
	return ""
}

// nameOf is the name in State.Cgroups of the control group with this directory.
func (h *host) nameOf(dir string) string {
	for _, hierarchy := range h.cgroups {
		inside, err := filepath.Rel(hierarchy.point, dir)
		if err == nil && inside != "." && inside != ".." && !strings.HasPrefix(inside, "../") {
			return hierarchy.controllers + ":" + filepath.Join(hierarchy.root, inside)
		}
	}
	return ""
}

// cgroupFiles are those that say what a control group may use and uses; of version 2 and 1.
var cgroupFiles = []string{
	"cgroup.controllers", "cgroup.subtree_control",
	"memory.max", "memory.high", "memory.swap.max", "memory.current", "memory.peak",
	"pids.max", "pids.current",
	"cpu.max", "cpu.weight", "cpuset.cpus", "io.max",
	"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.usage_in_bytes",
	"memory.max_usage_in_bytes",
	"cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares",
}

// readCgroup reads a control group, or returns nil if it is gone.
func (h *host) readCgroup(name string) *Cgroup {
	dir := h.directory(name)
	if dir == "" {
		return nil
	}
	text, err := readFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		delete(h.files, dir) // another one may get its name, and have others
		return nil
	}
	group := &Cgroup{Files: map[string]string{}}
	for word := range strings.FieldsSeq(string(text)) {
		if pid, err := strconv.Atoi(word); err == nil {
			group.Processes = append(group.Processes, pid)
		}
	}
	slices.Sort(group.Processes)
	names, known := h.files[dir]
	if !known {
		names = cgroupFiles
	}
	for _, name := range names {
		if text, err := readFile(dir + "/" + name); err == nil {
			group.Files[name] = strings.TrimSpace(string(text))
		}
	}
	h.files[dir] = slices.Collect(maps.Keys(group.Files))
	return group
}

// madeCgroup takes on a control group that a call has made.
func (t *tracer) madeCgroup(c *call) {
	name := t.host.nameOf(c.about)
	if name == "" {
		return
	}
	if group := t.host.readCgroup(name); group != nil {
		set(t.state.Cgroups, &t.changes.Cgroups, name, group)
	}
}

// refreshCgroups reads all control groups again that were not there before the command.
func (t *tracer) refreshCgroups() {
	for name := range t.state.Cgroups {
		if t.recording.Start.Cgroups[name] != nil {
			continue
		}
		if group := t.host.readCgroup(name); group != nil {
			set(t.state.Cgroups, &t.changes.Cgroups, name, group)
		} else {
			remove(t.state.Cgroups, &t.changes.Cgroups, name)
		}
	}
}

func newMachine(kernel string, hierarchies []hierarchy) Machine {
	m := Machine{Kernel: kernel, Arch: runtime.GOARCH, UID: os.Getuid()}
	v1, v2 := false, false
	for _, h := range hierarchies {
		v1, v2 = v1 || h.controllers != "", v2 || h.controllers == ""
	}
	switch {
	case v1 && v2:
		m.Cgroups = "hybrid"
	case v1:
		m.Cgroups = "v1"
	case v2:
		m.Cgroups = "v2"
	}
	return m
}
