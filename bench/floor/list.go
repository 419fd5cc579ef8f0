//go:build linux && floor

// This file and plan.go are no part of the runtime. The benchmark adds them to its packages with
// the flag -overlay of go build, and so gets the list of a container from the code that writes it.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/plan"
	"container.example/workshop/runtime/rootfs"
	"container.example/workshop/runtime/users"
)

// init adds a subcommand: `container floor [FLAG...] CMD` prints the list as the header of floor.c.
func init() {
	if len(os.Args) < 2 || os.Args[1] != "floor" {
		return
	}
	status, err := withFlags(os.Args[2:], printFloor)
	if err != nil {
		fmt.Fprintln(os.Stderr, "container floor:", err)
	}
	os.Exit(status)
}

func printFloor(r *request) (status int, err error) {
	c := r.Container
	users.FindMaps(c)
	p, err := plan.New(nil)
	if err != nil {
		return statusFailed, err
	}
	h := &floor{paper: &paper{c: c, plan: p}}
	if _, err := writeList(p, c, h); err != nil {
		return statusFailed, err
	}
	if err := p.Err(); err != nil {
		return statusFailed, err
	}
	fmt.Printf("#define FIRST %d\n", h.first)
	fmt.Printf("#define RUNTIME %d\n#define NONE %d\n", fdRuntime, fdNone)
	fmt.Printf("#define ROOTFS %d\n", fdRootfs)
	namespaces := c.Namespaces &^ (unix.CLONE_NEWNET | unix.CLONE_NEWTIME) // as in thisHost.clone
	fmt.Printf("#define NAMESPACES %#x\n", uintptr(namespaces))
	fmt.Printf("#define UID_MAP %q\n#define GID_MAP %q\n", c.UIDs.String(), c.GIDs.String())
	fmt.Printf("#define PATH %q\n", c.Rootfs)
	return 0, p.PrintC(os.Stdout)
}

// The numbers of descriptors that the parent opens. They are the first that are free.
const fdRuntime, fdNone, fdRootfs = 3, 4, 5

// floor is a host on paper, for a program that opens the descriptors later.
type floor struct {
	*paper
	first int // calls before the child is cloned
}

func (h *floor) pidfd() plan.FD { return h.plan.Open(fdRuntime, "runtime") }

func (h *floor) free(name string) (plan.FD, error) { return h.plan.Open(fdNone, name), nil }

func (h *floor) start(int) error {
	h.first = h.plan.Len()
	return nil
}

func (h *floor) trees() (rootfs.Trees, error) {
	return rootfs.Trees{h.plan.Open(fdRootfs, "rootfs "+h.c.Rootfs)}, nil
}
