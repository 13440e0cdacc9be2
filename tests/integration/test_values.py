"""Values are bytes, of any size."""
import hashlib
import os
import time

import pytest

from harness import encode, wait_for

MEBIBYTE = 1 << 20


def test_every_byte(shared_group):
    value = bytes(range(256)) * 3
    key = b"\x00\r\n\xff key " + bytes(range(256))
    with shared_group.weir.raw() as raw:
        assert raw.command("SET", key, value) == "OK"
        assert raw.command("GET", key) == value
        shared_group.settle()
        assert raw.command("GET", key) == value


def test_values_that_look_like_the_protocol(shared_group):
    values = [b"", b"\r\n", b"+OK\r\n", b"-ERR x\r\n", b"$5\r\nhello\r\n", b"*1\r\n$4\r\nPING\r\n", b":1\r\n"]
    with shared_group.weir.raw() as raw:
        for value in values:
            assert raw.commands([("SET", "look", value), ("GET", "look"), ("ECHO", value)]) == ["OK", value, value]


@pytest.mark.parametrize("size", [1, 16 * 1024 - 1, 16 * 1024, 65536, MEBIBYTE - 1, MEBIBYTE, MEBIBYTE + 1])
def test_sizes(shared_group, size):
    value = os.urandom(size)
    with shared_group.weir.raw() as raw:
        assert raw.commands([("SET", "sized", value), ("GET", "sized"), ("STRLEN", "sized")]) == ["OK", value, size]


def test_large_values_both_ways(lab):
    """64 MiB in, out by way of the master (right after the write) and of a
    replica; another client is served meanwhile."""
    group = lab.group(1)
    value = os.urandom(MEBIBYTE) * 64
    digest = hashlib.sha256(value).digest()
    with group.weir.raw(timeout=60) as raw, group.weir.raw() as other:
        raw.send(b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n" % len(value))
        half = len(value) // 2
        raw.send(value[:half])
        assert other.command("SET", "small", "1") == "OK", "an unfinished command holds others up"
        raw.send(value[half:] + b"\r\n")
        assert raw.reply() == "OK"
        assert hashlib.sha256(raw.command("GET", "large")).digest() == digest
        group.settle(raw)
        group.reset_calls()
        assert hashlib.sha256(raw.command("GET", "large")).digest() == digest
        assert "get" not in group.master.calls()
        assert other.command("GET", "small") == b"1"


def test_a_large_reply_nobody_reads_does_not_delay_others(lab):
    group = lab.group(1)
    group.master.cli("SET", "large", "x" * (32 * MEBIBYTE))
    group.settle()
    with group.weir.raw() as lazy, group.weir.raw(timeout=5) as other:
        for _ in range(3):
            lazy.send(encode("GET", "large"))
        for _ in range(200):
            assert other.command("GET", "none") is None
        assert len(lazy.reply()) == 32 * MEBIBYTE


def take(raw, count):
    """Reads so many bytes of replies, whatever they are."""
    digest = hashlib.sha256()
    while count > 0:
        chunk = raw.stream.read1(min(count, MEBIBYTE))
        assert chunk, "the server closed the connection"
        digest.update(chunk)
        count -= len(chunk)
    return digest.digest()


@pytest.mark.parametrize("before", [[], [("WATCH", "k")], [("HELLO", "3"), ("CLIENT", "TRACKING", "ON")]],
                         ids=["shared", "private", "tracking"])
def test_a_client_that_writes_everything_before_it_reads(shared_group, before):
    """As the pipelines of many libraries do: 16 MiB of requests, 128 MiB of replies."""
    value = os.urandom(1000)
    count = 128 * MEBIBYTE // 1000
    request = encode("GET", "k") + encode("PING", "p" * 80)
    reply = b"$1000\r\n" + value + b"\r\n$80\r\n" + b"p" * 80 + b"\r\n"
    with shared_group.weir.raw(timeout=20) as raw, shared_group.weir.raw() as other:
        assert raw.command("SET", "k", value) == "OK"
        raw.commands(before)
        raw.send(request * count)
        assert other.command("PING") == "PONG"
        assert take(raw, len(reply) * count) == hashlib.sha256(reply * count).digest()
        assert raw.command("PING") == "PONG"


def test_a_transaction_that_is_written_before_it_is_read(shared_group):
    value = b"v" * MEBIBYTE
    with shared_group.weir.raw(timeout=20) as raw:
        raw.command("SET", "k", value)
        raw.send((encode("MULTI") + encode("GET", "k") + encode("SET", "k", value) + encode("EXEC")) * 30)
        for _ in range(30):
            assert [raw.reply() for _ in range(4)] == ["OK", "QUEUED", "QUEUED", [value, "OK"]]


@pytest.mark.plain
def test_a_slow_reader_is_held_back(lab):
    """As long as it reads at all, little is kept for it."""
    group = lab.group(1)
    count = 200_000
    with group.weir.raw(timeout=20) as raw:
        raw.command("SET", "k", b"v" * 1000)
        before = group.weir.rss_bytes()
        raw.send(encode("GET", "k") * count)
        most = 0
        for _ in range(60):
            take(raw, MEBIBYTE)
            time.sleep(0.01)    # this is its slowness
            most = max(most, group.weir.rss_bytes() - before)
        take(raw, len(b"$1000\r\n" + b"v" * 1000 + b"\r\n") * count - 60 * MEBIBYTE)
        assert most < 16 * MEBIBYTE, f"{most >> 20} MiB were kept"


@pytest.mark.plain
def test_memory_comes_back(lab):
    """A large value leaves nothing behind but what the allocator keeps."""
    group = lab.group(1)
    with group.weir.raw(timeout=60) as raw:
        raw.command("SET", "large", b"x" * (8 * MEBIBYTE))
        raw.command("GET", "large")
        before = group.weir.rss_bytes()
        for _ in range(20):
            assert len(raw.command("GET", "large")) == 8 * MEBIBYTE
            assert raw.command("SET", "large", b"x" * (8 * MEBIBYTE)) == "OK"
        raw.command("DEL", "large")
    wait_for(lambda: group.weir.rss_bytes() < before + 64 * MEBIBYTE, what="memory does not grow with use")
