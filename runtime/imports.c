/* SPDX-License-Identifier: MIT */
/*
 * imports.c - functions of our own where the program's modules call those of a library.
 *
 * A module calls another one's function through a word of its own that the dynamic linker fills;
 * its relocations say which words those are. We write our function's address there. So it takes no
 * second library to preload, works for the static libgoro as for the shared one, and costs nothing
 * when it is not asked for. Any relocation that names an undefined function is such a word: of a
 * call, of a pointer in a table, on every architecture. (The exception, code that is not position
 * independent in a library, says so itself.)
 *
 * Rejected: to define the library's names ourselves (all would pay, always, and the next library
 * that does so is cut off); LD_PRELOAD (somebody must know where the library lies, and set it).
 */
#include "imports.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

#include "runtime.h"

enum { MODULES_MAX = 4096 };

struct replacing {
	struct import *v;
	size_t n;
	uintptr_t except;
	bool is_first; /* the program itself comes first */
	bool only_look;
};

struct dynamic {
	uintptr_t base;
	const ElfW(Sym) * symbols;
	const char *names;
	uintptr_t relro_lo, relro_hi;
};

/* glibc turns offsets into addresses where it can write them. */
static uintptr_t address(uintptr_t base, uintptr_t value)
{
	return value < base ? base + value : value;
}

static void put(const struct dynamic *d, uintptr_t *slot, void *value)
{
	bool locked = (uintptr_t)slot >= d->relro_lo && (uintptr_t)slot < d->relro_hi;

	if (*slot == (uintptr_t)value || (locked && !os_write_allow(slot, sizeof(*slot), true)))
		return;
	/* Others may be calling through it. */
	__atomic_store_n(slot, (uintptr_t)value, __ATOMIC_RELEASE);
	if (locked)
		os_write_allow(slot, sizeof(*slot), false);
}

/*
 * A program at a fixed address that takes a function's address has made its own jump to it the
 * function, for all modules: and that jump goes through the word that we are about to change.
 */
static void look_through(const struct dynamic *d, const ElfW(Sym) * sym, struct import *import)
{
	if (sym->st_value && (uintptr_t)import->real == d->base + sym->st_value)
		import->real = dlsym(RTLD_NEXT, import->name);
}

static void replace_in(const struct replacing *r, const struct dynamic *d, const ElfW(Rela) * rela,
		       size_t size)
{
	for (size_t i = 0; rela && i < size / sizeof(*rela); i++) {
		const ElfW(Sym) *sym = &d->symbols[ELF64_R_SYM(rela[i].r_info)];
		const char *name = d->names + sym->st_name;

		if (!ELF64_R_SYM(rela[i].r_info) || sym->st_shndx != SHN_UNDEF || rela[i].r_addend)
			continue;
		for (size_t k = 0; k < r->n; k++) {
			if (!r->v[k].real || strcmp(name, r->v[k].name) != 0)
				continue;
			if (r->only_look)
				look_through(d, sym, &r->v[k]);
			else
				put(d, (uintptr_t *)(d->base + rela[i].r_offset), r->v[k].mine);
		}
	}
}

static bool contains(const struct dl_phdr_info *info, uintptr_t addr)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_LOAD && addr - (info->dlpi_addr + ph->p_vaddr) < ph->p_memsz)
			return true;
	}
	return false;
}

static int in_module(struct dl_phdr_info *info, size_t unused, void *arg)
{
	struct replacing *r = arg;
	struct dynamic d = { .base = info->dlpi_addr };
	const ElfW(Rela) *calls = NULL, *others = NULL;
	size_t calls_size = 0, others_size = 0;
	const ElfW(Dyn) *dyn = NULL;
	bool is_first = r->is_first, has_text = false;

	(void)unused;
	r->is_first = false;
	if (!is_first && contains(info, r->except))
		return 0;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];

		if (ph->p_type == PT_DYNAMIC)
			dyn = (const void *)(d.base + ph->p_vaddr);
		if (ph->p_type == PT_GNU_RELRO) {
			d.relro_lo = d.base + ph->p_vaddr;
			d.relro_hi = d.relro_lo + ph->p_memsz;
		}
	}
	for (; dyn && dyn->d_tag != DT_NULL; dyn++) {
		uintptr_t at = address(d.base, dyn->d_un.d_ptr);

		switch (dyn->d_tag) {
		case DT_SYMTAB:
			d.symbols = (const void *)at;
			break;
		case DT_STRTAB:
			d.names = (const void *)at;
			break;
		case DT_JMPREL:
			calls = (const void *)at;
			break;
		case DT_PLTRELSZ:
			calls_size = dyn->d_un.d_val;
			break;
		case DT_RELA:
			others = (const void *)at;
			break;
		case DT_RELASZ:
			others_size = dyn->d_un.d_val;
			break;
		case DT_TEXTREL:
			has_text = true;
			break;
		default:
			break;
		}
	}
	if (!d.symbols || !d.names || has_text)
		return 0;
	replace_in(r, &d, calls, calls_size);
	replace_in(r, &d, others, others_size);
	return r->only_look;
}

bool goro_imports_prepare(struct import *v, size_t n)
{
	struct replacing r = { v, n, 0, true, true };

	if (!getauxval(AT_BASE))
		return false;
	dl_iterate_phdr(in_module, &r);
	return true;
}

/*
 * A module is in the list before its words are filled and its pages are protected, which dlopen()
 * does meanwhile, perhaps. It holds a lock that dladdr() takes, too: when we have had that, all
 * that were in the list before are ready. The others' turn comes when the number of modules is
 * looked at again.
 */
static struct {
	uint32_t busy;
	uint32_t n;
	uintptr_t base[MODULES_MAX];
	unsigned long long unloaded;
} ready;

static int note_module(struct dl_phdr_info *info, size_t unused, void *arg)
{
	(void)unused;
	(void)arg;
	ready.unloaded = info->dlpi_subs;
	if (ready.n < MODULES_MAX)
		ready.base[ready.n++] = info->dlpi_addr;
	return 0;
}

static int if_ready(struct dl_phdr_info *info, size_t size, void *arg)
{
	if (info->dlpi_subs != ready.unloaded)
		return -1;
	for (uint32_t i = 0; i < ready.n; i++) {
		if (ready.base[i] == info->dlpi_addr)
			return in_module(info, size, arg);
	}
	((struct replacing *)arg)->is_first = false;
	return 0;
}

bool goro_imports_replace(struct import *v, size_t n, const void *except)
{
	struct replacing r = { v, n, (uintptr_t)except, true, false };
	Dl_info unused;
	bool done;

	if (__atomic_exchange_n(&ready.busy, 1, __ATOMIC_ACQUIRE))
		return false;
	ready.n = 0;
	dl_iterate_phdr(note_module, NULL);
	dladdr(except, &unused);
	done = !dl_iterate_phdr(if_ready, &r);
	__atomic_store_n(&ready.busy, 0, __ATOMIC_RELEASE);
	return done;
}

static int count_loaded(struct dl_phdr_info *info, size_t unused, void *arg)
{
	(void)unused;
	*(unsigned long long *)arg = info->dlpi_adds;
	return 1;
}

unsigned long long goro_imports_loaded(void)
{
	unsigned long long n = 0;

	dl_iterate_phdr(count_loaded, &n);
	return n;
}
