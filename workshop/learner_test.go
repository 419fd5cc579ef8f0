//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
)

// withMkdirP is a program of a shell that makes what is missing of its root file system.
const withMkdirP = `#!/bin/sh
test "$1" = run && test -n "$2" || exit 2
shift
unshare --uts --pid --mount --fork sh -c 'mount --rbind rootfs rootfs
mount -t proc proc rootfs/proc
mkdir -p rootfs/old
pivot_root rootfs rootfs/old
cd /
umount -l /old
"$@"' sh "$@"
exit $?
`

// learnerWords are programs of learners who have nothing but what they are told.
var learnerWords = []faulty{
	{
		name:    "words that a shell takes apart",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\n$@\n",
		about:   "step1-skeleton/arguments",
		says:    []string{"In a shell $@ and $* without quotes do that"},
		not:     []string{"system(3)"},
	},
	{
		name:    "words that a shell makes one of",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\nexec sh -c '\"$*\"' sh \"$@\"\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`became one, "echo the command ran"`, `In a shell "$*" makes one word`},
	},
	{
		name:    "words that become one, in another language",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nexec { \"@ARGV\" } \"@ARGV\";\n",
		about:   "step1-skeleton/command-runs",
		says:    []string{`became one, "echo the command ran"`},
		not:     []string{"In a shell"},
	},
	{
		name:    "a command in the background, without input",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\n\"$@\" &\nwait $!\n",
		about:   "step1-skeleton/streams",
		says:    []string{"got nothing to read", "exec 3<&0 before"},
	},
	{
		name:    "no input, and nothing in the background",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\ntrue <&0 && \"$@\" </dev/null 2>&1\n",
		about:   "step1-skeleton/streams",
		says:    []string{"got nothing to read"},
		not:     []string{"exec 3<&0 before"},
	},
	{
		name:    "a script that ends with the status of its last line",
		step:    "step1-skeleton",
		program: "#!/bin/sh\nshift\n\"$@\"\necho over >&2\n",
		about:   "step1-skeleton/exit-status",
		says:    []string{"keep it at once, status=$?"},
	},
	{
		name:    "unshare(1) without a child",
		step:    "step2-namespaces",
		passed:  true,
		program: "#!/bin/sh\nshift\nexec unshare --uts --pid --mount \"$@\"\n",
		about:   "step2-namespaces/hostname-in",
		says:    []string{"So fork(2) comes next", "unshare(1) does that with --fork"},
	},
	{
		name: "a pid namespace for another thread",
		step: "step2-namespaces",
		program: "#!/usr/bin/env python3\nimport ctypes, os, sys, threading, warnings\n" +
			"libc = ctypes.CDLL(None)\nlibc.unshare(0x4020000)\n" +
			"t = threading.Thread(target=lambda: libc.unshare(0x20000000))\nt.start()\nt.join()\n" +
			"if os.fork() == 0:\n    libc.mkdir(b'/tmp', 0o700)\n" +
			"    os.execvp(sys.argv[2], sys.argv[2:])\n" +
			"sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) % 256)\n",
		passed: true,
		about:  "step2-namespaces/pid-1",
		says:   []string{"another thread of the process started it"},
		not:    []string{"EEXIST"},
	},
	{
		name:    "an empty directory in the place of a root file system",
		step:    "step3-rootfs",
		passed:  true,
		program: withMkdirP,
		about:   "step3-rootfs/rootfs-missing",
		says: []string{
			"pivot_root(\"rootfs\", \"rootfs/old\"): EINVAL",
			"made an empty directory in its place",
		},
		not: []string{"has to be a mount point"},
	},
	{
		name:   "no directory for proc, in the words of a tool",
		step:   "step3-rootfs",
		passed: true,
		program: "#!/bin/sh\ntest -d rootfs || { echo no rootfs >&2; exit 125; }\n" +
			withMkdirP[len("#!/bin/sh\n"):],
		about: "step3-rootfs/rootfs-without-proc",
		says:  []string{"has no directory proc, on purpose, and something says so: \"mount: "},
	},
	{
		name: "a path that is no text",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'rootfs', b'rootfs', None, 0x5000, None)\n"+
			"libc.pivot_root(b'\\xff\\xfe', b'rootfs/mnt')"),
		passed: true,
		about:  "step3-rootfs/root-is-rootfs",
		says:   []string{"pivot_root(..., ", "bytes that cannot be shown", "first zero byte"},
	},
	{
		name: "a path that is empty",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.chroot(b'')"),
		passed: true,
		about:  "step3-rootfs/root-is-rootfs",
		says:   []string{"is empty, or has bytes", "with its length"},
	},
	{
		name: "a path with letters of another alphabet",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'rootfs', b'rootfs', None, 0x5000, None)\n"+
			"libc.pivot_root('r\\u00f6\\u00f6t'.encode(), b'rootfs/mnt')"),
		passed: true,
		about:  "step3-rootfs/root-is-rootfs",
		says:   []string{"pivot_root(\"r\u00f6\u00f6t\""},
		not:    []string{"cannot be shown"},
	},
	{
		name: "an unmount of the old root that is refused",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'rootfs', b'rootfs', None, 0x5000, None)\n"+
			"libc.mount(b'proc', b'rootfs/proc', b'proc', 0, None)\n"+
			"libc.pivot_root(b'rootfs', b'rootfs/mnt')\nos.chdir('/')\n"+
			"libc.umount2(b'/mnt', 0)\nlibc.umount2(b'/bin', 0)"),
		passed: true,
		about:  "step3-rootfs/host-mountinfo",
		says: []string{
			"the old root is still mounted",
			`tried to unmount it, and umount2("/mnt", 0x0) failed with EBUSY`,
		},
		not: []string{`and umount2("/bin"`, "tried that"},
	},
	{
		name: "an old root that nobody put anywhere",
		step: "step3-rootfs",
		program: inNamespaces("0x20020000", "libc.mount(None, b'/', None, 0x44000, None)\n"+
			"libc.mount(b'rootfs', b'rootfs', None, 0x5000, None)\n"+
			"libc.umount2(b'/old', 2)"),
		passed: true,
		about:  "step3-rootfs/root-is-rootfs",
		says:   []string{"There is no /old.", "none of your processes is known"},
		not:    []string{"After pivot_root"},
	},
	{
		name: "a second copy that does not know its word",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nexec($0, 'child', @ARGV[1..$#ARGV]) if $ARGV[0] eq 'run';\n" +
			"print STDERR \"unknown command\\n\";\nexit 2;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`again with the word "child", and does not know that word`},
	},
	{
		name: "a second copy that does not know the word after its own",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nexec($0, 'child', @ARGV[1..$#ARGV]) if $ARGV[0] eq 'run';\n" +
			"print STDERR \"unknown command: $ARGV[1]\\n\";\nexit 2;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"unknown command: "},
		not:   []string{"does not know that word"},
	},
	{
		name: "an error that has all the words in it",
		step: "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nexec @ARGV if @ARGV < 2;\n" +
			"exec { \"/opt/$ARGV[0]\" } @ARGV or " +
			"print STDERR \"container: @ARGV: not found\\n\";\nexit 127;\n",
		about: "step1-skeleton/command-runs",
		says:  []string{"/opt/echo"},
		not:   []string{"became one"},
	},
	{
		name: "a directory of its own for the root, where there is no root file system",
		step: "step3-rootfs",
		program: "#!/bin/sh\ntest \"$1\" = run && test -n \"$2\" || exit 2\nshift\n" +
			"dir=$(mktemp -d) && mkdir $dir/rootfs && trap 'rm -r $dir' EXIT\n" +
			"test -d rootfs || { echo none; exit 1; }\n" +
			withMkdirP[strings.Index(withMkdirP, "unshare"):],
		passed: true,
		about:  "step3-rootfs/rootfs-missing",
		not:    []string{"in its place", "went on"},
	},
	{
		name: "another command before the one that fails",
		step: "step3-rootfs",
		program: "#!/usr/bin/python3\nimport os, sys\nos.chroot('rootfs')\nos.chdir('/')\n" +
			"if os.fork() == 0: os.execv('/bin/date', ['date'])\nos.wait()\n" +
			"try: os.execv('/opt/' + sys.argv[2], sys.argv[2:])\nexcept OSError: pass\n",
		about: "step1-skeleton/command-runs",
		says:  []string{`executed true: execve("/opt/true") failed with ENOENT`},
		not:   []string{"in its place"},
	},
	{
		name:    "a program that fails after the command",
		step:    "step1-skeleton",
		program: "#!/usr/bin/perl\nshift;\nsystem { $ARGV[0] } @ARGV;\nexit 3;\n",
		about:   "step1-skeleton/command-runs",
		not:     []string{"and ended with 3"},
	},
}

// TestLearnerWords lets programs of learners be told of their faults.
func TestLearnerWords(t *testing.T) { requireWords(t, 2, learnerWords, true) }

// writtenScript is a file with this text, called container.
func writtenScript(t *testing.T, text string) string {
	path := filepath.Join(t.TempDir(), "container")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o755))
	return path
}

// TestWholeNumbers tells that a shell has no others, and no other program of that.
func TestWholeNumbers(t *testing.T) {
	t.Parallel()
	for said, tells := range map[string]bool{
		"container: 3: arithmetic expression: expecting EOF: \"0.5 * 100000\"\n": true,
		"container: line 3: 0.5 * 100000 : syntax error: invalid arithmetic operator (error " +
			"token is \".5 * 100000 \")\n": true,
		"container: 3: arithmetic expression: expecting primary: \" * 100000\"\n": false,
		"container: 3: Syntax error: \"(\" unexpected\n":                          false,
		"mine 0.5: syntax error near line 3\n":                                    false,
	} {
		e := harness.Event{Program: writtenScript(t, "#!/bin/sh\n")}
		e.Background = []harness.Background{{State: "exit status 2", Stderr: said}}
		require.Equal(t, tells, wholeNumbers(e) != "", said)
		e.Program = writtenScript(t, "#!/usr/bin/perl\n")
		require.Empty(t, wholeNumbers(e))
	}
}

// TestForkOfTool looks at the options of unshare(1), and not at those of its command.
func TestForkOfTool(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words []string
		tells bool
	}{
		{[]string{"unshare", "--pid", "true"}, true},
		{[]string{"unshare", "-Up", "true", "-f"}, true},
		{[]string{"unshare", "-pf", "true"}, false},
		{[]string{"unshare", "--pid", "--kill-child", "true"}, false},
		{[]string{"unshare", "--mount", "ps", "-p"}, false},
		{[]string{"mount", "--pid"}, false},
	} {
		of := cause{event: harness.Event{}}
		of.event.Conduct = &harness.Conduct{
			Ran: []string{"/usr/bin/" + c.words[0]}, Words: [][]string{c.words},
		}
		require.Equal(t, c.tells, of.forkOfTool() != "", "%q", c.words)
	}
}

