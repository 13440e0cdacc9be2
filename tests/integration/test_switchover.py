"""SWITCHOVER: another server becomes the master, and clients do not notice."""
import contextlib
import http.client
import json
import threading
import time

import pytest
import redis

from harness import HOST, PATIENCE, ServerError, Threads, encode, wait_for

# So that the master's own PINGs are among what must not disturb a switchover.
PINGS = ("--repl-ping-replica-period", "1")


def master_of(weir):
    return (weir.status()["master"] or {}).get("address")


def server_at(group, address):
    return next(server for server in group.servers if server.address == address)


def switch(weir, *words):
    """Returns what the console says, an error as ServerError."""
    return weir.admin("SWITCHOVER", *words)


def switched(group, *words):
    """Another master, all settled; returns it."""
    before = master_of(group.weir)
    answer = switch(group.weir, *words)
    assert str(answer).startswith("OK "), answer
    group.weir.wait_state("ok")
    after = master_of(group.weir)
    assert after != before
    return server_at(group, after)


def full_resyncs(group):
    return sum(server.info("stats")["sync_full"] for server in group.servers)


class Writers(Threads):
    """Each counts up a key of its own through weir, and reads it back."""

    def __init__(self, weir, count=6):
        super().__init__(count)
        self.weir, self.count = weir, count
        self.acknowledged, self.errors, self.slowest = [0] * count, [], 0.0

    def work(self, n):
        with self.weir.client() as client:
            while not self.stopping.is_set():
                begun = time.monotonic()
                try:
                    value = client.incr(f"counter{n}")
                    self.acknowledged[n] += 1
                    if value != self.acknowledged[n]:
                        self.errors.append(f"counter{n} is {value}, {self.acknowledged[n]} were acknowledged")
                    if int(client.get(f"counter{n}")) != value:
                        self.errors.append(f"counter{n}: a read does not see the write before it")
                except redis.RedisError as error:
                    self.errors.append(repr(error))
                self.slowest = max(self.slowest, time.monotonic() - begun)

    def moved_on(self):
        """Every writer has got further since now."""
        before = list(self.acknowledged)
        wait_for(lambda: all(now > then + 3 for now, then in zip(self.acknowledged, before)), what="all writers go on")


def test_writers_do_not_notice(lab):
    group = lab.group(2, redis_args=PINGS)
    before = full_resyncs(group)
    masters = [group.master]
    with Writers(group.weir) as writers:
        for _ in range(6):
            writers.moved_on()
            masters.append(switched(group))
        writers.moved_on()
    assert not writers.errors, writers.errors[:5]
    values = [int(masters[-1].cli("GET", f"counter{n}")) for n in range(writers.count)]
    assert values == writers.acknowledged
    assert full_resyncs(group) == before, "all go on by a partial resync"
    succession = group.weir.status()["switchover"]
    assert succession["done"] == 6 and succession["undone"] == 0 and succession["phase"] is None
    assert group.weir.metrics()['weir_switchovers_total{result="done"}'] == 6
    assert group.weir.status()["lost_writes"]["bytes"] == 0


def test_the_first_master_comes_again(lab):
    """It is weir who has led the replicas away meanwhile: nobody undid their wiring."""
    group = lab.group(2, wired=False)
    for wanted in (group.replicas[0], group.master):
        assert str(group.weir.admin("SWITCHOVER", wanted.address)).startswith("OK ")
        group.weir.wait_state("ok")
    kinds = [event["kind"] for event in json.loads(group.weir.http("/events")[1])["events"]]
    assert "switchover_done" in kinds and "wiring_undone" not in kinds


def test_named_candidate_and_dry_run(lab):
    group = lab.group(2)
    wanted = group.replicas[1]
    assert str(switch(group.weir, wanted.address, "DRY")) == f"OK {wanted.address} could become the master"
    assert master_of(group.weir) == group.master.address
    assert switched(group, wanted.address, "TIMEOUT", "1500") is wanted
    assert "it is the master" in str(switch(group.weir, wanted.address))
    assert "no such server" in str(switch(group.weir, "nobody"))
    assert "in milliseconds" in str(switch(group.weir, wanted.address, "TIMEOUT", "soon"))
    assert switched(group, group.master.address) is group.master


