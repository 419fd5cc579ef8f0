//go:build linux

package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
)

// This file has the clues about a process of a program that ended before it executed the command,
// and about a parent that did not hear of the end of its child.

// childFell is for a program whose child did something for which the kernel ended it.
func childFell(e harness.Event) string {
	if executed(e) != "no" {
		return ""
	}
	for _, f := range e.Conduct.Falls {
		if toolOf(harness.Refusal{By: f.By}) != "" || endsPipeline(e, f) {
			continue
		}
		if why := sentBy(f.Signal); why != "" && panicked(e.Stderr) == "" {
			who := "Your program itself"
			if f.Birth != "" {
				who = fmt.Sprintf("The child that %s made", nameOfBirth(f.Birth))
			}
			return fmt.Sprintf("%s was ended by %s, before it executed %s.%s %s", who, f.Signal,
				ranCommand(e), lastOf(f), why)
		}
		if f.Birth == "" || !slices.Contains(ofAddress, f.Signal) {
			continue // that is told by how the program ended
		}
		text := fmt.Sprintf("The child that %s made was ended by %s", nameOfBirth(f.Birth),
			f.Signal)
		name := ranCommand(e)
		const stack = "The stack of clone(2) is given by its upper end, because it grows down: " +
			"the address of the memory and its size together. 1 MiB is enough."
		switch {
		case f.Shares:
			return text + fmt.Sprintf(", before it executed %s.%s It has the memory of its parent "+
				"(CLONE_VM): what one of them frees or changes, such as the stack of the child, "+
				"is gone for the other, too. Leave CLONE_VM out, and the child has a copy. %s",
				name, lastOf(f), stack)
		case f.OfStack && f.Last == "":
			return text + ", before it made a system call of its own. The stack that it was " +
				"given is to blame: it is too small, or given by its lower end. " + stack
		case f.OfStack:
			return text + fmt.Sprintf(", before it executed %s.%s The stack that it was given is "+
				"too small. %s", name, lastOf(f), stack)
		case f.Last == "":
			return text + fmt.Sprintf(", before it made a system call of its own, and %s was not "+
				"executed. It used an invalid address, such as a null pointer.", name)
		}
		return text + fmt.Sprintf(", before it executed %s.%s After that it used an invalid "+
			"address, such as a null pointer.", name, lastOf(f))
	}
	return ""
}

// endsPipeline tells whether a process was ended because nobody reads what it writes, and
// that is no fault: a shell ends the first parts of a pipeline so, and a program that fails of
// something else does so with its children.
func endsPipeline(e harness.Event, f harness.Fall) bool {
	interpreter, _ := interpreterOf(e.Program)
	return f.Signal == "SIGPIPE" && (shellRE.MatchString(cmp.Or(f.By, interpreter)) ||
		ownError(e) != "")
}

// ofAddress are the signals that a process gets for an invalid address or instruction.
var ofAddress = []string{"SIGSEGV", "SIGBUS", "SIGILL"}

// sentBy says where a signal comes from that ended a process, if it did not use a wrong address.
func sentBy(signal string) string {
	switch signal {
	case "SIGSYS":
		return "A filter of system calls forbids one that it made (seccomp(2))."
	case "SIGFPE":
		return "A division by zero does that."
	case "SIGABRT":
		return "abort(3) sends it: after an assertion that failed, or where the C library finds " +
			"its memory damaged, as by free(3) of what is free already."
	case "SIGALRM":
		return "alarm(2) and setitimer(2) send it when their time is up, and execve(2) does not " +
			"turn them off."
	case "SIGPIPE":
		return "The signal comes of writing into a pipe that nobody can read from any longer."
	case "SIGUSR1", "SIGUSR2":
		return "The signal ends a process that has no handler for it (signal(7)): set the " +
			"handler before anybody can send it."
	case "SIGXCPU", "SIGXFSZ":
		return "A limit of setrlimit(2) is reached."
	}
	return ""
}

// lastOf is the last call that a process made, as a sentence.
func lastOf(f harness.Fall) string {
	if f.Last == "" {
		return ""
	}
	return " Its last call was " + f.Last + "."
}

// nameOfBirth is the call that made a process, in print.
func nameOfBirth(birth string) string {
	name, args, _ := strings.Cut(birth, "(")
	if args == ")" || name == "fork" || name == "vfork" { // it asked for no namespace
		return strings.TrimSuffix(name, "3") + "(2)"
	}
	return birth
}

