package report

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/skip"
)

// hostile is what a program of a participant may have written.
const hostile = "\x1b[31mred\x1b[0m \x00\x07 \xff ]]> <script>alert(1)</script> & \"quoted\"\n" +
	"  ...\nnot ok 99 - forged # TODO\n1..2\nBail out! forged\n\ufffe \U0001F980 end\r\n"

// sample has a result of each kind.
func sample() *Report {
	return &Report{
		Program: "mine",
		Lesson:  "5d",
		Time:    time.Date(2026, 5, 4, 10, 30, 0, 0, time.FixedZone("", 7200)),
		Seconds: 1234.5678,
		Machine: Machine{Kernel: "6.12.0", Arch: "arm64", Cgroups: "v2"},
		Submission: &Submission{
			Classroom:      "systems",
			Assignment:     "container",
			AssignmentType: "individual",
			Owner:          "anna",
			Tag:            "submit/1",
			Commit:         "https://example.org/commit/1",
			Release:        "https://example.org/releases/1",
			Review:         "https://example.org/compare/1",
		},
		Results: []Result{
			{
				Step: "step1-skeleton", Name: "streams", Title: "A # TODO in it.",
				Status: Passed, Seconds: .25,
			},
			{
				Step: "step1-skeleton", Name: "signals", Title: "Signals.", Status: Skipped,
				Reason: "# no\nsuch " + hostile,
			},
			{
				Step: "step2-namespaces", Name: "hostname-in", Title: "<b>Its own name & host.</b>",
				Status: Failed, Message: hostile, Seconds: 0.0004,
			},
			{
				Step: "step5-complete", Chapter: "d", Name: "user", Title: "A user.",
				Status: NotBuilt, Reason: "the program does not take -user",
			},
			{
				Step: "step5-complete", Chapter: "d", Name: "last", Title: "Last.",
				Status: NotReached,
			},
		},
	}
}

// unbuilt is the report of a program that does not compile.
func unbuilt() *Report {
	r := sample()
	r.Build = "it does not compile\nmain.go:3: " + hostile
	for i := range r.Results {
		r.Results[i].Status, r.Results[i].Message = NotReached, ""
	}
	return r
}

func text(t *testing.T, r *Report, f Format) string {
	var b bytes.Buffer
	require.NoError(t, r.Write(&b, f))
	require.True(t, utf8.ValidString(b.String()))
	require.NotContains(t, b.String(), "\x1b")
	require.NotContains(t, b.String(), "\x00")
	return b.String()
}

// TestFormatOf finds the format by the name of the file, or by the flag.
func TestFormatOf(t *testing.T) {
	for file, want := range map[string]Format{
		"a.xml": JUnit, "x/a.tap": TAP, "results.xml.json": JSON,
		"/autograder/results/results.json": Gradescope, "result.json": Classroom50,
	} {
		f, err := FormatOf("", file)
		require.NoError(t, err)
		require.Equal(t, want, f, file)
	}
	f, err := FormatOf("tap", "results.json")
	require.NoError(t, err)
	require.Equal(t, TAP, f)
	_, err = FormatOf("", "-")
	require.ErrorContains(t, err, "-format")
	_, err = FormatOf("yaml", "a.json")
	require.EqualError(t, err,
		`-format "yaml": must be one of classroom50 gradescope json junit tap`)
}

// TestJUnit has the XML validated against the schema, and reads it.
func TestJUnit(t *testing.T) {
	xmllint := skip.Tool(t, "xmllint", "libxml2-utils")
	for name, r := range map[string]*Report{"some broken": sample(), "no program": unbuilt()} {
		out := text(t, r, JUnit)
		file := filepath.Join(t.TempDir(), "report.xml")
		require.NoError(t, os.WriteFile(file, []byte(out), 0o644))
		said, err := exec.Command(xmllint, "--noout", "--schema", "testdata/junit.xsd",
			file).CombinedOutput()
		require.NoError(t, err, "%s: %s\n%s", name, said, out)
	}
	var got junitSuites
	require.NoError(t, xml.Unmarshal([]byte(text(t, sample(), JUnit)), &got))
	require.Len(t, got.Suites, 3)
	require.Equal(t, 5, got.Tests)
	require.Equal(t, 2, got.Failures)
	require.Equal(t, "1234.568", got.Time)
	require.Equal(t, "2026-05-04T08:30:00", got.Suites[0].Timestamp)
	require.Equal(t, 1, got.Suites[0].Skipped)
	failure := got.Suites[1].Cases[0].Failure
	require.Equal(t, "<b>Its own name & host.</b>", failure.Message)
	require.Contains(t, failure.Text, "red \ufffd\ufffd \ufffd ]]> <script>alert(1)</script>")
	require.Contains(t, failure.Text, "\U0001F980 end\n")
	require.Contains(t, got.Suites[0].Out, "streams: A # TODO in it.")
	require.NoError(t, xml.Unmarshal([]byte(text(t, unbuilt(), JUnit)), &got))
}

