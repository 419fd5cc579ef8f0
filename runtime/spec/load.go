//go:build linux

package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"container.example/workshop/runtime/cgroup"
	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/network"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/rootfs"
)

// Load reads a config.json. Paths in it may be relative to its directory, which the specification
// calls the bundle (bundle.md).
func Load(file string) (*config.Container, error) {
	c, err := load(file)
	if err != nil {
		return nil, fmt.Errorf("config %q: %w", file, err)
	}
	return c, nil
}

func load(file string) (*config.Container, error) {
	text, err := os.ReadFile(file)
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return nil, pathErr.Err // the path is known
	}
	if err != nil {
		return nil, err
	}
	s, err := decode(text)
	if err != nil {
		return nil, err
	}
	return read(s, filepath.Dir(file))
}

// decode refuses what package json would pass over in silence: fields that the specification does
// not have, bytes that are not UTF-8, and what follows the value. The specification wants unknown
// fields to be ignored (config.md, Extensibility); but one may ask for isolation, misspelt or not.
func decode(text []byte) (*specs.Spec, error) {
	if !utf8.Valid(text) {
		return nil, errors.New("must be UTF-8")
	}
	s := &specs.Spec{}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(s)
	if err == nil {
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			return nil, errors.New("must be one JSON object")
		}
		return s, nil
	}
	if errors.Is(err, io.EOF) {
		return nil, errors.New("is empty")
	}
	return nil, errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// From returns the container that a specification asks for. The error names all that the runtime
// cannot do, or would do with less isolation than that. It does some things with more:
//
//   - No process gets new privileges, whatever noNewPrivileges says, and there is a seccomp filter
//     even if none is asked for.
//   - All masked and read-only paths of the runtime's are, and its mounts have all their flags.
//   - Nothing is swapped if memory is limited.
//
// What the specification leaves open is as for the flags: PATH, TERM, HOSTNAME and HOME are there
// if env has others only, and the root file system is below a layer for what the container writes,
// with the owners that its files have on the host.
func From(s *specs.Spec) (*config.Container, error) { return read(s, "") }

// reader makes a container of a specification.
type reader struct {
	c        *config.Container
	bundle   string // the directory that paths are relative to
	problems []error
}

func read(s *specs.Spec, bundle string) (*config.Container, error) {
	r := &reader{c: &config.Container{}, bundle: bundle}
	r.refuseOthers(s)
	if !strings.HasPrefix(s.Version, "1.") {
		r.refuse("ociVersion", "%q: must be 1.x", s.Version)
	}
	linux := s.Linux
	if linux == nil {
		linux = &specs.Linux{}
	}
	r.c.Hostname = s.Hostname
	r.readNamespaces(linux)
	r.readRoot(s.Root, linux)
	r.readProcess(s.Process)
	r.readResources(linux.Resources)
	r.readSettings(linux.Sysctl)
	if s.Process != nil { // whose capabilities decide about the profile
		r.readSeccomp(linux.Seccomp)
	}
	r.readMounts(s.Mounts)
	r.check()
	if err := errors.Join(r.problems...); err != nil {
		return nil, err
	}
	return r.c, nil
}

// refuse adds a problem with a field.
func (r *reader) refuse(field, format string, args ...any) {
	problem := fmt.Errorf(format, args...)
	r.problems = append(r.problems, fmt.Errorf("%s: %w", field, problem))
}

// text refuses texts that would be cut short on their way to the kernel.
func (r *reader) text(field, text string) string {
	if strings.Contains(text, "\x00") {
		r.refuse(field, "%q: must be without zero bytes", text)
	}
	return text
}

// inBundle is where a path of the specification leads.
func (r *reader) inBundle(name string) string {
	if path.IsAbs(name) || r.bundle == "" || r.bundle == "." {
		return name
	}
	return filepath.Join(r.bundle, name)
}

