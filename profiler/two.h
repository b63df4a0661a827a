/* SPDX-License-Identifier: MIT */
/*
 * two.h - work that two processors do in half the time.
 *
 * For what takes most of a proof: to read and pack a gigabyte. Two and not more, because the
 * program that is looked at wants to run meanwhile.
 */
#ifndef GORO_TWO_H
#define GORO_TWO_H

/*
 * Call work(arg) here, and at the same time in a thread where there is a processor for it: whoever
 * comes first does what there is. Returns when both have. No signal is handled in that thread.
 */
void two_work(void (*work)(void *arg), void *arg);

#endif /* GORO_TWO_H */
