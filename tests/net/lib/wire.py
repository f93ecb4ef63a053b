"""DNS messages, small: enough to ask, to be a primary that lies, and to look at what comes back.

A second opinion on weir's own parser, so nothing is shared with it. Names keep their case.
"""

import os
import socket
import struct
import time

TYPES = dict(A=1, NS=2, CNAME=5, SOA=6, PTR=12, MX=15, TXT=16, AAAA=28, SRV=33, DNAME=39, OPT=41, DS=43, RRSIG=46, NSEC=47,
             DNSKEY=48, NSEC3=50, NSEC3PARAM=51, CDS=59, CDNSKEY=60, CSYNC=62, TSIG=250, IXFR=251, AXFR=252, ANY=255)
RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "YXDOMAIN", "YXRRSET", "NXRRSET", "NOTAUTH", "NOTZONE"]
QR, AA, TC, RD, AD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0020
IN = 1
EDE = 15


class Malformed(Exception):
    pass


def name(text):
    """"a.Example." -> wire. No escapes."""
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def rr(owner, rtype, ttl, rdata, rclass=IN):
    """One record; owner is text or wire."""
    owner = name(owner) if isinstance(owner, str) else owner
    return owner + struct.pack("!HHIH", TYPES.get(rtype, rtype), rclass, ttl, len(rdata)) + rdata


def soa(zone, serial, refresh=3600, retry=600, expire=604800, minimum=300, ttl=300):
    return rr(zone, "SOA", ttl, name("ns1." + zone) + name("hostmaster." + zone) + struct.pack("!5I", serial, refresh, retry, expire, minimum))


def a(owner, address="192.0.2.1", ttl=300):
    return rr(owner, "A", ttl, socket.inet_aton(address))


def question(qname, qtype, qclass=IN):
    return (name(qname) if isinstance(qname, str) else qname) + struct.pack("!HH", TYPES.get(qtype, qtype), qclass)


def message(mid, flags, questions=(), answer=(), authority=(), additional=()):
    head = struct.pack("!6H", mid, flags, len(questions), len(answer), len(authority), len(additional))
    return head + b"".join(questions) + b"".join(answer) + b"".join(authority) + b"".join(additional)


def query(qname, qtype, do=False, edns=True, flags=0):
    opt = [rr("", "OPT", 0x8000 if do else 0, b"", rclass=1232)] if edns else []
    return message(int.from_bytes(os.urandom(2), "big"), flags, [question(qname, qtype)], additional=opt)


def read_name(msg, at):
    """(text, where it ends)"""
    labels, end, hops = [], None, 0
    while True:
        n = msg[at]
        if n >= 0xC0:
            end = end or at + 2
            at = (n & 0x3F) << 8 | msg[at + 1]
            hops += 1
            if hops > 127:
                raise Malformed("compression loop")
        elif n:
            labels.append(msg[at + 1:at + 1 + n].decode("latin-1"))
            at += 1 + n
        else:
            return ".".join(labels) + ".", end or at + 1


class Record:
    def __init__(self, msg, at):
        self.owner, at = read_name(msg, at)
        self.type, self.rclass, self.ttl, n = struct.unpack_from("!HHIH", msg, at)
        self.rdata = msg[at + 10:at + 10 + n]
        if len(self.rdata) != n:
            raise Malformed("rdata is cut")
        self.end = at + 10 + n

    @property
    def serial(self):
        return struct.unpack_from("!I", self.rdata, len(self.rdata) - 20)[0]


class Message:
    def __init__(self, msg):
        self.wire = msg
        self.id, self.flags, nq, *counts = struct.unpack_from("!6H", msg)
        at = 12
        self.question = None
        for _ in range(nq):
            qname, at = read_name(msg, at)
            self.question = (qname, *struct.unpack_from("!HH", msg, at))
            at += 4
        sections = []
        for n in counts:
            section = []
            for _ in range(n):
                section.append(Record(msg, at))
                at = section[-1].end
            sections.append(section)
        self.answer, self.authority, self.additional = sections
        if at != len(msg):
            raise Malformed("octets after the last record")

    @property
    def rcode(self):
        return RCODES[self.flags & 15]

    @property
    def ede(self):
        """Extended error codes (RFC 8914), sorted."""
        codes = []
        for opt in (r for r in self.additional if r.type == TYPES["OPT"]):
            at = 0
            while at < len(opt.rdata):
                code, n = struct.unpack_from("!HH", opt.rdata, at)
                if code == EDE:
                    codes.append(struct.unpack_from("!H", opt.rdata, at + 4)[0])
                at += 4 + n
        return sorted(codes)

    def records(self, rtype):
        return [r for r in self.answer if r.type == TYPES[rtype]]


NAMES_IN = {2: "n", 5: "n", 6: "nn", 12: "n", 15: "2n"}  # types whose rdata may be compressed (RFC 3597 4): octets, then names


def plain(msg, record):
    """(owner, type, class, ttl, rdata), rdata as wire without compression. Names keep their case."""
    at, out = record.end - len(record.rdata), b""
    for step in NAMES_IN.get(record.type, ""):
        if step == "n":
            text, at = read_name(msg, at)
            out += name(text)
        else:
            out += msg[at:at + int(step)]
            at += int(step)
    return record.owner, record.type, record.rclass, record.ttl, out + msg[at:record.end]


