package main

import "fmt"

// process is chapter a: the command is process 1.
func process() *drawing {
	d := &drawing{
		name:   "step5a",
		title:  "The command is process 1",
		height: 462,
		desc: "The container of step 4 beside that of chapter a. In step 4 process 1 is " +
			"/proc/self/exe child, which starts the command as process 8 and waits. In chapter " +
			"a there is one process in the container: by execve the command takes the place of " +
			"/proc/self/exe child, after the parent has let it go on. The number of the " +
			"process, its parent, its namespaces, its root directory and its cgroup stay; our " +
			"program, the environment of the caller and open files from number 3 on go.",
	}
	const w = 336
	for _, side := range []struct {
		x     int
		title string
		does  string
	}{
		{16, "*Step 4*", "starts it, and waits"},
		{368, "*Chapter a*", "starts it, lets it go on"},
	} {
		parent := rect{x: side.x, y: 16, w: w, h: 46}
		inside := rect{x: side.x, y: 126, w: w, h: 258}
		d.box(parent, host, "`./container run ps -o pid,args`")
		d.arrow(point{side.x + 60, parent.bottom()}, point{side.x + 60, inside.y})
		d.text(side.x+74, 100, start, side.does)
		d.area(inside, own, side.title+": in the container")
	}
	child := rect{x: 36, y: 172, w: 296, h: 70}
	command := rect{x: 36, y: 298, w: 296, h: 70}
	d.box(child, host, "process 1", "`/proc/self/exe child`")
	d.arrow(point{76, child.bottom()}, point{76, command.y})
	d.text(90, 276, start, "starts it, and waits")
	d.box(command, own, "process 8", "`ps -o pid,args`")

	one := rect{x: 388, y: 172, w: 296, h: 196}
	d.area(one, own, "process 1")
	before := rect{x: 404, y: 214, w: 264, h: 42}
	after := rect{x: 404, y: 310, w: 264, h: 42}
	d.box(before, gone, "`/proc/self/exe child`")
	d.arrow(point{428, before.bottom()}, point{428, after.y})
	d.text(442, 289, start, "becomes, by `execve`")
	d.box(after, key, "`ps -o pid,args`")

	d.text(margin, 418, start, "*stays*", "*goes*")
	d.text(92, 418, start, "number, parent, namespaces, root directory, cgroup",
		"our program, the environment of the caller, open files")
	return d
}

// devices is chapter b: /dev, /sys and /proc.
func devices() *drawing {
	d := &drawing{
		name:   "step5b",
		title:  "What the container sees of /dev, /sys and /proc",
		height: 462,
		desc: "Five things of the host's kernel, and what the container sees in their place. " +
			"/dev/null is the same device, 1:3, by a bind mount. /sys is read-only, and so is " +
			"/proc/sys. The file /proc/keys is covered by /dev/null and so is empty. The " +
			"directory /proc/acpi is covered by an empty tmpfs.",
	}
	d.area(rect{x: 16, y: 16, w: 220, h: 430}, host, "*The host's kernel*")
	d.area(rect{x: 464, y: 16, w: 240, h: 430}, own, "*The container sees*")
	for i, row := range []struct {
		outside, how, inside string
		passes               bool
	}{
		{"`/dev/null`, 1:3", "by a bind mount", "the same device", true},
		{"`/sys`", "read-only", "`/sys`", true},
		{"`/proc/sys`", "read-only", "`/proc/sys`", true},
		{"`/proc/keys`", "covered by `/dev/null`", "an empty file", false},
		{"`/proc/acpi`", "covered by a `tmpfs`", "an empty directory", false},
	} {
		from := rect{x: 32, y: 62 + i*76, w: 188, h: 56}
		to := rect{x: 484, y: from.y, w: 204, h: 56}
		y := from.y + from.h/2
		d.box(from, host, row.outside)
		d.text(340, y-12, middle, row.how)
		if row.passes {
			d.box(to, own, row.inside)
			d.arrow(point{from.right(), y}, point{to.x, y})
			continue
		}
		d.box(to, key, row.inside)
		d.dashes(point{from.right(), y}, point{448, y})
		d.cross(448, y)
	}
	return d
}

