//go:build linux

package main

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/nofile"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rights"
)

// The rules here hold for the whole list, whatever flags there are: so they are tried with many
// combinations of them. The list is on paper, and nothing is made.

// flagsWithin are flags that take a namespace, each of which is given or not.
var flagsWithin = map[string][]string{
	"uts": {"-hostname other"},
	"mnt": {
		"-layers copy", "-layers bind", "-layers snapshot", "-keep kept", "-read-only", "-tty",
		"-volume /tmp:/data", "-volume /etc/hosts:/srv/a/b:ro", "-volume /nowhere:/dev/shm/a",
	},
	"net": {"-net bridge", "-net none"},
}

// flagsAnywhere are the others.
var flagsAnywhere = []string{
	"-user 1000", "-user 1000:5", "-user 0:7", "-user root", "-net host", "-memory 64M", "-pids 32",
	"-cpus 0.5", "-oom-score-adj 100", "-cap-add NET_ADMIN", "-cap-drop ALL", "-cap-add ALL",
	"-ulimit nofile=100:200", "-ulimit core=0", "-env A=B", "-env PATH=/a:/b:rel", "-env HOME=/h",
	"-workdir /srv", "-init",
}

var commands = [][]string{{"true"}, {"sh", "-c", "exit 7"}, {"/bin/sh"}, {"./a"}}

// somebodysFlags makes up a command line that is right.
func somebodysFlags(r *rand.Rand) []string {
	names := []string{"uts", "pid", "mnt", "ipc", "net", "user", "cgroup", "time"}
	namespaces := names[:7]
	if r.IntN(3) != 0 {
		r.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		namespaces = names[:1+r.IntN(len(names))]
	}
	args := []string{"-ns", strings.Join(namespaces, ",")}
	with := func(flags ...string) {
		for _, f := range flags {
			if r.IntN(4) == 0 {
				args = append(args, strings.Fields(f)...)
			}
		}
	}
	for _, name := range namespaces {
		with(flagsWithin[name]...)
	}
	with(flagsAnywhere...)
	switch isImage := r.IntN(3) == 0; {
	case !slices.Contains(namespaces, "mnt"):
	case isImage:
		args = append(args, "-image", "a")
	default:
		args = append(args, "-rootfs", "/") // where root has a name
	}
	if !slices.Contains(args, "-tty") { // otherwise it depends on who runs the test
		args = append(args, "-tty=false")
	}
	return append(args, commands[r.IntN(len(commands))]...)
}

// A paperList is the list of a container that is not made.
type paperList struct {
	*testing.T
	flags string
	c     *config.Container
	calls []plan.Call
}

// onPaper writes the list for flags.
func onPaper(t *testing.T, args ...string) *paperList {
	r, err := parse(args)
	require.NoError(t, err, args)
	_, err = r.takeImage()
	require.NoError(t, err, args)
	defer r.closeImage()
	p, err := planOnPaper(r.Container)
	require.NoError(t, err)
	defer p.Free()
	return &paperList{t, strings.Join(args, " "), r.Container, p.Calls()}
}

// rules hold for all lists.
var rules = []struct {
	name string
	test func(t *testing.T, lists []*paperList)
}{
	{"dies with the runtime", listDiesWithTheRuntime},
	{"begins", listBegins},
	{"takes rights", listTakesRights},
	{"executes", listExecutes},
	{"is for its user", listIsForItsUser},
	{"shows its cgroups", listShowsItsCgroups},
	{"keeps to its namespaces", listKeepsToItsNamespaces},
	{"becomes root first", listBecomesRootFirst},
	{"leaves the host", listLeavesTheHost},
	{"follows no links", listFollowsNoLinks},
	{"hides first", listHidesFirst},
	{"leaves the streams alone", listLeavesTheStreamsAlone},
	{"opens nothing for the command", listOpensNothingForTheCommand},
	{"leaves out what depends", listLeavesOutWhatDepends},
	{"allows no other errors", listAllowsNoOtherErrors},
	{"has its own environment", listHasItsOwnEnvironment},
}

// TestLists tests the rules with the lists of 200 command lines, the same each time. Each list is
// written once, because that takes longer than all rules.
func TestLists(t *testing.T) {
	const seed, most = 20260101, 200
	r := rand.New(rand.NewPCG(seed, seed))
	made := map[string]bool{}
	storeImage(t, 3, nil)
	t.Setenv("SECRET", "of the host")
	t.Setenv("TERM", "vt220")
	var lists []*paperList
	for len(made) < most {
		args := somebodysFlags(r)
		name := strings.Join(args, " ")
		if !isRight(args) || made[name] {
			continue // two flags that exclude each other
		}
		made[name] = true
		lists = append(lists, onPaper(t, args...))
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) { rule.test(t, lists) })
	}
}

