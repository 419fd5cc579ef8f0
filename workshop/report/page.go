package report

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"container.example/workshop/workshop/style"
)

// A Page is what the reports of many say, for one page in HTML.
type Page struct {
	People []person
	Steps  []step
	Kept   int // of all promises of all people
	Of     int
	From   time.Time
	To     time.Time
	first  map[key]int // promise: its place in its step
}

// person is what became of the program of one participant.
type person struct {
	ID      string // of the row
	Name    string
	Score   int
	Of      int
	Skipped int
	Strips  []strip
	Broken  []Result
	*Report
}

// strip is a row of signs, one for each promise of a step.
type strip struct {
	Step  string
	Cells []cell
}

// Number is what the step begins with: the digits in step2-namespaces.
func (s strip) Number() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(s.Step, "step"), "-")
	return name
}

// Label says in words what the signs say.
func (s strip) Label() string {
	count := map[Status]int{}
	for _, c := range s.Cells {
		count[c.Status]++
	}
	text := s.Step + ":"
	for _, status := range []Status{Passed, Failed, NotBuilt, NotReached, Skipped} {
		if n := count[status]; n > 0 {
			text += fmt.Sprintf(" %d %s,", n, status)
		}
	}
	return strings.TrimRight(text, ":,")
}

type cell struct {
	ID     string
	Status Status
}

// Class is the status as a word of CSS.
func (c cell) Class() string { return strings.ReplaceAll(string(c.Status), " ", "-") }

// step is a step with what became of its promises.
type step struct {
	Name     string
	Promises []promise
}

// promise is what became of one promise, of all people.
type promise struct {
	ID     string
	Name   string
	Title  string
	Kept   int
	Of     int
	Broken []*person
}

// key is what tells promises apart. Their ID does not: a report may have any names in it.
type key struct{ step, name string }

// Collect reads reports in JSON, and sums them up.
func Collect(files []string) (*Page, error) {
	p := &Page{first: map[key]int{}}
	names := calledAfter(files)
	for i, file := range files {
		r, err := readFile(file)
		if err != nil {
			return nil, err
		}
		who := person{Name: shorten(oneLine(clean(r.Name))), Report: r}
		if who.Name == "" {
			who.Name = names[i]
		}
		p.People = append(p.People, who)
	}
	slices.SortStableFunc(p.People, func(a, b person) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	for i := range p.People {
		p.People[i].ID = fmt.Sprintf("p%d", i+1)
		p.add(&p.People[i])
	}
	return p, nil
}

// shorten cuts a name that is longer than any real one: it may be on the page a hundred times.
func shorten(name string) string {
	const longest = 60
	characters := []rune(name)
	if len(characters) <= longest {
		return name
	}
	return string(characters[:longest-1]) + "…"
}

func readFile(file string) (*Report, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if path := (*os.PathError)(nil); errors.As(err, &path) {
		return nil, err // it says which file
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// calledAfter makes names of the names of files: without the ending, and with as many of the
// directories above as make them differ.
func calledAfter(files []string) []string {
	names := make([]string, len(files))
	for depth := range 8 {
		count := map[string]int{}
		for _, name := range names {
			count[name]++
		}
		done := true
		for i, file := range files {
			if count[names[i]] > 1 || depth == 0 {
				parts := strings.Split(filepath.ToSlash(strings.TrimSuffix(file, ".json")), "/")
				names[i] = strings.Join(parts[max(0, len(parts)-1-depth):], "/")
				done = false
			}
		}
		if done {
			break
		}
	}
	return names
}

// add takes in the report of a person.
func (p *Page) add(who *person) {
	if p.From.IsZero() || who.Time.Before(p.From) {
		p.From = who.Time
	}
	if who.Time.After(p.To) {
		p.To = who.Time
	}
	who.Score, who.Of = who.Totals.Score()
	who.Skipped = who.Totals.Skipped
	p.Kept += who.Score
	p.Of += who.Of
	for _, r := range who.Results {
		if n := len(who.Strips); n == 0 || who.Strips[n-1].Step != r.Step {
			who.Strips = append(who.Strips, strip{Step: r.Step})
		}
		s := &who.Strips[len(who.Strips)-1]
		s.Cells = append(s.Cells, cell{r.ID(), r.Status})
		if r.Status == Failed {
			who.Broken = append(who.Broken, r)
		}
		if r.Status.counts() {
			p.promise(r).count(who, r.Status)
		}
	}
}

// promise is the entry of a promise, which may be new.
func (p *Page) promise(r Result) *promise {
	i := slices.IndexFunc(p.Steps, func(s step) bool { return s.Name >= r.Step })
	if i < 0 {
		i = len(p.Steps)
	}
	if i == len(p.Steps) || p.Steps[i].Name != r.Step {
		p.Steps = slices.Insert(p.Steps, i, step{Name: r.Step})
	}
	s := &p.Steps[i]
	n, ok := p.first[key{r.Step, r.Name}]
	if !ok {
		n = len(s.Promises)
		p.first[key{r.Step, r.Name}] = n
		s.Promises = append(s.Promises, promise{ID: r.ID(), Name: r.Name, Title: r.Title})
	}
	return &s.Promises[n]
}

func (p *promise) count(who *person, s Status) {
	if p.Of++; s == Passed {
		p.Kept++
	} else {
		p.Broken = append(p.Broken, who)
	}
}

// Promises is how many there are.
func (p *Page) Promises() int { return len(p.first) }

// Day is when the checks were made.
func (p *Page) Day() string {
	from, to := p.From.Format("2 January 2006, 15:04"), p.To.Format("2 January 2006, 15:04")
	switch {
	case from == to:
		return from
	case from[:len(from)-5] == to[:len(to)-5]: // the same day
		return from + " to " + to[len(to)-5:]
	}
	return from + " to " + to
}

// Style is what the page has in common with the others.
func (p *Page) Style() template.CSS { return template.CSS(style.CSS) }

//go:embed page.html
var pageText string

var pageTemplate = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("page").Parse(pageText))
})

// Write writes the page.
func (p *Page) Write(w io.Writer) error { return pageTemplate().Execute(w, p) }
