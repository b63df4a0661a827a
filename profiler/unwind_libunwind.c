/* SPDX-License-Identifier: MIT */
/*
 * unwind_libunwind.c - libunwind over copied bytes: the reference for the rows.
 *
 * libunwind's remote interface asks for memory, registers and unwind tables through callbacks; here
 * these are answered from the copied stack and from the target's read-only pages. There is no
 * ptrace in it. Its one bad habit on x86-64 is to guess by frame pointer where it finds no table;
 * such a step is noticed (the table callback failed) and thrown away. It knows the registers of the
 * processor that it was built for and of no other: a core file from elsewhere has no tables for it.
 */
#include "unwind.h"

#include <elf.h>
#include <gelf.h>
#include <libunwind.h>
#include <stdlib.h>
#include <string.h>
#include "cfi.h"

#define PAGE_SIZE 4096u
#define NPAGES	  64u

/* Where libunwind finds a table that we made ourselves: no address of any user's memory. */
#define TABLE_ADDRESS 0x8000000000000000ull

/* libunwind's own search in a table of .eh_frame_hdr; exported for remote users such as perf. */
#define search_unwind_table UNW_OBJ(dwarf_search_unwind_table)
extern int search_unwind_table(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *,
			       int, void *);

struct page {
	uint64_t address; /* 0: empty */
	uint8_t bytes[PAGE_SIZE];
};

struct unwind_reference {
	struct target *target;
	struct modules *modules;
	unw_addr_space_t space;
	const struct unwind_stack *stack; /* the one that is being unwound */
	bool more;			  /* it touched bytes that were not copied */
	bool no_table;			  /* the last step had no table */
	struct module *last;		  /* whose table `info` describes */
	unw_dyn_info_t info;
	int32_t (*table)[2]; /* of `last`, if it came without one: start, entry; rising */
	size_t table_size;   /* bytes */
	struct page pages[NPAGES];
};

/* ---- memory and registers -------------------------------------------------------------------- */

static bool read_bytes(struct unwind_reference *ref, uint64_t address, void *to, size_t len)
{
	while (len) {
		uint64_t base = address & ~(uint64_t)(PAGE_SIZE - 1);
		struct page *page = &ref->pages[base / PAGE_SIZE % NPAGES];
		size_t at = address - base;
		size_t n = PAGE_SIZE - at < len ? PAGE_SIZE - at : len;

		if (page->address != base || !base) {
			bool ok;

			page->address = 0;
			goro_error_free(
				target_read_at(ref->target, base, page->bytes, PAGE_SIZE, &ok));
			if (!ok)
				return false;
			page->address = base;
		}
		memcpy(to, page->bytes + at, n);
		to = (char *)to + n;
		address += n;
		len -= n;
	}
	return true;
}

/*
 * Tables, and pointers in them, do not change. What else there is in memory of no file, stacks
 * above all, may be another moment's by now.
 */
static bool read_elsewhere(struct unwind_reference *ref, uint64_t address, unw_word_t *value)
{
	const struct target_map *map = target_maps_find(&ref->modules->maps, address);
	bool ok = false;

	if (!map || !map->writable || map->inode)
		return read_bytes(ref, address, value, sizeof *value);
	if (ref->stack->still)
		goro_error_free(target_read_at(ref->target, address, value, sizeof *value, &ok));
	return ok;
}

static int access_mem(unw_addr_space_t space, unw_word_t address, unw_word_t *value, int write,
		      void *arg)
{
	struct unwind_reference *ref = arg;
	const struct unwind_stack *s = ref->stack;

	(void)space;
	if (write)
		return -UNW_EINVAL;
	if (address >= s->sp && address < s->hi) {
		uint64_t v;
		enum unwind_status status = unwind_load(s, address, &v);

		ref->more |= status == UNWIND_MORE;
		*value = v;
		return status == UNWIND_DONE ? 0 : -UNW_EINVAL;
	}
	if (address >= TABLE_ADDRESS) {
		if (address - TABLE_ADDRESS > ref->table_size ||
		    ref->table_size - (address - TABLE_ADDRESS) < sizeof *value)
			return -UNW_EINVAL;
		memcpy(value, (char *)ref->table + (address - TABLE_ADDRESS), sizeof *value);
		return 0;
	}
	return read_elsewhere(ref, address, value) ? 0 : -UNW_EINVAL;
}

static int access_reg(unw_addr_space_t space, unw_regnum_t reg, unw_word_t *value, int write,
		      void *arg)
{
	struct unwind_reference *ref = arg;
	const struct unwind_stack *s = ref->stack;
	const struct unwind_layout *layout = s->layout;
	uint64_t pc, sp, v;
	enum unwind_status status;

	(void)space;
	if (write)
		return -UNW_EINVAL;
	if (s->registers && reg >= 0 && reg < 32 && reg != UNW_REG_IP && reg != UNW_REG_SP) {
		*value = s->registers->reg[reg];
		return s->registers->have >> reg & 1 ? 0 : -UNW_EBADREG;
	}
	status = unwind_start(s, &pc, &sp);
	if (reg == UNW_REG_IP) {
		/* The saved one is a return address, but libunwind looks for the table of the
		 * first pc itself. */
		v = pc - 1;
	} else if (reg == UNW_REG_SP) {
		v = sp;
	} else if (reg >= 0 && reg < 64 && layout->saved_reg[reg] != 0xffff) {
		status = unwind_load(s, s->sp + layout->saved_reg[reg], &v);
	} else {
		return -UNW_EBADREG;
	}
	ref->more |= status == UNWIND_MORE;
	*value = v;
	return status == UNWIND_DONE ? 0 : -UNW_EINVAL;
}