@pytest.mark.parametrize("setting, value, said", [
    ("maxmemory", "100mb", "less maxmemory"),
    ("requirepass", "", "another requirepass"),
    ("replica-priority", "0", "replica-priority 0"),
])
def test_what_is_against_it_is_said(lab, setting, value, said):
    group = lab.group(1)
    candidate = group.replicas[0]
    if setting == "requirepass":
        candidate.cli("ACL", "SETUSER", "other", "on", "nopass", "~*", "+@all")
        candidate.cli("CONFIG", "SET", "requirepass", "x")
        with candidate.raw() as raw:
            assert isinstance(raw.command("PING"), ServerError)
    else:
        candidate.cli("CONFIG", "SET", setting, value)
    for words in [(), ("DRY",)]:
        def refused():
            answer = str(switch(group.weir, candidate.address, *words))
            return answer.startswith("ERR refused: ") and said in answer or pytest.fail(answer)
        wait_for(refused)
    assert master_of(group.weir) == group.master.address
    assert group.weir.client().set("a", 1)


# ---- what clients may be in the middle of

def test_blocked_commands_wait_on_at_the_new_master(lab):
    group = lab.group(2)
    weir = group.weir
    with weir.raw() as pop, weir.raw() as stream, weir.raw() as move, weir.raw() as timed:
        weir.client().xadd("s", {"a": "0"})
        pop.send(b"*3\r\n$5\r\nBLPOP\r\n$4\r\nlist\r\n$1\r\n0\r\n")
        stream.send(b"*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$1\r\ns\r\n$1\r\n$\r\n")
        move.send(b"*6\r\n$6\r\nBLMOVE\r\n$4\r\nfrom\r\n$2\r\nto\r\n$4\r\nLEFT\r\n$5\r\nRIGHT\r\n$2\r\n60\r\n")
        begun = time.monotonic()
        timed.send(b"*3\r\n$5\r\nBLPOP\r\n$7\r\nnothing\r\n$1\r\n2\r\n")
        wait_for(lambda: group.master.info("clients")["blocked_clients"] == 4, what="all are blocked")
        master = switched(group)
        wait_for(lambda: master.info("clients")["blocked_clients"] == 4, what="all are blocked there")
        client = weir.client()
        client.rpush("list", "x")
        client.rpush("from", "y")
        client.xadd("s", {"a": "1"})
        assert pop.reply() == [b"list", b"x"]
        assert move.reply() == b"y"
        assert stream.reply()[0][1][0][1] == [b"a", b"1"]
        assert timed.reply() is None
        waited = time.monotonic() - begun
        assert 1.9 < waited < 2.5 * PATIENCE, f"BLPOP with two seconds took {waited}"
    assert weir.metrics()["weir_moved_waits_total"] == 4
    assert group.master.info("clients")["blocked_clients"] == 0


def test_wait_goes_on_over_a_switchover(lab):
    """The replicas that it counts have the write, whoever is the master."""
    group = lab.group(2)
    with group.weir.raw() as waits, group.weir.raw() as timed:
        for one in (waits, timed):
            assert one.command("SET", "a", "1") == "OK"
        timed.send(encode("WAIT", 3, 1500))
        begun = time.monotonic()
        switched(group)
        waited = timed.reply()
        assert isinstance(waited, int) and 0 <= waited <= 2, waited
        assert time.monotonic() - begun < 2.5 * PATIENCE
        wait_for(lambda: waits.command("WAIT", 2, 1000) == 2, what="both replicas have it, by the new master's word")
        assert timed.command("SET", "a", "2") == "OK"
        assert timed.command("WAIT", 2, 5000) == 2


