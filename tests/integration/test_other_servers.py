"""Servers with commands that weir has never heard of, and servers of two kinds
in one group: what weir knows it has learned from them.

(`make integration-valkey` runs many of the other tests against Valkey.)"""
import os
import pathlib
import re
import subprocess

import pytest

from harness import HOST, TOP, Group, encode, wait_for
from test_fake_server import Crooked

HERE = pathlib.Path(__file__).resolve().parent


def cache():
    """Where what was fetched is kept, as the Makefile has it."""
    place = os.environ.get("XDG_CACHE_HOME")
    return pathlib.Path(place) / "weir" if place else TOP / "build" / "compat"


def fetched(script):
    """The last line that the script prints; the test is skipped where it fails."""
    run = subprocess.run([script, cache()], capture_output=True, text=True, timeout=110, check=False)
    if run.returncode != 0:
        pytest.skip(f"{script.name} cannot have it: {run.stderr.strip()[-300:]}")
    return run.stdout.strip().rpartition("\n")[2]


def served(servers, command):
    return sum(server.calls().get(command, 0) for server in servers)


# ---- modules

@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """--loadmodule for the module of sample_module.c."""
    fetched(TOP / "tests" / "compat" / "fetch.sh")
    directory = tmp_path_factory.mktemp("module")
    shared = directory / "sample.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-I", cache() / "suite" / "src",
                    "-o", shared, HERE / "sample_module.c"], check=True)
    return ["--loadmodule", shared]


def loaded_group(lab, sample, **routing):
    group = lab.group(2, config={"routing": routing}, redis_args=sample)
    with group.weir.raw() as raw:
        assert raw.command("SAMPLE.SET", "key", "value") == "OK"
    group.settle()
    group.reset_calls()
    return group


def test_module_commands_stay_on_the_master(lab, sample):
    """A module may call a read readonly that changes what it keeps beside the keys."""
    group = loaded_group(lab, sample)
    with group.weir.raw() as raw:
        assert [raw.command("SAMPLE.GET", "key") for _ in range(20)] == [b"value"] * 20
        assert raw.command("SAMPLE.SET", "key", "other") == "OK"
        assert raw.command("sample.get", "key") == b"other"
        assert str(raw.command("SAMPLE.GET")).startswith("ERR wrong number of arguments")
        assert raw.commands([("MULTI",), ("SAMPLE.GET", "key"), ("SAMPLE.SET", "key", "3"), ("EXEC",)])[-1] == [b"other", "OK"]
    assert served([group.master], "sample.get") == 23
    assert served(group.replicas, "sample.get") == 0 and all(replica.rejected() == {} for replica in group.replicas)


def test_module_reads_that_are_named_go_to_replicas(lab, sample):
    """A write that is named stays a write."""
    group = loaded_group(lab, sample, module_reads="sample.get sample.set")
    with group.weir.raw() as raw:
        assert [raw.command("SAMPLE.GET", "key") for _ in range(20)] == [b"value"] * 20
        assert served([group.master], "sample.get") == 0 and served(group.replicas, "sample.get") == 20
        assert raw.command("SAMPLE.SET", "key", "other") == "OK"
        assert raw.command("SAMPLE.GET", "key") == b"other", "read-your-writes"
        group.settle()
        raw.command("HELLO", 3)
        assert raw.commands([("SAMPLE.GET", "key"), ("GET", "key"), ("SAMPLE.GET", "none")]) == [b"other", b"other", None]
    assert served([group.master], "sample.set") == 1
    assert all(replica.rejected() == {} for replica in group.replicas)


# ---- how a server speaks of itself and of its clients

def fields(line):
    return [word.split(b"=")[0] for word in line.split()]


