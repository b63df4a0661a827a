/* SPDX-License-Identifier: MIT */
/*
 * reader_goro.c - programs that run on libgoro: finding them out, and one look at all of them.
 */
#include "reader_goro.h"
#include "crowd.h"
#include "reader_goro_renew.h"

#include <stdlib.h>
#include <string.h>

#define MANY	(1u << 17) /* of which a whole look takes 30 MB and a recording as much again */
#define FOR_TWO 16384	   /* to start a thread costs as much as some thousand of them */
#define PIECE	32

/* libgoro-heap.so is there from the start, or never. */
static void find_heap(struct reader_goro *r, struct target *t)
{
	if (r->heap_modules != r->modules->generation + 1) {
		r->heap = contract_find_note(t, r->modules, GORO_HEAP_NOTE_TYPE, GORO_HEAP_COOKIE);
		r->heap_modules = r->modules->generation + 1;
	}
}

/* What started and did not end, main included. */
static int64_t count_goroutines(const struct contract *c, struct target *t)
{
	struct snapshot_builder b;
	int64_t n = 1;

	if (!snapshot_begin(&b, NULL))
		return -1;
	goro_error_free(contract_read_procs(c, t, &b));
	for (size_t i = 0; i < b.snap->nprocs; i++)
		n += (int64_t)(b.snap->procs[i].nspawn - b.snap->procs[i].nexit);
	snapshot_abandon(&b);
	return n < 0 ? -1 : n;
}

/*
 * A list of many, and nothing of earlier looks beside it. Rejected: to renew these, too. What is
 * compared in a renewal, saved registers and waits, is what whole records have and members have
 * not, and with those two looks at a million take 400 MB; the words for it beside each member, some
 * 24 bytes, and where a record's member is, 8, are 64 MB, which is what is left of the budget for
 * all else.
 */
static void save_memory(struct reader_goro *r, struct snapshot_builder *b)
{
	struct goro_snapshot *old;

	b->summarize = true;
	b->members = b->objects = !b->confirm;
	while (r->home && (old = snapshot_home_take(r->home))) {
		snapshot_forget(old);
		goro_snapshot_free(old);
	}
}

/* Who compares unwinders wants every stack unwound. */
static bool may_renew(const struct reader_goro *r, const struct target *t,
		      const struct snapshot_builder *b)
{
	return r->home && !t->file && !t->ops->caught && !b->summarize &&
	       !unwinder_compares(b->unwinder);
}

static void arrange(struct scan *s)
{
	if (!s->b->objects)
		snapshot_collect_objects(s->b);
	if (!s->b->no_memory)
		scan_ask_resident(s, 0);
	snapshot_sort(s->b);
	crowd_end(s->b);
	if (s->b->objects)
		snapshot_collect_objects(s->b);
}

static struct goro_error *goro_read(struct reader *base, struct target *t,
				    struct snapshot_builder *b)
{
	struct reader_goro *r = (struct reader_goro *)base;
	const struct goro_introspect *raw = &r->contract.raw;
	struct scan s = { .r = r, .t = t, .b = b };
	struct goro_error *err = contract_load(&r->contract, t, r->contract.address);

	if (err)
		return err;
	b->counted = true;
	if (!scan_begin(&s))
		err = &goro_enomem;
	find_heap(r, t);
	if (b->thrifty && count_goroutines(&r->contract, t) > (int64_t)r->many)
		save_memory(r, b);
	/* What each of them allocated is written down for each. */
	if (r->heap)
		b->summarize = b->members = b->objects = false;
	if (!err)
		err = scan_list_chunks(&s);
	if (!err && may_renew(r, t, b))
		s.renewal = renew_begin(&s, r->home);
	if (!s.renewal)
		snapshot_expect(b, r->expected);
	if (!err)
		err = scan_chunks(&s);
	if (!err)
		err = scan_again(&s);
	if (!err && t->ops->caught)
		err = reader_goro_caught(r, t, b);
	if (!err) {
		if (s.renewal)
			renew_end(&s);
		else
			arrange(&s);
		err = contract_read_objects(&r->contract, t, b->snap);
	}
	if (!err)
		err = contract_read_names(&r->contract, t, b->snap, b->named);
	if (!err)
		err = r->heap ? contract_read_heap(r->heap, t, b->snap) : NULL;
	if (!err)
		err = contract_read_queues(&r->contract, t, b->snap);
	if (!err)
		err = contract_read_procs(&r->contract, t, b);
	if (!err)
		err = contract_read_tombs(&r->contract, t, b, s.now);
	if (!err) {
		b->snap->time = (int64_t)s.now;
		b->snap->uptime_ns = raw->start_time < s.now ? s.now - raw->start_time : 0;
		b->snap->threads = raw->m_count;
		b->snap->global_runq = (uint32_t)raw->sched_runq_len;
		b->snap->timers = (uint32_t)raw->timers;
		b->snap->deadlocked = raw->deadlocked != 0;
		b->snap->netpoll = raw->netpoll;
		memcpy(b->snap->reclaim_socket, raw->reclaim_socket,
		       sizeof(b->snap->reclaim_socket) - 1);
		b->snap->reclaimed = raw->reclaimed;
		r->expected = b->snap->ng + b->snap->ng / 64;
		/* The memory for a next look is spent when there was one before. */
		if (r->looked && !s.renewal && may_renew(r, t, b) && !b->no_memory)
			renew_remember(&s, r->home);
		r->looked = true;
	}
	scan_end(&s);
	return err;
}

static struct goro_error *goro_probe(struct target *t, struct modules *ms, struct reader **ret)
{
	struct reader_goro *r;
	struct goro_error *err;
	uint64_t address;

	*ret = NULL;
	err = contract_find(t, ms, &address);
	if (err || !address)
		return err;
	r = calloc(1, sizeof *r);
	if (!r)
		return &goro_enomem;
	err = contract_load(&r->contract, t, address);
	if (err) {
		free(r);
		return err;
	}
	r->modules = ms;
	r->many = MANY;
	r->for_two = FOR_TWO;
	r->piece = PIECE;
	r->home = snapshot_home_new();
	r->base.ops = &reader_goro;
	snprintf(r->base.runtime, sizeof r->base.runtime, "goro %.15s",
		 r->contract.raw.runtime_version);
	for (char *p = r->base.runtime; *p; p++)
		*p = *p > ' ' && *p < 127 ? *p : ' ';
	r->base.goroutines = count_goroutines(&r->contract, t);
	r->base.workers = (int)r->contract.raw.m_count;
	r->base.runtime_pc = r->contract.raw.entry_lo;
	r->base.runtime_text = r->contract.text;
	r->base.nruntime_text = r->contract.ntext;
	*ret = &r->base;
	return NULL;
}

static struct goro_error *goro_facts(struct reader *base, struct target *t,
				     const struct goro_snapshot *snap, struct facts *ret)
{
	struct reader_goro *r = (struct reader_goro *)base;

	return contract_read_facts(&r->contract, t, snap, ret);
}

static void goro_close(struct reader *base)
{
	struct reader_goro *r = (struct reader_goro *)base;

	snapshot_home_close(r->home);
	free(r->threads);
	free(r);
}

const struct reader_ops reader_goro = {
	.probe = goro_probe,
	.read = goro_read,
	.layout = reader_goro_layout,
	.owner = reader_goro_owner,
	.threads = reader_goro_threads,
	.thread_of = reader_goro_thread_of,
	.labels = reader_goro_labels,
	.births = reader_goro_births,
	.facts = goro_facts,
	.close = goro_close,
};
