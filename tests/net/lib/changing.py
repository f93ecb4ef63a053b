"""A zone that changes at random, and real primaries that keep the history of it: NSD, Knot and BIND, each told of weir's port."""

import os

from peers import Server, file_of, write

Z = "changes.example."
NAMES = 300


def nsd_primary(net, text, port):
    folder, own = net.subfolder("nsd-primary"), net.port()
    write(os.path.join(folder, file_of(Z)), text)
    write(folder + "/nsd.conf",
          f'server:\n  ip-address: 127.0.0.1@{own}\n  username: ""\n  chroot: ""\n  zonesdir: "{folder}"\n  database: ""\n'
          f'  zonelistfile: "{folder}/zone.list"\n  xfrdfile: "{folder}/xfrd.state"\n  xfrdir: "{folder}"\n  pidfile: "{folder}/pid"\n'
          "  zonefiles-check: yes\n  server-count: 1\n  tcp-count: 200\n  verbosity: 2\n  xfrd-reload-timeout: 0\n"
          "remote-control:\n  control-enable: no\n"
          f"zone:\n  name: {Z}\n  zonefile: {file_of(Z)}\n  provide-xfr: 127.0.0.1 NOKEY\n  store-ixfr: yes\n  create-ixfr: yes\n"
          f"  ixfr-number: 50\n  notify: 127.0.0.1@{port} NOKEY\n")
    return Server(net, "nsd-primary", ["nsd", "-d", "-c", folder + "/nsd.conf"], own, folder)


def knot_primary(net, text, port):
    folder, own = net.subfolder("knot-primary"), net.port()
    write(os.path.join(folder, file_of(Z)), text)
    write(folder + "/knot.conf",
          f"server:\n    rundir: {folder}\n    listen: 127.0.0.1@{own}\nlog:\n  - target: stderr\n    any: info\n"
          f"database:\n    storage: {folder}\nacl:\n  - id: all\n    address: 127.0.0.0/8\n    action: transfer\n"
          f"remote:\n  - id: weir\n    address: 127.0.0.1@{port}\n"
          f"zone:\n  - domain: {Z}\n    storage: {folder}\n    file: {file_of(Z)}\n    acl: all\n    semantic-checks: off\n"
          "    zonefile-load: difference\n    zonefile-sync: -1\n    journal-content: changes\n    notify: weir\n")
    return Server(net, "knot-primary", ["knotd", "-c", folder + "/knot.conf"], own, folder)


def bind_primary(net, text, port):
    folder, own = net.subfolder("bind-primary"), net.port()
    write(os.path.join(folder, file_of(Z)), text)
    write(folder + "/named.conf",
          f'options {{ directory "{folder}"; listen-on port {own} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; '
          "session-keyfile none; lock-file none; recursion no; allow-transfer { any; }; notify explicit; notify-delay 0; "
          f"also-notify {{ 127.0.0.1 port {port}; }}; check-integrity no; check-names primary ignore; empty-zones-enable no; "
          "dnssec-validation no; ixfr-from-differences yes; max-ixfr-ratio unlimited; };\ncontrols { };\n"
          f'zone "{Z}" {{ type primary; file "{file_of(Z)}"; }};\n')
    return Server(net, "bind-primary", ["named", "-g", "-c", folder + "/named.conf"], own, folder)


class History:
    """A zone that changes at random: {(owner, type): (ttl, set of rdata)}."""

    def __init__(self, rng, at_apex=True):
        self.rng, self.serial, self.sets, self.at_apex = rng, 1, {}, at_apex
        for i in range(NAMES):
            self.fill(i)

    def owner(self, i):
        return ("a.b." if i % 17 == 0 else "") + (f"Mixed{i}" if i % 13 == 0 else f"h{i}")

    def fill(self, i):
        rng, owner = self.rng, self.owner(i)
        for key in [k for k in self.sets if k[0] == owner]:
            del self.sets[key]
        ttl = rng.choice((60, 300, 300, 300, 3600))
        kind = rng.randrange(8)
        if kind == 0:
            self.sets[owner, "CNAME"] = (ttl, {f"h{rng.randrange(NAMES)}"})
        elif kind == 1:
            self.sets[owner, "NS"] = (ttl, {f"ns{rng.randrange(5)}.elsewhere.test.", f"ns.{owner}"})
            self.sets["ns." + owner, "A"] = (ttl, {f"192.0.2.{rng.randrange(250)}"})
        elif kind < 7:
            self.sets[owner, "A"] = (ttl, {f"192.0.2.{rng.randrange(250)}" for _ in range(rng.randrange(1, 5))})
            if kind == 3:
                self.sets[owner, "TXT"] = (ttl, {f'"{rng.randrange(10 ** 6)}"', f'"{"x" * rng.randrange(200)}"'})
            if kind == 4:
                self.sets[owner, "MX"] = (ttl, {f"10 h{rng.randrange(NAMES)}"})

    def step(self):
        rng = self.rng
        self.serial += rng.choice((1, 1, 1, 2, 5))
        for _ in range(rng.choice((0, 1, 1, 1, 2, 5, 30))):
            what, keys = rng.randrange(6), list(self.sets)
            key = rng.choice(keys)
            ttl, rdata = self.sets[key]
            if what == 0:
                self.fill(rng.randrange(NAMES))
            elif what == 1:
                self.sets[key] = (rng.choice((60, 120, 300, 3600)), rdata)
            elif what == 2 and key[1] == "A":
                self.sets[key] = (ttl, rdata | {f"198.51.100.{rng.randrange(250)}"})
            elif what == 3 and len(rdata) > 1:
                self.sets[key] = (ttl, rdata - {sorted(rdata)[0]})
            elif what == 4:
                del self.sets[key]
            elif self.at_apex:
                self.sets["@", "TXT"] = (rng.choice((60, 300)), {f'"serial {self.serial}"'})

    def text(self):
        lines = [f"$ORIGIN {Z}", "$TTL 300", f"@ SOA ns1 hostmaster {self.serial} 3600 600 604800 300", "@ NS ns1", "ns1 A 192.0.2.1"]
        lines += [f"{owner} {ttl} {rtype} {r}" for (owner, rtype), (ttl, rdata) in sorted(self.sets.items()) for r in sorted(rdata)]
        return "\n".join(lines) + "\n"
