/* What the system's crypt.h takes from a header that musl does not have. */
#ifndef CHECKPW_MUSL_CDEFS_H
#define CHECKPW_MUSL_CDEFS_H

#define __BEGIN_DECLS
#define __END_DECLS
#define __THROW

#endif
