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
    entry, = wait_for(lambda: [entry for entry in console(weir).slowlog_get() if entry["command"].startswith(b"EVAL ")],
                      what="the slow log has an entry")
    assert 120000 <= entry["duration"] < 120000 + 5e6 * PATIENCE
    assert entry["command"].endswith(b" 1 key 120")
    raw, = (raw for raw in weir.admin("SLOWLOG", "GET") if raw[0] == entry["id"])
    number, when, total, words, address, name, node, user, queued, at_node = raw
    assert (number, total, user, name) == (entry["id"], entry["duration"], b"default", b"snail")
    assert node.decode() == slow_group.master.address
    assert queued + at_node == total and at_node >= 120000
    assert re.fullmatch(rb"127\.0\.0\.1:\d+", address)
    assert words[0] == b"EVAL" and words[2:] == [b"1", b"key", b"120"]
    assert words[1].endswith(b" more bytes)")
    assert abs(when - slow_group.master.client().time()[0]) < 60
    assert weir.metrics()["weir_slow_commands_total"] - before == weir.admin("SLOWLOG", "LEN") >= 1
    assert weir.admin("SLOWLOG", "RESET") == "OK"
    assert weir.admin("SLOWLOG", "GET") == [] and weir.admin("SLOWLOG", "LEN") == 0


def test_what_waits_here_is_told_apart_from_what_waits_there(lab):
    """A write that is held until there is a master is slow here, one behind a
    script is slow there."""
    group = lab.group(0, config={"log": {"slower_than": "50ms"}, "replication": {"accept_reset_master": "yes"},
                                 "routing": {"write_hold": "60s"}})
    weir = group.weir
    with weir.raw() as raw, weir.raw() as other:
        assert raw.command("SET", "before", "1") == "OK"
        group.master.kill()
        weir.wait_state("no_master")
        weir.take(raw, encode("SET", "held", "1"))
        assert raw.silent(0.2)
        group.master.start()
        assert raw.reply() == "OK"

        def slow():
            other.send(encode("EVAL", BUSY, "0", "300"))
            raw.send(b"".join(encode("SET", "behind", n) for n in range(20)))
            assert [raw.reply() for _ in range(20)] == ["OK"] * 20
            assert raw.command("SET", "behind", "1") == "OK"
            assert other.reply() == b"done"
            return any(at_node > queued and at_node > 50000 for queued, at_node in shares(b"behind"))

        def shares(key):
            return [entry[8:10] for entry in weir.admin("SLOWLOG", "GET", "-1") if entry[3][:2] == [b"SET", key]]
        wait_for(slow, what="a write has waited at its node")
        (queued, at_node), = shares(b"held")
        assert queued > at_node and queued > 50000


def test_waiting_is_not_slow(slow_group):
    """A client that waits for data waits because it wants to."""
    weir = slow_group.weir
    client = weir.client()
    assert client.blpop("nothing", timeout=1) is None
    client.set("a", "1")
    assert not [entry for entry in weir.admin("SLOWLOG", "GET") if entry[3][0] == b"BLPOP"]
    rows = {row["of"]: row for row in table(weir.admin("LATENCY"))}
    assert float(rows["write"]["max"]) < 900


def test_secrets_are_not_shown(slow_group):
    weir, master = slow_group.weir, slow_group.master
    client = weir.client()
    for words in (["ACL", "SETUSER", "bob", "on", ">hunter2", "~*", "+@all"], ["CONFIG", "SET", "masterauth", "hunter2"]):
        with Raw((HOST, master.port), 30.0) as busy:
            def is_slow():
                busy.send(encode("EVAL", BUSY, "0", "300"))
                for _ in range(5):
                    client.execute_command(*words)
                assert busy.reply() == b"done"
                return any(entry[3][0] == words[0].encode() for entry in weir.admin("SLOWLOG", "GET", "-1"))
            wait_for(is_slow)
    shown = str(weir.admin("SLOWLOG", "GET", "-1"))
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
    row_of = lambda: {row["of"]: row for row in table(weir.admin("LATENCY"))}[group.master.address]  # noqa: E731
    wait_for(lambda: float(row_of()["max"]) >= 300, what="the slow one is counted, which is after its reply")
    assert 300 > float(row_of()["p50"]) >= 0


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