// layers is chapter c: an overlay.
func layers() *drawing {
	d := &drawing{
		name:   "step5c",
		title:  "An overlay: a layer of its own above a root file system for all",
		height: 470,
		desc: "Two directories and what the container sees: the two as one. The lower one is " +
			"rootfs, which many containers share and nobody changes; it has /etc/hosts, " +
			"/etc/passwd and /var. The upper one is /tmp/upper, in memory, for this container " +
			"alone; it has /etc/hosts and /etc/motd, and a mark in place of /var. The container " +
			"sees /etc/hosts of the upper one, which was written; /etc/motd of the upper one, " +
			"which is new; /etc/passwd of the lower one, which was only read; and no /var, " +
			"which was removed.",
	}
	seen := rect{x: margin, y: 60, w: 688, h: 86}
	upper := rect{x: margin, y: 214, w: 688, h: 86}
	lower := rect{x: margin, y: 368, w: 688, h: 86}
	d.entry(seen, own, "*seen*", "as `/`")
	d.entry(upper, key, "*upper*", "in memory")
	d.entry(lower, host, "*lower*", "`rootfs`")
	for i, file := range []struct{ did, seen, upper, lower string }{
		{"written", "`/etc/hosts`", "`/etc/hosts`", "`/etc/hosts`"},
		{"new", "`/etc/motd`", "`/etc/motd`", ""},
		{"only read", "`/etc/passwd`", "", "`/etc/passwd`"},
		{"removed", "no `/var`", "a mark", "`/var`"},
	} {
		at := func(layer rect) rect {
			return rect{x: 140 + i*140, y: layer.y + 20, w: 128, h: 46}
		}
		middleX := at(seen).x + at(seen).w/2
		d.text(middleX, 40, middle, file.did)
		l := own
		if file.did == "removed" {
			l = gone
		}
		d.box(at(seen), l, file.seen)
		from := at(lower)
		if file.upper != "" {
			from = at(upper)
			d.box(from, key, file.upper)
		}
		d.arrow(point{middleX, from.y}, point{middleX, at(seen).bottom()})
		if file.lower == "" {
			continue
		}
		d.box(at(lower), host, file.lower)
		if file.upper != "" {
			d.dashes(point{middleX, at(lower).y}, point{middleX, upper.bottom() + 20})
			d.cross(middleX, upper.bottom()+20)
		}
	}
	return d
}

// kept are the capabilities of root in the container, by number.
var kept = []struct {
	number int
	name   string
}{
	{0, "CHOWN"},
	{1, "DAC_OVERRIDE"},
	{3, "FOWNER"},
	{4, "FSETID"},
	{5, "KILL"},
	{6, "SETGID"},
	{7, "SETUID"},
	{8, "SETPCAP"},
	{10, "NET_BIND_SERVICE"},
	{13, "NET_RAW"},
	{18, "SYS_CHROOT"},
	{27, "MKNOD"},
	{29, "AUDIT_WRITE"},
	{31, "SETFCAP"},
}

// rights is chapter d: capabilities.
func rights() *drawing {
	d := &drawing{
		name:   "step5d",
		title:  "Fourteen of 41 capabilities",
		height: 544,
		desc: "The 41 capabilities as numbered cells, of which 14 stay: CHOWN, DAC_OVERRIDE, " +
			"FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, NET_RAW, " +
			"SYS_CHROOT, MKNOD, AUDIT_WRITE and SETFCAP, together 00000000a80425fb. The other " +
			"27 are for the machine: SYS_ADMIN to mount, and others to load modules, to set the " +
			"clock, to restart, to trace any process. Below, the order in which rights go: the " +
			"bounding set, groups, ids, NoNewPrivs, the filter, and then execve; each line " +
			"takes away what the lines before it needed.",
	}
	d.text(margin, 36, start, "*Root's 41 capabilities*, of which 14 stay (filled)")
	d.sets()

	stay := rect{x: margin, y: 202, w: 424, h: 224}
	d.area(stay, own, "*stay*: `CapEff 00000000a80425fb`")
	for i, c := range kept {
		x, y := stay.x+38+i/7*186, stay.y+58+i%7*25
		d.text(x, y, end, fmt.Sprint(c.number))
		d.text(x+12, y, start, "`"+c.name+"`")
	}
	goes := rect{x: 456, y: 202, w: 248, h: 224}
	d.area(goes, gone, "*go*, for good:")
	d.text(goes.x+14, goes.y+58, start, "`SYS_ADMIN`: to mount", "to load modules",
		"to set the clock", "to restart the machine", "to trace any process", "and 22 others")

	d.text(margin, 464, start, "*The order*: each line takes what the lines before it needed")
	x := margin
	for _, step := range []struct {
		what string
		w    int
	}{
		{"bounding set", 144},
		{"groups", 94},
		{"ids", 62},
		{"`NoNewPrivs`", 122},
		{"filter", 78},
		{"`execve`", 88},
	} {
		r := rect{x: x, y: 482, w: step.w, h: 46}
		if x > margin {
			d.arrow(point{x - 20, 505}, point{x, 505})
		}
		d.box(r, key, step.what)
		x = r.right() + 20
	}
	return d
}

