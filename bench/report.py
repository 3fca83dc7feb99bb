"""Figures for people: medians with ranges, ratios of pairs, tables, goals."""
import statistics


def short(value):
    """Three digits, because the spread of such measurements allows no more."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


class Range:
    """Several measurements of one thing: the median, and the range."""

    def __init__(self, values):
        self.values = list(values)
        self.median = statistics.median(self.values)
        self.least, self.most = min(self.values), max(self.values)

    def __str__(self):
        if len(self.values) == 1:
            return short(self.median)
        return f"{short(self.median)} ({short(self.least)}..{short(self.most)})"

    def over(self, other):
        """The ratios of pairs that were measured in the same round."""
        return Range(a / b for a, b in zip(self.values, other.values) if b)


class Goal:
    """A bound for a ratio or a size."""

    def __init__(self, what, measured, bound, at_least=False, unit=""):
        self.what, self.measured, self.bound = what, measured, bound
        self.at_least, self.unit = at_least, unit

    def met(self):
        value = self.measured.median
        return value >= self.bound if self.at_least else value <= self.bound

    def row(self):
        side = "at least" if self.at_least else "at most"
        return [self.what, f"{self.measured}{self.unit}", f"{side} {self.bound:g}{self.unit}",
                "yes" if self.met() else "no"]


class Table:
    """One table of results, its text, and what can be drawn from it."""

    def __init__(self, title, head, note=""):
        self.title, self.head, self.note = title, head, note
        self.rows, self.goals, self.problems = [], [], []
        self.series = {}  # The values of a plot, by server.
        self.plots = {}   # SVG texts by name
        self.figures = {} # What other programs read from the JSON file.

    def add(self, *cells):
        self.rows.append([str(cell) for cell in cells])

    def tell_problems(self, results):
        """What could not be measured, and why."""
        self.problems += [f"{name}: {problem}" for name, problem in results.problems.items()]

    def data(self):
        """The same for programs."""
        return {"title": self.title, "note": self.note, "head": self.head, "rows": self.rows,
                "problems": self.problems, "figures": self.figures,
                "goals": [{"what": goal.what, "values": goal.measured.values,
                           "bound": goal.bound, "at_least": goal.at_least, "unit": goal.unit,
                           "met": goal.met()} for goal in self.goals]}

    def markdown(self):
        lines = [f"### {self.title}", ""]
        if self.note:
            lines += [self.note, ""]
        lines += markdown_rows(self.head, self.rows)
        if self.problems:
            lines += [""] + [f"Not measured: {problem}" for problem in self.problems]
        return "\n".join(lines) + "\n"


def markdown_rows(head, rows):
    return ["| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head)] + rows]


def goals_table(tables):
    goals = [goal for table in tables for goal in table.goals]
    if not goals:
        return ""
    return "\n".join(["### What it must reach", ""] + markdown_rows(
        ["what", "measured", "bound", "met"], [goal.row() for goal in goals])) + "\n"
