//go:build linux

package record

import "golang.org/x/sys/unix"

// callsHere are those that other architectures do not have.
var callsHere = []callKind{
	{number: unix.SYS_FORK, name: "fork", man: "fork(2)", decode: decodeFork},
	{number: unix.SYS_VFORK, name: "vfork", man: "vfork(2)", decode: decodeVfork},
	{number: unix.SYS_OPEN, name: "open", man: "open(2)", decode: decodeOpen},
	{number: unix.SYS_CREAT, name: "creat", man: "creat(2)", decode: decodeCreat},
	{
		number: unix.SYS_MKDIR, name: "mkdir", man: "mkdir(2)", decode: decodeMkdir,
		looks: lookCgroups,
	},
	{
		number: unix.SYS_RMDIR, name: "rmdir", man: "rmdir(2)", decode: decodeRmdir,
		looks: lookCgroups,
	},
	{number: unix.SYS_MKNOD, name: "mknod", man: "mknod(2)", decode: decodeMknod},
	{number: unix.SYS_SYMLINK, name: "symlink", man: "symlink(2)", decode: decodeSymlink},
}

// conditionsHere are those of these calls.
var conditionsHere = []conditional{
	{unix.SYS_OPEN, condition{arg: 1, any: unix.O_WRONLY | unix.O_RDWR}},
}

func decodeFork(c *call) bool {
	c.cloned(0, 0)
	c.args = c.args[:0]
	return true
}

func decodeVfork(c *call) bool {
	c.cloned(unix.CLONE_VM|unix.CLONE_VFORK, 0)
	c.args = c.args[:0]
	return true
}

func decodeOpen(c *call) bool { return c.opens(unix.AT_FDCWD, c.text(0), c.raw[1]) }

func decodeCreat(c *call) bool {
	return c.opens(unix.AT_FDCWD, c.text(0), unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC)
}

func decodeMkdir(c *call) bool { return c.makesDir(unix.AT_FDCWD, c.text(0)) }

func decodeRmdir(c *call) bool { return c.removesDir(unix.AT_FDCWD, c.text(0)) }

func decodeMknod(c *call) bool {
	return c.makesNode(unix.AT_FDCWD, c.text(0), c.raw[1], c.raw[2])
}

func decodeSymlink(c *call) bool { return c.makesLink(c.text(0), unix.AT_FDCWD, c.text(1)) }
