// The player: one recording, step by step.

// PACE is the time that a step is shown while it plays, in milliseconds.
const PACE = 1400;

const PLAYER_KEYS = [
	["→ or j", "next step"],
	["← or k", "step before"],
	["Page Down, Page Up", "ten steps on, ten steps back"],
	["Home, End", "first and last step"],
	["Space", "play, and stop"],
	["f", "show all steps, only the refused ones, only those of this process"],
	["d", "light, dark"],
	["?", "this list"],
];

class Player {
	constructor(recording, root, {more = null} = {}) {
		this.recording = recording;
		this.more = more; // what a step beyond the last one does, while the program still runs
		this.n = 0;
		this.filter = "all";
		this.chosen = null; // the process that somebody chose; otherwise that of the step
		this.timer = 0;
		this.build(root);
		this.listen();
		this.show(fromAddress(this.count), "replace");
	}

	get count() {
		return this.recording.steps.length;
	}

	// build makes the parts of the page that stay.
	build(root) {
		const {data} = this.recording;
		this.lanes = h("canvas", {"aria-hidden": "true"});
		this.scrubber = h("input", {
			type: "range", min: 0, max: this.count, step: 1, value: 0, "aria-label": "step",
			oninput: () => this.show(Number(this.scrubber.value), "replace"),
		});
		this.position = h("output", {class: "position"});
		this.playButton = button("▶", "play", "Space", () => this.play(!this.playing));
		this.filterButton = button("all steps", "which steps", "f", () => this.nextFilter(),
			{class: "wide"});
		this.heading = h("p", {class: "facts"});
		this.list = new List({
			label: "all steps", count: () => this.count, go: n => this.show(n, "push"),
			content: n => [h("span", {class: "number"}, n), stepName(this.recording.step(n))],
		});
		// What scrolls can have the focus, and is scrolled with the keys then.
		this.card = h("section", {class: "step", "aria-label": "this step", tabindex: 0});
		this.state = h("section", {
			class: "state", "aria-label": "host and process after this step", tabindex: 0,
		});
		this.spoken = h("p", {class: "hidden", role: "status", "aria-live": "polite"});
		this.help = helpDialog(PLAYER_KEYS);
		root.append(
			h("header", {class: "bar"}, h("h1", {title: commandOf(data)}, commandOf(data)),
				this.heading,
				h("div", {class: "buttons"}, this.filterButton,
					button("◐", "light or dark", "d", () => this.turnColours()),
					button("?", "keys and signs", "?", () => this.help.showModal()))),
			h("section", {class: "timeline", "aria-label": "timeline"},
				h("div", {class: "controls"},
					button("⇤", "first step", "Home", () => this.show(0, "push")),
					button("←", "step before", "←", () => this.move(-1)),
					this.playButton,
					button("→", "next step", "→", () => this.move(1)),
					button("⇥", "last step", "End", () => this.show(this.count, "push")),
					this.position),
				h("div", {class: "track"}, laneNames(), this.lanes, this.scrubber)),
			h("main", {}, this.list.element, this.card, this.state),
			this.spoken, this.help);
		this.facts();
	}

	// facts says what the recording is of.
	facts() {
		const {machine = {}, ended, cut} = this.recording.data;
		const cgroups = machine.cgroups ? `cgroups ${machine.cgroups}` : "no cgroups";
		const who = machine.uid === 0 ? "root" : `user ${machine.uid}`;
		const facts = [who, `Linux ${machine.kernel}`, cgroups, ended];
		this.heading.replaceChildren(facts.filter(Boolean).join(" · "),
			cut ? h("strong", {}, ` · not all of it: ${cut}`) : "");
	}

