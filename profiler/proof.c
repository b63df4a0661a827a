/* SPDX-License-Identifier: MIT */
/*
 * proof.c - the proof by reachability: first without a stop, and only if that finds something in a
 * view in which nothing moves.
 *
 * The first pass reads a target that runs, so what it finds is no proof. But what is leaked stays
 * leaked, and a pointer that is nowhere is also not where a running program may have moved it: if
 * the pass finds nothing the target is not disturbed. If it finds something, that is where the
 * proof begins (reach_guess.c), and its copy of the heap the draft of the next. If a stop meets
 * somebody in the middle of malloc(), part of the heap cannot be walked and would hide leaks: then
 * another one is made.
 *
 * A goroutine that is leaked may hold locks, and a lock can only be unlocked by its owner (or by
 * each of its readers). So who waits for such a lock is stuck, even if all the world can reach the
 * lock. (What only that one still knows is not found: the lock's queue leads to its stack.)
 */
#include "proof.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "goro_introspect.h"
#include "reach.h"
#include "reach_ahead.h"
#include "reach_skip.h"

#define TRIES	   8
#define MAX_PAUSE  UINT64_C(100000000)
#define MAX_COPY   (UINT64_C(1) << 30)
#define BUSY_US	   700			/* grows with each try */
#define OUR_OWN	   (UINT64_C(16) << 20) /* bytes that we use beside the copy, about */
#define MUCH	   (UINT64_C(32) << 20) /* bytes to give back */
#define MOST_SPACE (UINT64_C(64) << 30) /* bytes of address space to copy from */

struct proof {
	struct goro_scope *scope;
	const struct goro_snapshot *snap;
	const struct goro_verdict_options *opt;
	struct stuck *stuck;
	struct goro_reach *ret;
	struct reach_guess guess;  /* the filter's */
	struct sparse_store store; /* for its copies, and those of the view */
	struct sparse *drafts;	   /* what of it is in there: the filter's areas */
	uint64_t most;
	bool tight;		   /* there is no room for the filter's copy beside that */
	struct reach_ahead *ahead; /* the filter's, begun before there was a snapshot; or NULL */
	bool stop;		   /* nobody wants what is read ahead */
};

/* Could anything come of it? */
static bool somebody_waits(const struct goro_snapshot *snap)
{
	for (size_t i = 0; i < snap->ng; i++) {
		if (snap->g[i].state == GORO_STATE_WAITING && snap->g[i].nwaits)
			return true;
	}
	return false;
}

/* Room for copies, if there is any; the filter does not take what the view will need. */
static struct sparse_store *store_for(struct proof *p, const struct target_frozen *stopped)
{
	return p->store.words && (stopped || !p->tight) ? &p->store : NULL;
}

/*
 * Begin to read its heap. Beside other work: not where a look at goroutines says anew which of the
 * memory is cold (contract.c), as in a core file, which is its own view.
 */
static struct goro_error *read_ahead(struct proof *p, const struct target_frozen *stopped,
				     struct reach_ahead **ret)
{
	struct target *t = stopped ? stopped->memory : p->scope->target;
	const struct heap_how how = {
		.most = p->most,
		.store = store_for(p, stopped),
		.past = stopped ? &p->guess.heap : NULL,
		.stop = &p->stop,
	};

	return reach_ahead_begin(ret, t, &how, !stopped || t != p->scope->target);
}

/* Run on one view of the target; `stopped`: the view, or NULL for the target as it runs. */
static struct goro_error *run(struct proof *p, const struct target_frozen *stopped,
			      struct reach_ahead *ahead, const struct goro_snapshot *snap,
			      struct stuck *stuck, struct reach *ret)
{
	struct target *t = stopped ? stopped->memory : p->scope->target;
	struct reader *reader = p->scope->reader;
	bool *never = calloc(snap->ng + 1, sizeof *never);
	struct facts facts = { 0 };
	struct reach_view view = {
		.t = t,
		.threads = stopped ? stopped->threads : NULL,
		.nthreads = stopped ? stopped->nthreads : 0,
		.kept = stopped ? stopped->kept : NULL,
		.nkept = stopped ? stopped->nkept : 0,
		.ahead = ahead,
		.snap = snap,
		.facts = &facts,
		.never = never,
		.guess = stopped ? &p->guess : NULL,
		.store = store_for(p, stopped),
		.unwinder = p->scope->unwinder,
		.layout = reader->ops->layout(reader),
		.why = p->opt->why,
	};
	struct goro_error *err = never ? NULL : &goro_enomem;

