package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// writeTAP writes the Test Anything Protocol, version 13: what all its readers know. A program that
// cannot be built bails out.
func (r *Report) writeTAP(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "TAP version 13\n1..%d\n", len(r.Results))
	fmt.Fprintf(&b, "# container workshop, report version %d: %s up to lesson %s\n", Version,
		oneLine(r.Program), r.Lesson)
	fmt.Fprintf(&b, "# Linux %s, %s, cgroups %s\n", r.Machine.Kernel, r.Machine.Arch,
		r.Machine.Cgroups)
	if r.Build != "" {
		for line := range strings.Lines(r.Build) {
			fmt.Fprintf(&b, "# %s\n", strings.TrimRight(line, "\n"))
		}
		fmt.Fprintf(&b, "Bail out! %s\n", firstLine(r.Build))
		_, err := w.Write(b.Bytes())
		return err
	}
	for i, p := range r.Results {
		ok, directive, message := "ok", "", ""
		switch p.Status {
		case Failed:
			ok, message = "not ok", p.Message
		case NotBuilt, NotReached:
			ok, message = "not ok", string(p.Status)+": "+p.Reason
		case Skipped:
			directive = " # SKIP " + oneLine(p.Reason)
		}
		fmt.Fprintf(&b, "%s %d - %s %s%s\n", ok, i+1, p.ID(), tapEscape(oneLine(p.Title)),
			directive)
		// A block of YAML: the message as it is, indented.
		fmt.Fprintf(&b, "  ---\n  duration_ms: %.0f\n", 1000*p.Seconds)
		if message != "" {
			fmt.Fprintf(&b, "  message: |\n")
			for line := range strings.Lines(strings.TrimSpace(message)) {
				fmt.Fprintf(&b, "    %s\n", strings.TrimRight(line, " \t\n"))
			}
		}
		fmt.Fprintf(&b, "  ...\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

// tapEscape escapes what begins a directive.
func tapEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `#`, `\#`).Replace(text)
}
