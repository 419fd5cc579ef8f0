package record

import (
	"slices"
	"strings"
)

// alignKeys makes paths below the directories that became roots start at that root, so that a mount
// before pivot_root(2) has the same key as one after.
func alignKeys(steps []Step, roots []string) {
	// The longest first: one may be below another.
	slices.SortFunc(roots, func(a, b string) int { return len(b) - len(a) })
	for i := range steps {
		key := &steps[i].Key
		for _, root := range roots {
			root = keyPath(root)
			if root == "/" || root == "" {
				continue
			}
			*key = strings.ReplaceAll(*key, " "+root+"/", " /")
			if before, ok := strings.CutSuffix(*key, " "+root); ok {
				*key = before + " /"
			}
		}
	}
}
