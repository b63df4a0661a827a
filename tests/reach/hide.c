/* SPDX-License-Identifier: MIT */
/*
 * hide - a program that keeps its only pointer to a channel where it is hard to find.
 *
 *	hide PLACE
 *
 * Goroutines wait on channels that are reachable by way of PLACE alone; one more goroutine is
 * leaked in truth. So whoever looks must find one leaked goroutine, always, and not one more. It
 * prints "ready", and ends when its standard input does.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "goro.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

enum { NCHANS = 8, NCELLS = 200000, NSLOTS = 24, PAGE = 4096 };

static goro_waitgroup placed; /* the setup is over */
static goro_waitgroup parked; /* those who wait are about to */

/* A place on the stack of the one that is leaked; nobody shall find it. */
static uintptr_t disguised;

static void leaked_in_truth(void *arg)
{
	volatile char here = 0;

	disguised = ~(uintptr_t)&here;
	goro_waitgroup_done(&parked);
	goro_chan_recv(arg, NULL);
}

static void waits(void *arg)
{
	goro_waitgroup_done(&parked);
	goro_chan_recv(arg, NULL);
}

/*
 * A new channel with a goroutine that waits on it. We wait for that, so that its stack is not ours:
 * a thread that we start remembers something of ours.
 */
static goro_chan *new_chan(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	goro_waitgroup_add(&parked, 1);
	go(waits, c);
	goro_waitgroup_wait(&parked);
	return c;
}

/* Hold a pointer where the compiler must have it in memory, and nowhere else. */
static void forget(void)
{
	__asm__ volatile("" ::: "memory", "rbx", "r12", "r13", "r14", "r15");
}

/* ---- places ------------------------------------------------------------------------------------
 */

static void *global;					  /* in bss */
static void *initialised __attribute__((used)) = &global; /* in data */

static void in_data(void)
{
	initialised = new_chan();
}

static void in_bss(void)
{
	static void *far_from_data[10000] __attribute__((used));

	far_from_data[5000] = new_chan();
}

/* Objects of many kinds of malloc, in a list, the channel in the last. */
struct node {
	void *next;
	char more[];
};

static void in_heap(void)
{
	static const size_t sizes[] = { 24, 100, 1000, 5000, 70000 };
	void *next = new_chan();

	for (int round = 0; round < 400; round++) {
		struct node *n = malloc(sizes[round % 5]);

		memset(n, 0, sizes[round % 5]);
		n->next = next;
		next = n;
	}
	global = next;
}

static void interior(void)
{
	struct node *n = calloc(1, 4000), *last = calloc(1, 24);

	last->next = new_chan();
	*(void **)(n->more + 2000) = (char *)last + 16;
	global = n->more + 3900;
}

static void in_block(void)
{
	for (int i = 0; i < NCHANS; i++) {
		void **block = malloc(1 << 20);

		memset(block, 0, 1 << 20);
		block[100000] = new_chan();
		block[0] = global;
		global = block;
	}
}

static void *arena_thread(void *arg)
{
	void **chan = arg, **object = malloc(100);

	/* This thread's malloc has an arena of its own. */
	memset(object, 0, 100);
	object[3] = *chan;
	*chan = NULL;
	__atomic_store_n(&global, object, __ATOMIC_SEQ_CST);
	return NULL;
}

static void in_arena(void)
{
	static void *chan;
	pthread_t t;

	chan = new_chan();
	pthread_create(&t, NULL, arena_thread, &chan);
	pthread_join(t, NULL);
}

static __thread void *tls[200] __attribute__((used));

static void *tls_thread(void *arg)
{
	tls[117] = *(void **)arg;
	*(void **)arg = NULL;
	for (;;)
		pause();
	return NULL;
}

static void in_tls(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, tls_thread, &global);
}

static void *stack_thread(void *arg)
{
	void *volatile chan[64] = { 0 };

	chan[31] = *(void **)arg;
	*(void **)arg = NULL;
	for (;;) {
		pause();
		chan[30] = chan[31];
	}
	return NULL;
}

static void in_foreign_stack(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, stack_thread, &global);
}

