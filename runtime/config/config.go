//go:build linux

// Package config has the one value that says what a container is to be. The flags make it, or a
// config.json does; all else reads it.
package config

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// A Container is what the user asks for. The zero value of a field asks for nothing.
type Container struct {
	Command []string // and its arguments

	Namespaces Namespaces
	Hostname   string // in the uts namespace

	Rootfs string // a directory
	// Lowers are directories in place of Rootfs, the lowest first: the layers of an image, which
	// others use too. Image is the digest of the image's manifest.
	Lowers   []string
	Image    string
	Layers   Layers
	Snapshot string // where that of Rootfs is, once it is made
	Keep     string // a directory for what the container writes, or none
	ReadOnly bool
	Volumes  []Volume

	User         string // UID[:GID], or names in the container's passwd(5) and group(5)
	Groups       []int  // besides; nil for those of group(5), if User has no group
	UIDs, GIDs   IDMap  // of the user namespace; nil for those that the caller may use
	Capabilities Capabilities
	Ulimits      []Ulimit

	Memory int64   // bytes, with swap
	Pids   int64   // processes and threads
	CPUs   float64 // processors
	// OOMScoreAdj is how readily the kernel kills the command for memory, -1000 to 1000
	// (proc_pid_oom_score_adj(5)). Nil asks for 0 where that can be had.
	OOMScoreAdj *int

	Network  Network
	Terminal Terminal
	Env      []Variable
	Workdir  string
	Init     bool // process 1 is a small init
}

// LowerDirs are the directories that / is made of, the lowest first.
func (c *Container) LowerDirs() []string {
	if len(c.Lowers) > 0 {
		return c.Lowers
	}
	return []string{c.Rootfs}
}

// Top is the uppermost of them. Its mode is that of /.
func (c *Container) Top() string {
	if len(c.Lowers) > 0 {
		return c.Lowers[len(c.Lowers)-1]
	}
	return c.Rootfs
}

// Namespaces are flags of clone(2).
type Namespaces uintptr

// DefaultNamespaces are all but time.
const DefaultNamespaces Namespaces = unix.CLONE_NEWUTS | unix.CLONE_NEWPID | unix.CLONE_NEWNS |
	unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP

// Has tells whether the container gets a namespace of its own: flag is one of CLONE_NEW*.
func (n Namespaces) Has(flag uintptr) bool { return uintptr(n)&flag != 0 }

// namespaceNames are the eight namespaces(7), by the names of their links in /proc/PID/ns.
var namespaceNames = []struct {
	name string
	flag Namespaces
}{
	{"cgroup", unix.CLONE_NEWCGROUP},
	{"ipc", unix.CLONE_NEWIPC},
	{"mnt", unix.CLONE_NEWNS},
	{"net", unix.CLONE_NEWNET},
	{"pid", unix.CLONE_NEWPID},
	{"time", unix.CLONE_NEWTIME},
	{"user", unix.CLONE_NEWUSER},
	{"uts", unix.CLONE_NEWUTS},
}

func (n Namespaces) String() string {
	var names []string
	for _, known := range namespaceNames {
		if n&known.flag != 0 {
			names = append(names, known.name)
		}
	}
	return strings.Join(names, ",")
}

// ParseNamespaces parses a list of names.
func ParseNamespaces(list string) (n Namespaces, err error) {
next:
	for name := range strings.SplitSeq(list, ",") {
		for _, known := range namespaceNames {
			if name == known.name {
				n |= known.flag
				continue next
			}
		}
		return 0, fmt.Errorf("unknown namespace %q: must be of "+
			"uts, pid, mnt, ipc, net, user, cgroup and time", name)
	}
	return n, nil
}

// Layers is how the rootfs is used.
type Layers string

const (
	Overlay  Layers = "overlay"  // written to a layer above it
	Copy     Layers = "copy"     // copied first
	Snapshot Layers = "snapshot" // a snapshot of Btrfs is written to
	Bind     Layers = "bind"     // written to
)

// A Volume is a file or directory of the host that the container shares.
type Volume struct {
	Source, Target string
	ReadOnly       bool
}

