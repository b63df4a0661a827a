/* SPDX-License-Identifier: MIT */
/*
 * group.c - goroutines that do parts of one task (errgroup, and WaitGroup.Go), and calls that many
 * share (singleflight). What is not in Go's own library is as in golang.org/x/sync.
 *
 * What must happen when a part or a shared call has ended is deferred, so that it happens too when
 * one ends by goro_exit() or in a panic. Not by goro_defer(): its cleanup attribute would need the
 * unwinder of libgcc, which a static program that has libunwind cannot have as well.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

/* Who looks from outside is to see the program's function and go statement, not ours around it. */
static void goro_part_is(uintptr_t fn)
{
	struct m *mp = enter();

	mp->curg->entry = fn;
	leave(mp);
}

static void goro_part_go(goro_fn *fn, void *arg, uintptr_t pc)
{
	struct m *mp = enter();

	goro_spawn(mp, fn, arg, pc, mp->curg->id);
	leave(mp);
}

/* For a record, and behind it what goro_..._go_copy() was given. */
static void *goro_part_room(size_t record, const void *args, size_t copied, const char *of)
{
	size_t size;
	void *room = NULL;

	if (copied && !args)
		goro_throw("goro_%s_go_copy of NULL", of);

	if (!__builtin_add_overflow(record, copied, &size))
		room = malloc(size);
	if (!room)
		goro_throw("out of memory: a part of a %s", of);
	return room;
}

/* ---- errgroup ----------------------------------------------------------------------------------
 */

struct goro_group {
	goro_context *ctx; /* or NULL */
	goro_waitgroup wg;
	goro_sema limit;
	bool limited;
	_Atomic int active;
	_Atomic int err; /* the first one */
};

struct part {
	goro_group *group;
	goro_task_fn *fn;
	void *arg;
	unsigned char copy[] __attribute__((aligned(16)));
};

static void part_ended(void *arg)
{
	struct part *part = arg;
	goro_group *g = part->group;
	bool limited = g->limited;

	free(part);
	atomic_fetch_sub(&g->active, 1);
	if (limited)
		goro_sema_release(&g->limit, 1);
	goro_waitgroup_done(&g->wg);
}

static void goro_group_part(void *arg)
{
	struct part *part = arg;
	goro_group *g = part->group;
	struct goro_deferred end;
	int none = 0, err;

	goro_part_is((uintptr_t)part->fn);
	goro_deferred_begin_(&end, part_ended, part);
	err = part->fn(part->arg);
	if (err && atomic_compare_exchange_strong(&g->err, &none, err) && g->ctx)
		goro_context_cancel_cause(g->ctx, err);
	goro_deferred_end_(&end);
}

goro_group *goro_group_new(goro_context *parent)
{
	goro_group *g = calloc(1, sizeof(*g));

	if (!g)
		goro_throw("out of memory: a group");
	if (parent)
		g->ctx = goro_context_with_cancel(parent);
	return g;
}

goro_context *goro_group_context(const goro_group *g)
{
	return g->ctx ? g->ctx : goro_background();
}

void goro_group_set_limit(goro_group *g, int n)
{
	int active = atomic_load(&g->active);

	if (active)
		goro_panic("errgroup: modify limit while %d goroutines in the group are still "
			   "active",
			   active);
	goro_waitgroup_wait(&g->wg); /* as below */
	g->limited = n >= 0;
	g->limit.size_ = n;
}

static void goro_group_start(goro_group *g, goro_task_fn *fn, void *arg, size_t copied,
			     uintptr_t pc)
{
	struct part *part = goro_part_room(sizeof(*part), arg, copied, "group");

	if (!fn)
		goro_throw("go of nil func value");
	*part = (struct part){ g, fn, copied ? memcpy(part->copy, arg, copied) : arg };
	atomic_fetch_add(&g->active, 1);
	goro_waitgroup_add(&g->wg, 1);
	goro_part_go(goro_group_part, part, pc);
}

void goro_group_go(goro_group *g, goro_task_fn *fn, void *arg)
{
	if (g->limited)
		goro_sema_acquire(&g->limit, 1);
	goro_group_start(g, fn, arg, 0, (uintptr_t)__builtin_return_address(0));
}

void goro_group_go_copy(goro_group *g, goro_task_fn *fn, const void *args, size_t size)
{
	if (g->limited)
		goro_sema_acquire(&g->limit, 1);
	goro_group_start(g, fn, (void *)args, size, (uintptr_t)__builtin_return_address(0));
}

bool goro_group_try_go(goro_group *g, goro_task_fn *fn, void *arg)
{
	if (g->limited && !goro_sema_try_acquire(&g->limit, 1))
		return false;
	goro_group_start(g, fn, arg, 0, (uintptr_t)__builtin_return_address(0));
	return true;
}

int goro_group_wait(goro_group *g)
{
	int err;

	goro_waitgroup_wait(&g->wg);
	err = atomic_load(&g->err);
	if (g->ctx)
		goro_context_cancel_cause(g->ctx, err);
	return err;
}

