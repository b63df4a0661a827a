/* SPDX-License-Identifier: MIT */
/*
 * lockorder.c - GORO_LOCKORDER=1: who takes which lock while it holds which other.
 *
 * If one goroutine takes b under a and another one a under b, they can deadlock, also if this time
 * they did not. So every lock that is taken under another one is an edge of a graph, kept with the
 * stacks at which both were taken, and each new edge that closes a ring is reported once, with one
 * example for each step of the ring.
 *
 * What is no danger is no warning: steps that all the same goroutine makes; steps under a common
 * lock, which keeps them apart; a ring in which some lock is only read by both of its neighbours; a
 * try_lock, which does not wait.
 *
 * Locks are known by a number in themselves, which is zero at first, like the rest of a lock. So
 * memory that was freed and is a lock again is another lock. Rejected: to know them by address
 * (go-deadlock), which sees rings between the dead and the living; to put locks together that were
 * first locked at one place (lockdep's classes, for want of the place where a lock is made: a C
 * lock is made by zeros), which takes the nodes of a tree, parent before child, for an inversion as
 * soon as two functions walk it; to check at each lock_ whether this is on, which all would pay
 * for: see ORDER_ON.
 *
 * It costs a stack trace for each lock, and a kilobyte for each pair of locks. For tests.
 */
#include <stdlib.h>
#include <string.h>

#include "lockorder.h"

enum { EDGES_MAX = 100000, STEPS_MAX = 20000, REPORTS_MAX = 1000 };

struct order_held {
	uint32_t number;
	bool reads;
	struct call_stack at;
};

struct order_locks {
	uint32_t n, cap;
	struct order_held v[];
};

static struct {
	uint32_t lock; /* spin lock around the rest */
	uint32_t last; /* number of a lock */
	uint32_t *first_edge;
	uint32_t nfirst;	  /* length of first_edge */
	struct order_edge *edges; /* from 1; never moves */
	uint32_t nedges;
	uint32_t *table; /* from and to -> edge: open addressing */
	uint32_t mask;
	uint64_t reported[REPORTS_MAX]; /* hashes of rings by place */
	uint32_t nreported;
} order;

void goro_order_init(void)
{
	const char *s = getenv("GORO_LOCKORDER");

	if (!s || !*s || strcmp(s, "0") == 0)
		return;
	if (strcmp(s, "1") != 0)
		goro_throw("GORO_LOCKORDER=%s: not 0 or 1", s);
	order.edges = os_reserve(sizeof(*order.edges) * (EDGES_MAX + 1));
	order.mask = 4 * 65536 - 1;
	order.table = os_reserve(sizeof(*order.table) * (order.mask + 1ul));
	if (!order.edges || !order.table)
		goro_throw("out of memory: the order of locks (GORO_LOCKORDER)");
	goro_lockorder = ORDER_ON;
}

uint32_t goro_order_number(void)
{
	uint32_t number = __atomic_add_fetch(&order.last, 1, __ATOMIC_RELAXED);

	return number < 1u << 24 ? number : 0;
}

/* ---- what a goroutine holds ------------------------------------------------------------------ */

static struct order_locks *locks_of(struct g *gp)
{
	struct g_ext *ext = goro_ext_of(gp);
	struct order_locks *locks = ext->locks;
	uint32_t cap = locks ? locks->cap : 0;

	if (locks && locks->n < cap)
		return locks;
	cap = cap ? cap * 2 : 4;
	locks = realloc(locks, sizeof(*locks) + cap * sizeof(*locks->v));
	if (!locks)
		goro_throw("out of memory: the locks that a goroutine holds (GORO_LOCKORDER)");
	locks->n = ext->locks ? locks->n : 0;
	locks->cap = cap;
	ext->locks = locks;
	return locks;
}

void goro_order_unlock(struct g *gp, uint32_t number)
{
	struct order_locks *locks = gp->ext ? gp->ext->locks : NULL;

	for (uint32_t i = locks ? locks->n : 0; i-- > 0;) {
		if (locks->v[i].number != number)
			continue;
		memmove(&locks->v[i], &locks->v[i + 1], (--locks->n - i) * sizeof(*locks->v));
		return;
	}
}

void goro_order_free(struct g *gp)
{
	if (gp->ext->locks)
		free(gp->ext->locks);
	gp->ext->locks = NULL;
}

/* ---- the graph ------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static bool grow_locks(uint32_t number)
{
	uint32_t n = order.nfirst ? order.nfirst : 1024;
	uint32_t *bigger;

	while (n <= number)
		n *= 2;
	if (n == order.nfirst)
		return true;
	bigger = realloc(order.first_edge, n * sizeof(*bigger));
	if (!bigger)
		return false;
	memset(bigger + order.nfirst, 0, (n - order.nfirst) * sizeof(*bigger));
	order.first_edge = bigger;
	order.nfirst = n;
	return true;
}

/* The edge, or a new one; NULL: there is no room for more. */
static struct order_edge *edge_of(uint32_t from, uint32_t to)
{
	uint32_t at = (uint32_t)mix(mix(1, from), to) & order.mask;
	struct order_edge *e;

