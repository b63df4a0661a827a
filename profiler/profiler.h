/* SPDX-License-Identifier: MIT */
/*
 * profiler.h - look into a goro process from outside (libgoroscope).
 *
 * The one header of this library that goro's own commands share with gotop. It goes like this:
 *
 *	struct goro_scope *scope;
 *	struct goro_snapshot *snap;
 *	struct goro_error *err = goro_scope_open(&scope, "1234");
 *	if (!err)
 *		err = goro_scope_snapshot(scope, &snap);
 *	...look at snap->g[0 .. snap->ng)...
 *	goro_snapshot_free(snap);
 *	goro_scope_close(scope);
 *
 * Nothing here stops, signals or writes to the target, but for a proof that was asked for (see
 * struct goro_verdict_options). A snapshot is frozen plain data: it stays
 * valid after the target has gone, until goro_snapshot_free(). Names come from the scope (they are
 * cached for its whole life and stay valid until goro_scope_close()).
 *
 * Errors: every function that can fail returns NULL or an error object that the caller frees with
 * goro_error_free(). Its code is the exit status of the command that reports it.
 *
 * Threads: one scope may be used by several threads; calls are serialised inside. A snapshot may
 * be read by any number of threads.
 */
#ifndef GORO_PROFILER_H
#define GORO_PROFILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- errors --------------------------------------------------------------------------------- */

/* Exit statuses; see goro(1). */
enum goro_status {
	GORO_OK = 0,
	GORO_FINDINGS = 23,
	GORO_USAGE = 2,
	GORO_NO_TARGET = 3, /* no such process, or it ended meanwhile */
	GORO_PERMISSION = 4,
	GORO_UNSUPPORTED = 5, /* not a goro program, or one we cannot read */
	GORO_PARTIAL = 6,
	GORO_TIMEOUT = 124,
	GORO_NOT_RUNNABLE = 126,
	GORO_NOT_FOUND = 127,
};

struct goro_error {
	enum goro_status code;
	uint64_t address; /* of the read that failed, or 0 */
	char *message;	  /* one line: what was wrong, with what */
	char *hint;	  /* what to do; may have several lines; or NULL */
};

void goro_error_free(struct goro_error *err);

/* ---- a snapshot ------------------------------------------------------------------------------ */

#define GORO_NO_STACK UINT32_MAX

/* Verdicts, in rising order of severity. */
enum goro_verdict {
	GORO_VERDICT_OK = 0,
	GORO_VERDICT_SUSPECT, /* by age */
	GORO_VERDICT_LIKELY,  /* by growth */
	GORO_VERDICT_LEAKED,  /* proved */
};

/* The proof of a LEAKED verdict, or the ground of a suspicion. */
enum goro_proof {
	GORO_PROOF_NONE = 0,
	GORO_PROOF_NEVER,  /* nil channel, empty select, self-lock */
	GORO_PROOF_CYCLE,  /* it waits for a lock whose owner waits for it */
	GORO_PROOF_ORPHAN, /* the lock's owner has ended, or is itself LEAKED */
	GORO_PROOF_AGE,
	GORO_PROOF_GROWTH,
	GORO_PROOF_UNREACHABLE, /* nothing that can still run has what it waits for */
};

/*
 * What somebody allocated, with `goro run --heap`: held now, no matter who will free it, and ever.
 * Bytes are those that were asked for.
 */
struct goro_heap {
	uint64_t bytes, objects;
	uint64_t total_bytes, total_objects;
};

/*
 * One goroutine. Times are nanoseconds, sizes bytes, addresses the target's. What changes from look
 * to look although it does not run, and what tells that it did not, lies together in the first line
 * of a cache.
 */
struct goro_info {
	uint64_t id;
	uint64_t wait_ns;	 /* in this state since; 0 if unknown */
	uint64_t stack_resident; /* bytes of its stack in RAM */
	uint64_t sp;
	uint64_t wait_object; /* 0: none */
	uint32_t park_seq;
	uint32_t finding;   /* index of the finding it belongs to, or UINT32_MAX */
	uint8_t state;	    /* enum goro_state */
	uint8_t reason;	    /* enum goro_reason; unknown to us if >= GORO_NREASONS */
	uint8_t wait_class; /* enum goro_wait_class */
	uint8_t flags;	    /* GORO_FLAG_* */
	char letter;	    /* for bars and lists: r R w.. of the state, or the reason's letter */
	uint8_t verdict;    /* enum goro_verdict, set by goro_verdicts() */
	uint8_t proof;	    /* enum goro_proof */
	/*
	 * Only for one that seems to hold the lock it waits for: it is in that lock's queue. If it
	 * is not, the lock was just handed over to it.
	 */
	bool queued;
	bool labelled; /* it has a name or labels */
	bool torn;     /* it ran while we read: state is right, stack is missing */
	bool lost;     /* its stack is not in the core file */
	bool member;   /* told out of a crowd: see goro_snapshot_wait() */
	uint32_t m_id; /* worker that runs it or ran it last */

