"""A zone as the world sees it while its keys change: a signed parent on two servers, whose DS set a script changes, and a validating
resolver that is asked all the time and keeps what it has for as long as the TTLs say.

The resolver has the parent's key as its anchor. Every kind of answer is asked for in turn (Watch.KINDS), a part of them by names that were
never asked for, so that old keys in the cache meet new signatures, and new keys old ones. What counts as wrong: SERVFAIL, no answer,
another RCODE than the zone's, and, while the zone is meant to be secure, an answer that the resolver does not vouch for (AD).
"""

import re
import subprocess
import threading
import time
import traceback

from peers import WITHIN_S, Failed, check, write
from wire import AD, RD, exchange, name, query, serial
import wire

PARENT = "par."
DS_TTL = 3
PACE_S = 0.004  # between two questions
SHOWN = 12
# Signed with each algorithm that a DS or DNSKEY names: the strict reading, so that an algorithm rollover in the wrong order is seen.
STRICT = "  harden-algo-downgrade: yes\n  serve-expired: no\n  prefetch: no\n  infra-host-ttl: 1\n  val-bogus-ttl: 1\n  val-max-restart: 0\n"


def child_text(zone, number, ttl=3, more="", minimum=2):
    """Something of every kind that a resolver has to have proved."""
    return (f"$ORIGIN {zone}\n$TTL {ttl}\n@ {ttl} SOA ns1 hostmaster {number} 3600 600 604800 {minimum}\n@ NS ns1\nns1 A 192.0.2.1\n"
            f"www A 192.0.2.{number % 250}\n*.w A 192.0.2.9\ntext TXT \"version {number}\"\nalias CNAME www\n"
            f"deep.ent A 192.0.2.3\nplain NS ns.plain\nns.plain A 192.0.2.53\nsecure NS ns.plain\n"
            f"secure DS 12345 13 2 {'ab' * 32}\n{more}")


class Parent:
    """The zone above, signed, on two real servers."""

    def __init__(self, net, child, ds_ttl=DS_TTL):
        self.net, self.child, self.ds_ttl, self.number, self.ds = net, child, ds_ttl, 0, []
        self.key = net.key(PARENT)
        text = self.signed()
        self.servers = [net.nsd({PARENT: text}), net.knot({PARENT: text})]

    def signed(self, ds=None):
        self.number += 1
        rows = "".join(f"{self.child} {self.ds_ttl} DS {d}\n" for d in (self.ds if ds is None else ds))
        return self.net.sign(f"$ORIGIN {PARENT}\n$TTL {DS_TTL}\n@ {DS_TTL} SOA ns hostmaster {self.number} 3600 600 604800 2\n@ NS ns\nns A 192.0.2.1\n"
                             f"{self.child} NS ns1.{self.child}\nns1.{self.child} A 192.0.2.1\n{rows}", self.key)

    def set_ds(self, ds, servers=None):
        """On both servers, or on some. DS as rdata text."""
        self.ds = sorted(ds)
        text = self.signed()
        for s in servers or self.servers:
            s.publish(PARENT, text)
        for s in servers or self.servers:
            s.serves(PARENT, self.number)


def ds_of(key_file, folder, zone):
    """The DS of a key file (without its ending), as rdata text."""
    p = subprocess.run(["ldns-key2ds", "-n", "-2", key_file + ".key"], cwd=folder, capture_output=True, text=True, check=True)
    return " ".join(p.stdout.split()[4:]).lower()


def cds_of(port, zone, host="127.0.0.1"):
    """The CDS set that a server shows, as DS rdata text; [] when there is none; None: no answer."""
    back = exchange(port, query(zone, "CDS"), host=host)
    if not back or back.rcode != "NOERROR":
        return None
    return sorted(f"{int.from_bytes(r.rdata[:2], 'big')} {r.rdata[2]} {r.rdata[3]} {r.rdata[4:].hex()}" for r in back.records("CDS"))


DELETE = "0 0 0 00"