void goro_group_free(goro_group *g)
{
	if (!g)
		return;
	if (atomic_load(&g->active))
		goro_panic("errgroup: free of a group with %d active goroutines",
			   atomic_load(&g->active));
	/* One that is not active any more says so to the others still. */
	goro_waitgroup_wait(&g->wg);
	goro_context_release(g->ctx);
	free(g);
}

/* ---- WaitGroup.Go ------------------------------------------------------------------------------
 */

struct counted {
	goro_waitgroup *wg;
	goro_fn *fn;
	void *arg;
	unsigned char copy[] __attribute__((aligned(16)));
};

static void counted_ended(void *arg)
{
	struct counted *counted = arg;
	goro_waitgroup *wg = counted->wg;

	free(counted);
	goro_waitgroup_done(wg);
}

static void goro_waitgroup_part(void *arg)
{
	struct counted *counted = arg;
	struct goro_deferred end;

	goro_part_is((uintptr_t)counted->fn);
	goro_deferred_begin_(&end, counted_ended, counted);
	counted->fn(counted->arg);
	goro_deferred_end_(&end);
}

/* Counted already: where `wg` is NULL the caller's own frame must be there to be named. */
static void goro_waitgroup_start(goro_waitgroup *wg, goro_fn *fn, void *arg, size_t copied,
				 uintptr_t pc)
{
	struct counted *counted = goro_part_room(sizeof(*counted), arg, copied, "waitgroup");

	if (!fn)
		goro_throw("go of nil func value");
	*counted = (struct counted){ wg, fn, copied ? memcpy(counted->copy, arg, copied) : arg };
	goro_part_go(goro_waitgroup_part, counted, pc);
}

void goro_waitgroup_go(goro_waitgroup *wg, goro_fn *fn, void *arg)
{
	goro_waitgroup_add(wg, 1);
	goro_waitgroup_start(wg, fn, arg, 0, (uintptr_t)__builtin_return_address(0));
}

void goro_waitgroup_go_copy(goro_waitgroup *wg, goro_fn *fn, const void *args, size_t size)
{
	goro_waitgroup_add(wg, 1);
	goro_waitgroup_start(wg, fn, (void *)args, size, (uintptr_t)__builtin_return_address(0));
}

/* ---- singleflight ------------------------------------------------------------------------------
 */

/*
 * On the stack of the goroutine that makes the call, or in its ticket: it stays until all that
 * share the call have copied.
 *
 * Calls are linked by complements of pointers, which the leak detector does not follow: the table,
 * often a global, would lead to the stack of who makes the call, and so to all that it may wait
 * for. By this way nobody wakes it. Who asks only reads the key; and from the moment that it shares
 * the call, when the one who makes it may come to wait for it, it has a pointer proper.
 */
struct goro_flight_call {
	goro_flight *flight;
	uintptr_t next;
	const char *key;
	bool forgotten; /* not in the table any more */
	uint32_t sharers;
	goro_waitgroup made, copied;
	void *result;
	size_t size;
	int err;
};

static uintptr_t link_to(struct goro_flight_call *call)
{
	return call ? ~(uintptr_t)call : 0;
}

static struct goro_flight_call *linked(uintptr_t link)
{
	struct goro_flight_call *call = link ? (struct goro_flight_call *)~link : NULL;

	/* Or the compiler might keep the link instead, and make a pointer of it each time. */
	__asm__("" : "+r"(call));
	return call;
}

static uintptr_t *slot_of(goro_flight *f, const char *key)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (const char *c = key; *c; c++)
		hash = (hash ^ (unsigned char)*c) * 16777619u;
	return &f->calls_[hash % GORO_FLIGHT_SLOTS];
}

/* f->mu_ held. */
static uintptr_t *find(goro_flight *f, const char *key)
{
	uintptr_t *at = slot_of(f, key);

	while (*at && strcmp(linked(*at)->key, key))
		at = &linked(*at)->next;
	return at;
}

/* f->mu_ held. */
static void forget(uintptr_t *at)
{
	struct goro_flight_call *call = linked(*at);

	if (!call)
		return;
	call->forgotten = true;
	*at = call->next;
}

/* The call is over: let the others have the result. */
static void call_ended(void *arg)
{
	struct goro_flight_call *call = arg;
	goro_flight *f = call->flight;

	goro_mutex_lock(&f->mu_);
	if (!call->forgotten)
		forget(find(f, call->key));
	goro_mutex_unlock(&f->mu_);
	goro_waitgroup_done(&call->made);
	goro_waitgroup_wait(&call->copied);
}

static void make_call(struct goro_flight_call *call, goro_flight_fn *fn, void *arg)
{
	struct goro_deferred end;

	goro_deferred_begin_(&end, call_ended, call);
	call->err = goro_call_flight(fn, arg, call->result);
	goro_deferred_end_(&end);
}

int goro_left_flight(int version, int action, uint64_t language, void *exception, void *context)
{
	(void)version, (void)language, (void)exception, (void)context;
	return goro_left(action, call_ended);
}

