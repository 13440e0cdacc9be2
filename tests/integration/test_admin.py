"""The admin endpoint: HTTP and the console on one port, compared with what the
servers say themselves; and peers that are slow, silent, many or hostile."""
import contextlib
import gzip
import http.client
import json
import random
import re
import socket
import subprocess
import threading
import time

import pytest

from harness import HOST, PATIENCE, Raw, ServerError, encode, free_port, promtool, wait_for

PEERS_MAX = 32
DEADLINE = 5.0


def connect(weir, timeout=10.0):
    return Raw((HOST, weir.admin_port), timeout)


def exchange(weir, data, timeout=20.0):
    """Everything the endpoint says to these bytes until it closes."""
    with connect(weir, timeout) as raw:
        raw.send(data)
        return raw.read_all()


def get(weir, path, method="GET"):
    connection = http.client.HTTPConnection(HOST, weir.admin_port, timeout=10 * PATIENCE)
    connection.request(method, path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


def steady(shared_group):
    """/status and the servers' INFO of one moment: what both said while nothing
    changed in between."""
    def agreed():
        shared_group.caught_up()
        before = [server.info("everything") for server in shared_group.servers]
        status = shared_group.weir.status()
        after = [server.info("everything") for server in shared_group.servers]
        fixed = ("master_repl_offset", "slave_repl_offset")
        if all(b.get(key) == a.get(key) for b, a in zip(before, after) for key in fixed) and \
                status["master"]["offset"] == before[0]["master_repl_offset"] and \
                all(r["lag_bytes"] == 0 for r in status["replicas"]):
            return status, before
        return None
    return wait_for(agreed, what="weir's picture and the servers' INFO agree", interval=0.05)


# ---- HTTP

def test_every_page(shared_group):
    for path, content_type in [("/help", "text/plain"), ("/status", "application/json"),
                               ("/events", "application/json"), ("/history", "application/json"),
                               ("/metrics", "text/plain; version=0.0.4"), ("/livez", "text/plain"),
                               ("/readyz", "text/plain")]:
        response, body = get(shared_group.weir, path)
        assert response.status == 200, path
        assert response.headers["Content-Type"].startswith(content_type)
        assert response.headers["Cache-Control"] == "no-store"
        assert len(body) == int(response.headers["Content-Length"]) > 0
        assert path in ("/livez", "/readyz") or path.encode() in get(shared_group.weir, "/help")[1]


ASSETS = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript", "/icon.svg": "image/svg+xml"}


@pytest.mark.parametrize("path", ["/help", "/status", "/metrics", "/nothing", *ASSETS])
def test_no_other_site_gets_anything(shared_group, path):
    headers = get(shared_group.weir, path)[0].headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert not [name for name in headers if name.lower().startswith("access-control")]
    policy = headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in headers["Content-Security-Policy"] and "*" not in headers["Content-Security-Policy"]


def raw_get(weir, path, method="GET", **headers):
    connection = http.client.HTTPConnection(HOST, weir.admin_port, timeout=10 * PATIENCE)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize("path", ASSETS)
def test_files_of_the_page(shared_group, path):
    response, plain = raw_get(shared_group.weir, path, Accept_Encoding="identity")
    assert response.status == 200 and response.headers["Content-Type"].startswith(ASSETS[path])
    assert response.headers["Content-Encoding"] is None and response.headers["Vary"] == "Accept-Encoding"
    tag = response.headers["ETag"]
    for accepted, zipped in [("gzip", True), ("br, gzip;q=0.5", True), ("deflate , GZIP", True), ("gzip;q=0", False),
                             ("gzip ; q = 0.0", False), ("br", False), ("xgzip, gzipx", False), ("*", False)]:
        response, body = raw_get(shared_group.weir, path, Accept_Encoding=accepted)
        assert (response.headers["Content-Encoding"] == "gzip") is zipped, accepted
        assert (gzip.decompress(body) if zipped else body) == plain
        assert (response.headers["ETag"] == tag) is not zipped
    for known, same in [(tag, True), (f'"other", {tag}', True), ('"other"', False), ("", False)]:
        response, body = raw_get(shared_group.weir, path, Accept_Encoding="identity", If_None_Match=known)
        assert (response.status, body) == ((304, b"") if same else (200, plain)), known
        assert response.headers["ETag"] == tag
    response, body = raw_get(shared_group.weir, path, "HEAD", Accept_Encoding="identity")
    assert (response.status, body, int(response.headers["Content-Length"])) == (200, b"", len(plain))
    assert raw_get(shared_group.weir, path, "POST")[0].status == 405


def test_the_page_asks_nobody_else(shared_group):
    """Whatever address stands in the page's files is no address of its own accord: names of licences and of XML."""
    for path in ASSETS:
        body = raw_get(shared_group.weir, path, Accept_Encoding="identity")[1].decode()
        found = set(re.findall(r"(?:https?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+", body))
        assert found <= {"http://www.w3.org", "https://github.com"}, (path, found)
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", body.split("Building blocks")[-1])


def test_head(shared_group):
    response, body = get(shared_group.weir, "/status", "HEAD")
    assert response.status == 200
    assert body == b"" and int(response.headers["Content-Length"]) > 100


@pytest.mark.parametrize("path", ["/nothing", "/status/", "//status", "/../status", "/%00", "/status%2f"])
def test_unknown_page(shared_group, path):
    assert get(shared_group.weir, path)[0].status == 404


def test_query_is_ignored(shared_group):
    assert get(shared_group.weir, "/livez?x=1")[0].status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "FOO"])
