//go:build linux

package main

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/signals"
)

// onlooker prints the system calls as they are made (-v), and waits for a key before each (-step).
type onlooker struct {
	step      bool
	signals   *signals.Caught
	lineEnded bool // the line of the call is at its end already
}

func (o *onlooker) say(what string) { fmt.Fprintln(files.Stderr, "host:", what) }

func (o *onlooker) Before(call string, executes bool) (err error) {
	fmt.Fprint(files.Stderr, call)
	if o.step {
		err = o.awaitKey()
	}
	o.lineEnded = executes || err != nil // what comes next is from the command, or an error
	if o.lineEnded {
		fmt.Fprintln(files.Stderr)
	}
	return err
}

func (o *onlooker) After(result string) {
	if o.lineEnded {
		result = "\t" + result
	}
	fmt.Fprintln(files.Stderr, result)
}

// awaitKey waits for a key at the terminal, or for a line of another standard input.
func (o *onlooker) awaitKey() error {
	last := byte('\n')
	if err := awaitForeground(o.signals); err != nil {
		return fmt.Errorf("step: %w", err)
	}
	if term.IsTerminal(0) {
		before, err := term.MakeRaw(0)
		if err != nil {
			return fmt.Errorf("step: %w", err)
		}
		defer func() { _ = term.Restore(0, before) }()
		last = 0
	}
	key := make([]byte, 1) // no more: what follows is for the command
	for {
		err := awaitInput(0, o.signals)
		if err == nil {
			err = awaitForeground(o.signals)
		}
		if err != nil {
			return fmt.Errorf("step: %w", err)
		}
		switch n, err := unix.Read(0, key); {
		case errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN):
		case err == nil && n == 0:
			return errors.New("step: the standard input has no more lines")
		case err != nil:
			return fmt.Errorf("step: %w", err)
		case last == 0 && (key[0] == controlC || key[0] == controlD):
			return exitError{128 + int(unix.SIGINT), errors.New("step: interrupted")}
		case last == 0 || key[0] == last:
			return nil
		}
	}
}

const controlC, controlD = 3, 4
