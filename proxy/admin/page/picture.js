/* The picture of the topology: the master, an arrow to every replica with how
 * far it is behind, and the replicas with what they do or why they do not.
 * Cards are made once per server and then only told what is new. */

/* Why a replica serves no reads, by /status' word. */
const REASONS = {
	down: ["bad", "down", "It does not answer."],
	drained: ["paused", "drained", "Taken out by an operator."],
	unknown: ["unknown", "not known yet", "weir has not looked at it yet, or is about to."],
	old_version: ["bad", "too old", "weir needs Redis 6.2.6 or later."],
	loading: ["busy", "loading", "It is loading its data."],
	not_a_replica: ["warn", "not a replica", "It says that it is a master."],
	sync: ["busy", "full resync", "It is fetching all of the data."],
	writable: ["warn", "writable", "It takes writes of its own, so its data may be other data."],
	master: ["good", "master", "It is the master."],
	no_master: ["warn", "no master", "Nobody knows how old its data is; no_master_reads decides."],
	same_server: ["bad", "same server", "Another address of the file leads to the same server."],
	wrong_master: ["warn", "wrong master", "It follows somebody else."],
	link_down: ["bad", "link down", "Its link to the master is down."],
	other_history: ["warn", "other data", "Its data is of another history than the master's."],
	lag: ["warn", "lagging", "Its data is older than max_lag allows."],
	lag_bytes: ["warn", "lagging", "It is further behind than max_lag_bytes allows."],
};

function judge(replica) {
	if (replica.readable)
		return ["good", "serves reads", ""];
	return REASONS[replica.reason] || ["warn", replica.reason || "not readable", ""];
}

/* What a change of the master that is under way makes of it comes first. */
function judgeWithin(replica, change) {
	if (change.phase && replica.name === change.to)
		return ["busy", "becomes the master", ""];
	return judge(replica);
}

/* ---- cards ---- */

function makeFact(list, label) {
	const value = element("dd", "", UNKNOWN);

	list.append(element("div", "fact", element("dt", "", label), value));
	return value;
}

function makeFacts(labels) {
	const list = element("dl", "facts");
	const facts = Object.fromEntries(Object.entries(labels).map(([key, label]) => [key, makeFact(list, label)]));

	return [list, facts];
}

function makeCard(className, labels) {
	const [list, facts] = makeFacts(labels);
	const card = {
		mark: element("span", "mark"), name: element("h3", "name"), address: element("p", "address"),
		badge: element("p", "badge"), remark: element("p", "remark"), facts,
	};

	card.root = element("article", `card ${className}`,
		element("div", "card-head", card.mark, element("div", "card-title", card.name, card.address), card.badge),
		card.remark, list);
	return card;
}

function showHead(card, server, verdict) {
	const version = server.server_version ? `${server.server_name || ""} ${server.server_version}` : "";
	const parts = [server.name === server.address ? "" : server.address, version];

	setData(card.root, "verdict", verdict[0]);
	setMark(card.mark, verdict[0]);
	setText(card.name, server.name || UNKNOWN);
	setText(card.address, parts.filter((part) => part).join(" \u00b7 "));
	setText(card.badge, verdict[1]);
}

function showRemark(card, sentences) {
	const text = sentences.filter((sentence) => sentence).join(" ");

	setText(card.remark, text);
	setHidden(card.remark, text === "");
}

/* ---- the master ---- */

const MASTER_FACTS = {
	offset: "Offset", writes: "Writes", reads: "Reads", latency: "Latency p50 / p99", keys: "Keys",
	replicas: "Connected replicas", backlog: "Backlog", history: "Epoch",
};

function showBacklog(server) {
	const backlog = server.backlog || {};

	if (!backlog.active)
		return "none";
	return backlog.histlen >= backlog.size ? `${formatBytes(backlog.size)}, full` :
		`${formatBytes(backlog.histlen)} of ${formatBytes(backlog.size)}`;
}

function perSecond(value) {
	return isKnown(value) ? `${formatCount(value)} /s` : UNKNOWN;
}

function showLatency(now) {
	if (!now || !isKnown(now.p50_us))
		return UNKNOWN;
	return `${formatMs(now.p50_us / 1000)} / ${formatMs(now.p99_us / 1000)}`;
}

function showMaster(card, status, seconds) {
	const master = status.master;

	showHead(card, master, ["good", "master", ""]);
	showRemark(card, []);
	setText(card.facts.offset, formatCount(master.offset));
	setText(card.facts.writes, perSecond(seconds.writes));
	setText(card.facts.reads, perSecond(seconds.reads_on_master));
	setText(card.facts.latency, showLatency(seconds.nodes.get(master.name)));
	setText(card.facts.keys, formatCount(master.keys));
	setText(card.facts.replicas, formatCount(master.connected_replicas));
	setText(card.facts.backlog, showBacklog(master));
	setText(card.facts.history, master.replid ? `${status.epoch} \u00b7 ${master.replid.slice(0, 8)}` : UNKNOWN);
}

