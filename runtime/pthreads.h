/* SPDX-License-Identifier: MIT */
/*
 * pthreads.h - GORO_DEBUG=pthread: warn of goroutines that wait while they hold a lock of a thread.
 */
#ifndef GORO_PTHREADS_H
#define GORO_PTHREADS_H

#include "warning.h"

enum held_kind { HELD_MUTEX, HELD_READ, HELD_WRITE, HELD_SPIN, HELD_FILE };

/* A lock that a goroutine holds. In the table by its address, and in a list of the goroutine's. */
struct held {
	struct held *next, *next_of_g;
	void *lock;
	struct g *g;
	uint32_t tid; /* who locked it */
	enum held_kind kind;
	bool owned; /* the thread owns it: only that one can unlock it */
	struct call_stack at;
};

struct held_warning {
	struct held_warning *next;
	uint64_t g;
	char name[GORO_NAME_MAX];
	enum held_kind kind;
	bool owned;
	bool elsewhere;	  /* it unlocks it on another thread; else it waits */
	uint32_t reason;  /* what it waits for: enum goro_reason */
	uint32_t tids[2]; /* who locked and who unlocks it */
	struct call_stack at, here;
};

void goro_pthread_init(void);  /* reads the environment */
void goro_pthread_start(void); /* from here on locks are seen */
void goro_pthread_free(struct g *gp);
/* The current goroutine is about to leave its P, perhaps because it waits; in the runtime. */
void goro_pthread_look(struct p *pp);
/* On the scheduler's stack: write what there is to say. Gives up the P for it, and may lose it. */
void goro_pthread_say(struct m *mp);

/* pthreads_calls.c: once; false if the program is static. */
bool goro_pthread_watch(void);
bool goro_pthread_watch_loaded(void); /* what came since; false: try again */

/* Called by those, in a goroutine and not in the runtime, or (forget) on any thread. */
void goro_pthread_held(struct m *mp, void *lock, enum held_kind kind, bool owned, uintptr_t pc);
void goro_pthread_unlock(struct m *mp, void *lock, uintptr_t pc);
struct held *goro_pthread_pause(struct m *mp, void *lock); /* a condition gives it up */
void goro_pthread_resume(struct m *mp, struct held *h);
void goro_pthread_forget(void *lock); /* it is made, or is no more */

/* pthreads_report.c: malloc()ed, or NULL. */
char *goro_pthread_describe(const struct held_warning *w);

#endif /* GORO_PTHREADS_H */
