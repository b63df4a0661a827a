/* SPDX-License-Identifier: MIT */
/*
 * fake.c - see fake.h.
 */
#include "fake.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "scope.h"

#define NOTE	 0x200u
#define CONTRACT 0x400u
#define FIELDS	 0x1000u
#define CHUNKS	 0x2000u
#define PS	 0x2100u
#define MS	 0x2110u
#define P	 0x2200u
#define M	 0x2300u
#define REASONS	 0x3000u
#define BOOKS	 0x4000u
#define ACCOUNTS 0x4100u
#define SITES	 0x5000u
#define SAVED	 24u /* the switch's frame: frame pointer, something, pc */

/* ---- the target ------------------------------------------------------------------------------ */

static struct fake_segment *segment_of(struct fake *f, uint64_t address, size_t len)
{
	for (size_t i = 0; i < f->nsegments; i++) {
		struct fake_segment *s = &f->segments[i];

		if (address >= s->address && len <= s->size &&
		    address - s->address <= s->size - len)
			return s;
	}
	return NULL;
}

static struct goro_error *fake_maps(struct target *t, struct target_maps *ret)
{
	struct fake *f = (struct fake *)t;

	ret->v = calloc(f->nsegments, sizeof *ret->v);
	ret->n = f->nsegments;
	assert_non_null(ret->v);
	for (size_t i = 0; i < f->nsegments; i++)
		ret->v[i] = (struct target_map){
			.lo = f->segments[i].address,
			.hi = f->segments[i].address + f->segments[i].size,
			.inode = f->segments[i].executable,
			.readable = true,
			.writable = !f->segments[i].executable,
			.executable = f->segments[i].executable,
		};
	return NULL;
}

static struct goro_error *fake_read(struct target *t, struct target_read *v, size_t n)
{
	struct fake *f = (struct fake *)t;

	for (size_t i = 0; i < n; i++) {
		struct fake_segment *s;

		if (f->on_read)
			f->on_read(f, v[i].address);
		if (f->ended)
			return goro_error_new(GORO_NO_TARGET, "it has ended");
		s = segment_of(f, v[i].address, v[i].len);
		v[i].ok = s != NULL;
		__atomic_fetch_add(&f->reads, 1, __ATOMIC_RELAXED);
		if (!s)
			continue;
		memcpy(v[i].to, s->bytes + (v[i].address - s->address), v[i].len);
		__atomic_fetch_add(&t->bytes_read, v[i].len, __ATOMIC_RELAXED);
	}
	return NULL;
}

static int fake_open_file(struct target *t, const struct target_map *map)
{
	(void)t, (void)map;
	return -ENOENT;
}

static void fake_resident(struct target *t, struct target_range *v, size_t n)
{
	(void)t;
	for (size_t i = 0; i < n; i++)
		v[i].resident = 4096;
}

static struct goro_error *fake_usage(struct target *t, struct target_usage *ret)
{
	(void)t;
	*ret = (struct target_usage){ .rss = 1 << 20 };
	return NULL;
}

static void fake_close(struct target *t)
{
	fake_free((struct fake *)t);
}

static const struct target_ops fake_ops = {
	.maps = fake_maps,
	.threads = true,
	.read = fake_read,
	.open_file = fake_open_file,
	.resident = fake_resident,
	.usage = fake_usage,
	.close = fake_close,
};

/* ---- the program ----------------------------------------------------------------------------- */

static void add_segment(struct fake *f, uint64_t address, size_t size, bool executable)
{
	struct fake_segment *s = &f->segments[f->nsegments++];

	*s = (struct fake_segment){ address, calloc(1, size), size, executable };
	assert_non_null(s->bytes);
}

void *fake_at(struct fake *f, uint64_t address)
{
	struct fake_segment *s = segment_of(f, address, 8);

	assert_non_null(s);
	return s->bytes + (address - s->address);
}

