package main

import (
	"os"
	"testing"

	"container.example/workshop/internal/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }

// TestPromises runs the scripts in testdata of this step and of those before it.
func TestPromises(t *testing.T) { harness.Run(t) }
