/* SPDX-License-Identifier: MIT */
/*
 * target.h - where the bytes come from.
 *
 * One of the two interfaces of the library (the other is reader.h: whose structures the bytes are).
 * A target is somebody's memory: a live process here, byte strings in the tests. What a reader, an
 * unwinder or a symbolizer wants from it fits in the functions below; none of them stops,
 * signals or writes to anything, but for freeze(), which a proof needs.
 *
 * Rejected: one function per read with a page cache behind it (elfutils). A hundred thousand
 * stacks want a thousand reads in one system call, and a cache would show the past.
 */
#ifndef GORO_TARGET_H
#define GORO_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "error.h"

/* One line of the target's memory map. Sorted by address, not overlapping. */
struct target_map {
	uint64_t lo, hi;
	uint64_t offset;     /* in the file */
	uint64_t dev, inode; /* inode 0: no file */
	char *path;	     /* as the target sees it; NULL: none */
	bool readable, writable, executable;
	bool shared; /* with other processes, or with its file */
};

#define TARGET_VDSO "[vdso]" /* path of the library that the kernel maps: it has no file */

struct target_maps {
	struct target_map *v;
	size_t n;
};

/* One piece of a vectored read. */
struct target_read {
	uint64_t address;
	void *to;
	size_t len;
	bool ok; /* result: all len bytes are there */
};

/* Bytes of [lo, hi) that are in RAM. */
struct target_range {
	uint64_t lo, hi;
	uint64_t resident; /* result; 0 when unknown */
};

struct target_usage {
	uint64_t rss;	 /* bytes */
	uint64_t cpu_ns; /* user and system time since start */
	bool stopped;	 /* by a signal or a debugger */
};

/* What a thread has in its registers when it stands still. */
struct target_thread {
	int tid;
	uint64_t pc, sp;   /* 0: not known on this machine */
	unsigned red_zone; /* bytes below sp that may be in use */
	int64_t syscall;   /* that it is in; -1: none */
	uint64_t guard;	   /* address of the word by which setjmp() disguises pointers; 0: none */
	uint64_t regs[64]; /* the general ones, in the kernel's order */
	size_t nregs;
	const uint8_t *vector; /* all others, as the kernel shows them */
	size_t vector_size;
};

struct target_freeze {
	uint64_t max_pause_ns; /* refuse what would stop it for longer */
	uint64_t max_copy;     /* bytes to copy while it stands, at most */
	uint32_t netpoll;      /* see struct goro_introspect */
	/*
	 * Room for a copy of what it has, which must outlive the view; NULL: it cannot be copied
	 * while it runs. What was copied of it a moment ago is in there already, and kept.
	 */
	struct sparse_store *store;
	const struct sparse *drafts;
	size_t ndrafts;
};

/* A target as it was at one moment. memory->ops->close() ends it, and frees the threads. */
struct target_frozen {
	struct target *memory; /* reads from the copy */
	struct target_thread *threads;
	size_t nthreads;
	const uint64_t *kept; /* words that the kernel has for it, each perhaps a pointer */
	size_t nkept;
	uint64_t pause_ns; /* how long it stood still */
	bool copied;	   /* all of it, while it stood */
};

struct target;
struct thread_sample; /* target_sample.h */
struct sparse;	      /* sparse.h */
struct sparse_store;

/* What ended it. */
struct target_crash {
	int signal;	  /* 0: no signal */
	int tid;	  /* of the thread that got it */
	uint64_t address; /* that it could not use, or 0 */
};

/* Memory that the process had and that is not there. */
struct target_gap {
	uint64_t lo, hi;
	const char *path; /* of the file that was mapped, or NULL */
};

/* Who may have given pointers to the kernel. */
struct target_gives {
	const char *path;     /* a program or library; it belongs to the target */
	const char *function; /* NULL: any, it is linked statically */
};

