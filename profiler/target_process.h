/* SPDX-License-Identifier: MIT */
/*
 * target_process.h - what the files target_process*.c share: a live process, and /proc.
 *
 * These files alone know /proc, process_vm_readv, ptrace and perf_event_open, and the kernel's
 * rules of who may look into whom.
 */
#ifndef GORO_TARGET_PROCESS_H
#define GORO_TARGET_PROCESS_H

#include "target.h"

/*
 * Held by a descriptor of its /proc directory, so that a reused process id is never taken for it.
 */
struct process {
	struct target target;
	int dir;     /* of /proc/PID */
	int pagemap; /* -1: not opened yet; -2: cannot be */
};

/* ---- target_process_text.c: files in /proc --------------------------------------------------- */

/* The whole file as a string, *len long; NULL with errno set. */
char *process_text(int dir, const char *name, size_t *len);

/* The number after "key" in a file of "key: number" lines. */
bool process_status(int dir, const char *file, const char *key, int base, unsigned long long *ret);

/* Fields of stat by their number in proc(5), from 3 (state) on; NULL: it ends before. */
const char *process_stat(const char *text, int number);

/* The name of its program, without directories. */
char *process_name(int dir);

/* ---- target_process_denied.c: why not -------------------------------------------------------- */

bool process_ended(const struct process *p);
struct goro_error *process_gone(const struct process *p);

/* What an errno of looking into it means. */
struct goro_error *process_explain(const struct process *p, int error, const char *what);

#endif /* GORO_TARGET_PROCESS_H */
