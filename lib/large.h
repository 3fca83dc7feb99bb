/* large: where static objects of many pages are placed. */
#ifndef LARGE_H
#define LARGE_H

/* For a static object without initial values of which a process touches a few pages only. Such
 * objects come after all others (lib/large.ld), so that the small ones share few pages: each
 * page that is written costs a fault, a copy after fork, and its release. The sanitizers watch
 * only the edges of objects that are in no section of their own. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LARGE
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LARGE
#endif

#ifndef LARGE
#define LARGE __attribute__((section(".bss.large")))
#endif

#endif