// forAll tests a rule with each list.
func forAll(t *testing.T, lists []*paperList, rule func(l *paperList)) {
	for _, l := range lists {
		t.Run(l.flags, func(t *testing.T) { rule(&paperList{t, l.flags, l.c, l.calls}) })
	}
}

func isRight(args []string) bool {
	r, err := parse(args)
	if err == nil {
		_, err = r.takeImage()
		r.closeImage()
	}
	return err == nil
}

// all are the indexes of the calls whose line begins with the text.
func (l *paperList) all(beginning string) (found []int) {
	for i, c := range l.calls {
		if strings.HasPrefix(c.Line, beginning) {
			found = append(found, i)
		}
	}
	return found
}

// only is the index of the only such call.
func (l *paperList) only(beginning string) int {
	l.Helper()
	found := l.all(beginning)
	require.Len(l, found, 1, "%s", beginning)
	return found[0]
}

func (l *paperList) line(i int) string { return l.calls[i].Line }

// executes is the index of the first call that executes the command.
func (l *paperList) executes() int {
	return slices.IndexFunc(l.calls, func(c plan.Call) bool {
		return c.Name == "execve" || c.Name == "execveat"
	})
}

var givenName = regexp.MustCompile(`\) as (<[^>]*>)`)

// opened is the name of the descriptor that a call opens, or "".
func opened(c plan.Call) string {
	if match := givenName.FindStringSubmatch(c.Line); match != nil {
		return match[1]
	}
	if c.Name == "openat2" {
		name, _ := strconv.Unquote(c.Args[1])
		return "<" + name + ">"
	}
	return ""
}

const (
	dieWithParent = `prctl(PR_SET_PDEATHSIG, SIGKILL)`
	parentLives   = `ppoll([<runtime> POLLIN], 1, now) must: 0`
)

// Whenever the runtime is killed the child ends too: from the first call on, and again as soon as
// its ids change, which makes the kernel forget it (PR_SET_PDEATHSIG of prctl(2)).
func listDiesWithTheRuntime(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		changes := l.all("setresuid(")
		require.Len(l, l.all(dieWithParent), 1+len(changes))
		for _, i := range append([]int{-1}, changes...) {
			require.Equal(l, []string{dieWithParent, parentLives},
				[]string{l.line(i + 1), l.line(i + 2)})
		}
	})
}

// A session of its own is next: in the caller's the container could type into the terminal.
func listBegins(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		require.Equal(l, []string{`setsid()`, `umask(0)`}, []string{l.line(2), l.line(3)})
		masks := l.all("umask(")
		require.Len(l, masks, 2)
		require.Equal(l, `umask(022)`, l.line(masks[1]), "the command's")
		// What is made after that belongs to the command.
		for _, c := range l.calls[masks[1]:] {
			require.NotContains(l, []string{"mkdirat", "mknodat", "mount"}, c.Name)
		}
	})
}

// The end of the list takes the rights away one after the other, each when nothing needs it any
// more, and executes the command with what is left.
func listTakesRights(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		end := l.executes()
		order := []int{
			l.only(`umask(022)`),
			l.only(`close_range(3, ~0, CLOSE_RANGE_CLOEXEC)`),
			l.only(`capset(`),
			l.only(`rt_sigprocmask(SIG_SETMASK, [])`),
			l.only(`prctl(PR_SET_NO_NEW_PRIVS, 1)`),
			l.only(`seccomp(SECCOMP_SET_MODE_FILTER, `),
			end,
		}
		require.True(l, slices.IsSorted(order), order)
		require.Equal(l, end, order[5]+1, "nothing but the command comes behind the filter")
		require.Equal(l, order[5], order[4]+1)

		drops := l.all("prctl(PR_CAPBSET_DROP")
		require.Len(l, drops, unix.CAP_LAST_CAP+1-bits.OnesCount64(uint64(l.c.Capabilities)))
		for _, i := range drops {
			require.True(l, order[1] < i && i < order[2], "%s", l.line(i))
		}
		for _, limits := range l.all("prlimit64(") {
			require.True(l, order[1] < limits && limits < order[2])
		}
		limits := len(l.c.Ulimits)
		if callers, _ := nofile.Callers(); callers.Soft < callers.Hard &&
			len(l.all("prlimit64(0, RLIMIT_NOFILE, {soft: 100, ")) == 0 {
			limits++ // that of the caller
		}
		require.Len(l, l.all("prlimit64("), limits)
		for _, i := range l.all("setresgid(") {
			require.True(l, strings.HasPrefix(l.line(i+1), "setresuid("), "a group needs a right")
		}
		// Only root has capabilities, and without a user namespace none that the caller has not.
		have := l.line(order[2])
		none := strings.HasPrefix(l.c.User, "1000") || l.c.Capabilities == 0
		require.Equal(l, none, have == `capset({none})`, have)
		if !none && l.c.Namespaces.Has(unix.CLONE_NEWUSER) {
			names := strings.Join(rights.CapabilityNames(l.c.Capabilities), "|")
			if l.c.Capabilities == 1<<(unix.CAP_LAST_CAP+1)-1 {
				names = "all"
			}
			require.Equal(l, `capset({permitted, effective: `+names+`})`, have)
		}
	})
}

