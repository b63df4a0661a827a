/* SPDX-License-Identifier: MIT */
/*
 * target_process_keeper.h - one consistent view of a live process, for a pause of milliseconds.
 *
 * The first choice is to copy it while it runs (target_process_track.c). Where that is not possible
 * all threads are stopped, their registers read, and one of them is made to clone() the process.
 * The child shares every page until somebody writes to it, never runs an instruction, and is what
 * we read afterwards, at leisure, while the target runs on. What a child does not have (shared
 * mappings, MADV_DONTFORK) or has without its content (MADV_WIPEONFORK) is copied during the stop.
 * Where no child may be made (seccomp, limits, a machine whose registers we do not know) all is
 * copied during the stop, within bounds.
 *
 * The work is done by a keeper, a process of its own: should we be killed at any instant, it sees
 * the end of a socket, lets the target go, kills the child and has the target wait for it, so that
 * not even a zombie stays. Should the keeper be killed too, the kernel still lets the target's
 * threads go and kills the child (PTRACE_O_EXITKILL). The child's exit signal is 0: the target's
 * SIGCHLD handler and its wait() do not see it. It shares the table of descriptors, so that it
 * holds nothing open.
 *
 * Rejected: to read while the program runs (an adversary makes every second proof wrong); to copy
 * all of it during the stop as the rule (half a second for a gigabyte); to trace from the thread
 * that analyses (nobody cleans up when it dies).
 */
#ifndef GORO_TARGET_PROCESS_KEEPER_H
#define GORO_TARGET_PROCESS_KEEPER_H

#include "target_process.h"

#include <sys/types.h>

/* Times to try while another keeper is at work there, and how long to wait in between. */
#define PATIENCE    2000
#define PATIENCE_US 1000

/* A piece of memory that was copied during the stop. */
struct copy {
	uint64_t lo, hi;
	uint64_t at; /* in the shared memory */
};

/* What the keeper says over the socket. */
#define KEEPER_MARKS  "m" /* it sees what is written: copy. The answer is one of these, */
#define KEEPER_COPIED "c"
#define KEEPER_FAILED "f"
#define KEEPER_DONE   "d" /* and this the end */

/* What the keeper tells us. It lies at the start of the shared memory. */
struct shared {
	size_t size, used;
	int error; /* errno, or -1: see message */
	char message[256];
	bool stuck;	  /* a thread of it could not be stopped */
	bool tracked;	  /* copied by target_process_track.c */
	int child;	  /* 0: none, all is copied */
	long child_there; /* its id where the target lives */
	int64_t pause_ns;
	size_t nthreads;
	uint64_t threads; /* struct target_thread[nthreads]; vector is an offset */
	uint64_t maps, maps_len;
	uint64_t kept, nkept;	  /* uint64_t[nkept] */
	uint64_t copies, ncopies; /* sorted */
};

struct keeper {
	struct shared *sh;
	const struct target_freeze *how;
	struct process *p;
	struct stop stop;
	int dir, pagemap;
	struct target_maps live;
	struct process_track *track; /* or NULL */
	struct process_wiped wiped;  /* just before the stop */
	struct process_kept kept;
	int socket; /* to whom we keep it for */
	bool left;  /* who is gone */
	struct copy *copies;
	size_t ncopies, copies_cap;
	uint64_t copied;
};

/* ---- target_process_keeper.c ----------------------------------------------------------------- */

/* Be the keeper, until the other end of the socket is closed. */
__attribute__((noreturn)) void keeper_main(struct keeper *k, int socket);

/* ---- target_process_copy.c: what is copied while it stands, and the shared memory -------------
 */

/* An offset into the shared memory, or 0: no room. */
uint64_t keeper_reserve(struct shared *sh, size_t size);
void *keeper_at(struct shared *sh, uint64_t offset);

/* There is no view, and why. Returns false. */
bool keeper_refuse(struct keeper *k, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Some of its own pages. */
bool keeper_copy_range(struct keeper *k, uint64_t lo, uint64_t hi);
/* The pages of a map that are its own; what lies in shared maps; all. False: refused. */
bool keeper_copy_own(struct keeper *k, const struct target_map *m);
bool keeper_copy_shared(struct keeper *k);
bool keeper_copy_all(struct keeper *k);

/* What a child does not have, or has wiped. */
bool keeper_copy_lacking(struct keeper *k);
/* The target runs again. Was nothing wiped for the child that was not known to be? */
bool keeper_check_wiped(struct keeper *k);

/* Leave the list of what was copied in the shared memory. */
void keeper_publish_copies(struct keeper *k);

/* ---- target_process_child.c: the child that shares its pages -----------------------------------
 */

unsigned long long keeper_resident_bytes(const struct keeper *k);
bool keeper_may_inject(const struct keeper *k);
bool keeper_may_fork(const struct keeper *k);
/* The address of a system call instruction in the target, or 0. */
uint64_t keeper_find_instruction(const struct keeper *k);

bool keeper_make_child(struct keeper *k);
void keeper_offer_to_oom_killer(int pid);
/* Kill the child, if there is one, and have the target wait for it. */
void keeper_end_child(struct keeper *k);

#endif /* GORO_TARGET_PROCESS_KEEPER_H */
