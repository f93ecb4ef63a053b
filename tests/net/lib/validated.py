"""A zone as the world sees it while its keys change: a signed parent on two servers, whose DS set a script changes, and a validating
resolver that is asked all the time and keeps what it has for as long as the TTLs say.

The resolver has the parent's key as its anchor. Every kind of answer is asked for in turn (Watch.KINDS), a part of them by names that were
never asked for, so that old keys in the cache meet new signatures, and new keys old ones. What counts as wrong: SERVFAIL, no answer,
another RCODE than the zone's, and, while the zone is meant to be secure, an answer that the resolver does not vouch for (AD).
"""

import json
import os
import random
import subprocess
import threading
import time
import traceback

from peers import WITHIN_S, Failed, check, configuration
from peers import zone as zone_row
from wire import AD, RD, TC, exchange, query, serial

PARENT = "par."
DS_TTL = 3
PACE_S = 0.006  # between two questions
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
        self.net, self.child, self.ds_ttl, self.number, self.ds, self.ns = net, child, ds_ttl, 0, [], ["ns1"]
        self.key = net.key(PARENT)
        text = self.signed()
        self.servers = [net.nsd({PARENT: text}), net.knot({PARENT: text})]

    def signed(self, ds=None):
        self.number += 1
        rows = "".join(f"{self.child} {self.ds_ttl} DS {d}\n" for d in (self.ds if ds is None else ds))
        delegation = "".join(f"{self.child} NS {ns}.{self.child}\n{ns}.{self.child} A 192.0.2.{i + 1}\n" for i, ns in enumerate(self.ns))
        return self.net.sign(f"$ORIGIN {PARENT}\n$TTL {DS_TTL}\n@ {DS_TTL} SOA ns hostmaster {self.number} 3600 600 604800 2\n@ NS ns\nns A 192.0.2.1\n"
                             f"{delegation}{rows}", self.key)

    def set_ds(self, ds, servers=None):
        """On both servers, or on some. DS as rdata text."""
        self.ds = sorted(ds)
        self.publish(servers)

    def set_ns(self, ns):
        """The delegation; labels below the child."""
        self.ns = sorted(ns)
        self.publish()

    def publish(self, servers=None):
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
        msg = query(qname, rtype, do=True, flags=RD)
        back = exchange(self.resolver.port, msg, timeout=8)
        if back and back.flags & TC:  # signatures of two algorithms
            back = exchange(self.resolver.port, msg, tcp=True, timeout=8)
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
            why = self.resolver.lines("validation failure|bogus|no valid|broken trust chain|RRSIG failed")[:SHOWN]
            raise Failed(f"{self.resolver.what}: {len(self.wrong)} of {self.asked} answers were wrong:\n" + "\n".join(self.wrong[:SHOWN] + why))

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


class Watches:
    """Several, of resolvers that differ, as one."""

    def __init__(self, *watches):
        self.watches, self.net = watches, watches[0].net

    def __setattr__(self, name, value):
        object.__setattr__(self, name, value)
        if name in ("phase", "secure"):
            for w in self.watches:
                setattr(w, name, value)

    @property
    def asked(self):
        return sum(w.asked for w in self.watches)

    @property
    def vouched(self):
        return sum(w.vouched for w in self.watches)

    def good(self):
        for w in self.watches:
            w.good()

    def stop(self):
        for w in self.watches:
            w.stop()

    def forget(self):
        for w in self.watches:
            w.last.clear()

    def all_vouched(self):
        return all(w.all_vouched() for w in self.watches)

    def becomes(self, secure):
        for w in self.watches:
            w.becomes(secure)
        self.secure = secure

    def rounds(self, seconds):
        until = time.monotonic() + seconds
        self.net.wait(f"{seconds} s of good answers", lambda: self.good() or time.monotonic() > until, seconds + WITHIN_S)


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


