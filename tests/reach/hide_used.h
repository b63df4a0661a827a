/* SPDX-License-Identifier: MIT */
/*
 * hide_used.h - how hide_used.c and hide_bare.c make compilers keep a word beside what it leads to.
 */
#ifndef HIDE_USED_H
#define HIDE_USED_H

#include "hide.h"

/* Nobody but what follows knows where it came from. */
#define HIDE(p) __asm__ volatile("" : "+r"(p))

/* All registers that a call preserves: who calls has them in its own frame, or finds them here. */
static inline void take_registers(void)
{
	__asm__ volatile("" ::: "memory", "rbx", "rbp", "r12", "r13", "r14", "r15");
}

/*
 * What a goroutine is started with stays known: so this is where it finds its pointer. The word
 * lies so many bytes beside what it leads to.
 */
#define TAKE(beside)                        \
	char *p = *(char **)arg + (beside); \
                                            \
	*(void **)arg = NULL;               \
	HIDE(p)

#define CLOSE(beside) goro_chan_close(*(goro_chan **)(p - (beside)))

/* In code without unwind data. */
void hide_bare(void *arg);
void *hide_bare_thread(void *arg);

#endif /* HIDE_USED_H */
