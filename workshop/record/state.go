//go:build linux

package record

import (
	"maps"
	"os"
	"reflect"
	"slices"

	"golang.org/x/sys/unix"
)

// host is what is known of the machine and of the recorder itself.
type host struct {
	// filters and noNewPrivs are those that every process here has, because the recorder has them.
	filters    int
	noNewPrivs bool
	hostname   string
	uts        string // the recorder's own namespace
	cgroups    []hierarchy
	files      map[string][]string // those of cgroupFiles that a control group has
	sets       capabilitySets
	mounts     mountLines
}

// readMachine looks at the machine, before anything is started.
func (t *tracer) readMachine() {
	var name unix.Utsname
	_ = unix.Uname(&name) // never fails with a good address
	t.host.hostname = unix.ByteSliceToString(name.Nodename[:])
	t.host.uts = namespaceLink("/proc/self/ns/uts")
	t.host.cgroups = readHierarchies()
	t.host.files = map[string][]string{}
	t.host.sets, t.host.mounts = capabilitySets{}, newMountLines(t.recording)
	t.recording.Machine = newMachine(unix.ByteSliceToString(name.Release[:]), t.host.cgroups)
	if os.Getuid() != 0 {
		t.note("recorded as an ordinary user: " +
			"set-user-ID programs such as newuidmap have no privilege here")
	}
}

// readHostRights reads what the child has from the recorder, before it takes our filter.
func (t *tracer) readHostRights() {
	status := readStatus(t.root, t.root)
	t.host.filters = status.number("Seccomp_filters")
	t.host.noNewPrivs = status.field("NoNewPrivs") == "1"
}

// begin makes the state before the first step.
func (t *tracer) begin() {
	t.state = State{
		Processes:  map[int]*Process{},
		Mounts:     map[string][]int{},
		Hostnames:  map[string]string{},
		Interfaces: map[string][]Interface{},
		Cgroups:    map[string]*Cgroup{},
	}
	t.changes = &Changes{}
	t.refresh(t.threads[t.root].process)
	if child := t.state.Processes[t.root]; child != nil {
		child.Command = slices.Concat(childArgs, t.Command)
		child.Filters = 0 // ours may be there by now
	}
	t.recording.Start = State{
		Processes:  maps.Clone(t.state.Processes),
		Mounts:     maps.Clone(t.state.Mounts),
		Hostnames:  maps.Clone(t.state.Hostnames),
		Interfaces: maps.Clone(t.state.Interfaces),
		Cgroups:    maps.Clone(t.state.Cgroups),
	}
	t.host.filters++ // from now on with ours
	if t.Begin != nil {
		t.Begin(t.recording)
	}
}

// lookAfter looks at what a call has changed.
func (t *tracer) lookAfter(c *call) {
	p := c.thread.process
	looks := c.kind.looks | c.looks
	if looks&lookRights != 0 {
		t.changesRights(c)
	}
	switch {
	case looks&lookProcess != 0:
		t.refresh(p)
	case looks&(lookRights|lookPaths) != 0:
		t.refreshParts(p, looks)
	}
	if c.other != nil {
		t.refresh(c.other)
	}
	if looks&lookHostname != 0 {
		if now := t.state.Processes[p.pid]; now != nil {
			set(t.state.Hostnames, &t.changes.Hostnames, now.Namespaces["uts"], c.about)
		}
	}
	if looks&lookMounts != 0 {
		t.refreshMounts(p)
	}
	if looks&lookNetwork != 0 {
		t.refreshInterfaces()
	}
	if looks&lookCgroups != 0 {
		if c.about == "cgroup.subtree_control" {
			clear(t.host.files) // the control groups below have others now
		}
		t.madeCgroup(c)
	}
	if looks&lookCgroups != 0 || c.kind.number == unix.SYS_EXECVE || c.other != nil {
		t.refreshCgroups()
	}
	if looks&lookProcess != 0 || c.other != nil {
		t.dropNamespaces()
	}
}

// changesRights notes what is not to be seen in /proc, or only for a thread.
func (t *tracer) changesRights(c *call) {
	p := c.thread.process
	p.view = c.thread.tid
	switch {
	case c.kind.number == unix.SYS_SECCOMP, c.about == "PR_SET_SECCOMP":
		p.filtered = true
	case c.about == "PR_SET_NO_NEW_PRIVS":
		p.noNewPrivs = true
	}
}

// lookAfterEnd looks at what the end of a process has changed.
func (t *tracer) lookAfterEnd(pid int) {
	remove(t.state.Processes, &t.changes.Processes, pid)
	for orphan, p := range maps.Clone(t.state.Processes) {
		if p.Parent == pid {
			if owner := t.processByPID(orphan); owner != nil {
				t.refresh(owner)
			}
		}
	}
	t.refreshCgroups()
	t.dropNamespaces()
}

// processByPID is a process that is followed, or nil.
func (t *tracer) processByPID(pid int) *process {
	if th := t.threads[pid]; th != nil {
		return th.process
	}
	return nil
}

