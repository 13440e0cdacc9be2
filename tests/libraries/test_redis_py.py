"""redis-py, synchronous: what its users do."""
import threading
import time

import pytest
import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from fronts import messages, scenario
from harness import PATIENCE, wait_for


# ------------------------------------------------------------ values and types

@scenario
def test_strings_and_numbers(front):
    client = front.client()
    return [
        client.set("s", "v"), client.get("s"), client.set("s", "w", nx=True), client.set("s", "w", xx=True, get=True),
        client.setex("e", 100, "x"), client.ttl("e"), client.persist("e"), client.ttl("e"),
        client.mset({"a": 1, "b": 2}), client.mget("a", "none", "b"), client.msetnx({"a": 3, "c": 3}),
        client.incr("a", 5), client.incrbyfloat("f", 1.5), client.append("s", "!"), client.getrange("s", 0, 0),
        client.setrange("s", 1, "?"), client.strlen("s"), client.getdel("b"), client.getex("s", px=5000),
        client.setbit("bits", 7, 1), client.bitcount("bits"), client.bitpos("bits", 1),
        client.bitfield("field").set("u8", 0, 255).incrby("u8", 0, 1).execute(),
        client.lcs("s", "f"),
        client.exists("s", "none", "a"), client.delete("s", "none"), client.rename("a", "z"), client.type("z"),
        client.copy("z", "y"), client.touch("y", "z"), client.unlink("y"), client.randomkey() is not None,
        client.expireat("z", 4102444800), client.expiretime("z"),
    ]


