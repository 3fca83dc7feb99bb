/* exchange: the command AUTH (RFC 5034) and the exchange of challenges that it begins. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "pop3/command.h"

/* Serves AUTH; state is the struct conversation. AUTH without a mechanism lists those that are
 * offered. */
enum command_result exchange_command(void *state, const struct command_input *input);

#endif
