"""redis-benchmark: its full default run and its other ways of connecting end
without an error."""
import csv
import subprocess

import pytest

from harness import HOST, PATIENCE

RUNS = {
    "default": ["-n", 2000],
    "pipelined": ["-n", 4000, "-P", 16],
    "RESP3": ["-n", 1000, "-3"],
    "random keys": ["-n", 1000, "-r", 1000],
    "threads": ["-n", 2000, "--threads", 2, "-t", "set,get,lrange_100"],
    "many clients": ["-n", 2000, "-c", 500, "-t", "set,get"],
    "large values": ["-n", 100, "-d", 100_000, "-t", "set,get,lpush"],
    "reconnecting": ["-n", 300, "-k", 0, "-t", "ping,set,get"],
    "database": ["-n", 500, "--dbnum", 5, "-t", "set,get"],
    "tracking": ["-n", 500, "--enable-tracking", "-3", "-t", "set,get"],
    "script": ["-n", 500, "EVAL", "return redis.call('INCR', KEYS[1])", 1, "counter"],
    "blocking": ["-n", 500, "BLPOP", "none", "0.001"],
}


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_run(fronts, options):
    def run(front):
        done = subprocess.run(["redis-benchmark", "-h", HOST, "-p", str(front.port), "--csv", *map(str, options)],
                              capture_output=True, text=True, timeout=100 * PATIENCE)
        complaints = [line for line in done.stderr.splitlines() if "Keepalive disabled" not in line]
        assert done.returncode == 0 and not complaints and "rror" not in done.stdout, done
        header, *rows = csv.reader(done.stdout.splitlines())
        assert rows and all(float(row[1]) > 0 for row in rows)
        client = front.client()
        return header, [row[0] for row in rows], client.get("counter:__rand_int__"), client.get("counter"), client.llen("mylist")
    fronts.compare(run)