function showNoMaster(card, status) {
	setData(card.root, "verdict", "bad");
	setMark(card.mark, "bad");
	setText(card.name, "No master");
	setText(card.address, "");
	setText(card.badge, "writes wait, then fail");
	showRemark(card, [status.no_master_reason ? `${status.no_master_reason}.` : "",
		status.failover.refused ? `No failover so far: ${status.failover.refused}.` : ""]);
}

/* ---- replicas ---- */

const OLD_MEASURE_MS = 500;

const REPLICA_FACTS = {
	offset: "Offset", reads: "Reads", latency: "Latency p50 / p99", resync: "If reconnected now",
};

function linkOf(replica) {
	const total = replica.sync_total_bytes;

	if (!replica.up)
		return ["broken", "no answer"];
	if (replica.sync_in_progress)
		return ["busy", `full resync, ${formatBytes(replica.sync_read_bytes)}${isKnown(total) ? ` of ${formatBytes(total)}` : ""}`];
	if (replica.role === "master")
		return ["broken", "a master itself"];
	if (replica.link === "up")
		return replica.reason === "wrong_master" || replica.reason === "no_master" ?
			["broken", `follows ${replica.master_address}`] : ["whole", "link up"];
	return ["broken", `link ${replica.link || "not known"}${replica.link_state ? ` (${replica.link_state})` : ""}`];
}

/* As it was measured the last time. Its age can have grown since, by the time that
 * has passed; where that is long the bound itself is told. */
function lagOf(replica) {
	const measured = replica.measured_lag_ms;

	return isKnown(measured) && replica.lag_ms - measured < OLD_MEASURE_MS ? measured : replica.lag_ms;
}

function distanceOf(replica, hasMaster) {
	if (!replica.up || !hasMaster || !isKnown(replica.lag_ms) || !isKnown(replica.lag_bytes))
		return "";
	return `${formatMs(lagOf(replica))} \u00b7 ${formatBytes(replica.lag_bytes)}`;
}

function makeReplica() {
	const card = makeCard("replica", REPLICA_FACTS);

	card.distance = element("p", "distance");
	card.line = element("div", "line");
	card.link = element("p", "link-text");
	card.item = element("li", "", element("div", "arrow", card.distance, card.line, card.link), card.root);
	card.line.setAttribute("aria-hidden", "true");
	return card;
}

function showLink(card, replica, hasMaster) {
	const [kind, text] = linkOf(replica);
	const distance = distanceOf(replica, hasMaster);
	const late = replica.reason === "lag" || replica.reason === "lag_bytes";

	setData(card.item, "link", late && kind === "whole" ? "late" : kind);
	setText(card.distance, distance === "" ? "" : `${distance} behind`);
	setText(card.link, text);
}

function wordsOfUsers(replica) {
	return replica.differing_users > 0 ?
		`${plural(replica.differing_users, "user")} with other rules than on the master: their reads stay there.` : "";
}

function showReplica(card, replica, status, seconds) {
	const verdict = judgeWithin(replica, status.switchover);
	const now = seconds.nodes.get(replica.name);

	showHead(card, replica, verdict);
	showLink(card, replica, status.master !== null);
	showRemark(card, [verdict[2], replica.wiring ? `Not wired: ${replica.wiring}.` : "", wordsOfUsers(replica)]);
	setText(card.facts.offset, formatCount(replica.offset));
	setText(card.facts.reads, perSecond(now && now.requests) + (replica.weight === 1 ? "" : `, weight ${replica.weight}`));
	setText(card.facts.latency, showLatency(now));
	setText(card.facts.resync, replica.resync_if_reconnected ? `${replica.resync_if_reconnected} resync` : UNKNOWN);
}

/* ---- the whole ---- */

class Picture {
	constructor(place) {
		this.master = makeCard("master", MASTER_FACTS);
		this.list = element("ul", "replicas");
		this.replicas = new Map();
		this.nobody = element("p", "nothing", "No replica is configured.");
		place.append(element("div", "source", this.master.root), this.list, this.nobody);
		this.list.setAttribute("aria-label", "Replicas");
	}

	show(status, seconds) {
		if (status.master)
			showMaster(this.master, status, seconds);
		else
			showNoMaster(this.master, status);
		setData(this.master.root, "empty", String(!status.master));
		setHidden(this.nobody, status.replicas.length > 0);
		this.keepOnly(new Set(status.replicas.map((replica) => replica.name)));
		status.replicas.forEach((replica, index) => this.showOne(replica, index, status, seconds));
	}

	keepOnly(names) {
		for (const [name, card] of this.replicas) {
			if (!names.has(name)) {
				card.item.remove();
				this.replicas.delete(name);
			}
		}
	}

	showOne(replica, index, status, seconds) {
		if (!this.replicas.has(replica.name))
			this.replicas.set(replica.name, makeReplica());
		const card = this.replicas.get(replica.name);

		if (this.list.children[index] !== card.item)
			this.list.insertBefore(card.item, this.list.children[index] || null);
		showReplica(card, replica, status, seconds);
	}
}
