"""The console: what it tells is what is, in forms that Redis' tools read; what
nobody understands is answered with words that help."""
import re
import subprocess

import pytest
import redis

from harness import HOST, PATIENCE, Raw, encode, wait_for

BUSY = """
local function now() local t = redis.call('TIME'); return t[1] * 1000000 + t[2] end
local deadline = now() + tonumber(ARGV[1]) * 1000
repeat until now() > deadline
return 'done'"""


def console(weir):
    return redis.Redis(host=HOST, port=weir.admin_port, socket_timeout=10 * PATIENCE)


def cli(weir, *words):
    result = subprocess.run(["redis-cli", "-p", str(weir.admin_port), *words], capture_output=True, text=True,
                            timeout=30 * PATIENCE)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def table(lines):
    """A table for people as rows by the titles of its columns."""
    lines = [line.decode() if isinstance(line, bytes) else str(line) for line in lines]
    titles = lines[0].split()
    return [dict(zip(titles, re.split(r" {2,}", line, maxsplit=len(titles) - 1))) for line in lines[1:]]


# ---- how long commands take

@pytest.fixture
def slow_group(lab):
    return lab.group(2, config={"log": {"slower_than": "50ms"}})


def test_slow_commands_are_shown(slow_group):
    weir = slow_group.weir
    client = weir.client(client_name="snail")
    client.set("quick", "1")
    before = weir.metrics()["weir_slow_commands_total"]
    assert client.eval(BUSY, 1, "key", "120") == "done"
    entry, = wait_for(lambda: console(weir).slowlog_get(), what="the slow log has an entry")
    assert 120000 <= entry["duration"] < 120000 + 5e6 * PATIENCE
    assert entry["command"].startswith(b"EVAL ") and entry["command"].endswith(b" 1 key 120")
    raw, = weir.admin("SLOWLOG", "GET")
    number, when, total, words, address, name, node, user, queued, at_node = raw
    assert (number, total, user, name) == (entry["id"], entry["duration"], b"default", b"snail")
    assert node.decode() == slow_group.master.address
    assert queued + at_node == total and at_node >= 120000
    assert re.fullmatch(rb"127\.0\.0\.1:\d+", address)
    assert words[0] == b"EVAL" and words[2:] == [b"1", b"key", b"120"]
    assert words[1].endswith(b" more bytes)")
    assert abs(when - slow_group.master.client().time()[0]) < 60
    assert weir.metrics()["weir_slow_commands_total"] == before + 1
    assert weir.admin("SLOWLOG", "LEN") == 1
    assert weir.admin("SLOWLOG", "RESET") == "OK"
    assert weir.admin("SLOWLOG", "GET") == [] and weir.admin("SLOWLOG", "LEN") == 0


def test_what_waits_here_is_told_apart_from_what_waits_there(lab):
    """A write that is held until there is a master is slow here, one behind a
    script is slow there."""
    group = lab.group(0, config={"log": {"slower_than": "50ms"}, "replication": {"accept_reset_master": "yes"},
                                 "routing": {"write_hold": "60s"}})
    weir = group.weir
    with weir.raw() as raw, weir.raw() as other:
        group.master.kill()
        weir.wait_state("no_master")
        weir.take(raw, encode("SET", "held", "1"))
        group.master.start()
        assert raw.reply() == "OK"
        other.send(encode("EVAL", BUSY, "0", "200"))
        wait_for(lambda: weir.metrics()["weir_commands_total{class=\"script\",route=\"master\"}"] == 1)
        raw.send(encode("SET", "behind", "1"))
        assert raw.reply() == "OK"
    entries = wait_for(lambda: len(weir.admin("SLOWLOG", "GET")) >= 3 and weir.admin("SLOWLOG", "GET"))
    shares = {entry[3][1]: (entry[8], entry[9]) for entry in entries if entry[3][0] == b"SET"}
    queued, at_node = shares[b"held"]
    assert queued > at_node and queued > 50000
    queued, at_node = shares[b"behind"]
    assert at_node > queued and at_node > 50000


def test_waiting_is_not_slow(slow_group):
    """A client that waits for data waits because it wants to."""
    weir = slow_group.weir
    client = weir.client()
    assert client.blpop("nothing", timeout=1) is None
    client.set("a", "1")
    assert weir.admin("SLOWLOG", "LEN") == 0
    rows = {row["of"]: row for row in table(weir.admin("LATENCY"))}
    assert float(rows["write"]["max"]) < 900


