//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTraces reads what the runtimes of several languages write of a program that has a bug: the
// error, and the innermost line of the program itself.
func TestTraces(t *testing.T) {
	for _, c := range []struct {
		name, stderr, want string
	}{
		{
			name: "Ruby",
			stderr: "/usr/lib/ruby/3.1.0/fileutils.rb:1394:in `initialize': No such file or " +
				"directory @ rb_sysopen - true (Errno::ENOENT)\n" +
				"\tfrom /usr/lib/ruby/3.1.0/fileutils.rb:1394:in `open'\n" +
				"\tfrom /srv/mine.rb:7:in `prepare'\n\tfrom /srv/mine.rb:20:in `<main>'\n",
			want: "Errno::ENOENT: No such file or directory @ rb_sysopen - true\n" +
				"at /srv/mine.rb:7",
		},
		{
			name: "Ruby 3.4",
			stderr: "/srv/mine.rb:3:in 'Object#prepare': undefined method 'x' for nil " +
				"(NoMethodError)\n\tfrom /srv/mine.rb:9:in '<main>'\n",
			want: "NoMethodError: undefined method 'x' for nil\nat /srv/mine.rb:3",
		},
		{
			name: "Python in another root, where it cannot read its own files",
			stderr: "Traceback (most recent call last):\n" +
				"  File \"/srv/mine\", line 9, in <module>\n" +
				"  File \"/srv/mine\", line 4, in child\n" +
				"  File \"<frozen os>\", line 574, in execvp\n" +
				"ValueError: execv() arg 2 first element cannot be empty\n",
			want: "ValueError: execv() arg 2 first element cannot be empty\nat /srv/mine:4",
		},
		{
			name: "Python, an error of syntax in a module",
			stderr: "Traceback (most recent call last):\n" +
				"  File \"<frozen runpy>\", line 189, in _run_module_as_main\n" +
				"  File \"/srv/mine/main.py\", line 81\n    name = config\"_\"\n" +
				"                 ^^^\nSyntaxError: invalid syntax\n",
			want: "SyntaxError: invalid syntax\nat /srv/mine/main.py:81: name = config\"_\"",
		},
		{
			name: "Rust",
			stderr: "thread 'main' panicked at src/main.rs:77:21:\nmkdir failed:\n" +
				"ENOENT: No such file or directory\nnote: run with `RUST_BACKTRACE=1`\n",
			want: "panic: mkdir failed: ENOENT: No such file or directory\nat src/main.rs:77:21",
		},
		{
			name: "Nim",
			stderr: "/srv/mine.nim(18) mine\n/srv/mine.nim(4) prepare\n" +
				"/usr/lib/nim/lib/pure/os.nim(1885) copyFile\n" +
				"Error: unhandled exception: No such file or directory\n" +
				"Additional info: true [OSError]\n",
			want: "OSError: No such file or directory Additional info: true\n" +
				"at /srv/mine.nim:4",
		},
		{
			name: "OCaml",
			stderr: "Fatal error: exception Unix.Unix_error(Unix.ENOENT, \"chroot\", " +
				"\"nowhere\")\n",
			want: "exception Unix.Unix_error(Unix.ENOENT, \"chroot\", \"nowhere\")",
		},
		{
			name: "OCaml with a trace, which begins in its library",
			stderr: "Fatal error: exception Not_found\n" +
				"Raised at Stdlib__List.find in file \"list.ml\", line 224, characters 10-25\n" +
				"Called from Main in file \"bin/main.ml\", line 5, characters 18-49\n",
			want: "exception Not_found\nat bin/main.ml:5",
		},
		{
			name:   "OCaml that is not compiled",
			stderr: "Exception: Failure \"bad command\".\n",
			want:   "exception Failure \"bad command\".",
		},
		{
			name:   "an error that is called an exception",
			stderr: "Exception: could not change the root\n",
		},
		{
			name: "a warning of Perl",
			stderr: "Use of uninitialized value $str in concatenation (.) or string at " +
				"/srv/mine.pl line 4.\n",
		},
		{
			name: "Ada",
			stderr: "\nraised ADA.IO_EXCEPTIONS.USE_ERROR : creation of new directory " +
				"\"/proc/x\" failed\n",
			want: "ADA.IO_EXCEPTIONS.USE_ERROR: creation of new directory \"/proc/x\" failed",
		},
		{
			name:   "Ada with a place",
			stderr: "\nraised CONSTRAINT_ERROR : mine.adb:5 index check failed\n",
			want:   "CONSTRAINT_ERROR: index check failed\nat mine.adb:5",
		},
		{
			name: "Crystal",
			stderr: "Unhandled exception: Unable to create directory: '/proc/x': No such file or " +
				"directory (File::NotFoundError)\n" +
				"  from /usr/lib/crystal/lib/dir.cr:278:5 in 'mkdir'\n" +
				"  from mine.cr:2:3 in 'prepare'\n  from mine.cr:4:1 in '__crystal_main'\n",
			want: "File::NotFoundError: Unable to create directory: '/proc/x': No such file or " +
				"directory\nat mine.cr:2",
		},
		{
			name: "D",
			stderr: "std.file.FileException@/usr/lib/gcc/d/std/file.d(2945): /proc/x: No such " +
				"file or directory\n----------------\n/usr/lib/gcc/d/std/file.d:283 @trusted " +
				"bool std.file.cenforce(bool) [0x55]\n/srv/mine.d:2 void mine.prepare() [0x55]\n" +
				"/srv/mine.d:3 _Dmain [0x55]\n",
			want: "std.file.FileException: /proc/x: No such file or directory\nat /srv/mine.d:2",
		},
		{
			name: "D without names of functions",
			stderr: "object.Exception@mine.d(1): could not mount\n----------------\n" +
				"??:? _Dmain [0x55]\n",
			want: "object.Exception: could not mount\nat mine.d:1",
		},
		{
			name: "Haskell",
			stderr: "mine: could not mount\nCallStack (from HasCallStack):\n" +
				"  error, called at mine.hs:3:11 in main:Main\n",
			want: "panic: could not mount\nat mine.hs:3",
		},
		{
			name: "Common Lisp",
			stderr: "Unhandled SB-INT:SIMPLE-FILE-ERROR in thread #<SB-THREAD:THREAD \"main " +
				"thread\" RUNNING\n                          {1001348003}>:\n" +
				"  The path #P\"/proc/x\" does not exist.\n\nBacktrace for: #<SB-THREAD>\n" +
				"0: (SB-DEBUG::DEBUGGER-DISABLED-HOOK)\n",
			want: "SB-INT:SIMPLE-FILE-ERROR: The path #P\"/proc/x\" does not exist.",
		},
		{
			name: "Lua",
			stderr: "lua5.4: mine.lua:1: could not mount\nstack traceback:\n" +
				"\t[C]: in function 'error'\n\tmine.lua:1: in local 'prepare'\n" +
				"\tmine.lua:2: in main chunk\n\t[C]: in ?\n",
			want: "panic: could not mount\nat mine.lua:1",
		},
		{
			name: "Pascal",
			stderr: "An unhandled exception occurred at $0000000000401094:\n" +
				"Exception: could not chroot\n  $0000000000401094  PREPARE,  line 5 of mine.pas\n",
			want: "Exception: could not chroot",
		},
		{
			name: "PHP",
			stderr: "PHP Fatal error:  Uncaught Error: Call to undefined function contain() in " +
				"/srv/mine.php:3\nStack trace:\n#0 {main}\n  thrown in /srv/mine.php on line 3\n",
			want: "Error: Call to undefined function contain()\nat /srv/mine.php:3",
		},
		{
			name: "Node",
			stderr: "node:fs:573\n  return binding.open(\n                 ^\n\n" +
				"Error: ENOENT: no such file or directory, open 'letter'\n" +
				"    at Object.openSync (node:fs:573:18)\n" +
				"    at prepare (/srv/mine.js:2:4)\n    at /srv/mine.js:5:1\n",
			want: "Error: ENOENT: no such file or directory, open 'letter'\nat /srv/mine.js:2",
		},
		{
			name: "Java",
			stderr: "Exception in thread \"main\" java.io.IOException: error=2, No such file\n" +
				"\tat Mine.prepare(Mine.java:7)\n\tat Mine.main(Mine.java:3)\n",
			want: "java.io.IOException: error=2, No such file\nat Mine.java:7",
		},
		{
			name: "Perl",
			stderr: "Use of uninitialized value $x in exec at /srv/mine.pl line 2.\n" +
				"chroot: No such file or directory at /srv/mine.pl line 3.\n",
			want: "panic: chroot: No such file or directory\nat /srv/mine.pl:3",
		},
		{
			name: "a warning of Perl",
			stderr: "Use of uninitialized value $x in exec at /srv/mine.pl line 2.\n" +
				"container: it failed\n",
		},
		{
			name:   "words of the program",
			stderr: "mine: in 'rootfs': no such file (Error)\nError: it failed\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, panicked(c.stderr)) })
	}
}

// TestTraceShowsTheLine requires the text of the line where a program is known by its source.
func TestTraceShowsTheLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "mine.rb")
	require.NoError(t, os.WriteFile(file, []byte("# mine\n  prepare(ARGV)\n"), 0o644))
	said := panicked(file + ":2:in `<main>': undefined method (NoMethodError)\n")
	require.Contains(t, said, "mine.rb:2: prepare(ARGV)")
}

func TestWithSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := filepath.Join(dir, "src", "main.rs")
	require.NoError(t, os.MkdirAll(filepath.Dir(source), 0o755))
	require.NoError(t, os.WriteFile(source, []byte("fn main() {\n    chroot().unwrap();\n}\n"),
		0o644))
	program := filepath.Join(dir, "target", "debug", "mine")
	require.Contains(t, withSource("panic: no\nat src/main.rs:2:14", program),
		"src/main.rs:2: chroot().unwrap();")
	require.Equal(t, "panic: no\nat lib/main.rs:2:14", withSource("panic: no\nat lib/main.rs:2:14",
		program))
	require.Equal(t, "panic: no", withSource("panic: no", program))
}

// TestFailedAt requires that the line of an error is one that was run.
func TestFailedAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       int // from the first line of the body
	}{
		{name: "the last", body: "err := a()\nerr = b()\npanic(err)", want: 2},
		{
			name: "one of several branches",
			body: "var err error\nswitch os.Args[1] {\ncase \"run\":\nerr = a()\n" +
				"case \"load\":\nerr = b()\n}\nif err != nil {\npanic(err)\n}",
			want: 9,
		},
		{
			name: "the only branch",
			body: "var err error\nif len(os.Args) > 1 {\nerr = a()\n}\npanic(err)",
			want: 3,
		},
		{
			name: "another variable of a branch",
			body: "err := a()\nif true {\nerr := b()\n_ = err\n}\npanic(err)",
			want: 1,
		},
		{
			name: "the branch of the panic",
			body: "err := a()\nif true {\nerr = b()\nif err != nil {\npanic(err)\n}\n}",
			want: 3,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			const head = "package main\n\nfunc main() {\n"
			text := head + c.body + "\n}\n"
			before, _, _ := strings.Cut(text, "panic(err)")
			line := strings.Count(before, "\n") + 1
			got := failedAt("main.go", []byte(text), line) - strings.Count(head, "\n")
			require.Equal(t, c.want, got)
		})
	}
}

