/* SPDX-License-Identifier: MIT */
/*
 * pool.c - objects that are expensive to make, kept for the next one who needs one.
 *
 * Each P has a shelf that only its owner touches, without a lock. A full shelf gives half of its
 * objects to the depot, an empty one takes as many from there (Bonwick's magazines): so objects
 * that one P gives back and another takes travel 16 at a time. Both are bounded and what does not
 * fit is dropped: there is no collector that would empty the pool from time to time, as Go's does.
 */
#include <stdlib.h>
#include <string.h>

#include "runtime.h"

enum { SHELF = 32, HALF = SHELF / 2, DEPOT = 512 };

struct shelf {
	uint32_t n;
	void *objects[SHELF];
};

struct goro_pool_store {
	struct shelf *shelves[P_MAX];
	uint32_t lock;
	uint32_t n;
	void *depot[DEPOT];
};

static struct goro_pool_store *store_of(goro_pool *pool)
{
	struct goro_pool_store *store = __atomic_load_n(&pool->store_, __ATOMIC_ACQUIRE), *theirs;

	if (likely(store))
		return store;
	store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	theirs = NULL;
	if (__atomic_compare_exchange_n(&pool->store_, &theirs, store, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return store;
	free(store);
	return theirs;
}

static void *take(struct goro_pool_store *store, struct p *pp)
{
	struct shelf *shelf = store->shelves[pp->id];

	if (likely(shelf && shelf->n))
		return shelf->objects[--shelf->n];
	if (!__atomic_load_n(&store->n, __ATOMIC_RELAXED))
		return NULL;
	if (!shelf) {
		shelf = store->shelves[pp->id] = calloc(1, sizeof(*shelf));
		if (!shelf)
			return NULL;
	}
	lock(&store->lock);
	shelf->n = store->n < HALF ? store->n : HALF;
	__atomic_store_n(&store->n, store->n - shelf->n, __ATOMIC_RELAXED);
	memcpy(shelf->objects, store->depot + store->n, shelf->n * sizeof(void *));
	unlock(&store->lock);
	return shelf->n ? shelf->objects[--shelf->n] : NULL;
}

/* Returns how many had no room: they are in `over`. */
static uint32_t make_room(struct goro_pool_store *store, struct shelf *shelf, void **over)
{
	uint32_t room;

	shelf->n -= HALF;
	lock(&store->lock);
	room = DEPOT - store->n < HALF ? DEPOT - store->n : HALF;
	memcpy(store->depot + store->n, shelf->objects + shelf->n, room * sizeof(void *));
	__atomic_store_n(&store->n, store->n + room, __ATOMIC_RELAXED);
	unlock(&store->lock);
	memcpy(over, shelf->objects + shelf->n + room, (HALF - room) * sizeof(void *));
	return HALF - room;
}

static void drop(goro_pool *pool, void **objects, uint32_t n)
{
	for (uint32_t i = 0; pool->drop && i < n; i++)
		pool->drop(objects[i], pool->arg);
}

void *goro_pool_get(goro_pool *pool)
{
	struct goro_pool_store *store = __atomic_load_n(&pool->store_, __ATOMIC_ACQUIRE);
	void *object = NULL;

	if (store) {
		struct m *mp = enter();

		object = take(store, mp->p);
		leave(mp);
	}
	return object || !pool->make ? object : pool->make(pool->arg);
}

void goro_pool_put(goro_pool *pool, void *object)
{
	struct goro_pool_store *store = store_of(pool);
	void *over[HALF];
	struct shelf *shelf;
	uint32_t nover = 0;
	struct m *mp;

	if (!object)
		return;
	if (!store) {
		drop(pool, &object, 1);
		return;
	}
	mp = enter();
	shelf = store->shelves[mp->p->id];
	if (unlikely(!shelf))
		shelf = store->shelves[mp->p->id] = calloc(1, sizeof(*shelf));
	if (unlikely(!shelf)) {
		over[nover++] = object;
	} else {
		if (unlikely(shelf->n == SHELF))
			nover = make_room(store, shelf, over);
		shelf->objects[shelf->n++] = object;
	}
	leave(mp);
	drop(pool, over, nover);
}

void goro_pool_clear(goro_pool *pool)
{
	struct goro_pool_store *store = pool->store_;

	if (!store)
		return;
	pool->store_ = NULL;
	for (int i = 0; i < (int)P_MAX; i++) {
		if (store->shelves[i])
			drop(pool, store->shelves[i]->objects, store->shelves[i]->n);
		free(store->shelves[i]);
	}
	drop(pool, store->depot, store->n);
	free(store);
}
