package compare

import (
	"fmt"
	"slices"
	"strings"

	"container.example/workshop/workshop/record"
)

// sentences say where the recordings part: one for each run of rows that are apart for one reason.
func (c *Comparison) sentences() []string {
	var all []string
	for i := 0; i < len(c.Rows); {
		row := c.Rows[i]
		end := i + 1
		if row.Apart && (row.A == 0 || row.B == 0) {
			for end < len(c.Rows) && c.Rows[end].Apart &&
				(c.Rows[end].A == 0) == (row.A == 0) && (c.Rows[end].B == 0) == (row.B == 0) {
				end++
			}
		}
		switch {
		case !row.Apart:
		case row.A == 0:
			all = append(all, missing(c.names(i, end, c.B, c.A), "yours", "ours")+
				c.between(i, end, func(r Row) int { return r.B }, c.B))
		case row.B == 0:
			all = append(all, missing(c.names(i, end, c.A, c.B), "ours", "yours")+
				c.between(i, end, func(r Row) int { return r.A }, c.A))
		default:
			all = append(all, differ(c.A.Steps[row.A-1], c.B.Steps[row.B-1], c.inside[row.A-1]))
		}
		i = end
	}
	if len(all) == 0 {
		all = []string{"both do the same in the same order"}
	}
	return all
}

// named is a call that one recording has and the other has not.
type named struct {
	call, key string
	// never tells that the other one does not make the call at all.
	never bool
	// elsewhere tells that the other one does the same at another point.
	elsewhere bool
}

// names are the steps of some rows that only one recording has.
func (c *Comparison) names(begin, end int, has, lacks *record.Recording) []named {
	var all []named
	for _, row := range c.Rows[begin:end] {
		step := has.Steps[max(row.A, row.B)-1]
		n := named{call: step.Call, key: fmt.Sprintf("%q", step.Key), never: step.Kind == "call"}
		for _, other := range lacks.Steps {
			n.never = n.never && other.Call != step.Call
		}
		for _, other := range c.Rows { // those that only the other one has
			if mine := other.A > 0; (other.A == 0) != (other.B == 0) && mine != (row.A > 0) {
				n.elsewhere = n.elsewhere || lacks.Steps[max(other.A, other.B)-1].Key == step.Key
			}
		}
		if !slices.Contains(all, n) {
			all = append(all, n)
		}
	}
	return all
}

// missing says that one recording does not have what the other has.
func missing(names []named, who, other string) string {
	never, elsewhere := true, true
	for _, n := range names {
		never, elsewhere = never && n.never, elsewhere && n.elsewhere
	}
	var words []string
	for _, n := range names {
		word := n.key
		if never {
			word = n.call
		}
		if !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	const most = 4
	if len(words) > most {
		words = append(words[:most], fmt.Sprintf("%d more", len(words)-most))
	}
	all := list(words)
	switch {
	case never:
		return fmt.Sprintf("%s does not call %s; %s does", who, all, other)
	case elsewhere:
		return fmt.Sprintf("%s does %s at another point; %s does", who, all, other)
	}
	return fmt.Sprintf("%s does not do %s; %s does", who, all, other)
}

// list puts words into a sentence: "a, b and c".
func list(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

// between says between which steps of both recordings some rows are.
func (c *Comparison) between(begin, end int, of func(Row) int, r *record.Recording) string {
	name := func(rows []Row, backward bool) string {
		if backward {
			rows = slices.Clone(rows)
			slices.Reverse(rows)
		}
		for _, row := range rows {
			if row.A > 0 && row.B > 0 {
				return r.Steps[of(row)-1].Call
			}
		}
		return ""
	}
	before, after := name(c.Rows[:begin], true), name(c.Rows[end:], false)
	switch {
	case before == "" && after == "":
		return ""
	case before == "":
		return " before " + after
	case after == "":
		return " after " + before
	}
	return fmt.Sprintf(" between %s and %s", before, after)
}

// differ says how the same call is not the same: the kernel refused it to one of them only, it is
// about something else, or what it makes forbids something else. Inside tells where A makes it.
func differ(a, b record.Step, inside bool) string {
	where := map[bool]string{true: "in the container", false: "outside of the container"}
	switch {
	case a.Errno == b.Errno && a.Key == b.Key &&
		!slices.Equal(restrictions(a), restrictions(b)):
		return differByRestrictions(a, b)
	case a.Errno == b.Errno && a.Key == b.Key:
		return fmt.Sprintf("yours does %q %s, and ours %s", a.Key, where[inside],
			where[!inside])
	case a.Errno == b.Errno:
		return fmt.Sprintf("yours does %q where ours does %q", a.Key, b.Key)
	case b.Errno == "":
		return fmt.Sprintf("%q is refused in yours (%s), and not in ours", a.Key, a.Errno)
	case a.Errno == "":
		return fmt.Sprintf("%q is refused in ours (%s), and not in yours", a.Key, b.Errno)
	}
	return fmt.Sprintf("%q is refused in yours with %s, and in ours with %s", a.Key, a.Errno,
		b.Errno)
}
