/* credentials: see credentials.h. */
#include "checkpw/credentials.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "checkpw/options.h"
#include "os/log.h"

/* Reads to the end of the data, or to one octet more than there may be. */
static enum pw_status read_all(char *data, size_t size, size_t *length)
{
	struct pollfd input = {.fd = CREDENTIALS_FD, .events = POLLIN};
	ssize_t got = 1;

	*length = 0;
	while (*length < size && got != 0) {
		got = read(CREDENTIALS_FD, data + *length, size - *length);
		if (got > 0)
			*length += (size_t)got;
		else if (got < 0 && errno == EAGAIN)
			poll(&input, 1, -1);
		else if (got < 0 && errno != EINTR)
			break;
	}
	if (got >= 0)
		return PW_OK;
	log_event(LOG_ERR, "checkpw-unreadable problem=\"cannot read descriptor 3: %s\"",
		strerror(errno));
	return errno == EBADF || errno == EISDIR || errno == EINVAL ? PW_MISUSED : PW_TEMPORARY;
}

/* Too much is refused, not called a misuse: a front end that hands on whatever the client typed
 * is no fault of the administrator's. A timestamp is not needed here, and need not be complete.
 */
static enum pw_status split_credentials(
	struct credentials *credentials, size_t length, size_t most)
{
	const char *login_end, *password_end;

	if (length > most) {
		log_event(LOG_NOTICE,
			"checkpw-refused problem=\"more than %zu octets on descriptor 3\"",
			most);
		return PW_REFUSED;
	}
	login_end = memchr(credentials->data, '\0', length);
	if (login_end == NULL)
		return pwoptions_misused("no NUL after the login on descriptor 3");
	credentials->login = credentials->data;
	credentials->password = login_end + 1;
	length -= (size_t)(credentials->password - credentials->data);
	password_end = memchr(credentials->password, '\0', length);
	if (password_end == NULL)
		return pwoptions_misused("no NUL after the password on descriptor 3");
	return PW_OK;
}

enum pw_status credentials_read(struct credentials *credentials, size_t most)
{
	enum pw_status status;
	size_t length;

	status = read_all(credentials->data, most + 1, &length);
	close(CREDENTIALS_FD);
	return status == PW_OK ? split_credentials(credentials, length, most) : status;
}
