"""Shared by the tests of real clients: messages, and the comparison of what was fetched."""
import os
import re

import pytest

import harness

TEXT = b"From: a@example.org\nSubject: %s\n\n"

# Messages that every client can handle: files as they are on disk.
PLAIN = {
    b"1.lf": TEXT % b"LF" + b"one\ntwo\n",
    b"2.crlf": (TEXT % b"CRLF" + b"one\ntwo\n").replace(b"\n", b"\r\n"),
    b"3.mixed": TEXT % b"mixed" + b"one\r\ntwo\nthree\r\n",
    b"4.dots": TEXT % b"dots" + b".\n..\n.first\n...\n\n.",
    b"5.no-final-newline": TEXT % b"no final newline" + b"the end",
    b"6.8-bit": TEXT % b"8 bit" + bytes(range(128, 256)) + b"\n",
    b"7.blank-lines": TEXT % b"blank lines" + b"\n\n\ntext\n\n\n\n",
    b"8.flags:2,RS": TEXT % b"flags" + b"seen already\n",
    b"9.long-line": TEXT % b"a long line" + b"x" * 900 + b"\n",
}

# Messages that the standards of mail do not permit, but this server does.
NASTY = {
    b"11.empty": b"",
    b"12.a-lone-dot": b".",
    b"13.only-dots": b".\n.\n.\n",
    b"14.headers-only": b"Subject: headers only\n",
    b"15.no-headers": b"\nno headers\n",
    b"16.a-newline": b"\n",
    b"17.bare-cr": TEXT % b"bare CR" + b"one\rtwo\r\rthree\n",
    b"18.nul": TEXT % b"NUL" + b"a\0b\0\n",
    b"19.cr-at-the-end": TEXT % b"CR at the end" + b"one\r",
    b"20.very-long-line": TEXT % b"a very long line" + b"y" * 1000000 + b"\n",
    b"21.large": TEXT % b"large" + b"0123456789abcdef\n" * 200000,
}


def wire_form(content):
    """The octets that a client must receive: every line with CRLF, a bare CR unchanged."""
    if content and not content.endswith(b"\n"):
        content += b"\r\n"
    return re.sub(rb"(?<!\r)\n", b"\r\n", content)


def in_order(messages):
    return [messages[name] for name in sorted(messages, key=lambda name: int(name.split(b".")[0]))]


def unique(name):
    return name.split(b":")[0]


def left(home):
    """The unique names that are still in the Maildir."""
    return {unique(path.split(b"/", 1)[1]) for path in home.maildir.names()}


def same(got, wanted, what):
    """Compares two lists of messages, and shows the first difference."""
    assert len(got) == len(wanted), f"{what}: got {len(got)} messages, expected {len(wanted)}"
    for number, (one, other) in enumerate(zip(got, wanted), 1):
        assert one == other, (f"{what}, message {number}:\nexpected {harness.shorten(other)}\n"
                              f"got      {harness.shorten(one)}")


def check_end(done, what):
    assert done.returncode == 0, (f"{what} ended with {done.returncode}\n"
                                  f"{done.stdout.decode('latin-1')[-3000:]}\n"
                                  f"{done.stderr.decode('latin-1')[-3000:]}")


@pytest.fixture
def filer(tmp_path):
    """A delivery command, and the messages that were delivered through it, in order."""
    delivered = tmp_path / "delivered"
    delivered.mkdir()
    script = tmp_path / "deliver"
    script.write_text(f"""#!/bin/sh
number=$(ls "{delivered}" | wc -l)
cat >"{delivered}/$(printf %03d "$number")"
""", encoding="ascii")
    script.chmod(0o755)

    def messages():
        return [path.read_bytes() for path in sorted(delivered.iterdir())]

    return str(script), messages


def slow_delivery(script):
    """The delivery command for getmail, with a wait after it.

    getmail 6.18 sets its handler for the end of a child after the fork. It misses an end that comes
    before that, and gives up after a minute.
    """
    slow = f"{script}.slow"
    with open(slow, "w", encoding="ascii") as file:
        file.write(f'#!/bin/sh\n"{script}" && sleep 0.3\n')
    os.chmod(slow, 0o755)
    return slow


def write_private(path, text):
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    return str(path)


def on_disk(messages):
    """The messages as a system stores them whose lines end in LF."""
    return [wire_form(content).replace(b"\r\n", b"\n") for content in in_order(messages)]
