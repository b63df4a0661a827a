/* SPDX-License-Identifier: MIT */
/*
 * cfi.c - the compiler from .eh_frame or .debug_frame to rows.
 *
 * Two passes: collect the functions and sort them (linkers leave them in order of their sections),
 * then run each one's instructions and write a row wherever the rule changes. A damaged entry loses
 * its own rows and nothing else. Time and memory are linear in the section's size.
 */
#include "cfi.h"

#include <dwarf.h>
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SECTION   (256u << 20)
#define MAX_ROWS      (16u << 20)
#define MAX_STATES    16 /* nested DW_CFA_remember_state */
#define MAX_CIE_BYTES 4096

/* DWARF register numbers of the three that are followed. */
struct machine {
	unsigned elf_machine, sp, fp, ra;
	bool exact; /* CFA = fp + 16 */
};

static const struct machine machines[] = {
	{ EM_X86_64, 7, 6, 16, true },
	{ EM_AARCH64, 31, 29, 30, false },
};

/* ---- reading --------------------------------------------------------------------------------- */

struct cursor {
	const uint8_t *p, *end;
	bool bad; /* read behind the end, or found nonsense */
};

static uint64_t get(struct cursor *c, unsigned bytes)
{
	uint64_t v = 0;

	if ((size_t)(c->end - c->p) < bytes) {
		c->bad = true;
		c->p = c->end;
		return 0;
	}
	memcpy(&v, c->p, bytes);
	c->p += bytes;
	return v;
}

