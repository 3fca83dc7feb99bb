"""Transcripts of sessions: reads them, and plays them in every way that a network can cut them.

A file has a header of "key: value" lines, a blank line, and then the conversation:

    C: a line of the client           S: a line of the server
    indented by three: one more line of the same side
    M: a file that the Maildir has afterwards (or "unchanged", or "empty")

In client and server lines \\xHH is an octet. Server lines can have {HOST}, {STAMP} (the timestamp
of APOP) and {*} (some text; after "-ERR " not a response code). {DIGEST secret} in a client line is
the answer to {STAMP}.

Keys: maildir, account (login, blank, password), options, checker (apop), split (every: cut at every
octet), end (client: the client closes instead of QUIT).

A conversation that begins after the login is played after USER and PASS, and with --session.
"""
import hashlib
import os
import re
import time

import harness

DIRECTORY = os.path.join(harness.TESTS, "sessions")
PAUSE = 0.0002  # Seconds in which the server takes what it has before the rest arrives.

MROSE = {
    "1000000001.M1P1.caliban": (
        b"From: rose@caliban.example\nTo: mrose@caliban.example\nSubject: Mailheader\n\n"
        b"Message, two lines:\n.and a dot in front\n"),
    "1000000002.M2P2.caliban": (
        b"From: rose@caliban.example\r\nSubject: CRLF on disk, no line end at the end\r\n\r\n"
        + b"x" * 121),
}


def unescape(text):
    octets = text.encode("utf-8")
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), octets)


class Step:
    """The octets that the client sends at once, and the lines that answer them."""

    def __init__(self):
        self.client, self.server = [], []


class Transcript:
    def __init__(self, name):
        self.name = name
        self.header, self.steps, self.after = {}, [Step()], []
        with open(os.path.join(DIRECTORY, name + ".txt"), encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file if not line.startswith("#")]
        blank = lines.index("")
        for line in lines[:blank]:
            key, _, value = line.partition(": ")
            self.header[key] = value
        self._read(lines[blank + 1:])
        self.login, self.password = map(unescape, self.header["account"].split(" ", 1))
        self.whole = self.steps[0].server[0] == "+OK {HOST} POP3 server ready" or \
            "{STAMP}" in self.steps[0].server[0]

    def _read(self, lines):
        side = None
        for line in lines:
            if not line:
                continue
            mark, text = line[:2], line[3:]
            if line.startswith("   "):
                mark = side
            if mark == "C:":
                if self.steps[-1].server:
                    self.steps.append(Step())
                self.steps[-1].client.append(text)
            elif mark == "S:":
                self.steps[-1].server.append(text)
            elif mark == "M:":
                self.after.append(text)
            else:
                raise ValueError(f"{self.name}: {line}")
            side = mark

    def forms(self):
        return ["serve"] if self.whole else ["serve", "session"]

    def steps_of(self, form):
        """The steps, after a login if the conversation begins after it."""
        if self.whole or form == "session":
            return self.steps
        first, user, password = Step(), Step(), Step()
        first.server = ["+OK {HOST} POP3 server ready"]
        user.client = ["USER " + escape(self.login)]
        user.server = ["+OK password required"]
        password.client = ["PASS " + escape(self.password)]
        password.server = self.steps[0].server
        return [first, user, password] + self.steps[1:]

    def fill(self, maildir):
        kind = self.header["maildir"]
        if kind == "mrose":
            for name, content in MROSE.items():
                maildir.add(name, content, mtime=1000000000)
        elif kind != "seeds":
            assert kind == "empty", kind


def escape(octets):
    return "".join(chr(o) if 32 <= o < 127 and o != 92 else f"\\x{o:02x}" for o in octets)


def pattern(line):
    """A regular expression for one line of the server, with its CRLF."""
    escaped = re.escape(unescape(line))
    for name, expression in ((b"{HOST}", re.escape(harness.HOST.encode())),
                             (b"{STAMP}", rb"<[!-;=?-~]+@" + re.escape(harness.HOST.encode()) + b">")):
        escaped = escaped.replace(re.escape(name), expression)
    free = rb"(?!\[)[^\r\n]+" if line.startswith("-ERR {") else rb"[^\r\n]+"
    return re.compile(escaped.replace(re.escape(b"{*}"), free) + rb"\r\n")