@scenario
def test_collections(front):
    client = front.client()
    seen = [
        client.hset("h", mapping={"a": 1, "b": "two"}), client.hgetall("h"), client.hincrby("h", "a", 4),
        client.hmget("h", "a", "none"), sorted(client.hkeys("h")), client.hrandfield("none"), client.hstrlen("h", "b"),
        client.rpush("l", *range(10)), client.lrange("l", 2, 4), client.lpos("l", 7), client.ltrim("l", 1, -2),
        client.lmove("l", "m", "LEFT", "RIGHT"), client.linsert("l", "BEFORE", 5, "five"), client.lrange("l", 0, -1),
        client.sadd("s", *"abc"), client.sadd("t", *"bcd"), client.sinter("s", "t"), client.sdiffstore("d", "s", "t"),
        client.smismember("s", "a", "z"), client.sintercard(2, ["s", "t"]), client.spop("d"),
        client.zadd("z", {"one": 1, "two": 2, "three": 3.5}), client.zrange("z", 0, -1, withscores=True),
        client.zrangebyscore("z", "(1", "+inf"), client.zincrby("z", 0.25, "one"), client.zrank("z", "two"),
        client.zpopmin("z"), client.zmscore("z", ["two", "none"]), client.zunion({"z": 2, "s": 1}, withscores=True),
        client.zrangestore("zz", "z", 0, 0), client.zscore("zz", "two"), client.zlexcount("z", "-", "+"),
        client.sort("l", alpha=True, desc=True), client.sort("m", store="sorted"),
        client.pfadd("p", *range(1000)), client.pfcount("p"), client.pfmerge("q", "p"), client.pfcount("p", "q"),
        client.geoadd("g", (13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")),
        client.geodist("g", "Palermo", "Catania", unit="km"), client.geohash("g", "Palermo"),
        client.geosearch("g", longitude=15, latitude=37, radius=200, unit="km", sort="ASC", withdist=True),
    ]
    for kind in ("h", "l", "s", "z"):
        dumped = client.dump(kind)
        client.restore(kind + ":again", 0, dumped)
        seen.append(client.type(kind + ":again"))
    return seen


@scenario
def test_bytes_and_large_values(front):
    client = front.client(decode_responses=False)
    every_byte = bytes(range(256)) * 3 + b"\r\n$-1\r\n*3\r\n"
    large = every_byte * 20000
    assert client.set(every_byte, large) and client.get(every_byte) == large
    client.rpush("list", *[large[:100000]] * 30)
    front.settle()
    assert client.get(every_byte) == large, "after the replicas have it"
    assert client.lrange("list", 0, -1) == [large[:100000]] * 30
    assert client.getrange(every_byte, 255, 257) == every_byte[255:258]
    return client.strlen(every_byte), client.keys("*") != []


@scenario
def test_commands_of_many_words(front):
    client = front.client()
    count = 100_000
    assert client.rpush("l", *range(count)) == count
    assert client.mset({f"k{n}": n for n in range(count)})
    front.settle()
    assert client.lrange("l", 0, -1) == [str(n) for n in range(count)]
    assert client.mget([f"k{n}" for n in range(count)]) == [str(n) for n in range(count)]
    return client.sadd("s", *range(count)), client.exists(*(f"k{n}" for n in range(count))), client.delete(*(f"k{n}" for n in range(count)))


@scenario
def test_a_pipeline_is_sent_before_it_is_read(front):
    """The library writes all of it, 40 MB, before it reads a byte of 40 MB of replies."""
    client = front.client()
    value = "v" * 1_000_000
    with client.pipeline(transaction=False) as pipe:
        for n in range(40):
            pipe.set(f"k{n}", value).get(f"k{n}")
        assert pipe.execute() == [True, value] * 40
    front.settle()
    with client.pipeline(transaction=False) as pipe:
        for n in range(40):
            pipe.get(f"k{n}").echo(value)
        assert pipe.execute() == [value] * 80
    with client.pipeline(transaction=True) as pipe:
        for n in range(20):
            pipe.append(f"k{n}", "!").get(f"k{n}").set(f"k{n}", value)
        assert pipe.execute() == [1_000_001, value + "!", True] * 20


@scenario
def test_errors(front):
    client = front.client()
    client.set("s", "v")
    client.hset("h", "f", "v")
    seen = []
    for words in [("LPUSH", "s", "x"), ("INCR", "s"), ("GET", "h"), ("GET",), ("NOSUCH", "a", "b"), ("OBJECT", "NOSUCH", "s"),
                  ("SET", "s", "v", "NOSUCH"), ("EVAL", "return redis.error_reply('MINE own')", "0"), ("EXPIRE", "s", "x"),
                  ("EVALSHA", "0" * 40, "0"), ("FCALL", "nosuch", "0"), ("XREADGROUP", "GROUP", "g", "c", "STREAMS", "x", ">"),
                  ("CONFIG", "SET", "nosuch", "1"), ("SELECT", "999"), ("EXEC",), ("DISCARD",), ("RESTORE", "x", "0", "bad"),
                  ("CLIENT", "NOSUCH"), ("AUTH", "nobody", "none")]:
        with pytest.raises(redis.ResponseError) as raised:
            client.execute_command(*words)
        seen.append((words, type(raised.value).__name__, str(raised.value)))
    assert client.get("s") == "v", "an error costs nothing else"
    return seen


@scenario
def test_reads_after_writes(front):
    """Every read sees what was written before it, whatever serves it."""
    writer, reader = front.client(), front.client()
    for n in range(500):
        writer.set("n", n)
        assert reader.get("n") == str(n)
        if n % 100 == 0:
            front.settle()
            assert [reader.get("n") for _ in range(20)] == [str(n)] * 20


def test_reads_reach_the_replicas(fronts):
    """Or the other scenarios would prove little."""
    client = fronts.weir.client()
    client.mset({f"k{n}": n for n in range(100)})
    fronts.weir.settle()
    fronts.group.reset_calls()
    assert [client.get(f"k{n}") for n in range(100)] == [str(n) for n in range(100)]
    with client.pipeline(transaction=False) as pipe:
        for n in range(100):
            pipe.get(f"k{n}")
        pipe.execute()
    assert sum(replica.calls().get("get", 0) for replica in fronts.group.replicas) >= 190


# ------------------------------------------------------------ pipelines

@scenario
def test_pipelines(front):
    client = front.client()
    seen = []
    for transaction in (True, False):
        pipe = client.pipeline(transaction=transaction)
        pipe.set("k", 0).incr("k").get("k").hset("h", "f", 1).hgetall("h").exists("none")
        seen.append(pipe.execute())
        for n in range(2000):
            pipe.set(f"key:{n}", n)
            pipe.get(f"key:{n}")
        replies = pipe.execute()
        assert replies[1::2] == [str(n) for n in range(2000)] and all(replies[0::2])
        front.settle()
        for n in range(2000):
            pipe.get(f"key:{n}")
        assert pipe.execute() == [str(n) for n in range(2000)]
        pipe.set("s", "text").incr("s").get("s")
        seen.append([str(reply) for reply in pipe.execute(raise_on_error=False)])
        pipe.set("s", "text").incr("s")
        with pytest.raises(redis.ResponseError) as raised:
            pipe.execute()
        seen.append(str(raised.value))
        assert pipe.execute() == []
        with client.pipeline(transaction=transaction) as mixed:     # a script and a blocking command among them
            mixed.rpush("list", "a").eval("return redis.call('LLEN', KEYS[1])", 1, "list").blpop("list", 1).get("s").publish("c", "m")
            seen.append(mixed.execute())
    return seen


@scenario
def test_errors_while_a_transaction_is_queued(front):
    client = front.client()
    pipe = client.pipeline()
    pipe.set("k", 1)
    pipe.execute_command("NOSUCH", "a")
    pipe.set("k", 2)
    with pytest.raises(redis.ResponseError) as raised:
        pipe.execute()
    pipe.execute_command("GET")
    with pytest.raises(redis.ResponseError) as second:
        pipe.execute()
    return str(raised.value), str(second.value), client.get("k")


@scenario
def test_optimistic_locking(front):
    client, rival = front.client(), front.client()
    client.set("stock", 10)
    with client.pipeline() as pipe:
        pipe.watch("stock")
        seen = [pipe.get("stock")]
        rival.decr("stock")
        pipe.multi()
        pipe.set("stock", 100)
        with pytest.raises(redis.WatchError):
            pipe.execute()
        pipe.watch("stock")
        pipe.unwatch()
        rival.decr("stock")
        pipe.multi()
        pipe.decr("stock")
        seen.append(pipe.execute())
        pipe.watch("stock")
        pipe.reset()
    client.set("stock", 0)

    def increment(pipe):
        value = int(pipe.get("stock"))
        pipe.multi()
        pipe.set("stock", value + 1)

    def worker():
        for _ in range(20):
            client.transaction(increment, "stock")

    in_threads(worker, 5)
    assert client.get("stock") == "100", "no increment is lost"
    return seen + [client.transaction(lambda pipe: (pipe.multi(), pipe.get("stock"))[0], "stock"),
                   client.transaction(lambda pipe: pipe.get("stock"), "stock", value_from_callable=True)]


def in_threads(function, count, *args):
    """Runs it in so many threads at once, and raises what one of them raises."""
    errors = []

    def run(n):
        try:
            function(*args, *([n] if function.__code__.co_argcount > len(args) else []))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * PATIENCE)
        assert not thread.is_alive(), "a thread hangs"
    if errors:
        raise errors[0]


# ------------------------------------------------------------ pub/sub

@scenario
def test_pubsub(front):
    client = front.client()
    pubsub = client.pubsub()
    pubsub.subscribe("news", "other")
    pubsub.psubscribe("n*")
    seen = messages(pubsub, 3)
    seen += [client.publish("news", "hello"), client.publish("nobody", "x"), client.publish("none", "y")]
    seen += messages(pubsub, 4)
    seen += [client.pubsub_numsub("news", "void"), sorted(client.pubsub_channels()), client.pubsub_numpat()]
    pubsub.ping("are you there")
    seen += messages(pubsub, 1)
    pubsub.unsubscribe("news")
    seen += messages(pubsub, 1)
    seen += [client.publish("news", "by pattern")] + messages(pubsub, 1)
    pubsub.unsubscribe()
    pubsub.punsubscribe()
    seen += messages(pubsub, 2)
    assert not pubsub.subscribed
    pubsub.subscribe("again")
    seen += messages(pubsub, 1)
    pubsub.close()
    wait_for(lambda: client.pubsub_numsub("again")[0][1] == 0, what="the subscriber has left")
    return seen


@scenario
def test_many_channels_and_large_messages(front):
    client = front.client()
    pubsub = client.pubsub()
    names = [f"channel:{n}" for n in range(5000)]
    pubsub.subscribe(*names)
    assert [row[3] for row in messages(pubsub, 5000)] == list(range(1, 5001))
    large = "m" * 3_000_000
    assert client.publish(names[-1], large) == 1
    assert messages(pubsub, 1)[0][3] == large
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.publish(name, name)
        assert pipe.execute() == [1] * 5000
    assert [(row[2], row[3]) for row in messages(pubsub, 5000)] == [(name, name) for name in names]
    pubsub.unsubscribe()
    messages(pubsub, 5000)
    return pubsub.subscribed, client.publish(names[0], "x")


@scenario
def test_pubsub_handlers_in_a_thread(front):
    client = front.client()
    heard = []
    pubsub = client.pubsub(ignore_subscribe_messages=True)
    pubsub.subscribe(direct=lambda message: heard.append(("direct", message["data"])))
    pubsub.psubscribe(**{"by.*": lambda message: heard.append((message["channel"], message["data"]))})
    thread = pubsub.run_in_thread(sleep_time=0.05, daemon=True)
    try:
        wait_for(lambda: client.publish("direct", "ready") == 1, what="the subscription is there")
        for n in range(200):
            client.publish("direct", n)
            client.publish("by.pattern", n)
        wait_for(lambda: len([h for h in heard if h[0] == "by.pattern"]) == 200, what="all messages have come")
    finally:
        thread.stop()
        thread.join(10 * PATIENCE)
    assert [data for name, data in heard if name == "direct" and data != "ready"] == [str(n) for n in range(200)]
    assert [data for name, data in heard if name == "by.pattern"] == [str(n) for n in range(200)]


@scenario
def test_pubsub_health_checks(front):
    """A quiet subscriber pings; the answers are no messages."""
    pubsub = front.client(health_check_interval=1).pubsub()
    pubsub.subscribe("quiet")
    seen = messages(pubsub, 1)
    time.sleep(1.2)     # the interval has to pass: there is nothing to wait for
    assert pubsub.get_message(timeout=0.1) is None
    assert pubsub.health_check_response_counter == 0 or pubsub.get_message(timeout=1) is None
    seen.append(front.client().publish("quiet", "m"))
    return seen + messages(pubsub, 1)


@scenario
def test_keyspace_notifications(front):
    client = front.client()
    before = client.config_get("notify-keyspace-events")["notify-keyspace-events"]
    client.config_set("notify-keyspace-events", "KEA")
    try:
        pubsub = client.pubsub(ignore_subscribe_messages=True)
        pubsub.psubscribe("__key*__:*")
        assert pubsub.get_message(timeout=5) is None
        client.set("watched", 1)
        client.pexpire("watched", 50)
        return messages(pubsub, 6)
    finally:
        client.config_set("notify-keyspace-events", before)


# ------------------------------------------------------------ locks and scripts

@scenario
def test_locks(front):
    client = front.client()
    lock = client.lock("lock", timeout=10)
    rival = client.lock("lock", timeout=10, blocking_timeout=0.1, sleep=0.02)
    seen = [lock.acquire(), lock.locked(), lock.owned(), rival.acquire(), rival.owned()]
    seen += [lock.extend(10), 10 < client.ttl("lock") <= 20, lock.reacquire(), client.ttl("lock") <= 10]
    lock.release()
    seen += [lock.locked(), rival.acquire()]
    client.delete("lock")
    with pytest.raises(redis.exceptions.LockNotOwnedError):
        rival.release()
    with client.lock("lock", timeout=5):
        seen.append(client.exists("lock"))
    client.script_flush()       # the lock's scripts are sent again
    with client.lock("lock", timeout=5) as held:
        seen.append(held.owned())
    short = client.lock("short", timeout=0.05)
    seen.append(short.acquire())
    wait_for(lambda: client.lock("short", timeout=5, blocking=False).acquire(), what="the lock has expired")
    with pytest.raises(redis.exceptions.LockError):
        short.extend(1)
    return seen


@scenario
def test_locks_exclude(front):
    client = front.client()
    client.set("counter", 0)

    def increments():
        for _ in range(10):
            with client.lock("mutex", timeout=20, sleep=0.002):
                client.set("counter", int(client.get("counter")) + 1)

    in_threads(increments, 4)
    assert client.get("counter") == "40"


@scenario
def test_scripts(front):
    client = front.client()
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1]) + ARGV[2]")
    read = client.register_script("return {redis.call('GET', KEYS[1]), redis.call('TYPE', KEYS[1]), 1.9, false, true}")
    seen = [add(["n"], [5, 1]), client.script_exists(add.sha, "0" * 40), client.script_flush(), add(["n"], [5, 1]), read(["n"])]
    client.script_flush()
    with client.pipeline() as pipe:             # loads the script before it sends EVALSHA
        add(["n"], [1, 0], client=pipe)
        pipe.get("n")
        seen.append(pipe.execute())
    seen.append(client.eval("return redis.status_reply('FINE')", 0))
    seen.append(client.eval("return {KEYS[1], ARGV[1], {1, {2, {3}}}}", 1, "k", b"\x00\xff".decode("latin-1")))
    seen.append(client.eval_ro("return redis.call('GET', KEYS[1])", 1, "n"))
    client.script_load(read.script)
    seen.append(client.evalsha_ro(read.sha, 1, "n"))
    with pytest.raises(redis.ResponseError) as raised:
        client.eval_ro("return redis.call('SET', KEYS[1], 1)", 1, "n")
    seen.append(str(raised.value).split(" script:")[0])
    client.execute_command("FUNCTION", "LOAD", """#!lua name=lib
        redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
        redis.register_function{function_name='see', callback=function(keys) return redis.call('GET', keys[1]) end, flags={'no-writes'}}""")
    seen += [client.fcall("put", 1, "k", "v"), client.fcall_ro("see", 1, "k"), client.fcall("see", 1, "k")]
    with pytest.raises(redis.ResponseError) as raised:
        client.fcall_ro("put", 1, "k", "w")
    return seen + [str(raised.value).split(" script:")[0], client.function_list()[0][1]]


