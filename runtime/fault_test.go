//go:build linux

package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/inject"
	"container.example/workshop/internal/skip"
)

// Each system call of a container's list is made to fail, and each of the runtime's own; and the
// runtime is killed before each. Whatever fails, a run ends, with a status and one line that say
// so, and leaves nothing behind. If the command runs all the same it is as isolated as without a
// fault.
//
// FAULTS=all tries each error with each call of each container, and takes a quarter of an hour (go
// test -timeout 1h). With SWEEP=all each call is tried, but not with all errors, and not again in
// each container; with -short, for a machine that is emulated, one in ten. Without any of these
// some of each kind are tried: see sample.

// A kind is a container to make with faults.
type kind struct {
	name      string
	flags     string // ROOTFS, SUBVOLUME, VOLUME and KEEP stand for paths
	asRoot    string // more flags, if root of the machine runs the tests
	asLimited string // more flags, if there are cgroups
	whole     bool   // errors of all its calls are tried, and not only of those that are new
	noKill    bool   // not to be made without a runtime
	needs     string // a condition of the scripts, or none
}

var kinds = []kind{
	{name: "default", flags: "-rootfs ROOTFS", whole: true},
	{
		name: "many flags",
		flags: "-rootfs ROOTFS -tty -init -keep KEEP -volume VOLUME:/mnt:ro -hostname demo " +
			"-ulimit nofile=100 -cap-add NET_ADMIN -oom-score-adj 100 -env NAME=value " +
			"-workdir /tmp",
		asRoot:    "-user 1000",
		asLimited: "-memory 64M -pids 32 -cpus 0.5",
		whole:     true,
	},
	{
		name:      "copied",
		flags:     "-rootfs ROOTFS -layers copy -keep KEEP -init",
		asLimited: "-memory 64M",
	},
	{name: "of an image", flags: "-image a -keep KEEP"},
	{name: "copied image", flags: "-image a -layers copy"},
	{name: "snapshot", flags: "-rootfs SUBVOLUME -layers snapshot", needs: "btrfs"},
	{name: "on the bridge", flags: "-rootfs ROOTFS -net bridge"},
	{
		name: "root of the host",
		flags: "-rootfs ROOTFS -ns uts,pid,mnt,ipc,net,cgroup -layers bind -volume VOLUME:/mnt " +
			"-read-only",
		noKill: true,
	},
	{
		name:   "network of the host",
		flags:  "-rootfs ROOTFS -ns uts,pid,mnt,user,cgroup -net host -user 0:0",
		noKill: true,
	},
	{name: "watched", flags: "-rootfs ROOTFS -v", asRoot: "-user 1000"},
}

func (k *kind) has(flag string) bool { return slices.Contains(strings.Fields(k.flags), flag) }

// errnos are what calls fail with, in turn. ENOENT is not among them: often it is no error but an
// answer, and where there is something it would be a lie.
var errnos = []unix.Errno{
	unix.EPERM, unix.EIO, unix.ENOMEM, unix.EMFILE, unix.EINTR, unix.ENOSYS, unix.EINVAL,
}

// lies are answers of the kernel that the runtime has to believe.
var lies = []struct {
	call, about string
	errno       unix.Errno
	why         string
}{
	{"keyctl", fmt.Sprint(unix.KEYCTL_JOIN_SESSION_KEYRING), unix.ENOSYS, "a kernel without keys"},
	{
		"keyctl",
		fmt.Sprint(unix.KEYCTL_JOIN_SESSION_KEYRING),
		unix.EPERM,
		"a container that forbids the call",
	},
	{"read", "", unix.EIO, "the end of a terminal: a file that was opened by its path has a name"},
}

func isLie(c inject.Call, errno unix.Errno) bool {
	for _, l := range lies {
		if l.call == inject.Name(c.Number) && l.about == c.About && l.errno == errno {
			return true
		}
	}
	return false
}

