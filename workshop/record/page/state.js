// The parts of the page that show a state: what changed since the one before is marked.

// showState makes the cards for one process beside the host. View is {recording, n, before, after,
// pid, pick}: pick is called with the number of a process that was chosen.
function showState(view) {
	const cards = [
		processCard(view), besideCard(view), mountCard(view), cgroupCard(view), networkCard(view),
	];
	return cards.filter(Boolean);
}

// processCard draws the tree of processes.
function processCard(view) {
	const {before, after} = view;
	const all = new Map([...before.processes, ...after.processes]);
	const children = parent => [...all.keys()].filter(pid => {
		const above = String(all.get(pid).parent);
		return parent === null ? !all.has(above) : above === parent;
	}).sort((a, b) => a - b);
	const branch = parent => {
		const pids = children(parent);
		return pids.length > 0 &&
			h("ul", {class: "tree"}, pids.map(
				pid => h("li", {}, processNode(view, pid), branch(pid))));
	};
	return card("processes", "Processes", branch(null));
}

function processNode(view, pid) {
	const {recording, before, after} = view;
	const is = after.process(pid), was = before.process(pid);
	const sign = !is ? GONE : !was ? NEW : commandOf(is) !== commandOf(was) ? OTHER : "";
	const own = recording.apart(is || was);
	const chosen = pid === view.pid;
	const command = commandOf(is || was) || "?";
	const title = command === brief(command) ? "show this process" : command;
	return h("button", {
		type: "button", class: "process", "aria-pressed": String(chosen), "data-pid": pid,
		title, onclick: () => view.pick(pid),
	}, signed(sign, h("b", {}, pidsOf(pid, is || was))), " ",
	h("span", {class: "command"}, brief(command)),
	own.length > 0 && h("span", {class: "own"}, `own ${own.join(", ")}`));
}

// besideCard is the table with the host on the left and the process on the right.
function besideCard(view) {
	const {recording, before, after, pid} = view;
	const host = after.process(recording.hostPID) || recording.host;
	const is = after.process(pid);
	if (!is) return card("beside", `Process ${pid}`, h("p", {}, "It has ended."));
	// What a new process had before is what its parent had.
	const was = before.process(pid) || before.process(is.parent) || is;
	const start = recording.kept[0];
	const hostSees = part => after.of(recording.host, part) ?? start.of(recording.host, part);
	const rows = [];
	// Each row is about a field of a process, or about what a process sees.
	const row = (group, name, look) => rows.push(
		besideRow(group, name, look(host), look(is), look(was)));
	const group = name => rows.push(
		h("tr", {class: "group"}, h("th", {colspan: 3, scope: "rowgroup"}, name)));
	rows.push(besideRow("hostname", "host name", hostSees("hostnames"),
		after.of(is, "hostnames"), before.of(was, "hostnames")));
	group("namespaces");
	for (const kind of Object.keys(is.namespaces || {})) {
		if (!kind.endsWith("_for_children")) rows.push(namespaceRow(view, kind, is, was));
	}
	group("users");
	row("ids", "user ids", process => process.uids);
	row("ids", "uid map", process => process.uidMap || "empty");
	row("ids", "group ids", process => process.gids);
	row("ids", "gid map", process => process.gidMap || "empty");
	row("ids", "groups", process => process.groups || "none");
	group("files");
	row("root", "root", process => process.root);
	row("root", "directory", process => process.dir);
	group("capabilities");
	for (const set of CAPABILITY_SETS) {
		rows.push(capabilityRow(set, ...[host, is, was].map(
			process => capabilities(process, set))));
	}
	group("limits of what it may do");
	row("rights", "no_new_privs", process => process.noNewPrivs ? "yes" : "no");
	row("rights", "call filters", process => String(process.filters ?? 0));
	row("root", "session", process => process.session ? String(process.session) :
		"of another namespace");
	row("root", "terminal", process => process.terminal || "none");
	return h("section", {class: "card", id: "card-beside", "aria-label": "host and process"},
		h("table", {class: "beside"},
			h("thead", {}, h("tr", {}, h("td", {}), h("th", {scope: "col"}, "host"),
				h("th", {scope: "col"}, `process ${pidsOf(pid, is)}`))),
			h("tbody", {}, rows)));
}

// besideRow is a row of that table, with what was there before if it changed.
function besideRow(group, name, host = "none", value = "none", old = "none") {
	const changed = value !== old;
	return h("tr", {class: changed ? "row-changed" : "", "data-group": group},
		h("th", {scope: "row"}, name), h("td", {class: "host"}, host),
		h("td", {class: value === host ? "same" : ""}, signed(changed ? OTHER : "", value),
			changed && h("span", {class: "note"}, `was ${old}`)));
}

