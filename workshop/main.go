//go:build linux

// Command workshop leads a participant through the five steps: it checks the program that they type
// against the promises of each step, on a throw-away host, and says what is missing and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lazyregexp"
	"container.example/workshop/workshop/record"
)

// Exit statuses of the command.
const (
	statusFailed = 1 // the program under test broke a promise, or the machine lacks something
	statusError  = 2 // the command could not do its work
)

// errFailed ends the command with statusFailed; all that is to be said was said.
var errFailed = errors.New("failed")

func main() {
	if status, ok := asHelper(); ok {
		os.Exit(status)
	}
	if isRecorder(os.Args[1:]) {
		record.PrepareHeap()
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	// A reader that is gone, as in `workshop watch | head`, ends the command, but not before it has
	// tidied up. It is caught and not ignored: programs that it starts would ignore it as well.
	signal.Notify(make(chan os.Signal, 1), unix.SIGPIPE)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	switch err := newRoot(cancel).Run(ctx, os.Args); {
	case err == nil:
		os.Exit(0) // a return would first restore the handling of signals, which takes time
	case errors.Is(err, errFailed):
		os.Exit(statusFailed)
	case errors.Is(err, context.Canceled):
		os.Exit(128 + int(unix.SIGINT))
	default:
		fmt.Fprintf(os.Stderr, "workshop: %s\n", strings.TrimSpace(err.Error()))
		os.Exit(statusError)
	}
}

// asHelper does what this program starts itself again for, if that is so: a stage of a throw-away
// host, or an attempt of the doctor's.
func asHelper() (status int, ok bool) {
	if engine := os.Getenv(adapterEnv); engine != "" {
		return adapt(engine, os.Args[1:]), true
	}
	if harness.IsStage() {
		return harness.Stage(), true
	}
	what := os.Getenv(tryEnv)
	if what == "" {
		return 0, false
	}
	if err := tried(what); err != nil {
		fmt.Println(err)
		return 1, true
	}
	return 0, true
}

// newRoot makes the command and those below it. Their flags have one dash, as those of the
// container have; the library takes two as well.
func newRoot(unread func()) *cli.Command {
	a := &app{}
	plain := false
	root := &cli.Command{
		Name: "workshop",
		Usage: "Build a container runtime, and be told at each save what it isolates and what " +
			"is missing",
		Description: `Build a container runtime in five steps. Your program lives in ./mine; each
step has promises, and the workshop tries them on your program, on a
throw-away host where it cannot harm the machine.

  workshop start     make ./mine, with the plan of step 1
  workshop watch     check it at each save
  workshop hint      when you are stuck`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "dir", Destination: &a.dir,
				Usage: "`DIRECTORY` of your program and your progress (default ./mine)",
			},
			&cli.BoolFlag{
				Name: "plain", Destination: &plain,
				Usage: "plain text, line by line, for a screen reader or a simple terminal",
			},
		},
		EnableShellCompletion: true,
		Before: func(ctx context.Context, _ *cli.Command) (context.Context, error) {
			a.out = newOutput(os.Stdout, plain, unread)
			return ctx, nil
		},
		Action: func(_ context.Context, cmd *cli.Command) error {
			if name := cmd.Args().First(); name != "" {
				return fmt.Errorf("unknown command %q (all of them: %s -h)", name, a.self())
			}
			return cli.ShowAppHelp(cmd)
		},
		Commands:        a.commands(os.Args[1:]),
		HideHelpCommand: true,
	}
	asTyped := func(_ context.Context, _ *cli.Command, err error, _ bool) error { return err }
	root.OnUsageError = asTyped
	for _, cmd := range root.Commands {
		cmd.OnUsageError = asTyped
		cmd.HideHelpCommand = true
	}
	return root
}

// commands are those below the root. In a recorder the others are left out.
func (a *app) commands(args []string) []*cli.Command {
	if isRecorder(args) {
		return []*cli.Command{a.record()}
	}
	return []*cli.Command{
		a.start(), a.watch(), a.check(), a.report(), a.hint(),
		a.list(), a.skip(), a.plan(), a.diff(), a.catchup(),
		a.progress(), a.reset(), a.doctor(), a.demo(), a.inspect(), a.attack(),
		a.record(), a.live(), a.wall(),
	}
}

func init() {
	flag := cli.FlagStringer
	cli.FlagStringer = func(f cli.Flag) string { return strings.ReplaceAll(flag(f), "--", "-") }
}

// atMost is an error if there are more arguments than the command takes.
func atMost(cmd *cli.Command, most int) ([]string, error) {
	args := cmd.Args().Slice()
	if len(args) > 0 && most == 0 {
		return nil, fmt.Errorf("%s %q: takes no arguments", cmd.Name, strings.Join(args, " "))
	}
	if len(args) > most {
		return nil, fmt.Errorf(
			"%s %q: takes at most %d (%s %s)",
			cmd.Name,
			strings.Join(args, " "),
			most,
			cmd.Name,
			cmd.ArgsUsage,
		)
	}
	return args, nil
}

// app is what the commands share.
type app struct {
	dir string // the flag -dir
	out *output
	// keys tells that one presses keys rather than types commands.
	keys bool
}

// advice is how to get what the command does: the command to type, or the key to press.
func (a *app) advice(command, key string) string {
	if a.keys {
		return "press " + key
	}
	return a.self() + " " + command
}

// self is how the person called this command, for the advice on what to type next: with -dir if the
// directory is not the one that is found without it.
func (a *app) self() string {
	name := "go tool workshop"
	if _, err := exec.LookPath("workshop"); err == nil {
		name = "workshop"
	}
	if a.dir == "" {
		return name
	}
	dir, err := filepath.Abs(a.dir)
	found, foundErr := (&app{}).open()
	if err != nil || foundErr != nil || dir == found.dir {
		return name
	}
	return name + " -dir " + shellWord(relative(dir))
}

// shellWord is a word as one types it in a shell.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

var plainWord = lazyregexp.New(`^[\w./+:@%,=-]+$`)

// moduleRoot is the directory of the workshop's module, at or above the working directory.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "testdata", "step1-skeleton")); err == nil {
			return dir, nil
		}
		if dir == "/" {
			return "", errors.New(
				"not in the workshop: go to the directory that has step1-skeleton in it, or to " +
					"one below",
			)
		}
	}
}

// title is what a step is called: the heading of its README.
func title(root, step string) string {
	text, _ := os.ReadFile(filepath.Join(root, step, "README.md"))
	heading, _, _ := strings.Cut(string(text), "\n")
	if _, name, ok := strings.Cut(heading, ": "); ok {
		return name
	}
	_, name, _ := strings.Cut(step, "-")
	return name
}

// number is the digit in the name of a step.
func number(step string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(step, "step"), "-")
	return name
}
