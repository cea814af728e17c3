"""wire - what nodes, roles and clients say to each other, for the scripts of tests/

What covey writes is packed and parsed here and nowhere else in tests/:

  records         version ids, records as bytes and as text, a version in a store (record.h)
  frames          of the roles' sockets, and what is in them: a table a message (frame.h, *_talk.h)
  sealed packets  gossip, STORE, WANT and bulk messages (seal.h, wire.h, bulk.h)
  signed HTTP     requests, answers and trailers (sign.h)
  an outbox       its segments (lib/store/outbox.c)

And who speaks: Asker asks a role, Role is one, Member is the HTTP server of another node.  A script
of scenarios marks them with @scenario and ends with scenarios(__doc__).  Only the standard library.
"""
import hashlib
import hmac
import os
import queue
import re
import resource
import signal
import socket
import struct
import sys
import threading
import time
from types import SimpleNamespace

SECOND = 10**9          # versions, records and signatures count in ns


# packing

def string(b):
    return struct.pack(">H", len(b)) + b


class Reader:
    def __init__(self, data):
        self.data = data

    def bytes(self, n):
        assert len(self.data) >= n, f"{n} bytes wanted, {len(self.data)} left"
        value, self.data = self.data[:n], self.data[n:]
        return value

    def take(self, form):
        values = struct.unpack(">" + form, self.bytes(struct.calcsize(">" + form)))
        return values if len(values) > 1 else values[0]

    def string(self):
        return self.bytes(self.take("H"))

    def rest(self):
        return self.bytes(len(self.data))


ADDRESS_BYTES = {0: 0, 4: 4, 6: 16}


def address(port, host="127.0.0.1"):
    return b"\x04" + socket.inet_aton(host) + struct.pack(">H", port)


def read_address(r):
    family = r.bytes(1)
    return family + r.bytes(ADDRESS_BYTES[family[0]] + 2 * (family[0] != 0))


# A field is of a letter of struct, or of one of these: how it is packed, how it is read.
KINDS = {
    "text": (string, Reader.string),
    "record": (lambda b: b, lambda r: r.bytes(64)),
    "version": (lambda b: b, lambda r: r.bytes(24)),
    "address": (lambda b: b, read_address),
    "ids": (lambda ids: struct.pack(">B%dQ" % len(ids), len(ids), *ids),
            lambda r: [r.take("Q") for _ in range(r.take("B"))]),
    "rest": (lambda b: b, Reader.rest),
}


class Message:
    """A message of a conversation: its number, its fields as "NAME:KIND ...", and what some are when nobody says."""

    def __init__(self, number, fields="", **usual):
        self.number, self.name, self.usual = number, "?", usual
        self.fields = [field.split(":") for field in fields.split()]

    def __set_name__(self, conversation, name):
        self.name = name

    def __repr__(self):
        return self.name

    def pack(self, **values):
        body = b""
        for name, kind in self.fields:
            value = values.pop(name) if name in values else self.usual[name]
            body += KINDS[kind][0](value) if kind in KINDS else struct.pack(">" + kind, value)
        assert not values, f"{self} has no {', '.join(values)}"
        return body

    def read(self, body):
        r = Reader(body)
        values = {name: KINDS[kind][1](r) if kind in KINDS else r.take(kind) for name, kind in self.fields}
        assert not r.data, f"{self}: {len(r.data)} bytes left over"
        return SimpleNamespace(**values)


class Conversation:
    """The messages on one socket.  All of them know these two."""

    FAILED = Message(255, "kind:B text:text")
    CANCEL = Message(254)

    @classmethod
    def of(cls, number):
        for c in cls.__mro__:
            for message in vars(c).values():
                if isinstance(message, Message) and message.number == number:
                    return message
        return None


COUNTS = "homes_answered:I homes:I peers_answered:I peers:I"


class DiscoverTalk(Conversation):
    VIEW, WATCH, LEAVE = Message(1), Message(2), Message(3)
    DONE = Message(5)
    LAYOUT = Message(6, "packed:rest")
    BEHIND = Message(7, "epoch:Q node:Q place:address")
    SYNCED = Message(8, "epoch:Q")