func (r *reader) readNamespaces(linux *specs.Linux) {
	for i, n := range linux.Namespaces {
		flag := config.Namespaces(0)
		for _, known := range namespaceTypes {
			if n.Type == known.name {
				flag = known.flag
			}
		}
		field := fmt.Sprintf("linux.namespaces[%d]", i)
		switch {
		case flag == 0:
			r.refuse(field, "unknown namespace %q", n.Type)
		case r.c.Namespaces&flag != 0:
			r.refuse(field, "%q: must be there once", n.Type)
		}
		r.c.Namespaces |= flag
	}
	r.c.Network = config.HostNetwork
	if r.c.Namespaces.Has(unix.CLONE_NEWNET) {
		r.c.Network = config.NoNetwork
	}
	r.c.UIDs, r.c.GIDs = idMap(linux.UIDMappings), idMap(linux.GIDMappings)
	switch {
	case (r.c.UIDs == nil) != (r.c.GIDs == nil):
		r.refuse("linux.uidMappings", "must be with linux.gidMappings, or both left out")
	case r.c.UIDs != nil && !r.c.Namespaces.Has(unix.CLONE_NEWUSER):
		r.refuse("linux.uidMappings", "must be with a user namespace")
	case r.c.UIDs != nil && !(hasRoot(r.c.UIDs) && hasRoot(r.c.GIDs)):
		r.refuse("linux.uidMappings", "must map containerID 0, and so gidMappings: "+
			"root of the container makes it")
	}
}

func idMap(mappings []specs.LinuxIDMapping) (m config.IDMap) {
	for _, r := range mappings {
		m = append(m, config.IDRange{
			Inside:  int(r.ContainerID),
			Outside: int(r.HostID),
			Size:    int(r.Size),
		})
	}
	return m
}

func hasRoot(m config.IDMap) bool {
	return slices.ContainsFunc(m, func(r config.IDRange) bool {
		return r.Inside == 0 && r.Size > 0
	})
}

