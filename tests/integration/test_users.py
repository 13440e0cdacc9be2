"""ACLs are not replicated: a user's reads leave the master only for replicas
whose rules for him are the master's."""
from harness import PATIENCE, ServerError, wait_for

ALICE = ("ACL", "SETUSER", "alice", "on", ">secret", "~*", "+@all", "-@dangerous", "+role")


def give(servers, *rule):
    for server in servers:
        assert server.cli(*rule) == "OK"


def reads_of(group, count=40, user="alice", password="secret"):
    """How many of so many reads of that user each server got: (master, replicas)."""
    group.reset_calls()
    with group.weir.raw() as raw:
        if user:
            assert raw.command("AUTH", user, password) == "OK"
        assert raw.command("WEIR", "CONSISTENCY", "eventual") == "OK"   # the rules alone decide
        assert [raw.command("GET", "key") for _ in range(count)] == [b"value"] * count
    return group.master.calls().get("get", 0), [replica.calls().get("get", 0) for replica in group.replicas]


def left_for_user(group):
    return group.weir.status()["counters"]["left_user"]


def differing(group, replica):
    row = group.weir.replica_status(replica)
    return row["users_compared"], row["differing_users"], row["differing_user_names"]


def group_of(lab, replica_count=2, **options):
    group = lab.group(replica_count, **options)
    group.weir.client().set("key", "value")
    group.settle()
    return group


def all_compared(group):
    return all(group.weir.replica_status(replica)["users_compared"] for replica in group.replicas)


def wait_until_equal(group):
    def equal():
        seen = [differing(group, replica) for replica in group.replicas]
        assert seen == [(True, 0, [])] * len(seen), seen
        return True
    wait_for(equal, what="all users are the same everywhere")


def wait_on_replicas(group, user="alice"):
    """/status knows a moment before the workers do; new sessions take turns on them."""
    wait_for(lambda: [reads_of(group, 8, user)[0] for _ in range(4)] == [0] * 4, what="the user's reads go to the replicas")


def test_equal_rules_are_read_on_replicas(lab):
    group = group_of(lab)
    give(group.servers, *ALICE)
    # Entered in another way, and another time: the same all the same.
    give(group.servers[:1], "ACL", "SETUSER", "bob", "on", ">secret", "~b*", "~k*", "+get", "+set", "+role")
    give(group.servers[1:], "ACL", "SETUSER", "bob", "~k*", "~b*", ">secret", "+role", "+set", "+get", "on")
    wait_until_equal(group)
    for user in ("alice", "bob"):
        wait_on_replicas(group, user)
        on_master, on_replicas = reads_of(group, user=user)
        assert on_master == 0 and sum(on_replicas) == 40, user
    assert reads_of(group, user=None)[0] == 0


def test_a_user_who_is_missing_or_another_stays_on_the_master(lab):
    group = group_of(lab)
    give(group.servers, *ALICE)
    give(group.replicas[:1], "ACL", "SETUSER", "alice", "-get")
    give([group.master], "ACL", "SETUSER", "bob", "on", ">secret", "~*", "+@all")
    wait_for(lambda: differing(group, group.replicas[0]) == (True, 2, ["alice", "bob"]))
    wait_for(lambda: differing(group, group.replicas[1]) == (True, 1, ["bob"]))
    wait_on_replicas(group)
    before = left_for_user(group)
    assert reads_of(group) == (0, [0, 40]), "alice may be served by the second one"
    assert reads_of(group, user="bob") == (40, [0, 0])
    assert left_for_user(group) == before + 40
    assert reads_of(group, user=None)[0] == 0
    metrics = group.weir.metrics()
    assert [metrics[f'weir_replica_differing_users{{node="{replica.address}"}}'] for replica in group.replicas] == [2, 1]


def test_every_kind_of_rule_counts(lab):
    group = group_of(lab, 1)
    whole = ("reset", "on", ">secret", "~*", "&*", "+@all", "-@dangerous", "+role")
    changes = {"password": ["resetpass", ">other"], "state": ["off"], "command": ["-get"], "keys": ["resetkeys", "~k*"],
               "channels": ["resetchannels"], "selector": ["(~x +set)"], "payload": ["skip-sanitize-payload"]}
    for user in changes:
        give(group.servers, "ACL", "SETUSER", user, *whole)
    wait_until_equal(group)
    for user, change in changes.items():
        give(group.replicas, "ACL", "SETUSER", user, *change)
    wait_for(lambda: differing(group, group.replicas[0]) == (True, len(changes), sorted(changes)))
    for user in changes:
        assert reads_of(group, 10, user) == (10, [0]), user
        give(group.replicas, "ACL", "SETUSER", user, *whole)
    wait_until_equal(group)
    for user in changes:
        wait_on_replicas(group, user)


