/* send: the size of every kind of message is what RETR sends (RFC 1939 section 11). */
#include "tests/unit/unit.h"

#include <errno.h>

#include "maildir/body.h"
#include "session/send.h"
#include "tests/unit/unit_plain.h"

static struct wire w;

/* A file with these octets. */
static int file_of(const char *octets, size_t length)
{
	const int fd = memfd_create("message", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, octets, length, 0), length);
	return fd;
}

static struct body body;
static bool replaces_nul;

/* What message_send puts on the wire of a body that was started: in a file, so that nobody has
 * to read meanwhile. */
static struct message_sent send_started(struct encode_top *top, char **got, size_t *got_octets)
{
	const int out = memfd_create("sent", MFD_CLOEXEC), in = open("/dev/null", O_RDONLY);
	const struct message_form form = {top, replaces_nul};
	struct message_sent sent;
	off_t length;

	wire_open(&w, in, out, WIRE_AHEAD, 20000);
	sent = message_send(&w, &body, &form);
	assert_true(wire_flush(&w));
	length = lseek(out, 0, SEEK_END);
	assert_true(length >= 0);
	assert_int_equal(w.sent_octets, length);
	*got_octets = (size_t)length;
	*got = malloc(*got_octets + 1);
	assert_non_null(*got);
	assert_int_equal(pread(out, *got, *got_octets, 0), length);
	close(in);
	close(out);
	return sent;
}

static struct message_sent send_all(
	int fd, struct encode_top *top, char **got, size_t *got_octets)
{
	assert_true(body_start(&body, fd, top != NULL ? SEND_TOP_OCTETS : sizeof body.chunk));
	return send_started(top, got, got_octets);
}

static void sends(const char *octets, size_t length, const char *expected,
	size_t expected_octets, uint64_t size)
{
	const int fd = file_of(octets, length);
	struct message_sent sent;
	size_t got_octets;
	uint64_t counted;
	char *got;

	/* without counting, and counted before */
	for (int i = 0; i < 2; i++) {
		assert_true(body_start(&body, fd, sizeof body.chunk));
		if (i == 1) {
			assert_true(body_count(&body, &counted));
			assert_int_equal(counted, size);
			assert_int_equal(body.is_whole, length <= WIRE_CHUNK_OCTETS);
			assert_true(body_restart(&body));
		}
		sent = send_started(NULL, &got, &got_octets);
		assert_octets(octets, length, expected, expected_octets, got, got_octets);
		assert_int_equal(sent.octets, size);
		assert_int_equal(sent.read_error, 0);
		free(got);
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	}
	close(fd);
}

#define SENDS(octets, expected, size)                                                          \
	sends(octets, sizeof octets - 1, expected, sizeof expected - 1, size)

TEST(message_is_sent_whole_and_counted_without_stuffing)
{
	SENDS("", "", 0);
	SENDS("a\n", "a\r\n", 3);
	SENDS("a\r\nb\n", "a\r\nb\r\n", 6);
	SENDS(".\n..\n", "..\r\n...\r\n", 7);
	SENDS(".", "..\r\n", 3);
	SENDS("...x", "....x\r\n", 6);
	SENDS("a", "a\r\n", 3);
	SENDS("a\r", "a\r\r\n", 4);
	SENDS("\n\n\n", "\r\n\r\n\r\n", 6);
	SENDS("\0\xff\0", "\0\xff\0\r\n", 5);
}

/* Messages with difficult octets on both sides of the end of a chunk. */
TEST(chunks_leave_no_seam)
{
	static const char *const seams[] = {"\r\n", "\n.", "\n\n", "\r\r\n", "\n\r\n", "\n..",
		"a\r", "\r.", ".\n", "\r\n.\r\n.\r\n"};
	const size_t length = 2 * WIRE_CHUNK_OCTETS + 20;
	char *const in = malloc(length), *const expected = malloc(2 * length);

	assert_non_null(in);
	assert_non_null(expected);
	for (size_t i = 0; i < COUNT_OF(seams); i++)
		for (size_t before = 0; before <= strlen(seams[i]); before++) {
			struct encoder e = ENCODER_START;
			const size_t at = WIRE_CHUNK_OCTETS - before;
			size_t octets;

			memset(in, 'a', length);
			memcpy(in + at, seams[i], strlen(seams[i]));
			memcpy(in + WIRE_CHUNK_OCTETS + at, seams[i], strlen(seams[i]));
			octets = encode_plain(&e, in, length, expected);
			octets += encode_end(&e, expected + octets);
			sends(in, length, expected, octets, octets - e.stuffed);
		}
	free(in);
	free(expected);
}

TEST(message_of_any_length_around_a_chunk_is_whole)
{
	char *const in = malloc(WIRE_CHUNK_OCTETS + 2);
	char *const expected = malloc(WIRE_CHUNK_OCTETS + 4);

	assert_non_null(in);
	assert_non_null(expected);
	memset(in, 'a', WIRE_CHUNK_OCTETS + 2);
	memset(expected, 'a', WIRE_CHUNK_OCTETS + 2);
	for (size_t length = WIRE_CHUNK_OCTETS - 2; length <= WIRE_CHUNK_OCTETS + 2; length++) {
		memcpy(expected + length, "\r\n", 2);
		sends(in, length, expected, length + 2, length + 2);
		memset(expected, 'a', WIRE_CHUNK_OCTETS + 2);
	}
	free(in);
	free(expected);
}

