"""redis-cli: what an operator types. Its output must be the same at either front."""
import contextlib
import json
import re
import signal
import subprocess

import pytest

from fronts import scenario
from harness import HOST, PATIENCE, encode, wait_for

COMMANDS = 100_000


def command_line(front, *args):
    return ["redis-cli", "-h", HOST, "-p", str(front.port), *map(str, args)]


def cli(front, *args, stdin=b""):
    """(exit status, output, errors) of one run."""
    done = subprocess.run(command_line(front, *args), input=stdin if isinstance(stdin, bytes) else stdin.encode(),
                          capture_output=True, timeout=60 * PATIENCE)
    return done.returncode, done.stdout.decode("latin-1"), done.stderr.decode("latin-1")


@contextlib.contextmanager
def running(front, tmp_path, *args):
    """A redis-cli that goes on until the end of the block; yields a function
    that returns what it has printed so far."""
    path = tmp_path / f"{front.name}.out"
    with open(path, "wb") as output, \
            subprocess.Popen(["stdbuf", "-oL", *command_line(front, *args)], stdin=subprocess.DEVNULL, stdout=output, stderr=output) as process:
        try:
            yield lambda: path.read_text("latin-1")
            assert process.poll() is None, f"redis-cli has ended: {path.read_text('latin-1')}"
        finally:
            process.send_signal(signal.SIGKILL)


def lines(text):
    return [line for line in text.splitlines() if line]


# ------------------------------------------------------------ one command after the other

FORMATS = [[], ["--raw"], ["--no-raw"], ["--csv"], ["-3"], ["-3", "--json"], ["-3", "--csv"], ["--json"], ["-3", "--no-raw"]]


@scenario
def test_output_formats(front):
    client = front.client()
    client.hset("h", mapping={"field": "value", "with \"quotes\"": "\x00\xff\n"})
    client.zadd("z", {"a": 1, "b": 2.5})
    client.rpush("l", "x", "y y", "z")
    client.sadd("s", "only")
    client.xadd("x", {"f": "v"}, id="1-1")
    front.settle()
    return [cli(front, *how, *words) for how in FORMATS for words in [
        ["HGETALL", "h"], ["ZRANGE", "z", 0, -1, "WITHSCORES"], ["LRANGE", "l", 0, -1], ["SMEMBERS", "s"], ["ZSCORE", "z", "b"],
        ["GET", "none"], ["XRANGE", "x", "-", "+"], ["EXISTS", "h"], ["GET", "h"], ["PING"], ["NOSUCH"],
        ["COMMAND", "INFO", "get"], ["LOLWUT", "VERSION", "9"], ["EVAL", "return {1, {2, {}}, false}", 0], ["ACL", "GETUSER", "default"]]]


@scenario
def test_options(front):
    return [
        cli(front, "-x", "SET", "from-stdin", stdin="a\0b\n"), cli(front, "-X", "tag", "SET", "tagged", "tag", stdin="body"),
        cli(front, "STRLEN", "from-stdin"), cli(front, "-r", 3, "-i", 0.01, "INCR", "n"), cli(front, "-n", 3, "SET", "three", 1),
        cli(front, "-n", 3, "DBSIZE"), cli(front, "-n", 99, "DBSIZE"), cli(front, "-u", front.url(3), "GET", "three"),
        cli(front, "-d", "|", "--raw", "MGET", "n", "n"), cli(front, "-D", "|", "--raw", "GET", "n"), cli(front, "-e", "NOSUCH"),
        cli(front, "-a", "wrong", "--no-auth-warning", "PING"), cli(front, "--user", "nobody", "--pass", "x", "PING"),
        cli(front, "--no-raw", "SET", "quoted", "\x01\"\\"), cli(front, "GET", "quoted"), cli(front, "--show-pushes", "no", "-3", "PING"),
        cli(front, "--quoted-input", "SET", '"\\x01key"', '"\\xff"'), cli(front, "--quoted-input", "GET", '"\\x01key"')]


