// The page of a comparison: two recordings beside each other, aligned by what they do.

const COMPARISON_KEYS = [
	["n", "next difference"],
	["p", "difference before"],
	["→ or j, ← or k", "next row, row before"],
	["Home, End", "first and last row"],
	["d", "light, dark"],
	["?", "this list"],
];

class Comparison {
	constructor(data, root) {
		this.rows = data.rows || [];
		this.sides = [
			{name: "yours", field: "a", recording: new Recording(data.a)},
			{name: "ours", field: "b", recording: new Recording(data.b)},
		];
		this.sentences = data.sentences || [];
		this.n = -1; // none yet
		this.build(root);
		document.addEventListener("keydown", event => this.key(event));
		listenToAddress(() => this.show(fromAddress(this.rows.length), "none"));
		addEventListener("resize", () => this.draw());
		listenToSwipes(document.querySelector("main"), way => this.move(way));
		this.show(fromAddress(this.rows.length) || this.difference(0, 1) || 1, "replace");
	}

	build(root) {
		this.list = new List({
			label: "all rows", count: () => this.rows.length, go: n => this.show(n, "push"),
			content: n => this.rowContent(n),
		});
		this.cards = this.sides.map(({name}) => h("section", {
			class: "step side", "aria-label": name, tabindex: 0,
		}));
		this.lanes = h("canvas", {"aria-hidden": "true"});
		this.scrubber = h("input", {
			type: "range", min: 1, max: Math.max(1, this.rows.length), value: 1,
			"aria-label": "row",
			oninput: () => this.show(Number(this.scrubber.value), "replace"),
		});
		this.position = h("output", {class: "position"});
		this.spoken = h("p", {class: "hidden", role: "status", "aria-live": "polite"});
		this.help = helpDialog(COMPARISON_KEYS);
		const apart = this.rows.filter(row => row.apart).length;
		root.append(
			h("header", {class: "bar"}, h("h1", {}, "Yours and ours"),
				h("p", {class: "facts"}, `${number(apart, "row")} of ${this.rows.length} apart`),
				h("div", {class: "buttons"},
					button("◐", "light or dark", "d", () => this.turnColours()),
					button("?", "keys and signs", "?", () => this.help.showModal()))),
			h("section", {class: "sentences", "aria-label": "where they part"},
				h("p", {class: "words"}, this.sentences[0]),
				this.sentences.length > 1 && h("details", {},
					h("summary", {}, `and ${this.sentences.length - 1} more`),
					h("ol", {}, this.sentences.slice(1).map(text => h("li", {}, text))))),
			h("section", {class: "timeline", "aria-label": "timeline"},
				h("div", {class: "controls"},
					button("↑ p", "difference before", "p", () => this.jump(-1)),
					button("←", "row before", "←", () => this.move(-1)),
					button("→", "next row", "→", () => this.move(1)),
					button("↓ n", "next difference", "n", () => this.jump(1)), this.position),
				h("div", {class: "track two"}, h("div", {class: "lanes", "aria-hidden": "true"},
					this.sides.map(({name}) => h("span", {}, name))), this.lanes, this.scrubber)),
			h("main", {class: "beside-main"}, this.list.element, this.cards),
			this.spoken, this.help);
	}

	key(event) {
		pressed(event, {
			"n": () => this.jump(1), "p": () => this.jump(-1),
			"ArrowRight": () => this.move(1), "j": () => this.move(1),
			"ArrowLeft": () => this.move(-1), "k": () => this.move(-1),
			"Home": () => this.show(1, "push"), "End": () => this.show(this.rows.length, "push"),
			"d": () => this.turnColours(), "?": () => this.help.showModal(),
		});
	}

	turnColours() {
		turnColours();
		this.draw();
	}

	// difference returns the row after or before n where a difference begins; 0 if there is none.
	difference(n, way) {
		const begins = n => this.rows[n - 1]?.apart && !(this.rows[n - 2]?.apart &&
			kindOf(this.rows[n - 2]) === kindOf(this.rows[n - 1]));
		for (let next = n + way; next >= 1 && next <= this.rows.length; next += way) {
			if (begins(next)) return next;
		}
		return 0;
	}

	jump(way) {
		const next = this.difference(this.n, way);
		if (next) this.show(next, "push");
		else this.spoken.textContent = "no more differences";
	}

	move(way) {
		this.show(this.n + way, "push");
	}

