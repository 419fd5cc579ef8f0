//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/bits"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/skip"
)

// TestInspect compares what inspect says of a process that is unlike the host in many ways with
// what /proc and /sys/fs/cgroup say.
func TestInspect(t *testing.T) {
	out, err := exec.Command("unshare", "--user", "--map-root-user", "true").CombinedOutput()
	if err != nil {
		skip.Lacking(t, fmt.Sprintf("user namespaces: %s", out))
	}
	var got inspection
	var text bytes.Buffer
	args := []string{
		"unshare", "--user", "--map-root-user", "--uts", "--ipc", "--pid", "--fork", "--mount-proc",
		"prlimit", "--nofile=77:99",
		"setpriv", "--no-new-privs", "--bounding-set=-sys_admin,-net_raw", "sleep", "100",
	}
	err = withCommand(t.Context(), args, func(pid int) error {
		r, err := inspect(pid)
		require.NoError(t, err)
		a := &app{out: newOutput(&text, false, nil)}
		a.showReport(r)
		asJSON, err := json.Marshal(r)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(asJSON, &got))

		for _, ns := range got.Namespaces {
			link, err := os.Readlink(procFile(pid, "ns/"+ns.Name))
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("%s:[%d]", ns.Name, ns.Inode), link)
			require.Equal(
				t,
				!slices.Contains([]string{"user", "uts", "ipc", "pid", "mnt"}, ns.Name),
				ns.Shared,
				ns.Name,
			)
		}
		status, err := readStatus(pid)
		require.NoError(t, err)
		for i, name := range []string{"CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb"} {
			mask, err := strconv.ParseUint(status[name], 16, 64)
			require.NoError(t, err)
			require.Len(t, got.Capabilities[i].Names, bits.OnesCount64(mask), name)
			// The numbers of capability.h; as bits, they are what capsh decodes.
			require.Equal(
				t,
				mask>>21&1 == 1,
				slices.Contains(got.Capabilities[i].Names, "sys_admin"),
				name,
			)
			require.Equal(t, mask&1 == 1, slices.Contains(got.Capabilities[i].Names, "chown"), name)
		}
		require.Equal(t, []string{"net_raw", "sys_admin"}, got.Capabilities[3].Without[:2])
		require.True(t, got.NoNewPrivs)

		lines, err := exec.Command("wc", "-l", procFile(pid, "mountinfo")).Output()
		require.NoError(t, err)
		require.Equal(t, strings.Fields(string(lines))[0], strconv.Itoa(len(got.Mounts)))
		for _, c := range got.Cgroups {
			for _, v := range c.Values {
				if !strings.Contains(v.File, "current") && !strings.Contains(v.File, "usage") &&
					!strings.Contains(v.File, "peak") {
					file, err := os.ReadFile(filepath.Join(c.Dir, v.File))
					require.NoError(t, err)
					require.Equal(t, strings.TrimSpace(string(file)), v.Value)
				}
			}
			if c.Dir != "" {
				procs, err := os.ReadFile(filepath.Join(c.Dir, "cgroup.procs"))
				require.NoError(t, err)
				require.Contains(t, strings.Fields(string(procs)), strconv.Itoa(pid), c.Dir)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, "sleep 100", got.Command)
	require.Equal(t, []mapping{{0, int64(os.Getuid()), 1}}, got.UidMap)
	require.Equal(t, 1, got.NSPids[len(got.NSPids)-1])
	require.Len(t, got.NSPids, 2)
	require.Equal(t, []member{{got.Pid, 1, "sleep 100"}}, got.Family)
	i := slices.IndexFunc(got.Limits, func(l rlimit) bool { return l.Name == "open files" })
	require.Equal(t, "77", got.Limits[i].Soft)
	require.Equal(t, "99", got.Limits[i].Hard)
	require.NotContains(t, got.Unknown, "cgroups")

	require.Regexp(t, `(?m)^  uts +own +\d+   the host's is \d+$`, text.String())
	require.Regexp(t, `(?m)^  net +shared +\d+$`, text.String())
	require.Regexp(t, `(?m)^  bounding +all but .*sys_admin`, text.String())
	require.Regexp(t, `(?m)^  open files +77, 99 files   the host's`, text.String())
	require.Regexp(t, `(?m)^ +\d+ +1  sleep 100$`, text.String())
	require.Eventually(t, func() bool {
		_, err := os.Stat(procFile(got.Pid, "status"))
		return err != nil
	}, patient, 10*time.Millisecond, "the command was not ended")
}

// TestBusy tells a process that computes from one that waits.
func TestBusy(t *testing.T) {
	for _, c := range []struct {
		script string
		busy   bool
	}{{"while :; do :; done", true}, {"read line", false}} {
		cmd := exec.Command("sh", "-c", c.script)
		input, err := cmd.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		is := func() bool { return isBusy(cmd.Process.Pid) == c.busy }
		require.Eventually(t, is, patient, 10*time.Millisecond, c.script)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
		_ = input.Close() // Wait has done so
		require.False(t, isBusy(cmd.Process.Pid), "it is gone")
	}
}
