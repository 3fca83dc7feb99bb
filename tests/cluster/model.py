"""What must be in every mailbox: the model that knows each message and what became of it.

A message is here from the moment in which its agent reported the delivery. It is going from the
moment in which a client that has marked it sent QUIT, and gone when the client has the +OK. Whether
a message is there whose delivery failed, or whose QUIT was never answered, nobody can know: such a
message is in doubt, and both is right.

Another host may see a change late, because the file system caches names and times. The model permits
that for GRACE seconds, and keeps the longest delay that it met.
"""
import collections
import hashlib
import threading
import time

GRACE = 5.0


def seed_name(user, serial, size):
    """The unique name of a message that was there at the beginning, with its size as Dovecot gives it."""
    octets = message(user, serial, size)
    on_the_wire = len(octets) + octets.count(b"\n")
    return f"{1700000000 + serial}.M{serial}P1.seed,S={len(octets)},W={on_the_wire}"


def message(user, serial, size):
    """The text of a message, as a file."""
    head = f"Subject: {user} {serial} {size}\nFrom: sender@example.org\nX-Serial: {user} {serial} {size}\n\n"
    lines, length, count = [head], len(head), 0
    while length < size:
        line = hashlib.sha256(f"{user} {serial} {count}".encode()).hexdigest() + "\n"
        line = "." + line if count % 7 == 3 else line
        lines.append(line)
        length += len(line)
        count += 1
    return "".join(lines).encode()


def identify(octets):
    """(user, serial, is it whole and unchanged) of what a server sent; agents may add headers."""
    text = octets.replace(b"\r\n", b"\n")
    start = text.find(b"\nX-Serial: ")
    words = text[start + 11:].partition(b"\n")[0].decode("ascii", "replace").split()
    if start < 0 or len(words) != 3 or not (words[1] + words[2]).isdigit():
        return None, 0, False
    wanted = message(words[0], int(words[1]), int(words[2]))
    begin = text.find(b"Subject: " + " ".join(words).encode())
    return words[0], int(words[1]), begin >= 0 and text[begin:] == wanted


class Message:
    """A message and what is known of it; times are monotonic, None if it did not happen."""

    __slots__ = ("serial", "uid", "delivered", "asked", "gone", "is_reported")

    def __init__(self, serial, uid=None, delivered=None):
        self.serial, self.uid, self.delivered = serial, uid, delivered
        self.asked = self.gone = None
        self.is_reported = False


class Report:
    """What happened in a phase."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.count = collections.Counter()
        self.pause = self.late = 0.0
        self.notes = []
        self.begin = time.monotonic()

    def add(self, what, number=1, note=None):
        """Counts an event; a note says which one it was."""
        with self.lock:
            self.count[what] += number
            if note is not None:
                self.notes.append(f"{time.monotonic() - self.begin:.1f} s: {what}: {note}")

    def waited(self, seconds):
        """A client waited so long."""
        with self.lock:
            self.pause = max(self.pause, seconds)

    def was_late(self, seconds):
        """A host saw a change so late."""
        with self.lock:
            self.late = max(self.late, seconds)


class Mailbox:
    """The messages of one user."""

    def __init__(self, user):
        self.user = user
        self.lock = threading.Lock()
        self.messages = {}
        self.by_uid = {}
        self.next_serial = 0
        self.clients = 0

    def add_seeds(self, count, size):
        """Those that are there at the beginning."""
        for serial in range(count):
            uid = seed_name(self.user, serial, size)
            self.messages[serial] = self.by_uid[uid] = Message(serial, uid, 0.0)
        self.next_serial = count

    def new_serial(self):
        """A message that is about to be delivered: it may be seen from now on."""
        with self.lock:
            serial = self.next_serial
            self.next_serial += 1
            self.messages[serial] = Message(serial)
            return serial

    def delivered(self, serial, uid):
        """Its agent says that it is there."""
        with self.lock:
            found = self.messages[serial]
            found.delivered = time.monotonic()
            if uid != "-":
                self.learn(found, uid)

    def learn(self, found, uid):
        """Notes the unique id of a message; returns whether it is the one known already."""
        if found.uid is None and uid not in self.by_uid:
            found.uid = uid
            self.by_uid[uid] = found
        return found.uid == uid

    def unknown(self, uids):
        """Those of the unique ids that belong to no message yet."""
        with self.lock:
            return [uid for uid in uids if uid not in self.by_uid]

    def check_content(self, report, uid, octets):
        """What RETR or TOP sent for a unique id."""
        user, serial, is_right = identify(octets)
        with self.lock:
            found = self.messages.get(serial) if user == self.user else None
            if found is None or not is_right:
                report.add("wrong", 1, f"{self.user} {uid}: {user} {serial}, {len(octets)} octets")
            elif not self.learn(found, uid):
                report.add("wrong", 1, f"{self.user} {serial}: unique id {uid} was {found.uid}")
            else:
                report.add("messages")

    def check_listing(self, report, uids, started):
        """A complete UIDL of a session that logged in at this time. Its unknown ids are learnt."""
        listed = set(uids)
        if len(listed) != len(uids):
            report.add("wrong", 1, f"{self.user}: a unique id twice")
        with self.lock:
            for found in self.messages.values():
                self.check_one(report, found, found.uid in listed, started)

    def check_one(self, report, found, is_listed, started):
        """One message of a listing."""
        since = found.gone if is_listed else found.delivered
        if since is None or since > started or found.is_reported:
            return
        if not is_listed and found.asked is not None:
            return
        if started - since <= GRACE:
            report.was_late(started - since)
            return
        found.is_reported = True
        report.add("undone" if is_listed else "lost", 1, f"{self.user} {found.serial} {found.uid}, "
                   f"{started - since:.1f} s after it was {'deleted' if is_listed else 'delivered'}")

    def ask_for_deletion(self, uids):
        """A client is about to send QUIT."""
        with self.lock:
            for uid in uids:
                self.by_uid[uid].asked = self.by_uid[uid].asked or time.monotonic()

    def deleted(self, uids):
        """QUIT was answered by +OK."""
        with self.lock:
            for uid in uids:
                self.by_uid[uid].gone = self.by_uid[uid].gone or time.monotonic()

    def is_asked(self, uid):
        """Whether a client has asked to remove it."""
        with self.lock:
            return uid in self.by_uid and self.by_uid[uid].asked is not None

    def state(self):
        """Unique ids that must be there, and those that must not."""
        with self.lock:
            return ({m.uid for m in self.messages.values() if m.delivered is not None and m.asked is None},
                    {m.uid for m in self.messages.values() if m.gone is not None})

    def in_doubt(self):
        """How many messages may be there or not."""
        with self.lock:
            return sum(m.gone is None and (m.asked is not None or m.delivered is None)
                       for m in self.messages.values())