# ------------------------------------------------------------ cursors

def fill(client, keys=2000, fields=500):
    with client.pipeline(transaction=False) as pipe:
        for n in range(keys):
            pipe.set(f"key:{n}", n)
        for n in range(fields):
            pipe.hset("hash", f"f{n}", n)
            pipe.sadd("set", f"m{n}")
            pipe.zadd("zset", {f"z{n}": n})
        pipe.execute()


@scenario
def test_scans(front):
    client = front.client()
    fill(client)
    front.settle()
    every = {f"key:{n}" for n in range(2000)} | {"hash", "set", "zset"}
    for count in (None, 1, 7, 1000):
        assert set(client.scan_iter(count=count)) == every
    assert set(client.scan_iter(match="key:1*")) == {key for key in every if key.startswith("key:1")}
    assert set(client.scan_iter(_type="ZSET")) == {"zset"}
    assert dict(client.hscan_iter("hash")) == {f"f{n}": str(n) for n in range(500)}
    assert set(client.sscan_iter("set", count=3)) == {f"m{n}" for n in range(500)}
    assert dict(client.zscan_iter("zset", match="z1*")) == {f"z{n}": n for n in range(500) if str(n).startswith("1")}


@scenario
def test_scans_side_by_side(front):
    """Cursors are good on any connection of a pool."""
    client = front.client()
    fill(client, 1000)
    front.settle()

    def scan():
        for _ in range(3):
            assert {key for key in client.scan_iter("key:*", count=20)} == {f"key:{n}" for n in range(1000)}
            assert dict(client.hscan_iter("hash", count=20)) == {f"f{n}": str(n) for n in range(500)}

    in_threads(scan, 4)