func (l *paperList) lines() (lines []string) {
	for _, c := range l.calls {
		lines = append(lines, c.Line)
	}
	return lines
}

// The last calls execute the command: one for each directory of PATH, or the init. Each path was
// looked at before, as it must not lead to an open file of the runtime (CVE-2019-5736).
func listExecutes(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		command := l.c.Command
		var quoted []string
		for _, arg := range command {
			quoted = append(quoted, strconv.Quote(arg))
		}
		args := strings.Join(quoted, ", ") + "]"
		first := l.calls[l.executes():]
		if l.c.Init {
			require.Len(l, first, 1)
			require.Equal(l, []string{"<this program>", `""`}, first[0].Args[:2])
			require.Equal(l, `["container", "child", "init", `+args, first[0].Args[2])
			require.Equal(l, "AT_EMPTY_PATH", first[0].Args[4])
			require.Empty(l, first[0].Allowed)
			return
		}
		var paths []string
		for i, c := range first {
			require.Equal(l, "execve", c.Name)
			path, err := strconv.Unquote(c.Args[0])
			require.NoError(l, err)
			paths = append(paths, path)
			if i < len(first)-1 { // as a shell goes on with the next directory
				require.Equal(l, []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES}, c.Allowed)
			} else {
				require.Empty(l, c.Allowed, "the last error is the one that counts")
			}
			l.only(
				fmt.Sprintf(`openat2(AT_FDCWD, %q, O_PATH|O_CLOEXEC, RESOLVE_NO_MAGICLINKS)`, path),
			)
		}
		want := []string{command[0]}
		if !strings.Contains(command[0], "/") {
			dirs := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
			if slices.Contains(l.c.Env, config.Variable{Name: "PATH", Value: "/a:/b:rel"}) {
				dirs = "/a:/b" // what a relative directory has depends on where the command starts
			}
			want = nil
			for dir := range strings.SplitSeq(dirs, ":") {
				want = append(want, dir+"/"+command[0])
			}
		}
		require.Equal(l, want, paths)
		require.Equal(l, "["+args, first[0].Args[1])
	})
}

// The user is who the container's own files say: the rights at the end of the list, the terminal
// and the home directory are for that one.
func listIsForItsUser(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		user, err := (&paper{c: l.c}).lookUpUser(plan.CWD, plan.CWD)
		require.NoError(l, err)
		become := fmt.Sprintf(`setresuid(%[1]d, %[1]d, %[1]d)`, user.UID)
		group := fmt.Sprintf(`setresgid(%[1]d, %[1]d, %[1]d)`, user.GID)
		last := slices.DeleteFunc(l.all("setresuid("), func(i int) bool {
			return i < l.only("close_range(")
		})
		if user.UID == 0 && user.GID == 0 {
			require.Empty(l, last)
		} else {
			require.Len(l, last, 1)
			require.Equal(l, group, l.line(last[0]-1))
			require.Equal(l, become, l.line(last[0]))
		}
		if l.c.Terminal == config.TerminalYes {
			l.only(fmt.Sprintf(`fchown(<terminal>, %d, -1)`, user.UID))
		}
		if !slices.Contains(l.c.Env, config.Variable{Name: "HOME", Value: "/h"}) {
			require.Contains(l, l.line(l.executes()), `"HOME=`+user.Home+`"`)
		}
		for _, file := range []string{"passwd", "group"} {
			opens := l.all(`openat2(AT_FDCWD, "/etc/` + file + `", O_RDONLY`)
			require.Equal(l, l.c.User != "0", len(opens) == 1, "root needs no files")
		}
	})
}

// A container sees its own cgroups, if it has a namespace for them, and no others.
func listShowsItsCgroups(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		mounts, err := cgroup.Mounts(l.c)
		require.NoError(l, err)
		if !l.c.Namespaces.Has(unix.CLONE_NEWNS) {
			mounts = nil
		}
		shown := l.all(`mount("cgroup`)
		require.Len(l, shown, len(mounts))
		for _, i := range shown {
			require.Contains(l, l.line(i), "MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC")
		}
		if len(l.all(`unshare(CLONE_NEWCGROUP)`)) == 1 && len(shown) > 0 {
			require.Less(l, l.only(`unshare(CLONE_NEWCGROUP)`), shown[0])
		}
	})
}

