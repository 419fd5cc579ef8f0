//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/urfave/cli/v3"

	"container.example/workshop/image/layout"
	"container.example/workshop/image/registry"
)

// The commands that speak with a registry.

func (a *app) registryFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{
			Name: "plain-http", Destination: &a.plainHTTP,
			Usage: "speak without TLS with a registry on another machine",
		},
		&cli.IntFlag{
			Name: "retries", Destination: &a.retries, Value: 4,
			Usage: "give up after `N` failures in a row",
		},
		&cli.DurationFlag{
			Name: "timeout", Destination: &a.timeout, Value: 30 * time.Second,
			Usage: "take a connection for broken on which nothing comes for this `TIME`",
		},
	}
}

func (a *app) pull() *cli.Command {
	return &cli.Command{
		Name:      "pull",
		Usage:     "get an image from a registry, but not the layers that are here",
		ArgsUsage: "NAME",
		Flags:     append(a.registryFlags(), a.unpackFlags()...),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, full, err := named(cmd, 1)
			if err != nil {
				return err
			}
			o, err := a.registryOptions()
			if err != nil {
				return err
			}
			progress := newProgress()
			o.Progress = progress
			return about("pull", args[0], adding(ctx, func(s *layout.Store) error {
				manifest, notes, err := registry.Pull(ctx, s, full, o)
				progress.finish()
				note(notes)
				if err == nil {
					fmt.Printf("%s %s\n", full, manifest.Digest)
				}
				return err
			}))
		},
	}
}

func (a *app) registryOptions() (o registry.Options, err error) {
	platform, err := a.wanted()
	if err == nil && a.retries < 0 {
		err = errUsage{fmt.Errorf("-retries %d: must be 0 or more", a.retries)}
	}
	if err == nil && a.timeout <= 0 {
		err = errUsage{fmt.Errorf("-timeout %s: must be more than 0", a.timeout)}
	}
	return registry.Options{
		Platform:  platform,
		Limits:    a.limits(),
		PlainHTTP: a.plainHTTP,
		Retries:   a.retries,
		Timeout:   a.timeout,
	}, err
}

func (a *app) push() *cli.Command {
	return &cli.Command{
		Name:      "push",
		Usage:     "put an image into the registry of its name, but not the layers that are there",
		ArgsUsage: "NAME",
		Flags:     a.registryFlags(),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, full, err := named(cmd, 1)
			if err != nil {
				return err
			}
			a.platform = defaultPlatform().String()
			o, err := a.registryOptions()
			if err != nil {
				return err
			}
			progress := newProgress()
			o.Progress = progress
			return about("push", args[0], withStore(ctx, func(s *layout.Store) error {
				sent, err := registry.Push(ctx, s, full, o)
				progress.finish()
				if err != nil {
					return err
				}
				image, err := find(s, full)
				if err != nil {
					return err
				}
				fmt.Fprintf(os.Stderr, "sent %s of %s\n", readable(sent), readable(size(image)))
				fmt.Printf("%s %s\n", full, image.Descriptor.Digest)
				return nil
			}))
		},
	}
}
