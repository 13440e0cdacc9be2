"""The page at /, as a browser shows it."""
import json
import re
import signal
import socketserver
import threading
import time

import pytest

from browser import NARROW_PHONE, PHONE, WIDE
from harness import HOST, PATIENCE, wait_for

SOON = 2.0     # seconds, from when it happened to when the page shows it


def names(group):
    return [server.address for server in group.servers]


def count_of(text):
    return int(text.replace(",", ""))


def test_what_is_shown_is_what_is(lab, browser):
    group = lab.group(2)
    browser.open(group.weir)
    master, *replicas = names(group)
    assert browser.text("#state-word") == "Healthy"
    assert browser.text("#state-text") == f"{master} and 2 replicas, all serve reads"
    assert browser.texts(".replicas .name") == replicas
    assert browser.text(".master .name") == master
    offset = group.caught_up()
    for name in replicas:
        shown = wait_for(lambda: (r := browser.replica(name)) and count_of(r["facts"]["Offset"]) >= offset and r,
                         what="the page shows the offset")
        assert (shown["badge"], shown["link"], shown["mark"]) == ("serves reads", "link up", "good")
        assert re.fullmatch(r"[\d.]+ m?s \u00b7 0 B behind", shown["distance"]), shown
        assert shown["facts"]["If reconnected now"] == "partial resync"
    kinds = browser.texts(".event .kind")
    assert kinds[-1] == "started" and "node up" in kinds and len(kinds) == group.weir.status()["newest_event"]


def test_killed_replica_is_shown_within_two_seconds(lab, browser):
    group = lab.group(2)
    browser.open(group.weir)
    replica = group.replicas[1]
    for _ in range(2):
        replica.kill()
        killed = time.monotonic()
        wait_for(lambda: browser.replica(replica.address)["badge"] == "down", what="the page shows it as down")
        assert time.monotonic() - killed < SOON * PATIENCE
        shown = browser.replica(replica.address)
        assert (shown["mark"], shown["link"], shown["distance"]) == ("bad", "no answer", "")
        assert browser.text("#state-word") == "Degraded"
        assert browser.run("return document.title").startswith("Degraded")

        replica.restart()
        wait_for(lambda: group.weir.readable(replica), interval=0.002, what="weir takes it as readable")
        back = time.monotonic()
        wait_for(lambda: browser.replica(replica.address)["badge"] == "serves reads", what="the page shows it as back")
        assert time.monotonic() - back < SOON * PATIENCE
    wait_for(lambda: browser.text("#state-word") == "Healthy", what="the page says healthy")
    assert "down: Connection refused" in browser.texts(".event .text")


def test_no_master(lab, browser):
    group = lab.group(1)
    browser.open(group.weir)
    group.master.kill()
    wait_for(lambda: browser.text(".master .name") == "No master", what="the page shows that there is no master")
    assert browser.text("#state-word") == "No master"
    assert browser.texts(".replicas .name") == names(group)
    assert browser.replica(group.replicas[0].address)["mark"] != "good"


def test_replicas_come_and_go(lab, browser):
    group = lab.group(2)
    browser.open(group.weir)
    one, other = names(group)[1:]
    for present in [[one], [other, one], [other]]:
        group.weir.settings["replication"]["replica"] = present
        group.weir.config_path.write_text(group.weir.ini())
        group.weir.signal(signal.SIGHUP)
        wait_for(lambda: browser.texts(".replicas .name") == present, what=f"the page shows {present}")
    assert browser.texts(".event .kind")[0] in ("reloaded", "readable", "epoch")
    assert "reloaded" in browser.texts(".event .kind")


