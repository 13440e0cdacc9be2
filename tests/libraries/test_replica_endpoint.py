"""Clients that were pointed at a replica: a bare one, and weir's reads-only
endpoint in its place."""
import subprocess
import threading

import pytest
import redis

from fronts import replica_scenario
from harness import HOST, PATIENCE, wait_for


def fill(front):
    client = front.master.client()
    client.mset({f"key:{n}": n for n in range(300)})
    client.hset("h", mapping={"a": 1, "b": "two"})
    client.rpush("l", *"abc")
    client.sadd("s", "only")
    client.zadd("z", {"a": 1, "b": 2.5})
    client.xadd("x", {"f": "v"}, id="1-1")
    front.master.client(db=3).set("three", 3)
    front.settle()
    return front.client()


def errors_of(*calls):
    seen = []
    for call in calls:
        with pytest.raises(redis.RedisError) as raised:
            call()
        seen.append((type(raised.value).__name__, str(raised.value)))
    return seen


@replica_scenario
def test_reads(front):
    client = fill(front)
    seen = [client.get("key:7"), client.mget("key:1", "none"), client.hgetall("h"), client.lrange("l", 0, -1), client.smembers("s"),
            client.zrange("z", 0, -1, withscores=True), client.xrange("x"), client.xread({"x": "0"}), client.exists("h", "none"),
            client.type("z"), client.ttl("h"), client.object("encoding", "h"), client.memory_usage("h") > 0, client.execute_command("SORT_RO", "l", "ALPHA"),
            client.ping(), client.echo("x"), client.role()[0],
            client.info("replication")["role"], client.info("replication")["master_link_status"], client.dbsize() >= 305,
            client.eval("return redis.call('GET', KEYS[1])", 1, "key:9"), client.eval_ro("return redis.call('GET', KEYS[1])", 1, "key:9"),
            sorted(client.scan_iter("key:1*", count=20)), dict(client.hscan_iter("h")), front.client(db=3).get("three"),
            client.config_get("replica-read-only"), client.acl_whoami(), client.client_getname(), client.publish("void", "x")]
    with client.pipeline() as pipe:
        seen.append(pipe.get("key:1").hgetall("h").execute())
    with client.pipeline(transaction=False) as pipe:
        for n in range(300):
            pipe.get(f"key:{n}")
        assert pipe.execute() == [str(n) for n in range(300)]
    with client.pipeline() as pipe:
        pipe.watch("key:1")
        value = pipe.get("key:1")
        pipe.multi()
        seen += [value, pipe.get("key:1").execute()]
    return seen


@replica_scenario
def test_writes_are_refused(front):
    client = fill(front)
    read = client.register_script("return redis.call('GET', KEYS[1])")
    seen = errors_of(
        lambda: client.set("key:1", "x"), lambda: client.incr("n"), lambda: client.delete("h"), lambda: client.expire("h", 1),
        lambda: client.flushall(), lambda: client.lpush("l", "x"), lambda: client.blpop("l", 1), lambda: client.blmove("l", "m", 1),
        lambda: client.xadd("x", {"f": "v"}), lambda: client.xreadgroup("g", "c", {"x": ">"}), lambda: client.getdel("key:1"),
        lambda: client.rename("h", "i"), lambda: client.restore("r", 0, b"x"), lambda: client.lock("lock", timeout=1).acquire(),
        lambda: client.eval("return redis.call('SET', KEYS[1], 1)", 1, "k"), lambda: client.sort("l", store="m"),
        lambda: client.swapdb(0, 1), lambda: client.wait(1, 10), lambda: client.execute_command("SET"),
        lambda: client.execute_command("NOSUCH", "a"), lambda: client.lpush("h", "x"), lambda: client.evalsha("0" * 40, 0),
        lambda: client.pipeline().get("key:1").set("key:1", "x").get("key:1").execute(),
        lambda: client.pipeline(transaction=False).get("key:1").set("key:1", "x").execute())
    mixed = client.pipeline(transaction=False).get("key:1").set("key:1", "x").get("key:1").execute(raise_on_error=False)
    return [*seen, [str(reply) for reply in mixed], read(["key:2"]), client.get("key:1"), front.master.client().get("key:1")]


@replica_scenario
def test_pubsub(front):
    """What is published at the master is heard at the replica."""
    client = front.client()
    pubsub = client.pubsub()
    pubsub.subscribe("news")
    pubsub.psubscribe("n*")
    heard = []

    def hear(count):
        def enough():
            message = pubsub.get_message(timeout=0.1)
            if message:
                heard.append((message["type"], message["channel"], message["data"]))
            return len(heard) == count
        wait_for(enough, what=f"{count} messages")

    hear(2)
    for n in range(50):
        front.master.client().publish("news", n)
    hear(102)
    pubsub.close()
    return heard


@replica_scenario
def test_waiting_for_a_stream(front):
    """XREAD BLOCK is a read that waits: the entry comes by replication."""
    client = front.client()
    seen = [client.xread({"x": "$"}, block=50)]
    got = []
    waiter = threading.Thread(target=lambda: got.append(front.client().xread({"x": "$"}, block=10000)), daemon=True)
    waiter.start()

    def served():
        front.master.client().xadd("x", {"f": "v"})
        waiter.join(0.05)
        return got
    wait_for(served, what="the entry has come")
    return seen, [(key, entries[0][1]) for key, entries in got[0]]


@replica_scenario
def test_tools(front):
    fill(front)
    runs = []
    for words in (["GET", "key:1"], ["SET", "key:1", "x"], ["-3", "HGETALL", "h"], ["--scan", "--pattern", "key:29*"], ["-n", "3", "GET", "three"]):
        done = subprocess.run(["redis-cli", "-h", HOST, "-p", str(front.port), *words], capture_output=True, text=True, timeout=30 * PATIENCE)
        runs.append((done.returncode, sorted(done.stdout.splitlines()), done.stderr))
    for options in (["-t", "get,ping"], ["-t", "get", "-P", "16", "-3"], ["LRANGE", "l", "0", "-1"]):
        done = subprocess.run(["redis-benchmark", "-h", HOST, "-p", str(front.port), "-n", "2000", "--csv", *options], capture_output=True,
                              text=True, timeout=60 * PATIENCE)
        runs.append((done.returncode, [line.split(",")[0] for line in done.stdout.splitlines()], done.stderr))
    return runs


def test_a_replica_dies_under_its_readers(fronts, lab):
    """No reader of a library sees an error, at either endpoint."""
    group = lab.group(2, replica_endpoint=True)
    group.weir.client().mset({f"k{n}": n for n in range(100)})
    group.settle()
    stop = threading.Event()
    errors, reads = [], []

    def read(port):
        client = redis.Redis(HOST, port, decode_responses=True)
        count = 0
        while not stop.is_set():
            try:
                assert client.get(f"k{count % 100}") == str(count % 100)
                assert client.pipeline(transaction=False).get("k1").get("k2").execute() == ["1", "2"]
                count += 1
            except Exception as error:
                errors.append(error)
        reads.append(count)
        client.connection_pool.disconnect()

    readers = [threading.Thread(target=read, args=(port,), daemon=True) for port in [group.weir.port, group.weir.replica_port] * 3]
    for reader in readers:
        reader.start()
    victim = group.replicas[0]
    victim.kill()
    wait_for(lambda: not group.weir.readable(victim), what="weir has noticed")
    victim.start()
    wait_for(lambda: group.weir.readable(victim), 20, what="it serves again")
    stop.set()
    for reader in readers:
        reader.join(20 * PATIENCE)
    assert not errors and len(reads) == len(readers) and all(reads), (errors[:3], reads)
