"""Sessions that hold a connection of their own: what happens to them when it
cannot be had, comes late, or goes."""
import contextlib
import os
import resource
import select
import signal
import socket

import pytest

from harness import PATIENCE, ServerError, encode, use_up_spares, wait_for

MEBIBYTE = 1 << 20


def encode_all(*commands):
    return b"".join(encode(*words) for words in commands)


def error_lines(data):
    """The error replies that the bytes consist of; nothing else may be in them."""
    lines = data.split(b"\r\n")
    assert lines.pop() == b"" and all(line.startswith(b"-") for line in lines), data
    return lines


def blocked(group):
    return group.master.info("clients")["blocked_clients"]


def group_that_knows(lab, *args, **options):
    """A group whose weir has learned the commands, so that it knows which of
    them block: the clients that connect from now on find it so."""
    group = lab.group(*args, **options)
    wait_for(lambda: "commands from the master" in group.weir.log(), what="weir has learned the commands")
    return group


# ---- no connection to be had

def test_max_private_backends(lab):
    """The block is not executed in part, outside of any transaction: one error,
    and the client is closed. Others go on, and so does it when it comes again."""
    group = group_that_knows(lab, 0, {"proxy": {"max_private_backends": 1, "workers": 1}})
    block = encode_all(("MULTI",), ("SET", "x", "1"), ("ECHO", "private"), ("INCR", "y"), ("EXEC",))
    with group.weir.raw() as waiting, group.weir.raw() as late, group.weir.raw() as other:
        waiting.send(encode("BLPOP", "queue", 0))
        wait_for(lambda: blocked(group) == 1)
        late.send(block)
        answer, = error_lines(late.read_all())
        assert b"max_private_backends" in answer
        assert other.commands([("EXISTS", "x", "y"), ("RPUSH", "queue", "1")]) == [0, 1]
        assert waiting.reply() == [b"queue", b"1"]
        with group.weir.raw() as again:
            again.send(block)
            assert [again.reply() for _ in range(5)] == ["OK", "QUEUED", "QUEUED", "QUEUED", ["OK", b"private", 1]]
    assert group.weir.metrics()['weir_client_closed_total{reason="private_limit"}'] == 1


@pytest.mark.parametrize("words", [("WATCH", "x"), ("SUBSCRIBE", "c"), ("BLPOP", "x", "0"), ("MONITOR",)],
                         ids=lambda words: words[0])
def test_max_private_backends_for_others(lab, words):
    group = group_that_knows(lab, 0, {"proxy": {"max_private_backends": 1, "workers": 1}})
    with group.weir.raw() as holder, group.weir.raw() as late:
        assert holder.command("WATCH", "y") == "OK"
        late.send(encode_all(words, ("SET", "x", "1")))
        answer, = error_lines(late.read_all())
        assert b"max_private_backends" in answer
        assert group.master.cli("EXISTS", "x") == 0


