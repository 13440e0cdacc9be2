"""weir -t, -T, -V, -h, and what weir says of a bad file: a line on stderr for every
mistake, with file, line and key, and exit status 1."""
import os
import re
import signal
import subprocess

import pytest

from harness import HOST, PATIENCE, TOP, free_port, wait_for, weir_binary

GOOD = """\
[proxy]
listen = 127.0.0.1:7001
[replication]
master = 10.0.0.1:6379 name=first
replica = 10.0.0.2:6379 weight=3
"""


def weir(*arguments, cwd=None):
    """Without what is said of the ports that the files here name, or leave as they
    are by default: somebody else on this machine may use them."""
    result = subprocess.run([weir_binary(), *map(str, arguments)], cwd=cwd, capture_output=True, text=True,
                            timeout=30 * PATIENCE, stdin=subprocess.DEVNULL)
    result.stderr = re.sub(rf".*{HOST}:(7001|7379|7390) is in use now.*\n", "", result.stderr)
    return result


@pytest.fixture
def ini(tmp_path):
    def write(text):
        path = tmp_path / "proxy.ini"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path
    return write


def refused(path, *expected):
    """Both -t and a start say the same lines and exit with 1."""
    for arguments in (["-t"], [], ["-T"]):
        result = weir("-c", path, *arguments)
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr.splitlines() == [f"{path}:{line}" for line in expected]


def test_good_file(ini):
    result = weir("-t", "-c", ini(GOOD))
    assert (result.returncode, result.stderr) == (0, "")
    assert "valid" in result.stdout


def test_shipped_file():
    """proxy.ini as shipped is valid, and -T prints it word for word behind its
    introduction."""
    shipped = (TOP / "proxy.ini").read_text()
    result = weir("-T", "-c", TOP / "proxy.ini")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == shipped[shipped.index("[proxy]\n"):]


def test_default_path_is_the_working_directory(ini):
    assert weir("-t", cwd=ini(GOOD).parent).returncode == 0
    assert weir("-t", cwd="/").stderr == "proxy.ini: cannot be opened: No such file or directory\n"


def test_print_is_read_again_as_the_same(ini):
    first = weir("-T", "-c", ini(GOOD)).stdout
    assert "master = 10.0.0.1:6379 name=first" in first
    assert "replica = 10.0.0.2:6379 weight=3" in first
    assert weir("-T", "-c", ini(first)).stdout == first


def test_print_keeps_the_password_to_itself(ini, tmp_path):
    password = tmp_path / "password"
    password.write_text("tell nobody\n")
    password.chmod(0o600)
    result = weir("-T", "-c", ini(f"{GOOD}[auth]\nuser = weir\npassword_file = {password}\n"))
    assert result.returncode == 0
    assert f"password_file = {password}" in result.stdout
    assert "tell nobody" not in result.stdout + result.stderr


def test_open_password_file(ini, tmp_path):
    password = tmp_path / "password"
    password.write_text("tell nobody\n")
    password.chmod(0o644)
    refused(ini(f"{GOOD}[auth]\npassword_file = {password}\n"),
            f"7: [auth] password_file: {password} is open to every user of this machine (mode 0644); make it 0600")
    password.chmod(0o660)
    refused(ini(f"{GOOD}[auth]\npassword_file = {password}\n"),
            f"7: [auth] password_file: {password} can be changed by its group (mode 0660); make it 0600")
    password.chmod(0o440)
    assert weir("-t", "-c", ini(f"{GOOD}[auth]\npassword_file = {password}\n")).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_password_file_of_another_user(ini, tmp_path):
    password = tmp_path / "password"
    password.write_text("tell nobody\n")
    password.chmod(0o600)
    os.chown(password, 12345, -1)
    refused(ini(f"{GOOD}[auth]\npassword_file = {password}\n"),
            f"7: [auth] password_file: {password} belongs to another user (12345)")


@pytest.mark.parametrize("text, expected", [
    (GOOD + "[proxy]\nmax_clients = abc\n",
     '7: [proxy] max_clients: expected a number from 1 to 10000000, got "abc"'),
    ("[proxy]\nmax_client = 1\n",
     "2: [proxy] max_client: unknown key; did you mean [proxy] max_clients?"),
    ("[prox]\n", "1: [prox]: unknown section; did you mean [proxy]?"),
    ("workers = 1\n", "1: workers: expected a [section] in front of the first key"),
    (GOOD + "master = 10.0.0.9:6379\n", "6: [replication] master: stands a second time, first in line 4"),
    (GOOD + "replica = 10.0.0.1:6379\n", "6: [replication] replica: two servers have the address 10.0.0.1:6379"),
    (GOOD + "replica = 10.0.0.3\n", '6: [replication] replica: expected host:port or [v6]:port, got "10.0.0.3"'),
    ("[proxy]\nlisten = 127.0.0.1:7001\n",
     " [replication] master: expected host:port of the master, found none"),
    ("", " [replication] master: expected host:port of the master, found none"),
    (GOOD + "[routing]\nmax_lag = 1 day\n",
     '7: [routing] max_lag: expected a time from 1ms to 24h (250ms, 5s, 1m), got "1 day"'),
    (GOOD + "[routing]\nconsistency = maybe\n",
     '7: [routing] consistency: expected eventual | session | strong, got "maybe"'),
    (GOOD + "[routing]\nmax_lag = 1s\n  2s\n", "8: expected no blank at the beginning of the line"),
    (GOOD + "; " + 200 * "x" + "\n", "6: expected at most 190 bytes in a line, got 202"),
    (b"[proxy]\nworkers = 2\0\n", "2: control character 0x00 in column 12"),
])
def test_bad_files(ini, text, expected):
    refused(ini(text), expected)