# ---- INFO, as Redis' tools read it

def test_info_is_what_redis_py_reads(shared_group):
    weir = shared_group.weir
    client = weir.client()
    for n in range(20):
        client.set("k", n)
        client.get("k")
    info = console(weir).info("all")
    assert info["connected_clients"] >= 1 and info["maxclients"] == 10000
    assert info["tcp_port"] == weir.port and info["weir_workers"] == 2
    assert info["redis_version"] == shared_group.master.info()["redis_version"]
    assert info["used_memory_rss"] > 1000000
    assert info["used_memory"] > 100000 or PATIENCE > 1, "a sanitizer has an allocator of its own"
    assert abs(info["server_time_usec"] / 1e6 - client.time()[0]) < 60
    assert info["total_commands_processed"] >= 40
    for name, least in (("get", 20), ("set", 20)):
        row = info[f"cmdstat_{name}"]
        assert row["calls"] >= least and row["usec"] >= 0
        assert row["usec_per_call"] == pytest.approx(row["usec"] / row["calls"], abs=0.01)
        percentiles = info[f"latency_percentiles_usec_{name}"]
        assert 0 < percentiles["p50"] <= percentiles["p99"] <= percentiles["p99.9"]
    master = shared_group.master.info("stats")
    assert (info["sync_full"], info["sync_partial_ok"]) == (master["sync_full"], master["sync_partial_ok"])


def test_commands_are_counted_by_name_and_result(lab):
    """INFO commandstats and weir_commands_total: each command once, by what became
    of it."""
    weir = lab.group(1, config={"routing": {"consistency": "eventual"}}).weir
    names = ("set", "get", "incr", "lpush", "shutdown", "multi", "exec", "client|list", "client|kill", "config|set", "blpop",
             "wait", "eval", "scan", "subscribe", "other", "hello")

    def counts():
        info = console(weir).info("commandstats")
        return {name: info.get(f"cmdstat_{name}", {"calls": 0, "rejected_calls": 0, "failed_calls": 0}) for name in names}

    def totals():
        return {name: value for name, value in weir.metrics().items() if name.startswith("weir_commands_total")}

    with weir.raw() as raw:
        raw.command("PING")
        counted, before = counts(), totals()
        raw.send(encode("MULTI") + encode("SET", "x", 2) + encode("EXEC"))
        for _ in range(3):
            raw.reply()
        for words in [["SET", "a", 1], *[["GET", "a"]] * 10, ["INCR", "a", "b"], ["LPUSH", "a", 1], ["SHUTDOWN"],
                      ["NO-SUCH-COMMAND"], ["MULTI"], ["SET", "x", 1], ["EXEC"], ["CLIENT", "LIST"],
                      ["CLIENT", "KILL", "nonsense"], ["CONFIG", "SET", "hash-max-listpack-entries", 128],
                      ["BLPOP", "none", "0.01"], ["WAIT", 0, 0], ["EVAL", "return redis.error_reply('ERR no')", 0],
                      ["SCAN", 0], ["HELLO", 3], ["SUBSCRIBE", "c"]]:
            raw.command(*words)
    after = counts()
    for name in names:
        gained = {field: after[name][field] - counted[name][field] for field in ("calls", "rejected_calls", "failed_calls")}
        assert gained == {"calls": {"get": 10, "set": 3, "multi": 2, "exec": 2, "shutdown": 0}.get(name, 1),
                          "rejected_calls": int(name == "shutdown"),
                          "failed_calls": int(name in ("incr", "lpush", "other", "client|kill", "eval"))}, name
    latencies = console(weir).info("latencystats")
    assert latencies["latency_percentiles_usec_get"]["p50"] > 0 and "latency_percentiles_usec_blpop" not in latencies

    def grown(command_class, route, result):
        name = f'weir_commands_total{{class="{command_class}",route="{route}",result="{result}"}}'
        return totals()[name] - before[name]

    assert grown("read", "replica", "ok") >= 10 and grown("read", "replica", "error") == 0
    assert (grown("write", "master", "ok"), grown("write", "master", "error")) == (1, 3)
    assert (grown("script", "master", "ok"), grown("script", "master", "error")) == (0, 1)
    assert grown("transaction", "master", "ok") == 1 and grown("private", "master", "error") == 0
    assert grown("local", "local", "error") == 1 and grown("refused", "none", "error") == 1
    assert sum(totals().values()) - sum(before.values()) == sum(
        row["calls"] + row["rejected_calls"] - counted[name]["calls"] - counted[name]["rejected_calls"]
        for name, row in after.items()) - 2, "a transaction that came in one go counts as one of its class"