/* A foreign thread that has it in a register of its own and nowhere else. */
static void *register_thread(void *arg)
{
	void **from = arg;

	__asm__ volatile("movq (%0), %%r14\n\t"
			 "movq $0, (%0)\n\t"
			 "xorl %%eax, %%eax\n"
			 "1: addq $1, %%rax\n\t"
			 "testq %%r14, %%r14\n\t"
			 "jne 1b"
			 :
			 : "r"(from)
			 : "r14", "rax", "memory");
	return NULL;
}

static void in_register(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, register_thread, &global);
}

/* The same in the upper half of a vector register, at an odd byte. */
static void *vector_thread(void *arg)
{
	static unsigned char bytes[16];
	void **from = arg;

	memcpy(bytes + 3, from, 8);
	*from = NULL;
	__asm__ volatile("movdqu (%0), %%xmm9\n\t"
			 "pxor %%xmm0, %%xmm0\n\t"
			 "movdqu %%xmm0, (%0)\n\t"
			 "movq %%rsp, %%rax\n"
			 "1: jmp 1b"
			 :
			 : "r"(bytes)
			 : "rax", "memory");
	return NULL;
}

static void in_vector(void)
{
	pthread_t t;

	global = new_chan();
	pthread_create(&t, NULL, vector_thread, &global);
}

static void *map(int flags)
{
	void *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);

	if (p == MAP_FAILED)
		exit(1);
	return p;
}

/* The address of the mapping is nowhere: whoever has it got it by arithmetic. */
static void in_mapping(void)
{
	void **p = map(MAP_PRIVATE);

	p[1000] = new_chan();
}

static void in_shared(void)
{
	void **p = map(MAP_SHARED);

	p[1000] = new_chan();
}

static void in_dontfork(void)
{
	void **p = map(MAP_PRIVATE);

	madvise(p, 16 * PAGE, MADV_DONTFORK);
	p[1000] = new_chan();
}

/* A copy of the process has the map, and zeroes in it. */
static void in_wipeonfork(void)
{
	void **p = map(MAP_PRIVATE);

	madvise(p, 16 * PAGE, MADV_WIPEONFORK);
	p[1000] = new_chan();
}

/* What a core file leaves out. */
static void **map_undumped(void)
{
	void **p = map(MAP_PRIVATE);

	p[1000] = new_chan();
	madvise(p, 16 * PAGE, MADV_DONTDUMP);
	return p;
}

static void in_nodump(void)
{
	(void)map_undumped();
}

static void in_noaccess(void)
{
	mprotect(map_undumped(), 16 * PAGE, PROT_NONE);
}

static void in_nodump_block(void)
{
	in_block();
	madvise((void *)((uintptr_t)global & ~(PAGE - 1)), 1 << 20, MADV_DONTDUMP);
}

/* Ours, and those of goroutines that were started last. */
static void dontdump_stacks(void)
{
	madvise((void *)((uintptr_t)__builtin_frame_address(0) & ~((1ul << 20) - 1)), 1 << 20,
		MADV_DONTDUMP);
}