# ------------------------------------------------------------ blocking

@scenario
def test_blocking_times_out(front):
    client = front.client()
    seen = [client.blpop("none", 0.05), client.brpop(["none", "void"], 0.05), client.bzpopmin("none", 0.05),
            client.bzpopmax("none", 0.05), client.brpoplpush("none", "void", 1), client.blmove("none", "void", 0.05),
            client.blmpop(0.05, 1, "none", direction="LEFT"), client.bzmpop(0.05, 1, ["none"], min=True),
            client.xread({"none": "$"}, block=50)]
    client.set("after", 1)
    return seen + [client.get("after")]


@scenario
def test_blocking_is_served(front):
    client = front.client()
    seen = {}

    def wait(name, call):
        seen[name] = call(front.client())

    calls = {
        "blpop": lambda c: c.blpop(["l1", "l2"], 10),
        "brpop": lambda c: c.brpop("l3", 10),
        "blmove": lambda c: c.blmove("l4", "l5", 10),
        "bzpopmin": lambda c: c.bzpopmin("z1", 10),
        "bzmpop": lambda c: c.bzmpop(10, 1, ["z2"], max=True),
        "xread": lambda c: [[(key, [fields for _, fields in entries]) for key, entries in c.xread({"x1": "$"}, block=10000)]],
    }
    threads = [threading.Thread(target=wait, args=item, daemon=True) for item in calls.items()]
    for thread in threads:
        thread.start()
    wait_for(lambda: client.info("clients")["blocked_clients"] == len(calls), what="all are blocked")
    client.rpush("l2", "a")
    client.rpush("l3", "b")
    client.rpush("l4", "c")
    client.zadd("z1", {"d": 1})
    client.zadd("z2", {"e": 2})
    client.xadd("x1", {"f": "g"})
    for thread in threads:
        thread.join(10 * PATIENCE)
    assert sorted(seen) == sorted(calls), "one was not served"
    return seen, client.lrange("l5", 0, -1)