// readSettings takes those that each container with a network of its own gets: see
// network.Settings. Which groups there are may be known only when it is made.
func (r *reader) readSettings(settings map[string]string) {
	known := map[string]bool{}
	if r.c.Namespaces.Has(unix.CLONE_NEWNET) {
		for _, s := range network.Settings(0) {
			known[s.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		var first, last uint32
		n, _ := fmt.Sscan(value, &first, &last) // one number, or two
		switch {
		case !known[name]:
			r.refuse("linux.sysctl", "%q: not supported", name)
		case n == 0, n == 1 && first > 0, n == 2 && first > last:
			r.refuse("linux.sysctl", "%q: %q: must be what each container gets", name, value)
		}
	}
}

func (r *reader) readRoot(root *specs.Root, linux *specs.Linux) {
	if root == nil {
		root = &specs.Root{}
	}
	r.c.ReadOnly = root.Readonly
	switch propagation := linux.RootfsPropagation; {
	case propagation == "":
	case propagation != "private" && propagation != "rprivate",
		!r.c.Namespaces.Has(unix.CLONE_NEWNS):
		r.refuse("linux.rootfsPropagation", "%q: must be \"private\", with a mount namespace",
			propagation)
	}
	switch {
	case !r.c.Namespaces.Has(unix.CLONE_NEWNS):
		if root.Path != "" && root.Path != "/" {
			r.refuse("root.path", "%q: must be \"/\" without a mount namespace", root.Path)
		}
		if len(linux.MaskedPaths)+len(linux.ReadonlyPaths) > 0 {
			r.refuse("linux.maskedPaths", "must be with a mount namespace, and so readonlyPaths")
		}
		return
	case root.Path == "":
		r.refuse("root.path", "missing")
	}
	r.c.Rootfs = r.inBundle(r.text("root.path", root.Path))
	r.c.Layers = config.Overlay
	masked, readOnly := rootfs.MaskedPaths(), rootfs.ReadOnlyPaths()
	for _, name := range linux.MaskedPaths {
		// Those of processors that this machine lacks may be in a file that another machine wrote.
		match, _ := path.Match("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle", name)
		if !match && !covers(masked, name) {
			r.refuse("linux.maskedPaths", "%q: the runtime does not mask it", name)
		}
	}
	for _, name := range linux.ReadonlyPaths {
		if !covers(readOnly, name) && !covers(masked, name) {
			r.refuse("linux.readonlyPaths", "%q: the runtime does not make it read-only", name)
		}
	}
}

// covers tells whether a path is one of those in the list, or below one.
func covers(list []string, name string) bool {
	for _, above := range list {
		if name = path.Clean(name); name == above || strings.HasPrefix(name, above+"/") {
			return true
		}
	}
	return false
}

func (r *reader) readProcess(p *specs.Process) {
	if p == nil {
		r.refuse("process", "missing")
		return
	}
	r.c.Command = p.Args
	for _, arg := range p.Args {
		r.text("process.args", arg)
	}
	for _, variable := range p.Env {
		name, value, both := strings.Cut(r.text("process.env", variable), "=")
		if name == "" || !both {
			r.refuse("process.env", "%q: must be NAME=VALUE", variable)
		}
		r.c.Env = append(r.c.Env, config.Variable{Name: name, Value: value})
	}
	if r.c.Workdir = r.text("process.cwd", p.Cwd); p.Cwd == "" {
		r.refuse("process.cwd", "missing")
	}
	r.c.Terminal = config.TerminalNo
	if p.Terminal {
		r.c.Terminal = config.TerminalYes
		if p.ConsoleSize != nil { // to be ignored without a terminal
			r.refuse("process.consoleSize", "not supported: it is the caller's")
		}
	}
	r.c.OOMScoreAdj = p.OOMScoreAdj
	r.readUser(p.User)
	r.readCapabilities(p.Capabilities, p.User.UID)
	r.readRlimits(p.Rlimits)
}

func (r *reader) readUser(u specs.User) {
	if u.Umask != nil && *u.Umask != umask {
		r.refuse("process.user.umask", "%d: must be %d (octal %03o)", *u.Umask, umask, umask)
	}
	if max(u.UID, u.GID) > math.MaxInt32 {
		r.refuse("process.user", "%d:%d: must be below 2147483648", u.UID, u.GID)
	}
	for _, gid := range u.AdditionalGids {
		if gid > math.MaxInt32 {
			r.refuse("process.user.additionalGids", "%d: must be below 2147483648", gid)
		}
		r.c.Groups = append(r.c.Groups, int(gid))
	}
	r.c.User = fmt.Sprintf("%d:%d", u.UID, u.GID)
	if r.c.User == "0:0" {
		r.c.User = "0"
	}
}

// readCapabilities takes the bounding set, which is all that root has. Another user has none: of
// effective and permitted ones execve(2) leaves nothing, and inheritable ones take a file with
// capabilities, which has no effect without new privileges. Ambient ones would stay
// (capabilities(7)).
func (r *reader) readCapabilities(c *specs.LinuxCapabilities, uid uint32) {
	if c == nil {
		return // none
	}
	bounding := r.capabilities("process.capabilities.bounding", c.Bounding)
	effective := r.capabilities("process.capabilities.effective", c.Effective)
	permitted := r.capabilities("process.capabilities.permitted", c.Permitted)
	inheritable := r.capabilities("process.capabilities.inheritable", c.Inheritable)
	ambient := r.capabilities("process.capabilities.ambient", c.Ambient)
	switch {
	case uid == 0 && (effective != bounding || permitted != bounding):
		r.refuse("process.capabilities", "must be the same in bounding, effective and permitted")
	case (effective|permitted|inheritable|ambient)&^bounding != 0:
		r.refuse("process.capabilities", "must be in bounding to be in another set")
	case uid != 0 && ambient != 0:
		r.refuse("process.capabilities.ambient", "not supported for another user than root")
	}
	r.c.Capabilities = bounding
}

func (r *reader) capabilities(field string, names []string) (all config.Capabilities) {
	for _, name := range names {
		mask, err := rights.ParseCapability(name)
		// It also knows ALL, and other ways to write a name.
		if err != nil || !slices.Equal(rights.CapabilityNames(mask), []string{name}) {
			r.refuse(field, "unknown capability %q", name)
			continue
		}
		all |= mask
	}
	return all
}

func (r *reader) readRlimits(rlimits []specs.POSIXRlimit) {
	seen := map[string]bool{}
	for i, l := range rlimits {
		field := fmt.Sprintf("process.rlimits[%d]", i)
		name := strings.ToLower(strings.TrimPrefix(l.Type, rlimitPrefix))
		ulimit, err := rights.ParseUlimit(name + "=" + number(l.Soft) + ":" + number(l.Hard))
		switch {
		case l.Type != rlimitPrefix+strings.ToUpper(name):
			r.refuse(field, "unknown type %q", l.Type)
		case err != nil:
			r.refuse(field, "%q: %w", l.Type, err)
		case seen[name]:
			r.refuse(field, "%q: must be there once", l.Type)
		}
		seen[name] = true
		r.c.Ulimits = append(r.c.Ulimits, ulimit)
	}
}

// number writes the value of a limit as the flag -ulimit has it.
func number(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

func (r *reader) readResources(resources *specs.LinuxResources) {
	if resources == nil {
		return
	}
	for i, rule := range resources.Devices {
		field := fmt.Sprintf("linux.resources.devices[%d]", i)
		all := (rule.Type == "" || rule.Type == "a") && rule.Major == nil && rule.Minor == nil
		switch {
		case rule.Allow || !all || rule.Access != allAccess:
			r.refuse(field, "not supported: only the rule that denies all")
		case !deniesDevices(r.c):
			r.refuse(field, "must be with a mount namespace, and with a user namespace or without "+
				"CAP_SYS_ADMIN")
		}
	}
	r.readMemory(resources.Memory)
	if resources.Pids != nil {
		r.c.Pids = r.limit("linux.resources.pids.limit", resources.Pids.Limit)
	}
	r.readCPU(resources.CPU)
}

// readMemory accepts what the runtime does about swap: it gives none.
func (r *reader) readMemory(m *specs.LinuxMemory) {
	if m == nil {
		return
	}
	r.c.Memory = r.limit("linux.resources.memory.limit", m.Limit)
	swap := r.limit("linux.resources.memory.swap", m.Swap)
	if m.Swap != nil && swap != r.c.Memory {
		r.refuse("linux.resources.memory.swap", "%d: must be the limit", *m.Swap)
	}
	if m.DisableOOMKiller != nil && *m.DisableOOMKiller {
		r.refuse("linux.resources.memory.disableOOMKiller", "not supported")
	}
}

func (r *reader) readCPU(cpu *specs.LinuxCPU) {
	if cpu == nil {
		return
	}
	quota, period := r.limit("linux.resources.cpu.quota", cpu.Quota), uint64(cgroup.Period)
	if cpu.Period != nil {
		period = *cpu.Period
		if period == 0 || quota == 0 {
			r.refuse("linux.resources.cpu.period", "%d: must be above 0, and with a quota", period)
			return
		}
	}
	r.c.CPUs = float64(quota) / float64(period)
}

// limit returns a limit of resources, or 0 for none.
func (r *reader) limit(field string, value *int64) int64 {
	if value == nil || *value == -1 {
		return 0
	}
	if *value <= 0 {
		r.refuse(field, "%d: must be above 0, or -1 for none", *value)
	}
	return *value
}

// readSeccomp accepts one profile, that of the runtime for these capabilities.
func (r *reader) readSeccomp(profile *specs.LinuxSeccomp) {
	if profile == nil {
		return
	}
	own, err := profileFor(r.c.Capabilities)
	if err != nil {
		r.refuse("linux.seccomp", "%w", err)
		return
	}
	want, wantErr := json.Marshal(own)
	got, gotErr := json.Marshal(profile)
	if wantErr != nil || gotErr != nil || !bytes.Equal(want, got) {
		r.refuse("linux.seccomp", "must be left out, or what container spec prints: "+
			"the runtime's own for these capabilities")
	}
}

// fieldsOfFlags are those that ask for the same as the flags by which config.Check names problems.
var fieldsOfFlags = []struct{ flag, field string }{
	{"-hostname", "hostname"},
	{"-volume", "mounts"},
	{"-read-only", "root.readonly"},
	{"-tty", "process.terminal"},
	{"-workdir", "process.cwd"},
	{"-oom-score-adj", "process.oomScoreAdj"},
	{"-ns", "linux.namespaces"},
}

// check finds the problems that flags could have as well, but for a command that is missing: one on
// the command line may be in its place.
func (r *reader) check() {
	c := *r.c
	c.Command = []string{"command"}
	err := c.Check()
	if err == nil {
		return
	}
	for problem := range strings.SplitSeq(err.Error(), "\n") {
		for _, same := range fieldsOfFlags {
			if rest, ok := strings.CutPrefix(problem, same.flag); ok {
				problem = same.field + rest
			}
			if rest, ok := strings.CutSuffix(problem, same.flag); ok {
				problem = rest + same.field
			}
		}
		r.problems = append(r.problems, errors.New(problem))
	}
}
