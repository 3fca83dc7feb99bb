/* siphash: see siphash.h. */
#include "lib/siphash.h"

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void mix_rounds(struct state *s, unsigned rounds)
{
	while (rounds-- > 0) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate_left(s->v1, 13) ^ s->v0;
		s->v3 = rotate_left(s->v3, 16) ^ s->v2;
		s->v0 = rotate_left(s->v0, 32) + s->v3;
		s->v2 += s->v1;
		s->v1 = rotate_left(s->v1, 17) ^ s->v2;
		s->v3 = rotate_left(s->v3, 21) ^ s->v0;
		s->v2 = rotate_left(s->v2, 32);
	}
}

static void absorb_word(struct state *s, uint64_t word)
{
	s->v3 ^= word;
	mix_rounds(s, 2);
	s->v0 ^= word;
}

/* Little-endian, at most eight octets. */
static uint64_t word_of(const unsigned char *octets, size_t count)
{
	uint64_t word = 0;

	for (size_t i = 0; i < count; i++)
		word |= (uint64_t)octets[i] << (8 * i);
	return word;
}

uint64_t siphash(const uint64_t key[2], const void *octets, size_t length)
{
	const unsigned char *const in = octets;
	const size_t whole = length - length % 8;
	struct state s = {key[0] ^ 0x736f6d6570736575U, key[1] ^ 0x646f72616e646f6dU,
		key[0] ^ 0x6c7967656e657261U, key[1] ^ 0x7465646279746573U};

	for (size_t i = 0; i < whole; i += 8)
		absorb_word(&s, word_of(in + i, 8));
	absorb_word(&s, word_of(in + whole, length - whole) | (uint64_t)length << 56);
	s.v2 ^= 0xff;
	mix_rounds(&s, 4);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
