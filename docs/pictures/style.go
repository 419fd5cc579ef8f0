package main

import (
	"fmt"
	"maps"
	"slices"
)

// A palette has the colours for one kind of page.
type palette struct {
	page, ink    string            // of the page and of all text
	line         string            // of arrows, and of text of less weight
	cross        string            // of what stops something
	fill, border map[look]string   // of boxes
	inks         map[string]string // of a terminal
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
	inks: map[string]string{
		"red":   "#b3261e",
		"green": "#18692d",
		"cyan":  "#0b5f7a",
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
	inks: map[string]string{
		"red":   "#ff8a80",
		"green": "#6bd07f",
		"cyan":  "#6fd3ea",
	},
}

const sans = `-apple-system, "Segoe UI", "Noto Sans", Helvetica, Arial, sans-serif`

const mono = `ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace`

// A style is that of one kind of pictures.
type style struct {
	shape  string // what is the same on all pages
	colors func(palette) string
}

// drawn is the style of the drawings.
var drawn = style{
	shape: fmt.Sprintf("text { font: %dpx %s; white-space: pre }\n", textSize, sans) +
		fmt.Sprintf(".code { font-family: %s; font-size: %dpx }\n", mono, codeSize) +
		".bold { font-weight: bold }\n" +
		".line, .cross { fill: none; stroke-width: 2 }\n" +
		".cross { stroke-width: 4 }\n" +
		".host { stroke-width: 1.5 }\n" +
		".own, .key { stroke-width: 2.5 }\n" +
		".gone { stroke-width: 2 }\n" +
		".gone, .dashed { stroke-dasharray: 6 5 }\n",
	colors: func(p palette) string {
		css := fmt.Sprintf(".page { fill: %s }\n", p.page) +
			fmt.Sprintf("text { fill: %s }\n", p.ink) +
			fmt.Sprintf(".head { fill: %s }\n", p.line) +
			fmt.Sprintf(".line { stroke: %s }\n", p.line) +
			fmt.Sprintf(".cross { stroke: %s }\n", p.cross)
		for _, l := range []look{host, own, key, gone} {
			css += fmt.Sprintf(".%s { fill: %s; stroke: %s }\n", l, p.fill[l], p.border[l])
		}
		return css
	},
}

// typed is the style of a terminal.
var typed = style{
	shape: fmt.Sprintf("text { font: %dpx %s; white-space: pre }\n", cellSize, mono) +
		".bold { font-weight: bold }\n" +
		".page { stroke-width: 2 }\n",
	colors: func(p palette) string {
		css := fmt.Sprintf(".page { fill: %s; stroke: %s }\n", p.page, p.border[host]) +
			fmt.Sprintf("text { fill: %s }\n", p.ink) +
			fmt.Sprintf(".faint { fill: %s }\n", p.line)
		for _, n := range slices.Sorted(maps.Keys(inks)) {
			css += fmt.Sprintf(".%s { fill: %s }\n", inks[n], p.inks[inks[n]])
		}
		return css
	},
}