@scenario
def test_a_queue_of_blocked_workers(front):
    """Every job goes to exactly one worker, and their pool is shared with other work."""
    client = front.client()
    done = []

    def worker():
        while (item := client.blpop("jobs", 10))[1] != "stop":
            done.append(int(item[1]))
            client.incr("worked")

    def producer():
        for n in range(300):
            client.rpush("jobs", n)
        for _ in range(4):
            client.rpush("jobs", "stop")

    in_threads(lambda n: worker() if n else producer(), 5)
    assert sorted(done) == list(range(300))
    return client.get("worked"), client.exists("jobs")


@scenario
def test_a_client_that_gives_up_waiting(front):
    """socket_timeout ends a BLPOP: the library closes that connection, and the
    next push is not taken by the one that has left."""
    client = front.client(socket_timeout=0.2)
    with pytest.raises(redis.TimeoutError):
        client.blpop("jobs", 30)
    other = front.client()
    wait_for(lambda: other.info("clients")["blocked_clients"] == 0, what="nobody is blocked")
    other.rpush("jobs", "kept")
    assert client.ping()
    return client.lrange("jobs", 0, -1)


# ------------------------------------------------------------ streams

@scenario
def test_streams(front):
    client = front.client()
    ids = [client.xadd("x", {"n": n}, id=f"{n + 1}-1") for n in range(10)]
    seen = [ids, client.xlen("x"), client.xrange("x", "3-1", "5-1"), client.xrevrange("x", count=2),
            client.xread({"x": "8-1"}), client.xgroup_create("x", "g", "0"), client.xgroup_createconsumer("x", "g", "idle"),
            client.xreadgroup("g", "one", {"x": ">"}, count=3), client.xreadgroup("g", "two", {"x": ">"}, count=2),
            client.xack("x", "g", "1-1", "4-1"), client.xpending("x", "g"),
            [(row["message_id"], row["consumer"], row["times_delivered"]) for row in client.xpending_range("x", "g", "-", "+", 10)],
            client.xclaim("x", "g", "two", 0, ["2-1"]), client.xautoclaim("x", "g", "three", 0, count=10),
            client.xreadgroup("g", "three", {"x": "0"}), client.xinfo_stream("x")["length"],
            [(group["name"], group["pending"], group["consumers"]) for group in client.xinfo_groups("x")],
            sorted((consumer["name"], consumer["pending"]) for consumer in client.xinfo_consumers("x", "g")),
            client.xgroup_delconsumer("x", "g", "two"), client.xtrim("x", maxlen=5, approximate=False), client.xdel("x", "10-1"),
            client.xgroup_setid("x", "g", "0"), client.xgroup_destroy("x", "g"), client.xlen("x")]
    return seen


