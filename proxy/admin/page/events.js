/* The event log, newest on top. */

const EVENTS_SHOWN = 300;

class Events {
	constructor(log, list, choice, nothing) {
		this.log = log;
		this.list = list;
		this.nothing = nothing;
		this.forget();
		makeChoice(choice, ["all", "warnings"], (chosen) => setData(list, "only", chosen === 1 ? "warning" : ""));
	}

	forget() {
		this.started = null;
		this.newest = 0;
		this.list.replaceChildren();
	}

	/* False: weir is another process by now; ask again from the beginning. */
	add(answer) {
		const first = this.started === null;

		if (!first && this.started !== answer.started) {
			this.forget();
			return false;
		}
		this.started = answer.started;
		this.newest = answer.newest;
		this.list.prepend(...answer.events.map(makeEvent).reverse());
		while (this.list.children.length > EVENTS_SHOWN)
			this.list.lastElementChild.remove();
		setHidden(this.log, this.list.children.length === 0);
		setHidden(this.nothing, this.list.children.length > 0);
		if (first) /* what comes from here on is news */
			setTimeout(() => this.log.setAttribute("aria-live", "polite"), 1000);
		return true;
	}
}

function makeEvent(event) {
	const date = new Date(event.time);
	const time = element("time", "", formatTime(date));
	const mark = element("span", "mark");
	const row = element("li", "event", time, mark, element("span", "kind", event.kind.replaceAll("_", " ")),
		element("span", "node", event.node || ""), element("span", "text", event.text || ""));

	time.dateTime = event.time;
	time.title = date.toString();
	row.dataset.level = event.level;
	row.dataset.kind = event.kind;
	setMark(mark, event.level === "warning" ? "warn" : "note");
	return row;
}
