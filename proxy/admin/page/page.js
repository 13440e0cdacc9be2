/* Asks weir how things are, and shows the answers: /status twice a second, the
 * history once, the events when there are new ones; seldom while nobody looks. */

const ASK_EVERY_MS = 500;
const ASK_HIDDEN_MS = 5000;
const PATIENCE_MS = 3000;

/* Mark, word. */
const STATES = {
	ok: ["good", "Healthy"],
	degraded: ["warn", "Degraded"],
	no_master: ["bad", "No master"],
};

/* weir did not answer, or not what was asked for. */
class NoAnswer extends Error {}

async function ask(path) {
	try {
		const answer = await fetch(path, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });

		if (answer.ok)
			return await answer.json();
	} catch (error) {
		/* the same as any other answer that cannot be used */
	}
	throw new NoAnswer(path);
}

/* ---- the head of the page ---- */

function sumUp(status) {
	const readable = status.replicas.filter((replica) => replica.readable).length;
	const all = status.replicas.length;

	if (!status.master)
		return status.no_master_reason || "";
	if (all === 0)
		return `${status.master.name}, no replicas`;
	return readable === all ? `${status.master.name} and ${plural(all, "replica")}, all serve reads` :
		`${readable} of ${plural(all, "replica")} ${readable === 1 ? "serves" : "serve"} reads`;
}

function showState(status) {
	const [mark, word] = STATES[status.state] || ["unknown", status.state];

	setData(find("state"), "state", mark);
	setMark(find("state-mark"), mark);
	setText(find("state-word"), word);
	setText(find("state-text"), sumUp(status));
	setText(find("about"), `weir ${status.version} \u00b7 up ${formatSpan(status.uptime_seconds)}`);
	document.title = mark === "good" ? "weir" : `${word} \u00b7 weir`;
}

function showWiring(status) {
	const observing = status.wiring.mode !== "enforce";

	setHidden(find("wiring"), !observing);
	setText(find("wiring"), !observing ? "" :
		`weir only observes and wires nothing${status.wiring.reason ? `: ${status.wiring.reason}` : " (wiring = observe)"}.`);
}

const SWITCHOVER_SHOWN_SECONDS = 600;

function phasesOf(change) {
	return change.phases.map((phase) => `${phase.name.replace("_", " ")} ${formatMs(phase.ms)}`).join(", ");
}

function switchoverText(change) {
	const kind = change.kind === "failover" ? "Failover" : "Switchover";

	if (change.phase)
		return `${kind} from ${change.from} to ${change.to}: ${change.phase.replace("_", " ")}, ` +
			`for ${formatMs(change.phase_ms)}${change.holds_writes ? "; writes wait" : ""}.` +
			(change.phases.length > 0 ? ` So far: ${phasesOf(change)}.` : "");
	return isKnown(change.ended_seconds_ago) && change.ended_seconds_ago < SWITCHOVER_SHOWN_SECONDS
		? `Last ${kind.toLowerCase()}: ${change.result} (${phasesOf(change)}).` : "";
}

/* While it is under way, and for a while what became of it. */
function showSwitchover(status) {
	const text = switchoverText(status.switchover);

	setHidden(find("switchover"), text === "");
	setText(find("switchover"), text);
}

/* ---- tiles ---- */

function greatestLag(status) {
	const lags = status.replicas.filter((replica) => replica.up && isKnown(replica.lag_ms)).map(lagOf);

	return status.master && lags.length > 0 ? Math.max(...lags) : null;
}

function shareOnReplicas(now) {
	const all = now.reads_on_replicas + now.reads_on_master;

	return all > 0 ? `${Math.floor(100 * now.reads_on_replicas / all)} % of the reads` : "of the reads";
}

/* Label; the value; what stands below it. */
const TILES = [
	["Clients", (status) => formatCount(status.clients.connected), (status) => `of at most ${formatCount(status.clients.max)}`],
	["Reads on replicas", (status, now) => perSecond(now.reads_on_replicas), (status, now) => shareOnReplicas(now)],
	["Reads on the master", (status, now) => perSecond(now.reads_on_master), () => ""],
	["Writes", (status, now) => perSecond(now.writes), () => ""],
	["Greatest lag", (status) => formatMs(greatestLag(status)), () => ""],
];

class Tiles {
	constructor(place) {
		this.tiles = TILES.map(([label, value, below]) => {
			const tile = { show: value, below, value: element("dd", "tile-value"), note: element("dd", "tile-note") };

			place.append(element("div", "tile", element("dt", "", label), tile.value, tile.note));
			return tile;
		});
	}

	show(status, now) {
		for (const tile of this.tiles) {
			setText(tile.value, tile.show(status, now));
			setText(tile.note, tile.below(status, now));
		}
	}
}

/* ---- weir does not answer ---- */

class Silence {
	constructor(place) {
		this.place = place;
		this.since = null;
	}

	broken() {
		if (!this.since)
			document.title = "No answer \u00b7 weir";
		this.since = this.since || new Date();
		setText(this.place, `weir does not answer since ${formatTime(this.since)}, ` +
			`${formatSpan((Date.now() - this.since) / 1000)} ago. What is shown below is from then.`);
		setHidden(this.place, false);
		setData(document.body, "silent", "true");
	}

	over() {
		this.since = null;
		setHidden(this.place, true);
		setData(document.body, "silent", "false");
	}
}

/* ---- the loop ---- */

/* Its name, or that of the one who was it last. */
function masterOf(status, before) {
	const claims = status.replicas.find((server) => server.role === "master");

	return status.master ? status.master.name : before || (claims ? claims.name : null);
}

class Page {
	constructor() {
		this.past = new Past();
		this.tiles = new Tiles(find("tiles"));
		this.picture = new Picture(find("picture"));
		this.charts = new Charts(find("charts"));
		this.events = new Events(find("events-log"), find("events"), find("events-choice"), find("events-nothing"));
		this.silence = new Silence(find("silence"));
		this.turn = 0;
		this.wake = () => {};
		document.addEventListener("visibilitychange", () => this.wake());
		setText(find("console"), `The console: redis-cli -h ${location.hostname} -p ${location.port || 80}`);
	}

	async update() {
		const status = await ask("status");
		const asksHistory = this.turn++ % 2 === 0 || document.hidden;

		if (asksHistory)
			await this.updatePast(status);
		const now = this.past.seconds();

		showState(status);
		showWiring(status);
		showSwitchover(status);
		this.tiles.show(status, now);
		this.picture.show(status, now);
		if (asksHistory)
			this.charts.show(this.past);
		if (status.newest_event !== this.events.newest && !this.events.add(await ask(`events?since=${this.events.newest}`)))
			this.events.add(await ask("events?since=0"));
	}

	async updatePast(status) {
		this.past.master = masterOf(status, this.past.master);
		if (this.past.add(await ask(`history?since=${this.past.newest}`)))
			return;
		this.events.forget();
		this.past.add(await ask("history?since=0"));
	}

	async run() {
		for (;;) {
			try {
				await this.update();
				this.silence.over();
			} catch (error) {
				if (!(error instanceof NoAnswer))
					console.error(error);
				this.silence.broken();
			}
			await this.pause();
		}
	}

	/* Or until somebody looks again. */
	pause() {
		return new Promise((resolve) => {
			this.wake = resolve;
			setTimeout(resolve, document.hidden ? ASK_HIDDEN_MS : ASK_EVERY_MS);
		});
	}
}

new Page().run();