struct target_ops {
	/* Several threads may call read() at once, for memory that is not cold, and own_pages()
	 * once it was called. */
	bool threads;
	/* The memory map, as it is now. */
	struct goro_error *(*maps)(struct target *t, struct target_maps *ret);
	/* Read many pieces. Unreadable pieces are no error: `ok` says. An error means that
	 * nothing can be read any more. */
	struct goro_error *(*read)(struct target *t, struct target_read *v, size_t n);
	/* Open the file behind a map; -errno when that cannot be done. */
	int (*open_file)(struct target *t, const struct target_map *map);
	/* Open any file by the name that the target would use; -errno. NULL: cannot be done. */
	int (*open_path)(struct target *t, const char *path);
	/* Ranges are sorted by address and do not overlap. NULL: nobody wants to know, as of a view
	 * that is read to prove something. */
	void (*resident)(struct target *t, struct target_range *v, size_t n);
	/*
	 * Which pages of [lo, hi), page by page, hold bytes of its own: not a file's, and written
	 * at least once. False: not known. NULL: all that can be read.
	 */
	bool (*own_pages)(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own);
	/*
	 * [lo, hi) of a view that is a copy already: its own pages, and zeroes for others. False:
	 * there is none; read it. NULL: never.
	 */
	bool (*sparse)(struct target *t, uint64_t lo, uint64_t hi, struct sparse *ret);
	/*
	 * A consistent view: of a process a copy, of a core file itself. Fails with 6 when there
	 * can be none, with the reason. NULL: there is none of this kind of target. The one
	 * function here that stops the target.
	 */
	struct goro_error *(*freeze)(struct target *t, const struct target_freeze *how,
				     struct target_frozen *ret);
	/*
	 * The threads of a target that stands still for ever, with their registers and without a
	 * copy of their stacks; they belong to the target. NULL: its threads run.
	 */
	size_t (*caught)(struct target *t, const struct thread_sample **ret);
	/* Does memory in [lo, hi), which is mapped, have content that is not there? *ret: the first
	 * piece. NULL: what is mapped is there. */
	bool (*missing)(struct target *t, uint64_t lo, uint64_t hi, struct target_gap *ret);
	/* Does it call a function by which the kernel may have got pointers that are not there?
	 * NULL: what the kernel has is there. */
	bool (*gives)(struct target *t, struct target_gives *ret);
	/* The stack pointer of a thread that sleeps in the kernel, which may go on at once; 0: it
	 * runs, or is not known. NULL: never. */
	uint64_t (*asleep_at)(struct target *t, uint32_t tid);
	/* It may have become another program by exec(): forget what was opened of the one before.
	 * Nobody reads meanwhile. NULL: it never does. */
	void (*renew)(struct target *t);
	/* NULL, or an error when the target has ended. */
	struct goro_error *(*usage)(struct target *t, struct target_usage *ret);
	void (*close)(struct target *t);
};

/* The common part; the kinds of target embed it. */
struct target {
	const struct target_ops *ops;
	int pid;    /* 0: not a process */
	char *name; /* program, without directories */
	uint64_t bytes_read;
	/* Where pages may be kept elsewhere; see target_absent.h. Read through, all the same. */
	struct target_absent {
		struct goro_cold_arena *v; /* by lo; they do not overlap */
		size_t n;
	} absent;

	/* A core file: nothing in it ever changes. NULL for a live process. */
	char *file;
	int64_t time; /* CLOCK_REALTIME ns when it was written */
	uint64_t cut; /* bytes that it says it has, and has not */
	struct target_crash crash;
};

/* A live process. Fails with 3 (no such process) or 4 (permission, with a hint). */
struct goro_error *target_open_process(struct target **ret, int pid);

/* A core file, by a descriptor that is taken over. Fails with 5: damaged, or of no use. */
struct goro_error *target_open_core(struct target **ret, int fd, const char *path);

void target_maps_free(struct target_maps *maps);

/* The map that contains address, or NULL. */
const struct target_map *target_maps_find(const struct target_maps *maps, uint64_t address);

/* Read one piece; false if it is not all readable. */
struct goro_error *target_read_at(struct target *t, uint64_t address, void *to, size_t len,
				  bool *ok);

/* ---- our own memory (target_process_room.c) ---------------------------------------------------
 */

/* Bytes that we may use more before a limit of our cgroups is reached; UINT64_MAX: none. */
uint64_t target_our_room(void);

/* While a lot of it is used: should memory run out nevertheless, be the first to go, not the
 * target. */
void target_offer_us_begin(void);
void target_offer_us_end(void);

/* ---- which processes there are --------------------------------------------------------------- */

/* What can be known of a process without looking into it. */
struct target_process_info {
	int pid;
	unsigned uid;
	char *name;
	char *command;
	uint64_t rss;
	int threads;
};

/* NULL: there is a /proc; with `ours` also: whose process ids are those that we know. */
struct goro_error *target_proc(bool ours);

/* All processes but kernel threads and ourselves, by rising pid. Free with the function below. */
struct goro_error *target_list_processes(struct target_process_info **ret, size_t *n);
void target_list_free(struct target_process_info *v, size_t n);
/* Was a process started with name=value in its environment? False also where we may not look. */
bool target_process_env_is(int pid, const char *name, const char *value);

#endif /* GORO_TARGET_H */
