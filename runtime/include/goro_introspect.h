/* SPDX-License-Identifier: MIT */
/*
 * goro_introspect.h - the contract: what an observer may read in a goro program.
 *
 * An observer (goro, gotop, a debugger) never links the runtime and never knows a structure of it.
 * Everything it needs to find its way travels in the target as data: sizes, strides and field
 * offsets, the names of the states and of the wait reasons. So a newer observer reads an older
 * program, and an older observer a newer program, as far as both know a field. (The idea is
 * CPython's _Py_DebugOffsets and glibc's nptl_db/structs.def; the warning is Plan 9's acid/thread,
 * which hard-coded offsets and rotted.)
 *
 * How to find it: one `struct goro_introspect` lives in the executable or in libgoro.so.
 *   1. an ELF note, owner "GORO", type GORO_NOTE_TYPE, whose 8-byte descriptor holds
 *      (address of the struct) - (address of the descriptor): survives strip, needs no symbol;
 *   2. else the symbol `goro_introspect` in .symtab or .dynsym.
 *
 * How to read one goroutine without stopping anything: read its record, read its stack, read its
 * record again. If `status` says parked in both and `park_seq` did not change, the goroutine did
 * not run in between, and the stack is consistent. (A seqlock whose writer is the goroutine.) That
 * asks for a copy in which `park_seq` is no older than `status`, nor anything else than `park_seq`.
 * So the two lie in one aligned piece of 16 bytes and what changes with them behind, for those who
 * copy a record from its start on, 16 bytes at a time or more, as kernels do.
 *
 * Rules for whoever changes this file: field ids, states and reasons are only ever appended, never
 * reordered or reused. A change that an old observer would misread bumps GORO_CONTRACT_VERSION.
 */
#ifndef GORO_INTROSPECT_H
#define GORO_INTROSPECT_H

#include <stdint.h>

#define GORO_CONTRACT_COOKIE  "GOROSCP1" /* 8 bytes, no terminator */
#define GORO_CONTRACT_VERSION 3u
#define GORO_CONTRACT_VERSION_COLD \
	4u /* the same, but bytes of stacks may be elsewhere: see below */
#define GORO_CONTRACT_SYMBOL "goro_introspect"
#define GORO_NOTE_OWNER	     "GORO"
#define GORO_NOTE_TYPE	     1u

/*
 * States of a goroutine: X(id, letter, name). FREE is a record that holds no goroutine; its other
 * fields still describe the last one that lived there (an orphaned lock's owner is named by them),
 * or the memory was given back and all are zero, as before the first. Who ended with a lock stays.
 */
#define GORO_STATES(X)                                                                          \
	X(FREE, '-', "free")	     /* no goroutine in this record */                          \
	X(NEW, 'n', "new")	     /* started, has not run yet: no stack */                   \
	X(RUNNABLE, 'R', "runnable") /* in a run queue */                                       \
	X(RUNNING, 'r', "running")   /* on a worker; saved registers are stale */               \
	X(WAITING, 'w', "waiting")   /* parked: reason, object and saved registers are valid */ \
	X(DEAD, 'x', "dead")	     /* ended, record not yet given back */

/*
 * Why a goroutine waits: X(id, letter, name, class). Names are Go's where Go has one.
 * Do not reuse a reason; add one.
 */
#define GORO_REASONS(X)                                         \
	X(NONE, '-', "", NONE)                                  \
	X(CHAN_RECV, 'c', "chan receive", CHAN)                 \
	X(CHAN_SEND, 'c', "chan send", CHAN)                    \
	X(CHAN_RECV_NIL, 'c', "chan receive (nil chan)", NEVER) \
	X(CHAN_SEND_NIL, 'c', "chan send (nil chan)", NEVER)    \
	X(SELECT, 's', "select", SELECT)                        \
	X(SELECT_NONE, 's', "select (no cases)", NEVER)         \
	X(MUTEX, 'l', "sync.Mutex.Lock", MUTEX)                 \
	X(RWMUTEX_R, 'l', "sync.RWMutex.RLock", RWMUTEX)        \
	X(RWMUTEX_W, 'l', "sync.RWMutex.Lock", RWMUTEX)         \
	X(COND, 'o', "sync.Cond.Wait", COND)                    \
	X(WAITGROUP, 'g', "sync.WaitGroup.Wait", WAITGROUP)     \
	X(ONCE, 'l', "sync.Once.Do", MUTEX)                     \
	X(SLEEP, 'z', "sleep", EXTERNAL)                        \
	X(IO, 'i', "IO wait", EXTERNAL)                         \
	X(SEMA, 'm', "semacquire", SEMA)                        \
	X(BLOCKING, 'y', "blocking call", EXTERNAL)             \
	X(SELECT_TIMEOUT, 's', "select (timeout)", EXTERNAL)    \
	X(SEMA_CONTEXT, 'm', "semacquire (context)", EXTERNAL)  \
	X(SEMA_OVER, 'm', "semacquire (over its size)", NEVER)