	uint64_t stack_lo, stack_hi; /* its stack; 0 before the first run */
	/* The most of it that was in RAM before it was trimmed; 0: it was not. */
	uint64_t stack_peak;
	uint64_t stack_used;  /* stack_hi - sp while parked, else 0 */
	uint64_t parent;      /* 0: none */
	uint64_t spawn_pc;    /* return address of the go statement; 0 for main */
	uint64_t entry;	      /* its function */
	uint64_t record;      /* address of its record: (record, id) names it for ever */
	uint64_t ext;	      /* address of its name and labels, or 0 */
	uint32_t waits_first; /* snap->waits[waits_first .. +nwaits): the objects of its wait */
	uint32_t nwaits;
	uint32_t name;	   /* snap->text + name: a name for people, or "" */
	uint32_t labels;   /* likewise: lines of key=value, or "" */
	uint32_t stack_id; /* index in snap->stacks, or GORO_NO_STACK */
	uint32_t crowd;	   /* snap->crowds[crowd - 1]: it stands for all of these; 0: for itself */
	uint32_t held_locks;
	uint32_t rlocks_first; /* snap->rlocks[rlocks_first .. +nrlocks): rwmutexes that it */
	uint32_t nrlocks;      /* holds for reading, one entry a read lock */
	uint32_t rlocks_more;  /* read locks it holds that are not listed there */
};

/* Goroutines of a summary that wait for one reason at one place: see goro_scope_summarize(). */
struct goro_crowd {
	uint32_t n; /* with the one that stands for them, the oldest */
	uint32_t g; /* its index in snap->g */
	uint64_t oldest_wait_ns;
	uint64_t stack_resident; /* of all */
	uint32_t accused;	 /* how many of them have the verdict of the one that stands */
	/* What its members' are told from: */
	uint64_t id, record, stack_lo, wait_object;
};

/*
 * What one of a crowd has to itself, where each is to be told: see goro_scope_list(). In the rest
 * it is as the one that stands for them. Private; 40 bytes, of which a million are 40 MB.
 */
struct goro_member {
	uint64_t wait_ns : 56, m_id : 8;     /* m_id: its lower bits */
	int32_t id, record, stack_lo;	     /* from the crowd's: ids, words, pages */
	int32_t wait_object;		     /* likewise: words */
	int32_t parent;			     /* from the id; 0: none */
	uint32_t crowd;			     /* as of that one */
	uint32_t park_seq;		     /* as of struct goro_info */
	uint16_t resident_pages, peak_pages; /* of 4096 bytes */
};

/* One object that a goroutine waits for. */
struct goro_wait {
	uint64_t object;
	uint8_t reason; /* CHAN_RECV, CHAN_SEND, MUTEX ... */
	uint8_t wait_class;
};

/* A stack, leaf first. Equal stacks of different goroutines are one. */
struct goro_stack {
	uint32_t first; /* snap->pcs[first .. +n) */
	uint32_t n;
	bool complete;	       /* ends where goroutines end; else truncated */
	bool by_frame_pointer; /* some frame had no unwind data */
	bool caught;	       /* of a thread on its way: pcs[first] is one more than its pc */
};

/* What is known of an object that goroutines wait for. */
struct goro_object {
	uint64_t address;
	uint64_t owner;		      /* mutex: owner's id; rwmutex: writer's; 0: none */
	uint64_t make_pc;	      /* chan: who made it */
	uint32_t readers;	      /* rwmutex */
	uint32_t len, cap, elem_size; /* chan; waitgroup: len = count */
	uint32_t nwaiters;	      /* goroutines of this snapshot that wait for it */
	uint8_t wait_class;	      /* CHAN, MUTEX, RWMUTEX, WAITGROUP, COND */
	bool valid;		      /* it could be read */
	bool closed;		      /* chan */
};

/* A goroutine that ended while it held locks. */
struct goro_tomb {
	uint64_t id, parent, spawn_pc, entry;
	uint64_t ago_ns;
	uint64_t rlocks[2]; /* rwmutexes that it held for reading, as far as they are known; or 0 */
	uint32_t locks;
};

/* What goroutines of one go statement allocated that have ended. */
struct goro_heap_site {
	uint64_t spawn_pc;
	struct goro_heap heap;
};

/* Of several calls that are one go statement: which one stands for this. */
struct goro_same_site {
	uint64_t pc, site;
};

/*
 * Durations by powers of two: n[0] of 0 ns, n[i] of 2^(i-1) to 2^i - 1 ns, the last one also of all
 * longer ones. A sample of what happened since the program's start.
 */
#define GORO_BUCKETS 40

struct goro_histogram {
	uint64_t n[GORO_BUCKETS];
};