	/* Who waits in a cycle will never use what it has. In one view one look is enough. */
	if (!err && stopped && waitgraph_prove(snap, snap, stuck) < 0)
		err = &goro_enomem;
	for (size_t i = 0; !err && i < snap->ng; i++)
		never[i] = stuck[i].proof != GORO_PROOF_NONE && stuck[i].proof != GORO_PROOF_NEVER;
	if (!err)
		err = reader->ops->facts(reader, t, snap, &facts);
	if (!err)
		err = reach_run(&view, ret);
	/* Whoever waits for locks of those that are leaked. */
	if (!err && stopped && waitgraph_prove_with(snap, ret->leaked, stuck) < 0)
		err = &goro_enomem;
	facts_free(&facts);
	free(never);
	return err;
}

/* Nothing is known, and the error says why; unless the target is gone. */
static struct goro_error *unknown(struct goro_reach *ret, struct goro_error *err)
{
	if (!err || err->code == GORO_NO_TARGET || err == &goro_enomem)
		return err;
	snprintf(ret->unknown, sizeof ret->unknown, "%s", err->message);
	goro_error_free(err);
	return NULL;
}

/* The same goroutine, which did not run between the two snapshots. */
static bool same(const struct goro_info *g, const struct goro_info *h)
{
	return h && g->record == h->record && g->park_seq == h->park_seq &&
	       g->state == GORO_STATE_WAITING && h->state == GORO_STATE_WAITING &&
	       g->reason == h->reason && !g->torn;
}

static bool keep_chain(struct proof *p, struct reach *r)
{
	p->ret->chain = calloc(r->nchain + 1, sizeof *p->ret->chain);
	if (!p->ret->chain)
		return false;
	for (size_t i = 0; i < r->nchain; i++)
		p->ret->chain[i] = (struct goro_reach_link){
			.kind = (enum goro_reach_kind)r->chain[i].kind,
			.at = r->chain[i].at,
			.id = r->chain[i].id,
			.object = r->chain[i].object,
			.size = r->chain[i].size,
		};
	p->ret->nchain = r->nchain;
	return true;
}

/* A lock's owner is leaked; both have not moved since. */
static void keep_orphan(struct proof *p, size_t i, const struct goro_snapshot *frozen,
			const struct stuck *s)
{
	const struct goro_info *owner, *now;

	if (s->proof != GORO_PROOF_ORPHAN || s->cause == WAIT_NONE ||
	    p->stuck[i].proof != GORO_PROOF_NONE)
		return;
	owner = &frozen->g[s->cause];
	now = goro_snapshot_find(p->snap, owner->id);
	if (!now || !same(now, owner))
		return;
	p->stuck[i] =
		(struct stuck){ .proof = GORO_PROOF_ORPHAN, .cause = (uint32_t)(now - p->snap->g) };
}

static struct goro_error *conclude(struct proof *p, const struct goro_snapshot *frozen,
				   const struct stuck *stuck, struct reach *r)
{
	p->ret->retains = calloc(p->snap->ng + 1, sizeof *p->ret->retains);
	if (!p->ret->retains || !keep_chain(p, r))
		return &goro_enomem;
	for (size_t i = 0; i < p->snap->ng; i++) {
		const struct goro_info *h = goro_snapshot_find(frozen, p->snap->g[i].id);

		if (!same(&p->snap->g[i], h))
			continue;
		p->ret->retains[i] = r->retains[h - frozen->g];
		keep_orphan(p, i, frozen, &stuck[h - frozen->g]);
		if (!r->leaked[h - frozen->g] || stuck[h - frozen->g].proof == GORO_PROOF_ORPHAN)
			continue;
		if (p->stuck[i].proof == GORO_PROOF_NONE) {
			p->stuck[i].proof = GORO_PROOF_UNREACHABLE;
			p->stuck[i].cause = WAIT_NONE;
		}
	}
	p->ret->root_bytes = r->root_bytes;
	p->ret->objects = r->objects;
	p->ret->object_bytes = r->object_bytes;
	memcpy(p->ret->note, r->note, sizeof p->ret->note);
	return NULL;
}

/* One stop. *again: it came at a bad moment. */
static struct goro_error *stop_and_prove(struct proof *p, bool last, bool *again)
{
	struct target *t = p->scope->target;
	const struct target_freeze how = {
		.max_pause_ns = p->opt->max_pause_ns ? p->opt->max_pause_ns : MAX_PAUSE,
		.max_copy = MAX_COPY,
		.netpoll = p->snap->netpoll,
		.store = p->store.words ? &p->store : NULL,
		.drafts = p->drafts,
		.ndrafts = p->guess.heap.nareas,
	};
	struct goro_snapshot *frozen = NULL;
	struct target_frozen view = { .memory = t };
	const bool moving = reach_skips("view");
	struct reach r = { 0 };
	struct reach_ahead *ahead = NULL;
	struct stuck *stuck = NULL;
	struct goro_error *err;