// TestMadeByOtherWords takes the call from the line that panicked, where the words do not name it.
func TestMadeByOtherWords(t *testing.T) {
	t.Parallel()
	for line, call := range map[string]string{
		`fs::create_dir("old").unwrap();`:      "mkdirat",
		`let x: u8 = fail("there").unwrap();`:  "",
		`fs::hard_link("old", "new").unwrap()`: "",
	} {
		program := writtenScript(t, "")
		source := filepath.Join(filepath.Dir(program), "mkdir.rs")
		require.NoError(t, os.WriteFile(source, []byte(line+"\n"), 0o644))
		e := harness.Event{Program: program}
		e.Message = "unexpected exit status 101, and not 0"
		e.Stderr = "thread 'main' panicked at mkdir.rs:1:1:\ncalled `Result::unwrap()` on an " +
			"`Err` value: Os { code: 17, kind: AlreadyExists, message: \"File exists\" }\n"
		require.Equal(t, call, findCause(e).call, line)
	}
}

// TestRightNotToRun tells of the status of a program that is right not to run the command.
func TestRightNotToRun(t *testing.T) {
	t.Parallel()
	e := harness.Event{Program: writtenScript(t, "#!/usr/bin/perl\n")}
	e.Script.Step, e.Script.Name = "step4-cgroups", "limits-bad"
	e.Ran = "exits 2 container run -memory 64X echo unlimited"
	e.Message, e.Stderr = "exit status 255, want 2", "bad -memory\n"
	e.Conduct = &harness.Conduct{}
	require.Contains(t, rightNotToRun(e), "that is right here")
	require.Contains(t, rightNotToRun(e), "die of Perl")
	e.Program = writtenScript(t, "#!/bin/sh\n")
	require.NotContains(t, rightNotToRun(e), "Perl")
	e.Conduct.Ran = []string{"/bin/echo"}
	require.Empty(t, rightNotToRun(e), "the command was executed")
}

