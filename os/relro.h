/* relro: the tables that only the start of a program writes. */
#ifndef RELRO_H
#define RELRO_H

#include <stdbool.h>

/* For every process, first in main: makes those tables read-only, the ones of pointers to
 * functions among them (RELRO). musl does not do so in static programs. Returns false with
 * errno. */
bool relro_apply(void);

#endif
