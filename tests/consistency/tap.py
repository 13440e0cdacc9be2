"""Listens in on what masters replicate: a witness that knows nothing of weir.

A tap asks a master for its stream as a replica does, and keeps it, with its
offsets, until the master ends or becomes a replica. From the taps of all masters
of a run epochs.py knows which write stood where, and which ones the next master
did not have.

    tap = Tap(server)           # from now on
    tap = Tap(heir, tap)        # the next master's, from where it left the last one's history
"""
import contextlib
import socket
import threading
import time

from harness import HOST, encode

ACK_SECONDS = 1     # a master drops replicas of which it hears nothing
LOOK_SECONDS = 0.1


class Tap(threading.Thread):
    def __init__(self, server, last=None):
        super().__init__(daemon=True)
        info = server.info("replication")
        assert info["role"] == "master", f"{server.name} is a {info['role']}"
        self.server = server
        self.replid = info["master_replid"]
        self.continues = info["master_replid2"] if last else None
        self.begin = info["second_repl_offset"] if last else info["master_repl_offset"] + 1
        # What the last one has said to its heir alone, before it was killed, is here as well.
        self.first = min(self.begin, last.offset() + 1) if last else self.begin
        self.stream = bytearray()   # its first byte is number `first`
        self.stopping = threading.Event()
        self.socket = self._ask(self.continues or self.replid)
        self.start()

    def offset(self):
        """Of the last byte."""
        return self.first + len(self.stream) - 1

    def _ask(self, replid):
        """The connection of a replica that continues by a partial resync."""
        connection = socket.create_connection((HOST, self.server.port), 10)
        self._say(connection, "REPLCONF", "capa", "psync2")
        answer = self._say(connection, "PSYNC", replid, self.first)
        assert answer.startswith(b"+CONTINUE"), f"{self.server.name} has no stream from {self.first} on: {answer}"
        self.stream += answer.partition(b"\r\n")[2]
        connection.settimeout(LOOK_SECONDS)
        return connection

    @staticmethod
    def _say(connection, *words):
        connection.sendall(encode(*words))
        answer = b""
        while b"\r\n" not in answer:
            data = connection.recv(1 << 16)
            assert data, f"{words} ended the connection"
            answer += data
        return answer

    def run(self):
        told = 0.0
        with contextlib.suppress(ConnectionError), self.socket:
            while not self.stopping.is_set():
                if time.monotonic() - told > ACK_SECONDS:
                    told = time.monotonic()
                    self.socket.sendall(encode("REPLCONF", "ACK", self.offset()))
                with contextlib.suppress(TimeoutError):
                    data = self.socket.recv(1 << 16)
                    if not data:
                        return
                    self.stream += data

    def stop(self):
        self.stopping.set()
        self.join()
