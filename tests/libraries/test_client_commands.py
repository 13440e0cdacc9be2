"""The CLIENT family, as administrators use it through redis-py: it speaks of
the clients of the front, whatever stands behind it."""
import threading
import time

import pytest
import redis

from fronts import messages, scenario
from harness import PATIENCE, wait_for


@scenario
def test_kill(front):
    """CLIENT KILL closes the one that was meant; the library connects again."""
    admin, victim, bystander = front.client(), front.client(client_name="victim"), front.client()
    bystander_id = bystander.client_id()
    first = victim.client_id()
    seen = [admin.client_kill_filter(_id=first)]
    seen.append(victim.set("k", "v"))
    assert victim.client_id() != first
    (row,) = [row for row in admin.client_list() if row["name"] == "victim"]
    seen.append(admin.client_kill(row["addr"]))
    seen.append(victim.get("k"))
    with victim.pipeline() as pipe:
        pipe.watch("k")
        watching = pipe.immediate_execute_command("CLIENT", "ID")
        seen.append(admin.client_kill_filter(_id=watching))
        with pytest.raises((redis.ConnectionError, redis.WatchError)):
            pipe.get("k")
            pipe.multi()
            pipe.set("k", "lost").execute()
    subscriber = victim.pubsub()
    subscriber.subscribe("c")
    seen += messages(subscriber, 1)
    seen.append(admin.client_kill_filter(_type="pubsub"))
    wait_for(lambda: admin.pubsub_numsub("c")[0][1] == 0, what="the subscriber is gone")
    with pytest.raises(redis.ResponseError) as raised:
        admin.client_kill("127.0.0.1:1")
    assert bystander.client_id() == bystander_id, "nobody else was"
    return seen + [str(raised.value), admin.client_kill_filter(_id="999999999"), victim.get("k")]


@scenario
def test_kill_of_a_blocked_client(front):
    admin, errors = front.client(), []

    def wait():
        try:
            front.client(client_name="blocked").blpop("q", 30)
        except redis.RedisError as error:
            errors.append(type(error).__name__)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    wait_for(lambda: admin.info("clients")["blocked_clients"] == 1, what="it is blocked")
    (row,) = [row for row in admin.client_list() if row["name"] == "blocked"]
    seen = [row["cmd"], "b" in row["flags"], admin.client_kill_filter(_id=row["id"])]
    thread.join(10 * PATIENCE)
    wait_for(lambda: admin.info("clients")["blocked_clients"] == 0, what="nobody is blocked")
    admin.rpush("q", "kept")
    return seen, errors, admin.lrange("q", 0, -1)


@scenario
def test_kill_by_user_and_type(front):
    admin = front.client()
    admin.acl_setuser("guest", enabled=True, nopass=True, keys=["*"], commands=["+@all"])
    try:
        guests = [front.client(username="guest", password="any") for _ in range(3)]
        ids = [guest.client_id() for guest in guests]
        seen = [admin.client_kill_filter(_type="normal", user="guest", skipme=True)]
        assert not set(ids) & {guest.client_id() for guest in guests}
        seen += [admin.client_kill_filter(user="guest"), admin.client_kill_filter(user="guest")]
        admin.acl_deluser("guest")
        with pytest.raises(redis.RedisError):
            guests[0].ping()
        return seen
    finally:
        admin.acl_deluser("guest")


@scenario
def test_unblock(front):
    admin, results = front.client(), {}

    def wait(name):
        client = front.client(client_name=name)
        try:
            results[name] = client.blpop("q", 30)
        except redis.RedisError as error:
            results[name] = str(error)

    threads = [threading.Thread(target=wait, args=(name,), daemon=True) for name in ("timeout", "error")]
    for thread in threads:
        thread.start()
    wait_for(lambda: admin.info("clients")["blocked_clients"] == 2, what="both are blocked")
    ids = {row["name"]: row["id"] for row in admin.client_list()}
    seen = [admin.client_unblock(ids["timeout"]), admin.client_unblock(ids["error"], error=True), admin.client_unblock(admin.client_id())]
    for thread in threads:
        thread.join(10 * PATIENCE)
    return seen, results


@scenario
def test_pause(front):
    """CLIENT PAUSE holds writes back and lets reads pass, until UNPAUSE or the time."""
    admin, other = front.client(), front.client()
    other.set("k", 0)
    seen = [admin.client_pause(20000, all=False), other.get("k")]
    done = []
    writer = threading.Thread(target=lambda: done.append(other.incr("k")), daemon=True)
    writer.start()
    writer.join(0.3)
    seen += [list(done), front.client().get("k"), admin.client_unpause()]
    writer.join(10 * PATIENCE)
    seen += list(done)
    begin = time.monotonic()
    seen += [admin.client_pause(300), other.get("k")]
    assert time.monotonic() - begin > 0.25
    return seen


@scenario
def test_reply(front):
    """Through a plain connection: the library has no way to read nothing."""
    connection = front.client().connection_pool.get_connection("CLIENT")
    connection.send_command("CLIENT", "REPLY", "OFF")
    for n in range(100):
        connection.send_command("INCR", "n")
    connection.send_command("CLIENT", "REPLY", "ON")
    seen = [connection.read_response()]
    connection.send_command("CLIENT", "REPLY", "SKIP")
    connection.send_command("INCR", "n")
    connection.send_command("GET", "n")
    seen.append(connection.read_response())
    connection.disconnect()
    return seen


@scenario
def test_list_and_others(front):
    admin = front.client(client_name="admin")
    named = [front.client(client_name=f"named-{n}", db=n) for n in range(3)]
    for client in named:
        client.get("k")
    rows = {row["name"]: row for row in admin.client_list() if row["name"]}
    seen = [sorted(rows), [(rows[f"named-{n}"]["db"], rows[f"named-{n}"]["cmd"]) for n in range(3)]]
    ids = [client.client_id() for client in named]
    seen.append([row["name"] for row in sorted(admin.execute_command("CLIENT LIST", "ID", *ids), key=lambda row: int(row["id"]))])
    subscriber = front.client(client_name="hears").pubsub()
    subscriber.subscribe("c")
    messages(subscriber, 1)
    seen.append([(row["name"], row["sub"], row["flags"]) for row in admin.client_list(_type="pubsub")])
    seen += [admin.client_no_evict("ON"), admin.client_no_evict("OFF"), admin.client_trackinginfo(), admin.client_getredir()]
    with pytest.raises(redis.ResponseError) as raised:
        admin.client_setname("with blanks")
    return seen + [str(raised.value), admin.client_setname("plain"), admin.client_getname()]
