/* Numbers and times as people read them. What is not known is a dash. */

const UNKNOWN = "\u2013";
const wholeNumber = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clockTime = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const clockMinute = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const calendarDay = new Intl.DateTimeFormat("en", { month: "short", day: "numeric" });

function isKnown(value) {
	return value !== null && value !== undefined;
}

/* Three digits that count. */
function threeDigits(value) {
	return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function formatCount(value) {
	return isKnown(value) ? wholeNumber.format(value) : UNKNOWN;
}

/* For axes, where room is scarce: 12k */
function formatShort(value) {
	if (value >= 1e6)
		return `${+(value / 1e6).toFixed(1)}M`;
	return value >= 1e4 ? `${+(value / 1e3).toFixed(1)}k` : `${+value.toFixed(2)}`;
}

function formatBytes(value) {
	const units = ["B", "KB", "MB", "GB", "TB"];
	let unit = 0;

	if (!isKnown(value))
		return UNKNOWN;
	for (; value >= 1024 && unit < units.length - 1; unit++)
		value /= 1024;
	return `${unit === 0 ? value : +threeDigits(value)} ${units[unit]}`;
}

function formatMs(value) {
	if (!isKnown(value))
		return UNKNOWN;
	if (value < 1000)
		return `${value === 0 ? 0 : threeDigits(value)} ms`;
	return value < 60000 ? `${threeDigits(value / 1000)} s` : formatSpan(value / 1000);
}

function formatSpan(seconds) {
	const minutes = Math.floor(seconds / 60);

	if (minutes < 1)
		return `${Math.floor(seconds)} s`;
	if (minutes < 60)
		return `${minutes} min`;
	if (minutes < 48 * 60)
		return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
	return `${Math.floor(minutes / 1440)} days`;
}

/* The day only where it is not today. */
function formatTime(date) {
	const day = date.toDateString() === new Date().toDateString() ? "" : `${calendarDay.format(date)} `;

	return day + clockTime.format(date);
}

function plural(count, word) {
	return `${formatCount(count)} ${word}${count === 1 ? "" : "s"}`;
}
