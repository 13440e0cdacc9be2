"""/history: the last ten minutes, second by second."""
import json
import time

from harness import wait_for

COLUMNS = ("clients", "reads_on_replicas", "reads_on_master", "writes", "others")
NODE_COLUMNS = ("requests", "lag_us", "lag_bytes", "p50_us", "p99_us")


def history(weir, since=None):
    status, body = weir.http("/history" if since is None else f"/history?since={since}")
    assert status == 200
    return json.loads(body)


def test_a_sample_each_second(lab):
    group = lab.group(2)
    begun = time.time()
    document = wait_for(lambda: (d := history(group.weir))["newest"] >= 3 and d, what="three samples")
    assert document["step_seconds"] == 1
    assert all(len(document[column]) == len(document["time"]) == document["newest"] for column in COLUMNS)
    assert [node["name"] for node in document["nodes"]] == [server.address for server in group.servers]
    assert all(len(node[column]) == document["newest"] for node in document["nodes"] for column in NODE_COLUMNS)
    steps = [later - earlier for earlier, later in zip(document["time"], document["time"][1:])]
    assert all(0 < step < 10 for step in steps), steps
    assert all(begun - 20 < moment < time.time() + 1 for moment in document["time"])
    assert history(group.weir, document["newest"] + 100)["time"] == []


def test_what_was_done_is_what_is_shown(lab):
    group = lab.group(2)
    with group.weir.client() as client:
        client.set("k", "v")
        group.caught_up()
        for _ in range(500):
            client.get("k")
            client.set("k", "v")
            client.type("k")
        wanted = group.weir.status()["commands"]
        newest = history(group.weir)["newest"]
        document = wait_for(lambda: (d := history(group.weir))["newest"] >= newest + 2 and d, what="two samples more")
        # Rates of about a second each: their sum is about the count.
        for column, count in [("writes", wanted["writes"]), ("reads_on_replicas", wanted["reads_on_replicas"]),
                              ("reads_on_master", wanted["reads_on_master"])]:
            assert sum(document[column]) >= 0.5 * count, (column, count, document[column])
            assert sum(document[column]) <= 1.5 * count + 3, (column, count, document[column])
        assert document["clients"][-1] == 1
        replicas = document["nodes"][1:]
        # Each replica answered its share, in a time that is known.
        answered = [sum(count for count in node["requests"] if count) for node in document["nodes"]]
        assert 0.5 * wanted["reads_on_replicas"] <= sum(answered[1:]) <= 1.5 * wanted["reads_on_replicas"] + 3
        assert answered[0] >= 0.5 * wanted["writes"]
        for node in document["nodes"]:
            times = [(p50, p99) for p50, p99, count in zip(node["p50_us"], node["p99_us"], node["requests"]) if count]
            assert times and all(0 <= p50 <= p99 < 10e6 for p50, p99 in times), times
        assert all(node["lag_bytes"][-1] == 0 and node["lag_us"][-1] is not None for node in replicas)


def test_a_dead_replica_has_no_lag(lab):
    group = lab.group(1)
    group.replicas[0].kill()

    def unknown():
        node = history(group.weir)["nodes"][1]
        return node["lag_us"] and node["lag_us"][-1] is None and node["lag_bytes"][-1] is None
    wait_for(unknown, what="the lag of who is dead is not known")
