/* What /history has told so far, put together from its answers: columns of the
 * last ten minutes, and the newest second by itself. */

const PAST_SAMPLES = 600;
const PAST_COLUMNS = ["time", "clients", "reads_on_replicas", "reads_on_master", "writes", "others"];
const PAST_NODE_COLUMNS = ["requests", "lag_us", "lag_bytes", "p50_us", "p99_us"];

function nothing(count) {
	return new Array(count).fill(null);
}

class Past {
	constructor() {
		this.forget();
	}

	forget() {
		this.started = null;
		this.newest = 0;
		this.nodes = [];
		this.master = null;
		for (const column of PAST_COLUMNS)
			this[column] = [];
	}

	/* False: weir is another process by now, and what was known is of the one
	 * before. Ask again from the beginning. */
	add(answer) {
		if (this.started !== null && this.started !== answer.started) {
			this.forget();
			return false;
		}
		const before = this.time.length;

		this.started = answer.started;
		this.newest = answer.newest;
		for (const column of PAST_COLUMNS)
			this[column] = this[column].concat(answer[column]).slice(-PAST_SAMPLES);
		this.addNodes(answer, before);
		return true;
	}

	addNodes(answer, before) {
		const known = new Map(this.nodes.map((node) => [node.name, node]));
		const added = answer.time.length;

		this.nodes = answer.nodes.map((told) => {
			const node = known.get(told.name) || Object.fromEntries(PAST_NODE_COLUMNS.map((column) => [column, nothing(before)]));
			const next = { name: told.name };

			for (const column of PAST_NODE_COLUMNS)
				next[column] = node[column].concat(told[column]).slice(-PAST_SAMPLES);
			return next;
		});
		return added;
	}

	replicas() {
		return this.nodes.filter((node) => node.name !== this.master);
	}

	/* The newest second: the group's values by name, the nodes' as a map. */
	seconds() {
		const last = this.time.length - 1;
		const now = { nodes: new Map() };

		for (const column of PAST_COLUMNS)
			now[column] = last < 0 ? null : this[column][last];
		for (const node of this.nodes)
			now.nodes.set(node.name, Object.fromEntries(PAST_NODE_COLUMNS.map((column) => [column, node[column][last]])));
		return now;
	}
}