// TestTAP has prove read the protocol: it counts what is kept, and takes nothing in a message for a
// test.
func TestTAP(t *testing.T) {
	prove := skip.Tool(t, "prove", "perl")
	run := func(r *Report) string {
		file := filepath.Join(t.TempDir(), "report.tap")
		require.NoError(t, os.WriteFile(file, []byte(text(t, r, TAP)), 0o644))
		// Of a message that is not indented it makes tests without end.
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, prove, "--verbose", "--nocolor", "--exec", "cat", file)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := cmd.CombinedOutput()
		require.Equal(t, r.Build != "" || total(r.Results).Failed > 0, err != nil, string(out))
		return string(out)
	}
	out := run(sample())
	require.Contains(t, out, "Failed tests:  3-5")
	require.Contains(t, out, "Failed 3/5 subtests")
	require.Contains(t, out, "less 1 skipped subtest")
	require.NotContains(t, out, "Parse errors")
	require.NotContains(t, out, "Bailout")
	require.NotContains(t, out, "TODO passed")

	kept := sample()
	kept.Results = kept.Results[:2]
	require.Contains(t, run(kept), "Result: PASS")
	require.Contains(t, run(unbuilt()), "Bailout called.  Further testing stopped:  it does not "+
		"compile")
}

// has requires that an object has the fields, each of its type, and no others.
func has(t *testing.T, object map[string]any, fields map[string]any) {
	t.Helper()
	for name, like := range fields {
		if pattern, ok := like.(*regexp.Regexp); ok {
			require.Regexp(t, pattern, object[name], name)
			continue
		}
		require.IsType(t, like, object[name], name)
	}
	for name := range object {
		require.Contains(t, fields, name)
	}
}

func decode(t *testing.T, out string) (object map[string]any, tests []map[string]any) {
	require.NoError(t, json.Unmarshal([]byte(out), &object), out)
	for _, test := range object["tests"].([]any) {
		tests = append(tests, test.(map[string]any))
	}
	return object, tests
}

// TestGradescope compares results.json with what the specification of autograders lists.
func TestGradescope(t *testing.T) {
	visible := regexp.MustCompile(`^(hidden|after_due_date|after_published|visible)$`)
	for _, r := range []*Report{sample(), unbuilt()} {
		all, tests := decode(t, text(t, r, Gradescope))
		has(t, all, map[string]any{
			"score": 0.0, "execution_time": 0.0, "output": "", "visibility": visible,
			"stdout_visibility": visible, "extra_data": map[string]any{}, "tests": []any{},
		})
		sum := 0.0
		require.Len(t, tests, 5)
		for _, test := range tests {
			fields := map[string]any{
				"score": 0.0, "max_score": 0.0, "name": "", "number": "", "output": "",
				"visibility": visible,
			}
			if test["max_score"] == 1.0 {
				fields["status"] = regexp.MustCompile(`^(passed|failed)$`)
			}
			has(t, test, fields)
			sum += test["score"].(float64)
		}
		require.Equal(t, sum, all["score"])
	}
	_, tests := decode(t, text(t, sample(), Gradescope))
	require.Equal(t, "step2-namespaces/hostname-in", tests[2]["name"])
	require.Contains(t, tests[2]["output"], "<b>Its own name & host.</b>\n\nred ")
	require.Equal(t, "failed", tests[2]["status"])
	require.Contains(t, tests[1]["output"], "skipped: # no")
}