def test_every_mistake_is_told(ini, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("too short\n")
    secret.chmod(0o600)
    refused(ini(f"""\
[proxy]
listen = 127.0.0.1:70000
max_client = 5
[replicaton]
master = a:1
[routing]
wiring = observe
max_lag = soon
[auth]
password_file = {tmp_path}/missing
[admin]
token_file = {secret}
"""),
            '2: [proxy] listen: expected host:port, [v6]:port or unix:/path, got "127.0.0.1:70000"',
            "3: [proxy] max_client: unknown key; did you mean [proxy] max_clients?",
            "4: [replicaton]: unknown section; did you mean [replication]?",
            "7: [routing] wiring: unknown key; did you mean [replication] wiring?",
            '8: [routing] max_lag: expected a time from 1ms to 24h (250ms, 5s, 1m), got "soon"',
            f"10: [auth] password_file: {tmp_path}/missing cannot be opened: No such file or directory",
            f"12: [admin] token_file: {secret}: expected a token of 16 bytes at least")


def test_addresses_are_tried(ini, tmp_path):
    port, other = free_port(), free_port()
    (tmp_path / "file").write_text("")
    path = ini(f"""\
[proxy]
listen = {HOST}:{port}
listen = 192.0.2.1:{other}
listen = unix:{tmp_path}/nowhere/weir.sock
listen = unix:{tmp_path}/file
listen_replica = 0.0.0.0:{port}
workers = many
[replication]
replica = no-such-host.invalid:6379
[admin]
listen =
""")
    result = weir("-t", "-c", path)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [f"{path}:{line}" for line in (
        '7: [proxy] workers: expected auto or a number from 1 to 256, got "many"',
        " [replication] master: expected host:port of the master, found none",
        f" [proxy] listen: cannot listen on unix:{tmp_path}/nowhere/weir.sock: No such file or directory",
        f" [proxy] listen: cannot listen on unix:{tmp_path}/file: File exists",
        " [replication] replica: no-such-host.invalid: no address of that name was found in 1000ms",
        f" [proxy] listen: cannot listen on 192.0.2.1:{other}: Cannot assign requested address",
        f" [proxy] listen_replica: cannot listen on 0.0.0.0:{port}: another line has its port already")]


def test_a_weir_that_runs_is_no_mistake(lab, tmp_path):
    """-t in front of a reload: the addresses are in use, as they should be, and
    stay so."""
    group = lab.group(1, config={"proxy": {"listen_replica": f"unix:{tmp_path}/weir.sock"}})
    result = weir("-t", "-c", group.weir.config_path)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"unix:{tmp_path}/weir.sock is in use now: well if that is the weir that this file is for" in result.stdout
    assert result.stdout.count("in use now") == 3
    assert "valid (checked: every line, 3 addresses to listen on, 2 servers' names; no server was asked)" in result.stdout
    assert group.weir.client().ping()
    assert (tmp_path / "weir.sock").is_socket()


def test_unreadable_files(tmp_path):
    refused(tmp_path / "missing.ini", " cannot be opened: No such file or directory")
    refused(tmp_path, " is not a regular file")
    os.mkfifo(tmp_path / "fifo.ini")
    refused(tmp_path / "fifo.ini", " is not a regular file")


def test_port_in_use(lab, ini):
    server = lab.redis()
    text = f"[proxy]\nlisten = {HOST}:{server.port}\n[replication]\nmaster = 10.0.0.1:6379\n"
    result = weir("-c", ini(text))
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert re.search(rf"{HOST}:{server.port}.*in use", result.stderr)


def test_hangup_with_a_bad_file_changes_nothing(lab):
    group = lab.group(1)
    group.weir.config_path.write_text("[nonsense\n")
    group.weir.signal(signal.SIGHUP)
    wait_for(lambda: "weir.ini:1: expected [section]" in group.weir.log())
    assert group.weir.client().set("a", "1")


def test_addresses_of_every_kind(lab, tmp_path):
    """TCP, IPv6 and a unix socket side by side; admin on a unix socket."""
    master = lab.redis()
    weir_process = lab.weir(master, config={"proxy": {"listen": [f"{HOST}:{(port := free_port())}",
                                                                 f"[::1]:{port}", f"unix:{tmp_path}/weir.sock"]}},
                            start=False)
    weir_process.port = port
    weir_process.start().wait_state("ok")
    import redis
    assert redis.Redis(host=HOST, port=port).ping()
    assert redis.Redis(host="::1", port=port).ping()
    assert redis.Redis(unix_socket_path=f"{tmp_path}/weir.sock").ping()


@pytest.mark.parametrize("arguments, status, stream, text", [
    (["-V"], 0, "stdout", "weir "),
    (["-h"], 0, "stdout", "usage: weir"),
    (["-x"], 1, "stderr", "usage: weir"),
    (["extra"], 1, "stderr", 'unexpected argument "extra"'),
    (["-c"], 1, "stderr", "usage: weir"),
])
def test_options(arguments, status, stream, text):
    result = weir(*arguments)
    assert result.returncode == status
    assert text in getattr(result, stream)
