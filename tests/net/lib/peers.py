"""Real peers for scenarios: NSD, Knot, BIND, PowerDNS and weir, on loopback, started, waited for, and always stopped.

A scenario is a file of functions that take a Net (a temporary folder and the processes in it) and end in run(...):

    def a_version_passes(net):
        nsd = net.nsd({"a.example.": text})
        weir = net.weir(zone("a.example.", "nsd", chain="()"), nsd=nsd)
        net.wait("weir serves serial 1", lambda: serial(weir.port, "a.example.") == 1)

    run(a_version_passes)

Nothing sleeps for its own sake: wait() looks again and again until a deadline, and gives up at once when a process that
should be running has ended. weir must end with exit code 0 and no sanitizer's report, in every scenario. When one fails,
the logs of all its processes are shown. `run NAME` runs one function; KEEP=1 keeps the folders.
"""

import base64
import ctypes
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from wire import RD, exchange, query, serial

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
WEIR = os.path.abspath(os.environ.get("WEIR") or os.path.join(TOP, "build/weir"))
SHARED = os.environ.get("WEIR_SHARED") or os.path.join(TOP, "../shared")
PORTS = range(15700, 15900)
WITHIN_S = 30  # a deadline, not a pace: sanitizer builds on a busy machine need some of it
LOG_TAIL = 40
PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None)


class Failed(Exception):
    pass


def check(condition, what):
    if not condition:
        raise Failed(what)


def equal(got, want, what):
    if got != want:
        raise Failed(f"{what}: got {got!r}, want {want!r}")


def same_records(got, want, what):
    """Two sorted lists of record lines; says which records differ."""
    if got != want:
        less, more = sorted(set(want) - set(got)), sorted(set(got) - set(want))
        raise Failed(f"{what}: {len(got)} records, want {len(want)}\n  missing: " + "\n           ".join(less[:8]) +
                     "\n  extra:   " + "\n           ".join(more[:8]))
    check(got, what + ": no records at all")


def dig_axfr(port, zone, host="127.0.0.1"):
    """The zone, a line a record, sorted; the closing SOA left out."""
    out = subprocess.run(["dig", "+noall", "+answer", "+onesoa", "+time=10", "+tries=1", "-p", str(port), "@" + host, zone, "AXFR"],
                         capture_output=True, text=True, check=False).stdout
    lines = [" ".join(line.split()) for line in out.splitlines()]
    bad = [line for line in lines if line.startswith(";")]
    check(not bad, f"transfer of {zone} from port {port}: {bad}")
    return sorted(line for line in lines if line)


def dig(port, *words, host="127.0.0.1"):
    return subprocess.run(["dig", "+time=3", "+tries=1", "-p", str(port), "@" + host, *words], capture_output=True, text=True, check=False).stdout