def transfer(port, zone, host="127.0.0.1", ixfr_from=None):
    """The zone's records in the order in which they come, as plain() has them; the closing SOA is left out."""
    msg = query(zone, "AXFR")
    if ixfr_from is not None:
        msg = message(1, 0, [question(zone, "IXFR")], authority=[soa(zone, ixfr_from)])
    records = []
    with connect(port, host) as s:
        send_message(s, msg)
        while sum(r[1] == TYPES["SOA"] for r in records) < 2:
            back = receive_message(s)
            if not back:
                raise Malformed(f"transfer of {zone} from port {port} ends after {len(records)} records")
            m = Message(back)
            if m.rcode != "NOERROR":
                raise Malformed(f"transfer of {zone} from port {port}: {m.rcode}")
            records += [plain(back, r) for r in m.answer]
    return records[:-1]


class Ixfr:
    """The answer to an IXFR: .kind is "current" (one SOA), "axfr" or "ixfr"; .gone and .came are the difference's two sides."""

    def __init__(self, messages):
        self.messages = messages
        self.records = [plain(m, r) for m in messages for r in Message(m).answer]
        soas = [i for i, r in enumerate(self.records) if r[1] == TYPES["SOA"]]
        self.kind = "current" if len(self.records) == 1 else "ixfr" if soas[1] == 1 and len(soas) > 2 else "axfr"
        if self.kind == "ixfr":
            if len(soas) != 4 or soas[3] != len(self.records) - 1 or not self.records[0] == self.records[soas[2]] == self.records[-1]:
                raise Malformed(f"SOAs of a difference at {soas} of {len(self.records)} records")
            self.gone, self.came = self.records[1:soas[2]], self.records[soas[2]:-1]

    def applied(self, held):
        """What a secondary that holds these records has afterwards; strict: what goes must be there, what comes must not."""
        if self.kind == "current":
            return sorted(held)
        if self.kind == "axfr":
            return sorted(self.records[:-1])
        left = set(held)
        for record in self.gone:
            left.remove(record)
        for record in self.came:
            if record in left:
                raise Malformed(f"added, and was there: {record}")
            left.add(record)
        return sorted(left)


def ixfr_query(zone, number, ident=1):
    return message(ident, 0, [question(zone, "IXFR")], authority=[soa(zone, number)])


def ixfr_read(s, zone):
    """Reads one answer from a connection, to its end: our SOA alone, or that SOA for the second time, or the third in a difference."""
    messages, records, newest = [], 0, 0
    ends = first = None
    while not ends or newest < ends:
        back = receive_message(s)
        if not back:
            raise Malformed(f"IXFR of {zone} ends after {len(messages)} messages")
        m = Message(back)
        if m.rcode != "NOERROR":
            raise Malformed(f"IXFR of {zone}: {m.rcode}")
        messages.append(back)
        first = first or m.answer[0]
        records += len(m.answer)
        newest += sum(r.type == TYPES["SOA"] and r.serial == first.serial for r in m.answer)
        ends = ends or (1 if records == 1 else 3 if m.answer[1].type == TYPES["SOA"] and m.answer[1].serial != first.serial else 2)
    return Ixfr(messages)


def ixfr(port, zone, number, source=None, host="127.0.0.1"):
    with socket.create_connection((host, port), 10, (source, 0) if source else None) as s:
        send_message(s, ixfr_query(zone, number))
        return ixfr_read(s, zone)


def family(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def receive(sock, n):
    """Exactly n octets, or None when the stream ends before."""
    got = bytearray()
    while len(got) < n:
        part = sock.recv(n - len(got))
        if not part:
            return None
        got += part
    return bytes(got)


def receive_message(sock):
    head = receive(sock, 2)
    return head and receive(sock, struct.unpack("!H", head)[0])


def send_message(sock, msg):
    sock.sendall(struct.pack("!H", len(msg)) + msg)


def connect(port, host="127.0.0.1", timeout=10):
    return socket.create_connection((host, port), timeout)


def exchange(port, msg, tcp=False, host="127.0.0.1", timeout=3, source=None):
    """One message there, one back. None: no answer (timeout, refused connection, connection closed)."""
    try:
        if tcp:
            with connect(port, host, timeout) as s:
                send_message(s, msg)
                back = receive_message(s)
                return back and Message(back)
        with socket.socket(family(host), socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            if source:
                s.bind((source, 0))
            s.connect((host, port))
            s.send(msg)
            until = time.monotonic() + timeout
            while time.monotonic() < until:
                back = s.recv(65535)
                if back[:2] == msg[:2]:
                    return Message(back)
    except (OSError, TimeoutError):
        pass
    return None


def ask(port, qname, qtype, do=False, tcp=False, host="127.0.0.1", timeout=3):
    return exchange(port, query(qname, qtype, do=do), tcp, host, timeout)


def serial(port, zone, host="127.0.0.1"):
    """The serial that is served there, or None."""
    m = ask(port, zone, "SOA", host=host, timeout=1)
    soas = m.records("SOA") if m and m.rcode == "NOERROR" and m.flags & AA else []
    return soas[0].serial if soas else None
