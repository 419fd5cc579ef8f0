//go:build linux

package harness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"container.example/workshop/internal/lazyregexp"
)

// prepare fills dir with what a throw-away host needs: bin/container, the program under test;
// bin/probe, which tries from inside a container what a shell cannot; and rootfs, a root file
// system.
func prepare(ctx context.Context, dir string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := placeProgram(ctx, filepath.Join(bin, "container"), root); err != nil {
		return err
	}
	demos, err := demosHere(root)
	if err != nil {
		return err
	}
	return errors.Join(buildTools(dir, root, demos), furnish(dir, root))
}

// demosHere are the demonstrations that the tests of this package are to play.
func demosHere(root string) (scripts []Script, err error) {
	if now().Program != "" {
		return nil, nil // they show our own programs
	}
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	demos, err := Demos(root)
	for _, d := range demos {
		test := "TestPromises/demos/" + d.Name
		if d.Program == filepath.Base(wd) && isWanted(testFlag("run"), test) {
			scripts = append(scripts, d.Script)
		}
	}
	return scripts, err
}

// isWanted tells whether a flag -run of go test asks for a test.
func isWanted(run, test string) bool {
	names := strings.Split(test, "/")
	return slices.ContainsFunc(splitPattern(run, '|'), func(alternative string) bool {
		for i, pattern := range splitPattern(alternative, '/') {
			re, err := regexp.Compile(pattern)
			if err == nil && i < len(names) && !re.MatchString(names[i]) {
				return false
			}
		}
		return true
	})
}

// splitPattern takes a pattern apart as package testing does: where the separator is neither in
// brackets nor in parentheses.
func splitPattern(pattern string, separator byte) (parts []string) {
	begin, brackets, parentheses := 0, 0, 0
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\':
			i++
		case c == '[':
			brackets++
		case c == ']':
			brackets = max(0, brackets-1)
		case brackets > 0:
		case c == '(':
			parentheses++
		case c == ')':
			parentheses--
		case c == separator && parentheses == 0:
			parts = append(parts, pattern[begin:i])
			begin = i + 1
		}
	}
	return append(parts, pattern[begin:])
}

// furnish fills dir with the tools of a throw-away host: bin/probe and rootfs.
func furnish(dir, root string) error {
	probe := make(chan error, 1)
	go func() { probe <- buildProbe(filepath.Join(dir, "bin", "probe"), root) }()
	err := placeTree(filepath.Join(dir, "rootfs"), root)
	return errors.Join(err, <-probe)
}

// placeTree puts a root file system at path, one made elsewhere if there is one.
func placeTree(path, root string) error {
	if prebuilt := filepath.Join(os.Getenv(prebuiltEnv), "rootfs"); os.Getenv(prebuiltEnv) != "" {
		if _, err := os.Stat(prebuilt); err == nil {
			return exec.Command("cp", "-a", prebuilt, path).Run()
		}
	}
	return placeRootfs(path, root)
}

// buildProbe puts the probe at path.
func buildProbe(path, root string) error {
	return buildKept(path, root, filepath.Join("internal", "harness", "probe"))
}

// buildTools puts the tools that scripts ask for with the command tool into bin of dir: programs of
// the module beside the one under test. Nobody else waits until they are built.
func buildTools(dir, root string, scripts []Script) error {
	for _, s := range scripts {
		text, err := os.ReadFile(s.File)
		if err != nil {
			return err
		}
		for _, line := range toolLine.FindAllSubmatch(text, -1) {
			name := string(line[1])
			path := filepath.Join(dir, "bin", name)
			if _, err := os.Stat(path); err == nil {
				continue
			}
			if err := buildKept(path, root, name); err != nil {
				return err
			}
		}
	}
	return nil
}

var toolLine = lazyregexp.New(`(?m)^tool (\w+)$`)