def test_switchover(lab, browser):
    group = lab.group(2)
    browser.open(group.weir)
    heir = group.replicas[1].address
    group.weir.admin("SWITCHOVER", heir)
    wait_for(lambda: browser.text(".master .name") == heir, what="the page shows the new master")
    wait_for(lambda: browser.text("#state-word") == "Healthy", what="healthy again")
    assert browser.texts(".replicas .name") == names(group)[:2]
    wait_for(lambda: browser.texts(".event .kind").count("switchover done") == 1, what="the event")
    said = browser.text("#switchover")
    assert said.startswith(f"Last switchover: {heir} is the master, it was {names(group)[0]}; writes were held for ")
    assert re.search(r"\(check [\d.]+ \w+, hold .*, fence .*, catch up .*, demote .*, promote .*, move .*, follow .*\)\.$", said), said


def test_failover(lab, browser):
    """What is against it, then that it was, with its phases."""
    group = lab.group(2, {"health": {"interval": "50ms", "timeout": "500ms"},
                          "failover": {"mode": "auto", "down_after": "500ms", "min_interval": "0"}})
    wait_for(lambda: (group.weir.status()["master"]["offset"] or 0) > 0, 20, what="weir knows the master's offset")
    for replica in group.replicas:
        replica.cli("CONFIG", "SET", "replica-priority", "0")
    wait_for(lambda: all(row["priority"] == 0 for row in group.weir.status()["replicas"]), what="weir knows their priority")
    browser.open(group.weir)
    group.master.kill()
    wait_for(lambda: re.search(r"No failover so far: no replica .* may be promoted", browser.text(".master .remark")), 20,
             what="the page tells what is against it")
    heir = group.replicas[1]
    heir.cli("CONFIG", "SET", "replica-priority", "100")
    wait_for(lambda: browser.text(".master .name") == heir.address, 20, what="the page shows the new master")
    said = wait_for(lambda: (text := browser.text("#switchover")).startswith("Last failover: ") and text, 20, what="what became of it")
    assert re.search(rf"{heir.address} is the master, {group.master.address} was lost; it took \d+ ms.*"
                     r"\(promote [\d.]+ \w+, move .*, follow .*\)\.$", said), said


WITH_CHANGE = """
    window.plainFetch = window.plainFetch || window.fetch;
    window.fetch = async (path, ...rest) => {
        const answer = await window.plainFetch(path, ...rest);
        if (path !== "status" || !arguments[0])
            return answer;
        const status = await answer.json();
        return new Response(JSON.stringify({ ...status, switchover: { ...status.switchover, ...arguments[0] } }));
    };"""


@pytest.mark.parametrize("kind", ["failover", "switchover"])
def test_a_change_of_the_master_is_seen_happening(lab, browser, kind):
    """It lasts for milliseconds: here weir's answers are changed on their way to the page."""
    group = lab.group(1)
    browser.open(group.weir)
    heir = group.replicas[0].address
    browser.run(WITH_CHANGE, {"kind": kind, "phase": "catch_up", "phase_ms": 12, "holds_writes": True, "from": "a", "to": heir,
                              "phases": [{"name": "hold", "ms": 3.0}]})
    wait_for(lambda: browser.replica(heir)["badge"] == "becomes the master", what="the picture shows it")
    said = browser.text("#switchover")
    assert re.fullmatch(rf"{kind.capitalize()} from a to {heir}: catch up, for 12.0 ms; writes wait\. So far: hold 3[.0]* ms\.", said), said
    browser.run(WITH_CHANGE, None)
    wait_for(lambda: browser.replica(heir)["badge"] == "serves reads", what="it is over")


def test_a_drained_replica(lab, browser):
    group = lab.group(1)
    browser.open(group.weir)
    name = group.replicas[0].address
    group.weir.admin("DRAIN", name)
    wait_for(lambda: browser.replica(name)["badge"] == "drained", what="drained")
    assert browser.replica(name)["mark"] == "paused"
    group.weir.admin("ENABLE", name)
    wait_for(lambda: browser.replica(name)["badge"] == "serves reads", what="enabled")


