"""/events: what an operator is told afterwards of what happened at night."""
import datetime
import json
import re

from harness import wait_for


def events(weir, since=None):
    status, body = weir.http("/events" if since is None else f"/events?since={since}")
    assert status == 200
    return json.loads(body)


def told(weir, kind, node=None, since=0):
    name = node if node is None or isinstance(node, str) else node.address
    return [event for event in events(weir, since)["events"] if event["kind"] == kind and name in (None, event["node"])]


def newest(weir):
    return events(weir)["newest"]


def test_start_is_told(lab):
    weir = lab.group(1).weir
    document = events(weir)
    kinds = [event["kind"] for event in document["events"]]
    for kind in ("started", "node_up", "master_adopted", "epoch", "readable"):
        assert kind in kinds, kinds
    assert [event["id"] for event in document["events"]] == list(range(1, document["newest"] + 1))
    for event in document["events"] + [{"time": document["started"]}]:
        age = datetime.datetime.now(datetime.timezone.utc) - datetime.datetime.fromisoformat(
            event["time"].replace("Z", "+00:00"))
        assert datetime.timedelta(0) <= age < datetime.timedelta(minutes=5), event


def test_every_event_is_a_line_of_the_log(lab):
    weir = lab.group(1).weir
    for event in events(weir)["events"]:
        line = f"{event['node']}: {event['text']}" if event["node"] else event["text"]
        assert re.search(f": {re.escape(line)}$", weir.log(), re.M), line


def test_since(lab):
    weir = lab.group(1).weir
    whole = events(weir)
    assert [event["id"] for event in events(weir, 2)["events"]] == [event["id"] for event in whole["events"][2:]]
    assert events(weir, whole["newest"])["events"] == []
    assert events(weir, 2 ** 64 - 1)["events"] == [] and events(weir, "9" * 40)["events"] == []
    for unreadable in ("", "x", "%30"):
        assert events(weir, unreadable)["events"] == whole["events"]


def test_replica_dies_and_returns(lab):
    group = lab.group(2)
    replica, weir = group.replicas[0], group.weir
    before = newest(weir)
    replica.kill()
    wait_for(lambda: told(weir, "node_down", replica, before), what="told that it is down")
    wait_for(lambda: told(weir, "unreadable", replica, before), what="told that it serves no reads")
    for file in replica.directory.glob("*.rdb"):
        file.unlink()   # else it knows where it was, and goes on there
    replica.restart()
    wait_for(lambda: told(weir, "node_up", replica, before), what="told that it is up")
    wait_for(lambda: told(weir, "node_restarted", replica, before), what="told that it is another process")
    wait_for(lambda: told(weir, "readable", replica, before), what="told that it serves reads")
    assert not told(weir, "node_down", group.replicas[1], before)
    # It came back without data. The master counts that only; weir says for whom it was.
    full = wait_for(lambda: told(weir, "full_resync", since=before), what="told of the full resync")
    assert [event["node"] for event in full] == [replica.address]


def test_wiring_is_told(lab):
    group = lab.group(2, wired=False)
    for replica in group.replicas:
        assert told(group.weir, "wired", replica)[0]["text"] == f"REPLICAOF {group.master.address.replace(':', ' ')}"
    wait_for(lambda: len(told(group.weir, "full_resync")) == 2, what="told of both full resyncs")


def test_who_resynced_is_told_each_time(lab):
    group = lab.group(2)
    for turn in range(3):
        replica = group.replicas[turn % 2]
        before = newest(group.weir)
        replica.kill()
        wait_for(lambda: told(group.weir, "node_down", replica, before), what="down")
        replica.restart()
        # What the replicas did when the group came up may be told as late as now, so there may be others.
        wait_for(lambda: told(group.weir, "full_resync", replica, before) or told(group.weir, "partial_resync", replica, before),
                 what="told of its resync")
        group.weir.wait_state("ok")


def test_partial_resync_is_told(lab):
    group = lab.group(2)
    before = newest(group.weir)
    group.replicas[0].freeze()
    with group.master.raw() as raw:
        assert raw.command("CLIENT", "KILL", "TYPE", "replica") == 2
    wait_for(lambda: told(group.weir, "partial_resync", since=before), what="told of the one that is awake")
    group.replicas[0].thaw()
    wait_for(lambda: len(told(group.weir, "partial_resync", since=before)) == 2, what="told of both")
    assert not told(group.weir, "full_resync", since=before)
    assert {event["node"] for event in told(group.weir, "partial_resync", since=before)} <= \
        {server.address for server in group.servers}


def test_master_is_lost_and_found(lab):
    group = lab.group(1)
    before = newest(group.weir)
    group.master.freeze()
    lost = wait_for(lambda: told(group.weir, "master_lost", since=before), what="told that there is no master")
    assert lost[0]["text"].startswith("no master: ")
    group.master.thaw()
    wait_for(lambda: told(group.weir, "master_adopted", since=before), what="told that it is back")


def test_operator_is_told(lab):
    group = lab.group(1)
    before = newest(group.weir)
    name = group.replicas[0].address
    group.weir.admin("DRAIN", name)
    group.weir.admin("ENABLE", name)
    assert told(group.weir, "drained", name, before) and told(group.weir, "enabled", name, before)


def test_restart_begins_anew(lab):
    weir = lab.group(1).weir
    started = events(weir)["started"]
    weir.stop()
    weir.start()
    assert events(weir)["started"] > started
    assert events(weir)["events"][0]["id"] == 1
