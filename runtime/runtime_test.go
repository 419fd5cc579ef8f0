//go:build linux

package main

import (
	"os"
	"testing"

	"container.example/workshop/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// TestPromises runs the scripts in testdata of the runtime, and those of all steps.
func TestPromises(t *testing.T) { harness.Run(t) }
