//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/live"
)

func (a *app) live() *cli.Command {
	address := ""
	return &cli.Command{
		Name:      "live",
		Usage:     "Show in a browser how a program makes a container, one call at a key",
		ArgsUsage: "-- CMD [ARG...]",
		Description: `Run a command, and serve a page that shows each system call that makes a
container, and what host and process look like after it: as record does, but
while it happens. The command stops after each call until you press → in the
page, or all the time after Space. ^C ends the command and the server.

  workshop live -- ./container run sh

The page is for this machine only, unless -addr says otherwise. Its address
has a secret part: anybody who has it can let the program go on.`,
		Flags: []cli.Flag{
			&cli.StringFlag{
				Name: "addr", Destination: &address, Value: "127.0.0.1:0",
				Usage: "`ADDRESS` and port of the page; port 0 is any that is free",
			},
		},
		Action: func(ctx context.Context, cmd *cli.Command) error {
			command := cmd.Args().Slice()
			if len(command) == 0 {
				return errors.New("live: which command? (live -- CMD [ARG...])")
			}
			return showLive(ctx, address, command)
		},
	}
}

// showLive serves the page until the context ends, and runs the command meanwhile.
func showLive(ctx context.Context, address string, command []string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("live -addr %q: want ADDRESS:PORT, as in 127.0.0.1:8080", address)
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("live -addr %q: %w", address, unwrapped(err))
	}
	page := live.New(host)
	server := &http.Server{
		Handler:           page,
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	defer server.Close()
	go func() { _ = server.Serve(listener) }() // until it is closed
	fmt.Fprintf(os.Stderr, "open http://%s%s and press → (^C ends it)\n",
		reachable(listener.Addr())[0], page.Path())
	r, err := recordLive(ctx, page, command)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	fmt.Fprintf(os.Stderr, "the command ended with %s; the page is there until ^C\n", r.Ended)
	<-ctx.Done()
	return nil
}

// recordLive runs a command step by step, as the page says.
func recordLive(ctx context.Context, page *live.Server, command []string) (
	*record.Recording, error,
) {
	var began error
	r, err := record.Run(ctx, record.Options{
		Command: command,
		Stdin:   os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Begin: func(r *record.Recording) { began = page.Begin(r) },
		Gate:  func(step record.Step) error { return errors.Join(began, page.Gate(ctx, step)) },
	})
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return r, page.End(r.Ended, r.Cut)
}
