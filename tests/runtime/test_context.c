/* SPDX-License-Identifier: MIT */
/* Contexts: who is cancelled when, by what, and when the memory goes. */
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

#define MS GORO_MILLISECOND

static bool is_done(goro_context *c)
{
	bool closed = goro_chan_try_recv(goro_context_done(c), NULL) == GORO_CLOSED;

	check_eq(closed, goro_context_err(c) != 0);
	return closed;
}

static void background_has_nothing(void)
{
	goro_context *c = goro_background();
	int64_t when = 1;

	check(!goro_context_done(c));
	check_eq(goro_context_err(c), 0);
	check_eq(goro_context_cause(c), 0);
	check(!goro_context_deadline(c, &when));
	check_eq(when, 0);
	check(!goro_context_value(c, &when));
	check(goro_context_retain(c) == c);
	goro_context_release(c);
	goro_context_release(c);
	check(!goro_context_retain(NULL));
	goro_context_release(NULL);
}

static void texts(void)
{
	check(!strcmp(goro_context_strerror(-ECANCELED), "context canceled"));
	check(!strcmp(goro_context_strerror(-ETIMEDOUT), "context deadline exceeded"));
	check(!strcmp(goro_context_strerror(-ENOENT), strerror(ENOENT)));
	check(goro_context_strerror(-123456));
}

static void cancel_goes_down_not_up(void)
{
	goro_context *a = goro_context_with_cancel(goro_background());
	goro_context *b = goro_context_with_cancel(a), *c = goro_context_with_cancel(b);
	goro_context *v = goro_context_with_value(c, "key", NULL, NULL);
	goro_context *d = goro_context_with_cancel(v), *sibling = goro_context_with_cancel(a);
	goro_context *late;

	goro_context_cancel_cause(b, -EIO);
	check(!is_done(a));
	check(!is_done(sibling));
	check(is_done(b) && is_done(c) && is_done(v) && is_done(d));
	check_eq(goro_context_err(d), -ECANCELED);
	check_eq(goro_context_cause(d), -EIO);
	check_eq(goro_context_cause(v), -EIO);
	goro_context_cancel_cause(b, -EPERM); /* only the first counts */
	check_eq(goro_context_cause(b), -EIO);
	late = goro_context_with_cancel(v);
	check(is_done(late));
	check_eq(goro_context_cause(late), -EIO);
	goro_context_cancel(a);
	check(is_done(sibling));
	check_eq(goro_context_cause(sibling), -ECANCELED);
	check_eq(goro_context_cause(d), -EIO);
	goro_context_release(a); /* those below hold it */
	goro_context_release(b);
	goro_context_release(c);
	goro_context_release(v);
	goro_context_release(late);
	goro_context_release(sibling);
	check_eq(goro_context_cause(d), -EIO);
	goro_context_release(d);
}

static void cancel_of_background(void)
{
	goro_context_cancel(goro_background());
}

static void cancel_of_value(void)
{
	goro_context *c = goro_context_with_cancel(goro_background());

	goro_context_cancel(goro_context_with_value(c, "key", NULL, NULL));
}

static void nil_parent(void)
{
	goro_context_with_cancel(NULL);
}

