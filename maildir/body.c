/* body: see body.h. */
#include "maildir/body.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/encode.h"

static ssize_t read_some(struct body *b, size_t wanted)
{
	ssize_t length;

	do
		length = read(b->fd, b->chunk, wanted);
	while (length < 0 && errno == EINTR);
	return length;
}

bool body_start(struct body *b, int fd, size_t first_octets)
{
	ssize_t length;

	b->fd = fd;
	length = read_some(b, first_octets);
	b->held = length > 0 ? (size_t)length : 0;
	b->is_whole = length == 0;
	/* a message that fills the chunk is read to its end: the kernel may read ahead */
	if (length == (ssize_t)sizeof b->chunk)
		posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
	return length >= 0;
}

struct encode_top body_follow_begin(const struct body *b)
{
	return (struct encode_top){.in_body = !b->ends_headers};
}

void body_follow(struct encode_top *headers, const char *octets, size_t length)
{
	if (!headers->in_body)
		encode_top_extent(headers, octets, length);
}

uint64_t body_supplied(const struct encode_top *headers)
{
	return headers->in_body ? 0 : BODY_END_OCTETS;
}

bool body_count(struct body *b, uint64_t *octets)
{
	struct encoder e = ENCODER_START;
	struct encode_top headers = body_follow_begin(b);
	ssize_t length = 0;
	bool is_first = true;

	body_follow(&headers, b->chunk, b->held);
	*octets = encode_count(&e, b->chunk, b->held);
	/* the read that returns 0 leaves the chunk as it is */
	while (!b->is_whole && (length = read_some(b, sizeof b->chunk)) > 0) {
		is_first = false;
		body_follow(&headers, b->chunk, (size_t)length);
		*octets += encode_count(&e, b->chunk, (size_t)length);
	}
	*octets += encode_count_end(&e) + body_supplied(&headers);
	b->is_whole = b->is_whole || (is_first && length == 0);
	return length >= 0;
}

bool body_restart(struct body *b)
{
	return b->is_whole ||
	       (lseek(b->fd, 0, SEEK_SET) == 0 && body_start(b, b->fd, sizeof b->chunk));
}

ssize_t body_next(struct body *b, size_t wanted)
{
	const size_t held = b->held;

	b->held = 0;
	if (held > 0)
		return (ssize_t)held;
	return b->is_whole ? 0 : read_some(b, wanted);
}
