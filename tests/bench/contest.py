"""weir and its peers over the same course, for tests/bench/run and tests/bench/changes: zones, servers, clocks, and the table of ratios.

A primary has the zones on PRIMARY; weir or a peer takes them in on PEER, one after the other; both ports are free ones, kept for the script.
A Server lives in a folder of its own that goes with it, and ends with the script, however that ends; when one ends by itself, so does the
script, with the end of its log. Times are wall time as a client sees it; memory is PSS.
"""
import hashlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../net/lib"))
import wire
from peers import die_with_parent, free_port

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WEIR = os.environ.get("WEIR") or os.path.join(TOP, os.environ.get("B", "build"), "weir")
PORTS = [free_port(), free_port()]  # with their locks
PRIMARY, PEER, ZONE = ("127.0.0.1", PORTS[0][0]), ("127.0.0.1", PORTS[1][0]), "bench"
missed, running = [], []


# ---- the table

def figure(name, ours, peer, want, unit="s"):
    """One line; want = the most that ours / peer may be."""
    ratio = ours / peer
    miss = ratio > want * 1.25
    print(f"{name:<40} {ours:>9.3f} {peer:>9.3f} {ratio:>6.2f}   at most {want:.3g} ({unit}){'   MISSED' if miss else ''}", flush=True)
    if miss:
        missed.append(name)


def end():
    if missed:
        print("missed by more than 25 %:", ", ".join(missed))
    sys.exit(1 if missed else 0)


# ---- clocks

def wait(what, seconds=300, step=.002):
    """Seconds until it is so."""
    t = time.time()
    while not what():
        for server in running:
            if server.p.poll() is not None:
                sys.exit(f"bench: {server.name} ended by itself with exit code {server.p.returncode}; the end of its log:\n{server.tail()}")
        if time.time() - t > seconds:
            sys.exit(f"bench: waited in vain for {seconds} s" + "".join(f"; the end of the log of {s.name}:\n{s.tail()}" for s in running))
        time.sleep(step)
    return time.time() - t


def soa(addr, zone=ZONE):
    """The serial that is served there, or None."""
    m = wire.exchange(addr[1], wire.query(zone + ".", "SOA"), host=addr[0], timeout=.25)
    found = m.records("SOA") if m and m.rcode == "NOERROR" else []
    return found[0].serial if found else None


def signs(addr, zone=ZONE):
    """Is it served there with signatures?"""
    m = wire.exchange(addr[1], wire.query(zone + ".", "SOA", do=True), host=addr[0], timeout=.25)
    return bool(m and m.records("RRSIG"))


def serves(addr, zone=ZONE):
    return soa(addr, zone) is not None


def axfr(addr, zone=ZONE):
    """Seconds until the closing SOA. The client looks at nothing but the last octets of what has come: it is not what is measured."""
    room, last = bytearray(1 << 20), b""
    t = time.time()
    with socket.create_connection(addr, 60) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        wire.send_message(s, wire.message(1, 0, [wire.question(zone + ".", "AXFR")]))
        first = wire.receive_message(s)
        at = wire.Record(first, 12 + len(wire.name(zone + ".")) + 4).end
        tail = first[at - 20:at]  # serial and timers of the SOA, with which the last message ends, too
        if first[at:].endswith(tail):
            return time.time() - t
        while last != tail:
            n = s.recv_into(room)
            if not n:
                sys.exit("bench: a transfer ended early")
            last = (last + room[max(0, n - 20):n])[-20:]
    return time.time() - t


def processes(pid):
    out = [pid]
    for d in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{d}/stat") as f:
                if int(f.read().rsplit(")", 1)[1].split()[1]) == pid:
                    out += processes(int(d))
        except OSError:
            pass
    return out