/* What Go calls those of another name, where it prints goroutines: X(id, name). */
#define GORO_REASONS_IN_GO(X)         \
	X(ONCE, "sync.Mutex.Lock")    \
	X(BLOCKING, "syscall")        \
	X(SELECT_TIMEOUT, "select")   \
	X(SEMA_CONTEXT, "semacquire") \
	X(SEMA_OVER, "semacquire")

/*
 * What `wait_object` points to, by class of the reason. EXTERNAL waits end by time or by the
 * kernel and are never proof of anything. NEVER waits cannot end.
 */
enum goro_wait_class {
	GORO_CLASS_NONE = 0,
	GORO_CLASS_EXTERNAL,
	GORO_CLASS_NEVER,
	GORO_CLASS_CHAN,      /* object: a channel */
	GORO_CLASS_SELECT,    /* object: first waiter record of g.waiting, one per case */
	GORO_CLASS_MUTEX,     /* object: a mutex or once */
	GORO_CLASS_RWMUTEX,   /* object: a rwmutex */
	GORO_CLASS_COND,      /* object: a cond */
	GORO_CLASS_WAITGROUP, /* object: a waitgroup */
	GORO_CLASS_SEMA,      /* object: a sema */
};

#define GORO_STATE_ID(id, letter, name) GORO_STATE_##id,
enum goro_state { GORO_STATES(GORO_STATE_ID) GORO_NSTATES };
#undef GORO_STATE_ID

#define GORO_REASON_ID(id, letter, name, class) GORO_REASON_##id,
enum goro_reason { GORO_REASONS(GORO_REASON_ID) GORO_NREASONS };
#undef GORO_REASON_ID

/* A row of the name tables that travel in the target. */
struct goro_name {
	char name[30]; /* NUL-terminated */
	uint8_t letter;
	uint8_t wait_class; /* enum goro_wait_class; 0 in the table of states */
};

/*
 * `g.status` packs state and reason, so that both change in one store: bits 0-7 state, 8-15 reason.
 * It is the low end of `g.park_time`, which changes in the same.
 */
#define GORO_STATUS_STATE(s)  ((s)&0xffu)
#define GORO_STATUS_REASON(s) (((s) >> 8) & 0xffu)
#define GORO_SINCE(park_time) ((park_time) & ~UINT64_C(0xffff)) /* ns */
/* What `g.flags` tells. */
#define GORO_FLAG_MAIN	    0x1u  /* runs main() on the process stack */
#define GORO_FLAG_SYSTEM    0x2u  /* the runtime's own; not counted as the user's */
#define GORO_FLAG_LOCKED    0x4u  /* locked to its OS thread */
#define GORO_FLAG_FOREIGN   0x8u  /* a thread that the program made; its stack ends as one */
#define GORO_FLAG_IGNORE    0x10u /* goro_ignore(): no proof is wanted of it */
#define GORO_FLAG_RECLAIMED 0x20u /* it is being unwound: see struct goro_reclaim_entry */

/* `g.m_id` has the runtime's own in its upper half. */
#define GORO_WORKER(m_id) ((m_id)&0xffffu)

/*
 * Every field that an observer may read: X(struct, field, meaning). Append only.
 *
 *   g        one goroutine; records lie in chunks of `g_chunk_len`, `g_size` bytes each. What is
 *            in memory of its stack tells how deep it has been; but one that is parked for long
 *            loses the pages below its stack pointer, and then `stack_peak` says it
 *   waiter   one blocked operation, on the waiting goroutine's own stack
 *   chan mutex rwmutex waitgroup     what a goroutine can wait for
 *   p        one processor (what runs goroutines; `GORO_MAXPROCS` of them)
 *   m        one worker thread
 *   tomb     one goroutine that ended while it held locks
 *   cond sema   the same; m.stack_* and m.sp are of the worker's own stack: m.sp is right while the
 *            worker is on a goroutine's
 *   ext      what few goroutines have: a name of at most 47 bytes and a NUL, and labels. Stays
 *            mapped, as a record does; a NUL always comes in time, also while it is rewritten
 */
