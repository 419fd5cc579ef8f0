//go:build linux

package inject

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/skip"
)

// run runs a command of the shell with a fault.
func run(t *testing.T, command string, fault *Fault, timeout time.Duration) Result {
	t.Helper()
	r, err := Program{
		Path: "/bin/sh",
		Args: []string{"sh", "-c", command},
		Dir:  t.TempDir(),
		Env:  []string{"PATH=/bin:/usr/bin", "LC_ALL=C"},
	}.Run(fault, timeout)
	require.NoError(t, err)
	return r
}

// find finds the only call that a process makes and that has a text in print.
func find(t *testing.T, r Result, process int, name, text string) Point {
	t.Helper()
	var found []Call
	for _, c := range r.Calls {
		isIt := strings.HasPrefix(c.Text, name+"(") && strings.Contains(c.Text, text)
		if isIt && c.Process == process {
			found = append(found, c)
		}
	}
	require.Len(t, found, 1, "%s of %s", name, text)
	return found[0].Point
}

func TestProgramIsAsItIs(t *testing.T) {
	r := run(t, "echo out; echo err >&2; exit 7", nil, time.Minute)
	require.Equal(t, 7, r.Status.ExitStatus())
	require.Equal(t, "out\n", r.Stdout)
	require.Equal(t, "err\n", r.Stderr)
	require.Empty(t, r.Hung)
	find(t, r, 0, "write", `"out\n"`)
	find(t, r, 0, "write", `"err\n"`)
}

func TestCallFails(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(file, []byte("text\n"), 0o644))
	command := "cat " + file + "; true" // true: cat is a process of its own
	opened := find(t, run(t, command, nil, time.Minute), 1, "openat", file)
	require.Equal(t, 1, opened.Image)
	for errno, want := range map[unix.Errno]string{
		unix.EIO:    "Input/output error",
		unix.EEXIST: "File exists",
	} {
		r := run(t, command, &Fault{Point: opened, Errno: errno}, time.Minute)
		require.True(t, r.Reached)
		require.Empty(t, r.Stdout)
		require.Contains(t, r.Stderr, want)
	}
	never := opened
	never.Nth = 99
	r := run(t, command, &Fault{Point: never, Errno: unix.EIO}, time.Minute)
	require.False(t, r.Reached)
	require.Equal(t, "text\n", r.Stdout)
}

// A call that a filter of seccomp(2) looks at fails with the error of the fault all the same, and
// that of close(2) is made.
func TestCloseIsMade(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	command := "exec 3<" + file + "; exec 3<&-; readlink /proc/self/fd/3; true"
	closed := find(t, run(t, command, nil, time.Minute), 0, "close", "/text>")
	r := run(t, command, &Fault{Point: closed, Errno: unix.EIO}, time.Minute)
	require.True(t, r.Reached)
	require.Empty(t, r.Stdout, "the file is not open any longer")
}

func TestKilledBeforeCall(t *testing.T) {
	command := "echo begun; cat /dev/null; echo ended; sleep 0; echo late"
	recorded := run(t, command, nil, time.Minute)
	opened := find(t, recorded, 1, "openat", "/dev/null")
	r := run(t, command, &Fault{Point: opened, Kill: true}, time.Minute)
	require.True(t, r.Reached)
	require.Equal(t, unix.SIGKILL, r.Status.Signal())
	require.Equal(t, "begun\n", r.Stdout)
	require.NotEmpty(t, r.Calls, "nothing kills cat")
	require.Equal(t, opened, r.Calls[0].Point)

	last := find(t, recorded, 0, "write", "late")
	never := last
	never.Nth = 99
	r = run(t, command, &Fault{Point: never, Kill: true, Latest: last}, time.Minute)
	require.False(t, r.Reached)
	require.Equal(t, unix.SIGKILL, r.Status.Signal())
	require.Equal(t, "begun\nended\n", r.Stdout)
}

