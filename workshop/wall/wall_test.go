package wall

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testCourse is a small one.
func testCourse() Course {
	return Course{
		Lessons: []Lesson{
			{ID: "1", Title: "the skeleton", Minutes: 30},
			{ID: "2", Title: "namespaces", Minutes: 35},
			{ID: "5h", Title: "A network", Minutes: 30, Optional: true},
		},
		Promises: []string{"step1-skeleton/streams", "step2-namespaces/hostname-in"},
	}
}

// broken is an update of somebody in step 1.
func broken(name string) Update {
	return Update{Name: name, Standing: Standing{"1", Broken, "step1-skeleton/streams"}}
}

// atNoon is a wall whose clock stands still.
func atNoon(most int) (w *Wall, now *time.Time) {
	noon := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	w = New(testCourse(), "code", most)
	w.clock = func() time.Time { return noon }
	w.start = noon
	return w, &noon
}

// TestCleanName takes names of all scripts, and nothing that is none.
func TestCleanName(t *testing.T) {
	for name, want := range map[string]string{
		"Anna":                                   "Anna",
		"  Anna\t\n Maria ":                      "Anna Maria",
		"إيمان حداد":                             "إيمان حداد",
		"\u202eAnna\u2066\u200f":                 "Anna", // the direction of the text is not hers
		"अनुष्का":                                "अनुष्का",
		"e\u0301ric":                             "e\u0301ric",
		"\u0301\u200dA":                          "A", // on nothing
		"می\u200cخواهم":                          "می\u200cخواهم",
		"👩\u200d💻":                               "👩\u200d💻",
		"<script>alert(1)</script>":              "<script>alert(1)</script>", // is text
		"a\x00\x1b[31mb\x7f\u0085":               "a[31mb",
		"\xffA\xfe":                              "A",
		"A\u2028B\u00a0C":                        "A B C",
		"Z" + strings.Repeat("\u0334", 50) + "a": "Z" + strings.Repeat("\u0334", mostMarks) + "a",
		strings.Repeat("n", 40):                  strings.Repeat("n", 40),
		strings.Repeat("e\u0301", 40):            strings.Repeat("e\u0301", 40),
	} {
		got, err := CleanName(name)
		require.NoError(t, err, "%q", name)
		require.Equal(t, want, got)
		again, err := CleanName(got)
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, name := range []string{
		"", " \t", "\u200d", "\u3164\u115f", "\u0301", "\u202e\u2066", "\x00", "\xff", "\u2800",
		strings.Repeat("n", 41), strings.Repeat("n ", 40),
	} {
		_, err := CleanName(name)
		require.Error(t, err, "%q", name)
	}
}

// TestStuck asks since when somebody is at the same promise: a program that does not compile for a
// while, and a check that begins again, are no step on.
func TestStuck(t *testing.T) {
	w, now := atNoon(10)
	at := func(minute int) time.Time {
		return time.Date(2026, 5, 4, 12, minute, 0, 0, time.UTC)
	}
	send := func(minute int, s Standing, passed ...string) Row {
		*now = at(minute)
		_, err := w.update("anna", Update{Name: "Anna", Standing: s, Passed: passed})
		require.NoError(t, err)
		return w.Rows()[0]
	}
	streams := Standing{"1", Broken, "step1-skeleton/streams"}
	send(0, Standing{Lesson: "1", Verdict: Begun})
	send(3, streams)
	send(5, Standing{Lesson: "1", Verdict: NoBuild})
	send(6, streams)
	row := send(7, Standing{Lesson: "1", Verdict: Begun})
	require.Equal(t, streams, row.Standing)
	require.Equal(t, at(0), row.Since)
	row = send(8, Standing{"1", Broken, "step2-namespaces/hostname-in"})
	require.Equal(t, at(8), row.Since)
	require.Equal(t, at(0), row.Entered)
	row = send(9, Standing{Lesson: "1", Verdict: Kept})
	require.Equal(t, at(9), row.Since)
	row = send(10, streams)
	require.Equal(t, at(10), row.Since)
	row = send(20, Standing{Lesson: "2", Verdict: Begun}, "1")
	require.Equal(t, at(20), row.Since)
	require.Equal(t, at(20), row.Entered)
	require.Equal(t, []string{"1"}, row.Passed)

	// For what happened while the wall did not answer, the age counts; but not an absurd one.
	u := broken("Ben")
	u.Age = 300
	_, err := w.update("ben", u)
	require.NoError(t, err)
	require.Equal(t, at(15), w.Rows()[1].Since)
	u.Age = 1 << 40
	_, err = w.update("cem", u)
	require.NoError(t, err)
	require.Equal(t, at(20).Add(-oldest), w.Rows()[2].Since)
}

// TestRows gives each token a row of its own.
func TestRows(t *testing.T) {
	w, _ := atNoon(3)
	put := func(key, name string) (string, error) { return w.update(key, broken(name)) }
	for _, c := range [][3]string{
		{"a", "Anna", "Anna"},
		{"b", "anna", "anna (2)"},
		{"a", "Anna", "Anna"},
		{"c", "Anna (2)", "Anna (2) (2)"},
		{"b", "Ben", "Ben"},
		{"c", "Anna", "Anna (2)"},
	} {
		got, err := put(c[0], c[1])
		require.NoError(t, err)
		require.Equal(t, c[2], got, c)
	}
	require.Len(t, w.Rows(), 3)
	_, err := put("d", "Dmitri")
	require.ErrorIs(t, err, errFull)

	// A row that the instructor takes away makes room, and its participant cannot come back.
	_, ok := w.Remove(99)
	require.False(t, ok)
	name, ok := w.Remove(2)
	require.True(t, ok)
	require.Equal(t, "Ben", name)
	_, err = put("b", "Ben")
	require.ErrorIs(t, err, errRemoved)
	_, err = put("d", "Dmitri")
	require.NoError(t, err)

	for i, u := range []Update{
		{Name: "Anna", Standing: Standing{Lesson: "9", Verdict: Begun}},
		{Name: "Anna", Standing: Standing{Lesson: "1", Verdict: "won"}},
		{Name: "Anna", Standing: Standing{Lesson: "1", Verdict: Broken}},
		{Name: "Anna", Standing: Standing{"1", Broken, "<script>"}},
		{
			Name: "Anna", Standing: Standing{"1", Broken, "step1-skeleton/streams"},
			Passed: []string{"x"},
		},
		{
			Name: "Anna", Standing: Standing{"1", Broken, "step1-skeleton/streams"},
			Passed: []string{"1", "1", "1", "1"},
		},
	} {
		_, err := w.update("a", u)
		require.ErrorIs(t, err, errUpdate, i)
	}
}

// TestState brings a wall back from its file, on the same day.
func TestState(t *testing.T) {
	w, now := atNoon(10)
	for _, name := range []string{"Anna", "Ben", "Cem"} {
		_, err := w.update(keyOf(name), broken(name))
		require.NoError(t, err)
	}
	w.Remove(3)
	text, changed, err := w.state()
	require.NoError(t, err)
	require.True(t, changed)
	_, changed, err = w.state()
	require.NoError(t, err)
	require.False(t, changed)
	require.NotContains(t, string(text), `"Cem"`)

	other, later := atNoon(10)
	*later = now.Add(11 * time.Hour)
	other.code = ""
	require.NoError(t, other.restore(text))
	require.Equal(t, "code", other.code)
	require.Equal(t, w.start, other.start)
	require.Len(t, other.Rows(), 2)
	require.Equal(t, w.Rows()[0].Since, other.Rows()[0].Since)
	_, err = other.update(keyOf("Cem"), broken("Cem"))
	require.ErrorIs(t, err, errRemoved)
	_, err = other.update(keyOf("Dmitri"), broken("Dmitri"))
	require.NoError(t, err)
	require.Equal(t, 4, other.Rows()[2].Number)

	next, tomorrow := atNoon(10)
	*tomorrow = now.Add(24 * time.Hour)
	next.code = ""
	require.NoError(t, next.restore(text))
	require.Empty(t, next.Rows())
	require.Empty(t, next.code)

	// Nobody has joined yet, and all have been told the code.
	empty, _ := atNoon(10)
	empty.dirty = true
	text, _, err = empty.state()
	require.NoError(t, err)
	restarted, _ := atNoon(10)
	restarted.code = ""
	require.NoError(t, restarted.restore(text))
	require.Equal(t, "code", restarted.code)
	require.NoError(t, restarted.restore([]byte(`{"version": 1, "start": "`+
		empty.start.Format(time.RFC3339)+`", "next": 1, "rows": null}`)))
	_, err = restarted.update(keyOf("Anna"), broken("Anna"))
	require.NoError(t, err)

	require.Error(t, next.restore([]byte("{")))
	require.ErrorContains(t, next.restore([]byte(`{"version": 2}`)), "version 2")
}

// TestSnapshot tells of a change once, to all.
func TestSnapshot(t *testing.T) {
	w, _ := atNoon(10)
	_, changed := w.snapshot()
	_, err := w.update("a", broken("\u202e<b>Anna</b>"))
	require.NoError(t, err)
	<-changed
	text, _ := w.snapshot()
	var got struct {
		Rows []struct {
			Name   string
			Passed []string
			Since  int64
		}
		Lessons []Lesson
	}
	require.NoError(t, json.Unmarshal(text, &got))
	require.Equal(t, "<b>Anna</b>", got.Rows[0].Name)
	require.NotNil(t, got.Rows[0].Passed)
	require.Equal(t, w.start.UnixMilli(), got.Rows[0].Since)
	require.Equal(t, testCourse().Lessons, got.Lessons)
	require.NotContains(t, string(text), "<b>", "JSON has it escaped")
}

// TestAddresses limits each address, and the memory for all of them.
func TestAddresses(t *testing.T) {
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	a := newAddresses(now)
	takes := func(address string, n int) (taken int) {
		for range n {
			if a.take(network(address), now) {
				taken++
			}
		}
		return taken
	}
	require.Equal(t, 300, takes("10.0.0.1:1", 1000))
	require.Zero(t, takes("10.0.0.1:2", 10), "another port of the same machine")
	require.Zero(t, takes("[::ffff:10.0.0.1]:2", 10))
	require.Equal(t, 10, takes("10.0.0.2:1", 10))
	require.Equal(t, 300, takes("[fe80::1%eth0]:1", 400))
	require.Zero(t, takes("[fe80::2%eth0]:1", 10), "the same network")
	now = now.Add(time.Second)
	require.Equal(t, 20, takes("10.0.0.1:1", 100))

	for i := range 20000 {
		takes(fmt.Sprintf("10.1.%d.%d:1", i/256, i%256), 1)
	}
	require.LessOrEqual(t, len(a.buckets), mostAddresses)
	require.LessOrEqual(t, takes("10.9.9.9:1", 1000), 300)
	now = now.Add(time.Minute)
	require.Equal(t, 300, takes("10.9.9.9:1", 1000), "those that are full again are forgotten")
	require.Less(t, len(a.buckets), 10)
}
