//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/urfave/cli/v3"

	"container.example/workshop/image/archive"
	"container.example/workshop/image/layer"
	"container.example/workshop/image/layout"
	"container.example/workshop/image/store"
	"container.example/workshop/internal/wholefile"
)

// The commands that are about what a container or an image has changed, and pass it on.

func (a *app) commit() *cli.Command {
	return &cli.Command{
		Name:      "commit",
		Usage:     "make an image of what a container has changed: one layer more",
		ArgsUsage: "-keep DIR NAME",
		Flags: append(a.unpackFlags()[1:],
			&cli.StringFlag{
				Name: "keep", Destination: &a.keep,
				Usage: "the `DIRECTORY` of container run -keep",
			},
			&cli.StringFlag{
				Name: "base", Destination: &a.base,
				Usage: "`NAME` of the image that the container was made of, if the directory " +
					"does not tell",
			},
		),
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := args(cmd, 1, 1)
			if err != nil {
				return err
			}
			full, err := newName(args[0])
			if err != nil {
				return err
			}
			if a.keep == "" {
				return errUsage{errors.New("commit: -keep DIR is missing")}
			}
			return about("commit", args[0], adding(ctx, func(s *layout.Store) error {
				return a.commitTo(s, full)
			}))
		},
	}
}

func (a *app) commitTo(s *layout.Store, full string) error {
	kept, err := layout.OpenKept(a.keep)
	if err != nil {
		return err
	}
	defer kept.Close()
	below, err := a.below(s, kept)
	if err != nil {
		return err
	}
	d, packed, err := s.Commit(below, kept)
	if err != nil {
		return err
	}
	notes, err := s.Prepare(full, d, a.limits())
	if err != nil {
		return err
	}
	note(append(packed.Notes, notes...))
	image, err := s.Image(d)
	if err != nil {
		return err
	}
	top := image.Manifest.Layers[len(image.Manifest.Layers)-1]
	fmt.Fprintf(os.Stderr, "layer %d: %s of %s, %d gone; packed %s\n",
		len(image.Manifest.Layers), count(packed.Files, "file"), readable(packed.Bytes),
		packed.Gone, readable(top.Size))
	fmt.Printf("%s %s\n", full, d.Digest)
	return nil
}

// below is the image that a container was made of.
func (a *app) below(s *layout.Store, kept *layout.Kept) (*layout.Image, error) {
	if a.base != "" {
		full, err := normalise(a.base)
		if err != nil {
			return nil, err
		}
		return find(s, full)
	}
	digest, err := kept.Base()
	if err != nil {
		return nil, err
	}
	d, err := s.FindManifest(digest)
	if err != nil {
		return nil, err
	}
	return s.Image(d)
}

func (a *app) tag() *cli.Command {
	return &cli.Command{
		Name:      "tag",
		Usage:     "give an image one more name, such as that of the registry to push it to",
		ArgsUsage: "NAME NEW-NAME",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, full, err := named(cmd, 2)
			if err != nil {
				return err
			}
			name, err := newName(args[1])
			if err != nil {
				return err
			}
			return about("tag", args[0], withStore(ctx, func(s *layout.Store) error {
				d, err := s.Find(full)
				if err == nil {
					err = s.SetName(name, d)
				}
				if err == nil {
					fmt.Printf("%s %s\n", name, d.Digest)
				}
				return err
			}))
		},
	}
}

func (a *app) save() *cli.Command {
	return &cli.Command{
		Name:      "save",
		Usage:     "write an image to a file that docker load, podman load and image load take",
		ArgsUsage: "NAME FILE",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, full, err := named(cmd, 2)
			if err != nil {
				return err
			}
			return about("save", args[0], withStore(ctx, func(s *layout.Store) error {
				image, err := find(s, full)
				if err != nil {
					return err
				}
				if args[1] == "-" {
					return archive.Save(s, full, image, os.Stdout)
				}
				return wholefile.Write(args[1], 0o666, func(f *os.File) error {
					return archive.Save(s, full, image, f)
				})
			}))
		},
	}
}

func (a *app) diff() *cli.Command {
	return &cli.Command{
		Name:      "diff",
		Usage:     "tell what the second image adds to the first: files, and bytes that travel",
		ArgsUsage: "NAME NAME",
		Action: func(ctx context.Context, cmd *cli.Command) error {
			args, err := args(cmd, 2, 2)
			if err != nil {
				return err
			}
			return about("diff", args[1], withStore(ctx, func(s *layout.Store) error {
				var images [2]*layout.Image
				for i, name := range args {
					full, err := store.Normalise(name)
					if err != nil {
						return errUsage{err}
					}
					if images[i], err = find(s, full); err != nil {
						return err
					}
				}
				return diff(s, images[0], images[1])
			}))
		},
	}
}

func diff(s *layout.Store, before, after *layout.Image) error {
	var trees [2]*layer.Tree
	for i, image := range []*layout.Image{before, after} {
		dirs, err := s.Layers(image)
		if err != nil {
			return err
		}
		if trees[i], err = layer.OpenTree(dirs); err != nil {
			return err
		}
		defer trees[i].Close()
	}
	files, total := 0, int64(0)
	err := layer.Diff(trees[0], trees[1], func(c layer.Change) {
		bytes := ""
		if c.Kind != 'D' {
			files++
			total += c.Bytes
			bytes = readable(c.Bytes)
		}
		fmt.Printf("%c %9s  %s\n", c.Kind, bytes, printable(c.Path))
	})
	if err != nil {
		return err
	}
	here := map[v1.Hash]bool{}
	for _, l := range before.Manifest.Layers {
		here[l.Digest] = true
	}
	shared, travels := 0, int64(0)
	for _, l := range after.Manifest.Layers {
		if here[l.Digest] {
			shared++
		} else {
			travels += l.Size
		}
	}
	fmt.Printf("%s of %s; %d of %s shared, %s to fetch\n", count(files, "file"),
		readable(total), shared, count(len(after.Manifest.Layers), "layer"), readable(travels))
	return nil
}

// printable is a name as it is, or in quotation marks if a terminal could take it amiss.
func printable(name string) string {
	if quoted := fmt.Sprintf("%q", name); quoted != `"`+name+`"` {
		return quoted
	}
	return name
}
