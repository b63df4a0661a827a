/* SPDX-License-Identifier: MIT */
/*
 * contract.c - finding the contract and holding it to reason.
 *
 * The note is looked for in the target's memory, not in files: it is there for stripped, static,
 * deleted and containerised programs alike, and costs two small reads per module.
 */
#include "contract.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include "cfi.h"
#include "target_absent.h"

#define MAX_PHDRS     64
#define MAX_NOTES     (64u << 10)
#define MAX_RECORD    4096u
#define MAX_CHUNK_LEN 65536u
#define MAX_RECORDS   (1u << 24)
#define MAX_TABLE     65536u
#define MAX_TEXT      (1u << 20) /* of one file of the runtime */

/* ---- finding --------------------------------------------------------------------------------- */

static bool cookie_at(struct target *t, uint64_t address, const char *cookie)
{
	char found[8];
	bool ok;

	goro_error_free(target_read_at(t, address, found, sizeof found, &ok));
	return ok && memcmp(found, cookie, sizeof found) == 0;
}

static uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) & ~(to - 1);
}

/* The address that a note of ours in these bytes points to, or 0. */
static uint64_t search_notes(const uint8_t *notes, size_t size, uint64_t address, uint64_t align,
			     uint32_t type)
{
	size_t at = 0;

	while (size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		uint64_t desc, next, offset;

		memcpy(&nh, notes + at, sizeof nh);
		desc = align_up(at + sizeof nh + (uint64_t)nh.n_namesz, align);
		next = align_up(desc + nh.n_descsz, align);
		if (next > size && desc + nh.n_descsz > size)
			return 0;
		if (nh.n_type == type && nh.n_namesz == sizeof GORO_NOTE_OWNER &&
		    nh.n_descsz == sizeof offset &&
		    memcmp(notes + at + sizeof nh, GORO_NOTE_OWNER, sizeof GORO_NOTE_OWNER) == 0) {
			memcpy(&offset, notes + desc, sizeof offset);
			return address + desc + offset;
		}
		if (next >= size)
			return 0;
		at = next;
	}
	return 0;
}

/* What the note among these says, if there is a cookie. */
static uint64_t find_among(struct target *t, uint64_t address, uint64_t size, uint8_t *notes,
			   uint32_t type, const char *cookie)
{
	uint64_t found = 0;
	bool ok;

	goro_error_free(target_read_at(t, address, notes, size, &ok));
	for (uint64_t align = 4; ok && align <= 8 && !found; align += 4) {
		found = search_notes(notes, size, address, align, type);
		if (found && !cookie_at(t, found, cookie))
			found = 0;
	}
	return found;
}

static uint64_t find_by_note(struct target *t, uint64_t base, uint32_t type, const char *cookie)
{
	const uint64_t page = 4096;
	uint64_t head = 0; /* bytes of the file that lie from base on */
	uint64_t bias = base, found = 0;
	uint8_t *notes = malloc(MAX_NOTES);
	Elf64_Phdr ph[MAX_PHDRS];
	Elf64_Ehdr eh;
	bool ok;

	goro_error_free(target_read_at(t, base, &eh, sizeof eh, &ok));
	if (!notes || !ok || memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 ||
	    eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_phentsize != sizeof *ph ||
	    eh.e_phnum > MAX_PHDRS)
		goto out;
	goro_error_free(target_read_at(t, base + eh.e_phoff, ph, eh.e_phnum * sizeof *ph, &ok));
	if (!ok)
		goto out;
	for (size_t i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset < page) {
			bias = base - (ph[i].p_vaddr & ~(page - 1));
			head = ph[i].p_offset ? 0 : ph[i].p_filesz;
			break;
		}
	}
	for (size_t i = 0; i < eh.e_phnum && !found; i++) {
		const uint64_t at = ph[i].p_offset, size = ph[i].p_memsz;

		if (ph[i].p_type != PT_NOTE || size > MAX_NOTES)
			continue;
		found = find_among(t, ph[i].p_vaddr + bias, size, notes, type, cookie);
		/* binutils take a note out and leave the others with an address that is none. */
		if (!found && at < head && size <= head - at && at + base != ph[i].p_vaddr + bias)
			found = find_among(t, base + at, size, notes, type, cookie);
	}
out:
	free(notes);
	return found;
}

bool contract_has_note(struct target *t, const struct module *m)
{
	return find_by_note(t, m->lo, GORO_NOTE_TYPE, GORO_CONTRACT_COOKIE) != 0;
}

uint64_t contract_find_note(struct target *t, const struct modules *ms, uint32_t type,
			    const char *cookie)
{
	uint64_t found = 0;

	for (size_t i = 0; i < ms->n && !found; i++)
		found = find_by_note(t, ms->v[i]->lo, type, cookie);
	return found;
}

struct goro_error *contract_find(struct target *t, struct modules *ms, uint64_t *address)
{
	char byte;
	bool ok;

