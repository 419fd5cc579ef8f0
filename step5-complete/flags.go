//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// namespaceOf says which flags are about the inside of a namespace, and would change the host without it.
var namespaceOf = map[string]uintptr{
	"hostname":  unix.CLONE_NEWUTS,
	"rootfs":    unix.CLONE_NEWNS,
	"layers":    unix.CLONE_NEWNS,
	"keep":      unix.CLONE_NEWNS,
	"volume":    unix.CLONE_NEWNS,
	"read-only": unix.CLONE_NEWNS,
	"tty":       unix.CLONE_NEWNS,
	"net":       unix.CLONE_NEWNET,
}

// maxVolumes are as many as fit into one message to the child, with a few other descriptors (unix(7), SCM_MAX_FD).
const maxVolumes = 240

// checkFlags finds what is wrong with the command line as a whole.
func checkFlags() (err error) {
	if *network == "host" {
		namespaces &^= unix.CLONE_NEWNET
	}
	bad := func(name, value, why string) { err = errors.Join(err, fmt.Errorf("-%s %q: %s", name, value, why)) }
	// These values ask for nothing inside.
	idle := map[string]bool{"net": *network == "host", "read-only": !*readOnlyRoot, "tty": ttyFlag != nil && !*ttyFlag}
	flag.Visit(func(f *flag.Flag) {
		if needed := namespaceOf[f.Name]; needed != 0 && !has(needed) && !idle[f.Name] {
			err = errors.Join(err, fmt.Errorf("-%s: the namespace for it is not in -ns", f.Name))
		}
	})
	if *hostname == "" || len(*hostname) > 64 { // sethostname(2), the kernel's __NEW_UTS_LEN
		bad("hostname", *hostname, "not of 1 to 64 bytes")
	}
	// Or else it would be several names in /etc/hosts, or several lines.
	if strings.ContainsFunc(*hostname, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		bad("hostname", *hostname, "with white space or a control character")
	}
	if *workdir != "" && !filepath.IsAbs(*workdir) {
		bad("workdir", *workdir, "not an absolute path")
	}
	if *layers != "overlay" && *layers != "copy" && *layers != "bind" {
		bad("layers", *layers, "not overlay, copy or bind")
	}
	if *keep != "" && *layers == "bind" {
		bad("keep", *keep, "with -layers bind there is nothing to keep: it writes to the rootfs")
	}
	if *oomScoreAdj < -1000 || *oomScoreAdj > 1000 { // proc_pid_oom_score_adj(5)
		bad("oom-score-adj", fmt.Sprint(*oomScoreAdj), "not in -1000 to 1000")
	}
	if *network != "none" && *network != "bridge" && *network != "host" {
		bad("net", *network, "not none, bridge or host")
	}
	if len(volumes) > maxVolumes {
		bad("volume", fmt.Sprint(len(volumes)), fmt.Sprintf("more than %d", maxVolumes))
	}
	for _, l := range limits {
		if *withInit && l.controller == "pids" && l.value < 16 {
			bad("pids", fmt.Sprint(l.value), "fewer than the threads of -init, which takes 16")
		}
	}
	for _, u := range ulimits {
		if needs := initNeeds[u.name]; *withInit && u.soft < needs {
			bad("ulimit", u.name, fmt.Sprintf("too low for -init, which takes %d", needs))
		}
	}
	return err
}