// TestOnlyPanics requires that a function which looks at an error, and ends the program, is not the
// place where that came from.
func TestOnlyPanics(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		"if err != nil {\n\tpanic(err)\n}":                                                true,
		"if e, ok := err.(*exec.ExitError); ok {\n\tos.Exit(e.ExitCode())\n}\npanic(err)": true,
		"var e *exec.ExitError\nif errors.As(err, &e) {\n\ts := e.Sys().(syscall.WaitStatus)\n" +
			"\tif s.Signaled() {\n\t\tos.Exit(128 + int(s.Signal()))\n\t}\n" +
			"\tos.Exit(s.ExitStatus())\n}\nlog.Fatal(err)": true,
		"if err := cmd.Run(); err != nil {\n\tpanic(err)\n}": false,
	} {
		const head = "package main\n\nfunc must(err error) {\n"
		require.Equal(t, want, onlyPanics("main.go", []byte(head+body+"\n}\n"), 4), body)
	}
}

// TestStatusTwo requires that the exit status 2 of a program is told to be one of wrong usage
// only where nothing says otherwise: some languages end so with an exception, or with
// errno, ENOENT.
func TestStatusTwo(t *testing.T) {
	for stderr, want := range map[string]string{
		"":                               "2",
		"container: no command to run\n": "2 (wrong usage)",
		"chroot failed: No such file or directory":          "2",
		"./mine: 12: Cannot fork\n":                         "2",
		"./mine: line 3: syntax error near `fi'\n":          "2",
		"container: 3 words are too many\n":                 "2 (wrong usage)",
		"Fatal error: exception Failure(\"bad command\")\n": "2 (a panic)",
	} {
		require.Equal(t, want, meaningOf("2", stderr), stderr)
	}
}