// refresh reads a process again, and what it is the first one to have.
func (t *tracer) refresh(p *process) {
	before := t.state.Processes[p.pid]
	now := t.readProcess(p, before)
	if now == nil {
		return // it is gone, and its end comes
	}
	set(t.state.Processes, &t.changes.Processes, p.pid, now)
	if ns := now.Namespaces["mnt"]; ns != "" && t.state.Mounts[ns] == nil {
		set(t.state.Mounts, &t.changes.Mounts, ns, t.host.mounts.read(p))
	}
	if ns := now.Namespaces["net"]; ns != "" && t.state.Interfaces[ns] == nil {
		set(t.state.Interfaces, &t.changes.Interfaces, ns, readInterfaces(p))
	}
	if ns := now.Namespaces["uts"]; ns != "" {
		if _, known := t.state.Hostnames[ns]; !known {
			set(t.state.Hostnames, &t.changes.Hostnames, ns, t.firstHostname(p, before, now))
		}
	}
	for _, name := range now.Cgroups {
		if t.state.Cgroups[name] == nil {
			if group := t.host.readCgroup(name); group != nil {
				set(t.state.Cgroups, &t.changes.Cgroups, name, group)
			}
		}
	}
}

// refreshParts reads again what a call may have changed of a process.
func (t *tracer) refreshParts(p *process, looks look) {
	before := t.state.Processes[p.pid]
	if before == nil {
		return
	}
	now := *before
	if looks&lookRights != 0 && !t.readRights(p, &now) {
		return
	}
	if looks&lookPaths != 0 {
		now.readPaths(p)
		now.keep(before)
	}
	set(t.state.Processes, &t.changes.Processes, p.pid, &now)
}

// firstHostname is the hostname of a UTS namespace that is seen for the first time. A new one has
// that of the one before. One that was there before the command is asked, if that is allowed.
func (t *tracer) firstHostname(p *process, before, now *Process) string {
	if now.Namespaces["uts"] == t.host.uts {
		return t.host.hostname
	}
	if name, err := askHostname(p.view); err == nil {
		return name
	}
	if before == nil {
		before = t.state.Processes[now.Parent]
	}
	if before == nil {
		return ""
	}
	return t.state.Hostnames[before.Namespaces["uts"]]
}

// refreshMounts reads the mounts of the namespace of a process again; and of all others, if one may
// be passed on to them (mount_namespaces(7)).
func (t *tracer) refreshMounts(actor *process) {
	now := t.state.Processes[actor.pid]
	if now == nil {
		return
	}
	own := now.Namespaces["mnt"]
	passesOn := t.refreshMountsOf(own, actor)
	for ns := range maps.Clone(t.state.Mounts) {
		if passesOn && ns != own {
			t.refreshMountsOf(ns, nil)
		}
	}
}

// refreshMountsOf reads the mounts of a namespace again, and tells whether they may be passed on.
func (t *tracer) refreshMountsOf(ns string, preferred *process) (passesOn bool) {
	p := t.member("mnt", ns, preferred)
	if p == nil {
		return false
	}
	if mounts := t.host.mounts.read(p); mounts != nil {
		if !slices.Equal(t.state.Mounts[ns], mounts) { // sooner told than by package reflect
			put(t.state.Mounts, &t.changes.Mounts, ns, mounts)
		}
	}
	return slices.ContainsFunc(t.state.Mounts[ns], func(number int) bool {
		m := &t.recording.Mounts[number]
		return m.Propagation != "private" && m.Propagation != "unbindable"
	})
}

// refreshInterfaces reads those of all namespaces again: an interface can move.
func (t *tracer) refreshInterfaces() {
	for ns := range maps.Clone(t.state.Interfaces) {
		if p := t.member("net", ns, nil); p != nil {
			set(t.state.Interfaces, &t.changes.Interfaces, ns, readInterfaces(p))
		}
	}
}

// member is a process in a namespace, if there is one: the one that is preferred, but one that sees
// all mounts rather than one whose root is further down.
func (t *tracer) member(kind, ns string, preferred *process) (found *process) {
	for _, pid := range slices.Sorted(maps.Keys(t.state.Processes)) {
		now, p := t.state.Processes[pid], t.processByPID(pid)
		if p == nil || now.Namespaces[kind] != ns {
			continue
		}
		if found == nil || now.Root == "/" && p == preferred {
			found = p
		}
	}
	return found
}

// dropNamespaces removes those that no process is in any longer, but for those that were there
// before.
func (t *tracer) dropNamespaces() {
	used := map[string]bool{}
	for _, p := range t.state.Processes {
		for _, ns := range p.Namespaces {
			used[ns] = true
		}
	}
	start := &t.recording.Start
	for ns := range maps.Clone(t.state.Mounts) {
		if _, before := start.Mounts[ns]; !used[ns] && !before {
			remove(t.state.Mounts, &t.changes.Mounts, ns)
		}
	}
	for ns := range maps.Clone(t.state.Interfaces) {
		if _, before := start.Interfaces[ns]; !used[ns] && !before {
			remove(t.state.Interfaces, &t.changes.Interfaces, ns)
		}
	}
}

// set puts an entry into a state, and into the changes if it is another one than before.
func set[K comparable, V any](state map[K]V, changes *map[K]V, key K, value V) {
	if before, ok := state[key]; !ok || !reflect.DeepEqual(before, value) {
		put(state, changes, key, value)
	}
}

// put puts an entry into a state and into the changes.
func put[K comparable, V any](state map[K]V, changes *map[K]V, key K, value V) {
	state[key] = value
	if *changes == nil {
		*changes = map[K]V{}
	}
	(*changes)[key] = value
}

// remove takes an entry out of a state.
func remove[K comparable, V any](state map[K]V, changes *map[K]V, key K) {
	if _, ok := state[key]; !ok {
		return
	}
	delete(state, key)
	if *changes == nil {
		*changes = map[K]V{}
	}
	var none V
	(*changes)[key] = none
}
