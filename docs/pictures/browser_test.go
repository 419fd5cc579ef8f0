package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/browser"
)

// faults is run by the browser on a page with all drawings, and is what is wrong with them. The
// font is that of the machine, and those of Linux are wider than those of others.
const faults = `(() => {
const wrong = [];
for (const svg of document.querySelectorAll("svg")) {
	const title = svg.querySelector("title").textContent;
	const say = (...words) => wrong.push(title + ": " + words.join(" "));
	const texts = [...svg.querySelectorAll("text")].map(element => ({
		words: element.textContent,
		at: element.getBoundingClientRect(),
		box: element.closest("g")?.querySelector("rect").getBoundingClientRect(),
	}));
	const page = svg.getBoundingClientRect();
	for (const {words, at, box} of texts) {
		const {left, right, top, bottom} = box || page, gap = box ? 5 : 10;
		if (at.left < left + gap || at.right > right - gap || at.top < top || at.bottom > bottom)
			say(words, "leaves its box");
	}
	// The box of a text has room for accents above and below, which is left out here.
	texts.forEach((a, i) => texts.slice(i + 1).forEach(b => {
		if (a.at.left < b.at.right && b.at.left < a.at.right &&
			a.at.top + 4 < b.at.bottom - 4 && b.at.top + 4 < a.at.bottom - 4)
			say(a.words, "is on", b.words);
	}));
	for (const path of svg.querySelectorAll(".line, .cross")) {
		const crossed = new Set();
		for (let way = 0; way <= path.getTotalLength(); way += 2) {
			const p = path.getPointAtLength(way), x = page.left + p.x, y = page.top + p.y;
			for (const {words, at} of texts)
				if (x > at.left && x < at.right && y > at.top + 3 && y < at.bottom - 3)
					crossed.add(words);
		}
		crossed.forEach(words => say("a line goes through", words));
	}
}
return wrong;
})()`

// TestBrowser requires that text stays in its box, that no text is on another one, and that no line
// goes through a text, as Chromium draws them; and that it takes the colours of the page.
func TestBrowser(t *testing.T) {
	b := browser.Start(t)
	all := "<!doctype html><meta charset=utf-8><body>" + read(t, watch)
	for _, d := range drawings() {
		all += string(d.svg())
	}
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(all), 0o644))
	page := b.Open(t, file, browser.Projector)
	require.Empty(t, browser.Value[[]string](page, faults))
	const blanks = `getComputedStyle(document.querySelector(".own + text")).whiteSpace`
	require.Equal(t, "pre", browser.Value[string](page, blanks))

	color := func(selector, property string) string {
		return browser.Value[string](page, `(() => {
			const canvas = document.createElement("canvas").getContext("2d");
			const style = getComputedStyle(document.querySelector("`+selector+`"));
			canvas.fillStyle = style.`+property+`;
			return canvas.fillStyle; // in hexadecimal
		})()`)
	}
	require.Equal(t, light.page, color(".page", "fill"))
	require.Equal(t, light.border[own], color(".own", "stroke"))
	page.Look(browser.View{Width: 1280, Height: 720, Dark: true})
	require.Equal(t, dark.page, color(".page", "fill"))
	require.Equal(t, dark.border[own], color(".own", "stroke"))
}