def test_other_methods(shared_group, method):
    response, _ = get(shared_group.weir, "/status", method)
    assert response.status == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_status_says_what_the_servers_say(shared_group):
    shared_group.weir.client().set("for status", "x" * 100)
    status, (master, *replicas) = steady(shared_group)
    assert status["state"] == "ok"
    assert status["version"] and status["uptime_seconds"] >= 0
    assert status["generation"] >= 1 and status["epoch"] >= 1

    shown = status["master"]
    assert shown["address"] == shown["name"] == shared_group.master.address
    assert shown["up"] is True
    for key, field in [("replid", "master_replid"), ("run_id", "run_id"), ("offset", "master_repl_offset"),
                       ("connected_replicas", "connected_slaves"), ("redis_version", "redis_version")]:
        assert shown[key] == master[field], key
    assert shown["backlog"] == {"active": bool(master["repl_backlog_active"]), "size": master["repl_backlog_size"],
                                "first_byte_offset": master["repl_backlog_first_byte_offset"],
                                "histlen": master["repl_backlog_histlen"]}

    assert [row["address"] for row in status["replicas"]] == [r.address for r in shared_group.replicas]
    lines = {line["port"]: line for key, line in master.items() if re.fullmatch(r"slave\d+", key)}
    for server, row, info in zip(shared_group.replicas, status["replicas"], replicas):
        assert row["link"] == info["master_link_status"] == "up"
        assert row["offset"] == info["slave_repl_offset"]
        assert row["sync_in_progress"] is bool(info["master_sync_in_progress"])
        assert row["loading"] is bool(info["loading"])
        assert row["read_only"] is bool(info["slave_read_only"])
        assert row["priority"] == info["slave_priority"]
        assert row["run_id"] == info["run_id"]
        assert row["replid"] == info["master_replid"]
        assert row["lag_bytes"] == 0
        assert 0 <= row["lag_ms"] < 1000 * PATIENCE
        assert row["state_at_master"] == lines[server.port]["state"] == "online"
        assert row["sync_read_bytes"] is row["sync_total_bytes"] is None
        assert abs(row["ack_lag_seconds"] - lines[server.port]["lag"]) <= 1
        assert (row["weight"], row["readable"], row["reason"]) == (1, True, None)
        assert row["resync_if_reconnected"] == "partial"


def test_status_has_every_promised_key(shared_group):
    status = shared_group.weir.status()
    assert set(status) >= {"version", "uptime_seconds", "state", "generation", "epoch", "master", "replicas",
                           "clients", "commands"}
    assert set(status["master"]) >= {"name", "address", "up", "replid", "run_id", "offset", "connected_replicas",
                                     "backlog"}
    assert set(status["replicas"][0]) >= {
        "name", "address", "up", "link", "sync_in_progress", "loading", "offset", "lag_bytes", "lag_ms",
        "ack_lag_seconds", "read_only", "weight", "readable", "reason", "resync_if_reconnected"}
    assert set(status["clients"]) >= {"connected", "total"}
    assert set(status["commands"]) >= {"reads_on_replicas", "reads_on_master", "writes", "local", "rejected_writes",
                                       "retried_reads", "unknown_results"}