uint64_t fake_g(unsigned i)
{
	return FAKE_RECORDS + i * FAKE_G_SIZE;
}

void fake_store(struct fake *f, uint64_t address, enum goro_field_id field, uint64_t value)
{
	memcpy((char *)fake_at(f, address + f->fields[field].offset), &value,
	       f->fields[field].size);
}

void fake_set(struct fake *f, unsigned i, enum goro_field_id field, uint64_t value)
{
	fake_store(f, fake_g(i), field, value);
}

struct note {
	Elf64_Nhdr head;
	char owner[8];
	uint64_t distance;
};

/* The i-th note says that something lies there. */
static void make_note(struct fake *f, unsigned i, uint32_t type, uint64_t what)
{
	const uint64_t at = FAKE_BASE + NOTE + i * sizeof(struct note);
	const struct note note = { { sizeof GORO_NOTE_OWNER, 8, type },
				   GORO_NOTE_OWNER,
				   what - (at + offsetof(struct note, distance)) };

	memcpy(fake_at(f, at), &note, sizeof note);
}

static void make_elf(struct fake *f)
{
	Elf64_Ehdr *eh = fake_at(f, FAKE_BASE);
	Elf64_Phdr *ph = fake_at(f, FAKE_BASE + sizeof *eh);

	memcpy(eh->e_ident, ELFMAG, SELFMAG);
	eh->e_ident[EI_CLASS] = ELFCLASS64;
	eh->e_phoff = sizeof *eh;
	eh->e_phentsize = sizeof *ph;
	eh->e_phnum = 2;
	ph[0] = (Elf64_Phdr){ .p_type = PT_LOAD, .p_vaddr = 0, .p_filesz = 0x10000 };
	ph[1] = (Elf64_Phdr){ .p_type = PT_NOTE,
			      .p_vaddr = NOTE,
			      .p_memsz = 2 * sizeof(struct note) };
	make_note(f, 0, GORO_NOTE_TYPE, FAKE_BASE + CONTRACT);
}

/* Offsets that no compiler would choose: fields from the last to the first, with holes. */
static void make_fields(struct fake *f)
{
#define WIDTH(s, field, meaning) meaning[1] == '6' ? 8 : 4,
	static const uint16_t widths[GORO_NFIELDS] = { GORO_FIELDS(WIDTH) };
#undef WIDTH
	static const enum goro_field_id firsts[] = {
		GORO_FIELD_g_id,	GORO_FIELD_waiter_g,	   GORO_FIELD_chan_elem_size,
		GORO_FIELD_mutex_owner, GORO_FIELD_rwmutex_writer, GORO_FIELD_waitgroup_count,
		GORO_FIELD_p_id,	GORO_FIELD_m_id,	   GORO_FIELD_tomb_id,
		GORO_FIELD_g_name, /* and none of what came later */
	};

	f->fields = fake_at(f, FAKE_BASE + FIELDS);
	for (size_t s = 0; s + 1 < sizeof firsts / sizeof *firsts; s++) {
		uint16_t at = 8;

		for (int i = firsts[s + 1] - 1; i >= (int)firsts[s]; i--) {
			f->fields[i] = (struct goro_field){ at, widths[i] };
			at += 8;
		}
	}
}