// TestDecimal takes thousands for what they are, and nothing else.
func TestDecimal(t *testing.T) {
	t.Parallel()
	for bytes, thousands := range map[string]string{
		"67108864": "64000000", "1073741824": "999997440", "100663296": "95997952", "1": "",
		"max": "", "0": "",
	} {
		if os.Getpagesize() == 4096 {
			require.Equal(t, thousands, decimal(bytes), bytes)
		}
	}
}

// TestLastCallsOfLanguage leaves out what a language looks for.
func TestLastCallsOfLanguage(t *testing.T) {
	t.Parallel()
	for path, tells := range map[string]bool{
		"/etc/perl/strict.pmc": false, "/opt/lib/main.rb": false, "/srv/letter": true,
	} {
		e := harness.Event{}
		e.Conduct = &harness.Conduct{Refused: []harness.Refusal{{
			Call: "newfstatat", Text: `newfstatat(AT_FDCWD, "` + path + `")`, Errno: "ENOENT",
			Looks: true,
		}}}
		require.Equal(t, tells, lastCalls(e) != "", path)
	}
}

// TestRootOfBoth tells of a cgroup that is out of reach because another process changed the root.
func TestRootOfBoth(t *testing.T) {
	t.Parallel()
	const removal = `rmdir("/sys/fs/cgroup/memory/mine")`
	unshare := harness.Step{Text: "unshare(CLONE_NEWPID|CLONE_NEWNS)"}
	pivot := harness.Step{Text: `pivot_root("rootfs", "rootfs/old")`, Process: 1}
	ofChild, own := unshare, pivot
	ofChild.Process, own.Process = 1, 0
	another := harness.Step{Text: "clone(CLONE_NEWNS)"}
	for _, c := range []struct {
		name  string
		steps []harness.Step
		tells bool
	}{
		{"both in the namespace", []harness.Step{unshare, pivot}, true},
		{"only the child", []harness.Step{ofChild, pivot}, false},
		{"its own call", []harness.Step{unshare, own}, false},
		{"no new root", []harness.Step{unshare}, false},
		{"one namespace in another", []harness.Step{unshare, another, pivot}, false},
		{"removed before", []harness.Step{unshare, pivot, {Text: removal}}, false},
	} {
		of := cause{
			call: "rmdir", errno: "ENOENT", text: removal, seen: true, inside: true,
			path: "/sys/fs/cgroup/memory/mine",
		}
		of.event.Conduct = &harness.Conduct{
			Steps: append(c.steps, harness.Step{Text: removal, Errno: "ENOENT"}),
		}
		require.Equal(t, c.tells, rootOfBoth(of) != "", c.name)
	}
}