// allowances are the errors that calls of the list may return, with the reason. One that would be a
// lie on this machine is not tried: it says that what is to be protected is not there.
var allowances = []struct {
	line *regexp.Regexp // of the plan
	why  string
	lie  bool
}{
	{
		line: regexp.MustCompile(`^mount\(.*\) or ENOENT$`),
		why:  "a kernel need not have all that is masked",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^mount\("mqueue", .* or ENODEV$`),
		why:  "a kernel need not have message queues",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^open_tree\(</proc>, .* or ENOENT: `),
		why:  "a kernel need not have all that is read-only",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^prctl\(PR_CAPBSET_DROP, .* or EINVAL$`),
		why:  "a kernel need not have all capabilities",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^openat2\(.*/disable_ipv6".* or ENOENT: `),
		why:  "a kernel need not have IPv6",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^openat2\(.*"/proc/sys/net/ipv4/.* or ENOENT, EROFS, EACCES: `),
		why:  "a container has no /proc/sys that can be written to",
	},
	{
		line: regexp.MustCompile(`^openat2\(.*RESOLVE_NO_MAGICLINKS\) or ENOENT, ENOTDIR, EACCES$`),
		why:  "execve(2) will say so",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^execve\(.* or ENOENT, ENOTDIR, EACCES$`),
		why:  "the command may be in the next directory",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^openat2\(.*"/etc/(passwd|group)".* or `),
		why:  "a root file system need not have names",
		lie:  true,
	},
	{
		line: regexp.MustCompile(
			`^(mkdirat\(<root>, "etc"|mknodat\(<etc>).* or EEXIST, EROFS, EACCES$`),
		why: "a root file system need not have a place for names",
		lie: true,
	},
	{
		line: regexp.MustCompile(`^openat2\((<root>, "etc"|<etc>, ).* or ENOENT`),
		why:  "a root file system need not have a place for names",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^statx\(<(hosts|hostname|resolv.conf)>.* or refused: `),
		why:  "a place for names may be a directory",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^statx\(.*</dev>, or refused: `),
		why:  "the target of a volume is on another mount",
		lie:  true,
	},
	{
		line: regexp.MustCompile(`^mk(dir|nod)at\(.* or EEXIST$`),
		why:  "it may be there; if it is not the next call says so",
	},
	{
		line: regexp.MustCompile(`^fchown\(<std(in|out|err)>, .* or EPERM$`),
		why:  "a pipe may be somebody else's",
	},
}

// leftOut are calls that no fault is tried with when it is not the list that makes them, by name,
// with the reason.
var leftOut = map[string]string{
	"arch_prctl":        ofGo,
	"brk":               ofGo,
	"clone":             ofGo, // threads: see isOurs
	"epoll_create1":     ofGo,
	"epoll_ctl":         ofGo,
	"epoll_pwait":       ofGo,
	"eventfd2":          ofGo,
	"fcntl":             ofGo, // are descriptors 0 to 2 open? see isOurs
	"futex":             ofGo,
	"madvise":           ofGo,
	"mmap":              ofGo, // see isOurs
	"munmap":            ofGo,
	"nanosleep":         ofGo,
	"rt_sigaction":      ofGo,
	"rt_sigprocmask":    ofGo,
	"sched_getaffinity": ofGo,
	"sigaltstack":       ofGo,
	"tgkill":            ofGo,

	"exit":         cannotFail,
	"exit_group":   cannotFail,
	"getegid":      cannotFail,
	"geteuid":      cannotFail,
	"getgid":       cannotFail,
	"getpid":       cannotFail,
	"getppid":      cannotFail,
	"gettid":       cannotFail,
	"getuid":       cannotFail,
	"rt_sigreturn": cannotFail,
	"sched_yield":  cannotFail,
	"umask":        cannotFail,
}

const (
	ofGo       = "the Go runtime makes it, and if it fails ends with a stack trace"
	cannotFail = "it cannot fail"
)

// isOurs tells whether it is not the Go runtime that makes a call, of those that others make too.
func isOurs(c inject.Call) bool {
	switch c.Number {
	case unix.SYS_CLONE:
		return c.Args[0]&unix.CLONE_THREAD == 0
	case unix.SYS_FCNTL:
		return c.Args[1] != unix.F_GETFD
	case unix.SYS_MMAP:
		return c.Args[3]&unix.MAP_NORESERVE != 0 // the memory of a list
	}
	return false
}

func TestFaults(t *testing.T) {
	seen := census{}
	for _, k := range someKinds(t) {
		t.Run(k.name, func(t *testing.T) {
			l := newLaboratory(t, k)
			l.record()
			l.runAll(sample(t, l.faults(seen)), l.judgeFault)
		})
	}
}

// TestKilledAnywhere kills the runtime before each call of the list, and before each of its own.
func TestKilledAnywhere(t *testing.T) {
	seen := census{}
	for _, k := range someKinds(t) {
		if k.noKill {
			continue
		}
		t.Run(k.name, func(t *testing.T) {
			l := newLaboratory(t, k)
			l.record()
			l.runAll(sample(t, l.kills(seen)), l.judgeKill)
		})
	}
}

// someKinds are the kinds of containers of which the whole is tried, and of the others some (see
// skip.OneInEach).
func someKinds(t *testing.T) []kind {
	if all {
		return kinds
	}
	return skip.OneInEach(t, 1, kinds, func(k kind) string {
		if k.whole {
			return k.name
		}
		return ""
	})
}

// A trial is a fault to be tried.
type trial struct {
	inject.Fault
	role    role
	call    string // in print
	kind    string // who makes which call: trials of one kind tell nearly the same
	allowed bool   // the list may go on
	command string // that the container runs
}

// sample is all trials with SWEEP=all or FAULTS=all. Otherwise it is the first of each kind and one
// in sixteen after it (see skip.OneIn), with errors that are allowed, with others, and after the
// end of the command.
func sample(t *testing.T, trials []trial) []trial {
	if all {
		return trials
	}
	return skip.OneInEach(t, 16, trials, func(f trial) string {
		return fmt.Sprint(f.kind, f.allowed, f.command)
	})
}

func (f trial) String() string {
	what := "KILL"
	if !f.Kill {
		what = unix.ErrnoName(f.Errno)
	}
	return fmt.Sprintf("%s at call %d of its kind, %s, of the %s", what, f.Nth+1, f.call, f.role)
}

// A census counts calls that look alike, in the kind of container that has most of them.
type census map[string]int

// A chosen call is one to be tried. Its kind is who makes it, and which system call it is if no
// container before has made it.
type chosen struct {
	inject.Call
	kind string
}

// choose returns the calls to be tried, if not the whole: of those that the kinds before have too,
// one in ten, and of more than eight others that look alike one in sixteen.
func (seen census) choose(l *laboratory, calls []inject.Call, whole bool) (some []chosen) {
	here, old := census{}, 0
	for i, c := range calls {
		alike := fmt.Sprint(l.role(c.Point), c.Number, c.About)
		n := here[alike]
		here[alike]++
		kind, isChosen := fmt.Sprint(l.role(c.Point), c.Number), n < 8 || n%16 == 0
		if n < seen[alike] {
			old++
			kind, isChosen = string(l.role(c.Point)), old%10 == 0
		}
		switch {
		case all:
			isChosen = true
		case testing.Short():
			isChosen = i%10 == 0
		case whole:
			isChosen = true
		}
		if isChosen {
			some = append(some, chosen{c, kind})
		}
	}
	for alike, n := range here {
		seen[alike] = max(seen[alike], n)
	}
	return some
}

// all tells whether all is to be tried.
var all = os.Getenv("FAULTS") == "all"

// faults are those to try: errors of the calls of the list, and of those that the runtime makes.
func (l *laboratory) faults(seen census) (trials []trial) {
	calls := slices.DeleteFunc(slices.Clone(l.calls), func(c inject.Call) bool {
		return !l.role(c.Point).isTried(c)
	})
	isFirst, turn := len(seen) == 0, 0
	for _, c := range seen.choose(l, calls, l.whole) {
		made := l.list[c.Point]
		f := trial{
			Fault:   inject.Fault{Point: c.Point},
			role:    l.role(c.Point),
			call:    c.Text,
			kind:    c.kind,
			command: witness,
		}
		count := 1
		switch {
		case all:
			count = len(errnos)
		case isFirst && f.role.isList():
			count = 3
		}
		for range errnos {
			f.Errno = errnos[turn%len(errnos)]
			turn++
			if !slices.Contains(made.Allowed, f.Errno) && !isLie(c.Call, f.Errno) {
				trials = append(trials, f)
				count--
			}
			if count == 0 {
				break
			}
		}
		if made.isLie {
			continue
		}
		f.allowed = true
		for _, f.Errno = range made.Allowed {
			trials = append(trials, f)
		}
	}
	return trials
}

// kills are the calls before which to kill the runtime. The command goes on until it is killed,
// otherwise nothing would be found out; but there are calls that the runtime makes when it has
// ended.
func (l *laboratory) kills(seen census) (trials []trial) {
	last := map[role]inject.Call{} // with which each waits for the command, or its last
	for _, c := range l.calls {
		role := l.role(c.Point)
		wait := unix.SYS_WAIT4
		if role == inRuntime {
			wait = unix.SYS_PPOLL // see attend
		}
		if c.Number == wait || last[role].Number != wait {
			last[role] = c
		}
	}
	hasEnded := map[inject.Point]bool{}
	ended := false
	for _, c := range l.calls {
		hasEnded[c.Point] = ended
		ended = ended || c.Point == last[inRuntime].Point
	}
	calls := slices.DeleteFunc(slices.Clone(l.calls), func(c inject.Call) bool {
		role := l.role(c.Point)
		if l.has("-v") { // then the child waits between all calls
			return role != inList || c.Number != unix.SYS_FUTEX || c.Args[1] != futexWait
		}
		return !role.isTried(c)
	})
	for _, c := range seen.choose(l, calls, len(seen) == 0 || l.has("-v")) {
		role := l.role(c.Point)
		f := trial{role: role, call: c.Text, kind: c.kind, command: "probe wait"}
		f.Fault = inject.Fault{Point: c.Point, Kill: true, Latest: last[role].Point}
		if hasEnded[c.Point] {
			f.command = "probe true"
		}
		trials = append(trials, f)
	}
	return trials
}

const futexWait = 0 // FUTEX_WAIT of futex(2)

// judgeFault says what is wrong with the outcome of a fault.
func (l *laboratory) judgeFault(f trial, r inject.Result, complain complain) {
	said, shown := l.split(r)
	s := exitStatus(r.Status)
	if s == 0 {
		if said != "" {
			complain("exit status 0 with an error message")
		}
		if shown != l.isolation {
			complain("the container is another:\n%s", difference(l.isolation, shown))
		}
		if r.Reached && f.role.isList() && !f.allowed {
			complain("the list went on")
		}
		if r.Reached && unseen[inject.Name(f.Number)] {
			complain("the error was ignored")
		}
		return
	}
	whole := shown[:strings.LastIndex(shown, "\n")+1] // the command may have been killed
	if !strings.HasPrefix(l.isolation, whole) {
		complain("the container is another:\n%s", difference(l.isolation, shown))
	}
	if f.role.isList() && shown != "" {
		complain("the command was executed all the same")
	}
	isExec := f.role == inList && strings.HasPrefix(f.call, "exec")
	saysExec := strings.HasPrefix(said, "container: exec ")
	switch {
	case s != statusFailed && s != statusNotExecutable && s != statusNotFound:
		complain("exit status %d", s)
	case (s != statusFailed) != saysExec, isExec && s == statusFailed:
		complain("exit status %d does not fit", s)
	}
	if !oneLine.MatchString(said) {
		complain("an error is one line")
	}
	if !strings.Contains(said, f.Errno.Error()) && !f.allowed && !guesses[f.About] {
		complain("the cause is not in the message")
	}
}

// guesses are files that tell the runtime what it may do. If they cannot be read it tries, and what
// the kernel says to that is in the message.
var guesses = map[string]bool{
	"/proc/self/gid_map":   true,
	"/proc/self/setgroups": true,
	"/proc/self/uid_map":   true,
}

// unseen are calls of the runtime that protect, and the witness cannot see it.
var unseen = map[string]bool{"keyctl": true}

// oneLine is what an error looks like: something, or a call, and the cause.
var oneLine = regexp.MustCompile(`^container: [^\n]+: [^\n]+\n$`)

// judgeKill says what is wrong after the runtime was killed.
func (l *laboratory) judgeKill(f trial, r inject.Result, complain complain) {
	if r.Reached && !r.Status.Signaled() {
		complain("exit status %d", exitStatus(r.Status))
	}
	for _, c := range r.Calls {
		name := inject.Name(c.Number)
		if f.role.isList() && !slices.Contains(withoutRuntime, name) {
			complain("without a runtime the child went on with %s", name)
		}
	}
}

// withoutRuntime are what the child may call when the runtime is gone: it asks whether it is. It
// changes its ids first if it is there, because the kernel no longer kills it then.
var withoutRuntime = []string{"prctl", "ppoll", "exit_group", "futex", "setresgid", "setresuid"}
