package main

import "fmt"

// workshop is the whole of it: what the five steps put between a command and the kernel.
func workshop() *drawing {
	d := &drawing{
		name:   "workshop",
		title:  "What the five steps put between a command and the kernel",
		height: 476,
		desc: "Two processes on one kernel. sh on the host sees, has, uses and may do all that " +
			"root may. Between sh in the container and the kernel are the five steps. Step 1: " +
			"a place to stand before the command. Step 2: it sees a host name, processes and " +
			"mounts of its own. Step 3: it has files of its own, rootfs as its root " +
			"directory. Step 4: it uses 64M of memory, 32 processes and 0.5 of a processor. " +
			"Step 5: it may do less than root of the host.",
	}
	shell := rect{x: margin, y: 62, w: 150, h: 46}
	container := rect{x: 190, y: 16, w: 514, h: 366}
	command := rect{x: 206, y: 62, w: 482, h: 46}
	kernel := rect{x: margin, y: 414, w: 688, h: 46}
	d.area(container, own, "*A container*")
	d.text(margin, 44, start, "*The host*")
	d.box(shell, host, "`sh`")
	d.box(command, own, "`sh`")
	d.arrow(point{shell.x + 75, shell.bottom()}, point{shell.x + 75, kernel.y})
	last := command
	for i, step := range []string{
		"a place to stand, before the command",
		"*sees* its own name, processes, mounts",
		"*has* its own files: `rootfs` is `/`",
		"*uses* `64M`, `32` processes, `0.5` processors",
		"*may do* less than root of the host",
	} {
		r := rect{x: command.x, y: 126 + i*50, w: command.w, h: 40}
		d.shape(r, key, "box", func() {
			d.text(r.x+14, r.y+26, start, fmt.Sprintf("step %d", i+1))
			d.text(r.x+90, r.y+26, start, step)
		})
		d.line(point{447, last.bottom()}, point{447, r.y})
		last = r
	}
	d.arrow(point{447, last.bottom()}, point{447, kernel.y})
	d.box(kernel, host, "one kernel for both")
	return d
}

// skeleton is step 1: two copies of the program, and the command.
func skeleton() *drawing {
	d := &drawing{
		name:   "step1",
		title:  "Two copies of the program, and the command",
		height: 500,
		desc: "Three processes, each started by the one before. Process 708 is container run " +
			"sleep 100, the first copy. It starts /proc/self/exe child sleep 100, process 715: " +
			"the second copy, where later steps put their lines. That starts sleep 100, process " +
			"722. The signal TERM from kill goes down through both copies to the command and " +
			"ends it, and the exit status 143, which is 128+15, goes up through both to the " +
			"shell.",
	}
	first := rect{x: 170, y: 20, w: 390, h: 76}
	second := rect{x: 170, y: 196, w: 390, h: 108}
	command := rect{x: 170, y: 404, w: 390, h: 76}
	d.box(first, host, "`./container run sleep 100`", "process 708, the first copy")
	d.box(second, key, "`/proc/self/exe child sleep 100`", "process 715, the second copy:",
		"*later steps put their lines here*")
	d.box(command, own, "`sleep 100`", "process 722, the command")

	d.text(30, 50, start, "`kill`")
	d.arrow(point{30, 62}, point{first.x, 62})
	d.arrow(point{first.right(), 62}, point{690, 62})
	d.text(690, 50, end, "`echo $?`")
	d.text(690, 88, end, "143")
	for _, gap := range []struct {
		from, to rect
		does     string
		what     string
		signal   string
		status   string
	}{
		{first, second, "starts", "`/proc/self/exe`", "TERM", "exits with 143"},
		{second, command, "starts", "the command", "TERM", "ended by TERM, 15"},
	} {
		y := (gap.from.bottom()+gap.to.y)/2 + 6
		d.arrow(point{210, gap.from.bottom()}, point{210, gap.to.y})
		d.text(198, y, end, gap.signal)
		d.arrow(point{300, gap.from.bottom()}, point{300, gap.to.y})
		d.text(312, y-12, start, gap.does, gap.what)
		d.arrow(point{500, gap.to.y}, point{500, gap.from.bottom()})
		d.text(512, y, start, gap.status)
	}
	d.text(576, 236, start, "143 =", "128 + 15")
	return d
}

// namespaces is step 2: which of its namespaces a process has for itself.
func namespaces() *drawing {
	d := &drawing{
		name:   "step2",
		title:  "The namespaces round a process",
		height: 560,
		desc: "The host, container run sh, and the eight kinds of namespaces. The container has " +
			"three of its own: uts, where the host name is container and not host; pid, where " +
			"its shell is process 7, which is 742 for the host; and mnt, which is a copy of the " +
			"host's mount table. The other five, ipc, net, user, cgroup and time, are one for " +
			"both until -ns asks for more.",
	}
	const left, right, w, h = 112, 416, 288, 42
	d.box(rect{x: left, y: 16, w: w, h: 46}, host, "the host")
	d.box(rect{x: right, y: 16, w: w, h: 46}, own, "`./container run sh`")
	d.text(margin, 96, start, "*Its own*, by default")
	y := 110
	for _, n := range []struct{ name, outside, inside string }{
		{"`uts`", "host name `host`", "host name `container`"},
		{"`pid`", "`sh` is process `742`", "`sh` is process `7`"},
		{"`mnt`", "the mount table", "a copy of the mount table"},
	} {
		d.text(margin, y+27, start, n.name)
		d.box(rect{x: left, y: y, w: w, h: h}, host, n.outside)
		d.box(rect{x: right, y: y, w: w, h: h}, key, n.inside)
		y += h + 8
	}
	d.text(margin, y+26, start, "*One for both*, until `-ns` asks for more")
	y += 40
	for _, n := range []struct{ name, what string }{
		{"`ipc`", "System V IPC, message queues"},
		{"`net`", "interfaces, addresses, routes, ports"},
		{"`user`", "user ids, group ids, capabilities"},
		{"`cgroup`", "what is the root in `/proc/PID/cgroup`"},
		{"`time`", "offsets of the clocks"},
	} {
		d.text(margin, y+27, start, n.name)
		d.box(rect{x: left, y: y, w: right + w - left, h: h}, host, n.what)
		y += h + 8
	}
	return d
}