/* NULL: `mine` is the one to make. Else whose result we wait for, and are waited for to copy. */
static struct goro_flight_call *goro_flight_join(struct goro_flight_call *mine)
{
	goro_flight *f = mine->flight;
	struct goro_flight_call *theirs;
	uintptr_t *at;

	goro_mutex_lock(&f->mu_);
	at = find(f, mine->key);
	theirs = linked(*at);
	if (!theirs) {
		*at = link_to(mine);
		goro_waitgroup_add(&mine->made, 1);
	} else if (theirs->size != mine->size) {
		size_t size = theirs->size;

		goro_mutex_unlock(&f->mu_);
		goro_panic("singleflight: key \"%.100s\" with results of %zu and of %zu bytes",
			   mine->key, size, mine->size);
	} else {
		theirs->sharers++;
		goro_waitgroup_add(&theirs->copied, 1);
	}
	goro_mutex_unlock(&f->mu_);
	return theirs;
}

/* Of a call that we joined. */
static int wait_and_copy(struct goro_flight_call *call, void *result)
{
	int err;

	goro_waitgroup_wait(&call->made);
	if (call->size)
		memcpy(result, call->result, call->size);
	err = call->err;
	goro_waitgroup_done(&call->copied);
	return err;
}

int goro_flight_do(goro_flight *f, const char *key, goro_flight_fn *fn, void *arg, void *result,
		   size_t size, bool *shared)
{
	struct goro_flight_call mine = {
		.flight = f,
		.key = key,
		.result = result,
		.size = size,
		.err = -ECANCELED, /* if fn does not return */
	}, *theirs;

	if (!key || !fn)
		goro_panic("singleflight: no %s", key ? "function" : "key");
	theirs = goro_flight_join(&mine);
	if (theirs) {
		if (shared)
			*shared = true;
		return wait_and_copy(theirs, result);
	}
	make_call(&mine, fn, arg);
	if (shared)
		*shared = mine.sharers;
	return mine.err;
}

void goro_flight_forget(goro_flight *f, const char *key)
{
	goro_mutex_lock(&f->mu_);
	forget(find(f, key));
	goro_mutex_unlock(&f->mu_);
}

/* ---- singleflight without waiting --------------------------------------------------------------
 */

struct goro_flight_ticket {
	_Atomic uint32_t users; /* who has it, and the goroutine that goes for the answer */
	struct goro_flight_call mine, *theirs; /* NULL: mine is made */
	goro_flight_fn *fn;
	void *arg;
	int err;
	bool shared;
	goro_chan *done;
	unsigned char result[] __attribute__((aligned(16))); /* and the key */
};

static void ticket_put(struct goro_flight_ticket *t)
{
	if (atomic_fetch_sub(&t->users, 1) > 1)
		return;
	goro_chan_free(t->done);
	free(t);
}

/* Also if the call ended in goro_exit(). */
static void answered(void *arg)
{
	struct goro_flight_ticket *t = arg;

	goro_chan_close(t->done);
	ticket_put(t);
}

static void go_for_it(void *arg)
{
	struct goro_flight_ticket *t = arg;
	struct goro_deferred end;

	goro_part_is((uintptr_t)t->fn);
	goro_deferred_begin_(&end, answered, t);
	if (t->theirs) {
		t->shared = true;
		t->err = wait_and_copy(t->theirs, t->result);
	} else {
		make_call(&t->mine, t->fn, t->arg);
		t->shared = t->mine.sharers;
		t->err = t->mine.err;
	}
	goro_deferred_end_(&end);
}

goro_flight_ticket *goro_flight_start(goro_flight *f, const char *key, goro_flight_fn *fn,
				      void *arg, size_t size)
{
	struct goro_flight_ticket *t;
	size_t bytes, key_size;

	if (!key || !fn)
		goro_panic("singleflight: no %s", key ? "function" : "key");
	key_size = strlen(key) + 1;
	if (__builtin_add_overflow(sizeof(*t) + key_size, size, &bytes) || !(t = calloc(1, bytes)))
		goro_panic("singleflight: out of memory: a result of %zu bytes", size);
	atomic_init(&t->users, 2);
	t->mine = (struct goro_flight_call){
		.flight = f,
		.key = memcpy(t->result + size, key, key_size),
		.result = t->result,
		.size = size,
		.err = -ECANCELED, /* if fn does not return */
	};
	t->fn = fn;
	t->arg = arg;
	t->err = -ECANCELED;
	t->done = goro_chan_make(0, 0);
	/* Now, not when the goroutine runs: who asks while a call is under way shares it. */
	t->theirs = goro_flight_join(&t->mine);
	goro_part_go(go_for_it, t, (uintptr_t)__builtin_return_address(0));
	return t;
}

goro_chan *goro_flight_done(const goro_flight_ticket *t)
{
	return t->done;
}

int goro_flight_take(goro_flight_ticket *t, void *result, bool *shared)
{
	goro_chan_recv(t->done, NULL);
	if (t->mine.size)
		memcpy(result, t->result, t->mine.size);
	if (shared)
		*shared = t->shared;
	return t->err;
}

void goro_flight_drop(goro_flight_ticket *t)
{
	if (t)
		ticket_put(t);
}
