/* relro: see relro.h. */
#include "os/relro.h"

#ifndef __GLIBC__

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

/* The program's own header, which the linker names. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

bool relro_apply(void)
{
	const uintptr_t header = (uintptr_t)&__ehdr_start;
	const ElfW(Phdr) *const parts =
		(const ElfW(Phdr) *)(const void *)(header + __ehdr_start.e_phoff);
	const uintptr_t base = __ehdr_start.e_type == ET_DYN ? header : 0;
	const uintptr_t whole_pages = ~((uintptr_t)getauxval(AT_PAGESZ) - 1);

	for (size_t i = 0; i < __ehdr_start.e_phnum; i++) {
		const uintptr_t start = (base + parts[i].p_vaddr) & whole_pages;
		const uintptr_t end =
			(base + parts[i].p_vaddr + parts[i].p_memsz) & whole_pages;

		if (parts[i].p_type == PT_GNU_RELRO)
			return mprotect((void *)start, end - start, PROT_READ) == 0;
	}
	return true;
}

#else

/* The dynamic linker and the start of static programs do it. */
bool relro_apply(void)
{
	return true;
}

#endif
