//go:build linux

package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/isolated"
	"container.example/workshop/internal/skip"
)

// TestLasting waits for what is about to go, as long as the clock gives it, and not for so many
// looks: on a busy machine a killed process gets no processor to die.
func TestLasting(t *testing.T) {
	defer func(was func() phase) { now = was }(now)
	now = func() phase { return phase{Timeout: 1000 * time.Hour} } // the patience is a part of it
	const process, mount = "new: process 7 sleep 9", "new: mount tmpfs /mnt (rw)"
	wrong := errors.New("wrong")
	for _, c := range []struct {
		name  string
		lines []string // for so many looks, and nothing after that
		looks int
		err   error
		left  []string
		at    int // the number of the last look
	}{
		{"a process that ends late", []string{process}, 250, nil, nil, 251},
		{"a mount that a process takes away", []string{mount, process}, 3, nil, nil, 4},
		{"a mount", []string{mount}, 9, nil, []string{mount}, 2},
		{"an interface that goes", []string{"new: interface veth0"}, 3, nil, nil, 4},
		{"nobody can look", nil, 9, wrong, nil, 1},
	} {
		looks := 0
		left, err := lasting(func() ([]string, error) {
			if looks++; looks <= c.looks {
				return c.lines, c.err
			}
			return nil, nil
		})
		require.Equal(t, c.err, err, c.name)
		require.Equal(t, c.left, left, c.name)
		require.Equal(t, c.at, looks, c.name)
	}
}

// TestNetGone waits for the interfaces of namespaces that have ended, which the kernel takes away
// in the background.
func TestNetGone(t *testing.T) {
	skip.Tool(t, "ip", "iproute2")
	if !isolated.In(t, unix.CLONE_NEWNET) {
		return
	}
	const most = 30
	for i := range most {
		ip := exec.Command("ip", "link", "add", "inside", "type", "veth", "peer", "name",
			fmt.Sprint("late", i), "netns", strconv.Itoa(os.Getpid()))
		ip.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
		out, err := ip.CombinedOutput()
		if text := string(out); strings.Contains(text, "nknown") { // an unknown type
			skip.Lacking(t, "veth: "+text)
		}
		require.NoError(t, err, string(out))
	}
	require.True(t, netGone())
	links, err := net.Interfaces()
	require.NoError(t, err)
	for _, link := range links {
		require.Equal(t, "lo", link.Name)
	}
}
