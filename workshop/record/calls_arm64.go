//go:build linux

package record

// callsHere are those that other architectures do not have.
var callsHere []callKind

// conditionsHere are those of these calls.
var conditionsHere []conditional
