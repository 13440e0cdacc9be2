"""Who may do what on the admin endpoint: by where he comes from, by the token,
and by the name that a browser was led here under."""
import http.client
import socket
import subprocess

import pytest

from harness import HOST, PATIENCE, Lab, Raw, wait_for, weir_binary

TOKEN = "correct-horse-battery-staple"
# Verbs that change something, or show what clients say.
GUARDED = [["DRAIN", "x"], ["ENABLE", "x"], ["ACCEPT", "MASTER"]]


def own_address():
    """An address of this machine that is not loopback, as another machine would
    use it; no packet is sent for this."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("203.0.113.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return probe.getsockname()[0]


def token_file(tmp_path, text=TOKEN + "\n", mode=0o600):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def start(lab, **admin):
    weir = lab.weir(lab.redis(), start=False)
    weir.settings["admin"].update({key: str(value).format(port=weir.admin_port) for key, value in admin.items()})
    weir.start(wait=not admin.get("listen", "").startswith("unix:"))
    return weir


def refused_by_test(weir):
    """What `weir -t` complains of in its file."""
    weir.config_path.write_text(weir.ini())
    result = subprocess.run([weir_binary(), "-t", "-c", weir.config_path], capture_output=True, text=True, timeout=60)
    assert result.returncode != 0
    return result.stdout + result.stderr


def ask(weir, method, path, body=None, host=None, where=HOST, **headers):
    connection = http.client.HTTPConnection(where, weir.admin_port, timeout=10 * PATIENCE)
    connection.putrequest(method, path, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    for name, value in headers.items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    text = response.read().decode(errors="replace")
    connection.close()
    return response, text


def bearer(token=TOKEN):
    return {"Authorization": f"Bearer {token}"}


# ---- the console

def refused_with(reply, word):
    return str(reply).startswith(word)


def test_loopback_without_a_token_may_everything(shared_group):
    for words in GUARDED:
        reply = shared_group.weir.admin(*words)
        assert not refused_with(reply, "NOAUTH"), (words, reply)
    assert refused_with(shared_group.weir.admin("AUTH", TOKEN), "ERR there is no token")


def test_a_unix_socket_without_a_token_may_everything(lab, tmp_path):
    weir = start(lab, listen=f"unix:{tmp_path}/admin.sock")

    def reply(*words):
        with Raw(f"{tmp_path}/admin.sock") as raw:
            return raw.command(*words)
    wait_for(lambda: reply("PING") == "PONG")
    assert refused_with(reply("DRAIN", "x"), "ERR ")
    weir.stop()


def test_where_there_is_a_token_it_is_asked_for(lab, tmp_path):
    weir = start(lab, token_file=token_file(tmp_path))
    with Raw((HOST, weir.admin_port)) as raw:
        assert raw.command("PING") == "PONG"
        for words in GUARDED:
            assert refused_with(raw.command(*words), "NOAUTH this wants the token"), words
        for wrong in ["", "x", TOKEN + "x", TOKEN[:-1], TOKEN[:-1] + "x", "x" + TOKEN[1:], TOKEN * 2, TOKEN.upper()]:
            assert refused_with(raw.command("AUTH", wrong), "WRONGPASS"), wrong
        assert refused_with(raw.command("DRAIN", "x"), "NOAUTH")
        assert raw.command("AUTH", TOKEN) == "OK"
        assert refused_with(raw.command("DRAIN", "x"), "ERR ")
        assert refused_with(raw.command("AUTH", "wrong"), "WRONGPASS")
        assert refused_with(raw.command("DRAIN", "x"), "ERR ")
    with Raw((HOST, weir.admin_port)) as raw:
        assert refused_with(raw.command("DRAIN", "x"), "NOAUTH"), "another connection has shown nothing"
        assert refused_with(raw.command("AUTH", "anybody", TOKEN), "OK")
    with Raw((HOST, weir.admin_port)) as raw:
        assert refused_with(raw.command("HELLO", "2", "AUTH", "default", "wrong", "SETNAME", "me"), "WRONGPASS")
        assert b"weir" in raw.command("HELLO", "2", "AUTH", "default", TOKEN, "SETNAME", "me")
        assert refused_with(raw.command("DRAIN", "x"), "ERR ")


def test_other_machines_only_look(lab):
    """Without a token nobody changes anything from afar."""
    address = own_address()
    weir = start(lab, listen="0.0.0.0:{port}")
    assert f"whoever reaches 0.0.0.0:{weir.admin_port} may see how everything is; nothing can be changed" in weir.log()
    for host in (address, HOST):
        with Raw((host, weir.admin_port)) as raw:
            assert raw.command("PING") == "PONG"
            assert b"# Replication" in raw.command("INFO")
            for words in GUARDED:
                assert refused_with(raw.command(*words), "NOAUTH this is not for other machines"), (host, words)
    assert ask(weir, "GET", "/status", where=address)[0].status == 200
    assert ask(weir, "POST", "/console", b"PING", where=address, **bearer())[0].status == 403


def test_other_machines_with_the_token(lab, tmp_path):
    address = own_address()
    weir = start(lab, listen="0.0.0.0:{port}", token_file=token_file(tmp_path))
    assert "may see how everything is; changes need the token" in weir.log()
    with Raw((address, weir.admin_port)) as raw:
        assert refused_with(raw.command("DRAIN", "x"), "NOAUTH this wants the token")
        assert raw.command("AUTH", TOKEN) == "OK"
        assert refused_with(raw.command("DRAIN", "x"), "ERR ")
    assert ask(weir, "POST", "/console", b"PING", where=address, **bearer())[1] == "PONG\n"


@pytest.mark.parametrize("text, mode, expected", [
    (TOKEN, 0o644, "is open to every user of this machine"),
    (TOKEN, 0o602, "is open to every user of this machine"),
    ("short", 0o600, "expected a token of 16 bytes at least"),
    ("", 0o600, "expected one line and nothing else"),
    (f"{TOKEN}\n{TOKEN}\n", 0o600, "expected one line and nothing else"),
    (None, 0o600, "cannot be opened"),
])
def test_bad_token_files(lab, tmp_path, text, mode, expected):
    path = tmp_path / "none" if text is None else token_file(tmp_path, text, mode)
    weir = lab.weir(lab.redis(), start=False)
    weir.settings["admin"]["token_file"] = path
    output = refused_by_test(weir)
    assert f"[admin] token_file: {path}" in output and expected in output
    assert TOKEN not in output


# ---- HTTP

def test_changes_over_http_want_a_token_always(shared_group):
    """Loopback or not: any page in a browser on this machine could ask."""
    response, text = ask(shared_group.weir, "POST", "/console", b"PING")
    assert response.status == 403 and "[admin] token_file" in text
    assert ask(shared_group.weir, "POST", "/console", b"PING", **bearer())[0].status == 403


def test_post(lab, tmp_path):
    group = lab.group(1, config={"admin": {"token_file": token_file(tmp_path)}})
    weir, name = group.weir, group.replicas[0].address
    for headers in [{}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "},
                    {"Authorization": TOKEN}, {"Authorization": f"Basic {TOKEN}"}, bearer(TOKEN[:-1]), bearer(TOKEN + "x")]:
        response, _ = ask(weir, "POST", "/console", f"DRAIN {name}".encode(), **headers)
        assert response.status == 401, headers
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert weir.replica_status(group.replicas[0])["drained"] is False

    response, text = ask(weir, "POST", "/console", f"DRAIN {name}\r\n".encode(), **bearer())
    assert (response.status, text) == (200, "OK\n")
    wait_for(lambda: weir.replica_status(group.replicas[0])["drained"] is True)
    assert ask(weir, "POST", "/console", f"enable '{name}'".encode(), authorization=f"bearer {TOKEN}")[1] == "OK\n"
    wait_for(lambda: weir.replica_status(group.replicas[0])["drained"] is False)

    response, text = ask(weir, "POST", "/console", b"REPLICAS", **bearer())
    assert response.status == 200 and text.splitlines()[0].startswith("name ") and len(text.splitlines()) == 2
    assert "# Server\r\n" in ask(weir, "POST", "/console", b"INFO", **bearer())[1]
    for body in [b"", b"\n", b"PING\nPING", b"'", b"NOSUCH", b"DRAIN", b"DRAIN nobody", b"x " * 100, b"\x00\xff"]:
        response, text = ask(weir, "POST", "/console", body, **bearer())
        assert response.status == 400 and text.startswith("ERR "), body
    assert ask(weir, "POST", "/console", b"x" * 5000, **bearer())[0].status == 413
    response, _ = ask(weir, "GET", "/console", **bearer())
    assert (response.status, response.headers["Allow"]) == (405, "POST")


def test_a_body_that_comes_in_pieces(lab, tmp_path):
    weir = start(lab, token_file=token_file(tmp_path))
    with Raw((HOST, weir.admin_port)) as raw:
        raw.send(b"POST /console HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %b\r\n"
                 b"Content-Length: 10\r\n\r\nPI" % TOKEN.encode())
        for piece in (b"NG ", b"yo", b"urs"):
            raw.send(piece)
        assert raw.read_all().endswith(b"\r\n\r\nyours\n")


# ---- names

OURS = ["localhost", "localhost:7390", "LOCALHOST", "weir.localhost", HOST, f"{HOST}:1", "[::1]:7390", "10.1.2.3:80",
        socket.gethostname(), "weir.example", "WEIR.example:7390", "other"]
NOT_OURS = ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3", "a", "", "[", ":80",
            "weir.example.evil", "xlocalhost", "x" * 300]


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("named"))
    try:
        yield lab.weir(lab.redis(), config={"admin": {"hosts": "weir.example, other"}})
    finally:
        lab.close()


@pytest.mark.parametrize("host", OURS)
def test_names_that_are_ours(named, host):
    assert ask(named, "GET", "/livez", host=host)[0].status == 200


@pytest.mark.parametrize("host", NOT_OURS)
def test_names_that_are_not(named, host):
    """A name that somebody else owns and has pointed here: his page may not read
    what we answer (DNS rebinding)."""
    for path in ("/livez", "/status", "/nothing"):
        response, text = ask(named, "GET", path, host=host)
        assert response.status == 421 and "[admin] hosts" in text


def test_without_a_name(named):
    """HTTP/1.0 has none, and no browser speaks it."""
    with Raw((HOST, named.admin_port)) as raw:
        raw.send(b"GET /livez HTTP/1.0\r\n\r\n")
        assert b"200 OK" in raw.read_all()


@pytest.mark.parametrize("value", ["a:80", "http://a", "a/b", "a*"])
def test_hosts_are_names(lab, value):
    weir = lab.weir(lab.redis(), start=False)
    weir.settings["admin"]["hosts"] = value
    assert "[admin] hosts: expected names of hosts, without ports" in refused_by_test(weir)