TEST(message_that_was_read_whole_is_not_read_again)
{
	const int fd = file_of("one\ntwo\n", 8);
	uint64_t counted;

	assert_true(body_start(&body, fd, sizeof body.chunk));
	assert_true(body_count(&body, &counted));
	assert_int_equal(counted, 10);
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_true(body_restart(&body));
	assert_true(body_count(&body, &counted));
	assert_int_equal(counted, 10);
	assert_int_equal(body_next(&body, 100), 8);
	assert_int_equal(body_next(&body, 100), 0);
	close(fd);
}

static void sends_top(const char *text, uint64_t lines, const char *expected)
{
	const int fd = file_of(text, strlen(text));
	struct encode_top top;
	size_t got_octets;
	char *got;

	encode_top_start(&top, lines);
	send_all(fd, &top, &got, &got_octets);
	assert_octets(text, strlen(text), expected, strlen(expected), got, got_octets);
	free(got);
	close(fd);
}

TEST(top_is_encoded_like_the_whole)
{
	sends_top("A: 1\n\n.one\ntwo\n", 0, "A: 1\r\n\r\n");
	sends_top("A: 1\n\n.one\ntwo\n", 1, "A: 1\r\n\r\n..one\r\n");
	sends_top("A: 1\r\n\r\none\r\ntwo", 2, "A: 1\r\n\r\none\r\ntwo\r\n");
	sends_top(".A: 1", 7, "..A: 1\r\n");
	sends_top("", 7, "");
}

/* A message without an empty line, and others. */
TEST(headers_get_their_end_where_that_is_wished_and_it_counts)
{
	static const char *const ended[] = {"A: 1\n\ntext\n", "\n", "\r\n", "A: 1\r\n\r\n",
		"A: 1\n\r\ntext", "A: 1\r\n\ntext", "A: 1\n\n"};
	static const char *const open_ended[][2] = {{"", "\r\n"}, {"A: 1", "A: 1\r\n\r\n"},
		{"A: 1\n", "A: 1\r\n\r\n"}, {"A: 1\r\n", "A: 1\r\n\r\n"},
		{".A: 1\nB\n", "..A: 1\r\nB\r\n\r\n"}, {"A: 1\r", "A: 1\r\r\n\r\n"},
		{"A: 1\n \n", "A: 1\r\n \r\n\r\n"}, {"\r", "\r\r\n\r\n"}};
	size_t got_octets;
	char *got;

	for (size_t i = 0; i < COUNT_OF(ended); i++) {
		const int fd = file_of(ended[i], strlen(ended[i]));
		const uint64_t plain = send_all(fd, NULL, &got, &got_octets).octets;

		free(got);
		body.ends_headers = true;
		assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
		assert_int_equal(send_all(fd, NULL, &got, &got_octets).octets, plain);
		free(got);
		body.ends_headers = false;
		close(fd);
	}
	body.ends_headers = true;
	for (size_t i = 0; i < COUNT_OF(open_ended); i++) {
		const char *const in = open_ended[i][0], *const out = open_ended[i][1];

		sends(in, strlen(in), out, strlen(out), strlen(out) - (in[0] == '.'));
		sends_top(in, 0, out);
		sends_top(in, 9, out);
	}
	body.ends_headers = false;
}

/* The empty line can be anywhere in a chunk, and across two of them. */
TEST(end_of_headers_is_found_around_a_chunk)
{
	const size_t length = BODY_CHUNK_OCTETS + 8;
	char *const in = malloc(length);
	size_t got_octets;
	char *got;

	assert_non_null(in);
	body.ends_headers = true;
	for (size_t at = BODY_CHUNK_OCTETS - 4; at < BODY_CHUNK_OCTETS + 4; at++) {
		for (int has_end = 0; has_end < 2; has_end++) {
			uint64_t counted;
			int fd;

			memset(in, 'a', length);
			in[at] = '\n';
			in[at + 2] = '\n';
			in[at + 1] = has_end != 0 ? '\r' : 'b';
			fd = file_of(in, length);
			assert_true(body_start(&body, fd, sizeof body.chunk));
			assert_true(body_count(&body, &counted));
			assert_int_equal(counted, length + (has_end != 0 ? 3 : 6));
			assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
			assert_int_equal(send_all(fd, NULL, &got, &got_octets).octets, counted);
			assert_int_equal(got_octets, counted);
			free(got);
			close(fd);
		}
	}
	body.ends_headers = false;
	free(in);
}

