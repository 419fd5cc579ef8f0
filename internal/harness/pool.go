//go:build linux

package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// A pool is some throw-away hosts that work on one task at once.
type pool struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	mutex   sync.Mutex // for what follows
	workers []*worker
	last    int   // the number of the last script that is reached
	err     error // why the host of that script is gone
}

// A worker is one of the hosts.
type worker struct {
	ctx  context.Context // done when the host is no longer needed
	stop context.CancelFunc
	at   int // the number of the script that it runs, or ran last
	// spent tells that this script has brought the host down.
	spent bool
}

func newPool(ctx context.Context, hosts int) *pool {
	p := &pool{last: math.MaxInt}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	for range hosts {
		w := &worker{}
		w.ctx, w.stop = context.WithCancel(p.ctx)
		p.workers = append(p.workers, w)
	}
	return p
}

// begin tells that a worker is at a script now, and returns whether that is still reached.
func (p *pool) begin(w *worker, number int) bool {
	if w.at = number; number > p.last {
		w.stop()
		return false
	}
	return true
}

// end tells that no script after the one of a worker is reached: that one has failed, or the host
// with it. What comes before it goes on.
func (p *pool) end(w *worker, err error) {
	if w.at > p.last {
		return
	}
	p.last, p.err = w.at, err
	for _, other := range p.workers {
		if other.at > p.last {
			other.stop()
		}
	}
}

// MostHosts is on how many throw-away hosts at once a check runs here. Scripts wait about as long
// as they work: there are two hosts for each processor. A machine with little memory has fewer,
// because each of them may use as much as maxMemory says.
func MostHosts() int {
	hosts := min(8, 2*runtime.NumCPU())
	return int(min(uint64(hosts), max(2, machineMemory()>>30)))
}

// work has the hosts of a pool carry out a task, and calls each for every line that one of them
// writes, one call at a time.
func (h *Host) work(p *pool, o Options, what task, stdin *os.File,
	each func(w *worker, line []byte) error,
) error {
	defer p.cancel(nil)
	if err := h.equip(o.Program, what.Scripts); err != nil {
		return err
	}
	queue, filler, err := os.Pipe()
	if err != nil {
		return err
	}
	defer queue.Close()
	defer filler.Close()
	phase, err := o.phase(h, what)
	defer os.Remove(phase.TaskFile)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, w := range p.workers {
		group.Go(func() {
			tell := func(line []byte) {
				p.mutex.Lock()
				defer p.mutex.Unlock()
				if err := each(w, line); err != nil {
					p.cancel(err)
				}
			}
			err := serve(w.ctx, phase, stdin, queue, tell)
			for err == nil && w.spent && w.ctx.Err() == nil {
				w.spent = false
				err = serve(w.ctx, phase, stdin, queue, tell)
			}
			p.mutex.Lock()
			defer p.mutex.Unlock()
			if err != nil && w.ctx.Err() == nil {
				p.end(w, err)
			}
		})
	}
	if o.Built != nil {
		err = o.Built()
	}
	if err == nil {
		err = fill(filler, len(what.Scripts))
	}
	if err != nil {
		p.cancel(err)
	}
	group.Wait()
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	return p.err
}

// serve makes a throw-away host, has it carry out a task, and takes it away. It calls each for
// every line that the host writes.
func serve(ctx context.Context, p phase, stdin, queue *os.File, each func(line []byte)) error {
	report, reportWriter, err := os.Pipe()
	if err != nil {
		return err
	}
	lines := make(chan error, 1)
	go func() {
		scanner := bufio.NewScanner(report)
		scanner.Buffer(nil, 64<<20)
		for scanner.Scan() {
			each(scanner.Bytes())
		}
		lines <- scanner.Err()
		report.Close()
	}()

	runtime.LockOSThread() // the thread that dies is what Pdeathsig looks at
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &output, &output
	err = runStages(cmd, p, reportWriter, queue)
	reportWriter.Close()
	err = errors.Join(err, <-lines)
	if err == nil && !cmd.ProcessState.Success() {
		err = fmt.Errorf("throw-away host: %s\n%s", cmd.ProcessState,
			bytes.TrimSpace(output.Bytes()))
	}
	return err
}

// The queue of a task is a pipe (pipe(7)) with the numbers of its scripts in it. Each host reads
// the next one from it as soon as it is free. A read of so few bytes is never divided.

// fill puts the numbers of so many scripts into the queue. There is room for 32768.
func fill(queue *os.File, scripts int) error {
	var numbers []byte
	for n := range scripts {
		numbers = binary.NativeEndian.AppendUint16(numbers, uint16(n))
	}
	_, err := queue.Write(numbers)
	return errors.Join(err, queue.Close())
}

// nextNumber takes the number of a script from the queue, in the third stage. There is none, and ok
// is false, when all are taken.
func nextNumber() (n int, ok bool, err error) {
	number := make([]byte, 2)
	for {
		n, err := unix.Read(queueFd, number)
		if !errors.Is(err, unix.EINTR) {
			return int(binary.NativeEndian.Uint16(number)), n == len(number), err
		}
	}
}
