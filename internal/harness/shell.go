//go:build linux

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Shell makes a command that is an interactive shell on the throw-away host while a script is
// played there, in the directory of the script. What is done in it is done to that host, and gone
// with it.
func (h *Host) Shell(script Script) (*exec.Cmd, error) {
	pid, err := h.firstProcess()
	if err != nil {
		return nil, err
	}
	bin, rootfs := filepath.Join(h.dir, "bin"), filepath.Join(h.dir, "rootfs", "bin")
	nsenter, err := exec.LookPath("nsenter")
	args := []string{"nsenter"}
	if err != nil { // that of BusyBox enters them, too
		nsenter, args = filepath.Join(rootfs, "busybox"), []string{"busybox", "nsenter"}
	}
	args = append(args, "-t", strconv.Itoa(pid), "-m", "-u", "-i", "-n", "-p")
	if os.Geteuid() != 0 {
		args = append(args, "-U")
	}
	work := filepath.Join(h.dir, "work", "script-"+script.Name)
	args = append(args, "sh", "-c", `cd "$1" && exec sh -i +m`, "sh", work)
	return &exec.Cmd{
		Path: nsenter,
		Args: args,
		Env: append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")+":"+rootfs, "HOME="+work,
			"ENV=",
			"PS1=throw-away host# "),
	}, nil
}

// firstProcess is process 1 of the throw-away host, which is a child of this one.
func (h *Host) firstProcess() (int, error) {
	var own, its unix.Stat_t
	if err := unix.Stat("/proc/self/ns/uts", &own); err != nil {
		return 0, fmt.Errorf("stat /proc/self/ns/uts: %w", err)
	}
	files, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		children, _ := os.ReadFile(file) // the thread may be gone
		for child := range strings.FieldsSeq(string(children)) {
			pid, err := strconv.Atoi(child)
			if err == nil && unix.Stat(procPath(pid, "ns/uts"), &its) == nil && its.Ino != own.Ino {
				return pid, nil
			}
		}
	}
	return 0, errors.New("the throw-away host is gone")
}
