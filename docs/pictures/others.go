package main

// list is the runtime: the plan in the memory that it shares with the child.
func list() *drawing {
	d := &drawing{
		name:   "runtime",
		title:  "The list in the memory of two processes",
		height: 548,
		desc: "The list of system calls lies in memory that the runtime and the child share. The " +
			"child has made prctl, ppoll, setsid and umask, whose results stand in the list, " +
			"and is making unshare of CLONE_NEWNET. The runtime has written on meanwhile, " +
			"socket and ioctl, and is writing the next call; the last one will be execve. They " +
			"wait for each other at a futex, and only if they must.",
	}
	memory := rect{x: 138, y: 16, w: 392, h: 486}
	d.area(memory, host, "*Shared memory*: calls and results")
	row := func(i int) rect { return rect{x: memory.x + 8, y: 60 + i*48, w: memory.w - 16, h: 42} }
	for i, call := range []struct {
		line string
		l    look
	}{
		{"`prctl(PR_SET_PDEATHSIG, ...)   = 0`", own},
		{"`ppoll([<runtime> POLLIN], ...) = 0`", own},
		{"`setsid()                       = 1`", own},
		{"`umask(0)                     = 022`", own},
		{"`unshare(CLONE_NEWNET)`", key},
		{"`socket(AF_INET, ...)`", host},
		{"`ioctl(<socket>, SIOCSIFFLAGS, ...)`", host},
		{"...", gone},
		{"`execve`", gone},
	} {
		d.entry(row(i), call.l, call.line)
	}
	d.text(548, row(1).y+38, start, "made,", "with results")
	child := rect{x: 566, y: row(4).y - 12, w: 138, h: 66}
	d.box(child, own, "*child*", "makes it")
	d.arrow(point{child.x, child.y + 33}, point{row(4).right(), child.y + 33})
	d.text(548, row(6).y, start, "written")
	runtime := rect{x: margin, y: row(7).y - 12, w: 100, h: 66}
	d.box(runtime, host, "*runtime*", "writes it")
	d.arrow(point{runtime.right(), runtime.y + 33}, point{row(7).x, runtime.y + 33})
	d.text(548, row(8).y+3, start, "not yet written")
	d.text(margin, 532, start, "They wait for each other at a `futex`, and only if they must.")
	return d
}

// images is the image tool: layers, and how the difference travels.
func images() *drawing {
	d := &drawing{
		name:   "image",
		title:  "Two images, and what travels",
		height: 500,
		desc: "The images busybox and mine in the store, and a push of mine to a registry that " +
			"has busybox. A name leads to a manifest, and that lists a config and layers, all " +
			"blobs named by their digests. busybox: manifest 07f035b9cd4b, config 4bcf37e90551 " +
			"of 281 B, layer b494b4516e7e of 1.1 MB. mine: manifest 6f3225464567, config " +
			"7cb9ec614270 of 418 B, the same layer, and the layer 24e981b6116a of 412 B. The " +
			"manifest, the config and the small layer of mine travel, 1.4 kB together; the " +
			"large layer is there already.",
	}
	d.area(rect{x: margin, y: 16, w: 456, h: 438}, host, "*The store*")
	d.area(rect{x: 554, y: 16, w: 150, h: 438}, host, "*The registry*")
	const before, after, w = 44, 268, 186
	d.text(before+w/2, 76, middle, "`busybox`")
	d.text(after+w/2, 76, middle, "`mine`")
	const shared = 354 // the top of the layer of both
	for _, x := range []int{before, after} {
		d.line(point{x, 121}, point{x - 14, 121}, point{x - 14, shared})
		d.line(point{x - 14, 209}, point{x, 209})
	}
	d.line(point{after - 14, 297}, point{after, 297})
	for i, row := range []struct{ old, kind, new, size string }{
		{"`07f035b9cd4b`", "manifest", "`6f3225464567`", ""},
		{"`4bcf37e90551`", "config", "`7cb9ec614270`", "418 B"},
		{"", "layer", "`24e981b6116a`", "412 B"},
	} {
		y := 90 + i*88
		if row.old != "" {
			d.box(rect{x: before, y: y, w: w, h: 62}, host, row.kind, row.old)
		}
		d.box(rect{x: after, y: y, w: w, h: 62}, key, row.kind, row.new)
		d.arrow(point{after + w, y + 31}, point{570, y + 31})
		if row.size != "" {
			d.text(513, y+19, middle, row.size)
		}
		d.box(rect{x: 570, y: y, w: 118, h: 62}, key, "came")
	}
	d.box(rect{x: 28, y: shared, w: 426, h: 80}, host, "layer of both, 1.1 MB", "`b494b4516e7e`")
	d.box(rect{x: 570, y: shared, w: 118, h: 80}, host, "is there")
	d.dashes(point{454, 394}, point{513, 394})
	d.cross(513, 394)
	d.text(margin, 484, start, "`image push localhost:5000/mine`: sent 1.4 kB of 1.1 MB")
	return d
}
