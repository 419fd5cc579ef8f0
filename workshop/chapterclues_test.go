//go:build linux

package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"container.example/workshop/internal/harness"
	"container.example/workshop/internal/lessons"
)

// chapterWords are what programs with one fault in a chapter of step 5 are told first. Each is our
// own program as it is after that chapter, with one text replaced by another.
var chapterWords = []struct {
	name, lesson    string
	file, text, new string
	about           string
	says, not       []string
}{
	{
		name:   "masks before /dev",
		lesson: "5b",
		file:   "rootfs.go",
		text:   "\tmountKernel(cloneFlags)",
		new: "\tmust(unix.Mount(\"/dev/null\", \"/proc/keys\", \"\", unix.MS_BIND, \"\")," +
			"\"mask\")",
		about: "step5-complete/escape-masked",
		says:  []string{`refused: mount("/dev/null", "/proc/keys"`, "/dev comes first"},
	},
	{
		name:   "a directory is masked as a file is",
		lesson: "5b",
		file:   "mounts.go",
		text:   "err := unix.Mount(\"tmpfs\", path, \"tmpfs\", flags, \"size=0,nr_inodes=1\")",
		new:    "err := unix.Mount(\"/dev/null\", path, \"\", flags|unix.MS_BIND, \"\")",
		about:  "step5-complete/escape-masked",
		says:   []string{"ENOTDIR", "a file on a file", "a new tmpfs"},
	},
	{
		name:   "a mask that is missing is not why the command fails",
		lesson: "5b",
		file:   "loopback.go",
		text:   "cloneFlags&unix.CLONE_NEWNET == 0",
		new:    "unix.Mount(\"/dev/null\", \"/proc/no-such\", \"\", unix.MS_BIND, \"\") != nil",
		about:  "step5-complete/network-none",
		says:   []string{"seen: exit status 1"},
		not:    []string{"/proc/no-such", "clue"},
	},
	{
		name:   "a panic after a mask that is missing",
		lesson: "5b",
		file:   "mounts.go",
		text:   "\tfor _, path := range slices.DeleteFunc(masked, isMissing) {",
		new: "\tunix.Mount(\"/dev/null\", \"/proc/no-such\", \"\", unix.MS_BIND, \"\")\n" +
			"\tvar m map[string]int\n\tm[\"x\"] = 1\n" +
			"\tfor _, path := range slices.DeleteFunc(masked, isMissing) {",
		about: "step1-skeleton/command-runs",
		says:  []string{"assignment to entry in nil map"},
		not:   []string{"refused", "clue"},
	},
	{
		name:   "sysfs of a network namespace that is the host's",
		lesson: "5b",
		file:   "mounts.go",
		text:   "\t\tshows:  unix.CLONE_NEWNET,\n",
		new:    "",
		about:  "step5-complete/dev-user-namespace",
		says:   []string{`"sysfs"`, "EPERM", "without net in -ns leave it out"},
	},
	{
		name:   "lo of a network namespace that is the host's",
		lesson: "5b",
		file:   "loopback.go",
		text:   "cloneFlags&unix.CLONE_NEWNET == 0",
		new:    "cloneFlags == 0",
		about:  "step5-complete/network-none",
		says:   []string{"refused: ioctl(SIOCSIFFLAGS): EPERM", "network namespace is not the"},
	},
	{
		name:   "an overlay of a directory that is not there",
		lesson: "5c",
		file:   "layer.go",
		text:   "lowerdir=.,",
		new:    "lowerdir=rootfs,",
		about:  "step5-complete/rootfs-written",
		says:   []string{"A relative path begins at the working directory"},
	},
	{
		name:   "the user before the groups",
		lesson: "5d",
		file:   "rights.go",
		text:   "\tdropGroups()\n",
		new:    "\tunix.Setresuid(uid, uid, uid)\n\tdropGroups()\n",
		about:  "step5-complete/user",
		says:   []string{"refused: setgroups(0): EPERM", "setresuid(2) last"},
	},
	{
		name:   "groups in a user namespace",
		lesson: "5d",
		file:   "rights.go",
		text:   `string(may) == "deny\n"`,
		new:    `string(may) == "never"`,
		about:  "step5-complete/user",
		says:   []string{"refused: setgroups(0): EPERM", "/proc/self/setgroups says deny"},
	},
	{
		name:   "the user before the capabilities",
		lesson: "5d",
		file:   "rights.go",
		text:   "\tdropCapabilities()\n",
		new:    "\tunix.Setresuid(uid, uid, uid)\n\tdropCapabilities()\n",
		about:  "step5-complete/user",
		says:   []string{"refused: prctl(PR_CAPBSET_DROP", "change the user last"},
	},
	{
		name:   "capset alone",
		lesson: "5d",
		file:   "rights.go",
		text:   "if slices.Contains(capabilities, c) {",
		new:    "if c >= 0 || slices.Contains(capabilities, c) {",
		about:  "step5-complete/hostname-in",
		says:   []string{"capset(2) alone does not last"},
	},
}

// TestChapterWords lets programs with one fault in a chapter be told of it.
func TestChapterWords(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("asks for root: the scripts of these chapters do")
	}
	root, err := moduleRoot()
	require.NoError(t, err)
	course, err := readCourse(root)
	require.NoError(t, err)
	host, err := harness.NewHost(root)
	require.NoError(t, err)
	defer func() { require.NoError(t, host.Close()) }()
	for _, c := range chapterWords {
		t.Run(c.name, func(t *testing.T) {
			l, err := course.find(c.lesson)
			require.NoError(t, err)
			files, err := course.stageOf(l)
			require.NoError(t, err)
			before := string(files[c.file])
			require.Equal(t, 1, strings.Count(before, c.text), "%q", c.text)
			files[c.file] = []byte(strings.Replace(before, c.text, c.new, 1))
			dir, err := lessons.WriteFiles(root, files)
			defer os.RemoveAll(dir)
			require.NoError(t, err)
			program := filepath.Join(dir, "program")
			require.NoError(t, harness.Build(context.Background(), program, dir))
			failed := firstFailureOf(t, host, program, course.promised(l, state{}))
			require.NotNil(t, failed)
			text := inRows(t, *failed)
			require.Equal(t, c.about, headline(root, *failed).ID(), text)
			for _, words := range c.says {
				require.Contains(t, text, words)
			}
			for _, words := range c.not {
				require.NotContains(t, text, words)
			}
		})
	}
}
