//go:build linux

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// explain tells why a command was killed, if it was for the limit of memory: the kernel says nothing to
// it. The count of such kills is in memory.events, on version 1 of cgroups(7) in memory.oom_control.
func (c *cgroup) explain(status int) error {
	if status != 128+int(unix.SIGKILL) {
		return nil
	}
	for _, dir := range c.dirs {
		for _, file := range []string{"memory.events", "memory.oom_control"} {
			text, _ := os.ReadFile(filepath.Join(dir.Name(), file)) // one of them is there, in one of the directories
			for line := range strings.Lines(string(text)) {
				if name, count, _ := strings.Cut(strings.TrimSpace(line), " "); name == "oom_kill" && count != "0" {
					return errors.New("memory: the kernel killed the command, or a process of it, at the limit (-memory)")
				}
			}
		}
	}
	return nil
}
