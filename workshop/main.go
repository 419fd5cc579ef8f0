//go:build linux

// Command workshop leads a participant through the five steps: it checks the program that they type against
// the promises of each step, on a throw-away host, and says what is missing and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
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
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()
	root := newRoot()
	root.SetArgs(twoDashes(os.Args[1:]))
	switch err := root.ExecuteContext(ctx); {
	case err == nil:
	case errors.Is(err, errFailed):
		os.Exit(statusFailed)
	case errors.Is(err, context.Canceled):
		os.Exit(128 + int(unix.SIGINT))
	default:
		fmt.Fprintf(os.Stderr, "workshop: %s\n", strings.TrimSpace(err.Error()))
		os.Exit(statusError)
	}
}

// asHelper does what this program starts itself again for, if that is so: a stage of a throw-away host, or
// an attempt of the doctor's.
func asHelper() (status int, ok bool) {
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

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "workshop",
		Short: "Build a container runtime, and be told at each save what it isolates and what is missing",
		Long: `Build a container runtime in five steps. Your program lives in ./mine; each step has promises, and the
workshop tries them on your program, on a throw-away host where it cannot harm the machine.`,
		Example: `  workshop start     make ./mine, with the plan of step 1
  workshop watch     check it at each save
  workshop hint      when you are stuck`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			a.out = newOutput(cmd.OutOrStdout())
		},
	}
	root.PersistentFlags().StringVar(&a.dir, "dir", "", "directory of your program and your progress (default ./mine)")
	root.AddCommand(a.start(), a.check(), a.watch(), a.hint(), a.diff(), a.progress(), a.reset(),
		a.doctor(), a.demo(), a.inspect())
	return root
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
	return self() + " " + command
}

var longFlag = regexp.MustCompile(`^-[a-z][a-z-]+(=.*)?$`)

// twoDashes lets a flag have one dash, as those of the container have: the flag package of the commands
// wants two. What follows -- is somebody else's.
func twoDashes(args []string) (result []string) {
	for i, arg := range args {
		if arg == "--" {
			return append(result, args[i:]...)
		}
		if longFlag.MatchString(arg) {
			arg = "-" + arg
		}
		result = append(result, arg)
	}
	return result
}

// self is how the person called this command, for the advice on what to type next.
func self() string {
	if _, err := exec.LookPath("workshop"); err == nil {
		return "workshop"
	}
	return "go tool workshop"
}

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
			return "", errors.New("not in the workshop: go to the directory that has step1-skeleton in it, or to one below")
		}
	}
}

// findStep is the step that the argument means: 2, step2 or step2-namespaces.
func findStep(root, arg string) (string, error) {
	steps, err := harness.Steps(root)
	if err != nil {
		return "", err
	}
	for _, step := range steps {
		if step == arg || strings.HasPrefix(step, "step"+strings.TrimPrefix(arg, "step")+"-") {
			return step, nil
		}
	}
	return "", fmt.Errorf("step %q: there is none (%s)", arg, strings.Join(steps, ", "))
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

// completeSteps completes the name of a step.
func completeSteps(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	root, err := moduleRoot()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	steps, _ := harness.Steps(root)
	return steps, cobra.ShellCompDirectiveNoFileComp
}
