"""Clients that wait for something: blocking commands, subscribers, MONITOR."""
import time

import pytest

from harness import wait_for


def blocked(group):
    return group.master.info("clients")["blocked_clients"]


def test_blpop_is_served(shared_group):
    with shared_group.weir.raw() as waiting, shared_group.weir.raw() as other:
        waiting.send(b"BLPOP queue 10\r\n")
        wait_for(lambda: blocked(shared_group) == 1)
        assert other.command("RPUSH", "queue", "job") == 1
        assert waiting.reply() == [b"queue", b"job"]
        assert waiting.command("PING") == "PONG"


def test_blpop_that_need_not_wait(shared_group):
    with shared_group.weir.raw() as raw:
        assert raw.commands([("RPUSH", "ready", "a", "b"), ("BLPOP", "ready", 5), ("BRPOP", "ready", 5)]) == [
            2, [b"ready", b"a"], [b"ready", b"b"]]


def test_blpop_times_out(shared_group):
    with shared_group.weir.raw() as raw:
        begin = time.monotonic()
        assert raw.command("BLPOP", "queue", "0.3") is None
        assert 0.25 < time.monotonic() - begin < 5
        assert raw.command("PING") == "PONG"


def test_what_follows_a_blocked_command_waits(shared_group):
    with shared_group.weir.raw() as waiting, shared_group.weir.raw() as other:
        waiting.send(b"BLPOP queue 10\r\nGET behind\r\nPING\r\n")
        wait_for(lambda: blocked(shared_group) == 1)
        other.commands([("SET", "behind", "x"), ("RPUSH", "queue", "1")])
        assert [waiting.reply() for _ in range(3)] == [[b"queue", b"1"], b"x", "PONG"]


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_leaves_frees_the_server(shared_group, leave):
    """Else the element of the next push would go to nobody."""
    waiting = shared_group.weir.raw()
    waiting.send(b"BLPOP queue 0\r\n")
    wait_for(lambda: blocked(shared_group) == 1)
    getattr(waiting, leave)()
    wait_for(lambda: blocked(shared_group) == 0, what="the server's client is free")
    with shared_group.weir.raw() as other:
        assert other.commands([("RPUSH", "queue", "kept"), ("LPOP", "queue")]) == [1, b"kept"]


def test_many_blocked_clients_beside_others(shared_group):
    waiting = [shared_group.weir.raw() for _ in range(100)]
    for n, raw in enumerate(waiting):
        raw.send(b"BLPOP queue:%d 0\r\n" % n)
    wait_for(lambda: blocked(shared_group) == 100)
    with shared_group.weir.raw() as other:
        for n, raw in enumerate(waiting):
            assert other.command("RPUSH", f"queue:{n}", n) == 1
            assert raw.reply() == [b"queue:%d" % n, b"%d" % n]
            raw.close()


def test_xread_block(shared_group):
    with shared_group.weir.raw() as waiting, shared_group.weir.raw() as other:
        waiting.send(b"XREAD BLOCK 10000 STREAMS stream $\r\n")
        wait_for(lambda: blocked(shared_group) == 1)
        entry = other.command("XADD", "stream", "*", "field", "value")
        assert waiting.reply() == [[b"stream", [[entry, [b"field", b"value"]]]]]


def test_publish_and_subscribe(shared_group):
    with shared_group.weir.raw() as subscriber, shared_group.weir.raw() as publisher:
        assert subscriber.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert subscriber.command("PSUBSCRIBE", "n*") == [b"psubscribe", b"n*", 2]
        assert publisher.command("PUBLISH", "news", "hello") == 2
        assert subscriber.reply() == [b"message", b"news", b"hello"]
        assert subscriber.reply() == [b"pmessage", b"n*", b"news", b"hello"]
        assert subscriber.command("PING") == [b"pong", b""]
        assert subscriber.command("UNSUBSCRIBE") == [b"unsubscribe", b"news", 1]
        assert subscriber.command("PUNSUBSCRIBE") == [b"punsubscribe", b"n*", 0]
        assert subscriber.command("GET", "none") is None, "it is an ordinary client again"
        assert publisher.command("PUBLISH", "news", "nobody") == 0


def test_subscribers_hear_only_their_own(shared_group):
    with shared_group.weir.raw() as a, shared_group.weir.raw() as b, shared_group.weir.raw() as publisher:
        a.command("SUBSCRIBE", "a")
        b.command("SUBSCRIBE", "b")
        for n in range(100):
            publisher.commands([("PUBLISH", "a", f"a{n}"), ("PUBLISH", "b", f"b{n}")])
        assert [a.reply() for _ in range(100)] == [[b"message", b"a", b"a%d" % n] for n in range(100)]
        assert [b.reply() for _ in range(100)] == [[b"message", b"b", b"b%d" % n] for n in range(100)]


def test_a_subscriber_that_leaves_is_gone(shared_group):
    subscriber = shared_group.weir.raw()
    subscriber.command("SUBSCRIBE", "leaving")
    subscriber.reset()
    wait_for(lambda: shared_group.master.cli("PUBSUB", "NUMSUB", "leaving")[-1] in (0, ("leaving", 0)),
             what="the server has no subscriber left")


def test_subscriber_in_resp3(shared_group):
    with shared_group.weir.raw() as subscriber, shared_group.weir.raw() as publisher:
        assert subscriber.command("HELLO", "3")[b"proto"] == 3
        assert subscriber.command("SUBSCRIBE", "three") == [b"subscribe", b"three", 1]
        publisher.command("PUBLISH", "three", "x")
        assert subscriber.reply() == [b"message", b"three", b"x"]
        assert subscriber.command("GET", "none") is None, "RESP3 subscribers may do anything"


def monitors(group):
    return [row for row in group.master.client().client_list() if "O" in row["flags"]]


def test_monitor_does_not_leak(shared_group):
    raw = shared_group.weir.raw()
    assert raw.command("MONITOR") == "OK"
    wait_for(lambda: monitors(shared_group), what="the server has a monitor")
    shared_group.master.cli("SET", "watched", "1")
    wait_for(lambda: "watched" in raw.reply(), what="the monitor sees the command")
    raw.close()
    wait_for(lambda: not monitors(shared_group), what="the monitor is gone")
    with shared_group.weir.raw() as other:
        shared_group.master.cli("SET", "watched", "2")
        assert other.commands([("GET", "watched"), ("ECHO", "x")]) == [b"2", b"x"]