// placeProgram puts the program under test at path.
func placeProgram(ctx context.Context, path, root string) error {
	name := now().Program
	if name == "" {
		return Build(ctx, path, ".")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(root, name)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("%s %q: %w (a relative path is one below %s)", programEnv, name,
			errors.Unwrap(err), root)
	case info.IsDir() || strings.HasSuffix(name, ".go"):
		return Build(ctx, path, name)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s %q: not executable", programEnv, name)
	}
	return os.Symlink(name, path)
}

// BuildError says why there is no program.
type BuildError struct {
	Source string // the directory or file
	// Output is what the go command says, if it was asked.
	Output string
	// Cause says why, where it is not the source text that is wrong; Advice what to do about it.
	Cause, Advice string
	err           error
}

func (e *BuildError) Error() string {
	if e.Cause != "" {
		return fmt.Sprintf("program %q: %s (%s)", e.Source, e.Cause, e.Advice)
	}
	return fmt.Sprintf("go build %s: %v\n%s", e.Source, e.err, e.Output)
}

func (e *BuildError) Unwrap() error { return e.err }

// noSymbols has the linker leave out what only debuggers read, which takes a third of its time. A
// panic names functions and lines all the same.
const noSymbols = "-ldflags=-s"

// noDebugInfo has the compiler make none for package main, since the linker leaves it out.
const noDebugInfo = "-gcflags=-dwarf=false"

// Build compiles the Go package in the directory source, or the file source, to an executable at
// path.
func Build(ctx context.Context, path, source string) error {
	if prebuilt := os.Getenv(prebuiltEnv); prebuilt != "" {
		return linkPrebuilt(path, source, prebuilt)
	}
	dir, what := source, "."
	if strings.HasSuffix(source, ".go") {
		dir, what = filepath.Split(source)
	} else if cause, advice := noGo(source); cause != "" {
		return &BuildError{Source: source, Cause: cause, Advice: advice}
	}
	if inModule(dir) {
		return goBuild(ctx, path, dir, what)
	}
	overlay, err := lendModule(dir)
	if err != nil {
		return buildFailed(source, err.Error(), err)
	}
	defer os.RemoveAll(filepath.Dir(overlay))
	return goBuild(ctx, path, dir, what, "-overlay", overlay)
}

// BuildFiles compiles these Go files, by name, to an executable at path, as if the package in dir
// had them and no others.
func BuildFiles(ctx context.Context, path, dir string, files map[string][]byte) error {
	overlay, err := OverlayPackage(dir, files)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(overlay))
	return goBuild(ctx, path, dir, ".", "-overlay", overlay)
}

// BuildAll compiles programs to executables in dir. Each is a few Go files, by name, that are
// nowhere on the disk, in a package of the module at root. The go command is started once for all:
// its start takes as long as the compilation of one.
func BuildAll(ctx context.Context, dir, root string, programs map[string]map[string][]byte) error {
	texts, sources := map[string][]byte{}, []string{}
	for program, files := range programs {
		// The go command overlooks a directory with such a name unless it is given to it.
		source := filepath.Join("_programs", program)
		sources = append(sources, "./"+source)
		for name, text := range files {
			texts[filepath.Join(root, source, name)] = text
		}
	}
	overlay, err := Overlay(texts)
	if err != nil {
		return err
	}
	defer os.RemoveAll(filepath.Dir(overlay))
	// With the slash, it is a directory even for one program.
	cmd := goBuildCommand(ctx, dir+"/", root, sources, "-overlay", overlay)
	if out, err := runGo(cmd); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// runGo runs a go command, and returns what it says. A go command that is killed leaves its
// compilers running and its temporary files behind, so both are ended and removed here.
func runGo(cmd *exec.Cmd) ([]byte, error) {
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	// An error: the go command will have it too, and says so.
	if dir, err := os.MkdirTemp(os.Getenv("GOTMPDIR"), "go-build"); err == nil {
		defer os.RemoveAll(dir)
		cmd.Env = append(cmd.Env, "GOTMPDIR="+dir)
	}
	return cmd.CombinedOutput()
}

// goBuildCommand is the go command that compiles what is at the paths sources, as seen from dir.
func goBuildCommand(ctx context.Context, path, dir string, sources []string,
	flags ...string,
) *exec.Cmd {
	// The version control of the directory does not matter, and may not trust this user.
	args := append([]string{"build", "-buildvcs=false", noSymbols, noDebugInfo, "-o", path},
		flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, sources...)...)
	cmd.Dir = dir
	// A workspace above knows nothing of this module. To collect garbage takes a tenth of the time
	// in which a small program is built, and there is no need for it before so much memory is used.
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOGC=off", "GOMEMLIMIT=512MiB")
	return cmd
}

