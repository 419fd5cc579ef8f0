//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"container.example/workshop/workshop/wall"
)

func (a *app) wall() *cli.Command {
	address := ":8080"
	o := wall.Options{}
	return &cli.Command{
		Name:  "wall",
		Usage: "Show the room who is where, and who is stuck",
		Description: `Serve one page with the names of all participants, the promise that each is
at, and the minutes of the plan. A person who has been at the same promise for
ten minutes stands out. Participants join with the address that is printed:

  workshop watch -wall HOST:PORT/CODE -name NAME

What each of them sends is the name, the step, the steps that are passed, the
promise that is broken, the verdict, and for how long it has been so. Nothing
of the program is sent. There is no TLS: anybody in the network can read what is
sent, and anybody with the address can look at the page.

The wall may be ended and started again: what is on it is kept in a file for
twelve hours, with the code. While it runs, type

  list            the rows, with their numbers
  remove NUMBER   take a row away

  workshop wall
  workshop wall -addr 192.168.1.5:9000 -code monday`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "addr", Destination: &address, Value: address,
				Usage: "listen at `ADDRESS`: a port, on all networks or one",
			},
			&cli.StringFlag{
				Name: "state", Destination: &o.File, TakesFile: true, HideDefault: true,
				Usage: "keep the wall in `FILE` (default one for each port, in ~/.cache)",
			},
			&cli.StringFlag{
				Name: "code", Destination: &o.Code,
				Usage: "the `WORD` at the end of the address (default four random characters)",
			},
			&cli.IntFlag{
				Name: "most", Destination: &o.Most, Value: 200,
				Usage: "let at most `NUMBER` participants in",
			},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := atMost(cmd, 0); err != nil {
				return err
			}
			if o.Most < 1 || o.Most > 1000 {
				return fmt.Errorf("wall -most %d: must be 1 to 1000", o.Most)
			}
			return a.showWall(ctx, address, o)
		},
	}
}

// showWall serves a wall until ctx is done.
func (a *app) showWall(ctx context.Context, address string, o wall.Options) error {
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	c, err := readCourse(root)
	if err != nil {
		return err
	}
	o.Course = c.forWall()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		err = fmt.Errorf("wall -addr %q: %w", address, unwrapped(err))
		if errors.Is(err, unix.EADDRINUSE) || errors.Is(err, unix.EACCES) {
			err = fmt.Errorf("%w (take another port: -addr :8081)", err)
		}
		return err
	}
	if o.File == "" {
		if o.File, err = wallFile(listener.Addr()); err != nil {
			return errors.Join(err, listener.Close())
		}
	}
	o.Join = reachable(listener.Addr())
	o.Log = func(err error) { a.out.printf("workshop: %v\n", withAdvice(err)) }
	s, err := wall.NewServer(o)
	if err != nil {
		return errors.Join(withAdvice(err), listener.Close())
	}
	a.tellWall(s, o.File)
	go a.tendWall(s, os.Stdin)
	err = s.Serve(ctx, listener)
	a.out.printf("\nThe wall is off. Start it again within twelve hours, and it goes on.\n")
	return err
}

// tellWall says what to open and what to type.
func (a *app) tellWall(s *wall.Server, file string) {
	out := a.out
	out.printf("The wall is on. Open it on the projector:\n\n")
	for _, address := range s.Typed() {
		out.printf("  %s\n", out.note.Render("http://"+address))
	}
	out.printf("\nParticipants type, each with a name of their own:\n\n  %s\n\n",
		out.note.Render(a.self()+" watch -wall "+s.Typed()[0]+" -name NAME"))
	out.printf("%s\n", out.wrap("They send the name, the step, the steps that are passed, the "+
		"promise that is broken, the verdict, and for how long it has been so; nothing of their "+
		"program. The wall is kept in "+relative(file)+".", 0))
	out.printf("Type list, or remove NUMBER; Ctrl-C ends it.\n")
}

// tendWall does what the instructor types while the wall is on.
func (a *app) tendWall(s *wall.Server, from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case len(words) == 0:
		case words[0] == "list" && len(words) == 1:
			for _, row := range s.Rows() {
				a.out.printf("%4d  %-24s %s %s\n", row.Number, row.Name, row.Lesson, row.Promise)
			}
		case words[0] == "remove" && len(words) == 2:
			number, err := strconv.Atoi(words[1])
			name, ok := s.Remove(number)
			if err != nil || !ok {
				a.out.printf("remove %s: there is no such number (list shows them)\n", words[1])
				continue
			}
			a.out.printf("Removed %s.\n", name)
		default:
			a.out.printf("%s: there are list and remove NUMBER\n", words[0])
		}
	}
}

// unwrapped is the cause of an error of the network, without the address.
func unwrapped(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		return op.Err
	}
	return err
}