struct goro_proc { /* a P */
	uint32_t id, status, m_id, tid, runq_len;
	uint64_t running; /* goroutine id, or 0 */
	uint64_t nswitch, nspawn, nexit, npark, nyield, nsteal, nretake, nspin;
	struct goro_histogram slices;	 /* how long goroutines ran at a time */
	struct goro_histogram latencies; /* how long they waited for a P when they could run */
};

/* The signal that ended a process. */
struct goro_crash {
	int signal;	    /* 0: none is known */
	int tid;	    /* of the thread that got it */
	uint64_t address;   /* that it could not use, or 0 */
	uint64_t goroutine; /* that the thread ran, or 0 */
};

/* Where a snapshot comes from. */
enum goro_source {
	GORO_LIVE, /* a process that goes on running */
	GORO_CORE, /* a core file: a second look shows the same */
	GORO_RECORDING,
};

struct snapshot_past;

struct goro_snapshot {
	enum goro_source source;
	int pid;
	char *name;	     /* program, without directories */
	char *file;	     /* the core file or recording, or NULL */
	size_t tick, nticks; /* of a recording: tick 1 to nticks; else 0 */
	char *runtime;	     /* "goro 0.1.0" */
	int64_t time;	     /* CLOCK_MONOTONIC ns of the target when it was taken */
	int64_t wall_time;   /* CLOCK_REALTIME ns */
	uint64_t uptime_ns;  /* of the runtime */
	uint64_t rss;	     /* bytes, of the process; 0: unknown */
	uint64_t cpu_ns;     /* processor time of the process since its start */
	double cpu;	     /* of one core since the last snapshot of this scope; < 0: unknown */
	bool stopped;	     /* by a signal or a debugger, when it was taken; of a process only */

	struct goro_info *g; /* by rising id; dead and free ones left out */
	size_t ng;
	struct goro_crowd *crowds;
	size_t ncrowds;
	uint64_t *crowd_ids; /* of those that are only numbers in a crowd */
	size_t ncrowd_ids;
	struct goro_member *members; /* of crowds, by rising id; or NULL: there are ids only */
	size_t nmembers;
	uint64_t suspect_age_ns; /* by which it was judged */
	struct goro_wait *waits;
	size_t nwaits;
	uint64_t *rlocks; /* addresses of rwmutexes */
	size_t nrlocks;
	struct goro_stack *stacks;
	size_t nstacks;
	uint64_t *pcs;
	size_t npcs;
	struct goro_object *objects; /* by rising address */
	size_t nobjects;
	struct goro_proc *procs;
	size_t nprocs;
	struct goro_tomb *tombs;
	size_t ntombs;
	char *text; /* names and labels, each with a NUL; begins with an empty one */
	size_t ntext;
	struct goro_same_site *same; /* by rising pc; see goro_snapshot_site() */
	size_t nsame;

	/* With `goro run --heap`, else NULL and 0. */
	struct goro_heap *heap;		   /* of g[i] */
	struct goro_heap_site *heap_ended; /* by rising spawn_pc */
	size_t nheap_ended;
	struct goro_heap heap_outside; /* allocated by no goroutine */

	uint32_t global_runq;
	uint32_t threads; /* workers of the runtime */
	uint32_t timers;
	bool deadlocked;
	struct goro_crash crash; /* of a core file */
	char reclaim_socket[16]; /* where it takes requests to unwind goroutines, or "" */
	uint64_t reclaimed;	 /* goroutines unwound so, since it started */
	uint32_t netpoll;	 /* of struct goro_introspect */

	/* The trust line: what taking it cost, and what is not in it. */
	int64_t cost_ns;
	uint64_t bytes_read;
	uint32_t reread;      /* goroutines that ran while we read them, read again */
	uint32_t torn;	      /* given up after several tries */
	uint32_t truncated;   /* goroutines whose stack does not reach its end */
	uint32_t lost;	      /* of these: not in the core file at all */
	uint64_t cut;	      /* bytes that the core file ought to have, and has not */
	uint32_t bad_records; /* records that made no sense and were skipped */
	uint64_t damaged;     /* bytes of a recording behind its last tick that can be read */

	struct snapshot_past *past; /* the library's own */
};

struct goro_scope;

uint64_t goro_histogram_count(const struct goro_histogram *h);
/* The bound in ns that the share p (0 to 1) of the durations is below; 0 if there are none. */
uint64_t goro_histogram_quantile(const struct goro_histogram *h, double p);
void goro_histogram_add(struct goro_histogram *sum, const struct goro_histogram *h);

/*
 * TARGET is a process id, a core file, a recording, or the name of exactly one process. Digits
 * alone are an id; what has a '/' is a file; else such a file of that name comes before a process.
 */