	listen() {
		document.addEventListener("keydown", event => this.key(event));
		listenToAddress(() => this.show(fromAddress(this.count), "none"));
		addEventListener("resize", () => this.drawLanes());
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
			() => this.drawLanes());
		listenToSwipes(document.querySelector("main"), way => this.move(way));
	}

	key(event) {
		pressed(event, {
			"ArrowRight": () => this.move(1), "j": () => this.move(1),
			"ArrowLeft": () => this.move(-1), "k": () => this.move(-1),
			"PageDown": () => this.move(10), "PageUp": () => this.move(-10),
			"Home": () => this.show(0, "push"), "End": () => this.show(this.count, "push"),
			" ": () => this.play(!this.playing), "f": () => this.nextFilter(),
			"d": () => this.turnColours(), "?": () => this.help.showModal(),
		});
	}

	// shown tells whether the filter lets a step through.
	shown(n) {
		const step = this.recording.step(n);
		if (!step || this.filter === "all") return true;
		return this.filter === "refused" ? refused(step) : String(step.pid) === this.filter;
	}

	// move goes so many steps on, of those that the filter lets through.
	move(way) {
		let n = this.n, left = Math.abs(way);
		for (let next = n; left > 0;) {
			next += Math.sign(way);
			if (next < 0 || next > this.count) break;
			if (this.shown(next)) [n, left] = [next, left - 1];
		}
		if (way > 0 && n === this.n && this.more) this.more();
		this.show(n, "push");
		return left === 0;
	}

	get playing() {
		return this.timer !== 0;
	}

	play(on) {
		clearInterval(this.timer);
		this.timer = 0;
		if (on) {
			if (this.n === this.count && !this.more) this.show(0, "push");
			this.timer = setInterval(() => {
				if (!this.move(1) && !this.more) this.play(false);
			}, PACE);
		}
		this.playButton.textContent = on ? "❚❚" : "▶";
		this.playButton.setAttribute("aria-label", on ? "stop" : "play");
	}

	// nextFilter goes from all steps to the refused ones, and to those of the process of this step.
	nextFilter() {
		const own = String(this.recording.step(this.n)?.pid ?? this.recording.hostPID);
		this.filter = {all: "refused", refused: own}[this.filter] || "all";
		this.filterButton.textContent = {all: "all steps", refused: "✗ refused"}[this.filter] ||
			`process ${this.filter}`;
		this.list.filter(n => this.shown(n));
		this.spoken.textContent = `${this.filterButton.textContent}: ${this.list.rows.length}`;
		this.list.mark(this.n);
	}

	turnColours() {
		turnColours();
		this.drawLanes();
	}

	// show goes to step n. History says what becomes of the address: "push" adds an entry for the
	// buttons back and forward of the browser.
	show(n, history) {
		n = Math.max(0, Math.min(n, this.count));
		// An address that names no step is corrected.
		if (history !== "none" || location.hash !== `#${n}`) {
			setAddress(n, history === "none" || this.playing || n === this.n ? "replace" : history);
		}
		if (n === this.n && this.drawn) return;
		this.n = n;
		this.drawn = true;
		this.scrubber.value = n;
		this.render();
	}

	// render shows step n.
	render() {
		const {recording, n} = this, step = recording.step(n);
		const after = recording.at(n), before = n > 0 ? recording.at(n - 1) : after;
		let pid = recording.subject(n, after);
		if (this.chosen && after.processes.has(this.chosen)) pid = this.chosen;
		const found = differences(before, after, recording);
		this.card.replaceChildren(...stepCard(recording, n, found));
		this.state.replaceChildren(...showState({
			recording, n, before, after, pid,
			pick: chosen => this.pick(chosen),
		}));
		this.position.textContent = `${n} / ${this.count}`;
		const said = step ? `${step.call}: ${step.words}` : "before the first step";
		this.scrubber.setAttribute("aria-valuetext", `step ${n}, ${said}`);
		this.spoken.textContent = `Step ${n} of ${this.count}. ${said}` +
			(step && refused(step) ? `. Refused, ${step.errno}` : "");
		const title = (recording.data.command || []).join(" ");
		document.title = step ? `${n} ${step.call} · ${title}` : title;
		this.list.mark(n);
		this.drawLanes();
		this.scrollToChange();
	}

	// pick keeps a process in sight, until it is chosen again.
	pick(pid) {
		this.chosen = this.chosen === pid ? null : pid;
		const focused = this.state.contains(document.activeElement);
		this.render();
		if (focused) this.state.querySelector(`[data-pid="${CSS.escape(pid)}"]`)?.focus();
	}

	// scrollToChange brings the first thing that changed into sight.
	scrollToChange() {
		// On a phone nothing moves by itself.
		if (getComputedStyle(this.state).overflowY === "visible") return;
		this.state.scrollTop = 0;
		const first = this.state.querySelector(".row-changed, .change");
		if (!first) return;
		const inside = first.getBoundingClientRect(), box = this.state.getBoundingClientRect();
		if (inside.bottom > box.bottom) this.state.scrollTop = inside.top - box.top - 60;
	}

	drawLanes() {
		drawLanes(this.lanes, this.recording, this.n);
	}

	// grow takes over that there are more steps, while the program still runs.
	grow() {
		this.scrubber.max = this.count;
		this.list.filter(n => this.shown(n));
		this.position.textContent = `${this.n} / ${this.count}`;
		this.drawLanes();
	}
}

