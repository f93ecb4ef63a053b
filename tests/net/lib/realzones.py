"""The real zones of the shared data: signed by others, each with a moment at which all of its signatures hold."""

import lzma
import os

from peers import SHARED, write

# file, zone, as of, options of validate, records
ZONES = [
    ("root-2018080101.zone.xz", ".", "20180801160100", "", 22540),
    ("root-2018080200.zone.xz", ".", "20180802040100", "", 22540),
    ("root-2024072600.zone.xz", ".", "20240726040100", "", 24974),
    ("root-2024073100.zone.xz", ".", "20240731040100", "", 25018),
    ("opendnssec.se-2013b.zone", "opendnssec.se.", "20131008071137", "", 50),
    ("nsd-nsec3-resalt-old.zone", "example.net.", "20170615005100", 'denial = "nsec3-only";', 39),
    ("nsd-nsec3-resalt-new.zone", "example.net.", "20170615005100", 'denial = "any";', 39),
    ("uri.arpa-rfc8976.zone", "uri.arpa.", "20210120232540", "", 35),
]


def read(name):
    path = os.path.join(SHARED, "data/zones", name)
    with (lzma.open(path, "rt") if path.endswith(".xz") else open(path, encoding="ascii")) as f:
        return f.read()


def unpack(net, name):
    path = net.path(name.removesuffix(".xz"))
    write(path, read(name))
    return path
