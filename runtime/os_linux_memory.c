/* SPDX-License-Identifier: MIT */
/*
 * os_linux_memory.c - the system calls for memory: address space, guards, what observers are told.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#define MADV_GUARD_REMOVE  103
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

static size_t whole_pages(size_t size)
{
	return (size + os_page_size() - 1) & ~(os_page_size() - 1);
}

/*
 * All memory that the runtime has for itself comes from here, so here observers are told of it: to
 * them it is opaque, see goro_introspect.h. The rest of its last page is, too.
 */
void *os_reserve(size_t size)
{
	void *p;

	size = whole_pages(size);
	p = QUIETLY(mmap(NULL, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
	if (p == MAP_FAILED)
		return NULL;
	goro_region_add(p, size, GORO_REGION_OPAQUE);
	return p;
}

/* To read, for ever. NULL as path: the program's own file. */
const void *os_map_file(const char *path, size_t *size)
{
	int fd = open(path ? path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct stat st;
	void *p = MAP_FAILED;

	if (fd < 0)
		return NULL;
	if (!fstat(fd, &st) && st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	*size = (size_t)st.st_size;
	return p == MAP_FAILED ? NULL : p;
}

/* The kernel lays mappings side by side, so what comes after an aligned one mostly is, too. */
void *os_reserve_aligned(size_t size, size_t align)
{
	char *p = os_reserve(size);
	size_t before;

	if (!p || !((uintptr_t)p % align))
		return p;
	os_unreserve(p, size);
	p = os_reserve(size + align);
	if (!p)
		return NULL;
	before = -(uintptr_t)p % align;
	if (before)
		os_unreserve(p, before);
	os_unreserve(p + before + size, align - before);
	return p + before;
}

void os_unreserve(void *addr, size_t size)
{
	size = whole_pages(size);
	/* First: the next mapping there may be the program's. */
	goro_region_remove(addr, size, GORO_REGION_OPAQUE);
	QUIETLY(munmap(addr, size));
}

void os_huge_pages(void *addr, size_t size)
{
	QUIETLY(madvise(addr, size, MADV_HUGEPAGE));
}

void os_no_huge_pages(void *addr, size_t size)
{
	QUIETLY(madvise(addr, size, MADV_NOHUGEPAGE));
}

void os_discard(void *addr, size_t size)
{
	QUIETLY(madvise(addr, size, MADV_DONTNEED));
}

static int write_to_bss(struct dl_phdr_info *info, size_t size, void *unused)
{
	const uintptr_t page = os_page_size();

	(void)size, (void)unused;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t data = info->dlpi_addr + ph->p_vaddr + ph->p_filesz;
		uintptr_t bss = (data + page - 1) & ~(page - 1);

		if (ph->p_type == PT_LOAD && (ph->p_flags & PF_W) &&
		    bss < info->dlpi_addr + ph->p_vaddr + ph->p_memsz)
			madvise((void *)bss, page, MADV_POPULATE_WRITE);
	}
	return 0;
}

/*
 * In a core file a map to which nobody wrote looks like one that was left out of it, and who looks
 * for pointers must take it for that (profiler/reach_gaps.c). Some library's bss nearly always is
 * such a map, until now: a page of each is made to be there, which fails where it may not.
 */
void os_write_to_modules(void)
{
	dl_iterate_phdr(write_to_bss, NULL);
}

size_t os_page_size(void)
{
	static size_t size;

	if (!size)
		size = (size_t)sysconf(_SC_PAGESIZE);
	return size;
}

uintptr_t os_first_resident(uintptr_t lo, uintptr_t hi)
{
	unsigned char in_memory[1024];
	size_t page = os_page_size();

	while (lo < hi) {
		size_t n = (hi - lo) / page;

		n = n < sizeof(in_memory) ? n : sizeof(in_memory);
		if (QUIETLY(mincore((void *)lo, n * page, in_memory)))
			return hi;
		for (size_t i = 0; i < n; i++, lo += page)
			if (in_memory[i] & 1)
				return lo;
	}
	return hi;
}

bool os_write_allow(void *addr, size_t size, bool allow)
{
	uintptr_t lo = (uintptr_t)addr & -os_page_size();

	size += (uintptr_t)addr - lo;
	return !QUIETLY(mprotect((void *)lo, size, allow ? PROT_READ | PROT_WRITE : PROT_READ));
}

/* Linux' default, where we are not told. */
uint32_t os_most_mappings(void)
{
	int fd = QUIETLY(open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC));
	uint32_t most = 0;
	char text[16];
	ssize_t n;

	if (fd < 0)
		return 65530;
	n = QUIETLY(read(fd, text, sizeof(text)));
	QUIETLY(close(fd));
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9' && most < 100000000; i++)
		most = most * 10 + (uint32_t)(text[i] - '0');
	return n > 0 ? most : 65530;
}

uint32_t os_count_mappings(uint32_t most)
{
	int fd = QUIETLY(open("/proc/self/maps", O_RDONLY | O_CLOEXEC));
	uint32_t lines = 0;
	char text[4096];
	ssize_t n = -1;

	if (fd < 0)
		return most;
	while (lines < most && (n = QUIETLY(read(fd, text, sizeof(text)))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	QUIETLY(close(fd));
	return n < 0 || lines > most ? most : lines;
}

static bool no_marks = SAN_NEEDS_MAPPINGS;

/*
 * Make the pages fault. The mark in the page table is tried, not looked up by version: a kernel
 * that lacks it says EINVAL. Each PROT_NONE guard costs two mappings of vm.max_map_count, of which
 * the program must keep some, so they end at a budget.
 */
bool os_guard(void *addr, size_t size)
{
	static uint32_t mappings;

	if (!__atomic_load_n(&no_marks, __ATOMIC_RELAXED)) {
		if (!QUIETLY(madvise(addr, size, MADV_GUARD_INSTALL)))
			return true;
		__atomic_store_n(&no_marks, true, __ATOMIC_RELAXED);
	}
	if (__atomic_fetch_add(&mappings, 2, __ATOMIC_RELAXED) > 30000) {
		__atomic_fetch_sub(&mappings, 2, __ATOMIC_RELAXED);
		return false;
	}
	return !QUIETLY(mprotect(addr, size, PROT_NONE));
}

/* What lies above them begins a mapping of its own. */
bool os_guard_by_mapping(void *addr, size_t size)
{
	return !QUIETLY(mprotect(addr, size, PROT_NONE));
}

/*
 * Take guards away with all else, and mappings if some of them are. False: nothing was done, this
 * kernel has no marks. The last call frees page tables only where one mapping has all of them.
 */
bool os_unguard_discard(void *addr, size_t size, bool mappings)
{
	if (__atomic_load_n(&no_marks, __ATOMIC_RELAXED) ||
	    QUIETLY(madvise(addr, size, MADV_GUARD_REMOVE)))
		return false;
	if (mappings)
		QUIETLY(mprotect(addr, size, PROT_READ | PROT_WRITE));
	os_discard(addr, size);
	return true;
}