struct goro_error *goro_scope_open(struct goro_scope **ret, const char *target);
struct goro_error *goro_scope_open_pid(struct goro_scope **ret, int pid);
void goro_scope_close(struct goro_scope *scope);

struct goro_error *goro_scope_snapshot(struct goro_scope *scope, struct goro_snapshot **ret);

/*
 * From now on snapshots of a process or a core file are summaries: goroutines without a name and
 * without locks that wait, not for a lock, for one reason at one place are one with a crowd. What
 * is proved of them is the same; but growth and age need to know of each.
 */
void goro_scope_summarize(struct goro_scope *scope);

/*
 * The same, but what each of a crowd has to itself is kept, in a third of the memory that it takes
 * alone: for who tells of one after the other, by goro_snapshot_next(). What members wait for is
 * among the objects only if that was asked for, too.
 */
void goro_scope_list(struct goro_scope *scope);
void goro_scope_list_objects(struct goro_scope *scope);

/*
 * The same, but only of more than 131,072 goroutines: of fewer, time counts for more than memory.
 * False: not any more, as before a look by which leaks are to be proved by reachability.
 */
void goro_scope_be_thrifty(struct goro_scope *scope, bool thrifty);

/* The same, but this goroutine is not part of a crowd: for who tells of it alone. */
void goro_scope_single_out(struct goro_scope *scope, uint64_t id);

/* A walk over all goroutines by rising id. Begin with the snapshot and zeros. */
struct goro_walk {
	const struct goro_snapshot *snap;
	size_t g, member;
	struct goro_info info; /* private */
	uint32_t place;	       /* private */
};

/*
 * The next one, until the next call; NULL: there are no more. It stands for itself, in a crowd or
 * not. Without crowds it is one of snap->g.
 */
const struct goro_info *goro_snapshot_next(struct goro_walk *w);

/*
 * The same without a walk: places 0 to ng - 1 are snap->g's, those behind are the members of
 * crowds. Who is told out of a crowd is told into `room`.
 */
uint32_t goro_walk_place(const struct goro_walk *w); /* of who came last */
const struct goro_info *goro_snapshot_at(const struct goro_snapshot *snap, uint32_t place,
					 struct goro_info *room);

/* Where the one with that id is told into, if it is in a crowd; NULL: there is none. */
const struct goro_info *goro_snapshot_get(const struct goro_snapshot *snap, uint64_t id,
					  struct goro_info *room);

/* What it waits for: k is less than g->nwaits. */
struct goro_wait goro_snapshot_wait(const struct goro_snapshot *snap, const struct goro_info *g,
				    uint32_t k);

/* How many goroutines there are, with those in crowds; and how many this one stands for. */
size_t goro_snapshot_count(const struct goro_snapshot *snap);
size_t goro_snapshot_weight(const struct goro_snapshot *snap, const struct goro_info *g);
void goro_snapshot_free(struct goro_snapshot *snap);

/*
 * A recording holds one snapshot a tick. It opens at its last one; goro_scope_snapshot() gives the
 * tick where it stands, or, when nobody chose one and the last are damaged, the last before these.
 * For what is no recording there are 0 ticks.
 */
size_t goro_scope_ticks(struct goro_scope *scope);
void goro_scope_seek(struct goro_scope *scope, size_t tick);	     /* 1 to goro_scope_ticks() */
int64_t goro_scope_tick_time(struct goro_scope *scope, size_t tick); /* CLOCK_REALTIME ns */

/* ---- recording ------------------------------------------------------------------------------- */

/*
 * Snapshots of one scope, in the order of their times, into a file that needs neither the process
 * nor its programs to be read. Each tick is written before the call returns; if the recorder dies,
 * the file is good up to the last of them. What was in the file before stays until the first tick
 * is whole.
 */
struct goro_recorder;

struct goro_error *goro_recorder_open(struct goro_recorder **ret, struct goro_scope *scope,
				      const char *path);
struct goro_error *goro_recorder_add(struct goro_recorder *r, const struct goro_snapshot *snap);
uint64_t goro_recorder_bytes(const struct goro_recorder *r); /* written so far */
void goro_recorder_close(struct goro_recorder *r);

/*
 * It runs, on a worker whose P was taken away: it computes for longer than others should wait for,
 * or is in a call that blocks.
 */
bool goro_snapshot_without_p(const struct goro_snapshot *snap, const struct goro_info *g);

/* Of snap->g, where members of crowds are not. */
const struct goro_info *goro_snapshot_find(const struct goro_snapshot *snap, uint64_t id);
const struct goro_object *goro_snapshot_object(const struct goro_snapshot *snap, uint64_t address);

/* "chan receive", "runnable", ...: the reason while it waits, else the state. Go's words. */
const char *goro_state_text(const struct goro_info *g);

/* ---- names ----------------------------------------------------------------------------------- */

