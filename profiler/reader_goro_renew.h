/* SPDX-License-Identifier: MIT */
/*
 * reader_goro_renew.h - a look made out of an earlier one.
 *
 * A goroutine whose record is the same as then, park_seq included, has not run since: its frames
 * and what it waits for are the same, and nothing of its stack needs to be read again. In a program
 * where most goroutines wait, this is most of the work; and since the earlier snapshot is nobody's
 * any more, what has not changed stays where it is.
 *
 * How much of a stack is in RAM can change even so: the kernel swaps. That is asked anew of a part
 * of them at each look, of each at every RENEW_LOOKS-th; and of one whose stack the runtime cut
 * back, which its record tells, at once.
 *
 * Rejected: a memo of what was parked, beside snapshots that are built from nothing each time. Of
 * a hundred thousand goroutines that took 17 ms, most of it spent in writing down once more what
 * was known.
 */
#ifndef GORO_READER_GORO_RENEW_H
#define GORO_READER_GORO_RENEW_H

#include "reader_goro_scan.h"

#define RENEW_LOOKS 64

/* Remember what was seen with a whole snapshot. Without memory it is not remembered. */
void renew_remember(struct scan *s, struct snapshot_home *home);

/* Go on with a snapshot that came home. NULL: there is none that fits. */
struct renewal *renew_begin(struct scan *s, struct snapshot_home *home);

/* All records were scanned: bring the snapshot in order. */
void renew_end(struct scan *s);
void renew_free(struct renewal *r);

/*
 * For reader_goro_scan.c. Records have numbers, in the order of the chunks. Of those that are as
 * they were the time goes on; *look, to be freed, has the numbers of the *n others, those of a
 * batch one after the other and rising. (Which one it is of an error does not matter.)
 */
struct goro_error *renew_skim(struct scan *s, uint32_t **look, size_t *n);

/* A record that is in before[] now. */
void renew_look(struct scan *s, uint32_t number, uint32_t slot, size_t *used);

uint64_t renew_address(const struct scan *s, uint32_t number);

#endif /* GORO_READER_GORO_RENEW_H */
