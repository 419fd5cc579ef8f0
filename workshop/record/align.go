package record

import "strings"

// newRoot is a directory that became the root at a step.
type newRoot struct {
	path      string
	step      int    // its index
	namespace string // of the mounts of the process whose root it became
}

// alignKeys makes paths below a directory that is to become the root start at that root, so that a
// mount before pivot_root(2) has the same key as one after.
func alignKeys(steps []Step, roots []newRoot) {
	for _, root := range roots {
		path := keyPath(root.path)
		if path == "/" {
			continue
		}
		for i := range steps[:min(root.step, len(steps))] {
			key := &steps[i].Key
			*key = strings.ReplaceAll(*key, " "+path+"/", " /")
			if before, ok := strings.CutSuffix(*key, " "+path); ok {
				*key = before + " /"
			}
			steps[i].Promises = promisesOf(*key)
		}
	}
}