def test_what_is_pushed_meanwhile_is_popped_once(lab):
    """Producers and blocked consumers, across several switchovers."""
    group = lab.group(2)
    weir, count = group.weir, 1500
    popped, errors, pushed = [], [], threading.Event()

    def consume():
        with weir.client() as client:
            try:
                while not (pushed.is_set() and len(popped) >= count):
                    got = client.blpop("queue", timeout=1)
                    if got:
                        popped.append(int(got[1]))
            except redis.RedisError as error:
                errors.append(repr(error))

    def produce():
        with weir.client() as client:
            try:
                for n in range(count):
                    client.rpush("queue", n)
            except redis.RedisError as error:
                errors.append(repr(error))
        pushed.set()

    threads = [threading.Thread(target=work, daemon=True) for work in [consume, consume, consume, produce]]
    for thread in threads:
        thread.start()
    while not pushed.is_set():
        switched(group)
    for thread in threads:
        thread.join(20 * PATIENCE)
    assert not errors, errors[:3]
    assert sorted(popped) == list(range(count))


def test_open_transaction_is_told(lab):
    group = lab.group(2)
    with group.weir.raw() as raw, group.weir.raw() as other:
        for one in (raw, other):
            assert one.command("MULTI") == "OK"
            assert one.command("SET", "t", "1") == "QUEUED"
        switched(group)
        assert raw.command("INCR", "t") == "QUEUED"
        assert str(raw.command("EXEC")).startswith("EXECABORT")
        assert other.command("DISCARD") == "OK"
        assert other.command("GET", "t") is None
        # And from then on as ever.
        assert raw.commands([("MULTI",), ("SET", "t", "2"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]
        assert raw.command("GET", "t") == b"2"


def test_watched_keys_count_as_changed(lab):
    group = lab.group(2)
    with group.weir.raw() as raw, group.weir.raw() as three:
        assert raw.command("SET", "w", "1") == "OK"
        three.command("HELLO", "3")
        for one in (raw, three):
            assert one.command("WATCH", "w") == "OK"
            assert one.command("GET", "w") == b"1"
        switched(group)
        for one in (raw, three):
            assert one.commands([("MULTI",), ("SET", "w", "2"), ("EXEC",)]) == ["OK", "QUEUED", None]
        assert raw.command("GET", "w") == b"1"
        assert raw.commands([("MULTI",), ("SET", "w", "2"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]


def test_transactions_through_switchovers(lab):
    """WATCH, read, MULTI, write, EXEC: no update is lost, none is made twice."""
    group = lab.group(2)
    sums, errors, stopping = [], [], threading.Event()

    def add():
        done = 0
        with group.weir.client() as client:
            try:
                while not stopping.is_set():
                    client.transaction(lambda pipe: (lambda value: (pipe.multi(), pipe.set("sum", value)))(
                        int(pipe.get("sum") or 0) + 1), "sum")
                    done += 1
            except redis.RedisError as error:
                errors.append(repr(error))
        sums.append(done)

    threads = [threading.Thread(target=add, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        switched(group)
    stopping.set()
    for thread in threads:
        thread.join()
    # One that is open when the old master is demoted is told so by that: redis-py shows what the SET behind its MULTI was.
    told = [error for error in errors if "EXECABORT" not in error and "pipeline caused error: You can't write" not in error]
    assert not told, told[:3]
    assert int(group.weir.client().get("sum")) == sum(sums)


class Publisher(Threads):
    """Publishes 0, 1, 2, ... to everybody, until the block ends."""

    def __init__(self, weir, *channels):
        super().__init__(1)
        self.weir, self.channels, self.count, self.errors = weir, channels, 0, []

    def work(self, _):
        with self.weir.raw() as raw:
            while not self.stopping.is_set():
                for verb, channel in self.channels:
                    answer = raw.command(verb, channel, self.count)
                    if not isinstance(answer, int):
                        self.errors.append(answer)
                self.count += 1


def heard(raw, count):
    """The next numbers, by the channel that they came on."""
    numbers = {}
    for _ in range(count):
        *_, channel, number = raw.reply()
        numbers.setdefault(channel, []).append(int(number))
    return numbers


def test_subscribers_miss_nothing(lab):
    """They hear the new master, in RESP2 and in RESP3, whatever they are subscribed to."""
    group = lab.group(2)
    weir, odd = group.weir, b"a\r\n\0$b"
    with weir.raw() as two, weir.raw() as three, weir.raw() as shard, weir.raw() as both:
        assert three.command("HELLO", 3)
        two.commands([("SUBSCRIBE", "news"), ("SUBSCRIBE", odd)])
        three.command("SUBSCRIBE", "news")
        shard.command("SSUBSCRIBE", "news")
        both.commands([("PSUBSCRIBE", "ne*"), *[("SUBSCRIBE", f"channel{n}") for n in range(500)]])
        with Publisher(weir, ("PUBLISH", "news"), ("PUBLISH", odd), ("SPUBLISH", "news")) as publisher:
            for _ in range(4):
                before = publisher.count
                switched(group)
                wait_for(lambda: publisher.count > before + 10, what="publishing goes on")
        assert not publisher.errors, publisher.errors[:3]
        all_of_them = list(range(publisher.count))
        assert heard(two, 2 * publisher.count) == {b"news": all_of_them, odd: all_of_them}
        assert heard(three, publisher.count) == {b"news": all_of_them}
        assert heard(shard, publisher.count) == {b"news": all_of_them}
        assert heard(both, publisher.count) == {b"news": all_of_them}
        assert weir.metrics()["weir_moved_subscribers_total"] == 4 * 4
        assert weir.metrics()['weir_client_closed_total{reason="master_changed"}'] == 0
        # They are subscribed to what they were, and to nothing else.
        assert both.command("PUNSUBSCRIBE", "ne*") == [b"punsubscribe", b"ne*", 500]
        both.send(b"*1\r\n$11\r\nUNSUBSCRIBE\r\n")
        left = [both.reply() for _ in range(500)]
        assert {channel for _, channel, _ in left} == {b"channel%d" % n for n in range(500)}
        assert left[-1][2] == 0 and both.command("SET", "a", "1") == "OK"
        assert two.command("UNSUBSCRIBE", "news") == [b"unsubscribe", b"news", 1]


def test_a_subscriber_may_go_on_talking(lab):
    """In RESP3 a subscriber writes and reads, and subscribes to more: no error, nothing twice."""
    group = lab.group(2)
    errors, stopping, written = [], threading.Event(), []

    def talk():
        with group.weir.raw() as raw:
            raw.command("HELLO", 3)
            raw.command("SUBSCRIBE", "quiet")
            while not stopping.is_set():
                for words, expected in [(("INCR", "told"), len(written) + 1), (("GET", "told"), b"%d" % (len(written) + 1))]:
                    answer = raw.command(*words)
                    if answer != expected:
                        errors.append(answer)
                written.append(answer)
                answer = raw.command("SUBSCRIBE", f"more{len(written)}")
                if answer[2] != 1 + len(written):
                    errors.append(answer)

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    wait_for(lambda: written, what="it has begun")
    for _ in range(5):
        before = len(written)
        switched(group)
        wait_for(lambda: len(written) > before + 3 or errors or not thread.is_alive(), what="it goes on")
    stopping.set()
    thread.join()
    assert not errors, errors[:3]
    assert group.weir.metrics()["weir_moved_subscribers_total"] == 5


def test_who_cannot_be_moved_is_told(lab):
    """MONITOR and tracking are of one server: their sessions end, behind all that it had to say."""
    group = lab.group(2)
    with group.weir.raw() as monitor, group.weir.raw() as tracking, group.weir.raw() as writer:
        assert monitor.command("MONITOR") == "OK"
        tracking.command("HELLO", 3)
        assert tracking.command("CLIENT", "TRACKING", "ON") == "OK"
        tracking.command("GET", "seen")
        for n in range(50):
            writer.command("SET", f"k{n}", n)
        writer.command("SET", "seen", "1")
        switched(group)
        said = monitor.read_all().decode()
        assert all(f'"k{n}"' in said for n in range(50)) and '"seen"' in said
        assert tracking.reply() == [b"invalidate", [b"seen"]]
        with pytest.raises(EOFError):
            tracking.reply()
    assert group.weir.metrics()['weir_client_closed_total{reason="master_changed"}'] == 2


def test_a_channel_that_the_new_master_refuses(lab):
    """Somebody has changed users on one server alone."""
    group = lab.group(1)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "listener", "on", ">word", "~*", "&*", "+@all")
    with group.weir.raw() as raw, group.weir.raw() as other:
        for one in (raw, other):
            assert one.command("AUTH", "listener", "word") == "OK"
        raw.command("SUBSCRIBE", "news")
        other.command("SUBSCRIBE", "open")
        group.replicas[0].cli("ACL", "SETUSER", "listener", "resetchannels", "&open")
        switched(group)
        with pytest.raises(EOFError):
            raw.reply()
        assert group.weir.client().publish("open", "1") == 1
        assert other.reply() == [b"message", b"open", b"1"]


def test_a_subscriber_that_does_not_read_holds_nobody_for_long(lab):
    group = lab.group(1)
    with group.weir.raw() as deaf, group.weir.raw() as publisher:
        deaf.command("SUBSCRIBE", "news")
        filler = b"x" * 1000000
        wait_for(lambda: publisher.command("PUBLISH", "news", filler) and
                 sum(int(row["omem"]) for row in group.master.client().client_list("pubsub")) > 1000000,
                 what="the old master has messages that nobody takes")
        group.caught_up()
        wait_for(lambda: str(switch(group.weir, "DRY")).startswith("OK "), what="nothing is against it")
        switched(group)
        assert group.weir.status()["switchover"]["held_ms"] < 2000 * PATIENCE
        assert publisher.command("PUBLISH", "news", "1") in (0, 1)
        assert deaf.read_all().startswith(b"*3\r\n$7\r\nmessage\r\n"), "it may have what there was, and is told by its end"
        wait_for(lambda: group.weir.metrics()['weir_client_closed_total{reason="master_changed"}'] == 1)


def test_sessions_keep_their_state(lab):
    group = lab.group(2)
    for server in group.servers:
        server.cli("ACL", "SETUSER", "somebody", "on", ">word", "~*", "&*", "+@all")
    with group.weir.raw() as raw, group.weir.raw() as listening:
        raw.command("SELECT", "3")
        raw.command("CLIENT", "SETNAME", "me")
        raw.command("SET", "a", "1")
        listening.command("HELLO", "3")
        listening.command("SUBSCRIBE", "news")
        assert listening.commands([("AUTH", "somebody", "word"), ("SELECT", "3")]) == ["OK", "OK"]
        for _ in range(2):
            switched(group)
            assert raw.command("GET", "a") == b"1"
            assert raw.command("CLIENT", "GETNAME") == b"me"
            assert listening.command("GET", "a") == b"1"
            assert listening.command("ACL", "WHOAMI") == b"somebody"
            assert raw.command("PUBLISH", "news", "1") == 1
            assert listening.reply() == [b"message", b"news", b"1"]


def test_an_upload_is_executed_once_or_not_at_all(lab):
    """The one comes at once, and is waited for; the other takes its time, and is told."""
    group = lab.group(1, redis_args=("--repl-backlog-size", "64mb"))
    megabytes, piece = 16, b"x" * (1 << 20)
    head = b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n" % (megabytes << 20)
    with group.weir.raw() as slow, group.weir.raw() as raw:
        slow.send(head + piece)
        wait_for(lambda: group.weir.metrics()["weir_large_requests_total"] == 1, what="it has begun")
        master = switched(group)
        slow.send(piece * (megabytes - 1) + b"\r\n")
        assert str(slow.reply()).startswith("NOMASTER") and slow.command("PING") == "PONG"
        assert master.cli("EXISTS", "big") == 0

        answers, stopping = [], threading.Event()

        def upload():
            while not stopping.is_set():
                raw.send(head + piece * megabytes + b"\r\n")
                answers.append(raw.reply())

        thread = threading.Thread(target=upload, daemon=True)
        thread.start()
        for _ in range(3):
            before = len(answers)
            wait_for(lambda: str(switch(group.weir)).startswith("OK "), what="it is done")
            wait_for(lambda: len(answers) > before + 2 or not thread.is_alive(), what="uploads go on")
        stopping.set()
        thread.join()
    assert answers.count("OK") > len(answers) // 2
    assert all(one == "OK" or str(one).startswith("NOMASTER") for one in answers), answers


# ---- when it cannot be

def test_a_silent_candidate_changes_nothing(lab):
    """Frozen after the checks: what it lacks it does not get."""
    group = lab.group(2, {"health": {"timeout": "3s"}})
    candidate = group.replicas[0]
    replid = group.master.info("replication")["master_replid"]
    with Writers(group.weir) as writers:
        writers.moved_on()
        # It says that it is fine, and applies nothing of what comes.
        candidate.cli("CLIENT", "PAUSE", 60000, "WRITE")
        answer = switch(group.weir, candidate.address, "TIMEOUT", "400")
        assert "nothing was changed" in str(answer) or "refused" in str(answer), answer
        writers.moved_on()
    candidate.cli("CLIENT", "UNPAUSE")
    assert not writers.errors, writers.errors[:3]
    assert master_of(group.weir) == group.master.address
    assert group.master.info("replication")["master_replid"] == replid
    group.weir.wait_state("ok")
    assert int(group.master.cli("GET", "counter0")) == writers.acknowledged[0]
    group.master.cli("SET", "beside", "weir", "PX", "1000")     # the pause was taken back


def test_what_does_not_end_stops_it(lab):
    """A script runs on the master all the time that there is."""
    group = lab.group(1, {"health": {"timeout": "10s"}})
    script = "local t = redis.call('TIME') repeat local n = redis.call('TIME') " \
             "until (n[1] - t[1]) * 1000 + (n[2] - t[2]) / 1000 > tonumber(ARGV[1]) return redis.call('SET', 'done', 1)"
    with group.weir.raw() as raw, group.weir.raw() as door:
        raw.command("PING")
        begun = time.monotonic()
        door.send(b"*1\r\n$4\r\nPING\r\n")
        raw.send(encode_eval(script, 1500))
        answer = switch(group.weir, "TIMEOUT", "500")
        assert raw.reply() == "OK", "the script's own answer"
        assert time.monotonic() - begun > 1.4
        assert str(answer).startswith("OK ") or "nothing was changed" in str(answer) or "refused" in str(answer), answer
    assert group.weir.client().get("done") == "1"


def encode_eval(script, ms):
    words = [b"EVAL", script.encode(), b"0", str(ms).encode()]
    return b"*4\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def test_a_second_weir_does_not(lab):
    group = lab.group(2)
    other = lab.weir(group.master, group.replicas, name="other")
    other.wait_state("ok")
    wait_for(lambda: "another weir" in (other.status()["wiring"]["reason"] or ""))
    answer = str(switch(other))
    assert answer.startswith("ERR refused: another weir"), answer
    # It follows what the first one does, once that one has seen that it was there first.
    wait_for(lambda: str(switch(group.weir, "DRY")).startswith("OK "))
    master = switched(group)
    wait_for(lambda: master_of(other) == master.address)
    assert other.client().set("a", 1)


# ---- a weir that dies in the middle

def test_a_ring_that_was_left_is_ended(lab):
    """Demoted, and not promoted yet: then weir was killed."""
    group = lab.group(2)
    group.weir.client().set("a", 1)
    group.caught_up()
    group.weir.kill()
    candidate = group.replicas[0]
    group.master.cli("REPLICAOF", HOST, candidate.port)
    wait_for(lambda: group.master.follows(candidate))
    before = full_resyncs(group)
    group.weir.start()
    group.weir.wait_state("ok")
    assert group.weir.client().get("a") == "1"
    assert group.weir.client().set("a", 2)
    assert full_resyncs(group) == before


@pytest.mark.time_limit(240)
def test_killed_at_any_moment(lab):
    group = lab.group(2)
    weir = group.weir
    acknowledged, unknown = 0, 0
    for step in range(12):
        before = master_of(weir)
        client = weir.client()
        client.incr("n")
        acknowledged += 1
        thread = threading.Thread(target=asking_in_vain, args=(weir,), daemon=True)
        thread.start()
        time.sleep(0.001 * step)        # some moment of a switchover
        weir.kill()
        thread.join()
        weir.start()
        weir.wait_state("ok")
        assert master_of(weir) in {server.address for server in group.servers}, before
        value = int(weir.client().get("n"))
        assert acknowledged <= value <= acknowledged + unknown
        assert weir.client().set("goes", "on")
        roles = [server.role()[0] for server in group.servers]
        assert roles.count("master") == 1
    assert full_resyncs(group) <= 2 + 1, "weir's death costs no data and hardly a resync"


def asking_in_vain(weir):
    try:
        switch(weir)
    except (OSError, EOFError):
        pass


# ---- POST /switchover

TOKEN = "a-token-of-many-bytes"


def post(weir, body=b"", token=TOKEN):
    """(status, the answer's object)"""
    connection = http.client.HTTPConnection(HOST, weir.admin_port, timeout=20 * PATIENCE)
    with contextlib.closing(connection):
        connection.request("POST", "/switchover", body, {"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        text = response.read()
        if response.headers["Content-Type"] != "application/json":
            return response.status, text
        return response.status, json.loads(text)


def answered(weir, body, status, result, text):
    """In the end: servers of a busy machine may not answer in time, which is another refusal."""
    def so():
        code, said = post(weir, json.dumps(body).encode())
        assert (code, said["result"], text in said["text"]) == (status, result, True), said
        return True
    wait_for(so)


def guarded_group(lab, tmp_path, replicas=2):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    path.chmod(0o600)
    return lab.group(replicas, {"admin": {"token_file": path}})


def test_post_switches_over(lab, tmp_path):
    group = guarded_group(lab, tmp_path)
    old, heir = group.master.address, group.replicas[1].address
    body = json.dumps({"replica": heir, "timeout_ms": 1500, "dry": True}).encode()
    wait_for(lambda: post(group.weir, body)[0] == 200, what="nothing is against it")
    assert post(group.weir, body) == (200, {"result": "possible", "text": f"{heir} could become the master",
                                            "from": old, "to": heir, "held_ms": None})
    assert master_of(group.weir) == old
    status, said = post(group.weir, body.replace(b"true", b"false"))
    assert (status, said["result"], said["from"], said["to"]) == (200, "done", old, heir), said
    assert 0 < said["held_ms"] < 1500 and said["text"].startswith(f"{heir} is the master")
    assert master_of(group.weir) == heir
    group.weir.wait_state("ok")
    status, said = post(group.weir)     # no body: whoever is best
    assert (status, said["result"], said["from"]) == (200, "done", heir)


def test_post_that_is_refused(lab, tmp_path):
    group = guarded_group(lab, tmp_path, 1)
    candidate = group.replicas[0].address
    assert post(group.weir, token="wrong" * 5)[0] == 401
    for body in [b"replica=b", b"[]", b'{"replica":1}', b'{"heir":"b"}', b'{"timeout_ms":0}', b'{"timeout_ms":60001}',
                 b'{"dry":true,"dry":false}', b"{" * 2000]:
        status, said = post(group.weir, body)
        assert (status, said["result"]) == (400, "mistaken"), body
    status, said = post(group.weir, json.dumps({"replica": "nobody"}).encode())
    assert (status, said) == (409, {"result": "refused", "text": "refused: no such server"})
    group.replicas[0].cli("CONFIG", "SET", "maxmemory", "100mb")
    answered(group.weir, {"replica": candidate}, 409, "refused", "less maxmemory")
    group.replicas[0].cli("CONFIG", "SET", "maxmemory", "0")
    group.replicas[0].cli("CLIENT", "PAUSE", 60000, "WRITE")   # it applies nothing any more
    group.master.cli("SET", "a", "1")
    answered(group.weir, {"replica": candidate, "timeout_ms": 300}, 503, "undone", "nothing was changed")
    group.replicas[0].cli("CLIENT", "UNPAUSE")
    assert master_of(group.weir) == group.master.address