def assert_same_words(group):
    """HELLO's reply is the master's but for the id, and a client's line has the
    master's fields."""
    wait_for(lambda: "commands from the master" in group.weir.log())
    with group.weir.raw() as raw, group.master.raw() as direct:
        for resp in 2, 3, 2:
            mine, its = (dict(reply) if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2]))
                         for reply in (raw.command("HELLO", resp), direct.command("HELLO", resp)))
            assert mine.pop(b"id") == raw.command("CLIENT", "ID") and its.pop(b"id")
            assert mine == its
            assert fields(raw.command("CLIENT", "INFO")) == fields(direct.command("CLIENT", "INFO"))
            assert fields(raw.command("CLIENT", "LIST").splitlines()[0]) == fields(direct.command("CLIENT", "INFO"))
        return mine


def test_the_words_of_redis(lab, sample):
    group = lab.group(1, redis_args=sample, replica_endpoint=True)
    words = assert_same_words(group)
    assert words[b"modules"][0][1] == b"sample"
    with group.weir.raw(replica=True) as raw:
        reply = raw.command("HELLO")
        assert reply[reply.index(b"role") + 1] == b"replica"


def test_the_words_of_valkey(lab, valkey):
    group = group_of_valkey(lab, valkey)
    assert assert_same_words(group)[b"server"] == b"valkey"
    with group.weir.raw() as raw:
        assert raw.commands([("WATCH", "a", "b"), ("PING",)]) == ["OK", "PONG"]
        line = dict(word.split(b"=") for word in raw.command("CLIENT", "INFO").split())
        assert line[b"watch"] == b"2" and line[b"tot-cmds"] == b"2" and line[b"tot-net-out"] == b"12"
        sent = len(encode("WATCH", "a", "b") + encode("PING") + encode("CLIENT", "INFO"))
        assert int(line[b"tot-net-in"]) == sent
        assert raw.command("UNWATCH") == "OK"
        assert b" watch=0 " in raw.command("CLIENT", "INFO")


def test_a_master_that_does_not_tell_its_words(lab):
    """weir's user may not say HELLO: weir makes do with what INFO says."""
    master = lab.redis(name="master")
    master.cli("ACL", "SETUSER", "weir", "on", ">pw", "~*", "&*", "+@all", "-hello", "-client|info")
    secret = master.directory / "secret"
    secret.write_text("pw\n")
    secret.chmod(0o600)
    weir = lab.weir(master, config={"auth": {"user": "weir", "password_file": secret}}).wait_state("ok")
    wait_for(lambda: "commands from the master" in weir.log())
    with weir.raw() as raw:
        reply = raw.command("HELLO", 3)
        info = master.info()
        assert reply[b"server"].decode() == info.get("server_name", "redis")
        assert reply[b"version"].decode() == info.get("valkey_version", info["redis_version"])
        assert reply[b"role"] == b"master"
        assert fields(raw.command("CLIENT", "INFO"))[-2:] == [b"redir", b"resp"]


def test_a_replica_without_the_module(lab, sample):
    """It does not know the command: the master is asked."""
    master = lab.redis(*sample, name="master")
    bare = lab.redis("--replicaof", HOST, master.port, name="bare")
    weir = lab.weir(master, [bare], {"routing": {"module_reads": "sample.get"}}).wait_state("ok")
    with weir.raw() as raw:
        raw.command("SAMPLE.SET", "key", "value")
        wait_for(lambda: raw.command("GET", "key") == b"value" and served([bare], "get") > 0)
        assert [raw.command("SAMPLE.GET", "key") for _ in range(10)] == [b"value"] * 10
        assert raw.commands([("GET", "key"), ("SAMPLE.GET", "key"), ("GET", "key")]) == [b"value"] * 3
        assert served([master], "sample.get") == 11
        retried = lambda: weir.status()["counters"]["retried_reads"]  # noqa: E731
        wait_for(lambda: raw.command("SAMPLE.GET", "key") == b"value" and retried() > 0, what="the replica is asked first")


def test_on_the_replica_endpoint(lab, sample):
    group = lab.group(2, redis_args=sample, replica_endpoint=True)
    with group.weir.raw() as raw, group.weir.raw(replica=True) as reader:
        raw.command("SAMPLE.SET", "key", "value")
        group.settle()
        group.reset_calls()
        assert reader.command("SAMPLE.GET", "key") == b"value"
        assert str(reader.command("SAMPLE.SET", "key", "x")).startswith("READONLY ")
    assert served([group.master], "sample.get") == 0 and served(group.servers, "sample.set") == 0


