//go:build linux

package record

// callsHere are those that other architectures do not have.
var callsHere []callKind