// goBuild has the go command compile what is at the path source, as seen from dir.
func goBuild(ctx context.Context, path, dir, source string, flags ...string) error {
	build := func(withC bool) ([]byte, error) {
		cmd := goBuildCommand(ctx, path, dir, []string{source}, flags...)
		if withC {
			cmd.Env = append(cmd.Env, "CGO_ENABLED=1")
		}
		return runGo(cmd)
	}
	named := filepath.Join(dir, source)
	out, err := build(usesC(dir))
	if err != nil && strings.Contains(string(out), noneForLinux) {
		// A package that it imports may use C, too: without cgo such files do not count.
		out, err = build(true)
	}
	if err != nil {
		return buildFailed(named, strings.TrimSpace(string(out)), err)
	}
	if start := make([]byte, 4); !readStart(path, start) || string(start) != "\x7fELF" {
		return &BuildError{
			Source: named,
			Cause:  "it is no program, but a library",
			Advice: "its files begin with package main, or name the directory of the one that does",
		}
	}
	return nil
}

// readStart reads the first bytes of a file.
func readStart(path string, start []byte) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	_, err = io.ReadFull(f, start)
	return err == nil
}

// noGo says why a directory cannot be a program of Go, and what to name instead.
func noGo(dir string) (cause, advice string) {
	if _, err := os.ReadDir(dir); err != nil {
		return strings.TrimPrefix(err.Error(), "open "), "name a directory or file that is there"
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(files) > 0 {
		return "", ""
	}
	cause = "there are no Go files in it"
	for _, other := range []struct{ pattern, advice string }{
		{"Cargo.toml", "run cargo build, and name target/debug/NAME"},
		{"Makefile", "run make, and name the executable that it makes"},
		{"*.c*", "name the executable that your compiler makes of it"},
		{"*.nim", "name the executable that your compiler makes of it"},
		{"*.zig", "name the executable that your compiler makes of it"},
		{"*.py", "name the script; it begins with #!/usr/bin/env python3, and chmod +x"},
		{"*.rb", "name the script; it begins with #!/usr/bin/env ruby, and chmod +x"},
		{"*.pl", "name the script; it begins with #!/usr/bin/perl, and chmod +x"},
		{"*.sh", "name the script; it begins with #!/bin/sh, and chmod +x"},
	} {
		if found, _ := filepath.Glob(filepath.Join(dir, other.pattern)); len(found) > 0 {
			return cause, other.advice
		}
	}
	below, _ := filepath.Glob(filepath.Join(dir, "*", "*.go"))
	for _, file := range below {
		if text, err := os.ReadFile(file); err == nil && packageMain.Match(text) {
			return cause, "name " + filepath.Dir(file) + ", where there is a package main"
		}
	}
	return cause, "name the directory with your main.go, or an executable in any language"
}

var (
	packageMain = lazyregexp.New(`(?m)^package main\b`)
	importC     = lazyregexp.New(`(?m)^(import|\s+)\s*"C"$`)
)

// usesC tells whether a package needs a C compiler (cgo).
func usesC(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && importC.Match(text)
	})
}

// inModule tells whether there is a go.mod in the directory or above.
func inModule(dir string) bool {
	dir, err := filepath.Abs(dir)
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return true
		}
		if dir == "/" {
			return false
		}
		dir = filepath.Dir(dir)
	}
	return false
}