class VersionTalk(Conversation):
    NEWEST = Message(1, "path:text version:version purpose:B")
    ANSWER = Message(2, "certainty:B record:record type:text entry:record parent_known:B holders:ids "
                     + COUNTS + " clock:Q epoch:Q")
    NODES = Message(3, "path:text")
    ROW = Message(4, "id:Q name:text http:address state:B roles:B answered:B record:record type:text "
                  "content:B entry:record age_ms:Q")
    END = Message(5)
    STORE = Message(6, "path:text record:record type:text anew:B", anew=0)
    STORED = Message(7, "confirmed:B all:B last:B " + COUNTS + " newest:version epoch:Q")
    SYNC, SYNCED = Message(10, "plain:rest"), Message(11, "plain:rest")
    STATS = Message(12, "text:rest")


WINDOW, ALL = "after:text limit:I directories:B age:Q", dict(after=b"", limit=0, directories=0, age=0)


class SyncTalk(Conversation):
    PULL = Message(1, "path:text record:record type:text holders:ids")
    STARTED = Message(2)
    PROGRESS = Message(3, "bytes:Q")
    DONE = Message(4)
    LIST = Message(5, "path:text epoch:Q nodes:ids " + WINDOW, **ALL)
    HISTORY = Message(6, "path:text epoch:Q nodes:ids " + WINDOW, **ALL)
    PART = Message(7, "node:Q epoch:Q gate:version upto:text")
    END = Message(8, "asked:I answered:I stale:B")
    RESOLVE = Message(9, "name:text")
    ADDRESSES = Message(10, "packed:rest")
    PUSH = Message(11, "path:text record:record type:text keepers:ids wanted:B")
    HAVE = Message(12, "nodes:ids")
    BEGIN = Message(13, "path:text record:record type:text keepers:ids wanted:B")
    TOKEN = Message(14, "token:Q")
    MORE = Message(15, "token:Q bytes:Q")
    NAME = Message(16, "token:Q record:record type:text")
    DROP = Message(17, "token:Q")
    DRAIN = Message(18)
    CARRY = Message(19, "http:address to:B packet:text")
    CARRIED = Message(20, "packet:rest")
    BULK = Message(21, "packet:rest")
    LATER = Message(23)


READ, WRITE, ONE, BELOW, HOLDERS = range(1, 6)          # purposes of NEWEST
CONFIRMED, UNDECIDED, UNCONFIRMED = 1, 2, 3             # certainties of ANSWER
ABSENT, FULL, AWAY, CORRUPT = 3, 8, 10, 11              # kinds of FAILED: enum err_kind


# versions and records

DELETED, DIRECTORY, BLIND = 1, 2, 4
NO_RECORD, NO_VERSION = bytes(64), bytes(24)
RECORD = ">BBHQQQ32sI"


def record(content=None, when=1, node=0x1000, flags=0, form=2, sha=None):
    sha = sha or (hashlib.sha256(content).digest() if content is not None else bytes(32))
    return struct.pack(RECORD, form, flags, 0, when, node, len(content or b""), sha, 0)


def read_record(packed):
    """None where there is none."""
    form, flags, child, when, node, size, sha, _ = struct.unpack(RECORD, packed)
    if form == 0:
        return None
    assert (form, child) == (2, 0), "not a record of format 2 and n 0"
    return SimpleNamespace(flags=flags, time=when, node=node, size=size, sha=sha)


def version_of(packed_record):
    """As it is packed: time, node, n."""
    return packed_record[4:20] + bytes(8)


def version_text(when, node, n=0):
    seconds, ns = divmod(when, SECOND)
    return "%s.%09dZ-%016x-%d" % (time.strftime("%Y%m%dT%H%M%S", time.gmtime(seconds)), ns, node, n)


class Version:
    """A version of a path, its content and its record."""

    counter = 0

    def __init__(self, content, path=None, flags=0, when=None, node=0xabcdef0123456789):
        Version.counter += 1
        self.content, self.path, self.flags = content, path or b"docs/a%d" % Version.counter, flags
        self.time = 1795000000 * SECOND + Version.counter * 1000 if when is None else when
        self.node, self.sha = node, hashlib.sha256(content).digest()

    def text(self):
        return version_text(self.time, self.node)

    def record(self):
        return record(self.content, self.time, self.node, self.flags)

    def record_text(self):
        return "%s - %d %s 0" % (self.text(), len(self.content), self.sha.hex())

    def write(self, name):
        """Into a store, under this name there."""
        os.makedirs(os.path.dirname(name), 0o750, exist_ok=True)
        with open(name, "wb") as f:
            f.write(self.content)
            os.setxattr(f.fileno(), "user.covey", self.record())
        os.utime(name, ns=(self.time, self.time))


