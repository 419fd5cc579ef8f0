//go:build linux

package harness

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestShare requires of the shares that each script is in one of them, and in no more.
func TestShare(t *testing.T) {
	all := allScripts(t)
	for _, of := range []int{1, 2, 3, len(all), len(all) + 1} {
		var together []Script
		for which := 1; which <= of; which++ {
			part, err := share(all, fmt.Sprintf("%d/%d", which, of))
			require.NoError(t, err)
			require.LessOrEqual(t, len(part), len(all)/of+1)
			together = append(together, part...)
		}
		require.ElementsMatch(t, all, together)
	}
	part, err := share(all, "")
	require.NoError(t, err)
	require.Equal(t, all, part)
	for _, wrong := range []string{"0/2", "3/2", "2", "1/2/3", "a/b", "-1/2", "1/0"} {
		_, err := share(all, wrong)
		require.EqualError(t, err, fmt.Sprintf("WORKSHOP_SHARE %q: must be a share and their "+
			"number, such as 2/4", wrong))
	}
}

// TestNews tells of what is left on the host once for each kind, and each time of a host that has
// lost its root.
func TestNews(t *testing.T) {
	defer func(was map[string]bool) { told = was }(told)
	told = map[string]bool{}
	for _, c := range []struct {
		left []string
		news bool
	}{
		{nil, true},
		{[]string{"new: cgroup /sys/fs/cgroup/a"}, true},
		{[]string{"new: cgroup /sys/fs/cgroup/b"}, false},
		{[]string{"new: cgroup /sys/fs/cgroup/b", "new: process 7 sleep"}, true},
		{[]string{rootGone}, true},
		{[]string{rootGone}, true},
		{nil, true},
	} {
		e := Event{}
		e.Left = c.left
		require.Equal(t, c.news, isNews(e), "%v", c.left)
	}
}