// wallFile is where the wall of a port is kept.
func wallFile(address net.Addr) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w (say where to keep the wall: -state FILE)", err)
	}
	dir := filepath.Join(cache, "container-workshop")
	_, port, err := net.SplitHostPort(address.String())
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "wall-"+port+".json"), makeDir(dir)
}

// reachable are the addresses of a listener that others in the room can type, those of version 4
// first. A bridge is for containers and virtual machines of this machine.
func reachable(listener net.Addr) (all []string) {
	at, err := netip.ParseAddrPort(listener.String())
	if err != nil || !at.Addr().IsUnspecified() {
		return []string{listener.String()}
	}
	links, _ := net.Interfaces()
	var longer []string
	for _, link := range links {
		if link.Flags&net.FlagUp == 0 || link.Flags&net.FlagLoopback != 0 ||
			exists(filepath.Join("/sys/class/net", link.Name, "bridge")) {
			continue
		}
		addresses, _ := link.Addrs()
		for _, address := range addresses {
			prefix, err := netip.ParsePrefix(address.String())
			switch ip := prefix.Addr(); {
			case err != nil || !ip.IsGlobalUnicast():
			case ip.Is4():
				all = append(all, netip.AddrPortFrom(ip, at.Port()).String())
			case at.Addr().Is6():
				longer = append(longer, netip.AddrPortFrom(ip, at.Port()).String())
			}
		}
	}
	if all = append(all, longer...); len(all) == 0 {
		all = []string{fmt.Sprintf("localhost:%d", at.Port())}
	}
	return all
}

// forWall is what a wall knows of the course.
func (c *course) forWall() (w wall.Course) {
	for _, l := range c.lessons {
		w.Lessons = append(w.Lessons, wall.Lesson{
			ID:       l.id(),
			Title:    l.title,
			Minutes:  l.minutes,
			Optional: l.optional,
		})
	}
	for _, scripts := range c.scripts {
		for _, s := range scripts {
			w.Promises = addNew(w.Promises, s.ID())
		}
	}
	return w
}

// wallLink is what watch tells a wall. A nil one tells nobody.
type wallLink struct {
	course *course
	client *wall.Client
}

// wallMsg is news of the wall for the one who watches.
type wallMsg struct{ wall.Notice }

// link makes the link to a wall for the participant of a place: there may be none.
func (c *checker) link(address, name string) (*wallLink, error) {
	switch {
	case address == "" && name == "":
		return nil, nil
	case address == "":
		return nil, fmt.Errorf("-name %q: is for the wall (add -wall HOST:PORT/CODE)", name)
	case name == "":
		return nil, fmt.Errorf("-wall %q: needs a name to show (add -name NAME)", address)
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	client, err := wall.NewClient(address, name, token)
	if err != nil {
		return nil, err
	}
	return &wallLink{c.course, client}, nil
}

// token is what the row of the participant on a wall belongs to. It is made once, and other users
// of the machine cannot read it.
func (p *place) token() (string, error) {
	unlock, err := p.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	file := p.file("token")
	text, err := os.ReadFile(file)
	if err == nil || !errors.Is(err, os.ErrNotExist) {
		return strings.TrimSpace(string(text)), withAdvice(err)
	}
	token := wall.NewToken()
	err = writeWhole(file, 0o600, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, token)
		return err
	})
	return token, withAdvice(err)
}

// run sends what there is to send until ctx is done.
func (l *wallLink) run(ctx context.Context, tell func(any)) {
	if l != nil {
		l.client.Run(ctx, func(n wall.Notice) { tell(wallMsg{n}) })
	}
}

// tell takes in what happens under watch, and waits for nothing.
func (l *wallLink) tell(m any) {
	if l == nil {
		return
	}
	switch m := m.(type) {
	case begun:
		l.client.Send(wall.Standing{Lesson: m.lesson.id(), Verdict: wall.Begun},
			l.passed(m.state))
	case done:
		if m.err == nil {
			l.client.Send(m.standing(l.course), l.passed(m.state))
		}
	}
}

func (l *wallLink) passed(s state) (ids []string) {
	for _, part := range l.course.lessons {
		if _, ok := s.Passed[part.key()]; ok {
			ids = append(ids, part.id())
		}
	}
	return ids
}

// standing is a verdict as the wall shows it.
func (d done) standing(c *course) wall.Standing {
	s := wall.Standing{Lesson: d.lesson.id(), Verdict: wall.Kept}
	switch {
	case d.build != nil:
		s.Verdict = wall.NoBuild
	case d.failure != nil:
		s.Verdict, s.Promise = wall.Broken, d.failure.Script.ID()
	case len(d.shortfall(c, d.lesson).unbuilt) > 0:
		s.Verdict = wall.NotBuilt
	}
	return s
}
