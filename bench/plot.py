"""Plots as SVG, without any library: lines over two logarithmic axes, and bars."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 80, 130, 40, 50
COLOURS = ["#0b5fa5", "#c4501b", "#3a8a3a", "#7d4fa3", "#8a6d1d", "#555555"]
FONT = 'font-family="sans-serif" font-size="12"'


def text(x, y, words, anchor="start", more=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {FONT}{more}>'
            f'{escape(words)}</text>')


def line(x1, y1, x2, y2, colour="#cccccc", width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def picture(title, height, parts):
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        text(WIDTH / 2, 20, title, "middle", ' font-weight="bold"'), *parts, "</svg>"]) + "\n"


def decades(values):
    """The powers of ten that enclose the values."""
    least = math.floor(math.log10(min(values)))
    most = math.ceil(math.log10(max(values)))
    return list(range(least, max(most, least + 1) + 1))


def power(exponent):
    value = 10.0 ** exponent
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def lines(title, x_title, y_title, series):
    """series: {name: [(x, y), ...]}, all positive."""
    points = [point for found in series.values() for point in found]
    x_decades = decades([x for x, _ in points])
    y_decades = decades([y for _, y in points])
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def x_at(value):
        share = (math.log10(value) - x_decades[0]) / (x_decades[-1] - x_decades[0])
        return LEFT + share * (right - LEFT)

    def y_at(value):
        share = (math.log10(value) - y_decades[0]) / (y_decades[-1] - y_decades[0])
        return bottom - share * (bottom - TOP)
    parts = [line(x_at(10.0 ** e), TOP, x_at(10.0 ** e), bottom) for e in x_decades]
    parts += [line(LEFT, y_at(10.0 ** e), right, y_at(10.0 ** e)) for e in y_decades]
    parts += [text(x_at(10.0 ** e), bottom + 16, power(e), "middle") for e in x_decades]
    parts += [text(LEFT - 6, y_at(10.0 ** e) + 4, power(e), "end") for e in y_decades]
    parts.append(text((LEFT + right) / 2, HEIGHT - 12, x_title, "middle"))
    parts.append(text(16, (TOP + bottom) / 2, y_title, "middle",
                      f' transform="rotate(-90 16 {(TOP + bottom) / 2:.1f})"'))
    for number, (name, found) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x_at(x):.1f},{y_at(y):.1f}" for x, y in found)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_at(x):.1f}" cy="{y_at(y):.1f}" r="3" fill="{colour}"/>'
                  for x, y in found]
        y = TOP + 14 + 18 * number
        parts.append(line(right + 10, y - 4, right + 28, y - 4, colour, 2))
        parts.append(text(right + 33, y, name))
    return picture(title, HEIGHT, parts)


def bars(title, unit, values):
    """values: {name: value}."""
    most = max(values.values())
    left = 30 + 7 * max(map(len, values))
    parts = []
    for number, (name, value) in enumerate(values.items()):
        y = TOP + 28 * number
        length = (WIDTH - left - 110) * value / most
        parts.append(text(left - 10, y + 15, name, "end"))
        parts.append(f'<rect x="{left}" y="{y}" width="{length:.1f}" height="20" '
                     f'fill="{COLOURS[0 if name.startswith("pop3d") else 5]}"/>')
        shown = f"{value:.2f}" if value < 10 else f"{value:.0f}"
        parts.append(text(left + length + 6, y + 15, f"{shown} {unit}"))
    return picture(title, TOP + 28 * len(values) + 12, parts)