// sets draws a cell for each capability.
func (d *drawing) sets() {
	looks := [41]look{}
	for _, c := range kept {
		looks[c.number] = own
	}
	for i, l := range looks {
		cell := rect{x: margin + i%14*49, y: 52 + i/14*44, w: 43, h: 38}
		if l == own {
			d.box(cell, own, fmt.Sprintf("*%d*", i))
		} else {
			d.box(cell, gone, fmt.Sprint(i))
		}
	}
}

// calls is chapter e: the way of a system call through the filter.
func calls() *drawing {
	d := &drawing{
		name:   "step5e",
		title:  "A system call on its way through the filter",
		height: 584,
		desc: "A system call enters the filter, which sees its number, the architecture and the " +
			"arguments, and not what they point to. Questions follow, and the first yes " +
			"decides. Another architecture: the process is killed. In the list: allowed. clone: " +
			"without new namespaces allowed, with them EPERM. clone3, whose flags are in " +
			"memory: ENOSYS, so that the program uses clone. socket: of AF_ALG or AF_VSOCK " +
			"EPERM, others allowed. Newer than the list: ENOSYS. All others: EPERM.",
	}
	d.box(rect{x: margin, y: 16, w: 688, h: 46}, host,
		"a system call: *number*, *architecture*, *arguments*")
	filter := rect{x: margin, y: 96, w: 688, h: 472}
	d.area(filter, key, "*The filter*: the first yes decides. It sees no memory.")
	const spine = 52
	last := 0
	d.arrow(point{spine, 62}, point{spine, filter.y})
	for i, row := range []struct {
		question, verdict string
		l                 look
	}{
		{"another architecture?", "the process is killed", gone},
		{"in the list?", "allowed: the kernel does it", own},
		{"`clone`?", "with new namespaces: `EPERM`", gone},
		{"`clone3`?", "`ENOSYS`: use `clone`", gone},
		{"`socket`?", "`AF_ALG`, `AF_VSOCK`: `EPERM`", gone},
		{"newer than the list?", "`ENOSYS`: there is none", gone},
		{"any other", "`EPERM`: refused", gone},
	} {
		ask := rect{x: 36, y: 140 + i*60, w: 272, h: 46}
		answer := rect{x: 388, y: ask.y, w: 300, h: 46}
		d.entry(ask, host, row.question)
		d.entry(answer, row.l, row.verdict)
		d.arrow(point{ask.right(), ask.y + 23}, point{answer.x, ask.y + 23})
		if i < 6 {
			d.text(ask.right()+40, ask.y+17, middle, "yes")
		}
		if i > 0 {
			d.arrow(point{spine, last}, point{spine, ask.y})
		}
		last = ask.bottom()
	}
	return d
}

// nobody is chapter f: the ids of a user namespace, and an idmapped mount.
func nobody() *drawing {
	d := &drawing{
		name:   "step5f",
		title:  "Root is nobody: the map of ids",
		height: 520,
		desc: "A map of ids: 0 to 65535 in the container are 100000 to 165535 on the host, where " +
			"nothing belongs to these; no id of the container is 0, root, or a user of the " +
			"host. Below, the way of a file: in rootfs on the disk it belongs to 0, the " +
			"idmapped mount shows it with the owner 100000, and the container sees that as 0 " +
			"again.",
	}
	d.text(margin, 36, start, "*Processes*: the map of the user namespace")
	d.text(172, 70, middle, "in the container")
	d.text(548, 70, middle, "on the host")
	inside := rect{x: 56, y: 86, w: 232, h: 120}
	roots := rect{x: 432, y: 86, w: 232, h: 46}
	people := rect{x: 432, y: 138, w: 232, h: 46}
	mapped := rect{x: 432, y: 190, w: 232, h: 120}
	d.shape(inside, own, "area", func() {
		d.text(172, inside.y+28, middle, "`0`: root")
		d.text(172, inside.y+66, middle, "...")
		d.text(172, inside.bottom()-14, middle, "`65535`")
	})
	d.box(roots, host, "`0`: root")
	d.box(people, host, "1 ... 99999: users")
	d.shape(mapped, key, "area", func() {
		d.text(548, mapped.y+28, middle, "`100000`")
		d.text(548, mapped.y+66, middle, "no user has these")
		d.text(548, mapped.bottom()-14, middle, "`165535`")
	})
	d.arrow(point{inside.right(), 108}, point{mapped.x, mapped.y + 22})
	d.arrow(point{inside.right(), 186}, point{mapped.x, mapped.bottom() - 20})

	d.text(margin, 358, start, "*Files*: an idmapped mount translates their owners")
	for i, step := range []struct {
		l     look
		lines []string
	}{
		{host, []string{"`rootfs` on disk:", "owner `0`"}},
		{key, []string{"idmapped mount:", "owner `100000`"}},
		{own, []string{"in the container:", "owner `0`"}},
	} {
		r := rect{x: margin + i*242, y: 378, w: 204, h: 76}
		d.box(r, step.l, step.lines...)
		if i < 2 {
			d.arrow(point{r.right(), 416}, point{r.right() + 38, 416})
		}
	}
	d.text(margin, 494, start, "An ordinary user has one id to give: `0` inside is `1000` outside.")
	return d
}

