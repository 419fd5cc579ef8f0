package compare

import (
	"fmt"
	"slices"
	"strings"

	"container.example/workshop/workshop/record"
)

// restrictions are the options that a step gives a mount and that forbid something there, by their
// names in mount(8). Other flags say how the call does its work. Of a bind mount the kernel ignores
// the options until it is remounted (mount(2)).
func restrictions(step record.Step) (names []string) {
	for _, arg := range step.Args {
		all := strings.Split(arg.Value, "|")
		isBind := slices.Contains(all, "MS_BIND") && !slices.Contains(all, "MS_REMOUNT")
		if isBind || arg.Name == "clear" { // of mount_setattr(2)
			continue
		}
		for _, r := range []struct{ flag, name string }{
			{"RDONLY", "ro"},
			{"NOSUID", "nosuid"},
			{"NODEV", "nodev"},
			{"NOEXEC", "noexec"},
		} {
			if slices.Contains(all, "MS_"+r.flag) || slices.Contains(all, "MOUNT_ATTR_"+r.flag) {
				names = append(names, r.name)
			}
		}
	}
	return names
}

// differByRestrictions says what one mount forbids and the other does not.
func differByRestrictions(a, b record.Step) string {
	lacks := without(restrictions(b), restrictions(a))
	has := without(restrictions(a), restrictions(b))
	switch {
	case len(has) == 0:
		return fmt.Sprintf("yours lacks %s in %q; ours has %s", list(lacks), a.Key, pronoun(lacks))
	case len(lacks) == 0:
		return fmt.Sprintf("ours lacks %s in %q; yours has %s", list(has), a.Key, pronoun(has))
	}
	return fmt.Sprintf("yours lacks %s in %q, and ours %s", list(lacks), a.Key, list(has))
}

// without are the names that are not among others.
func without(names, others []string) (rest []string) {
	for _, name := range names {
		if !slices.Contains(others, name) {
			rest = append(rest, name)
		}
	}
	return rest
}

func pronoun(names []string) string {
	if len(names) == 1 {
		return "it"
	}
	return "them"
}
