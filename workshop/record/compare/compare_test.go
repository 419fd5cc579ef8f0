package compare

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"container.example/workshop/workshop/record"
	"container.example/workshop/workshop/record/recordtest"
)

// recording is one of calls, by their keys; "EPERM mount" is one that is refused, and "in mount"
// one that a process in other namespaces makes.
func recording(t *testing.T, keys ...string) *record.Recording {
	t.Helper()
	b := recordtest.New("./container")
	b.Step(record.Step{Call: "clone"}).Process(recordtest.Child, func(p *record.Process) {
		p.Namespaces["mnt"] = "7"
	})
	for _, key := range keys {
		step := record.Step{}
		var first, rest string
		if n, _ := fmt.Sscanf(key, "%s %s", &first, &rest); n == 2 && first == "in" {
			step.PID, key = recordtest.Child, key[len("in "):]
		} else if n == 2 && first == "EPERM" {
			step.Errno, key = first, key[len("EPERM "):]
		}
		_, err := fmt.Sscan(key, &step.Call)
		require.NoError(t, err)
		step.Key = key
		b.Step(step)
	}
	return b.Recording
}

func TestSentences(t *testing.T) {
	for _, test := range []struct {
		name       string
		mine, ours []string
		want       []string
	}{
		{
			"nothing",
			[]string{"mount proc /proc"},
			[]string{"mount proc /proc"},
			[]string{"both do the same in the same order"},
		},
		{
			"a call is missing",
			[]string{"pivot_root"},
			[]string{"sethostname", "pivot_root"},
			[]string{"yours does not call sethostname; ours does between clone and pivot_root"},
		},
		{
			"a call too much",
			[]string{"chroot", "execve"},
			[]string{"execve"},
			[]string{"ours does not call chroot; yours does between clone and execve"},
		},
		{
			"one of many of the kind",
			[]string{"mount rootfs /", "execve"},
			[]string{"mount rootfs /", "mount proc /proc", "execve"},
			[]string{`yours does not do "mount proc /proc"; ours does between mount and execve`},
		},
		{
			"at the end",
			[]string{},
			[]string{"capset", "prctl", "capset"},
			[]string{"yours does not call capset and prctl; ours does after clone"},
		},
		{
			"another order",
			[]string{"a x", "b y"},
			[]string{"b y", "a x"},
			[]string{
				`ours does "a x" at another point; yours does between clone and b`,
				`yours does "a x" at another point; ours does after b`,
			},
		},
		{
			"about something else",
			[]string{"clone uts pid", "execve"},
			[]string{"clone uts pid mnt", "sethostname", "execve"},
			[]string{
				`yours does "clone uts pid" where ours does "clone uts pid mnt"`,
				"yours does not call sethostname; ours does between clone and execve",
			},
		},
		{
			"refused",
			[]string{"EPERM mount proc /proc"},
			[]string{"mount proc /proc"},
			[]string{`"mount proc /proc" is refused in yours (EPERM), and not in ours`},
		},
		{
			"refused to ours",
			[]string{"mount proc /proc"},
			[]string{"EPERM mount proc /proc"},
			[]string{`"mount proc /proc" is refused in ours (EPERM), and not in yours`},
		},
		{
			"on the other side",
			[]string{"sethostname"},
			[]string{"in sethostname"},
			[]string{
				`yours does "sethostname" outside of the container, and ours in the container`,
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Compare(recording(t, test.mine...), recording(t, test.ours...))
			require.NoError(t, err)
			assert.Equal(t, test.want, c.Sentences)
		})
	}
}