# layouts

SET_A, SET_B, SEAT = 1, 2, 4


def layout(epoch, members, homes=3, copies=2, lineage=1, keep_versions=10):
    """members: {id: the sets that it is in, and SEAT of the council}.  It left no other lineage."""
    head = struct.pack(">QQBBIIBB", lineage, epoch, homes, copies, keep_versions, 0, 0, len(members))
    return head + b"".join(struct.pack(">QBBB", i, sets, 1, 0) for i, sets in sorted(members.items())) + bytes(16)


def read_layout(packed):
    """Its epoch, and whether it is joint."""
    r = Reader(packed)
    _, epoch, _, _, _, _, rules = r.take("QQBBIIB")
    for _ in range(rules):
        r.string()
    sets = [r.take("QBBB")[1] for _ in range(r.take("B"))]
    return epoch, any(s & SET_B for s in sets)


# frames

FRAME = ">2sBBQII"


def frame(number, request, body=b"", deadline_ms=0):
    return struct.pack(FRAME, b"cv", 2, number, request, deadline_ms, len(body)) + body


def read_frame(packet):
    """Number of the message, request id, body."""
    magic, protocol, number, request, _, n = struct.unpack(FRAME, packet[:20])
    assert (magic, protocol, n) == (b"cv", 2, len(packet) - 20), f"no frame: {packet[:40]}"
    return number, request, packet[20:]


def seqpacket():
    return socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)


class Asker:
    """A connection to a role, on which it is asked as the others ask it."""

    def __init__(self, path, talk, patience=20, appears=10):
        self.path, self.talk, self.patience, self.appears = path, talk, patience, appears
        self.connect()

    def connect(self):
        self.socket = seqpacket()
        self.socket.settimeout(self.patience)
        end = time.time() + self.appears
        while True:
            try:
                return self.socket.connect(self.path)
            except OSError:
                if time.time() > end:
                    raise
                time.sleep(0.02)

    def another(self):
        return Asker(self.path, self.talk, self.patience)

    def close(self):
        self.socket.close()

    def send_body(self, message, body, request=1, fds=()):
        """Also of what is no such message."""
        number = message.number if isinstance(message, Message) else message
        socket.send_fds(self.socket, [frame(number, request, body)], list(fds))

    def send(self, message, request=1, fds=(), **fields):
        self.send_body(message, message.pack(**fields), request, fds)

    def receive(self):
        packet, fds, _, _ = socket.recv_fds(self.socket, 1 << 17, 32)
        if not packet:
            raise EOFError("the role closed the connection")
        number, request, body = read_frame(packet)
        return SimpleNamespace(message=self.talk.of(number), request=request, body=body, fds=fds)

    def answer(self, wanted=None, request=1):
        """The next answer to this request, or the next of this message; others are passed over."""
        while True:
            a = self.receive()
            if a.request == request and wanted in (None, a.message):
                return a
            for fd in a.fds:
                os.close(fd)

    def drained(self):
        """Reads until the role hangs up."""
        try:
            while True:
                self.receive()
        except (EOFError, ConnectionError):
            pass


class Request:
    """What a role is asked, with the message's fields; reply() as often as one likes."""

    def __init__(self, talk, connection, packet, fds):
        number, self.number, body = read_frame(packet)
        self.talk, self.message, self.connection, self.fds = talk, talk.of(number), connection, fds
        check(self.message is not None, "a role was asked what is no message:", number)
        vars(self).update(vars(self.message.read(body)))

    def reply(self, message, fds=(), **fields):
        try:
            socket.send_fds(self.connection, [frame(message.number, self.number, message.pack(**fields))], list(fds))
        except OSError:
            pass            # nobody waits any more

    def fail(self):
        self.reply(self.talk.FAILED, kind=AWAY, text=b"as told")


class Role:
    """The socket of a role in run/.  Every request goes to handle(request), in a thread of its own."""

    def __init__(self, name, talk, handle):
        self.talk, self.handle, self.connections = talk, handle, []
        os.makedirs("run", exist_ok=True)
        self.listener = seqpacket()
        self.listener.bind("run/%s.sock" % name)
        self.listener.listen(64)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        while True:
            try:
                packet, fds, _, _ = socket.recv_fds(connection, 65536, 8)
            except OSError:
                return
            if not packet:
                return
            request = Request(self.talk, connection, packet, fds)
            if request.message is not self.talk.CANCEL:
                threading.Thread(target=self.handle, args=(request,), daemon=True).start()

    def cut(self):
        connections, self.connections = self.connections, []
        for connection in connections:
            connection.shutdown(socket.SHUT_RDWR)


