//go:build !linux

// Command workshop leads a participant through the five steps.
package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(
		os.Stderr,
		"workshop: run %q: namespaces are the Linux kernel's (use the workshop's VM: vagrant up)\n",
		runtime.GOOS,
	)
	os.Exit(2)
}
