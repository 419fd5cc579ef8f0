//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"golang.org/x/tools/txtar"

	"container.example/workshop/internal/harness"
)

func (a *app) demo() *cobra.Command {
	auto, list := false, false
	cmd := &cobra.Command{
		Use:   "demo [NAME]",
		Short: "Play a demonstration on stage: one namespace or limit at a time",
		Long: `Play a demonstration for an audience: what is to be seen is told, each command is typed and waits for the space
key, its output is real, and what it proves is said after it. Commands on the host are on the left, containers on the
right. Each demonstration is a script in testdata/demos, which go test runs too: one that is broken is red before it is
on stage.`,
		Example: `  workshop demo -list
  workshop demo uts
  workshop demo -auto memory`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := moduleRoot()
			if err != nil {
				return err
			}
			demos, err := harness.Demos(root)
			if err != nil {
				return err
			}
			if list || len(args) == 0 {
				for _, d := range demos {
					a.out.printf("%-8s %-36s %s\n", d.Name, d.Title, a.out.faint.Render(d.Program))
				}
				return nil
			}
			for _, d := range demos {
				if d.Name == args[0] {
					return a.playDemo(cmd.Context(), root, d, auto)
				}
			}
			return fmt.Errorf("demo %q: there is none (%s demo -list)", args[0], self())
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) (names []string, _ cobra.ShellCompDirective) {
			if root, err := moduleRoot(); err == nil {
				demos, _ := harness.Demos(root)
				for _, d := range demos {
					names = append(names, d.Name+"\t"+d.Title)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().BoolVar(&auto, "auto", false, "play through without keys")
	cmd.Flags().BoolVar(&list, "list", false, "list the demonstrations")
	return cmd
}

// A cue is what the stage does for a line of the script.
type cue struct {
	narration string // to be told before it, if it is the first after a comment
	command   string // to be typed
	inside    bool   // it starts a container
	silent    bool   // its output is not shown: it runs in the background
	proof     string // what is proven if the line succeeds
}

// cues reads those of a script, by the numbers of its lines.
func cues(s harness.Script) (map[int]cue, error) {
	archive, err := txtar.ParseFile(s.File)
	if err != nil {
		return nil, err
	}
	all := map[int]cue{}
	var comment []string
	for i, line := range strings.Split(string(archive.Comment), "\n") {
		if text, ok := strings.CutPrefix(line, "#"); ok {
			comment = append(comment, strings.TrimSpace(text))
			continue
		}
		command := parseCommand(line)
		if command.name == "" {
			continue
		}
		c := cue{narration: strings.Join(comment, " ")}
		comment = nil
		switch command.name {
		case "exec", "exits":
			c.command = stageCommand(line)
			c.inside = strings.HasPrefix(c.command, "container run")
			c.silent = strings.HasSuffix(strings.TrimSpace(line), "&")
			if c.silent {
				c.command += " &"
			}
			switch {
			case command.name == "exits" && len(command.args) > 0:
				c.proof = "exit status " + meaning(command.args[0])
			case command.negated && !c.silent:
				c.proof = "it fails, as it should"
			}
		default:
			c.proof = proof(command)
		}
		all[i+1] = c
	}
	return all, nil
}

// stageCommand is a command line as one would type it: a shell takes it apart already.
func stageCommand(line string) string {
	text := commandLine(line)
	if inner, ok := strings.CutPrefix(text, "sh -c '"); ok && strings.HasSuffix(inner, "'") {
		text = strings.ReplaceAll(strings.TrimSuffix(inner, "'"), "''", "'")
		text = strings.TrimPrefix(text, "exec ")
	}
	return strings.ReplaceAll(text, "$WORK/", "")
}

// proof is what an assertion of a script proves, in words; none for what only prepares.
func proof(c command) string {
	last := ""
	if len(c.args) > 0 {
		last = c.args[len(c.args)-1]
	}
	switch {
	case c.name == "stderr" && len(c.args) == 2: // that it is one line
		return ""
	case (c.name == "stdout" || c.name == "stderr") && c.negated && last == ".":
		return "nothing at all"
	case (c.name == "stdout" || c.name == "stderr") && c.negated:
		return "nowhere in it: " + plain(last)
	case c.name == "stdout" || c.name == "stderr":
		if text := plain(last); !strings.ContainsAny(text, `[](|\*+`) {
			return "there it is: " + text
		}
		return "as it should be"
	case c.name == "cmp" && c.negated:
		return "the two differ"
	case c.name == "cmp":
		return "the same as before"
	case c.name == "cgroup" && len(c.args) == 2:
		return fmt.Sprintf("a cgroup has %s in its file %s", c.args[1], c.args[0])
	}
	return ""
}

// plain makes a regular expression readable from the last row.
func plain(re string) string {
	re = strings.NewReplacer("(?m)", "", "(?i)", "", "^", "", "$", "", `\s+`, " ", " +", " ", " *", " ", "[0-9]+", "N",
		"[a-z0-9]+", "NAME", "(?:", "(", `\.`, ".").Replace(re)
	return strings.TrimSpace(re)
}

// errQuit says that somebody has left the demonstration.
var errQuit = errors.New("the demonstration was left")

// stage is where a demonstration is shown. Both functions return when it is time to go on.
type stage interface {
	before(ctx context.Context, c cue) error // tell and type
	after(ctx context.Context, c cue, stdout, stderr string) error
	end(ctx context.Context, e harness.Event) error
}

// playDemo plays a demonstration with our own step.
func (a *app) playDemo(ctx context.Context, root string, d harness.Demo, auto bool) (err error) {
	all, err := cues(d.Script)
	if err != nil {
		return err
	}
	if a.out.terminal {
		a.out.printf("%s: %s ...\r", d.Name, d.Title)
	}
	host, err := harness.NewHost(root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.Close()) }()
	dir, err := os.MkdirTemp("", "container-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	program := filepath.Join(dir, "container")
	if err := harness.Build(ctx, program, filepath.Join(root, d.Program)); err != nil {
		return err
	}
	play := func(ctx context.Context, s stage) error {
		e, err := host.Play(ctx, harness.Options{Program: program, Ours: true}, d.Script, func(m harness.Moment) error {
			c := all[m.Line]
			if m.After {
				return s.after(ctx, c, m.Stdout, m.Stderr)
			}
			return s.before(ctx, c)
		})
		if err != nil {
			return err
		}
		if err := s.end(ctx, e); err != nil {
			return err
		}
		if e.Status == harness.Failed {
			return errFailed
		}
		return nil
	}
	if a.out.terminal && term.IsTerminal(int(os.Stdin.Fd())) {
		a.out.printf("%s\r", strings.Repeat(" ", 78))
		err = a.playScreen(ctx, d, auto, play)
	} else {
		err = play(ctx, &textStage{a, d, 0})
	}
	if errors.Is(err, errQuit) {
		err = nil
	}
	return err
}

// textStage shows a demonstration as plain text, without waiting.
type textStage struct {
	*app
	demo   harness.Demo
	proofs int
}

func (s *textStage) before(_ context.Context, c cue) error {
	if c.narration != "" {
		s.out.printf("\n")
		for line := range strings.SplitSeq(s.out.wrap(c.narration, 0), "\n") {
			s.out.printf("%s\n", s.out.note.Render(line))
		}
	}
	if c.command != "" {
		s.out.printf("%s# %s\n", where(c), s.out.bold.Render(c.command))
	}
	return nil
}

func (s *textStage) after(_ context.Context, c cue, stdout, stderr string) error {
	if c.command != "" && !c.silent {
		if text := strings.TrimRight(stdout+stderr, "\n"); text != "" {
			s.out.printf("%s\n", verbatim(text, 20))
		}
	}
	if c.proof != "" {
		s.proofs++
		s.out.printf("%s %s\n", s.out.good.Render("✓"), c.proof)
	}
	return nil
}

func (s *textStage) end(_ context.Context, e harness.Event) error {
	s.out.printf("\n%s\n", s.curtain(s.demo, e, s.proofs))
	return nil
}

// curtain is the last line of a demonstration.
func (a *app) curtain(d harness.Demo, e harness.Event, proofs int) string {
	switch e.Status {
	case harness.Passed:
		return fmt.Sprintf("%s %s: %s. %d times proven.", a.out.good.Render("✓"), d.Name, d.Title, proofs)
	case harness.Skipped:
		return fmt.Sprintf("- %s was not shown: %s", d.Name, e.Reason)
	}
	return fmt.Sprintf("%s %s is broken: %s\nTo see why: go test ./%s -run 'TestPromises/demos/^%s$'", a.out.bad.Render("✗"), d.Name,
		strings.TrimSpace(e.Message+" "+e.Stderr), d.Program, d.Name)
}

// where is the side on which a command is shown.
func where(c cue) string {
	if c.inside {
		return "container "
	}
	return "host "
}