// rootfs is step 3: the mount table before and after pivot_root(2).
func rootfs() *drawing {
	d := &drawing{
		name:   "step3",
		title:  "The mount table before and after pivot_root",
		height: 346,
		desc: "The mount table of the container, three times. After mount with MS_BIND: the " +
			"host's root on /, with /proc and others below it, and rootfs, which is now a mount " +
			"of its own. After pivot_root of dot and dot: rootfs is on /, with a new proc on " +
			"/proc, and the old root with all its mounts lies on top of it, where only dot " +
			"leads. After umount of dot with MNT_DETACH: rootfs on / and the new proc on /proc " +
			"are all that is left, and no path leads to the host's files.",
	}
	const w, row = 218, 62
	columns := []int{16, 251, 486}
	for i, heading := range [][]string{
		{"*1*  `mount`", "`MS_BIND`"},
		{"*2*  `pivot_root`", `"." and "."`},
		{"*3*  `umount`", "`MNT_DETACH`"},
	} {
		d.text(columns[i], 36, start, heading...)
	}
	x := columns[0]
	root := rect{x: x, y: 84, w: w, h: row}
	proc := rect{x: x + 30, y: 164, w: w - 30, h: 42}
	others := rect{x: x + 30, y: 216, w: w - 30, h: 42}
	bind := rect{x: x + 30, y: 268, w: w - 30, h: row}
	d.branch(root, proc, others, bind)
	d.entry(root, host, "`/`", "the host's root")
	d.entry(proc, host, "`/proc`")
	d.entry(others, host, "`/sys`, `/dev`, ...")
	d.entry(bind, own, "`/workshop/rootfs`", `"." is here`)

	x = columns[1]
	old := rect{x: x, y: 84, w: w, h: 92}
	root = rect{x: x, y: 180, w: w, h: row}
	proc = rect{x: x + 30, y: 268, w: w - 30, h: row}
	d.entry(old, host, "on top: the old root", "with all its mounts;", `only "." leads here`)
	d.branch(root, proc)
	d.entry(root, own, "`/`", "the files of `rootfs`")
	d.entry(proc, key, "`/proc`", "a new one")

	x = columns[2]
	old.x, root.x, proc.x = x, x, x+30
	d.entry(old, gone, "the old root:", "no path leads to it")
	d.branch(root, proc)
	d.entry(root, own, "`/`", "the files of `rootfs`")
	d.entry(proc, own, "`/proc`", "of this container")
	return d
}

// cgroups is step 4: the trees of the two versions.
func cgroups() *drawing {
	d := &drawing{
		name:   "step4",
		title:  "The trees of cgroup version 1 and 2",
		height: 606,
		desc: "container run -memory 64M -pids 32 -cpus 0.5, on both versions. Version 2 has one " +
			"tree: the directory NAME right below /sys/fs/cgroup has the files memory.max " +
			"67108864, memory.swap.max 0, pids.max 32 and cpu.max 50000, and cgroup.procs with " +
			"the process 1201. Version 1 has a tree for each controller: a directory NAME below " +
			"memory with memory.limit_in_bytes and memory.memsw.limit_in_bytes 67108864, one " +
			"below pids with pids.max 32, and one below cpu with cpu.cfs_quota_us 50000. The " +
			"process is in cgroup.procs of all three.",
	}
	d.text(margin, 36, start, "*Version 2*: one tree for all controllers")
	top := rect{x: margin, y: 52, w: 240, h: 42}
	group := rect{x: 60, y: 112, w: 644, h: 128}
	d.branch(top, group)
	d.entry(top, host, "`/sys/fs/cgroup/`")
	d.text(704, 79, end, "`NAME` is `container-AMTGRFFAACUFB...`")
	d.area(group, key, "`NAME/`")
	d.text(group.x+14, group.y+58, start,
		"`memory.max       67108864`", "`memory.swap.max  0`", "`cgroup.procs     1201`")
	d.text(group.x+380, group.y+58, start, "`pids.max  32`", "`cpu.max   50000`")

	d.text(margin, 286, start, "*Version 1*: a tree for each controller")
	for _, tree := range []struct {
		controller string
		x, w       int
		files      []string
	}{
		{"memory", 16, 302, []string{
			"`memory.limit_in_bytes`", "`  67108864`",
			"`memory.memsw.limit_in_bytes`", "`  67108864`",
		}},
		{"pids", 327, 178, []string{"`pids.max`", "`  32`"}},
		{"cpu", 514, 190, []string{"`cpu.cfs_quota_us`", "`  50000`"}},
	} {
		top := rect{x: tree.x, y: 302, w: tree.w, h: 66}
		group := rect{x: tree.x, y: 388, w: tree.w, h: 202}
		d.entry(top, host, "`/sys/fs/cgroup/`", "`  "+tree.controller+"`")
		d.line(point{tree.x + 12, top.bottom()}, point{tree.x + 12, group.y})
		d.area(group, key, "`NAME/`")
		d.text(tree.x+14, group.y+57, start, tree.files...)
		d.text(tree.x+14, group.y+161, start, "`cgroup.procs`", "`  1201`")
	}
	return d
}
