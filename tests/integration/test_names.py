"""Servers that are known by name: looked up without anybody waiting for it, again
whenever a connection has to be made, and with a name service that is slow, wrong
or gone."""
import os
import pathlib
import subprocess
import time

import pytest

import harness
from harness import HOST, wait_for

HERE = pathlib.Path(__file__).parent


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    library = tmp_path_factory.mktemp("resolver") / "slow_resolver.so"
    subprocess.run([os.environ.get("CC", "gcc"), "-shared", "-fPIC", "-O1", "-o", library, HERE / "slow_resolver.c",
                    "-ldl"], check=True)
    return library


class Names:
    def __init__(self, directory):
        self.path = directory / "hosts"
        self.rows = {}

    def set(self, **rows):
        """An empty text: not found; "wait": no answer."""
        self.rows.update(rows)
        beside = self.path.with_suffix(".new")
        beside.write_text("".join(f"{name} {text}\n" for name, text in self.rows.items()))
        beside.rename(self.path)


@pytest.fixture
def names(lab, preload, monkeypatch, tmp_path):
    names = Names(tmp_path)
    names.set()
    monkeypatch.setenv("LD_PRELOAD", str(preload))
    monkeypatch.setenv("WEIR_TEST_HOSTS", str(names.path))
    options = harness.SANITIZER_OPTIONS["ASAN_OPTIONS"]
    monkeypatch.setenv("ASAN_OPTIONS", f"{options}:verify_asan_link_order=0")
    return names


def group_by_name(lab, **settings):
    """A master and a replica, called so."""
    master = lab.redis(name="master")
    replica = lab.redis("--replicaof", HOST, master.port, name="replica")
    lines = {"master": f"the-master:{master.port} name=master", "replica": f"the-replica:{replica.port} name=replica",
             "wiring": "observe"}
    weir = lab.weir(master, [replica], {"replication": lines, "health": {"timeout": "300ms"}, **settings})
    return harness.Group(master, [replica], weir)


def row(weir, name):
    return next(row for row in weir.status()["replicas"] if row["name"] == name)


def test_names(lab, names):
    names.set(**{"the-master": HOST, "the-replica": HOST})
    group = group_by_name(lab)
    group.weir.wait_state("ok")
    assert group.weir.client().set("a", 1)


def test_nobody_waits_for_a_name(lab, names):
    """The replica's name service hangs: weir serves what it has, ticks as it
    should, and ends at once."""
    names.set(**{"the-master": HOST, "the-replica": "wait"})
    group = group_by_name(lab)
    group.weir.wait_state("degraded")
    with group.weir.raw() as raw:
        assert raw.commands([("SET", "a", 1), ("GET", "a")]) == ["OK", b"1"]
    wait_for(lambda: "replica" in group.weir.log() and "cannot be resolved" in group.weir.log())
    before = group.weir.status()["master"]["offset"]
    group.weir.client().set("b", 1)
    wait_for(lambda: group.weir.status()["master"]["offset"] > before, 1, "the checks of the master go on")
    time.sleep(1.5)     # several tries to look it up have been given up by now
    # The control thread, two workers, one that waits for the name, and perhaps one of a sanitizer's.
    assert group.weir.thread_count() <= 5
    group.weir.stop(timeout=3)


def test_a_name_that_comes_later(lab, names):
    names.set(**{"the-master": "", "the-replica": ""})
    group = group_by_name(lab)
    wait_for(lambda: "cannot be resolved" in group.weir.log())
    assert group.weir.status()["state"] == "no_master"
    names.set(**{"the-master": HOST, "the-replica": HOST})
    group.weir.wait_state("ok")


def test_a_server_that_moves(lab, names):
    """To another address, by name: found when the connection to the old one is lost."""
    names.set(**{"the-master": HOST, "the-replica": HOST})
    group = group_by_name(lab)
    group.weir.wait_state("ok")
    replica = group.replicas[0]
    names.set(**{"the-replica": "127.0.0.2"})
    replica.kill()
    wait_for(lambda: not row(group.weir, "replica")["up"])
    moved = lab.redis("--replicaof", HOST, group.master.port, "--bind", "127.0.0.2", name="moved", port=replica.port,
                      start=False)
    moved.start(wait=False)
    wait_for(lambda: row(group.weir, "replica")["readable"], what="the replica is found at its new address")


def test_a_name_service_that_fails(lab, names):
    """A server that was found once is not given up with it."""
    names.set(**{"the-master": HOST, "the-replica": HOST})
    group = group_by_name(lab)
    group.weir.wait_state("ok")
    for failure in ("", "wait"):
        names.set(**{"the-replica": failure})
        group.replicas[0].kill()
        wait_for(lambda: not row(group.weir, "replica")["up"])
        group.replicas[0].start()
        wait_for(lambda: row(group.weir, "replica")["readable"], what="it is found where it was")


def test_several_addresses(lab, names):
    """One of them answers: it is found, and stays."""
    names.set(**{"the-master": f"127.0.0.9 127.0.0.8 {HOST}", "the-replica": f"::1 {HOST}"})
    group = group_by_name(lab)
    group.weir.wait_state("ok")
    assert group.weir.client().set("a", 1)


def test_a_rehearsal_waits_for_no_name_for_ever(lab, names, tmp_path):
    """weir -t looks up every name, all at once and within [health] timeout."""
    names.set(**{"first": "wait", "second": "wait", "third": HOST, "fourth": ""})
    path = tmp_path / "proxy.ini"
    path.write_text("[replication]\nmaster = first:6379\nreplica = second:6379\nreplica = third:6379\nreplica = fourth:6379\n"
                    f"[health]\ntimeout = {300 * harness.PATIENCE:g}ms\n[proxy]\nlisten = {HOST}:{harness.free_port()}\n[admin]\nlisten =\n")
    begun = time.monotonic()
    result = subprocess.run([harness.weir_binary(), "-t", "-c", path], capture_output=True, text=True, timeout=60)
    assert time.monotonic() - begun < 5 * harness.PATIENCE
    assert result.returncode == 1
    assert result.stderr.splitlines() == [
        f"{path}: [replication] {key}: {name}: no address of that name was found in {300 * harness.PATIENCE:g}ms"
        for key, name in (("master", "first"), ("replica", "second"), ("replica", "fourth"))]
