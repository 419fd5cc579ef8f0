// Package lazyregexp has regular expressions that are compiled when they are first used. A program
// with many of them as variables begins sooner: most commands use few.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// A Regexp returns a regular expression, compiled.
type Regexp func() *regexp.Regexp

// New returns a regular expression. Its first use panics if it is none; in a test it does so at
// once.
func New(text string) Regexp {
	r := Regexp(sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(text) }))
	if strings.HasSuffix(os.Args[0], ".test") {
		r()
	}
	return r
}

// The methods are those of the package regexp.

func (r Regexp) Match(b []byte) bool { return r().Match(b) }

func (r Regexp) MatchString(s string) bool { return r().MatchString(s) }

func (r Regexp) Find(b []byte) []byte { return r().Find(b) }

func (r Regexp) FindString(s string) string { return r().FindString(s) }

func (r Regexp) FindStringSubmatch(s string) []string { return r().FindStringSubmatch(s) }

func (r Regexp) FindAllSubmatch(b []byte, n int) [][][]byte { return r().FindAllSubmatch(b, n) }

func (r Regexp) FindStringSubmatchIndex(s string) []int { return r().FindStringSubmatchIndex(s) }

func (r Regexp) ReplaceAll(b, by []byte) []byte { return r().ReplaceAll(b, by) }

func (r Regexp) ReplaceAllString(s, by string) string { return r().ReplaceAllString(s, by) }

func (r Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r().FindAllStringSubmatch(s, n)
}

func (r Regexp) FindAllString(s string, n int) []string { return r().FindAllString(s, n) }

func (r Regexp) ExpandString(to []byte, form, from string, match []int) []byte {
	return r().ExpandString(to, form, from, match)
}

func (r Regexp) FindStringIndex(s string) []int { return r().FindStringIndex(s) }
