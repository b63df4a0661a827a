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
	int dir;      /* of /proc/PID */
	int pagemap;  /* -1: not opened yet; -2: cannot be */
	bool no_scan; /* this kernel has no PAGEMAP_SCAN */
	int mem;      /* the same */
	bool by_file; /* process_vm_readv() is forbidden to us */
};

/* ---- target_process_wiped.c: what a child would see wiped -------------------------------------
 */

struct process_range {
	uint64_t lo, hi;
};

struct process_wiped {
	struct process_range *v; /* rising */
	size_t n;
};

/* From an smaps file; false: it cannot be read. */
bool process_wiped_read(int dir, const char *name, struct process_wiped *ret);
/* Is all of [lo, hi) among them? */
bool process_wiped_has(const struct process_wiped *w, uint64_t lo, uint64_t hi);
void process_wiped_free(struct process_wiped *w);

/* ---- target_process_track.c: a copy that is made while it runs ----------------------------------
 */

struct process_track;
struct keeper; /* target_process_keeper.h */

enum process_tracked {
	TRACKED_ALL,	  /* it is there as it is now */
	TRACKED_NOT,	  /* nothing is known of this map: copy it in another way */
	TRACKED_TOO_MUCH, /* was written to */
	TRACKED_LOST,	  /* could not be read */
};

/* Before the keeper is, who shares it. NULL: no room, or not possible. */
struct process_track *process_track_room(const struct process *p, const struct target_maps *maps,
					 const struct target_freeze *how);
void process_track_free(struct process_track *t);

/*
 * The keeper: have what it writes marked from now on. `dir` is its /proc directory, `text` a system
 * call instruction of its. False: not possible here. End it in either case.
 */
bool process_track_begin(struct process_track *t, int dir, uint64_t text, int64_t max_ns);
/* We, then: copy what it has while it runs. False: that went wrong. */
bool process_track_copy(struct process_track *t, int dir);
/* The keeper, when every thread stands: copy what else there is of one of its maps. `most`: bytes
 * to have copied at most. */
enum process_tracked process_track_map(struct keeper *k, const struct target_map *m, uint64_t most);
/* The keeper, when it runs again: whoever asks for what was copied gets it now. */
void process_track_settle(struct process_track *t);
/* We: what was copied in the end becomes part of the copy. False: no room. */
bool process_track_absorb(struct process_track *t, uint64_t lo, uint64_t hi, const uint8_t *bytes);
/* Leave no mark behind. */
void process_track_end(struct process_track *t);

/* What is known of r, is filled in. True: that is all of it. */
bool process_track_fill(const struct process_track *t, const struct target_read *r);
/* Set own[] of the pages that are known to be its own, and clear it of those that are not. */
void process_track_own(const struct process_track *t, uint64_t lo, uint64_t hi, uint8_t *own);
/* All of it without a copy; false: not all is known. */
bool process_track_sparse(const struct process_track *t, uint64_t lo, uint64_t hi,
			  struct sparse *ret);

/* ---- target_process_kept.c: pointers that only the kernel has -----------------------------------
 */

struct stop;

struct process_kept {
	int *epolls, *counters, *pipes, *sockets; /* descriptors */
	size_t nepolls, ncounters, npipes, nsockets, nfds;
	int pidfd;	 /* 0: not needed yet; -1: there is none */
	uint64_t *words; /* any of them may be a pointer */
	size_t nwords;
	const char *hides; /* what could have pointers and shows them to nobody; NULL: nothing */
};

/* Before the stop: what there is to be read. */
bool process_kept_list(struct process_kept *k, int pid, int dir, const struct target_maps *maps);
/* Every thread stands: read it. `netpoll`: 1 + a descriptor that is known to have no pointers. */
bool process_kept_read(struct process_kept *k, const struct stop *stop, int dir,
		       const struct target_maps *maps, unsigned netpoll);
/* It runs again. Was that all? */
bool process_kept_all(const struct process_kept *k, int pid, int dir);
void process_kept_free(struct process_kept *k);

/* A pointer may begin at each byte of it. False: no memory. */
bool process_kept_bytes(struct process_kept *k, const uint8_t *bytes, size_t n);

/* ---- target_process_sent.c: pointers on their way -----------------------------------------------
 */

/* Leave of k's sockets those that are to be looked into. */
void process_sent_list(struct process_kept *k, int pid, int dir);
/* Every thread stands. False: no memory. */
bool process_sent_sockets(struct process_kept *k);
bool process_sent_signals(struct process_kept *k, const int *tids, size_t n);
/* What System V keeps for a process that has no descriptors of it. */
void process_sent_system_v(struct process_kept *k, int pid, int dir);
/* Is a descriptor, which is a link to `path`, of a message queue that is not empty? */
bool process_sent_in_queue(int fds, const char *name, const char *path);