// TestClassroom50 compares result.json with what the documentation of the contract lists.
func TestClassroom50(t *testing.T) {
	word, instant := regexp.MustCompile(`.`), regexp.MustCompile(`^2026-05-04T08:30:00Z$`)
	for _, r := range []*Report{sample(), unbuilt()} {
		all, tests := decode(t, text(t, r, Classroom50))
		has(t, all, map[string]any{
			"schema":    regexp.MustCompile(`^classroom50/result/v1$`),
			"classroom": word, "assignment": word,
			"assignment_type": regexp.MustCompile(`^(individual|group|team)$`),
			"owner":           word, "submission": word, "commit": word, "release": word,
			"review": word, "datetime": instant, "graded_at": instant,
			"score": 0.0, "max-score": 0.0, "tests": []any{},
		})
		score, of := 0.0, 0.0
		for _, test := range tests {
			fields := map[string]any{
				"test-name": word, "passed": true, "score": 0.0, "max-score": 0.0,
			}
			if test["passed"] == false {
				fields["message"] = word
			}
			has(t, test, fields)
			require.Equal(t, test["passed"], test["score"] == test["max-score"])
			score, of = score+test["score"].(float64), of+test["max-score"].(float64)
		}
		require.Equal(t, score, all["score"])
		require.Equal(t, of, all["max-score"])
	}

	env := map[string]string{
		"CLASSROOM": "c", "ASSIGNMENT": "a", "USERNAME": "anna", "SUBMISSION_TAG": "s",
		"COMMIT_URL": "u", "RELEASE_URL": "r",
	}
	s, err := SubmissionOf(func(name string) string { return env[name] })
	require.NoError(t, err)
	require.Equal(t, &Submission{"c", "a", "individual", "anna", "s", "u", "r", "u"}, s)
	delete(env, "COMMIT_URL")
	_, err = SubmissionOf(func(name string) string { return env[name] })
	require.EqualError(t, err, "-format classroom50: COMMIT_URL: not set (the runner "+
		"of Classroom 50 sets it; elsewhere take -format json)")
}

// TestRead reads what was written, and refuses what is no report, or a later one.
func TestRead(t *testing.T) {
	r, err := Read(strings.NewReader(text(t, sample(), JSON)))
	require.NoError(t, err)
	require.Equal(t, Version, r.Version)
	require.Equal(t, Totals{
		Promises: 5, Passed: 1, Failed: 1, Skipped: 1, NotBuilt: 1,
		NotReached: 1,
	}, r.Totals)
	require.Equal(t, sample().Results[0], r.Results[0])
	require.True(t, sample().Time.Equal(r.Time))

	for _, no := range []string{"", "{}", "[]", `{"schema": "other", "version": 1}`} {
		_, err := Read(strings.NewReader(no))
		require.ErrorContains(t, err, "no report of the workshop")
	}
	_, err = Read(strings.NewReader(`{"schema": "container-workshop/report", "version": 2,
		"results": "in another form"}`))
	require.EqualError(t, err, "version 2: this workshop reads reports up to version 1 "+
		"(take a later workshop)")
}

// TestPage collects the reports of several people, with what is hostile in them.
func TestPage(t *testing.T) {
	dir := t.TempDir()
	var files []string
	save := func(name string, r *Report) {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text(t, r, JSON)), 0o644))
		files = append(files, file)
	}
	ben := sample()
	ben.Results[2].Status = Passed
	save("ben/report.json", ben)
	save("anna/report.json", sample())
	third := unbuilt()
	third.Name = "<img src=x onerror=alert(1)>\u202e"
	third.Results = third.Results[:3]
	save("third.json", third)

	p, err := Collect(files)
	require.NoError(t, err)
	require.Equal(t, "anna/report", p.People[1].Name)
	require.Equal(t, "ben/report", p.People[2].Name)
	require.Equal(t, 5, p.Promises())
	require.Len(t, p.Steps, 3)
	hostname := p.Steps[1].Promises[0]
	require.Equal(t, 1, hostname.Kept)
	require.Equal(t, 3, hostname.Of)
	require.Len(t, hostname.Broken, 2)
	require.Equal(t, 3, p.Kept)

	var b bytes.Buffer
	require.NoError(t, p.Write(&b))
	page := b.String()
	require.Contains(t, page, "&lt;img src=x onerror=alert(1)&gt;")
	require.Contains(t, page, "&lt;script&gt;alert(1)&lt;/script&gt;")
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<img")
	require.NotRegexp(t, `(src|href)="[^#]`, page, "it needs nothing but itself")

	// Two promises of one ID, in steps that are named for it.
	odd := &Report{Results: []Result{
		{Step: "a", Name: "b/c", Status: Passed},
		{Step: "a/b", Name: "c", Status: Failed},
	}}
	files = nil
	save("odd.json", odd)
	p, err = Collect(files)
	require.NoError(t, err)
	require.Equal(t, 2, p.Promises())

	require.NoError(t, os.WriteFile(files[0], []byte(`{"schema": "`+Schema+`", "version": 7}`),
		0o644))
	_, err = Collect(files)
	require.EqualError(t, err, files[0]+": version 7: this workshop reads reports up to version "+
		"1 (take a later workshop)")
}
