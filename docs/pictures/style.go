package main

import (
	"fmt"
	"strings"
)

// A palette has the colours for one kind of page.
type palette struct {
	page, ink    string          // of the page and of all text
	line         string          // of arrows
	cross        string          // of what stops something
	fill, border map[look]string // of boxes
}

var light = palette{
	page:  "#ffffff",
	ink:   "#1f2328",
	line:  "#4d5560",
	cross: "#b3261e",
	fill: map[look]string{
		host: "#eef1f4",
		own:  "#dcefff",
		key:  "#fff0d1",
		gone: "#ffffff",
	},
	border: map[look]string{
		host: "#6b7480",
		own:  "#0a5bc4",
		key:  "#a35200",
		gone: "#6b7480",
	},
}

var dark = palette{
	page:  "#0d1117",
	ink:   "#f0f3f6",
	line:  "#b1bac4",
	cross: "#ff8a80",
	fill: map[look]string{
		host: "#242b33",
		own:  "#0b305c",
		key:  "#4a3206",
		gone: "#0d1117",
	},
	border: map[look]string{
		host: "#8f99a5",
		own:  "#6cb6ff",
		key:  "#f2b84b",
		gone: "#8f99a5",
	},
}

const sans = `-apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif`

const mono = `ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace`

// style is the same in all drawings.
func style() string {
	var css strings.Builder
	fmt.Fprintf(&css, "text { font: %dpx %s; white-space: pre }\n", textSize, sans)
	fmt.Fprintf(&css, ".code { font-family: %s; font-size: %dpx }\n", mono, codeSize)
	css.WriteString(".bold { font-weight: bold }\n" +
		".line, .cross { fill: none; stroke-width: 2 }\n" +
		".cross { stroke-width: 4 }\n" +
		".host { stroke-width: 1.5 }\n" +
		".own, .key { stroke-width: 2.5 }\n" +
		".gone { stroke-width: 2 }\n" +
		".gone, .dashed { stroke-dasharray: 6 5 }\n")
	css.WriteString(light.css())
	fmt.Fprintf(&css, "@media (prefers-color-scheme: dark) {\n%s}\n", dark.css())
	return css.String()
}

func (p palette) css() string {
	var css strings.Builder
	fmt.Fprintf(&css, ".page { fill: %s }\n", p.page)
	fmt.Fprintf(&css, "text { fill: %s }\n", p.ink)
	fmt.Fprintf(&css, ".head { fill: %s }\n", p.line)
	fmt.Fprintf(&css, ".line { stroke: %s }\n", p.line)
	fmt.Fprintf(&css, ".cross { stroke: %s }\n", p.cross)
	for _, l := range []look{host, own, key, gone} {
		fmt.Fprintf(&css, ".%s { fill: %s; stroke: %s }\n", l, p.fill[l], p.border[l])
	}
	return css.String()
}