def test_a_change_through_weir_holds_at_once(lab):
    """No read after the change is served by what a replica still allows, on
    either worker, whoever made the change."""
    group = group_of(lab)
    give(group.servers, *ALICE)
    wait_until_equal(group)
    alices = [group.weir.raw() for _ in range(8)]
    with group.weir.raw() as admin:
        for raw in alices:
            assert raw.command("AUTH", "alice", "secret") == "OK"
        for turn in range(4):
            give(group.servers, *ALICE)
            wait_until_equal(group)
            wait_on_replicas(group)
            if turn % 2:
                assert admin.command("ACL", "SETUSER", "alice", "-get") == "OK"
            else:
                assert admin.commands([("MULTI",), ("ACL", "SETUSER", "alice", "-get"), ("EXEC",)])[-1] == ["OK"]
            for raw in alices:
                reply = raw.command("GET", "key")
                assert isinstance(reply, ServerError) and str(reply).startswith("NOPERM"), reply
        assert admin.command("ACL", "DELUSER", "alice") == 1
    for raw in alices:
        raw.close()


def test_a_user_made_through_weir_is_compared_at_once(lab):
    group = group_of(lab)
    with group.weir.raw() as admin, group.weir.raw() as raw:
        give(group.replicas, *ALICE)
        assert admin.command(*ALICE) == "OK"
        assert raw.command("AUTH", "alice", "secret") == "OK"
        wait_for(lambda: reads_of(group, 4)[0] == 0, timeout=0.5, what="not at the next check only")
        assert admin.command("ACL", "SETUSER", "alice", "+@all") == "OK"
        assert reads_of(group, 20) == (20, [0, 0])


def test_another_password_of_the_default_user(lab):
    """Set on the master through weir, then on the replicas."""
    group = group_of(lab)
    with group.weir.raw() as admin:
        assert admin.command("CONFIG", "SET", "requirepass", "secret") == "OK"
        group.master.password = "secret"
        assert reads_of(group, 20, "default") == (20, [0, 0])


def test_other_rules_of_the_default_user(lab):
    group = group_of(lab)
    give(group.replicas, "ACL", "SETUSER", "default", "-keys")
    wait_for(lambda: differing(group, group.replicas[0]) == (True, 1, ["default"]))
    wait_for(lambda: differing(group, group.replicas[1]) == (True, 1, ["default"]))
    assert reads_of(group, 20, None) == (20, [0, 0])
    give(group.replicas, "ACL", "SETUSER", "default", "+@all")
    wait_until_equal(group)
    wait_on_replicas(group, None)


def test_the_password_has_to_be_the_masters(lab):
    """A replica that lets somebody in decides nothing."""
    group = group_of(lab)
    give(group.servers, *ALICE)
    wait_until_equal(group)
    with group.weir.raw() as raw:
        assert str(raw.command("AUTH", "alice", "wrong")).startswith("WRONGPASS")
        assert raw.command("AUTH", "alice", "secret") == "OK"
        assert raw.command("ACL", "WHOAMI") == b"alice"


def test_the_replica_endpoint_goes_by_the_replicas_rules(lab):
    group = group_of(lab, replica_endpoint=True)
    give(group.replicas, "ACL", "SETUSER", "reporter", "on", ">secret", "~*", "+@read", "+role")
    wait_for(lambda: all_compared(group))
    with group.weir.raw(replica=True) as raw:
        assert raw.command("AUTH", "reporter", "secret") == "OK"
        assert [raw.command("GET", "key") for _ in range(10)] == [b"value"] * 10
    with group.weir.raw() as raw:
        assert str(raw.command("AUTH", "reporter", "secret")).startswith("WRONGPASS")


CONTROL = ("ACL", "SETUSER", "weir", "on", ">control", "resetchannels", "&__sentinel__:hello", "-@all", "+info", "+role",
           "+client", "+config", "+replicaof", "+pubsub", "+command", "+ping", "+psync", "+replconf")


def with_control_user(lab, *more):
    """weir's own user may do what the manual names, and no more than that."""
    args = ["--user", *CONTROL[2:], *more]
    secret = lab.directory / "secret"
    secret.write_text("control\n")
    secret.chmod(0o600)
    return lab.group(2, config={"auth": {"user": "weir", "password_file": secret}}, redis_args=args)


def test_a_control_user_who_may_not_see_the_rules(lab):
    """The default user's reads go to the replicas as ever; named users' stay."""
    group = with_control_user(lab)
    group.weir.client().set("key", "value")
    group.settle()
    give(group.servers, *ALICE)
    assert differing(group, group.replicas[0]) == (False, None, None)
    assert reads_of(group, 20, None)[0] == 0
    assert reads_of(group, 20) == (20, [0, 0])
    assert "cannot be compared" in group.weir.log() and "NOPERM" in group.weir.log()
    wait_for(lambda: group.weir.log().count("cannot be compared") == 3, what="it is told once for each server")
    give(group.servers, "ACL", "SETUSER", "weir", "+acl|list")
    wait_until_equal(group)
    wait_on_replicas(group)


