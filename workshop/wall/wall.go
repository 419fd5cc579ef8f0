// Package wall is one page with the names and promises of all participants, live, for the room.
// The participants' side of it is a Client, which sends one line for each change. Nothing of a
// program leaves the machine of a participant.
package wall

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Verdict is what a check has found out about a program.
type Verdict string

// The verdicts.
const (
	Begun    Verdict = "begun"    // there is none yet
	Broken   Verdict = "broken"   // a promise is
	NoBuild  Verdict = "no build" // the program does not compile
	NotBuilt Verdict = "not built"
	Kept     Verdict = "kept" // all promises that were tried
)

var verdicts = []Verdict{Begun, Broken, NoBuild, NotBuilt, Kept}

// Standing is where a participant stands.
type Standing struct {
	Lesson  string  `json:"lesson"` // "2", "5c"
	Verdict Verdict `json:"verdict"`
	Promise string  `json:"promise,omitempty"` // the one that was broken last
}

// after is the standing after a new verdict, and whether that is a step on: to another lesson, or
// to another promise. A program that does not compile for a while is none.
func (s Standing) after(now Standing) (next Standing, moved bool) {
	switch {
	case now.Lesson != s.Lesson:
		return now, true
	case now.Verdict == Begun: // the check has only been started again
		return s, false
	case now.Verdict == Broken:
		return now, s.Verdict == Kept || s.Verdict != Begun && now.Promise != s.Promise
	}
	next = now
	next.Promise = s.Promise
	return next, (now.Verdict == Kept) != (s.Verdict == Kept)
}

// An Update is all that a participant sends.
type Update struct {
	Name string `json:"name"`
	Standing
	Passed []string `json:"passed,omitempty"` // lessons
	// Age is for how many seconds the standing has been so.
	Age int `json:"age"`
}

// An answer is what the wall answers to an Update.
type answer struct {
	Name string `json:"name"` // under which the participant is shown
}

// A Lesson is one that the wall knows.
type Lesson struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Minutes  int    `json:"minutes"` // of the plan
	Optional bool   `json:"optional,omitempty"`
}

// A Course is what there is to build.
type Course struct {
	Lessons  []Lesson
	Promises []string
}

// Row is what the wall knows of one participant.
type Row struct {
	Number int    `json:"number"`
	Name   string `json:"name"`  // as it is shown
	Asked  string `json:"asked"` // as it was asked for
	Standing
	Passed  []string  `json:"passed"`
	Since   time.Time `json:"since"`   // the last step on
	Entered time.Time `json:"entered"` // the lesson
	Seen    time.Time `json:"seen"`
	bucket  bucket
}

// Times of the wall.
const (
	stuckAfter = 10 * time.Minute
	awayAfter  = 3 * heartbeat
	oldest     = 12 * time.Hour // a row of which nothing was heard for so long is of another day
)

// Wall holds the rows. All access is under its lock.
type Wall struct {
	course Course
	most   int // rows
	clock  func() time.Time

	mu      sync.Mutex
	code    string
	start   time.Time
	rows    map[string]*Row // by what keyOf makes of the token
	removed []string        // keys of rows that the instructor has taken away
	next    int             // number of a row
	changed chan struct{}   // closed at the next change
	dirty   bool            // since the last save
	join    []string        // what one types after -wall
	text    []byte          // of the last snapshot; nil after a change
}

// New makes a wall for so many participants.
func New(course Course, code string, most int) *Wall {
	w := &Wall{
		course:  course,
		most:    most,
		clock:   time.Now,
		code:    code,
		rows:    map[string]*Row{},
		next:    1,
		changed: make(chan struct{}),
	}
	w.start = w.clock()
	return w
}

// What the wall refuses.
var (
	errUpdate  = errors.New("the wall does not know this lesson, promise or verdict")
	errFull    = errors.New("the wall is full")
	errRemoved = errors.New("the instructor has taken this row away")
)

// keyOf makes of the token of a participant what the wall keeps: a reader of its file cannot speak
// for anybody.
func keyOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// check tells whether an update is one that a participant may send.
func (w *Wall) check(u *Update) (err error) {
	lesson := func(id string) bool {
		return slices.ContainsFunc(w.course.Lessons, func(l Lesson) bool { return l.ID == id })
	}
	if u.Name, err = CleanName(u.Name); err != nil {
		return err
	}
	known := lesson(u.Lesson) && slices.Contains(verdicts, u.Verdict) &&
		(u.Verdict != Broken || u.Promise != "") &&
		(u.Promise == "" || slices.Contains(w.course.Promises, u.Promise)) &&
		len(u.Passed) <= len(w.course.Lessons)
	for _, id := range u.Passed {
		known = known && lesson(id)
	}
	if !known {
		return errUpdate
	}
	u.Age = min(max(u.Age, 0), int(oldest.Seconds()))
	return nil
}

