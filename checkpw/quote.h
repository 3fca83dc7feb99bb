/* quote: what a client or a file chose, made safe to stand in a log line. */
#ifndef QUOTE_H
#define QUOTE_H

/* Holds the start of a text; two of them and all else fit a line of the log. */
struct quoted {
	char text[384];
};

/* Quotes a text as log_quote does. */
struct quoted quote(const char *text);

#endif