static int access_fpreg(unw_addr_space_t space, unw_regnum_t reg, unw_fpreg_t *value, int write,
			void *arg)
{
	(void)space, (void)reg, (void)value, (void)write, (void)arg;
	return -UNW_EBADREG;
}

static int get_proc_name(unw_addr_space_t space, unw_word_t address, char *name, size_t len,
			 unw_word_t *offset, void *arg)
{
	(void)space, (void)address, (void)name, (void)len, (void)offset, (void)arg;
	return -UNW_ENOINFO;
}

static int resume(unw_addr_space_t space, unw_cursor_t *cursor, void *arg)
{
	(void)space, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}

static int get_dyn_info_list_addr(unw_addr_space_t space, unw_word_t *address, void *arg)
{
	(void)space, (void)address, (void)arg;
	return -UNW_ENOINFO;
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* Describe a module's .eh_frame_hdr, as the linkers write it: 4-byte offsets, sorted. */
static bool find_table(struct unwind_reference *ref, struct module *m, const GElf_Phdr *ph)
{
	static const uint8_t expected[4] = { 1, 0x1b, 0x03, 0x3b };
	uint64_t address = ph->p_vaddr + m->bias;
	struct {
		uint8_t encodings[4];
		uint32_t eh_frame;
		uint32_t count;
	} hdr;

	if (!read_bytes(ref, address, &hdr, sizeof hdr) ||
	    memcmp(hdr.encodings, expected, sizeof expected) != 0 ||
	    (uint64_t)hdr.count * 8 + sizeof hdr > ph->p_memsz)
		return false;
	ref->info.u.rti.segbase = address;
	ref->info.u.rti.table_data = address + sizeof hdr;
	ref->info.u.rti.table_len = (uint64_t)hdr.count * 8 / sizeof(unw_word_t);
	return true;
}

/* Static executables come without: make it of .eh_frame. */
static bool make_table(struct unwind_reference *ref, struct module *m)
{
	struct cfi_section s = { .eh = true, .machine = m->machine };
	struct cfi_entry *entries;
	size_t n;

	s.data = module_section(m, ".eh_frame", &s.size, &s.address);
	entries = s.data ? cfi_index(&s, &n) : NULL;
	free(ref->table);
	ref->table = entries ? calloc(n, sizeof *ref->table) : NULL;
	ref->table_size = ref->table ? n * sizeof *ref->table : 0;
	for (size_t i = 0; ref->table && i < n; i++) {
		ref->table[i][0] = (int32_t)(entries[i].start - s.address);
		ref->table[i][1] = (int32_t)(entries[i].address - s.address);
	}
	free(entries);
	ref->info.u.rti.segbase = s.address + m->bias;
	ref->info.u.rti.table_data = TABLE_ADDRESS;
	ref->info.u.rti.table_len = ref->table_size / sizeof(unw_word_t);
	return ref->table != NULL;
}

static bool use_module(struct unwind_reference *ref, struct module *m)
{
	bool found = false;
	size_t n;

	if (ref->last == m)
		return true;
	ref->last = NULL;
	if (!m->elf || elf_getphdrnum(m->elf, &n) < 0)
		return false;
	ref->info = (unw_dyn_info_t){
		.start_ip = m->lo,
		.end_ip = m->hi,
		.format = UNW_INFO_FORMAT_REMOTE_TABLE,
	};
	for (size_t i = 0; i < n && i < 4096 && !found; i++) {
		GElf_Phdr ph;

		found = gelf_getphdr(m->elf, (int)i, &ph) && ph.p_type == PT_GNU_EH_FRAME &&
			find_table(ref, m, &ph);
	}
	if (!found && !make_table(ref, m))
		return false;
	ref->last = m;
	return true;
}

/* The linker puts it at our own ELF header. */
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

static int find_proc_info(unw_addr_space_t space, unw_word_t ip, unw_proc_info_t *info, int need,
			  void *arg)
{
	struct unwind_reference *ref = arg;
	const struct module_text *text = modules_find_text(ref->modules, ip);
	int status = -UNW_ENOINFO;

	if (text && text->module && text->module->machine == __ehdr_start.e_machine &&
	    use_module(ref, text->module))
		status = search_unwind_table(space, ip, &ref->info, info, need, arg);
	if (status < 0)
		ref->no_table = true;
	return status;
}

/* It lies in a pool of libunwind's that only libunwind itself can give back. */
static void put_unwind_info(unw_addr_space_t space, unw_proc_info_t *info, void *arg)
{
	(void)space, (void)info, (void)arg;
}

/* ---- interface ------------------------------------------------------------------------------- */

struct unwind_reference *unwind_reference_new(struct target *t, struct modules *ms)
{
	static unw_accessors_t accessors = {
		.find_proc_info = find_proc_info,
		.put_unwind_info = put_unwind_info,
		.get_dyn_info_list_addr = get_dyn_info_list_addr,
		.access_mem = access_mem,
		.access_reg = access_reg,
		.access_fpreg = access_fpreg,
		.resume = resume,
		.get_proc_name = get_proc_name,
	};
	struct unwind_reference *ref = calloc(1, sizeof *ref);

	if (!ref)
		return NULL;
	ref->target = t;
	ref->modules = ms;
	ref->space = unw_create_addr_space(&accessors, 0);
	if (!ref->space) {
		free(ref);
		return NULL;
	}
	unw_set_caching_policy(ref->space, UNW_CACHE_GLOBAL);
	return ref;
}

void unwind_reference_free(struct unwind_reference *ref)
{
	if (!ref)
		return;
	unw_destroy_addr_space(ref->space);
	free(ref->table);
	free(ref);
}

bool unwind_reference_lacked_table(const struct unwind_reference *ref)
{
	return ref->no_table;
}

static enum unwind_status result(const struct unwind_reference *ref)
{
	return ref->more ? UNWIND_MORE : UNWIND_DONE;
}

static void note_frame(const struct unwind_stack *s, unw_cursor_t *cursor, struct unwind_frame *f)
{
	unw_proc_info_t function;

	f->have = 0;
	f->end = unw_get_proc_info(cursor, &function) == 0 ? function.end_ip : 0;
	for (unsigned reg = 0; reg < UNWIND_REGISTERS; reg++) {
		unw_save_loc_t where;
		unw_word_t value;

		f->at[reg] = 0;
		if (unw_get_reg(cursor, (unw_regnum_t)reg, &value) < 0)
			continue;
		f->value[reg] = value;
		f->have |= 1u << reg;
		if (unw_get_save_loc(cursor, (int)reg, &where) < 0)
			continue;
		if (where.type == UNW_SLT_MEMORY)
			f->at[reg] = where.u.addr;
		else if (where.type == UNW_SLT_REG && !s->registers &&
			 s->layout->saved_reg[reg] != 0xffff)
			f->at[reg] = s->sp + s->layout->saved_reg[reg]; /* the switch saved it */
	}
}

enum unwind_status unwind_by_libunwind(struct unwind_reference *ref, const struct unwind_stack *s,
				       struct unwind_result *r, struct unwind_frame *frames,
				       unsigned most)
{
	const struct unwind_layout *layout = s->layout;
	unw_cursor_t cursor;
	uint64_t last_sp = s->sp, hi = s->hi;
	bool exact; /* the pc is that of an instruction, not of a call */

	r->n = 0;
	r->end_sp = 0;
	r->complete = r->by_frame_pointer = false;
	ref->stack = s;
	ref->more = ref->no_table = false;
	if (unw_init_remote(&cursor, ref->space, ref) < 0)
		return result(ref);
	while (r->n < UNWIND_MAX_FRAMES) {
		unw_word_t pc, sp;
		int stepped;

		if (unw_get_reg(&cursor, UNW_REG_IP, &pc) < 0 ||
		    unw_get_reg(&cursor, UNW_REG_SP, &sp) < 0)
			break;
		/*
		 * libunwind says so of what the signal came upon; nor has anybody called what the
		 * handler returns to: it is at its first instruction.
		 */
		exact = !r->n || unw_is_signal_frame(&cursor) > 0;
		if (exact && r->n)
			r->pcs[r->n - 1]++;
		/* From a signal's stack down to the one that was interrupted; and never back. */
		if (hi == s->hi && exact && r->n && sp >= s->under_lo && sp < s->under_hi) {
			last_sp = sp;
			hi = s->under_hi;
		}
		if (sp < last_sp || sp > hi)
			break;
		pc += exact; /* see access_reg() */
		if (!modules_find_text(ref->modules, pc - 1))
			break;
		/* A call has pushed something, but who goes on with a jump has not. */
		last_sp = sp + !exact;
		if (frames && r->n < most) {
			/* Who has switched goes on behind it, as behind a call. */
			frames[r->n] = (struct unwind_frame){
				.pc = pc, .sp = sp, .exact = exact && (r->n || s->registers)
			};
			note_frame(s, &cursor, &frames[r->n]);
		}
		r->pcs[r->n++] = pc;
		if (pc >= layout->entry_lo && pc < layout->entry_hi) {
			r->complete = true;
			r->end_sp = sp;
			break;
		}
		stepped = unw_step(&cursor);
		if (ref->more || ref->no_table || stepped < 0)
			break;
		if (stepped == 0) {
			r->complete = s->main;
			break;
		}
	}
	return result(ref);
}
