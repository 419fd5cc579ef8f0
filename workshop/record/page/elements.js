// Making elements. Text from a recording becomes a text node, never markup.
"use strict";

// h makes an element: h("p", {class: "words"}, "text", other, ...). An attribute that begins with
// "on" is a function, and one that is false is left out.
function h(tag, attributes = {}, ...children) {
	return fill(document.createElement(tag), attributes, children);
}

// svg makes an element of a drawing.
function svg(tag, attributes = {}, ...children) {
	return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
	for (const [name, value] of Object.entries(attributes)) {
		if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
		else if (value !== false && value !== undefined) element.setAttribute(name, value);
	}
	element.append(...children.flat(Infinity).filter(
		child => child !== null && child !== undefined && child !== false));
	return element;
}

// WORDS say a sign to those who hear the page.
const WORDS = {[NEW]: "new: ", [GONE]: "gone: ", [OTHER]: "changed: "};

// signed makes text with the sign of a change before it, or without one.
function signed(sign, ...text) {
	if (!sign) return h("span", {}, ...text);
	return h("span", {class: "change", "data-sign": sign},
		h("span", {class: "sign", "aria-hidden": "true"}, sign),
		h("span", {class: "hidden"}, WORDS[sign]), h("span", {class: "changed"}, ...text));
}

// button makes a button that says what it does, and with which key.
function button(label, title, key, onclick, attributes = {}) {
	return h("button", {
		type: "button", "aria-label": title, title: key ? `${title} (${key})` : title, onclick,
		...attributes,
	}, label);
}

// card makes a part of the state: a heading and what is below it.
function card(id, heading, ...content) {
	return h("section", {class: "card", id: `card-${id}`, "aria-labelledby": `heading-${id}`},
		h("h3", {id: `heading-${id}`}, heading), ...content);
}

// pageData is the data that lies in the page, in one element or more.
function pageData() {
	const elements = [...document.querySelectorAll(`script[type="application/json"]`)];
	return JSON.parse(elements.map(element => element.textContent).join(""));
}

// colours reads colours of the style sheet, for the canvas, as they are in light or dark.
function colours(...names) {
	const probe = document.body.appendChild(h("span"));
	const found = names.map(name => {
		probe.style.color = `var(--${name})`;
		return getComputedStyle(probe).color;
	});
	probe.remove();
	return found;
}