// A namespace that was not asked for is not touched, and one that was gets what belongs to it.
func listKeepsToItsNamespaces(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		has := func(flag uintptr) int {
			if l.c.Namespaces.Has(flag) {
				return 1
			}
			return 0
		}
		for beginning, want := range map[string]int{
			`unshare(CLONE_NEWNET)`:                     has(unix.CLONE_NEWNET),
			`ioctl(<socket>, SIOCSIFFLAGS, {lo IFF_UP`:  has(unix.CLONE_NEWNET),
			`unshare(CLONE_NEWTIME)`:                    has(unix.CLONE_NEWTIME),
			`sethostname("` + l.c.Hostname + `"`:        has(unix.CLONE_NEWUTS),
			`sethostname(`:                              has(unix.CLONE_NEWUTS),
			`pivot_root(".", ".")`:                      has(unix.CLONE_NEWNS),
			`umount2(".", MNT_DETACH)`:                  has(unix.CLONE_NEWNS),
			`mount_setattr(AT_FDCWD, "/", AT_RECURSIVE`: has(unix.CLONE_NEWNS),
		} {
			require.Len(l, l.all(beginning), want, beginning)
		}
		late := 0
		group, err := cgroup.Example(l.c)
		require.NoError(l, err)
		if group.JoinsLate() && l.c.Namespaces.Has(unix.CLONE_NEWCGROUP) {
			late = 1
		}
		require.Len(l, l.all(`unshare(CLONE_NEWCGROUP)`), late)
		if !l.c.Namespaces.Has(unix.CLONE_NEWNS) {
			for _, c := range l.calls {
				require.NotContains(l, []string{
					"mount", "move_mount", "mount_setattr", "open_tree", "mkdirat", "mknodat",
					"symlinkat",
				}, c.Name, "that would be the host's")
			}
		}
		bridge := l.c.Network == config.Bridge
		require.Equal(l, bridge, len(l.all(`ioctl(<socket>, SIOCADDRT`)) == 1)
		require.Equal(l, bridge,
			len(l.all(`openat2(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6"`)) == 1)
	})
}

// Until the child is root of its user namespace it makes only what takes the rights of the caller.
func listBecomesRootFirst(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		if !l.c.Namespaces.Has(unix.CLONE_NEWUSER) {
			require.NotContains(l, l.lines()[:l.only("close_range(")], `setresuid(0, 0, 0)`)
			return
		}
		root := l.all(`setresuid(0, 0, 0)`)[0]
		require.Equal(l, `setresgid(0, 0, 0)`, l.line(root-1))
		for _, i := range l.all("setgroups(0, ") {
			require.Equal(l, root-2, i, "that takes a right")
		}
		for _, c := range l.calls[:root] {
			require.NotContains(l, []string{"mount", "sethostname", "open_tree", "chdir"}, c.Name)
		}
	})
}

// After the host is left nothing leads there: see rootfs. Here for the whole list, also for what
// the host is asked for.
func listLeavesTheHost(t *testing.T, lists []*paperList) {
	// What stays open until execve(2), which closes it, and why.
	stays := []struct{ name, why string }{
		{
			`<runtime>`,
			"a pidfd: it tells whether the runtime is there, and can do nothing else here",
		},
		{`<this program>`, "the init, to be executed: a file on a mount that is read-only"},
		{`<ready>`, "a pipe to the runtime, for the init to close"},
		{`<pipe>`, "the same, in the place where the init looks"},
		{`<std(in|out|err)>`, "the command's"},
		{`<volume .*>`, "the container's, where the flags say"},
		{`<target>`, "where one of them is mounted"},
		{`<tree etc/(hosts|hostname|resolv\.conf)>`, "a text for the container"},
		{`<(master|terminal)>`, "of the container's own devpts"},
	}
	var known []string
	for _, s := range stays {
		known = append(known, s.name)
	}
	stay := regexp.MustCompile(`^(` + strings.Join(known, "|") + `)$`)
	descriptor := regexp.MustCompile(`<[^>]+>`)
	forAll(t, lists, func(l *paperList) {
		if !l.c.Namespaces.Has(unix.CLONE_NEWNS) {
			return
		}
		umount := l.only(`umount2(`)
		require.Equal(
			l,
			[]string{`fchdir(<host>)`, `chdir("/")`, `close(<host>)`, `close(<stage>)`},
			[]string{
				l.line(umount - 1),
				l.line(umount + 1),
				l.line(umount + 2),
				l.line(umount + 3),
			},
		)
		// What was opened in the container.
		inside := map[string]bool{"<root>": true, "</dev>": true, "</proc>": true}
		for _, c := range l.calls[umount+4:] {
			if name := opened(c); name != "" {
				inside[name] = true
			}
			text := strings.Join(c.Args, " ")
			if c.Name == "write" || c.Name == "execve" || c.Name == "execveat" {
				text = c.Args[0]
			}
			for _, name := range descriptor.FindAllString(text, -1) {
				require.True(l, inside[name] || stay.MatchString(name), "%s in %s", name, c.Line)
			}
		}
		for _, c := range l.calls[umount+4:] {
			require.NotContains(l, c.Line, "<host>")
			require.NotContains(l, c.Line, "<stage>")
			require.NotContains(l, c.Line, "<rootfs ")
			require.NotContains(l, c.Line, "<layer ")
			require.NotContains(l, c.Line, "<keep ")
		}
	})
}

