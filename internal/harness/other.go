//go:build !linux

package harness

import "testing"

// Main runs the tests of a package.
func Main(m *testing.M) int { return m.Run() }

// Run skips: there are no containers to test but on Linux.
func Run(t *testing.T) {
	t.Skip("namespaces are the Linux kernel's: run the tests in the workshop's VM (vagrant up)")
}

// NeedsGo skips nothing: Go is here.
func NeedsGo(*testing.T) {}