	show(n, way) {
		n = Math.max(Math.min(1, this.rows.length), Math.min(n, this.rows.length));
		if (way !== "none" || location.hash !== `#${n}`) {
			setAddress(n, way === "none" || n === this.n ? "replace" : way);
		}
		if (n === this.n) return;
		this.n = n;
		this.scrubber.value = n;
		this.position.textContent = `${n} / ${this.rows.length}`;
		const views = this.sides.map(side => this.viewOf(side));
		this.cards.forEach((card, i) => card.replaceChildren(
			h("h3", {class: "who"}, this.sides[i].name), ...this.cardOf(this.sides[i]),
			summaryTable(views[i], views[1 - i])));
		const row = this.rows[n - 1];
		this.spoken.textContent = row ? `Row ${n}: ${kindOf(row)}` : "no rows";
		this.list.mark(n);
		this.draw();
	}

	// viewOf returns the state of a side at this row: that after the last step until here, and the
	// process that is most apart from the host.
	viewOf({field, recording}) {
		let step = 0;
		for (const row of this.rows.slice(0, this.n)) step = row[field] || step;
		const state = recording.at(step);
		const [process] = [...state.processes.values()].sort(
			(a, b) => recording.apart(b).length - recording.apart(a).length);
		return {recording, state, process};
	}

	// cardOf shows the step of a side, or where it would be.
	cardOf({name, field, recording}) {
		const row = this.rows[this.n - 1];
		if (!row) return [];
		if (row[field]) return stepCard(recording, row[field], this.changes(recording, row[field]));
		const near = way => {
			for (let n = this.n + way; this.rows[n - 1]; n += way) {
				if (this.rows[n - 1][field]) return recording.step(this.rows[n - 1][field]);
			}
			return null;
		};
		const [before, after] = [near(-1), near(1)];
		return [
			h("h2", {class: "none"}, "—"),
			h("p", {class: "words"}, signed(OTHER, `${name} does nothing of the kind here`)),
			h("p", {class: "note"}, before ? `after ${before.key}` : "at the beginning",
				after ? `, before ${after.key}` : ", at the end"),
		];
	}

	changes(recording, n) {
		return differences(recording.at(n - 1), recording.at(n), recording);
	}

	rowContent(n) {
		const row = this.rows[n - 1];
		const cell = ({field, recording}) => h("span", {class: "cell"},
			row[field] ? stepName(recording.step(row[field])) : "—");
		const sign = {both: "", "only yours": NEW, "only ours": GONE}[kindOf(row)] ?? OTHER;
		return [h("span", {class: "sign"}, sign), h("span", {class: "hidden"}, kindOf(row)),
			this.sides.map(cell)];
	}

	// draw draws a stroke for each step, in the lane of its side.
	draw() {
		const {draw, width, height} = canvasOf(this.lanes);
		const [ink, accent] = colours("ink", "accent");
		this.rows.forEach((row, i) => {
			const part = i / Math.max(1, this.rows.length - 1);
			const x = THUMB / 2 + part * (width - THUMB);
			["a", "b"].forEach((field, lane) => {
				if (!row[field]) return;
				draw.fillStyle = row.apart ? accent : ink;
				const half = height / 4 - 3;
				draw.fillRect(x - 1, (lane + 0.5) * height / 2 - half, row.apart ? 3 : 1, 2 * half);
			});
		});
	}
}

// kindOf says in a word how the sides of a row are apart.
function kindOf(row) {
	if (!row.apart) return "both";
	return row.a === 0 ? "only ours" : row.b === 0 ? "only yours" : "not the same";
}

// summaryTable is what a process sees in a few rows; what is not so on the other side is marked.
function summaryTable(view, other) {
	const rows = [
		["host name", ({state, process}) => state.of(process, "hostnames")],
		["own namespaces", ({recording, process}) => recording.apart(process).join(" ") || "none"],
		["root", ({process}) => process?.root],
		["mounts", ({state, process}) => state.of(process, "mounts")?.length],
		["interfaces", ({state, process}) =>
			(state.of(process, "interfaces") || []).map(one => one.name).join(" ") || "none"],
		["uid map", ({process}) => process?.uidMap || "empty"],
		["capabilities", ({process}) => capabilityText(capabilities(process, "effective"),
			capabilities(process, "bounding"))],
		["no_new_privs", ({process}) => process?.noNewPrivs ? "yes" : "no"],
		["call filters", ({process}) => process?.filters ?? 0],
	];
	return h("table", {class: "summary"}, h("caption", {}, "after it"), h("tbody", {}, rows.map(
		([name, look]) => {
			const [mine, theirs] = [look(view), look(other)].map(value => String(value ?? "none"));
			return h("tr", {}, h("th", {scope: "row"}, name),
				h("td", {}, signed(mine === theirs ? "" : OTHER, mine)));
		})));
}

new Comparison(pageData(), document.getElementById("app"));
