"""The manuals, compared with the sources: commands, log events and their keys."""
import os
import re
import subprocess

import pytest

from launch import TREE, shipped

LITERAL = r'"((?:[^"\\]|\\.)*)"'
# Formats whose event is an argument: the file, and the names that the argument can have.
NAMED_ELSEWHERE = {
    "%s ip": {"tls-truncated", "tls-stalled", "tls-abused", "tls-broken"},
    "%s errno": {"message-unreadable", "message-read-failed"},
    "session-%s ip": {"session-died", "session-ended"},
}
# Keys that stand in no format, because the call or a caller of it puts them in.
COMPUTED = {
    "checker-failed": {"status", "signal"},
    "greeter-died": {"cause"},
    "session-died": {"cause"},
}


def sources(*rooms):
    """The text of every C file of these rooms; "" is the top level."""
    return "\n".join(shipped(room, name) for room in rooms
                     for name in sorted(os.listdir(os.path.join(TREE, room)))
                     if name.endswith(".c"))


def section(page, beginning, end):
    return page.partition(f"\n{beginning}\n")[2].partition(f"\n{end}")[0]


def formats(text):
    """The format of every call of log_event, its pieces put together."""
    for call in re.finditer(r'log_event\(', text):
        statement = text[call.end():text.index(";", call.end())]
        pieces = re.search(rf'{LITERAL}(?:\s*(?:PRI\w+)?\s*{LITERAL})*', statement)
        if pieces:
            yield "".join(re.findall(LITERAL, pieces[0])).replace('\\"', '"'), statement


def logged(*rooms):
    """Each event that the rooms can log, with the keys it can have."""
    found = {}
    for text, statement in formats(sources(*rooms)):
        keys = set(re.findall(r"(?:^| )([a-z0-9-]+)=", text + " " + " ".join(
            re.findall(LITERAL, statement))))
        event = text.split("=")[0].rpartition(" ")[0] or text
        for name in NAMED_ELSEWHERE.get(text.split("=")[0], {event}):
            found.setdefault(name, set()).update(keys)
    return found


def documented():
    """Each event of doc/LOG, with its keys."""
    found = {}
    for line in re.findall(r"^    ([a-z].*)$", shipped("doc", "LOG").partition(
            "## Logins")[2].partition("## Examples")[0], re.MULTILINE):
        event, *keys = re.split(r"  ", line)[0].split()
        found.setdefault(event, set()).update(keys)
    return found


def test_the_manual_page_describes_every_command():
    tables = sources("auth") + shipped("session.c")
    commands = set(re.findall(r'\{"([A-Z0-9]+)", ARGUMENTS', tables))
    assert {"USER", "RETR", "UTF8"} <= commands
    described = section(shipped("doc", "pop3d.8"), ".Ss Commands", ".Ss Replies")
    assert set(re.findall(r"^\.It ([A-Z0-9]+)", described, re.MULTILINE)) == commands


def test_doc_log_lists_every_event_with_its_keys():
    rooms = ("", "auth", "session", "maildir", "pop3", "peer", "confine", "os", "tls", "lib",
             "checkpw")
    found = logged(*rooms)
    for event, keys in COMPUTED.items():
        found[event] |= keys
    assert documented() == found


def test_the_manual_page_lists_every_event():
    listed = section(shipped("doc", "pop3d.8"), ".Sh LOG", ".Sh EXIT STATUS")
    names = {name for line in re.findall(r"^\.It (.*)$", listed, re.MULTILINE)
             for name in line.replace(",", " ").split()}
    assert names == {event for event in documented()
                     if not event.startswith(("tls", "checkpw"))} | {
        "tls-not-started"}


def test_the_manual_page_of_the_engine_lists_every_event():
    listed = section(shipped("doc", "pop3d-tls.8"), ".Sh DIAGNOSTICS", ".Sh SEE ALSO")
    names = {word for line in re.findall(r"^\.It Li (.*)$", listed, re.MULTILINE)
             for word in line.replace(",", " ").split()}
    assert {event for event in documented() if event.startswith("tls")} - {
        "tls-not-started"} <= names


def options_of_programs(lab):
    """Every option of every program, as --help lists them."""
    found = set()
    for name in ("pop3d", "pop3d-tls", "pop3d-checkpw", "pop3d-admin"):
        program = os.path.join(os.path.dirname(lab.pop3d), name)
        if not os.path.exists(program):
            pytest.skip(f"{name} is not built")
        text = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
        found |= set(re.findall(r"(?<![\w-])(--?[a-z][a-z0-9-]*)", text))
    return found


def shown_options(text):
    """The options of our programs in a document: in commands that begin with one of them, and in
    words of code.
    """
    commands = re.findall(r"(?:^    |`)(?:[a-z]+ )?((?:/\S+/)?pop3d(?:-\w+)? [^`\n]*)", text,
                          re.MULTILINE)
    commands += re.findall(r"`(--[^`]*)`", text) + re.findall(r'^ +POP3D_\w+="(.*)"$', text,
                                                             re.MULTILINE)
    return {option for command in commands
            for option in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", command)}


@pytest.mark.parametrize("name", ["ADMIN", "FAQ", "MIGRATION", "MAILDIR", "SETUP", "CHECKPASSWORD"])
def test_documents_name_no_option_that_does_not_exist(lab, name):
    shown = shown_options(shipped("doc", name))
    assert shown and shown - options_of_programs(lab) == set()