// No path is looked up, once the root file system is there, in which a link could lead to a
// descriptor of the runtime, nor, as long as the host is there, any link at all.
func listFollowsNoLinks(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		begin, left := 0, 0
		if l.c.Namespaces.Has(unix.CLONE_NEWNS) {
			begin, left = l.only(`pivot_root(`)+2, l.only(`umount2(`)
		} else { // all paths are the caller's; but not that of what is executed
			begin = l.only(`umask(022)`)
		}
		cwd := ""
		for i, c := range l.calls[begin:] {
			i += begin
			switch c.Name {
			case "openat2":
				links := regexp.MustCompile(`RESOLVE_NO_SYMLINKS$`)
				if i > left {
					links = regexp.MustCompile(`RESOLVE_(NO_SYMLINKS|IN_ROOT|NO_MAGICLINKS)$`)
				}
				if c.Args[0] != "<stage>" { // which nobody else can reach
					require.Regexp(l, links, c.Args[2], c.Line)
				}
				if strings.HasSuffix(c.Args[2], "RESOLVE_IN_ROOT") {
					require.Equal(l, "<root>", c.Args[0], c.Line)
				}
				if c.Args[0] == "AT_FDCWD" {
					require.Greater(l, i, left, c.Line)
				}
			case "fchdir":
				cwd = c.Args[0]
			case "chdir":
				require.Equal(l, `chdir("/")`, c.Line)
				cwd = "/"
			case "mount":
				require.NotEqual(l, "/", cwd, c.Line)
				if i > left {
					require.Equal(l, `mount("pts/0", "console", NULL, MS_BIND, NULL)`, c.Line)
					require.Equal(l, "</dev>", cwd)
				}
			case "mkdirat", "mknodat":
				require.NotContains(l, c.Args[1], "/", c.Line)
				if c.Args[0] == "AT_FDCWD" {
					require.Equal(l, "</dev>", cwd)
				}
			case "open_tree":
				require.Less(l, i, left, c.Line)
				require.NotEqual(l, "AT_FDCWD", c.Args[0], c.Line)
			case "mount_setattr", "statx":
				require.Equal(l, `""`, c.Args[1], c.Line)
			case "move_mount":
				require.True(l,
					c.Args[3] == `""` || c.Args[2] == "</dev>" || c.Args[2] == "</proc>", c.Line)
			}
		}
		// The working directory of the command is looked up last of all.
		if l.c.Namespaces.Has(unix.CLONE_NEWNS) || l.c.Workdir != "" {
			i := l.all(`fchdir(`)[len(l.all(`fchdir(`))-1]
			require.Equal(l, l.only(`umask(022)`)+2, i)
			require.Contains(l, l.line(i-1), `O_PATH|O_DIRECTORY|O_CLOEXEC, RESOLVE_NO_MAGICLINKS)`)
		}
	})
}

// Masks and devices come before anything that the user or the root file system have a say in, and
// these come when the host is gone.
func listHidesFirst(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		if !l.c.Namespaces.Has(unix.CLONE_NEWNS) {
			return
		}
		pivot, left := l.only(`pivot_root(`), l.only(`umount2(`)
		for _, mask := range append(l.all(`mount("tmpfs", "`), l.all(`mount(self/fd/<null>`)...) {
			if strings.Contains(l.line(mask), "size=0") ||
				strings.Contains(l.line(mask), "<null>") {
				require.True(l, pivot < mask && mask < left, l.line(mask))
			}
		}
		require.Len(l, l.all(`mount(self/fd/<null>`), 7)
		for _, name := range []string{"bus", "fs", "irq", "sys", "sysrq-trigger"} {
			require.Less(l, l.only(`move_mount(<tree `+name+`>, "", </proc>, "`+name+`"`), left)
		}
		for _, i := range append(l.all(`move_mount(<volume `), l.all(`move_mount(<tree etc/`)...) {
			require.Greater(l, i, left)
		}
		require.Len(l, l.all(`move_mount(<volume `), len(l.c.Volumes))
		require.Len(l, l.all(`move_mount(<tree etc/`), 3)
		readOnly := l.all(`mount_setattr(<root>, "", AT_EMPTY_PATH, {set: MOUNT_ATTR_RDONLY})`)
		require.Equal(l, l.c.ReadOnly, len(readOnly) == 1)
		if l.c.ReadOnly {
			for _, c := range l.calls[readOnly[0]+1:] {
				require.NotContains(l, []string{"mount", "move_mount", "mkdirat", "mknodat"},
					c.Name)
			}
		}
	})
}