#define GORO_FIELDS(X)                                                                  \
	X(g, id, "u64, never reused; 1 is main; 0: the record was never used")          \
	X(g, status, "u16, see GORO_STATUS_*")                                          \
	X(g, park_seq, "u32, +1 at every park, before status says so")                  \
	X(g, sp, "u64, stack pointer while it does not run; see saved_* below")         \
	X(g, wait_object, "u64, address of what it waits for, or 0")                    \
	X(g, waiting, "u64, record of the first case; valid in a select")               \
	X(g, park_time, "u64, GORO_SINCE() of it: coarse ns since it waits or can run") \
	X(g, stack_lo, "u64, lowest usable address, or 0 before the first run")         \
	X(g, stack_hi, "u64, one past the highest")                                     \
	X(g, spawn_pc, "u64, return address of the go statement; 0 for main")           \
	X(g, entry, "u64, the function it was started with")                            \
	X(g, parent, "u64, id of the goroutine that started it, or 0")                  \
	X(g, held_locks, "u32, locks it holds now (mutexes, write locks, read locks)")  \
	X(g, m_id, "u32, GORO_WORKER() of it: runs it or ran it last")                  \
	X(g, rlocks, "u64[g_nrlocks], rwmutexes it holds for reading; 0: free entry")   \
	X(g, rlocks_more, "u32, read locks that did not fit above")                     \
	X(waiter, g, "u64, the record of the goroutine that waits")                     \
	X(waiter, next, "u64, next waiter in the object's queue")                       \
	X(waiter, object, "u64, what this one waits for")                               \
	X(waiter, next_of_g, "u64, next waiter of the same goroutine (select), or 0")   \
	X(waiter, kind, "u32, reason: CHAN_RECV, CHAN_SEND, RWMUTEX_R ...")             \
	X(chan, elem_size, "u32, bytes of one element")                                 \
	X(chan, cap, "u32, elements the buffer can hold")                               \
	X(chan, count, "u32, elements in the buffer")                                   \
	X(chan, closed, "u32")                                                          \
	X(chan, recvq, "u64, first waiter that receives")                               \
	X(chan, sendq, "u64, first waiter that sends")                                  \
	X(chan, make_pc, "u64, return address of the call that made it")                \
	X(mutex, owner, "u64, id of the goroutine that holds it, or 0")                 \
	X(mutex, waitq, "u64, first waiter")                                            \
	X(rwmutex, writer, "u64, id of the goroutine that holds it for writing, or 0")  \
	X(rwmutex, readers, "u32, read locks held")                                     \
	X(rwmutex, waitq, "u64, first waiter, readers and writers in order of arrival") \
	X(waitgroup, count, "u32, Done calls that are missing")                         \
	X(waitgroup, waitq, "u64, first waiter")                                        \
	X(p, id, "u32")                                                                 \
	X(p, status, "u32: 0 idle, 1 running, 2 stopped (above GOMAXPROCS)")            \
	X(p, m, "u64, the m that holds it, or 0; its curg is what runs")                \
	X(p, runq_head, "u32, queue length is runq_tail - runq_head, modulo 2^32,")     \
	X(p, runq_tail, "u32, plus one if runnext is not 0, plus up to 7 in its hand")  \
	X(p, runnext, "u64, record of the goroutine that runs next, or 0")              \
	X(p, nswitch, "u64, goroutines given the processor")                            \
	X(p, nspawn, "u64, goroutines started")                                         \
	X(p, nexit, "u64, goroutines ended")                                            \
	X(p, npark, "u64, times one left it: parks, yields, ends")                      \
	X(p, nyield, "u64, times one called goro_yield()")                              \
	X(p, nsteal, "u64, goroutines stolen from others")                              \
	X(p, nretake, "u64, times sysmon took it from a worker")                        \
	X(m, id, "u32")                                                                 \
	X(m, tid, "u32, kernel thread id")                                              \
	X(m, curg, "u64, record of the goroutine on this thread, or 0")                 \
	X(tomb, id, "u64, goroutine that ended holding locks; 0: empty entry")          \
	X(tomb, spawn_pc, "u64")                                                        \
	X(tomb, entry, "u64")                                                           \
	X(tomb, parent, "u64")                                                          \
	X(tomb, time, "u64, coarse ns when it ended")                                   \
	X(tomb, locks, "u32, how many it held")                                         \
	X(g, name, "u64, address of its name, which begins its ext record; 0: none")    \
	X(ext, labels, "char[], lines of key=value, and a NUL")                         \
	X(tomb, rlocks, "u64[g_nrlocks], as g.rlocks when it ended")                    \
	X(g, stack_peak, "u16, its stack's pages of 4096 bytes when it was trimmed")    \
	X(cond, waitq, "u64, first waiter")                                             \
	X(sema, waitq, "u64, first waiter; requests above its size are not in it")      \
	X(m, stack_lo, "u64, of the worker's own stack, which runs the scheduler")      \
	X(m, stack_hi, "u64, one past the highest")                                     \
	X(m, sp, "u64, where it was left for a goroutine's stack")                      \
	X(ext, locals, "u64, first of a list of the goroutine's own values, or 0")      \
	X(p, slices, "u64[p_nbuckets], lengths of run slices; see p_nbuckets")          \
	X(p, latencies, "u64[p_nbuckets], times from runnable to running")              \
	X(p, nspin, "u64, times its worker went to look for work elsewhere")            \
	X(g, flags, "u16, GORO_FLAG_*")

