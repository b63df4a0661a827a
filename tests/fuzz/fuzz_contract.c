/* SPDX-License-Identifier: MIT */
/*
 * fuzz_contract.c - a goro program whose memory is damaged: probed, read again and again, judged.
 *
 * It begins as the sound program of tests/profiler/fake.c. The input changes it: segment (1 byte),
 * offset (2 bytes, times 8 or 1), how many bytes (1 byte, up to 16), the bytes. Those whose
 * segment byte has its top bit set are changed only after the second look; the third one is then
 * made out of that. If the first byte of all has bit 5 set, the program keeps books of its heap,
 * which are read as well. What a proof and a sampler ask of a reader is asked, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "facts.h"
#include "fake.h"
#include "scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void damage(struct fake *f, const uint8_t *data, size_t size, bool late)
{
	while (size >= 4) {
		struct fake_segment *s = &f->segments[(data[0] & 0x1f) % f->nsegments];
		size_t offset = (data[1] | (size_t)data[2] << 8) * (data[0] & 0x40 ? 1 : 8);
		size_t n = data[3] % 17;
		bool is_late = data[0] & 0x80;

		data += 4;
		size -= 4;
		n = n < size ? n : size;
		offset %= s->size;
		if (is_late == late)
			memcpy(s->bytes + offset, data,
			       n < s->size - offset ? n : s->size - offset);
		data += n;
		size -= n;
	}
}

/* Whatever the books say, what is told of them is possible. */
static void check_books(const struct goro_snapshot *snap)
{
	for (size_t i = 0; snap->heap && i < snap->ng; i++) {
		const struct goro_heap *h = &snap->heap[i];

		if (h->bytes > h->total_bytes || h->objects > h->total_objects)
			abort();
	}
	for (size_t i = 1; i < snap->nheap_ended; i++) {
		if (snap->heap_ended[i - 1].spawn_pc >= snap->heap_ended[i].spawn_pc)
			abort();
	}
}

static bool count_birth(const struct reader_birth *b, void *arg)
{
	size_t *n = arg;

	if (!b->record)
		abort();
	return ++*n < 100000;
}

/* What the fake lacks and a reader asks for on behalf of a proof:
 * regions, and the latest fields. */
static void make_newer(struct fake *f)
{
	const uint64_t regions = FAKE_BASE + 0x6000;
	const struct goro_region some[] = {
		{ FAKE_RECORDS, FAKE_RECORDS + 64, GORO_REGION_OPAQUE, 0 },
		{ FAKE_STACKS, FAKE_STACKS + 64, GORO_REGION_ROOT, 0 },
		{ FAKE_STACKS + 128, 0, GORO_REGION_KEEP, 0 },
	};
	uint16_t at = 0;

	memcpy(fake_at(f, regions), some, sizeof some);
	f->contract->regions = regions;
	f->contract->region_count = sizeof some / sizeof *some;
	f->contract->region_size = sizeof *some;
	for (int i = GORO_FIELD_g_name; i < GORO_NFIELDS; i++, at += 8)
		f->fields[i] = (struct goro_field){ at % 184, 8 };
}

/* Every word of the answers is used, so that one that lies beyond them is seen. */
static uint64_t sum_of(const struct goro_snapshot *snap, const struct facts *f)
{
	uint64_t sum = f->record_size + f->record_wait;

	for (size_t i = 0; i < f->nopaque; i++)
		sum += f->opaque[i].lo + f->opaque[i].hi;
	for (size_t i = 0; i < f->nroots; i++)
		sum += f->roots[i].lo + f->roots[i].hi;
	for (size_t i = 0; i < f->nworkers; i++)
		sum += f->workers[i].sp + f->workers[i].curg;
	for (size_t i = 0; i < snap->ng; i++)
		sum += f->queued[i] + (f->locals ? f->locals[i] : 0);
	return sum;
}

static void ask(struct goro_scope *scope, const struct goro_snapshot *snap)
{
	const struct reader_ops *ops = scope->reader->ops;
	char labels[READER_LABELS];
	struct facts facts = { 0 };
	struct goro_error *err;
	volatile uint64_t sum;
	uint64_t count;
	size_t n = 0;

	goro_error_free(ops->threads(scope->reader, scope->target));
	goro_error_free(ops->births(scope->reader, scope->target, count_birth, &n, &count));
	for (size_t i = 0; i < snap->ng && i < 32; i++) {
		ops->labels(scope->reader, scope->target, snap->g[i].record, snap->g[i].id, labels);
		if (strlen(labels) >= sizeof labels)
			abort();
	}
	err = ops->facts(scope->reader, scope->target, snap, &facts);
	if (!err)
		sum = sum_of(snap, &facts);
	(void)sum;
	facts_free(&facts);
	goro_error_free(err);
}

static void look(struct goro_scope *scope)
{
	struct goro_verdicts *v = NULL;
	struct goro_snapshot *snap;
	struct goro_error *err = goro_scope_snapshot(scope, &snap);

	if (!err) {
		for (size_t i = 1; i < snap->ng; i++) {
			if (snap->g[i - 1].id >= snap->g[i].id)
				abort();
		}
		for (size_t i = 0; i < snap->nobjects; i++) {
			if (!snap->objects[i].nwaiters ||
			    (i && snap->objects[i - 1].address >= snap->objects[i].address))
				abort();
		}
		check_books(snap);
		ask(scope, snap);
		err = goro_scope_judge(scope, snap, NULL, &v);
		goro_verdicts_free(v);
		goro_snapshot_free(snap);
	}
	goro_error_free(err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fake *f = fake_new();
	struct goro_scope *scope;
	struct goro_error *err;

	if (size && data[0] & 0x20)
		fake_keep_books(f);
	make_newer(f);
	damage(f, data, size, false);
	err = goro_scope_open_target(&scope, &f->target); /* closing the target frees the fake */
	if (err) {
		goro_error_free(err);
		return 0;
	}
	look(scope);
	look(scope);
	damage(f, data, size, true);
	look(scope);
	look(scope);
	goro_scope_close(scope);
	return 0;
}
