/* material: see material.h. Runs with the launch privileges. */
#include "tls/material.h"

#include <errno.h>
#include <string.h>

#include "os/log.h"
#include "tls/ticketfile.h"

/* Without a path there is nothing to read. */
static bool read_one(const char *path, struct file_octets *octets)
{
	if (path == NULL || file_read(path, octets, NULL))
		return true;
	log_event(LOG_ERR, "tls-configuration file=%s problem=\"%s\"", path, strerror(errno));
	return false;
}

static bool read_all(struct tls_material *m, const struct tls_options *o)
{
	for (; m->pair_count < o->pair_count; m->pair_count++) {
		const struct tls_pair *const paths = &o->pairs[m->pair_count];
		struct tls_material_pair *const pair = &m->pairs[m->pair_count];

		if (!read_one(paths->cert, &pair->cert) || !read_one(paths->key, &pair->key) ||
			!read_one(paths->ocsp, &pair->ocsp))
			return false;
	}
	return read_one(o->client_ca, &m->client_ca) &&
	       (o->ticket_keys == NULL || ticketfile_read(o->ticket_keys, &m->tickets));
}

bool tls_material_read(struct tls_material *m, const struct tls_options *o)
{
	memset(m, 0, sizeof *m);
	if (read_all(m, o))
		return true;
	tls_material_forget(m);
	return false;
}

void tls_material_forget(struct tls_material *m)
{
	for (size_t i = 0; i < TLS_PAIRS; i++) {
		file_forget(&m->pairs[i].cert);
		file_forget(&m->pairs[i].key);
		file_forget(&m->pairs[i].ocsp);
	}
	file_forget(&m->client_ca);
	explicit_bzero(m, sizeof *m);
}