#define GORO_FIELD_ID(s, f, meaning) GORO_FIELD_##s##_##f,
enum goro_field_id { GORO_FIELDS(GORO_FIELD_ID) GORO_NFIELDS };
#undef GORO_FIELD_ID

/* Where a field lies in its structure. size 0: this program does not have it. */
struct goro_field {
	uint16_t offset;
	uint16_t size;
};

/*
 * Memory that a search for pointers must treat in its own way. An entry whose lo is 0 is empty; a
 * change leaves it empty or right at every moment. What is not listed is the program's.
 */
enum goro_region_kind {
	GORO_REGION_NONE = 0,
	GORO_REGION_OPAQUE, /* records and stacks of the runtime, and the part of main's stack that
			     * is exit()'s: no pointer in it counts by itself */
	GORO_REGION_ROOT,   /* scan it: goro_root_region(), and timers */
	GORO_REGION_KEEP, /* `lo` itself counts as a pointer that somebody has: goro_keepalive() */
};

struct goro_region {
	uint64_t lo, hi;
	uint32_t kind;
	uint32_t reserved;
};

/*
 * Cold stacks (GORO_COLD, and version 2). Pages of a stack whose goroutine is parked for long are
 * taken away; what they held is kept elsewhere. A read of such a page by the program brings it back
 * first. A read from outside must not try: it would wait for a thread of the program, which may be
 * stopped. In a copy of the program (a core file, a forked child) it finds zeros.
 *
 * The slots of an arena are `slot_size` bytes each, from `lo` on, one stack to a slot. copies[i] is
 * the address of slot i's goro_cold_stack if it is even and not 0. Whoever reads a program that
 * runs reads `seq` again afterwards: if it has changed, so has what was read.
 *
 * A page is taken away after the entry is made, and is back before the entry goes. So in a copy of
 * the program a page that is not all zeros is right, whatever the entry says; otherwise the bytes
 * are those kept, or while `moving` is set those there.
 */
struct goro_cold_arena {
	uint64_t lo, hi;
	uint64_t copies; /* u64[(hi - lo) / slot_size] */
	uint64_t slot_size;
};

struct goro_cold_stack {
	uint64_t seq;	 /* never the same twice; 0: this is no copy any more, or not yet */
	uint64_t lo;	 /* the pages [lo, lo + size) are not there */
	uint64_t moving; /* not 0: their bytes are there, or still in place, and none are kept */
	uint32_t size;
	uint32_t from, to; /* bytes [lo + from, lo + to) lie behind this; all others are zeros */
	uint32_t reserved;
};

/*
 * The root. Addresses are the target's and held in 64 bits on every architecture. A field may only
 * be read when it lies below `size`. Counts that change are written with one aligned store.
 */
struct goro_introspect {
	char cookie[8]; /* GORO_CONTRACT_COOKIE, written last: an unfinished one has zeros */
	uint32_t version;
	uint32_t size;	  /* of this structure in the target */
	uint32_t machine; /* ELF e_machine */
	uint32_t word_size;