/* One line of a stack. Strings belong to the scope; any of them may be NULL. */
struct goro_frame {
	uint64_t pc;
	const char *function;	/* as in the source, or the symbol as it is */
	const char *file;	/* as the compiler was told it, made absolute when that is known */
	const char *module;	/* path of the executable or library */
	uint32_t line;		/* 0: unknown */
	uint64_t module_offset; /* pc in the module's file */
	uint64_t function_offset; /* pc in the function */
	bool inlined;		  /* inlined into the next frame */
	bool runtime;		  /* a function of the goro runtime: hidden by default */
};

/*
 * The lines of one pc, inlined ones first. is_return: pc is a return address, so that the line is
 * that of the call. The array belongs to the scope.
 */
const struct goro_frame *goro_scope_symbolize(struct goro_scope *scope, uint64_t pc, bool is_return,
					      size_t *n);

/*
 * The lines of a whole stack, leaf first, inlines expanded. *user gets the index of the first frame
 * that is not the runtime's (n if none). Free the array with free(); its strings are the scope's.
 */
struct goro_frame *goro_scope_frames(struct goro_scope *scope, const struct goro_snapshot *snap,
				     uint32_t stack_id, size_t *n, size_t *user);

/* Where a goroutine was started: the go statement. False for main. */
bool goro_scope_spawn_site(struct goro_scope *scope, const struct goro_info *g,
			   struct goro_frame *ret);

/* What lies at an address of data, in words: "the variable jobs+8 of /usr/bin/shop". */
void goro_scope_describe(struct goro_scope *scope, uint64_t address, char *text, size_t size);

/* "dir/file.c:12" cut to "file.c:12"; never NULL. */
const char *goro_basename(const char *path);

/* ---- groups ---------------------------------------------------------------------------------- */

enum goro_group_key { GORO_BY_SPAWN, GORO_BY_STACK, GORO_BY_STATE, GORO_BY_NONE };

/* Goroutines of a snapshot that share a key. */
struct goro_group {
	uint64_t key;	   /* site (main: 0), stack id, state and reason, or goroutine id */
	uint32_t *members; /* indices into snap->g: those who stand for it, */
	uint32_t *weights; /* and each for how many */
	size_t nmembers;
	size_t n; /* goroutines: more than members if those stand for crowds */
	uint64_t oldest_wait_ns, median_wait_ns;
	uint64_t stack_resident;
	struct goro_heap heap; /* of all of them */
	uint32_t verdict;      /* the worst of them */
};

void goro_heap_add(struct goro_heap *sum, const struct goro_heap *h);

/*
 * The biggest group first. Free with goro_groups_free(). keep: only of these, by place; NULL: of
 * all. Of crowds whose members are not kept the waits are those of their oldest.
 */
struct goro_group *goro_groups(const struct goro_snapshot *snap, enum goro_group_key key,
			       const bool *keep, size_t *n);
void goro_groups_free(struct goro_group *groups, size_t n);

/* By which one goroutine is in a group: the group's key. */
uint64_t goro_group_key_of(const struct goro_snapshot *snap, const struct goro_info *g,
			   enum goro_group_key key);

/*
 * The go statement of a return address. A compiler may make several calls of one, as of a loop that
 * it unrolls: then one of them stands for all, the same at every look of a scope. That is known of
 * a snapshot that was judged; of another, each is by itself.
 */
uint64_t goro_snapshot_site(const struct goro_snapshot *snap, uint64_t spawn_pc);

/* ---- verdicts -------------------------------------------------------------------------------- */

/* What several goroutines have in common that are stuck for one reason at one place. */
struct goro_finding {
	enum goro_verdict verdict;
	enum goro_proof proof;
	uint64_t site; /* see goro_snapshot_site() */
	uint32_t stack_id;
	uint32_t *members; /* indices into snap->g */
	size_t nmembers;
	size_t n;	/* goroutines: more than members if those stand for crowds */
	char *evidence; /* lines that say why, symbolised */
	/* LEAKED: what would be free without it. Of heap, what several share counts for one. */
	uint64_t heap_bytes, stack_bytes;
};

struct goro_verdict_options {
	uint64_t suspect_age_ns; /* 0: no suspicion by age */
	/*
	 * Prove by reachability too. That reads all of the target's memory, and, if that finds
	 * something, stops it for some milliseconds: the one thing here that disturbs a target.
	 * What is leaked stays so: later looks of this scope know it without this.
	 */
	bool reach;
	uint64_t max_pause_ns; /* 0: 100 ms. Rather know nothing than stop it for longer */
	uint64_t why;	       /* find out what keeps this goroutine alive; 0: none */
};

