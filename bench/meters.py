"""What processes use: CPU time and memory, of a process with all its descendants."""
import os
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid):
    """A process and all its descendants."""
    found = [pid]
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += tree(int(child))
    except OSError:
        pass
    return found


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []


def _unified_group():
    """Where control groups of version 2 can be made; None if they cannot."""
    with open("/proc/mounts", encoding="utf-8") as file:
        for line in file:
            _, path, kind, *_ = line.split()
            if kind == "cgroup2" and os.access(path, os.W_OK):
                return path
    return None


class CpuMeter:
    """CPU seconds of a server.

    From a control group of its own, to the microsecond, or otherwise from /proc for its processes,
    to the clock tick.
    """

    _count = 0

    def __init__(self):
        base = _unified_group()
        self.group = None
        if base:
            CpuMeter._count += 1
            self.group = os.path.join(base, f"pop3d-bench-{os.getpid()}-{CpuMeter._count}")
            try:
                os.mkdir(self.group)
            except OSError:
                self.group = None

    def enter(self):
        """Called in the process to be measured, before it becomes the server."""
        if self.group:
            with open(os.path.join(self.group, "cgroup.procs"), "w", encoding="ascii") as file:
                file.write(str(os.getpid()))

    def seconds(self, pid):
        if not self.group:
            return self._ticks(pid) / TICK
        with open(os.path.join(self.group, "cpu.stat"), encoding="ascii") as file:
            values = dict(line.split() for line in file)
        return int(values["usage_usec"]) / 1e6

    @staticmethod
    def _ticks(pid):
        ticks = 0
        for process in tree(pid):
            try:
                with open(f"/proc/{process}/stat", encoding="utf-8", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                ticks += sum(map(int, fields[11:15]))
            except OSError:
                pass
        return ticks

    def close(self):
        if self.group:
            for _ in range(50):
                try:
                    os.rmdir(self.group)
                    return
                except OSError:
                    time.sleep(0.1)


def memory(pid):
    """kB of a process: pss, rss, private (clean and dirty), dirty (private only)."""
    values = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                values[words[0]] = int(words[1])
    return {
        "pss": values["Pss:"], "rss": values["Rss:"], "dirty": values["Private_Dirty:"],
        "private": values["Private_Dirty:"] + values["Private_Clean:"],
    }


def tree_memory(pid):
    """The same, summed over a process and its descendants, and their number."""
    total = {"processes": 0, "pss": 0, "rss": 0, "dirty": 0, "private": 0}
    for process in tree(pid):
        try:
            found = memory(process)
        except (OSError, KeyError):
            continue
        total["processes"] += 1
        for name, value in found.items():
            total[name] += value
    return total


def parent(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


class MemorySampler(threading.Thread):
    """Looks repeatedly at the processes that a superserver started.

    seen has the private memory in kB, by the role of the process.
    """

    def __init__(self, pid, name_of, seconds=0.002):
        super().__init__(daemon=True)
        self.pid, self.name_of, self.seconds = pid, name_of, seconds
        self.seen = {}
        self.over = threading.Event()

    def look(self, process):
        try:
            line = command_line(process)
            name = self.name_of(line, parent(process) == self.pid) if line else None
            private = memory(process)["private"]
        except (OSError, KeyError):
            return  # It has just ended.
        if name:
            self.seen.setdefault(name, []).append(private)

    def run(self):
        while not self.over.wait(self.seconds):
            for process in tree(self.pid)[1:]:
                self.look(process)

    def stop(self):
        self.over.set()
        self.join()
        return self.seen