static void make_contract(struct fake *f)
{
#define REASON(id, letter_, name_, class_) { name_, letter_, GORO_CLASS_##class_ },
	static const struct goro_name reasons[] = { GORO_REASONS(REASON) };
#undef REASON
	struct goro_introspect *c = f->contract = fake_at(f, FAKE_BASE + CONTRACT);

	memcpy(c->cookie, GORO_CONTRACT_COOKIE, sizeof c->cookie);
	c->version = GORO_CONTRACT_VERSION;
	c->size = sizeof *c;
	c->machine = EM_X86_64;
	c->word_size = 8;
	c->fields = FAKE_BASE + FIELDS;
	c->nfields = GORO_NFIELDS;
	c->reason_names = FAKE_BASE + REASONS;
	c->nreasons = GORO_NREASONS;
	c->name_size = sizeof(struct goro_name);
	memcpy(fake_at(f, FAKE_BASE + REASONS), reasons, sizeof reasons);
	strcpy(c->runtime_version, "9.8.7");
	c->g_chunks = FAKE_BASE + CHUNKS;
	c->g_nchunks = 1;
	c->g_nchunks_max = 4;
	c->g_chunk_len = FAKE_NG;
	c->g_size = FAKE_G_SIZE;
	c->g_nrlocks = 0;
	*(uint64_t *)fake_at(f, FAKE_BASE + CHUNKS) = FAKE_RECORDS;
	c->ps = FAKE_BASE + PS;
	c->ms = FAKE_BASE + MS;
	c->p_count = c->m_count = 1;
	*(uint64_t *)fake_at(f, FAKE_BASE + PS) = FAKE_BASE + P;
	*(uint64_t *)fake_at(f, FAKE_BASE + MS) = FAKE_BASE + M;
	fake_store(f, FAKE_BASE + P, GORO_FIELD_p_m, FAKE_BASE + M);
	fake_store(f, FAKE_BASE + P, GORO_FIELD_p_nspawn, 20);
	fake_store(f, FAKE_BASE + P, GORO_FIELD_p_nexit, 5);
	fake_store(f, FAKE_BASE + M, GORO_FIELD_m_tid, 1234);
	fake_store(f, FAKE_BASE + M, GORO_FIELD_m_curg, fake_g(0));
	c->start_time = 1;
	memset(c->saved_reg, 0xff, sizeof c->saved_reg);
	c->saved_reg[6] = 0;
	c->saved_pc = 16;
	c->saved_size = SAVED;
	c->entry_lo = FAKE_CODE + 0x100;
	c->entry_hi = FAKE_CODE + 0x200;
}

/* Two frames by frame pointer, and the entry. */
static void make_goroutine(struct fake *f, unsigned i)
{
	uint64_t lo = FAKE_STACKS + i * FAKE_STACK, hi = lo + FAKE_STACK, sp = hi - 256;
	uint64_t *stack = fake_at(f, sp);

	fake_set(f, i, GORO_FIELD_g_id, (i * 7) % FAKE_NG + 1);
	fake_set(f, i, GORO_FIELD_g_status,
		 GORO_STATE_WAITING | (uint64_t)GORO_REASON_CHAN_RECV << 8);
	fake_set(f, i, GORO_FIELD_g_park_seq, 3);
	fake_set(f, i, GORO_FIELD_g_sp, sp);
	fake_set(f, i, GORO_FIELD_g_stack_lo, lo);
	fake_set(f, i, GORO_FIELD_g_stack_hi, hi);
	fake_set(f, i, GORO_FIELD_g_wait_object, FAKE_OBJECTS + 256 * (i / 4));
	fake_set(f, i, GORO_FIELD_g_spawn_pc, FAKE_CODE + 0x10);
	stack[0] = sp + 64;	     /* saved frame pointer */
	stack[2] = FAKE_CODE + 0x20; /* saved pc */
	stack[8] = sp + 128;
	stack[9] = FAKE_CODE + 0x30;
	stack[16] = 0;
	stack[17] = FAKE_CODE + 0x110;
}