@scenario
def test_commands_from_stdin(front):
    """One connection for all lines: its state goes from one to the next."""
    script = """
        SET a 1
        INCR a
        MULTI
        INCR a
        GET a
        NOSUCH
        EXEC
        MULTI
        INCR a
        SELECT 2
        SET two 1
        EXEC
        DBSIZE
        SELECT 0
        GET a
        HSET h f v
        HELLO 3
        HGETALL h
        HELLO 2
        HGETALL h
        WATCH a
        MULTI
        GET a
        DISCARD
        CLIENT SETNAME typist
        CLIENT GETNAME
        RESET
        CLIENT GETNAME
        BLPOP none 0.05
        RPUSH l 1 2 3
        BLPOP l 1
        3 INCR a
        EVAL "return redis.call('GET', KEYS[1])" 1 a
        GET "a
        OBJECT HELP
        QUIT
        GET never
    """
    runs = [cli(front, *how, stdin=script) for how in ([], ["-3"], ["--no-raw"])]
    return [(status, re.sub(r'(\bid\b"?(?:\s+\d+\))?\D*?)\d+', r"\1N", output), errors) for status, output, errors in runs]


@scenario
def test_eval_files(front):
    script = front.process.directory / "add.lua"
    script.write_text("return {redis.call('INCRBY', KEYS[1], ARGV[1]), KEYS[2], ARGV[2]}")
    return cli(front, "--eval", script, "n", "k2", ",", 5, "a2"), cli(front, "--eval", script, "n", "k2", ",", "x", "a2")


# ------------------------------------------------------------ mass insertion

@scenario
def test_pipe(front):
    """--pipe ends with an ECHO of its own, and counts replies and errors."""
    seen = [cli(front, "--pipe", stdin=b"".join(encode("SET", f"key:{n}", f"value {n}") for n in range(COMMANDS)))]
    client = front.client()
    seen.append(client.dbsize())
    assert client.mget([f"key:{n}" for n in range(0, COMMANDS, 997)]) == [f"value {n}" for n in range(0, COMMANDS, 997)]
    # Reads, errors, scripts, transactions and a database change among them.
    mixed = b"".join(encode(*words) for n in range(5000) for words in [
        ("INCR", "n"), ("GET", f"key:{n}"), ("LPUSH", "key:1", "x"), ("EVAL", "return ARGV[1]", 0, n), ("MULTI",), ("INCR", "m"),
        ("EXEC",), ("SELECT", n % 2), ("NOSUCH",)])
    status, output, errors = cli(front, "--pipe", stdin=mixed)
    seen += [status, lines(output)[-1], len(lines(errors)), client.mget("n", "m"), front.client(db=1).mget("n", "m")]
    inline = "".join(f"SET inline:{n} {n}\r\n" for n in range(1000)) + "BAD 'quote\r\n"
    return seen + [cli(front, "--pipe", stdin=inline[:-12]), client.get("inline:999")]


# ------------------------------------------------------------ walking the key space

def fill(front):
    client = front.client()
    with client.pipeline(transaction=False) as pipe:
        for n in range(3000):
            pipe.set(f"key:{n}", "x" * (n % 50))
        pipe.set("big:string", "x" * 5000)
        pipe.rpush("big:list", *range(300)).rpush("list", 1)
        pipe.sadd("big:set", *range(300)).sadd("set", 1)
        pipe.hset("big:hash", mapping={n: n for n in range(300)}).hset("hash", "f", "v")
        pipe.zadd("big:zset", {n: n for n in range(300)}).zadd("zset", {"m": 1})
        for n in range(30):
            pipe.xadd("big:stream", {"f": n})
        pipe.execute()
    front.settle()


@scenario
def test_scan(front):
    fill(front)
    runs = [cli(front, "--scan", *how) for how in ([], ["--pattern", "big:*"], ["--pattern", "key:1??"], ["--count", 1000], ["--quoted-pattern", '"b*"'])]
    return [(status, sorted(lines(output)), errors) for status, output, errors in runs]


def summary(text):
    """What --bigkeys and --memkeys end with: no progress, which depends on the order of a scan."""
    return lines(text[text.index("-------- summary"):])


@scenario
def test_bigkeys(front):
    fill(front)
    status, output, errors = cli(front, "--bigkeys")
    found = summary(output)
    assert any("Biggest   hash found" in line and "big:hash" in line for line in found)
    return status, found, errors


@scenario
def test_memkeys(front):
    fill(front)
    status, output, errors = cli(front, "--memkeys", "--memkeys-samples", 0)
    # Sizes depend on how the allocator felt; which key is the biggest does not.
    return status, [re.sub(r"\d+(\.\d+)?", "N", line) for line in summary(output)], errors


@scenario
def test_hotkeys_wants_a_policy(front):
    fill(front)
    status, output, errors = cli(front, "--hotkeys")
    return status, errors, [line for line in lines(output) if "LFU" in line]


