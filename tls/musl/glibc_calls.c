/* glibc_calls: what the archives of OpenSSL call and musl does not have, beside the functions
 * in os/musl.
 *
 * The archives were compiled for the system's C library. What else they need of it (memory,
 * strings, locks, errno) looks the same to them in musl. */
#include <errno.h>
#include <stdio.h>

#undef fopen64

FILE *fopen64(const char *path, const char *mode);
int getcontext(void *context);
int setcontext(const void *context);
int swapcontext(void *context, const void *other);
void makecontext(void *context, void (*function)(void), int count, ...);

/* musl has one size of file offsets, and from version 1.2.4 on only one name for it. */
FILE *fopen64(const char *path, const char *mode)
{
	return fopen(path, mode);
}

/* OpenSSL's asynchronous jobs use these, and pop3d-tls has none. */
int getcontext(void *context)
{
	(void)context;
	errno = ENOSYS;
	return -1;
}

int setcontext(const void *context)
{
	(void)context;
	errno = ENOSYS;
	return -1;
}

int swapcontext(void *context, const void *other)
{
	(void)context;
	return setcontext(other);
}

void makecontext(void *context, void (*function)(void), int count, ...)
{
	(void)context;
	(void)function;
	(void)count;
}
