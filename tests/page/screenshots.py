#!/usr/bin/python3
"""screenshots.py DIRECTORY [SECONDS]

Pictures of the page in four states (healthy, lagging, replica down, no master)
and on a phone, with a real group under load; the history before each is SECONDS
long (60 by default). Needs python3-pil, which makes them small."""
import pathlib
import queue
import random
import socket
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import redis                                                      # noqa: E402
from PIL import Image                                             # noqa: E402

from browser import PHONE, WIDE, Browser                          # noqa: E402
from harness import HOST, Lab, free_port, wait_for                # noqa: E402

NAMES = ("redis-a", "redis-b", "redis-c", "redis-d")


class Load:
    """A few clients that read and write, now more, now less."""

    def __init__(self, weir, clients=6):
        self.weir = weir
        self.ended = threading.Event()
        self.idle = [weir.raw() for _ in range(23)]
        self.threads = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def work(self, number):
        dice = random.Random(number)
        pace = 0.01
        while not self.ended.is_set():
            try:
                with self.weir.raw(timeout=10) as raw:
                    while not self.ended.is_set():
                        pace = min(0.03, max(0.004, pace * dice.uniform(0.9, 1.112)))
                        raw.commands([("GET", f"k{dice.randrange(999)}")] * dice.randrange(1, 16))
                        if dice.random() < 0.3:
                            raw.command("SET", f"k{dice.randrange(999)}", "x" * dice.randrange(400))
                        time.sleep(pace)
            except (OSError, redis.RedisError, AssertionError, EOFError):
                time.sleep(0.1)

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(15)
        for raw in self.idle:
            raw.close()


class SlowLink:
    """A way to the master on which what it says takes `delay` seconds."""

    def __init__(self, server):
        self.server, self.delay, self.port = server, 0.0, free_port()
        self.listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection((HOST, self.server.port))
            except OSError:
                near.close()
                continue
            threading.Thread(target=self.carry, args=(near, far, lambda: 0), daemon=True).start()
            threading.Thread(target=self.carry, args=(far, near, lambda: self.delay), daemon=True).start()

    def carry(self, source, sink, delay):
        waiting = queue.Queue()
        threading.Thread(target=self.hand_on, args=(waiting, sink, delay), daemon=True).start()
        try:
            while data := source.recv(65536):
                waiting.put((time.monotonic(), data))
        except OSError:
            pass
        waiting.put((0, None))

    def hand_on(self, waiting, sink, delay):
        try:
            while True:
                came, data = waiting.get()
                if data is None:
                    sink.shutdown(socket.SHUT_RDWR)
                    return
                while time.monotonic() < came + delay():
                    time.sleep(0.01)
                sink.sendall(data)
        except OSError:
            pass


def make_group(lab):
    master = lab.redis(name="a")
    link = SlowLink(master)
    replicas = [lab.redis("--replicaof", HOST, port, name=name)
                for name, port in zip("bcd", (master.port, link.port, master.port))]
    for replica in replicas:    # weir leaves a link that is up as it is
        wait_for(lambda: replica.info("replication")["master_link_status"] == "up", what=f"{replica.name} follows")
    group = [f"{server.address} name={name}" for server, name in zip([master, *replicas], NAMES)]
    weir = lab.weir(config={"replication": {"master": group[0], "replica": group[1:]}})
    weir.wait_state("ok")
    return master, replicas, link, weir


def fill_backlog(master):
    with master.raw() as raw:
        for _ in range(24):
            raw.command("SET", "large", "x" * 50000)


def shrink(path):
    """The same in 96 colours: a page has few."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(96, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size} bytes")


def shoot(browser, weir, directory, name, state):
    browser.open(weir)
    wait_for(lambda: browser.text("#state-word") == state, what=f"the page says {state}", timeout=30)
    time.sleep(3)           # a few seconds for the charts
    browser.whole_picture(directory / f"{name}.png", WIDE[0])
    shrink(directory / f"{name}.png")


def main(directory, seconds):
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Lab(pathlib.Path(scratch)) as lab, \
            Browser(pathlib.Path(scratch) / "chromium") as browser:
        master, replicas, link, weir = make_group(lab)
        fill_backlog(master)
        load = Load(weir)
        browser.reset()
        try:
            time.sleep(seconds)
            shoot(browser, weir, directory, "healthy", "Healthy")
            browser.dark(True)
            shoot(browser, weir, directory, "healthy-dark", "Healthy")
            browser.resize(PHONE, 2)
            browser.run("scrollTo(0, 0)")
            browser.picture(directory / "healthy-phone.png")
            shrink(directory / "healthy-phone.png")
            browser.reset()

            link.delay = 2.5
            shoot(browser, weir, directory, "lagging", "Degraded")
            link.delay = 0
            weir.wait_state("ok")

            replicas[2].kill()
            shoot(browser, weir, directory, "replica-down", "Degraded")
            replicas[2].restart()
            weir.wait_state("ok")
            time.sleep(seconds / 6)

            master.kill()
            shoot(browser, weir, directory, "no-master", "No master")
        finally:
            load.end()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 60)
