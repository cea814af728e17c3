"""servers - what tests/bench/bench measures: covey, and whom it is compared with

A Server has a directory and ports of its own, all on loopback, and is stopped with everything that it
started.  start() returns when it answers.  missing() says why it cannot be measured here, or None.

  url               where it answers
  add(name, source) have a file there, with what the file SOURCE has
  fill(count)       have many/0, many/1, ... there, of 4 KiB each
  load(what)        wrk's arguments: "put" (4 KiB each, under new names), "over" (the same, each over the
                    file hot), "hot" (the file hot, of 4 KiB) or "many" (MANY of fill, in turn); any other
                    word is a file that was added
  pause(), resume() of a group: one of its nodes hangs, as one that is connected and does not answer
  node(number)      of a group: the processes of one node

wait, ask, settled and pss are for the other scripts here, too.
"""
import base64
import contextlib
import getpass
import http.client
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
MANY = 10000
SECURE = 40         # from a server's port to the one where it speaks TLS
SMALL = b"covey 4k" * 512
TICKS = os.sysconf("SC_CLK_TCK")


def wait(what, seconds, happened):
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def ask(place, method, path, body=None, headers={}):
    connection = http.client.HTTPConnection(place, timeout=60)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def answers(place, path="/"):
    """anything but an error of its own"""
    try:
        return ask(place, "GET", path)[0] < 500
    except (OSError, http.client.HTTPException):
        return False


def settled(places):
    """every node has the same layout, of them all, and knows that every other has it"""
    seen = set()
    for place in places:
        try:
            layout = json.loads(ask(place, "GET", "/.covey/layout")[1])
        except (OSError, ValueError):
            return False
        epochs = {member["epoch"] for member in layout["members"]}
        homes = sum(member["in_a"] for member in layout["members"])
        seen.add((layout["epoch"], layout["joint"], homes, epochs == {layout["epoch"]}))
    return len(seen) == 1 and seen.pop()[1:] == (False, len(places), True)


def pss(pids):
    """MiB of memory; what several processes share is divided among them"""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += int(re.search(r"^Pss:\s+(\d+)", file.read(), re.M)[1])
    return total / 1024


def send(place, requests, connections=16):
    """requests: (method, path, body, headers) each; all must be answered 2xx"""
    lock, requests, failed = threading.Lock(), iter(requests), []

    def run():
        connection = http.client.HTTPConnection(place, timeout=60)
        while not failed:
            with lock:
                request = next(requests, None)
            if request is None:
                break
            try:
                connection.request(*request)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as why:
                failed.append(f"{request[0]} {request[1]}: {why}")
            else:
                if not 200 <= answer.status < 300:
                    failed.append(f"{request[0]} {request[1]}: {answer.status}")
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise RuntimeError(failed[0])


class Session:
    """a command and all that it starts, which is a session of its own"""

    def __init__(self, command, log, **more):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=log, start_new_session=True,
                                        **{"stdout": log, **more})

    def stats(self):
        """by process: the words of /proc/PID/stat from the third on"""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/stat") as file:
                    words = file.read().rpartition(") ")[2].split()
                if int(words[3]) == self.process.pid and words[0] != "Z":
                    found[int(pid)] = words
        return found

    def signal(self, number, pids=None):
        for pid in self.stats() if pids is None else pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def end(self):
        self.signal(signal.SIGCONT)
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.signal(signal.SIGKILL)
        self.process.wait()


