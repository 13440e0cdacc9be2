"""Passwords are where they are needed, and nowhere else: not in logs, pages and
arguments, and not in memory any longer than somebody needs them there."""
import contextlib
import re
import subprocess

import pytest

from harness import encode, wait_for

OWN = "own-s3cret-of-the-proxy"
CLIENTS = "cl13nts-s3cret-w0rd"
WRONG = "wr0ng-s3cret-w0rd"


def found_in_memory(process, secret):
    """Where it stands in what the process can write to: what is around it, each time."""
    found = []
    with open(f"/proc/{process.pid}/maps") as maps, open(f"/proc/{process.pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end, access = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if "w" not in access or "[v" in line:
                continue
            with contextlib.suppress(OSError, ValueError, OverflowError):
                memory.seek(int(begin, 16))
                content = memory.read(int(end, 16) - int(begin, 16))
                found += [content[max(0, match.start() - 60):match.end() + 20]
                          for match in re.finditer(re.escape(secret.encode()), content)]
    return found


@pytest.fixture
def group(lab):
    group = lab.group(1, redis_args=("--requirepass", OWN, "--masterauth", OWN), wait=False)
    path = group.weir.directory / "password"
    path.write_text(OWN + "\n")
    path.chmod(0o600)
    group.weir.stop()
    group.weir.settings["auth"] = {"password_file": path}
    group.weir.settings["log"]["level"] = "debug"
    group.weir.start().wait_state("ok")
    for server in group.servers:
        server.password = OWN
        server.cli("ACL", "SETUSER", "ann", "on", f">{CLIENTS}", "allkeys", "allchannels", "+@all")
    return group


def use_them(weir):
    """As clients do: alone and in pipelines, right and wrong, on connections of
    their own, in pieces, inline."""
    with weir.raw() as raw:
        assert raw.command("AUTH", "ann", CLIENTS) == "OK"
        assert raw.commands([("SET", "k", "v"), ("GET", "k")]) == ["OK", b"v"]
        assert raw.commands([("SELECT", 3), ("GET", "k"), ("EVAL", "return 1", 0)]) == ["OK", None, 1]
        assert raw.commands([("MULTI",), ("GET", "k"), ("EXEC",)])[2] == [None]
        raw.send(encode("BLPOP", "nothing", "0.01"))
        assert raw.reply() is None
    with weir.raw() as raw:
        hello = encode("HELLO", 3, "AUTH", "ann", CLIENTS)
        for at in range(0, len(hello), 7):
            weir.take(raw, hello[at:at + 7])
        assert raw.reply()[b"proto"] == 3
    with weir.raw() as raw:
        raw.send(b"AUTH ann " + CLIENTS.encode() + b"\r\n")
        assert raw.reply() == "OK"
        assert "WRONGPASS" in str(raw.command("AUTH", "ann", WRONG))
        assert "WRONGPASS" in str(raw.command("HELLO", 2, "AUTH", "ann", WRONG))
    wait_for(lambda: weir.status()["clients"]["connected"] == 0)


def test_nobody_tells(group):
    use_them(group.weir)
    weir = group.weir
    shown = [weir.log(), weir.http("/status")[1], weir.http("/metrics")[1], str(weir.admin("CLIENTS")), str(weir.admin("INFO")),
             str(weir.admin("CONFIG", "GET", "*")),
             subprocess.run([weir.binary, "-c", weir.config_path, "-T"], capture_output=True, text=True, check=True).stdout,
             open(f"/proc/{weir.pid}/cmdline").read(), open(f"/proc/{weir.pid}/environ").read()]
    for text in shown:
        for secret in (OWN, CLIENTS, WRONG):
            assert secret not in text


@pytest.mark.plain      # sanitizers keep what was freed
def test_nothing_stays_in_memory(group):
    weir = group.weir
    use_them(weir)
    assert found_in_memory(weir, WRONG) == [], "nobody has ever needed it"
    with weir.raw() as raw:
        assert raw.command("AUTH", "ann", CLIENTS) == "OK"
        assert raw.command("GET", "k") == b"v"
        found = found_in_memory(weir, CLIENTS)
        assert 1 <= len(found) <= 4, found  # one for each worker whose connections were made with it, and one on its way
    found = found_in_memory(weir, OWN)
    assert 1 <= len(found) <= 8, found
