// Package style is what the pages of the workshop have in common. Each page stays one file, which
// needs no other: the style lies in it.
package style

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
)

// CSS is the beginning of the style sheet of each page.
//
//go:embed style.css
var CSS string

// Hash names a style sheet or a script in a Content-Security-Policy, which then allows it and no
// other. It may be in parts.
func Hash(parts ...[]byte) string {
	sum := sha256.New()
	for _, part := range parts {
		sum.Write(part)
	}
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum.Sum(nil)) + "'"
}
