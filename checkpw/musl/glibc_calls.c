/* glibc_calls: what the system's libcrypt.a calls and musl does not have.
 *
 * The archive was compiled for the system's C library. libcrypt needs little of it: memory,
 * strings, errno, and the functions below, all of which look the same to it in musl. */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void __explicit_bzero_chk(void *octets, size_t length, size_t room);
void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *__memset_chk(void *octets, int value, size_t length, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t length, size_t room);
int __snprintf_chk(char *text, size_t size, int flag, size_t room, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
unsigned long __isoc23_strtoul(const char *text, char **end, int base);
void arc4random_buf(void *octets, size_t length);

static void check(size_t length, size_t room)
{
	if (length > room)
		abort();
}

void __explicit_bzero_chk(void *octets, size_t length, size_t room)
{
	check(length, room);
	explicit_bzero(octets, length);
}

void *__memcpy_chk(void *to, const void *from, size_t length, size_t room)
{
	check(length, room);
	return memcpy(to, from, length);
}

void *__memmove_chk(void *to, const void *from, size_t length, size_t room)
{
	check(length, room);
	return memmove(to, from, length);
}

void *__memset_chk(void *octets, int value, size_t length, size_t room)
{
	check(length, room);
	return memset(octets, value, length);
}

char *__strcpy_chk(char *to, const char *from, size_t room)
{
	check(strlen(from) + 1, room);
	return memcpy(to, from, strlen(from) + 1);
}

char *__strncpy_chk(char *to, const char *from, size_t length, size_t room)
{
	check(length, room);
	return strncpy(to, from, length);
}

int __snprintf_chk(char *text, size_t size, int flag, size_t room, const char *format, ...)
{
	va_list arguments;
	int length;

	(void)flag;
	check(size, room);
	va_start(arguments, format);
	length = vsnprintf(text, size, format, arguments);
	va_end(arguments);
	return length;
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}

/* Salts are made of these octets: without randomness there must be none. */
void arc4random_buf(void *octets, size_t length)
{
	char *at = octets;

	while (length > 0) {
		const ssize_t got = getrandom(at, length, 0);

		if (got < 0 && errno != EINTR)
			abort();
		if (got > 0) {
			at += got;
			length -= (size_t)got;
		}
	}
}