@scenario
def test_stream_workers(front):
    """A group of consumers that block for new entries: each entry once."""
    client = front.client()
    client.xgroup_create("x", "g", "$", mkstream=True)
    got = []

    def consumer(name):
        own = front.client()
        while True:
            batch = own.xreadgroup("g", name, {"x": ">"}, count=5, block=10000)
            for entry, fields in batch[0][1]:
                own.xack("x", "g", entry)
                if fields["n"] == "stop":
                    return
                got.append(int(fields["n"]))

    def role(n):
        if n:
            return consumer(f"c{n}")
        for number in range(200):
            client.xadd("x", {"n": number})
        deadline = time.monotonic() + 20 * PATIENCE
        while len(got) < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        consumers = 3
        while consumers:        # one each: the next only when the last has been taken
            entry = client.xadd("x", {"n": "stop"})
            wait_for(lambda: client.xinfo_groups("x")[0]["last-delivered-id"] == entry, what="a consumer has it")
            consumers -= 1

    in_threads(role, 4)
    assert sorted(got) == list(range(200))
    return client.xpending("x", "g")["pending"]


# ------------------------------------------------------------ servers' own words

@scenario
def test_introspection(front):
    client = front.client(client_name="its-name")
    client.set("key", "a value")
    info = client.info("everything")
    seen = [client.ping(), client.echo("x"), client.dbsize(), client.client_getname(), info["redis_version"], info["role"],
            info["db0"]["keys"], client.config_get("databases"), client.object("encoding", "key"), client.object("refcount", "key"),
            client.memory_usage("key") > 0, type(client.lastsave()).__name__, len(client.time()), client.slowlog_len() >= 0,
            client.command_count() > 200, client.execute_command("COMMAND INFO", "get", "nosuch"),
            sorted(client.command()["set"]["flags"]), client.command_getkeys("MSET", "a", "1", "b", "2"),
            client.acl_whoami(), client.acl_list(), "string" in client.acl_cat(), client.execute_command("LATENCY LATEST"), client.module_list(), client.role()[0]]
    mine = [row for row in client.client_list() if row["name"] == "its-name"]
    assert len(mine) == 1 and int(mine[0]["id"]) == client.client_id()
    own = client.client_info()
    seen += [own["name"], own["db"], mine[0]["cmd"], sorted(set(mine[0]) - {"lib-name", "lib-ver", "tot-net-in", "tot-net-out"})]
    return seen