# ------------------------------------------------------------ what goes on until it is stopped

@pytest.fixture
def out(tmp_path):
    """tmp_path by another name: a scenario is a function of a front alone."""
    return tmp_path


def test_stat(fronts, out):
    def run(front):
        front.client().mset({f"k{n}": n for n in range(17)})
        with running(front, out, "--stat", "-i", 0.05) as printed:
            rows = wait_for(lambda: len(lines(printed())) > 5 and lines(printed()), what="a few rows")
        numbers = [row.split() for row in rows if re.match(r"\d", row)]
        assert len(numbers) >= 3 and all(row[0] == "17" and re.match(r"\(\+\d+\)", row[5]) for row in numbers), rows
        return rows[:2]
    fronts.compare(run)


@scenario
def test_latency(front):
    """Into a pipe it prints one row, after a second."""
    status, output, errors = cli(front, "--latency")
    low, high, average, samples = map(float, output.split())
    assert low <= average <= high < 1000 and samples >= 5
    return status, errors


def test_monitor(fronts, out):
    def run(front):
        with running(front, out, "MONITOR") as printed:
            wait_for(lambda: "OK" in printed(), what="the monitor is on")
            front.client(db=2).set("watched", 'a "value"')
            wait_for(lambda: '"watched"' in printed(), what="the command is shown")
            return [re.sub(r"^[\d.]+ \[(\d+) [^]]+\]", r"[\1]", line) for line in lines(printed()) if "watched" in line or line == "OK"]
    fronts.compare(run)


@pytest.mark.parametrize("how", [[], ["-3"], ["--csv"], ["-3", "--json"]], ids=" ".join)
def test_subscribe(fronts, out, how):
    def run(front):
        client = front.client()
        with running(front, out, *how, "PSUBSCRIBE", "n*", "other") as printed:
            wait_for(lambda: client.publish("other", "first") == 1, what="the subscription is there")
            for n in range(20):
                assert client.publish("news", f"message {n}") == 1
            wait_for(lambda: "message 19" in printed(), what="all messages are shown")
            return printed()
    fronts.compare(run)


# ------------------------------------------------------------ replication

KEPT_FUNCTION = "#!lua name=kept\nredis.register_function('f', function() return 1 end)"


def test_rdb(fronts, out, lab):
    """--rdb fetches a dump that a server can load."""
    def run(front):
        fill(front)
        front.client().execute_command("FUNCTION", "LOAD", KEPT_FUNCTION)
        directory = out / front.name
        directory.mkdir()
        status, output, errors = cli(front, "--rdb", directory / "dump.rdb")
        assert status == 0, output + errors
        server = lab.redis("--dir", directory, name=f"loads-{front.name}", start=False)
        server.start()
        with server.client() as client:
            assert client.dbsize() == front.client().dbsize() == 3010
            assert client.hlen("big:hash") == 300 and client.strlen("big:string") == 5000 and client.xlen("big:stream") == 30
            seen = client.execute_command("FUNCTION", "LIST")[0][1], sorted(client.scan_iter(count=1000))
        server.kill()
        functions = cli(front, "--functions-rdb", directory / "functions.rdb")
        assert functions[0] == 0, functions
        return seen, re.sub(r"\d+ bytes|'.*'", "", errors)
    fronts.compare(run)


def test_replica(fronts, out):
    """--replica shows the stream of writes as a replica gets it."""
    def run(front):
        client = front.client()
        client.set("before", 1)
        with running(front, out, "--replica") as printed:
            wait_for(lambda: (client.set("marker", 1), '"marker"' in printed())[1], what="the stream has begun")
            for n in range(50):
                client.set(f"streamed:{n}", n)
            client.select(0)
            wait_for(lambda: '"streamed:49"' in printed(), what="all writes have come")
            return [line for line in lines(printed()) if "streamed" in line]
    fronts.compare(run)


# ------------------------------------------------------------ other modes

@scenario
def test_cluster_mode_is_refused(front):
    seen = [cli(front, "--cluster", "check", f"{HOST}:{front.port}"), cli(front, "--cluster", "info", f"{HOST}:{front.port}"),
            cli(front, "-c", "SET", "k", "v"), cli(front, "-c", "GET", "k")]
    return json.loads(json.dumps(seen).replace(str(front.port), "PORT"))