static uint64_t get_uleb(struct cursor *c)
{
	uint64_t v = 0;

	for (unsigned shift = 0; !c->bad; shift += 7) {
		uint64_t byte = get(c, 1);

		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return v;
}

static int64_t get_sleb(struct cursor *c)
{
	uint64_t v = 0, byte = 0;
	unsigned shift = 0;

	while (!c->bad) {
		byte = get(c, 1);
		if (shift < 64)
			v |= (byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			break;
	}
	if (shift < 64 && byte & 0x40)
		v |= ~0ull << shift;
	return (int64_t)v;
}

static void skip(struct cursor *c, uint64_t n)
{
	if (n > (uint64_t)(c->end - c->p)) {
		c->bad = true;
		n = (uint64_t)(c->end - c->p);
	}
	c->p += n;
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

/* ---- entries --------------------------------------------------------------------------------- */

struct cie {
	const uint8_t *at; /* which one this is; NULL: none yet */
	bool usable;
	bool has_size, signal;
	uint8_t encoding;
	uint64_t code_align;
	int64_t data_align;
	unsigned ra;
	struct cursor program;
};

struct fde {
	uint64_t start, end; /* addresses in the file */
	uint64_t address;    /* of the entry itself */
	const uint8_t *cie;
	struct cursor program;
};

struct compiler {
	const struct cfi_section *s;
	const struct machine *m;
	struct cie cie; /* the last one parsed: neighbours share theirs */
	struct fde *fdes;
	size_t nfdes, fdes_cap;
	struct cfi_table *t;
	size_t cap;
	bool no_memory;
};

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

static void parse_cie(struct compiler *k, const uint8_t *at)
{
	struct cie *cie = &k->cie;
	struct cursor c;
	unsigned word, version;
	const char *letters;

	if (cie->at == at)
		return;
	*cie = (struct cie){ .at = at, .encoding = DW_EH_PE_absptr };
	if (at < k->s->data || at >= k->s->data + k->s->size || !entry_begin(k->s, at, &c, &word))
		return;
	if (get(&c, k->s->eh ? 4 : word) != (k->s->eh	 ? 0
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
	cie->usable = !c.bad && cie->ra == k->m->ra && c.end - c.p <= MAX_CIE_BYTES;
	cie->program = c;
}

static void parse_fde(struct compiler *k, const uint8_t *at, struct cursor c, const uint8_t *cie)
{
	const struct cfi_section *s = k->s;
	struct fde fde = { .cie = cie, .address = s->address + (uint64_t)(at - s->data) };
	uint64_t length;

	parse_cie(k, cie);
	if (!k->cie.usable)
		return;
	fde.start = get_encoded(&c, k->cie.encoding, s->address + (uint64_t)(c.p - s->data));
	length = get_encoded(&c, k->cie.encoding & 0x0f, 0);
	if (k->cie.has_size)
		skip(&c, get_uleb(&c));
	fde.end = fde.start + length;
	if (c.bad || fde.start == 0 || fde.end <= fde.start)
		return; /* address 0: its code was thrown out by the linker */
	fde.program = c;
	if (k->nfdes == k->fdes_cap) {
		size_t cap = k->fdes_cap ? k->fdes_cap * 2 : 1024;
		struct fde *bigger = realloc(k->fdes, cap * sizeof *bigger);

		if (!bigger) {
			k->no_memory = true;
			return;
		}
		k->fdes = bigger;
		k->fdes_cap = cap;
	}
	k->fdes[k->nfdes++] = fde;
}

static void collect(struct compiler *k)
{
	const struct cfi_section *s = k->s;
	const uint8_t *at = s->data;
	struct cursor c;
	unsigned word;

	while (!k->no_memory && s->data + s->size - at >= 4 && entry_begin(s, at, &c, &word)) {
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
				parse_fde(k, entry, c, id_at - id);
		} else if (id < s->size) {
			parse_fde(k, entry, c, s->data + id);
		}
	}
}

/* ---- running --------------------------------------------------------------------------------- */

struct state {
	struct cfi_rule rule;
	bool cfa_is_expression;
	uint64_t cfa_reg;
	int64_t cfa_offset;
};

struct run {
	const struct compiler *k;
	const struct cie *cie;
	struct state now, initial;
	struct state saved[MAX_STATES];
	unsigned nsaved;
	bool bad;
};

static struct cfi_rule rule_of(const struct run *r)
{
	const struct state *s = &r->now;
	struct cfi_rule rule = s->rule;

	rule.cfa = CFI_COMPLEX;
	rule.cfa_offset = (int32_t)s->cfa_offset;
	if (s->cfa_is_expression || s->cfa_offset != rule.cfa_offset || r->bad || r->cie->signal ||
	    rule.fp > CFI_UNDEFINED || rule.ra > CFI_UNDEFINED)
		return (struct cfi_rule){ .cfa = CFI_COMPLEX };
	if (s->cfa_reg == r->k->m->sp)
		rule.cfa = CFI_SP;
	else if (s->cfa_reg == r->k->m->fp)
		rule.cfa = CFI_FP;
	else
		return (struct cfi_rule){ .cfa = CFI_COMPLEX };
	return rule;
}

#define CFI_OTHER 0x80 /* a register rule that rows cannot say */

static void set_reg(struct run *r, uint64_t reg, unsigned how, int64_t offset)
{
	struct cfi_rule *rule = &r->now.rule;

	if (offset != (int32_t)offset)
		how = CFI_OTHER;
	if (reg == r->k->m->fp) {
		rule->fp = (uint8_t)how;
		rule->fp_offset = how == CFI_SAVED ? (int32_t)offset : 0;
	} else if (reg == r->k->m->ra) {
		rule->ra = (uint8_t)how;
		rule->ra_offset = how == CFI_SAVED ? (int32_t)offset : 0;
	} else if (reg == r->k->m->sp && how != CFI_SAME) {
		/* The caller's stack pointer is not the CFA. */
		r->now.cfa_is_expression = true;
	}
}

static void restore_reg(struct run *r, uint64_t reg)
{
	const struct cfi_rule *from = &r->initial.rule;

	if (reg == r->k->m->fp)
		set_reg(r, reg, from->fp, from->fp_offset);
	else if (reg == r->k->m->ra)
		set_reg(r, reg, from->ra, from->ra_offset);
}

static int64_t scaled(const struct run *r, uint64_t n)
{
	return (int64_t)(n * (uint64_t)r->cie->data_align);
}

static void def_cfa(struct run *r, uint64_t reg, int64_t offset)
{
	r->now.cfa_is_expression = false;
	r->now.cfa_reg = reg;
	r->now.cfa_offset = offset;
}

/* One instruction that does not move the location; unknown ones end the function's rows. */
static void execute(struct run *r, struct cursor *c, unsigned op)
{
	uint64_t reg;

	switch (op) {
	case DW_CFA_nop:
		break;
	case DW_CFA_offset_extended:
		reg = get_uleb(c);
		set_reg(r, reg, CFI_SAVED, scaled(r, get_uleb(c)));
		break;
	case DW_CFA_offset_extended_sf:
		reg = get_uleb(c);
		set_reg(r, reg, CFI_SAVED, scaled(r, (uint64_t)get_sleb(c)));
		break;
	case DW_CFA_GNU_negative_offset_extended:
		reg = get_uleb(c);
		set_reg(r, reg, CFI_SAVED, scaled(r, -get_uleb(c)));
		break;
	case DW_CFA_restore_extended:
		restore_reg(r, get_uleb(c));
		break;
	case DW_CFA_undefined:
		set_reg(r, get_uleb(c), CFI_UNDEFINED, 0);
		break;
	case DW_CFA_same_value:
		set_reg(r, get_uleb(c), CFI_SAME, 0);
		break;
	case DW_CFA_register:
		reg = get_uleb(c);
		get_uleb(c);
		set_reg(r, reg, CFI_OTHER, 0);
		break;
	case DW_CFA_val_offset:
	case DW_CFA_val_offset_sf:
		reg = get_uleb(c);
		get_uleb(c);
		set_reg(r, reg, CFI_OTHER, 0);
		break;
	case DW_CFA_expression:
	case DW_CFA_val_expression:
		reg = get_uleb(c);
		skip(c, get_uleb(c));
		set_reg(r, reg, CFI_OTHER, 0);
		break;
	case DW_CFA_remember_state:
		if (r->nsaved == MAX_STATES)
			r->bad = true;
		else
			r->saved[r->nsaved++] = r->now;
		break;
	case DW_CFA_restore_state:
		if (r->nsaved == 0)
			r->bad = true;
		else
			r->now = r->saved[--r->nsaved];
		break;
	case DW_CFA_def_cfa:
		reg = get_uleb(c);
		def_cfa(r, reg, (int64_t)get_uleb(c));
		break;
	case DW_CFA_def_cfa_sf:
		reg = get_uleb(c);
		def_cfa(r, reg, scaled(r, (uint64_t)get_sleb(c)));
		break;
	case DW_CFA_def_cfa_register:
		def_cfa(r, get_uleb(c), r->now.cfa_offset);
		break;
	case DW_CFA_def_cfa_offset:
		def_cfa(r, r->now.cfa_reg, (int64_t)get_uleb(c));
		break;
	case DW_CFA_def_cfa_offset_sf:
		def_cfa(r, r->now.cfa_reg, scaled(r, (uint64_t)get_sleb(c)));
		break;
	case DW_CFA_def_cfa_expression:
		skip(c, get_uleb(c));
		r->now.cfa_is_expression = true;
		break;
	case DW_CFA_GNU_args_size:
		get_uleb(c);
		break;
	default:
		r->bad = true;
	}
}

static bool same_rule(const struct cfi_rule *a, const struct cfi_rule *b)
{
	return a->cfa == b->cfa && a->cfa_offset == b->cfa_offset && a->fp == b->fp &&
	       a->fp_offset == b->fp_offset && a->ra == b->ra && a->ra_offset == b->ra_offset;
}

static void add_row(struct compiler *k, uint64_t pc, struct cfi_rule rule)
{
	struct cfi_table *t = k->t;

	pc -= t->base;
	if (pc > UINT32_MAX || t->n >= MAX_ROWS)
		return;
	if (t->n && t->pcs[t->n - 1] >= pc)
		t->n--; /* the same address again: the later rule holds */
	if (t->n && same_rule(&t->rules[t->n - 1], &rule))
		return;
	if (t->n == k->cap) {
		size_t cap = k->cap ? k->cap * 2 : 4096;
		uint32_t *pcs = realloc(t->pcs, cap * sizeof *pcs);
		struct cfi_rule *rules;

		if (pcs)
			t->pcs = pcs;
		rules = realloc(t->rules, cap * sizeof *rules);
		if (rules)
			t->rules = rules;
		if (!pcs || !rules) {
			k->no_memory = true;
			return;
		}
		k->cap = cap;
	}
	t->pcs[t->n] = (uint32_t)pc;
	t->rules[t->n++] = rule;
}

/*
 * Run a program from location `at` up to `end`, writing a row at every step. The head's program
 * runs with at == end: it has no locations.
 */
static void run_program(struct run *r, struct compiler *k, struct cursor c, uint64_t at,
			uint64_t end)
{
	while (c.p < c.end && !r->bad) {
		unsigned op = (unsigned)get(&c, 1), low = op & 0x3f;
		uint64_t delta = 0;

		switch (op & 0xc0) {
		case DW_CFA_advance_loc:
			delta = low;
			break;
		case DW_CFA_offset:
			set_reg(r, low, CFI_SAVED, scaled(r, get_uleb(&c)));
			continue;
		case DW_CFA_restore:
			restore_reg(r, low);
			continue;
		default:
			if (op == DW_CFA_advance_loc1)
				delta = get(&c, 1);
			else if (op == DW_CFA_advance_loc2)
				delta = get(&c, 2);
			else if (op == DW_CFA_advance_loc4)
				delta = get(&c, 4);
			else
				execute(r, &c, op);
		}
		if (c.bad)
			r->bad = true;
		if (!delta || at == end)
			continue;
		add_row(k, at, rule_of(r));
		delta *= r->cie->code_align;
		if (delta >= end - at)
			return;
		at += delta;
	}
	if (at < end)
		add_row(k, at, rule_of(r));
}

static void compile_fde(struct compiler *k, const struct fde *fde, uint64_t end)
{
	struct run r = { .k = k, .cie = &k->cie };

	parse_cie(k, fde->cie);
	r.now.cfa_is_expression = true; /* until it is defined */
	r.now.rule.ra = CFI_SAME;
	run_program(&r, k, k->cie.program, 0, 0);
	r.initial = r.now;
	r.nsaved = 0;
	run_program(&r, k, fde->program, fde->start, end);
}

static int by_start(const void *a, const void *b)
{
	const struct fde *x = a, *y = b;

	return (x->start > y->start) - (x->start < y->start);
}

static void compile_all(struct compiler *k)
{
	for (size_t i = 0; i < k->nfdes && !k->no_memory; i++) {
		uint64_t end = k->fdes[i].end;
		bool last = i + 1 == k->nfdes;

		if (!last && k->fdes[i + 1].start < end)
			end = k->fdes[i + 1].start;
		if (end == k->fdes[i].start)
			continue;
		compile_fde(k, &k->fdes[i], end);
		if (last || k->fdes[i + 1].start > end)
			add_row(k, end, (struct cfi_rule){ .cfa = CFI_NONE });
	}
}

static const struct machine *find_machine(unsigned elf_machine)
{
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++) {
		if (machines[i].elf_machine == elf_machine)
			return &machines[i];
	}
	return NULL;
}

unsigned cfi_frame_pointer(unsigned machine)
{
	const struct machine *m = find_machine(machine);

	return m ? m->fp : 0;
}

bool cfi_frame_pointer_is_exact(unsigned machine)
{
	const struct machine *m = find_machine(machine);

	return m && m->exact;
}

/* The functions, sorted. False: out of memory, a machine we do not know, or none. */
static bool compiler_begin(struct compiler *k, const struct cfi_section *s)
{
	*k = (struct compiler){ .s = s, .m = find_machine(s->machine) };
	if (!k->m || !s->data || s->size > MAX_SECTION)
		return false;
	collect(k);
	if (k->no_memory || !k->nfdes) {
		free(k->fdes);
		return false;
	}
	qsort(k->fdes, k->nfdes, sizeof *k->fdes, by_start);
	return true;
}

struct cfi_table *cfi_compile(const struct cfi_section *s)
{
	struct compiler k;

	if (!compiler_begin(&k, s))
		return NULL;
	k.t = calloc(1, sizeof *k.t);
	if (k.t) {
		k.t->base = k.fdes[0].start;
		compile_all(&k);
	}
	free(k.fdes);
	if (k.t && (k.no_memory || k.t->n == 0)) {
		cfi_free(k.t);
		k.t = NULL;
	}
	return k.t;
}

struct cfi_entry *cfi_index(const struct cfi_section *s, size_t *n)
{
	struct cfi_entry *entries;
	struct compiler k;

	*n = 0;
	if (!compiler_begin(&k, s))
		return NULL;
	entries = calloc(k.nfdes, sizeof *entries);
	for (size_t i = 0; entries && i < k.nfdes; i++)
		entries[i] = (struct cfi_entry){ k.fdes[i].start, k.fdes[i].address };
	*n = entries ? k.nfdes : 0;
	free(k.fdes);
	return entries;
}

void cfi_free(struct cfi_table *t)
{
	if (!t)
		return;
	free(t->pcs);
	free(t->rules);
	free(t);
}

const struct cfi_rule *cfi_find(const struct cfi_table *t, uint64_t pc)
{
	size_t lo = 0, hi = t->n;
	uint64_t at = pc - t->base;

	if (pc < t->base || at > UINT32_MAX)
		return NULL;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->pcs[mid] <= at)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0 || t->rules[lo - 1].cfa == CFI_NONE)
		return NULL;
	return &t->rules[lo - 1];
}