/* One step of what keeps a goroutine alive: a word at `at`, and where that lies. */
enum goro_reach_kind {
	GORO_REACH_MEMORY,    /* data, bss, thread-local or otherwise: a root */
	GORO_REACH_REGISTERS, /* of thread `id`: a root */
	GORO_REACH_STACK,     /* of goroutine `id`, a root if not blocked; `at` 0: a variable */
	GORO_REACH_RECORD,    /* what goroutine `id` was started with, or a value of its own */
	GORO_REACH_OBJECT,    /* on the heap, at `object`, of `size` bytes */
	GORO_REACH_KERNEL,    /* with the kernel (target_process_kept.c): a root */
};

struct goro_reach_link {
	enum goro_reach_kind kind;
	uint64_t at, id, object, size;
};

/* What came of the proof by reachability. */
struct goro_reach {
	bool tried;
	char unknown[256]; /* why nothing is known; "" if something is */
	unsigned stops;	   /* 0: a pass without a stop found nothing */
	uint64_t pause_ns; /* the longest */
	bool copied;	   /* copied during the stop, since no child could be made */
	uint64_t root_bytes, objects, object_bytes;
	char note[192];		       /* memory whose objects are not known; "" for none */
	uint64_t *retains;	       /* by index in the snapshot: bytes of heap; or NULL */
	struct goro_reach_link *chain; /* from a root to what `why` waits for */
	size_t nchain;
};

struct goro_verdicts {
	struct goro_finding *findings; /* worst first, then most goroutines first */
	size_t n;
	size_t leaked, likely, suspect; /* goroutines */
	struct goro_reach reach;
};

/*
 * Judge a snapshot: sets verdict, proof and finding of each goroutine and returns the findings.
 * Growth needs memory of earlier snapshots: the scope keeps it, so judge each snapshot once.
 */
struct goro_error *goro_scope_judge(struct goro_scope *scope, struct goro_snapshot *snap,
				    const struct goro_verdict_options *opt,
				    struct goro_verdicts **ret);

/*
 * The next snapshot will be judged so: what takes longest about that is begun now, beside the
 * snapshot, which counts what is read for that as its own. No more than a hint; memory may be
 * taken until goro_scope_judge() or the scope's end.
 */
void goro_scope_foresee(struct goro_scope *scope, const struct goro_verdict_options *opt);
void goro_verdicts_free(struct goro_verdicts *v);

/*
 * Who waits for whom: the chain from a goroutine to the one at its root, as goroutine ids, waiter
 * first. At most max; returns how many. *cycle: the last one waits for one of the chain.
 */
size_t goro_wait_chain(const struct goro_snapshot *snap, uint64_t id, uint64_t *chain, size_t max,
		       bool *cycle);

/* ---- the wait-for graph ---------------------------------------------------------------------- */

/* One goroutine that waits for one object: 12 bytes, for there may be a million. */
struct goro_waiter {
	uint64_t object : 56, reason : 8; /* 0: nothing can end this wait */
	uint32_t place;			  /* of goro_snapshot_at() */
} __attribute__((packed, aligned(4)));

/* For an object: it waits, but for what was not seen, or is no address. */
#define GORO_WAIT_UNREAD ((UINT64_C(1) << 56) - 1)

/* A goroutine that holds an object for reading. */
struct goro_holder {
	uint64_t object;
	uint32_t g;
};

struct goro_waits {
	const struct goro_snapshot *snap;
	struct goro_waiter *w; /* by object, then by reason and stack */
	size_t n;
	struct goro_holder *holders; /* by object */
	size_t nholders;
};

/*
 * Who waits for whom; sleeping and waiting for the kernel are left out. keep: only these
 * goroutines' waits, by place; NULL: all. Returns NULL when memory is out.
 */
struct goro_waits *goro_waits(const struct goro_snapshot *snap, const bool *keep);
void goro_waits_free(struct goro_waits *v);

/* From w[at] on: how many wait for the same object; for it, for one reason, with one stack. */
size_t goro_waits_of_object(const struct goro_waits *v, size_t at);
size_t goro_waits_bunch(const struct goro_waits *v, size_t at);
const struct goro_holder *goro_waits_readers(const struct goro_waits *v, uint64_t object,
					     size_t *n);

const char *goro_wait_reason(uint8_t reason);	 /* "chan receive" */
const char *goro_wait_kind(unsigned wait_class); /* "mutex" */
/* "mutex 0x5581, held by goroutine 7" */
void goro_wait_object_text(const struct goro_snapshot *snap, uint64_t address, char *buf,
			   size_t size);

/* ---- all names of a snapshot ----------------------------------------------------------------- */

/*
 * A monitor draws names that it looked up before: looking one up can wait for the scope's lock,
 * which a slow read of the target may hold. What is here is plain data for whoever draws.
 */

/* A stack's lines. Shared by all snapshots that hold an equal stack. */
struct goro_stack_names {
	uint64_t hash; /* of its pcs: the same stack in the next snapshot has the same */
	struct goro_frame *frames; /* leaf first */
	size_t n, user;		   /* user: first that is not the runtime's */
	unsigned refs;		   /* private */
	struct goro_stack_names *next;
};

