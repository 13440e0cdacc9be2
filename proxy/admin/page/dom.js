"use strict";
/* Building blocks. Every word on the page that came from outside (names of
 * servers, texts of events) goes through textContent; markup is never made of
 * strings. */

function find(id) {
	return document.getElementById(id);
}

/* An element with its class, its attributes and what stands in it: nodes, or text. */
function element(tag, className, ...content) {
	const made = document.createElement(tag);

	if (className)
		made.className = className;
	made.append(...content.filter((part) => part !== null && part !== undefined));
	return made;
}

/* Touches the document only where something changes, so that what is selected
 * stays selected and a screen reader is not woken for nothing. */
function setText(node, text) {
	if (node.textContent !== text)
		node.textContent = text;
}

function setHidden(node, hidden) {
	if (node.hidden !== hidden)
		node.hidden = hidden;
}

function setData(node, name, value) {
	if (node.dataset[name] !== value)
		node.dataset[name] = value;
}

function setLabel(node, text) {
	if (node.getAttribute("aria-label") !== text)
		node.setAttribute("aria-label", text);
}

function svgElement(tag, attributes) {
	const made = document.createElementNS("http://www.w3.org/2000/svg", tag);

	for (const [name, value] of Object.entries(attributes))
		made.setAttribute(name, value);
	return made;
}

/* Marks differ in shape, not only in colour. */
const MARKS = {
	good: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm3.6 5.1-4.2 5-2.8-2.6 1.1-1.2 1.6 1.5 3.1-3.7z",
	warn: "M8 1.2 15.6 14.6H.4zM7.2 6v4.2h1.6V6zm0 5.2v1.6h1.6v-1.6z",
	bad: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm3.2 9L10 11.2l-2-2-2 2L4.8 10l2-2-2-2L6 4.8l2 2 2-2L11.2 6l-2 2z",
	paused: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM5.2 5h1.9v6H5.2zm3.7 0h1.9v6H8.9z",
	busy: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM4 7.2h1.6v1.6H4zm3.2 0h1.6v1.6H7.2zm3.2 0H12v1.6h-1.6z",
	note: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6z",
	unknown: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.7a5.3 5.3 0 1 1 0 10.6A5.3 5.3 0 0 1 8 2.7z",
};

/* Puts the mark of this kind into a place that is kept for it. */
function setMark(place, kind) {
	if (place.dataset.mark === kind)
		return;
	place.dataset.mark = kind;
	const picture = svgElement("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" });
	picture.append(svgElement("path", { d: MARKS[kind], "fill-rule": "evenodd" }));
	place.replaceChildren(picture);
}

/* Buttons of which one is pressed. */
function makeChoice(place, names, onChoice) {
	const buttons = names.map((name) => element("button", "", name));

	buttons.forEach((button, chosen) => {
		button.type = "button";
		button.setAttribute("aria-pressed", String(chosen === 0));
		button.addEventListener("click", () => {
			buttons.forEach((other, i) => other.setAttribute("aria-pressed", String(i === chosen)));
			onChoice(chosen);
		});
	});
	place.append(...buttons);
}