def test_weir_is_gone_and_returns(lab, browser):
    group = lab.group(1)
    browser.open(group.weir)
    assert browser.run("return document.querySelector('#silence').hidden")
    browser.expected = ("ERR_CONNECTION_REFUSED", "ERR_EMPTY_RESPONSE", "ERR_CONNECTION_RESET")
    group.weir.stop()
    wait_for(lambda: "weir does not answer since" in browser.text("#silence"), what="the page says that weir is gone")
    assert browser.run("return document.title").startswith("No answer")
    before = len(browser.texts(".event"))
    assert before > 0
    group.weir.start()
    wait_for(lambda: browser.run("return document.querySelector('#silence').hidden"), what="the page has found it again")
    wait_for(lambda: browser.text("#state-word") == "Healthy", what="healthy again")
    # It is another process: its events, and no others, are shown.
    events = json.loads(group.weir.http("/events")[1])["events"]
    wait_for(lambda: browser.run("return [...document.querySelectorAll('.event time')].map((one) => one.dateTime)") ==
             [event["time"] for event in reversed(events)], what="its own events")


def test_frozen_weir_is_noticed(lab, browser):
    group = lab.group(1)
    browser.open(group.weir)
    browser.expected = ("status", "history", "events")
    group.weir.freeze()
    wait_for(lambda: "weir does not answer since" in browser.text("#silence"), what="the page says that weir is silent")
    group.weir.thaw()
    wait_for(lambda: browser.run("return document.querySelector('#silence').hidden"), what="the page has found it again")


HOSTILE = "</li><script>document.title = 'taken'</script><img src=x onerror=document.title='taken'>"


class HostileServer(socketserver.ThreadingTCPServer):
    """Answers whatever it is asked with markup."""
    daemon_threads = allow_reuse_address = True

    class RequestHandlerClass(socketserver.BaseRequestHandler):
        def handle(self):
            while asked := self.request.recv(65536):
                self.request.sendall(f"-ERR {HOSTILE}\r\n".encode() * asked.count(b"*"))

    def __init__(self):
        super().__init__((HOST, 0), self.RequestHandlerClass)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def test_words_of_servers_are_text(lab, browser):
    with HostileServer() as server:
        weir = lab.weir(lab.redis(name="master"), [f"{HOST}:{server.server_address[1]}"])
        browser.open(weir)
        wait_for(lambda: any(HOSTILE in text for text in browser.texts(".event .text")), what="the page tells what it said")
        assert browser.run("return document.querySelectorAll('main img, main script').length") == 0
        assert browser.run("return document.title") in ("weir", "Degraded \u00b7 weir")
        server.shutdown()


def test_charts_are_drawn(lab, browser):
    group = lab.group(2)
    with group.weir.client() as client:
        for _ in range(300):
            client.get("k")
    browser.open(group.weir)
    wait_for(lambda: browser.run("return document.querySelectorAll('.chart canvas').length") == 5, what="five charts")
    for name in names(group):
        wait_for(lambda: name in browser.texts(".chart:first-child .series"), what="the legend names every server")
    label = wait_for(lambda: browser.run("return document.querySelector('.canvas').getAttribute('aria-label')"),
                     what="a chart tells what it shows")
    assert label.startswith("Reads, per second, now: ")

    def painted():
        return browser.run("""
            const canvas = document.querySelector(".chart:nth-child(5) canvas");
            const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return pixels.filter((value, i) => i % 4 === 3 && value > 0).length;""")
    assert wait_for(painted, what="something is drawn") > 500
    browser.run("document.querySelector('.chart:nth-child(3) .choice button:last-child').click()")
    assert browser.texts(".chart:nth-child(3) .value") == ["0 B", "0 B"]


