//go:build linux

package harness

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"
	"sync"
	"testing"
)

// The tests of a package run on a host of their own, and the scripts on others, several at once, as
// in a check. The first stage makes those hosts, because it is outside. The tests ask for a script
// by its number, in one pipe, and read what became of it from another.

// A crew is the hosts on which the scripts of a package run.
type crew struct {
	cancel  context.CancelFunc
	asking  *os.File // where the tests write the numbers of scripts
	answers *os.File // where they read answers
	done    sync.WaitGroup
}

// An outcome is an event, or says why the host of a script is gone: of no script if there was none.
type outcome struct {
	Event
	Gone string
}

// hire makes a crew for the tests of this package. It makes the hosts only when the first script is
// asked for.
func hire(ctx context.Context, p phase) (*crew, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	scripts, err := scriptsHere(root)
	if err != nil {
		return nil, err
	}
	err = p.give(task{Scripts: scripts, All: true, Verbose: testing.Verbose()})
	if err != nil {
		return nil, err
	}
	asked, asking, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	answers, answering, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, asked.Close(), asking.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	c := &crew{cancel: cancel, asking: asking, answers: answers}
	c.done.Go(func() {
		defer asked.Close()
		defer answering.Close()
		if err := answerAll(ctx, p, asked, answering); err != nil {
			_ = json.NewEncoder(answering).Encode(outcome{Gone: err.Error()})
		}
	})
	return c, nil
}

// answerAll has the scripts run that the tests ask for.
func answerAll(ctx context.Context, p phase, asked io.Reader, answering io.Writer) error {
	// Nearly all that will be wanted is asked for at once.
	numbers := make([]byte, 1<<16)
	n, err := asked.Read(numbers)
	if err != nil {
		return nil // the tests have ended, and wanted none
	}
	queue, filler, err := os.Pipe()
	if err != nil {
		return err
	}
	defer queue.Close()
	go func() {
		defer filler.Close()
		if _, err := filler.Write(numbers[:n]); err == nil {
			_, _ = io.Copy(filler, asked) // an error: the hosts are gone, and have told so
		}
	}()
	var mutex sync.Mutex
	tell := func(line []byte) {
		mutex.Lock()
		defer mutex.Unlock()
		_, _ = answering.Write(slices.Concat(line, []byte("\n"))) // an error: the tests have ended
	}
	var hosts sync.WaitGroup
	for range min(MostHosts(), n/2) {
		hosts.Go(func() { keepServing(ctx, p, queue, tell) })
	}
	hosts.Wait()
	return nil
}

// dismiss takes the hosts away.
func (c *crew) dismiss() {
	c.cancel()
	c.asking.Close()
	c.answers.Close()
	c.done.Wait()
}

// keepServing makes a host for the scripts in the queue, and another one whenever a script has
// brought it down.
func keepServing(ctx context.Context, p phase, queue *os.File, tell func(line []byte)) {
	for {
		var at Script
		over, spent := true, false
		err := serve(ctx, p, nil, queue, func(line []byte) {
			var e Event
			if json.Unmarshal(line, &e) == nil {
				at, over, spent = e.Script, e.Status != Started, e.spends()
			}
			tell(line)
		})
		switch {
		case ctx.Err() != nil || err == nil && !spent:
			return
		case err == nil:
			continue
		}
		if over { // it was not the script
			at = Script{}
		}
		line, _ := json.Marshal(outcome{Event: Event{Script: at}, Gone: err.Error()})
		if tell(line); over {
			return
		}
	}
}

// errands are the scripts that the tests have asked for.
type errands struct {
	numbers map[string]uint16 // by the ID
	asked   map[string]bool   // and the outcome was not taken yet
	ended   map[string]outcome
	asking  io.Writer
	answers *bufio.Reader
}

func newErrands(scripts []Script, asking io.Writer, answers io.Reader) *errands {
	r := &errands{
		numbers: map[string]uint16{},
		asked:   map[string]bool{},
		ended:   map[string]outcome{},
		asking:  asking,
		answers: bufio.NewReader(answers),
	}
	for n, script := range scripts {
		r.numbers[script.ID()] = uint16(n)
	}
	return r
}

// errandsHere are those of this process, in which the tests may run several times.
var errandsHere = sync.OnceValues(func() (*errands, error) {
	root, err := ModuleRoot()
	if err != nil {
		return nil, err
	}
	scripts, err := scriptsHere(root)
	return newErrands(scripts, os.NewFile(askFd, "asking"), os.NewFile(answerFd, "answers")), err
})

// ask asks for scripts, each once until its outcome is taken.
func (r *errands) ask(scripts ...Script) error {
	var numbers []byte
	for _, s := range scripts {
		if id := s.ID(); !r.asked[id] {
			r.asked[id] = true
			numbers = binary.NativeEndian.AppendUint16(numbers, r.numbers[id])
		}
	}
	_, err := r.asking.Write(numbers)
	return err
}

// take waits for what becomes of a script.
func (r *errands) take(s Script) (Event, error) {
	id := s.ID()
	if err := r.ask(s); err != nil {
		return Event{}, err
	}
	for r.ended[id].Script != s {
		line, err := r.answers.ReadBytes('\n')
		if err != nil {
			return Event{}, errors.New("the throw-away hosts are gone")
		}
		var o outcome
		if err := json.Unmarshal(line, &o); err != nil {
			return Event{}, err
		}
		switch {
		case o.Script == Script{}:
			return Event{}, errors.New(o.Gone)
		case o.Gone != "" || o.Status != Started:
			r.ended[o.Script.ID()] = o
		}
	}
	o := r.ended[id]
	delete(r.ended, id)
	delete(r.asked, id)
	if o.Gone != "" {
		return o.Event, errors.New(o.Gone)
	}
	return o.Event, nil
}