// update takes in the update of the participant with a key, and returns the name in the row.
func (w *Wall) update(key string, u Update) (string, error) {
	if err := w.check(&u); err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	row := w.rows[key]
	now := w.clock()
	since := now.Add(-time.Duration(u.Age) * time.Second)
	switch {
	case row != nil:
	case slices.Contains(w.removed, key):
		return "", errRemoved
	case len(w.rows) >= w.most:
		return "", errFull
	default:
		row = &Row{Number: w.next, bucket: newBucket(perRow, now)}
		w.next++
		w.rows[key] = row
	}
	before := row.Standing
	next, moved := before.after(u.Standing)
	if next.Lesson != before.Lesson {
		row.Entered = since
	}
	if row.Standing = next; moved {
		row.Since = since
	}
	if row.Asked != u.Name {
		row.Asked, row.Name = u.Name, w.unique(u.Name, row)
	}
	row.Passed, row.Seen = u.Passed, now
	w.change()
	return row.Name, nil
}

// unique makes of a name one that no other row has.
func (w *Wall) unique(name string, own *Row) string {
	taken := func(name string) bool {
		for _, row := range w.rows {
			if row != own && strings.EqualFold(row.Name, name) {
				return true
			}
		}
		return false
	}
	with := name
	for n := 2; taken(with); n++ {
		with = fmt.Sprintf("%s (%d)", name, n)
	}
	return with
}

// change tells all that look at the wall. It is called under the lock.
func (w *Wall) change() {
	close(w.changed)
	w.changed = make(chan struct{})
	w.dirty, w.text = true, nil
}

// mostRemoved is how many keys of removed rows are kept.
const mostRemoved = 1000

// Remove takes the row with a number away. Its participant gets to know, and is no longer taken in.
func (w *Wall) Remove(number int) (name string, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, row := range w.rows {
		if row.Number == number {
			delete(w.rows, key)
			w.removed = append(w.removed, key)
			w.removed = w.removed[max(0, len(w.removed)-mostRemoved):]
			w.change()
			return row.Name, true
		}
	}
	return "", false
}

// Rows are the rows by name.
func (w *Wall) Rows() []Row {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sorted()
}

func (w *Wall) sorted() (rows []Row) {
	for _, row := range w.rows {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Row) int {
		if c := strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)); c != 0 {
			return c
		}
		return a.Number - b.Number
	})
	return rows
}

// A line is a row as the page gets it. Times are in milliseconds since 1970.
type line struct {
	Number int    `json:"number"`
	Name   string `json:"name"`
	Standing
	Passed  []string `json:"passed"`
	Since   int64    `json:"since"`
	Entered int64    `json:"entered"`
	Seen    int64    `json:"seen"`
}

// snapshot is all that there is to show, as JSON, and a channel that is closed when that is no
// longer so.
func (w *Wall) snapshot() (text []byte, changed <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.text != nil {
		return w.text, w.changed
	}
	lines := []line{}
	for _, row := range w.sorted() {
		lines = append(lines, line{
			row.Number, row.Name, row.Standing, append([]string{}, row.Passed...),
			row.Since.UnixMilli(), row.Entered.UnixMilli(), row.Seen.UnixMilli(),
		})
	}
	text, err := json.Marshal(map[string]any{
		"start":   w.start.UnixMilli(),
		"stuck":   stuckAfter.Milliseconds(),
		"away":    awayAfter.Milliseconds(),
		"join":    append([]string{}, w.join...),
		"lessons": w.course.Lessons,
		"rows":    lines,
	})
	if err != nil {
		panic(err) // nothing in it can fail
	}
	w.text = text
	return text, w.changed
}

// saved is the form of the file of a wall.
type saved struct {
	Version int             `json:"version"`
	Code    string          `json:"code"`
	Start   time.Time       `json:"start"`
	Next    int             `json:"next"`
	Rows    map[string]*Row `json:"rows"`
	Removed []string        `json:"removed,omitempty"`
}

// version is the version of that form.
const version = 1

// state is the wall as text for its file, if it has changed since the last call.
func (w *Wall) state() (text []byte, changed bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed, w.dirty = w.dirty, false
	if !changed {
		return nil, false, nil
	}
	text, err = json.MarshalIndent(saved{version, w.code, w.start, w.next, w.rows, w.removed}, "",
		" ")
	return append(text, '\n'), true, err
}

// restore takes in what state made, but for rows of another day. A code is kept: participants have
// typed it.
func (w *Wall) restore(text []byte) error {
	var s saved
	if err := json.Unmarshal(text, &s); err != nil {
		return err
	}
	if s.Version != version {
		return fmt.Errorf("version %d: this workshop reads version %d", s.Version, version)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	now := w.clock()
	maps.DeleteFunc(s.Rows, func(_ string, row *Row) bool {
		return row == nil || now.Sub(row.Seen) > oldest
	})
	if len(s.Rows) == 0 && now.Sub(s.Start) > oldest { // it is another day
		return nil
	}
	if s.Rows == nil {
		s.Rows = map[string]*Row{}
	}
	for _, row := range s.Rows {
		row.bucket = newBucket(perRow, now)
	}
	w.rows, w.removed, w.next, w.start = s.Rows, s.Removed, s.Next, s.Start
	if w.code == "" {
		w.code = s.Code
	}
	w.dirty, w.text = true, nil
	return nil
}
