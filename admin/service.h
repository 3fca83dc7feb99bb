/* service: the services that start pop3d, as the files of superservers have them. */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "admin/words.h"

#define SERVICES_MOST 16
#define SERVICE_SOURCE_OCTETS 512

enum superserver { BY_HAND, BY_SYSTEMD, BY_XINETD, BY_INETD };

struct service {
	enum superserver by;
	char source[SERVICE_SOURCE_OCTETS]; /* the file, or the unit */
	char user[64];                      /* "" means root */
	unsigned port;                      /* 0: not known */
	bool is_enabled;
	struct words words; /* the command line, with all variables expanded */
};

struct services {
	struct service list[SERVICES_MOST];
	size_t count;
};

/* Adds an empty one; NULL if there are too many. */
struct service *service_add(struct services *s, enum superserver by, const char *source);

/* Whether one of the words is the path of pop3d or pop3d-tls, or of the script that starts
 * them. */
bool service_is_ours(const struct words *w);

/* The port of a service that has a number or a name of /etc/services; 0 if it is unknown. */
unsigned service_port(const char *text);

/* Add what they find in the files of each superserver. What is wrong with these is put as a
 * finding. */
void service_find_systemd(struct services *s);
void service_find_xinetd(struct services *s);
void service_find_inetd(struct services *s);

/* Reads the variables that units and the script serve have; what is wrong with the files is put
 * as a finding once. */
void service_read_defaults(struct variables *v, const char *path, bool may_be_missing);

#endif
