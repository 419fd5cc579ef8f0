//go:build linux

package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/skip"
)

// program writes a shell script that is a container program with the given body.
func program(t *testing.T, body string) string {
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755))
	return path
}

const usage = `test "$1" = run && test -n "$2" || { echo "usage: container run CMD" >&2; exit 2; }
shift
`

// TestCheck lets programs that are wrong in a known way tell what is wrong with them.
func TestCheck(t *testing.T) {
	t.Parallel()
	root, err := ModuleRoot()
	require.NoError(t, err)
	judged := func(t *testing.T, s Script, body string, timeout time.Duration) Event {
		var events []Event
		o := Options{Program: program(t, body), Timeout: timeout}
		err := check(t.Context(), t, o, []Script{s}, func(e Event) { events = append(events, e) })
		require.NoError(t, err)
		require.Len(t, events, 2)
		require.Equal(t, Started, events[0].Status)
		return events[1]
	}
	one := func(t *testing.T, id, body string) Event {
		scripts, err := Scripts(root, filepath.Dir(id))
		require.NoError(t, err)
		for _, s := range scripts {
			if s.ID() == id {
				return judged(t, s, body, patience())
			}
		}
		require.Fail(t, "no such script", id)
		return Event{}
	}
	own := func(t *testing.T, text, body string, timeout time.Duration) Event {
		file := filepath.Join(t.TempDir(), "own.txtar")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
		return judged(t, Script{Step: "step1-skeleton", Name: "own", File: file}, body, timeout)
	}

	parallel := func(name string, test func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}

	parallel("right", func(t *testing.T) {
		e := one(t, "step1-skeleton/exit-status", usage+`exec "$@"`)
		require.Equal(t, Passed, e.Status, "%+v", e)
	})
	parallel("wrong status", func(t *testing.T) {
		e := one(t, "step1-skeleton/exit-status", usage+`"$@" || exit 1`)
		require.Equal(t, Failed, e.Status)
		require.Equal(t, "exits 42 container run sh -c 'exit 42'", e.Ran)
		require.Equal(t, e.Ran, e.Script.Line(e.Line))
		require.Equal(t, "container run sh -c exit 42: exit status 1, want 42", e.Message)
		promise, err := e.Script.Promise(e.Line)
		require.NoError(t, err)
		require.Contains(t, promise, "The exit status is the command's own")
	})
	parallel("wrong output", func(t *testing.T) {
		e := one(t, "step1-skeleton/streams", usage+`"$@" 2>&1`)
		require.Equal(t, Failed, e.Status)
		require.Equal(t, "to the output\nto the error\n", e.Stdout)
		require.Equal(t, "! stdout '^to the error$'", e.Script.Line(e.Line))
	})
	parallel("a command by its whole path", func(t *testing.T) {
		whole := usage + `path=$(command -v "$1"); shift; "$path" "$@"; exit $?`
		e := one(t, "step1-skeleton/exit-status-signal", whole)
		require.Equal(t, Passed, e.Status, "%+v", e)
		e = own(t, "! exec container run sleep 6200 &it&\nrunning 'sleep 6200'\n"+
			"exec pkill -KILL -x -f '(/[^ ]*/)?sleep 6200'\nwait it\n! running 'sleep 6200'\n",
			whole, patience())
		require.Equal(t, Passed, e.Status, "%+v", e)
		// A stage of the program that has the path among its arguments is not the command.
		e = one(t, "step1-skeleton/exit-status-signal", `if test "$1" = child
then
	shift
	"$@"
	exit 3
fi
`+usage+`path=$(command -v "$1"); shift; /bin/sh "$0" child "$path" "$@"; exit $?`)
		require.Equal(t, Failed, e.Status)
		require.Equal(t, "exits 137 sh killed.sh", e.Ran)
	})
	parallel("hangs with a pipe", func(t *testing.T) {
		e := one(t, "step1-skeleton/exit-status", `exec cat /dev/fd/3 3<>/proc/self/fd/1`)
		require.Equal(t, Failed, e.Status)
	})
	parallel("hangs", func(t *testing.T) {
		e := one(t, "step1-skeleton/exit-status", `exec sleep 6200`)
		require.Equal(t, "`sleep 6200` was in clock_nanosleep(2), waiting for time to pass",
			e.Waiting)
	})
	parallel("hangs where it looks at several descriptors", func(t *testing.T) {
		if _, err := exec.LookPath("bash"); err != nil {
			skip.Lacking(t, "no bash")
		}
		e := one(t, "step1-skeleton/exit-status",
			`exec bash -c 'mkfifo f; read -t 6200 x 0<>f'`)
		require.Contains(t, e.Waiting, "was in pselect(2), waiting for a descriptor to be ready")
	})
	parallel("hangs while its child is dead", func(t *testing.T) {
		e := own(t, "exec container run true\n", `true & exec sleep 6200`, time.Second)
		require.Regexp(t, "^`sleep 6200` was in clock_nanosleep.*waiting for time to pass, and "+
			"its child, process [0-9]+, was dead: nobody waited for it", e.Waiting)
	})
	parallel("hangs, and its child too", func(t *testing.T) {
		e := own(t, "exec container run true\n", `sleep 6200 &
mkfifo f; read x <f`, time.Second)
		require.Equal(t, "`container run true` was in openat(2), waiting for the other end of a "+
			"fifo, and below it `sleep 6200` was in clock_nanosleep(2), waiting for time to pass",
			e.Waiting)
	})
	parallel("hangs, and the process that started it is gone", func(t *testing.T) {
		if os.Geteuid() != 0 {
			skip.Lacking(t, "asks for root")
		}
		const inside = `[ "$$" != 1 ] || { sleep 6200; exit; }` + "\n"
		e := own(t, "exec container run true\n",
			inside+`unshare --pid sh -c '"$0" run true &' "$0"`, 2*time.Second)
		require.Contains(t, e.Waiting, "`container run true` was waiting for `sleep 6200`")
		require.Contains(t, e.Waiting, "; "+StarterGone)
		e = own(t, "exec container run true\n", `unshare --pid sh -c 'sleep 6200 &'`,
			2*time.Second)
		require.Contains(t, e.Waiting, "`sleep 6200` was in clock_nanosleep(2)")
		require.Contains(t, e.Waiting, "; "+StarterGone)
		e = own(t, "exec container run true\n",
			inside+`unshare --pid sh -c '"$0" run true & wait' "$0"`, 2*time.Second)
		require.Contains(t, e.Waiting, "sleep 6200")
		require.NotContains(t, e.Waiting, StarterGone)
	})
	parallel("hangs beside a process of the script", func(t *testing.T) {
		e := own(t, "exec sh both.sh\n-- both.sh --\ncontainer run true &\n"+
			"until pgrep -x -f 'sleep 6200'; do sleep 0.01; done; sleep 6300\n",
			`sleep 6200; :`, 2*time.Second)
		require.Equal(t, "`container run true` was waiting for `sleep 6200`, which was in "+
			"clock_nanosleep(2), waiting for time to pass", e.Waiting)
	})
	parallel("a signal, and what the program does then is seen", func(t *testing.T) {
		e := own(t, "rootfs\ncp letter rootfs/letter\n"+
			"! exec container run sleep 6200 &it&\nrunning 'sleep 6200'\n"+
			"exec pkill -TERM -o -f 'container run '\nwait it\nexec test -e removed\n"+
			"-- letter --\nto read\n",
			`shift; test -e rootfs/letter || exit 1
mkdir -p full/below; trap 'kill $!; rmdir full; exit 3' TERM; "$@" & wait $!`, patience())
		require.Equal(t, "exec test -e removed", e.Ran)
		require.NotNil(t, e.Conduct)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), `rmdir("full")`)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), "ENOTEMPTY")
	})
	parallel("a signal comes when the command runs, and not before", func(t *testing.T) {
		e := own(t, "! exec container run sleep 6200 &it&\nrunning 'sleep 6200'\n"+
			"exec pkill -TERM -o -f 'container run '\nwait it\nexec test -e removed\n",
			`shift; mkdir -p full/below; sleep 1
trap 'kill $!; rmdir full; exit 3' TERM; "$@" & wait $!`, patience())
		require.Equal(t, "exec test -e removed", e.Ran)
		require.NotNil(t, e.Conduct)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), `rmdir("full")`)
	})
	parallel("a panic ends the script", func(t *testing.T) {
		trace := `echo "panic: no" >&2; echo >&2; echo "goroutine 1 [running]:" >&2; exit 2`
		e := own(t, "# Usage.\nexits 2 container run true\n\n# More.\n! exec container run "+
			"true\nexec false\n", trace, patience())
		require.True(t, e.Panicked)
		require.Equal(t, 2, e.Line)
		require.Contains(t, e.Stderr, "panic: no")
	})
	parallel("hangs at each line", func(t *testing.T) {
		e := own(t, "! exec container run a\n! exec container run b\n! exec container run "+
			"c\nexec container run d\n", `exec sleep 6200`, time.Second)
		require.Equal(t, Failed, e.Status)
		require.Contains(t, e.Waiting, "sleep 6200")
		require.Equal(t, 1, e.Line, "the line that hung is not the one that failed")
	})
	parallel("a failure with something in the background", func(t *testing.T) {
		script := "! exec container run sleep 6200 &it&\nrunning 'sleep 6200'\nexec false\nwait " +
			"it\n"
		e := own(t, script, usage+`echo "I am here" >&2; "$@"`, patience())
		require.Equal(t, Failed, e.Status)
		require.Equal(t, 3, e.Line)
		require.Empty(t, e.Waiting)
		require.Equal(t, []Background{{Command: "container run sleep 6200", Stderr: "I am here\n"}},
			e.Background)
	})
	parallel("what is in the background has ended", func(t *testing.T) {
		script := "! exec container run one 'and two' &it&\n! exec container run sleep 6200 " +
			"&other&\nrunning 'sleep 6200'\nuntil sh ended.sh\nexec false\n" +
			"-- ended.sh --\n! pgrep -f 'container run one'\n"
		body := `test $1 = one || exec "$@"; echo out; echo "container: no such flag" >&2; exit 2`
		e := own(t, script, usage+body, patience())
		require.Equal(t, 5, e.Line)
		require.Equal(t, []Background{
			{
				Command: "container run one and two", State: "exit status 2", Stdout: "out\n",
				Stderr: "container: no such flag\n",
			},
			{Command: "container run sleep 6200"},
		}, e.Background)
	})
	parallel("a directory that is no cgroup", func(t *testing.T) {
		e := own(t, "exec container run true\n",
			usage+`mount -t tmpfs no-cgroups /sys/fs/cgroup && mkdir /sys/fs/cgroup/mine
echo >/sys/fs/cgroup/mine/memory.max
"$@"`, patience())
		require.Equal(t, Failed, e.Status)
		require.Contains(t, strings.Join(e.Left, "\n"), "/sys/fs/cgroup")
	})
	parallel("version 2 on a machine of version 1", func(t *testing.T) {
		if _, err := os.Stat(filepath.Join(cgroupFS, "cgroup.controllers")); err == nil ||
			os.Geteuid() != 0 {
			skip.Lacking(t, "asks for version 1, and root")
		}
		e := own(t, "exec container run true\n",
			usage+`mkdir /sys/fs/cgroup/mine && echo 64M >/sys/fs/cgroup/mine/memory.max && "$@"`,
			patience())
		require.Equal(t, Failed, e.Status)
		require.Contains(t, e.Stderr, "Read-only file system")
	})
	parallel("starts itself forever", func(t *testing.T) {
		e := one(t, "step1-skeleton/exit-status", `container "$@"; :`)
		require.Equal(t, Failed, e.Status)
		if e.Waiting == "" {
			require.GreaterOrEqual(t, e.Tasks, MaxTasks())
		} else {
			require.Contains(t, e.Waiting, "start itself again and again")
		}
	})
	parallel("fills the host with processes", func(t *testing.T) {
		e := own(t, "exec container run true\n",
			`mkfifo f; while :; do (while :; do (read x <f) & done) & done`, time.Second)
		require.Equal(t, Failed, e.Status)
	})
	parallel("a flag", func(t *testing.T) {
		script := "[!flag:tty] skip 'asks for the flag -tty'\nexec container run -tty true\n"
		for _, program := range []struct {
			name, body string
			want       Status
		}{
			{
				"kept",
				`test "$1" = run && test "$2" = -tty && exit; echo "unknown flag $2" >&2; exit 2`,
				Passed,
			},
			{
				"asks for a terminal",
				`test "$2" = -tty && { echo "no terminal" >&2; exit 125; }; exit 2`,
				Failed,
			},
			{"taken for a command", usage + `exec "$@"`, Skipped},
			{"unknown", `echo "[$$] unknown flag $2" >&2; exit 2`, Skipped},
			{
				"unknown, with a name that is made up",
				`echo "container $(tr -dc a-z </dev/urandom | head -c 12)"; ` +
					`echo "unknown flag $2" >&2; exit 2`,
				Skipped,
			},
			{
				"kept, with a name that is made up",
				`echo "container $(tr -dc a-z </dev/urandom | head -c 12)"; ` +
					`test "$2" = -tty && exit; echo "unknown flag $2" >&2; exit 2`,
				Passed,
			},
			{
				"all usage is one",
				`test "$#" = 3 && test "$2" = -tty && exit; echo usage >&2; exit 2`,
				Passed,
			},
			{"litters", `sleep 6200 >/dev/null 2>&1 & exit 2`, Skipped},
		} {
			e := own(t, script, program.body, patience())
			require.Equal(t, program.want, e.Status, "%s: %+v", program.name, e)
			if e.Status == Skipped {
				require.Equal(t, "tty", e.NotBuilt, program.name)
				require.False(t, e.Lacking, program.name)
			}
		}
	})
	parallel("nobody is left to wait for", func(t *testing.T) {
		start := time.Now()
		e := own(t, "! exec container run sleep 6200 &it&\ncgroup pids.max 24\n", "exit 3",
			time.Hour)
		require.Equal(t, 2, e.Line)
		require.Equal(t, "exit status 3", e.Background[0].State)
		require.Less(t, time.Since(start), time.Minute)
	})
	parallel("limits of the whole host", func(t *testing.T) {
		// The host could not take them away where they were changed in this order.
		e := own(t, "exec container run true\n", "cd /sys/fs/cgroup/memory 2>/dev/null || exit 7\n"+
			"test -w memory.memsw.limit_in_bytes || exit 7\n"+
			"echo 1000000000 >memory.limit_in_bytes; echo 1000000000 "+
			">memory.memsw.limit_in_bytes; exit 7", patience())
		require.Equal(t, Failed, e.Status)
	})
	parallel("what the kernel refused", func(t *testing.T) {
		e := own(t, "rootfs\nexec container run true\n", "mkdir /proc/mine 2>/dev/null; exit 7",
			patience())
		require.NotNil(t, e.Conduct)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), `mkdir`)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), `ENOENT`)
	})
	parallel("what was missing first, and made then", func(t *testing.T) {
		e := own(t, "exec container run true\n",
			"mkdir here/below 2>/dev/null; mkdir here && mkdir here/below; exit 7", patience())
		require.NotNil(t, e.Conduct)
		require.Empty(t, e.Conduct.Refused)
	})
	parallel("what the command looks for", func(t *testing.T) {
		e := own(t, "exec container run cat letter-of-the-command\n",
			"shift; \"$@\"\n", patience())
		require.NotNil(t, e.Conduct)
		require.NotContains(t, fmt.Sprint(e.Conduct.Refused), "letter-of-the-command")
	})
	parallel("what was looked for last", func(t *testing.T) {
		e := own(t, "exec container run true\n",
			`for n in $(seq 200); do test -e /letter-$n; done; cd /proc/mine; exit 7`, patience())
		require.NotNil(t, e.Conduct)
		looked := fmt.Sprint(e.Conduct.Refused)
		require.Contains(t, looked, "/letter-200")
		require.Contains(t, looked, "/proc/mine")
		require.NotContains(t, looked, "/letter-100")
	})
	parallel("slow when it is looked at", func(t *testing.T) {
		// The time of the script is up meanwhile: idle, a script has a third of it, and the second
		// look has a second.
		e := own(t, "exec container run true\n",
			"grep -q '^TracerPid:.0$' /proc/self/status || sleep 0.7\nmkdir /proc/mine; exit 7",
			time.Second)
		require.Empty(t, e.Waiting)
		require.NotNil(t, e.Conduct)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), "/proc/mine")
	})
	parallel("temporary files", func(t *testing.T) {
		e := own(t, "exec container run true\n",
			`d=$(mktemp -d) || exit 6; mkdir "$d/one/two"; exit 7`, patience())
		require.Contains(t, e.Message+e.Log, "exit status 7")
		require.NotNil(t, e.Conduct)
		require.Contains(t, fmt.Sprint(e.Conduct.Refused), "$WORK/"+tmp)
	})
	parallel("covers /proc", func(t *testing.T) {
		if os.Geteuid() != 0 {
			skip.Lacking(t, "asks for root")
		}
		cover := "unshare --pid --fork --mount --propagation unchanged mount -t proc proc /proc\n"
		twice := "exec container run true\nexec container run true\n"
		e := own(t, twice, cover+"exit 7", patience())
		require.Equal(t, 1, e.Line)
		require.Empty(t, e.Left, "it has failed for another reason")
		e = own(t, "exec container run true\n", cover, patience())
		require.Equal(t, []string{"new: mount proc /proc (of the container)"}, e.Left)
		e = own(t, twice, "cat /proc/self/stat >&2 || exit 7\n"+cover, patience())
		require.Equal(t, 2, e.Line)
		require.Equal(t, []string{"new: mount proc /proc (of the container)"}, e.Left,
			"that is why the second run failed")
		// Lazily: the watch of the time limit may be reading there (EBUSY of umount(2)).
		e = own(t, "exec container run true\n", "umount --lazy /proc", patience())
		require.Equal(t, []string{"gone: mount proc /proc"}, e.Left, "%+v", e)
		e = own(t, "exec container run true\n", "umount --lazy /proc; exit 7", patience())
		require.Equal(t, Failed, e.Status)
	})
	parallel("what was written is known after a comment", func(t *testing.T) {
		e := own(t, "# One.\nexec container run true\nstdout own\n[ours] exec container run a\n\n"+
			"# Two.\n! stdout own\n", "echo own; echo error >&2", patience())
		require.Equal(t, 7, e.Line)
		require.Equal(t, []string{"exec container run true", "own\n", "error\n"},
			[]string{e.Ran, e.Stdout, e.Stderr})
		e = own(t, "# One.\nexec container run true\n\n# Two.\n! exec true\n", "echo own",
			patience())
		require.Equal(t, []string{"! exec true", ""}, []string{e.Ran, e.Stdout})
	})
	parallel("one of its runs leaves something", func(t *testing.T) {
		if os.Geteuid() != 0 {
			skip.Lacking(t, "asks for root")
		}
		const leaves = `[ "$2" != b ] || mount -t tmpfs own "$TMPDIR"`
		runs := "exec container run a\nexec container run b\nexec container run c\n"
		e := own(t, runs+"[ours] exec container run b\n", leaves, patience())
		require.Len(t, e.Left, 1)
		require.Equal(t, "exec container run b", e.LeftBy)
		require.NotNil(t, e.Conduct)
		require.Contains(t, fmt.Sprint(e.Conduct.Made), `mount("own", `)
		e = own(t, "exec container run a\n[ours] exec container run b\nexec container run c\n",
			`mount -t tmpfs "$2" "$TMPDIR"`, patience())
		require.Equal(t, "exec container run a", e.LeftBy)
	})
	parallel("leaves an interface", func(t *testing.T) {
		skip.Tool(t, "ip", "iproute2")
		e := own(t, "exec container run true\n",
			"ip link add left0 type veth peer name left1", patience())
		if strings.Contains(e.Stderr, "nknown") { // an unknown type
			skip.Lacking(t, "veth: "+e.Stderr)
		}
		require.Equal(t, []string{"new: interface left0", "new: interface left1"}, e.Left)
	})
	parallel("leaves a process", func(t *testing.T) {
		e := one(t, "step1-skeleton/command-not-found",
			usage+`(sleep 6200 >/dev/null 2>&1 &)
command -v "$1" >/dev/null || { echo "container: $1: not found" >&2; exit 127; }
exec "$@"`)
		require.Equal(t, Failed, e.Status, "%+v", e)
		require.NotEmpty(t, e.Left)
		require.Contains(t, e.Left[0], "sleep 6200")
		// The process stays when the program is run again, too.
		require.NotNil(t, e.Conduct)
		require.Contains(t, e.Conduct.Words, []string{"sleep", "6200"})
	})
	parallel("the first failure ends it", func(t *testing.T) {
		scripts, err := Scripts(root, "step1-skeleton")
		require.NoError(t, err)
		var failed, last string
		err = check(t.Context(), t, Options{Program: "/bin/false"}, scripts,
			func(e Event) {
				last = e.Script.ID()
				if e.Status == Failed {
					failed = last
				}
			})
		require.NoError(t, err)
		require.Equal(t, scripts[0].ID(), failed)
		require.Equal(t, failed, last)
	})
	parallel("cancelled", func(t *testing.T) {
		scripts, err := Scripts(root, "step1-skeleton")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err = check(ctx, t, Options{Program: program(t, "exec sleep 6200")}, scripts,
			func(Event) {})
		require.ErrorIs(t, err, context.DeadlineExceeded, "it ended when the time of the script "+
			"was up")
	})
}
