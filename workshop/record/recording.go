// Package record follows a program, in any language and without a change to it, while it makes a
// container: each call that matters, and what host and process look like after it.
package record

import "time"

// Version is the version of the form of a Recording as JSON. A reader refuses any other one.
const Version = 2

// Recording is what was seen of one run of a command.
type Recording struct {
	Version int      `json:"version"`
	Command []string `json:"command"`
	Machine Machine  `json:"machine"`
	// Mounts are all that were seen, each once: a table of mounts consists of numbers in this list.
	Mounts []Mount `json:"mounts"`
	// Start is the state before the first step: one process, which is about to execute Command.
	Start State `json:"start"`
	// Steps are in order of time.
	Steps []Step `json:"steps"`
	// Ended says how the command ended, in words: "status 0", "signal 9 (killed)".
	Ended string `json:"ended"`
	// Cut says why the recording is not of the whole run: "time limit of 10s", "more than 5000
	// steps: 120034 were left out". Otherwise it is empty.
	Cut string `json:"cut,omitempty"`
	// Notes say what is otherwise than it would be without a recorder: a sentence each.
	Notes []string `json:"notes,omitempty"`
	// Source holds the lines round each place in Steps, by file and line number.
	Source map[string]map[int]string `json:"source,omitempty"`
}

// Machine is where the recording was made.
type Machine struct {
	Kernel  string `json:"kernel"`  // release, as of uname(2)
	Arch    string `json:"arch"`    // GOARCH
	UID     int    `json:"uid"`     // who recorded
	Cgroups string `json:"cgroups"` // "v1", "v2" or "hybrid"; "" if there are none
}

// Step is one thing that happened, and what it changed.
type Step struct {
	// Time is since the start, as it was seen: following a program makes it slower.
	Time time.Duration `json:"time"`
	// PID is the process, as it is known where the recording is made; TID is its thread.
	PID int `json:"pid"`
	TID int `json:"tid,omitempty"`
	// Kind is "call", "exit" or "signal".
	Kind string `json:"kind"`
	// Call is the name of the system call: "clone3"; of an exit "exit", of a signal its name.
	Call string `json:"call"`
	// Args are the arguments that matter, in words.
	Args []Arg `json:"args,omitempty"`
	// Result is what the call returned if it is of interest: "7", "pid 42".
	Result string `json:"result,omitempty"`
	// Errno is the name of the error of a refused call: "EPERM".
	Errno string `json:"errno,omitempty"`
	// Words say in one sentence what the call does here: "the directory rootfs becomes the root".
	Words string `json:"words"`
	// Man is the page of the manual: "pivot_root(2)".
	Man string `json:"man,omitempty"`
	// Place is the line of the source that made the call, if it is known.
	Place *Place `json:"place,omitempty"`
	// Promises are the names of the workshop's promises that depend on the call.
	Promises []string `json:"promises,omitempty"`
	// Key is what two recordings are aligned by: the call with what it is about and without
	// what differs from run to run: "mount proc /proc", "write cgroup pids.max".
	Key string `json:"key"`
	// Changes is the state after the step, as far as it differs from the one before.
	Changes Changes `json:"changes"`
}

// Arg is one argument of a call, in words: {"flags", "MS_BIND|MS_REC"}.
type Arg struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Place is a place in the source of the program that is recorded.
type Place struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Function string `json:"function,omitempty"`
}

// State is all that is looked at. Namespaces and cgroups are by name, since processes share them.
type State struct {
	Processes  map[int]*Process       `json:"processes"`  // by PID
	Mounts     map[string][]int       `json:"mounts"`     // tables, by mount namespace
	Hostnames  map[string]string      `json:"hostnames"`  // by UTS namespace
	Interfaces map[string][]Interface `json:"interfaces"` // by network namespace
	Cgroups    map[string]*Cgroup     `json:"cgroups"`    // by controllers and path: "pids:/a/b"
}

// Changes are the entries of a State that a step changed, each one whole; nil where an entry is
// gone.
type Changes struct {
	Processes  map[int]*Process       `json:"processes,omitempty"`
	Mounts     map[string][]int       `json:"mounts,omitempty"`
	Hostnames  map[string]string      `json:"hostnames,omitempty"`
	Interfaces map[string][]Interface `json:"interfaces,omitempty"`
	Cgroups    map[string]*Cgroup     `json:"cgroups,omitempty"`
}

// Process is a process as /proc shows it.
type Process struct {
	Parent  int      `json:"parent"`
	PIDs    []int    `json:"pids"` // its number in each PID namespace, the outermost first
	Command []string `json:"command"`
	// Namespaces are by the names of /proc/PID/ns: "mnt": "4026531841".
	Namespaces map[string]string `json:"namespaces"`
	UIDMap     string            `json:"uidMap"` // lines of "inside outside count"
	GIDMap     string            `json:"gidMap"`
	UIDs       string            `json:"uids"` // real, effective, saved, file system; from outside
	GIDs       string            `json:"gids"`
	Groups     string            `json:"groups,omitempty"`
	Root       string            `json:"root"` // as /proc/PID/root says
	Dir        string            `json:"dir"`  // working directory
	// Capabilities are names without CAP_, by set: effective, permitted, inheritable, bounding,
	// ambient. A set that is whole is one name, "all".
	Capabilities map[string][]string `json:"capabilities"`
	NoNewPrivs   bool                `json:"noNewPrivs"`
	Filters      int                 `json:"filters"` // of seccomp(2), without the recorder's
	Session      int                 `json:"session"` // 0 where it is of another PID namespace
	Terminal     string              `json:"terminal,omitempty"`
	// Cgroups are keys of State.Cgroups.
	Cgroups []string `json:"cgroups,omitempty"`
}

// Mount is a line of /proc/PID/mountinfo.
type Mount struct {
	ID          int    `json:"id"`
	Parent      int    `json:"parent"`
	Root        string `json:"root"` // the part of the file system that is mounted
	Point       string `json:"point"`
	Options     string `json:"options"`
	Propagation string `json:"propagation"` // "private", "unbindable", "shared", "slave" or both
	Type        string `json:"type"`
	Source      string `json:"source"`
	Super       string `json:"super"` // options of the file system
}

// Interface is a network interface with its addresses, as far as /proc/PID/net shows them.
type Interface struct {
	Name      string   `json:"name"`
	Addresses []string `json:"addresses,omitempty"`
	Routes    []string `json:"routes,omitempty"`
	// Up is unknown without addresses and routes; then it is false.
	Up bool `json:"up"`
}

// Cgroup is a control group that a process was put into or that was made, with its files as they
// are read: "memory.max", "memory.current", "pids.max", "cpu.max" or their names of version 1.
type Cgroup struct {
	Files     map[string]string `json:"files"`
	Processes []int             `json:"processes,omitempty"`
}
