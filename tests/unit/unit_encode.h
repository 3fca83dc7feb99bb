/* unit_encode: encode.c once more, compiled as on machines without vectors. Its functions are
 * called portable_encode and so on, and exist beside those of the library. */
#ifndef UNIT_ENCODE_H
#define UNIT_ENCODE_H

#include "lib/encode.h"

__typeof__(encode) portable_encode;
__typeof__(encode_end) portable_encode_end;
__typeof__(encode_count) portable_encode_count;
__typeof__(encode_count_end) portable_encode_count_end;
__typeof__(encode_top_start) portable_top_start;
__typeof__(encode_top_extent) portable_top_extent;

#define ENCODE_PORTABLE
#define encode portable_encode
#define encode_end portable_encode_end
#define encode_count portable_encode_count
#define encode_count_end portable_encode_count_end
#define encode_top_start portable_top_start
#define encode_top_extent portable_top_extent

#include "lib/encode.c"

#undef encode
#undef encode_end
#undef encode_count
#undef encode_count_end
#undef encode_top_start
#undef encode_top_extent

#endif
