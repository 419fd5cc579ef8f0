// What all pages have: the address, the colours, the list of keys, and swipes.

const SIGNS = [
	[NEW, "is new"],
	[OTHER, "is not as it was before, or not as on the other side"],
	[GONE, "is gone"],
	["✗", "the kernel refused the call"],
	["■", "no call: a signal, or the end of a process"],
];

// fromAddress returns the number that the address names, as in #17.
function fromAddress(most) {
	const n = Number(/^#(\d+)$/.exec(location.hash)?.[1] ?? 0);
	return Math.min(n, most);
}

// setAddress puts a number into the address. "push" makes an entry for the buttons back and
// forward of the browser, and "replace" none.
function setAddress(n, way) {
	try { // browsers limit how often
		history[way === "push" ? "pushState" : "replaceState"](null, "", `#${n}`);
	} catch {}
}

// listenToAddress calls a function when somebody goes back, forward, or types another number.
function listenToAddress(act) {
	addEventListener("popstate", act);
	addEventListener("hashchange", act);
}

// turnColours makes a light page dark and a dark one light.
function turnColours() {
	const root = document.documentElement;
	const dark = root.dataset.colours ? root.dataset.colours === "dark" :
		matchMedia("(prefers-color-scheme: dark)").matches;
	root.dataset.colours = dark ? "light" : "dark";
}

// A button that is clicked does not take the focus: the space bar still plays.
document.addEventListener("mousedown", event => {
	if (event.target.closest?.("button")) event.preventDefault();
});

// pressed does what a key stands for, by the table of keys. A button that has the focus keeps the
// space bar.
function pressed(event, keys) {
	if (event.ctrlKey || event.altKey || event.metaKey) return;
	if (document.querySelector("dialog[open]")) return;
	if (event.key === " " && event.target.closest?.("button, a, summary")) return;
	if (!Object.hasOwn(keys, event.key)) return;
	event.preventDefault();
	keys[event.key]();
}

function helpDialog(keys) {
	const rows = list => list.map(([left, right]) => [h("dt", {}, left), h("dd", {}, right)]);
	const dialog = h("dialog", {"aria-labelledby": "help"},
		h("h2", {id: "help"}, "Keys"), h("dl", {}, rows(keys)),
		h("p", {}, "On a phone: swipe to the left and to the right."),
		h("h2", {}, "Signs"), h("dl", {}, rows(SIGNS)),
		button("close", "close", "Escape", () => dialog.close(), {class: "wide"}));
	return dialog;
}

// listenToSwipes calls move with 1 for a swipe to the left, and with -1 for one to the right.
function listenToSwipes(element, move) {
	let start = null;
	element.addEventListener("touchstart", event => {
		start = event.touches.length === 1 ? event.touches[0] : null;
	}, {passive: true});
	element.addEventListener("touchend", event => {
		if (!start) return;
		const end = event.changedTouches[0];
		const [x, y] = [end.clientX - start.clientX, end.clientY - start.clientY];
		if (Math.abs(x) > 50 && Math.abs(x) > 2 * Math.abs(y)) move(x < 0 ? 1 : -1);
	}, {passive: true});
}
