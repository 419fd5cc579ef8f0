//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/term"
)

// progress shows how far it is: as a bar at a terminal, and elsewhere in a line for each blob.
type progress struct {
	mutex        sync.Mutex
	isTerminal   bool
	blobs, done  int
	bytes, total int64
	drawn        time.Time
}

func newProgress() *progress {
	return &progress{isTerminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

// Start implements registry.Progress.
func (p *progress) Start(blobs int, total int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.blobs, p.total = blobs, total
}

// Bytes implements registry.Progress.
func (p *progress) Bytes(n int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.bytes += n
	const pause = 100 * time.Millisecond
	if p.isTerminal && time.Since(p.drawn) > pause {
		p.draw()
	}
}

// Done implements registry.Progress.
func (p *progress) Done(blob v1.Descriptor, what string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.done++
	if !p.isTerminal {
		fmt.Fprintf(os.Stderr, "%d of %d  %s  %9s  %s\n",
			p.done, p.blobs, short(blob.Digest), readable(blob.Size), what)
		return
	}
	p.draw()
}

func (p *progress) draw() {
	p.drawn = time.Now()
	const width = 30
	filled := width
	if p.total > 0 {
		filled = int(min(max(p.bytes, 0), p.total) * width / p.total)
	}
	fmt.Fprintf(os.Stderr, "\r[%-*s] %s of %s, %d of %d blobs\x1b[K", width,
		strings.Repeat("=", filled), readable(max(p.bytes, 0)), readable(p.total), p.done, p.blobs)
}

// finish takes the bar away.
func (p *progress) finish() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.isTerminal && !p.drawn.IsZero() {
		fmt.Fprint(os.Stderr, "\r\x1b[K")
	}
}
