//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// held are programs that a signal does not end, and where they are told that it stays.
var held = []struct{ name, program, says string }{
	{
		"unshare(1), which blocks it",
		`#!/bin/sh
if test -z "$INSIDE"
then INSIDE=1 exec unshare --pid --fork "$0" "$@"
fi
shift
exec "$@"
`,
		"SIGTERM came to `unshare --pid --fork container run",
	},
	{
		"process 1 without a handler",
		`#!/usr/bin/env python3
import ctypes, os, signal, sys
ctypes.CDLL(None).unshare(0x20000000)
pid = os.fork()
if pid == 0:
    if os.fork() == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    os.wait()
    os._exit(0)
signal.signal(signal.SIGTERM, lambda number, frame: os.kill(pid, number))
os.wait()
`,
		"is process 1 of a pid namespace and has no handler for SIGTERM",
	},
	{
		"a shell whose trap passes it on to what it has in the background",
		`#!/bin/bash
shift
trap 'kill -TERM $child' TERM
(trap '' TERM; exec "$@") & child=$!
wait $child
wait $child
`,
		"ignores that signal (SIG_IGN)",
	},
	{
		"a shell whose trap executes something else, which does not end",
		`#!/bin/bash
shift
trap 'exec sh -c "while :; do sleep 0.1; done"' TERM
"$@" & wait $!
`,
		"",
	},
}

// TestHeld lets programs hang that a signal does not end, and be told why.
func TestHeld(t *testing.T) {
	t.Parallel()
	_, hosts := checkHere(t, "asks for root: the programs make namespaces")
	script := filepath.Join(t.TempDir(), "own.txtar")
	require.NoError(t, os.WriteFile(script, []byte(`# A signal ends the program.
! exec container run sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done' &container&
running 'sleep 0.1'
exec pkill -TERM -o -f 'container run '
wait container
`), 0o644))
	own := harness.Script{Step: "step4-cgroups", Name: "own", File: script}
	var texts []string
	for _, c := range held {
		texts = append(texts, c.program)
	}
	programs := writtenPrograms(t, texts)
	for n, c := range held {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			skip.Language(t, c.program)
			failed := firstFailureIn(t, hanging(), hosts.take(t), programs.path(t, n),
				[]harness.Script{own})
			require.NotNil(t, failed)
			text := inRows(t, *failed)
			require.Contains(t, text, c.says)
			require.NotContains(t, text, "the first process of your program ended")
		})
	}
}

// TestSignalHeld tells where a signal stays of processes as they were when the time was up.
func TestSignalHeld(t *testing.T) {
	const term, interrupt = 1 << (unix.SIGTERM - 1), 1 << (unix.SIGINT - 1)
	type process = harness.Process
	first := process{Command: "`container run x`", File: "/usr/bin/python3", Caught: term}
	child := process{Command: "`x`"}
	command := process{Command: "`/bin/sh /command " + strings.Repeat("y", 38) + "...`"}
	of := func(p process, change func(*process)) process {
		change(&p)
		return p
	}
	script := filepath.Join(t.TempDir(), "own.txtar")
	require.NoError(t, os.WriteFile(script, []byte("exec sh /command x\n"+
		"! exec container run -pids 9 sh /command "+strings.Repeat("y", 99)+" &container&\n"+
		"wait\n"+
		"-- kill.sh --\nkill $!\n-- number.sh --\nkill -$1 $!\n-- other.sh --\nkill -INT $!\n"+
		"-- no-kill.sh --\nskill $!\n"), 0o644))
	for _, c := range []struct {
		name  string
		there []process
		says  string
	}{
		{
			"blocked, by unshare(1)",
			[]process{first, {Command: "`unshare x`", File: "/usr/bin/unshare", Pending: term}},
			"SIGTERM came to `unshare x`, and waits there: the process blocks this signal " +
				"(sigprocmask(2)). unshare(1) does that with --fork",
		},
		{
			"blocked, by another",
			[]process{of(first, func(p *process) { p.Pending = term | 1<<(unix.SIGCHLD-1) })},
			"(sigprocmask(2)). Unblock it",
		},
		{
			"ignored",
			[]process{of(first, func(p *process) { p.Caught, p.Ignored = interrupt, term })},
			"`container run x` ignores it (SIG_IGN)",
		},
		{
			"another is ignored",
			[]process{of(child, func(p *process) { p.Ignored = interrupt })},
			"",
		},
		{"another is caught", []process{of(first, func(p *process) { p.Caught = interrupt })}, ""},
		{
			"the trap of a shell that waits",
			[]process{
				of(first, func(p *process) { p.File, p.Waits = "/usr/bin/dash", true }), child,
			},
			"it runs no trap",
		},
		{
			"one child that it may be passed on to, and one that it need not",
			[]process{first, child, child},
			"Does the handler pass the signal on",
		},
		{
			"not passed on to a child that has one",
			[]process{first, child, of(child, func(p *process) { p.Above = 1 })},
			"`x`, below it, has none",
		},
		{
			"process 1 without a handler",
			[]process{first, of(child, func(p *process) { p.Init = true })},
			"Below it, `x` is process 1 of a pid namespace and has no handler for SIGTERM",
		},
		{
			"the command is process 1, and has no handler",
			[]process{first, of(command, func(p *process) { p.Init = true })},
			"Below it, the command, `/bin/sh /command yyy",
		},
		{
			"blocked in the command",
			[]process{first, of(command, func(p *process) { p.Pending = term })},
			"That is the command.",
		},
		{
			"blocked, and nobody has sent it",
			[]process{of(child, func(p *process) { p.Pending = 1 << (unix.SIGHUP - 1) })},
			"",
		},
		{
			"process 1 with a handler",
			[]process{first, of(child, func(p *process) { p.Init, p.Caught = true, term })},
			"Does the handler pass the signal on",
		},
		{
			"ignored below",
			[]process{first, of(child, func(p *process) { p.Ignored = term })},
			"Below it, `x` ignores that signal",
		},
		{
			"ignored farther below, as by what a shell has in the background",
			[]process{
				first, of(child, func(p *process) { p.Caught = term }),
				of(child, func(p *process) { p.Ignored = term }),
			},
			"Does the handler pass the signal on",
		},
		{"not passed on", []process{first, child}, "`x`, below it, has none"},
		{
			"nobody knows to which child",
			[]process{first, of(child, func(p *process) { p.Caught = term }), child},
			"Does the handler pass the signal on",
		},
		{"nothing is there", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := harness.Event{Script: harness.Script{Step: "step4-cgroups", Name: "own"}}
			e.Script.File, e.Line = script, 3
			e.Ran, e.There = "exec pkill -TERM -o -f 'container run -memory 64M'", c.there
			e.Waiting = "`x` was in read(2), waiting for input"
			text := signalHeld(e)
			require.Contains(t, text, c.says)
			require.Equal(t, c.says == "", text == "", text)
			require.Contains(t, clue(e), text)
			e.Ran = "exec container run x"
			require.Empty(t, signalHeld(e), "nobody has sent a signal")
			blocked := text != "" && c.there[len(c.there)-1].Pending != 0
			for run, sends := range map[string]bool{
				"exec sh kill.sh": true, "exec script -c 'sh kill.sh' x": true,
				"exec sh number.sh TERM": true,
				"exec sh other.sh":       false, "exec sh no-kill.sh": false,
			} {
				e.Ran = run
				require.Equal(t, blocked && sends, signalHeld(e) != "", run)
			}
		})
	}
}
