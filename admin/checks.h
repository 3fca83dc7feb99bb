/* checks: what pop3d --check looks at. Each function puts its findings. */
#ifndef CHECKS_H
#define CHECKS_H

/* The time, which certificates and the names of messages need. */
void check_clock(void);

/* What confines the processes that talk to strangers. */
void check_kernel(void);

#endif
