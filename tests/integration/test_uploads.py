"""Requests too large to be collected: they travel on a connection of their own,
byte by byte as the client sends them, and no server executes one that did not
come to its end."""
import contextlib
import os
import socket
import threading
import time

import pytest

from harness import PATIENCE, SESSIONS_OF_EVERY_WORKER, Lab, ServerError, encode, wait_for

MEBIBYTE = 1 << 20
BIG = 8 * MEBIBYTE
LIMIT = f"{100 * PATIENCE:g}ms"
REFUSAL = "READONLY You can't write against a read only replica."


def value_of(size):
    return (os.urandom(MEBIBYTE) * (size // MEBIBYTE + 1))[:size]


def beginning(*words, size=BIG, sent=BIG // 2):
    """A command whose last argument has so many bytes, of which only some are
    there. And the rest."""
    value = value_of(size)
    head = encode(*words, "").replace(b"$0\r\n\r\n", b"$%d\r\n" % size)
    assert head.endswith(b"$%d\r\n" % size)
    return head + value[:sent], value[sent:] + b"\r\n"


def uploads(weir):
    return weir.metrics()["weir_large_requests_total"]


def uploading(weir, before):
    wait_for(lambda: uploads(weir) > before, what="the upload has begun")


def closed(weir, reason):
    """One client was, for this reason."""
    name = f'weir_client_closed_total{{reason="{reason}"}}'
    wait_for(lambda: weir.metrics()[name] == 1, what=f"a client is closed: {reason}")


def private_backends(weir):
    return weir.metrics()['weir_backends{kind="private"}']


def is_warm(weir, workers):
    """Every worker has its connection to the master, and the one that it keeps ready."""
    with contextlib.ExitStack() as stack:
        for raw in [stack.enter_context(weir.raw()) for _ in range(workers)]:
            assert raw.command("EXISTS", "key") == 0
        wait_for(lambda: private_backends(weir) >= workers, what="each has a spare connection")


@pytest.fixture(scope="module", params=[1, 2])
def group(request, tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("uploads"))
    try:
        group = lab.group(1, {"proxy": {"workers": request.param}, "routing": {"write_hold": "20s"}}, replica_endpoint=True)
        is_warm(group.weir, request.param)
        yield group
    finally:
        lab.close()


# ------------------------------------------------------- what is executed

def test_order_with_small_commands_around(group):
    value = value_of(BIG)
    with group.weir.raw(timeout=30) as raw:
        raw.command("DEL", "n", "big")
        commands = [("INCR", "n")] * 50 + [("SET", "big", value), ("STRLEN", "big"), ("INCR", "n"), ("GET", "n"),
                                           ("APPEND", "big", value), ("STRLEN", "big"), ("GET", "n"), ("INCR", "n")]
        assert raw.commands(commands) == list(range(1, 51)) + ["OK", BIG, 51, b"51", 2 * BIG, 2 * BIG, b"51", 52]
        assert raw.command("GET", "big") == value * 2


def test_it_takes_the_private_way(group):
    before = uploads(group.weir)
    with group.weir.raw(timeout=30) as raw:
        for size, streamed in [(60_000, 0), (MEBIBYTE - 100, 0), (BIG, 1), (BIG, 2)]:
            value = value_of(size)
            assert raw.commands([("SET", "big", value), ("GET", "big")]) == ["OK", value]
            assert uploads(group.weir) - before == streamed
    wait_for(lambda: private_backends(group.weir) <= 4, what="its connection is used again")


@pytest.mark.parametrize("size", [1, 7, 65536, 262144, 3 * MEBIBYTE + 11])
def test_pieces_of_any_size(group, size):
    """However it is cut, also inside its numbers and line ends."""
    value = value_of(3 * MEBIBYTE)
    data = encode("SET", "big", value, "XX", "GET") + encode("PING")
    with group.weir.raw(timeout=60) as raw:
        raw.command("SET", "big", "old")
        if size < 1000:
            for at in range(0, 40, size):
                raw.send(data[at:min(at + size, 40)])
            raw.send(data[40:-60])
            for at in range(len(data) - 60, len(data), size):
                raw.send(data[at:at + size])
        else:
            for at in range(0, len(data), size):
                raw.send(data[at:at + size])
        assert raw.reply() == b"old"
        assert raw.reply() == "PONG"
        assert raw.command("GET", "big") == value


def test_many_small_arguments(group):
    words = [b"%d" % n for n in range(300_000)]
    with group.weir.raw(timeout=60) as raw:
        assert raw.commands([("DEL", "list"), ("RPUSH", "list", *words), ("LLEN", "list")])[1:] == [300_000] * 2
        assert raw.command("LRANGE", "list", 299_990, -1) == words[-10:]


def test_many_large_arguments(group):
    values = [value_of(size) for size in (MEBIBYTE, 5, 3 * MEBIBYTE, 0, 2 * MEBIBYTE + 1)]
    with group.weir.raw(timeout=60) as raw:
        raw.command("DEL", "list")
        assert raw.command("RPUSH", "list", *values) == 5
        assert raw.command("LRANGE", "list", 0, -1) == values


def test_reads_with_large_arguments(group):
    keys = [b"k%d:" % n + b"x" * 1000 for n in range(3000)]
    with group.weir.raw(timeout=30) as raw:
        raw.command("SET", keys[7], "seven")
        assert raw.commands([("MGET", *keys), ("PING",)]) == [[None] * 7 + [b"seven"] + [None] * 2992, "PONG"]
        value = value_of(BIG)
        assert raw.command("ECHO", value) == value


def test_scripts_with_large_arguments(group):
    value = value_of(BIG)
    script = "return redis.call('SET', KEYS[1], ARGV[1]) and #ARGV[1]"
    with group.weir.raw(timeout=30) as raw:
        assert raw.commands([("EVAL", script, 1, "scripted", value), ("STRLEN", "scripted")]) == [BIG, BIG]
        long = "return 1 --" + "x" * (2 * MEBIBYTE)
        sha = raw.command("SCRIPT", "LOAD", long)
        assert raw.command("EVALSHA", sha, 0) == 1


def test_blocking_with_many_keys(group):
    keys = [b"q%d:" % n + b"x" * 1000 for n in range(3000)]
    with group.weir.raw(timeout=30) as raw, group.weir.raw() as other:
        before = uploads(group.weir)
        raw.send(encode("BLPOP", *keys, 0))
        uploading(group.weir, before)
        assert other.command("RPUSH", keys[5], "popped") == 1
        assert raw.reply() == [keys[5], b"popped"]
        streams = [b"s%d:" % n + b"x" * 1000 for n in range(1500)]
        entry = other.command("XADD", streams[3], "*", "a", "b")
        assert raw.command("XREAD", "STREAMS", *streams, *[0] * 1500) == [[streams[3], [[entry, [b"a", b"b"]]]]]


def test_unknown_command(group):
    with group.weir.raw(timeout=30) as raw:
        answers = raw.commands([("NOSUCH", value_of(BIG)), (value_of(2 * MEBIBYTE), "a"), ("PING",),
                                ("CONFIG", value_of(2 * MEBIBYTE)), ("PING",)])
        assert "unknown command 'NOSUCH'" in str(answers[0])
        assert "unknown command" in str(answers[1])
        assert "unknown subcommand" in str(answers[3]).lower()
        assert answers[2] == answers[4] == "PONG"


# --------------------------------------------- sessions with a state of their own

def test_in_a_transaction(group):
    value = value_of(BIG)
    with group.weir.raw(timeout=30) as raw:
        raw.command("DEL", "n", "big")
        commands = [("WATCH", "big"), ("MULTI",), ("INCR", "n"), ("SET", "big", value), ("SELECT", 1), ("SELECT", 0),
                    ("STRLEN", "big"), ("EXEC",), ("GET", "n")]
        assert raw.commands(commands) == ["OK", "OK", "QUEUED", "QUEUED", "QUEUED", "QUEUED", "QUEUED",
                                          [1, "OK", "OK", "OK", BIG], b"1"]
        assert raw.commands([("MULTI",), ("SET", "big", value), ("DISCARD",), ("STRLEN", "big")]) == [
            "OK", "QUEUED", "OK", BIG]


def test_a_refused_command_in_a_transaction(group):
    with group.weir.raw(timeout=30) as raw:
        raw.command("DEL", "n")
        answers = raw.commands([("MULTI",), ("INCR", "n"), ("REPLICAOF", "x" * BIG, 1), ("EXEC",), ("GET", "n")])
        assert "refused by weir" in str(answers[2]) and str(answers[3]).startswith("EXECABORT")
        assert answers[4] is None


def test_watching_many_keys(group):
    keys = [b"w%d:" % n + b"x" * 1000 for n in range(3000)]
    with group.weir.raw(timeout=30) as raw, group.weir.raw() as other:
        assert raw.command("WATCH", *keys) == "OK"
        other.command("SET", keys[2999], "changed")
        assert raw.commands([("MULTI",), ("SET", "n", 1), ("EXEC",)]) == ["OK", "QUEUED", None]


def test_resp3_and_subscribers(group):
    value = value_of(BIG)
    with group.weir.raw(timeout=30) as raw, group.weir.raw(timeout=30) as subscriber:
        raw.command("HELLO", 3)
        assert raw.commands([("SET", "big", value), ("GET", "big"), ("GET", "no")]) == ["OK", value, None]
        subscriber.command("HELLO", 3)
        assert subscriber.command("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        assert subscriber.commands([("SET", "big2", value), ("GET", "big2")]) == ["OK", value]
        assert raw.command("PUBLISH", "news", value) == 1
        assert subscriber.reply() == [b"message", b"news", value]


def test_database_and_name_stay(group):
    value = value_of(BIG)
    with group.weir.raw(timeout=30) as raw, group.weir.raw() as other:
        assert raw.commands([("SELECT", 3), ("SET", "three", value), ("STRLEN", "three")]) == ["OK", "OK", BIG]
        assert other.command("EXISTS", "three") == 0


# ------------------------------------------------------------- weir's answers

def test_refusals_come_at_once_and_the_rest_is_skipped(group):
    for words, replica, refusal in [(("SET", "big"), True, REFUSAL), (("REPLICAOF", "x"), False, "ERR REPLICAOF is refused")]:
        begun, rest = beginning(*words)
        with group.weir.raw(timeout=30, replica=replica) as raw:
            raw.send(begun)
            assert str(raw.reply()).startswith(refusal)
            raw.send(rest + encode("PING"))
            assert raw.reply() == "PONG"


def test_replica_endpoint(group):
    keys = [b"nothing%d:" % n + b"x" * 1000 for n in range(3000)]
    group.settle()
    group.reset_calls()
    with group.weir.raw(timeout=30, replica=True) as raw:
        assert raw.commands([("MGET", *keys), ("EVAL", "return #ARGV[1]", 0, "x" * BIG)]) == [[None] * 3000, BIG]
        answers = raw.commands([("MULTI",), ("GET", "a"), ("SET", "a", "x" * BIG), ("EXEC",)])
        assert str(answers[2]) == REFUSAL and str(answers[3]).startswith("EXECABORT")
    assert "mget" not in group.master.calls() and group.replicas[0].calls()["mget"] == 1


def test_commands_that_weir_answers_itself(group):
    """They are collected: weir has to read them."""
    with group.weir.raw(timeout=30) as raw:
        answers = raw.commands([("CLIENT", "SETNAME", "n" * BIG), ("CLIENT", "GETNAME"), ("SELECT", "x" * BIG), ("PING",)])
        assert answers[0] == "OK" and answers[1] == b"n" * BIG
        assert isinstance(answers[2], ServerError) and answers[3] == "PONG"


# ----------------------------------------------------------- unfinished ones

@pytest.mark.parametrize("leave", ["reset", "close"])
def test_the_client_leaves(group, leave):
    spare = private_backends(group.weir)
    for words in [("SET", "unfinished"), ("EVAL", "redis.call('SET', 'unfinished', 1)", 0)]:
        begun, _ = beginning(*words)
        before = uploads(group.weir)
        with group.weir.raw() as other:
            raw = group.weir.raw()
            raw.send(begun)
            uploading(group.weir, before)
            getattr(raw, leave)()
            assert other.command("EXISTS", "unfinished") == 0
    wait_for(lambda: private_backends(group.weir) <= spare, what="its connection is closed")
    assert group.master.cli("EXISTS", "unfinished") == 0


@pytest.mark.parametrize("sent", [BIG // 2, BIG])
def test_the_client_shuts_its_half(group, sent):
    begun, _ = beginning("SET", "unfinished", sent=sent)
    with group.weir.raw() as raw:
        raw.send(begun)
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.read_all() == b""
    assert group.master.cli("EXISTS", "unfinished") == 0


@pytest.mark.parametrize("before", [(), ("MULTI",), ("SUBSCRIBE", "x")])
def test_a_malformed_end(group, before):
    """Two bytes that are no CR LF behind a value: the whole command is refused,
    although the server has most of it already."""
    with group.weir.raw(timeout=30) as raw:
        raw.command("HELLO", 3)
        if before:
            raw.command(*before)
        raw.send(encode("SET", "unfinished", "x" * BIG)[:-2] + b"xx" + encode("SET", "unfinished", 2))
        assert raw.reply() == ServerError("ERR Protocol error: expected CR LF behind an argument")
        assert raw.read_all() == b""
    assert group.master.cli("EXISTS", "unfinished") == 0


def test_a_malformed_argument_in_the_middle(group):
    with group.weir.raw(timeout=30) as raw:
        raw.send(b"*4\r\n$4\r\nMSET\r\n$10\r\nunfinished\r\n$%d\r\n%s\r\n:1\r\n" % (BIG, b"x" * BIG))
        assert raw.reply() == ServerError("ERR Protocol error: expected '$', got ':'")
        assert raw.read_all() == b""
    assert group.master.cli("EXISTS", "unfinished") == 0


def test_a_server_that_allows_less(lab):
    """Its error is the answer, and comes in its place."""
    group = lab.group(0, redis_args=("--proto-max-bulk-len", "2mb"))
    with group.weir.raw(timeout=30) as raw:
        answers = raw.commands([("SET", "a", 1), ("SET", "big", "x" * (4 * MEBIBYTE)), ("GET", "a")])
        assert answers == ["OK", ServerError("ERR Protocol error: invalid bulk length"), b"1"]
        raw.command("MULTI")
        with contextlib.suppress(ConnectionError):
            raw.send(encode("SET", "a", "x" * (4 * MEBIBYTE)))
        assert b"OK" not in raw.read_all()
    assert group.weir.metrics()["weir_backend_desync_total"] == 0


# ------------------------------------------------------------------- faults

def test_the_master_is_lost_in_the_middle(lab):
    group = lab.group(0, {"routing": {"write_hold": "500ms"}})
    begun, rest = beginning("SET", "big")
    with group.weir.raw(timeout=30) as raw:
        raw.command("SET", "a", 1)
        before = uploads(group.weir)
        raw.send(begun)
        uploading(group.weir, before)
        group.master.kill()
        answer = raw.reply()
        assert str(answer).startswith("NOMASTER ") and "not sent" in str(answer), answer
        wait_for(lambda: group.weir.status()["state"] == "no_master")   # else it is asked whether one may know one's name
        raw.send(rest + encode("CLIENT", "GETNAME"))
        assert raw.reply() is None
        begun, rest = beginning("SET", "big")
        raw.send(begun)                       # nobody is there at all
        answer = raw.reply()
        assert str(answer).startswith("NOMASTER ") and "not sent" in str(answer), answer
        raw.send(rest + encode("CLIENT", "GETNAME"))
        assert raw.reply() is None


def test_the_master_is_lost_behind_the_end(lab):
    """The server has all of it and has not answered: nobody knows."""
    group = lab.group(0)
    with group.weir.raw(timeout=30) as raw:
        raw.command("SET", "warm", "x" * (2 * MEBIBYTE))   # the connection is there
        group.master.freeze()
        group.weir.take(raw, encode("SET", "big", "x" * (2 * MEBIBYTE)))
        time.sleep(0.3)
        group.master.kill()
        answer = raw.reply()
        assert str(answer).startswith("UNKNOWNRESULT "), answer


def test_a_transaction_is_lost_in_the_middle(lab):
    group = lab.group(0)
    begun, _ = beginning("SET", "big")
    with group.weir.raw(timeout=30) as raw:
        raw.command("MULTI")
        before = uploads(group.weir)
        raw.send(begun)
        uploading(group.weir, before)
        group.master.kill()
        assert raw.read_all() == b""


def test_no_master_holds_no_memory(lab):
    """While there is no master the client is not read, and answered after
    write_hold as for any write."""
    group = lab.group(0, {"routing": {"write_hold": "1s"}})
    with group.weir.raw(timeout=60) as raw:
        raw.command("SET", "a", 1)
        group.master.kill()
        wait_for(lambda: group.weir.status()["state"] == "no_master", what="no master")
        sender = threading.Thread(target=raw.send, args=(encode("SET", "big", "x" * (64 * MEBIBYTE)) + encode("PING"),))
        begin, resident = time.monotonic(), group.weir.rss_bytes()
        sender.start()
        answer = raw.reply()
        assert str(answer).startswith("NOMASTER ") and "not sent" in str(answer), answer
        assert 0.9 < time.monotonic() - begin
        assert raw.reply() == "PONG"
        sender.join()
        assert group.weir.rss_bytes() < resident + 16 * MEBIBYTE


@pytest.mark.plain
def test_a_silent_master_is_not_filled_up(lab):
    """Back-pressure: what the server does not take, the client keeps."""
    group = lab.group(0, {"health": {"timeout": "30s"}})
    value = value_of(64 * MEBIBYTE)
    with group.weir.raw(timeout=60) as raw:
        raw.command("SET", "a", 1)
        resident = group.weir.rss_bytes()
        group.master.freeze()
        sender = threading.Thread(target=raw.send, args=(encode("SET", "big", value),))
        sender.start()
        sender.join(1)
        assert sender.is_alive(), "64 MiB went nowhere"
        assert group.weir.rss_bytes() < resident + 8 * MEBIBYTE
        group.master.thaw()
        assert raw.reply() == "OK"
        sender.join()
        assert raw.command("GET", "big") == value


def test_slow_senders_delay_nobody(lab):
    """They take longer than every limit on the servers' side, and others do not
    notice them."""
    group = lab.group(1, {"routing": {"write_hold": LIMIT, "backend_timeout": LIMIT}})
    begun, rest = beginning("SET", "big")
    senders = [group.weir.raw(timeout=30) for _ in range(10)]
    before = uploads(group.weir)
    for sender in senders:
        sender.send(begun)
    wait_for(lambda: uploads(group.weir) == before + 10, what="all uploads have begun")
    with group.weir.raw() as other:
        end = time.monotonic() + 0.6 * PATIENCE
        while time.monotonic() < end:
            assert other.commands([("SET", "a", 1), ("GET", "a"), ("EVAL", "return 1", 0)]) == ["OK", b"1", 1]
    for sender in senders:
        sender.send(rest)
    for sender in senders:
        assert sender.reply() == "OK"
        sender.close()


def test_idle_in_the_middle(lab):
    group = lab.group(0, {"proxy": {"client_idle_timeout": "1s"}})
    begun, _ = beginning("SET", "big")
    with group.weir.raw(timeout=30) as raw:
        raw.send(begun)
        assert raw.read_all() == b""
    closed(group.weir, "idle")


def test_no_connection_is_free(lab):
    group = lab.group(0, {"proxy": {"max_private_backends": 1, "workers": 1}})
    begun, rest = beginning("SET", "big")
    with group.weir.raw(timeout=30) as first, group.weir.raw(timeout=30) as second:
        before = uploads(group.weir)
        first.send(begun)
        uploading(group.weir, before)
        second.send(begun)
        assert "max_private_backends" in str(second.reply())
        second.send(rest + encode("PING"))
        assert second.reply() == "PONG"
        first.send(rest)
        assert first.reply() == "OK"


def test_shutdown_does_not_wait_for_it(lab):
    group = lab.group(0, {"proxy": {"drain_timeout": "60s"}})
    begun, _ = beginning("SET", "big")
    with group.weir.raw(timeout=30) as raw:
        before = uploads(group.weir)
        raw.send(begun)
        uploading(group.weir, before)
        assert group.weir.end(timeout=15) == 0
        assert raw.read_all() == b""
    group.weir.child = None
    assert group.master.cli("EXISTS", "big") == 0


def test_passwords(lab):
    """Nobody streams anything before a server has let them in."""
    secret = lab.directory / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    group = lab.group(0, {"auth": {"password_file": secret}}, redis_args=("--requirepass", "secret"))
    begun, rest = beginning("SET", "big")

    def refuses():
        with contextlib.ExitStack() as stack:
            strangers = [stack.enter_context(group.weir.raw()) for _ in range(SESSIONS_OF_EVERY_WORKER)]
            return all("NOAUTH" in str(raw.command("GET", "a")) for raw in strangers)
    wait_for(refuses, what="every worker knows that the master wants a password")
    with group.weir.raw(timeout=30) as raw:
        raw.send(begun[:1000])
        answer = raw.reply()
        assert "unauthenticated bulk length" in str(answer) or "NOAUTH" in str(answer), answer
    with group.weir.raw(timeout=30) as raw:
        assert raw.command("AUTH", "secret") == "OK"
        raw.send(begun + rest)
        assert raw.reply() == "OK"
    assert uploads(group.weir) == 1


def test_swamped_with_uploads(group):
    """Many at once, all whole in the end."""
    errors = []

    def upload(n):
        try:
            value = b"%d:" % n + value_of(2 * MEBIBYTE)
            with group.weir.raw(timeout=60) as raw:
                for _ in range(3):
                    got = raw.commands([("SET", f"swamp{n}", value), ("GET", f"swamp{n}"), ("INCR", f"count{n}")])
                    assert got[:2] == ["OK", value]
                raw.commands([("DEL", f"swamp{n}"), ("DEL", f"count{n}")])
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)

    threads = [threading.Thread(target=upload, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors[0]