	for (; order.table[at]; at = (at + 1) & order.mask) {
		e = &order.edges[order.table[at]];
		if (e->from == from && e->to == to)
			return e;
	}
	if (order.nedges == EDGES_MAX || !grow_locks(from > to ? from : to))
		return NULL;
	order.table[at] = ++order.nedges;
	e = &order.edges[order.nedges];
	e->from = from;
	e->to = to;
	e->next = order.first_edge[from];
	order.first_edge[from] = order.nedges;
	return e;
}

static void fill(struct order_example *x, const struct g *gp, const struct order_locks *locks,
		 const struct order_held *from, const struct order_held *to)
{
	*x = (struct order_example){ .g = gp->id,
				     .from_reads = from->reads,
				     .to_reads = to->reads,
				     .from = from->at,
				     .to = to->at };
	for (uint32_t i = 0; i < locks->n && x->ngates < ORDER_GATES; i++) {
		const struct order_held *h = &locks->v[i];

		if (h->number != from->number && h->number != to->number && !h->reads)
			x->gates[x->ngates++] = h->number;
	}
}

/* Does the edge learn anything from this goroutine? One example each of two of them is enough. */
static bool is_news(const struct order_edge *e, const struct g *gp)
{
	return e->n == 0 || (e->n == 1 && e->example[0].g != gp->id);
}

static bool have_common_gate(const struct order_example *a, const struct order_example *b)
{
	for (uint32_t i = 0; i < a->ngates; i++) {
		for (uint32_t k = 0; k < b->ngates; k++) {
			if (a->gates[i] == b->gates[k])
				return true;
		}
	}
	return false;
}

/* Can this step be under way at the same time as all the others? */
static bool fits(const struct order_cycle *c, const struct order_example *x)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->edge[i].example.g == x->g || have_common_gate(&c->edge[i].example, x))
			return false;
	}
	return !(c->edge[c->n - 1].example.to_reads && x->from_reads);
}

/* Complete a ring that begins with c->edge[0] and has come to c->edge[c->n - 1].to. */
static bool search(struct order_cycle *c, uint32_t *steps)
{
	uint32_t here = c->edge[c->n - 1].to, goal = c->edge[0].from;

	if (here >= order.nfirst)
		return false;
	for (uint32_t k = order.first_edge[here]; k; k = order.edges[k].next) {
		const struct order_edge *e = &order.edges[k];

		for (uint32_t i = 0; i < e->n; i++) {
			if (++*steps > STEPS_MAX || !fits(c, &e->example[i]))
				continue;
			c->edge[c->n].from = here;
			c->edge[c->n].to = e->to;
			c->edge[c->n++].example = e->example[i];
			if (e->to == goal
				    ? !(e->example[i].to_reads && c->edge[0].example.from_reads)
				    : c->n < ORDER_CYCLE && search(c, steps))
				return true;
			c->n--;
		}
	}
	return false;
}

/* Once a ring of places, be it between ever so many locks. */
static bool is_first_report(const struct order_cycle *c)
{
	uint64_t h = c->n;

	for (uint32_t i = 0; i < c->n; i++)
		h += mix(mix(2, c->edge[i].example.from.pc[0]), c->edge[i].example.to.pc[0]);
	for (uint32_t i = 0; i < order.nreported; i++) {
		if (order.reported[i] == h)
			return false;
	}
	if (order.nreported == REPORTS_MAX)
		return false;
	order.reported[order.nreported++] = h;
	return true;
}

/* True: *c is a ring that was not known. */
static bool add_edge(const struct g *gp, const struct order_locks *locks,
		     const struct order_held *from, const struct order_held *to,
		     struct order_cycle *c)
{
	struct order_edge *e;
	uint32_t steps = 0;
	bool found = false;

	lock_always(&order.lock);
	e = edge_of(from->number, to->number);
	if (e && is_news(e, gp)) {
		struct order_example *x = &e->example[e->n++];

		fill(x, gp, locks, from, to);
		c->n = 1;
		c->edge[0].from = e->from;
		c->edge[0].to = e->to;
		c->edge[0].example = *x;
		found = search(c, &steps) && is_first_report(c);
	}
	unlock_always(&order.lock);
	return found;
}

void goro_order_lock(uint32_t number, bool reads, bool try)
{
	struct m *mp = getm();
	struct g *gp = mp->curg;
	struct order_locks *locks = locks_of(gp);
	struct order_held now = { .number = number, .reads = reads };

	goro_stack_take(&now.at);
	for (uint32_t i = 0; !try && i < locks->n; i++) {
		struct order_cycle *c;

		if (locks->v[i].number == number || !number || !locks->v[i].number)
			continue;
		c = malloc(sizeof(*c));
		if (c && add_edge(gp, locks, &locks->v[i], &now, c))
			goro_order_report(c);
		free(c);
	}
	locks->v[locks->n++] = now;
}
