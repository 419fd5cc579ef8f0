//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr,
		"container: run %q: namespaces are Linux's (use the workshop's VM: vagrant up)\n",
		runtime.GOOS)
	os.Exit(125)
}
