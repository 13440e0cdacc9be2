/* Ten minutes as lines. The series of a server has the same colour and the same
 * dashes in every chart; the legend under a chart tells the newest values, or
 * those under the pointer, as text. Without uPlot (a build without `make deps`)
 * the legends are all there is. */

const WINDOW_SECONDS = 600;
const LEAST_SECONDS = 60; /* right after the start */
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3], [4, 2], [12, 4], [2, 6], [7, 2, 2, 2, 2, 2]];
const hasCharts = typeof uPlot === "function";

/* ---- what is charted ---- */

const toMs = (values) => values.map((us) => us === null ? null : us / 1000);

/* Each: a title, and one or several views of it, of which one is shown. A view
 * has a word, a way to write a value, and its series: [name, values, pen], where
 * those of servers take the server's own pen. */
const CHARTS = [
	{ title: "Reads", views: [{ word: "per second", format: (v) => formatCount(v), series: (past) => [
		...past.replicas().map((node) => [node.name, node.requests]),
		[past.master || "on the master", past.reads_on_master]] }] },
	{ title: "Writes", views: [{ word: "per second", format: (v) => formatCount(v), series: (past) => [
		["writes", past.writes, 0], ["scripts, transactions, others", past.others, 1]] }] },
	{ title: "Lag", views: [
		{ word: "time", format: formatMs, series: (past) => past.replicas().map((node) => [node.name, toMs(node.lag_us)]) },
		{ word: "bytes", format: formatBytes, series: (past) => past.replicas().map((node) => [node.name, node.lag_bytes]) }] },
	{ title: "Latency", views: [
		{ word: "p99", format: formatMs, series: (past) => past.nodes.map((node) => [node.name, toMs(node.p99_us)]) },
		{ word: "p50", format: formatMs, series: (past) => past.nodes.map((node) => [node.name, toMs(node.p50_us)]) }] },
	{ title: "Clients", views: [{ word: "connected", format: (v) => formatCount(v), series: (past) => [
		["clients", past.clients, 0]] }] },
];

/* ---- looks ---- */

/* A name keeps the number that it got first. */
class Pens {
	constructor() {
		this.numbers = new Map();
	}

	of(name, fixed) {
		if (fixed === undefined && !this.numbers.has(name))
			this.numbers.set(name, this.numbers.size);
		const number = fixed === undefined ? this.numbers.get(name) : fixed;

		return { colour: number % 8 + 1, dash: DASHES[number % DASHES.length] };
	}
}

