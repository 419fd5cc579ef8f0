//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/skip"
)

// article is a program of the shape and with the mistakes of the article that the workshop follows.
const article = `package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	switch os.Args[1] {
	case "run":
		parent()
	case "child":
		child()
	default:
		panic("what shall I do")
	}
}

func parent() {
	cmd := exec.Command("/proc/self/exe", append([]string{"child"}, os.Args[2:]...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUTS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS,
	}
	cmd.Stdin = os.Stdin
	cmd.Stdout = os.Stdout
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
}

func child() {
	must(syscall.Mount("rootfs", "rootfs", "", syscall.MS_BIND, ""))
	must(os.MkdirAll("rootfs/oldrootfs", 0o700))
	must(syscall.PivotRoot("rootfs", "rootfs/oldrootfs"))
	must(os.Chdir("/"))

	cmd := exec.Command(os.Args[2], os.Args[3:]...)
	cmd.Stdin = os.Stdin
	cmd.Stdout = os.Stdout
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Println("ERROR", err)
		os.Exit(1)
	}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
`

// TestArticle walks from the program of the article to one that passes step 3. At each stop the
// message is about what is wrong there, and says enough to go on. Of the stops before the last one
// it tries some (see skip.OneInEach).
func TestArticle(t *testing.T) {
	t.Parallel()
	harness.NeedsGo(t)
	if os.Geteuid() != 0 {
		skip.Lacking(t, "asks for root: the article's program has no user namespace")
	}
	root, err := moduleRoot()
	require.NoError(t, err)
	hosts := newHosts(t, root)
	scripts, err := harness.Scripts(root, "step3-rootfs")
	require.NoError(t, err)
	stops := []struct {
		about string   // the script that is named
		says  []string // in the explanation
		old   string   // and what the participant makes of it
		new   string
	}{
		{
			about: "step3-rootfs/root-is-rootfs",
			says: []string{
				`refused: pivot_root("rootfs", "rootfs/oldrootfs"): EINVAL (invalid argument)`,
				`main.go:38: must(syscall.PivotRoot("rootfs", "rootfs/oldrootfs"))`,
				"MS_PRIVATE and MS_REC",
			},
			old: "\tmust(syscall.Mount(",
			new: "\tmust(syscall.Mount(\"\", \"/\", \"\", syscall.MS_PRIVATE|syscall.MS_REC, " +
				"\"\"))\n\tmust(syscall.Mount(",
		},
		{
			about: "step1-skeleton/exit-status",
			says:  []string{"expected: exit status 42", "It has to end with it, too"},
			old:   "fmt.Println(\"ERROR\", err)\n\t\tos.Exit(1)",
			new:   "end(err)",
		},
		{
			about: "step1-skeleton/exit-status-signal",
			says:  []string{"expected: exit status 137", "-1 as a byte"},
			old:   "os.Exit(exit.ExitCode())",
			new: "ws := exit.Sys().(syscall.WaitStatus)\n\t\tif ws.Signaled() " +
				"{\n\t\t\tos.Exit(128 + int(ws.Signal()))\n\t\t}\n\t\t" +
				"os.Exit(ws.ExitStatus())",
		},
		{
			about: "step1-skeleton/command-not-found",
			says:  []string{"expected: exit status 127 (not found)", "executable file not found"},
			old:   "os.Exit(126) // TODO",
			new: "if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) " +
				"{\n\t\tos.Exit(127)\n\t}\n\tos.Exit(126)",
		},
		{
			about: "step1-skeleton/usage",
			says: []string{
				"expected: an answer and an exit status", "index out of range",
				"main.go:12: switch os.Args[1] {",
			},
			old: "switch os.Args[1] {",
			new: "if len(os.Args) < 3 || os.Args[1] != \"run\" && os.Args[1] != \"child\" " +
				"{\n\t\tfmt.Fprintln(os.Stderr, \"usage: container run " +
				"CMD\")\n\t\tos.Exit(2)\n\t}\n\tswitch os.Args[1] {",
		},
		{
			about: "step3-rootfs/ps-alone",
			says:  []string{`expected: a line that begins with "1 " on standard output`},
			old:   "\tmust(os.Chdir(\"/\"))\n",
			new: "\tmust(os.Chdir(\"/\"))\n\tmust(syscall.Mount(\"proc\", \"/proc\", \"proc\", " +
				"0, \"\"))\n",
		},
		{
			about: "step3-rootfs/host-mountinfo",
			says:  []string{`expected: standard output without "mount-of-the-host"`, "/oldrootfs/"},
			old:   "\n\tcmd := exec.Command(os.Args[2]",
			new: "\tmust(syscall.Unmount(\"/oldrootfs\", " +
				"syscall.MNT_DETACH))\n\tmust(os.Remove(\"/oldrootfs\"))\n" +
				"\n\tcmd := exec.Command(os.Args[2]",
		},
		{
			about: "step3-rootfs/rootfs-missing",
			says: []string{
				"expected: exit status 125 (the runtime failed)",
				"syscall.Mount(\"rootfs\"", "on purpose",
			},
			old: "panic(err)",
			new: "fmt.Fprintln(os.Stderr, \"container: rootfs or its proc:\", " +
				"err)\n\t\tos.Exit(125)",
		},
		{
			about: "step3-rootfs/rootfs-mounts",
			says:  []string{`expected: a line that is "a letter on a mount"`, "/data/letter"},
			old:   "syscall.MS_BIND, ",
			new:   "syscall.MS_BIND|syscall.MS_REC, ",
		},
		{}, // it has come to the end
	}
	source := article
	var texts []string
	var numbers []int
	for n, stop := range stops {
		texts, numbers = append(texts, source), append(numbers, n)
		require.Contains(t, source, stop.old)
		source = strings.ReplaceAll(source, stop.old, stop.new)
		if strings.Contains(source, "end(err)") && !strings.Contains(source, "func end(") {
			source += "\nfunc end(err error) {\n\tvar exit *exec.ExitError\n\tif errors.As(err, " +
				"&exit) {\n\t\tos.Exit(exit.ExitCode())\n\t}\n" +
				"\tfmt.Fprintln(os.Stderr, err)\n\tos.Exit(126) // TODO\n}\n"
			source = strings.Replace(source, "\t\"fmt\"\n", "\t\"errors\"\n\t\"fmt\"\n", 1)
		}
	}
	numbers = skip.OneInEach(t, 1, numbers, func(n int) bool { return n == len(stops)-1 })
	var tried []string
	for _, n := range numbers {
		tried = append(tried, texts[n])
	}
	programs := writtenPrograms(t, tried)
	for i, n := range numbers {
		stop := stops[n]
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			failed := firstFailureOf(t, hosts.take(t), programs.path(t, i), scripts)
			if stop.about == "" {
				require.Nil(t, failed, "it has come to the end, and step 3 is not passed")
				return
			}
			requireTold(t, failed, stop.about, stop.says, nil)
		})
	}
}
