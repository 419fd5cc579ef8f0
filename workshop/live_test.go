//go:build linux

package main

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goLive shows a command. It returns what is said on the standard error, of which the line with the
// address is scanned; how the command ends; and what ends it.
func goLive(t *testing.T, address string, command ...string) (
	lines *bufio.Scanner, ended chan error, cancel func(),
) {
	said, saying, err := os.Pipe()
	require.NoError(t, err)
	stderr := os.Stderr
	os.Stderr = saying
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(func() {
		cancel()
		os.Stderr = stderr
		said.Close()
	})
	ended = make(chan error, 1)
	go func() {
		ended <- showLive(ctx, address, command)
		saying.Close()
	}()
	lines = bufio.NewScanner(said)
	require.True(t, lines.Scan())
	return lines, ended, cancel
}

// TestLive runs a command that goes on as the page says, to its end.
func TestLive(t *testing.T) {
	lines, ended, cancel := goLive(t, "127.0.0.1:0", "sh", "-c", "exec true")
	url, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "open "), " ")
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/[A-Z2-7]{26}/$`, url)

	// execve sh, execve true, exit: they come as events, and each is let go.
	events, err := http.Get(url + "events")
	require.NoError(t, err)
	defer events.Body.Close()
	stream, steps := bufio.NewScanner(events.Body), 0
	stream.Buffer(nil, 1<<20)
	for stream.Scan() {
		if number, ok := strings.CutPrefix(stream.Text(), "id: "); ok {
			steps++
			require.Equal(t, strconv.Itoa(steps), number)
			answer, err := http.Post(url+"next", "text/plain", strings.NewReader(number))
			require.NoError(t, err)
			answer.Body.Close()
			require.Equal(t, http.StatusNoContent, answer.StatusCode)
		}
	}
	assert.Equal(t, 3, steps)
	require.True(t, lines.Scan())
	assert.Contains(t, lines.Text(), "the command ended with status 0")
	cancel()
	require.NoError(t, <-ended)
	_, err = http.Get(url)
	assert.ErrorContains(t, err, "refused")
}

// TestLiveInterrupted requires that ^C ends a command that waits at a call.
func TestLiveInterrupted(t *testing.T) {
	lines, ended, cancel := goLive(t, ":0", "sleep", "1000")
	assert.NotContains(t, lines.Text(), "[::]", "an address that can be opened")
	cancel()
	assert.ErrorIs(t, <-ended, context.Canceled)
	for address, want := range map[string]string{
		"here":           `live -addr "here": want ADDRESS:PORT, as in 127.0.0.1:8080`,
		"192.0.2.1:8080": `live -addr "192.0.2.1:8080": bind: `,
	} {
		err := showLive(context.Background(), address, []string{"true"})
		assert.ErrorContains(t, err, want)
	}
}
