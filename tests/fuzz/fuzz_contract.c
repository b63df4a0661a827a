/* SPDX-License-Identifier: MIT */
/*
 * fuzz_contract.c - a goro program whose memory is damaged: probed, read again and again, judged.
 *
 * It begins as the sound program of tests/profiler/fake.c. The input changes it: segment (1 byte),
 * offset (2 bytes, times 8 or 1), how many bytes (1 byte, up to 16), the bytes. Those whose
 * segment byte has its top bit set are changed only after the second look; the third one is then
 * made out of that. If the first byte of all has bit 5 set, the program keeps books of its heap,
 * which are read as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
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
