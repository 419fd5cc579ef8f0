//go:build linux

package store

import (
	"fmt"
	"strings"
)

// Docker's own registry goes without saying, and so does the owner of its official images.
const (
	defaultRegistry = "docker.io"
	defaultOwner    = "library/"
	defaultTag      = "latest"
)

// Normalise returns the full form of a name as Docker writes it: docker.io/library/alpine:latest
// for alpine. In one with a tag and a digest, NAME:TAG@sha256:..., the digest counts.
func Normalise(name string) (full string, err error) {
	refuse := func(why string) (string, error) {
		return "", fmt.Errorf("image name %q: %s", name, why)
	}
	rest, digest, hasDigest := strings.Cut(name, "@")
	if hasDigest && !isDigest(digest) {
		return refuse("after @ there must be sha256: and 64 digits from 0 to f")
	}
	tag := defaultTag
	// A colon before a slash is that of a port.
	if i := strings.LastIndexByte(rest, ':'); i > strings.LastIndexByte(rest, '/') {
		rest, tag = rest[:i], rest[i+1:]
	}
	if !isTag(tag) {
		return refuse("a tag has 1 to 128 letters, digits, _, . and -, and begins with none " +
			"of the last two")
	}
	registry, repository := splitRegistry(rest)
	if !isRegistry(registry) {
		return refuse("before the first / there must be HOST or HOST:PORT")
	}
	for part := range strings.SplitSeq(repository, "/") {
		if !isComponent(part) {
			return refuse("must be [HOST[:PORT]/]PATH[:TAG][@DIGEST], and the path of small " +
				"letters and digits, with ., _, __ or - between them")
		}
	}
	if hasDigest {
		return registry + "/" + repository + "@" + digest, nil
	}
	return registry + "/" + repository + ":" + tag, nil
}

// splitRegistry takes the first part of a name for a registry if it looks like one.
func splitRegistry(name string) (registry, repository string) {
	registry, repository, found := strings.Cut(name, "/")
	isHost := found && (strings.ContainsAny(registry, ".:") || registry == "localhost" ||
		registry != strings.ToLower(registry))
	if !isHost {
		registry, repository = defaultRegistry, name
	}
	if registry == "index.docker.io" {
		registry = defaultRegistry
	}
	if registry == defaultRegistry && !strings.Contains(repository, "/") {
		repository = defaultOwner + repository
	}
	return registry, repository
}

const (
	small  = "abcdefghijklmnopqrstuvwxyz"
	digits = "0123456789"
	word   = small + "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + digits + "_"
)

// isOf tells whether a text has only bytes of the set, and at least one.
func isOf(s, set string) bool { return s != "" && strings.Trim(s, set) == "" }

func isDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && isOf(hex, digits+"abcdef")
}

func isTag(s string) bool {
	return len(s) <= 128 && isOf(s, word+".-") && !strings.ContainsAny(s[:1], ".-")
}

func isRegistry(s string) bool {
	host, port := s, "0"
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i+1:]
	}
	if inner, ok := strings.CutPrefix(host, "["); ok { // an address of IPv6
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && isOf(inner, digits+"abcdefABCDEF:") && isOf(port, digits)
	}
	for label := range strings.SplitSeq(host, ".") {
		isLabel := isOf(label, word+"-") && !strings.Contains(label, "_")
		if !isLabel || strings.Trim(label, "-") != label {
			return false
		}
	}
	return isOf(port, digits)
}

// isComponent tells whether s is a part of a path: words, with one of ., _, __ or any number of -
// between two of them.
func isComponent(s string) bool {
	if !isOf(s, small+digits+"._-") || strings.Trim(s, "._-") != s {
		return false
	}
	between := func(r rune) bool { return !strings.ContainsRune("._-", r) }
	for _, separator := range strings.FieldsFunc(s, between) {
		if len(separator) > 1 && separator != "__" && strings.Trim(separator, "-") != "" {
			return false
		}
	}
	return true
}
