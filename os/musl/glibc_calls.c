/* glibc_calls: what archives that were compiled for the system's C library call, and musl does
 * not have: string functions that check the room, and numbers in the form of C23.
 *
 * pop3d-checkpw needs them for libcrypt, and pop3d-tls for OpenSSL, where these are linked
 * statically. */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SET_BITS 1024 /* of an fd_set */

void __explicit_bzero_chk(void *octets, size_t length, size_t room);
void *__memcpy_chk(void *to, const void *from, size_t length, size_t room);
void *__memmove_chk(void *to, const void *from, size_t length, size_t room);
void *__memset_chk(void *octets, int value, size_t length, size_t room);
char *__strcpy_chk(char *to, const char *from, size_t room);
char *__strncpy_chk(char *to, const char *from, size_t length, size_t room);
char *__strcat_chk(char *to, const char *from, size_t room);
int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));
int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int __sprintf_chk(char *text, int flag, size_t room, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
int __snprintf_chk(char *text, size_t size, int flag, size_t room, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
long __fdelt_chk(long fd);
long __isoc23_strtol(const char *text, char **end, int base);
unsigned long __isoc23_strtoul(const char *text, char **end, int base);

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

char *__strcat_chk(char *to, const char *from, size_t room)
{
	const size_t length = strlen(to);

	check(length, room);
	__strcpy_chk(to + length, from, room - length);
	return to;
}

int __vfprintf_chk(FILE *stream, int flag, const char *format, va_list arguments)
{
	(void)flag;
	return vfprintf(stream, format, arguments);
}

int __fprintf_chk(FILE *stream, int flag, const char *format, ...)
{
	va_list arguments;
	int octets;

	(void)flag;
	va_start(arguments, format);
	octets = vfprintf(stream, format, arguments);
	va_end(arguments);
	return octets;
}

int __sprintf_chk(char *text, int flag, size_t room, const char *format, ...)
{
	va_list arguments;
	int octets;

	(void)flag;
	va_start(arguments, format);
	octets = vsnprintf(text, room, format, arguments);
	va_end(arguments);
	check(octets < 0 ? 0 : (size_t)octets + 1, room);
	return octets;
}

int __snprintf_chk(char *text, size_t size, int flag, size_t room, const char *format, ...)
{
	va_list arguments;
	int octets;

	(void)flag;
	check(size, room);
	va_start(arguments, format);
	octets = vsnprintf(text, size, format, arguments);
	va_end(arguments);
	return octets;
}

long __fdelt_chk(long fd)
{
	if (fd < 0 || fd >= SET_BITS)
		abort();
	return fd / (8 * (long)sizeof(long));
}

long __isoc23_strtol(const char *text, char **end, int base)
{
	return strtol(text, end, base);
}

unsigned long __isoc23_strtoul(const char *text, char **end, int base)
{
	return strtoul(text, end, base);
}