def test_a_name_is_counted_on_when_the_master_changes(lab):
    """Another server lists its commands anew; what was counted stays with the name."""
    group = lab.group(1, config={"replication": {"accept_reset_master": "yes"}})
    client = group.weir.client()
    for _ in range(5):
        client.set("a", 1)
    learned = group.weir.log().count("learned ")
    group.master.restart()
    wait_for(lambda: group.weir.log().count("learned ") > learned)
    group.weir.wait_state("ok")
    wait_for(lambda: client.set("a", 1))
    assert console(group.weir).info("commandstats")["cmdstat_set"]["calls"] >= 6


def test_redis_cli_reads_it(shared_group):
    for section in ("server", "memory", "commandstats", "latencystats"):
        lines = cli(shared_group.weir, "info", section)
        assert lines[0].lower() == f"# {section}"
        assert all(re.fullmatch(r"[a-z_0-9|]+:.*", line) for line in lines[1:] if line)


# ---- the configuration

def test_config_get(shared_group):
    settings = console(shared_group.weir).config_get("*")
    assert settings["proxy.listen"] == shared_group.weir.address
    assert settings["replication.replica"] == ", ".join(server.address for server in shared_group.replicas)
    assert settings["routing.max_lag"] == "1s" and settings["admin.token_file"] == ""
    assert console(shared_group.weir).config_get("max_lag*") == {"routing.max_lag": "1s", "routing.max_lag_bytes": "16mb"}
    assert console(shared_group.weir).config_get("health.r??e") == {"health.rise": "2"}
    assert shared_group.weir.admin("CONFIG", "GET", "nothing") == []
    assert shared_group.weir.admin("CONFIG", "GET", "*" * 60 + "x") == []


def test_reload_says_what_waits_for_a_restart(lab):
    """As long as the file says so, not once; and that it does is no mistake."""
    weir = lab.group(1).weir
    weir.write(proxy={"workers": 3, "max_clients": 77}, sentinel={"user": "u"})
    for _ in range(2):
        assert weir.admin("RELOAD") == "OK, but these need a restart: [proxy] workers, [sentinel] user"
    assert weir.status()["clients"]["max"] == 77
    assert weir.admin("CONFIG", "SET", "max_clients", "78") == "OK"
    weir.write(proxy={"workers": 2}, sentinel={"user": ""})
    assert weir.admin("RELOAD") == "OK"


