"""Two fronts with one face: a bare redis-server, and weir before a master with
two replicas.

A scenario is a function of a front. It uses a client library as an application
would, asserts what Redis documents, and returns what it saw. It runs at the bare
server first and then at weir, and must have seen the same:

    @scenario
    def test_counter(front):
        client = front.client()
        assert client.incr("n") == 1
        return client.get("n")

What differs from run to run (ids, times, ports) a scenario leaves out of what
it returns, or returns the type of.
"""
import asyncio
import gc
import inspect
import time

import redis

from harness import HOST, PATIENCE, wait_for


class Front:
    """Where a client connects to."""

    def __init__(self, name, process):
        self.name, self.process = name, process
        self.clients = []
        self.nodes = {}     # of test_node.py: a process by its script

    @property
    def port(self):
        return self.process.port

    @property
    def address(self):
        return {"host": HOST, "port": self.port}

    def url(self, db=0):
        return f"redis://{HOST}:{self.port}/{db}"

    def options(self, **options):
        """Of a redis-py client, as an application would set them."""
        return {**self.address, "decode_responses": True, "socket_timeout": 10 * PATIENCE, **options}

    def client(self, **options):
        self.clients.append(redis.Redis(**self.options(**options)))
        return self.clients[-1]

    def close_clients(self):
        while self.clients:
            self.clients.pop().connection_pool.disconnect()
        gc.collect()    # redis-py closes what nobody holds any more

    def close(self):
        self.close_clients()
        for process in self.nodes.values():
            process.communicate(timeout=10 * PATIENCE)

    def settle(self):
        """Whatever is asynchronous behind the front has come to rest."""

    def restart(self):
        """Every connection is lost; the port is the same. A bare server loses
        its data too, so a scenario that goes on writes it again."""
        self.process.stop()
        self.start()

    def crash(self):
        """The same without a goodbye: connections are reset."""
        self.process.kill()
        self.start()

    def start(self):
        self.process.start()


class WeirFront(Front):
    def __init__(self, group):
        super().__init__("weir", group.weir)
        self.group = group

    def settle(self):
        """Not Group.settle(): which replica serves is all the same here."""
        self.group.caught_up()
        reads = lambda: self.process.status()["commands"]["reads_on_replicas"]  # noqa: E731
        with self.process.raw() as raw:
            def a_replica_serves():
                before = reads()
                raw.commands([("EXISTS", "no such key")] * 4)
                return reads() - before >= 4
            wait_for(a_replica_serves, what="reads go to the replicas")

    def start(self):
        self.process.start()
        self.process.wait_state("ok")


class ReplicaFront(Front):
    """A replica, or weir's reads-only endpoint. `master` is the front whose
    writes arrive there."""

    def __init__(self, name, process, port, master):
        super().__init__(name, process)
        self.replica_port, self.master = port, master

    @property
    def port(self):
        return self.replica_port

    def settle(self):
        """What the master has is here."""
        marker = self.master.client().incr("settled")
        wait_for(lambda: self.client().get("settled") == str(marker), what="the replica has caught up")
        self.master.settle()


class Fronts:
    """The pair that every scenario sees: by default the fronts of a master,
    and in `replicas` those of a replica."""

    def __init__(self, lab):
        self.lab = lab
        self.group = lab.group(2, config={"proxy": {"allow_sync": "yes"}}, replica_endpoint=True)
        self.bare = Front("bare", lab.redis(name="bare"))
        self.weir = WeirFront(self.group)
        replica = lab.redis("--replicaof", HOST, self.bare.port, name="bare-replica")
        self.pair = (self.bare, self.weir)
        self.replicas = (ReplicaFront("bare-replica", replica, replica.port, self.bare),
                         ReplicaFront("weir-replica", self.group.weir, self.group.weir.replica_port, self.weir))

    def __iter__(self):
        return iter(self.pair)

    def flush(self):
        for front in self:
            client = front.client()
            client.flushall()
            client.script_flush()
            client.function_flush("SYNC")
            front.close_clients()

    def close(self):
        for front in self:
            front.close()

    def check(self):
        """What no scenario may leave behind: replies without a request, and
        connections of clients that are gone."""
        for front in (*self.pair, *self.replicas):
            front.close_clients()
        assert self.group.weir.metrics()["weir_backend_desync_total"] == 0
        wait_for(lambda: self.group.weir.status()["clients"]["connected"] == 0, what="every client has left weir")

    def compare(self, run, pair=None):
        """run(front) at either front; both must have seen the same."""
        bare, through_weir = (self._run(run, front) for front in pair or self)
        assert through_weir == bare, "weir showed something else than redis-server"

    @staticmethod
    def _run(run, front):
        try:
            seen = run(front)
            return asyncio.run(seen) if inspect.iscoroutine(seen) else seen
        finally:
            front.close_clients()


def scenario(function):
    """Makes a test of a function (or coroutine function) of a front."""
    return _as_test(function, lambda fronts: fronts.compare(function))


def replica_scenario(function):
    """The same before a replica: a bare one, and weir's reads-only endpoint."""
    return _as_test(function, lambda fronts: fronts.compare(function, fronts.replicas))


def _as_test(function, run):
    def test(fronts):
        run(fronts)

    test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
    test.scenario = function
    return test


def messages(pubsub, count, timeout=5.0):
    """The next `count` messages as (type, pattern, channel, data)."""
    found = []
    deadline = time.monotonic() + timeout * PATIENCE
    while len(found) < count and time.monotonic() < deadline:
        message = pubsub.get_message(timeout=0.2)
        if message is not None:
            found.append((message["type"], message["pattern"], message["channel"], message["data"]))
    assert len(found) == count, f"{count} messages were due, these came: {found}"
    return found
