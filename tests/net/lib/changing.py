"""A zone that changes at random."""

Z = "changes.example."
NAMES = 300


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
