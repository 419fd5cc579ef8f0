// What differs between two states, in words. The signs say it without colour.

const NEW = "+", GONE = "−", OTHER = "≠";

// number returns how many there are, with the word: "1 mount", "22 mounts".
function number(n, word) {
	return `${n} ${word}${n === 1 ? "" : "s"}`;
}

// pidsOf names a process by its numbers: "1 (on the host 42)".
function pidsOf(pid, process) {
	const pids = process?.pids || [];
	if (pids.length < 2) return String(pid);
	return `${[...pids].reverse().slice(0, -1).join(", ")} (on the host ${pids[0]})`;
}

// brief cuts a text to what is read at a glance: the id of a container, which has 64 digits, to the
// 12 that engines show, and the rest of a long text.
function brief(text, most = 160) {
	const short = text.replace(/\b[0-9a-f]{64}\b/g, id => `${id.slice(0, 12)}…`);
	const letters = [...short];
	return letters.length > most ? `${letters.slice(0, most).join("")}…` : short;
}

// commandOf returns the command of a process on one line.
function commandOf(process) {
	return (process?.command || []).join(" ");
}

// sameMount is how a mount is found again in another table: a copy has another number.
function sameMount(mount) {
	return [mount.point, mount.type, mount.source, mount.root].join("\u0000");
}

// mountDifferences compares two mount tables: [sign, mount, the mount before] for all mounts of
// both, "" for one that is as it was. A mount is known by its number, and in the table of another
// namespace by what it is.
function mountDifferences(before = [], after = []) {
	const numbers = new Set(before.map(mount => mount.id));
	const known = after.some(mount => numbers.has(mount.id)) ? mount => mount.id : sameMount;
	const old = new Map();
	for (const mount of before) {
		const key = known(mount);
		old.set(key, [...(old.get(key) || []), mount]);
	}
	const rows = after.map(mount => {
		const was = old.get(known(mount))?.shift();
		if (!was) return [NEW, mount];
		const same = ["point", "root", "options", "propagation", "type", "source", "super"].every(
			field => was[field] === mount[field]);
		return same ? ["", mount] : [OTHER, mount, was];
	});
	for (const mount of [...old.values()].flat()) rows.push([GONE, mount]);
	return rows;
}

// capabilities returns those of a set; a whole one is "all".
function capabilities(process, set) {
	return process?.capabilities?.[set] || [];
}

// capabilityText says a set in a few words; a long one by what is missing of another.
function capabilityText(names, whole = []) {
	if (names.includes("all")) return "all";
	if (names.length === 0) return "none";
	if (names.length <= 8) return names.join(" ");
	const missing = whole.filter(name => !names.includes(name) && name !== "all");
	if (missing.length === 0) return `${names.length}`;
	return missing.length <= 8 ? `${names.length}, without ${missing.join(" ")}` :
		names.join(" ");
}

// capabilityChange says how a set became another.
function capabilityChange(was, is) {
	const minus = was.filter(name => !is.includes(name)), plus = is.filter(
		name => !was.includes(name));
	if (minus.length + plus.length <= 3 && !minus.includes("all")) {
		return [...minus.map(name => GONE + name), ...plus.map(name => NEW + name)].join(" ");
	}
	const count = names => names.includes("all") ? "all" : names.length || "none";
	return `${count(was)} → ${count(is)}`;
}

const CAPABILITY_SETS = ["effective", "permitted", "inheritable", "bounding", "ambient"];

// differences lists what differs between two states: {where, sign, text}. Where is the part of
// the page that shows it.
function differences(before, after, recording) {
	const found = [];
	const add = (where, sign, text) => found.push({where, sign, text});
	const pids = new Set([...before.processes.keys(), ...after.processes.keys()]);
	for (const pid of pids) {
		processDifferences(pid, before, after, recording, add);
	}
	for (const part of ["hostnames", "mounts", "interfaces"]) {
		for (const [key, value] of after[part]) {
			const old = before[part].get(key);
			if (old !== undefined) tableDifferences[part](old, value, add);
		}
	}
	cgroupDifferences(before, after, add);
	return found;
}

function processDifferences(pid, before, after, recording, add) {
	const was = before.process(pid), is = after.process(pid);
	if (was === is) return;
	const name = `process ${pidsOf(pid, is || was)}`;
	if (!is) return add("processes", GONE, name);
	const base = was || before.process(is.parent) || recording.host;
	if (!was) add("processes", NEW, name);
	const ofNamespaces = Object.keys(is.namespaces || {}).filter(
		kind => is.namespaces[kind] !== base.namespaces?.[kind]);
	if (ofNamespaces.length > 0) {
		const entered = ofNamespaces.every(kind => [...before.processes.values()].some(
			other => other.namespaces?.[kind] === is.namespaces[kind]));
		add("namespaces", entered ? OTHER : NEW,
			`${entered ? "enters" : "new"} namespace${ofNamespaces.length === 1 ? "" : "s"}: ` +
			ofNamespaces.join(", "));
	}
	fieldDifferences(base, is, Boolean(was), add);
	namespaceTables(base, is, before, after, add);
}

