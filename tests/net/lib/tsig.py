"""TSIG (RFC 8945) with Python's hmac: a second opinion on weir's, for scenarios and for the vectors of tests/unit/tsig_test.c.

A key is (name, algorithm, secret as octets). What is signed and what is told of it is all here, so that a test can make it wrong
in one place: every field of sign() may be given.
"""

import hashlib
import hmac
import struct
import time

from wire import Message, name, read_name

ALGORITHMS = {"hmac-sha1": hashlib.sha1, "hmac-sha224": hashlib.sha224, "hmac-sha256": hashlib.sha256, "hmac-sha384": hashlib.sha384,
              "hmac-sha512": hashlib.sha512}
ERRORS = {0: "NOERROR", 16: "BADSIG", 17: "BADKEY", 18: "BADTIME", 22: "BADTRUNC"}
TSIG, ANY = 250, 255


def u48(t):
    return struct.pack("!Q", t)[2:]


def digest(key, prior, msgs, when, fudge, error=0, other=b"", timers_only=False):
    """msgs: octets as they are digested, one after another."""
    _, algorithm, secret = key
    octets = struct.pack("!H", len(prior)) + prior if prior else b""
    octets += b"".join(msgs)
    timers = u48(when) + struct.pack("!H", fudge)
    if timers_only:
        octets += timers
    else:
        octets += name(key[0].lower()) + struct.pack("!HI", ANY, 0) + name(algorithm) + timers + struct.pack("!HH", error, len(other)) + other
    return hmac.new(secret, octets, ALGORITHMS[algorithm]).digest()


def record(owner, algorithm, when, fudge, mac, original_id, error=0, other=b"", rclass=ANY, ttl=0):
    rdata = name(algorithm) + u48(when) + struct.pack("!HH", fudge, len(mac)) + mac + struct.pack("!HHH", original_id, error, len(other)) + other
    return name(owner) + struct.pack("!HHIH", TSIG, rclass, ttl, len(rdata)) + rdata


def append(msg, rr):
    """One more record in the additional section."""
    return msg[:10] + struct.pack("!H", struct.unpack_from("!H", msg, 10)[0] + 1) + msg[12:] + rr


def sign(msg, key, prior=b"", when=None, fudge=300, error=0, other=b"", timers_only=False, unsigned=(), cut=None, shown=None):
    """(the message with its TSIG, the MAC). unsigned: messages before this one that had none; cut: octets of the MAC that are
    sent; shown: (name, algorithm) that the record tells, if others than the key's."""
    when = int(time.time()) if when is None else when
    mac = digest(key, prior, [*unsigned, msg], when, fudge, error, other, timers_only)
    owner, algorithm = shown or key[:2]
    sent = mac if cut is None else mac[:cut] if cut <= len(mac) else mac + bytes(cut - len(mac))
    return append(msg, record(owner, algorithm, when, fudge, sent, struct.unpack_from("!H", msg)[0], error, other)), mac


class Tsig:
    """The TSIG of a message; None of it is checked."""

    def __init__(self, msg):
        m = Message(msg)
        self.there = bool(m.additional) and m.additional[-1].type == TSIG
        if not self.there:
            return
        rr = m.additional[-1]
        self.owner, self.rclass, self.ttl = rr.owner, rr.rclass, rr.ttl
        rdata = rr.rdata
        self.algorithm, at = read_name(rdata, 0)
        self.when = int.from_bytes(rdata[at:at + 6], "big")
        self.fudge, n = struct.unpack_from("!HH", rdata, at + 6)
        at += 10
        self.mac = rdata[at:at + n]
        self.original_id, self.error, n = struct.unpack_from("!HHH", rdata, at + n)
        self.other = rdata[len(rdata) - n:] if n else b""
        before = [*m.answer, *m.authority, *m.additional][:-1]
        self.start = before[-1].end if before else read_name(msg, 12)[1] + 4
        count = struct.unpack_from("!H", msg, 10)[0]
        self.bare = struct.pack("!H", self.original_id) + msg[2:10] + struct.pack("!H", count - 1) + msg[12:self.start]

    def good(self, key, prior=b"", timers_only=False, unsigned=()):
        """Is its MAC what this key makes of it?"""
        return self.there and self.mac == digest(key, prior, [*unsigned, self.bare], self.when, self.fudge, self.error, self.other, timers_only)
