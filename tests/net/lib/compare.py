"""Two servers' answers to one question, compared as RFCs see them: rcode, flags, and each section as a set.

What may differ, and why, is in the table DIFFERENCES and nowhere else. A row makes two replies alike in the one thing
that it is about; what is not alike after that is a failure, and so is a row that nothing needed.
"""

import re
import struct

from wire import AA, RD, TC, TYPES, exchange, query, read_name

NAMES = {v: k for k, v in TYPES.items()}
LAYOUT = {2: "n", 5: "n", 6: "nn", 12: "n", 15: "2n", 33: "6n", 39: "n", 46: "18n", 47: "n"}  # then the rest
FLAGS = {AA: "aa", TC: "tc", RD: "rd", 0x80: "ra", 0x20: "ad", 0x10: "cd"}
ADDRESSES = (TYPES["A"], TYPES["AAAA"])


def plain_rdata(wire, record):
    """Rdata with its names uncompressed and in lower case."""
    at, out = record.end - len(record.rdata), b""
    for step in LAYOUT.get(record.type, "").replace("18", "x").replace("2", "w").replace("6", "y"):
        if step == "n":
            name, at = read_name(wire, at)
            out += name.lower().encode("latin-1") + b"|"
        else:
            n = {"x": 18, "w": 2, "y": 6}[step]
            out += wire[at:at + n]
            at += n
    return out + wire[at:record.end]


class Reply:
    """A message made comparable. Sections are sets of (owner, type, ttl, rdata)."""

    def __init__(self, message):
        self.rcode, self.flags = message.rcode, message.flags & sum(FLAGS)
        self.question = message.question
        sections = message.answer, message.authority, [r for r in message.additional if r.type != TYPES["OPT"]]
        self.answer, self.authority, self.additional = [
            {(r.owner.lower(), r.type, r.ttl, plain_rdata(message.wire, r)) for r in s} for s in sections]
        self.twice = sum(map(len, sections)) - len(self.answer) - len(self.authority) - len(self.additional)
        self.opt = any(r.type == TYPES["OPT"] for r in message.additional)
        self.size = len(message.wire)

    def parts(self):
        return dict(rcode=self.rcode, flags=self.flags, question=self.question, opt=self.opt, twice=self.twice,
                    answer=self.answer, authority=self.authority, additional=self.additional)

    def is_referral(self):
        return not self.flags & AA and self.rcode == "NOERROR" and any(r[1] == TYPES["NS"] for r in self.authority)

    def types(self, section):
        return {r[1] for r in section}


class Question:
    def __init__(self, name, qtype, do, apex):
        self.name, self.type, self.do, self.apex = name, qtype, do, apex

    def __str__(self):
        return f"{self.name} {self.type}{' +dnssec' if self.do else ''}"


def show(record):
    owner, rtype, ttl, rdata = record
    covered = " " + NAMES.get(struct.unpack_from("!H", rdata)[0], "?") if rtype == TYPES["RRSIG"] else ""
    return f"{owner} {ttl} {NAMES.get(rtype, rtype)}{covered} {rdata[:40]!r}"


def unlike(ours, theirs):
    """Lines that tell where two replies differ; none when they are alike."""
    lines = []
    mine, other = ours.parts(), theirs.parts()
    for part in mine:
        a, b = mine[part], other[part]
        if a == b:
            continue
        if isinstance(a, set):
            lines += [f"  {part}: only weir has  {show(r)}" for r in sorted(a - b)]
            lines += [f"  {part}: weir has not   {show(r)}" for r in sorted(b - a)]
        elif part == "flags":
            lines += [f"  flags: {' '.join(FLAGS[f] for f in FLAGS if a & f)} / {' '.join(FLAGS[f] for f in FLAGS if b & f)}"]
        else:
            lines += [f"  {part}: {a} / {b}"]
    return lines


# ---- what may differ -------------------------------------------------------------------------------------------

