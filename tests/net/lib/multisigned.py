"""Two signers of one zone (RFC 8901, model 2): weir behind a hidden primary, Knot with the same data, each with keys of its own, below a signed
parent; and a server that gives a resolver the DNSKEY set of one signer and the answers of the other, which is what a cache comes to."""

import base64
import re
import socket
import subprocess
import threading

from peers import WITHIN_S, check
from peers import zone as zone_row
from validated import Parent, cds_of, child_text, key_set
from wire import TYPES, Message, exchange, query, receive_message, send_message

KEY_TTL = 2


def rows_of(port, zone, rtype):
    """(TTL, [rdata]) of the set at the apex."""
    back = exchange(port, query(zone, rtype), tcp=True)
    found = back.records(rtype) if back else []
    return found[0].ttl if found else None, sorted(r.rdata for r in found)


def key_text(rdata):
    return f"{int.from_bytes(rdata[:2], 'big')} {rdata[2]} {rdata[3]} {base64.b64encode(rdata[4:]).decode()}"


class Either:
    """Gives the DNSKEY set as one server has it, and everything else as the other, over UDP and TCP."""

    def __init__(self, net, keys_of, rest_of):
        self.keys_of, self.rest_of, self.port = keys_of, rest_of, net.port()
        self.asked = {"keys": 0, "rest": 0}
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.udp.bind(("127.0.0.1", self.port))
        self.stopping = False
        net.closers.append(self.stop)
        for serve in self.serve_udp, self.serve_tcp:
            threading.Thread(target=serve, daemon=True).start()

    def stop(self):
        self.stopping = True
        for s in self.udp, self.tcp:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def answer(self, msg, tcp):
        keys = Message(msg).question[1] == TYPES["DNSKEY"]
        self.asked["keys" if keys else "rest"] += 1
        return exchange((self.keys_of if keys else self.rest_of).port, msg, tcp=tcp)

    def serve_udp(self):
        while not self.stopping:
            try:
                msg, who = self.udp.recvfrom(65535)
                back = self.answer(msg, False) if msg else None  # nothing: the socket was shut down
                if back:
                    self.udp.sendto(back.wire, who)
            except OSError:
                pass

    def serve_tcp(self):
        while not self.stopping:
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self.serve_connection, args=(s,), daemon=True).start()

    def serve_connection(self, s):
        with s:
            s.settimeout(WITHIN_S)
            try:
                while msg := receive_message(s):
                    back = self.answer(msg, True)
                    if not back:
                        return
                    send_message(s, back.wire)
            except OSError:
                pass