def client_octets(step, line_end, greeting):
    """The octets that the client sends in a step."""
    stamp = re.search(rb"<.*>", greeting)

    def digest(match):
        return hashlib.md5(stamp[0] + match[1], usedforsecurity=False).hexdigest().encode()

    return b"".join(re.sub(rb"\{DIGEST (\w+)\}", digest, unescape(line)) + line_end
                    for line in step.client)


def mismatch(steps, got, server):
    """None if the server's answer matches the transcript, otherwise a text that shows both."""
    rest, at = bytes(got), 0
    for step in steps:
        for line in step.server:
            match = pattern(line).match(rest, at)
            if match is None:
                return (f"expected: {line!r}\ngot: {rest[at:at + 600]!r}\n"
                        f"after: {step.client}\n{server.report()}")
            at = match.end()
    if at != len(rest):
        return f"expected: nothing more\ngot: {rest[at:at + 600]!r}\n{server.report()}"
    return None


def play_in_steps(server, steps, line_end):
    """Every command waits for the reply to the previous one."""
    for step in steps:
        greeting = bytes(server.got[:512])
        server.send(client_octets(step, line_end, greeting))
        for _ in step.server:
            if server.line() is None:
                return


def play_stream(server, steps, line_end, cuts):
    """All commands in one stream, cut at these offsets ("octets": at every offset)."""
    greeting = b""
    if any("{STAMP}" in line for line in steps[0].server):
        server.line()
        greeting = bytes(server.got)
    stream = b"".join(client_octets(step, line_end, greeting) for step in steps)
    if cuts == "octets":
        cuts = range(1, len(stream))
    offsets = [0, *[cut % len(stream) for cut in cuts], len(stream)]
    for start, end in zip(offsets, offsets[1:]):
        server.send(stream[start:end])
        if end < len(stream):
            time.sleep(PAUSE)


def stream_length(transcript, form):
    return sum(len(client_octets(step, b"\r\n", b"<>")) for step in transcript.steps_of(form))


def start(lab, transcript, form, home, transport):
    options = transcript.header.get("options", "").split()
    if form == "session":
        return lab.session(home, *options, transport=transport)
    checker = harness.apop_checker(home) if transcript.header.get("checker") == "apop" else None
    return lab.serve(home, *options, transport=transport, checker=checker)


def play(lab, transcript, form, transport, way, home):
    """Plays a transcript in one way. Returns everything that the server sent.

    Raises AssertionError if the answers, or the Maildir afterwards, differ from the transcript.
    """
    transcript.fill(home.maildir)
    if transcript.header["maildir"] == "seeds":
        home.add_seeds()
    before = home.maildir.state()
    steps = transcript.steps_of(form)
    server = start(lab, transcript, form, home, transport)
    kind, line_end, cuts = way
    if kind == "steps":
        play_in_steps(server, steps, line_end)
    else:
        play_stream(server, steps, line_end, cuts)
    if transport == "pipes" or transcript.header.get("end") == "client":
        server.shutdown()
    server.exchange(b"", lambda: False)
    server.ended()
    problem = mismatch(steps, server.got, server)
    assert problem is None, f"{transcript.name}, {form}, {transport}, {way}:\n{problem}"
    check_maildir(transcript, home.maildir, before, server)
    return bytes(server.got)


def check_maildir(transcript, maildir, before, server):
    after = maildir.state()
    if transcript.after == ["unchanged"]:
        assert after == before, f"{transcript.name}: the Maildir changed\n{server.report()}"
        return
    expected = sorted([] if transcript.after == ["empty"] else map(os.fsencode, transcript.after))
    assert maildir.names() == expected, f"{transcript.name}\n{server.report()}"
    kept = {os.path.basename(path).partition(b":")[0]: entry for path, entry in before.items()}
    for path in expected:
        unique = os.path.basename(path).partition(b":")[0]
        assert after[path] == kept[unique], f"{transcript.name}: {path} is not the same message"