class Difference:
    """when(question, ours, theirs) tells whether the row applies; alike(ours, theirs) takes it out of both."""

    def __init__(self, name, peers, why, when, alike):
        self.name, self.peers, self.why, self.when, self.alike, self.used = name, peers, why, when, alike, 0


ALL_TYPES = ("ANY", "RRSIG")
ROOM = 1232 - 64  # another address might not have fit


def by_length(ours, theirs):
    return sorted((ours, theirs), key=lambda r: (len(r.answer), len(r.authority)))


def chain_cut(q, ours, theirs):
    """One answer is the other's beginning, is CNAMEs and DNAMEs only, and says nothing about the target of the last."""
    short, long = by_length(ours, theirs)
    more = {r[0] for r in long.answer - short.answer}
    return (q.type != "ANY" and short.answer <= long.answer and not more & {r[0] for r in short.answer}
            and TYPES["CNAME"] in short.types(short.answer) <= {TYPES["CNAME"], TYPES["DNAME"], TYPES["RRSIG"]}
            and not short.authority and not short.additional and short.rcode == "NOERROR")


def take_chain(ours, theirs):
    short, long = by_length(ours, theirs)
    long.answer, long.authority, long.additional, long.rcode = short.answer, short.authority, short.additional, short.rcode


def one_of_all(q, ours, theirs):
    """Both answer, and what both have is the same record for record."""
    kinds = {r[1:2] + (r[3][:2] if r[1] == TYPES["RRSIG"] else b"",) for r in ours.answer & theirs.answer}
    common = {r for r in ours.answer ^ theirs.answer if r[1:2] + (r[3][:2] if r[1] == TYPES["RRSIG"] else b"",) in kinds}
    return q.type in ALL_TYPES and ours.answer and theirs.answer and not common


def take_answer(ours, theirs):
    ours.answer, ours.additional = theirs.answer, theirs.additional


def positive(reply):
    return reply.answer and not any(r[1] == TYPES["NS"] for r in reply.authority)


def take_additional(ours, theirs):
    ours.additional = theirs.additional


def take_authority(ours, theirs):
    ours.authority = theirs.authority


def take_all(ours, theirs):
    ours.rcode, ours.answer, ours.authority, ours.additional = theirs.rcode, theirs.answer, theirs.authority, theirs.additional


def take_empty(ours, theirs):
    ours.authority, ours.flags = theirs.authority, theirs.flags


def take_twice(ours, theirs):
    ours.twice = theirs.twice


def last_name(q, reply):
    """Where the chain of the answer leads, in lower case."""
    name, targets = q.name.lower(), {r[0]: r[3][:-1].decode("latin-1") for r in reply.answer if r[1] == TYPES["CNAME"]}
    for _ in range(len(targets)):
        name = targets.get(name, name)
    return name


def nsec3_only(a, b):
    """The authority sections differ, in NSEC3 records and their signatures."""
    return a != b and {r[1] for r in a ^ b} <= {TYPES["NSEC3"], TYPES["RRSIG"]}


HASH_LABEL = "[0-9a-v]{32}"
# In optout. (tests/unit/answer_test.zones): empty non-terminals only because of delegations that opt-out leaves out of the chain.
UNPROVED = re.compile(rf"(^|\.)(hid|deep|e\.wild|{HASH_LABEL})\.optout\.$")


