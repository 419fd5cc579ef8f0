//go:build linux

// Command image keeps the images of containers: it gets them from registries and files, unpacks
// them for the runtime, makes new ones of what a container has changed, and passes those on.
// README.md tells what an image is.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/urfave/cli/v3"
	"golang.org/x/sys/unix"

	"container.example/workshop/image/layer"
	"container.example/workshop/image/layout"
	"container.example/workshop/image/store"
)

// Exit statuses of the command.
const (
	statusFailed = 1
	statusUsage  = 2
)

// errUsage is an error of whoever typed the command.
type errUsage struct{ error }

func main() {
	// An ordinary user has other ids only in a user namespace: there he is root.
	if status, done := inUserNamespace(); done {
		os.Exit(status)
	}
	// Layers go through small buffers, whatever their size. Only a window of zstd is large.
	const memory = 48 << 20
	debug.SetMemoryLimit(memory)
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	err := newRoot().Run(ctx, os.Args)
	stop()
	if err == nil {
		return
	}
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted")
	}
	text := strings.TrimSpace(err.Error())
	fmt.Fprintln(os.Stderr, "image:", strings.ReplaceAll(text, "\n", "; "))
	if errors.As(err, new(errUsage)) {
		os.Exit(statusUsage)
	}
	os.Exit(statusFailed)
}

// app is what the commands share: the flags.
type app struct {
	platform  string
	plainHTTP bool
	retries   int
	timeout   time.Duration
	maxBytes  int64
	maxFiles  int64
	name      string // load
	keep      string // commit
	base      string
}

// newRoot makes the command and those below it. Their flags have one dash, as those of the
// container have; the library takes two as well.
func newRoot() *cli.Command {
	a := &app{}
	root := &cli.Command{
		Name:  "image",
		Usage: "Keep the images of containers",
		Description: `An image is a stack of layers, and a few words about what to run. Pull one,
run it, keep what the container changes, and make that one more layer:

  image pull alpine
  container run -image alpine -keep changes sh
  image commit -keep changes localhost:5000/mine
  image push localhost:5000/mine

Images are in $CONTAINER_IMAGES, or in ~/.local/share/container-workshop/images.`,
		Commands: []*cli.Command{
			a.pull(), a.load(), a.list(), a.inspect(), a.diff(),
			a.commit(), a.tag(), a.push(), a.save(), a.rm(), a.prune(), a.check(),
			a.registry(),
		},
		EnableShellCompletion: true,
		HideHelpCommand:       true,
		Action: func(_ context.Context, cmd *cli.Command) error {
			if name := cmd.Args().First(); name != "" {
				return errUsage{fmt.Errorf("unknown command %q (all of them: %s -h)", name,
					store.Program())}
			}
			return cli.ShowAppHelp(cmd)
		},
	}
	asUsage := func(_ context.Context, _ *cli.Command, err error, _ bool) error {
		return errUsage{err}
	}
	root.OnUsageError = asUsage
	for _, cmd := range root.Commands {
		cmd.OnUsageError = asUsage
		cmd.HideHelpCommand = true
	}
	return root
}

func init() {
	flag := cli.FlagStringer
	cli.FlagStringer = func(f cli.Flag) string { return strings.ReplaceAll(flag(f), "--", "-") }
}

// args returns the arguments of a command, if they are as many as it takes.
func args(cmd *cli.Command, least, most int) ([]string, error) {
	args := cmd.Args().Slice()
	if len(args) < least || len(args) > most {
		return nil, errUsage{fmt.Errorf("%s: %d arguments: %s %s %s",
			cmd.Name, len(args), store.Program(), cmd.Name, cmd.ArgsUsage)}
	}
	return args, nil
}

// named returns the arguments of a command that takes so many, the first of which is the name of an
// image, and that name in full.
func named(cmd *cli.Command, count int) (given []string, full string, err error) {
	if given, err = args(cmd, count, count); err != nil {
		return nil, "", err
	}
	full, err = normalise(given[0])
	return given, full, err
}

// withStore does something with the store.
func withStore(ctx context.Context, do func(*layout.Store) error) error {
	dir, err := store.Dir()
	if err != nil {
		return err
	}
	s, err := layout.Open(ctx, dir)
	if err != nil {
		return err
	}
	defer s.Close()
	return do(s)
}

// adding adds something to the store. If that fails, the store is afterwards as it was before; but
// when a connection broke off, what has come stays for the next attempt.
func adding(ctx context.Context, do func(*layout.Store) error) error {
	return withStore(ctx, func(s *layout.Store) error {
		err := do(s)
		mayGoOn := errors.As(err, new(*layout.Incomplete)) || errors.Is(err, context.Canceled)
		if err != nil && !mayGoOn {
			err = errors.Join(err, s.Undo())
		}
		return err
	})
}

// about says of which command and object an error is.
func about(what, object string, err error) error {
	if err == nil || errors.As(err, new(errUsage)) {
		return err
	}
	return fmt.Errorf("%s %s: %w", what, object, err)
}

// normalise is store.Normalise; a name that is none is an error of usage.
func normalise(name string) (string, error) {
	full, err := store.Normalise(name)
	if err != nil {
		err = errUsage{err}
	}
	return full, err
}

// newName is a name in full that an image is to get. One with a digest cannot be given: the digest
// follows from what is in the image.
func newName(name string) (string, error) {
	full, err := normalise(name)
	if err == nil && strings.Contains(full, "@") {
		err = errUsage{fmt.Errorf("image name %q: a digest cannot be given to an image: use a tag",
			name)}
	}
	return full, err
}

// unpackFlags are for the commands that unpack.
func (a *app) unpackFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{
			Name: "platform", Destination: &a.platform, Value: defaultPlatform().String(),
			Usage: "take the image for this `PLATFORM` of several: OS/ARCH[/VARIANT]",
		},
		&cli.Int64Flag{
			Name: "max-bytes", Destination: &a.maxBytes, Value: 32 << 30,
			Usage: "refuse an image whose files have more than `N` bytes",
		},
		&cli.Int64Flag{
			Name: "max-files", Destination: &a.maxFiles, Value: 2_000_000,
			Usage: "refuse an image of more than `N` files",
		},
	}
}

func (a *app) limits() layer.Limits {
	return layer.Limits{Bytes: a.maxBytes, Entries: a.maxFiles}
}

func defaultPlatform() *v1.Platform {
	p := &v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	if p.Architecture == "arm64" {
		p.Variant = "v8"
	}
	return p
}

func (a *app) wanted() (v1.Platform, error) {
	p, err := v1.ParsePlatform(a.platform)
	if err != nil || p.OS == "" || p.Architecture == "" {
		return v1.Platform{}, errUsage{fmt.Errorf("-platform %q: must be OS/ARCH[/VARIANT]",
			a.platform)}
	}
	return *p, nil
}

func note(lines []string) {
	for _, line := range lines {
		fmt.Fprintln(os.Stderr, "image: note:", line)
	}
}
