/* libetpan's POP3 interface. */
#include <libetpan/libetpan.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int code, const char *what)
{
	if (code == MAILPOP3_NO_ERROR)
		return;
	fprintf(stderr, "%s: error %d\n", what, code);
	exit(1);
}

int main(int argc, char **argv)
{
	mailpop3 *pop = mailpop3_new(0, NULL);
	carray *list;
	int there = 0;

	if (argc != 10)
		return 100;
	if (strcmp(argv[3], "tls") == 0)
		must(mailpop3_ssl_connect(pop, argv[1], (uint16_t)atoi(argv[2])), "connect");
	else
		must(mailpop3_socket_connect(pop, argv[1], (uint16_t)atoi(argv[2])), "connect");
	if (strcmp(argv[3], "stls") == 0)
		must(mailpop3_socket_starttls(pop), "stls");
	must(mailpop3_user(pop, argv[4]), "user");
	must(mailpop3_pass(pop, argv[5]), "pass");
	must(mailpop3_list(pop, &list), "list");
	there = atoi(argv[9]);
	for (unsigned int n = 0; n < carray_count(list); n++) {
		struct mailpop3_msg_info *info = carray_get(list, n);
		char path[4096], *octets;
		size_t length;
		FILE *file;

		must(mailpop3_retr(pop, info->msg_index, &octets, &length), "retr");
		snprintf(path, sizeof(path), "%s/%05d", argv[7], there + (int)n);
		file = fopen(path, "w");
		if (file == NULL || fwrite(octets, 1, length, file) != length ||
			fclose(file) != 0)
			return 2;
		mailpop3_retr_free(octets);
		if (strcmp(argv[8], "delete") == 0)
			must(mailpop3_dele(pop, info->msg_index), "dele");
	}
	must(mailpop3_quit(pop), "quit");
	mailpop3_free(pop);
	return 0;
}
