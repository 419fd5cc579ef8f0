//go:build linux

package main

import (
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/files"
	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/users"
)

// printPlan prints the list of system calls for a container and makes nothing.
func printPlan(r *request) (status int, err error) {
	p, err := planOnPaper(r.Container)
	if err != nil {
		return statusFailed, err
	}
	return 0, p.Print(files.Stdout)
}

// planOnPaper writes the list for a container that is not made.
func planOnPaper(c *config.Container) (*plan.Plan, error) {
	if err := users.FindMaps(c); err != nil {
		return nil, err
	}
	p, err := plan.New(nil)
	if err != nil {
		return nil, err
	}
	_, err = writeList(p, c, &paper{c: c, plan: p})
	if err == nil {
		err = p.Err()
	}
	return p, err
}

// paper is a host on which nothing is made. What a call would be given that is not there has a
// name, or is an example.
type paper struct {
	c    *config.Container
	plan *plan.Plan
	last int // the number of the descriptor that was given out last
}

// open returns a descriptor that is not open.
func (h *paper) open(name string) plan.FD {
	const none = 1 << 18 // higher than descriptors can be
	h.last++
	return h.plan.Open(none+h.last, name)
}

func (h *paper) pidfd() plan.FD { return h.open("runtime") }

func (h *paper) free(name string) (plan.FD, error) { return h.open(name), nil }

func (h *paper) ignored() []unix.Signal { return nil }

func (h *paper) interrupted() error { return nil }

func (h *paper) start(int) error { return nil }

func (h *paper) onHost(func(int, func(string)) (func() error, error)) error { return nil }

func (h *paper) copyRootfs(string, string) error { return nil }

func (h *paper) trees() (rootfs.Trees, error) { return rootfs.ExampleTrees(h.c, h.plan), nil }

func (h *paper) self() (plan.FD, error) { return h.open("this program"), nil }

func (h *paper) ready() (plan.FD, error) { return h.open("ready"), nil }

// lookUpUser looks in the rootfs as it is on the host.
func (h *paper) lookUpUser(plan.FD, plan.FD) (users.User, error) {
	if !users.NeedsFiles(h.c) {
		return users.LookUp(h.c, "", "")
	}
	passwd, err := rootfs.ReadBelow(h.c, "etc/passwd")
	if err != nil {
		return users.User{}, err
	}
	group, err := rootfs.ReadBelow(h.c, "etc/group")
	if err != nil {
		return users.User{}, err
	}
	return users.LookUp(h.c, passwd, group)
}
