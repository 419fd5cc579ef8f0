//go:build linux

package record

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rightsCalls change what a process may do. What they change is of the calling thread alone.
var rightsCalls = []callKind{
	{
		number: unix.SYS_CAPSET, name: "capset", man: "capset(2)", decode: decodeCapset,
		looks: lookRights,
	},
	{
		number: unix.SYS_PRCTL, name: "prctl", man: "prctl(2)", decode: decodePrctl,
		looks: lookRights,
	},
	{
		number: unix.SYS_SECCOMP, name: "seccomp", man: "seccomp(2)", decode: decodeSeccomp,
		looks: lookRights,
	},
	{
		number: unix.SYS_SETUID, name: "setuid", man: "setuid(2)",
		decode: decodeIDs("uid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETGID, name: "setgid", man: "setgid(2)",
		decode: decodeIDs("gid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETREUID, name: "setreuid", man: "setreuid(2)",
		decode: decodeIDs("real uid", "effective uid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETREGID, name: "setregid", man: "setregid(2)",
		decode: decodeIDs("real gid", "effective gid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETRESUID, name: "setresuid", man: "setresuid(2)",
		decode: decodeIDs("real uid", "effective uid", "saved uid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETRESGID, name: "setresgid", man: "setresgid(2)",
		decode: decodeIDs("real gid", "effective gid", "saved gid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETFSUID, name: "setfsuid", man: "setfsuid(2)",
		decode: decodeIDs("file system uid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETFSGID, name: "setfsgid", man: "setfsgid(2)",
		decode: decodeIDs("file system gid"), looks: lookRights,
	},
	{
		number: unix.SYS_SETGROUPS, name: "setgroups", man: "setgroups(2)",
		decode: decodeSetgroups, looks: lookRights,
	},
	{number: unix.SYS_SETRLIMIT, name: "setrlimit", man: "setrlimit(2)", decode: decodeSetrlimit},
	{number: unix.SYS_PRLIMIT64, name: "prlimit64", man: "prlimit(2)", decode: decodePrlimit},
	{number: unix.SYS_KEYCTL, name: "keyctl", man: "keyctl(2)", decode: decodeKeyctl},
}

// decodeCapset reads struct __user_cap_data_struct, of which there are two for 64 capabilities.
func decodeCapset(c *call) bool {
	data := structure(c.memory(c.raw[1], 24))
	for i, set := range []string{"effective", "permitted", "inheritable"} {
		mask := uint64(data.u32(4*i)) | uint64(data.u32(12+4*i))<<32
		c.arg(set, describeCapabilities(capabilityNames(mask)))
		c.about += set + "=" + strconv.FormatUint(mask, 16) + " "
	}
	c.words = "the capabilities of the thread become: " + c.args[0].Value + " in effect"
	return true
}

func describeCapabilities(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}

func decodePrctl(c *call) bool {
	option, value := c.number(0), c.raw[1]
	on := "off"
	if value != 0 {
		on = "on"
	}
	name, shown := "", strconv.FormatUint(value, 10)
	switch option {
	case unix.PR_SET_PDEATHSIG:
		name, shown = "PR_SET_PDEATHSIG", unix.SignalName(unix.Signal(value))
		c.words = "the process gets " + shown + " when its parent ends"
		if value == 0 {
			shown = "0"
			c.words = "the process gets no signal when its parent ends"
		}
	case unix.PR_SET_NO_NEW_PRIVS:
		name = "PR_SET_NO_NEW_PRIVS"
		c.words = "no program that is executed from now on brings new privileges"
	case unix.PR_SET_SECCOMP:
		if c.raw[1] == unix.SECCOMP_MODE_FILTER && c.raw[2] == 0 {
			return false // asks only what the kernel has
		}
		name = "PR_SET_SECCOMP"
		shown = "SECCOMP_MODE_FILTER"
		c.words = "a filter of system calls" + c.filterWords(c.raw[2])
		if value == 1 {
			shown = "SECCOMP_MODE_STRICT"
			c.words = strictWords
			c.ifRefused = strictNote
		}
	case unix.PR_CAPBSET_DROP:
		name, shown = "PR_CAPBSET_DROP", capabilityName(int(value))
		c.words = "no program brings the capability " + shown + " back"
		c.key = "prctl PR_CAPBSET_DROP " + shown
	case unix.PR_CAP_AMBIENT:
		if value == unix.PR_CAP_AMBIENT_IS_SET {
			return false
		}
		name = "PR_CAP_AMBIENT"
		shown = c.ambient(value)
		c.key = "prctl " + shown
	case unix.PR_SET_KEEPCAPS:
		name = "PR_SET_KEEPCAPS"
		c.words = "capabilities are kept when root becomes another user: " + on
	case unix.PR_SET_SECUREBITS:
		name, shown = "PR_SET_SECUREBITS", number(value)
		c.words = "root is no longer special in some ways: securebits " + shown
	case unix.PR_SET_DUMPABLE:
		name = "PR_SET_DUMPABLE"
		c.words = "others of the same user may look into the process: " + on
	case unix.PR_SET_CHILD_SUBREAPER:
		name = "PR_SET_CHILD_SUBREAPER"
		c.words = "orphans below the process become its children: " + on
	}
	c.arg("option", name)
	c.arg("value", shown)
	if c.key == "" {
		c.key = "prctl " + name
	}
	c.about = name
	return true
}

// ambient tells of a change of the ambient set.
func (c *call) ambient(operation uint64) string {
	capability := capabilityName(int(c.raw[2]))
	switch operation {
	case unix.PR_CAP_AMBIENT_RAISE:
		c.words = "programs that are executed from now on keep the capability " + capability
		return "PR_CAP_AMBIENT_RAISE " + capability
	case unix.PR_CAP_AMBIENT_LOWER:
		c.words = "programs no longer keep the capability " + capability
		return "PR_CAP_AMBIENT_LOWER " + capability
	case unix.PR_CAP_AMBIENT_CLEAR_ALL:
		c.words = "programs no longer keep any capability"
		return "PR_CAP_AMBIENT_CLEAR_ALL"
	}
	c.words = "the ambient capabilities are asked for"
	return number(operation)
}

// filterWords tell how long a filter is, of struct sock_fprog.
func (c *call) filterWords(address uint64) string {
	program := structure(c.memory(address, 16))
	return fmt.Sprintf(" of %d instructions", program.u16(0))
}

// The strict mode is refused to a process that has a filter.
const (
	strictWords = "from now on only read, write and exit"
	strictNote  = "the strict mode of seccomp(2) is refused here: the recorder has a filter already"
)

func decodeSeccomp(c *call) bool {
	const strict, filter = 0, 1
	switch c.raw[0] {
	case strict:
		if c.raw[1] != 0 {
			return false // asks only whether the kernel knows the call
		}
		c.arg("operation", "SECCOMP_SET_MODE_STRICT")
		c.words = strictWords
		c.ifRefused = strictNote
	case filter:
		if c.raw[2] == 0 {
			return false // asks only what the kernel has
		}
		c.arg("operation", "SECCOMP_SET_MODE_FILTER")
		if c.raw[1] != 0 {
			c.arg("flags", flagNames(c.raw[1], []flag{
				{unix.SECCOMP_FILTER_FLAG_TSYNC, "SECCOMP_FILTER_FLAG_TSYNC"},
				{unix.SECCOMP_FILTER_FLAG_LOG, "SECCOMP_FILTER_FLAG_LOG"},
				{unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
				{unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, "SECCOMP_FILTER_FLAG_NEW_LISTENER"},
				{unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"},
			}))
		}
		c.words = "a filter of system calls" + c.filterWords(c.raw[2])
	default:
		return false
	}
	c.key = "seccomp"
	return true
}

// decodeIDs decodes a call that sets ids, of which these are the names. -1 leaves one as it is.
func decodeIDs(names ...string) func(*call) bool {
	return func(c *call) bool {
		var words []string
		for i, name := range names {
			value := strconv.Itoa(c.number(i))
			c.arg(strings.ReplaceAll(name, " ", "_"), value)
			if c.number(i) != -1 {
				words = append(words, "the "+name+" becomes "+value)
			}
		}
		if len(words) == 0 {
			return false // asks only for the ids
		}
		c.words = list(words)
		c.key = idsKey(names)
		return true
	}
}

// idsKey is the same for all calls that set ids of a kind.
func idsKey(names []string) string {
	if strings.HasSuffix(names[0], "uid") {
		return "set uid"
	}
	return "set gid"
}

func decodeSetgroups(c *call) bool {
	const most = 32
	var groups []string
	list := structure(c.memory(c.raw[1], int(4*min(c.raw[0], most))))
	for i := range len(list) / 4 {
		groups = append(groups, strconv.Itoa(int(list.u32(4*i))))
	}
	c.arg("groups", strings.Join(groups, " "))
	c.words = "the supplementary groups become " + strings.Join(groups, " ")
	if len(groups) == 0 {
		c.words = "the process leaves all supplementary groups"
	}
	return true
}

// resources are the names of the limits of getrlimit(2), at their numbers.
var resources = [...]string{
	unix.RLIMIT_AS: "RLIMIT_AS", unix.RLIMIT_CORE: "RLIMIT_CORE", unix.RLIMIT_CPU: "RLIMIT_CPU",
	unix.RLIMIT_DATA: "RLIMIT_DATA", unix.RLIMIT_FSIZE: "RLIMIT_FSIZE",
	unix.RLIMIT_LOCKS: "RLIMIT_LOCKS", unix.RLIMIT_MEMLOCK: "RLIMIT_MEMLOCK",
	unix.RLIMIT_MSGQUEUE: "RLIMIT_MSGQUEUE", unix.RLIMIT_NICE: "RLIMIT_NICE",
	unix.RLIMIT_NOFILE: "RLIMIT_NOFILE", unix.RLIMIT_NPROC: "RLIMIT_NPROC",
	unix.RLIMIT_RSS: "RLIMIT_RSS", unix.RLIMIT_RTPRIO: "RLIMIT_RTPRIO",
	unix.RLIMIT_RTTIME: "RLIMIT_RTTIME", unix.RLIMIT_SIGPENDING: "RLIMIT_SIGPENDING",
	unix.RLIMIT_STACK: "RLIMIT_STACK",
}

func decodeSetrlimit(c *call) bool { return c.limits(0, c.raw[0], c.raw[1]) }

func decodePrlimit(c *call) bool { return c.limits(c.number(0), c.raw[1], c.raw[2]) }

// limits decodes struct rlimit64. The limit is that of another process, or of the caller if pid
// is 0.
func (c *call) limits(pid int, resource, address uint64) bool {
	limit := structure(c.memory(address, 16))
	soft, hard := limit.u64(0), limit.u64(8)
	if resource == unix.RLIMIT_NOFILE && pid == 0 {
		// Each Go program raises its own limit to the highest, and gives it back to what it starts
		// (os.StartProcess). That is no news of a container.
		return false
	}
	name := ""
	if resource < uint64(len(resources)) {
		name = resources[resource]
	}
	whose := name
	if pid != 0 {
		c.arg("pid", strconv.Itoa(pid))
		whose += fmt.Sprintf(" of process %d", c.pidOf(pid))
	}
	c.arg("resource", name)
	c.arg("soft", limitText(soft))
	c.arg("hard", limitText(hard))
	c.words = "the limit " + whose + " becomes " + limitText(soft)
	if soft != hard {
		c.words += ", at most " + limitText(hard)
	}
	c.key = "rlimit " + name
	return true
}

func limitText(value uint64) string {
	if value == ^uint64(0) {
		return "unlimited"
	}
	return strconv.FormatUint(value, 10)
}

func decodeKeyctl(c *call) bool {
	c.arg("operation", "KEYCTL_JOIN_SESSION_KEYRING")
	if name := c.text(1); name != "" {
		c.arg("name", name)
	}
	c.words = "a session keyring of its own, without the keys of the caller"
	c.key = "keyctl KEYCTL_JOIN_SESSION_KEYRING"
	return true
}