def test_counters_count(shared_group):
    weir = shared_group.weir
    wait_for(lambda: weir.status()["clients"]["connected"] == 0, what="nobody is left of other tests")
    before = weir.status()
    with weir.raw() as raw:
        for n in range(7):
            raw.command("SET", "counted", n)
        reads = 11
        for _ in range(reads):
            raw.command("GET", "counted")
        raw.command("CLIENT", "ID")
        wait_for(lambda: weir.status()["clients"]["connected"] == 1)
    wait_for(lambda: weir.status()["clients"]["connected"] == 0)
    after = weir.status()
    change = {key: after["commands"][key] - before["commands"][key] for key in after["commands"]}
    assert change["writes"] == 7
    assert change["reads_on_replicas"] + change["reads_on_master"] == reads
    assert change["local"] >= 1
    assert after["clients"]["total"] > before["clients"]["total"]
    metrics = weir.metrics()
    assert metrics['weir_commands_total{class="write",route="master",result="ok"}'] >= after["commands"]["writes"]


def test_metrics_agree_with_the_status(shared_group):
    status, _ = steady(shared_group)
    metrics = shared_group.weir.metrics()
    master = status["master"]["name"]
    assert metrics[f'weir_node_up{{node="{master}",role="master"}}'] == 1
    assert metrics[f'weir_node_offset_bytes{{node="{master}"}}'] >= status["master"]["offset"]
    assert metrics[f'weir_build_info{{version="{status["version"]}"}}'] == 1
    assert metrics['weir_state{state="ok"}'] == 1 and metrics['weir_state{state="no_master"}'] == 0
    for row in status["replicas"]:
        assert metrics[f'weir_replica_readable{{node="{row["name"]}"}}'] == 1
        assert metrics[f'weir_replica_lag_seconds{{node="{row["name"]}"}}'] >= 0


def test_metrics_are_well_formed(shared_group):
    """Every sample belongs to the family announced last; no family stands twice,
    no series stands twice."""
    families, series, family = set(), set(), None
    for line in get(shared_group.weir, "/metrics")[1].decode().splitlines():
        if line.startswith("# HELP "):
            name, text = line[7:].split(" ", 1)
            assert name not in families and text.endswith(".")
            families.add(name)
        elif line.startswith("# TYPE "):
            family, kind = line[7:].split(" ")
            assert family in families and kind in ("counter", "gauge", "histogram")
            assert family.endswith("_total") == (kind == "counter"), line
            members = [family + end for end in ("_bucket", "_sum", "_count")] if kind == "histogram" else [family]
        else:
            sample = re.fullmatch(r'((?:weir|process)_[a-z_]+)((?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})?) (\S+)', line)
            assert sample, line
            assert sample[1] in members
            assert (sample[1], sample[2]) not in series
            series.add((sample[1], sample[2]))
            float(sample[3])


def histogram(metrics, name, labels):
    """Its buckets by their limits, its count and its sum."""
    found = {}
    for series, value in metrics.items():
        bucket = re.fullmatch(rf'weir_{name}_bucket\{{{labels}{"," if labels else ""}le="([^"]+)"\}}', series)
        if bucket:
            found[float(bucket[1])] = value
    braces = f"{{{labels}}}" if labels else ""
    return found, metrics[f"weir_{name}_count{braces}"], metrics[f"weir_{name}_sum{braces}"]