struct goro_spawn_name {
	uint64_t pc; /* 0: main */
	bool known;
	struct goro_frame at;
	const char *entry; /* function that was started there, or NULL */
};

/* Where a channel was made. */
struct goro_maker_name {
	uint64_t pc;
	struct goro_frame at;
};

struct goro_names {
	const struct goro_snapshot *snap;
	struct goro_stack_names **stacks; /* by stack id */
	struct goro_spawn_name *spawns;	  /* by rising pc */
	size_t nspawns;
	struct goro_maker_name *makers; /* of the channels waited for, by rising pc */
	size_t nmakers;
};

/*
 * Names of one scope's snapshots: what was there in the snapshot before costs no look-up. NULL: out
 * of memory. Take and free names on one thread; free them before their snapshot and their namer.
 */
struct goro_namer;
struct goro_namer *goro_namer_new(struct goro_scope *scope);
void goro_namer_free(struct goro_namer *namer);
struct goro_names *goro_names_take(struct goro_namer *namer, const struct goro_snapshot *snap);
void goro_names_free(struct goro_namer *namer, struct goro_names *names);

const struct goro_stack_names *goro_names_stack(const struct goro_names *names,
						const struct goro_info *g); /* or NULL */
const struct goro_spawn_name *goro_names_spawn(const struct goro_names *names,
					       const struct goro_info *g); /* or NULL */
/* The line a goroutine is at in the user's code, or NULL. */
const struct goro_frame *goro_names_where(const struct goro_names *names,
					  const struct goro_info *g);
/* Where an object was made, or NULL. */
const struct goro_frame *goro_names_maker(const struct goro_names *names,
					  const struct goro_object *o);

/* "cache.c:240 put", "?" when unknown. */
void goro_place_text(const struct goro_frame *at, char *buf, size_t size);
void goro_spawn_text(const struct goro_spawn_name *s, char *buf, size_t size);

/* ---- fields: what can be said of one goroutine ----------------------------------------------- */

/* What goroutines do, in a letter (struct goro_info) or a word of at most six. */
enum goro_activity {
	GORO_ACT_RUN,
	GORO_ACT_READY,
	GORO_ACT_CHAN,
	GORO_ACT_SELECT,
	GORO_ACT_LOCK,
	GORO_ACT_COND,
	GORO_ACT_WAITGROUP,
	GORO_ACT_SEMA,
	GORO_ACT_IO,
	GORO_ACT_SLEEP,
	GORO_ACT_SYSCALL,
	GORO_ACT_NEW,
	GORO_ACT_DEAD,
	GORO_ACT_OTHER,
	GORO_NACTIVITIES
};

struct goro_activity_info {
	char letter;
	const char *name;
};
extern const struct goro_activity_info goro_activities[GORO_NACTIVITIES];

enum goro_activity goro_activity_of(char letter);

/* The columns of gotop's list, and the words that the filter language knows. */
enum goro_info_field {
	GORO_F_GID,
	GORO_F_STATE,
	GORO_F_FOR,
	GORO_F_ON,
	GORO_F_HELD,
	GORO_F_MEM,
	GORO_F_HEAP,
	GORO_F_WORKER,
	GORO_F_VERDICT,
	GORO_F_WHERE,
	GORO_F_SPAWN,
	GORO_F_STACK,
	GORO_F_PARENT,
	GORO_F_NAME,
	GORO_F_LABEL,
	GORO_NINFO_FIELDS
};

enum goro_field_kind {
	GORO_FIELD_COUNT,
	GORO_FIELD_DURATION, /* a bare number is seconds */
	GORO_FIELD_SIZE,     /* a bare number is bytes */
	GORO_FIELD_VERDICT,  /* ordered: ok suspect likely leaked */
	GORO_FIELD_TEXT,
};

/* Goroutines that share this have the same text, so it need be matched only once. */
enum goro_field_domain { GORO_PER_GOROUTINE, GORO_PER_STACK, GORO_PER_SPAWN };

struct goro_field_info {
	const char *name;
	enum goro_field_kind kind;
	enum goro_field_domain domain;
	const char *help;
};
extern const struct goro_field_info goro_fields[GORO_NINFO_FIELDS];

/* Not for GORO_FIELD_TEXT. */
uint64_t goro_field_number(const struct goro_names *names, const struct goro_info *g,
			   enum goro_info_field field);
void goro_field_text(const struct goro_names *names, const struct goro_info *g,
		     enum goro_info_field field, char *buf, size_t size);

/* Below 0, 0, above 0; for sorting: by field, then by id. */
int goro_field_compare(const struct goro_names *names, const struct goro_info *a,
		       const struct goro_info *b, enum goro_info_field field);

const char *goro_verdict_name(uint32_t verdict); /* "ok", "LEAKED" */
const char *goro_proof_name(uint32_t proof);	 /* "cycle"; "" for none */