/* ---- target_process_unseen.c -------------------------------------------------------------------
 */

/* May it have memory that a device writes to, without its page tables telling? */
bool process_written_unseen(int dir, const struct target_maps *maps);

/* ---- target_process_room.c ---------------------------------------------------------------------
 */

/* Bytes that the process may use more before a limit of its cgroups
 * is reached; UINT64_MAX: none. */
uint64_t process_memory_room(int dir);

/* ---- target_process_text.c: files in /proc --------------------------------------------------- */

/* The whole file as a string, *len long; NULL with errno set. */
char *process_text(int dir, const char *name, size_t *len);

/* The number after "key" in a file of "key: number" lines. */
bool process_status(int dir, const char *file, const char *key, int base, unsigned long long *ret);
/* See target_ops. */
uint64_t process_asleep_at(struct target *t, uint32_t tid);

/* Fields of stat by their number in proc(5), from 3 (state) on; NULL: it ends before. */
const char *process_stat(const char *text, int number);

/* The name of its program, without directories. */
char *process_name(int dir);

/* ---- target_process_denied.c: why not -------------------------------------------------------- */

bool process_ended(const struct process *p);
/* False of who has ended, and of who is being killed. */
bool process_has_memory(const struct process *p);
struct goro_error *process_gone(const struct process *p);

/* What an errno of looking into it means. */
struct goro_error *process_explain(const struct process *p, int error, const char *what);

/* ---- target_process.c ------------------------------------------------------------------------ */

/* Takes text over. */
struct goro_error *process_parse_maps(char *text, size_t len, struct target_maps *ret);

/* ---- target_process_memory.c ------------------------------------------------------------------
 */

/* See target_ops.read. */
struct goro_error *process_read(struct target *t, struct target_read *v, size_t n);
/* The same of another process than the target's own, which has its address space. */
struct goro_error *process_read_pid(struct target *t, int pid, struct target_read *v, size_t n);

/* target_process_resident.c: see target_ops.resident. */
void process_resident(struct target *t, struct target_range *v, size_t n);

/* See target_ops.own_pages; *pagemap is the descriptor of that file, or -1 before the first use. */
bool process_own_pages(int dir, int *pagemap, uint64_t lo, uint64_t hi, uint8_t *own);

/* ---- target_process_stop.c ------------------------------------------------------------------- */

/* Threads of a process that stand still under ptrace. */
struct stop {
	int pid;
	int *tids;
	size_t n, cap;
	int64_t since; /* CLOCK_MONOTONIC ns when the first was stopped; 0: none yet */
	bool stuck; /* when it has ended: some thread could not be stopped, and is still traced */
};

/*
 * Stop every thread, those that appear meanwhile too. 0, or -errno: then none is stopped. -ETIME:
 * it was not done in time. Each stands at a point where it could take a signal; signals that arrive
 * wait in the kernel.
 */
int stop_all(struct stop *s, int pid, int64_t max_ns);
/* The same for one thread. */
int stop_one(struct stop *s, int pid, int tid, int64_t max_ns);
/* Let all go on. Returns for how long the first of them stood, in ns. */
int64_t stop_end(struct stop *s);

/* Registers of a stopped thread: target_thread's, and *vector_size bytes of vector state. */
int stop_registers(int tid, struct target_thread *ret, void *vector, size_t *vector_size);

/* ---- target_process_inject_<arch>.c ---------------------------------------------------------- */

/*
 * Make a stopped thread do one system call. `text` is the address of a system call instruction in
 * the target. *child, if not NULL, gets the process that the call made: traced by us, and stopped
 * before its first instruction. Afterwards the thread is as it was; what it was interrupted in goes
 * on. Returns the call's result, or -ENOSYS where this architecture is not known.
 */
long stop_inject(int tid, uint64_t text, long number, const uint64_t args[6], int *child);
extern const long stop_nr_clone, stop_nr_wait4, stop_nr_userfaultfd, stop_nr_close;
/* What the instruction looks like. */
extern const uint8_t stop_instruction[];
extern const size_t stop_instruction_size;
/* PTRACE_GETREGSET's NT_PRSTATUS in our words. */
void stop_decode(const void *prstatus, size_t size, struct target_thread *ret);

/* ---- target_process_freeze.c ----------------------------------------------------------------- */

struct goro_error *process_freeze(struct target *t, const struct target_freeze *how,
				  struct target_frozen *ret);

#endif /* GORO_TARGET_PROCESS_H */