# ---- commands of the future

class Future(Crooked):
    """A server that is newer than any: it also knows futureget and futureset."""

    TRANSLATED = {b"futureget": b"GET", b"futureset": b"SET"}
    LISTED = [(b"futureget", 2, b"readonly"), (b"futureset", -3, b"write")]

    def __init__(self, server):
        self.asked = {}     # {word: how often}
        super().__init__(server)

    def _bend(self, words, reply):
        if words[0].upper() != b"COMMAND" or len(words) > 1:
            return [reply]
        count, newline, rest = reply.partition(b"\r\n")
        rows = b"".join(
            b"*10\r\n$%d\r\n%s\r\n:%d\r\n*1\r\n+%s\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n" % (len(name), name, arity, flag)
            for name, arity, flag in self.LISTED)
        return [b"*%d\r\n" % (int(count[1:]) + len(self.LISTED)) + rows + rest]

    def _request(self, frame):
        words = frame.split(b"\r\n")[2::2]
        real = self.TRANSLATED.get(words[0].lower())
        self.asked[words[0].lower()] = self.asked.get(words[0].lower(), 0) + 1
        return frame if real is None else frame.replace(b"$%d\r\n%s\r\n" % (len(words[0]), words[0]),
                                                        b"$%d\r\n%s\r\n" % (len(real), real), 1)

def test_commands_of_the_future(lab):
    """No list of commands is built in: the flags that the server gives decide."""
    master = lab.redis(name="master")
    replica = lab.redis("--replicaof", HOST, master.port, name="replica")
    with Future(master) as newer, Future(replica) as copy:
        weir = lab.weir(newer.address, [copy.address], {"replication": {"wiring": "observe"}}).wait_state("ok")
        with weir.raw() as raw:
            wait_for(lambda: "learned" in weir.log(), what="the commands are learned")
            assert raw.command("FUTURESET", "key", "value") == "OK"
            wait_for(lambda: raw.command("FutureGet", "key") == b"value" and copy.asked.get(b"futureget", 0) > 0)
            assert copy.asked.get(b"futureset", 0) == 0
        reads_only = lab.weir(newer.address, [copy.address], {"replication": {"wiring": "observe"}}, start=False)
        reads_only.replica_endpoint().start().wait_state("ok")
        wait_for(lambda: "learned" in reads_only.log(), what="the commands are learned")
        with reads_only.raw(replica=True) as reader:
            assert str(reader.command("FUTURESET", "key", "x")).startswith("READONLY ")
            assert reader.command("FUTUREGET", "key") == b"value"


# ---- Valkey

@pytest.fixture(scope="session")
def valkey():
    """The path of a valkey-server."""
    return fetched(HERE / "valkey.sh")


def group_of_valkey(lab, valkey):
    master = lab.redis(name="master", binary=valkey)
    replicas = [lab.redis("--replicaof", HOST, master.port, name="replica", binary=valkey) for _ in range(2)]
    return Group(master, replicas, lab.weir(master, replicas).wait_state("ok"))


def test_valkey_introduces_itself(lab, valkey):
    group = group_of_valkey(lab, valkey)
    with group.weir.raw() as raw, group.master.raw() as direct:
        through, own = raw.command("HELLO", 3), direct.command("HELLO", 3)
        assert {**through, b"id": 0} == {**own, b"id": 0}
        assert through[b"server"] == b"valkey" and re.fullmatch(rb"\d+\.\d+\.\d+", through[b"version"])
    master = group.weir.status()["master"]
    assert (master["server_name"], master["server_version"]) == ("valkey", through[b"version"].decode())


