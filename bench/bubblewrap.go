//go:build linux

package main

import (
	"os"
	"path"
	"strconv"
	"strings"

	"container.example/workshop/runtime/config"
	"container.example/workshop/runtime/rights"
	"container.example/workshop/runtime/rootfs"
)

// lacking is what bubblewrapTheSame does not have, for the reader of the table.
const (
	lacking = "What %q lacks of a container: %sids of its own (its root is root of the machine), " +
		"a session keyring, loss of the caller's groups, masks of size 0; its sysfs is bound."
	lackingOverlay = "a layer for what is written (this bubblewrap has no overlay), "
)

// bubblewrapTheSame is bubblewrap with options for all that a container of ours has, as far as it
// has them: the same file systems, devices, masks, names, variables, capabilities, and the filter.
func (b *bench) bubblewrapTheSame(filter string) (c contestant, err error) {
	c = contestant{name: theSame}
	give := func(file string) string { // returns its descriptor
		c.files = append(c.files, file)
		return strconv.Itoa(2 + len(c.files))
	}
	c.args = []string{
		"bwrap", "--unshare-all", "--unshare-user", "--uid", "0", "--gid", "0",
		"--hostname", "container", "--new-session", "--die-with-parent", "--as-pid-1",
		"--seccomp", give(filter),
	}
	if bubblewrapHas("--tmp-overlay") {
		c.add("--overlay-src", b.path("rootfs"), "--tmp-overlay", "/")
	} else {
		c.add("--bind", b.path("rootfs"), "/")
	}
	c.add("--proc", "/proc", "--ro-bind", b.sys(), "/sys", "--dev", "/dev")
	c.add("--perms", "1777", "--size", strconv.Itoa(64<<20), "--tmpfs", "/dev/shm")
	c.add("--mqueue", "/dev/mqueue")
	b.addMasks(&c)
	c.add("--cap-drop", "ALL")
	for _, name := range rights.CapabilityNames(config.DefaultCapabilities) {
		c.add("--cap-add", name)
	}
	// What a container of ours has in its files and its environment is asked of one.
	for _, name := range []string{"hosts", "hostname", "resolv.conf"} {
		text, err := b.output(b.container(""), "cat", "/etc/"+name)
		if err != nil {
			return c, err
		}
		if err := os.WriteFile(b.path(name), []byte(text), 0o644); err != nil {
			return c, err
		}
		c.add("--bind-data", give(b.path(name)), "/etc/"+name)
	}
	variables, err := b.output(b.container(""), "env")
	if err != nil {
		return c, err
	}
	c.add("--chdir", "/", "--clearenv")
	for variable := range strings.Lines(variables) {
		name, value, _ := strings.Cut(strings.TrimSpace(variable), "=")
		c.add("--setenv", name, value)
	}
	c.add("CMD")
	return c, nil
}

func (c *contestant) add(args ...string) { c.args = append(c.args, args...) }

// addMasks hides what a container of ours does not show. What the kernel does not have needs no
// mask. bubblewrap itself makes some of /proc read-only, and cannot bind what it has mounted: so
// the rest is bound from the machine's /proc, which shows the same there.
func (b *bench) addMasks(c *contestant) {
	for _, mask := range rootfs.MaskedPaths() {
		on := mask
		if rest, isSys := strings.CutPrefix(mask, "/sys/"); isSys {
			on = path.Join(b.sys(), rest)
		}
		switch stat, err := os.Stat(on); {
		case err != nil:
		case stat.IsDir():
			c.add("--tmpfs", mask, "--remount-ro", mask)
		default: // with --ro-bind to read it would be an error
			c.add("--dev-bind", "/dev/null", mask)
		}
	}
	for _, name := range rootfs.ReadOnlyPaths() {
		own := name == "/proc/bus" || name == "/proc/irq" || name == "/proc/sysrq-trigger"
		if _, err := os.Stat(name); err == nil && !own {
			c.add("--ro-bind", name, name)
		}
	}
}
