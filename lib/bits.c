/* bits: see bits.h. */
#include "lib/bits.h"

#define WORD_BITS 64

size_t bits_words(size_t capacity)
{
	return capacity / WORD_BITS + (capacity % WORD_BITS != 0);
}

/*@ assigns \nothing; */
static uint64_t bit_of(size_t number)
{
	return (uint64_t)1 << number % WORD_BITS;
}

void bits_start(struct bits *b, uint64_t *words, size_t capacity)
{
	*b = (struct bits){words, capacity, 0};
}

bool bits_has(const struct bits *b, size_t number)
{
	return number < b->capacity && (b->words[number / WORD_BITS] & bit_of(number)) != 0;
}

void bits_add(struct bits *b, size_t number)
{
	if (number >= b->capacity || bits_has(b, number))
		return;
	b->words[number / WORD_BITS] |= bit_of(number);
	b->count++;
}

void bits_remove(struct bits *b, size_t number)
{
	if (!bits_has(b, number))
		return;
	b->words[number / WORD_BITS] &= ~bit_of(number);
	b->count--;
}

void bits_clear(struct bits *b)
{
	uint64_t *const words = b->words;
	const size_t count = bits_words(b->capacity);

	/*@ loop invariant i <= count;
	    loop assigns i, words[0 .. count - 1];
	    loop variant count - i; */
	for (size_t i = 0; i < count; i++)
		words[i] = 0;
	b->count = 0;
}
