"""DNS as tests need it: questions put from inside a network namespace, and a server elsewhere that behaves as it is told."""

import socket
import struct
import threading

import own_network

A, PTR, MX, TXT, AAAA = 1, 12, 15, 16, 28
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".")) + b"\0"


def query(name, kind=A, number=0x1234, payload=None):
    options = b"" if payload is None else b"\0" + struct.pack("!HHIH", 41, payload, 0, 0)
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 1 if options else 0) + wire(name) + struct.pack("!HH", kind, 1) + options


def read_name(message, place):
    labels = []
    end = None
    while message[place]:
        if message[place] >= 0xC0:
            end = end or place + 2
            place = (message[place] & 0x3F) << 8 | message[place + 1]
            continue
        labels.append(message[place + 1:place + 1 + message[place]].decode())
        place += 1 + message[place]
    return ".".join(labels), end or place + 1


class Answer:
    """A message, read."""

    def __init__(self, message):
        self.size = len(message)
        self.id, flags, _, count, _, _ = struct.unpack("!6H", message[:12])
        self.code, self.truncated = flags & 0xF, bool(flags & 0x200)
        self.name, place = read_name(message, 12)
        place += 4
        self.records = []
        for _ in range(count):
            _, place = read_name(message, place)
            kind, _, self.ttl, size = struct.unpack("!HHIH", message[place:place + 10])
            data = message[place + 10:place + 10 + size]
            if kind == A:
                self.records.append(socket.inet_ntop(socket.AF_INET, data))
            elif kind == AAAA:
                self.records.append(socket.inet_ntop(socket.AF_INET6, data))
            elif kind == PTR:
                self.records.append(read_name(message, place + 10)[0])
            else:
                self.records.append(data)
            place += 10 + size


def exchange(message, stream, server, timeout):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM) as link:
        link.settimeout(timeout)
        link.connect((server, 53))
        if not stream:
            link.send(message)
            return link.recv(65535)
        link.sendall(struct.pack("!H", len(message)) + message)
        link.shutdown(socket.SHUT_WR)
        received = b""
        while part := link.recv(65536):
            received += part
        assert struct.unpack("!H", received[:2])[0] == len(received) - 2
        return received[2:]


def ask(namespace, name, kind=A, stream=False, payload=None, timeout=20):
    """Asks 127.0.0.11 from inside a namespace's file. None where no answer comes."""
    answers = send(namespace, [query(name, kind, payload=payload)], stream, timeout)
    return Answer(answers[0]) if answers[0] is not None else None


def send(namespace, messages, stream=False, timeout=20):
    """Sends messages, each on a socket of its own, from inside a namespace; returns what came back to each."""
    def answer(message):
        try:
            return exchange(message, stream, "127.0.0.11", timeout)
        except (OSError, AssertionError, struct.error):
            return None

    return own_network.inside(namespace, lambda: [answer(message) for message in messages])


class Upstream:
    """A server on port 53 of an address of 127.0.0.0/8, or of IPv6, with a zone or without. `silent` answers no datagrams, `datagrams=False` has no such
    socket at all."""

    def __init__(self, address, silent=False, datagrams=True, code=None, marker="192.0.2.80"):
        self.silent, self.code, self.marker = silent, code, marker
        self.asked = []
        self.numbers, self.ports = [], []
        self.sockets = []
        self.threads = []
        family, _, _, _, place = socket.getaddrinfo(address, 53, type=socket.SOCK_DGRAM)[0]
        if datagrams:
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.bind(place)
            self.run(self.serve_datagrams, sock)
        self.run(self.serve_streams, socket.create_server(place, family=family))

    def run(self, body, sock):
        self.sockets.append(sock)
        self.threads.append(threading.Thread(target=body, args=(sock,), daemon=True))
        self.threads[-1].start()

    def answer(self, message, stream):
        name, end = read_name(message, 12)
        name = name.lower()
        self.asked.append((name, stream))
        number, question = message[:2], message[12:end + 4]
        if self.code is not None:
            return number + struct.pack("!5H", 0x8180 | self.code, 1, 0, 0, 0) + question
        if name.startswith("none."):
            return number + struct.pack("!5H", 0x8180 | NXDOMAIN, 1, 0, 0, 0) + question
        if name.startswith("big.") and not stream:
            return number + struct.pack("!5H", 0x8380, 1, 0, 0, 0) + question
        data = [socket.inet_aton(self.marker)]
        if name.startswith("big."):
            data = [socket.inet_aton(f"192.0.{index // 256}.{index % 256}") for index in range(int(name.split(".")[1]))]
        records = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 60, 4) + address for address in data)
        return number + struct.pack("!5H", 0x8180, 1, len(data), 0, 0) + question + records

    def serve_datagrams(self, sock):
        while True:
            try:
                message, sender = sock.recvfrom(65535)
            except OSError:
                return
            if not message:
                return
            self.numbers.append(message[:2])
            self.ports.append(sender[1])
            answer = self.answer(message, False)
            if not self.silent:
                # Somebody's guess at the number first: nobody may take it.
                sock.sendto(bytes([message[0] ^ 1]) + answer[1:-4] + socket.inet_aton("203.0.113.66"), sender)
                sock.sendto(answer, sender)

    def serve_streams(self, listener):
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            with link:
                size = link.recv(2)
                if len(size) == 2:
                    answer = self.answer(link.recv(struct.unpack("!H", size)[0]), True)
                    link.sendall(struct.pack("!H", len(answer)) + answer)

    def stop(self):
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()
        for thread in self.threads:
            thread.join(5)
            assert not thread.is_alive()
