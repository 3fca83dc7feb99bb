/* ucspi: the three descriptors of UCSPI-TLS are found, or nothing is offered. */
#include "tests/unit/unit.h"

#include <sys/resource.h>
#include <sys/socket.h>

#include "peer/ucspi.h"

#define GOOD 0

/* Each test runs in a process of its own. An exit status other than GOOD is the line of a
 * failure. */
#define CHECK(condition)                                                                       \
	do {                                                                                   \
		if (!(condition))                                                              \
			return __LINE__ % 250 + 1;                                             \
	} while (0)

static int engines_control, engines_read, engines_write;

/* Pipes with the program's ends at the given numbers, and the matching variables. */
static void offer(int control, int reads, int writes, const char *wish)
{
	static const char *const names[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};
	const int numbers[] = {control, reads, writes};
	int ends[3][2], programs[3];
	char number[16];

	for (int i = 0; i < 3; i++)
		if (pipe(ends[i]) != 0)
			_exit(255);
	/* First they move far away, because the wanted numbers may be in use. */
	engines_control = fcntl(ends[0][0], F_DUPFD, 100);
	engines_read = fcntl(ends[1][1], F_DUPFD, 100);
	engines_write = fcntl(ends[2][0], F_DUPFD, 100);
	programs[0] = fcntl(ends[0][1], F_DUPFD, 100);
	programs[1] = fcntl(ends[1][0], F_DUPFD, 100);
	programs[2] = fcntl(ends[2][1], F_DUPFD, 100);
	for (int i = 0; i < 3; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
	}
	for (int i = 0; i < 3; i++) {
		if (dup2(programs[i], numbers[i]) < 0)
			_exit(255);
		close(programs[i]);
		snprintf(number, sizeof number, "%d", numbers[i]);
		setenv(names[i], number, 1);
	}
	if (wish != NULL)
		setenv("UCSPITLS", wish, 1);
	else
		unsetenv("UCSPITLS");
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Takes them and begins TLS. Afterwards 0, 1 and the request lead to the engine. */
static int takes_and_starts(void)
{
	char octets[8];

	CHECK(ucspi_take() == UCSPI_OFFER);
	for (int fd = UCSPI_CONTROL_FD; fd <= UCSPI_WRITE_FD; fd++)
		CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
	CHECK(ucspi_start_tls());
	for (int fd = UCSPI_CONTROL_FD; fd <= UCSPI_WRITE_FD; fd++)
		CHECK(!is_open(fd));
	CHECK(read(engines_control, octets, sizeof octets) == 1 && octets[0] == 'y');
	CHECK(write(engines_read, "in", 2) == 2);
	CHECK(read(0, octets, sizeof octets) == 2 && memcmp(octets, "in", 2) == 0);
	CHECK(write(1, "out", 3) == 3);
	CHECK(read(engines_write, octets, sizeof octets) == 3 && memcmp(octets, "out", 3) == 0);
	CHECK((fcntl(0, F_GETFD) & FD_CLOEXEC) == 0 && (fcntl(1, F_GETFD) & FD_CLOEXEC) == 0);
	return GOOD;
}

static int ordinary_numbers(void)
{
	offer(20, 21, 22, NULL);
	return takes_and_starts();
}

/* The place that one descriptor moves to can be the place of another. */
static int numbers_in_each_others_way(void)
{
	static const int orders[][3] = {{10, 11, 12}, {12, 11, 10}, {11, 12, 10}, {12, 10, 11},
		{11, 10, 12}, {64, 65, 66}, {66, 64, 65}};

	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		const pid_t pid = fork();

		if (pid == 0) {
			offer(orders[i][0], orders[i][1], orders[i][2], "");
			_exit(takes_and_starts());
		}
		CHECK(unit_await(pid) == GOOD);
	}
	return GOOD;
}