TEST(nul_becomes_0x80_where_that_is_wished_and_no_size_changes)
{
	static const char in[] = "\0A: 1\n\n\0\0\n.\0";
	static const char plain[] = "\0A: 1\r\n\r\n\0\0\r\n..\0\r\n";
	static const char replaced[] = "\200A: 1\r\n\r\n\200\200\r\n..\200\r\n";
	const size_t octets = sizeof plain - 1;

	sends(in, sizeof in - 1, plain, octets, octets - 1);
	replaces_nul = true;
	sends(in, sizeof in - 1, replaced, octets, octets - 1);
	sends("no nul\n", 7, "no nul\r\n", 8, 8);
	replaces_nul = false;
}

TEST(top_of_many_chunks_ends_where_it_has_to)
{
	const size_t length = 3 * WIRE_CHUNK_OCTETS;
	char *const in = malloc(length);
	struct encode_top top;
	size_t got_octets;
	char *got;
	int fd;

	assert_non_null(in);
	memset(in, 'a', length);
	in[WIRE_CHUNK_OCTETS - 1] = in[WIRE_CHUNK_OCTETS] = '\n';
	in[2 * WIRE_CHUNK_OCTETS] = '\n';
	fd = file_of(in, length);
	encode_top_start(&top, 0);
	assert_int_equal(send_all(fd, &top, &got, &got_octets).octets, WIRE_CHUNK_OCTETS + 3);
	assert_int_equal(got_octets, WIRE_CHUNK_OCTETS + 3);
	free(got);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	encode_top_start(&top, 1);
	assert_int_equal(
		send_all(fd, &top, &got, &got_octets).octets, 2 * WIRE_CHUNK_OCTETS + 4);
	assert_int_equal(got_octets, 2 * WIRE_CHUNK_OCTETS + 4);
	free(got);
	close(fd);
	free(in);
}

/* A client that lists subjects must not make the server read all attachments. */
TEST(top_reads_little_more_than_it_needs)
{
	static const struct {
		size_t headers;
		off_t most;
	} cases[] = {{10, 4096}, {4000, 4096}, {4097, 5 * 4096}, {20479, 5 * 4096},
		{20481, 5 * 4096 + WIRE_CHUNK_OCTETS}};
	const size_t length = 4 * WIRE_CHUNK_OCTETS;
	char *const in = malloc(length);

	assert_non_null(in);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct encode_top top;
		size_t got_octets;
		char *got;
		int fd;

		memset(in, 'a', length);
		memcpy(in + cases[i].headers - 2, "\n\n", 2);
		fd = file_of(in, length);
		encode_top_start(&top, 0);
		send_all(fd, &top, &got, &got_octets);
		assert_int_equal(got_octets, cases[i].headers + 2);
		assert_in_range(lseek(fd, 0, SEEK_CUR), 0, cases[i].most);
		free(got);
		close(fd);
	}
	free(in);
}

TEST(file_that_cannot_be_read_is_an_error)
{
	const int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t counted;
	size_t got_octets;
	char *got;

	errno = 0;
	assert_false(body_start(&body, fd, sizeof body.chunk));
	assert_int_equal(errno, EISDIR);
	errno = 0;
	assert_false(body_count(&body, &counted));
	assert_int_equal(errno, EISDIR);
	assert_int_equal(send_started(NULL, &got, &got_octets).read_error, EISDIR);
	assert_int_equal(got_octets, 0);
	free(got);
	close(fd);
}

/* The memory of this process, as a file, gives an error where nothing is mapped. */
TEST(half_a_message_is_not_made_to_look_whole)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *const memory = mmap(
		NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	struct message_sent sent;
	size_t got_octets;
	char *got;

	assert_true(fd >= 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memcpy(memory + page - 8, "one\ntwo.", 8);
	assert_int_equal(munmap(memory + page, page), 0);
	assert_true(lseek(fd, (off_t)(uintptr_t)(memory + page - 8), SEEK_SET) > 0);
	sent = send_all(fd, NULL, &got, &got_octets);
	assert_int_equal(sent.read_error, EIO);
	assert_text("one\r\ntwo.", got, got_octets);
	assert_int_equal(sent.octets, got_octets);
	free(got);
	close(fd);
	munmap(memory, page);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(message_is_sent_whole_and_counted_without_stuffing),
	cmocka_unit_test(chunks_leave_no_seam),
	cmocka_unit_test(message_of_any_length_around_a_chunk_is_whole),
	cmocka_unit_test(message_that_was_read_whole_is_not_read_again),
	cmocka_unit_test(top_is_encoded_like_the_whole),
	cmocka_unit_test(headers_get_their_end_where_that_is_wished_and_it_counts),
	cmocka_unit_test(end_of_headers_is_found_around_a_chunk),
	cmocka_unit_test(nul_becomes_0x80_where_that_is_wished_and_no_size_changes),
	cmocka_unit_test(top_of_many_chunks_ends_where_it_has_to),
	cmocka_unit_test(top_reads_little_more_than_it_needs),
	cmocka_unit_test(file_that_cannot_be_read_is_an_error),
	cmocka_unit_test(half_a_message_is_not_made_to_look_whole),
};

int main(void)
{
	return UNIT_RUN("message", tests);
}