class Signers:
    """weir and Knot. imports: who takes the other's keys, of "weir" (by the transfer) and "knot" (by knotc). denial: weir's; Knot has the other one. sign, more: more
    of weir's options, of the stage and the zone; the remote "knot" is there for them. knot_has: more records of Knot's zone. ksks: does each publish the
    other's KSK, too?"""

    def __init__(self, net, zone, denial="nsec", imports=("weir", "knot"), sign="", more="", knot_has="", ksks=True):
        self.sign, self.more, self.has, self.given, self.ksks = sign, more, "", {}, ksks
        if not ksks:
            self.more += ' multisigner = { include = "zsk"; };'
        self.net, self.zone, self.denial, self.number, self.upstream = net, zone, denial, 1, []
        self.parent, self.port = Parent(net, zone), net.port()
        self.knot = net.knot({zone: child_text(zone, 1, more=knot_has)}, policy=self.policy(),
                             more="    dnssec-signing: on\n    dnssec-policy: own\n    zonefile-sync: -1\n    zonefile-load: whole\n")
        net.wait("Knot signs", lambda: key_set(self.knot.port, zone))
        self.knot_keys = rows_of(self.knot.port, zone, "DNSKEY")[1]
        self.upstream = self.knot_keys if "weir" in imports else []
        self.primary = net.nsd({zone: self.text()}, notify=[self.port])
        self.weir = net.weir(self.row("multi-signer"), port=self.port, primary=self.primary, knot=self.knot,
                             par1=self.parent.servers[0], par2=self.parent.servers[1])
        net.wait("weir signs, and its DS may be asked for", lambda: self.exported("CDS"))
        net.wait("weir asks for it", lambda: set(cds.lower() for cds in self.exported("CDS")) <= set(cds_of(self.port, zone) or []))
        self.own = self.exported("DNSKEY")
        if "knot" in imports:
            self.give_to_knot()

    def policy(self):
        return ("policy:\n  - id: own\n    algorithm: ecdsap256sha256\n    ksk-lifetime: 0\n    zsk-lifetime: 0\n    propagation-delay: 1\n"
                f"    dnskey-ttl: {KEY_TTL}\n    cds-cdnskey-publish: always\n    delete-delay: 3600\n    dnskey-management: incremental\n"
                f"    nsec3: {'on' if self.denial == 'nsec' else 'off'}\n")

    def row(self, mode):
        sign = f'sign = {{ denial = "{self.denial}"; dnskey_ttl = {KEY_TTL}; inception_offset = "60s"; {self.sign} }};'
        return zone_row(self.zone, "primary", chain=mode, more=f'{sign} keys = {{ parent = ("par1", "par2"); parent_check = 1; propagation_delay = 3; csk = false; }}; {self.more}')

    def text(self):
        return child_text(self.zone, self.number, more=self.has + "".join(f"@ {KEY_TTL} DNSKEY {key_text(k)}\n" for k in self.upstream))

    def publish(self, upstream=None):
        """A version at weir's primary, with these DNSKEY."""
        self.upstream = self.upstream if upstream is None else upstream
        self.number += 1
        self.primary.publish(self.zone, self.text())
        self.primary.serves(self.zone, self.number)
        self.ask("retransfer", self.zone)

    def ask(self, *words):
        code, out = self.weir.ask(*words)
        check(code == 0, f"weir {' '.join(words)}: exit {code}: {out}")
        return out

    def exported(self, rtype):
        """What `weir key export` says: the rdata of a type's records, as text."""
        return re.findall(rf"^{re.escape(self.zone)} \d+ IN {rtype} (.*)$", self.ask("key", "export", self.zone), re.M)

    def knotc(self, *words):
        p = subprocess.run(["knotc", "-c", self.knot.folder + "/knot.conf", *words], capture_output=True, text=True, check=False, timeout=30)
        check(p.returncode == 0, f"knotc {words}: {p.stdout}{p.stderr}")

    def give_to_knot(self):
        """All that weir exports."""
        self.knot_takes()
        self.net.wait("Knot shows the keys of both", lambda: self.shared(0) == self.shared(1))

    def knot_takes(self):
        self.knotc("zone-begin", self.zone)
        for rtype in "DNSKEY", "CDS", "CDNSKEY":
            ttl = rows_of(self.knot.port, self.zone, rtype)[0] or 0
            for rdata in set(self.exported(rtype)) - self.given.setdefault(rtype, set()):
                if rtype == "DNSKEY" and rdata.startswith("257 ") and not self.ksks:
                    continue
                self.given[rtype].add(rdata)
                self.knotc("zone-set", self.zone, self.zone, str(ttl), rtype, *rdata.split())
        self.knotc("zone-commit", self.zone)

    def shared(self, which):
        """What both are to have of the DNSKEY set of weir (0) or Knot (1)."""
        return [k for k in self.sets("DNSKEY")[which] if self.ksks or int.from_bytes(k[:2], "big") == 256]

    def sets(self, rtype):
        """weir's and Knot's."""
        return [rows_of(s.port, self.zone, rtype)[1] for s in (self.weir, self.knot)]

    def secure(self):
        """The parent gets the DS that weir's CDS asks for, and Knot's."""
        want = {cds for s in (self.weir, self.knot) for cds in cds_of(s.port, self.zone) or []}
        check(len(want) == 2, f"CDS of weir and Knot: {want}")
        self.parent.set_ds(want)