void fake_keep_books(struct fake *f)
{
	struct goro_heap_contract *c = fake_at(f, FAKE_BASE + BOOKS);
	struct goro_heap_account *a = fake_at(f, FAKE_BASE + ACCOUNTS);
	struct goro_heap_closed *sites = fake_at(f, FAKE_BASE + SITES);

	memcpy(c->cookie, GORO_HEAP_COOKIE, sizeof c->cookie);
	c->version = GORO_HEAP_VERSION;
	c->size = sizeof *c;
	c->accounts = FAKE_BASE + ACCOUNTS;
	c->account_size = sizeof *a;
	c->account_count = FAKE_NG + 3; /* one is of nobody, one of no goroutine, one has ended */
	c->sites = FAKE_BASE + SITES;
	c->site_size = sizeof *sites;
	c->site_count = 2;
	for (unsigned i = 1; i < c->account_count; i++)
		a[i] = (struct goro_heap_account){ .id = i <= FAKE_NG ? i : GORO_HEAP_OUTSIDE,
						   .spawn_pc = FAKE_CODE + 0x10,
						   .bytes = 100 * i,
						   .objects = 3,
						   .own_freed_bytes = 30,
						   .own_freed_objects = 1,
						   .left = GORO_HEAP_BIAS - 1,
						   .freed_bytes = 20 };
	a[FAKE_NG + 2].id = 1000;
	a[FAKE_NG + 2].left = 1;
	sites[1] = (struct goro_heap_closed){ FAKE_CODE + 0x10, 5000, 50, 0 };
	make_note(f, 1, GORO_HEAP_NOTE_TYPE, FAKE_BASE + BOOKS);
}

struct fake *fake_new(void)
{
	struct fake *f = calloc(1, sizeof *f);

	assert_non_null(f);
	f->target.ops = &fake_ops;
	f->target.name = strdup("fake");
	add_segment(f, FAKE_BASE, 0x10000, true);
	add_segment(f, FAKE_OBJECTS, 0x1000, false);
	add_segment(f, FAKE_RECORDS, (size_t)FAKE_NG * FAKE_G_SIZE, false);
	add_segment(f, FAKE_STACKS, FAKE_NG * FAKE_STACK, false);
	make_elf(f);
	make_fields(f);
	make_contract(f);
	for (unsigned i = 0; i < FAKE_NG; i++)
		make_goroutine(f, i);
	for (unsigned i = 0; i < FAKE_NG / 4; i++) {
		fake_store(f, FAKE_OBJECTS + 256 * i, GORO_FIELD_chan_elem_size, 4 + i);
		fake_store(f, FAKE_OBJECTS + 256 * i, GORO_FIELD_chan_cap, 10);
		fake_store(f, FAKE_OBJECTS + 256 * i, GORO_FIELD_chan_count, i);
	}
	return f;
}

void fake_free(struct fake *f)
{
	for (size_t i = 0; i < f->nsegments; i++)
		free(f->segments[i].bytes);
	free(f->target.name);
	free(f);
}

void fake_waiters(struct fake *f, unsigned g, uint64_t at, unsigned n, uint64_t last)
{
	fake_set(f, g, GORO_FIELD_g_status, GORO_STATE_WAITING | (uint64_t)GORO_REASON_SELECT << 8);
	fake_set(f, g, GORO_FIELD_g_waiting, at);
	for (unsigned i = 0; i < n; i++) {
		uint64_t w = at + 64 * i;

		fake_store(f, w, GORO_FIELD_waiter_object, FAKE_OBJECTS + 256 * i);
		fake_store(f, w, GORO_FIELD_waiter_kind,
			   i % 2 ? GORO_REASON_CHAN_SEND : GORO_REASON_CHAN_RECV);
		fake_store(f, w, GORO_FIELD_waiter_next_of_g, i + 1 < n ? w + 64 : last);
	}
}

struct goro_scope *fake_open(struct fake *f)
{
	struct goro_scope *scope = NULL;
	struct goro_error *err = goro_scope_open_target(&scope, &f->target);

	if (err)
		fail_msg("%s", err->message);
	return scope;
}

struct goro_snapshot *fake_look(struct goro_scope *scope)
{
	struct goro_snapshot *snap = NULL;
	struct goro_error *err = goro_scope_snapshot(scope, &snap);

	if (err)
		fail_msg("%s", err->message);
	return snap;
}
