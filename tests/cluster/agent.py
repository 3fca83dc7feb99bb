#!/usr/bin/env python3
"""agent.py fill|deliver: puts mail on the volume, as the mail user of one node.

fill reads lines "user first count size", and makes so many messages at once, half of them in new/.
deliver reads lines "user serial size" and answers each with "user serial ok|failed UID|-". maildrop,
dovecot-lda and two plain ways from tmp/ to new/ take turns. What is told to have been delivered is
in new/.
"""
import os
import socket
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# pylint: disable=wrong-import-position
from model import message, seed_name

MAIL = "/srv/mail"
RULES = "/tmp/rules"
LDA = "/tmp/lda.conf"


def fill(user, first, count, size):
    """A mailbox with messages that have been there for long."""
    home = os.path.join(MAIL, user, "Maildir")
    for sub in ("new", "cur", "tmp"):
        os.makedirs(os.path.join(home, sub), exist_ok=True)
    for serial in range(first, first + count):
        name = seed_name(user, serial, size)
        place = os.path.join("new", name) if serial % 2 else os.path.join("cur", name + ":2,S")
        with open(os.path.join(home, place), "wb") as file:
            file.write(message(user, serial, size))


def deliver_plainly(user, serial, content):
    """As the description of Maildir says: by link, or by rename, in turn. Returns the unique name."""
    home = os.path.join(MAIL, user, "Maildir")
    now = time.time()
    name = f"{int(now)}.M{int(now * 1e6) % 1000000}P{os.getpid()}Q{serial}.{socket.gethostname()}"
    place = os.path.join(home, "tmp", name)
    with open(place, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if serial % 4 == 0:
        os.link(place, os.path.join(home, "new", name))
        os.unlink(place)
    else:
        os.rename(place, os.path.join(home, "new", name))
    return name


def deliver_by(program, user, content):
    """Runs a delivery agent."""
    home = os.path.join(MAIL, user)
    subprocess.run(program, input=content, check=True, stdout=subprocess.DEVNULL, cwd=home, timeout=300,
                   env={"PATH": "/usr/bin:/bin", "HOME": home, "USER": user, "LOGNAME": user})


def deliver(agents, user, serial, size):
    """One message. Returns its unique name, or "-" if that is the agent's affair."""
    content = message(user, serial, size)
    program = agents[serial // 2 % len(agents)] if serial % 2 else None
    if program is None:
        return deliver_plainly(user, serial, content)
    if "maildrop" in program[0]:
        with open(RULES, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(f'to "{MAIL}/{user}/Maildir/"\n')
    deliver_by(program, user, content)
    return "-"


def write_configuration():
    """That of dovecot-lda."""
    with open(LDA, "w", encoding="ascii") as file:
        file.write("mail_location = maildir:~/Maildir\nprotocol lda {\n"
                   "  postmaster_address = postmaster@example.org\n}\n")


def main():
    if sys.argv[1] == "fill":
        for line in sys.stdin:
            user, *numbers = line.split()
            fill(user, *map(int, numbers))
        return
    write_configuration()
    known = {"maildrop": [RULES], "dovecot-lda": ["-c", LDA, "-f", "sender@example.org"]}
    agents = [[path, *known[os.path.basename(path)]] for path in sys.argv[2:]]
    for line in sys.stdin:
        user, serial, size = line.split()
        try:
            answer = "ok " + deliver(agents, user, int(serial), int(size))
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{user}: {error}", file=sys.stderr, flush=True)
            answer = "failed -"
        print(user, serial, answer, flush=True)


if __name__ == "__main__":
    main()
