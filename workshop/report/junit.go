package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"
)

// The elements of JUnit's XML, in the order and with the attributes that the schemas of Jenkins and
// of Ant both take.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Errors   int          `xml:"errors,attr"`
		Time     string       `xml:"time,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string          `xml:"name,attr"`
		Package    string          `xml:"package,attr"`
		ID         int             `xml:"id,attr"`
		Tests      int             `xml:"tests,attr"`
		Failures   int             `xml:"failures,attr"`
		Errors     int             `xml:"errors,attr"`
		Skipped    int             `xml:"skipped,attr"`
		Time       string          `xml:"time,attr"`
		Timestamp  string          `xml:"timestamp,attr"`
		Hostname   string          `xml:"hostname,attr"`
		Properties []junitProperty `xml:"properties>property"`
		Cases      []junitCase     `xml:"testcase"`
		Out        string          `xml:"system-out"`
		Err        string          `xml:"system-err"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Class   string       `xml:"classname,attr"`
		Name    string       `xml:"name,attr"`
		Time    string       `xml:"time,attr"`
		Skipped *junitReason `xml:"skipped"`
		Error   *junitReason `xml:"error"`
		Failure *junitReason `xml:"failure"`
	}
	junitReason struct {
		Type    string `xml:"type,attr,omitempty"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes a suite for each step. What each promise says is in the output of the suite:
// the schemas have no better place for it.
func (r *Report) writeJUnit(w io.Writer) error {
	all := junitSuites{Name: "container workshop", Time: seconds(r.Seconds)}
	if r.Build != "" {
		s := r.junitSuite("program", 0)
		s.add(junitCase{
			Class: "program",
			Name:  "build",
			Time:  seconds(0),
			Error: &junitReason{Type: "build", Message: firstLine(r.Build), Text: r.Build},
		})
		all.add(s)
	}
	for rest := r.Results; len(rest) > 0; {
		step, took := rest[0].Step, 0.0
		s := r.junitSuite(step, len(all.Suites))
		for len(rest) > 0 && rest[0].Step == step {
			s.add(rest[0].junit())
			s.Out += rest[0].Name + ": " + rest[0].Title + "\n"
			took += rest[0].Seconds
			rest = rest[1:]
		}
		s.Time = seconds(took)
		all.add(s)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (r *Report) junitSuite(name string, id int) junitSuite {
	m := r.Machine
	return junitSuite{
		Name:      name,
		Package:   "workshop",
		ID:        id,
		Time:      seconds(0),
		Timestamp: r.Time.UTC().Format("2006-01-02T15:04:05"),
		Hostname:  "localhost", // which machine it was is nobody's business
		Properties: []junitProperty{
			{"report.version", fmt.Sprint(Version)},
			{"program", r.Program},
			{"kernel", m.Kernel},
			{"arch", m.Arch},
			{"cgroups", m.Cgroups},
			{"root", fmt.Sprint(m.Root)},
		},
	}
}

func (all *junitSuites) add(s junitSuite) {
	all.Tests += s.Tests
	all.Failures += s.Failures
	all.Errors += s.Errors
	all.Suites = append(all.Suites, s)
}

func (s *junitSuite) add(c junitCase) {
	s.Tests++
	switch {
	case c.Failure != nil:
		s.Failures++
	case c.Error != nil:
		s.Errors++
	case c.Skipped != nil:
		s.Skipped++
	}
	s.Cases = append(s.Cases, c)
}

func (r Result) junit() junitCase {
	c := junitCase{Class: r.Step, Name: r.Name, Time: seconds(r.Seconds)}
	switch r.Status {
	case Failed:
		c.Failure = &junitReason{Type: "broken", Message: oneLine(r.Title), Text: r.Message}
	case NotBuilt:
		c.Failure = &junitReason{Type: "not-built", Message: oneLine(r.Reason)}
	case Skipped:
		c.Skipped = &junitReason{Message: oneLine(r.Reason)}
	case NotReached:
		c.Skipped = &junitReason{Message: "not reached"}
	}
	return c
}

// seconds is a time as the schemas have it: with three decimals, and no sign for thousands.
func seconds(s float64) string {
	return fmt.Sprintf("%.3f", time.Duration(s*float64(time.Second)).Seconds())
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