static void in_file(void)
{
	int fd = open("hide.map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	void **p;

	if (fd < 0 || ftruncate(fd, 16 * PAGE))
		exit(1);
	p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		exit(1);
	p[1000] = new_chan();
}

/* It may not be written to by this map, but it was by another way. */
static void in_file_readonly(void)
{
	int fd = open("hide.map", O_RDWR | O_CREAT | O_TRUNC, 0600);
	void *chan = new_chan();

	if (fd < 0 || ftruncate(fd, 16 * PAGE) || pwrite(fd, &chan, 8, 8000) != 8 ||
	    mmap(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED)
		exit(1);
	close(fd);
}

static void in_shared_readonly(void)
{
	void **p = map(MAP_SHARED);

	p[1000] = new_chan();
	mprotect(p, 16 * PAGE, PROT_READ);
}

static void in_readonly(void)
{
	void **p = map(MAP_PRIVATE);

	p[1000] = new_chan();
	mprotect(p, 16 * PAGE, PROT_READ);
}

/* With r12 to r15 of the moment of setjmp(). */
static void in_jmp_buf(void)
{
	jmp_buf *buf = malloc(sizeof(*buf));
	void *chan = new_chan();

	memset(buf, 0, sizeof(*buf));
	__asm__ volatile("" : "+r"(chan));
	if (!setjmp(*buf))
		((void **)buf)[5] = chan; /* where r15 is */
	global = buf;
}

/* What a goroutine is started with stays known: so this is where it finds its pointer. */
static void sleeps(void *arg)
{
	void *volatile chan = *(void **)arg;

	*(void **)arg = NULL;
	for (;;) {
		goro_sleep(GORO_SECOND);
		forget();
		if (!chan)
			break;
	}
}

static void in_sleeper(void)
{
	static void *slots[NCHANS];

	for (int i = 0; i < NCHANS; i++) {
		slots[i] = new_chan();
		go(sleeps, &slots[i]);
	}
}

/* mincore() does not touch it. */
static void wait_until_cold(uintptr_t at)
{
	unsigned char there = 1;

	while (!mincore((void *)(at & ~(uintptr_t)(PAGE - 1)), PAGE, &there) && there & 1)
		goro_sleep(GORO_MILLISECOND);
}

struct on_cold_stack {
	void *chan;
	volatile void *where; /* it lies, on a stack */
};

static void parks_for_long(void *arg)
{
	struct on_cold_stack *mine = arg;
	void *volatile chan = mine->chan;

	mine->chan = NULL;
	mine->where = &chan;
	goro_sleep(100000 * GORO_SECOND);
	forget();
	if (!chan)
		abort();
}

/* Until the stacks that hold the pointers are away; else there would be nothing to find out. */
static void in_cold(void)
{
	static struct on_cold_stack all[NCHANS];

	if (!goro_introspect.cold_arenas) {
		printf("skip: no stack gets cold here\n");
		exit(0);
	}
	for (volatile int i = 0; i < NCHANS; i++) { /* unrolled it would be eight sites */
		all[i].chan = new_chan();
		go(parks_for_long, &all[i]);
	}
	for (int i = 0; i < NCHANS; i++) {
		while (!all[i].where)
			goro_sleep(GORO_MILLISECOND);
		wait_until_cold((uintptr_t)all[i].where);
	}
}

static void later(void *arg)
{
	goro_chan_close(arg);
}

static void in_nodump_stack(void)
{
	in_sleeper();
	dontdump_stacks();
}

static void in_timer(void)
{
	/* The program forgets them, but they will fire. */
	for (int i = 0; i < NCHANS; i++)
		(void)goro_after_func(3600 * GORO_SECOND, later, new_chan());
}

static goro_local local;

static void has_local(void *arg)
{
	void **box = calloc(4, sizeof(*box));

	box[2] = *(void **)arg;
	*(void **)arg = NULL;
	goro_local_set(&local, box);
	box = NULL;
	forget();
	for (;;)
		goro_sleep(GORO_SECOND);
}

static void in_local(void)
{
	global = new_chan();
	go(has_local, &global);
}

static void call_blocks(void *arg)
{
	void *volatile chan = *(void **)arg;

	*(void **)arg = NULL;
	for (;;) {
		pause();
		if (!chan)
			break;
	}
}

static void blocks(void *arg)
{
	goro_blocking(call_blocks, arg);
}

static void in_blocking_call(void)
{
	global = new_chan();
	go(blocks, &global);
}

static void *hidden[4];

static void kept_alive(void)
{
	goro_chan *c = new_chan();

	goro_keepalive(c);
	hidden[0] = (void *)~(uintptr_t)c;
}

/* A chain of goroutines each of which holds what the one before waits for. */
struct link {
	goro_chan *mine, *next;
};

static void link_waits(void *arg)
{
	struct link *l = arg;

	goro_chan_recv(l->mine, NULL);
	goro_chan_close(l->next);
}

static void in_chain(void)
{
	goro_chan *next = new_chan();

	for (int i = 0; i < 1000; i++) {
		struct link *l = malloc(sizeof(*l));

		l->mine = goro_chan_of(int, 0);
		l->next = next;
		next = l->mine;
		go(link_waits, l);
	}
	global = next;
}

/* ---- what moves --------------------------------------------------------------------------------
 */

/* One pointer at a time is taken from its cell and put into another; now it is in neither. */
static void moves(void *arg)
{
	void **cells = arg;
	uint64_t random = 88172645463325252;
	uint32_t at[NCHANS];

	for (uint32_t i = 0; i < NCHANS; i++)
		at[i] = i;
	for (;;) {
		uint32_t to, k;
		void *pointer;

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		k = random % NCHANS;
		to = (uint32_t)(random >> 20) % NCELLS;
		if (cells[to])
			continue;
		pointer = cells[at[k]];
		cells[at[k]] = NULL;
		__asm__ volatile("" : "+r"(pointer)::"memory");
		cells[to] = pointer;
		at[k] = to;
	}
}

static void in_cells(void)
{
	void **cells = calloc(NCELLS, sizeof(*cells));

	for (int i = 0; i < NCHANS; i++)
		cells[i] = new_chan();
	go(moves, cells);
}

/* The page that has them is never long where it is; where it was stays mapped, and is empty. */
static void remaps(void *arg)
{
	char *room = map(MAP_PRIVATE), *page = arg;

	for (unsigned i = 0;; i++) {
		char *to = room + (size_t)(i % 8 * 2) * PAGE;

		page = mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
			      to);
		if (page == MAP_FAILED)
			_exit(1);
	}
}

static void in_remapped(void)
{
	void **page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		exit(1);
	for (int i = 0; i < NCHANS; i++)
		page[8 + i] = new_chan();
	go(remaps, page);
}

/* Memory that is new each time, and what it was before is given back. */
static void renews(void *arg)
{
	void **page = arg;

	for (unsigned i = 0;; i++) {
		void **next = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (next == MAP_FAILED)
			_exit(1);
		memcpy(next + 512, page, NCHANS * sizeof(*next));
		memcpy(next, next + 512, NCHANS * sizeof(*next));
		madvise(next + 512, PAGE, MADV_DONTNEED);
		munmap(page, 16 * PAGE);
		page = next;
	}
}

static void in_renewed(void)
{
	void **page = map(MAP_PRIVATE);

	for (int i = 0; i < NCHANS; i++)
		page[i] = new_chan();
	go(renews, page);
}

/*
 * A page goes out to a file and comes back into another one, which a device writes to: no page
 * table tells of that. Only then the first one is cleared.
 */
struct direct {
	int fd;
	void **page[2];
};

static void goes_out_and_in(void *arg)
{
	struct direct *d = arg;

	for (unsigned i = 0;; i++) {
		void **from = d->page[i % 2], **to = d->page[(i + 1) % 2];

		if (pwrite(d->fd, from, PAGE, 0) != PAGE || pread(d->fd, to, PAGE, 0) != PAGE)
			_exit(1);
		memset(from, 0, PAGE);
	}
}

static void in_direct(void)
{
	struct direct *d = malloc(sizeof(*d));
	char name[] = "hide_direct_XXXXXX";

	d->fd = mkostemp(name, O_DIRECT);
	if (d->fd < 0)
		exit(77);
	unlink(name);
	d->page[0] = map(MAP_PRIVATE);
	d->page[1] = map(MAP_PRIVATE);
	for (int i = 0; i < NCHANS; i++)
		d->page[0][i] = new_chan();
	go(goes_out_and_in, d);
}

/* Slots are moved up and down by memmove(), which has them in vector registers meanwhile. */
static void shifts(void *arg)
{
	char *slots = arg;

	for (;;) {
		for (int i = 0; i < 8; i++)
			memmove(slots + 8, slots, NSLOTS * 8);
		for (int i = 0; i < 8; i++)
			memmove(slots, slots + 8, NSLOTS * 8);
	}
}

static void in_memmove(void)
{
	void **slots = calloc(NSLOTS + 9, sizeof(*slots));

	for (int i = 0; i < NCHANS; i++)
		slots[8 + i] = new_chan();
	go(shifts, slots);
}

/* Objects come and go in all threads, so that the heap is always in the middle of something. */
static void *churn(void *arg)
{
	void *mine[64] = { 0 };
	unsigned seed = (unsigned)(uintptr_t)arg;

	for (;;) {
		unsigned i = rand_r(&seed) % 64;

		free(mine[i]);
		mine[i] = malloc((size_t)rand_r(&seed) % 3000);
	}
	return NULL;
}

static void in_churn(void)
{
	pthread_t t;

	in_cells();
	for (uintptr_t i = 1; i <= 2; i++)
		pthread_create(&t, NULL, churn, (void *)i);
}

/* ---- main --------------------------------------------------------------------------------------
 */

static const struct place {
	const char *name;
	void (*hide)(void);
} places[] = {
	{ "data", in_data },
	{ "bss", in_bss },
	{ "heap", in_heap },
	{ "interior", interior },
	{ "block", in_block },
	{ "arena", in_arena },
	{ "tls", in_tls },
	{ "foreign_stack", in_foreign_stack },
	{ "register", in_register },
	{ "vector", in_vector },
	{ "mapping", in_mapping },
	{ "shared", in_shared },
	{ "dontfork", in_dontfork },
	{ "wipeonfork", in_wipeonfork },
	{ "readonly", in_readonly },
	{ "jmp_buf", in_jmp_buf },
	{ "sleeper", in_sleeper },
	{ "timer", in_timer },
	{ "local", in_local },
	{ "blocking_call", in_blocking_call },
	{ "keepalive", kept_alive },
	{ "chain", in_chain },
	{ "cells", in_cells },
	{ "memmove", in_memmove },
	{ "remapped", in_remapped },
	{ "renewed", in_renewed },
	{ "direct", in_direct },
	{ "churn", in_churn },
	{ "noaccess", in_noaccess },
	{ "nodump", in_nodump },
	{ "nodump_block", in_nodump_block },
	{ "file", in_file },
	{ "nodump_stack", in_nodump_stack },
	{ "file_readonly", in_file_readonly },
	{ "shared_readonly", in_shared_readonly },
	{ "cold", in_cold },
};

/*
 * What may stand in the way of whoever looks; each makes it take another way. HIDE_WIDE: so much
 * address space that no copy of it is kept in advance. HIDE_SECCOMP: a filter, as in a container,
 * that ends the process for making another one.
 */
static void obstruct(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { sizeof(filter) / sizeof(*filter), filter };

	if (getenv("HIDE_WIDE") &&
	    mmap(NULL, 65ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) ==
		    MAP_FAILED)
		exit(77);
	if (getenv("HIDE_SECCOMP") && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
				       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)))
		exit(77);
}