// The standard streams stay the runtime's until the child has descriptors of its own.
func listLeavesTheStreamsAlone(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		unshared := l.all(`unshare(CLONE_FILES)`)
		for i, c := range l.calls {
			if c.Name != "dup3" || c.Args[1] == "<null>" || c.Args[1] == "<target>" {
				continue
			}
			require.NotEmpty(l, unshared, c.Line)
			require.Less(l, unshared[0], i, c.Line)
		}
		require.Equal(l, l.c.Terminal == config.TerminalYes,
			len(l.all(`dup3(<terminal>, <std`)) == 3)
		if l.c.Init {
			i := l.only(`dup3(<ready>, <pipe>, 0)`)
			require.Equal(l, `unshare(CLONE_FILES)`, l.line(i-1))
			require.Greater(l, i, l.only(`close_range(`), "otherwise it would be closed")
		}
	})
}

// The command gets descriptors 0, 1 and 2: all others are closed by execve(2) from the moment that
// they are open, so that nothing depends on close_range(2) alone.
func listOpensNothingForTheCommand(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		for _, c := range l.calls {
			switch c.Name {
			case "openat2":
				require.Contains(l, c.Args[2], "O_CLOEXEC", c.Line)
			case "open_tree":
				require.Contains(l, c.Args[2], "OPEN_TREE_CLOEXEC", c.Line)
			case "socket":
				require.Contains(l, c.Args[1], "SOCK_CLOEXEC", c.Line)
			case "dup3":
				if c.Args[1] == "<null>" || c.Args[1] == "<target>" {
					require.Equal(l, "O_CLOEXEC", c.Args[2], c.Line)
				}
			case "fcntl":
				require.Fail(l, "a descriptor is kept", c.Line)
			}
		}
	})
}

// What is left out after an allowed error is all that would use what is then not there.
func listLeavesOutWhatDepends(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		for i, c := range l.calls {
			name := opened(c)
			if name == "" || len(c.Allowed) == 0 {
				continue
			}
			for _, later := range l.calls[i+1+c.Skip:] {
				if opened(later) == name { // another one of that name
					break
				}
				require.NotContains(l, later.Args, name, "%s: without %s", later.Line, c.Line)
			}
			// What is left out has no protection in it that others need.
			for _, out := range l.calls[i+1 : i+1+c.Skip] {
				require.NotContains(l, []string{
					"mount", "umount2", "capset", "prctl", "seccomp", "setresuid", "unshare",
					"fchdir",
				}, out.Name, c.Line)
			}
		}
	})
}