def test_config_set_is_all_or_nothing(lab):
    group = lab.group(1)
    weir = group.weir
    assert weir.admin("CONFIG", "SET", "max_clients", "2", "routing.max_lag", "3s") == "OK"
    assert console(weir).config_get("max_clients") == {"proxy.max_clients": "2"}
    first, second = weir.raw(), weir.raw()
    assert first.command("PING") == second.command("PING") == "PONG"
    with weir.raw() as third:
        assert "max number of clients reached" in str(third.read_all())
    for words, expected in [
            (["max_lag", "9s", "workers", "3"], "ERR [proxy] workers: another value needs a restart"),
            (["max_lag", "9s", "fallback", "x"], "ERR [routing] fallback: expected master | error, got \"x\""),
            (["max_lag", "9s", "listen", "x:1"], "ERR 'listen' is a key of [proxy] and of [admin], say which: proxy.listen"),
            (["max_lag", "9s", "max_lagg", "1"], "ERR unknown key 'max_lagg', did you mean routing.max_lag?"),
            (["max_lag", "9s", "health.intervall", "1"], "ERR unknown key 'health.intervall', did you mean health.interval?"),
            (["max_lag", "9s", "max_clients", "5\n[x]"], "ERR expected a value without control characters"),
            (["max_lag", "9s", "module_reads", "x" * 9999], "ERR expected a value of less than "),
            (["max_lag", "9s", "fall"], "ERR wrong number of arguments, expected a value behind every key")]:
        assert str(weir.admin("CONFIG", "SET", *words)).startswith(expected), words
        assert console(weir).config_get("max_lag") == {"routing.max_lag": "3s"}, words
    assert weir.admin("RELOAD") == "OK"
    assert console(weir).config_get("max_lag") == {"routing.max_lag": "1s"}
    as_it_was = weir.config_path.read_text()
    weir.config_path.write_text("[proxy]\nlisten = nonsense\n")
    assert "nonsense" in str(weir.admin("RELOAD"))
    weir.config_path.write_text(as_it_was)
    assert weir.admin("RELOAD") == "OK"
    assert first.command("PING") == "PONG"
    first.close()
    second.close()


# ---- the clients and the connections, which the workers know

def test_clients_and_their_end(shared_group):
    weir = shared_group.weir
    with weir.raw() as raw, weir.raw() as other:
        assert raw.command("CLIENT", "SETNAME", "victim") == "OK"
        number = raw.command("CLIENT", "ID")
        raw.command("SET", "k", "v")
        other.command("PING")
        row, = (row for row in table(weir.admin("CLIENTS")) if row["name"] == "victim")
        assert (int(row["id"]), row["user"], row["connection"], row["command"]) == (number, "default", "shared", "set")
        assert row["address"] == "%s:%d" % raw.socket.getsockname()
        listed, = (row for row in console(weir).client_list() if row["name"] == "victim")
        assert listed["addr"] == row["address"]
        assert weir.admin("CLIENT", "KILL", "ID", number) == 1
        assert raw.read_all() == b""
        assert weir.admin("CLIENT", "KILL", "ID", number) == 0
        assert str(weir.admin("CLIENT", "KILL", row["address"])) == "ERR No such client"
        assert str(weir.admin("CLIENT", "KILL", "ID", "x")) == "ERR syntax error"
        assert weir.admin("CLIENT", "KILL", "%s:%d" % other.socket.getsockname()) == "OK"
        assert other.read_all() == b""


def test_backends(shared_group):
    rows = table(shared_group.weir.admin("BACKENDS"))
    for server in shared_group.servers:
        assert {row["worker"] for row in rows if row["server"] == server.address and row["kind"] == "shared"} == {"0", "1"}
    assert {row["state"] for row in rows} <= {"idle", "connecting", "proving", "handshake", "ready"}


def test_an_answer_that_comes_later_keeps_its_place(shared_group):
    """Pipelined behind what the workers are asked, nothing overtakes; whoever
    leaves before his answer leaves nothing."""
    weir = shared_group.weir
    with Raw((HOST, weir.admin_port)) as raw:
        raw.send(b"".join(encode("BACKENDS") + encode("PING", n) for n in range(50)))
        for n in range(50):
            assert len(raw.reply()) > 1
            assert raw.reply() == str(n).encode()
    for _ in range(50):
        with Raw((HOST, weir.admin_port)) as raw:
            raw.send(encode("CLIENTS") + encode("ROUTE", "GET", "a"))
    wait_for(lambda: weir.admin("PING") == "PONG", what="those who left are gone")
    for _ in range(40):
        assert len(weir.admin("ROUTE", "GET", "a")) == 5