def test_histograms_hold_together(shared_group):
    with shared_group.weir.client() as client:
        for turn in range(300):
            client.set("for histograms", turn)
            client.client_id()
    shared_group.settle()
    with shared_group.weir.client() as client:
        for turn in range(300):
            client.get("for histograms")
    metrics = shared_group.weir.metrics()
    names = [server.address for server in shared_group.servers]
    kinds = [("command_duration_seconds", f'class="{word}"') for word in ("read", "write", "local")]
    kinds += [("node_duration_seconds", f'node="{name}"') for name in names] + [("loop_lag_seconds", "")]
    for name, labels in kinds:
        buckets, count, total = histogram(metrics, name, labels)
        assert len(buckets) == 20 and max(buckets) == float("inf"), (name, labels)
        assert [buckets[limit] for limit in sorted(buckets)] == sorted(buckets.values())
        assert buckets[float("inf")] == count > 0
        assert 0 <= total < count * 10
    count = {labels: histogram(metrics, name, labels)[1] for name, labels in kinds}
    assert count['class="write"'] >= 300 and count['class="local"'] >= 300 and count['class="read"'] >= 300
    assert count[f'node="{names[0]}"'] >= 300 and sum(count[f'node="{name}"'] for name in names[1:]) >= 200


def test_the_process_is_told(shared_group):
    metrics = shared_group.weir.metrics()
    assert abs(metrics["process_resident_memory_bytes"] - shared_group.weir.rss_bytes()) < 32e6
    assert 0 < metrics["process_cpu_seconds_total"] < 3600
    assert abs(metrics["process_start_time_seconds"] - time.time()) < 3600
    assert metrics["process_max_fds"] >= 1024
    workers = [value for series, value in metrics.items() if series.startswith("weir_worker_cpu_seconds_total")]
    assert len(workers) == 2 and 0 < sum(workers) <= metrics["process_cpu_seconds_total"] + 1


def test_metrics_pass_promtool(shared_group):
    body = get(shared_group.weir, "/metrics")[1]
    assert body.count(b"# TYPE ") > 50, "promtool has nothing to say against an empty scrape"
    result = subprocess.run([promtool(), "check", "metrics"], input=body, capture_output=True, timeout=60)
    assert (result.returncode, result.stdout + result.stderr) == (0, b"")


def test_ready_and_alive_without_a_master(lab):
    group = lab.group(1)
    assert group.weir.http("/readyz")[0] == 200
    group.master.kill()
    wait_for(lambda: group.weir.http("/readyz")[0] == 503)
    assert "no usable master" in group.weir.http("/readyz")[1]
    assert group.weir.http("/livez") == (200, "alive\n")
    status = group.weir.status()
    assert status["state"] == "no_master"
    assert status["master"] is None
    assert status["no_master_reason"]
    assert str(group.weir.admin("ROLE")).startswith("NOMASTER ")
    info = group.weir.admin("INFO", "replication").decode()
    assert "role:none\r\n" in info and "weir_state:no_master\r\n" in info
    down = group.weir.replica_status(group.master)
    assert down["up"] is False and down["readable"] is False


def test_degraded_without_a_replica(lab):
    group = lab.group(2)
    group.replicas[0].kill()
    group.weir.wait_state("degraded")
    wait_for(lambda: not group.weir.replica_status(group.replicas[0])["up"])
    row = group.weir.replica_status(group.replicas[0])
    assert row["readable"] is False and row["reason"]
    assert group.weir.http("/readyz")[0] == 200


# ---- the console

def test_ping_and_quit(shared_group):
    with connect(shared_group.weir) as raw:
        assert raw.command("PING") == "PONG"
        assert raw.command("ping", b"a\0b\r\n") == b"a\0b\r\n"
        assert raw.command("QUIT") == "OK"
        assert raw.read_all() == b""


def parse_info(text):
    return dict(line.split(":", 1) for line in text.decode().split("\r\n") if ":" in line)


def test_info_replication_is_the_masters_own(shared_group):
    """A replica's offset there is what it has acknowledged, about once a second."""
    fields = lambda prefix, info: sorted(  # noqa: E731
        re.sub(r",lag=\d+", "", value) for key, value in info.items() if re.fullmatch(prefix + r"\d+", key))
    for _ in range(50):
        shared_group.caught_up()
        with shared_group.master.raw() as raw:
            before = parse_info(raw.command("INFO", "replication"))
            shown = parse_info(shared_group.weir.admin("INFO", "replication"))
            after = parse_info(raw.command("INFO", "replication"))
        if before == after and fields("slave", shown) == fields("slave", before) and all(
                shown.get(key) == value for key, value in before.items()
                if key != "master_failover_state" and not key.startswith("slave")):
            break
        time.sleep(0.1)
    for key, value in before.items():
        if key == "master_failover_state":
            continue
        if not key.startswith("slave"):
            assert shown[key] == value, key
    assert fields("slave", shown) == fields("slave", before)


