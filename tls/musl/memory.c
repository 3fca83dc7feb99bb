/* memory: see memory.h.
 *
 * Pieces are of classes: small ones by 16 octets, and buffers by pages. A piece that was given
 * back is used again for the next one of its class, and nothing returns to the system before
 * the process ends. It is wiped, because the library does not wipe all copies of a key that it
 * makes in reading one. Buffers of whole records are not: the library wipes what it decrypted,
 * and no key is as large. */
#include "tls/musl/memory.h"

#include <openssl/crypto.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

#define SMALL_UNIT 16U
#define SMALL_CLASSES 128U /* to 2048 octets */
#define LARGE_UNIT 4096U
#define LARGE_CLASSES 5U /* to 20 KiB: a record; larger pieces come from malloc */
#define CLASSES (1 + SMALL_CLASSES + LARGE_CLASSES)
#define RECORD_CLASS (CLASSES - 1)

#define AREA_OCTETS (1U << 20)    /* when all of it is in use, malloc follows */
#define READY_OCTETS (128U << 10) /* what every connection uses */
#define PAGE_OCTETS 4096U

/* Stands before each piece. Of a free piece, next is another free one of the same class. */
struct piece {
	size_t class; /* 0: it is not from the area */
	struct piece *next;
};

static struct {
	_Alignas(PAGE_OCTETS) unsigned char octets[AREA_OCTETS];
	size_t used;
	struct piece *free[CLASSES];
} area;

static void *octets_of(struct piece *p)
{
	return (unsigned char *)p + sizeof *p;
}

static struct piece *piece_of(void *octets)
{
	return (struct piece *)(void *)((unsigned char *)octets - sizeof(struct piece));
}

/* The class of the smallest pieces that have room; 0 if there is none. */
static size_t class_for(size_t octets)
{
	if (octets == 0 || octets > LARGE_CLASSES * LARGE_UNIT)
		return 0;
	if (octets <= SMALL_CLASSES * SMALL_UNIT)
		return (octets + SMALL_UNIT - 1) / SMALL_UNIT;
	return SMALL_CLASSES + (octets + LARGE_UNIT - 1) / LARGE_UNIT;
}

static size_t room_of(size_t class)
{
	return class <= SMALL_CLASSES ? class * SMALL_UNIT
				      : (class - SMALL_CLASSES) * LARGE_UNIT;
}

static struct piece *cut_piece(size_t class)
{
	struct piece *p = area.free[class];
	const size_t octets = sizeof *p + room_of(class);

	if (p != NULL) {
		area.free[class] = p->next;
	} else if (octets <= AREA_OCTETS - area.used) {
		p = (struct piece *)(void *)(area.octets + area.used);
		area.used += octets;
		p->class = class;
	}
	return p;
}

static void *get(size_t octets, const char *file, int line)
{
	const size_t class = class_for(octets);
	struct piece *p = class != 0 ? cut_piece(class) : NULL;

	(void)file;
	(void)line;
	if (p != NULL)
		return octets_of(p);
	p = octets <= SIZE_MAX - sizeof *p ? malloc(sizeof *p + octets) : NULL;
	if (p == NULL)
		return NULL;
	p->class = 0;
	return octets_of(p);
}

static void put(void *octets, const char *file, int line)
{
	struct piece *const p = octets != NULL ? piece_of(octets) : NULL;

	(void)file;
	(void)line;
	if (p == NULL)
		return;
	if (p->class == 0) {
		free(p);
		return;
	}
	if (p->class != RECORD_CLASS)
		explicit_bzero(octets, room_of(p->class));
	p->next = area.free[p->class];
	area.free[p->class] = p;
}

static void *resize(void *octets, size_t wanted, const char *file, int line)
{
	struct piece *p = octets != NULL ? piece_of(octets) : NULL;
	void *larger;

	if (p == NULL)
		return get(wanted, file, line);
	if (p->class == 0) {
		p = wanted <= SIZE_MAX - sizeof *p ? realloc(p, sizeof *p + wanted) : NULL;
		return p != NULL ? octets_of(p) : NULL;
	}
	if (wanted <= room_of(p->class))
		return octets;
	larger = get(wanted, file, line);
	if (larger == NULL)
		return NULL;
	memcpy(larger, octets, room_of(p->class));
	put(octets, file, line);
	return larger;
}

bool tls_memory_begin(void)
{
	/* one call costs less than a page fault for each page; older kernels refuse it */
	(void)madvise(area.octets, READY_OCTETS, MADV_POPULATE_WRITE);
	return CRYPTO_set_mem_functions(get, resize, put) == 1;
}