// capabilityRow is that of a set of capabilities.
function capabilityRow(set, host, is, was) {
	const changed = String(is) !== String(was);
	return h("tr", {class: changed ? "row-changed" : "", "data-group": "rights"},
		h("th", {scope: "row"}, set), h("td", {class: "host"}, capabilityText(host, host)),
		h("td", {class: String(is) === String(host) ? "same" : ""},
			signed(changed ? OTHER : "", capabilityText(is, host)),
			changed && h("span", {class: "note"}, capabilityChange(was, is))));
}

// namespaceRow is that of a namespace: its number, and who else is in it.
function namespaceRow({recording, after, pid}, kind, is, was) {
	const host = recording.host.namespaces?.[kind], number = is.namespaces[kind];
	const changed = number !== was.namespaces?.[kind];
	const others = [...after.processes].filter(([other, process]) =>
		other !== pid && process.namespaces?.[kind] === number).map(([other]) => other);
	const note = number === host ? "the host's" :
		others.length > 0 ? `with ${others.join(", ")}` : "its own";
	return h("tr", {class: changed ? "row-changed" : "", "data-group": "namespaces"},
		h("th", {scope: "row"}, kind), h("td", {class: "host"}, host ?? "none"),
		h("td", {class: number === host ? "same" : ""}, signed(changed ? NEW : "", number),
			h("span", {class: "note"}, note)));
}

// MOUNTS is how many rows of a mount table are shown before somebody asks for the rest.
const MOUNTS = 12;

// mountCard is the mount table that the process sees.
function mountCard(view) {
	const {before, after, pid} = view;
	const is = after.process(pid);
	const mounts = after.of(is, "mounts");
	if (!mounts) return null;
	const was = before.process(pid) || before.process(is.parent);
	const rows = mountDifferences(before.of(was, "mounts"), mounts);
	const changed = rows.filter(([sign]) => sign).length;
	// All that changed comes first if the table is long.
	const order = rows.length > MOUNTS ?
		[...rows.filter(([sign]) => sign), ...rows.filter(([sign]) => !sign)] : rows;
	const table = h("table", {class: "mounts"},
		h("thead", {}, h("tr", {}, ["mount point", "type", "source", "options"].map(
			text => h("th", {scope: "col"}, text)))));
	const body = table.appendChild(h("tbody", {}, order.slice(0, MOUNTS).map(mountRow)));
	const rest = order.slice(MOUNTS);
	const more = rest.length > 0 && h("button", {
		type: "button", class: "more",
		onclick: event => {
			body.append(...rest.map(mountRow));
			event.target.remove();
		},
	}, `${rest.length} more`);
	const heading = `Mounts of process ${pidsOf(pid, is)}: ${mounts.length}`;
	return card("mounts", changed ? `${heading}, ${changed} changed` : heading, table, more);
}

function mountRow([sign, mount, was]) {
	const source = mount.root === "/" ? mount.source : `${mount.source} ${mount.root}`;
	const all = one => [one.options, one.propagation].filter(
		text => text && text !== "private").join(" · ");
	const options = all(mount), old = was ? all(was) : "";
	return h("tr", {class: sign ? "row-changed" : "", "data-sign": sign || false},
		h("td", {title: mount.point}, signed(sign, brief(mount.point)),
			was && was.point !== mount.point && h("span", {class: "note"}, `was ${was.point}`)),
		h("td", {}, mount.type), h("td", {title: source}, brief(source)),
		h("td", {}, options.split(/(,)/).map(part => part === "," ? [part, h("wbr")] : part),
			was && old !== options && h("span", {class: "note"}, `was ${old}`)));
}

// cgroupCard shows the limits of each cgroup, and what is used as a curve over all steps.
function cgroupCard(view) {
	const {after, before} = view;
	const keys = new Set([...before.cgroups.keys(), ...after.cgroups.keys()]);
	if (keys.size === 0) return null;
	return card("cgroups", "Control groups", [...keys].map(key => {
		const is = after.cgroups.get(key), was = before.cgroups.get(key);
		const sign = !is ? GONE : !was ? NEW : "";
		const files = Object.keys((is || was).files || {}).sort();
		return h("div", {class: "cgroup"}, h("h4", {title: key}, signed(sign, brief(key))),
			h("p", {class: "note"}, membersOf(is)),
			is && h("table", {}, h("tbody", {}, files.map(
				file => fileRow(view, key, file, is, was)))));
	}));
}

