/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_sample.c - what samplers ask of a libgoro program: whose stack a thread was caught
 * on, a goroutine's labels, and who was started since.
 */
#include "reader_goro.h"

#include <stdlib.h>
#include <string.h>

#include "facts.h"

#define MAX_LABELLED 4096u /* bytes of a record that has labels */
#define BATCH	     1024u /* records in one read */

/* ---- threads that were caught running -------------------------------------------------------- */

const struct unwind_layout *reader_goro_layout(const struct reader *base)
{
	return &((const struct reader_goro *)base)->contract.layout;
}

static int by_tid(const void *a, const void *b)
{
	const struct reader_thread *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static const struct reader_thread *find_thread(const struct reader_goro *r, uint32_t tid)
{
	const struct reader_thread key = { .tid = tid };

	return r->nthreads ? bsearch(&key, r->threads, r->nthreads, sizeof key, by_tid) : NULL;
}

/* The goroutine in a record, if it is a thread of the program's own. */
static struct goro_error *read_foreign(const struct contract *c, struct target *t, uint64_t address,
				       struct stack_owner *ret)
{
	uint8_t bytes[MAX_LABELLED];
	const struct record r = { bytes, c->raw.g_size };
	struct goro_error *err;
	bool ok;

	*ret = (struct stack_owner){ 0 };
	if (!address || c->raw.g_size > sizeof bytes)
		return NULL;
	err = target_read_at(t, address, bytes, c->raw.g_size, &ok);
	if (err || !ok)
		return err;
	if (contract_get(c, r, GORO_FIELD_g_flags) & GORO_FLAG_FOREIGN)
		*ret = (struct stack_owner){ .id = contract_get(c, r, GORO_FIELD_g_id),
					     .record = address };
	return NULL;
}

/* Such a thread is locked to its goroutine until it ends, so its id is enough to know it by. */
struct goro_error *reader_goro_threads(struct reader *base, struct target *t)
{
	struct reader_goro *r = (struct reader_goro *)base;
	struct goro_error *err = contract_load(&r->contract, t, r->contract.address);
	struct facts_worker *workers = NULL;
	struct reader_thread *v = NULL;
	size_t nworkers = 0, n = 0;
	bool all;

	if (!err)
		err = contract_read_workers(&r->contract, t, &workers, &nworkers, &all);
	if (!err) {
		v = calloc(nworkers + 1, sizeof *v);
		err = v ? NULL : &goro_enomem;
	}
	for (size_t i = 0; !err && i < nworkers; i++) {
		const struct reader_thread *before;

		v[n].tid = workers[i].tid;
		before = find_thread(r, v[n].tid);
		err = read_foreign(&r->contract, t, workers[i].curg, &v[n].owner);
		/* While it waits its worker is in the scheduler. */
		if (!err && !v[n].owner.id && before)
			v[n].owner = before->owner;
		n += !err && v[n].tid && v[n].owner.id;
	}
	free(workers);
	if (err) {
		free(v);
		return err;
	}
	qsort(v, n, sizeof *v, by_tid);
	free(r->threads);
	r->threads = v;
	r->nthreads = n;
	return NULL;
}

uint32_t reader_goro_thread_of(struct reader *base, struct target *t, uint32_t worker)
{
	struct reader_goro *r = (struct reader_goro *)base;
	struct facts_worker *workers = NULL;
	uint32_t tid = 0;
	size_t n = 0;
	bool all;

	goro_error_free(contract_read_workers(&r->contract, t, &workers, &n, &all));
	for (size_t i = 0; i < n && !tid; i++)
		tid = workers[i].id == worker ? workers[i].tid : 0;
	free(workers);
	return tid;
}

/*
 * The stack itself says so, above its outermost frame. Who runs on the thread now would not do: by
 * the time that we ask it may be another. But a thread of the program's own runs no other.
 */
bool reader_goro_owner(const struct reader *base, const struct unwind_stack *s,
		       const struct unwind_result *u, uint32_t tid, struct stack_owner *ret)
{
	const struct reader_goro *r = (const struct reader_goro *)base;
	const struct reader_thread *thread = find_thread(r, tid);
	uint32_t offset = r->contract.raw.entry_owner;

	*ret = (struct stack_owner){ 0 };
	if (r->main.id && s->sp >= r->main.stack_lo && s->sp < r->main.stack_hi) {
		*ret = (struct stack_owner){ .id = r->main.id, .record = r->main.record };
		return true;
	}
	/* It may be in the scheduler, on a stack that the runtime gave it. */
	if (thread && !u->end_sp) {
		*ret = thread->owner;
		return true;
	}
	if (!u->complete)
		return false;
	if (!u->end_sp) /* a thread's */
		return true;
	return offset && offset <= 256 &&
	       unwind_load(s, u->end_sp + offset, &ret->record) == UNWIND_DONE &&
	       unwind_load(s, u->end_sp + offset + 8, &ret->id) == UNWIND_DONE &&
	       unwind_load(s, u->end_sp + offset + 16, &ret->spawn_pc) == UNWIND_DONE;
}

/* The record before and after: it may have ended, and its labels may be another's. */
void reader_goro_labels(struct reader *base, struct target *t, uint64_t address, uint64_t id,
			char ret[READER_LABELS])
{
	const struct contract *c = &((const struct reader_goro *)base)->contract;
	const struct goro_field *labels = &c->fields[GORO_FIELD_ext_labels];
	uint8_t before[MAX_LABELLED], after[MAX_LABELLED];
	const struct record a = { before, c->raw.g_size }, b = { after, c->raw.g_size };
	char ext[READER_LABELS - 16] = "";
	uint64_t name;
	size_t len;
	bool ok;

	*ret = '\0';
	if (c->raw.g_size > sizeof before)
		return;
	goro_error_free(target_read_at(t, address, before, c->raw.g_size, &ok));
	name = contract_get(c, a, GORO_FIELD_g_name);
	if (!ok || contract_get(c, a, GORO_FIELD_g_id) != id || !name || !labels->size ||
	    labels->offset > sizeof ext / 2)
		return;
	len = labels->offset + labels->size;
	if (len > sizeof ext - 2)
		len = sizeof ext - 2;
	goro_error_free(target_read_at(t, name, ext, len, &ok));
	if (!ok)
		return;
	goro_error_free(target_read_at(t, address, after, c->raw.g_size, &ok));
	if (!ok || contract_get(c, b, GORO_FIELD_g_id) != id ||
	    contract_get(c, b, GORO_FIELD_g_name) != name)
		return;
	snprintf(ret, READER_LABELS, "%s%.*s%s%s", *ext ? "name=" : "", (int)labels->offset - 1,
		 ext, *ext ? "\n" : "", ext + labels->offset);
}

/* ---- births ---------------------------------------------------------------------------------- */

static struct goro_error *count_spawns(const struct contract *c, struct target *t, uint64_t *count)
{
	struct snapshot_builder b;
	struct goro_error *err;

	if (!snapshot_begin(&b, NULL))
		return &goro_enomem;
	err = contract_read_procs(c, t, &b);
	*count = 0;
	for (size_t i = 0; i < b.snap->nprocs; i++)
		*count += b.snap->procs[i].nspawn;
	snapshot_abandon(&b);
	return err;
}

static bool hand_over(const struct contract *c, const uint8_t *bytes, uint64_t address,
		      reader_birth_fn *fn, void *arg)
{
	const struct record r = { bytes, c->raw.g_size };
	const struct reader_birth b = {
		.record = address,
		.id = contract_get(c, r, GORO_FIELD_g_id),
		.parent = contract_get(c, r, GORO_FIELD_g_parent),
		.spawn_pc = contract_get(c, r, GORO_FIELD_g_spawn_pc),
		.entry = contract_get(c, r, GORO_FIELD_g_entry),
	};

	return !b.id || fn(&b, arg);
}

/* A record that is given to another goroutine while it is read may mix the two; a look takes
 * microseconds and a mixed one counts once, so nothing is done about it. */
struct goro_error *reader_goro_births(struct reader *base, struct target *t, reader_birth_fn *fn,
				      void *arg, uint64_t *count)
{
	struct contract *c = &((struct reader_goro *)base)->contract;
	struct goro_error *err = contract_load(c, t, c->address);
	const uint32_t n = c->raw.g_nchunks, len = c->raw.g_chunk_len, size = c->raw.g_size;
	uint64_t *chunks = calloc(n + 1, sizeof *chunks);
	uint8_t *records = malloc((size_t)BATCH * size);
	bool ok, more = true;

	if (!err && (!chunks || !records))
		err = &goro_enomem;
	if (!err)
		err = count_spawns(c, t, count);
	if (!err)
		err = target_read_at(t, c->raw.g_chunks, chunks, n * sizeof *chunks, &ok);
	for (uint32_t i = 0; !err && ok && more && i < n; i++) {
		for (uint32_t at = 0; !err && more && at < len; at += BATCH) {
			uint32_t some = len - at < BATCH ? len - at : BATCH;
			uint64_t address = chunks[i] + (uint64_t)at * size;
			bool there;

			err = target_read_at(t, address, records, (size_t)some * size, &there);
			for (uint32_t j = 0; !err && there && more && j < some; j++)
				more = hand_over(c, records + (size_t)j * size,
						 address + (uint64_t)j * size, fn, arg);
		}
	}
	free(chunks);
	free(records);
	return err;
}
