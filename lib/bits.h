/* bits: a set of small numbers, one bit each, in memory that the caller provides. */
#ifndef BITS_H
#define BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bits {
	uint64_t *words;
	size_t capacity; /* every member is below this number */
	size_t count;    /* members */
};

/*@ predicate bits_are_valid(struct bits *b) =
      \valid_read(b) && \valid(b->words + (0 .. (b->capacity + 63) / 64 - 1)) &&
      \separated(b, b->words + (0 .. (b->capacity + 63) / 64 - 1)); */

/* The words of 64 bits that a set of numbers below capacity needs. */
/*@ assigns \nothing;
    ensures \result == (capacity + 63) / 64; */
size_t bits_words(size_t capacity);

/* Makes an empty set of numbers below capacity. words are bits_words(capacity) words, all of
 * them 0: they are not written, since a large set may never be touched in most places. They
 * belong to the caller and are used for as long as the set. */
/*@ requires \valid(b);
    assigns *b;
    ensures b->words == words && b->capacity == capacity && b->count == 0; */
void bits_start(struct bits *b, uint64_t *words, size_t capacity);

/* Whether the number is in the set; a number of capacity or more never is. */
/*@ requires bits_are_valid(b);
    assigns \nothing;
    ensures \result ==> number < b->capacity; */
bool bits_has(const struct bits *b, size_t number);

/* Adds a number that is below capacity; removes one, if it is there; removes all. */
/*@ requires bits_are_valid(b) && \valid(b);
    assigns b->count, b->words[0 .. (b->capacity + 63) / 64 - 1]; */
void bits_add(struct bits *b, size_t number);
/*@ requires bits_are_valid(b) && \valid(b);
    assigns b->count, b->words[0 .. (b->capacity + 63) / 64 - 1]; */
void bits_remove(struct bits *b, size_t number);
/*@ requires bits_are_valid(b) && \valid(b);
    assigns b->count, b->words[0 .. (b->capacity + 63) / 64 - 1];
    ensures b->count == 0; */
void bits_clear(struct bits *b);

#endif