def test_secrets_are_not_shown(slow_group):
    weir, master = slow_group.weir, slow_group.master
    client = weir.client()
    for words in (["ACL", "SETUSER", "bob", "on", ">hunter2", "~*", "+@all"], ["CONFIG", "SET", "masterauth", "hunter2"]):
        with Raw((HOST, master.port)) as busy:
            busy.send(encode("EVAL", BUSY, "0", "200"))
            wait_for(lambda: weir.admin("PING") == "PONG")
            client.execute_command(*words)
            busy.reply()
    shown = str(wait_for(lambda: len(weir.admin("SLOWLOG", "GET")) >= 1 and weir.admin("SLOWLOG", "GET", "-1")))
    assert "(redacted)" in shown and "hunter2" not in shown


def test_no_slow_log(lab):
    group = lab.group(0, config={"log": {"slower_than": "0"}})
    group.weir.client().eval(BUSY, 0, "60")
    assert group.weir.admin("SLOWLOG", "LEN") == 0
    assert group.weir.metrics()["weir_slow_commands_total"] == 0


def test_a_flood_of_slow_commands_is_bounded(lab):
    """A worker tells of so many in a second; the rest is counted."""
    group = lab.group(0, config={"log": {"slower_than": "1ms"}, "proxy": {"workers": 1}})
    weir = group.weir
    with weir.raw() as raw:
        raw.send(encode("EVAL", BUSY, "0", "50") + b"".join(encode("EVAL", "return 1", "0") for _ in range(3000)))
        for _ in range(3001):
            raw.reply()
    counted = weir.metrics()["weir_slow_commands_total"]
    assert counted > 1000
    assert weir.admin("SLOWLOG", "LEN") <= 128
    entries = weir.admin("SLOWLOG", "GET", "-1")
    assert len(entries) == weir.admin("SLOWLOG", "LEN") and entries[0][0] < counted


@pytest.mark.parametrize("words, expected", [
    (["SLOWLOG", "GET", "x"], "ERR expected a number from 0 to 2147483647, got 'x'"),
    (["SLOWLOG", "GET", "-2"], "ERR expected a number from 0 to 2147483647, got '-2'"),
    (["SLOWLOG", "GETS"], "ERR expected SLOWLOG GET [count]"),
    (["SLOWLOG"], "ERR expected SLOWLOG GET [count]"),
    (["SLOWLOG", "REST"], "ERR expected SLOWLOG RESET"),
    (["SLOWLOGS", "GET"], "ERR unknown command 'SLOWLOGS', did you mean SLOWLOG GET [count]? VERBS lists them all"),
    (["LATENCY", "nobody"], "ERR no server has the name 'nobody'"),
    (["EVENTS", "0"], "ERR expected a number from 1 to 1024, got '0'"),
    (["ACCEPT", "DEFEAT"], "ERR expected ACCEPT MASTER"),
])
def test_what_is_wrong_is_said(shared_group, words, expected):
    assert str(shared_group.weir.admin(*words)) == expected


def test_latency_counts_every_command_once(shared_group):
    weir = shared_group.weir

    def counts():
        return {row["of"]: int(row["count"]) for row in table(weir.admin("LATENCY")) if row["count"] != "-"}
    before = counts()
    with weir.raw() as raw:
        raw.send(b"".join(encode("SET", "k", n) for n in range(40)) + b"".join(encode("GET", "k") for _ in range(30)))
        for _ in range(70):
            raw.reply()
        for _ in range(25):
            raw.command("GET", "k")
        for _ in range(7):
            raw.command("CLIENT", "GETNAME")
    after = wait_for(lambda: counts() if counts()["local"] >= before["local"] + 7 else None)
    names = [server.address for server in shared_group.servers]
    assert after["write"] - before["write"] == 40
    assert after["read"] - before["read"] == 55
    assert sum(after[name] - before[name] for name in names) >= 95
    only, = table(weir.admin("LATENCY", names[1]))
    assert only["of"] == names[1]
    assert cli(weir, "latency")[0].split() == ["of", "count", "mean", "p50", "p99", "p99.9", "max"]


def test_a_slow_node_is_seen(lab):
    """One replica takes its time: its figures say so, the other's do not."""
    group = lab.group(1)
    weir = group.weir
    for _ in range(50):
        weir.client().set("k", "v")
    weir.client().eval(BUSY, 0, "300")
    rows = {row["of"]: row for row in table(weir.admin("LATENCY"))}
    assert float(rows[group.master.address]["max"]) >= 300
    assert 300 > float(rows[group.master.address]["p50"]) >= 0


# ---- what happened

def test_events(shared_group):
    weir = shared_group.weir
    name = shared_group.replicas[0].address
    assert weir.admin("DRAIN", name) == "OK" and weir.admin("ENABLE", name) == "OK"
    lines = cli(weir, "events", "1000")
    assert any(re.fullmatch(rf"\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z drained {re.escape(name)}: .*", line)
               for line in lines)
    assert lines == sorted(lines, key=lambda line: line.split()[0])
    assert cli(weir, "events", "1") == lines[-1:]