// TestRows requires that every step is in one row, and in order, whatever is compared.
func TestRows(t *testing.T) {
	keys := []string{"a", "b", "c", "d", "e", "f"}
	seed := uint32(1)
	draw := func(n int) int { // the same at each run
		seed = seed*1664525 + 1013904223
		return int(seed>>16) % n
	}
	for range 300 {
		var sides [2][]string
		for side := range sides {
			for range draw(12) {
				sides[side] = append(sides[side], keys[draw(len(keys))])
			}
		}
		a, b := recording(t, sides[0]...), recording(t, sides[1]...)
		c, err := Compare(a, b)
		require.NoError(t, err)
		nextA, nextB, pairs := 1, 1, 0
		for _, row := range c.Rows {
			if row.A > 0 {
				require.Equal(t, nextA, row.A)
				nextA++
			}
			if row.B > 0 {
				require.Equal(t, nextB, row.B)
				nextB++
			}
			if row.A > 0 && row.B > 0 {
				require.Equal(t, a.Steps[row.A-1].Key, b.Steps[row.B-1].Key)
				pairs++
			}
			require.Equal(t, row.A == 0 || row.B == 0, row.Apart)
		}
		require.Equal(t, 1+most(sides[0], sides[1]), pairs, "clone, and as many as there can be")
		require.Equal(t, len(a.Steps)+1, nextA)
		require.Equal(t, len(b.Steps)+1, nextB)
	}
}

// most is how many pairs of equal keys there can be in order, by trying all.
func most(a, b []string) int {
	switch {
	case len(a) == 0 || len(b) == 0:
		return 0
	case a[0] == b[0]:
		return 1 + most(a[1:], b[1:])
	}
	return max(most(a[1:], b), most(a, b[1:]))
}

// TestNoContainer compares a program that makes no container: what it does outside is what ours
// does inside.
func TestNoContainer(t *testing.T) {
	mine := recordtest.New("./container").
		Step(record.Step{Call: "clone", Key: "fork"}).
		Step(record.Step{Call: "execve", Key: "execve sh"}).Recording
	c, err := Compare(mine, recording(t, "in sethostname", "in execve sh"))
	require.NoError(t, err)
	assert.Equal(t, []string{
		`yours does "fork" where ours does "clone"`,
		"yours does not call sethostname; ours does between clone and execve",
	}, c.Sentences)
}

func TestTooLong(t *testing.T) {
	r := &record.Recording{Steps: make([]record.Step, maxSteps+1)}
	_, err := Compare(r, &record.Recording{})
	assert.ErrorContains(t, err, "at most 10000 are compared")
}

// TestRestrictions tells what a mount does not forbid, and not how the call does its work, nor what
// the kernel ignores.
func TestRestrictions(t *testing.T) {
	const same = "both do the same in the same order"
	for _, test := range []struct {
		mine, ours string
		want       string
	}{
		{"MS_NOSUID", "MS_NOSUID|MS_RELATIME|MS_SILENT", same},
		{"MS_BIND|MS_REC", "MS_NOSUID|MS_BIND|MS_REC", same},
		{"", "MS_NOSUID", `yours lacks nosuid in "mount proc /proc"; ours has it`},
		{
			"MS_NODEV", "MS_RDONLY|MS_NOSUID|MS_NODEV|MS_NOEXEC",
			`yours lacks ro, nosuid and noexec in "mount proc /proc"; ours has them`,
		},
		{
			"MOUNT_ATTR_NOSUID", "",
			`ours lacks nosuid in "mount proc /proc"; yours has it`,
		},
		{
			"MS_NOEXEC", "MS_NOSUID|MS_NODEV",
			`yours lacks nosuid and nodev in "mount proc /proc", and ours noexec`,
		},
		{
			"MS_NOSUID|MS_REMOUNT|MS_BIND", "MS_REMOUNT|MS_BIND",
			`ours lacks nosuid in "mount proc /proc"; yours has it`,
		},
	} {
		t.Run(test.want, func(t *testing.T) {
			mine, ours := recording(t, "mount proc /proc"), recording(t, "mount proc /proc")
			last := len(mine.Steps) - 1
			mine.Steps[last].Args = []record.Arg{{Name: "flags", Value: test.mine}}
			ours.Steps[last].Args = []record.Arg{{Name: "flags", Value: test.ours}}
			c, err := Compare(mine, ours)
			require.NoError(t, err)
			assert.Equal(t, []string{test.want}, c.Sentences)
			assert.Equal(t, test.want != same, c.Rows[last].Apart)

			// What is taken away is no restriction.
			mine.Steps[last].Args[0].Name, ours.Steps[last].Args[0].Name = "clear", "clear"
			c, err = Compare(mine, ours)
			require.NoError(t, err)
			assert.Equal(t, []string{same}, c.Sentences)
		})
	}
}