def test_info_sections(shared_group):
    titles = lambda *names: re.findall(r"^# (\w+)", shared_group.weir.admin("INFO", *names).decode(), re.M)  # noqa: E731
    assert titles() == titles("all") == titles("everything") == ["Server", "Clients", "Memory", "Stats", "Replication", "Commandstats",
                                                                "Latencystats"]
    assert titles("CLIENTS") == ["Clients"]
    assert titles("replication", "server") == ["Server", "Replication"]
    assert titles("nothing") == []


def test_role_is_the_masters_own(shared_group):
    def same():
        shared_group.caught_up()
        with shared_group.master.raw() as raw:
            before, shown, after = raw.command("ROLE"), shared_group.weir.admin("ROLE"), raw.command("ROLE")
        assert before == after
        return shown[:2] == before[:2] and sorted(shown[2]) == sorted(before[2])
    wait_for(same, what="ROLE on the console is the master's", interval=0.05)


class Relay:
    """Between a replica and its master: lets through so many of the master's
    bytes, and the rest when it is opened."""

    def __init__(self, master, first_bytes):
        self.master, self.first_bytes = master, first_bytes
        self.opened = threading.Event()
        self.listener = socket.create_server((HOST, free_port()))
        self.address = f"{HOST}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.opened.set()
        self.listener.close()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                replica, _ = self.listener.accept()
                master = socket.create_connection((HOST, self.master.port))
                threading.Thread(target=self._forward, args=(replica, master, None), daemon=True).start()
                threading.Thread(target=self._forward, args=(master, replica, self.first_bytes), daemon=True).start()

    def _forward(self, source, target, left):
        with contextlib.suppress(OSError):
            while data := source.recv(left or 65536):
                target.sendall(data)
                left = None if left is None else left - len(data)
                if left == 0:
                    self.opened.wait()
                    left = None
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # wakes the other thread, which close() would not


def test_a_replica_on_its_way(lab):
    """While it waits for its first copy, and while it takes it, nobody calls it
    online or fresh; how far it is can be seen."""
    half = 100_000
    master = lab.redis("--repl-diskless-sync-delay", 3600, name="master")
    master.cli("SET", "k", "x" * 2 * half)
    master.cli("CONFIG", "SET", "rdbcompression", "no")
    bare = lab.redis(name="bare")
    with Relay(master, half) as relay:
        weir = lab.weir(f"{master.address} announce={relay.address}", [bare])

        def lines():
            shown = parse_info(weir.admin("INFO", "replication"))
            with master.raw() as raw:
                own = parse_info(raw.command("INFO", "replication"))
            return [[info["connected_slaves"], info.get("slave0")] for info in (shown, own)]
        wait_for(lambda: "state=wait_bgsave" in str(lines()[1]) and lines()[0] == lines()[1],
                 what="the console says what the master says")
        row = weir.replica_status(bare)
        assert (row["state_at_master"], row["ack_lag_seconds"], row["readable"]) == ("wait_bgsave", None, False)
        assert weir.admin("ROLE")[2] == master.role()[2] == []

        master.cli("CONFIG", "SET", "repl-diskless-sync", "no")     # through a file, whose length is known
        master.cli("CLIENT", "KILL", "TYPE", "replica")
        wait_for(lambda: (weir.replica_status(bare)["sync_read_bytes"] or 0) > half / 2, what="half of it is there")
        row = weir.replica_status(bare)
        assert row["sync_in_progress"] is True and not row["readable"]
        assert row["sync_read_bytes"] <= half < 2 * half < row["sync_total_bytes"] < 3 * half
        relay.opened.set()
        weir.wait_state("ok")

    def is_online():
        row = weir.replica_status(bare)
        return (row["state_at_master"], row["sync_read_bytes"], row["sync_total_bytes"]) == ("online", None, None) and \
            row["ack_lag_seconds"] in (0, 1)
    wait_for(is_online, what="the master calls it online, too")


