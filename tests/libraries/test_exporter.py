"""prometheus-redis-exporter pointed at weir, as monitoring that was there
before weir is: it shows the master."""
import http.client
import re
import shutil

import pytest

from harness import HOST, TOP, Process, free_port, wait_for

UNPACKED = TOP / "build" / "packages" / "usr" / "bin"
BINARY = shutil.which("prometheus-redis-exporter") or UNPACKED / "prometheus-redis-exporter"
OPTIONS = ["-check-single-keys", "db0=string,db0=list,db1=elsewhere", "-check-keys", "db0=check:*", "-count-keys", "db0=check:*",
           "-check-single-streams", "stream", "-export-client-list", "-include-system-metrics", "-include-config-metrics"]


class Exporter(Process):
    def __init__(self, directory, name, port, *options):
        super().__init__(directory, name)
        self.port = free_port()
        self.spawn([BINARY, "-redis.addr", f"redis://{HOST}:{port}", "-web.listen-address", f"{HOST}:{self.port}", *options])
        wait_for(lambda: self.get("/"), what="the exporter listens")

    def get(self, path):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            assert response.status == 200
            return response.read().decode()
        finally:
            connection.close()

    def metrics(self):
        """{'redis_up': 1.0, 'redis_db_keys{db="db0"}': 3.0, ...}"""
        rows = (line.rsplit(" ", 1) for line in self.get("/metrics").splitlines() if line.startswith("redis_"))
        return {name: float(value) for name, value in rows}

    def stop(self):
        assert "level=error" not in self.log(), self.log_tail()
        self.end()


@pytest.fixture
def exporter(lab):
    def start(name, port, *options):
        lab.processes.append(Exporter(lab.directory / name, name, port, *options))
        return lab.processes[-1]
    return start


def fill(front):
    client = front.client()
    client.set("string", "value")
    client.rpush("list", *"abc")
    client.mset({f"check:{n}": n for n in range(20)})
    client.xadd("stream", {"f": "v"}, id="1-1")
    client.xgroup_create("stream", "group", "0")
    client.xreadgroup("group", "consumer", {"stream": ">"})
    front.client(db=1).set("elsewhere", 1)
    front.settle()


# What both servers of a comparison may well show differently: what they have
# done and what it cost, the connections, the time.
VOLATILE = re.compile(
    r"redis_(allocator|commands|connected_clients|connections|cpu|exporter|latency|mem_|memory|net|total|uptime|start_time|process|"
    r"defrag|expire|keyspace|last_|latest|client|slowlog|rdb|repl_backlog|replication|master_repl|connected_slave_(lag|offset)|"
    r"dump|replica_resyncs|target_scrape|instance_info|config_(key_)?value|config_client|tracking|io_threads|acl|errors|evict|lookups|stream_(group_consumer_idle|first|last))")


def stable(metrics):
    return {name: value for name, value in metrics.items() if not VOLATILE.match(name)}


def test_keys_and_streams(fronts, exporter):
    """What the exporter reads with ordinary commands."""
    def run(front):
        fill(front)
        metrics = exporter(f"exporter-{front.name}", front.port, *OPTIONS).metrics()
        assert metrics["redis_up"] == 1 and metrics["redis_exporter_last_scrape_error{err=\"\"}"] == 0
        assert metrics['redis_db_keys{db="db0"}'] == 23 and metrics['redis_db_keys{db="db1"}'] == 1
        assert metrics['redis_key_size{db="db0",key="list"}'] == 3 and metrics['redis_keys_count{db="db0",key="check:*"}'] == 20
        assert any("connected_clients_details" in name and 'name="redis_exporter"' in name for name in metrics)
        wanted = ("redis_db_keys{", "redis_key_", "redis_keys_count", "redis_stream_length", "redis_stream_group")
        return {name: value for name, value in metrics.items() if name.startswith(wanted) and "idle" not in name}
    fronts.compare(run)


def test_it_shows_the_master(fronts, exporter):
    """Through weir and straight at weir's master the picture is the same."""
    fill(fronts.weir)
    through, straight = (exporter(name, port, *OPTIONS) for name, port in
                         [("through", fronts.weir.port), ("straight", fronts.group.master.port)])
    straight.metrics()      # commands that nobody had sent before are counted from now on
    through, straight = through.metrics(), straight.metrics()
    assert through["redis_connected_slaves"] == 2
    assert [name for name in through if name.startswith("redis_instance_info")] == [
        name for name in straight if name.startswith("redis_instance_info")], "version, role, run_id"
    assert {name.partition("{")[0] for name in through} == {name.partition("{")[0] for name in straight}
    assert stable(through) == stable(straight)


def test_users(fronts, exporter):
    """A monitoring user of the server works as well."""
    def run(front):
        admin = front.client()
        admin.acl_setuser("monitor", enabled=True, passwords=["+secret"], keys=["*"], commands=[
            "+ping", "+info", "+config|get", "+slowlog|get", "+slowlog|len", "+latency|latest", "+latency|histogram", "+client|setname"])
        try:
            metrics = exporter(f"user-{front.name}", front.port, "-redis.user", "monitor", "-redis.password", "secret").metrics()
            return metrics["redis_up"], 'redis_exporter_last_scrape_error{err=""}' in metrics
        finally:
            admin.acl_deluser("monitor")
    fronts.compare(run)


def test_the_console(fronts, exporter):
    """Pointed at the admin endpoint it shows weir itself."""
    weir = fronts.group.weir
    weir.client().set("a", 1)
    weir.client().get("a")
    metrics = exporter("console", weir.admin_port).metrics()
    assert metrics["redis_up"] == 1 and metrics['redis_exporter_last_scrape_error{err=""}'] == 0
    assert metrics["redis_connected_slaves"] == 2
    assert metrics['redis_commands_total{cmd="set"}'] >= 1 and metrics["redis_commands_processed_total"] >= 2
    assert metrics["redis_memory_used_bytes"] >= 0 and metrics["redis_slowlog_length"] >= 0
