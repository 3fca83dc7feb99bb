/* foreign_server: what the files of foreign share; see foreign.h. */
#ifndef FOREIGN_SERVER_H
#define FOREIGN_SERVER_H

#include "lib/foreign.h"

/* How a server makes its unique-ids. */
struct foreign_server {
	const char *name;
	enum foreign_source source;
	const char *list;   /* the file name of its list, or NULL */
	const char *format; /* the default one, or NULL: it has no formats */
	/* from a unique name; NULL if the name alone does not say it */
	size_t (*of_name)(char uid[FOREIGN_UID_OCTETS], const char *unique, size_t octets);
	/* see foreign_take_line; NULL without a list */
	enum foreign_line (*take_line)(struct foreign_list *list, const char *line,
		size_t octets, struct foreign_record *record);
};

/* foreign_list.c */

enum foreign_line foreign_take_dovecot(struct foreign_list *list, const char *line,
	size_t octets, struct foreign_record *record);
enum foreign_line foreign_take_courier(struct foreign_list *list, const char *line,
	size_t octets, struct foreign_record *record);

#endif