def test_replicas_table(shared_group):
    title, *rows = shared_group.weir.admin("REPLICAS")
    assert title.split() == ["name", "address", "server", "link", "offset", "lag_bytes", "lag_ms", "readable",
                             "reason"]
    assert [row.split()[1] for row in rows] == [r.address for r in shared_group.replicas]
    for row in rows:
        assert row.split()[2:4] == ["up", "up"] and row.split()[7:] == ["yes", "-"]


def test_drain_and_enable(lab):
    group = lab.group(2, config={"replication": {}})
    first = group.replicas[0]
    assert group.weir.admin("DRAIN", first.address) == "OK"
    wait_for(lambda: not group.weir.readable(first))
    row = group.weir.replica_status(first)
    assert row["drained"] is True and row["reason"]
    assert group.weir.status()["state"] == "ok"     # a drained replica is no complaint
    group.reset_calls()
    client = group.weir.client()
    for n in range(50):
        client.exists(f"k{n}")
    assert first.calls().get("exists", 0) == 0
    assert group.weir.metrics()[f'weir_replica_drained{{node="{first.address}"}}'] == 1
    assert group.weir.admin("ENABLE", first.address) == "OK"
    wait_for(lambda: group.weir.readable(first))
    assert group.weir.replica_status(first)["drained"] is False


@pytest.mark.parametrize("words, expected", [
    (["DRAIN", "nobody"], "ERR no such node"),
    (["DRAIN"], "ERR wrong number of arguments, expected DRAIN <server>"),
    (["DRAIN", "a", "b"], "ERR wrong number of arguments, expected DRAIN <server>"),
    (["PING", "a", "b"], "ERR wrong number of arguments, expected PING [message]"),
    (["ACCEPT", "MASTER"], "ERR no master is waiting to be accepted"),
    (["ACCEPT", "DEFEAT"], "ERR expected ACCEPT MASTER"),
    (["REPLICA"], "ERR unknown command 'REPLICA', did you mean REPLICAS? VERBS lists them all"),
    ([b"a\r\n\0b"], "ERR unknown command 'a???b', did you mean ROLE? VERBS lists them all"),
    (["HELLO", "3"], "NOPROTO the console speaks RESP2"),
    (["SET", "a", "1"], "ERR unknown command 'SET', did you mean ROLE? VERBS lists them all"),
])
def test_refusals(shared_group, words, expected):
    reply = shared_group.weir.admin(*words)
    assert isinstance(reply, ServerError)
    assert re.sub("did you mean [^?]+", "did you mean X", str(reply)) == \
        re.sub("did you mean [^?]+", "did you mean X", expected)
    if "REPLICA'" in expected:
        assert str(reply) == expected


def test_help_names_every_verb(shared_group):
    lines = shared_group.weir.admin("VERBS")
    assert shared_group.weir.admin("HELP") == lines
    assert {line.split()[0] for line in lines} >= {"PING", "INFO", "ROLE", "REPLICAS", "DRAIN", "ENABLE", "ACCEPT",
                                                   "HELP", "QUIT"}


def test_clients_feel_at_home(shared_group):
    """What redis-cli and redis-py send by themselves is answered."""
    import redis
    port = shared_group.weir.admin_port
    cli = subprocess.run(["redis-cli", "-p", str(port), "ROLE"], capture_output=True, text=True, timeout=30)
    assert cli.stdout.startswith("master\n")
    client = redis.Redis(host=HOST, port=port, client_name="an operator")
    assert client.ping()
    assert client.info("replication")["role"] == "master"
    assert client.role()[0] == b"master"
    with connect(shared_group.weir) as raw:
        assert raw.command("HELLO", "2")[:2] == [b"server", b"weir"]
        assert raw.command("COMMAND", "DOCS") == []
        assert raw.command("CLIENT", "SETINFO", "LIB-NAME", "x") == "OK"


def test_pipelines(shared_group):
    """Far more than is answered in one turn or held in one buffer, in order;
    also when the peer has closed its side already."""
    count = 3000
    with connect(shared_group.weir) as raw:
        raw.send(b"".join(encode("PING", n) for n in range(count)))
        raw.socket.shutdown(socket.SHUT_WR)
        assert [raw.reply() for _ in range(count)] == [b"%d" % n for n in range(count)]
        assert raw.read_all() == b""


