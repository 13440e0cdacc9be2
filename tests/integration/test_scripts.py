"""Scripts and functions: read-only ones on the replicas, the others on the
master, and the word that stops them wherever they run."""
from harness import encode, wait_for


def served(servers, command):
    return sum(server.calls().get(command, 0) for server in servers)


def test_read_only_scripts_run_on_replicas(lab):
    group = lab.group(2)
    group.weir.client().set("key", "value")
    group.caught_up()
    with group.weir.raw() as raw:
        raw.command("FUNCTION", "LOAD", "#!lua name=weirtest\n"
                    "redis.register_function{function_name='peek', flags={'no-writes'},"
                    " callback=function(keys) return redis.call('GET', keys[1]) end}")
        sha = raw.command("SCRIPT", "LOAD", "local key = KEYS[1] return redis.call('GET', key)")
        group.settle()
        group.reset_calls()
        for _ in range(20):
            assert raw.command("EVAL_RO", "return redis.call('GET', KEYS[1])", 1, "key") == b"value"
            assert raw.command("FCALL_RO", "peek", 1, "key") == b"value"
        assert served([group.master], "eval_ro") == 0 and served(group.replicas, "eval_ro") == 20
        assert served([group.master], "fcall_ro") == 0 and served(group.replicas, "fcall_ro") == 20
        # SCRIPT LOAD is not replicated: the replica has never heard of it, the master has.
        group.reset_calls()
        assert [raw.command("EVALSHA_RO", sha, 1, "key") for _ in range(10)] == [b"value"] * 10
        assert served([group.master], "evalsha_ro") > 0
        assert str(raw.command("EVALSHA_RO", "0" * 40, 0)).startswith("NOSCRIPT")
        refused = raw.command("EVAL_RO", "return redis.call('SET', KEYS[1], 1)", 1, "key")
        assert "Write commands are not allowed" in str(refused)


def test_a_function_that_writes_is_not_called_read_only(lab):
    """A replica says that it is one, the master what is wrong with the call."""
    group = lab.group(1, replica_endpoint=True)
    with group.weir.raw() as raw, group.master.raw() as master, group.weir.raw(replica=True) as reader:
        raw.command("FUNCTION", "LOAD", "#!lua name=weirtest\n"
                    "redis.register_function('put', function(keys) return redis.call('SET', keys[1], 1) end)")
        group.settle()
        refused = master.command("FCALL_RO", "put", 1, "key")
        assert "write flag" in str(refused)
        group.reset_calls()
        assert [raw.command("FCALL_RO", "put", 1, "key") for _ in range(10)] == [refused] * 10
        assert group.replicas[0].rejected()["fcall_ro"] > 0, "a replica was asked first"
        refused_by_replica = group.replicas[0].raw().command("FCALL_RO", "put", 1, "key")
        assert str(refused_by_replica).startswith("READONLY")
        assert reader.command("FCALL_RO", "put", 1, "key") == refused_by_replica


def test_a_read_only_script_that_spins_on_a_replica_is_killed(lab):
    group = lab.group(2)
    for server in group.servers:
        server.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    with group.weir.raw() as spinning, group.weir.raw() as other:
        for command in ("SCRIPT", "FUNCTION"):
            assert str(other.command(command, "KILL")) == "NOTBUSY No scripts in execution right now."
        group.settle()
        spinning.send(encode("EVAL_RO", "while true do end", 0))
        wait_for(lambda: other.command("SCRIPT", "KILL") == "OK", what="a replica's script is killed")
        assert "killed by user" in str(spinning.reply())
        assert spinning.command("SET", "key", "value") == "OK"
        wait_for(lambda: all(group.weir.readable(replica) for replica in group.replicas))


def test_function_stats_does_not_wait_behind_a_function(lab):
    """It is there to say what runs."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    group.master.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    with group.weir.raw() as spinning, group.weir.raw() as other:
        other.command("FUNCTION", "LOAD", "#!lua name=weirtest\nredis.register_function('spin', function() while true do end end)")
        spinning.send(encode("FCALL", "spin", 0))
        wait_for(lambda: str(other.command("INCR", "n")).startswith("BUSY"), what="the server says BUSY")
        assert other.command("FUNCTION", "STATS")[1][1] == b"spin"
        assert other.command("FUNCTION", "KILL") == "OK"
        assert "killed by user" in str(spinning.reply())


def test_ping_and_echo_are_the_servers_own(lab):
    """A health check through weir sees a server that is busy."""
    group = lab.group(1)
    group.master.cli("CONFIG", "SET", "busy-reply-threshold", "50")
    with group.weir.raw() as spinning, group.weir.raw() as other:
        assert other.commands([("PING",), ("PING", "hello"), ("ECHO", "there")]) == ["PONG", b"hello", b"there"]
        spinning.send(encode("EVAL", "while true do end", 0))
        wait_for(lambda: str(other.command("PING")).startswith("BUSY"), what="the server says BUSY")
        assert str(other.command("ECHO", "there")).startswith("BUSY")
        assert other.command("SCRIPT", "KILL") == "OK"
        assert "killed by user" in str(spinning.reply())
        assert other.command("PING") == "PONG"


def test_a_replica_that_does_not_know_a_command(lab):
    """It is older than its master, as during an upgrade."""
    group = lab.group(2)
    group.weir.client().set("key", "value")
    old = lab.redis("--replicaof", "127.0.0.1", group.master.port, "--rename-command", "STRLEN", "", name="old")
    weir = lab.weir(group.master, [old], name="upgrade")
    wait_for(lambda: weir.readable(old))
    with weir.raw() as raw:
        wait_for(lambda: raw.command("GET", "key") == b"value" and old.calls().get("get", 0) > 0)
        assert [raw.command("STRLEN", "key") for _ in range(10)] == [5] * 10
        assert raw.commands([("STRLEN", "key"), ("GET", "key"), ("STRLEN", "key")]) == [5, b"value", 5]
