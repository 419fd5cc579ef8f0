package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A gradescopeTest is one test of Gradescope's results.json.
type gradescopeTest struct {
	Score      int    `json:"score"`
	MaxScore   int    `json:"max_score"`
	Status     string `json:"status,omitempty"` // "passed", "failed", or nothing
	Name       string `json:"name"`
	Number     string `json:"number"`
	Output     string `json:"output"`
	Visibility string `json:"visibility"`
}

// writeGradescope writes results.json of Gradescope's autograders. Each promise is a point. One
// that could not be checked is none, and says why.
func (r *Report) writeGradescope(w io.Writer) error {
	tests := []gradescopeTest{}
	for i, p := range r.Results {
		t := gradescopeTest{
			Score:      p.Status.point(),
			Status:     "failed",
			Name:       p.ID(),
			Number:     fmt.Sprint(i + 1),
			Output:     p.Title,
			Visibility: "visible",
		}
		if p.Status.counts() {
			t.MaxScore = 1
		}
		switch p.Status {
		case Passed:
			t.Status = "passed"
		case Skipped: // it knows no word for that
			t.Status = ""
		}
		switch {
		case p.Message != "":
			t.Output += "\n\n" + p.Message
		case p.Status != Passed:
			t.Output += "\n\n" + strings.TrimSuffix(string(p.Status)+": "+p.Reason, ": ")
		}
		tests = append(tests, t)
	}
	score, of := r.Totals.Score()
	output := fmt.Sprintf("%d of %d promises are kept.", score, of)
	if r.Build != "" {
		output = r.Build
	}
	return indented(w, map[string]any{
		"score":             score,
		"execution_time":    int(r.Seconds + 0.5),
		"output":            output,
		"visibility":        "visible",
		"stdout_visibility": "hidden",
		"tests":             tests,
		"extra_data": map[string]any{
			"schema": Schema, "version": Version, "lesson": r.Lesson, "machine": r.Machine,
		},
	})
}

// Submission is what the runner of Classroom 50 tells an autograder in its environment.
type Submission struct {
	Classroom      string
	Assignment     string
	AssignmentType string // individual, group or team; the runner puts in its own
	Owner          string // the same
	Tag            string
	Commit         string // an address, as the next two
	Release        string
	Review         string
}

// SubmissionOf reads the environment of Classroom 50's runner.
func SubmissionOf(getenv func(string) string) (*Submission, error) {
	var missing []string
	need := func(names ...string) string {
		for _, name := range names {
			if value := getenv(name); value != "" {
				return value
			}
		}
		if name := names[len(names)-1]; !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		return ""
	}
	s := &Submission{
		Classroom:      need("CLASSROOM"),
		Assignment:     need("ASSIGNMENT"),
		AssignmentType: getenv("ASSIGNMENT_TYPE"),
		Owner:          need("OWNER", "USERNAME"),
		Tag:            need("SUBMISSION_TAG"),
		Commit:         need("COMMIT_URL"),
		Release:        need("RELEASE_URL"),
		Review:         need("REVIEW_URL", "COMMIT_URL"),
	}
	if s.AssignmentType == "" {
		s.AssignmentType = "individual"
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("-format classroom50: %s: not set (the runner of Classroom 50 sets "+
			"it; elsewhere take -format json)", strings.Join(missing, ", "))
	}
	return s, nil
}

// A classroomTest is one test of Classroom 50's result.json.
type classroomTest struct {
	Name     string `json:"test-name"`
	Passed   bool   `json:"passed"`
	Score    int    `json:"score"`
	MaxScore int    `json:"max-score"`
	Message  string `json:"message,omitempty"` // what else is there is kept
}

// classroomSchema is the name of the form.
const classroomSchema = "classroom50/result/v1"

// writeClassroom50 writes result.json of an autograder of Classroom 50. What was skipped is left
// out: there is no word for it.
func (r *Report) writeClassroom50(w io.Writer) error {
	s := r.Submission
	if s == nil {
		return errors.New("-format classroom50: no submission")
	}
	tests := []classroomTest{}
	for _, p := range r.Results {
		if !p.Status.counts() {
			continue
		}
		t := classroomTest{
			Name:     p.ID(),
			Passed:   p.Status == Passed,
			Score:    p.Status.point(),
			MaxScore: 1,
			Message:  p.Message,
		}
		if t.Message == "" && !t.Passed {
			t.Message = strings.TrimSuffix(string(p.Status)+": "+p.Reason, ": ")
		}
		tests = append(tests, t)
	}
	score, of := r.Totals.Score()
	when := r.Time.UTC().Format("2006-01-02T15:04:05Z")
	return indented(w, map[string]any{
		"schema":          classroomSchema,
		"classroom":       s.Classroom,
		"assignment":      s.Assignment,
		"assignment_type": s.AssignmentType,
		"owner":           s.Owner,
		"submission":      s.Tag,
		"commit":          s.Commit,
		"release":         s.Release,
		"review":          s.Review,
		"datetime":        when,
		"graded_at":       when,
		"score":           score,
		"max-score":       of,
		"tests":           tests,
	})
}
