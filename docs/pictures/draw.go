package main

import (
	"fmt"
	"strings"
)

// All drawings have the same width, which is about that of a README, and are as high as they need.
// A unit is a pixel there: the type can be read from the last row of a room, and on a phone.
const (
	width      = 720
	margin     = 16
	textSize   = 18
	codeSize   = 17
	lineHeight = 25
)

// A drawing is made of areas, boxes, text and arrows.
type drawing struct {
	name   string
	title  string
	desc   string // says what the drawing says, and is the text alternative in the README
	height int
	body   strings.Builder
}

// A rect is a place in a drawing.
type rect struct{ x, y, w, h int }

func (r rect) right() int  { return r.x + r.w }
func (r rect) bottom() int { return r.y + r.h }

// A look says whose a thing is. Colour is never all that says so: there are words, too.
type look string

const (
	host look = "host" // the host's
	own  look = "own"  // the container's
	key  look = "key"  // what this step or chapter is about
	gone look = "gone" // what is no longer there, or refused
)

// svg returns the drawing as a file.
func (d *drawing) svg() []byte {
	const head = `<marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="12" ` +
		`markerHeight="12" markerUnits="userSpaceOnUse" orient="auto-start-reverse">` +
		`<path class="head" d="M0 0L10 5L0 10z"/></marker>` + "\n"
	return file(width, d.height, d.title, d.desc, drawn, head+d.body.String())
}

// file returns a picture as a file: a page of its own behind it, because a README may be shown in
// other colours than the browser prefers.
func file(width, height int, title, desc string, s style, body string) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" `+
		`width="%d" height="%d" role="img" aria-labelledby="title desc" xml:space="preserve">`+"\n",
		width, height, width, height)
	fmt.Fprintf(&out, "<title id=\"title\">%s</title>\n", escape(title))
	fmt.Fprintf(&out, "<desc id=\"desc\">%s</desc>\n", escape(desc))
	fmt.Fprintf(&out, "<style>\n%s%s@media (prefers-color-scheme: dark) {\n%s}\n</style>\n",
		s.shape, s.colors(light), s.colors(dark))
	fmt.Fprintf(&out, `<rect class="page" width="%d" height="%d" rx="12"/>`+"\n", width, height)
	out.WriteString(body)
	out.WriteString("</svg>\n")
	return []byte(out.String())
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace

// markup turns `code` and *important* in a line into elements.
func markup(line string) string {
	var out strings.Builder
	for i, part := range strings.Split(line, "`") {
		if i%2 == 1 {
			fmt.Fprintf(&out, `<tspan class="code">%s</tspan>`, escape(part))
			continue
		}
		for j, words := range strings.Split(part, "*") {
			if j%2 == 1 {
				fmt.Fprintf(&out, `<tspan class="bold">%s</tspan>`, escape(words))
			} else {
				out.WriteString(escape(words))
			}
		}
	}
	return out.String()
}

// An anchor says which end of a line of text is at its place.
type anchor string

const (
	start  anchor = ""
	middle anchor = ` text-anchor="middle"`
	end    anchor = ` text-anchor="end"`
)

// text writes lines below each other. y is the baseline of the first.
func (d *drawing) text(x, y int, a anchor, lines ...string) {
	for i, line := range lines {
		fmt.Fprintf(&d.body, `<text x="%d" y="%d"%s>%s</text>`+"\n",
			x, y+i*lineHeight, a, markup(line))
	}
}

// box draws a box with lines in its middle.
func (d *drawing) box(r rect, l look, lines ...string) {
	d.shape(r, l, "box", func() {
		first := r.y + r.h/2 - (len(lines)-1)*lineHeight/2 + 6
		d.text(r.x+r.w/2, first, middle, lines...)
	})
}

// entry draws a box with lines at its left.
func (d *drawing) entry(r rect, l look, lines ...string) {
	d.shape(r, l, "box", func() {
		first := r.y + r.h/2 - (len(lines)-1)*lineHeight/2 + 6
		d.text(r.x+14, first, start, lines...)
	})
}

// area draws a box that other things are put in, with a title at its top.
func (d *drawing) area(r rect, l look, title string) {
	d.shape(r, l, "area", func() { d.text(r.x+14, r.y+28, start, title) })
}

func (d *drawing) shape(r rect, l look, kind string, text func()) {
	fmt.Fprintf(&d.body, `<g class="%s"><rect class="%s" x="%d" y="%d" width="%d" height="%d" `+
		`rx="8"/>`+"\n", kind, l, r.x, r.y, r.w, r.h)
	text()
	d.body.WriteString("</g>\n")
}

// A point is a place where a line begins, bends or ends.
type point struct{ x, y int }

// arrow draws a line with a head at its end.
func (d *drawing) arrow(points ...point) { d.path(`class="line" marker-end="url(#head)"`, points) }

// both draws a line with a head at either end.
func (d *drawing) both(points ...point) {
	d.path(`class="line" marker-start="url(#head)" marker-end="url(#head)"`, points)
}

// line draws a line without a head.
func (d *drawing) line(points ...point) { d.path(`class="line"`, points) }

// dashes draws a line of something that does not happen.
func (d *drawing) dashes(points ...point) { d.path(`class="line dashed"`, points) }

func (d *drawing) path(attributes string, points []point) {
	var way strings.Builder
	for i, p := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&way, "%s%d %d", command, p.x, p.y)
	}
	fmt.Fprintf(&d.body, `<path %s d="%s"/>`+"\n", attributes, way.String())
}

// cross marks the place where something is stopped.
func (d *drawing) cross(x, y int) {
	fmt.Fprintf(&d.body, `<path class="cross" d="M%d %dL%d %dM%d %dL%d %d"/>`+"\n",
		x-8, y-8, x+8, y+8, x-8, y+8, x+8, y-8)
}

// branch draws the lines of a tree from below parent to the left side of each child.
func (d *drawing) branch(parent rect, children ...rect) {
	for _, child := range children {
		x := parent.x + 12
		d.line(point{x, parent.bottom()}, point{x, child.y + child.h/2},
			point{child.x, child.y + child.h/2})
	}
}