static void nil_key(void)
{
	goro_context_with_value(goro_background(), NULL, NULL, NULL);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

static void deadline_passes(void)
{
	int64_t start = goro_now(), when;
	goro_context *c = goro_context_with_timeout(goro_background(), 5 * MS);
	goro_context *child = goro_context_with_cancel(c);

	check(goro_context_deadline(child, &when));
	check(when >= start + 5 * MS);
	check(!is_done(c) || goro_now() >= when);
	goro_chan_recv(goro_context_done(child), NULL);
	check(goro_now() >= when);
	check_eq(goro_context_err(child), -ETIMEDOUT);
	check_eq(goro_context_cause(c), -ETIMEDOUT);
	goro_context_cancel(c);
	check_eq(goro_context_err(c), -ETIMEDOUT);
	goro_context_release(c);
	goro_context_release(child);
}

static void earlier_deadline_wins(void)
{
	goro_context *far = goro_context_with_timeout(goro_background(), 3600 * GORO_SECOND);
	goro_context *soon = goro_context_with_timeout(far, MS);
	goro_context *later = goro_context_with_timeout(soon, 60 * GORO_SECOND);
	goro_context *past = goro_context_with_deadline(far, 1);
	int64_t of_soon, of_later;

	check(goro_context_deadline(soon, &of_soon) && goro_context_deadline(later, &of_later));
	check_eq(of_soon, of_later);
	check(is_done(past));
	check_eq(goro_context_err(past), -ETIMEDOUT);
	goro_chan_recv(goro_context_done(later), NULL);
	check_eq(goro_context_err(later), -ETIMEDOUT);
	check(!is_done(far));
	goro_context_cancel(far);
	check_eq(goro_context_err(far), -ECANCELED);
	goro_context_release(far);
	goro_context_release(soon);
	goro_context_release(later);
	goro_context_release(past);
}

/* The timer goes with a cancel, and with the last reference. */
static void timers_go(void)
{
	extern struct goro_introspect goro_introspect;
	goro_context *a = goro_context_with_timeout(goro_background(), 3600 * GORO_SECOND);
	goro_context *b = goro_context_with_timeout(a, 1800 * GORO_SECOND);
	goro_context *c = goro_context_with_timeout(goro_background(), INT64_MAX);

	check_eq(goro_introspect.timers, 3);
	goro_context_cancel(a);
	check_eq(goro_introspect.timers, 1);
	goro_context_release(c);
	check_eq(goro_introspect.timers, 0);
	goro_context_release(a);
	goro_context_release(b);
}

/* ---- values ---------------------------------------------------------------------------------- */

static int nfreed;

static void count_free(void *value)
{
	nfreed++;
	free(value);
}

static void values_are_found(void)
{
	static const char user[1], request[1];
	goro_context *a = goro_context_with_value(goro_background(), user, malloc(1), count_free);
	goro_context *b = goro_context_with_value(a, request, (void *)request, NULL);
	goro_context *c = goro_context_with_value(b, user, malloc(1), count_free);
	goro_context *d = goro_context_with_cancel(c);

	check(goro_context_value(b, user) == goro_context_value(a, user));
	check(goro_context_value(d, user) != goro_context_value(a, user));
	check(goro_context_value(d, request) == request);
	check(!goro_context_value(a, request));
	check(!goro_context_value(d, &nfreed));
	goro_context_release(a);
	goro_context_release(b);
	goro_context_release(c);
	check_eq(nfreed, 0);
	goro_context_release(goro_context_retain(d));
	check_eq(nfreed, 0);
	goro_context_release(d);
	check_eq(nfreed, 2);
}

static void without_cancel_keeps_values(void)
{
	goro_context *a = goro_context_with_timeout(goro_background(), 3600 * GORO_SECOND);
	goro_context *v = goro_context_with_value(a, "k", &nfreed, NULL);
	goro_context *w = goro_context_without_cancel(v), *c = goro_context_with_cancel(w);

	goro_context_cancel(a);
	check(is_done(v));
	check(!goro_context_done(w));
	check_eq(goro_context_err(w), 0);
	check(!goro_context_deadline(w, NULL));
	check(!is_done(c));
	check(goro_context_value(c, ((const char *)"k")) == goro_context_value(v, "k"));
	goro_context_cancel(c);
	check(is_done(c));
	goro_context_release(a);
	goro_context_release(v);
	goro_context_release(w);
	goro_context_release(c);
}

/* ---- functions ------------------------------------------------------------------------------- */

static void tell(void *arg)
{
	goro_yield();
	goro_chan_send(arg, &(uint64_t){ goro_id() });
}

static void never(void *arg)
{
	(void)arg;
	check(!"started after stop");
}

static void after_func_runs(void)
{
	goro_chan *told = goro_chan_of(uint64_t, 0);
	goro_context *c = goro_context_with_cancel(goro_background());
	goro_context *child = goro_context_with_value(c, told, NULL, NULL);
	goro_context_after *runs = goro_context_after_func(child, tell, told);
	goro_context_after *stopped = goro_context_after_func(c, never, NULL);
	goro_context_after *at_once;
	uint64_t id;

	check(goro_context_after_stop(stopped));
	goro_context_cancel(c);
	check(goro_chan_recv(told, &id));
	check(id != goro_id());
	check(!goro_context_after_stop(runs));
	at_once = goro_context_after_func(c, tell, told);
	check(goro_chan_recv(told, NULL));
	check(!goro_context_after_stop(at_once));
	check(goro_context_after_stop(goro_context_after_func(goro_background(), never, NULL)));
	goro_context_release(child);
	goro_context_release(c);
	goro_chan_free(told);
}

/* ---- big trees ------------------------------------------------------------------------------- */

static void a_long_chain(void)
{
	enum { N = 100000 };
	goro_context **chain = calloc(N, sizeof(*chain));

	check(chain);
	chain[0] = goro_context_with_cancel(goro_background());
	for (int i = 1; i < N; i++)
		chain[i] = goro_context_with_cancel(chain[i - 1]);
	goro_context_cancel(chain[0]);
	for (int i = 0; i < N; i++)
		check(goro_context_err(chain[i]));
	for (int i = 0; i < N; i++)
		goro_context_release(chain[i]);
	free(chain);
}

static atomic_int last_seen;

static void watch_depth(void *arg)
{
	struct {
		goro_context *c, *parent;
		goro_waitgroup *wg;
	} *w = arg;

	goro_chan_recv(goro_context_done(w->c), NULL);
	check(goro_context_err(w->parent)); /* before its children */
	last_seen++;
	goro_waitgroup_done(w->wg);
}

static void parents_before_children(void)
{
	enum { N = 64 };
	goro_context *tree[N];
	goro_waitgroup wg = { 0 };
	struct {
		goro_context *c, *parent;
		goro_waitgroup *wg;
	} watched;

	tree[0] = goro_context_with_cancel(goro_background());
	for (int i = 1; i < N; i++) {
		tree[i] = goro_context_with_cancel(tree[(i - 1) / 2]);
		watched.c = tree[i];
		watched.parent = tree[(i - 1) / 2];
		watched.wg = &wg;
		goro_waitgroup_add(&wg, 1);
		go_copy(watch_depth, &watched);
	}
	goro_context_cancel(tree[0]);
	goro_waitgroup_wait(&wg);
	check_eq(last_seen, N - 1);
	for (int i = 0; i < N; i++)
		goro_context_release(tree[i]);
}

/* Children come and go, are cancelled from above, by themselves and by their deadlines, all at
 * once; whoever holds one sees it end. */
struct storm {
	goro_context *root;
	goro_waitgroup wg;
	atomic_int after;
};

static void count_after(void *arg)
{
	atomic_fetch_add(&((struct storm *)arg)->after, 1);
}

static void storm_child(void *arg)
{
	struct storm *s = arg;

	for (int i = 0; i < 200; i++) {
		goro_context *c = goro_context_with_timeout(s->root, (i % 4) * 30000 - 1);
		goro_context *d = goro_context_with_cancel(c);
		goro_context_after *a = goro_context_after_func(d, count_after, s);

		goro_context_release(c);
		if (i % 3 == 0)
			goro_context_cancel(d);
		if (i % 3 == 1)
			goro_chan_recv(goro_context_done(d), NULL);
		if (i % 3 != 2)
			check(goro_context_err(d));
		goro_context_release(d);
		if (goro_context_after_stop(a))
			s->after++; /* each either runs or is stopped */
	}
	goro_waitgroup_done(&s->wg);
}

static void storm(void)
{
	enum { N = 32 };
	struct storm s = { .root = goro_context_with_cancel(goro_background()) };

	goro_waitgroup_add(&s.wg, N);
	for (int i = 0; i < N; i++)
		go(storm_child, &s);
	goro_sleep(5 * MS);
	goro_context_cancel(s.root);
	goro_waitgroup_wait(&s.wg);
	check_eventually(s.after == N * 200);
	goro_context_release(s.root);
}

static void wait_done(void *arg)
{
	goro_chan_recv(goro_context_done(arg), NULL);
}

static void release_under_a_waiter(void)
{
	goro_context *c = goro_context_with_cancel(goro_background());

	check_parked(go(wait_done, c), GORO_REASON_CHAN_RECV);
	goro_context_release(c);
}

#define DIES .status = 2, .says

static void cause_of_a_deadline(void)
{
	goro_context *a = goro_context_with_timeout_cause(goro_background(), GORO_MILLISECOND,
							  -EIO),
		     *b = goro_context_with_deadline_cause(a, goro_now() + GORO_SECOND, -EPERM),
		     *past = goro_context_with_deadline_cause(goro_background(), 1, -EPERM),
		     *none = goro_context_with_timeout_cause(goro_background(), 0, 0),
		     *early = goro_context_with_timeout_cause(goro_background(), GORO_SECOND, -EIO);

	goro_context_cancel(early);
	check_eq(goro_context_cause(early), -ECANCELED);
	goro_chan_recv(goro_context_done(b), NULL);
	check_eq(goro_context_err(b), -ETIMEDOUT);
	check_eq(goro_context_cause(b), -EIO); /* the parent's came first */
	check_eq(goro_context_cause(a), -EIO);
	check_eq(goro_context_err(past), -ETIMEDOUT);
	check_eq(goro_context_cause(past), -EPERM);
	check_eq(goro_context_cause(none), -ETIMEDOUT);
	goro_context_release(early);
	goro_context_release(none);
	goro_context_release(past);
	goro_context_release(b);
	goro_context_release(a);
}

static void cancel_it(void *ctx)
{
	goro_context_cancel(ctx);
}

/* The last reference goes while who cancels is still at it. */
static void released_by_who_sees_it(void)
{
	for (int i = 0; i < 2000; i++) {
		goro_context *ctx = goro_context_with_cancel(goro_background());

		go(cancel_it, ctx);
		while (!goro_context_err(ctx))
			goro_yield();
		goro_context_release(ctx);
	}
}

static const struct check_case cases[] = {
	{ .name = "released_by_who_sees_it", .run = released_by_who_sees_it },
	{ .name = "background_has_nothing", .run = background_has_nothing },
	{ .name = "texts", .run = texts },
	{ .name = "cancel_goes_down_not_up", .run = cancel_goes_down_not_up },
	{ .name = "cancel_of_background",
	  .run = cancel_of_background,
	  DIES = { "^panic: context: cancel of a context that was not made to be canceled$" } },
	{ .name = "cancel_of_value",
	  .run = cancel_of_value,
	  DIES = { "^panic: context: cancel of a context that was not made to be canceled$" } },
	{ .name = "nil_parent",
	  .run = nil_parent,
	  DIES = { "^panic: cannot create context from nil parent$" } },
	{ .name = "nil_key", .run = nil_key, DIES = { "^panic: nil key$" } },
	{ .name = "deadline_passes", .run = deadline_passes },
	{ .name = "earlier_deadline_wins", .run = earlier_deadline_wins },
	{ .name = "timers_go", .run = timers_go },
	{ .name = "values_are_found", .run = values_are_found },
	{ .name = "without_cancel_keeps_values", .run = without_cancel_keeps_values },
	{ .name = "after_func_runs", .run = after_func_runs },
	{ .name = "a_long_chain", .run = a_long_chain },
	{ .name = "parents_before_children", .run = parents_before_children },
	{ .name = "storm", .run = storm },
	{ .name = "release_under_a_waiter",
	  .run = release_under_a_waiter,
	  DIES = { "^panic: free of a channel that goroutine [0-9]+ waits on$" } },
	{ .name = "cause_of_a_deadline", .run = cause_of_a_deadline },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