	p->store.used = p->store.kept;
	err = moving ? NULL : t->ops->freeze(t, &how, &view);
	*again = false;
	if (err)
		return err;
	if (view.pause_ns > p->ret->pause_ns)
		p->ret->pause_ns = view.pause_ns;
	p->ret->stops += !t->file;
	p->ret->copied |= view.copied;
	err = read_ahead(p, &view, &ahead);
	if (!err)
		err = scope_read(p->scope, view.memory, &frozen);
	if (!err && !(stuck = calloc(frozen->ng + 1, sizeof *stuck)))
		err = &goro_enomem;
	if (!err)
		err = run(p, &view, ahead, frozen, stuck, &r);
	if (!err && r.busy && !last)
		*again = true;
	else if (!err)
		err = conclude(p, frozen, stuck, &r);
	reach_ahead_free(ahead);
	reach_free(&r);
	free(stuck);
	goro_snapshot_free(frozen);
	if (view.memory != t)
		view.memory->ops->close(view.memory);
	return err;
}

/*
 * A copy of it is made, of its heap at least, and in its own container that is taken from what the
 * target may use: it would be killed for our sake.
 */
static struct goro_error *check_room(struct proof *p)
{
	struct target *t = p->scope->target;
	const uint64_t room = target_our_room();
	struct target_usage usage = { 0 };
	struct goro_error *err = NULL;

	if (room == UINT64_MAX)
		return NULL;
	p->most = room < p->most ? room : p->most;
	err = t->ops->usage(t, &usage);
	p->tight = usage.rss / 8 * 9 * 2 + OUR_OWN > room;
	if (err || usage.rss / 8 * 9 + OUR_OWN <= room)
		return err;
	return goro_error_new(GORO_PARTIAL,
			      "a copy of its %llu MiB may not fit in the %llu MiB that the memory "
			      "cgroup of this command leaves: run it in another one",
			      (unsigned long long)(usage.rss >> 20),
			      (unsigned long long)(room >> 20));
}

/* Room for copies: the filter's, the view's, and what changes. There may be too much of it. */
static struct goro_error *open_store(struct proof *p)
{
	struct target_maps maps;
	struct goro_error *err = p->scope->target->ops->maps(p->scope->target, &maps);
	uint64_t bytes = 0;

	if (err)
		return err;
	for (size_t i = 0; i < maps.n; i++) {
		if (maps.v[i].readable && !maps.v[i].shared)
			bytes += maps.v[i].hi - maps.v[i].lo;
	}
	target_maps_free(&maps);
	if (bytes <= MOST_SPACE)
		sparse_open(&p->store, bytes, 3);
	return NULL;
}

/* What the filter leaves for the proof. */
static bool take_guess(struct proof *p, struct reach *r)
{
	p->guess = r->guess;
	r->guess = (struct reach_guess){ 0 };
	p->store.kept = p->guess.heap.nareas ? p->store.used : 0;
	p->drafts = calloc(p->guess.heap.nareas + 1, sizeof *p->drafts);
	if (!p->drafts)
		return false;
	for (size_t i = 0; i < p->guess.heap.nareas; i++)
		p->drafts[i] = p->guess.heap.areas[i].words;
	return true;
}

static struct goro_error *prove(struct proof *p)
{
	struct goro_error *err = NULL;
	bool again = true;

	if (!p->opt->why) {
		struct stuck *stuck = calloc(p->snap->ng + 1, sizeof *stuck);
		struct reach_ahead *ahead = p->ahead;
		struct reach r = { 0 };

		p->ahead = NULL;
		if (!ahead)
			err = read_ahead(p, NULL, &ahead);
		if (!err && !stuck)
			err = &goro_enomem;
		if (!err)
			err = run(p, NULL, ahead, p->snap, stuck, &r);
		reach_ahead_free(ahead);
		free(stuck);
		again = err || r.nleaked || r.busy;
		if (!err && !again) {
			p->ret->objects = r.objects;
			p->ret->object_bytes = r.object_bytes;
			p->ret->root_bytes = r.root_bytes;
			memcpy(p->ret->note, r.note, sizeof p->ret->note);
		}
		if (!take_guess(p, &r) && !err)
			err = &goro_enomem;
		reach_free(&r);
		/* It moved, or made no sense for a moment: that is what the stop is for. */
		if (err && err->code != GORO_PARTIAL)
			return err;
		goro_error_free(err);
		err = NULL;
	}
	for (unsigned i = 1; again && !err; i++) {
		err = stop_and_prove(p, i == TRIES || p->scope->target->file, &again);
		if (again)
			usleep(BUSY_US * i);
	}
	return err;
}

/* ---- all of it --------------------------------------------------------------------------------
 */

static struct goro_error *begin(struct proof **ret, struct goro_scope *scope)
{
	struct proof *p = calloc(1, sizeof *p);
	struct goro_error *err;

