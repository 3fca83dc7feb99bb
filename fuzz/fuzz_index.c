/* fuzz_index: a file of any content in the place of the index. Every second input has its
 * checksums corrected first, as a forger would do, so that the code after them is reached. */
#include "directory.h"

#include "maildir/index.h"

#define MOST_OCTETS (32 * INDEX_PAGE_OCTETS)

static unsigned char file[MOST_OCTETS];

static void seal(size_t octets)
{
	uint64_t nonce;

	memcpy(&nonce, file + offsetof(struct index_header, nonce), sizeof nonce);
	for (size_t at = 0; at + INDEX_PAGE_OCTETS <= octets; at += INDEX_PAGE_OCTETS) {
		const uint64_t sum = index_sum(nonce, at / INDEX_PAGE_OCTETS, file + at);

		memcpy(file + at + INDEX_PAYLOAD_OCTETS, &sum, sizeof sum);
	}
}

/* Fills the last page with zeros, so that the length is that of an index. */
static size_t pad(size_t octets)
{
	const size_t rest = octets % INDEX_PAGE_OCTETS;

	if (rest == 0)
		return octets;
	memset(file + octets, 0, INDEX_PAGE_OCTETS - rest);
	return octets + INDEX_PAGE_OCTETS - rest;
}

static void check_message(const struct message *m)
{
	CHECK(m->name_octets > 0 && strlen(m->name) == m->name_octets);
	CHECK(m->name[0] != '.' && strchr(m->name, '/') == NULL);
	CHECK(uid_unique_octets(m->name, m->name_octets) == m->unique_octets);
	CHECK(m->place <= PLACE_CUR && m->size_octets <= INDEX_SIZE_MOST);
}

static void read_all(struct index *ix)
{
	struct message m;
	uint64_t size_octets;
	struct snapshot s;

	CHECK(ix->header.count <= MOST_OCTETS);
	for (uint64_t i = 0; i < ix->header.count + 1; i++)
		if (index_get(ix, i, &m)) {
			check_message(&m);
			CHECK(index_get_size(ix, i, &size_octets));
			CHECK(size_octets == m.size_octets && i < ix->header.count);
		}
	snapshot_init(&s);
	snapshot_use_index(&s, ix);
	if (snapshot_materialize(&s))
		CHECK(s.count == ix->header.count && snapshot_sort(&s));
	snapshot_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct index ix;
	/* Both ways to read an index, chosen by the second bit. */
	const struct index_wish wish = {fuzz_directory(), geteuid(),
		size > 0 && (data[0] & 4) != 0 ? INDEX_VERSION_ENDED : INDEX_VERSION,
		size > 0 && (data[0] & 2) != 0};
	size_t octets = size > 1 ? size - 1 : 0;

	if (octets > MOST_OCTETS)
		return 0;
	memcpy(file, data + (size > 0), octets);
	if (size > 0 && data[0] % 2 == 1) {
		octets = pad(octets);
		seal(octets);
	}
	fuzz_put(INDEX_NAME, file, octets);
	if (index_open(&ix, &wish)) {
		read_all(&ix);
		index_close(&ix);
	}
	return 0;
}