# ---- where a command goes

def route(weir, *words):
    lines = [str(line) for line in weir.admin("ROUTE", *words)]
    fields = [line.split(":", 1) for line in lines]
    return {name: text.strip() for name, text in fields[:3]}, [text.strip() for _, text in fields[3:]]


def test_route(shared_group):
    weir, (master, *replicas) = shared_group.weir, shared_group.servers
    shared_group.settle()
    answer, nodes = route(weir, "GET", "k")
    assert answer["class"] == "read" and answer["goes to"] in [f"replica {server.address}" for server in replicas]
    assert nodes == [f"{server.address} may serve it" for server in replicas]
    before = weir.metrics()['weir_commands_total{class="read",route="replica",result="ok"}']
    for words, where, why in [
            (["SET", "k", "v"], f"the master, {master.address}", "it may change data"),
            (["INFO"], f"the master, {master.address}", "it speaks of one server"),
            (["CLIENT", "ID"], "weir itself", "it speaks of the connection"),
            (["REPLICAOF", "NO", "ONE"], "nowhere", "replication is wired by weir"),
            (["EVAL", "return 1", "0"], f"the master, {master.address}", "scripts have a connection of their own"),
            (["SCAN", "0"], f"the master, {master.address}", "cursors live there: [routing] scan = master"),
            (["NOSUCH"], f"the master, {master.address}", "unknown to the server: it may change data")]:
        answer, nodes = route(weir, *words)
        assert (answer["goes to"], answer["because"], nodes) == (where, why, []), words
    assert weir.metrics()['weir_commands_total{class="read",route="replica",result="ok"}'] == before


def test_route_without_a_replica(lab):
    group = lab.group(1)
    weir, name = group.weir, group.replicas[0].address
    assert weir.admin("DRAIN", name) == "OK"
    wait_for(lambda: route(weir, "GET", "k")[1] == [f"{name} may not: drained"])
    answer, _ = route(weir, "GET", "k")
    assert answer["goes to"] == f"the master, {group.master.address}" and answer["because"].startswith("no replica may")
    assert weir.admin("ENABLE", name) == "OK"
    wait_for(lambda: route(weir, "GET", "k")[0]["goes to"] == f"replica {name}")
    group.replicas[0].freeze()
    weir.client().set("k", "v")
    floor = group.master.info("replication")["master_repl_offset"]
    try:
        wait_for(lambda: route(weir, "FLOOR", str(floor), "GET", "k")[0]["goes to"].startswith("the master"))
    finally:
        group.replicas[0].thaw()


# ---- garbage

@pytest.mark.parametrize("seed", range(4))
def test_garbage(shared_group, seed):
    """Words that stand in the table, and others, in any order: one reply each,
    or an end; and the console goes on for others."""
    import random
    dice = random.Random(seed)
    words = ["INFO", "ROUTE", "FLOOR", "GET", "SET", "CONFIG", "CLIENT", "LIST", "KILL", "SLOWLOG", "LEN", "LATENCY",
             "EVENTS", "ID", "ADDR", "AUTH", "HELLO", "2", "-1", "0", "99999999999999999999", "*", "x" * 300, "", "\x00",
             "\xff\xfe", "%s%n", "max_lag", "1s", "REPLICAS", "ROLE", "BACKENDS", "CLIENTS", "HELP", "VERBS", "PING"]
    with Raw((HOST, shared_group.weir.admin_port), 20.0) as raw:
        for _ in range(300):
            request = [dice.choice(words) for _ in range(dice.randint(1, 6))]
            if request[:2] == ["CONFIG", "SET"] or request[:2] == ["CLIENT", "KILL"]:
                continue
            raw.command(*request)
        assert raw.command("PING") == "PONG"
    assert shared_group.weir.status()["state"] == "ok"