function themeColour(name) {
	return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function makeSwatch(pen) {
	const swatch = svgElement("svg", { viewBox: "0 0 26 8", "aria-hidden": "true" });

	swatch.classList.add("swatch");
	swatch.append(svgElement("path", { d: "M0 4h26", "stroke-dasharray": pen.dash.join(" ") }));
	swatch.dataset.pen = pen.colour;
	return swatch;
}

/* ---- one chart ---- */

class Chart {
	constructor(place, what, pens, key) {
		const choice = element("div", "choice");

		this.what = what;
		this.view = what.views[0];
		this.pens = pens;
		this.key = key;
		this.word = element("span", "unit", what.views.length === 1 ? this.view.word : "");
		this.canvas = element("div", "canvas");
		this.legend = element("ul", "legend");
		this.rows = [];
		this.canvas.setAttribute("role", "img");
		place.append(element("figure", "chart", element("figcaption", "", element("h3", "", what.title), this.word, choice),
			this.canvas, this.legend));
		if (what.views.length > 1) {
			choice.setAttribute("role", "group");
			setLabel(choice, `${what.title} by`);
			makeChoice(choice, what.views.map((view) => view.word), (chosen) => {
				this.view = what.views[chosen];
				this.rebuild();
			});
		}
		if (hasCharts)
			new ResizeObserver(() => this.resize()).observe(this.canvas);
	}

	/* What is known by now. */
	show(past) {
		this.past = past;
		const series = this.view.series(past);
		const names = series.map(([name]) => name).join("\n");

		if (names !== this.names || (hasCharts && !this.plot)) {
			this.names = names;
			this.makeLegend(series);
			this.makePlot(series);
		}
		this.data = [past.time, ...series.map(([, values]) => values)];
		if (this.plot)
			this.plot.setData(this.data);
		this.showValues(null);
		this.describe(series);
	}

	rebuild() {
		this.names = null;
		if (this.past)
			this.show(this.past);
	}

	makeLegend(series) {
		this.rows = series.map(([name, , pen]) => {
			const value = element("span", "value", UNKNOWN);

			return { value, item: element("li", "", makeSwatch(this.pens.of(name, pen)), element("span", "series", name), value) };
		});
		this.legend.replaceChildren(...this.rows.map((row) => row.item));
	}

	/* Those under the pointer, or the newest. */
	showValues(index) {
		const at = isKnown(index) ? index : this.data[0].length - 1;

		this.rows.forEach((row, i) => {
			const value = this.data[i + 1][at];

			setText(row.value, isKnown(value) ? this.view.format(value) : UNKNOWN);
		});
	}

	describe(series) {
		const last = series.map(([name, values]) => {
			const value = values[values.length - 1];

			return `${name} ${isKnown(value) ? this.view.format(value) : "unknown"}`;
		});
		const now = Date.now();

		if (this.described && now - this.described < 10000)
			return;
		this.described = now;
		setLabel(this.canvas, `${this.what.title}, ${this.view.word}, now: ${last.join(", ") || "nothing"}`);
	}

	makePlot(series) {
		if (this.plot)
			this.plot.destroy();
		this.plot = null;
		if (!hasCharts || this.canvas.clientWidth === 0)
			return;
		this.plot = new uPlot(this.options(series), [[], ...series.map(() => [])], this.canvas);
	}

	options(series) {
		const axis = { stroke: themeColour("--muted"), font: "11px system-ui, sans-serif",
			grid: { stroke: themeColour("--grid"), width: 1 }, ticks: { show: false } };

		return {
			width: this.canvas.clientWidth, height: 168, padding: [8, 22, 0, 0],
			legend: { show: false },
			cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false }, sync: { key: this.key } },
			hooks: { setCursor: [(plot) => this.data && this.showValues(plot.cursor.idx)] },
			scales: {
				x: { range: () => this.window() },
				y: { range: (plot, low, high) => [0, high > 0 ? high * 1.12 : 1] },
			},
			axes: [
				{ ...axis, size: 24, space: 70, incrs: [10, 30, 60, 120], values: (plot, times, axisNumber, space, step) =>
					times.map((t) => (step < 60 ? clockTime : clockMinute).format(t * 1000)) },
				{ ...axis, size: 58, space: 36, values: (plot, values) => values.map((v) => this.tick(v)) },
			],
			series: [{}, ...series.map(([name, , pen]) => this.stroke(name, pen))],
		};
	}

	tick(value) {
		return this.view.format === formatMs || this.view.format === formatBytes ? this.view.format(value) : formatShort(value);
	}

	stroke(name, fixed) {
		const pen = this.pens.of(name, fixed);
		const colour = themeColour(`--series-${pen.colour}`);

		return { label: name, stroke: colour, fill: fixed === 0 ? `${colour}1c` : undefined, width: 1.6, dash: pen.dash,
			points: { show: false } };
	}

	/* From when to when, in seconds: up to the newest sample. */
	window() {
		const times = this.past.time;
		const last = times.length > 0 ? times[times.length - 1] : Date.now() / 1000;
		const known = times.length > 0 ? last - times[0] : 0;

		return [last - Math.min(WINDOW_SECONDS, Math.max(LEAST_SECONDS, known)), last];
	}

	resize() {
		if (this.plot && this.canvas.clientWidth > 0)
			this.plot.setSize({ width: this.canvas.clientWidth, height: 168 });
		else if (this.past)
			this.show(this.past);
	}
}

/* ---- all of them ---- */

class Charts {
	constructor(place) {
		this.pens = new Pens();
		if (!hasCharts)
			place.before(element("p", "remark", "This weir was built without the chart library, so there are numbers only " +
				"(make deps fetches it)."));
		this.charts = CHARTS.map((what) => new Chart(place, what, this.pens, "weir"));
		matchMedia("(prefers-color-scheme: dark)").addEventListener("change",
			() => this.charts.forEach((chart) => chart.rebuild()));
	}

	show(past) {
		past.nodes.forEach((node) => this.pens.of(node.name)); /* in the order of the file */
		this.charts.forEach((chart) => chart.show(past));
	}
}
