// The list of steps and the timeline. Both show a recording of any length: of the list only the
// rows that are in sight are in the page, and of the timeline each step is a stroke on a canvas.

// List is a list of numbered rows. Look is {label, count, content, go}: how many rows there are,
// what is in row n, and what a click on it does.
class List {
	constructor(look) {
		this.look = look;
		this.current = 0;
		this.inner = h("ol", {});
		this.element = h("nav", {class: "steps", "aria-label": look.label, tabindex: -1},
			this.inner);
		this.element.addEventListener("scroll", () => this.render(), {passive: true});
		this.element.addEventListener("keydown", event => this.key(event));
		addEventListener("resize", () => this.render());
		addEventListener("beforeprint", () => this.render(true));
		addEventListener("afterprint", () => this.render());
		this.filter(() => true);
	}

	// filter takes over which rows are in the list.
	filter(shown) {
		this.rows = Array.from({length: this.look.count()}, (_, i) => i + 1).filter(shown);
		this.render();
	}

	// key goes to the next row or the one before, for somebody whose focus is in the list.
	key(event) {
		if (event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
		const next = {
			ArrowDown: () => this.rows.find(row => row > this.current),
			ArrowUp: () => this.rows.findLast(row => row < this.current),
		}[event.key];
		if (!next) return;
		event.preventDefault();
		const row = next();
		if (row) this.look.go(row);
	}

	// mark marks the step that is shown, and brings it into sight.
	mark(n) {
		this.current = n;
		const index = this.rows.findIndex(row => row >= n);
		const top = Math.max(0, index) * this.height;
		const {scrollTop, clientHeight} = this.element;
		if (top < scrollTop + this.height || top > scrollTop + clientHeight - 3 * this.height) {
			this.element.scrollTop = top - clientHeight / 3;
		}
		this.render();
	}

	// height is that of a row, as the style sheet has it.
	get height() {
		return parseFloat(getComputedStyle(document.documentElement).fontSize) * 2;
	}

	// render makes the rows that are in sight, and some above and below them; or all of them. One of
	// them can have the focus: the current one. If the old one had it, the new one has it.
	render(all = false) {
		const focused = this.inner.contains(document.activeElement);
		const {scrollTop, clientHeight} = this.element, {height} = this;
		const first = all ? 0 : Math.max(0, Math.floor(scrollTop / height) - 10);
		const last = all ? this.rows.length :
			Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / height) + 10);
		this.inner.style.height = `${this.rows.length * height}px`;
		const tabbed = this.rows.includes(this.current) ? this.current : this.rows[first];
		this.inner.replaceChildren(...this.rows.slice(first, last).map((n, i) => {
			const row = this.row(n, first + i, n === tabbed);
			row.style.top = `${(first + i) * height}px`;
			return row;
		}));
		if (this.rows.length === 0) this.inner.append(h("li", {class: "note"}, "none"));
		if (!focused) return;
		const again = this.inner.querySelector(`[tabindex="0"]`) || this.element;
		again.focus({preventScroll: true});
	}

	row(n, index, tabbed) {
		const now = n === this.current;
		return h("li", {"aria-setsize": this.rows.length, "aria-posinset": index + 1},
			h("button", {
				type: "button", "data-step": n, "aria-current": now ? "step" : false,
				tabindex: tabbed ? 0 : -1, onclick: () => this.look.go(n),
			}, this.look.content(n)));
	}
}

// stepName names a step in a few words, with a sign for one that is refused or no call.
function stepName(step) {
	const signs = (refused(step) ? "✗ " : "") + (step.kind === "call" ? "" : "■ ");
	const name = step.key || step.call;
	return h("span", {class: refused(step) ? "refused" : "", title: name}, signs,
		shorten(name, 21));
}

// shorten leaves the middle of a long text out: the end tells most.
function shorten(text, most) {
	const characters = [...text];
	if (characters.length <= most) return text;
	const begin = Math.floor(most * 0.4), end = most - begin - 1;
	return `${characters.slice(0, begin).join("")}…${characters.slice(-end).join("")}`;
}

// laneNames are the names of the lanes, on the left of them.
function laneNames() {
	return h("div", {class: "lanes", "aria-hidden": "true"}, LANES.map(
		([name]) => h("span", {}, name)));
}

// THUMB is the width of the line that stands where we are, as the style sheet has it.
const THUMB = 4;

// strokes returns where the timeline has a stroke. Of those that would lie on each other only the
// first is there, so that a recording of any length is drawn quickly.
function strokes(recording, width, lanes) {
	const count = recording.steps.length, made = `${count} ${width} ${lanes}`;
	if (recording.strokes?.made === made) return recording.strokes.all;
	const taken = new Set(), all = [];
	recording.steps.forEach((step, i) => {
		const at = THUMB / 2 + (i + 1) / count * (width - THUMB);
		const stroke = {n: i + 1, at, lane: lanes > 1 ? lane(step) : 0, refused: refused(step)};
		const place = `${Math.round(at)} ${stroke.lane} ${stroke.refused}`;
		if (!taken.has(place)) all.push(stroke);
		taken.add(place);
	});
	recording.strokes = {made, all};
	return all;
}

// drawLanes draws a stroke for each step, in the lane of its idea; a refused one is a cross.
function drawLanes(canvas, recording, n) {
	const {draw, width, height} = canvasOf(canvas);
	const [ink, faint, bad] = colours("ink", "line", "bad");
	const lanes = height > 40 ? LANES.length : 1, each = height / lanes;
	const thick = Math.max(1, Math.min(3, width / recording.steps.length / 2));
	draw.fillStyle = faint;
	for (let i = 0; i < lanes; i++) draw.fillRect(0, Math.round((i + 0.5) * each), width, 1);
	draw.fillStyle = ink;
	draw.strokeStyle = bad;
	draw.lineWidth = 2;
	for (const stroke of strokes(recording, width, lanes)) {
		const {at} = stroke, middle = (stroke.lane + 0.5) * each, half = each / 2 - 1;
		if (stroke.refused) {
			draw.beginPath();
			for (const way of [1, -1]) {
				draw.moveTo(at - 4, middle - 4 * way);
				draw.lineTo(at + 4, middle + 4 * way);
			}
			draw.stroke();
			continue;
		}
		draw.globalAlpha = stroke.n <= n ? 1 : 0.45;
		draw.fillRect(at - 1, middle - half, thick, 2 * half);
		draw.globalAlpha = 1;
	}
}

// canvasOf prepares a canvas, which is empty then, for the pixels of the screen.
function canvasOf(canvas) {
	const scale = devicePixelRatio || 1;
	const {clientWidth: width, clientHeight: height} = canvas;
	canvas.width = width * scale;
	canvas.height = height * scale;
	const draw = canvas.getContext("2d");
	draw.scale(scale, scale);
	return {draw, width, height};
}
