//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
)

var oomScoreAdj = flag.Int("oom-score-adj", 0, "`N` from -1000 to 1000: how readily the kernel kills the command for memory")

// setOOMScoreAdj is the parent's: to be spared takes rights on the host.
func setOOMScoreAdj(pid int) error {
	own, err := os.ReadFile("/proc/self/oom_score_adj")
	want := fmt.Sprint(*oomScoreAdj)
	if err != nil || strings.TrimSpace(string(own)) == want {
		return err
	}
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "oom-score-adj" })
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(want), 0); err != nil && asked {
		return fmt.Errorf("oom_score_adj %s: %w", want, errors.Unwrap(err))
	}
	return nil
}
