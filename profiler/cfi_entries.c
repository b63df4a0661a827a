/* SPDX-License-Identifier: MIT */
/*
 * cfi_entries.c - the entries of .eh_frame and .debug_frame. A damaged one loses its own function
 * and nothing else.
 */
#include "cfi_entries.h"

#include <dwarf.h>
#include <elf.h>
#include <stdlib.h>

#define MAX_SECTION   (256u << 20)
#define MAX_CIE_BYTES 4096

static const struct cfi_machine machines[] = {
	{ EM_X86_64, 7, 6, 16, true },
	{ EM_AARCH64, 31, 29, 30, false },
};

const struct cfi_machine *cfi_find_machine(unsigned elf_machine)
{
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
		if (machines[i].elf_machine == elf_machine)
			return &machines[i];
	}
	return NULL;
}

unsigned cfi_frame_pointer(unsigned machine)
{
	const struct cfi_machine *m = cfi_find_machine(machine);

	return m ? m->fp : 0;
}

bool cfi_frame_pointer_is_exact(unsigned machine)
{
	const struct cfi_machine *m = cfi_find_machine(machine);

	return m && m->exact;
}

/* A pointer encoded as DW_EH_PE_*; `address` is that of the cursor. */
static uint64_t get_encoded(struct cursor *c, unsigned encoding, uint64_t address)
{
	uint64_t v;

	switch (encoding & 0x0f) {
	case DW_EH_PE_absptr:
	case DW_EH_PE_udata8:
	case DW_EH_PE_sdata8:
		v = get(c, 8);
		break;
	case DW_EH_PE_udata4:
		v = get(c, 4);
		break;
	case DW_EH_PE_sdata4:
		v = (uint64_t)(int64_t)(int32_t)get(c, 4);
		break;
	case DW_EH_PE_udata2:
		v = get(c, 2);
		break;
	case DW_EH_PE_sdata2:
		v = (uint64_t)(int64_t)(int16_t)get(c, 2);
		break;
	case DW_EH_PE_uleb128:
		v = get_uleb(c);
		break;
	case DW_EH_PE_sleb128:
		v = (uint64_t)get_sleb(c);
		break;
	default:
		c->bad = true;
		return 0;
	}
	switch (encoding & 0xf0) {
	case 0:
		return v;
	case DW_EH_PE_pcrel:
		return v + address;
	default: /* relative to what only a dynamic linker knows, or indirect */
		c->bad = true;
		return 0;
	}
}

/* The head of an entry: the cursor's end becomes the entry's. False at the end of the section. */
static bool entry_begin(const struct cfi_section *s, const uint8_t *at, struct cursor *c,
			unsigned *word)
{
	uint64_t len;

	*c = (struct cursor){ at, s->data + s->size, false };
	len = get(c, 4);
	*word = 4;
	if (len == 0xffffffff) {
		len = get(c, 8);
		*word = 8;
	}
	if (c->bad || len > (uint64_t)(c->end - c->p))
		return false;
	c->end = c->p + len;
	return true;
}

static void parse_augmentation(struct cie *cie, struct cursor *c, const char *letters)
{
	uint64_t len;
	const uint8_t *end;

	if (letters[0] == '\0')
		return;
	if (letters[0] != 'z') {
		c->bad = true;
		return;
	}
	cie->has_size = true;
	len = get_uleb(c);
	if (len > (uint64_t)(c->end - c->p)) {
		c->bad = true;
		return;
	}
	end = c->p + len;
	for (letters++; *letters && !c->bad; letters++) {
		if (*letters == 'R') {
			cie->encoding = (uint8_t)get(c, 1);
		} else if (*letters == 'L') {
			get(c, 1);
		} else if (*letters == 'P') {
			unsigned encoding = (unsigned)get(c, 1) & 0x7f;

			get_encoded(c, encoding & 0x0f, 0);
		} else if (*letters == 'S') {
			cie->signal = true;
		} else if (*letters != 'B') { /* B: aarch64's key for signed addresses */
			break;
		}
	}
	if (!c->bad)
		c->p = end;
}