@scenario
def test_monitor(front):
    client = front.client()
    with client.monitor() as monitor:
        client.set("watched", "by the monitor")
        front.client(db=3).lpush("l", "x")
        seen = []
        deadline = time.monotonic() + 10 * PATIENCE
        while len(seen) < 2 and time.monotonic() < deadline:
            command = monitor.next_command()
            if command["command"].split()[0] in ("SET", "LPUSH"):
                seen.append((command["db"], command["command"]))
    client.set("after", 1)
    return seen, client.get("after")


# ------------------------------------------------------------ databases and users

@scenario
def test_databases(front):
    clients = [front.client(db=n) for n in range(4)]
    for n, client in enumerate(clients):
        client.set("where", n)
        client.set(f"only:{n}", 1)
    front.settle()
    seen = [[client.get("where"), client.dbsize(), client.keys("only:*")] for client in clients]
    clients[0].move("only:0", 1)
    clients[2].swapdb(2, 3)
    seen += [[client.get("where"), sorted(client.keys("only:*"))] for client in clients]
    seen.append(clients[3].flushdb())
    return seen + [client.dbsize() for client in clients]


@scenario
def test_users(front):
    admin = front.client()
    # Users are not replicated: without weir nobody tells the replicas.
    admin.acl_setuser("reader", enabled=True, passwords=["+secret"], keys=["own:*"], commands=["+get", "+client", "+acl|whoami"])
    try:
        admin.set("own:1", "mine")
        admin.set("other", "not mine")
        reader = front.client(username="reader", password="secret")
        seen = [reader.get("own:1"), reader.acl_whoami()]
        for call in (lambda: reader.get("other"), lambda: reader.set("own:1", "x"), lambda: reader.flushall()):
            with pytest.raises(redis.exceptions.NoPermissionError) as raised:
                call()
            seen.append(str(raised.value))
        for stranger in (dict(username="reader", password="wrong"), dict(username="nobody", password="x")):
            with pytest.raises(redis.ResponseError) as raised:
                front.client(**stranger).get("own:1")
            seen.append(str(raised.value))
        return seen + [reader.get("own:1"), admin.get("own:1")]
    finally:
        admin.acl_deluser("reader")


# ------------------------------------------------------------ pools and connections

@scenario
def test_pools(front):
    pool = redis.ConnectionPool(**front.options(), max_connections=3)
    client = redis.Redis(connection_pool=pool)
    held = [pool.get_connection("PING") for _ in range(3)]
    with pytest.raises(redis.ConnectionError) as raised:
        client.ping()
    for connection in held:
        pool.release(connection)
    seen = [str(raised.value), client.ping()]
    pool.disconnect()
    seen.append(client.set("k", 1))
    pool.reset()
    seen.append(client.get("k"))
    blocking = redis.BlockingConnectionPool(**front.options(), max_connections=2, timeout=20)
    shared = redis.Redis(connection_pool=blocking)
    in_threads(lambda: [shared.incr("n") for _ in range(50)], 8)
    seen.append(shared.get("n"))
    pool.disconnect()
    blocking.disconnect()
    single = front.client(single_connection_client=True)
    assert single.client_id() == single.client_id()
    single.close()
    by_url = redis.Redis.from_url(front.url(5), decode_responses=True)
    seen += [by_url.set("five", 1), by_url.client_info()["db"]]
    by_url.connection_pool.disconnect()
    return seen


@scenario
def test_health_checks(front):
    """PING before a command on a connection that was idle for the interval."""
    client = front.client(health_check_interval=1)
    client.set("k", "v")
    time.sleep(1.1)     # the interval has to pass: there is nothing to wait for
    seen = [client.get("k"), client.pipeline().get("k").incr("n").execute()]
    with client.pipeline() as pipe:
        pipe.watch("k")
        time.sleep(1.1)
        pipe.multi()
        pipe.get("k")
        seen.append(pipe.execute())
    return seen


@scenario
def test_many_threads_share_a_pool(front):
    client = front.client()

    def work(n):
        for k in range(60):
            client.set(f"t{n}:{k}", f"{n}/{k}")
            assert client.get(f"t{n}:{k}") == f"{n}/{k}"
            assert client.pipeline(transaction=k % 2 == 0).get(f"t{n}:{k}").echo(f"{n}/{k}").execute() == [f"{n}/{k}"] * 2
            if k % 20 == 0:
                assert client.eval("return ARGV[1]", 0, n) == str(n)
                assert client.blpop(f"none:{n}", 0.01) is None

    in_threads(work, 16)
    return client.dbsize()


