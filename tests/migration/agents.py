"""Delivery agents of Debian, each with the names that it gives to messages in a Maildir.

They run as the mail user, in a namespace where that user has a name, and the host perhaps a long
one.
"""
import os
import shutil
import subprocess

from harness import MAIL_GID, MAIL_UID
from launch import find_program
from neighbours import unpacked

LONG_HOST = "a-very-long-host-name-of-a-machine.in-a-data-centre.example.org"
ENTER = """
    mount --make-rprivate / && mount --bind "$PASSWD" /etc/passwd || exit 1
    [ -z "$LONG" ] || hostname "$LONG"
    cd "$HOME" && exec setpriv --reuid "$1" --regid "$2" --clear-groups "$3" $4 <"$MESSAGE"
"""


class Agents:
    """Delivers into the Maildir of home."""

    def __init__(self, home, work):
        self.home, self.work, self.count = home, str(work), 0
        os.chmod(self.work, 0o755)
        with open("/etc/passwd", encoding="utf-8") as file:
            known = file.read()
        self.passwd = self.write("passwd", f"{known}kermit:x:{MAIL_UID}:{MAIL_GID}::{home.path}:/bin/sh\n")
        lda = self.write("lda.conf", "mail_location = maildir:~/Maildir\nprotocol lda {\n"
                         "  postmaster_address = p@example.org\n}\n")
        rules = self.write("rules", 'to "./Maildir/"\n')
        os.chmod(rules, 0o600)
        os.chown(rules, MAIL_UID, MAIL_GID)
        recipe = self.write("recipe", "LOGFILE=/dev/null\nORGMAIL=./Maildir/\nDEFAULT=./Maildir/\n")
        find_program("dovecot", "dovecot-pop3d")
        # name -> program, arguments, whether the host has a long name
        self.agents = {
            "dovecot-lda": ("/usr/lib/dovecot/dovecot-lda", f"-c {lda} -f a@example.org", False),
            "dovecot-lda, long": ("/usr/lib/dovecot/dovecot-lda", f"-c {lda} -f a@example.org", True),
            "maildrop": (self.copy("maildrop", "usr/bin/maildrop"), rules, False),
            "maildrop, long": (self.copy("maildrop", "usr/bin/maildrop"), rules, True),
            "deliverquota": (self.copy("maildrop", "usr/sbin/deliverquota.maildrop"), "./Maildir", True),
            "procmail": (self.copy("procmail", "usr/bin/procmail"), f"-m {recipe}", False),
        }

    def write(self, name, text):
        path = os.path.join(self.work, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, 0o644)
        return path

    def copy(self, package, program):
        """Where the mail user can reach it."""
        path = os.path.join(self.work, os.path.basename(program))
        if not os.path.exists(path):
            shutil.copy(unpacked(package, program), path)
            os.chmod(path, 0o755)
        return path

    def deliver(self, count):
        """So many messages, by the agents in turn, each with a subject of its own."""
        names = list(self.agents)
        for _ in range(count):
            program, arguments, is_long = self.agents[names[self.count % len(names)]]
            self.count += 1
            message = self.write("message", f"From: a@example.org\nSubject: number {self.count}\n"
                                 f"Message-ID: <{self.count}@example.org>\n\ntext {self.count}\n")
            subprocess.run(["unshare", "--uts", "--mount", "sh", "-c", ENTER, "sh", str(MAIL_UID),
                            str(MAIL_GID), program, arguments], check=True, timeout=60,
                           env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.home.path,
                                "USER": "kermit", "LOGNAME": "kermit", "PASSWD": self.passwd,
                                "MESSAGE": message, "LONG": LONG_HOST if is_long else ""})