/* Before the rest, so that its stack was never anybody else's. */
static void leak(void)
{
	goro_waitgroup_add(&parked, 1);
	go(leaked_in_truth, goro_chan_of(int, 0));
}

static void setup(void *arg)
{
	const struct place *p = arg;

	p->hide();
	goro_waitgroup_done(&placed);
}

/* What setup left on its stack is no pointer that counts, but here nothing shall depend on it. */
static void scrub(void *arg)
{
	volatile char bytes[16384];

	(void)arg;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = 0;
	goro_waitgroup_done(&placed);
}

/* main sleeps: then no thread has in its registers what was copied long ago. */
static void wait_for_input_to_end(void)
{
	struct pollfd fd = { .fd = 0, .events = POLLIN };

	while (poll(&fd, 1, 0) == 0)
		goro_sleep(20 * GORO_MILLISECOND);
	_exit(0);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc == 2 && i < sizeof(places) / sizeof(*places); i++) {
		if (strcmp(argv[1], places[i].name) != 0)
			continue;
		obstruct();
		leak();
		goro_waitgroup_wait(&parked);
		goro_waitgroup_add(&placed, 1);
		go(setup, (void *)&places[i]);
		goro_waitgroup_wait(&placed);
		for (int k = 0; k < 4; k++) {
			goro_waitgroup_add(&placed, 1);
			go(scrub, NULL);
			goro_waitgroup_wait(&placed);
		}
		goro_waitgroup_wait(&parked);
		/* Else it may be looked at just when the runtime takes its stack away. */
		if (goro_introspect.cold_arenas)
			wait_until_cold(~disguised);
		printf("ready\n");
		fflush(stdout);
		wait_for_input_to_end();
	}
	fprintf(stderr, "usage: hide PLACE\n");
	return 2;
}