	uint64_t fields;       /* struct goro_field[nfields], by enum goro_field_id */
	uint64_t state_names;  /* struct goro_name[nstates] */
	uint64_t reason_names; /* struct goro_name[nreasons] */
	uint32_t nfields;
	uint32_t nstates;
	uint32_t nreasons;
	uint32_t name_size; /* sizeof(struct goro_name) */

	char runtime_version[16]; /* "0.1.0" */

	/* Goroutines: a fixed table of pointers to chunks that are never freed or moved. */
	uint64_t g_chunks;  /* u64[g_nchunks_max] */
	uint32_t g_nchunks; /* chunks in use; grows, with release semantics */
	uint32_t g_nchunks_max;
	uint32_t g_chunk_len; /* records per chunk */
	uint32_t g_size;      /* bytes per record */
	uint32_t g_nrlocks;   /* length of g.rlocks */
	uint32_t netpoll; /* 1 + the epoll instance that the runtime waits with, or 0: none yet */

	/*
	 * Processors and worker threads: fixed tables of pointers to records that stay where they
	 * are. p_count goes up and down; a processor that is not used any more has given its
	 * counters to another. The record of a thread that has ended has tid 0.
	 */
	uint64_t ps;	  /* u64[p_count] */
	uint64_t ms;	  /* u64[m_count] */
	uint32_t p_count; /* GOMAXPROCS now */
	uint32_t m_count;

	uint64_t tombs; /* ring of tomb records */
	uint32_t tomb_count;
	uint32_t tomb_size;

	uint64_t clock;	     /* coarse CLOCK_MONOTONIC ns; park_time is read from it */
	uint64_t start_time; /* CLOCK_MONOTONIC ns when the runtime started */

	/*
	 * A goroutine that does not run was left by the switch: at g.sp lies a frame of
	 * `saved_size` bytes in which callee-saved registers and the return address sit at these
	 * offsets (index: DWARF register number; 0xffff: not saved). After it is popped, sp is g.sp
	 * + saved_size and execution goes on at the saved pc.
	 */
	uint16_t saved_reg[64];
	uint16_t saved_pc;
	uint16_t saved_size;

	/*
	 * Whose stack is it? So many bytes above the stack pointer of a goroutine's outermost frame
	 * (entry_lo, below) lie three words: the address of its record, its id, its spawn_pc. A
	 * copy of a stack thus tells its owner, also when the goroutine has ended since. The stack
	 * of a worker has zeros there. 0: this program does not have them.
	 */
	uint32_t entry_owner;

	/*
	 * Where every goroutine's stack ends: a complete unwind's last frame lies in this range
	 * (the trampoline that calls a goroutine's function); main's lies in _start instead, and a
	 * foreign thread's where the C library begins threads, which says so in its CFI. All of
	 * the runtime's functions have names that begin with goro_, so a reader can hide them.
	 */
	uint64_t entry_lo;
	uint64_t entry_hi;

	uint64_t sched_runq_len; /* goroutines in the global queue */
	uint64_t timers;	 /* sleeping goroutines and armed timers */
	uint64_t deadlocked;	 /* 1 once "all goroutines are asleep" was reported */

	uint64_t regions;      /* struct goro_region[region_count] */
	uint32_t region_count; /* entries that were ever used */
	uint32_t region_size;  /* sizeof(struct goro_region) */

	/*
	 * Length of p.slices and p.latencies, histograms of durations by powers of two: entry 0
	 * counts 0 ns, entry i 2^(i-1) to 2^i - 1 ns, the last one also all longer ones. They are
	 * samples, at most one of each kind for a move of the coarse clock.
	 */
	uint32_t p_nbuckets;
	uint32_t cold_arena_count;
	uint64_t cold_arenas;	  /* struct goro_cold_arena[cold_arena_count] */
	uint32_t cold_arena_size; /* sizeof(struct goro_cold_arena); 0: no stack gets cold */
	uint32_t reserved2;

	/*
	 * For code inside of the program: a function, uint64_t (*)(void), that returns the address
	 * of the record of the goroutine that calls it, or 0. It may be called anywhere.
	 */
	uint64_t current_g;

	/*
	 * The socket of struct goro_reclaim_entry, an abstract name without its leading NUL; empty:
	 * the program takes no requests. And how many goroutines have been unwound so.
	 */
	char reclaim_socket[16];
	uint64_t reclaimed;

