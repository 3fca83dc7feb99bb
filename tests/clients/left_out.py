"""What was tried, or looked for, and is not in the matrix; and why. The table has this at its end."""

REASONS = {
    "emacs movemail": "Debian's emacs has none of its own; it starts that of mailutils, which is above",
    "Outlook, Apple Mail, Windows Mail": "not for Debian",
}
