/* glibc_calls: what the archives of OpenSSL call and musl does not have, beside the functions
 * in os/musl.
 *
 * The archives were compiled for the system's C library. What else they need of it (memory,
 * strings, locks, errno) looks the same to them in musl. */
#include <errno.h>

int getcontext(void *context);
int setcontext(const void *context);
int swapcontext(void *context, const void *other);
void makecontext(void *context, void (*function)(void), int count, ...);

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
