//go:build linux

package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// understood are the fields that a reader looks at. Any other that asks for something is refused:
// so are those that a later version of the specification may have.
var understood = []string{
	"ociVersion",
	"annotations", // that are for other programs
	"hostname",
	"root.path",
	"root.readonly",
	"mounts.destination",
	"mounts.type",
	"mounts.source",
	"mounts.options",
	"process.args",
	"process.capabilities",
	"process.consoleSize",
	"process.cwd",
	"process.env",
	"process.noNewPrivileges",
	"process.oomScoreAdj",
	"process.rlimits",
	"process.terminal",
	"process.user.uid",
	"process.user.gid",
	"process.user.additionalGids",
	"process.user.umask",
	"linux.gidMappings",
	"linux.maskedPaths",
	"linux.namespaces.type",
	"linux.readonlyPaths",
	"linux.resources.cpu.period",
	"linux.resources.cpu.quota",
	"linux.resources.devices",
	"linux.resources.memory.disableOOMKiller",
	"linux.resources.memory.limit",
	"linux.resources.memory.swap",
	"linux.resources.pids.limit",
	"linux.rootfsPropagation",
	"linux.seccomp",
	"linux.sysctl",
	"linux.uidMappings",
}

// refuseOthers refuses all fields that are not understood.
func (r *reader) refuseOthers(s *specs.Spec) { r.refuseBelow(reflect.ValueOf(s), "", "") }

// refuseBelow refuses those in v. field is the name of v, and kind the same without indexes.
func (r *reader) refuseBelow(v reflect.Value, field, kind string) {
	below := func(name string) bool { return kind == "" || strings.HasPrefix(name, kind+".") }
	switch {
	case isEmpty(v) || slices.Contains(understood, kind):
		return
	case !slices.ContainsFunc(understood, below):
		r.refuse(field, "not supported")
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		r.refuseBelow(v.Elem(), field, kind)
	case reflect.Slice:
		for i := range v.Len() {
			r.refuseBelow(v.Index(i), fmt.Sprintf("%s[%d]", field, i), kind)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			r.refuseBelow(v.Field(i), join(field, name), join(kind, name))
		}
	}
}

func join(above, name string) string { return strings.TrimPrefix(above+"."+name, ".") }

// isEmpty tells whether a value asks for nothing. A pointer to a number may ask for 0.
func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return v.IsNil() || v.Elem().Kind() == reflect.Struct && isEmpty(v.Elem())
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		for _, field := range v.Fields() {
			if !isEmpty(field) {
				return false
			}
		}
		return true
	}
	return v.IsZero()
}