class Watch:
    """Asks a resolver until it is stopped. phase: what is going on, for people. secure: True, False, or None while that may change."""

    # kind: (name, type, RCODE); {n} makes a name that was never asked for
    KINDS = {
        "soa": ("", "SOA", "NOERROR"), "dnskey": ("", "DNSKEY", "NOERROR"), "a": ("www.", "A", "NOERROR"), "text": ("text.", "TXT", "NOERROR"),
        "wildcard": ("x{n}.w.", "A", "NOERROR"), "nxdomain": ("no{n}.", "A", "NXDOMAIN"), "nodata": ("www.", "AAAA", "NOERROR"),
        "ent": ("ent.", "A", "NOERROR"), "alias": ("alias.", "A", "NOERROR"), "ns": ("", "NS", "NOERROR"), "apex-nodata": ("", "MX", "NOERROR"),
        "own-ds": ("", "DS", "NOERROR"),  # as a validator behind this resolver would: so it stays in the cache for its whole TTL
        "ds": ("secure.", "DS", "NOERROR"), "no-ds": ("plain.", "DS", "NOERROR"), "wildcard-nodata": ("y{n}.w.", "TXT", "NOERROR"),
    }

    def __init__(self, net, resolver, zone, more=None):
        self.net, self.resolver, self.zone = net, resolver, zone
        self.kinds = dict(self.KINDS, **(more or {}))
        self.phase, self.secure, self.wrong, self.asked, self.vouched, self.n = "", None, [], 0, 0, 0
        self.stopping, self.pausing = threading.Event(), threading.Lock()
        self.last = {}  # kind: was it vouched for?
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        net.closers.append(self.stop)

    def stop(self):
        self.stopping.set()
        self.thread.join(10)

    def ask(self, kind):
        label, rtype, want = self.kinds[kind]
        self.n += 1
        secure = True if kind == "own-ds" else self.secure  # the parent's word is signed, whatever it is
        qname = label.replace("{n}", str(self.n)) + self.zone
        back = exchange(self.resolver.port, query(qname, rtype, do=True, flags=RD), timeout=8)
        self.asked += 1
        good = bool(back and back.flags & AD)
        self.vouched += good
        if kind != "own-ds":
            self.last[kind] = good
        fault = None
        if not back:
            fault = "no answer"
        elif back.rcode != want:
            fault = f"{back.rcode}, want {want}"
        elif secure is not None and secure in (self.secure, kind == "own-ds") and good != secure:
            fault = "not vouched for (no AD)" if secure else "vouched for (AD), though the parent has no DS"
        if fault:
            self.wrong.append(f"{time.strftime('%H:%M:%S')} {self.phase}: {kind} {qname} {rtype}: {fault}")

    def run(self):
        try:
            while True:
                for kind in self.kinds:
                    self.ask(kind)
                    if self.stopping.wait(PACE_S):
                        return
        except Exception:  # pylint: disable=broad-except
            self.wrong.append("the watch itself: " + traceback.format_exc())  # or it would find nothing any more

    def good(self):
        """Raises when there was one wrong answer, with what the resolver says of it."""
        if self.wrong:
            why = self.resolver.lines("validation failure|bogus")[:SHOWN]
            raise Failed(f"{len(self.wrong)} of {self.asked} answers were wrong:\n" + "\n".join(self.wrong[:SHOWN] + why))

    def ds_left(self):
        """For how many seconds the resolver keeps the DS set that it has."""
        back = exchange(self.resolver.port, query(self.zone, "DS", do=True, flags=RD))
        return min((r.ttl for r in back.records("DS")), default=0)

    def all_vouched(self):
        return len(self.last) == len(self.kinds) - 1 and all(self.last.values())

    def none_vouched(self):
        return len(self.last) == len(self.kinds) - 1 and not any(self.last.values())

    def until(self, what, condition, within=WITHIN_S):
        """Waits; gives up at the first wrong answer."""
        return self.net.wait(what, lambda: self.good() or condition(), within)

    def becomes(self, secure, within=WITHIN_S):
        """The caches come to know that there is a DS, or none any more; from then on it stays so."""
        self.secure = None
        self.last.clear()
        self.until("every kind of answer is " + ("vouched for" if secure else "plain"), self.all_vouched if secure else self.none_vouched, within)
        self.secure = secure

    def rounds(self, seconds):
        """Lets the watch go on for so long: as long as something may be in a cache."""
        until = time.monotonic() + seconds
        self.until(f"{seconds} s of good answers", lambda: time.monotonic() > until, seconds + WITHIN_S)


def key_set(port, zone, host="127.0.0.1"):
    """Of a server: sorted (algorithm, flags, tag) of the DNSKEY set; None: no answer."""
    back = exchange(port, query(zone, "DNSKEY"), host=host, tcp=True)
    if not back or back.rcode != "NOERROR":
        return None
    return sorted((r.rdata[3], int.from_bytes(r.rdata[:2], "big"), tag_of(r.rdata)) for r in back.records("DNSKEY"))


def tag_of(rdata):
    """RFC 4034 appendix B."""
    total = sum(b << 8 if i % 2 == 0 else b for i, b in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


class ByHand:
    """In weir's place: NSD, and signatures by ldns-signzone, with whatever keys the script says. What it does wrong must be seen."""

    def __init__(self, net, zone, ttl=3):
        self.net, self.zone, self.number, self.ttl = net, zone, 0, ttl
        self.server = None

    def publish(self, signs, shows=(), ttl=None):
        """signs: key files that sign. shows: such that are in the DNSKEY set besides."""
        self.number += 1
        rows = ""
        for key in shows:
            with open(self.net.path(key + ".key"), encoding="ascii") as f:
                rows += f.read().replace("IN\t", f"{self.ttl} IN\t", 1)
        text = self.net.sign(child_text(self.zone, self.number, self.ttl, rows), *signs, options=("-A", "-U"))
        if not self.server:
            self.server = self.net.nsd({self.zone: text})
        else:
            self.server.publish(self.zone, text)
            self.server.serves(self.zone, self.number)
        return self.server
