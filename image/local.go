//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/urfave/cli/v3"

	"container.example/workshop/image/archive"
	"container.example/workshop/image/layout"
)

// The commands that need no registry.

func (a *app) load() *cli.Command {
	return &cli.Command{
		Name:      "load",
		Usage:     "take images from a file: docker save, docker export, OCI archive or layout",
		ArgsUsage: "FILE",
		Description: "FILE may be a directory, or - for the standard input:\n\n" +
			"  docker save alpine | image load -",
		Flags: append(a.unpackFlags(), &cli.StringFlag{
			Name: "name", Destination: &a.name, Usage: "call the image `NAME`",
		}),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := args(cmd, 1, 1)
			if err != nil {
				return err
			}
			platform, err := a.wanted()
			if err != nil {
				return err
			}
			if a.name != "" {
				if _, err := newName(a.name); err != nil {
					return err
				}
			}
			return about("load", args[0], adding(ctx, func(s *layout.Store) error {
				return archive.Load(s, args[0], archive.Options{
					Name:     a.name,
					Platform: platform,
					Limits:   a.limits(),
					Loaded: func(name string, notes []string) {
						note(notes)
						fmt.Println(name)
					},
				})
			}))
		},
	}
}

func (a *app) list() *cli.Command {
	return &cli.Command{
		Name:  "list",
		Usage: "list the images that are here",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := args(cmd, 0, 0); err != nil {
				return err
			}
			return withStore(ctx, list)
		},
	}
}

func list(s *layout.Store) error {
	index, err := s.Index()
	if err != nil {
		return err
	}
	slices.SortFunc(index.Manifests, func(a, b v1.Descriptor) int {
		return strings.Compare(layout.Name(a), layout.Name(b))
	})
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tMANIFEST\tPLATFORM\tLAYERS\tSIZE")
	for _, d := range index.Manifests {
		name := layout.Name(d)
		if name == "" {
			continue // another program's
		}
		image, err := s.Image(d)
		if err != nil {
			fmt.Fprintf(table, "%s\t%s\t%v\n", name, short(d.Digest), err)
			continue
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%s\n", name, short(d.Digest),
			image.Config.Platform(), len(image.Manifest.Layers), readable(size(image)))
	}
	return table.Flush()
}

// size are the bytes of an image that travel, with those of its manifest.
func size(image *layout.Image) (n int64) {
	for _, l := range image.Manifest.Layers {
		n += l.Size
	}
	return n + image.Manifest.Config.Size + image.Descriptor.Size
}

// find returns the image of a name that is in full.
func find(s *layout.Store, full string) (*layout.Image, error) {
	d, err := s.Find(full)
	if err != nil {
		return nil, err
	}
	return s.Image(d)
}

func short(digest v1.Hash) string { return digest.Hex[:min(12, len(digest.Hex))] }

// readable is a number of bytes to be read by people.
func readable(n int64) string {
	const step = 1000
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB", "PB", "EB"} {
		if value /= step; value < step {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

func (a *app) rm() *cli.Command {
	return &cli.Command{
		Name:      "rm",
		Usage:     "remove images, and what no other one needs",
		ArgsUsage: "NAME...",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			names, err := args(cmd, 1, 1<<20)
			if err != nil {
				return err
			}
			return withStore(ctx, func(s *layout.Store) error {
				for _, name := range names {
					full, err := normalise(name)
					if err != nil {
						return err
					}
					if _, err := s.Find(full); err != nil {
						return about("rm", name, err)
					}
					if err := s.RemoveName(full); err != nil {
						return about("rm", name, err)
					}
				}
				return collect(s)
			})
		},
	}
}

func (a *app) prune() *cli.Command {
	return &cli.Command{
		Name:  "prune",
		Usage: "remove what no image needs, and blobs that broke off",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := args(cmd, 0, 0); err != nil {
				return err
			}
			return withStore(ctx, collect)
		},
	}
}

func collect(s *layout.Store) error {
	removed, err := s.Prune()
	if err != nil {
		return about("prune", s.Dir, err)
	}
	fmt.Printf("removed %s and %s: %s\n", count(removed.Blobs, "blob"),
		count(removed.Layers, "layer"), readable(removed.Bytes))
	return nil
}

func (a *app) check() *cli.Command {
	return &cli.Command{
		Name:  "check",
		Usage: "read all blobs again, and compare them with their digests",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			if _, err := args(cmd, 0, 0); err != nil {
				return err
			}
			return withStore(ctx, func(s *layout.Store) error {
				wrong := 0
				err := s.Check(func(what string) {
					wrong++
					fmt.Println(what)
				})
				if err == nil && wrong > 0 {
					err = fmt.Errorf("not as it should be in %s", count(wrong, "place"))
				}
				return about("check", s.Dir, err)
			})
		},
	}
}

func (a *app) inspect() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "tell what is in an image",
		ArgsUsage: "NAME",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, full, err := named(cmd, 1)
			if err != nil {
				return err
			}
			return about("inspect", args[0], withStore(ctx, func(s *layout.Store) error {
				image, err := find(s, full)
				if err != nil {
					return err
				}
				return inspect(s, full, image)
			}))
		},
	}
}

// inspect prints an image as a person wants to know it. The rest is in the store, for jq.
func inspect(s *layout.Store, name string, image *layout.Image) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	line := func(what string, values ...string) {
		for _, value := range values {
			if value != "" {
				fmt.Fprintf(table, "%s\t%s\n", what, value)
				what = ""
			}
		}
	}
	config := image.Config.Config
	line("name", name)
	line("manifest", s.Blob(image.Descriptor.Digest))
	line("config", s.Blob(image.Manifest.Config.Digest))
	line("platform", image.Config.Platform().String())
	if created := image.Config.Created; !created.IsZero() {
		line("created", created.UTC().Format("2006-01-02 15:04:05"))
	}
	line("entrypoint", quoted(config.Entrypoint))
	line("cmd", quoted(config.Cmd))
	line("env", config.Env...)
	line("user", config.User)
	line("workdir", config.WorkingDir)
	if err := table.Flush(); err != nil {
		return err
	}
	var made []string
	for _, h := range image.Config.History {
		if !h.EmptyLayer {
			made = append(made, strings.TrimSpace(h.CreatedBy))
		}
	}
	for i, l := range image.Manifest.Layers {
		by := ""
		if i < len(made) {
			by = made[i]
		}
		fmt.Printf("layer %d   %s  %9s  %.*q\n", i+1, short(l.Digest), readable(l.Size), 60, by)
		fmt.Printf("          %s\n", s.Layer(image, i))
	}
	return nil
}

// count is a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

func quoted(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return fmt.Sprintf("%q", words)
}