/* Numbers as columns have them: at most six characters for a duration or a size. Return buf. */
const char *goro_text_count(char *buf, size_t size, uint64_t n);     /* 104,233 */
const char *goro_text_duration(char *buf, size_t size, uint64_t ns); /* 80us 1.9ms 9m02s 2d03h */
const char *goro_text_size(char *buf, size_t size, uint64_t bytes);  /* 512 1.2K 81M 5.9G */

/* ---- the filter language --------------------------------------------------------------------- */

/*
 *	expr   := and { "or" and }
 *	and    := not { ["and"] not }
 *	not    := ("not" | "!") not | "(" expr ")" | test
 *	test   := field op value | field "in" number ".." number | word
 *	op     := "=" "!=" "~" "!~" ">" ">=" "<" "<="
 *
 *	state=lock and for>5s and on~mutex and not spawn~"^net"
 *
 * A bare word is a substring of where, spawn or stack. `~` is an extended regular expression. Case
 * does not matter. Whoever types is not trusted: the length, the nesting and the cost of a regular
 * expression are bounded.
 */
struct goro_filter;

/* NULL for an error, which is then in err: one line that says what and where ("column 7: ..."). An
 * empty text is an error too: no filter is no struct goro_filter. */
struct goro_filter *goro_filter_parse(const char *text, char *err, size_t size);
void goro_filter_free(struct goro_filter *f);
const char *goro_filter_source(const struct goro_filter *f);

/* Sets keep[] for each goroutine of the snapshot, by place; returns how many. Judge it before. */
size_t goro_filter_apply(struct goro_filter *f, const struct goro_names *names, bool *keep);

/* Leave goroutines, and the stacks of none, out of a snapshot. What refers to places in it (names,
 * verdicts) is void then, and to be freed before. False: out of memory. */
bool goro_snapshot_keep(struct goro_snapshot *snap, const bool *keep);

/* Case-insensitive substring, as search and bare words have it. */
bool goro_text_contains(const char *text, const char *word);

/* ---- profiles for a screen ------------------------------------------------------------------- */

enum goro_profile_mode {
	GORO_PROFILE_WALL,   /* the time of all goroutines, whatever they did */
	GORO_PROFILE_OFFCPU, /* the time in which they waited, or waited for a worker */
	GORO_PROFILE_CPU, /* processor time; where perf events are forbidden a sample stops a thread
			   */
	GORO_NPROFILE_MODES
};

const char *goro_profile_mode_name(enum goro_profile_mode mode); /* "wall" */

/* Stacks as a tree of names. The root stands for all, its children for go statements. */
struct goro_profile_node {
	char *name;
	char *where;				/* "cache.c:240" of some sample, or NULL */
	const struct goro_frame *frame;		/* private to the library */
	uint64_t total, self;			/* ns */
	struct goro_profile_node *child, *next; /* children by name */
};

/* What was sampled in one stretch of time. */
struct goro_profile_part {
	struct goro_profile_node *root;
	uint64_t ns;	 /* that the samples stand for */
	uint64_t taken;	 /* samples, or looks at all goroutines */
	uint64_t missed; /* that were due and did not come, or came too late */
	bool ended;	 /* the target has */
	char how[16];	 /* cpu: "perf events" or "ptrace" */
	char note[128];	 /* what the reader must know, or "" */
};

struct goro_profile_options {
	enum goro_profile_mode mode;
	unsigned hz;
	uint64_t duration_ns;
	/* True: end now, with what there is. Asked a few times a second, on the same thread; or
	 * NULL */
	bool (*stop)(void *arg);
	void *arg;
};

/* Sample for a while, on the caller's thread; other calls of the scope go on meanwhile. */
struct goro_error *goro_scope_profile_part(struct goro_scope *scope,
					   const struct goro_profile_options *o,
					   struct goro_profile_part **ret);
void goro_profile_part_free(struct goro_profile_part *part);

/* Add a tree to another. False: out of memory. */
bool goro_profile_merge(struct goro_profile_node *into, const struct goro_profile_node *from);
void goro_profile_node_free(struct goro_profile_node *root);

/* ---- which processes ------------------------------------------------------------------------- */

struct goro_candidate {
	int pid;
	unsigned uid;
	char *name;
	char *command;	    /* its command line */
	char *runtime;	    /* "goro 0.1.0", or NULL: none that we know */
	int64_t goroutines; /* -1: not known */
	int workers;
	uint64_t rss;
	bool attachable;
	char *why_not; /* when not attachable: one line */
};

/* Processes with a goro runtime in them (all: also those that we may not look into). */
struct goro_error *goro_list_processes(struct goro_candidate **ret, size_t *n, bool all);
void goro_candidates_free(struct goro_candidate *c, size_t n);

#endif /* GORO_PROFILER_H */
