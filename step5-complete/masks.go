//go:build linux

package main

// Given with chapter b: what of /proc and /sys does not belong to a namespace, and so is still the
// host's. These are the lists of the OCI runtimes.

// masked tell about the host, or reach into its kernel.
var masked = []string{
	"/proc/acpi",
	"/proc/asound",
	"/proc/interrupts",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/sys/devices/virtual/powercap",
	"/sys/firmware",
}

// readOnly can be read. Written to, they would change the host.
var readOnly = []string{
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
}