// TestTerminalAmiss tells what is missing of a terminal.
func TestTerminalAmiss(t *testing.T) {
	t.Parallel()
	const onScreen = "exec script -c 'container run sh -c \"echo session\"'"
	for _, c := range []struct {
		script, ran, line, stdout, stderr, waiting string
		says                                       string
	}{
		{
			script: "terminal-default", ran: onScreen,
			line: "stdout 'session [1-9]'", stdout: "session 0\r\n", says: "a session of its own",
		},
		{
			script: "terminal-default", ran: onScreen,
			line: "stdout 'session [1-9]'", stdout: "sh: not found\r\n",
		},
		{
			script: "terminal", ran: "exec container run -tty sh -c 'test -t 2 && echo three'",
			line: "stdout '^three'", stdout: "controlling\n", says: "on each of the three",
		},
		{
			script: "terminal", ran: "exec container run -tty sh -c 'test -t 2 && echo three'",
			line: "stdout '^three'", stdout: "\n",
		},
		{
			script: "terminal-type", ran: "exec container run -tty cat", line: "exec container run",
			waiting: "`cat` was in read(2), waiting for input from standard input (/dev/pts/0)",
			says:    "VEOF",
		},
		{
			script: "terminal-type", ran: "exec container run -tty cat", line: "exec container run",
			waiting: "`container run -tty cat` was in futex(2), waiting for another thread",
		},
		{
			script: "terminal-type", ran: "exec container run -tty cat", line: "stdout hello",
			says: "nothing of that came out",
		},
		{
			script: "terminal-type", ran: "exec container run -tty cat", line: "stdout hello",
			stderr: "container: no terminal\n",
		},
		{
			script: "terminal", ran: "exec sh -c 'container run -tty printf %066536d 0 | wc -c'",
			line: "stdout '^66536$'", stdout: "61435\n", says: "Of 66536 bytes 61435 arrived",
		},
		{
			script: "terminal", ran: "exec sh -c 'container run -tty printf %066536d 0 | wc -c'",
			line: "stdout '^66536$'", stdout: "66537\n",
		},
		{
			script: "terminal-devpts", ran: "exec container run -user 1000 sh",
			line:   "stdout after",
			stderr: "sh: can't create /dev/ptmx: Permission denied\n", says: "ptmxmode=0666",
		},
		{
			script: "terminal-devpts", ran: "exec container run sh", line: "stdout after",
			stderr: "sh: can't create /dev/ptmx: Permission denied\n",
		},
	} {
		e := harness.Event{Script: harness.Script{Name: c.script}}
		e.Script.File = filepath.Join(t.TempDir(), "script")
		require.NoError(t, os.WriteFile(e.Script.File, []byte(c.line+"\n"), 0o644))
		e.Line, e.Ran, e.Message = 1, c.ran, "no match"
		e.Stdout, e.Stderr, e.Waiting = c.stdout, c.stderr, c.waiting
		require.Contains(t, terminalAmiss(e), c.says)
		require.Equal(t, c.says == "", terminalAmiss(e) == "", "%+v", c)
	}
}

