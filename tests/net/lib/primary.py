"""Primaries that do what real ones should not: scripted ones, and one that stands between a real primary and weir.

    FakePrimary   answers SOA with .serial, AXFR with whatever .script(query) yields, message by message, and IXFR with what .ixfr(query)
                  yields; NOTIMP when that is None
    Relay         passes queries on to a real server, and transfers back, counting, cutting or slowing them

Both count what they are asked (.soas, .axfrs, .ixfrs), and answer every query with .rcode when that is set.
"""

import socket
import struct
import threading

import wire
from wire import AA, QR, Message

CUT = object()    # yielded by a script: close the stream here
STALL = object()  # say nothing more, but keep the connection


class Primary:
    def __init__(self, net, zone, host="127.0.0.1"):
        self.net, self.zone, self.port, self.host = net, zone, net.port(), host
        self.soas = self.axfrs = self.ixfrs = self.connections = 0
        self.ixfr = None
        self.rcode = None
        self.stopping = threading.Event()
        self.open_now()
        net.closers.append(self.close)

    def open_now(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for s in self.udp, self.tcp:
            s.bind((self.host, self.port))
        self.tcp.listen(64)
        self.open = set()
        self.stopping.clear()
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self.serve_udp, self.serve_tcp)]
        for t in self.threads:
            t.start()

    def close(self):
        """Nobody listens any more, nor answers on a connection that weir keeps."""
        self.stopping.set()
        for s in self.udp, self.tcp, *list(self.open):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()
        for t in self.threads:
            t.join(5)

    def serve_udp(self):
        self.udp.settimeout(0.1)
        while not self.stopping.is_set():
            try:
                msg, peer = self.udp.recvfrom(4096)
                back = self.reply(Message(msg), tcp=False)
                if back:
                    self.udp.sendto(back, peer)
            except (TimeoutError, ConnectionError):
                continue
            except OSError:
                return

    def serve_tcp(self):
        self.tcp.settimeout(0.1)
        while not self.stopping.is_set():
            try:
                conn, _ = self.tcp.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve_connection, args=(conn,), daemon=True).start()

    def serve_connection(self, conn):
        self.open.add(conn)
        try:
            self.serve_queries(conn)
        except (OSError, TimeoutError):
            pass
        finally:
            conn.close()
            self.open.discard(conn)

    def serve_queries(self, conn):
        conn.settimeout(60)
        while msg := wire.receive_message(conn):
            q = Message(msg)
            if q.question[1] == wire.TYPES["IXFR"] and self.rcode is None:
                self.ixfrs += 1
                if not self.send(conn, self.ixfr(q) if self.ixfr else [self.refuse(q, "NOTIMP")]):
                    return
            elif q.question[1] != wire.TYPES["AXFR"] or self.rcode is not None:
                wire.send_message(conn, self.reply(q, tcp=True))
            elif not self.send_transfer(conn, q):
                return

    def send_transfer(self, conn, q):
        self.axfrs += 1
        return self.send(conn, self.transfer(q))

    def refuse(self, q, rcode):
        return wire.message(q.id, QR | wire.RCODES.index(rcode), [wire.question(*q.question)])

    def send(self, conn, items):
        for item in items:
            if item is CUT:
                return False
            if item is STALL:
                self.stopping.wait(60)
                return False
            if isinstance(item, tuple):  # octets as they are, no length added
                conn.sendall(item[0])
            else:
                wire.send_message(conn, item)
        return True

    def reply(self, q, tcp):
        if q.question[1] == wire.TYPES["SOA"]:
            self.soas += 1
        elif q.question[1] == wire.TYPES["AXFR"]:
            self.axfrs += 1
        if self.rcode is not None:
            return self.refuse(q, self.rcode)
        return self.answer(q, tcp)

    def answer(self, q, tcp):
        raise NotImplementedError

    def transfer(self, q):
        raise NotImplementedError


class FakePrimary(Primary):
    """script(q) yields messages (octets), ready to be sent; q is the query. good(q) is what a good primary would yield."""

    def __init__(self, net, zone, serial=1, script=None, host="127.0.0.1"):
        self.serial, self.script = serial, script or self.good
        self.records = [wire.rr(zone, "NS", 300, wire.name("ns1." + zone)), wire.a("ns1." + zone, "192.0.2.53")]
        super().__init__(net, zone, host)

    def answer(self, q, tcp):
        return wire.message(q.id, QR | AA, [wire.question(*q.question)], [wire.soa(self.zone, self.serial)])

    def transfer(self, q):
        return self.script(q)

    def reply_to(self, q, *answer, flags=QR | AA):
        return wire.message(q.id, flags, [wire.question(*q.question)], answer)

    def good(self, q):
        soa = wire.soa(self.zone, self.serial)
        yield self.reply_to(q, soa, *self.records)
        yield self.reply_to(q, soa)


class Relay(Primary):
    """cut: after so many messages of a transfer the stream is closed. gate: an Event each message after the first waits for."""

    def __init__(self, net, zone, server):
        self.server = server
        self.cut = self.gate = None
        super().__init__(net, zone)

    def answer(self, q, tcp):
        back = wire.exchange(self.server.port, q.wire, tcp, self.server.host)
        return back and back.wire

    def transfer(self, q):
        with wire.connect(self.server.port, self.server.host, 30) as up:
            wire.send_message(up, q.wire)
            sent = soas = 0
            while soas < 2:
                if self.cut is not None and sent == self.cut:
                    yield CUT
                if sent and self.gate:
                    while not self.gate.wait(0.1):
                        if self.stopping.is_set():
                            return
                msg = wire.receive_message(up)
                if not msg:
                    yield CUT
                yield msg
                sent += 1
                soas += len(Message(msg).records("SOA"))


def octets(msg):
    """A message with its length, to be changed and sent as it is."""
    return struct.pack("!H", len(msg)) + msg