// ParseVolume parses SRC:DST[:ro].
func ParseVolume(s string) (v Volume, err error) {
	fields := strings.Split(s, ":")
	if len(fields) == 2 {
		fields = append(fields, "rw")
	}
	if len(fields) != 3 || fields[0] == "" || !path.IsAbs(fields[1]) ||
		fields[2] != "ro" && fields[2] != "rw" {
		return v, errors.New("must be SRC:DST[:ro] with an absolute DST")
	}
	return Volume{
		Source:   fields[0],
		Target:   path.Clean(fields[1]),
		ReadOnly: fields[2] == "ro",
	}, nil
}

// Depth is how many directories the target is below the root.
func (v Volume) Depth() int { return strings.Count(v.Target, "/") }

// IDMap says which ids of the host are those of the user namespace (user_namespaces(7)).
type IDMap []IDRange

// An IDRange is a line of /proc/PID/uid_map: Size ids from Inside on are those from Outside on.
type IDRange struct{ Inside, Outside, Size int }

func (m IDMap) String() string {
	var lines []string
	for _, r := range m {
		lines = append(lines, fmt.Sprintf("%d %d %d", r.Inside, r.Outside, r.Size))
	}
	return strings.Join(lines, "\n")
}

// Capabilities has bit n for capability number n (capabilities(7)).
type Capabilities uint64

// Has tells whether the capability with that number is among them.
func (c Capabilities) Has(number int) bool { return c>>number&1 == 1 }

// DefaultCapabilities are Docker's.
const DefaultCapabilities Capabilities = 1<<unix.CAP_CHOWN | 1<<unix.CAP_DAC_OVERRIDE |
	1<<unix.CAP_FSETID | 1<<unix.CAP_FOWNER | 1<<unix.CAP_MKNOD | 1<<unix.CAP_NET_RAW |
	1<<unix.CAP_SETGID | 1<<unix.CAP_SETUID | 1<<unix.CAP_SETFCAP | 1<<unix.CAP_SETPCAP |
	1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_SYS_CHROOT | 1<<unix.CAP_KILL |
	1<<unix.CAP_AUDIT_WRITE

// A Ulimit is a limit of setrlimit(2), by the name that ulimit(1) and Docker have for it: nofile.
type Ulimit struct {
	Name       string
	Soft, Hard uint64 // unix.RLIM_INFINITY for none
}

func (u Ulimit) String() string {
	if u.Soft == u.Hard {
		return u.Name + "=" + Limit(u.Soft)
	}
	return u.Name + "=" + Limit(u.Soft) + ":" + Limit(u.Hard)
}

// Limit is a limit of setrlimit(2) as the flags have it.
func Limit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// Network is what the container reaches.
type Network string

const (
	NoNetwork   Network = "none"   // a loopback interface
	Bridge      Network = "bridge" // the other containers on the host's bridge, and beyond
	HostNetwork Network = "host"   // that of the host
)

// Terminal tells whether the command gets a terminal of its own.
type Terminal int

const (
	TerminalIfCaller Terminal = iota // if all standard streams of the caller are one
	TerminalYes
	TerminalNo
)

// A Variable is one of the environment.
type Variable struct{ Name, Value string }

// maxHostname is the longest name that sethostname(2) takes, in bytes: the kernel's __NEW_UTS_LEN.
const maxHostname = 64

// leastMemory is enough to make a container: with less the kernel would kill the child while it
// shares its memory with the runtime, and so both.
const leastMemory = 512 << 10

// MaxLowers is how many layers the kernel puts together: OVL_MAX_STACK in its fs/overlayfs.
const MaxLowers = 500

// MaxVolumes is how many a container can have. Each takes a descriptor and a dozen system calls.
const MaxVolumes = 240