	*address = contract_find_note(t, ms, GORO_NOTE_TYPE, GORO_CONTRACT_COOKIE);
	for (size_t i = 0; i < ms->n && !*address; i++) {
		*address = module_symbol(ms->v[i], GORO_CONTRACT_SYMBOL);
		if (*address && !cookie_at(t, *address, GORO_CONTRACT_COOKIE))
			*address = 0;
	}
	/* Its map may be for us to read, and its memory not: then nobody knows. */
	return *address || !ms->n ? NULL : target_read_at(t, ms->v[0]->lo, &byte, 1, &ok);
}

/* ---- checking -------------------------------------------------------------------------------- */

static struct goro_error *nonsense(const struct contract *c, const char *what, uint64_t value)
{
	struct goro_error *err =
		goro_error_at(GORO_UNSUPPORTED, c->address,
			      "its goro contract at 0x%llx makes no sense: %s is %llu",
			      (unsigned long long)c->address, what, (unsigned long long)value);

	return goro_error_hint(err,
			       "its memory is damaged, or it only pretends to be a goro program");
}

static struct goro_error *unreadable(const struct contract *c, const char *what, uint64_t address)
{
	return goro_error_at(
		GORO_UNSUPPORTED, address,
		"its goro contract at 0x%llx makes no sense: %s at 0x%llx cannot be read",
		(unsigned long long)c->address, what, (unsigned long long)address);
}

static struct goro_error *check_head(const struct contract *c)
{
	const struct goro_introspect *raw = &c->raw;

	if (raw->version != GORO_CONTRACT_VERSION && raw->version != GORO_CONTRACT_VERSION_COLD)
		return goro_error_hint(
			goro_error_at(GORO_UNSUPPORTED, c->address,
				      "its goro contract has version %u and we know version %u",
				      raw->version, GORO_CONTRACT_VERSION_COLD),
			"use the goro command that came with its libgoro");
	if (raw->size < offsetof(struct goro_introspect, sched_runq_len))
		return nonsense(c, "size", raw->size);
	if (raw->word_size != 8)
		return nonsense(c, "word_size", raw->word_size);
	if (!cfi_frame_pointer(raw->machine))
		return nonsense(c, "machine", raw->machine);
	if (raw->g_size == 0 || raw->g_size > MAX_RECORD)
		return nonsense(c, "g_size", raw->g_size);
	if (raw->g_chunk_len == 0 || raw->g_chunk_len > MAX_CHUNK_LEN)
		return nonsense(c, "g_chunk_len", raw->g_chunk_len);
	if (raw->g_nchunks > raw->g_nchunks_max ||
	    (uint64_t)raw->g_nchunks * raw->g_chunk_len > MAX_RECORDS)
		return nonsense(c, "g_nchunks", raw->g_nchunks);
	if (raw->g_nrlocks > 256)
		return nonsense(c, "g_nrlocks", raw->g_nrlocks);
	if (raw->p_count > MAX_TABLE)
		return nonsense(c, "p_count", raw->p_count);
	if (raw->m_count > MAX_TABLE)
		return nonsense(c, "m_count", raw->m_count);
	if (raw->tomb_count > MAX_TABLE || raw->tomb_size > MAX_RECORD)
		return nonsense(c, "tomb_count", raw->tomb_count);
	if (raw->saved_size < 8 || raw->saved_pc > raw->saved_size - 8)
		return nonsense(c, "saved_pc", raw->saved_pc);
	if (raw->nfields > MAX_TABLE)
		return nonsense(c, "nfields", raw->nfields);
	if (raw->nreasons > MAX_TABLE)
		return nonsense(c, "nreasons", raw->nreasons);
	return NULL;
}

static struct goro_error *load_fields(struct contract *c, struct target *t)
{
	static const enum goro_field_id needed[] = {
		GORO_FIELD_g_id,	  GORO_FIELD_g_status,	 GORO_FIELD_g_park_seq,
		GORO_FIELD_g_sp,	  GORO_FIELD_g_stack_lo, GORO_FIELD_g_stack_hi,
		GORO_FIELD_g_wait_object,
	};
	size_t n = c->raw.nfields < GORO_NFIELDS ? c->raw.nfields : GORO_NFIELDS;
	struct goro_error *err;
	bool ok;

	memset(c->fields, 0, sizeof c->fields);
	err = target_read_at(t, c->raw.fields, c->fields, n * sizeof *c->fields, &ok);
	if (err)
		return err;
	if (!ok)
		return unreadable(c, "the table of fields", c->raw.fields);
	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		const struct goro_field *f = &c->fields[needed[i]];

		if ((f->size != 2 && f->size != 4 && f->size != 8) ||
		    f->offset + f->size > c->raw.g_size)
			return nonsense(c, "a field's offset", f->offset);
	}
	return NULL;
}