class Process:
    def __init__(self, net, what, argv, cwd=None, **options):
        self.net, self.what, self.argv = net, what, argv
        self.log_path = net.path(f"{what}.log")
        self.ended = False
        with open(self.log_path, "ab") as log:
            self.child = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=cwd or net.folder,
                                          start_new_session=True, preexec_fn=die_with_parent, **options)
        net.processes.append(self)

    @property
    def pid(self):
        return self.child.pid

    def text(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def lines(self, pattern):
        """Log lines in which the pattern is found."""
        return [line for line in self.text().splitlines() if re.search(pattern, line)]

    def logged(self, pattern):
        found = self.lines(pattern)
        return found[-1] if found else None

    def wait_logged(self, pattern, within=WITHIN_S):
        return self.net.wait(f"{self.what} logs /{pattern}/", lambda: self.logged(pattern), within)

    def send(self, sig):
        self.child.send_signal(sig)

    def stop(self, sig=signal.SIGTERM, within=20):
        """Returns its exit code; what does not end in time is killed, with all that it started."""
        self.ended = True
        if self.child.poll() is None:
            self.child.send_signal(sig)
        try:
            return self.child.wait(within)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.what} did not end within {within} s") from None
        finally:
            try:
                os.killpg(self.child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.child.wait()


    def kill(self):
        """What a crash leaves behind."""
        self.ended = True
        self.child.kill()
        self.child.wait()


def die_with_parent():
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Server(Process):
    """A name server that serves zone files from its folder as a primary, or takes zones as a secondary."""

    def __init__(self, net, what, argv, port, folder, host="127.0.0.1"):
        self.port, self.folder, self.host = port, folder, host
        super().__init__(net, what, argv)

    def publish(self, zone, text):
        """A new version of a zone file, taken at once."""
        write(os.path.join(self.folder, file_of(zone)), text)
        self.reload()

    def reload(self):
        self.send(signal.SIGHUP)

    def serves(self, zone, want):
        self.net.wait(f"{self.what} serves {zone} with serial {want}", lambda: serial(self.port, zone, self.host) == want)

    def axfr(self, zone):
        return dig_axfr(self.port, zone, self.host)

    def axfr_at(self, zone, number):
        """The zone with that serial: a process of NSD that is on its way out may give an older one by TCP, or reset the connection."""
        def given():
            try:
                lines = self.axfr(zone)
            except Failed:
                return None
            return lines if any(line.split()[3] == "SOA" and line.split()[6] == str(number) for line in lines) else None
        return self.net.wait(f"{self.what} gives {zone} out with serial {number}", given)


class Pdns(Server):
    def reload(self):
        zones = [name[:-len(".zone")] for name in os.listdir(self.folder) if name.endswith(".zone")]
        subprocess.run(["pdns_control", "--socket-dir=" + self.folder, "bind-reload-now", *zones], check=True, stdout=subprocess.DEVNULL)


class Weir(Server):
    def __init__(self, net, what, port, conf, host, under=()):
        self.conf = conf
        super().__init__(net, what, [*under, WEIR, "serve", "-c", conf], port, os.path.dirname(conf), host)

    def ask(self, *words):
        """`weir WORDS -c CONF`: (exit code, standard output and error)."""
        p = subprocess.run([WEIR, words[0], "-c", self.conf, *words[1:]], capture_output=True, text=True, check=False, timeout=60)
        return p.returncode, p.stdout + p.stderr

    def status(self, zone=None):
        code, out = self.ask("status", *([zone] if zone else []), "--findings", "--json")
        check(code == 0, f"weir status {zone}: exit {code}: {out}")
        return json.loads(out)

    def counter(self, zone, which):
        return self.status(zone)["counters"][which]

    def configure(self, text):
        write(self.conf, text)

    def stop(self, sig=signal.SIGTERM, within=30):
        code = super().stop(sig, within)
        report = self.logged(r"(Address|Thread|Leak|UndefinedBehavior)Sanitizer|runtime error:|assertion|ASSERT")
        check(not report, f"{self.what}: {report}")
        equal(code, 0, f"{self.what}'s exit code")
        return code


def write(path, text):
    """In one step, so that a server never reads half a file."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


def file_of(zone):
    return zone.rstrip(".") + ".zone"


def address(where):
    """A Server, a port, or "ADDRESS@PORT"."""
    if isinstance(where, str):
        return where
    port, host = (where, "127.0.0.1") if isinstance(where, int) else (where.port, where.host)
    return f"{host}@{port}"


def words(items):
    items = [items] if isinstance(items, str) else items
    return "(" + ", ".join(f'"{i}"' for i in items) + ")"


def zone(name, primaries=(), chain="()", notify=(), allow="127.0.0.1", more=""):
    """One row of weir's zones. chain is a list, or a mode's name."""
    row = f'name = "{name}"; '
    if primaries:
        row += f"primaries = {words(primaries)}; "
    if notify:
        row += f"notify = {words(notify)}; "
    if allow:
        row += f"allow_transfer = {words(allow)}; "
    row += f"chain = {chain}; " if chain.startswith("(") else f'mode = "{chain}"; '
    return "{ " + row + more + " }"


def key_row(key, more=None):
    """One row of weir's tsig. A key is (name, algorithm, secret as octets)."""
    return f'{{ name = "{key[0]}"; algorithm = "{key[1]}"; ' + (more or f'secret = "{base64.b64encode(key[2]).decode()}";') + " }"


def remote_row(name, where):
    """where: as address() takes it, or (that, key)."""
    where, key = where if isinstance(where, tuple) else (where, None)
    return f'{{ name = "{name}"; address = "{address(where)}"; ' + (f'tsig = "{key[0]}"; ' if key else "") + "}"


def configuration(net, listen, rows, remotes, server="", what="weir", control=None, keys=()):
    peers = ",\n  ".join(remote_row(n, where) for n, where in remotes.items())
    tsig = ",\n  ".join(k if isinstance(k, str) else key_row(k) for k in keys)
    tsig = f"tsig = (\n  {tsig}\n);\n" if tsig else ""
    rows = ",\n  ".join([rows] if isinstance(rows, str) else rows)
    return (f'server = {{ listen = {words(listen)}; threads = 2; workers = 2; state = "{net.path(what + ".state")}"; '
            f'control = "{control or net.path(what + ".sock")}"; {server} }};\n'
            f'{tsig}remotes = (\n  {peers}\n);\nzones = (\n  {rows}\n);\n')


def free_port():
    """(port, lock): one that nobody listens on, and that no other run takes while the lock is open."""
    start = os.getpid() * 17
    for i in range(len(PORTS)):
        port = PORTS[(start + i) % len(PORTS)]
        lock = open(os.path.join(tempfile.gettempdir(), f"weir-port-{port}.lock"), "w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
                for family, host in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1"):
                    with socket.socket(family, kind) as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind((host, port))
        except OSError:
            lock.close()
            continue
        return port, lock
    raise Failed("no free port")


class Net:
    def __init__(self, name):
        self.folder = tempfile.mkdtemp(prefix=f"weir-{name[:30]}-")
        os.chmod(self.folder, 0o755)
        self.processes, self.closers, self.locks = [], [], []

    def path(self, *parts):
        return os.path.join(self.folder, *parts)

    def subfolder(self, name):
        folder = self.path(name)
        os.mkdir(folder)
        return folder

    def port(self):
        """One that nobody listens on, and that no other run takes while we live."""
        port, lock = free_port()
        self.locks.append(lock)
        return port

    def wait(self, what, condition, within=WITHIN_S):
        """The condition's value, once it is true."""
        until = time.monotonic() + within
        while True:
            value = condition()
            if value:
                return value
            for p in self.processes:
                if p.child.poll() is not None and not p.ended:  # in this order: another thread may be killing it
                    raise Failed(f"{p.what} ended by itself with exit code {p.child.returncode}, while waiting: {what}")
            if time.monotonic() > until:
                raise Failed(f"did not happen within {within} s: {what}")
            time.sleep(0.01)

    def name(self, what):
        n = sum(1 for p in self.processes if p.what.rstrip("0123456789") == what)
        return f"{what}{n + 1}" if n else what

    # ---- peers: zones = {name: text} makes a primary, secondary_of = (port, [names]) a secondary

    # With tsig = {name: key} all that concerns a zone is signed by its key, and only by that; with history a primary keeps the changes
    # of its zones and answers IXFR from them.

    def nsd(self, zones=None, notify=(), secondary_of=None, host="127.0.0.1", more="", tsig=None, ixfr=False, history=False):
        tsig = tsig or {}
        what, port = self.name("nsd"), self.port()
        folder = self.subfolder(what)
        conf = (f'server:\n  ip-address: {host}@{port}\n  username: ""\n  chroot: ""\n  zonesdir: "{folder}"\n  database: ""\n'
                f'  zonelistfile: "{folder}/zone.list"\n  xfrdfile: "{folder}/xfrd.state"\n  xfrdir: "{folder}"\n  pidfile: "{folder}/pid"\n'
                f"  zonefiles-check: yes\n  server-count: 1\n  tcp-count: 200\n  verbosity: 2\n  xfrd-reload-timeout: 0\n{more}"
                "remote-control:\n  control-enable: no\n")
        conf += "".join(f"key:\n  name: {k[0]}\n  algorithm: {k[1]}\n  secret: {base64.b64encode(k[2]).decode()}\n" for k in tsig.values())
        by = {z: tsig[z][0] if z in tsig else "NOKEY" for z in [*(zones or {}), *(secondary_of or (0, ()))[1]]}
        for z, text in (zones or {}).items():
            write(os.path.join(folder, file_of(z)), text)
            conf += f"zone:\n  name: {z}\n  zonefile: {file_of(z)}\n  provide-xfr: 127.0.0.0/8 {by[z]}\n  provide-xfr: ::1 {by[z]}\n"
            conf += "".join(f"  notify: {address(where)} {by[z]}\n" for where in notify)
            conf += "  store-ixfr: yes\n  create-ixfr: yes\n  ixfr-number: 50\n" if history else ""
        if secondary_of:
            how = "" if ixfr else "AXFR "
            for z in secondary_of[1]:
                conf += (f"zone:\n  name: {z}\n  zonefile: {file_of(z)}\n  request-xfr: {how}127.0.0.1@{secondary_of[0]} {by[z]}\n"
                         f"  allow-notify: 127.0.0.1 {by[z]}\n  provide-xfr: 127.0.0.1 NOKEY\n")
        write(folder + "/nsd.conf", conf)
        nsd = Server(self, what, ["nsd", "-d", "-c", folder + "/nsd.conf"], port, folder, host)
        self.answers(nsd, next(iter(zones), None) if zones else None)
        return nsd

    def knot(self, zones=None, notify=(), secondary_of=None, more="", tsig=None, history=False, policy=""):
        what, port, tsig = self.name("knot"), self.port(), tsig or {}
        folder = self.subfolder(what)
        more += "    zonefile-load: difference\n    zonefile-sync: -1\n    journal-content: changes\n" if history else ""
        targets = list(notify) + ([secondary_of[0]] if secondary_of else [])
        keys = "".join(f"  - id: {k[0]}\n    algorithm: {k[1]}\n    secret: {base64.b64encode(k[2]).decode()}\n" for k in tsig.values())
        conf = (f"server:\n    rundir: {folder}\n    listen: 127.0.0.1@{port}\n" + ("key:\n" + keys if keys else "") + f"log:\n  - target: stderr\n    any: info\n"
                f"database:\n    storage: {folder}\nacl:\n  - id: all\n    address: [127.0.0.0/8, ::1]\n    action: [transfer, notify]\n")
        conf += "".join(f"  - id: {k[0]}\n    key: {k[0]}\n    action: [transfer, notify]\n" for k in tsig.values())
        acl = {z: tsig[z][0] if z in tsig else "all" for z in [*(zones or {}), *(secondary_of or (0, ()))[1]]}
        remote = {z: "-" + tsig[z][0] if z in tsig else "" for z in acl}
        if targets:
            conf += "remote:\n" + "".join(f"  - id: r{i}{suffix}\n    address: {address(t)}\n" + (f"    key: {suffix[1:]}\n" if suffix else "")
                                          for i, t in enumerate(targets) for suffix in sorted(set(remote.values())))
        conf += policy + "zone:\n"
        for z, text in (zones or {}).items():
            write(os.path.join(folder, file_of(z)), text)
            conf += f"  - domain: {z}\n    storage: {folder}\n    file: {file_of(z)}\n    acl: {acl[z]}\n    semantic-checks: off\n{more}"
            if targets:
                conf += "    notify: [" + ", ".join(f"r{i}{remote[z]}" for i in range(len(targets))) + "]\n"
        if secondary_of:
            for z in secondary_of[1]:
                conf += f"  - domain: {z}\n    storage: {folder}\n    file: {file_of(z)}\n    acl: {acl[z]}\n    master: r0{remote[z]}\n{more}"
        write(folder + "/knot.conf", conf)
        knot = Server(self, what, ["knotd", "-c", folder + "/knot.conf"], port, folder)
        self.answers(knot, next(iter(zones), None) if zones else None)
        return knot

    def bind(self, zones=None, notify=(), secondary_of=None, tsig=None, ixfr=False, history=False, head="", more=""):
        """head, more: statements besides, and what each zone has."""
        tsig = tsig or {}
        what, port = self.name("bind"), self.port()
        folder = self.subfolder(what)
        also = "".join(f"127.0.0.1 port {where if isinstance(where, int) else where.port}; " for where in notify)
        keyed = {z: f'key "{k[0]}"' for z, k in tsig.items()}
        conf = (f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; '
                f'session-keyfile none; lock-file none; recursion no; allow-transfer {{ any; }}; notify {"explicit" if also else "no"}; '
                f'{"also-notify { " + also + "};" if also else ""} notify-delay 0; check-integrity no; check-names primary ignore; '
                f'check-names secondary ignore; {"ixfr-from-differences yes; max-ixfr-ratio unlimited" if history else "provide-ixfr no"}; request-ixfr {"yes" if ixfr else "no"}; empty-zones-enable no; dnssec-validation no; '
                f'max-transfer-idle-in 1; min-refresh-time 2; }};\ncontrols {{ }};\n')
        conf += head + "".join(f'key "{k[0]}" {{ algorithm {k[1]}; secret "{base64.b64encode(k[2]).decode()}"; }};\n' for k in tsig.values())
        for z, text in (zones or {}).items():
            write(os.path.join(folder, file_of(z)), text)
            conf += f'zone "{z}" {{ type primary; file "{file_of(z)}"; {more}'
            if z in keyed:
                conf += f"allow-transfer {{ {keyed[z]}; }}; " + (f"also-notify {{ {also.replace(';', ' ' + keyed[z] + ';')} }}; " if also else "")
            conf += "};\n"
        if secondary_of:
            for z in secondary_of[1]:
                conf += f'zone "{z}" {{ type secondary; file "{file_of(z)}"; masterfile-format text; primaries {{ 127.0.0.1 port {secondary_of[0]} {keyed.get(z, "")}; }}; }};\n'
        write(folder + "/named.conf", conf)
        bind = Server(self, what, ["named", "-g", "-c", folder + "/named.conf"], port, folder)
        self.answers(bind, next(iter(zones), None) if zones else None)
        return bind

    def pdns(self, zones):
        what, port = self.name("pdns"), self.port()
        folder = self.subfolder(what)
        conf = ""
        for z, text in zones.items():
            write(os.path.join(folder, file_of(z)), text)
            conf += f'zone "{z.rstrip(".")}" {{ type master; file "{folder}/{file_of(z)}"; }};\n'
        write(folder + "/named.conf", conf)
        write(folder + "/pdns.conf", f"launch=bind\nbind-config={folder}/named.conf\nlocal-address=127.0.0.1\nlocal-port={port}\n"
              f"daemon=no\nguardian=no\nwrite-pid=no\ndisable-syslog=yes\nallow-axfr-ips=127.0.0.0/8\nsocket-dir={folder}\n"
              "zone-cache-refresh-interval=0\nconsistent-backends=yes\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n")
        pdns = Pdns(self, what, ["pdns_server", "--config-dir=" + folder], port, folder)
        self.answers(pdns, next(iter(zones)))
        return pdns

    def pdns_secondary(self, of, zones):
        """Of weir's port; asks by IXFR. Its zones are in LMDB, for the bind backend knows no IXFR."""
        what, port = self.name("pdns"), self.port()
        folder = self.subfolder(what)
        write(folder + "/pdns.conf", f"launch=lmdb\nlmdb-filename={folder}/zones\nlocal-address=127.0.0.1\nlocal-port={port}\nsecondary=yes\n"
              f"daemon=no\nguardian=no\nwrite-pid=no\ndisable-syslog=yes\nallow-axfr-ips=127.0.0.0/8\nsocket-dir={folder}\nxfr-cycle-interval=1\n"
              "loglevel=7\nzone-cache-refresh-interval=0\nconsistent-backends=yes\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n")
        for z in zones:
            for order in ["create-secondary-zone", z, f"127.0.0.1:{of}"], ["set-meta", z, "IXFR", "1"]:
                p = subprocess.run(["pdnsutil", "--config-dir=" + folder, *order], capture_output=True, text=True, check=False)
                check(p.returncode == 0, f"pdnsutil {order}: {p.stdout}{p.stderr}")
        return Pdns(self, what, ["pdns_server", "--config-dir=" + folder], port, folder)

    def ixfrdist(self, of, zones):
        """A secondary that takes whole zones, and serves differences of its own."""
        what, port = self.name("ixfrdist"), self.port()
        folder = self.subfolder(what)
        conf = f"listen: ['127.0.0.1:{port}']\nacl: ['127.0.0.0/8']\nwork-dir: {folder}\nkeep: 20\nfailed-soa-retry: 1\nmax-soa-refresh: 1\ndomains:\n"
        conf += "".join(f"  - domain: {z.rstrip('.')}\n    master: 127.0.0.1:{of}\n    max-soa-refresh: 1\n" for z in zones)
        write(folder + "/ixfrdist.yml", conf)
        return Server(self, what, ["ixfrdist", "--config=" + folder + "/ixfrdist.yml", "--verbose"], port, folder)

    def unbound(self, stubs, anchor, more=""):
        """A validating resolver that asks {zone: server or servers} and trusts the key (its file, without the ending). It keeps nothing
        it could answer from itself but what it was asked for."""
        what, port = self.name("unbound"), self.port()
        folder = self.subfolder(what)
        conf = (f'server:\n  interface: 127.0.0.1@{port}\n  do-daemonize: no\n  username: ""\n  chroot: ""\n  directory: "{folder}"\n  pidfile: ""\n'
                f'  use-syslog: no\n  logfile: ""\n  val-log-level: 2\n  num-threads: 1\n  do-ip6: no\n  access-control: 127.0.0.0/8 allow\n'
                f'  do-not-query-localhost: no\n  module-config: "validator iterator"\n  trust-anchor-file: "{self.path(anchor + ".key")}"\n'
                "  trust-anchor-signaling: no\n  qname-minimisation: no\n  aggressive-nsec: no\n  harden-below-nxdomain: no\n"
                f"  unwanted-reply-threshold: 0\n{more}remote-control:\n  control-enable: no\n")
        for z, servers in stubs.items():
            servers = servers if isinstance(servers, (list, tuple)) else [servers]
            conf += f"stub-zone:\n  name: {z}\n" + "".join(f"  stub-addr: 127.0.0.1@{server.port}\n" for server in servers)
        write(folder + "/unbound.conf", conf)
        unbound = Server(self, what, ["unbound", "-d", "-p", "-c", folder + "/unbound.conf"], port, folder)
        for z in stubs:
            self.wait(f"unbound resolves {z}", lambda z=z: getattr(exchange(port, query(z, "SOA", flags=RD)), "rcode", None) == "NOERROR")
        return unbound

    def bind_resolver(self, forwards, anchor):
        """As unbound(), but BIND. What it asks, it asks for recursion, which servers of zones let pass."""
        what, port = self.name("named"), self.port()
        folder = self.subfolder(what)
        with open(self.path(anchor + ".key"), encoding="ascii") as f:
            key = f.read().split(";")[0].split()
        flags, protocol, algorithm = key[key.index("DNSKEY") + 1:][:3]
        public = "".join(key[key.index("DNSKEY") + 4:])
        conf = (f'options {{ directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; '
                f'lock-file none; recursion yes; dnssec-validation yes; empty-zones-enable no; synth-from-dnssec no; notify no; }};\ncontrols {{ }};\n'
                f'trust-anchors {{ {key[0]} static-key {flags} {protocol} {algorithm} "{public}"; }};\n')
        for z, servers in forwards.items():
            servers = servers if isinstance(servers, (list, tuple)) else [servers]
            conf += f'zone "{z}" {{ type forward; forward only; forwarders {{ ' + "".join(f"127.0.0.1 port {s.port}; " for s in servers) + "}; };\n"
        write(folder + "/named.conf", conf)
        bind = Server(self, what, ["named", "-g", "-c", folder + "/named.conf"], port, folder)
        for z in forwards:
            self.wait(f"{what} resolves {z}", lambda z=z: getattr(exchange(port, query(z, "SOA", flags=RD)), "rcode", None) == "NOERROR")
        return bind

    def answers(self, server, zone_name):
        if zone_name:
            self.wait(f"{server.what} serves {zone_name}", lambda: serial(server.port, zone_name, server.host) is not None)

    # ---- weir

    def weir(self, rows, server="", listen=None, port=None, host="127.0.0.1", wait=True, control=None, under=(), keys=(), **remotes):
        """under: a command that becomes weir, such as ("prlimit", "--nofile=500")."""
        port = port or self.port()
        what = self.name("weir")
        conf = self.path(f"{what}.conf")
        write(conf, configuration(self, listen or f"{host}@{port}", rows, remotes, server, what, control, keys))
        weir = Weir(self, what, port, conf, host, under)
        if wait:
            weir.wait_logged("weir is up")
        return weir

    def again(self, weir, wait=True, under=()):
        """The same weir after its end: its configuration, port and state. Its log goes on in the same file."""
        ups = len(weir.lines("weir is up"))
        next_one = Weir(self, weir.what, weir.port, weir.conf, weir.host, under)
        if wait:
            self.wait(f"{weir.what} is up again", lambda: len(next_one.lines("weir is up")) > ups or next_one.child.poll() is not None)
            check(next_one.child.poll() is None, f"{weir.what} ended: {next_one.text()[-2000:]}")
        return next_one

    # ---- signing

    def key(self, zone_name, algorithm="ECDSAP256SHA256", ksk=True):
        """The key's file name, without its ending."""
        return subprocess.run(["ldns-keygen", "-a", algorithm, *(["-k"] if ksk else []), zone_name.rstrip(".")], cwd=self.folder,
                              capture_output=True, text=True, check=True).stdout.strip()

    def sign(self, text, *keys, options=()):
        write(self.path("to-sign"), text)
        p = subprocess.run(["ldns-signzone", *options, "-f", "signed", "to-sign", *keys], cwd=self.folder, capture_output=True, text=True, check=False)
        check(p.returncode == 0, f"ldns-signzone: {p.stdout}{p.stderr}")
        with open(self.path("signed"), encoding="ascii") as f:
            return f.read()

    def sign_nsec3(self, apex, text, key, options=()):
        """With salt "ab" and one iteration. What ldns-signzone cannot: leave insecure delegations out of the chain (-A)."""
        with open(self.path(key + ".key"), encoding="ascii") as f:
            write(self.path("to-sign"), text + f.read())
        p = subprocess.run(["dnssec-signzone", "-z", "-3", "ab", "-H", "1", *options, "-o", apex, "-f", "signed", "to-sign", key],
                           cwd=self.folder, capture_output=True, text=True, check=False)
        check(p.returncode == 0, f"dnssec-signzone: {p.stdout}{p.stderr}")
        with open(self.path("signed"), encoding="ascii") as f:
            return f.read()

    # ---- the end

    def close(self, failed):
        """Stops everything, in the order opposite to starting; returns what went wrong on the way."""
        wrong = []
        for close in reversed(self.closers):
            try:
                close()
            except Exception:  # pylint: disable=broad-except
                wrong.append(traceback.format_exc())
        for p in reversed(self.processes):
            if p.ended:
                continue
            try:
                p.stop() if isinstance(p, Weir) or not failed else p.stop(within=5)
            except Failed as e:
                if isinstance(p, Weir):
                    wrong.append(str(e))
        for lock in self.locks:
            try:
                lock.close()
            except Exception:  # pylint: disable=broad-except
                wrong.append(traceback.format_exc())
        if failed or wrong:
            for p in self.processes:
                print(f"--- {p.what}'s log ({' '.join(p.argv)}):")
                print("\n".join(p.text().splitlines()[-LOG_TAIL:]))
        if not os.environ.get("KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)
        return wrong


def told_until_it_serves(net, weir, secondary, zone_name, number=1):
    """A secondary that asked before weir was up may be in its own back-off and deaf to one NOTIFY: say it again each second."""
    said = time.monotonic()

    def serves():
        nonlocal said
        if serial(secondary.port, zone_name, secondary.host) == number:
            return True
        if time.monotonic() - said > 1:
            said = time.monotonic()
            weir.ask("notify", zone_name)
        return False

    net.wait("the secondary has the first version", serves)


def run(*scenarios):
    """Runs each with a Net of its own, and closes with one true line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = sys.argv[1:]
    passed = failed = 0
    for scenario in scenarios:
        if wanted and scenario.__name__ not in wanted:
            continue
        began, error, net = time.monotonic(), None, Net(scenario.__name__)
        try:
            scenario(net)
        except Exception:  # pylint: disable=broad-except
            error = traceback.format_exc()
        except BaseException:
            net.close(True)
            raise
        wrong = net.close(error is not None)
        good = not error and not wrong
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok    ' if good else 'FAILED'} {scenario.__name__}  {time.monotonic() - began:.1f} s", flush=True)
        for text in ([error] if error else []) + wrong:
            print(text, flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(0 if passed and not failed else 1)
