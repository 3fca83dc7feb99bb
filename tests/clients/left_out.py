"""What was tried, or looked for, and is not in the matrix; and why. The table has this at its end."""

REASONS = {
    "emacs movemail": "Debian's emacs has none of its own; it starts that of mailutils, which is above",
    "mailutils mail": "tried by hand only: of ten messages without a Date it copied none (\"Cannot get "
                      "envelope date\")",
    "Evolution with its windows": "its library is driven by itself: the program asks too much of a "
                                  "person, and of a session bus",
    "steps by STLS and on port 995": "only the column fetch is run in all three ways; the others are "
                                     "run in clear",
}
