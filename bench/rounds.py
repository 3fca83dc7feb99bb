"""Measures several things in turns, so that other load on the machine affects all alike."""
import contextlib

from lab import Failed
from report import Range
from servers import Missing


def alternate(count, things):
    """Yields the things count times, every other time in reverse: A B C, C B A, ..."""
    for number in range(count):
        yield from things if number % 2 == 0 else reversed(things)


class Results:
    """Values by name. Each name gets one value in each round."""

    def __init__(self):
        self.values = {}
        self.problems = {}

    def add(self, name, value):
        self.values.setdefault(name, []).append(value)

    def fail(self, name, problem):
        self.problems.setdefault(name, str(problem))

    def range(self, name):
        """None if there was a problem, because a part of the rounds cannot be compared."""
        if name in self.problems or name not in self.values:
            return None
        return Range(self.values[name])

    def ratio(self, name, other):
        one, two = self.range(name), self.range(other)
        return one.over(two) if one and two else None


def measure(count, servers, once):
    """Runs once(server) in turns. It returns a value, or a dict of values by name."""
    results = Results()
    for server in alternate(count, servers):
        if server.name in results.problems:
            continue
        try:
            found = once(server)
        except Failed as problem:
            results.fail(server.name, problem)
            continue
        if isinstance(found, dict):
            for name, value in found.items():
                results.add((server.name, name), value)
        else:
            results.add(server.name, found)
    return results


@contextlib.contextmanager
def running(servers, say=print):
    """Starts the servers. Leaves out those that cannot be started, and says why."""
    started = []
    try:
        for server in servers:
            try:
                started.append(server.start())
            except Missing as reason:
                say(f"left out: {server.name}: {reason}")
        yield started
    finally:
        for server in started:
            server.stop()


def cell(value):
    return "-" if value is None else str(value)