func TestHang(t *testing.T) {
	var r Result
	// On a slow machine the shell has not come to sleep(1) within a second: then it has longer.
	for limit := time.Second; limit <= 2*time.Minute; limit *= 2 {
		r = run(t, "echo begun; sleep 1000; true", nil, limit)
		if strings.Contains(r.Hung, "sleep (S)") {
			break
		}
	}
	require.Equal(t, "begun\n", r.Stdout)
	require.Contains(t, r.Hung, "sleep")
	require.Contains(t, r.Hung, "(S)")
	require.False(t, r.Ended)
}

// TestLeavesChild ends a program whose child goes on. The time is up when the program is gone.
func TestLeavesChild(t *testing.T) {
	enough, dir := make(chan struct{}), t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "gone"), 0o600))
	p := Program{
		Path: "/bin/sh", Dir: dir, Env: os.Environ(), Enough: enough,
		// The child opens the fifo for writing when its parent is no longer there.
		Args: []string{
			"sh", "-c",
			"(while kill -0 $$; do :; done; echo >gone; sleep 1000) & exit 3",
		},
	}
	go func() {
		defer close(enough)
		_, err := os.ReadFile(filepath.Join(dir, "gone"))
		assert.NoError(t, err)
	}()
	r, err := p.Run(nil, time.Hour)
	require.NoError(t, err)
	require.NotEmpty(t, r.Hung)
	require.True(t, r.Ended)
	require.Equal(t, 3, r.Status.ExitStatus())
}

// TestEnough kills a program that would go on for an hour.
func TestEnough(t *testing.T) {
	enough := make(chan struct{})
	close(enough)
	p := Program{Path: "/bin/sleep", Args: []string{"sleep", "3600"}, Enough: enough}
	r, err := p.Run(nil, time.Hour)
	require.NoError(t, err)
	require.Contains(t, r.Hung, "sleep")
}

