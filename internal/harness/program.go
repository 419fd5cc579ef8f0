//go:build linux

package harness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// prepare fills dir with what a throw-away host needs: bin/container, the program under test; bin/probe,
// which tries from inside a container what a shell cannot; and rootfs, a root file system.
func prepare(dir string) error {
	root, err := ModuleRoot()
	if err != nil {
		return err
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := placeProgram(filepath.Join(bin, "container"), root); err != nil {
		return err
	}
	return furnish(dir, root)
}

// furnish fills dir with the tools of a throw-away host: bin/probe and rootfs.
func furnish(dir, root string) error {
	if err := Build(context.Background(), filepath.Join(dir, "bin", "probe"), filepath.Join(root, "internal", "harness", "probe")); err != nil {
		return err
	}
	if prebuilt := filepath.Join(os.Getenv(prebuiltEnv), "rootfs"); os.Getenv(prebuiltEnv) != "" {
		if _, err := os.Stat(prebuilt); err == nil {
			return exec.Command("cp", "-a", prebuilt, dir).Run()
		}
	}
	mkrootfs := exec.Command(filepath.Join(root, "scripts", "mkrootfs.sh"), "-o", filepath.Join(dir, "rootfs"))
	// The busybox of a rootfs made before is as good as one on the machine, and needs no download.
	mkrootfs.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":"+filepath.Join(root, "rootfs", "bin"))
	if out, err := mkrootfs.CombinedOutput(); err != nil {
		return fmt.Errorf("%s", strings.TrimSpace(string(out)))
	}
	return nil
}

// placeProgram puts the program under test at path.
func placeProgram(path, root string) error {
	name := now().Program
	if name == "" {
		return Build(context.Background(), path, ".")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(root, name)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("%s %q: %w (a relative path is one below %s)", programEnv, name, errors.Unwrap(err), root)
	case info.IsDir() || strings.HasSuffix(name, ".go"):
		return Build(context.Background(), path, name)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s %q: not executable", programEnv, name)
	}
	return os.Symlink(name, path)
}

// BuildError is what the go command says about a program that it cannot build.
type BuildError struct {
	Source string // the directory or file
	Output string // the lines of go build
	err    error
}

func (e *BuildError) Error() string {
	return fmt.Sprintf("go build %s: %v\n%s", e.Source, e.err, e.Output)
}

func (e *BuildError) Unwrap() error { return e.err }

// Build compiles the Go package in the directory source, or the file source, to an executable at path.
func Build(ctx context.Context, path, source string) error {
	if prebuilt := os.Getenv(prebuiltEnv); prebuilt != "" {
		return linkPrebuilt(path, source, prebuilt)
	}
	dir, what := source, "."
	if strings.HasSuffix(source, ".go") {
		dir, what = filepath.Split(source)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, what)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return &BuildError{source, strings.TrimSpace(string(out)), err}
	}
	return nil
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