// terminal is chapter g: a pair of terminals.
func terminal() *drawing {
	d := &drawing{
		name:   "step5g",
		title:  "A terminal of its own",
		height: 480,
		desc: "Two sessions. In the caller's, the caller's terminal is raw and passes Ctrl-C on " +
			"as a byte, and container run copies both ways between that terminal and one end of " +
			"a pair. The other end of the pair is /dev/pts/0 in the container's session. It " +
			"makes the byte a signal, INT, for the shell there. What the shell writes goes the " +
			"same way back. TIOCSTI from the container to the caller's terminal is refused.",
	}
	d.area(rect{x: margin, y: 16, w: 688, h: 166}, host, "*The caller's session*")
	d.area(rect{x: margin, y: 298, w: 688, h: 166}, own, "*The container's session*")
	outer := rect{x: 36, y: 64, w: 252, h: 96}
	parent := rect{x: 400, y: 64, w: 284, h: 96}
	shell := rect{x: 36, y: 346, w: 252, h: 96}
	inner := rect{x: 400, y: 346, w: 284, h: 96}
	d.box(outer, host, "the caller's terminal,", "raw: Ctrl-C is a byte")
	d.box(parent, host, "`./container run sh`", "copies both ways")
	d.box(inner, key, "`/dev/pts/0`", "Ctrl-C is a signal")
	d.box(shell, own, "`sh`", "standard streams: `0`, `1`, `2`")
	d.both(point{outer.right(), 112}, point{parent.x, 112})
	d.text(344, 100, middle, "bytes")
	d.both(point{542, parent.bottom()}, point{542, inner.y})
	d.text(556, 234, start, "the two ends", "of a pair")
	d.both(point{shell.right(), 394}, point{inner.x, 394})
	d.text(344, 382, middle, "`INT`")
	d.text(344, 418, middle, "output")
	d.dashes(point{278, shell.y}, point{278, 240})
	d.cross(278, 240)
	d.text(298, 246, start, "`TIOCSTI`: refused")
	return d
}

// network is chapter h: the bridge.
func network() *drawing {
	d := &drawing{
		name:   "step5h",
		title:  "The bridge, and a cable to each container",
		height: 520,
		desc: "Two containers on the bridge of the host. Each has lo and eth0, one with the " +
			"address 10.201.0.2 and the other with 10.201.0.3, and a default route to " +
			"10.201.0.1. eth0 is one end of a cable, a veth pair; the other end is workshop2 or " +
			"workshop3, a port of the bridge workshop0 on the host. The bridge has the address " +
			"10.201.0.1 and is the gateway. For what goes on to the rest of the world nftables " +
			"replaces the sender by the host's address.",
	}
	d.area(rect{x: margin, y: 218, w: 688, h: 202}, host, "*The host*")
	for _, c := range []struct {
		x      int
		number string
	}{
		{16, "2"},
		{376, "3"},
	} {
		eth0 := rect{x: c.x + 110, y: 104, w: 202, h: 46}
		port := rect{x: eth0.x, y: 262, w: eth0.w, h: eth0.h}
		d.area(rect{x: c.x, y: 16, w: 328, h: 152}, own, "*A container*")
		d.text(c.x+14, 72, start, "default via `10.201.0.1`")
		d.box(rect{x: c.x + 16, y: 104, w: 70, h: 46}, own, "`lo`")
		d.box(eth0, key, "`eth0  10.201.0."+c.number+"`")
		d.box(port, key, "`workshop"+c.number+"`")
		cable := eth0.x + eth0.w/2
		d.line(point{cable, eth0.bottom()}, point{cable, port.y})
		d.text(cable-14, 200, end, "a cable: `veth`")
		d.line(point{cable, port.bottom()}, point{cable, 340})
	}
	bridge := rect{x: 36, y: 340, w: 648, h: 60}
	d.box(bridge, host, "the bridge `workshop0`, `10.201.0.1`: a switch, and the gateway")
	d.arrow(point{360, bridge.bottom()}, point{360, 466})
	d.text(374, 446, start, "nftables: the sender is the host")
	d.box(rect{x: 200, y: 466, w: 320, h: 42}, gone, "the rest of the world")
	return d
}