// allowedErrors are all errors that do not end a list, and why a container that goes on is as well
// protected as one without them. Who allows another one says here why.
var allowedErrors = []struct {
	call   string // a regular expression for the beginning of the line
	errors []unix.Errno
	why    string
	seldom bool // it is not in every run of the test
}{
	{
		call:   `openat2\(AT_FDCWD, "/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY`,
		errors: []unix.Errno{unix.ENOENT},
		why:    "a kernel without IPv6 has none to turn off",
	},
	{
		call: `openat2\(AT_FDCWD, "/proc/sys/net/ipv4/` +
			`(ip_unprivileged_port_start|ping_group_range)"`,
		errors: []unix.Errno{unix.ENOENT, unix.EROFS, unix.EACCES},
		why:    "users without rights get fewer then, and not more",
	},
	{
		call:   `mkdirat\(<root>, "(proc|sys|dev)", `,
		errors: []unix.Errno{unix.EEXIST},
		why:    "most root file systems have it; what it is openat2 finds out",
	},
	{
		call:   `mount\("tmpfs", "(acpi|asound|scsi|firmware|devices/.*)", .*"size=0,nr_inodes=1"`,
		errors: []unix.Errno{unix.ENOENT},
		why:    "what this kernel does not have need not be hidden",
	},
	{
		call: `mount\(self/fd/<null>, "(interrupts|kcore|keys|latency_stats|timer_list|` +
			`timer_stats|sched_debug)", NULL, MS_BIND`,
		errors: []unix.Errno{unix.ENOENT},
		why:    "the same",
	},
	{
		call:   `open_tree\(</proc>, "(bus|fs|irq|sys|sysrq-trigger)", `,
		errors: []unix.Errno{unix.ENOENT},
		why:    "the same: nobody can write to it",
	},
	{
		call:   `mount\("mqueue", "mqueue", `,
		errors: []unix.Errno{unix.ENODEV},
		why:    "a kernel without message queues has none to show",
	},
	{
		call:   `mkdirat\(<root>, "etc", `,
		errors: []unix.Errno{unix.EEXIST, unix.EROFS, unix.EACCES},
		why:    "most root file systems have it; in one that is read-only there are no names then",
	},
	{
		call:   `openat2\(<root>, "etc", .*RESOLVE_IN_ROOT\)`,
		errors: []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP},
		why:    "without a place for names there are none, and the user hears of it",
	},
	{
		call:   `mknodat\(<etc>, "(hosts|hostname|resolv\.conf)", `,
		errors: []unix.Errno{unix.EEXIST, unix.EROFS, unix.EACCES},
		why:    "most root file systems have it; what it is statx finds out",
	},
	{
		call:   `openat2\(<etc>, "(hosts|hostname|resolv\.conf)", .*RESOLVE_NO_SYMLINKS\)`,
		errors: []unix.Errno{unix.ENOENT},
		why:    "it is not there and cannot be made: the user hears of it",
	},
	{
		call:   `statx\(<(hosts|hostname|resolv\.conf)>, .*must not: directory`,
		errors: []unix.Errno{plan.ErrCheck},
		why:    "no file is mounted on a directory: the user hears of it",
	},
	{
		call:   `mkdirat\(<[^>]*>, "[^"/]*", 0755\)`,
		errors: []unix.Errno{unix.EEXIST},
		why:    "the target of a volume, or a directory above it, is there",
	},
	{
		call:   `mknodat\(<[^>]*>, "[^"/]*", S_IFREG\|0644\)`,
		errors: []unix.Errno{unix.EEXIST},
		why:    "the target of a volume is there",
	},
	{
		call:   `statx\(<[^>]*>, .*must: same mount as </dev>`,
		errors: []unix.Errno{plan.ErrCheck},
		why:    "the target of a volume is on another mount, so it is not /dev",
	},
	{
		call:   `openat2\(AT_FDCWD, "/etc/(passwd|group)", O_RDONLY\|.*RESOLVE_NO_MAGICLINKS\)`,
		errors: []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP},
		why:    "without the file there are no names, and a name that is not found is an error",
	},
	{
		call:   `fchown\(<std(in|out|err)>, `,
		errors: []unix.Errno{unix.EPERM},
		why:    "a pipe that is somebody else's stays so: the command cannot open it once more",
		seldom: true,
	},
	{
		call:   `openat2\(AT_FDCWD, "[^"]*", O_PATH\|O_CLOEXEC, RESOLVE_NO_MAGICLINKS\)`,
		errors: []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES},
		why:    "execve(2) will get the same error",
	},
	{
		call:   `prctl\(PR_CAPBSET_DROP, `,
		errors: []unix.Errno{unix.EINVAL},
		why:    "this kernel has no such capability",
	},
	{
		call:   `execve\(`,
		errors: []unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES},
		why:    "the next directory of PATH may have the command",
	},
}

// No protection that was asked for may fail and be forgotten.
func listAllowsNoOtherErrors(t *testing.T, lists []*paperList) {
	expressions := make([]*regexp.Regexp, len(allowedErrors))
	for i, a := range allowedErrors {
		require.NotEmpty(t, a.why)
		expressions[i] = regexp.MustCompile(`^` + a.call)
	}
	seen := map[int]bool{}
	forAll(t, lists, func(l *paperList) {
		for _, c := range l.calls {
			if len(c.Allowed) == 0 {
				continue
			}
			i := slices.IndexFunc(expressions, func(e *regexp.Regexp) bool {
				return e.MatchString(c.Line)
			})
			require.NotEqual(l, -1, i, "an allowed error that nobody gave a reason for: %s", c.Line)
			require.ElementsMatch(l, allowedErrors[i].errors, c.Allowed, c.Line)
			seen[i] = true
		}
	})
	for i, a := range allowedErrors {
		require.True(t, seen[i] || a.seldom, "no list has it: %s", a.call)
	}
}

// Nothing of the host's environment comes into the container but the type of the terminal.
func listHasItsOwnEnvironment(t *testing.T, lists []*paperList) {
	forAll(t, lists, func(l *paperList) {
		end := l.calls[l.executes()]
		env := end.Args[2]
		if l.c.Init {
			env = end.Args[3]
		}
		require.NotContains(l, env, "SECRET")
		for _, name := range []string{"PATH", "TERM", "HOSTNAME", "HOME"} {
			require.Equal(l, 1, strings.Count(env, `"`+name+`=`), "%s in %s", name, env)
		}
		require.Contains(l, env, `"TERM=vt220"`)
		for _, v := range l.c.Env {
			require.Contains(l, env, `"`+v.Name+"="+v.Value+`"`)
		}
		require.Equal(l, 4+strings.Count(env, `"A=B"`), strings.Count(env, `=`))
	})
}

