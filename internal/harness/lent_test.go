//go:build linux

package harness

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if IsStage() {
		os.Exit(Stage())
	}
	if os.Getenv(stepEnv) != "" {
		os.Exit(Main(m))
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		// These tests wait at least as long as they work.
		_ = flag.Set("test.parallel", fmt.Sprint(MostHosts())) // an error: it is no number
	}
	status := m.Run()
	if err := lent.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = max(status, 1)
	}
	os.Exit(status)
}

// lent are the hosts of all tests. Each is made when the others are in use.
var lent hosts

type hosts struct {
	mutex sync.Mutex
	free  []*Host
}

// check is Host.Check on a host that nobody else has at the same time.
func check(ctx context.Context, t *testing.T, o Options, scripts []Script,
	each func(Event),
) error {
	h, err := lent.take()
	require.NoError(t, err)
	defer lent.giveBack(h)
	return h.Check(ctx, o, scripts, each)
}

func (l *hosts) take() (*Host, error) {
	if h := l.last(); h != nil {
		return h, nil
	}
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	return NewHost(root)
}

// last takes the host that was given back last, if there is one.
func (l *hosts) last() *Host {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	n := len(l.free)
	if n == 0 {
		return nil
	}
	h := l.free[n-1]
	l.free = l.free[:n-1]
	return h
}

func (l *hosts) giveBack(h *Host) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.free = append(l.free, h)
}

func (l *hosts) close() (err error) {
	for _, h := range l.free {
		err = errors.Join(err, h.Close())
	}
	return err
}
