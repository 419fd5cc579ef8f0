//go:build linux

package harness

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What each throw-away host needs, and what is the same for all of them, is kept in the user's
// cache: the programs that scripts use, because linking takes longer than most scripts; and the
// root file system, because making one takes a process for each link in it. The name of what is
// kept is a hash of what it is made of, so that it is never out of date. A host has links to it:
// all that can be seen from there is read-only.

// buildKept puts a program that scripts use at path. Its source is in the directory below of the
// module.
func buildKept(path, root, below string) error {
	source := filepath.Join(root, below)
	if os.Getenv(prebuiltEnv) == "" && linkKept(path, root, source) == nil {
		return nil
	}
	return Build(context.Background(), path, source) // which says what is wrong
}

// linkKept puts the program that is kept at path, and makes it first if need be.
func linkKept(path, root, source string) error {
	kept, isWhole, err := keptProgram(root, source)
	if err != nil {
		return err
	}
	if _, err := os.Stat(kept); err != nil || !isWhole {
		err := keep(kept, func(program string) error {
			// The go command does not link again what is there and up to date.
			_ = os.Link(kept, program) // an error: there is none yet
			return buildToKeep(program, source)
		})
		if err != nil {
			return err
		}
	}
	_ = os.Remove(path) // an error: it is not there from a check before
	if os.Link(kept, path) == nil {
		return nil
	}
	return exec.Command("cp", kept, path).Run() // to another file system
}

func buildToKeep(program, source string) error {
	// Without the path of the module, it is the same for each copy of the module.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", noSymbols, "-o", program,
		".")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	return cmd.Run()
}

// keep has something made that is to be kept. It gets its name in one rename, and only when all of
// it is on the disk: others may do the same, or copy it, at this moment, and a machine may be
// switched off.
func keep(kept string, make func(path string) error) error {
	dir, err := os.MkdirTemp(filepath.Dir(kept), "new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "it")
	if err := make(path); err != nil {
		return err
	}
	made, err := os.Stat(path)
	if err != nil {
		return err
	}
	if before, err := os.Stat(kept); err == nil && os.SameFile(before, made) {
		return nil
	}
	if err := syncfs(dir); err != nil {
		return err
	}
	if err := os.Rename(path, kept); err != nil && !errors.Is(err, fs.ErrExist) {
		return err // if it exists, others were first
	}
	removeOld(kept)
	return nil
}

func syncfs(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Syncfs(int(dir.Fd()))
}

// removeOld removes what is kept beside this and was made a month ago or earlier; whoever needs it
// makes it again. It has another name before, so that nobody copies half of it.
func removeOld(kept string) {
	dir := filepath.Dir(kept)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || entry.Name() == filepath.Base(kept) ||
			time.Since(info.ModTime()) < 30*24*time.Hour {
			continue
		}
		away, err := os.MkdirTemp(dir, "old-")
		if err != nil {
			return
		}
		_ = os.Rename(filepath.Join(dir, entry.Name()), filepath.Join(away, entry.Name()))
		_ = os.RemoveAll(away) // an error: the next one may
	}
}

// keptProgram is where the program that is made of these sources is kept. Others have other names.
// It is whole if the name stands for all sources, and not if the program has other packages of the
// module in it: only the go command knows whether those are as they were.
func keptProgram(root, source string) (path string, isWhole bool, err error) {
	files, err := filepath.Glob(filepath.Join(source, "*.*"))
	if err != nil {
		return "", false, err
	}
	module, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		return "", false, err
	}
	name := bytes.TrimPrefix(moduleLine.Find(module), []byte("module "))
	isWhole = true
	sum := sha256.New()
	fmt.Fprintln(sum, runtime.GOARCH, noSymbols)
	for _, file := range append(files, filepath.Join(root, "go.mod"),
		filepath.Join(root, "go.sum")) {
		text, err := os.ReadFile(file)
		if err != nil && filepath.Base(file) != "go.sum" { // without it, nothing is imported
			return "", false, err
		}
		fmt.Fprintf(sum, "%s %d %s", filepath.Base(file), len(text), text)
		isWhole = isWhole && !bytes.Contains(text, fmt.Appendf(nil, `"%s/`, name)) &&
			!bytes.Contains(text, []byte("//go:embed"))
	}
	path, err = keptAs(filepath.Base(source), sum.Sum(nil))
	return path, isWhole, err
}

// keptAs is where that is kept of which this is the hash.
func keptAs(what string, sum []byte) (path string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "container-workshop", what)
	return filepath.Join(dir, fmt.Sprintf("%x", sum[:8])), os.MkdirAll(dir, 0o755)
}

// placeRootfs puts a root file system at path.
func placeRootfs(path, root string) error {
	if linkKeptRootfs(path, root) == nil {
		return nil
	}
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return mkrootfs(path, root) // which says what is wrong
}

// linkKeptRootfs makes path a link to the root file system that is kept, and makes that first if
// need be.
func linkKeptRootfs(path, root string) error {
	kept, err := keptRootfs(root)
	if err != nil {
		return err
	}
	if _, err := os.Stat(kept); err != nil {
		err := keep(kept, func(path string) error { return mkrootfs(path, root) })
		if err != nil {
			return err
		}
	}
	_ = os.Chtimes(kept, time.Time{}, time.Now()) // in use: not to be removed by removeOld
	return os.Symlink(kept, path)
}

// keptRootfs is where the root file system is kept that the script makes here and now.
func keptRootfs(root string) (string, error) {
	files := []string{filepath.Join(root, "scripts", "mkrootfs.sh"), "/etc/resolv.conf"}
	for _, name := range []string{"busybox", "busybox.static"} {
		if path, err := lookPath(name, mkrootfsPath(root)); err == nil {
			files = append(files, path)
		}
	}
	sum := sha256.New()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil && file != "/etc/resolv.conf" { // the script does without
			return "", err
		}
		fmt.Fprintf(sum, "%s %d %s", filepath.Base(file), len(text), text)
	}
	return keptAs("rootfs", sum.Sum(nil))
}

// mkrootfs has the script make a root file system.
func mkrootfs(path, root string) error {
	cmd := exec.Command(filepath.Join(root, "scripts", "mkrootfs.sh"), "-o", path)
	cmd.Env = append(os.Environ(), "PATH="+mkrootfsPath(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s", strings.TrimSpace(string(out)))
	}
	return nil
}

// mkrootfsPath is where the script looks for programs. The busybox of a rootfs made before is as
// good as one on the machine, and needs no download.
func mkrootfsPath(root string) string {
	return os.Getenv("PATH") + ":" + filepath.Join(root, "rootfs", "bin")
}
