"""A secondary that only listens: it answers NOTIFYs and remembers the serials they told."""

import socket
import threading

import wire


class Ear:
    host = "127.0.0.1"

    def __init__(self, net, silent=False):
        self.port, self.serials, self.silent = net.port(), [], silent
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.host, self.port))
        self.socket.settimeout(0.1)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()
        net.closers.append(self.close)

    def close(self):
        self.stopping.set()
        self.thread.join(5)
        self.socket.close()

    def listen(self):
        while not self.stopping.is_set():
            try:
                msg, peer = self.socket.recvfrom(4096)
            except TimeoutError:
                continue
            m = wire.Message(msg)
            self.serials.append(m.records("SOA")[0].serial)
            if not self.silent:
                self.socket.sendto(wire.message(m.id, wire.QR | wire.AA | 4 << 11, [wire.question(*m.question)]), peer)
