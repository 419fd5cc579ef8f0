// A recording: the state of the machine after each of its steps. Nothing in this file knows of
// the page. The form of the data is that of recording.go.
"use strict";

// The parts of a state, each a map by name or number.
const PARTS = ["processes", "mounts", "hostnames", "interfaces", "cgroups"];

// A copy of the state is kept after so many steps, so that going back is quick.
const KEEP = 50;

// State is what host and processes look like at one moment.
class State {
	// The mounts are those of the recording: a table has their numbers.
	constructor(mounts) {
		this.allMounts = mounts;
		// Maps and not objects: a name in a recording may be "__proto__".
		for (const part of PARTS) this[part] = new Map();
	}

	copy() {
		const copy = new State(this.allMounts);
		for (const part of PARTS) copy[part] = new Map(this[part]);
		return copy;
	}

	// apply takes the changes of a step over; null stands for an entry that is gone.
	apply(changes) {
		for (const part of PARTS) {
			for (const [key, value] of Object.entries(changes?.[part] || {})) {
				if (value === null) this[part].delete(key);
				else if (part !== "mounts") this[part].set(key, value);
				else this.mounts.set(key, value.map(number => this.allMounts[number]));
			}
		}
	}

	// process returns a process by its number; undefined if it is not there.
	process(pid) {
		return this.processes.get(String(pid));
	}

	// of returns the part that belongs to a process: its mounts, host name or interfaces.
	of(process, part) {
		const kind = {mounts: "mnt", hostnames: "uts", interfaces: "net"}[part];
		return this[part].get(process?.namespaces?.[kind]);
	}
}

class Recording {
	constructor(data) {
		this.data = data;
		this.steps = data.steps || [];
		const start = new State(data.mounts ||= []);
		start.apply(data.start);
		this.kept = [start];
		this.curves = new Map();
		// The host is the process that the recording begins with: its parent is not in it.
		const [pid, process] = [...this.kept[0].processes].find(
			([, process]) => !this.kept[0].processes.has(String(process.parent))) || ["", {}];
		this.hostPID = pid;
		this.host = process;
	}

	// add appends a step, which has just happened, and the mounts that it is the first to show.
	add(step, mounts) {
		this.data.mounts.push(...mounts);
		this.steps.push(step);
	}

	// at returns the state after step n; after step 0 is before the first.
	at(n) {
		const nearest = Math.min(Math.floor(n / KEEP), this.kept.length - 1);
		const state = this.kept[nearest].copy();
		for (let i = nearest * KEEP; i < n; i++) {
			state.apply(this.steps[i].changes);
			if ((i + 1) % KEEP === 0 && this.kept.length === (i + 1) / KEEP) {
				this.kept.push(state.copy());
			}
		}
		return state;
	}

	// step returns step n, from 1.
	step(n) {
		return this.steps[n - 1];
	}

	// subject returns the number of the process that step n is about: of those that it changed the
	// one that is most apart from the host, otherwise the one that made the call.
	subject(n, state) {
		const step = this.step(n);
		if (!step) return this.hostPID;
		const changed = Object.keys(step.changes?.processes || {});
		for (const key of Object.keys(step.changes?.cgroups || {})) {
			for (const pid of state.cgroups.get(key)?.processes || []) changed.push(String(pid));
		}
		const there = [String(step.pid), ...changed].filter(pid => state.processes.has(pid));
		let best = there[0], most = -1;
		for (const pid of there) {
			const apart = this.apart(state.process(pid)).length;
			if (apart > most) [best, most] = [pid, apart];
		}
		if (best !== undefined) return best;
		return [...state.processes.keys()].at(-1) ?? this.hostPID;
	}

	// apart returns the kinds of namespaces that a process does not share with the host.
	apart(process) {
		return Object.keys(process?.namespaces || {}).filter(
			kind => process.namespaces[kind] !== this.host.namespaces?.[kind]);
	}

	// curve returns the values that a file of a cgroup had, as [step, number].
	curve(cgroup, file) {
		const name = `${cgroup}\u0000${file}`, known = this.curves.get(name);
		if (known?.steps === this.steps.length) return known.points;
		const points = [];
		this.curves.set(name, {steps: this.steps.length, points});
		const look = (n, changes) => {
			const number = Number(changes?.cgroups?.[cgroup]?.files?.[file] ?? NaN);
			if (!Number.isNaN(number)) points.push([n, number]);
		};
		look(0, this.data.start);
		this.steps.forEach((step, i) => look(i + 1, step.changes));
		return points;
	}
}

// refused tells whether the kernel said no.
function refused(step) {
	return Boolean(step.errno);
}

// LANES are the ideas that calls belong to, and the calls of each.
const LANES = [
	["process", /^(v?fork|clone3?|exec|exit|wait|kill|SIG)/],
	["names", /^(unshare|setns|set(host|domain)name)/],
	["files", /^(u?mount|pivot_root|ch(root|dir)|open_tree|move_mount|fs(open|config|mount)|mk)/],
	["limits", /^(open|write|mkdir|prlimit|setrlimit)/],
	["rights", /^(cap|prctl|seccomp|setres|setre|set[ug]id|setfs|setgroups|keyctl)/],
	["network", /^(socket|send|recv|bind|netlink|ioctl)/],
];

// lane returns the number of the lane of a step. What concerns a cgroup belongs to the limits.
function lane(step) {
	if (/cgroup/.test(step.key)) return 3;
	if (/netlink/.test(step.key)) return 5;
	if (/[ug]id_map|setgroups/.test(step.key)) return 4;
	const found = LANES.findIndex(([, calls]) => calls.test(step.call));
	return found < 0 ? 0 : found;
}
