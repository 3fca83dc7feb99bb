"""Messages on the wire: every octet and every size, against a model written independently."""
import itertools
import random

import pytest

import harness

HEADERS = b"From: a@caliban.example\nSubject: x\n\n"
BLOCKS = [4096, 16384, 65536, 131072]
TOKENS = [b"\n.", b"\r\n.", b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\n", b"\n.\n", b".\n", b"\r\n.\r\n"]
ALL_LINES = 1 << 40


def lines_of(raw):
    """The lines of a message as they are sent, without line ends and stuffing."""
    *ended, last = raw.split(b"\n")
    lines = [line[:-1] if line[-1:] == b"\r" else line for line in ended]
    return lines + [last] if last else lines


def size_of(raw):
    return sum(len(line) + 2 for line in lines_of(raw))


def sent(lines):
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines)


def top_of(raw, count):
    lines = lines_of(raw)
    blank = lines.index(b"") if b"" in lines else len(lines)
    return lines[:blank + 1 + count]


def name_of(number, extra=""):
    return f"1000000000.M{number}P7.caliban{extra}"


def big_message(octets):
    """Lines of many kinds, of that many octets or a few more."""
    chance = random.Random(20)
    block = b"".join(bytes(chance.choice(b".abc \xe4\x00") for _ in range(chance.randrange(90)))
                     + chance.choice([b"\n", b"\r\n", b"\r\r\n", b"\r", b"\n.\n"])
                     for _ in range(20000))
    return HEADERS + block * (octets // len(block) + 1)


CORPUS = {
    "lf": HEADERS + b"one\ntwo\n",
    "crlf": (HEADERS + b"one\ntwo\n").replace(b"\n", b"\r\n"),
    "mixed": b"A: b\r\nC: d\n\r\none\n\r\n\ntwo\r\n",
    "no_final_newline": HEADERS + b"one\ntwo",
    "empty": b"",
    "only_lf": b"\n",
    "only_crlf": b"\r\n",
    "only_cr": b"\r",
    "lone_dot": HEADERS + b"one\n.\ntwo\n",
    "nothing_but_a_dot": b".",
    "nothing_but_a_dot_line": b".\n",
    "dots_first": b".A: b\n..C: d\n\n.one\n..two\n...\n. \n.",
    "dot_crlf_inside": HEADERS + b"x\r\n.\r\ny\r\n",
    "dots_not_first": HEADERS + b"a.\n .\nb..c\n",
    "dot_after_bare_cr": HEADERS + b"a\r.\r.b\n\r.c\n",
    "nul": HEADERS + b"a\0b\n\0\n\0.\n.\0\n\0\r\n",
    "eight_bit": HEADERS + bytes(range(128, 256)) + b"\n" + bytes(range(255, 127, -1)) + b"\n",
    "all_octets": HEADERS + bytes(range(256)) * 3,
    "bare_cr": HEADERS + b"one\rtwo\r\rthree\n\rfour\n",
    "cr_at_the_end": HEADERS + b"one\r",
    "cr_cr_at_the_end": HEADERS + b"one\r\r",
    "crcrlf": HEADERS + b"one\r\r\ntwo\r\r\r\n\r\r\n.\r\r\n",
    "headers_only": b"From: a\nSubject: b\n",
    "headers_only_no_newline": b"From: a\nSubject: b",
    "headers_and_blank_line": b"From: a\nSubject: b\n\n",
    "headers_and_blank_crlf": b"From: a\r\nSubject: b\r\n\r\n",
    "no_headers": b"\none\ntwo\n",
    "no_headers_crlf": b"\r\none\r\n",
    "cr_is_no_blank_line": b"A: b\n\r\r\nC: d\n\none\n",
    "blank_lines_only": b"\n\r\n\n\n",
    "blank_is_no_blank_line": b"A: b\n \n\t\nC: d\n\none\n",
    "long_header": b"X: " + b"h" * 70000 + b"\n\none\n.two\n",
    "many_headers": b"X: y\n" * 40000 + b"\none\n",
    "line_of_1_mb": HEADERS + b"." + b"a" * 1000000 + b"\n.\n",
    "line_of_1_mb_crs": HEADERS + b"\r" * 1000000 + b"\n.\n",
    "dots_1_mb": HEADERS + b".\n" * 500000,
    "newlines_1_mb": b"\n" * 1000000,
    "dots_in_one_line_1_mb": b"." * 1000000,
    "20_mb": big_message(20000000),
}


def check_top(server, number, raw, counts):
    for count in counts:
        first, body = server.ask_multi(f"TOP {number} {count}")
        expected = sent(top_of(raw, count))
        assert body == expected, (f"TOP {number} {count} of {harness.shorten(raw)}\n"
                                  f"expected: {harness.shorten(expected)}\n"
                                  f"got: {harness.shorten(body)}")
        assert first.startswith("+OK")


def check_message(server, number, raw, counts=(0, 1, 2, 3, 7, ALL_LINES)):
    """Compares LIST, RETR and TOP of one message with the model."""
    assert server.ask(f"LIST {number}") == f"+OK {number} {size_of(raw)}", harness.shorten(raw)
    first, body = server.ask_multi(f"RETR {number}")
    expected = sent(lines_of(raw))
    assert first == f"+OK {size_of(raw)} octets", harness.shorten(raw)
    assert body == expected, (f"message: {harness.shorten(raw)}\n"
                              f"expected: {harness.shorten(expected)}\n"
                              f"got: {harness.shorten(body)}")
    check_top(server, number, raw, counts)


def check_all(lab, home, messages, *counts):
    """Puts the messages into the Maildir, and checks them and their sum in one session."""
    for number, raw in enumerate(messages, 1):
        home.maildir.add(name_of(number), raw)
    server = lab.session(home)
    total = sum(map(size_of, messages))
    count = len(messages)
    assert server.line() == f"+OK {count} message{'s' * (count != 1)} ({total} octets)"
    assert server.ask("STAT") == f"+OK {count} {total}"
    sizes = server.listing("LIST")
    assert sizes == {n: str(size_of(raw)) for n, raw in enumerate(messages, 1)}
    for number, raw in enumerate(messages, 1):
        check_message(server, number, raw, *counts)
    assert server.quit().startswith("+OK")
    return server


@pytest.mark.parametrize("kind", CORPUS)
def test_message_goes_out_exactly(lab, home, kind):
    check_all(lab, home, [CORPUS[kind]])


def test_retr_doubles_leading_dot(lab, home):
    home.maildir.add("1", b"A: b\n\n.x\n.\n..\n")
    server = lab.session(home)
    server.line()
    assert server.ask_multi("RETR 1") == ("+OK 19 octets", b"A: b\r\n\r\n..x\r\n..\r\n...\r\n")


def test_retr_adds_no_blank_line(lab, home):
    home.maildir.add("1", b"A: b\n\nx\n")
    server = lab.session(home)
    server.line()
    server.send(b"RETR 1\r\nNOOP\r\n")
    server.shutdown()
    assert server.rest() == b"+OK 11 octets\r\nA: b\r\n\r\nx\r\n.\r\n+OK\r\n"


def test_missing_final_line_end_counts_in_the_size(lab, home):
    home.maildir.add("1", b"x")
    server = lab.session(home)
    server.line()
    assert server.ask("LIST 1") == "+OK 1 3"
    assert server.ask_multi("RETR 1") == ("+OK 3 octets", b"x\r\n")


@pytest.mark.parametrize("block", BLOCKS)
def test_line_ends_and_dots_at_block_boundaries(lab, home, block):
    messages = []
    for offset, token in itertools.product(range(-3, 3), TOKENS):
        messages.append(b"a" * (block + offset) + token + b"tail")
        messages.append(b"a" * (block + offset) + token)
    check_all(lab, home, messages, (0, ALL_LINES))


def test_blank_line_at_block_boundaries_ends_the_headers(lab, home):
    messages = [b"a" * (block + offset) + end + b".body\nmore\n"
                for block in BLOCKS[:3] for offset in range(-4, 2)
                for end in (b"\n\n", b"\r\n\r\n", b"\n\r\n", b"\n\r\r\n")]
    check_all(lab, home, messages, (0, 1))


def test_every_short_message_of_line_ends_and_dots(lab, home):
    messages = [b"".join(octets) for length in range(5)
                for octets in itertools.product((b"\r", b"\n", b".", b"a"), repeat=length)]
    assert len(messages) == 341
    check_all(lab, home, messages)


def test_random_messages_of_line_ends_and_dots(lab, home):
    chance = random.Random(1939)
    messages = [bytes(chance.choice(b"\r\n.a") for _ in range(chance.randrange(5, 60)))
                for _ in range(300)]
    check_all(lab, home, messages)


def test_random_messages_in_pieces_of_lines(lab, home):
    chance = random.Random(2449)
    pieces = [b"\n", b"\r\n", b"\r", b".", b"\n.", b"x" * 15, b"x" * 16, b"x" * 17, b"y" * 333, b"\0"]
    messages = [b"".join(chance.choice(pieces) for _ in range(chance.randrange(200)))
                for _ in range(100)]
    check_all(lab, home, messages)


# -- sizes in names

def one_named(lab, home, name, raw, *options, sub="new"):
    home.maildir.add(name, raw, sub)
    server = lab.session(home, *options)
    server.line()
    return server


MESSAGES = {"small": HEADERS + b"one\n.two\n", "large": CORPUS["crlf"] + b"line\n" * 70000,
            "empty": b"", "no_final_newline": b"A: b\n\nx"}


@pytest.mark.parametrize("raw", MESSAGES.values(), ids=MESSAGES)
@pytest.mark.parametrize("form", ["1.a,S={s},W={w}", "1.a,W={w}", "1.a,W={w},S={s}",
                                  "1.a,S={s},W={w}:2,S"])
def test_right_size_in_the_name(lab, home, form, raw):
    name = form.format(s=len(raw), w=size_of(raw))
    server = one_named(lab, home, name, raw, sub="cur" if ":" in name else "new")
    check_message(server, 1, raw)
    server.quit()
    assert "size" not in server.log()


@pytest.mark.parametrize("error", [-20, -2, -1, 1, 2, 1000, 1 << 40])
@pytest.mark.parametrize("kind", ["small", "large", "no_final_newline"])
def test_wrong_size_in_the_name_is_not_repeated_by_retr(lab, home, kind, error):
    raw = MESSAGES[kind]
    name = f"1.a,S=5,W={max(size_of(raw) + error, 1)}"
    server = one_named(lab, home, name, raw)
    first, body = server.ask_multi("RETR 1")
    assert first == f"+OK {size_of(raw)} octets"
    assert body == sent(lines_of(raw))
    check_top(server, 1, raw, (0, 1, ALL_LINES))
    assert server.quit() == f"+OK {harness.HOST} POP3 server signing off (1 message left)"
    assert name in server.log(), "no log line names the message"


@pytest.mark.parametrize("wrong", ["1", "0", "999999"])
def test_verify_sizes_trusts_no_name(lab, home, wrong):
    raw = MESSAGES["small"]
    server = one_named(lab, home, f"1.a,W={wrong}", raw, "--verify-sizes")
    assert server.ask("STAT") == f"+OK 1 {size_of(raw)}"
    check_message(server, 1, raw)


@pytest.mark.parametrize("field", ["W=", "W=x", "W=12x", "W=-12", "W=+12", "W= 12", "W=0x12", "W",
                                   "w=12", "XW=12", "S=12", "W=18446744073709551617",
                                   "W=99999999999999999999999999"])
def test_malformed_size_in_the_name_is_no_size(lab, home, field):
    raw = MESSAGES["small"]
    server = one_named(lab, home, f"1.a,{field}", raw)
    check_message(server, 1, raw)


def test_size_is_no_size_after_the_colon(lab, home):
    raw = MESSAGES["small"]
    server = one_named(lab, home, "1.a:2,S,W=12", raw, sub="cur")
    check_message(server, 1, raw)


def test_sizes_of_sparse_gigabytes_do_not_overflow(lab, home):
    """The sum of the sizes exceeds 2^32. The sizes are taken from the names."""
    for number in range(1, 4):
        home.maildir.add(name_of(number, ",S=3221225472,W=3221225472"), b"x")
    server = lab.session(home)
    assert server.line() == "+OK 3 messages (9663676416 octets)"
    assert server.ask("STAT") == "+OK 3 9663676416"
