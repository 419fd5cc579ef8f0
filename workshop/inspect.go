//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"
)

func (a *app) inspect() *cli.Command {
	asJSON, short := false, false
	return &cli.Command{
		Name:      "inspect",
		Usage:     "Show how one process differs from the host",
		ArgsUsage: "PID | -- CMD [ARG...]",
		Description: `Show one process against the host: namespaces, user and group ids, root and
mounts, cgroup with limits and usage, capabilities, seccomp, limits of
resources, and the process numbers on both sides. The process is any on this
machine: of the workshop's steps, of your program, of Docker. With -- CMD the
command is started, what it started in turn is looked at, and then it is
ended. The host is what this command itself sees. With -short, what differs
fits on a projector.

  workshop inspect 4711
  workshop inspect -short 4711
  workshop inspect -- ./container run sleep 100
  workshop inspect $(docker inspect -f '{{.State.Pid}}' NAME)
  workshop inspect -json 4711`,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Destination: &asJSON, Usage: "print JSON, for programs"},
			&cli.BoolFlag{
				Name:        "short",
				Destination: &short,
				Usage:       "print no more than 30 lines, for the stage",
			},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args := cmd.Args().Slice()
			if len(args) == 0 {
				return errors.New(
					"inspect: which process? (want a process id, or -- and a command)",
				)
			}
			look := func(pid int) error {
				r, err := inspect(pid)
				if err != nil {
					return err
				}
				if asJSON {
					text, err := json.MarshalIndent(r, "", "  ")
					if err != nil {
						return err
					}
					a.out.printf("%s\n", text)
					return nil
				}
				if short {
					a.showShort(r)
				} else {
					a.showReport(r)
				}
				return nil
			}
			if !slices.Contains(os.Args, "--") {
				pid, err := strconv.Atoi(args[0])
				if err != nil || len(args) > 1 {
					return fmt.Errorf(
						"inspect %q: want a process id, or -- and a command",
						strings.Join(args, " "),
					)
				}
				return look(pid)
			}
			return withCommand(ctx, args, look)
		},
	}
}

// withCommand starts a command, waits until it has started all that it will, and calls look for the
// innermost process.
func withCommand(ctx context.Context, args []string, look func(int) error) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	// An input that never ends, so that a shell waits.
	input, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	defer input.Close()
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second // and then KILL
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	inner, unchanged := 0, 0
	for looks := 0; unchanged < 15; looks++ { // 300 ms without news
		select {
		case <-ended:
			return fmt.Errorf(
				"inspect: %s ended (%s) before it could be looked at: give it something that "+
					"lasts, as sleep 100",
				args[0],
				cmd.ProcessState,
			)
		case <-time.After(20 * time.Millisecond):
		}
		switch now := innermost(cmd.Process.Pid); {
		case now != inner:
			inner, unchanged = now, 0
		case isBusy(now) && looks < 250: // 5 s, for a command that never waits
			unchanged = 0
		default:
			unchanged++
		}
	}
	// By descriptors and not by numbers, which may be somebody else's by the time they are used.
	var family []int
	for _, pid := range descendants(cmd.Process.Pid) {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			defer unix.Close(fd)
			family = append(family, fd)
		}
	}
	err = look(inner)
	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGTERM, unix.SIGKILL} {
		_ = cmd.Process.Signal(signal)
		select {
		case <-ended:
			ended <- nil
		case <-time.After(time.Second):
		}
	}
	<-ended
	for _, fd := range family { // those that the end of the first one did not end
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	return err
}

// descendants are all the processes that a process started, and those that they started.
func descendants(pid int) (pids []int) {
	for _, task := range tasks(pid) { // a Go program starts processes from any thread
		text, _ := os.ReadFile(procFile(pid, "task/"+task+"/children"))
		for _, child := range numbers(string(text)) {
			pids = append(append(pids, child), descendants(child)...)
		}
	}
	return pids
}

