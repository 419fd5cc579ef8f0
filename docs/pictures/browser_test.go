package main

import (
	"context"
	"encoding/json"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// faults is run by the browser on a page with all drawings. It writes what is wrong with them, as
// JSON. The font is that of the machine, and those of Linux are wider than those of others.
const faults = `
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
document.body.textContent = JSON.stringify(wrong);
`

// TestBrowser requires that text stays in its box, that no text is on another one, and that no line
// goes through a text, as Chromium draws them.
func TestBrowser(t *testing.T) {
	program, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("no chromium in PATH (apt-get install chromium)")
	}
	require.NoError(t, err)
	page := "<!doctype html><meta charset=utf-8><body>"
	for _, d := range drawings() {
		page += string(d.svg())
	}
	page += "<script>" + faults + "</script>"
	file := filepath.Join(t.TempDir(), "page.html")
	require.NoError(t, os.WriteFile(file, []byte(page), 0o644))

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	// Its sandbox needs namespaces that root in a container may not make. The page is ours.
	chromium := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu",
		"--window-size=800,600", "--user-data-dir="+t.TempDir(), "--dump-dom", "file://"+file)
	chromium.Env = append(os.Environ(), "HOME="+t.TempDir())
	seen, err := chromium.Output()
	require.NoError(t, err)
	body := regexp.MustCompile(`(?s)<body>(.*)</body>`).FindSubmatch(seen)
	require.NotNil(t, body, "%s", seen)
	var wrong []string
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(string(body[1]))), &wrong))
	require.Empty(t, wrong)
}