// TestSameAddress asks whether two containers have one address where nothing says otherwise.
func TestSameAddress(t *testing.T) {
	t.Parallel()
	for stdout, tells := range map[string]bool{
		"from the first\n":                  true,
		"from the first\nanother address\n": false,
		"":                                  false,
	} {
		e := harness.Event{Script: harness.Script{Name: "network-neighbours"}}
		e.Stdout = stdout
		e.Stderr = "wget: can't connect to remote host (10.201.0.2): Connection refused\n"
		require.Equal(t, tells, sameAddress(e) != "", stdout)
	}
}

// TestLinksMissing tells of the links that the command did not find, and of no other file.
func TestLinksMissing(t *testing.T) {
	t.Parallel()
	const (
		stdin, fd = "from /dev/stdin to", "from /dev/fd to"
		cannot    = "cat: can't open '"
		missing   = "': No such file or directory\n"
	)
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("stdout '^out$'\n"), 0o644))
	for _, c := range []struct{ stdout, stderr, says, not string }{
		{"out\n", cannot + "/dev/stdin" + missing, stdin, fd},
		{"out\n", cannot + "/dev/fd/0" + missing, fd, stdin},
		{"in\nfd\n", "err\n", "/dev/stdout did not arrive", ""},
		{"", "err\n", "", "/dev"},
		{"out\n", cannot + "/dev/stdin': Permission denied\n", "", "/dev"},
		{"out\nin\n", "err\n", "", "/dev"},
	} {
		e := harness.Event{}
		e.Script = harness.Script{Step: "step5-complete", Name: "dev", File: script}
		e.Line, e.Ran = 1, "exec container run sh -c 'echo in | cat /dev/stdin; cat /dev/fd/0'"
		e.Stdout, e.Stderr = c.stdout, c.stderr
		require.Contains(t, linksMissing(e), c.says)
		if c.not != "" {
			require.NotContains(t, linksMissing(e), c.not)
		}
	}
}

// TestAttributesRefused tells of the option that an overlay needs in a user namespace, and where it
// has that, nothing.
func TestAttributesRefused(t *testing.T) {
	t.Parallel()
	const (
		data   = "lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work"
		failed = "rm: can't remove '/old': Input/output error\n"
	)
	for _, c := range []struct {
		clone, data, stderr string
		tells               bool
	}{
		{"CLONE_NEWUSER", data, failed, true},
		{"CLONE_NEWUSER", data + ",userxattr", failed, false},
		{"CLONE_NEWNS", data, failed, false},
		{"CLONE_NEWUSER", data, "rm: can't remove '/old': No such file or directory\n", false},
	} {
		e := harness.Event{Script: harness.Script{Step: "step5-complete", Name: "layers"}}
		e.Stderr = c.stderr
		e.Conduct = &harness.Conduct{Made: []string{
			"clone(" + c.clone + ")",
			`mount("overlay", "/tmp/root", "overlay", MS_NODEV, "` + c.data + `")`,
		}}
		require.Equal(t, c.tells, attributesRefused(e) != "", "%+v", c)
	}
}