	/*
	 * Where the runtime's functions are, as far as it was told: so a reader knows them in a
	 * program without names, too.
	 */
	uint64_t text_ranges; /* struct goro_text_range[text_range_count] */
	uint32_t text_range_count;
	uint32_t text_range_size; /* sizeof(struct goro_text_range) */

	/* The function in which goroutines wait with the reason SLEEP: goro_sleep(). It takes a
	 * number, returns nothing, and ends in no other way than by return. */
	uint64_t sleep_entry;
	/* exit(), as the runtime calls it. It takes a number and does not return. */
	uint64_t exit_entry;
};

/* Addresses [lo, hi): a file's functions, but for what the compiler holds for unlikely. */
struct goro_text_range {
	uint64_t lo, hi;
};

/*
 * ---- the heap, with `goro run --heap` ----------------------------------------------------------
 *
 * libgoro-heap.so stands before the program's malloc() and notes for each object which goroutine
 * allocated it. It publishes its figures by a contract of its own, with the same rules as above,
 * which is found through the ELF note of owner "GORO" and type GORO_HEAP_NOTE_TYPE.
 */
#define GORO_HEAP_COOKIE    "GOROHEA1"
#define GORO_HEAP_VERSION   1u
#define GORO_HEAP_NOTE_TYPE 2u

/*
 * One goroutine that has allocated. An account goes on after its goroutine's end until the last of
 * its objects is freed. The first half is written by the goroutine alone, the second by whoever
 * frees an object that is not his own.
 *
 * Objects held: while `left` is above half of GORO_HEAP_BIAS, objects - own_freed_objects -
 * (GORO_HEAP_BIAS - left); else the goroutine has ended, and it is left. Bytes held: bytes -
 * own_freed_bytes - freed_bytes. Who reads while the program runs may see a moment between two of
 * these stores: a difference below 0 is 0.
 */
struct goro_heap_account {
	uint64_t id;	   /* of the goroutine; GORO_HEAP_OUTSIDE: of none; 0: account not in use */
	uint64_t spawn_pc; /* as in its record */
	uint64_t bytes, objects; /* allocated, ever */
	uint64_t own_freed_bytes, own_freed_objects;
	uint64_t reserved0[2];

	uint64_t left;
	uint64_t freed_bytes;
	uint64_t next; /* not in use: the next one of that kind */
	uint64_t reserved1[5];
};

#define GORO_HEAP_BIAS	  (1ull << 62)
#define GORO_HEAP_OUTSIDE UINT64_MAX /* threads of no goroutine, and the time before main */

/* What goroutines of one go statement allocated whose accounts are closed. */
struct goro_heap_closed {
	uint64_t spawn_pc; /* 0: not in use, but for the first, which takes all without a place */
	uint64_t bytes, objects;
	uint64_t reserved;
};

struct goro_heap_contract {
	char cookie[8]; /* GORO_HEAP_COOKIE, written last */
	uint32_t version;
	uint32_t size;	   /* of this structure in the target */
	uint64_t accounts; /* struct goro_heap_account[account_count] */
	uint32_t account_size;
	uint32_t account_count; /* that were ever in use; grows */
	uint64_t sites;		/* struct goro_heap_closed[site_count] */
	uint32_t site_size;
	uint32_t site_count;
	uint64_t unknown;  /* objects that were not noted, for want of memory for notes */
	uint64_t bypassed; /* 1: the program has a malloc() of its own, and nothing is known */
};

/*
 * ---- a request to unwind goroutines -----------------------------------------------------------
 *
 * Observers only read; but a program that was started with GORO_RECLAIM listens to one that has a
 * proof. It takes connections of its own user and of root, one after the other. On each it first
 * says GORO_RECLAIM_HELLO. Then comes a u64, how many entries follow (at most GORO_RECLAIM_MAX),
 * and they come back with their results once the goroutines have ended, or wait again. And so on,
 * until the connection is closed.
 *
 * An entry is only true of a goroutine that is as it was at the proof: parked, with this park_seq.
 */
#define GORO_RECLAIM_HELLO  "GORECLM1" /* 8 bytes, no terminator */
#define GORO_RECLAIM_MAX    65536u
#define GORO_RECLAIM_SOCKET "GORO_RECLAIM_SOCKET" /* where the runtime's own goro finds it */

struct goro_reclaim_entry {
	uint64_t record; /* its address */
	uint64_t id;
	uint32_t park_seq;
	uint32_t result; /* of the answer; 1: it was unwound; 0: it is not as it was, or is main */
};

#endif /* GORO_INTROSPECT_H */
