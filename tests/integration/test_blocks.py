"""Transactions that arrive whole travel on the shared backends; nothing of
them may ever be executed outside of the transaction."""
import threading

from harness import encode, wait_for
from test_pinned import group_that_knows


def block(*commands):
    return [("MULTI",), *commands, ("EXEC",)]


def as_bytes(commands):
    return b"".join(encode(*command) for command in commands)


def counted(weir, name):
    return weir.metrics()[f'weir_commands_total{{class="{name}",route="master",result="ok"}}']


def test_a_whole_block_needs_no_connection_of_its_own(lab):
    group = group_that_knows(lab, 2)
    with group.weir.raw() as raw:
        for n in range(50):
            raw.send(as_bytes(block(("INCR", "n"), ("RPUSH", "list", n), ("GET", "n")) + [("GET", "n")]))
            assert [raw.reply() for _ in range(6)] == [
                "OK", "QUEUED", "QUEUED", "QUEUED", [n + 1, n + 1, b"%d" % (n + 1)], b"%d" % (n + 1)]
        assert counted(group.weir, "transaction") == 50 and counted(group.weir, "private") == 0


def test_errors_leave_the_shared_backend_clean(lab):
    group = lab.group(1)
    with group.weir.raw() as raw, group.weir.raw() as other, group.master.raw() as direct:
        other.command("SET", "word", "text")
        for commands in [
            block(("SET", "a", 1), ("NOSUCH", "x"), ("SET", "a", 2)),  # pinned: nobody knows what it leaves behind
            block(("SET", "a")),                                       # refused when it is queued
            block(("SET", "a", 3), ("INCR", "word")),                  # refused when it runs
            block(), [("MULTI", "x"), ("SET", "b", 1), ("EXEC",)],
            [("MULTI",), ("SET", "b", 1), ("EXEC", "x"), ("DISCARD",)],
        ]:
            expected = direct.commands(commands)
            assert raw.commands(commands) == expected, commands
            assert other.commands([("SET", "c", 1), ("EXEC",)])[0] == "OK"  # not QUEUED


def test_long_and_cut_blocks(lab):
    """Longer than what is looked at in one go, and cut anywhere by the network."""
    group = lab.group(1)
    with group.weir.raw() as raw:
        for before, length in [(0, 62), (0, 63), (0, 200), (1, 62), (40, 40), (63, 1), (63, 62), (70, 100)]:
            raw.command("DEL", "n")
            replies = raw.commands([("ECHO", "x")] * before + block(*[("INCR", "n")] * length) + [("GET", "n")])
            assert replies[before:] == ["OK"] + ["QUEUED"] * length + [list(range(1, length + 1)), b"%d" % length]
        whole = as_bytes(block(("SET", "key", "value"), ("GET", "key")))
        for cut in range(len(whole)):
            raw.send(whole[:cut])
            assert group.weir.raw().command("PING") == "PONG"  # the first part has been looked at alone
            raw.send(whole[cut:])
            assert [raw.reply() for _ in range(4)] == ["OK", "QUEUED", "QUEUED", ["OK", b"value"]]


def test_blocks_of_many_clients_do_not_mix(lab):
    group = lab.group(1, config={"proxy": {"workers": 1}})
    failures = []

    def work(who):
        with group.weir.raw(timeout=30) as raw:
            for n in range(300):
                commands = block(("SET", f"mine:{who}", n), ("INCR", "shared"), ("GET", f"mine:{who}"))
                replies = raw.commands(commands + [("GET", f"mine:{who}")])
                if replies[:4] != ["OK"] + ["QUEUED"] * 3 or replies[4][::2] != ["OK", b"%d" % n] or replies[5] != b"%d" % n:
                    failures.append((who, n, replies))
                    return

    threads = [threading.Thread(target=work, args=(who,), daemon=True) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures and group.weir.client().get("shared") == "2400"


def test_a_torn_block_is_not_executed_outside_of_it(lab):
    """The master dies when half of a block has been written to it: the other
    half must not go to the next connection alone. Blocks that were not begun
    are executed there."""
    group = lab.group(1, config={"proxy": {"workers": 1}, "replication": {"accept_reset_master": "yes"},
                                 "routing": {"write_hold": "20s"}})
    commands = block(("INCR", "up"), ("SET", "filler", "x" * 60000), ("DECR", "down"))
    with group.weir.raw() as raw:
        raw.command("SET", "before", "1")
    group.master.freeze()
    clients = [group.weir.raw(timeout=30) for _ in range(200)]
    for client in clients:
        client.send(as_bytes(commands))
    received = 'weir_client_bytes_total{direction="in"}'
    wait_for(lambda: group.weir.metrics()[received] > 200 * 60000)
    group.master.kill()
    group.master.restart()
    ends = [[client.reply() for _ in commands][-1] for client in clients]
    executed = [end for end in ends if isinstance(end, list)]
    assert 0 < len(executed) < len(ends)
    assert all(str(end).startswith(("UNKNOWNRESULT", "NOMASTER")) for end in ends if not isinstance(end, list))
    with group.master.raw() as direct:
        up, down = direct.commands([("GET", "up"), ("GET", "down")])
    assert (up, down) == (b"%d" % len(executed), b"-%d" % len(executed))