void cfi_parse_cie(struct cfi_functions *f, const uint8_t *at)
{
	struct cie *cie = &f->cie;
	struct cursor c;
	unsigned word, version;
	const char *letters;

	if (cie->at == at)
		return;
	*cie = (struct cie){ .at = at, .encoding = DW_EH_PE_absptr };
	if (at < f->s->data || at >= f->s->data + f->s->size || !entry_begin(f->s, at, &c, &word))
		return;
	if (get(&c, f->s->eh ? 4 : word) != (f->s->eh	 ? 0
					     : word == 8 ? ~0ull
							 : (uint64_t)0xffffffff))
		return;
	version = (unsigned)get(&c, 1);
	letters = (const char *)c.p;
	while (!c.bad && get(&c, 1))
		;
	if (c.bad || (version != 1 && version != 3 && version != 4))
		return;
	if (version == 4 && (get(&c, 1) != 8 || get(&c, 1) != 0))
		return;
	cie->code_align = get_uleb(&c);
	cie->data_align = get_sleb(&c);
	cie->ra = version == 1 ? (unsigned)get(&c, 1) : (unsigned)get_uleb(&c);
	parse_augmentation(cie, &c, letters);
	/* Every function runs these instructions again, so a huge head would cost the square. */
	cie->usable = !c.bad && cie->ra == f->m->ra && c.end - c.p <= MAX_CIE_BYTES;
	cie->program = c;
}

static void parse_fde(struct cfi_functions *f, const uint8_t *at, struct cursor c,
		      const uint8_t *cie)
{
	const struct cfi_section *s = f->s;
	struct fde fde = { .cie = cie, .address = s->address + (uint64_t)(at - s->data) };
	uint64_t length;

	cfi_parse_cie(f, cie);
	if (!f->cie.usable)
		return;
	fde.start = get_encoded(&c, f->cie.encoding, s->address + (uint64_t)(c.p - s->data));
	length = get_encoded(&c, f->cie.encoding & 0x0f, 0);
	if (f->cie.has_size)
		skip(&c, get_uleb(&c));
	fde.end = fde.start + length;
	if (c.bad || fde.start == 0 || fde.end <= fde.start)
		return; /* address 0: its code was thrown out by the linker */
	fde.program = c;
	if (f->nfdes == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 1024;
		struct fde *bigger = realloc(f->fdes, cap * sizeof *bigger);

		if (!bigger) {
			f->no_memory = true;
			return;
		}
		f->fdes = bigger;
		f->cap = cap;
	}
	f->fdes[f->nfdes++] = fde;
}

static void collect(struct cfi_functions *f)
{
	const struct cfi_section *s = f->s;
	const uint8_t *at = s->data;
	struct cursor c;
	unsigned word;

	while (!f->no_memory && s->data + s->size - at >= 4 && entry_begin(s, at, &c, &word)) {
		const uint8_t *entry = at, *id_at = c.p;
		uint64_t id;

		at = c.end;
		if (c.p == c.end)
			continue; /* terminator: a static executable has some in the middle */
		id = get(&c, s->eh ? 4 : word);
		if (c.bad)
			continue;
		if (s->eh) {
			if (id != 0 && id <= (uint64_t)(id_at - s->data))
				parse_fde(f, entry, c, id_at - id);
		} else if (id < s->size) {
			parse_fde(f, entry, c, s->data + id);
		}
	}
}

static int by_start(const void *a, const void *b)
{
	const struct fde *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

bool cfi_functions(struct cfi_functions *f, const struct cfi_section *s)
{
	*f = (struct cfi_functions){ .s = s, .m = cfi_find_machine(s->machine) };
	if (!f->m || !s->data || s->size > MAX_SECTION)
		return false;
	collect(f);
	if (f->no_memory || !f->nfdes) {
		free(f->fdes);
		return false;
	}
	qsort(f->fdes, f->nfdes, sizeof *f->fdes, by_start);
	return true;
}

struct cfi_entry *cfi_index(const struct cfi_section *s, size_t *n)
{
	struct cfi_entry *entries;
	struct cfi_functions f;

	*n = 0;
	if (!cfi_functions(&f, s))
		return NULL;
	entries = calloc(f.nfdes, sizeof *entries);
	for (size_t i = 0; entries && i < f.nfdes; i++)
		entries[i] = (struct cfi_entry){ f.fdes[i].start, f.fdes[i].address };
	*n = entries ? f.nfdes : 0;
	free(f.fdes);
	return entries;
}
