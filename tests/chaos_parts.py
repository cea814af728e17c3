"""What tests/chaos is made of: nodes on hosts, clients' agents on them, and faults."""
import contextlib
import glob
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent
HOSTS = [1, 2, 3, 4, 5]                 # tests/chaos may make it fewer or more
ROLES = ("covey-httpd", "covey-versiond", "covey-discoverd", "covey-syncd")
CONF = """\
node:
  name: h{h}
  address: 10.79.0.{h}
  store: {dir}/h{h}/store
listen: {{ http: 4720, discovery: 4721, versions: 4722 }}
group:
  key_file: {dir}/group.key
  seeds: [ {seeds} ]
keep: {{ versions: 100000, days: 0 }}
access: open
"""


def body_of(value, size):
    line = f"{value} {size}\n".encode()
    return (line * (size // len(line) + 1))[:max(size, len(line))]


def say(text):
    print(f"chaos: {text}", flush=True)


class Node:
    """One host's `covey up` and its roles."""

    def __init__(self, h, directory, programs, fake_clock):
        self.h, self.programs = h, programs
        self.home = directory / f"h{h}"
        self.home.mkdir()
        seeds = ", ".join(f'"10.79.0.{n}:4721"' for n in HOSTS)
        (self.home / "covey.yaml").write_text(CONF.format(h=h, dir=directory, seeds=seeds))
        self.clock = self.home / "clock"
        self.clock.write_text("+0\n")
        self.environment = dict(os.environ)
        if fake_clock:
            self.environment |= {
                "LD_PRELOAD": fake_clock, "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                "NO_FAKE_STAT": "1", "FAKE_UTIME": "0"}
        self.up = None

    @property
    def url(self):
        return f"http://10.79.0.{self.h}:4720"

    def start(self):
        if self.up and self.up.poll() is None:  # two faults of one node have ended
            return
        with open(self.home / "log", "a") as log:
            self.up = subprocess.Popen(
                [TOP / "hosts", "exec", str(self.h), self.programs / "covey", "up", "-c",
                 self.home / "covey.yaml"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)

    def pids(self, role=None):
        """The roles' processes, or all of this node's with `covey up` first."""
        found = [] if role or not self.up or self.up.poll() is not None else [self.up.pid]
        for stat in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError):
                name, rest = pathlib.Path(stat).read_text().split("(", 1)[1].rsplit(")", 1)
                if self.up and int(rest.split()[1]) == self.up.pid and name == (role or name)[:15]:
                    found.append(int(stat.split("/")[2]))
        return found

    def signal(self, number, role=None):
        for pid in self.pids(role):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self):
        self.signal(signal.SIGKILL)
        self.up.wait()

    def command(self, *words):
        """covey WORDS on this host, for as long as it takes; who asked does not wait."""
        return subprocess.Popen(
            [TOP / "hosts", "exec", str(self.h), self.programs / "covey", *words, "-c",
             self.home / "covey.yaml"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)

    def wipe(self):
        shutil.rmtree(self.home / "store")

    def stop(self):
        """In peace."""
        if self.up and self.up.poll() is None:
            self.up.terminate()
            try:
                self.up.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()


class Agent:
    """Sends requests from within a host."""

    def __init__(self, h):
        self.process = subprocess.Popen(
            [TOP / "hosts", "exec", str(h), sys.executable, TOP / "chaos-client"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.ids = itertools.count()
        self.waiting = {}
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            result = json.loads(line)
            box, event = self.waiting.pop(result["id"])
            box.append(result)
            event.set()

    def request(self, method, url, headers=None, value=None, size=0, seconds=5):
        box, event = [], threading.Event()
        with self.lock:
            n = next(self.ids)
            self.waiting[n] = (box, event)
            print(json.dumps({"id": n, "method": method, "url": url, "headers": headers or {},
                              "value": value, "size": size, "timeout": seconds}),
                  file=self.process.stdin, flush=True)
        if not event.wait(60):
            raise RuntimeError(f"no answer about {method} {url}")
        return box[0]

    def stop(self):
        self.process.kill()
        self.process.wait()


class Faults:
    """Each fault is a context: entered when it happens, left when it is over."""

    def __init__(self, nodes, rnd, recorder, repaired):
        self.nodes, self.rnd, self.recorder = nodes, rnd, recorder
        self.repaired, self.lost = repaired, False
        self.kinds = (self.split, self.one_way, self.one_way, self.role_killed, self.role_killed,
                      self.node_killed, self.node_stopped, self.role_stopped, self.layout_set)
        self.rare = [self.disk_lost_alone, self.disk_lost, self.node_leaves]
        self.next_rare = 0

    def hosts(self, *words):
        subprocess.run([TOP / "hosts", *words], check=True)

    @contextlib.contextmanager
    def split(self):
        order = self.rnd.sample(HOSTS, len(HOSTS))
        cuts = sorted(self.rnd.sample(range(1, len(HOSTS)), self.rnd.choice((1, 1, 2))))
        parts = [order[a:b] for a, b in zip([0, *cuts], [*cuts, len(HOSTS)])]
        words = [",".join(map(str, part)) for part in parts]
        say(f"the segment is cut: {' | '.join(words)}")
        self.hosts("split", *words)
        yield
        self.hosts("heal")

    @contextlib.contextmanager
    def one_way(self):
        a = self.rnd.choice(HOSTS)
        others = [h for h in HOSTS if h != a]
        to = self.rnd.choice((others, self.rnd.sample(others, 1), self.rnd.sample(others, 2)))
        say(f"nothing gets from {a} to {to}")
        for b in to:
            self.hosts("cut", str(a), str(b))
        yield
        self.hosts("heal")

    @contextlib.contextmanager
    def role_killed(self):
        node, role = self.rnd.choice(self.nodes), self.rnd.choice(ROLES)
        say(f"{role} of {node.h} is killed")
        node.signal(signal.SIGKILL, role)
        yield

    @contextlib.contextmanager
    def node_killed(self):
        node = self.rnd.choice(self.nodes)
        say(f"{node.h} is killed")
        node.kill()
        yield
        node.start()

    def stopped(self, node, role=None):
        say(f"{role or 'all'} of {node.h} is stopped")
        node.signal(signal.SIGSTOP, role)
        yield
        node.signal(signal.SIGCONT, role)

    @contextlib.contextmanager
    def node_stopped(self):
        yield from self.stopped(self.rnd.choice(self.nodes))

    @contextlib.contextmanager
    def role_stopped(self):
        yield from self.stopped(self.rnd.choice(self.nodes), self.rnd.choice(ROLES))

    @contextlib.contextmanager
    def layout_set(self):
        node = self.rnd.choice(self.nodes)
        what = self.rnd.choice(("homes=3", "homes=3", f"homes={min(len(HOSTS), 5)}", "copies=2", "copies=3"))
        say(f"layout set {what}, on {node.h}")
        asked = node.command("layout", "set", what)
        yield
        asked.kill()
        asked.wait()

    @contextlib.contextmanager
    def node_leaves(self):
        node = self.rnd.choice(self.nodes)
        say(f"{node.h} leaves the layout")
        asked = node.command("layout", "leave")
        yield
        asked.kill()
        asked.wait()
        asked = node.command("layout", "join")
        with contextlib.suppress(subprocess.TimeoutExpired):
            asked.wait(3)
        asked.kill()
        asked.wait()

    @contextlib.contextmanager
    def disk_lost(self):
        node = self.rnd.choice(self.nodes)
        say(f"the disk of {node.h} is lost")
        node.kill()
        self.recorder.wiped(node.h)
        node.wipe()
        yield
        node.start()

    @contextlib.contextmanager
    def disk_lost_alone(self):
        """What one has missed is known to two others: one goes away, one comes back empty."""
        missing, away, empty = self.rnd.sample(self.nodes, 3)
        say(f"{missing.h} is cut off; then {away.h} is killed, and {empty.h} too and loses its disk")
        others = ",".join(str(h) for h in HOSTS if h != missing.h)
        self.hosts("split", str(missing.h), others)
        time.sleep(self.rnd.uniform(0.5, 3))
        away.kill()
        empty.kill()
        self.recorder.wiped(empty.h)
        empty.wipe()
        self.hosts("heal")
        empty.start()
        time.sleep(self.rnd.uniform(2, 8))
        yield
        away.start()

    def kind(self):
        """Those of which a group stands only one at a time are rare."""
        if time.monotonic() >= self.next_rare and self.rnd.random() < 0.15:
            self.next_rare = time.monotonic() + 45
            kind = self.rnd.choice(self.rare)
            if kind == self.node_leaves:
                return kind
            if not self.lost or self.repaired():
                self.lost = True
                return kind
            say("no disk is lost: the group has not got over the last loss")
        return self.rnd.choice(self.kinds)

    def run(self, end):
        """One after the other, at times two at once, until it is over."""
        while time.monotonic() < end:
            self.happen(end, self.rnd.choice((1, 1, 2)))
            self.pause(end, 0.2, 2)

    def happen(self, end, depth):
        with self.kind()():
            self.pause(end, 0.2, 2)
            if depth > 1:
                self.one(self.rnd.choice(self.kinds), end)
            self.pause(end, 0.2, 3)

    def one(self, kind, end):
        with kind():
            self.pause(end, 0.2, 2)

    def pause(self, end, least, most):
        seconds = self.rnd.uniform(least, most)
        time.sleep(max(0, min(seconds, end - time.monotonic())))