// TestSignals sends a program a signal, and sees what it does then.
func TestSignals(t *testing.T) {
	signals := make(chan unix.Signal)
	const ready = "mkfifo up; trap 'mkdir after; exit 7' TERM; echo >ready; read line <up"
	dir := t.TempDir()
	go func() {
		for { // until the trap is set
			if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
				signals <- unix.SIGTERM
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	p := Program{Path: "/bin/sh", Args: []string{"sh", "-c", ready}, Dir: dir, Signals: signals}
	r, err := p.Run(nil, time.Minute)
	require.NoError(t, err)
	require.Equal(t, 7, r.Status.ExitStatus())
	require.DirExists(t, filepath.Join(dir, "after"))
	require.Contains(t, fmt.Sprint(r.Calls), `"after"`)
}

// TestEnoughBeforeBirth kills processes whose birth was not told, and never will be: their parents
// are killed too.
func TestEnoughBeforeBirth(t *testing.T) {
	for name, stopsFirst := range map[string]bool{"stopped before": true, "stops later": false} {
		t.Run(name, func(t *testing.T) {
			child := exec.Command("sleep", "3600")
			require.NoError(t, child.Start())
			defer func() { _ = child.Process.Kill() }()
			tr := &tracer{threads: map[int]*thread{}, early: map[int]bool{}}
			const stopped = 0x7f | unix.WaitStatus(unix.SIGSTOP)<<8
			if stopsFirst {
				tr.stopped(child.Process.Pid, stopped, &Result{})
				tr.giveUp()
			} else {
				tr.giveUp()
				tr.stopped(child.Process.Pid, stopped, &Result{})
			}
			require.Contains(t, tr.whatHung(), strconv.Itoa(child.Process.Pid))
			require.ErrorContains(t, child.Wait(), "killed")
			tr.add(child.Process.Pid, tr.newProcess(0))
			require.Len(t, tr.hung, 1, "it is told once")
		})
	}
}

// TestOrphan takes on a process that stops for the first time when its parent was killed, and not
// one whose parent is there to tell of it.
func TestOrphan(t *testing.T) {
	child := exec.Command("sleep", "3600")
	require.NoError(t, child.Start())
	defer func() { _, _ = child.Process.Kill(), child.Wait() }()
	pid := child.Process.Pid
	const stopped = 0x7f | unix.WaitStatus(unix.SIGSTOP)<<8
	for _, program := range []int{os.Getppid(), 0} {
		tr := &tracer{
			program: program, killed: true,
			threads: map[int]*thread{program: {process: &process{}}}, early: map[int]bool{},
		}
		delete(tr.threads, 0)
		tr.stopped(pid, stopped, &Result{})
		require.Equal(t, program == 0, tr.threads[pid] != nil)
	}
}

// TestFallsForEver ends a process 1 of a pid namespace that dies of what it does, but not while it
// is traced.
func TestFallsForEver(t *testing.T) {
	skip.Tool(t, "perl", "perl")
	skip.Tool(t, "unshare", "util-linux")
	r := run(t, `unshare --user --map-root-user --pid --fork perl -e 'unpack("p", pack("J", 1))'
echo over`, nil, time.Minute)
	require.Empty(t, r.Hung)
	require.Equal(t, "over\n", r.Stdout)
	require.NotEmpty(t, r.Ends)
	require.Equal(t, unix.SIGSEGV, r.Ends[0].Signal, "and not SIGKILL, which is ours")
}

// TestFilter finds with a filter what it finds without one: each call of a program, and what others
// do when the program was killed before it.
func TestFilter(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(file, []byte("text\n"), 0o644))
	p := Program{
		Path: "/bin/sh",
		Args: []string{"sh", "-c", "exec 3<" + file + "; cat <&3 /dev/null; exec 3<&-; echo over"},
		Dir:  t.TempDir(),
		Env:  []string{"PATH=/bin:/usr/bin", "LC_ALL=C"},
	}
	recorded, err := p.Run(nil, time.Minute)
	require.NoError(t, err)
	require.NotEmpty(t, recorded.Calls)
	reached, stops := map[bool]int{}, map[bool]int{}
	for _, c := range recorded.Calls {
		for _, fault := range []Fault{
			{Point: c.Point, Errno: unix.EIO},
			{Point: c.Point, Kill: true},
			{Point: Point{Process: -1}, Kill: true, Latest: c.Point},
		} {
			var results [2]Result
			for i, filter := range []bool{false, true} {
				p.Filter = filter
				results[i], err = p.Run(&fault, time.Minute)
				require.NoError(t, err)
				stops[filter] += results[i].stops
				if results[i].Reached {
					reached[filter]++
				}
			}
			require.Equal(t, results[0].Status, results[1].Status, "%s %+v", c.Text, fault)
			require.Equal(t, points(results[0]), points(results[1]), "%s %+v", c.Text, fault)
			require.Equal(t, results[0].Stdout, results[1].Stdout, "%s %+v", c.Text, fault)
		}
	}
	require.Equal(t, 2*len(recorded.Calls), reached[true])
	require.Equal(t, reached[false], reached[true])
	if os.Getuid() == 0 { // an ordinary user may not take a filter
		require.Less(t, stops[true], stops[false])
	}
	t.Logf("%d calls: %d stops, %d without a filter", len(recorded.Calls), stops[true],
		stops[false])
}

// points are those of the calls of a result, as far as a killed program has them.
func points(r Result) (all []Point) {
	for _, c := range r.Calls {
		all = append(all, Point{Process: c.Process, Image: c.Image, Number: c.Number})
	}
	return all
}

// TestAfterWait tells what a thread does after a wait of its own from what it does after a wait of
// another thread.
func TestAfterWait(t *testing.T) {
	p := &process{made: map[Point]int{}}
	waiting, other := &thread{process: p}, &thread{process: p}
	waiting.call = &Call{Point: Point{Number: unix.SYS_FUTEX}}
	(&tracer{}).returned(0, waiting, -int64(unix.ETIMEDOUT), &Result{})
	poll := &Call{Point: Point{Number: unix.SYS_PPOLL}}
	require.Equal(t, AfterWait, waiting.about(0, poll))
	require.Empty(t, other.about(0, poll))
}

// TestEnds tells which signal ended a process, and which call made it.
func TestEnds(t *testing.T) {
	r := run(t, "sh -c 'kill -SEGV $$'; kill -TERM $$", nil, time.Minute)
	require.Len(t, r.Ends, 2)
	child, program := r.Ends[0], r.Ends[1]
	require.Equal(t, unix.SIGSEGV, child.Signal)
	require.Equal(t, 1, child.Process)
	require.Regexp(t, `^(clone3?|v?fork)\(`, child.Birth.Text)
	require.Equal(t, End{Signal: unix.SIGTERM}, program)

	r = run(t, "sh -c 'exit 3'; true", nil, time.Minute)
	require.Empty(t, r.Ends)
}

// TestResult keeps what a call returned, of which wait4(2) tells whether a child has ended.
func TestResult(t *testing.T) {
	const program = "import os\nr, w = os.pipe()\npid = os.fork()\n" +
		"if pid == 0: os.read(r, 1); os._exit(0)\n" +
		"os.waitpid(pid, os.WNOHANG)\nos.write(w, b'x')\nos.waitpid(pid, 0)\n"
	r := python(t, program)
	var results []bool
	for _, c := range r.Calls {
		if c.Number == unix.SYS_WAIT4 {
			results = append(results, c.Result > 0)
		}
	}
	require.GreaterOrEqual(t, len(results), 2) // what starts Python may wait, too
	require.Equal(t, []bool{false, true}, results[len(results)-2:])
}

// TestEndOfThreads tells the end of a process once, however many threads it had.
func TestEndOfThreads(t *testing.T) {
	const program = "import os, threading\n" +
		"threading.Thread(target=threading.Event().wait).start()\nos.kill(os.getpid(), 15)\n"
	r := python(t, program)
	require.Equal(t, []End{{Signal: unix.SIGTERM}}, r.Ends)
}

// TestWritten notes all parts of what is written to descriptor 2.
func TestWritten(t *testing.T) {
	const program = "import os\nos.writev(2, [b'one, ', b'two, ', b'three'])\n"
	r := python(t, program)
	written := find(t, r, 0, "writev", "one")
	for _, c := range r.Calls {
		if c.Point == written {
			require.Equal(t, []string{"one, two, three"}, c.Words)
		}
	}
}

// TestNameOfHost shows as much of a name as the kernel takes.
func TestNameOfHost(t *testing.T) {
	const program = "import ctypes\nset = ctypes.CDLL(None).sethostname\n" +
		"set(b'workshop', -1)\nset(b'workshop' * 20, 70)\nset(b'mine', 66)\n"
	r := python(t, program)
	var names []string
	for _, c := range r.Calls {
		if strings.HasPrefix(c.Text, "sethostname(") {
			names = append(names, c.Text)
		}
	}
	require.Len(t, names, 3)
	require.Contains(t, names[1], strconv.Quote(strings.Repeat("workshop", 20)[:70]))
	require.Contains(t, names[2], `"mine"`)
}

// TestPathOfFile shows the path of an open file as it is, but for the number of a process. It is
// found again without numbers, which may be random.
func TestPathOfFile(t *testing.T) {
	r := run(t, `echo one >"$PWD/f00d.7"; echo 0 >/proc/$$/oom_score_adj`, nil, time.Minute)
	written := find(t, r, 0, "write", `/f00d.7>, "one\n"`)
	require.True(t, strings.HasSuffix(written.About, "/N.N"), written.About)
	find(t, r, 0, "write", `</proc/N/oom_score_adj>, "0\n"`)
}

// TestTextOnTwoPages reads a path that begins at the end of a page.
func TestTextOnTwoPages(t *testing.T) {
	program := fmt.Sprintf("import ctypes, mmap\n"+
		"size = mmap.PAGESIZE\nmemory = mmap.mmap(-1, 2 * size)\npath = b'/of/two/pages\\0'\n"+
		"memory[size - 4:size - 4 + len(path)] = path\n"+
		"at = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + size - 4\n"+
		"ctypes.CDLL(None).syscall(%d, ctypes.c_void_p(at))\n", unix.SYS_CHDIR)
	r := python(t, program)
	find(t, r, 0, "chdir", "/of/two/pages")
}

// TestExecOfThread sees the program that a thread executes which is not the first of its process.
func TestExecOfThread(t *testing.T) {
	const program = "import os, threading\n" +
		"t = threading.Thread(target=lambda: os.execv('/bin/sh', ['sh', '-c', 'exit 7']))\n" +
		"t.start()\nt.join()\n"
	r := python(t, program)
	require.Empty(t, r.Hung)
	require.Equal(t, 7, r.Status.ExitStatus())
	executed := find(t, r, 0, "execve", `"/bin/sh"`)
	for _, c := range r.Calls {
		if c.Point == executed {
			require.Equal(t, []string{"sh", "-c", "exit 7"}, c.Words)
			require.Zero(t, c.Errno)
		}
	}
	last := r.Calls[len(r.Calls)-1]
	require.Equal(t, "exit_group", Name(last.Number))
	require.Equal(t, executed.Image+1, last.Image, "of the program that was executed")
}

// TestChildWithoutSignal counts a child whose end sends no signal as a process, and not as a thread
// of its parent, which is what the event of ptrace(2) says.
func TestChildWithoutSignal(t *testing.T) {
	program := fmt.Sprintf("import ctypes, os\n"+
		"if ctypes.CDLL(None).syscall(%d, 0, 0, 0, 0, 0) == 0:\n"+
		"    os.write(2, b'of the child')\n    os.execv('/bin/true', ['true'])\n"+
		"os.waitpid(-1, 0x40000000)\n", unix.SYS_CLONE)
	r := python(t, program)
	require.Empty(t, r.Hung)
	for _, c := range r.Calls {
		if !strings.HasPrefix(c.Text, "write(2, ") || !strings.Contains(c.Text, "of the child") {
			continue
		}
		require.Equal(t, []string{"of the child"}, c.Words)
		require.NotZero(t, c.Process, "it is not that of the program")
		require.Zero(t, c.Image, "it has executed nothing yet")
		return
	}
	require.Fail(t, "nothing was written")
}

// python runs a program of Python. It takes nothing from the environment and loads no site (-IS).
func python(t *testing.T, program string) Result {
	t.Helper()
	path := skip.Interpreter(t, "python3", program)
	p := Program{Path: path, Args: []string{"python3", "-IS", "-c", program}, Dir: t.TempDir()}
	r, err := p.Run(nil, time.Minute)
	require.NoError(t, err)
	require.Empty(t, r.Hung)
	return r
}

// TestFallsAgain lets a program have a signal that it handles many times, if it goes on between
// two of them. It is ended for another one then.
func TestFallsAgain(t *testing.T) {
	r := python(t, "import os, signal\n"+
		"signal.signal(signal.SIGFPE, lambda *_: None)\n"+
		"for _ in range(50):\n    os.kill(os.getpid(), signal.SIGFPE)\n"+
		"os.kill(os.getpid(), signal.SIGTERM)\n")
	require.Equal(t, unix.SIGTERM, r.Ends[len(r.Ends)-1].Signal)
}

// TestParent counts the processes, and knows the parent of each.
func TestParent(t *testing.T) {
	r := python(t, "import os\nos.write(2, b'A')\nif os.fork() == 0:\n    os.write(2, b'B')\n"+
		"    if os.fork() == 0: os.write(2, b'C'); os._exit(0)\n    os.wait()\n    os._exit(0)\n"+
		"os.wait()\n")
	said := map[string]Call{}
	for _, c := range r.Calls {
		if Name(c.Number) == "write" && len(c.Words) == 1 && len(c.Words[0]) == 1 {
			said[c.Words[0]] = c
		}
	}
	require.Len(t, said, 3)
	require.Equal(t, said["A"].Process, said["B"].Parent)
	require.Equal(t, said["B"].Process, said["C"].Parent)
	require.NotEqual(t, said["A"].Process, said["C"].Parent)
}

// TestFileOfDescriptor names the file that a descriptor stands for, and none that it stood for
// before it was closed. The zero byte that some count to a text is none of it.
func TestFileOfDescriptor(t *testing.T) {
	r := python(t, "import os\nfd = os.open(os.path.abspath('one'), os.O_CREAT | os.O_WRONLY)\n"+
		"os.write(fd, b'first\\0')\nos.close(fd)\n"+
		"r, w = os.pipe()\nassert fd in (r, w)\n"+
		"os.dup2(w, fd) if fd == r else None\nos.write(fd, b'second')\n")
	first, second := Call{}, Call{}
	for _, c := range r.Calls {
		switch {
		case strings.Contains(c.Text, "first"):
			first = c
		case second.Text == "" && strings.Contains(c.Text, "second"): // later Python tells of it
			second = c
		}
	}
	require.Contains(t, first.Text, `/one>, "first", 6`)
	require.Contains(t, second.Text, `write(`)
	require.NotContains(t, second.Text, "<", "it is a pipe now")
}

// TestLongText shows the beginning of a long text, although it may be cut off in the middle of a
// character.
func TestLongText(t *testing.T) {
	r := python(t, "import ctypes, os\nctypes.CDLL(None).chdir(('a' + '\u00f6' * 200).encode())\n"+
		"os.write(2, ('b' + '\u00f6' * 200).encode())\n")
	find(t, r, 0, "chdir", "a\u00f6\u00f6")
	find(t, r, 0, "write", "b\u00f6\u00f6")
}

// TestFileOfParent names the file of the kernel that a process writes to if its parent has opened
// it, and nothing else that it has from there.
func TestFileOfParent(t *testing.T) {
	r := python(t, "import os\nfd = os.open('/proc/self/setgroups', os.O_WRONLY)\n"+
		"own = os.open('own', os.O_CREAT | os.O_WRONLY)\n"+
		"if os.fork() == 0:\n    os.dup2(fd, 1)\n    os.write(own, b'second')\n"+
		"    try: os.write(1, b'first')\n    except OSError: pass\n    os._exit(0)\n"+
		"os.wait()\n")
	first := slices.IndexFunc(r.Calls, func(c Call) bool {
		return strings.Contains(c.Text, `, "first", 5`)
	})
	second := slices.IndexFunc(r.Calls, func(c Call) bool {
		return strings.Contains(c.Text, `, "second", 6`)
	})
	require.Contains(t, r.Calls[first].Text, "write(</proc/N/setgroups>")
	require.NotContains(t, r.Calls[second].Text, "<")
}

// TestPlace makes a path absolute that begins at the directory of a process, as that of
// newuidmap(1) does, and leaves others as they are.
func TestPlace(t *testing.T) {
	r := python(t, "import os\nopen('own_map', 'w').close()\n"+
		"dir = os.open('/proc/%d' % os.getpid(), os.O_RDONLY)\n"+
		"for name in 'uid_map', 'status':\n    os.close(os.open(name, os.O_RDONLY, dir_fd=dir))\n"+
		"os.chdir('/proc/self')\nos.close(os.open('gid_map', os.O_RDONLY))\n")
	var texts, abouts []string
	for _, c := range r.Calls {
		for _, name := range []string{"own_map", "uid_map", "status", "gid_map"} {
			path := firstQuoted(c.Text)
			if Name(c.Number) == "openat" && filepath.Base(path) == name &&
				!strings.Contains(c.Text, "/lib") {
				texts = append(texts, numbers.ReplaceAllString(path, "N"))
				abouts = append(abouts, numbers.ReplaceAllString(c.About, "N"))
			}
		}
	}
	require.Equal(t, []string{"own_map", "/proc/N/uid_map", "status", "/proc/N/gid_map"}, texts)
	require.Equal(t, []string{"own_map", "/proc/N/uid_map", "status", "/proc/N/gid_map"}, abouts)
}

// firstQuoted is the first text of a call in print.
func firstQuoted(call string) string {
	_, after, _ := strings.Cut(call, `"`)
	text, _, _ := strings.Cut(after, `"`)
	return text
}

// TestMadeAgain counts a call once that the kernel makes again after a signal.
func TestMadeAgain(t *testing.T) {
	p := &process{made: map[Point]int{}}
	th := &thread{process: p}
	for _, again := range []int64{firstRestart, 514, lastRestart} {
		c := &Call{Point: Point{Number: unix.SYS_READ}}
		p.made[c.first()]++
		th.call = c
		r := Result{}
		(&tracer{}).returned(0, th, -again, &r)
		require.Zero(t, p.made[c.first()])
		require.Empty(t, r.Calls)
		require.Nil(t, th.call)
	}
	th.call = &Call{Point: Point{Number: unix.SYS_READ}}
	r := Result{}
	(&tracer{}).returned(0, th, -int64(unix.EINTR), &r)
	require.Len(t, r.Calls, 1)

	// A wait that ended by what it waited for is no wait whose time was up.
	for errno, waited := range map[unix.Errno]bool{unix.ETIMEDOUT: true, unix.EAGAIN: false} {
		th.call = &Call{Point: Point{Number: unix.SYS_FUTEX}}
		(&tracer{}).returned(0, th, -int64(errno), &r)
		require.Equal(t, waited, th.hasWaited)
	}
}

// TestNumbers has a filter stop at the calls by which the point of a fault is found.
func TestNumbers(t *testing.T) {
	for number, others := range map[int][]int{
		unix.SYS_PPOLL: {unix.SYS_FUTEX},
		unix.SYS_FLOCK: {unix.SYS_OPENAT, unix.SYS_CLOSE},
		unix.SYS_READ:  {unix.SYS_OPENAT, unix.SYS_CLOSE},
		unix.SYS_MOUNT: nil,
	} {
		f := &Fault{Point: Point{Number: number}, Latest: Point{Number: unix.SYS_CHDIR}}
		require.ElementsMatch(t, append(others, number, unix.SYS_CHDIR), f.numbers())
	}
	require.Empty(t, (*Fault)(nil).numbers())
}

// TestStack tells an address near the end of a stack from any other.
func TestStack(t *testing.T) {
	const program = "import ctypes\nlibc = ctypes.CDLL(None)\n" +
		"ctypes.string_at(0) if %d else None\n" +
		"libc.prlimit(0, 3, (ctypes.c_ulong * 2)(1 << 16, 1 << 16), None)\n" +
		"down = ctypes.CFUNCTYPE(None)(lambda: down())\ndown()\n"
	for ofStack, first := range map[bool]int{false: 1, true: 0} {
		r := python(t, fmt.Sprintf(program, first))
		require.Len(t, r.Ends, 1, r.Stderr)
		require.Equal(t, unix.SIGSEGV, r.Ends[0].Signal)
		require.Equal(t, ofStack, r.Ends[0].OfStack)
	}
}

// TestOrphans traces on the main thread of a process that gets an orphan which another thread
// traces: it neither takes its stops nor waits for it.
func TestOrphans(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), orphansEnv+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}
