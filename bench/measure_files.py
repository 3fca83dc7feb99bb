"""System calls of one session that touch the Maildir: what a network file system is asked."""
import os
import re

import maildirs
from lab import OWNER
from measure_calls import CALL, processes, traced
from report import Goal, Range, Table
from servers import Mailfront, Pop3d

KINDS = {  # Which calls a column counts.
    "opened": ("open", "openat", "openat2"),
    "looked at": ("stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2",
                  "readlinkat", "chdir"),
    "fstat": ("fstat", "fstatfs", "statfs"),
    "directory read": ("getdents64",),
    "read": ("read", "pread64", "sendfile", "readv", "mmap"),
    "changed": ("rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "link",
                "linkat", "write", "pwrite64", "writev", "ftruncate", "fchmod", "utimensat",
                "fsync", "fdatasync"),
}
NO_REQUEST = ("landlock_add_rule", "execve", "close", "fcntl", "lseek", "umask", "fadvise64")


def count_calls(directory, home):
    """How many calls of all processes name the home or a file in it, by column."""
    counts = dict.fromkeys([*KINDS, "other"], 0)
    for process in processes(directory):
        for _, lines in process:
            for line in lines:
                call = CALL.match(line).group(1)
                if not re.search(re.escape(home) + r'[/>"]', line) or call in NO_REQUEST:
                    continue
                counts[next((kind for kind, calls in KINDS.items() if call in calls), "other")] += 1
    return counts


def add_mail(home, number):
    """A new message, whose size stands in its name."""
    maker = maildirs.Maker(seed=9, size=1024)
    directory = os.open(os.path.join(home, "Maildir", "new"), os.O_RDONLY)
    maildirs.add_message(directory, maker, number, maildirs.FIRST_SECOND + number,
                         lambda octets, wire: f"{maildirs.FIRST_SECOND + number}.M1P9Q{number}.mx"
                                              f",S={octets},W={wire}")
    os.close(directory)
    for name in os.listdir(os.path.join(home, "Maildir", "new")):
        os.chown(os.path.join(home, "Maildir", "new", name), *OWNER)


def situations(lab, server, user, home):
    """The situations of a maildrop in their order: (what, calls)."""
    def session(scenario="poll"):
        return count_calls(traced(lab, server, user, more=("-y",), scenario=scenario), home)
    yield "first login ever", session()
    session()  # What the first one could not write yet, because its times were not final.
    yield "later, nothing new", session()
    add_mail(home, 900001)
    yield "one new message", session()


def table_files(lab):
    table = Table("System calls on the Maildir, of a whole session",
                  ["server", "messages", "sizes in names", "when", *KINDS, "other", "all"],
                  "USER, PASS, STAT, LIST, UIDL and QUIT under strace -y: the calls of all processes"
                  " that name the home or a file in it, without those that ask no server (close,"
                  " lseek). pop3d writes an index from 100 messages on, or where sizes had to be"
                  " counted. mailfront looks at each file whose name lacks the size, at every login.")
    counts = [0, 10, 100, 1000] + ([] if lab.quick else [10000])
    for kind in (Pop3d, Mailfront):
        for names in ("SW", "plain"):
            for number, count in enumerate(counts):
                server = kind(lab, lab.homes(f"files-{kind.name}"))
                os.makedirs(server.directory, exist_ok=True)
                user = 600 + number + (50 if names == "SW" else 0)
                home = lab.home(server.homes, user, count=count, names=names, size=1024, new=0)
                for when, found in situations(lab, server, user, home):
                    total = sum(found.values())
                    table.add(kind.name, f"{count:,}", "yes" if names == "SW" else "no", when,
                              *found.values(), total)
                    key = f"{kind.name} {count} {'sizes' if names == 'SW' else 'plain'} {when}"
                    table.figures[key] = total
    later = table.figures["pop3d 1000 sizes later, nothing new"]
    empty = table.figures["pop3d 0 sizes later, nothing new"]
    table.goals.append(Goal("calls on a Maildir of 1,000 messages, later login, x an empty one",
                            Range([later / empty]), 3))
    return table


def tables(lab):
    yield table_files(lab)