def test_a_control_user_who_may(lab):
    group = with_control_user(lab, "+acl|list")
    group.weir.client().set("key", "value")
    group.settle()
    give(group.servers, *ALICE)
    wait_until_equal(group)
    wait_on_replicas(group)


def test_a_replica_that_comes_back_with_other_rules(lab):
    group = group_of(lab, 1)
    give(group.servers, *ALICE)
    wait_until_equal(group)
    wait_on_replicas(group)
    group.replicas[0].restart("--replicaof", "127.0.0.1", group.master.port,
                              "--user", *"alice on >secret ~* +@all".split())
    wait_for(lambda: group.weir.readable(group.replicas[0]), timeout=20)
    group.settle()
    assert reads_of(group, 20) == (20, [0])
    wait_for(lambda: differing(group, group.replicas[0]) == (True, 1, ["alice"]))
    give(group.replicas, *ALICE, "-@all", "+@all", "-@dangerous", "+role")
    wait_on_replicas(group)


def test_a_link_lost_over_the_question(lab):
    """What a server has told stays true for its run, and it is asked again."""
    group = group_of(lab, 1)
    give(group.servers, *ALICE)
    wait_until_equal(group)
    for _ in range(3):
        group.replicas[0].freeze()
        wait_for(lambda: not group.weir.readable(group.replicas[0]), timeout=20)
        group.replicas[0].thaw()
        wait_for(lambda: group.weir.readable(group.replicas[0]), timeout=20)
        wait_on_replicas(group)
    give(group.replicas, "ACL", "SETUSER", "alice", "-get")
    wait_for(lambda: differing(group, group.replicas[0]) == (True, 1, ["alice"]), timeout=40)


def test_many_users(lab):
    group = group_of(lab, 1)
    for server in group.servers:
        with server.client().pipeline(transaction=False) as pipe:
            for n in range(3000):
                pipe.execute_command("ACL", "SETUSER", f"user{n}", "on", f">secret{n}", f"~{n}*", "+@read", "+role")
            pipe.execute_command(*ALICE)
            pipe.execute()
    wait_until_equal(group)
    wait_on_replicas(group)
    give(group.replicas, "ACL", "SETUSER", "default", "+@all")
    with group.replicas[0].client().pipeline(transaction=False) as pipe:
        for n in range(100):
            pipe.execute_command("ACL", "SETUSER", f"user{n}", "off")
        pipe.execute()
    wait_for(lambda: differing(group, group.replicas[0])[:2] == (True, 100), timeout=20)
    names = differing(group, group.replicas[0])[2]
    assert len(names) == 16 and names == sorted(names)
    assert reads_of(group, 20)[0] == 0


def test_nothing_secret_is_shown(lab):
    group = group_of(lab)
    give(group.servers[:2], *ALICE)
    wait_for(lambda: differing(group, group.replicas[1]) == (True, 1, ["alice"]))
    reads_of(group)
    digest = next(rule[1:] for rule in group.master.cli("ACL", "LIST")[0].split() if rule.startswith("#"))
    assert len(digest) == 64
    shown = group.weir.log() + group.weir.http("/status")[1] + group.weir.http("/metrics")[1] + group.weir.http("/events")[1]
    assert digest not in shown and "secret" not in shown.replace("password", "")


def test_tagged_cursors_keep_to_the_rules(lab):
    """A user who may not be served by the cursor's replica any more is told so."""
    group = lab.group(1, config={"routing": {"scan": "replica", "backend_timeout": f"{200 * PATIENCE:g}ms"}})
    group.weir.client().set("key", "value")
    with group.weir.client().pipeline(transaction=False) as pipe:
        for n in range(1000):
            pipe.set(f"k:{n}", n)
        pipe.execute()
    give(group.servers, *ALICE)
    group.settle()
    wait_until_equal(group)
    wait_on_replicas(group)
    with group.weir.raw() as raw:
        raw.commands([("AUTH", "alice", "secret"), ("WEIR", "CONSISTENCY", "eventual")])
        cursor = raw.command("SCAN", 0)[0]
        tag = int(cursor) >> 34
        give(group.replicas, "ACL", "SETUSER", "alice", "-@all", "+get", "+role")
        wait_for(lambda: differing(group, group.replicas[0]) == (True, 1, ["alice"]))
        wait_for(lambda: int(raw.command("SCAN", 0)[0]) >> 34 != tag, what="a new one begins on the master")
        assert str(raw.command("SCAN", cursor)).startswith("NOREPLICA ")
