// Command pages makes HTML of the pages in Markdown below a directory: pages DIR. Each is written
// beside its source, and a link to another page leads to its HTML. So the pages can be read where
// there is no network.
package main

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: pages DIR")
		os.Exit(2)
	}
	if err := convertAll(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

// convertAll writes the HTML of each page below dir.
func convertAll(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		page, err := convert(source)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return os.WriteFile(strings.TrimSuffix(path, ".md")+".html", page, 0o644)
	})
}

// markdown is the language of the pages: that of GitHub.
var markdown = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithAutoHeadingID()),
)

// convert makes a page of HTML.
func convert(source []byte) ([]byte, error) {
	document := markdown.Parser().Parse(text.NewReader(source))
	title := "The container workshop"
	err := ast.Walk(document, func(node ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := node.(type) {
		case *ast.Heading:
			if entering && n.Level == 1 {
				title = string(n.Lines().Value(source))
			}
		case *ast.Link:
			if entering {
				n.Destination = []byte(leadTo(string(n.Destination)))
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return nil, err
	}
	var body, page bytes.Buffer
	if err := markdown.Renderer().Render(&body, source, document); err != nil {
		return nil, err
	}
	err = frame.Execute(&page, map[string]any{
		"Title": title,
		"Body":  template.HTML(body.String()), // what the pages say: they are ours
	})
	return page.Bytes(), err
}

// leadTo returns where a link leads when the pages are HTML.
func leadTo(link string) string {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != "" || u.Host != "" {
		return link
	}
	if page, ok := strings.CutSuffix(u.Path, ".md"); ok {
		u.Path = page + ".html"
	}
	return u.String()
}

// frame is what is around each page. It asks for nothing from anywhere.
var frame = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
:root { color-scheme: light dark; --line: #8884; --back: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.4 ui-monospace, monospace; background: var(--back); border-radius: 4px; }
code { padding: 1px 4px; }
pre { padding: .7rem 1rem; overflow-x: auto; }
pre code { padding: 0; background: none; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; }
th, td { text-align: left; vertical-align: top; }
img { max-width: 100%; }
</style>
</head>
<body>
{{.Body}}</body>
</html>
`))