// fieldDifferences are those of the fields of a process: a change for one that was there, and for a
// new one what it does not have from its parent.
function fieldDifferences(was, is, there, add) {
	if (there && commandOf(was) !== commandOf(is)) {
		add("processes", OTHER, `command: ${brief(commandOf(is)) || "none"}`);
	}
	const compare = (where, field, text) => {
		if (is[field] !== was[field]) add(where, OTHER, text);
	};
	const from = field => was[field] === "" || was[field] === undefined ? "none" : was[field];
	compare("ids", "uidMap", `uid map: ${is.uidMap || "empty"}`);
	compare("ids", "gidMap", `gid map: ${is.gidMap || "empty"}`);
	compare("ids", "uids", `uids: ${from("uids")} → ${is.uids}`);
	compare("ids", "gids", `gids: ${from("gids")} → ${is.gids}`);
	compare("ids", "groups", `groups: ${from("groups")} → ${is.groups || "none"}`);
	compare("root", "root", `root: ${was.root} → ${is.root}`);
	compare("root", "dir", `directory: ${was.dir} → ${is.dir}`);
	compare("rights", "noNewPrivs", is.noNewPrivs ? "no_new_privs" : "no_new_privs is unset");
	compare("rights", "filters", `system call filters: ${was.filters} → ${is.filters}`);
	if (there) compare("root", "session", `session: ${was.session} → ${is.session}`);
	compare("root", "terminal", `terminal: ${from("terminal")} → ${is.terminal || "none"}`);
	for (const set of CAPABILITY_SETS) {
		const [old, now] = [capabilities(was, set), capabilities(is, set)];
		if (String(old) !== String(now)) {
			add("rights", OTHER, `${set} capabilities: ${capabilityChange(old, now)}`);
		}
	}
	const [old, now] = [was.cgroups || [], is.cgroups || []];
	for (const key of now) if (!old.includes(key)) add("cgroups", OTHER, `into cgroup ${brief(key)}`);
}

// namespaceTables compares what a process sees in a namespace that it did not have before.
function namespaceTables(was, is, before, after, add) {
	const [old, now] = ["hostnames", "mounts", "interfaces"].reduce(([old, now], part) =>
		[{...old, [part]: before.of(was, part)}, {...now, [part]: after.of(is, part)}], [{}, {}]);
	const moved = kind => is.namespaces?.[kind] !== was.namespaces?.[kind];
	if (moved("uts")) tableDifferences.hostnames(old.hostnames, now.hostnames, add);
	if (moved("mnt") && now.mounts) {
		const points = mounts => (mounts || []).map(mount => mount.point).sort().join("\n");
		if (points(old.mounts) === points(now.mounts)) {
			add("mounts", NEW, `a copy of the ${number(now.mounts.length, "mount")}`);
		} else tableDifferences.mounts(old.mounts, now.mounts, add);
	}
	if (moved("net") && now.interfaces) {
		const names = list => (list || []).map(one => one.name).join(", ") || "none";
		add("network", OTHER, `interfaces: ${names(old.interfaces)} → ${names(now.interfaces)}`);
	}
}

// tableDifferences compares host names, mount tables and interfaces.
const tableDifferences = {
	hostnames(was, is, add) {
		if (was !== is) add("hostname", OTHER, `host name: ${was} → ${is}`);
	},
	mounts(was, is, add) {
		const rows = mountDifferences(was, is).filter(([sign]) => sign);
		if (rows.length === 0) return;
		if (rows.length > 3) {
			const before = (was || []).length;
			const text = before === is.length ?
				`${rows.length} of ${number(before, "mount")} changed` :
				`mounts: ${before} → ${is.length}`;
			return add("mounts", OTHER, text);
		}
		for (const [sign, mount] of rows) {
			add("mounts", sign, `mount ${brief(mount.point)} (${mount.type})`);
		}
	},
	interfaces(was, is, add) {
		const old = new Map((was || []).map(one => [one.name, JSON.stringify(one)]));
		for (const one of is || []) {
			const address = (one.addresses || []).join(", ");
			const text = `interface ${one.name}${address ? " " + address : ""}`;
			if (!old.has(one.name)) add("network", NEW, text);
			else if (old.get(one.name) !== JSON.stringify(one)) add("network", OTHER, text);
			old.delete(one.name);
		}
		for (const name of old.keys()) add("network", GONE, `interface ${name}`);
	},
};

function cgroupDifferences(before, after, add) {
	const changed = [];
	for (const [key, cgroup] of after.cgroups) {
		const was = before.cgroups.get(key);
		if (was === cgroup) continue;
		if (!was) {
			add("cgroups", NEW, `cgroup ${brief(key)}`);
			continue;
		}
		for (const [file, value] of Object.entries(cgroup.files || {})) {
			const old = was.files?.[file];
			if (old === value) continue;
			const [from, to] = [old ?? "none", value].map(value => quantity(file, value));
			changed.push({key, file, values: `${from} → ${to}`});
		}
	}
	for (const {key, file, values} of changed) {
		// With version 2 those above change as well.
		const isAlone = changed.filter(other => other.file === file).length === 1;
		add("cgroups", OTHER, `${file}${isAlone ? "" : ` of ${brief(key)}`}: ${values}`);
	}
	for (const key of before.cgroups.keys()) {
		if (!after.cgroups.has(key)) add("cgroups", GONE, `cgroup ${brief(key)}`);
	}
}

// quantity says the value of a file of a cgroup in units that people use.
function quantity(file, value) {
	const bytes = Number(value);
	if (!/memory|hugetlb|swap/.test(file) || !/^\d+$/.test(value) || bytes < 1024) return value;
	if (bytes > 2 ** 60) return "no limit";
	const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
	const scaled = bytes / 1024 ** power;
	return `${scaled < 10 && scaled % 1 ? scaled.toFixed(1) : Math.round(scaled)} ` +
		["B", "KiB", "MiB", "GiB"][power];
}