// lendModule makes a file for the flag -overlay of the go command, by which a directory without
// go.mod has that of the workshop. Nothing is written to the directory.
func lendModule(dir string) (overlay string, err error) {
	root, err := ModuleRoot()
	if err != nil {
		return "", err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	texts := map[string][]byte{}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return "", err
		}
		texts[filepath.Join(dir, name)] = moduleLine.ReplaceAll(text, []byte("module program"))
	}
	return Overlay(texts)
}

var moduleLine = lazyregexp.New(`(?m)^module .*$`)

// Mistake matches a line of the compiler about the source text: FILE:LINE:COLUMN: what is wrong.
var Mistake = lazyregexp.New(`(?m)^(\S+\.(?:go|c|h|s)):(\d+)(?::(\d+))?: (.*)$`)

// importRE matches what is wrong with the module of a package that is imported. The compiler names
// the line of the import, which is right.
var importRE = lazyregexp.New(`no required module provides|missing go\.sum entry`)

// noneForLinux is what the go command says of a package whose files are all for other systems, and
// ownForOtherRE matches it where that is the package that was to be built.
const noneForLinux = "build constraints exclude all Go files"

var ownForOtherRE = lazyregexp.New(`(?m)^package \S+: ` + noneForLinux)

// buildFailed finds out whether it is the source text that is wrong.
func buildFailed(source, output string, err error) error {
	b := &BuildError{Source: source, Output: output, err: err}
	for _, other := range []struct{ words, cause, advice string }{
		{"no space left on device", "the disk is full", "make room: df -h; go clean -cache"},
		{"disk quota exceeded", "the disk quota is used up", "make room: quota; go clean -cache"},
		{"read-only file system", "a directory that is needed cannot be written to", "see df and " +
			"mount; TMPDIR, GOCACHE"},
		{"permission denied", "a file or directory belongs to somebody else", "see ls -l; sudo " +
			"chown -R $USER"},
		{
			`executable file not found`, "there is no go command, or no C compiler that it needs",
			"see workshop doctor",
		},
		{"requires go >=", "your version of Go is too old for its go.mod", "see go version, and " +
			"the README"},
		{
			"no required module provides", "its go.mod does not have a package that it imports",
			"go get PACKAGE",
		},
		{
			"missing go.sum entry", "its go.sum does not have what its go.mod asks for",
			"go mod tidy",
		},
		{
			noneForLinux, "a package that it imports has no Go files for Linux on this machine",
			"see the package that is named",
		},
		{"found packages", "its files belong to several packages", "one directory for each"},
		{"updates to go.mod needed", "its go.mod lacks what its packages need", "go mod tidy"},
		{"errors parsing go.mod", "its go.mod has a mistake", "mend the line that is named"},
		{
			"inconsistent vendoring", "its directory vendor does not agree with its go.mod",
			"go mod vendor",
		},
		{"function main is undeclared", "it has no func main", "write one, in package main"},
		{
			"import cycle not allowed", "its packages import each other in a circle",
			"remove one of these imports",
		},
	} {
		mistaken := Mistake.MatchString(output) && !importRE.MatchString(output)
		if strings.Contains(output+err.Error(), other.words) && !mistaken {
			b.Cause, b.Advice = other.cause, other.advice
			break
		}
	}
	if ownForOtherRE.MatchString(output) {
		b.Cause, b.Advice = "none of its Go files is for Linux on this machine", "see //go:build"
	}
	if b.Cause == "" && output == "" {
		b.Cause, b.Advice = err.Error(), "see go build"
	}
	return b
}

// linkPrebuilt takes what vm.sh compiled on another machine for what build would compile.
func linkPrebuilt(path, source, prebuilt string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(source)
	if err != nil {
		return err
	}
	below, err := filepath.Rel(root, dir)
	if err != nil {
		return err
	}
	program := filepath.Join(prebuilt, below, "program")
	if _, err := os.Stat(program); err != nil {
		return fmt.Errorf("%s: %w", prebuiltEnv, err)
	}
	return os.Symlink(program, path)
}

// ModuleRoot returns the directory of go.mod, at or above the working directory.
func ModuleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == "/" {
			return "", errors.New("go.mod: not found in this directory or above")
		}
	}
}