// innermost is the last descendant of a process: the one that has no child.
func innermost(pid int) int {
	all := descendants(pid)
	if len(all) == 0 {
		return pid
	}
	return all[len(all)-1]
}

// isBusy tells whether a process computes, or waits for a disk, as while it executes a program
// (proc_pid_stat(5), state).
func isBusy(pid int) bool {
	status, err := readStatus(pid)
	return err == nil && (strings.HasPrefix(status["State"], "R") ||
		strings.HasPrefix(status["State"], "D"))
}

func tasks(pid int) (names []string) {
	entries, _ := os.ReadDir(procFile(pid, "task"))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func procFile(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

// showReport prints what inspect found out.
func (a *app) showReport(r *inspection) {
	out := a.out
	head := func(text string) { out.printf("\n%s\n", out.note.Render(text)) }
	row := func(name, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if text == "" {
			text = "-"
		}
		out.printf("  %-18s %s\n", name, out.wrap(text, 21))
	}
	own := func(same bool) string {
		if same {
			return out.faint.Render("shared")
		}
		return out.good.Render("own   ")
	}
	out.printf("%s\n", out.bold.Render(fmt.Sprintf("Process %d: %s", r.Pid, r.Command)))
	row(
		"numbers",
		"%s (host first), parent %d, %d threads",
		joinInts(r.NSPids, " = "),
		r.Parent,
		r.Threads,
	)

	head("Namespaces (namespaces(7))")
	for _, ns := range r.Namespaces {
		switch {
		case ns.Inode == 0:
			row(ns.Name, "? (only root may look, or the kernel has none)")
		case ns.Shared:
			row(ns.Name, "%s  %d", own(true), ns.Inode)
		default:
			row(ns.Name, "%s  %d   the host's is %d", own(false), ns.Inode, ns.Host)
		}
	}

	head("Users (credentials(7), user_namespaces(7))")
	row("uid", "%s", ids(r.Uids))
	row("gid", "%s", ids(r.Gids))
	row("groups", "%s", joinInts(r.Groups, " "))
	row("uid_map", "%s", idMap(r.UidMap))
	row("gid_map", "%s", idMap(r.GidMap))

	head("Files (mount_namespaces(7))")
	row("root", "%s", r.Root)
	row("working directory", "%s", r.Cwd)
	if r.sharesMounts() {
		row("mounts", "%d, the host's", len(r.Mounts))
	} else {
		row("mounts", "%d of its own:", len(r.Mounts))
		for _, m := range r.Mounts {
			line := fmt.Sprintf("%-24s %-10s %s", m.Mountpoint, m.Type, m.Options)
			out.printf("    %s\n", out.cut(line))
		}
	}

	head("Control groups (cgroups(7))")
	for _, c := range r.Cgroups {
		name := c.Controllers
		if name == "" {
			name = "version 2"
		}
		row(name, "%s", c.Path)
		for _, v := range c.Values {
			out.printf("    %-32s %s\n", v.File, human(v))
		}
	}

	head("Privileges (capabilities(7), seccomp(2))")
	for _, set := range r.Capabilities {
		text := strings.Join(set.Names, " ")
		switch {
		case len(set.Names) == r.AllCapabilities:
			text = fmt.Sprintf("all %d", len(set.Names))
		case len(set.Names) == 0:
			text = "none"
		case len(set.Names) > r.AllCapabilities/2:
			text = fmt.Sprintf("all but %s", strings.Join(set.Without, " "))
		}
		row(set.Name, "%s", text)
	}
	row("no_new_privs", "%s", yesNo(r.NoNewPrivs))
	row("seccomp", "%s", r.Seccomp)
	row("security label", "%s", r.Label)

	head("Limits of resources (getrlimit(2)): soft, hard, and the host's where they differ")
	for _, l := range r.Limits {
		host := ""
		if l.HostSoft != l.Soft || l.HostHard != l.Hard {
			host = out.good.Render(fmt.Sprintf("   the host's: %s, %s", l.HostSoft, l.HostHard))
		}
		row(
			l.Name,
			"%s%s",
			strings.TrimSpace(fmt.Sprintf("%s, %s %s", l.Soft, l.Hard, l.Unit)),
			host,
		)
	}

	if len(r.Family) > 0 {
		head("Processes in the same pid namespace: their numbers outside and inside")
		for _, p := range r.Family {
			out.printf("  %s\n", out.cut(fmt.Sprintf("%8d %8d  %s", p.Pid, p.Inside, p.Command)))
		}
	}
	if len(r.Unknown) > 0 {
		out.printf(
			"\n%s\n",
			out.bad.Render("Not to be seen: "+strings.Join(r.Unknown, ", ")+" (be root)"),
		)
	}
}

// showShort prints in at most 30 lines what is not as on the host.
func (a *app) showShort(r *inspection) {
	out := a.out
	const most = 30
	lines := 0
	row := func(name, format string, args ...any) {
		if lines++; lines < most {
			out.printf(
				"%s\n",
				ansi.Truncate(
					fmt.Sprintf("%-13s ", name)+fmt.Sprintf(format, args...),
					max(min(out.width, 100)-1, 30),
					"…",
				),
			)
		}
	}
	row("process", "%s: %s", joinInts(r.NSPids, " = "), r.Command)
	for _, ns := range r.Namespaces {
		switch {
		case ns.Inode == 0:
			row(ns.Name, "? (only root may look)")
		case ns.Shared:
			row(ns.Name, "%s", out.faint.Render("the host's"))
		default:
			row(ns.Name, "%s %d", out.good.Render("own"), ns.Inode)
		}
	}
	row("uid, gid", "%s, %s", ids(r.Uids), ids(r.Gids))
	uids, more, _ := strings.Cut(idMap(r.UidMap), "\n")
	if more != "" {
		uids += ", ..."
	}
	row("uid_map", "%s", uids)
	row("root", "%s", r.Root)
	mounts := fmt.Sprintf("%d of its own", len(r.Mounts))
	if r.sharesMounts() {
		mounts = "the host's"
	}
	row("mounts", "%s", mounts)
	for _, c := range r.Cgroups {
		for _, v := range c.Values {
			limited := strings.Contains(v.File, "max") || strings.Contains(v.File, "limit") ||
				strings.Contains(v.File, "quota")
			if limited && !strings.HasPrefix(v.Value, "max") && v.Value != "-1" &&
				!strings.Contains(human(v), "no limit") {
				row(v.File, "%s", human(v))
			}
		}
	}
	for _, set := range r.Capabilities {
		if set.Name == "effective" || set.Name == "bounding" {
			row(set.Name, "%d of %d capabilities", len(set.Names), r.AllCapabilities)
		}
	}
	row("no_new_privs", "%s", yesNo(r.NoNewPrivs))
	row("seccomp", "%s", r.Seccomp)
	for _, l := range r.Limits {
		if l.HostSoft != l.Soft || l.HostHard != l.Hard {
			row(
				"limit",
				"%s: %s, %s (the host's: %s, %s)",
				l.Name,
				l.Soft,
				l.Hard,
				l.HostSoft,
				l.HostHard,
			)
		}
	}
	if len(r.Family) > 1 {
		row("processes", "%d in its pid namespace", len(r.Family))
	}
	if lines >= most {
		out.printf(
			"%s\n",
			out.faint.Render(fmt.Sprintf("... and %d lines without -short", lines-most+1)),
		)
	}
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

func joinInts(numbers []int, between string) string {
	var words []string
	for _, n := range numbers {
		words = append(words, strconv.Itoa(n))
	}
	return strings.Join(words, between)
}

// ids tells the four of a process in short: they are mostly the same.
func ids(four []int) string {
	if len(slices.Compact(slices.Clone(four))) == 1 {
		return strconv.Itoa(four[0])
	}
	if len(four) != 4 {
		return ""
	}
	return fmt.Sprintf(
		"%d real, %d effective, %d saved, %d file system",
		four[0],
		four[1],
		four[2],
		four[3],
	)
}

func idMap(lines []mapping) string {
	var words []string
	for _, m := range lines {
		if m.Inside == 0 && m.Outside == 0 && m.Size == 1<<32-1 {
			return "everybody is who they are outside"
		}
		words = append(
			words,
			fmt.Sprintf(
				"%d-%d inside is %d-%d outside",
				m.Inside,
				m.Inside+m.Size-1,
				m.Outside,
				m.Outside+m.Size-1,
			),
		)
	}
	if len(words) == 0 {
		return "none: everybody is nobody"
	}
	return strings.Join(words, "\n")
}

// human adds to a number of bytes how much that is.
func human(v value) string {
	n, err := strconv.ParseInt(v.Value, 10, 64)
	if err != nil || !strings.HasPrefix(v.File, "memory") {
		return v.Value
	}
	if n >= 1<<62 {
		return v.Value + " (no limit)"
	}
	return fmt.Sprintf("%s (%.1f MiB)", v.Value, float64(n)/(1<<20))
}

// inspection is what inspect finds out about a process.
type inspection struct {
	Pid             int             `json:"pid"`
	Command         string          `json:"command"`
	NSPids          []int           `json:"nspids"` // here, and in each namespace further in
	Parent          int             `json:"parent"`
	Threads         int             `json:"threads"`
	Namespaces      []namespace     `json:"namespaces"`
	Uids            []int           `json:"uids"` // real, effective, saved, file system
	Gids            []int           `json:"gids"`
	Groups          []int           `json:"groups"`
	UidMap          []mapping       `json:"uid_map"`
	GidMap          []mapping       `json:"gid_map"`
	Root            string          `json:"root"`
	Cwd             string          `json:"cwd"`
	Mounts          []mount         `json:"mounts"`
	Cgroups         []cgroup        `json:"cgroups"`
	Capabilities    []capabilitySet `json:"capabilities"`
	AllCapabilities int             `json:"all_capabilities"` // how many the kernel knows
	NoNewPrivs      bool            `json:"no_new_privs"`
	Seccomp         string          `json:"seccomp"`
	Label           string          `json:"label"` // of AppArmor or SELinux
	Limits          []rlimit        `json:"rlimits"`
	Family          []member        `json:"processes"` // in its pid namespace, if not the host's
	Unknown         []string        `json:"unknown"`   // what could not be read
}

type namespace struct {
	Name   string `json:"name"`
	Inode  uint64 `json:"inode"`
	Host   uint64 `json:"host"`
	Shared bool   `json:"shared"`
}

type mapping struct {
	Inside  int64 `json:"inside"`
	Outside int64 `json:"outside"`
	Size    int64 `json:"size"`
}

type mount struct {
	Mountpoint string `json:"mountpoint"`
	Type       string `json:"type"`
	Source     string `json:"source"`
	Root       string `json:"root"`
	Options    string `json:"options"`
}

type cgroup struct {
	Controllers string  `json:"controllers"` // of a version 1 hierarchy
	Path        string  `json:"path"`
	Dir         string  `json:"dir"` // on this host
	Values      []value `json:"values"`
}

type value struct {
	File  string `json:"file"`
	Value string `json:"value"`
}

type capabilitySet struct {
	Name    string   `json:"name"`
	Names   []string `json:"names"`
	Without []string `json:"without"`
}

type rlimit struct {
	Name     string `json:"name"`
	Soft     string `json:"soft"`
	Hard     string `json:"hard"`
	Unit     string `json:"unit"`
	HostSoft string `json:"host_soft"`
	HostHard string `json:"host_hard"`
}

type member struct {
	Pid     int    `json:"pid"`
	Inside  int    `json:"inside"`
	Command string `json:"command"`
}

// sharesMounts tells whether the table of mounts is the host's.
func (r *inspection) sharesMounts() bool {
	i := slices.IndexFunc(r.Namespaces, func(ns namespace) bool { return ns.Name == "mnt" })
	return i >= 0 && r.Namespaces[i].Shared
}

var errGone = errors.New("there is no such process")