class Server:
    name = None
    offset = 0          # of its port from the first one
    packages = {}       # by file or program that must be there: the package of Debian that brings it
    tells = ()          # the command that tells its version
    config = None       # file of this directory: @dir@, @port@ and @user@ are filled in
    command = ()

    def __init__(self, directory, port):
        self.directory = os.path.join(directory, type(self).__name__.lower())
        self.port, self.place, self.url = port, f"127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        self.sessions = []

    @classmethod
    def missing(cls):
        for file, package in cls.packages.items():
            if not shutil.which(file) and not os.path.exists(file):
                return f"{package} is not installed"
        return None

    @classmethod
    def version(cls):
        told = subprocess.run(cls.tells, capture_output=True, text=True)
        return (told.stdout or told.stderr).splitlines()[0].strip()

    def spawn(self, *command):
        os.makedirs(self.directory, exist_ok=True)
        with open(os.path.join(self.directory, "output"), "a") as log:
            self.sessions.append(Session(command, log))
        return self.sessions[-1]

    def start(self):
        for name in ("www", "tmp"):
            os.makedirs(os.path.join(self.directory, name))
        with open(os.path.join(HERE, self.config)) as file:
            # Only a server that root starts is told whose it is to be.
            text = "".join(line for line in file if "@user@" not in line or os.getuid() == 0)
        words = {"dir": self.directory, "port": self.port, "secure": self.port + SECURE, "user": getpass.getuser()}
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        config = os.path.join(self.directory, self.config)
        with open(config, "w") as file:
            file.write(text)
        self.spawn(*self.command, config)
        wait(f"{self.name} answers", 20, self.ready)

    def ready(self):
        return answers(self.place)

    def stop(self):
        while self.sessions:
            self.sessions.pop().end()

    def output(self):
        """the last lines of what its processes said"""
        with contextlib.suppress(OSError):
            with open(os.path.join(self.directory, "output"), errors="replace") as file:
                return "".join(file.readlines()[-10:])
        return ""

    def stats(self):
        return {pid: words for session in self.sessions for pid, words in session.stats().items()}

    def cpu(self):
        """seconds, of all its processes"""
        return sum(int(words[11]) + int(words[12]) for words in self.stats().values()) / TICKS

    def add(self, name, source):
        shutil.copyfile(source, os.path.join(self.directory, "www", name))

    def fill(self, count, directory="many", body=SMALL):
        os.makedirs(os.path.join(self.directory, "www", directory))
        for i in range(count):
            with open(os.path.join(self.directory, "www", directory, str(i)), "wb") as file:
                file.write(body)

    def load(self, what):
        if what == "put":
            return ["-s", os.path.join(HERE, "put.lua"), f"{self.url}/put"]
        return [f"{self.url}/{what}"]


class Nginx(Server):
    offset = 1
    name, config, command = "nginx", "nginx.conf", ("nginx", "-c")
    packages, tells = {"nginx": "nginx-light"}, ("nginx", "-v")


class Lighttpd(Server):
    offset = 2
    name, config, command = "lighttpd", "lighttpd.conf", ("lighttpd", "-D", "-f")
    packages = {"lighttpd": "lighttpd", "/usr/lib/lighttpd/mod_webdav.so": "lighttpd-mod-webdav"}
    tells = ("lighttpd", "-v")

    def start(self):
        super().start()
        os.makedirs(os.path.join(self.directory, "www", "put"))


class H2o(Server):
    offset = 3
    name, config, command = "h2o", "h2o.yaml", ("h2o", "-c")
    packages, tells = {"h2o": "h2o"}, ("h2o", "--version")


class Rsync(Server):
    offset = 4
    name, config, command = "rsync daemon, --fsync", "rsyncd.conf", ("rsync", "--daemon", "--no-detach", "--config")
    packages, tells = {"rsync": "rsync"}, ("rsync", "--version")

    @classmethod
    def missing(cls):
        lacks = super().missing()
        if not lacks and "--fsync" not in subprocess.run(["rsync", "--help"], capture_output=True, text=True).stdout:
            lacks = "this rsync has no --fsync"
        return lacks

    def ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False


class Covey(Server):
    """a node alone: a group of one"""
    name, packages, tells = "covey", {"covey-httpd": "covey"}, ("covey", "--version")
    asks = []           # wrk's arguments for every read
    settings = ""       # more of its configuration

    def start(self):
        os.makedirs(self.directory)
        with open(os.path.join(self.directory, "covey.yaml"), "w") as file:
            file.write(f"node: {{address: 127.0.0.1, store: {self.directory}/store}}\nlisten: {{{self.listens()}}}\n"
                       f"{self.settings}\n")
        self.begin()
        wait("covey answers", 20, lambda: answers(self.place, "/.covey/healthz"))

    def listens(self):
        return f"http: {self.port}"

    def begin(self):
        self.spawn("covey-httpd", "-c", os.path.join(self.directory, "covey.yaml"))

    def add(self, name, source, prefer="wait=60"):
        subprocess.run(["curl", "-sf", "-o", os.devnull, "-H", f"Prefer: {prefer}", "-T", source, f"{self.url}/{name}"],
                       check=True)

    def fill(self, count, directory="many", body=SMALL, prefer="wait=60"):
        send(self.place, (("PUT", f"/{directory}/{i}", body, {"Prefer": prefer}) for i in range(count)))

    def load(self, what):
        if what == "put":
            return ["-s", os.path.join(HERE, "put.lua"), "-H", "Prefer: wait=20", f"{self.url}/put"]
        if what == "over":
            return ["-s", os.path.join(HERE, "put.lua"), f"{self.url}/hot", "--", "over"]
        if what == "many":
            return ["-s", os.path.join(HERE, "get.lua"), *self.asks, f"{self.url}/many", "--", str(MANY)]
        return [*self.asks, f"{self.url}/{what}"]