func TestEnvironment(t *testing.T) {
	t.Setenv("TERM", "")
	const path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, c := range []struct {
		name string
		env  []config.Variable
		want []string
	}{
		{"defaults", nil, []string{path, "TERM=xterm", "HOSTNAME=box", "HOME=/root"}},
		{
			"more",
			[]config.Variable{{Name: "A", Value: "1"}, {Name: "B"}},
			[]string{path, "TERM=xterm", "HOSTNAME=box", "A=1", "B=", "HOME=/root"},
		},
		{
			"the last one counts",
			[]config.Variable{{Name: "A", Value: "1"}, {Name: "A", Value: "2"}},
			[]string{path, "TERM=xterm", "HOSTNAME=box", "A=2", "HOME=/root"},
		},
		{
			"others in place of the defaults",
			[]config.Variable{
				{Name: "PATH", Value: "/a"},
				{Name: "TERM", Value: "dumb"},
				{Name: "HOSTNAME", Value: "h"},
				{Name: "HOME", Value: "/h"},
			},
			[]string{"PATH=/a", "TERM=dumb", "HOSTNAME=h", "HOME=/h"},
		},
		{
			"an empty HOME that was asked for",
			[]config.Variable{{Name: "HOME"}},
			[]string{path, "TERM=xterm", "HOSTNAME=box", "HOME="},
		},
		{
			"the last HOME counts",
			[]config.Variable{{Name: "HOME", Value: "/h"}, {Name: "HOME"}},
			[]string{path, "TERM=xterm", "HOSTNAME=box", "HOME="},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, environment(&config.Container{Env: c.env}, "box", "/root"))
		})
	}
}

// As execvp(3) does, but never in a directory that depends on where the command is started.
func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		command string
		env     []string
		want    []string
	}{
		{"/bin/sh", []string{"PATH=/a"}, []string{"/bin/sh"}},
		{"./a", []string{"PATH=/a"}, []string{"./a"}},
		{"a/b", nil, []string{"a/b"}},
		{"sh", []string{"A=/x", "PATH=/a:/b/:/"}, []string{"/a/sh", "/b/sh", "/sh"}},
		{"sh", []string{"PATH=:rel:.:/a:..:~/b"}, []string{"/a/sh"}},
		{"sh", []string{"PATH="}, nil},
		{"sh", []string{"MYPATH=/a"}, nil},
		{"sh", nil, nil},
	} {
		require.Equal(t, c.want, candidates(c.command, c.env), "%+v", c)
	}
}

// Without a directory to look in the command is not found: that is no error of the runtime.
func TestNoPathIsNotFound(t *testing.T) {
	r, err := parse([]string{"-ns", "pid", "-env", "PATH=rel", "true"})
	require.NoError(t, err)
	_, err = planOnPaper(r.Container)
	require.EqualError(t, err, `exec "true": no absolute directory in PATH`)
	asked := exitError{}
	require.ErrorAs(t, err, &asked)
	require.Equal(t, statusNotFound, asked.status)
}

func TestHostname(t *testing.T) {
	own := &config.Container{Namespaces: unix.CLONE_NEWUTS, Hostname: "box"}
	require.Equal(t, "box", hostname(own))
	own.Namespaces = unix.CLONE_NEWNS
	host, err := os.Hostname()
	require.NoError(t, err)
	require.Equal(t, host, hostname(own))
}

// What copies the rootfs runs in the namespaces of the child, ends with the runtime, and has no
// descriptor but the standard streams and a pipe to say what went wrong.
func TestListOfTheCopier(t *testing.T) {
	for _, user := range []bool{true, false} {
		p, err := plan.New(nil)
		require.NoError(t, err)
		defer p.Free()
		c := &config.Container{Namespaces: unix.CLONE_NEWNS}
		if user {
			c.Namespaces |= unix.CLONE_NEWUSER
		}
		writeInside(p, c, p.Open(100, "runtime"), p.Open(101, "container"),
			p.Open(102, "this program"), p.Open(103, "pipe"), []string{"copy", "/from", "/to"})
		want := []string{
			dieWithParent,
			parentLives,
			`setns(<container>, CLONE_NEWNS)`,
			`rt_sigprocmask(SIG_SETMASK, [])`,
			`close_range(3, ~0, CLOSE_RANGE_CLOEXEC)`,
			`unshare(CLONE_FILES)`,
			`dup3(<pipe>, <child's pipe>, 0)`,
			`dup3(<pipe>, <stderr>, 0)`, // the runtime says what went wrong, and as one line
			`execveat(<this program>, "", ["container", "child", "copy", "/from", "/to"], [], ` +
				`AT_EMPTY_PATH)`,
		}
		if user {
			want = slices.Replace(want, 2, 3,
				`setns(<container>, CLONE_NEWUSER|CLONE_NEWNS)`,
				`setresgid(0, 0, 0)`,
				`setresuid(0, 0, 0)`,
				dieWithParent,
				parentLives)
		}
		require.Equal(t, want, p.Lines())
		for _, call := range p.Calls() {
			require.Empty(t, call.Allowed, call.Line)
		}
	}
}
