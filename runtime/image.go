//go:build linux

package main

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"container.example/workshop/image/store"
	"container.example/workshop/runtime/config"
)

// An image is layers, which the image tool has unpacked, and what its author wants to be run in
// them. Only a container of an image pays for reading that.

func parseImage(s string) (string, error) {
	if _, err := store.Normalise(s); err != nil {
		return "", err
	}
	return s, nil
}

// leaveToImage looks at what an image leaves no place for. All else is checked when the image is
// known.
func (r *request) leaveToImage() error {
	if r.isGiven("rootfs") {
		return errors.New("-image: must be without -rootfs: it has one")
	}
	r.Rootfs = ""
	return nil
}

// takeImage makes the container that of the image, if the flags name one. They win. The image is
// not removed as long as this process has it open.
func (r *request) takeImage() (status int, err error) {
	if r.image == "" {
		return 0, nil
	}
	if r.opened, err = store.Open(r.image); err != nil {
		return statusFailed, err
	}
	if err := r.adopt(r.opened); err != nil {
		return statusFailed, fmt.Errorf("image %q: %w", r.image, err)
	}
	if len(r.Command) == 0 {
		return statusUsage, fmt.Errorf("usage: no command, and the image %q has none", r.image)
	}
	if err := r.Check(); err != nil {
		return statusUsage, fmt.Errorf("usage: %w", err)
	}
	return 0, nil
}

// adopt takes from an image what the flags do not say. As for Docker, a command on the command line
// is in place of the image's, and its entry point stays.
func (r *request) adopt(image *store.Image) error {
	texts := slices.Concat(image.Layers, image.Env, image.Entrypoint, image.Cmd,
		[]string{image.User, image.Workdir})
	for _, text := range texts {
		if strings.Contains(text, "\x00") {
			return fmt.Errorf("%q: must be without a zero byte", text)
		}
	}
	c := r.Container
	c.Lowers, c.Image = image.Layers, image.Manifest
	if len(c.Command) == 0 {
		c.Command = image.Cmd
	}
	c.Command = slices.Concat(image.Entrypoint, c.Command)
	var env []config.Variable
	for _, text := range image.Env {
		v, err := parseVariable(text)
		if err != nil {
			return fmt.Errorf("environment %q: %w", text, err)
		}
		env = append(env, v)
	}
	c.Env = append(env, c.Env...) // of two, the last one counts
	if !r.isGiven("user") && image.User != "" {
		c.User = image.User
	}
	if !r.isGiven("workdir") && image.Workdir != "" {
		c.Workdir = path.Clean("/" + image.Workdir)
	}
	return nil
}

// closeImage says that the layers are no longer in use.
func (r *request) closeImage() {
	if r.opened != nil {
		_ = r.opened.Close() // an error: the lock is gone with this process
	}
}
