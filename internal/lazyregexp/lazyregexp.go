// Package lazyregexp has regular expressions that are compiled when they are first used. A program
// with many of them as variables begins sooner: most commands use few.
package lazyregexp

import (
	"os"
	"regexp"
	"strings"
	"sync"
)

// A Regexp is a regular expression.
type Regexp struct{ *lazy }

type lazy struct {
	text     string
	once     sync.Once
	compiled *regexp.Regexp
}

// New returns a regular expression. Its first use panics if it is none; in a test it does so at
// once.
func New(text string) Regexp {
	r := Regexp{&lazy{text: text}}
	if strings.HasSuffix(os.Args[0], ".test") {
		r.now()
	}
	return r
}

// now is the regular expression, compiled.
func (l *lazy) now() *regexp.Regexp {
	l.once.Do(func() { l.compiled = regexp.MustCompile(l.text) })
	return l.compiled
}

// The methods are those of the package regexp.

func (r Regexp) Match(b []byte) bool { return r.now().Match(b) }

func (r Regexp) MatchString(s string) bool { return r.now().MatchString(s) }

func (r Regexp) Find(b []byte) []byte { return r.now().Find(b) }

func (r Regexp) FindString(s string) string { return r.now().FindString(s) }

func (r Regexp) FindStringSubmatch(s string) []string { return r.now().FindStringSubmatch(s) }

func (r Regexp) FindAllSubmatch(b []byte, n int) [][][]byte { return r.now().FindAllSubmatch(b, n) }

func (r Regexp) FindStringSubmatchIndex(s string) []int {
	return r.now().FindStringSubmatchIndex(s)
}

func (r Regexp) ReplaceAll(b, by []byte) []byte { return r.now().ReplaceAll(b, by) }

func (r Regexp) ReplaceAllString(s, by string) string { return r.now().ReplaceAllString(s, by) }

func (r Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.now().FindAllStringSubmatch(s, n)
}

func (r Regexp) FindAllString(s string, n int) []string { return r.now().FindAllString(s, n) }

func (r Regexp) ExpandString(to []byte, form, from string, match []int) []byte {
	return r.now().ExpandString(to, form, from, match)
}

func (r Regexp) FindStringIndex(s string) []int { return r.now().FindStringIndex(s) }