# sealed packets: XChaCha20-Poly1305 as in draft-irtf-cfrg-xchacha-03

PROTOCOL = 4
DISCOVERY, SYNC = 1, 3                          # roles that a packet is for
WIRE_STORE, WIRE_WANT = 4, 7                    # types of packets
BULK_SYNC, BULK_SYNCED, BULK_STALE, BULK_TAKE, BULK_TAKEN = 1, 2, 5, 10, 11  # types of bulk messages
TAKE_HAS, TAKE_NEEDLESS, TAKE_NOT = 1, 2, 3
CONSTANT = struct.unpack("<4I", b"expand 32-byte k")


def key_of(file):
    """The first key, which seals and signs."""
    with open(file) as f:
        return bytes.fromhex(re.search(r"^[0-9a-f]{64}$", f.read(), re.M).group())


def group_of(key):
    return hashlib.blake2b(b"covey group id", digest_size=32, key=key).digest()[:8]


def rounds(state):
    x = list(state)

    def quarter(a, b, c, d):
        for p, q, r, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            x[p] = (x[p] + x[q]) & 0xFFFFFFFF
            v = x[r] ^ x[p]
            x[r] = ((v << n) | (v >> (32 - n))) & 0xFFFFFFFF

    for _ in range(10):
        quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
    return x


def block(key, counter, nonce):
    state = CONSTANT + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(rounds(state), state)))


