//go:build linux

package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues about signals that did not end a program: where one of them stays.

// endingSignals are those that are sent to end a program.
var endingSignals = []unix.Signal{
	unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2,
}

// has tells whether a signal is in a set, as in proc_pid_status(5).
func has(set uint64, signal unix.Signal) bool { return set&(1<<(signal-1)) != 0 }

// signalHeld is for a program that hangs because a signal has no effect: it tells which process
// holds the signal, and why.
func signalHeld(e harness.Event) string {
	for _, p := range e.There {
		for _, signal := range endingSignals {
			if name := unix.SignalName(signal); has(p.Pending, signal) && maySend(e, name) {
				return blocks(p, name, isCommand(e, p))
			}
		}
	}
	m := sentRE.FindStringSubmatch(e.Ran)
	if m == nil || len(e.There) == 0 {
		return ""
	}
	name := "SIG" + m[1]
	signal := unix.SignalNum(name)
	switch first := e.There[0]; {
	case signal == 0:
		return ""
	case has(first.Ignored, signal):
		return fmt.Sprintf("%s was sent to the first process of your program alone, and %s "+
			"ignores it (SIG_IGN): so it has no effect. A handler (sigaction(2)) passes the "+
			"signal on to the process that yours has started, with kill(2).", name,
			first.Command)
	case !has(first.Caught, signal):
		return ""
	case first.Waits && shellRE.MatchString(first.File) && !hasWait(e):
		return fmt.Sprintf("%s is a shell, and has a trap for %s. While a shell waits for a "+
			"command in the foreground it runs no trap: that comes when the command has ended. "+
			"Start the command in the background and wait for it, wait $!: a trap interrupts "+
			"wait. Its input is empty there; exec 3<&0 before, and CMD <&3 3<&- & hand on that of "+
			"the script. And the trap has to pass the signal on, or to end the command.",
			first.Command, name)
	default:
		return notPassedOn(e, name, signal)
	}
}

// maySend tells whether a script may have sent a signal: in the line that it ran last, or in a
// script of its archive that this line runs.
func maySend(e harness.Event, name string) bool {
	if m := sentRE.FindStringSubmatch(e.Ran); m != nil {
		return "SIG"+m[1] == name
	}
	archive, err := txtar.ParseFile(e.Script.File)
	words := strings.FieldsFunc(e.Ran, func(r rune) bool { return strings.ContainsRune(" '\"", r) })
	if err != nil || len(words) == 0 {
		return false
	}
	for _, f := range archive.Files {
		for _, m := range killRE.FindAllStringSubmatch(string(f.Data), -1) {
			sent := m[1]
			if sent == "$1" {
				sent = words[len(words)-1]
			}
			if "SIG"+cmp.Or(sent, "TERM") == name && slices.Contains(words, f.Name) {
				return true
			}
		}
	}
	return false
}

// killRE matches a line of a shell that sends a signal to what it has in the background.
var killRE = lazyregexp.New(`\bkill (?:-(\S+) )?\$!`)

// isCommand tells whether a process is the command of a container that the script has started in
// the background.
func isCommand(e harness.Event, p harness.Process) bool {
	line, cut := strings.CutSuffix(strings.Trim(p.Command, "`"), "...")
	for n := 1; n < e.Line; n++ {
		c := parseCommand(e.Script.Line(n))
		last := len(c.args) - 1
		if c.name != "exec" || last < 3 || !strings.HasSuffix(c.args[last], "&") {
			continue
		}
		words := harness.WithoutFlags(c.args[:last])
		if len(words) < 3 || words[0] != "container" {
			continue
		}
		// Its name may be the path at which it was found.
		name, rest, _ := strings.Cut(line, " ")
		own := strings.TrimSpace(filepath.Base(name) + " " + rest)
		given := strings.Join(append([]string{filepath.Base(words[2])}, words[3:]...), " ")
		if own == given || cut && strings.HasPrefix(given, own) {
			return true
		}
	}
	return false
}

// children are those of the processes below the first one that it has started itself.
func children(below []harness.Process) (all []harness.Process) {
	for _, p := range below {
		if p.Above == 0 {
			all = append(all, p)
		}
	}
	return all
}

// hasWait tells whether the program is a script with the command wait: a shell may be in wait4(2)
// because of that, too, and not for a command in the foreground.
func hasWait(e harness.Event) bool {
	text, _ := os.ReadFile(e.Program) // none: nobody knows
	return waitRE.Match(text)
}

// waitRE matches the command wait in a script, where it is not in a comment.
var waitRE = lazyregexp.New(`(?m)^[^#\n]*\bwait\b`)

// blocks is for a signal that has come to a process which blocks it.
func blocks(p harness.Process, name string, isCommand bool) string {
	text := fmt.Sprintf("%s came to %s, and waits there: the process blocks this signal "+
		"(sigprocmask(2)).", name, p.Command)
	if isCommand {
		return text + " That is the command. Unless it blocks the signal itself, it has that " +
			"from your program: what a process blocks when it calls execve(2) stays so " +
			"(signal(7)). Then the child has to unblock the signal before it executes the command."
	}
	if filepath.Base(p.File) == "unshare" {
		return text + " unshare(1) does that with --fork while it waits for its child, and does " +
			"not pass the signal on; newer versions do with --forward-signals. Otherwise a shell " +
			"stays outside: it starts unshare with --kill-child in the background and waits for " +
			"it, wait $!, and its trap for TERM and INT sends KILL to unshare, which nobody can " +
			"block. --kill-child ends the child, too, then."
	}
	return text + " Unblock it, and have a handler for it (sigaction(2)), or take it by " +
		"sigwait(3) or signalfd(2): then pass it on with kill(2) to the process that yours has " +
		"started."
}

// notPassedOn is for a process that has a handler for a signal which came, and for those below it.
func notPassedOn(e harness.Event, name string, signal unix.Signal) string {
	first, below := e.There[0], e.There[1:]
	text := fmt.Sprintf("%s has a handler for %s, and goes on.", first.Command, name)
	alone := len(children(below)) == 1 // otherwise the signal may be for another child
	for i, p := range below {
		switch {
		case i == 0 && alone && has(p.Ignored, signal):
			return text + fmt.Sprintf(" Below it, %s ignores that signal (SIG_IGN): there it has "+
				"no effect when it is passed on.", p.Command)
		case has(p.Caught, signal):
			continue
		case p.Init && isCommand(e, p):
			return text + fmt.Sprintf(" Below it, the command, %s, is process 1 of a pid "+
				"namespace and has no handler for %s: such a process does not get it, whoever "+
				"passes it on (pid_namespaces(7)). Either a process of yours is process 1, with a "+
				"handler that passes the signal on, and starts the command as its child; or end "+
				"process 1 by KILL from outside, and all others in the namespace end with it.",
				p.Command, name)
		case p.Init:
			return text + fmt.Sprintf(" Below it, %s is process 1 of a pid namespace and has no "+
				"handler for %s: such a process does not get it, whoever passes it on "+
				"(pid_namespaces(7)). Have a handler there, too, which passes the signal on to "+
				"the command; or end process 1 by KILL from outside, and all others in the "+
				"namespace end with it.", p.Command, name)
		case i == 0 && alone:
			return text + fmt.Sprintf(" %s, below it, has none, and the signal would have ended "+
				"it: the handler has to pass the signal on, with kill(2), and here it did not.",
				p.Command)
		}
	}
	return text + " Does the handler pass the signal on, with kill(2), to the process that yours " +
		"has started, and does that process end then?"
}