def memory(pid):
    """MiB of it and its children."""
    kb = 0
    for p in processes(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                kb += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
        except OSError:
            pass
    return kb / 1024


def cpu(pid):
    """Seconds of it and its children."""
    ticks = 0
    for p in processes(pid):
        try:
            with open(f"/proc/{p}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


# ---- zones

def zone_text(path, n):
    """Delegations, two NS each, a fifth with glue, a third with DS: the same zone at every run."""
    r = random.Random(7)
    abc = "abcdefghijklmnopqrstuvwxyz0123456789"
    with open(path, "w") as f:
        f.write(f"{ZONE}. 3600 IN SOA ns1.{ZONE}. host.{ZONE}. 1 1800 900 604800 900\n")
        for i in (1, 2):
            f.write(f"{ZONE}. 3600 IN NS ns{i}.{ZONE}.\nns{i}.{ZONE}. 3600 IN A 192.0.2.{i}\n")
        for i in range(n):
            d = "".join(r.choice(abc) for _ in range(r.randint(4, 14))) + f"{i:x}.{ZONE}."
            if r.random() < .2:
                f.writelines(f"{d} 86400 IN NS ns{k}.{d}\nns{k}.{d} 86400 IN A 198.51.{i >> 8 & 255}.{i & 255}\n" for k in (1, 2))
            else:
                k = r.randint(0, 999)
                f.write(f"{d} 86400 IN NS ns1.host{k}.example.\n{d} 86400 IN NS ns2.host{k}.example.\n")
            if r.random() < .3:
                f.write(f"{d} 86400 IN DS {r.randint(1, 65535)} 13 2 {hashlib.sha256(d.encode()).hexdigest()}\n")


def sign(path, folder):
    """The path of the same zone, signed with P-256."""
    key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", ZONE], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["ldns-signzone", "-f", f"{folder}/signed", path, f"{folder}/{key}"], check=True)
    return f"{folder}/signed"


# ---- servers

class Server:
    def __init__(self, name, conf, *command):
        self.name = name
        self.folder = tempfile.mkdtemp(prefix=f"weir-bench-{name}-")
        self.command = [w.replace("@D@", self.folder) for w in command]
        with open(f"{self.folder}/c", "w") as f:
            f.write(conf.replace("@D@", self.folder))
        self.start()

    def start(self):
        self.log = open(f"{self.folder}/log", "ab")
        self.p = subprocess.Popen(self.command, cwd=self.folder, stdout=self.log, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)
        self.pid = self.p.pid
        running.append(self)

    def tail(self, lines=20):
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-lines:])

    def stop(self):
        running.remove(self)
        self.p.terminate()
        try:
            self.p.wait(60)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()
        self.log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def knot_conf(listen, more, level="warning"):
    return f"""server:
    rundir: @D@
    listen: {listen[0]}@{listen[1]}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 2
log:
  - target: stderr
    any: {level}
database:
    storage: @D@
{more}"""


def primary(rows, more=""):
    """A Knot that has zones from files: rows of (name, path)."""
    zones = "".join(f"  - domain: {z}\n    file: {path}\n" for z, path in rows)
    server = Server("primary", knot_conf(PRIMARY, f"""acl:
  - id: all
    address: 127.0.0.0/8
    action: transfer
{more}template:
  - id: default
    acl: all
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: none
zone:
{zones}"""), "knotd", "-c", "@D@/c")
    for z, _ in rows:
        wait(lambda z=z: serves(PRIMARY, z))
    return server


KNOT_POLICY = """policy:
  - id: p256
    algorithm: ecdsap256sha256
    single-type-signing: on
    nsec3: off
    signing-threads: 2
"""
KNOT_SIGNS = "    dnssec-signing: on\n    dnssec-policy: p256\n"


CHAINS = {"plain": "chain = ();", "null": 'chain = ( { stage = "null"; } );', "validate": 'mode = "pre-signed";', "sign": 'mode = "live";'}


def weir(zones=(ZONE,), chain="plain", durability="commit"):
    rows = ",\n".join(f'{{ name = "{z}."; primaries = ("p"); allow_transfer = ("127.0.0.0/8"); allow_notify = ("127.0.0.0/8"); {CHAINS[chain]} }}' for z in zones)
    return Server("weir", f"""server = {{ listen = ("{PEER[0]}@{PEER[1]}"); threads = 1; workers = 2; state = "@D@/state"; control = "@D@/control";
    durability = "{durability}"; log_level = "warn"; }};
remotes = ( {{ name = "p"; address = "{PRIMARY[0]}@{PRIMARY[1]}"; }} );
zones = ( {rows} );
""", WEIR, "serve", "-c", "@D@/c")


def knot(zones=(ZONE,), chain="plain"):
    rows = "".join(f"  - domain: {z}\n" for z in zones)
    more = {"plain": "", "validate": "    dnssec-validation: on\n", "sign": KNOT_SIGNS + "    serial-policy: increment\n"}[chain]
    return Server("knot", knot_conf(PEER, f"""remote:
  - id: pri
    address: {PRIMARY[0]}@{PRIMARY[1]}
acl:
  - id: all
    address: 127.0.0.0/8
    action: [transfer, notify]
{KNOT_POLICY}template:
  - id: default
    storage: @D@
    master: pri
    acl: all
    zonefile-load: none
    zonefile-sync: -1
    journal-content: all
    journal-max-usage: 2G
{more}zone:
{rows}"""), "knotd", "-c", "@D@/c")


def nsd():
    return Server("nsd", f"""server:
  ip-address: {PEER[0]}@{PEER[1]}
  username: ""
  chroot: ""
  server-count: 1
  zonesdir: @D@
  database: ""
  zonelistfile: @D@/zone.list
  xfrdfile: @D@/xfrd.state
  xfrdir: @D@
  pidfile: @D@/nsd.pid
remote-control:
  control-enable: no
zone:
  name: {ZONE}
  zonefile: sec.zone
  request-xfr: {PRIMARY[0]}@{PRIMARY[1]} NOKEY
  provide-xfr: 127.0.0.0/8 NOKEY
""", "nsd", "-d", "-c", "@D@/c")