def test_request_a_byte_at_a_time(shared_group):
    with connect(shared_group.weir) as raw:
        for byte in encode("PING", "slow") + b"PING inline\r\n":
            raw.send(bytes([byte]))
        assert raw.reply() == b"slow"
        assert raw.reply() == b"inline"


# ---- bad peers

@pytest.mark.parametrize("data, expected", [
    (b"*x\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\n$x\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n:1\r\n", b"-ERR Protocol error: expected '$', got ':'\r\n"),
    (b"*65\r\n", b"-ERR Protocol error: invalid multibulk length\r\n"),
    (b"*1\r\n$99999999\r\n", b"-ERR Protocol error: invalid bulk length\r\n"),
    (b"*1\r\n$4\r\nPING\r\nPING \"x\r\n", b"+PONG\r\n-ERR Protocol error: unbalanced quotes in request\r\n"),
    (b"*9\r\n" + 8 * (b"$9000\r\n" + b"x" * 9000 + b"\r\n"), b"-ERR Protocol error: the request is too long\r\n"),
])
def test_broken_requests(shared_group, data, expected):
    assert exchange(shared_group.weir, data) == expected
    assert shared_group.weir.http("/livez")[0] == 200


@pytest.mark.parametrize("data", [
    b"PING\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), b"\0" * 100, b"\r\n" * 3,
    b"GET / HTTP/9.9\r\n\r\n", b"GET  HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 40000 + b"\r\n\r\n",
    b"GET " + b"/" * 40000 + b" HTTP/1.1\r\n\r\n", random.Random(20261125).randbytes(4096).replace(b"*", b"#"),
    b"POST /status HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
    b"POST /status HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /status HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
])
def test_garbage_is_refused_or_closed(shared_group, data):
    """No answer is a success, and the connection ends within the deadline."""
    begin = time.monotonic()
    answer = exchange(shared_group.weir, data)
    assert time.monotonic() - begin < (DEADLINE + 3) * PATIENCE
    assert not answer.startswith(b"HTTP/1.1 2")
    assert shared_group.weir.http("/livez")[0] == 200


def ends_in_time(raw):
    begin = time.monotonic()
    raw.read_all()
    seconds = time.monotonic() - begin
    assert DEADLINE - 2 < seconds < (DEADLINE + 4) * PATIENCE, seconds


def test_silent_and_half_requests_end(shared_group):
    """All deadlines at once: no first byte, half an HTTP head, half a request
    on the console, and one more byte every now and then does not help."""
    weir = shared_group.weir
    starts = [b"", b"GET /status HT", b"GET /status HTTP/1.1\r\nHost: a\r\n", b"*2\r\n$4\r\nPI"]
    peers = [connect(weir, 30) for _ in starts]
    trickling = [connect(weir, 30), connect(weir, 30)]
    for raw, data in zip(peers, starts):
        raw.send(data)
    begin = time.monotonic()
    closed = set()
    trickling[0].send(b"GET /")
    trickling[1].send(b"*1\r\n$4000\r\n")
    while len(closed) < len(trickling) and time.monotonic() - begin < (DEADLINE + 4) * PATIENCE:
        for raw in trickling:
            try:
                raw.send(b"x")
                if not raw.silent(0.1) and raw.stream.read1(4096) == b"":
                    closed.add(raw)
            except OSError:
                closed.add(raw)
    assert len(closed) == len(trickling), "a trickle kept a connection open"
    for raw in peers:
        raw.read_all()      # Raw's own timeout is the failure
        raw.close()
    assert time.monotonic() - begin < (DEADLINE + 4) * PATIENCE
    assert time.monotonic() - begin > DEADLINE - 1


def test_idle_console_stays(shared_group):
    with connect(shared_group.weir) as raw:
        assert raw.command("PING") == "PONG"
        assert raw.silent(DEADLINE + 1)
        assert raw.command("PING") == "PONG"