DIFFERENCES = [
    Difference(
        "length of a chain", ("nsd", "knot"),
        "How many CNAMEs a server follows is its own choice (RFC 1034 3.6.2 asks for no number); the client asks on from the last. Knot stops "
        "early, weir after 16, NSD later, but at a DNAME's second use.",
        chain_cut, take_chain),
    Difference(
        "one set for all", ("nsd", "knot"),
        "ANY over UDP gets one rrset, of the server's choice (RFC 8482 4.1); weir does the same for RRSIG, which is as large. NSD does so over TCP, too.",
        one_of_all, take_answer),
    Difference(
        "addresses in additional", ("nsd",),
        "Addresses of NS, MX and SRV targets are optional in an answer (RFC 1034 4.3.2 step 6): weir and Knot add them, NSD with minimal-responses does not.",
        lambda q, ours, theirs: positive(ours) and not theirs.additional and ours.types(ours.additional) <= {*ADDRESSES, TYPES["RRSIG"]},
        take_additional),
    Difference(
        "an address twice", ("knot",),
        "Two MX records with one target: Knot adds its addresses twice. RFC 2181 5.5: no record twice.",
        lambda q, ours, theirs: ours.twice == 0 and theirs.twice > 0 and positive(theirs),
        take_twice),
    Difference(
        "a wildcard that is an empty non-terminal", ("knot",),
        "*.NAME exists only because something lies below it: NODATA. RFC 4035 3.1.3.4 wants the proof that nothing closer matches and the one for the wildcard; "
        "Knot leaves the second out, NSD sends both, as weir does.",
        lambda q, ours, theirs: ours.authority > theirs.authority and not ours.answer and ours.types(ours.authority - theirs.authority) <= {TYPES["NSEC"], TYPES["RRSIG"]}
        and q.name.lower().endswith(".went." + q.apex),
        take_authority),
    Difference(
        "NSEC or RRSIG asked at a CNAME", ("knot",),
        "A CNAME's owner may have them beside it (RFC 4035 2.5). Where it has not, RFC 1034 4.3.2 step 3a follows the CNAME; Knot says NODATA.",
        lambda q, ours, theirs: q.type in ("NSEC", "RRSIG") and not theirs.answer and TYPES["CNAME"] in ours.types(ours.answer) and theirs.rcode == "NOERROR",
        take_all),
    Difference(
        "a name below a hash", ("nsd",),
        "RFC 5155 7.2.8: the owners of NSEC3 records are no names of the zone, so the closest encloser of what is below them is the apex; NSD takes the owner itself.",
        lambda q, ours, theirs: re.search(rf"\.{HASH_LABEL}\.{re.escape(q.apex)}$", q.name, re.I) and ours.rcode == theirs.rcode == "NXDOMAIN",
        take_authority),
    Difference(
        "an asterisk asked for", ("nsd",),
        "*.NAME exists and is matched as any name is: RFC 5155 7.2.3, its own record. NSD adds the closest encloser's.",
        lambda q, ours, theirs: q.name.startswith("*.") and ours.authority < theirs.authority
        and ours.types(ours.answer) <= {TYPES["DNAME"], TYPES["CNAME"], TYPES["RRSIG"]} and ours.types(theirs.authority - ours.authority) == {TYPES["NSEC3"], TYPES["RRSIG"]},
        take_authority),
    Difference(
        "NSEC3 asked at a CNAME", ("nsd",),
        "A CNAME's owner has no NSEC3 beside it: RFC 1034 4.3.2 step 3a follows the CNAME; NSD says NODATA.",
        lambda q, ours, theirs: q.type == "NSEC3" and not theirs.answer and TYPES["CNAME"] in ours.types(ours.answer) and theirs.rcode == "NOERROR",
        take_all),
    Difference(
        "a hash that is an empty non-terminal", ("nsd",),
        "RFC 5155 7.2.8: the owner of an NSEC3 record does not exist, unless something lies below it. NSD says NXDOMAIN all the same, and with DO, as "
        "the name has a record of its own that denies it, SERVFAIL.",
        lambda q, ours, theirs: re.fullmatch(rf"{HASH_LABEL}\.{re.escape(q.apex)}", q.name, re.I) and (ours.rcode, theirs.rcode) in
        (("NOERROR", "NXDOMAIN"), ("NOERROR", "SERVFAIL")),
        take_all),
    Difference(
        "an encloser that has no record", ("nsd",),
        "RFC 5155 7.2.1, 7.2.4 and 7.2.7 want the closest encloser that can be proved, and the name next to it covered. NSD takes the closest one that there "
        "is, also when opt-out leaves it without a record, and then has no proof (github.com/NLnetLabs/nsd issue 510); Unbound does not believe it.",
        lambda q, ours, theirs: UNPROVED.search(last_name(q, ours)) and nsec3_only(ours.authority, theirs.authority),
        take_authority),
    Difference(
        "a wildcard beside an encloser that has no record", ("knot",),
        "nx.e.wild: e.wild exists, so *.wild does not match; opt-out leaves e.wild without a record, so a validator has to be shown that *.wild is not there "
        "either, which it is. weir leaves this one record out; Knot sends nothing, and clears AA.",
        lambda q, ours, theirs: last_name(q, ours).endswith(".e.wild.optout.") and ours.rcode == theirs.rcode == "NXDOMAIN" and not theirs.authority
        and ours.flags & AA and not theirs.flags & AA,
        take_empty),
    Difference(
        "addresses that there is room for", ("nsd",),
        "Which optional addresses of a long referral are left out is each server's choice (RFC 9471 3.2).",
        lambda q, ours, theirs: ours.is_referral() and theirs.is_referral() and min(ours.size, theirs.size) > ROOM and ours.authority == theirs.authority
        and ours.types(ours.additional ^ theirs.additional) <= {*ADDRESSES} and not ours.flags & TC and not theirs.flags & TC,
        take_additional),
]


