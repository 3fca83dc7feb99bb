/* material: see material.h. Runs with the launch privileges. */
#include "tls/material.h"

#include <errno.h>
#include <string.h>

#include "os/log.h"
#include "tls/ticketfile.h"

/* Without a path there is nothing to read. */
static bool read_one(const char *path, struct file_octets *octets, struct stat *st)
{
	if (path == NULL || file_read(path, octets, st))
		return true;
	log_event(LOG_ERR, "tls-configuration file=%s problem=\"%s\"", path, strerror(errno));
	return false;
}

static bool read_pair(struct tls_material_pair *pair, const struct tls_pair *paths)
{
	struct stat cert, key;

	if (!read_one(paths->cert, &pair->cert, &cert) ||
		!read_one(paths->key, &pair->key, &key) ||
		!read_one(paths->ocsp, &pair->ocsp, NULL))
		return false;
	if (paths->key != NULL)
		tls_material_warn_exposed(paths->key, &key);
	else if (paths->cert != NULL)
		tls_material_warn_exposed(paths->cert, &cert);
	return true;
}

/* Tickets only save time: without good keys, clients do full handshakes. */
static void read_tickets(struct ticket_keys *keys, const char *path)
{
	if (path != NULL && !ticketfile_read(path, keys))
		log_event(LOG_WARNING,
			"tls-no-tickets file=%s help=\"sessions cannot be resumed, make the "
			"file "
			"anew with pop3d-tls --make-ticket-keys\"",
			path);
}

static bool read_all(struct tls_material *m, const struct tls_options *o)
{
	for (; m->pair_count < o->pair_count; m->pair_count++)
		if (!read_pair(&m->pairs[m->pair_count], &o->pairs[m->pair_count]))
			return false;
	read_tickets(&m->tickets, o->ticket_keys);
	return read_one(o->client_ca, &m->client_ca, NULL);
}

void tls_material_warn_exposed(const char *path, const struct stat *st)
{
	if ((st->st_mode & S_IRWXO) != 0)
		log_event(LOG_WARNING,
			"tls-key-exposed file=%s help=\"every user of this host can read the "
			"private key: chmod o-rwx\"",
			path);
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
