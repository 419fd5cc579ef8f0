//go:build linux

package main

// Chapter c: A layer, and names in /etc. The container writes to a layer of its own, and the root
// file system below stays as it is: many containers can share it.

import (
	"os"

	"golang.org/x/sys/unix"
)

// mountLayer puts a layer over the working directory, and makes the two together the working
// directory (overlayfs.rst in the kernel's documentation). It covers the host's /tmp, in this mount
// namespace alone.
func mountLayer() {
	// The layer is in memory, and gone with the container. No device works there (mount(2)).
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	must(unix.Mount("tmpfs", "/tmp", "tmpfs", flags, "mode=755"), "mount tmpfs on /tmp")
	for _, dir := range []string{"/tmp/upper", "/tmp/work", "/tmp/root"} {
		must(os.Mkdir(dir, 0o755), "layer")
	}
	// Root of a user namespace may not set the attributes by which overlayfs marks what was
	// removed, unless they are user.* attributes.
	const options = "lowerdir=.,upperdir=/tmp/upper,workdir=/tmp/work,userxattr"
	must(unix.Mount("overlay", "/tmp/root", "overlay", unix.MS_NODEV, options), "mount overlay")
	must(unix.Chdir("/tmp/root"), "layer")
}

// readNameservers reads the host's list of servers that resolve names.
func readNameservers() []byte {
	text, err := os.ReadFile("/etc/resolv.conf")
	if !os.IsNotExist(err) { // a host without a network need not have one
		must(err, "name servers")
	}
	return text
}

// writeNames writes in the layer what the container is called, and who knows other names.
func writeNames(nameservers []byte) {
	address := "127.0.1.1"
	address = addressOfEth0(address) // h
	writeEtc("hostname", []byte(*hostname+"\n"))
	writeEtc("hosts", []byte("127.0.0.1 localhost\n::1 localhost\n"+address+" "+*hostname+"\n"))
	writeEtc("resolv.conf", nameservers)
}

// writeEtc writes a file in /etc. In the root file system it may be a link to somewhere else.
func writeEtc(name string, text []byte) {
	file := "/etc/" + name
	err := os.MkdirAll("/etc", 0o755)
	if err == nil {
		err = os.RemoveAll(file)
	}
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if !os.IsPermission(err) { // the root file system of another user
		must(err, "names")
	}
}