// stepCard shows what happened: the call in words, and what it changed.
function stepCard(recording, n, found) {
	const step = recording.step(n);
	if (!step) {
		return [h("h2", {}, "before the first step"), h("p", {class: "words"},
			`One process, which is about to execute ${(recording.data.command || []).join(" ")}.`),
		...(recording.data.notes || []).map(note => h("p", {class: "note"}, note)),
		h("p", {class: "note"}, "→ is the next step, and ? shows all keys.")];
	}
	const process = recording.at(n - 1).process(step.pid) || recording.at(n).process(step.pid);
	return [
		h("p", {class: "kicker"},
			`process ${pidsOf(step.pid, process)} · ${milliseconds(step.time)}`),
		h("h2", {}, step.call, refused(step) && h("span", {class: "refused"}, ` ✗ ${step.errno}`)),
		h("p", {class: "words"}, step.words,
			refused(step) && h("strong", {class: "refused"}, ". The kernel refused it.")),
		changeList(found),
		argumentList(step),
		step.place?.line ? sourceOf(recording, step) : makerOf(recording, step, process),
		h("p", {class: "links"}, manLink(step.man), promiseList(step.promises)),
	].filter(Boolean);
}

// milliseconds says a time, which is in nanoseconds.
function milliseconds(nanoseconds) {
	return `${(nanoseconds / 1e6).toFixed(1)} ms`;
}

// changeList says all that changed, in a line each.
function changeList(found) {
	if (found.length === 0) return h("p", {class: "note"}, "Nothing that is looked at changed.");
	return h("ul", {class: "changes", "aria-label": "what changed"}, found.slice(0, 12).map(
		({sign, text}) => h("li", {}, signed(sign, text))),
	found.length > 12 && h("li", {}, `and ${found.length - 12} more`));
}

function argumentList(step) {
	const rows = (step.args || []).map(({name, value}) => [h("dt", {}, name), h("dd", {}, value)]);
	if (step.result) rows.push([h("dt", {}, "returns"), h("dd", {}, step.result)]);
	return rows.length > 0 && h("dl", {class: "arguments"}, rows);
}

// makerOf shows the command of the process, where no line is known. For a script that says as much.
function makerOf(recording, step, process) {
	const command = commandOf(process);
	if (!command) return null;
	const where = step.place?.function ? `in ${step.place.function}, line not known` : "command";
	const hint = step.place && !recording.steps.some(other => other.place?.line);
	return h("figure", {class: "source"},
		h("figcaption", {}, hint ? `${where} (compile with -g)` : where),
		h("pre", {}, h("span", {class: "line"}, command)));
}

// sourceOf shows the line that made the call, with those round it.
function sourceOf(recording, step) {
	const {place} = step;
	const lines = Object.entries(recording.data.source?.[place.file] || {}).map(
		([line, text]) => [Number(line), text]).filter(
		([line]) => Math.abs(line - place.line) <= 3).sort(([a], [b]) => a - b);
	const file = place.file.split("/").slice(-2).join("/");
	// The package of a function of Go by its name alone, as in source: libcontainer.pivotRoot.
	const name = place.function?.replace(/^([\w.~-]+\/)+/, "");
	const title = `${file}:${place.line}${name ? ` in ${name}` : ""}`;
	const indent = Math.min(...lines.filter(([, text]) => text.trim()).map(
		([, text]) => /^[\t ]*/.exec(text)[0].length));
	return h("figure", {class: "source"}, h("figcaption", {title: place.file}, title),
		lines.length > 0 && h("pre", {}, lines.map(([line, text]) => h("span", {
			class: line === place.line ? "line here" : "line",
		}, h("span", {class: "margin"}, `${line === place.line ? "▶" : " "} ${line}`),
		h("span", {}, text.slice(indent).replaceAll("\t", "    "), "\n")))));
}

// manLink leads to the page of the manual, and names it for those who are offline.
function manLink(man) {
	const [, name, section] = /^([\w.+-]+)\((\d\w*)\)$/.exec(man || "") || [];
	if (!name) return man ? h("span", {}, man) : null;
	return h("a", {
		href: `https://man7.org/linux/man-pages/man${section[0]}/${name}.${section}.html`,
		rel: "noreferrer", target: "_blank",
	}, `man ${section} ${name}`);
}

function promiseList(promises) {
	if (!promises?.length) return null;
	return h("span", {class: "promises"}, "promises that depend on it: ",
		promises.map((name, i) => [i > 0 ? ", " : "", h("code", {}, name)]));
}
