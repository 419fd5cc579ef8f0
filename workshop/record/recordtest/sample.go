// Package recordtest makes recordings for tests, without a program that is recorded.
package recordtest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"container.example/workshop/workshop/record"
)

// Host is the process of a sample that the recording begins with.
const Host = 40

// A Builder makes a recording step by step. It knows the state after the last one.
type Builder struct {
	Recording *record.Recording
	state     record.State
}

// New begins a recording of a command on a host with a few mounts.
func New(command ...string) *Builder {
	p := &record.Process{
		Parent:     1,
		PIDs:       []int{Host},
		Command:    command,
		Namespaces: map[string]string{},
		UIDMap:     "0 0 4294967295",
		GIDMap:     "0 0 4294967295",
		UIDs:       "0 0 0 0",
		GIDs:       "0 0 0 0",
		Root:       "/",
		Dir:        "/workshop",
		Capabilities: map[string][]string{
			"effective": {"all"}, "permitted": {"all"}, "inheritable": {}, "bounding": {"all"},
			"ambient": {},
		},
		Session: Host,
	}
	for i, kind := range []string{"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"} {
		p.Namespaces[kind] = fmt.Sprint(4026531834 + i)
	}
	var mounts []record.Mount
	for i, line := range [][3]string{
		{"/", "ext4", "/dev/sda1"},
		{"/proc", "proc", "proc"},
		{"/sys", "sysfs", "sysfs"},
		{"/dev", "devtmpfs", "udev"},
		{"/dev/pts", "devpts", "devpts"},
		{"/dev/shm", "tmpfs", "tmpfs"},
		{"/run", "tmpfs", "tmpfs"},
		{"/sys/fs/cgroup", "cgroup2", "cgroup2"},
		{"/home", "ext4", "/dev/sda2"},
	} {
		mounts = append(mounts, record.Mount{
			ID: 20 + i, Parent: 20, Root: "/", Point: line[0], Type: line[1], Source: line[2],
			Options: "rw,relatime", Propagation: "shared", Super: "rw",
		})
	}
	start := record.State{
		Processes: map[int]*record.Process{Host: p},
		Mounts:    map[string][]int{},
		Hostnames: map[string]string{p.Namespaces["uts"]: "laptop"},
		Interfaces: map[string][]record.Interface{p.Namespaces["net"]: {
			{Name: "lo", Addresses: []string{"127.0.0.1/8"}, Up: true},
			{
				Name: "eth0", Addresses: []string{"192.168.1.7/24"}, Up: true,
				Routes: []string{"default via 192.168.1.1"},
			},
			{Name: "workshop0", Addresses: []string{"10.201.0.1/16"}, Up: true},
		}},
		Cgroups: map[string]*record.Cgroup{},
	}
	b := &Builder{Recording: &record.Recording{
		Version: record.Version,
		Command: command,
		Machine: record.Machine{Kernel: "6.1.0-sample", Arch: "amd64", Cgroups: "v2"},
		Start:   start,
		Ended:   "status 0",
		Source:  map[string]map[int]string{},
	}}
	b.state = record.State{
		Processes:  maps.Clone(start.Processes),
		Hostnames:  maps.Clone(start.Hostnames),
		Interfaces: maps.Clone(start.Interfaces),
		Cgroups:    maps.Clone(start.Cgroups),
	}
	start.Mounts[p.Namespaces["mnt"]] = b.table(mounts)
	b.state.Mounts = maps.Clone(start.Mounts)
	return b
}

// Step adds a step. What is not given is made of the call.
func (b *Builder) Step(s record.Step) *Builder {
	if s.Kind == "" {
		s.Kind = "call"
	}
	if s.PID == 0 {
		s.PID = Host
	}
	if s.Key == "" {
		s.Key = s.Call
	}
	if s.Man == "" && s.Kind == "call" {
		s.Man = s.Call + "(2)"
	}
	s.Time = time.Duration(len(b.Recording.Steps)+1) * 700 * time.Microsecond
	b.Recording.Steps = append(b.Recording.Steps, s)
	return b
}

// changes are those of the last step.
func (b *Builder) changes() *record.Changes {
	return &b.Recording.Steps[len(b.Recording.Steps)-1].Changes
}

// Process says that the last step changed a process. A process that is not there yet is a copy of
// its parent, Host.
func (b *Builder) Process(pid int, change func(p *record.Process)) *Builder {
	old, ok := b.state.Processes[pid]
	if !ok {
		old = b.state.Processes[Host]
	}
	p := *old
	if !ok {
		p.Parent, p.PIDs = Host, []int{pid}
	}
	p.Namespaces = maps.Clone(p.Namespaces)
	p.Capabilities = maps.Clone(p.Capabilities)
	change(&p)
	b.state.Processes[pid] = &p
	return b.process(pid, &p)
}

// Gone says that the last step ended a process.
func (b *Builder) Gone(pid int) *Builder {
	delete(b.state.Processes, pid)
	return b.process(pid, nil)
}

func (b *Builder) process(pid int, p *record.Process) *Builder {
	c := b.changes()
	if c.Processes == nil {
		c.Processes = map[int]*record.Process{}
	}
	c.Processes[pid] = p
	return b
}

// Mounts says that the last step changed a mount table.
func (b *Builder) Mounts(ns string, change func([]record.Mount) []record.Mount) *Builder {
	table := b.table(change(b.MountsOf(ns)))
	b.state.Mounts[ns] = table
	b.changes().Mounts = map[string][]int{ns: table}
	return b
}

// MountsOf is the mount table of a namespace after the last step.
func (b *Builder) MountsOf(ns string) []record.Mount {
	return b.Recording.Table(b.state.Mounts[ns])
}

// table is a table of mounts, which the recording has from then on.
func (b *Builder) table(mounts []record.Mount) []int {
	r, table := b.Recording, []int{}
	for _, m := range mounts {
		number := slices.Index(r.Mounts, m)
		if number < 0 {
			number, r.Mounts = len(r.Mounts), append(r.Mounts, m)
		}
		table = append(table, number)
	}
	return table
}

// Cgroup says that the last step changed a cgroup.
func (b *Builder) Cgroup(key string, processes []int, files map[string]string) *Builder {
	c := b.changes()
	if c.Cgroups == nil {
		c.Cgroups = map[string]*record.Cgroup{}
	}
	all := map[string]string{}
	if old := b.state.Cgroups[key]; old != nil {
		maps.Copy(all, old.Files)
	}
	maps.Copy(all, files)
	b.state.Cgroups[key] = &record.Cgroup{Files: all, Processes: processes}
	c.Cgroups[key] = b.state.Cgroups[key]
	return b
}

// Place says which line of the source made the call of the last step.
func (b *Builder) Place(file string, line int, function string, lines ...string) *Builder {
	b.Recording.Steps[len(b.Recording.Steps)-1].Place = &record.Place{
		File: file, Line: line, Function: function,
	}
	if b.Recording.Source[file] == nil {
		b.Recording.Source[file] = map[int]string{}
	}
	for i, text := range lines {
		b.Recording.Source[file][line-len(lines)/2+i] = text
	}
	return b
}