def test_without_the_chart_library(lab, browser):
    """A build without npm: numbers instead of lines."""
    group = lab.group(1)
    script = browser.command("Page.addScriptToEvaluateOnNewDocument",
                             source="Object.defineProperty(window, 'uPlot', { value: undefined, writable: false });")
    try:
        browser.open(group.weir)
        wait_for(lambda: browser.texts(".chart:last-child .value") == ["0"], what="the number of clients")
        assert browser.run("return document.querySelectorAll('canvas').length") == 0
        assert "without the chart library" in browser.text("#charts-title ~ .remark")
    finally:
        browser.command("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


@pytest.mark.parametrize("size", [PHONE, NARROW_PHONE, (768, 1024), WIDE])
def test_nothing_is_wider_than_the_window(lab, browser, size):
    group = lab.group(2)
    browser.resize(size)
    browser.open(group.weir)
    wait_for(lambda: browser.run("return document.querySelectorAll('.chart canvas').length") == 5, what="the charts")
    group.replicas[0].kill()
    wait_for(lambda: browser.replica(group.replicas[0].address)["badge"] == "down", what="down")
    assert browser.run("return document.documentElement.scrollWidth") <= size[0]
    wider = browser.run("""
        return [...document.querySelectorAll("main *")].filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
            .map((one) => one.className || one.tagName)""")
    assert wider == []


CONTRAST = """
    const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => { const [r, g, b] = numbers(colour).map(channel); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
    const ground = (node) => { for (; node; node = node.parentElement) {
        const colour = numbers(getComputedStyle(node).backgroundColor);
        if (colour.length < 4 || colour[3] > 0) return getComputedStyle(node).backgroundColor; } return "rgb(255, 255, 255)"; };
    return [...document.querySelectorAll("body *")].filter((node) => node.offsetParent && node.childElementCount === 0 &&
            node.textContent.trim() && !node.closest(".canvas")).map((node) => {
        const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
        return [(a + 0.05) / (b + 0.05), node.className || node.tagName, node.textContent];
    }).filter(([ratio]) => ratio < 4.5);
"""


@pytest.mark.parametrize("dark", [False, True])
def test_text_stands_out_from_its_ground(lab, browser, dark):
    group = lab.group(2)
    browser.dark(dark)
    browser.open(group.weir)
    group.replicas[0].kill()
    wait_for(lambda: browser.replica(group.replicas[0].address)["badge"] == "down", what="down")
    ground = browser.run("return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground) < 60) is dark
    assert browser.run(CONTRAST) == []


def test_by_keyboard(lab, browser):
    """Every control has a name and can be reached and pressed without a pointer."""
    browser.open(lab.group(1).weir)
    unnamed = browser.run("""
        return [...document.querySelectorAll("a, button, [role=img], [role=group]")].filter((one) =>
            !(one.getAttribute("aria-label") || one.textContent.trim())).length""")
    assert unnamed == 0
    pressed = browser.run("""
        const button = document.querySelector("#events-choice button:last-child");
        button.focus();
        const before = button.getAttribute("aria-pressed");
        button.click();
        return [document.activeElement === button, before, button.getAttribute("aria-pressed"),
            [...document.querySelectorAll(".event")].filter((row) => row.offsetParent).map((row) => row.dataset.level)];""")
    assert pressed == [True, "false", "true", []]
    headings = browser.run("return [...document.querySelectorAll('h1, h2')].map((one) => one.textContent)")
    assert headings == ["weir", "Replication", "Last ten minutes", "Events"]


def test_a_selection_is_left_alone(lab, browser):
    """Nothing is written anew that has not changed."""
    browser.open(lab.group(1).weir)
    browser.run("""
        window.touched = 0;
        new MutationObserver((changes) => window.touched += changes.length).observe(
            document.querySelector(".replica .card-head"), { subtree: true, childList: true, characterData: true, attributes: true });
        window.asked = performance.getEntriesByType("resource").length;""")
    wait_for(lambda: browser.run("return performance.getEntriesByType('resource').length - window.asked") >= 6,
             what="a few more answers")
    assert browser.run("return window.touched") == 0


def test_every_request_goes_to_weir(lab, browser):
    weir = lab.group(1).weir
    browser.open(weir)
    asked = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert asked and all(url.startswith(f"http://{HOST}:{weir.admin_port}/") for url in asked), asked
