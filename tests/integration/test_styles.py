"""The three ways a replica can be wired, side by side: weir recognises each,
and leaves alone what is wired already."""
import harness
from harness import wait_for


def test_three_ways_of_wiring(lab):
    master = lab.redis(name="master")
    by_file = lab.redis(name="by_file", config=f"replicaof 127.0.0.1 {master.port}\n")
    old_word = lab.redis(name="old_word", config=f"slaveof 127.0.0.1 {master.port}\n")
    by_words = lab.redis("--replicaof", "127.0.0.1", master.port, name="by_words")
    bare = lab.redis(name="bare")
    replicas = [by_file, old_word, by_words, bare]
    for replica in replicas[:3]:
        wait_for(lambda: replica.follows(master), what=f"{replica.name} follows by itself")
    assert bare.role()[0] == "master"
    master.cli("SET", "a", "1")

    weir = lab.weir(master, replicas).wait_state("ok")
    for replica in replicas:
        row = weir.replica_status(replica)
        assert (row["up"], row["link"], row["readable"], row["read_only"]) == (True, "up", True, True), row
        assert replica.follows(master)
    wait_for(lambda: bare.cli("GET", "a") == "1", what="the bare one has the data")
    wait_for(lambda: weir.status()["master"]["connected_replicas"] == 4, what="the master counts four")
    sent = [replica.calls().get("replicaof", 0) + replica.calls().get("slaveof", 0) for replica in replicas]
    assert sent == [0, 0, 0, 1], "only the bare one needed a command"


def test_a_replica_wired_by_hand_while_weir_runs(lab):
    """wiring = observe: weir sends nothing, and sees what somebody else does."""
    master, bare = lab.redis(name="master"), lab.redis(name="bare")
    weir = lab.weir(master, [bare], {"replication": {"wiring": "observe"}}).wait_state("degraded")
    assert not weir.readable(bare)
    bare.cli("REPLICAOF", "127.0.0.1", master.port)
    weir.wait_state("ok")
    assert bare.calls()["replicaof"] == 1


def test_the_configurations_that_are_shipped(lab):
    """deploy/: what the files say is what the servers do."""
    ports = {str(usual): harness.free_port() for usual in (6379, 6380, 6381, 6382)}

    def shipped(name):
        text = (harness.TOP / "deploy" / name).read_text()
        for usual, port in ports.items():
            text = text.replace(usual, str(port))
        return text

    def server(name, usual, *args):
        return lab.redis(*args, "--logfile", "", name=name, config=shipped(f"redis-{name}.conf"), port=ports[usual])
    master = server("master", "6379")
    by_file = server("replica-file", "6380")
    by_words = server("replica-command-line", "6381", "--replicaof", "127.0.0.1", ports["6379"])
    bare = server("replica-bare", "6382")
    assert bare.role()[0] == "master"
    lab.weir(master, [by_file, by_words, bare]).wait_state("ok")
    for replica in (by_file, by_words, bare):
        assert replica.follows(master)