def bind():
    return Server("bind", f"""options {{ directory "@D@"; pid-file "@D@/pid"; listen-on port {PEER[1]} {{ {PEER[0]}; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; notify no; allow-transfer {{ any; }}; session-keyfile none; check-names secondary ignore; }};
controls {{ }};
zone "{ZONE}" {{ type secondary; masterfile-format raw; file "@D@/sec"; primaries {{ {PRIMARY[0]} port {PRIMARY[1]}; }}; allow-notify {{ any; }}; }};
""", "named", "-g", "-c", "@D@/c")


class Editor(Server):
    """A Knot primary whose zone changes, and that tells the peer."""

    def __init__(self, zonefile, signs):
        super().__init__("primary", knot_conf(PRIMARY, f"""remote:
  - id: peer
    address: {PEER[0]}@{PEER[1]}
acl:
  - id: all
    address: 127.0.0.0/8
    action: transfer
{KNOT_POLICY}    rrsig-lifetime: 60d
    zone-max-ttl: 86400
zone:
  - domain: {ZONE}
    file: {zonefile}
    zonefile-load: whole
    zonefile-sync: -1
    journal-content: changes
    journal-max-usage: 1G
    notify: peer
    acl: all
{KNOT_SIGNS if signs else ""}"""), "knotd", "-c", "@D@/c")
        wait(lambda: serves(PRIMARY))

    def control(self, *words):
        subprocess.run(["knotc", "-s", f"{self.folder}/knot.sock", *words], check=True, stdout=subprocess.DEVNULL)

    def change(self, tag, names=10):
        self.control("zone-begin", ZONE)
        for j in range(names):
            self.control("zone-set", ZONE, f"{tag}-{j}", "300", "A", f"192.0.2.{j + 1}")
        self.control("zone-commit", ZONE)


class Changer:
    """A primary of our own. Its version n differs from n - 1 in the addresses of `width` names, and in the SOA; beside them the zone has `names`
    names of two addresses. It gives each step as a difference, and tells of it by NOTIFY."""

    def __init__(self, names, width=1):
        self.serial = 1
        own = [wire.name(f"c{i}.{ZONE}.") for i in range(width)]
        self.changing = lambda serial: [wire.rr(o, "A", 300, struct.pack("!I", 0xC0000000 | serial & 0xFFFFFF)) for o in own]
        self.fixed = [wire.rr(ZONE + ".", "NS", 300, wire.name("ns1.elsewhere.test."))]
        for i in range(names):
            owner = wire.name(f"h{i}.{ZONE}.")
            self.fixed += [wire.rr(owner, "A", 300, struct.pack("!I", i << 1 | k)) for k in (0, 1)]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.bind(PRIMARY)
        self.tcp.bind(PRIMARY)
        self.tcp.listen(16)
        self.ended = False
        for serve in self.serve_udp, self.serve_tcp:
            threading.Thread(target=serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.udp.sendto(b"", PRIMARY)  # wakes who waits there
        self.tcp.shutdown(socket.SHUT_RDWR)
        for s in self.udp, self.tcp:
            s.close()

    @staticmethod
    def soa(serial):
        return wire.soa(ZONE + ".", serial)

    def answer(self, q):
        """Messages."""
        now, kind = self.serial, q.question[1]
        records = [self.soa(now)]
        if kind == wire.TYPES["IXFR"] and q.authority[0].serial != now:
            for s in range(q.authority[0].serial, now):
                records += [self.soa(s), *self.changing(s), self.soa(s + 1), *self.changing(s + 1)]
            records.append(self.soa(now))
        elif kind == wire.TYPES["AXFR"]:
            records += [*self.fixed, *self.changing(now), self.soa(now)]
        asked = [wire.question(*q.question)]
        return [wire.message(q.id, wire.QR | wire.AA, asked, records[i:i + 400]) for i in range(0, len(records), 400)]

    def serve_udp(self):
        while not self.ended:
            msg, peer = self.udp.recvfrom(4096)
            if len(msg) > 12 and not msg[2] & 0x80:  # else the answer to a NOTIFY
                self.udp.sendto(self.answer(wire.Message(msg))[0], peer)

    def serve_tcp(self):
        while not self.ended:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve_one, args=(conn,), daemon=True).start()

    def serve_one(self, conn):
        try:
            while msg := wire.receive_message(conn):
                conn.sendall(b"".join(struct.pack("!H", len(m)) + m for m in self.answer(wire.Message(msg))))
        except OSError:
            pass

    def notify(self):
        said = wire.message(self.serial & 0xFFFF, 4 << 11 | wire.AA, [wire.question(ZONE + ".", "SOA")], [self.soa(self.serial)])
        self.udp.sendto(said, PEER)

    def step(self):
        """The next version; seconds until the peer serves it."""
        self.serial += 1
        began = said = time.time()
        self.notify()
        while soa(PEER) != self.serial:
            if time.time() - said > 1:  # lost, or put off
                self.notify()
                said = time.time()
        return time.time() - began
