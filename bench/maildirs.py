#!/usr/bin/env python3
"""Makes Maildirs for measurements: the same arguments make the same names and octets.

As a program:  maildirs.py HOME [--count N] [--size mail|OCTETS] [--names plain|S|SW] [--body
text|base64] [--crlf] [--new SHARE] [--seed N] [--owner UID:GID]
"""
import argparse
import base64
import math
import os
import random
import shutil

POOL_OCTETS = 1 << 20
FIRST_SECOND = 1700000000
HOST = "mx1.example.org"
# Lines whose dots must be doubled, or that look like the end, in some of the messages.
DOTS = b".\n..\n.leading dot\n...three\n. \n"
LONG_LINE = (b"x" * 71 + b" ") * 28 + b"end\n"


def text_pool(rng):
    """Prose: lines of up to 74 octets, some of them empty."""
    words = ["".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(2, 10)))
             for _ in range(800)]
    lines, octets = [], 0
    while octets < POOL_OCTETS:
        limit = rng.choice((0, 30, 66, 70, 72, 72, 72, 74))
        line = ""
        while len(line) < limit:
            line += rng.choice(words) + " "
        line = line.rstrip().encode() + b"\n"
        lines.append(line)
        octets += len(line)
    return b"".join(lines)


def base64_pool(rng):
    """Lines of 76 octets, like those of an attachment."""
    return base64.encodebytes(rng.randbytes(57 * (POOL_OCTETS // 77)))


def mail_size(rng):
    """Octets of a typical message: lognormal, median 8 KiB, at most 5 MiB."""
    return int(min(5 << 20, max(600, 8192 * math.exp(1.5 * rng.gauss(0, 1)))))


def header(number, body):
    lines = (
        f"Return-Path: <sender{number % 997}@example.net>\n"
        f"Received: from mail.example.net (192.0.2.{number % 254 + 1}) by {HOST}"
        f" with ESMTP id {number:08x}\n"
        f"Message-ID: <{number}@example.net>\n"
        "Date: Tue, 14 Nov 2023 22:13:20 +0000\n"
        f"From: Sender {number % 997} <sender{number % 997}@example.net>\n"
        "To: someone@example.org\n"
        f"Subject: message {number}\n"
        "MIME-Version: 1.0\n")
    if body == "base64":
        lines += ("Content-Type: application/octet-stream; name=\"big.bin\"\n"
                  "Content-Transfer-Encoding: base64\n")
    else:
        lines += "Content-Type: text/plain; charset=us-ascii\n"
    return lines.encode() + b"\n"


class Maker:
    """Writes messages of one kind."""

    def __init__(self, size="mail", body="text", crlf=False, seed=1):
        self.rng = random.Random(f"messages {seed}")
        self.size, self.body, self.crlf = size, body, crlf
        self.pool = (base64_pool if body == "base64" else text_pool)(self.rng)
        self.starts = [0]
        at = self.pool.find(b"\n")
        while 0 <= at < len(self.pool) - 1:
            self.starts.append(at + 1)
            at = self.pool.find(b"\n", at + 1)

    def pieces(self, number):
        """The octets of a message, piece by piece. The last piece ends in a line end."""
        left = mail_size(self.rng) if self.size == "mail" else int(self.size)
        first = header(number, self.body)
        if self.size == "mail" and self.rng.random() < 0.1:
            first += DOTS
        if self.size == "mail" and left > 4096 and self.rng.random() < 0.02:
            first += LONG_LINE
        yield first
        left -= len(first)
        at = self.starts[int(self.rng.random() * len(self.starts))]
        while left > 0:
            piece = self.pool[at:at + left]
            at = 0
            left -= len(piece)
            yield piece if left > 0 else piece[:-1] + b"\n"

    def wire_pieces(self, number):
        """The same as on disk, each with its length on the wire."""
        for piece in self.pieces(number):
            lines = piece.count(b"\n")
            if self.crlf:
                piece = piece.replace(b"\n", b"\r\n")
            yield piece, len(piece) + (0 if self.crlf else lines)


def unique_name(rng, seconds, number):
    microseconds, process = int(rng.random() * 1e6), 1000 + int(rng.random() * 30000)
    return f"{seconds}.M{microseconds:06d}P{process}Q{number}.{HOST}"


def create(name, dir_fd):
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=dir_fd)


def write_all(fd, octets):
    view = memoryview(octets)
    while view:
        view = view[os.write(fd, view):]


def add_message(dir_fd, maker, number, seconds, name_with):
    """Writes a message. name_with makes its name from its octets on disk and on the wire."""
    if maker.size == "mail" or maker.size < POOL_OCTETS:
        pieces = list(maker.wire_pieces(number))
        octets = b"".join(piece for piece, _ in pieces)
        fd = create(name_with(len(octets), sum(wire for _, wire in pieces)), dir_fd)
        write_all(fd, octets)
    else:
        size = wire_size = 0
        fd = create("message", dir_fd)
        for piece, wire in maker.wire_pieces(number):
            write_all(fd, piece)
            size += len(piece)
            wire_size += wire
        os.rename("message", name_with(size, wire_size), src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
    os.utime(fd, (seconds, seconds))
    os.close(fd)


def add_messages(maildir, maker, first, count, names="plain", new=0.3, seed=1):
    """Adds messages to a Maildir, a share of them to new/."""
    rng = random.Random(f"names {seed} {first}")
    seconds = FIRST_SECOND + 4 * first
    fds = {sub: os.open(os.path.join(maildir, sub), os.O_RDONLY) for sub in ("new", "cur")}
    for number in range(first, first + count):
        seconds += int(rng.random() * 4)
        sub = "new" if rng.random() < new else "cur"
        name = unique_name(rng, seconds, number)
        info = "" if sub == "new" else rng.choice((":2,S", ":2,S", ":2,S", ":2,", ":2,RS"))

        def name_with(octets, wire, name=name, info=info):
            return (name + (f",S={octets}" if "S" in names else "") +
                    (f",W={wire}" if "W" in names else "") + info)
        add_message(fds[sub], maker, number, seconds, name_with)
    for fd in fds.values():
        os.close(fd)


def make_home(home, count, names="plain", new=0.3, seed=1, owner=None, **kind):
    """Makes a home with a Maildir of count messages, and replaces an existing one."""
    maildir = os.path.join(home, "Maildir")
    shutil.rmtree(home, ignore_errors=True)
    os.makedirs(home, 0o755)
    if owner:
        os.chown(home, *owner)
        os.setegid(owner[1])
        os.seteuid(owner[0])
    try:
        for sub in ("", "new", "cur", "tmp"):
            os.mkdir(os.path.join(maildir, sub), 0o700)
        add_messages(maildir, Maker(seed=seed, **kind), 0, count, names, new, seed)
    finally:
        if owner:
            os.seteuid(0)
            os.setegid(0)
    return maildir


def size_of(text):
    units = {"k": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(text[:-1]) * units[text[-1]] if text[-1:] in units else int(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--size", type=lambda t: t if t == "mail" else size_of(t), default="mail",
                        help="mail, or octets: 8k, 200M, 1G")
    parser.add_argument("--names", choices=("plain", "S", "SW"), default="plain")
    parser.add_argument("--body", choices=("text", "base64"), default="text")
    parser.add_argument("--crlf", action="store_true")
    parser.add_argument("--new", type=float, default=0.3, help="share in new/")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--owner", help="UID:GID")
    a = parser.parse_args()
    owner = tuple(map(int, a.owner.split(":"))) if a.owner else None
    make_home(a.home, a.count, a.names, a.new, a.seed, owner, size=a.size, body=a.body,
              crlf=a.crlf)


if __name__ == "__main__":
    main()