class Secure:
    """a server that is asked by https alone, by one certificate for all of them"""

    def start(self):
        above = os.path.dirname(self.directory)
        os.makedirs(above, exist_ok=True)
        if not os.path.exists(os.path.join(above, "tls.crt")):
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                            "-keyout", os.path.join(above, "tls.key"), "-out", os.path.join(above, "tls.crt")],
                           check=True, stderr=subprocess.DEVNULL)
        self.secure = f"https://127.0.0.1:{self.port + SECURE}"
        super().start()

    def load(self, what):
        return [f"{self.secure}/{what}"]


class SecureCovey(Secure, Covey):
    settings = "tls: {certificate: ../tls.crt, key: ../tls.key}"

    def listens(self):
        return f"http: {self.port}, https: {self.port + SECURE}"


class SecureNginx(Secure, Nginx):
    config = "nginx-https.conf"


class Single(Covey):
    """a node alone with the file hot; those below have much of something besides"""
    offset = 80
    name = "one file"
    count = int(os.environ.get("BENCH_IDLE", "10000"))
    settings = f"limits: {{connections: {count + 1000}, idle_timeout: 1h}}"

    def start(self):
        super().start()
        self.add("hot", os.path.join(os.path.dirname(self.directory), "hot"))
        self.lay()

    def lay(self):
        """what it has besides"""

    def first_byte(self):
        """seconds from a new start to the first byte of the file hot"""
        self.stop()
        begun = time.monotonic()
        self.begin()
        while not answers(self.place, "/hot"):
            time.sleep(0.001)
        return time.monotonic() - begun


class ManyFiles(Single):
    """they are laid by hand, each with the attribute and the time of one that was put: all are its version"""
    offset = 81
    count = int(os.environ.get("BENCH_STORE", "1000000"))
    name = f"{count} files"
    each = 1000         # in a directory

    def lay(self):
        self.fill(1, "many", b"n\n")
        top = os.path.join(self.directory, "store", "tree", "many")
        record = os.getxattr(os.path.join(top, "0"), "user.covey")
        times = (os.stat(os.path.join(top, "0")).st_mtime_ns,) * 2
        for i in range(self.count):
            directory = os.path.join(top, f"d{i // self.each}")
            if i % self.each == 0:
                os.mkdir(directory, 0o750)
            with open(os.path.join(directory, str(i)), "wb", 0) as file:
                file.write(b"n\n")
                os.setxattr(file.fileno(), "user.covey", record)
                os.utime(file.fileno(), ns=times)
        status, _ = ask(self.place, "GET", "/many/d0/0")
        if status != 200:
            raise RuntimeError(f"what was laid is no version: {status}")


class ManyVersions(Single):
    offset = 82
    count = int(os.environ.get("BENCH_VERSIONS", "10000"))
    name = f"{count} versions"

    def lay(self):
        send(self.place, (("PUT", "/hot", SMALL, {}) for _ in range(self.count)))


class ManyConnections(Single):
    """as many are held as limits.connections and this process can have, each after a request"""
    offset = 83
    name = f"{Single.count} connections"

    @classmethod
    def missing(cls):
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most != resource.RLIM_INFINITY and most < cls.count + 1000:
            return f"only {most} files may be open (ulimit -Hn)"
        return super().missing()

    def __init__(self, directory, port):
        super().__init__(directory, port)
        self.held = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.count + 1000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    def lay(self):
        for _ in range(self.count):
            self.held.append(http.client.HTTPConnection(self.place, timeout=60))
            self.held[-1].request("GET", "/hot")
            self.held[-1].getresponse().read()

    def first_byte(self):
        seconds = super().first_byte()
        self.lay()
        return seconds

    def stop(self):
        while self.held:
            self.held.pop().close()
        super().stop()