class Live:
    """weir signs: an unsigned primary that changes all the time, two secondaries that follow by IXFR, the parent's two servers, and two resolvers
    (unbound, BIND) that know the secondaries and the parent only. Every wait is a wait for good answers, in which the registry does what CDS says."""

    def __init__(self, net, zone, keys="", sign="", ttl=4, denial="nsec"):
        self.net, self.zone, self.ttl, self.number, self.axfr = net, zone, ttl, 0, 0
        self.parent = Parent(net, zone)
        self.port = net.port()
        self.primary = net.knot({zone: self.text()}, notify=[self.port],
                                more="    zonefile-load: difference\n    zonefile-sync: -1\n    journal-content: changes\n")
        of = dict(secondary_of=(self.port, [zone]))
        self.secondaries = [net.nsd(ixfr=True, **of), net.knot(**of)]
        self.keys, self.sign, self.denial = keys, sign, denial
        remotes = {"p": self.primary, "par1": self.parent.servers[0], "par2": self.parent.servers[1], "s1": self.secondaries[0], "s2": self.secondaries[1]}
        self.weir = net.weir(self.row(keys), port=self.port, **remotes)
        self.remotes = remotes
        for s in self.secondaries:
            net.wait(f"{s.what} has the zone", lambda s=s: self.same_serial(s))
        servers = {PARENT: self.parent.servers, zone: self.secondaries}
        self.watch = Watches(Watch(net, net.unbound(servers, self.parent.key, STRICT), zone), Watch(net, net.bind_resolver(servers, self.parent.key), zone))
        self.watch.becomes(False)
        self.changed = self.asked = time.monotonic()
        self.registry = True  # takes CDS up
        self.partly = None    # when one of the parent's servers got the newest DS set, and the other not yet
        self.told, self.told_at = None, 0
        self.kill_at, self.kills, self.rng = None, 0, random.Random(int(os.environ.get("WEIR_SEED", "0")) or None)

    def row(self, keys):
        sign = f'denial = "{self.denial}"; dnskey_ttl = "2s"; validity = "32s"; refresh = "16s"; jitter = "1s"; inception_offset = "60s"; {self.sign}'
        return zone_row(self.zone, "p", chain="live", notify=["s1", "s2"],
                        more=f'sign = {{ {sign} }}; keys = {{ parent = ("par1", "par2"); parent_check = "1s"; propagation_delay = "2s"; {keys} }};')

    def text(self):
        self.number += 1
        return child_text(self.zone, self.number, self.ttl)

    def same_serial(self, s):
        ours = serial(self.port, self.zone)
        return ours is not None and serial(s.port, self.zone) == ours

    def configure(self, keys):
        self.weir.configure(configuration(self.net, f"127.0.0.1@{self.port}", self.row(keys), self.remotes, "", self.weir.what))
        self.ask("reload")

    def ask(self, *words):
        code, out = self.weir.ask(*words)
        check(code == 0, f"weir {' '.join(words)}: exit {code}: {out}")
        return out

    def dnssec(self):
        return json.loads(self.ask("dnssec", self.zone, "--json"))

    def state(self):
        """As dnssec(), but no older than it takes a process to tell."""
        if time.monotonic() - self.told_at > 0.3 or not self.told:
            self.told = self.dnssec()
            self.told_at = time.monotonic()
        return self.told

    def settled(self):
        """No key waits for anything but the end of its life."""
        keys = [k for k in self.state()["keys"] if k["state"] != "removed"]
        return keys and all(k["state"] == "active" and k["waits_for"] in (None, "it is in use for its lifetime") for k in keys)

    def live(self):
        """What goes on in the world while somebody waits: changes at the primary, CDS taken up by the registry, on one server first."""
        self.watch.good()
        now = time.monotonic()
        if now - self.changed > 1.5:
            self.changed = now
            self.primary.publish(self.zone, self.text())
        if self.kill_at and now > self.kill_at:
            self.kill_at = now + self.rng.uniform(1, 6)
            self.kills += 1
            self.restarted() if self.kills % 4 == 0 else self.killed()
        if self.partly and now - self.partly > 1.2:
            self.partly = None
            self.parent.set_ds(self.parent.ds)
        elif self.registry and not self.partly and now - self.asked > 0.3:
            self.asked = now
            self.take_cds()
        return False

    def take_cds(self):
        shown = [cds_of(s.port, self.zone) for s in self.secondaries]
        if not shown[0] or shown[0] != shown[1]:
            return
        want = [] if shown[0] == [DELETE] else shown[0]
        if want != self.parent.ds:
            self.parent.set_ds(want, self.parent.servers[:1])
            self.partly = time.monotonic()

    def until(self, what, condition, within=120):
        self.watch.phase = what
        return self.net.wait(what, lambda: self.live() or condition(), within)

    def secure(self):
        """After the first DS: from here on everything is vouched for, at every moment."""
        self.watch.secure = None
        self.until("the zone is secure", lambda: self.parent.ds and not self.partly)
        self.watch.forget()
        self.until("every answer is vouched for", self.watch.all_vouched)
        self.watch.secure = True
        self.until("no key waits for anything", self.settled)

    def keys_of(self):
        return key_set(self.port, self.zone)

    def dies(self, often=True):
        """From now on (or no longer): kill -9 at random moments, and an orderly restart now and then."""
        self.kill_at = time.monotonic() + self.rng.uniform(0.5, 4) if often else None

    def killed(self):
        self.weir.kill()
        self.weir = self.net.again(self.weir)

    def restarted(self):
        self.weir.stop()
        self.weir = self.net.again(self.weir)

    def end(self):
        """Nothing was wrong, all are where weir is, and the secondaries took each change as a difference."""
        self.until("the secondaries have what weir has", lambda: all(self.same_serial(s) for s in self.secondaries))
        self.watch.stop()
        self.watch.good()
        sent = {kind: len(self.weir.lines(f"info transfer out finished zone={self.zone} .*kind={kind} ")) for kind in ("axfr", "ixfr", "ixfr-full")}
        check(sent["axfr"] == len(self.secondaries) and sent["ixfr"] >= self.number, f"each secondary takes the zone once, and then what changed: {sent}")
        print(f"{self.watch.asked} answers, {self.watch.vouched} vouched for; {self.number} versions of the primary's, {self.kills} ends of weir; sent: {sent}")
