//go:build !linux

package main

import (
	"fmt"
	"os"
	"runtime"
)

func main() {
	fmt.Fprintf(os.Stderr,
		"image: run %q: layers are for Linux's overlays (use the workshop's VM: vagrant up)\n",
		runtime.GOOS)
	os.Exit(1)
}
