//go:build linux

package main

import (
	"errors"
	"net"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"container.example/workshop/internal/harness"
	"container.example/workshop/workshop/wall"
)

// TestStanding tells the wall of each verdict, and no more than that.
func TestStanding(t *testing.T) {
	s := testScreen(t)
	b := s.begin("5d", time.Now(), false)
	known := s.c.course.forWall()
	require.Len(t, known.Lessons, len(s.c.course.lessons))
	for _, l := range known.Lessons {
		require.NotEmpty(t, l.Title)
		require.Positive(t, l.Minutes, l.ID)
	}
	for _, script := range b.scripts {
		require.Contains(t, known.Promises, script.ID())
	}

	own := s.c.course.own(b.lesson)[0]
	failed := &harness.Event{Script: own, Status: harness.Failed}
	unbuilt := map[string]harness.Event{
		own.ID(): {Script: own, Status: harness.Skipped, NotBuilt: "user"},
	}
	for _, c := range []struct {
		v    verdict
		want wall.Standing
	}{
		{verdict{}, wall.Standing{Verdict: wall.Kept}},
		{verdict{failure: failed}, wall.Standing{Verdict: wall.Broken, Promise: own.ID()}},
		{
			verdict{build: &harness.BuildError{Output: "main.go:3: secret"}},
			wall.Standing{Verdict: wall.NoBuild},
		},
		{verdict{scripts: b.scripts, events: unbuilt}, wall.Standing{Verdict: wall.NotBuilt}},
	} {
		c.v.lesson, c.want.Lesson = b.lesson, "5d"
		require.Equal(t, c.want, done{verdict: c.v}.standing(s.c.course))
	}

	link := &wallLink{course: s.c.course}
	s.state.Passed = map[string]time.Time{"step1-skeleton": {}, "step5-complete/a": {}}
	require.Equal(t, []string{"1", "5a"}, link.passed(s.state))
	var none *wallLink
	none.tell(begun{})
	none.run(t.Context(), nil)
}

// TestScreenWall shows news of the wall: bad ones as long as they are true, others until the next
// save.
func TestScreenWall(t *testing.T) {
	s := testScreen(t)
	s.Update(tea.WindowSizeMsg{Width: 120, Height: 24})
	now := time.Now()
	s.begin("1", now, false)
	s.Update(wallMsg{wall.Notice{Text: "The wall does not answer.", Bad: true}})
	require.Contains(t, s.view(), "The wall does not answer.")
	s.begin("1", now.Add(time.Second), false)
	require.Contains(t, s.view(), "The wall does not answer.")
	s.Update(wallMsg{wall.Notice{Text: "The wall answers again."}})
	require.Contains(t, s.view(), "The wall answers again.")
	require.NotContains(t, s.view(), "does not answer")
	s.begin("1", now.Add(2*time.Second), false)
	require.NotContains(t, s.view(), "The wall")
}

// TestWallPort advises another port where the port is taken.
func TestWallPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	err = testScreen(t).app.showWall(t.Context(), taken.Addr().String(), wall.Options{})
	require.ErrorIs(t, err, unix.EADDRINUSE)
	require.ErrorContains(t, err, "(take another port: -addr :8081)")
}

// TestReachable says what others can type: never an address that is this machine for each of them.
func TestReachable(t *testing.T) {
	at := func(text string) net.Addr {
		address, err := net.ResolveTCPAddr("tcp", text)
		require.NoError(t, err)
		return address
	}
	require.Equal(t, []string{"127.0.0.1:80"}, reachable(at("127.0.0.1:80")))
	require.Equal(t, []string{"[::1]:80"}, reachable(at("[::1]:80")))
	for _, any := range []string{"0.0.0.0:80", "[::]:80"} {
		all := reachable(at(any))
		require.NotEmpty(t, all)
		for _, address := range all {
			host, port, err := net.SplitHostPort(address)
			require.NoError(t, err)
			require.Equal(t, "80", port)
			if host != "localhost" {
				require.True(t, net.ParseIP(host).IsGlobalUnicast(), address)
			}
		}
	}
	err := unwrapped(&net.OpError{Op: "listen", Err: errors.New("in use")})
	require.EqualError(t, err, "in use")
}