@pytest.mark.parametrize("replica", [False, True], ids=["main", "replica"])
def test_no_file_descriptor_for_a_private_connection(lab, replica):
    """A connection that cannot even be begun is lost like any other, and what
    weir refuses behind it is still refused."""
    group = group_that_knows(lab, 1, {"proxy": {"workers": 1}, "routing": {"write_hold": f"{300 * PATIENCE:g}ms"}}, replica_endpoint=True)
    with group.weir.raw(replica=replica, timeout=5) as raw:
        use_up_spares(raw)
        assert raw.commands([("GET", "x"), ("PING",), ("CLIENT", "GETNAME")]) == [None, "PONG", None]
        limits = resource.prlimit(group.weir.pid, resource.RLIMIT_NOFILE)
        lowest_free = min(set(range(10000)) - {int(fd) for fd in os.listdir(f"/proc/{group.weir.pid}/fd")})
        resource.prlimit(group.weir.pid, resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
        try:
            raw.send(encode_all(("MULTI",), ("SHUTDOWN",), ("SET", "x", "1"), ("EXEC",)))
            answers = [raw.reply() for _ in range(4)]
        finally:
            resource.prlimit(group.weir.pid, resource.RLIMIT_NOFILE, limits)
        assert all(isinstance(answer, ServerError) for answer in answers), answers
    with group.master.client(db=1) as client:
        assert client.exists("x") == 0
    group.weir.wait_state("ok")
    with group.weir.raw() as raw:
        assert raw.commands([("MULTI",), ("SET", "x", "1"), ("EXEC",)]) == ["OK", "QUEUED", ["OK"]]


# ---- a connection that comes late, or too late

def test_multi_past_write_hold(lab):
    """Its beginning was answered with errors; the rest, when it arrives, must
    not run as if there had been no MULTI."""
    group = group_that_knows(lab, 0, {"proxy": {"workers": 1}, "routing": {"write_hold": "300ms"},
                                      "health": {"timeout": "2s"}})
    with group.weir.raw() as raw:
        use_up_spares(raw)
        assert raw.command("SET", "x", "0") == "OK"
        group.master.freeze()
        raw.send(encode_all(("MULTI",), ("SET", "x", "first")))
        errors = [raw.reply() for _ in range(2)]
        assert all(str(error).startswith("NOMASTER ") for error in errors), errors
        group.master.thaw()
        try:
            raw.send(encode_all(("SET", "y", "second"), ("EXEC",)))
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert raw.read_all() == b"", "it is closed"
    with group.weir.raw() as barrier:
        wait_for(lambda: barrier.command("SET", "z", "1") == "OK")
    with group.master.client(db=1) as client:
        assert client.mget("x", "y") == ["0", None]


def test_multi_within_write_hold(lab):
    """Nothing is lost when the master comes in time."""
    group = group_that_knows(lab, 0, {"routing": {"write_hold": "20s"}, "health": {"timeout": "2s"}})
    with group.weir.raw(timeout=30) as raw:
        assert raw.command("SET", "x", "0") == "OK"
        group.master.freeze()
        raw.send(encode_all(("MULTI",), ("INCR", "x"), ("SELECT", 1), ("INCR", "x"), ("EXEC",), ("GET", "x")))
        assert raw.silent(0.2)
        group.master.thaw()
        assert [raw.reply() for _ in range(6)] == ["OK", "QUEUED", "QUEUED", "QUEUED", [1, "OK", 1], b"1"]


def test_subscribing_before_the_master_is_there(lab):
    """What was sent into a connection that could not be made is sent again on
    the next one, all of it and in order."""
    group = group_that_knows(lab, 0, {"replication": {"accept_reset_master": "yes"}, "routing": {"write_hold": "20s"},
                          "health": {"fall": 100}})
    with group.weir.raw(timeout=30) as raw, group.weir.raw(timeout=30) as publisher:
        assert raw.command("GET", "x") is None
        failed = lambda: group.weir.metrics()['weir_backend_connects_total{result="failed"}']  # noqa: E731
        before = failed()
        group.master.kill()
        raw.send(encode("SUBSCRIBE", "one"))
        wait_for(lambda: failed() > before or group.weir.status()["state"] == "no_master", what="weir has noticed")
        raw.send(encode("SUBSCRIBE", "two"))
        group.master.start()
        assert [raw.reply(), raw.reply()] == [[b"subscribe", b"one", 1], [b"subscribe", b"two", 2]]
        wait_for(lambda: publisher.command("PUBLISH", "one", "x") == 1)
        assert raw.reply() == [b"message", b"one", b"x"]


# ---- clients that are half gone

@pytest.mark.parametrize("block", [
    [("MULTI",), ("SET", "a", "1"), ("EXEC",)],
    [("WATCH", "a"), ("GET", "a"), ("MULTI",), ("SET", "a", "2"), ("EXEC",), ("GET", "a")],
    [("MULTI",), ("SET", "b", "1"), ("DISCARD",), ("EXISTS", "b")],
], ids=["exec", "watch", "discard"])
def test_a_client_that_has_said_its_last_word(shared_group, block):
    """It has closed its writing half, as `redis-cli --pipe` and netcat do, and
    reads on: everything is answered."""
    answers = []
    for target in (shared_group.master, shared_group.weir):
        with target.raw() as raw:
            raw.command("DEL", "a", "b")
            raw.send(encode_all(*block))
            raw.socket.shutdown(socket.SHUT_WR)
            answers.append(raw.read_all())
    assert answers[0] == answers[1]


def test_half_closed_in_an_open_transaction(shared_group):
    """Nothing more can come: weir lets go of the connection, and nothing runs."""
    private = lambda: shared_group.weir.metrics()['weir_backends{kind="private"}']  # noqa: E731
    with shared_group.weir.raw() as raw:
        assert raw.commands([("DEL", "open"), ("MULTI",), ("SET", "open", "1")])[1:] == ["OK", "QUEUED"]
        held = private()
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.read_all() == b""
        wait_for(lambda: private() < held, what="its connection is let go")
    assert shared_group.master.cli("EXISTS", "open") == 0


# ---- what others see of it

@pytest.mark.parametrize("pinned", ["tracking", "monitored", "transaction", "script"])
def test_what_a_pinned_session_writes_is_seen_by_others(lab, pinned):
    """Read-your-writes across connections holds for every way a write can take:
    a replica that has not applied it may not answer."""
    group = group_that_knows(lab, 1, {"routing": {"max_lag": "1m"}})
    with group.weir.raw() as writer, group.weir.raw() as reader:
        assert writer.commands([("HELLO", 3), ("SET", "k", "old")])[1] == "OK"
        group.settle()
        assert reader.command("GET", "k") == b"old"
        if pinned == "tracking":
            assert writer.command("CLIENT", "TRACKING", "ON") == "OK"
        elif pinned == "monitored":
            assert writer.command("SUBSCRIBE", "c") == [b"subscribe", b"c", 1]
        group.replicas[0].cli("CLIENT", "PAUSE", 20000, "WRITE")
        for n in range(20):
            value = b"new:%d" % n
            if pinned == "transaction":
                assert writer.commands([("MULTI",), ("SET", "k", value), ("EXEC",)])[2] == ["OK"]
            elif pinned == "script":
                assert writer.command("EVAL", "return redis.call('set', KEYS[1], ARGV[1])", 1, "k", value) == "OK"
            else:
                assert writer.command("SET", "k", value) == "OK"
            assert reader.command("GET", "k") == value
        assert group.replicas[0].cli("GET", "k") == "old", "this test rests on a replica that does not apply"
        group.replicas[0].cli("CLIENT", "UNPAUSE")


# ---- the end of weir

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_client_list_while_weir_ends(lab, number):
    """The list travels from worker to worker, and some of them end sooner."""
    group = group_that_knows(lab, 0, {"proxy": {"workers": 4, "drain_timeout": "200ms"}})
    clients = [group.weir.raw() for _ in range(120)]
    wait_for(lambda: len(clients[0].command("CLIENT", "LIST").splitlines()) == len(clients), what="all are in")
    for raw in clients:
        raw.send(encode("CLIENT", "LIST") * 50)
    wait_for(lambda: not clients[-1].silent(0))
    group.weir.signal(number)
    assert group.weir.exit_status() == 0
    for raw in clients:
        raw.close()


# ---- memory

@pytest.mark.plain
def test_memory_while_the_master_is_silent(lab):
    """What one client may pump into weir while the master does not read: the
    hold (1 MiB here), 16 MiB of a connection's unanswered requests, and what
    the kernel's socket buffers take. All of it arrives when the master wakes."""
    bound = 48 * MEBIBYTE
    group = group_that_knows(lab, 0, {"proxy": {"workers": 1}, "routing": {"write_hold_bytes": "1mb"}, "health": {"fall": 1000}})
    with group.weir.raw(timeout=30) as raw:
        assert raw.command("SET", "x", b"a" * MEBIBYTE) == "OK"
        before = group.weir.rss_bytes()
        group.master.freeze()
        command = encode("APPEND", "x", b"a" * (MEBIBYTE // 4))
        sent = pump(raw.socket, command, 4 * bound)
        grown = group.weir.rss_bytes() - before
        group.master.thaw()
        print(f"{sent / MEBIBYTE:.1f} MiB were taken, weir grew by {grown / MEBIBYTE:.1f} MiB")
        assert grown < bound
        assert sent < bound
        whole, part = divmod(sent, len(command))
        raw.send(command[part:])
        lengths = [raw.reply() for _ in range(whole + 1)]
        assert lengths == [MEBIBYTE + (n + 1) * MEBIBYTE // 4 for n in range(whole + 1)]


def pump(sock, command, most):
    """Sends the command over and over until nothing is taken for a while.
    Returns the bytes sent."""
    quiet = 0.3 * PATIENCE
    sent, left = 0, command
    ready = select.poll()
    ready.register(sock, select.POLLOUT)
    sock.setblocking(False)
    while sent < most and ready.poll(quiet * 1000):
        count = sock.send(left)
        sent += count
        left = left[count:] or command
    sock.setblocking(True)
    return sent


# ---- a connection that is there already

def spares(weir):
    return weir.metrics()['weir_backends{kind="private"}']


def rows_of(server, **wanted):
    """weir's connections there that are so."""
    return [row for row in server.client().client_list()
            if row["name"] == "weir-data" and all(row[key] == value for key, value in wanted.items())]


def test_a_private_connection_is_ready_before_it_is_needed(lab):
    """What blocks does not wait for a connection to be made, so that another
    client's later write would get in front of it."""
    group = group_that_knows(lab, 0, {"proxy": {"workers": 1}})
    wait_for(lambda: spares(group.weir) == 1, what="one is ready from the start")
    with group.weir.raw() as blocked, group.weir.raw() as writer:
        assert writer.commands([("SELECT", 7), ("PING",)]) == ["OK", "PONG"]
        ready, = wait_for(lambda: rows_of(group.master, db="7", cmd="client|setname"), what="and one for a database in use")
        assert blocked.command("SELECT", 7) == "OK"
        blocked.send(encode("BLPOP", "list", 0))
        row, = wait_for(lambda: rows_of(group.master, flags="b"))
        assert row["id"] == ready["id"]
        wait_for(lambda: rows_of(group.master, db="7", cmd="client|setname"), what="the next one is ready")
        assert writer.command("RPUSH", "list", "x") == 1
        assert blocked.reply() == [b"list", b"x"]


def test_a_ready_connection_that_is_lost_is_made_again(lab):
    group = group_that_knows(lab, 0, {"proxy": {"workers": 1}})
    with group.weir.raw() as raw:
        assert raw.commands([("SELECT", 7), ("PING",)]) == ["OK", "PONG"]
    ready, = wait_for(lambda: rows_of(group.master, db="7", cmd="client|setname"))
    group.master.cli("CLIENT", "KILL", "ID", ready["id"])
    wait_for(lambda: [row for row in rows_of(group.master, db="7", cmd="client|setname") if row["id"] != ready["id"]],
             what="it is made again")


def test_ready_connections_give_way(lab):
    """They take nothing from those who need one, and are not many."""
    group = group_that_knows(lab, 0, {"proxy": {"workers": 1, "max_private_backends": 4}})
    with group.weir.raw() as raw:
        for database in range(16):
            assert raw.commands([("SELECT", database), ("PING",)]) == ["OK", "PONG"]
    assert spares(group.weir) <= 4
    holders = [group.weir.raw() for _ in range(4)]
    for holder in holders:
        assert holder.command("WATCH", "x") == "OK"
    with group.weir.raw() as late:
        assert "max_private_backends" in str(late.command("WATCH", "x"))
    for holder in holders:
        holder.close()


def test_a_refused_command_whose_connection_is_made_again(lab):
    """Nothing was sent yet when the first try failed: every command has its answer,
    those of weir's own as well."""
    group = lab.group(0, {"proxy": {"workers": 1}, "health": {"timeout": "300ms"}, "routing": {"write_hold": "30s"}})
    with contextlib.ExitStack() as stack:
        raws = [stack.enter_context(group.weir.raw(timeout=30)) for _ in range(12)]
        for raw in raws:
            assert raw.command("PING") == "PONG"
        group.master.freeze()
        for raw in raws:
            raw.send(b"".join(encode(*words) for words in [("MULTI",), ("SET", "k", 1), ("SHUTDOWN",), ("EXEC",), ("PING",)]))
        wait_for(lambda: any('reason="not_ready"' in name and count > 0 for name, count in group.weir.metrics().items()), what="a try has failed")
        group.master.thaw()
        for raw in raws:
            answers = [raw.reply() for _ in range(5)]
            assert answers[4] == "PONG" and str(answers[2]).startswith("ERR"), answers
            assert answers[0] == "OK" and str(answers[3]).startswith("EXECABORT"), answers
