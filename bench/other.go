//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr,
		"bench: containers are the Linux kernel's (use the workshop's VM: vagrant up)")
	os.Exit(125)
}