@scenario
def test_a_slow_answer_is_not_the_next_one(front):
    """After a timeout the library closes the connection; nobody gets the late reply."""
    client = front.client(socket_timeout=0.15, max_connections=1)
    with pytest.raises(redis.TimeoutError):
        client.eval("local t = redis.call('TIME')[1] * 1000 + redis.call('TIME')[2] / 1000 "
                    "repeat local n = redis.call('TIME') until n[1] * 1000 + n[2] / 1000 > t + 400 return 'late'", 0)
    other = front.client()
    wait_for(lambda: other.echo("ready") == "ready", what="the script is over")
    return [client.echo(f"own {n}") for n in range(5)]


@scenario
def test_client_side_retry(front):
    """A client that was told to retry does not notice that its connection is gone."""
    patient = front.client(retry=Retry(ConstantBackoff(0.05), 100), retry_on_error=[redis.ConnectionError, redis.TimeoutError])
    plain = front.client()
    subscriber = front.client().pubsub()
    assert patient.set("k", 1) and plain.set("k", 1)
    subscriber.subscribe("news")
    seen = messages(subscriber, 1)
    front.restart()
    seen.append(patient.set("k", 2))
    seen.append(patient.get("k"))
    plain.set("k", 3)       # a pool sees that an idle connection has been closed
    seen.append(plain.get("k"))
    for _ in range(2):      # one that was closed under it, and it subscribes again
        try:
            seen += messages(subscriber, 1)
            break
        except redis.ConnectionError:
            continue
    wait_for(lambda: plain.publish("news", "again") == 1, what="the subscriber is back")
    return seen + messages(subscriber, 1)


def insist(call):
    """What call() returns, once it does not fail for want of a connection."""
    deadline = time.monotonic() + 20 * PATIENCE
    while True:
        try:
            return call()
        except redis.ConnectionError:
            assert time.monotonic() < deadline, "the front does not come back"
            time.sleep(0.02)


@scenario
def test_a_crash_under_load(front):
    """Connections are reset under threads that then go on where they were."""
    client = front.client()
    rounds = 600

    def work(n):
        for k in range(rounds):
            assert insist(lambda: client.set(f"t{n}", k))
            assert insist(lambda: client.pipeline().set(f"p{n}", k).get(f"p{n}").execute()) == [True, str(k)]
            value = insist(lambda: client.get(f"t{n}"))
            assert value == str(k) or (value is None and front.name == "bare"), "only a bare server has lost its data"
            if n == 0 and k == rounds // 3:
                front.crash()

    in_threads(work, 6)
    return client.mget([f"t{n}" for n in range(6)]), client.mget([f"p{n}" for n in range(6)])


# ------------------------------------------------------------ other kinds of client

@scenario
def test_sentinel_clients_are_told(front):
    """weir is no Sentinel, and neither is a redis-server."""
    sentinel = redis.sentinel.Sentinel([(front.address["host"], front.port)], socket_timeout=5 * PATIENCE)
    seen = []
    for call in (lambda: sentinel.discover_master("mymaster"), lambda: sentinel.master_for("mymaster").ping(),
                 lambda: sentinel.sentinels[0].sentinel_masters()):
        with pytest.raises(redis.RedisError) as raised:
            call()
        seen.append((type(raised.value).__name__, str(raised.value)))
    for instance in sentinel.sentinels:
        instance.connection_pool.disconnect()
    return seen


@scenario
def test_cluster_clients_are_told(front):
    client = front.client()
    with pytest.raises(redis.exceptions.RedisClusterException) as raised:
        redis.RedisCluster(host=front.address["host"], port=front.port)
    seen = [str(raised.value).replace(str(front.port), "PORT"), str(raised.value.__cause__)]
    for words in [("CLUSTER", "INFO"), ("CLUSTER", "NODES"), ("CLUSTER", "SLOTS"), ("CLUSTER", "SHARDS"), ("CLUSTER", "KEYSLOT", "x"),
                  ("CLUSTER", "NOSUCH"), ("ASKING",), ("READONLY",), ("READWRITE",), ("SENTINEL", "MASTERS")]:
        try:
            seen.append((words, client.execute_command(*words)))    # Valkey says OK to some
        except redis.ResponseError as error:
            seen.append((words, str(error)))
    return seen