def test_commands_that_only_valkey_has(lab, valkey):
    group = group_of_valkey(lab, valkey)
    with group.weir.raw() as raw, group.master.raw() as direct:
        sha = raw.command("SCRIPT", "LOAD", "return 1")
        assert raw.command("SCRIPT", "SHOW", sha) == b"return 1"
        assert raw.command("CLIENT", "CAPA", "redirect") == "OK"
        for words in [("SCRIPT", "SHOW", "0" * 40), ("CLIENT", "CAPA"), ("CLUSTER", "SLOT-STATS"), ("COMMANDLOG",)]:
            assert raw.command(*words) == direct.command(*words), words
        assert raw.command("SET", "key", "value") == "OK" and raw.command("GET", "key") == b"value"


def test_client_commands_since_7_2(lab, valkey):
    """What a later server knows of CLIENT goes for weir's clients."""
    master = lab.redis(name="master", binary=valkey)
    weir = lab.weir(master).wait_state("ok")
    wait_for(lambda: "learned" in weir.log(), what="the commands are learned")
    with weir.raw() as raw, weir.raw() as other, weir.raw() as third, master.raw() as direct:
        idle = lambda: direct.command("OBJECT", "IDLETIME", "key")  # noqa: E731
        assert raw.commands([("CLIENT", "SETINFO", "LIB-NAME", "mine"), ("CLIENT", "SETINFO", "LIB-VER", "9")]) == ["OK", "OK"]
        assert b" lib-name=mine lib-ver=9" in other.command("CLIENT", "LIST", "ID", raw.command("CLIENT", "ID"))
        assert b" lib-name= lib-ver=" in other.command("CLIENT", "INFO")
        assert raw.commands([("SET", "key", "value"), ("CLIENT", "NO-TOUCH", "ON"), ("CLIENT", "NO-TOUCH", "ON")]) == ["OK"] * 3
        assert b"flags=T" in raw.command("CLIENT", "INFO")
        wait_for(lambda: idle() >= 2)
        assert raw.commands([("GET", "key"), ("MULTI",), ("GET", "key"), ("EXEC",)])[-1] == [b"value"]
        assert idle() >= 2, "whoever says NO-TOUCH touches nothing"
        assert other.commands([("CLIENT", "NO-TOUCH", "OFF"), ("GET", "key")]) == ["OK", b"value"]
        assert idle() < 2, "and nobody else has said it"
        wait_for(lambda: idle() >= 2)
        assert raw.commands([("CLIENT", "NO-TOUCH", "OFF"), ("GET", "key")]) == ["OK", b"value"] and idle() < 2
        assert other.command("CLIENT", "KILL", "MAXAGE", "100000") == 0
        wait_for(lambda: int(re.search(rb" age=(\d+)", other.command("CLIENT", "INFO"))[1]) >= 1)
        assert other.command("CLIENT", "KILL", "MAXAGE", "1") == 2
        assert raw.read_all() == third.read_all() == b""


def test_a_valkey_among_the_replicas_of_a_redis(lab, valkey):
    """As on the way from one to the other. The default user means the same to
    both, although they do not say it in the same words."""
    master = lab.redis(name="master")
    newer = lab.redis("--replicaof", HOST, master.port, name="newer", binary=valkey)
    weir = lab.weir(master, [newer]).wait_state("ok")
    with weir.raw() as raw:
        for protocol in (2, 3):
            raw.command("HELLO", protocol)
            raw.commands([("SET", "key", "value"), ("HSET", "hash", "f", "v"), ("ZADD", "zset", "1.5", "m")])
            newer.reset_calls()
            def reads_are_served():
                hash_, score = raw.commands([("HGETALL", "hash"), ("ZSCORE", "zset", "m")])
                assert hash_ == ({b"f": b"v"} if protocol == 3 else [b"f", b"v"])
                assert score == (1.5 if protocol == 3 else b"1.5")
                return served([newer], "hgetall") > 0 # it has caught up

            wait_for(reads_are_served)
        sha = raw.command("SCRIPT", "LOAD", "return redis.call('GET', KEYS[1])")
        assert raw.command("EVALSHA_RO", sha, 1, "key") == b"value", "the master knows it"
    row = weir.replica_status(newer)
    assert (row["server_name"], row["users_compared"], row["differing_users"]) == ("valkey", True, 0)