// Check says all that is wrong with a container, by the names of the flags. It asks neither the
// kernel nor the files.
func (c *Container) Check() error {
	var problems []error
	bad := func(flag string, value any, accepted string) {
		problems = append(problems, fmt.Errorf("-%s %q: %s", flag, fmt.Sprint(value), accepted))
	}
	if len(c.Command) == 0 || c.Command[0] == "" {
		problems = append(problems, errors.New("no command"))
	}
	c.checkNamespaces(func(flag, namespace string) {
		problems = append(problems,
			fmt.Errorf("-%s: the namespace for it, %s, is not in -ns", flag, namespace))
	})
	if c.Namespaces.Has(unix.CLONE_NEWUTS) {
		if len(c.Hostname) == 0 || len(c.Hostname) > maxHostname {
			bad("hostname", c.Hostname, "must be 1 to 64 bytes")
		}
		// Otherwise it would be several names in /etc/hosts, or several lines.
		if strings.ContainsFunc(c.Hostname, isSpaceOrControl) {
			bad("hostname", c.Hostname, "must be without white space and control characters")
		}
	}
	if c.Workdir != "" && !path.IsAbs(c.Workdir) {
		bad("workdir", c.Workdir, "must be an absolute path")
	}
	isWay := slices.Contains([]Layers{Overlay, Copy, Snapshot, Bind}, c.Layers)
	if c.Namespaces.Has(unix.CLONE_NEWNS) && !isWay {
		bad("layers", c.Layers, "must be overlay, copy, snapshot or bind")
	}
	if len(c.Lowers) > 0 && (c.Layers == Snapshot || c.Layers == Bind) {
		bad("layers", c.Layers, "must be overlay or copy with an image: its layers are shared, "+
			"and nobody writes to them")
	}
	if len(c.Lowers) > MaxLowers {
		problems = append(problems, fmt.Errorf("-image: has %d layers, and the kernel puts "+
			"at most %d together", len(c.Lowers), MaxLowers))
	}
	if c.Keep != "" && c.Layers == Bind {
		bad("keep", c.Keep, "must be with -layers overlay, copy or snapshot: "+
			"bind writes to the rootfs, and there is nothing to keep")
	}
	if c.Network != NoNetwork && c.Network != Bridge && c.Network != HostNetwork {
		bad("net", c.Network, "must be none, bridge or host")
	}
	if c.Memory > 0 && c.Memory < leastMemory {
		bad("memory", c.Memory, fmt.Sprintf("must be at least %d", leastMemory))
	}
	if c.OOMScoreAdj != nil && (*c.OOMScoreAdj < -1000 || *c.OOMScoreAdj > 1000) {
		bad("oom-score-adj", *c.OOMScoreAdj, "must be -1000 to 1000")
	}
	for _, v := range c.Volumes {
		for _, own := range []string{"/", "/proc", "/sys", "/dev"} {
			if v.Target == own ||
				(own == "/proc" || own == "/sys") && strings.HasPrefix(v.Target, own+"/") {
				bad("volume", v.Source+":"+v.Target, own+" is the container's own")
			}
		}
	}
	if len(c.Volumes) > MaxVolumes {
		bad("volume", len(c.Volumes), fmt.Sprintf("must be at most %d", MaxVolumes))
	}
	c.checkInit(bad)
	return errors.Join(problems...)
}

func isSpaceOrControl(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }

// checkNamespaces calls missing for each field about the inside of a namespace that the container
// does not get: it would change the host.
func (c *Container) checkNamespaces(missing func(flag, namespace string)) {
	for _, needs := range []struct {
		flag      string
		asked     bool
		namespace uintptr
	}{
		{"hostname", c.Hostname != "", unix.CLONE_NEWUTS},
		{"rootfs", c.Rootfs != "", unix.CLONE_NEWNS},
		{"image", len(c.Lowers) > 0, unix.CLONE_NEWNS},
		{"layers", c.Layers != "", unix.CLONE_NEWNS},
		{"keep", c.Keep != "", unix.CLONE_NEWNS},
		{"volume", len(c.Volumes) > 0, unix.CLONE_NEWNS},
		{"read-only", c.ReadOnly, unix.CLONE_NEWNS},
		{"tty", c.Terminal == TerminalYes, unix.CLONE_NEWNS},
		{"net", c.Network != HostNetwork, unix.CLONE_NEWNET},
	} {
		if needs.asked && !c.Namespaces.Has(needs.namespace) {
			missing(needs.flag, Namespaces(needs.namespace).String())
		}
	}
}

// initNeeds is what -init takes, as a Go program, of those that it could not live with.
var initNeeds = map[string]uint64{"data": 64 << 20, "nofile": 16, "nproc": 16, "stack": 64 << 10}

const initPids = 16

func (c *Container) checkInit(bad func(flag string, value any, accepted string)) {
	if !c.Init {
		return
	}
	if c.Pids > 0 && c.Pids < initPids {
		bad("pids", c.Pids, fmt.Sprintf("too low for -init, which takes %d", initPids))
	}
	for _, u := range c.Ulimits {
		if needs := initNeeds[u.Name]; u.Soft < needs {
			bad("ulimit", u, fmt.Sprintf("too low for -init, which takes %d", needs))
		}
	}
}