class Group(Covey):
    """three nodes, as `covey up` runs them; the first is asked, and a read is confirmed or fails"""
    offset = 20
    nodes = 3
    asks = ["-H", "Cache-Control: no-cache"]

    def start(self):
        self.spawn("covey", "up", "--nodes", str(self.nodes), "--dir", self.directory, "--port", str(self.port))
        self.places = [f"127.0.0.1:{self.port + 10 * i}" for i in range(self.nodes)]
        wait("the group is settled", 60, lambda: settled(self.places))

    def node(self, number):
        """the processes of one node"""
        found = []
        for pid in self.stats():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    if f"/node{number}/covey.yaml".encode() in file.read():
                        found.append(pid)
        return found

    def pause(self):
        self.sessions[0].signal(signal.SIGSTOP, self.node(self.nodes))

    def resume(self):
        self.sessions[0].signal(signal.SIGCONT, self.node(self.nodes))
        wait("the group is settled again", 60, lambda: settled(self.places) and self.outbox() == 0)

    def outbox(self):
        """entries that the first node has for others"""
        text = ask(self.place, "GET", "/.covey/metrics")[1].decode()
        return sum(int(n) for n in re.findall(r"^covey_(?:outbox_entries|settling) (\d+)$", text, re.M))


class Pair(Group):
    """two nodes, each with a `covey up` of its own, so that the second can be away"""
    offset = 50
    nodes = 2

    def start(self):
        super().start()
        # They have founded their group, and their configurations are written.
        self.sessions.pop().end()
        for number in (1, 2):
            self.begin(number)
        wait("the pair is settled", 60, lambda: settled(self.places))

    def begin(self, number):
        self.spawn("covey", "up", "-c", os.path.join(self.directory, f"node{number}", "covey.yaml"))
        wait(f"node {number} answers", 20, lambda: answers(self.places[number - 1], "/.covey/readyz"))

    def away(self):
        """the second node leaves, until begin(2)"""
        self.sessions.pop().end()

    def kept(self, name):
        """files of a directory, or bytes of a file, that the second node has on its disk; pointers are links"""
        path = os.path.join(self.directory, "node2", "store", "tree", name)
        if os.path.isdir(path):
            return sum(entry.is_file(follow_symlinks=False) for entry in os.scandir(path))
        return os.lstat(path).st_size if os.path.lexists(path) else 0


class Etcd(Server):
    """three nodes; the one that leads is asked, because that is the fastest, and the last of the others hangs"""
    offset = 70
    name, packages, tells = "etcd", {"etcd": "etcd-server"}, ("etcd", "--version")

    def start(self):
        peers = [f"http://127.0.0.1:{self.port + 2 * i + 1}" for i in range(3)]
        cluster = ",".join(f"n{i}={peer}" for i, peer in enumerate(peers))
        places = [f"127.0.0.1:{self.port + 2 * i}" for i in range(3)]
        for i, peer in enumerate(peers):
            url = f"http://{places[i]}"
            self.spawn("etcd", "--name", f"n{i}", "--data-dir", os.path.join(self.directory, f"n{i}"),
                       "--listen-client-urls", url, "--advertise-client-urls", url, "--listen-peer-urls", peer,
                       "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster, "--log-level", "error")
        wait("etcd answers", 30, lambda: all(answers(place, "/health") for place in places))
        leader = next(i for i, place in enumerate(places) if self.leads(place))
        self.place, self.url = places[leader], f"http://{places[leader]}"
        self.last, self.last_place = self.sessions[(leader + 2) % 3], places[(leader + 2) % 3]

    @staticmethod
    def leads(place):
        status = json.loads(ask(place, "POST", "/v3/maintenance/status", "{}")[1])
        return status["header"]["member_id"] == status["leader"]

    def fill(self, count):
        value = base64.b64encode(SMALL).decode()
        send(self.place, (("POST", "/v3/kv/put", json.dumps({"key": f"{i:012d}", "value": value}), {})
                          for i in range(count)))

    def load(self, what):
        more = {"put": ["put"], "hot": ["get", "1"], "many": ["get", str(MANY)]}[what]
        return ["-s", os.path.join(HERE, "etcd.lua"), self.url, "--", *more]

    def node(self, number):
        return self.sessions[number - 1].stats()

    def pause(self):
        self.last.signal(signal.SIGSTOP)

    def resume(self):
        self.last.signal(signal.SIGCONT)
        # It has what it missed when it can answer a linearizable read, which its health asks for.
        wait("etcd is whole again", 60, lambda: answers(self.last_place, "/health"))