static int one_number_for_reading_and_writing(void)
{
	int channel[2];
	char octets[8];

	offer(20, 21, 22, NULL);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, channel) == 0);
	CHECK(dup2(channel[1], 21) == 21 && close(22) == 0);
	setenv("SSLWRITEFD", "21", 1);
	CHECK(ucspi_take() == UCSPI_OFFER && ucspi_start_tls());
	CHECK(write(channel[0], "in", 2) == 2 && read(0, octets, sizeof octets) == 2);
	CHECK(write(1, "out", 3) == 3 && read(channel[0], octets, sizeof octets) == 3);
	return GOOD;
}

static int wishes(void)
{
	offer(20, 21, 22, "");
	CHECK(ucspi_take() == UCSPI_OFFER);
	setenv("UCSPITLS", "!", 1);
	CHECK(ucspi_take() == UCSPI_DEMAND);
	setenv("UCSPITLS", "-", 1);
	CHECK(ucspi_take() == UCSPI_NONE);
	setenv("UCSPITLS", "what", 1);
	CHECK(ucspi_take() == UCSPI_OFFER);
	return GOOD;
}

static int nothing_to_take(void)
{
	static const char *const names[] = {"SSLCTLFD", "SSLREADFD", "SSLWRITEFD"};
	static const char *const wrong[] = {"", "x", "-1", "20x", " 20", "0x14", "99", "65536",
		"4294967316", "18446744073709551636", "20 ", "0", "1", "2"};

	for (int i = 0; i < 3; i++) {
		offer(20, 21, 22, NULL);
		unsetenv(names[i]);
		CHECK(ucspi_take() == UCSPI_NONE);
		for (size_t k = 0; k < COUNT_OF(wrong); k++) {
			setenv(names[i], wrong[k], 1);
			CHECK(ucspi_take() == UCSPI_NONE);
		}
		offer(20, 21, 22, NULL);
		close(20 + i);
		CHECK(ucspi_take() == UCSPI_NONE);
	}
	return GOOD;
}

/* A demand for TLS that cannot be met does not permit clear text. */
static int demand_in_vain(void)
{
	offer(20, 21, 22, "!");
	close(21);
	CHECK(ucspi_take() == UCSPI_LACK);
	unsetenv("SSLCTLFD");
	CHECK(ucspi_take() == UCSPI_LACK);
	setenv("UCSPITLS", "", 1);
	CHECK(ucspi_take() == UCSPI_NONE);
	return GOOD;
}

/* A superserver can permit very few descriptors. */
static int few_descriptors(void)
{
	const struct rlimit few = {32, 32};

	offer(20, 21, 22, NULL);
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK(ucspi_take() == UCSPI_OFFER);
	return GOOD;
}

/* The engine is gone: the connection is useless, and reports that. */
static int engine_that_is_gone(void)
{
	offer(20, 21, 22, NULL);
	signal(SIGPIPE, SIG_IGN);
	CHECK(ucspi_take() == UCSPI_OFFER);
	close(engines_control);
	CHECK(!ucspi_start_tls());
	return GOOD;
}

#define IN_A_CHILD(name)                                                                       \
	TEST(name##_)                                                                          \
	{                                                                                      \
		assert_int_equal(unit_in_child(name), GOOD);                                   \
	}

IN_A_CHILD(ordinary_numbers)
IN_A_CHILD(numbers_in_each_others_way)
IN_A_CHILD(one_number_for_reading_and_writing)
IN_A_CHILD(wishes)
IN_A_CHILD(nothing_to_take)
IN_A_CHILD(demand_in_vain)
IN_A_CHILD(few_descriptors)
IN_A_CHILD(engine_that_is_gone)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(ordinary_numbers_),
	cmocka_unit_test(numbers_in_each_others_way_),
	cmocka_unit_test(one_number_for_reading_and_writing_),
	cmocka_unit_test(wishes_),
	cmocka_unit_test(nothing_to_take_),
	cmocka_unit_test(demand_in_vain_),
	cmocka_unit_test(few_descriptors_),
	cmocka_unit_test(engine_that_is_gone_),
};

int main(void)
{
	return UNIT_RUN("ucspi", tests);
}
