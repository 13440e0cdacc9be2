"""What weir answers itself, where a server's rules or its words would be others:
compared with the master, side by side."""
from harness import ServerError, wait_for

VERBS = [("CLIENT", "ID"), ("CLIENT", "INFO"), ("CLIENT", "GETNAME"), ("CLIENT", "SETNAME", "x"), ("CLIENT", "LIST"),
         ("CLIENT", "NO-EVICT", "ON"), ("CLIENT", "UNBLOCK", "1"), ("CLIENT", "SETINFO", "LIB-NAME", "x")]
NOAUTH = ServerError("NOAUTH Authentication required.")


def same_kind(mine, its):
    return mine == its if isinstance(its, ServerError) or isinstance(mine, ServerError) else type(mine) is type(its)


def test_who_may_not_say_it_is_not_answered(lab):
    """Neither alone nor in a transaction; and when he may, he is, at once."""
    group = lab.group(1)
    with group.weir.raw() as admin, group.weir.raw() as raw, group.master.raw() as direct:
        assert admin.command("ACL", "SETUSER", "mary", "on", ">pw", "~*", "+get", "+multi", "+exec") == "OK"
        for client in (raw, direct):
            assert client.command("AUTH", "mary", "pw") == "OK"
        for _ in range(2):
            for words in VERBS:
                mine, its = raw.command(*words), direct.command(*words)
                assert isinstance(mine, ServerError) and mine == its, words
                assert raw.commands([("MULTI",), words, ("EXEC",)]) == direct.commands([("MULTI",), words, ("EXEC",)])
        assert admin.command("ACL", "SETUSER", "mary", "+client") == "OK"
        for words in VERBS:
            assert same_kind(raw.command(*words), direct.command(*words)), words
        assert admin.command("ACL", "SETUSER", "mary", "-client") == "OK"
        for words in VERBS:
            assert raw.command(*words) == direct.command(*words), words


def test_weirs_connections_keep_their_name(lab):
    group = lab.group(0, {"proxy": {"workers": 1}})
    with group.weir.raw() as raw, group.weir.raw() as other:
        assert raw.commands([("CLIENT", "SETNAME", "mine"), ("CLIENT", "GETNAME")]) == ["OK", b"mine"]
        assert raw.commands([("MULTI",), ("CLIENT", "SETNAME", "second"), ("CLIENT", "GETNAME"), ("EXEC",)])[-1] == ["OK", b"second"]
        assert other.command("CLIENT", "GETNAME") is None
    names = {row["name"] for row in group.master.client().client_list()}
    assert not names & {"mine", "second"}


def test_the_master_is_asked_once_a_second(lab):
    group = lab.group(0, {"proxy": {"workers": 1}})
    with group.weir.raw() as raw:
        assert raw.command("CLIENT", "GETNAME") is None
        group.reset_calls()
        assert raw.commands([("CLIENT", "GETNAME")] * 500) == [None] * 500
        assert group.master.calls().get("client|getname", 0) < 10


def test_while_there_is_no_master_weir_answers_alone(lab):
    group = lab.group(1, {"health": {"timeout": "200ms", "fall": 1}})
    with group.weir.raw(timeout=3) as raw:
        assert raw.command("PING") == "PONG"
        group.master.kill()
        wait_for(lambda: group.weir.status()["state"] == "no_master")
        assert raw.commands([("CLIENT", "SETNAME", "x"), ("CLIENT", "GETNAME")]) == ["OK", b"x"]


def test_client_info_inside_exec(lab):
    group = lab.group(0)

    def shown(raw):
        answers = raw.commands([("MULTI",), ("CLIENT", "INFO"), ("PING",), ("EXEC",), ("CLIENT", "INFO")])
        lines = [dict(word.split(b"=", 1) for word in line.split()) for line in (answers[3][0], answers[4])]
        return [(line[b"flags"], line[b"multi"], line[b"cmd"]) for line in lines]

    wait_for(lambda: "commands from the master" in group.weir.log())
    with group.weir.raw() as raw, group.master.raw() as direct:
        assert shown(raw) == shown(direct) == [(b"x", b"2", b"exec"), (b"N", b"-1", b"client|info")]


def test_an_unknown_verb_is_called_as_the_client_called_it(lab):
    group = lab.group(0)
    wait_for(lambda: "commands from the master" in group.weir.log())
    with group.weir.raw() as raw, group.master.raw() as direct:
        for words in ("client", "no-touch", "on"), ("Client", "No-Evict", "ON"), ("client", "no-evict", "foo"):
            assert raw.command(*words) == direct.command(*words), words


# ---- passwords

STRANGERS = [("GET", "k"), ("EXEC",), ("EXEC", "x"), ("SELECT",), ("CLIENT", "ID", "x"), ("CLIENT", "ID"), ("BLPOP",), ("BLPOP", "k", "1"),
             ("WATCH",), ("MULTI", "x"), ("SUBSCRIBE",), ("REPLICAOF",), ("WAIT", "1"), ("PING",), ("SCRIPT", "KILL", "x")]


def test_what_a_stranger_is_told(lab):
    master = lab.redis("--requirepass", "secret", name="master")
    master.password = "secret"
    secret = master.directory / "secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    weir = lab.weir(master, config={"auth": {"password_file": secret}}).wait_state("ok")
    with weir.raw() as raw, master.raw() as direct:
        wait_for(lambda: raw.command("GET", "k") == NOAUTH)
        for words in STRANGERS:
            assert raw.command(*words) == direct.command(*words), words


def test_who_was_let_in_stays_when_a_password_is_set(lab):
    """Also when a new connection for him is refused; and whoever comes is asked."""
    group = lab.group(0, {"proxy": {"workers": 1}})
    with group.weir.raw() as raw, group.weir.raw() as other:
        assert other.commands([("SET", "k", "v"), ("HELLO", 2)])[0] == "OK"
        assert raw.command("CONFIG", "SET", "requirepass", "pw") == "OK"
        try:
            assert isinstance(other.command("SELECT", 3), ServerError), "its connection has to be made first"
            assert raw.command("GET", "k") == b"v" and other.command("GET", "k") == b"v"

            def refused():
                with group.weir.raw() as fresh:
                    return fresh.command("GET", "k") == NOAUTH
            wait_for(refused, timeout=0.9, what="and not only when the second is over")
        finally:
            assert raw.command("CONFIG", "SET", "requirepass", "") == "OK"

        def let_in():
            with group.weir.raw() as fresh:
                return fresh.command("GET", "k") == b"v"
        wait_for(let_in, timeout=0.9)
