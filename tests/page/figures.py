#!/usr/bin/python3
"""figures.py [--clients N] [--rounds N] [--operations N]

How heavy the page is, how soon it is seen, and what looking at weir costs its
clients: /status, /metrics and /history are asked while N clients are connected
and redis-benchmark reads through weir; rounds without, with one and with ten
scrapes of each a second take turns. Medians over the rounds."""
import argparse
import http.client
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
from browser import Browser                                       # noqa: E402
from harness import HOST, Lab, unlimited_files, wait_for          # noqa: E402

FILES = ("/", "/page.css", "/page.js", "/icon.svg")
SCRAPED = ("/status", "/metrics", "/history")
LOADS = 15


def ask(weir, path, encoding="identity"):
    connection = http.client.HTTPConnection(HOST, weir.admin_port, timeout=30)
    begun = time.monotonic()
    connection.request("GET", path, headers={"Accept-Encoding": encoding})
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, (path, response.status)
    return len(body), (time.monotonic() - begun) * 1e3


def show_weight(weir):
    print("bytes                plain    gzip")
    total = [0, 0]
    for path in FILES:
        sizes = [ask(weir, path, encoding)[0] for encoding in ("identity", "gzip")]
        total = [sum(pair) for pair in zip(total, sizes)]
        print(f"  {path:16} {sizes[0]:8} {sizes[1]:7}")
    print(f"  {'together':16} {total[0]:8} {total[1]:7}")


def show_paint(weir, directory):
    with Browser(directory) as browser:
        for kept in (False, True):
            browser.command("Network.enable")
            browser.command("Network.setCacheDisabled", cacheDisabled=not kept)
            painted, answered = [], []
            for _ in range(LOADS):
                begun = time.monotonic()
                browser.open(weir, ready=False)
                wait_for(lambda: browser.text("#state-word") == "Healthy", interval=0.002, what="the page has an answer")
                answered.append((time.monotonic() - begun) * 1e3)
                painted.append(wait_for(lambda: browser.run(
                    "return performance.getEntriesByName('first-contentful-paint').map((entry) => entry.startTime)[0]"),
                    what="painted"))
            print(f"first contentful paint, {'files kept' if kept else 'nothing kept'}: median {statistics.median(painted):.0f} ms, "
                  f"at most {max(painted):.0f} ms; with weir's answer {statistics.median(answered):.0f} ms "
                  f"(from outside the browser), over {LOADS} loads")


class Scraper:
    def __init__(self, weir, per_second):
        self.weir, self.gap = weir, 1 / per_second if per_second else None
        self.times = {path: [] for path in SCRAPED}
        self.sizes = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.work, daemon=True)

    def work(self):
        while self.gap and not self.ended.wait(self.gap):
            for path in SCRAPED:
                self.sizes[path], took = ask(self.weir, path)
                self.times[path].append(took)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def benchmark(weir, operations):
    output = subprocess.run(["redis-benchmark", "-h", HOST, "-p", str(weir.port), "-c", "50", "-n", str(operations), "--csv",
                             "-t", "get"], capture_output=True, text=True, check=True).stdout
    row = output.splitlines()[-1].replace('"', "").split(",")
    names = output.splitlines()[-2].replace('"', "").split(",")
    values = dict(zip(names, row))
    return [float(values[name]) for name in ("rps", "p50_latency_ms", "p99_latency_ms", "max_latency_ms")]


def show_scrapes(weir, clients, rounds, operations):
    idle = [weir.raw() for _ in range(clients)]
    wait_for(lambda: weir.status()["clients"]["connected"] >= clients, 60, "all are connected")
    time.sleep(3)
    cells = {0: [], 1: [], 10: []}
    scrapes = {rate: {path: [] for path in SCRAPED} for rate in cells}
    sizes = {}
    for turn in range(rounds):
        order = list(cells)[turn % 3:] + list(cells)[:turn % 3]
        for rate in order:
            with Scraper(weir, rate) as scraper:
                cells[rate].append(benchmark(weir, operations))
            sizes.update(scraper.sizes)
            for path in SCRAPED:
                scrapes[rate][path] += scraper.times[path]
    print(f"{clients} clients connected, 50 more read; medians of {rounds} rounds of {operations} GETs")
    print("scrapes/s      GET/s    p50 ms    p99 ms    max ms")
    for rate, results in cells.items():
        rps, p50, p99, most = (statistics.median(column) for column in zip(*results))
        print(f"  {rate:7} {rps:10.0f} {p50:9.3f} {p99:9.3f} {most:9.3f}")
    print("answer           bytes   median ms    p99 ms   (with all cores at work)")
    for path in SCRAPED:
        times = sorted(scrapes[10][path])
        print(f"  {path:12} {sizes[path]:8} {statistics.median(times):11.2f} {times[int(len(times) * 0.99)]:9.2f}")
    for path in SCRAPED:
        times = sorted(ask(weir, path)[1] for _ in range(100))
        print(f"  {path:12} {'quiet':>8} {statistics.median(times):11.2f} {times[98]:9.2f}")
    for raw in idle:
        raw.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--clients", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--operations", type=int, default=200000)
    options = parser.parse_args()
    unlimited_files()
    with tempfile.TemporaryDirectory() as scratch, Lab(scratch) as lab:
        weir = lab.group(3, config={"proxy": {"max_clients": options.clients + 200}}).weir
        show_weight(weir)
        show_paint(weir, pathlib.Path(scratch) / "chromium")
        show_scrapes(weir, options.clients, options.rounds, options.operations)


if __name__ == "__main__":
    main()
