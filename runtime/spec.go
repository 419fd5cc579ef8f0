//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/spec"
	"container.example/workshop/runtime/users"
)

// printSpec prints the container as a config.json, and makes nothing.
func printSpec(r *request) (status int, err error) {
	c, err := settle(r.Container)
	if err != nil {
		return statusFailed, fmt.Errorf("spec: %w", err)
	}
	s, err := spec.Of(c)
	switch {
	case errors.Is(err, spec.ErrNoWords):
		return statusUsage, fmt.Errorf("usage: spec: %w", err)
	case err != nil:
		return statusFailed, fmt.Errorf("spec: %w", err)
	}
	out := json.NewEncoder(files.Stdout)
	out.SetIndent("", "\t")
	out.SetEscapeHTML(false) // a command may be a script
	if err := out.Encode(s); err != nil {
		return statusFailed, fmt.Errorf("spec: %w", err)
	}
	return 0, nil
}

// settle finds out what is otherwise found out while the container is made, as far as that is
// possible here: the user is looked up in the rootfs as it is on the host.
func settle(asked *config.Container) (*config.Container, error) {
	c := *asked
	if err := users.FindMaps(&c); err != nil {
		return nil, err
	}
	user, err := (&paper{c: &c}).lookUpUser(plan.FD{}, plan.FD{})
	if err != nil {
		return nil, err
	}
	if users.NeedsFiles(&c) {
		c.User, c.Groups = fmt.Sprintf("%d:%d", user.UID, user.GID), user.Groups
	}
	c.Env = nil
	for _, variable := range environment(asked, hostname(asked), user.Home) {
		name, value, _ := strings.Cut(variable, "=")
		c.Env = append(c.Env, config.Variable{Name: name, Value: value})
	}
	if c.Workdir == "" && !c.Namespaces.Has(unix.CLONE_NEWNS) { // where the caller is
		if c.Workdir, err = os.Getwd(); err != nil {
			return nil, err
		}
	}
	return &c, nil
}