// TestStreamClosed tells which descriptor of the command was closed.
func TestStreamClosed(t *testing.T) {
	t.Parallel()
	for said, says := range map[string]string{
		"runtime: standard file descriptor 1 closed, errno=9\n": "Descriptor 1",
		"cat: read error: Bad file descriptor\n":                "or not open for reading",
		"cat: letter: Bad file descriptor\n":                    "",
	} {
		e := harness.Event{}
		e.Stderr = said
		e.Ran = "exec container run cat"
		e.Conduct = &harness.Conduct{Ran: []string{"/bin/cat"}, Words: [][]string{{"cat"}}}
		require.Contains(t, streamClosed(e), says)
		require.Equal(t, says == "", streamClosed(e) == "")
		e.Conduct.Ran = []string{"/bin/sh"}
		require.Empty(t, streamClosed(e), "it was not executed")
	}
}

// TestUnnamedChild takes the word with which a program started itself again for the one that it
// does not know, unless that may be another one.
func TestUnnamedChild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		word, said string
		tells      bool
	}{
		{"child", "unknown command\n", true},
		{"child", "unknown command: fly\n", false},
		{"run", "unknown command\n", false},
		{"true", "unknown command\n", false},
		{"/bin/fly", "unknown command\n", false},
	} {
		e := harness.Event{}
		e.Ran, e.Stderr = "exec container run true", c.said
		e.Conduct = &harness.Conduct{
			Ran: []string{"/proc/self/exe"}, Words: [][]string{{"container", c.word, "true"}},
		}
		require.Equal(t, c.tells, unnamedChild(e) != nil, "%+v", c)
	}
}

// TestUnsharedForOthers tells of a pid namespace in which the command is not, unless a process may
// have left that for another one.
func TestUnsharedForOthers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		stdout, made string
		parent       int
		tells        bool
	}{
		{"process 4711, child of 4710\n", "", 0, true},
		{"process 1, child of 0\n", "", 0, false},
		{"process 4711, child of 4710\n", "setns(3, CLONE_NEWPID)", 0, false},
		{"process 4711, child of 4710\n", "", 1, false},
	} {
		of := cause{event: harness.Event{}}
		of.event.Ran, of.event.Stdout = "exec container run true", c.stdout
		of.event.Conduct = &harness.Conduct{
			Made: []string{"unshare(CLONE_NEWPID)", c.made},
			Steps: []harness.Step{
				{Text: "unshare(CLONE_NEWPID)", Process: 2 * c.parent, Parent: 0},
				{Text: "chdir(\"/\")", Process: 1},
				{Text: "execve(\"/bin/true\")", Process: 3, Parent: c.parent},
			},
		}
		require.Equal(t, c.tells, of.unsharedForOthers() != "", "%+v", c)
	}
}

// TestThereAlready does not tell of a directory that a tool found there, or that was there when the
// command was executed all the same.
func TestThereAlready(t *testing.T) {
	t.Parallel()
	const made = `mkdir("/srv/mine")`
	for _, c := range []struct {
		by, ran      string
		tells, facts bool
	}{
		{"", "/proc/self/exe", true, true},
		{"/usr/bin/mkdir", "/proc/self/exe", false, false},
		{"", "/bin/true", false, false},
	} {
		e := harness.Event{}
		e.Script.Step, e.Script.Name = "step1-skeleton", "command-runs"
		e.Ran, e.Message = "exec container run true", "exit status 1"
		e.Conduct = &harness.Conduct{
			Ran: []string{c.ran}, Words: [][]string{{"true"}},
			Refused: []harness.Refusal{{Call: "mkdir", Text: made, Errno: "EEXIST", By: c.by}},
		}
		require.Equal(t, c.tells, strings.Contains(lastCalls(e), made), "%+v", c)
		require.Equal(t, c.facts, strings.Contains(facts(e), made), "%+v: %s", c, facts(e))
	}
}
