//go:build linux

package harness

import (
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
	root, err := moduleRoot()
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
	if err := build(filepath.Join(bin, "probe"), filepath.Join(root, "internal", "harness", "probe")); err != nil {
		return err
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
	name := os.Getenv(programEnv)
	if name == "" {
		return build(path, ".")
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(root, name)
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return fmt.Errorf("%s %q: %w (a relative path is one below %s)", programEnv, name, errors.Unwrap(err), root)
	case info.IsDir() || strings.HasSuffix(name, ".go"):
		return build(path, name)
	case info.Mode()&0o111 == 0:
		return fmt.Errorf("%s %q: not executable", programEnv, name)
	}
	return os.Symlink(name, path)
}

// build compiles the Go package in the directory source, or the file source.
func build(path, source string) error {
	dir, what := source, "."
	if strings.HasSuffix(source, ".go") {
		dir, what = filepath.Split(source)
	}
	cmd := exec.Command("go", "build", "-o", path, what)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", source, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// moduleRoot returns the directory of go.mod, at or above the working directory.
func moduleRoot() (string, error) {
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