// childless is for a program that could not wait for its child, which it had.
func childless(e harness.Event) string {
	m := anyStatus.FindStringSubmatch(e.Message)
	says := childRE.MatchString(e.Stderr + e.Stdout + unseen(e))
	lost := m != nil && m[1] == "0"
	for _, line := range e.Left {
		lost = lost || strings.Contains(line, ": process ")
	}
	if e.Conduct == nil || !says && !lost {
		return ""
	}
	const wait = "wait(2) found no child to wait for, and failed with ECHILD"
	switch call := e.Conduct.Childless; {
	case strings.Contains(call, "SA_NOCLDWAIT"):
		return wait + ", because your program has set SA_NOCLDWAIT for SIGCHLD: then the kernel " +
			"forgets a child as soon as that has ended, and its status with it (sigaction(2)). " +
			"Leave that flag out."
	case strings.HasPrefix(call, "rt_sigaction"):
		return wait + ", because your program ignores SIGCHLD: then the kernel forgets a child " +
			"as soon as that has ended, and its status with it. Leave SIGCHLD as it is " +
			"(SIG_DFL), which does nothing either."
	case strings.HasSuffix(call, "(__WCLONE)"):
		return wait + ", though there is one. With the option __WCLONE it finds only those whose " +
			"end sends another signal than SIGCHLD, or none. Without an option it finds the others."
	case strings.HasPrefix(call, "clone"):
		return wait + fmt.Sprintf(", though there is one: %s did not name the signal of its end. "+
			"SIGCHLD belongs to the flags of clone(2), beside those of the namespaces. Without "+
			"it wait(2) sees the child, until that calls execve(2), only with the option __WALL "+
			"or __WCLONE.", call)
	case !says: // others ask until there is no child
		return ""
	case call != "":
		return wait + ", because it had told of the end before: it does so once, and then the " +
			"child is gone. Keep the status of the first time."
	}
	return wait + ": the process that waits has no such child, or no longer. Only the one that " +
		"has started a process is its parent, and can wait for it."
}

// noThread is for a runtime of Go that may not start a thread.
func noThread(e harness.Event) string {
	if e.Conduct == nil || !noThreadRE.MatchString(e.Stderr+unseen(e)) {
		return ""
	}
	for _, made := range e.Conduct.Made {
		name, _, _ := strings.Cut(made, "(")
		if (name == "unshare" || name == "setns") && strings.Contains(made, "CLONE_NEWPID") {
			return fmt.Sprintf("%s succeeded: from then on the children of this process are in "+
				"another pid namespace than it is itself, and it can have no more threads "+
				"(clone(2), CLONE_THREAD, EINVAL). What it executes goes on with that, and Go "+
				"needs threads. CLONE_NEWPID of clone(2) makes the namespace and puts the child "+
				"into it, without that: in Go it belongs to Cloneflags.", made)
		}
	}
	return ""
}

// noThreadRE matches what the runtime of Go says there, with EINVAL.
var noThreadRE = lazyregexp.New(`failed to create new OS thread \(.*errno=22\)`)

// childRE matches what programs say of a wait that found no child.
var childRE = lazyregexp.New(`(?i)no child process|\bECHILD\b|ChildProcessError`)

// unseen are the words of the program's own processes that did not arrive, where the command was
// not executed. A shell that throws words away does so because a line of it says so.
func unseen(e harness.Event) (text string) {
	if executed(e) != "no" {
		return ""
	}
	for _, u := range e.Conduct.Unseen {
		if u.By == "" || ofItself(u.By) ||
			interpreterRE.MatchString(u.By) && !shellRE.MatchString(u.By) {
			text += u.Text
		}
	}
	return text
}

// wordsUnseen is for a program whose child says what is wrong, where nobody can hear it.
func wordsUnseen(e harness.Event) string {
	words := unseen(e)
	if words == "" || panicked(e.Stderr) != "" && !saysStatus(panicked(e.Stderr)) {
		return ""
	}
	text := "One of your processes ended in a panic, and its words did not arrive: they are " +
		"above, beside unseen."
	if panicked(words) == "" {
		line := errorLine(words)
		if line == "" {
			return ""
		}
		text = fmt.Sprintf("One of your processes said what is wrong, and its words did not "+
			"arrive: %q.", line)
	}
	text += fmt.Sprintf(" %s was not executed. What the second copy writes to descriptor 2 has to "+
		"reach yours: give it the descriptors 0, 1 and 2 of the first", ranCommand(e))
	if isGo(e.Program) {
		return text + " (in Go cmd.Stderr = os.Stderr)."
	}
	return text + "."
}

// saysStatus tells whether a panic is only about the end of another process.
func saysStatus(bug string) bool { return strings.Contains(bug, "exit status ") }

// nameLost is for a program that gives the command its arguments without its name before them.
func nameLost(e harness.Event) string {
	given := commandWords(e)
	if len(given) < 3 || strings.Contains(e.Ran, "$") {
		return ""
	}
	const rule = "The list of arguments of execve(2) begins with the name of the program, " +
		"argv[0], and those that are typed come after it: it is all words after run."
	switch executed(e) {
	case "no":
		if noArgumentsRE.MatchString(e.Stderr + e.Stdout + unseen(e)) {
			return fmt.Sprintf("%s was to be executed with an empty list of arguments. %s",
				given[2], rule)
		}
		return ""
	case "":
		return ""
	}
	lost := ""
	for i, file := range e.Conduct.Ran {
		words := e.Conduct.Words[i]
		switch {
		case filepath.Base(file) != filepath.Base(given[2]):
		case len(words) > 0 && slices.Equal(words[1:], given[3:]):
			return ""
		case len(words) == 0 && len(given) == 3:
			lost = fmt.Sprintf("%s was executed, and its list of arguments was empty. ", given[2])
		case slices.Equal(words, given[3:]):
			lost = fmt.Sprintf("%s was executed, with %q in the place of its own name. ", given[2],
				words[0])
		}
	}
	if lost == "" {
		return ""
	}
	return lost + rule
}

// noArgumentsRE matches what languages say of an empty list of arguments.
var noArgumentsRE = lazyregexp.New(`(?i)\b(arg 2|argv) (must not be|first element cannot be) empty`)