// membersOf is the line that says which processes are in a cgroup.
function membersOf(cgroup) {
	const pids = cgroup?.processes || [];
	if (pids.length === 0) return "no process in it";
	return `${pids.length === 1 ? "process" : "processes"} ${pids.join(", ")} in it`;
}

function fileRow(view, key, file, is, was) {
	const value = is.files[file], old = was?.files?.[file];
	const changed = was && old !== value;
	const meter = /current|usage|peak/.test(file) &&
		drawCurve(view.recording.curve(key, file), view);
	return h("tr", {class: changed ? "row-changed" : ""}, h("th", {scope: "row"}, file),
		h("td", {}, signed(changed ? OTHER : "", quantity(file, value)),
			changed && h("span", {class: "note"}, `was ${quantity(file, old ?? "none")}`)),
		h("td", {}, meter));
}

// drawCurve draws values over the steps; a line stands where we are.
function drawCurve(points, {recording, n}) {
	const width = 120, height = 26, last = Math.max(1, recording.steps.length);
	const most = Math.max(...points.map(([, value]) => value), 1);
	const x = step => (step / last * width).toFixed(1);
	const y = value => (height - 2 - value / most * (height - 4)).toFixed(1);
	let path = "";
	points.forEach(([step, value], i) => {
		path += i === 0 ? `M${x(step)} ${y(value)}` : `H${x(step)}V${y(value)}`;
	});
	return svg("svg", {
		class: "curve", viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
		"aria-label": `use over the steps, at most ${most}`,
	}, svg("path", {d: `${path}H${width}`}),
	svg("line", {x1: x(n), x2: x(n), y1: 0, y2: height}));
}

// networkCard draws the interfaces: those of the host, those of the process, and a line where a
// route of the process leads to an address of the host.
function networkCard(view) {
	const {recording, before, after, pid} = view;
	const is = after.process(pid);
	const mine = after.of(is, "interfaces");
	const hosts = after.of(recording.host, "interfaces");
	if (!mine || !hosts) return null;
	const was = before.process(pid) || before.process(is.parent);
	const apart = is.namespaces?.net !== recording.host.namespaces?.net;
	const old = [before.of(recording.host, "interfaces"), before.of(was, "interfaces")];
	const sides = apart ? [["host", hosts], [`process ${pidsOf(pid, is)}`, mine]] :
		[["host and process", hosts]];
	return card("network", "Network", h("div", {class: "network"},
		sides.map(([name, interfaces], i) => networkSide(name, interfaces, old[i])),
		apart && cable(hosts, mine)));
}

function networkSide(name, interfaces, before = []) {
	const old = new Map(before.map(one => [one.name, JSON.stringify(one)]));
	return h("div", {class: "side"}, h("h4", {}, name), h("ul", {}, interfaces.map(one => {
		const same = old.get(one.name) === JSON.stringify(one);
		const sign = same ? "" : old.has(one.name) ? OTHER : NEW;
		return h("li", {class: sign ? "row-changed" : ""}, signed(sign, h("b", {}, one.name)),
			h("span", {class: "addresses"}, (one.addresses || []).join(" ") ||
				(one.up ? "up" : "no address")),
			(one.routes || []).map(route => h("span", {class: "note"}, route)));
	})));
}

// cable says which interfaces of host and process are joined: the gateway of a route is an address
// of the host.
function cable(hosts, mine) {
	const addresses = one => (one.addresses || []).map(address => address.split("/")[0]);
	for (const one of mine) {
		for (const route of one.routes || []) {
			const far = hosts.find(host => addresses(host).some(
				address => route.split(/[\s/]+/).includes(address)));
			if (far) return drawCable(far, one);
		}
	}
	return null;
}

function drawCable(far, near) {
	const box = (x, one) => [
		svg("rect", {x, y: 4, width: 150, height: 44, rx: 4}),
		svg("text", {x: x + 75, y: 22}, one.name),
		svg("text", {x: x + 75, y: 40, class: "small"}, (one.addresses || [])[0] || ""),
	];
	return svg("svg", {
		class: "cable", viewBox: "0 0 460 52", role: "img",
		"aria-label": `${near.name} of the process is joined to ${far.name} of the host`,
	}, svg("line", {x1: 151, y1: 26, x2: 309, y2: 26}),
	svg("circle", {cx: 151, cy: 26, r: 5}), svg("circle", {cx: 309, cy: 26, r: 5}),
	box(1, far), box(309, near));
}