/* Reasons that are newer than we are come with their class and letter. */
static struct goro_error *load_reasons(struct contract *c, struct target *t)
{
	size_t n = c->raw.nreasons < 256 ? c->raw.nreasons : 256;
	struct goro_error *err;
	bool ok;

	memset(c->reasons, 0, sizeof c->reasons);
	if (n == 0 || c->raw.name_size != sizeof *c->reasons)
		return NULL;
	err = target_read_at(t, c->raw.reason_names, c->reasons, n * sizeof *c->reasons, &ok);
	if (!ok)
		memset(c->reasons, 0, sizeof c->reasons);
	return err;
}

/* It only hides frames, so what makes no sense is left out. */
static struct goro_error *load_text(struct contract *c, struct target *t)
{
	size_t n = c->raw.text_range_count < CONTRACT_TEXT ? c->raw.text_range_count
							   : CONTRACT_TEXT;
	struct goro_error *err;
	bool ok;

	c->ntext = 0;
	if (n == 0 || c->raw.text_range_size != sizeof *c->text)
		return NULL;
	err = target_read_at(t, c->raw.text_ranges, c->text, n * sizeof *c->text, &ok);
	for (size_t i = 0; !err && ok && i < n; i++) {
		if (c->text[i].lo < c->text[i].hi && c->text[i].hi - c->text[i].lo <= MAX_TEXT)
			c->text[c->ntext++] = c->text[i];
	}
	return err;
}

/* Memory of its that is not where its addresses say. */
static struct goro_error *load_cold(struct contract *c, struct target *t)
{
	size_t n = c->raw.cold_arena_count;
	struct goro_cold_arena *v;
	struct goro_error *err;
	bool ok;

	if (c->raw.version != GORO_CONTRACT_VERSION_COLD)
		return NULL;
	if (c->raw.cold_arena_size != sizeof *v || n > MAX_TABLE)
		return nonsense(c, "cold_arena_count", n);
	v = calloc(n + 1, sizeof *v);
	if (!v)
		return &goro_enomem;
	err = target_read_at(t, c->raw.cold_arenas, v, n * sizeof *v, &ok);
	if (!err && n && !ok)
		err = unreadable(c, "the table of cold stacks", c->raw.cold_arenas);
	if (err)
		free(v);
	else
		target_absent_set(t, v, n);
	return err;
}

static void make_layout(struct contract *c)
{
	struct unwind_layout *l = &c->layout;

	memcpy(l->saved_reg, c->raw.saved_reg, sizeof l->saved_reg);
	for (size_t i = 0; i < 64; i++) {
		if (l->saved_reg[i] + 8u > c->raw.saved_size)
			l->saved_reg[i] = 0xffff;
	}
	l->saved_pc = c->raw.saved_pc;
	l->saved_size = c->raw.saved_size;
	l->frame_pointer = cfi_frame_pointer(c->raw.machine);
	l->frame_pointer_is_exact = cfi_frame_pointer_is_exact(c->raw.machine);
	l->entry_lo = c->raw.entry_lo;
	l->entry_hi = c->raw.entry_hi;
}

struct goro_error *contract_load(struct contract *c, struct target *t, uint64_t address)
{
	const size_t head = offsetof(struct goro_introspect, machine);
	struct goro_error *err;
	size_t size;
	bool ok;

	memset(&c->raw, 0, sizeof c->raw);
	c->address = address;
	err = target_read_at(t, address, &c->raw, head, &ok);
	if (!err && (!ok || memcmp(c->raw.cookie, GORO_CONTRACT_COOKIE, 8) != 0))
		err = unreadable(c, "its cookie", address);
	if (err)
		return err;
	size = c->raw.size < sizeof c->raw ? c->raw.size : sizeof c->raw;
	if (size > head) {
		err = target_read_at(t, address + head, (char *)&c->raw + head, size - head, &ok);
		if (!err && !ok)
			err = unreadable(c, "its end", address + head);
	}
	if (!err)
		err = check_head(c);
	if (!err)
		err = load_fields(c, t);
	if (!err)
		err = load_reasons(c, t);
	if (!err)
		err = load_text(c, t);
	if (!err)
		err = load_cold(c, t);
	if (!err)
		make_layout(c);
	return err;
}

/* ---- using ----------------------------------------------------------------------------------- */

uint64_t contract_get(const struct contract *c, struct record r, enum goro_field_id field)
{
	const struct goro_field *f = &c->fields[field];
	uint64_t v = 0;
	size_t size = f->size < 8 ? f->size : 8;

	if ((size_t)f->offset + size > r.size)
		return 0;
	memcpy(&v, r.bytes + f->offset, size);
	return v;
}

size_t contract_size(const struct contract *c, enum goro_field_id first, enum goro_field_id last)
{
	size_t size = 0;

	for (unsigned i = first; i <= last; i++) {
		size_t end = (size_t)c->fields[i].offset + c->fields[i].size;

		if (c->fields[i].size && end > size && end <= MAX_RECORD)
			size = end;
	}
	return size;
}