# ---- asking ----------------------------------------------------------------------------------------------------

TYPES_EVERYWHERE = ("A", "AAAA", "NS", "SOA", "MX", "TXT", "CNAME", "DNAME", "DS", "DNSKEY", "NSEC", "NSEC3", "NSEC3PARAM", "RRSIG",
                    "SRV", "ANY")
TYPES_DERIVED = ("A", "TXT", "DS", "NS", "CNAME")


def parents(name, apex):
    while name != apex:
        name = name.split(".", 1)[1]
        yield name


def neighbours(name, apex):
    """Names around one that exists: below, beside, the wildcard, the same in other letters."""
    yield "nx." + name
    yield "a.b." + name
    yield "*." + name
    if name != apex:
        first, rest = name.split(".", 1)
        yield f"{first}0.{rest}"
        yield f"{first[:-1] or '0'}.{rest}"
        yield f"0{first}.{rest}"
    yield "".join(c.upper() if i % 2 else c for i, c in enumerate(name))


def questions(owners, apex):
    """All types at the names that exist (empty non-terminals, too), some around them; without and with DO."""
    owners = sorted({o.lower() for o in owners})
    there = sorted({p for o in owners for p in parents(o, apex)} | set(owners))
    around = sorted({n for o in there for n in neighbours(o, apex)} - set(there))
    for do in (False, True):
        for names, types in ((there, TYPES_EVERYWHERE), (around, TYPES_DERIVED)):
            for name in names:
                if len(name) < 250:
                    yield from (Question(name, t, do, apex) for t in types)


def ask(server, q, tcp):
    back = exchange(server.port, query(q.name, q.type, do=q.do, edns=q.do, flags=RD), tcp=tcp)
    return back and Reply(back)


class Comparison:
    def __init__(self, weir, peer):
        self.weir, self.peer, self.asked, self.wrong = weir, peer, 0, []

    def compare(self, q):
        """Over UDP, and over TCP when anything was cut off."""
        self.asked += 1
        ours, theirs = ask(self.weir, q, False), ask(self.peer, q, False)
        if ours and theirs and (ours.flags | theirs.flags) & TC:
            ours, theirs = ask(self.weir, q, True), ask(self.peer, q, True)
        if not ours or not theirs:
            self.wrong.append(f"{q}: no answer from {'weir' if not ours else self.peer.what}")
            return
        if unlike(ours, theirs):
            for d in DIFFERENCES:
                if self.peer.what.rstrip("0123456789") in d.peers and d.when(q, ours, theirs):
                    before = unlike(ours, theirs)
                    d.alike(ours, theirs)
                    d.used += before != unlike(ours, theirs)
        lines = unlike(ours, theirs)
        if lines:
            self.wrong.append(f"{q}: weir / {self.peer.what}\n" + "\n".join(lines))