	*ret = NULL;
	if (!p)
		return &goro_enomem;
	proof_end_rest(scope);
	p->scope = scope;
	p->most = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE) / 2;
	err = check_room(p);
	if (!err)
		err = open_store(p);
	if (err) {
		free(p);
		return err;
	}
	target_offer_us_begin();
	*ret = p;
	return NULL;
}

/* Copies that nobody needs any more. */
struct proof_rest {
	struct sparse_store store;
	struct two_beside giving_back;
};

static void give_back(void *rest)
{
	struct proof_rest *r = rest;

	sparse_empty(&r->store);
}

/* It takes as long as to judge and to say what was found: beside that. */
static void close_store(struct goro_scope *scope, struct sparse_store *store)
{
	struct proof_rest *rest = NULL;

	proof_end_rest(scope);
	if (store->used * sizeof *store->words >= MUCH)
		rest = malloc(sizeof *rest);
	if (!rest) {
		sparse_close(store);
		return;
	}
	*rest = (struct proof_rest){ .store = *store };
	two_begin(&rest->giving_back, give_back, rest);
	scope->rest = rest;
}

void proof_end_rest(struct goro_scope *scope)
{
	struct proof_rest *rest = scope->rest;

	if (!rest)
		return;
	scope->rest = NULL;
	if (rest->giving_back.there)
		two_end(&rest->giving_back);
	sparse_close(&rest->store);
	free(rest);
}

static void end(struct proof *p)
{
	if (!p)
		return;
	__atomic_store_n(&p->stop, true, __ATOMIC_RELAXED);
	reach_ahead_free(p->ahead);
	target_offer_us_end();
	reach_guess_free(&p->guess);
	free(p->drafts);
	close_store(p->scope, &p->store);
	free(p);
}

/*
 * Only the filter reads a target that runs, and it may be wrong: that the heap was copied before
 * the goroutines were looked at, and not after, makes no difference to what is proved. But nobody
 * may read of a target while it is found out which of its memory is cold, but for the first time.
 */
void proof_begin(struct goro_scope *scope)
{
	const struct target *t = scope->target;
	struct goro_error *err = NULL;
	struct proof *p = NULL;

	pthread_mutex_lock(&scope->lock);
	if (!scope->begun && scope->reader && scope->reader->ops->facts && t && t->ops->freeze &&
	    t->ops->threads && !t->file && !t->absent.n && two_are_there())
		err = begin(&p, scope);
	if (!err && p)
		err = read_ahead(p, NULL, &p->ahead);
	if (err)
		end(p);
	else if (p)
		scope->begun = p;
	pthread_mutex_unlock(&scope->lock);
	/* Whatever it is, it is said when the proof is asked for. */
	goro_error_free(err);
}

void proof_wait(struct proof *begun)
{
	if (begun && begun->ahead)
		two_end(&begun->ahead->reading);
}

void proof_forget(struct proof *begun)
{
	end(begun);
}

static struct goro_error *reach(struct goro_scope *scope, struct proof *p,
				const struct goro_snapshot *snap,
				const struct goro_verdict_options *opt, struct stuck *stuck,
				struct goro_reach *ret)
{
	struct goro_error *err = NULL;

	if (!scope->reader || !scope->reader->ops->facts)
		err = goro_error_new(GORO_PARTIAL, "not possible for this runtime");
	if (!err && !p)
		err = begin(&p, scope);
	if (!err) {
		p->snap = snap;
		p->opt = opt;
		p->stuck = stuck;
		p->ret = ret;
		err = prove(p);
	}
	end(p);
	return unknown(ret, err);
}

struct goro_error *proof_reach(struct goro_scope *scope, const struct goro_snapshot *snap,
			       const struct goro_verdict_options *opt, struct stuck *stuck,
			       struct goro_reach *ret)
{
	struct goro_error *err = NULL;
	struct proof *begun;

	*ret = (struct goro_reach){ .tried = scope->target && scope->target->ops->freeze };
	if (!ret->tried && opt->why)
		snprintf(ret->unknown, sizeof ret->unknown,
			 "that needs a live process, or a core file");
	pthread_mutex_lock(&scope->lock);
	begun = scope->begun;
	scope->begun = NULL;
	/* Who asks why wants no filter. */
	if (!ret->tried || opt->why || !somebody_waits(snap)) {
		proof_forget(begun);
		begun = NULL;
	}
	if (ret->tried && (opt->why || somebody_waits(snap)))
		err = reach(scope, begun, snap, opt, stuck, ret);
	pthread_mutex_unlock(&scope->lock);
	return err;
}

void proof_reach_free(struct goro_reach *r)
{
	free(r->retains);
	free(r->chain);
	*r = (struct goro_reach){ 0 };
}