def test_console_that_reads_nothing_ends(shared_group):
    """It costs weir a bounded amount of memory, and ends."""
    weir = shared_group.weir
    before = weir.rss_bytes()
    with connect(weir, 30) as raw:
        raw.socket.settimeout(0.2)
        request, sent = encode("INFO") * 1000, 0
        with pytest.raises(OSError):
            while True:
                sent += raw.socket.send(request)
        deadline = time.monotonic() + (DEADLINE + 5) * PATIENCE
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            while time.monotonic() < deadline:
                try:
                    raw.socket.send(b"x")
                except TimeoutError:
                    pass
    if PATIENCE == 1:       # a sanitizer keeps what was freed for a while
        assert weir.rss_bytes() - before < 16 << 20
    assert weir.admin("PING") == "PONG"


def test_forty_connections(shared_group):
    """The 33rd is told and closed; when others leave there is room again."""
    weir = shared_group.weir
    wait_for(lambda: count_open(weir) == 0)
    peers = []
    for _ in range(PEERS_MAX):
        raw = connect(weir)
        assert raw.command("PING") == "PONG"
        peers.append(raw)
    for _ in range(40 - PEERS_MAX):
        with connect(weir) as raw:
            assert raw.read_all() == b"-ERR max number of clients reached\r\n"
    for raw in peers:
        assert raw.command("PING") == "PONG"
        raw.close()
    wait_for(lambda: weir.http("/livez")[0] == 200)


def count_open(weir):
    """Admin connections that weir has not closed yet, as the kernel lists them."""
    established, close_wait = "01", "08"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[1].endswith(f":{weir.admin_port:04X}") and row[3] in (established, close_wait) for row in rows)


def test_stop_with_open_connections(lab):
    """weir ends in time and in order (the lab checks status and leaks) with
    peers at every door and in every state."""
    weir = lab.group(1).weir
    starts = [b"", b"GET /st", b"*1\r\n$4\r\nPI", encode("PING")]
    peers = [connect(weir) for _ in starts]
    for raw, data in zip(peers, starts):
        raw.send(data)
    assert peers[-1].reply() == "PONG"
    begin = time.monotonic()
    assert weir.end() == 0
    assert time.monotonic() - begin < DEADLINE * PATIENCE
    weir.check_log()
    weir.child = None
    for raw in peers:
        raw.close()


@pytest.mark.parametrize("kind", ["unix", "ipv6"])
def test_other_addresses(lab, tmp_path, kind):
    master = lab.redis()
    weir = lab.weir(master, start=False)
    address, where = {"unix": (f"unix:{tmp_path}/admin.sock", f"{tmp_path}/admin.sock"),
                      "ipv6": (f"[::1]:{weir.admin_port}", ("::1", weir.admin_port))}[kind]
    weir.settings["admin"]["listen"] = address
    weir.start(wait=False)

    def answer(data):
        with Raw(where) as raw:
            raw.send(data)
            raw.socket.shutdown(socket.SHUT_WR)
            return raw.read_all()

    wait_for(lambda: answer(encode("PING")) == b"+PONG\r\n")
    assert answer(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\n")
    wait_for(lambda: b'"state":"ok"' in answer(b"GET /status HTTP/1.0\r\n\r\n"))


def test_no_admin_endpoint(lab):
    """An empty [admin] listen switches it off."""
    master = lab.redis()
    weir = lab.weir(master, config={"admin": {"listen": ""}}, start=False)
    weir.start(wait=False)
    wait_for(lambda: weir.client().set("a", "1"))
    with pytest.raises(ConnectionRefusedError):
        connect(weir)


def test_many_short_connections_leave_nothing(shared_group):
    weir = shared_group.weir
    for _ in range(20):
        weir.status()
    files = wait_for(lambda: weir.open_files() if count_open(weir) == 0 else 0)
    for n in range(200):
        with connect(weir) as raw:
            if n % 4 == 0:
                raw.send(b"GET /status HTTP/1.1\r\nHost: a\r\n\r\n")
            elif n % 4 == 1:
                raw.send(encode("INFO"))
            elif n % 4 == 2:
                raw.send(b"GET /sta")
            if n % 2 == 0:
                raw.reset()
    renewed = 4  # connections to servers that come and go by themselves; of each kind there were fifty
    wait_for(lambda: count_open(weir) == 0 and weir.open_files() <= files + renewed, what="every descriptor is closed")
    assert json.loads(weir.http("/status")[1])["state"] == "ok"