def encrypted(key, nonce, ad, plain):
    out = rounds(CONSTANT + struct.unpack("<8I", key) + struct.unpack("<4I", nonce[:16]))
    key, nonce = struct.pack("<8I", *(out[:4] + out[12:])), bytes(4) + nonce[16:]
    stream = b"".join(block(key, 1 + i, nonce) for i in range((len(plain) + 63) // 64))
    cipher = bytes(a ^ b for a, b in zip(plain, stream))
    pad = lambda b: b + bytes(-len(b) % 16)
    text = pad(ad) + pad(cipher) + struct.pack("<QQ", len(ad), len(cipher))
    once = block(key, 0, nonce)
    r = int.from_bytes(once[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    total = 0
    for i in range(0, len(text), 16):
        total = (total + int.from_bytes(text[i:i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    tag = (total + int.from_bytes(once[16:32], "little")) & ((1 << 128) - 1)
    return cipher + tag.to_bytes(16, "little")


def sealed(key, plain, protocol=PROTOCOL):
    head, nonce = b"cvy" + bytes([protocol]), os.urandom(24)
    return head + nonce + encrypted(key, nonce, head, plain)


def opened(key, packet):
    """None: it was not sealed with this key."""
    head, nonce, rest = packet[:4], packet[4:28], packet[28:]
    plain = encrypted(key, nonce, head, rest[:-16])[:-16]
    return plain if encrypted(key, nonce, head, plain) == rest else None


def sender(key, node, protocol=PROTOCOL, start=1):
    """Group and member, with which every packet begins: a guest, of no group yet, whom nobody reaches."""
    name, nowhere = b"stranger", address(9)
    plain = struct.pack(">QQQBBBH", node, start, 1, 1, protocol, protocol, len(name))
    return group_of(key) + plain + name + nowhere * 3 + struct.pack(">QIIBBH", 0, 0, 1, 1, 1, 0)


BULK_HEAD = Message(0, "group:8s sender:Q receiver:Q role:B id:Q lineage:Q epoch:Q type:B body:rest")
BULK_HEAD.name = "a bulk message"


# HTTP that is signed, as sign.h says

SIGNATURE = re.compile(rb"v2 ([0-9a-f]{16}) ([0-9a-f]{16}) (\d+) ([0-9a-f]{32}) ([0-9a-f]{64})")


def covered(fields):
    """Those of the (name, value) pairs that a signature covers."""
    names = (b"range", b"etag", b"content-range", b"content-encoding", b"accept-encoding", b"available-dictionary")
    return [(n, v) for n, v in fields if n.lower() in names or
            (n.lower().startswith(b"covey-") and n.lower() != b"covey-signature")]


def mac(key, sender, receiver, method, target, fields, when, nonce):
    def part(b):
        return struct.pack(">Q", len(b)) + b
    sub = hashlib.blake2b(b"covey http signatures", key=key, digest_size=32).digest()
    fields = covered(fields)
    text = part(b"v2") + struct.pack(">QQ", sender, receiver) + part(method) + part(target)
    text += struct.pack(">Q", len(fields))
    for name, value in sorted((n.lower(), v) for n, v in fields):
        text += part(name) + part(value)
    return hashlib.blake2b(text + struct.pack(">Q", when) + nonce, key=sub, digest_size=32).hexdigest()


def signature(key, sender, receiver, method, target, fields, when, nonce):
    """The value of Covey-Signature."""
    right = mac(key, sender, receiver, method, target, fields, when, nonce)
    return f"v2 {sender:016x} {receiver:016x} {when} {nonce.hex()} {right}".encode()


def read_signature(value, key, receiver, method, target, fields):
    """Sender, time and nonce of one that is right at this receiver, or None."""
    m = SIGNATURE.fullmatch(value or b"")
    if not m or int(m[2], 16) != receiver:
        return None
    signed = SimpleNamespace(sender=int(m[1], 16), time=int(m[3]), nonce=bytes.fromhex(m[4].decode()))
    right = mac(key, signed.sender, receiver, method, target, fields, signed.time, signed.nonce)
    return signed if hmac.compare_digest(m[5].decode(), right) else None


def answer_signature(key, node, asked, method, target, fields):
    """The line with which node signs an answer, or its trailer, to the request with that signature; or nothing."""
    m = SIGNATURE.fullmatch(asked or b"")
    if not m:
        return b""
    nonce = bytes.fromhex(m[4].decode())
    return b"Covey-Signature: %s\r\n" % signature(key, node, int(m[1], 16), method, target, fields, 1, nonce)


def field_lines(fields):
    return b"".join(b"%s: %s\r\n" % field for field in fields)


class HttpRequest:
    """What another node is asked; its body is read by who wants it."""

    def __init__(self, member, connection, stream):
        self.member, self.socket, self.stream, self.body, self.record = member, connection, stream, b"", None
        line = stream.readline()
        self.time = time.time()
        self.method, self.target = (line.split(b" ") + [b"", b""])[:2] if line else (b"", b"")
        self.fields = self.read_fields()
        m = re.fullmatch(rb"bytes=(\d+)-", self.fields.get(b"range", b""))
        self.ranged, self.offset = m is not None, int(m[1]) if m else 0
        self.asked_offset = self.offset if m else None

    def read_fields(self):
        fields = {}
        while (line := self.stream.readline()) not in (b"\r\n", b""):
            name, value = line.rstrip(b"\r\n").split(b":", 1)
            fields[name.lower()] = value.strip()
        return fields

    # requests that carry something

    def signed(self, method, fields):
        """None, or how far the clock of a rightly signed one is off, ns."""
        signed = read_signature(fields.get(b"covey-signature"), self.member.key, self.member.id, method, self.target,
                                fields.items())
        if signed is None:
            return None
        if fields is self.fields:
            check(signed.nonce not in self.member.nonces, "a nonce came twice")
            self.member.nonces.add(signed.nonce)
        else:
            check(signed.nonce.hex().encode() in self.fields[b"covey-signature"], "a trailer of another request")
        return signed.time - time.time_ns() - self.member.ahead

    def timely(self):
        """Signed, and by this member's clock; else the answer has been given."""
        off = self.signed(self.method, self.fields)
        check(off is not None, "not rightly signed:", self.method, self.target, self.fields)
        if abs(off) < 60 * SECOND:
            return True
        self.answer(403, fields=[(b"Covey-Time", b"%d" % (time.time_ns() + self.member.ahead)), (b"Connection", b"close")])
        return False

    def read(self):
        """The whole body, and the record: in the header, or in the trailer of a chunked one."""
        if b"content-length" in self.fields:
            self.body = self.read_bytes(int(self.fields[b"content-length"]))
            self.record = self.fields.get(b"covey-push")
            return self.body
        check(self.fields[b"transfer-encoding"] == b"chunked", self.fields)
        check(self.fields[b"covey-push"] == b"later", self.fields)
        pieces = []
        while size := int(self.read_bytes(1) + self.stream.readline(), 16):
            pieces.append(self.read_bytes(size))
            self.read_bytes(2)
        self.body = b"".join(pieces)
        trailer = self.read_fields()
        self.record = trailer.get(b"covey-version")
        check(self.record, "no record in the trailer:", trailer)
        off = self.signed(b"trailer of PUT", trailer)
        check(off is not None and abs(off) < 60 * SECOND, "the trailer is not rightly signed")
        return self.body

    def read_bytes(self, n):
        got = self.stream.read(n)
        if len(got) < n:
            raise EOFError
        return got

    # answers

    def send(self, data):
        self.socket.sendall(data)

    def head(self, status, length=None, fields=()):
        """Without a length the body comes in chunks."""
        framing = [(b"Content-Length", b"%d" % length)] if length is not None else [(b"Transfer-Encoding", b"chunked")]
        self.send(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, field_lines([*framing, *fields])))

    def chunks(self, body, trailer=b""):
        self.send(b"%x\r\n%s\r\n0\r\n%s\r\n" % (len(body), body, trailer))

    def sign(self, method, target, fields):
        line = answer_signature(self.member.key, self.member.id, self.fields.get(b"covey-signature"), method, target, fields)
        return [tuple(line.rstrip().split(b": ", 1))] if line else []

    def answer(self, status, content=b"", fields=()):
        """Signed, where the request was."""
        fields = list(fields) + (self.sign(b"answer", b"%d" % status, fields) if self.member.key else [])
        self.head(status, len(content), fields)
        self.send(content)

    def answer_list(self, content, fields):
        """Its body is signed as well."""
        self.head(200, fields=[*fields, *self.sign(b"answer", b"200", fields)])
        trailer = [(b"Covey-Body", hashlib.sha256(content).hexdigest().encode())]
        self.chunks(content, field_lines(trailer + self.sign(b"trailer of answer", b"", trailer)))


class Member:
    """The HTTP server of another member.  behave(member, request) answers; False closes the connection."""

    def __init__(self, number, behave, ahead=0, key=None):
        self.id, self.behave, self.ahead, self.key = 0x1000 + number, behave, ahead, key
        self.number, self.requests, self.nonces, self.state = number, [], set(), "up"
        self.version, self.gone = None, threading.Event()
        self.together, self.taken = None, []    # what came of (path, content), in one message with others; None: 404
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def serve(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        try:
            while True:
                request = HttpRequest(self, connection, stream)
                if not request.method:
                    return
                if request.target == b"/.covey/msg?to=contents":
                    self.take(request)
                    continue
                self.requests.append(request)
                if self.behave(self, request) is False:
                    return
        except (EOFError, OSError):
            self.gone.set()         # whoever asked has hung up
        finally:
            stream.close()
            connection.close()

    def take(self, request):
        """Contents that are given together (bulk.h)."""
        plain = opened(self.key, request.read())
        if not self.together:
            request.head(404, 0)
            return
        bulk, states = BULK_HEAD.read(plain), b""
        equal("who gives, and is given", (bulk.type, bulk.receiver), (BULK_TAKE, self.id))
        items = Reader(bulk.body)
        while items.data:
            packed, _, path, content = items.bytes(64), items.string(), items.string(), items.string()
            equal("the record's digest", read_record(packed).sha, hashlib.sha256(content).digest())
            self.taken.append((path, content))
            states += bytes([self.together(path, content)])
        answer = sealed(self.key, BULK_HEAD.pack(group=bulk.group, sender=self.id, receiver=bulk.sender, role=SYNC, id=bulk.id,
                                                 lineage=1, epoch=1, type=BULK_TAKEN, body=states))
        request.head(200, len(answer))
        request.send(answer)

    def offsets(self):
        """Of the ranges that it was asked for; None: of the whole."""
        return [r.asked_offset for r in self.requests]

    def targets(self):
        return [r.target for r in self.requests]

    def section(self):
        """As members.ini has it."""
        return ("\n[%016x]\nname = p\nstate = %s\nstart = 1\nheartbeat = 1\nprotocol = 2-2\nhttp = 127.0.0.1:%d\n"
                "discovery = 127.0.0.1:4721\n" % (self.id, self.state, self.port))


class Syncd(Asker):
    """covey-syncd in this directory, where these are the members, and a connection to it."""

    PULL_MS = 3000          # what no answer costs; far more than an answer takes on a busy machine

    def __init__(self, members, conf="", activated=False):
        """conf: more lines of covey.yaml, of timeouts at first."""
        self.members = members
        os.makedirs("store/state", exist_ok=True)
        os.makedirs("run", exist_ok=True)
        with open("store/state/members.ini", "w") as f:
            f.write("[covey]\nself = 0000000000000001\n" + "".join(m.section() for m in members))
        with open("covey.yaml", "w") as f:
            f.write("node:\n  name: t\n  store: %s/store\n  run: %s/run\ntimeouts:\n  pull: %dms\n%s"
                    % (os.getcwd(), os.getcwd(), self.PULL_MS, conf))
        self.listener = None
        if activated:
            self.listener = seqpacket()
            self.listener.bind(os.getcwd() + "/run/sync.sock")
            self.listener.listen(16)
        self.path, self.talk, self.patience, self.appears = "run/sync.sock", SyncTalk, 20, 10
        self.start()

    def start(self):
        if self.listener:
            os.dup2(self.listener.fileno(), 3)
            self.process = start(["sh", "-c", "LISTEN_PID=$$ exec covey-syncd -c covey.yaml"], pass_fds=[3],
                                 env=dict(os.environ, LISTEN_FDS="1", LISTEN_FDNAMES="sync"))
        else:
            # As few descriptors as a login shell may give: it takes what it needs.
            self.process = start(["covey-syncd", "-c", "covey.yaml"], preexec_fn=lambda: resource.setrlimit(
                resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
        self.connect()

    def stop(self):
        self.close()
        self.process.terminate()
        equal("covey-syncd's end", self.process.wait(20), 0)


# an outbox

def fnv(b):
    h = 0xcbf29ce484222325
    for c in b:
        h = (h ^ c) * 0x100000001b3 % 2**64
    return h


class Segment:
    """A segment of store/outbox, as lib/store/outbox.c says."""

    def __init__(self, number):
        self.id, self.name = number, "store/outbox/%016x.seg" % number
        self.bytes = b"covey outbox 1\n\0" + struct.pack(">Q", number) + bytes(40)
        open(self.name, "wb").close()

    def add(self, v):
        start = struct.pack(">HBBIQQ", len(v.path), 1, 0, 0, v.time, v.node)
        place = struct.pack(">QQ", self.id, len(self.bytes))
        entry = start + struct.pack(">Q", fnv(place + start + v.path)) + v.path
        self.bytes += entry + bytes(-len(entry) % 8)

    def write(self):
        with open(self.name, "wb") as f:
            f.write(self.bytes + bytes((256 << 10) - len(self.bytes)))


# scenarios

SCENARIOS = {}
STARTED_PROCESSES = []


def check(condition, *what):
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what))


def equal(whom, got, expected):
    check(got == expected, f"{whom}: got {got!r}, expected {expected!r}")


def until(seconds, condition, *what):
    end = time.time() + seconds
    while not condition():
        check(time.time() < end, f"not within {seconds} s:", *what)
        time.sleep(0.01)


def start(command, **how):
    """A process that does not outlive the scenario."""
    import subprocess           # here, since most of what uses this module starts none, and often
    process = subprocess.Popen(command, **how)
    STARTED_PROCESSES.append(process)
    return process


def scenario(f):
    """f's docstring says what is expected of whom."""
    SCENARIOS[f.__name__] = f
    return f


def explain(f, error):
    """Which line of the scenario failed, and what was expected."""
    import traceback
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename == f.__code__.co_filename and frame.name != "<module>":
            print(f"{os.path.basename(frame.filename)}:{frame.lineno}: {frame.name}: {frame.line}")
    print(f"expected: {f.__doc__}")
    print(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def scenarios(usage, parameters=0, prepare=lambda: ()):
    """main() of a script: runs the scenario that its first argument names, with what prepare() gives.

    At least so many parameters follow; --list tells of all scenarios."""
    if sys.argv[1:] == ["--list"]:
        for name, f in SCENARIOS.items():
            print("%-18s%s" % (name, f.__doc__))
        sys.exit(0)
    if len(sys.argv) < 2 + parameters or sys.argv[1] not in SCENARIOS:
        print(usage, file=sys.stderr)
        sys.exit(64)
    # Whatever happens, no daemon is left: it would hold our output open.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    f = SCENARIOS[sys.argv[1]]
    try:
        f(*prepare())
    except (AssertionError, OSError, EOFError, queue.Empty) as e:
        explain(f, e)
        sys.exit(1)
    finally:
        for process in STARTED_PROCESSES:
            if process.poll() is None:
                process.kill()
    sys.exit(0)
