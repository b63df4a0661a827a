/* SPDX-License-Identifier: MIT */
/*
 * lockorder.h - GORO_LOCKORDER=1: warn of locks that are taken in both orders.
 */
#ifndef GORO_LOCKORDER_H
#define GORO_LOCKORDER_H

#include "warning.h"

enum { ORDER_GATES = 6, ORDER_CYCLE = 6 };

/* A bit that no lock has in the place where it is looked for, so that all take the slow way. */
#define ORDER_ON 2u

#define goro_lockorder sched.lockorder /* set before main */

/* One goroutine took `to` while it held `from`. */
struct order_example {
	uint64_t g;
	bool from_reads, to_reads;
	uint32_t ngates;
	uint32_t gates[ORDER_GATES]; /* what it held besides, not for reading */
	struct call_stack from, to;
};

struct order_edge {
	uint32_t from, to; /* numbers of locks */
	uint32_t next;	   /* of the same `from`; 0: none */
	uint32_t n;	   /* examples, of different goroutines */
	struct order_example example[2];
};

/* Locks that were taken in a ring: edge i leads to the lock that edge i + 1 starts from. */
struct order_cycle {
	uint32_t n;
	struct {
		uint32_t from, to;
		struct order_example example;
	} edge[ORDER_CYCLE];
};

/*
 * Called by locks when goro_lockorder is on, by the goroutine that asks for one, between leave()
 * and enter(). `number` is the lock's, from goro_order_number(). try: it does not wait.
 */
void goro_order_lock(uint32_t number, bool reads, bool try);
void goro_order_unlock(struct g *gp, uint32_t number);

/* A number for a lock that has none, from 1; 0 when there are too many. */
uint32_t goro_order_number(void);

void goro_order_init(void);
void goro_order_free(struct g *gp); /* it ends */

/* lockorder_report.c */
void goro_order_report(struct order_cycle *cycle);

#endif /* GORO_LOCKORDER_H */
