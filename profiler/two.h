/* SPDX-License-Identifier: MIT */
/*
 * two.h - work that two processors do in half the time.
 *
 * For what takes most of a proof: to read and pack a gigabyte. Two and not more, because the
 * program that is looked at wants to run meanwhile.
 */
#ifndef GORO_TWO_H
#define GORO_TWO_H

#include <pthread.h>
#include <stdbool.h>

/* Is there a second processor for us? */
bool two_are_there(void);

/*
 * Call work(arg) here, and at the same time in a thread where there is a processor for it: whoever
 * comes first does what there is. Returns when both have. No signal is handled in that thread.
 */
void two_work(void (*work)(void *arg), void *arg);

/*
 * Work that is done beside other work, in a thread, or when it is waited for. `arg` must live that
 * long.
 */
struct two_beside {
	void (*work)(void *arg);
	void *arg;
	pthread_t thread;
	bool there; /* the thread is */
	bool done;
};
void two_begin(struct two_beside *b, void (*work)(void *arg), void *arg);
/* In a thread, wherever there is one. False: there is none, and nothing was begun. */
bool two_try(struct two_beside *b, void (*work)(void *arg), void *arg);
/* Once it is done. More often than once is no error. */
void two_end(struct two_beside *b);

/*
 * Call work(arg, 0) here and work(arg, 1) in a thread at the same time: they may wait for each
 * other. False: there is no thread, and nothing was called.
 */
bool two_halves(void (*work)(void *arg, unsigned which), void *arg);

#endif /* GORO_TWO_H */
