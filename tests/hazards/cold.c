/* SPDX-License-Identifier: MIT */
/*
 * Cold stacks (GORO_COLD): the stack of a goroutine that is parked for long is taken away, and must
 * be there again, as it was, for whoever touches it.
 *
 *	hazard_cold CASE
 *
 *   touch    reads and writes by other goroutines, by a thread and by system calls, and by a thread
 *            after all descriptors were closed; then the goroutine finds what was written
 *   deliver  values are handed over into stacks that are cold: channels, select
 *   fork     a forked child sees what is on stacks that are cold
 *   pinned   a page that the kernel writes to on its own is not taken
 *   locked   the program locks all of its memory, before its first goroutine and with cold stacks
 *   storm    parks and wakes at every moment of being taken, while others add to what lies there
 *   refused  what there cannot be is said in one line, and all else works
 */
#include <errno.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "goro_introspect.h"
#include "stress.h"

enum {
	PAGE = 4096,
	SLEEPERS = 64,
	WORDS = 40, /* on the stack of each */
	STORMERS = 400,
	STORM_S = 3,
	PATIENCE_S = 60,
};

extern struct goro_introspect goro_introspect;

static goro_waitgroup parked, ended;
static goro_chan *gate;
static _Atomic bool enough;

/* ---- those who are parked --------------------------------------------------------------------
 */

static volatile uint64_t *words[SLEEPERS]; /* on their stacks */
static uint64_t added[SLEEPERS];	   /* what they must find on top */

static uint64_t pattern(uintptr_t who, int i)
{
	return (who + 1) * 0x9e3779b97f4a7c15u + (uint64_t)i;
}

static bool in_memory(const volatile void *p)
{
	unsigned char there = 0;

	must(!mincore((void *)((uintptr_t)p & ~(uintptr_t)(PAGE - 1)), PAGE, &there));
	return there & 1;
}

static void wait_until_cold(const volatile void *p)
{
	int64_t end = goro_now() + PATIENCE_S * GORO_SECOND;

	while (in_memory(p)) {
		must(goro_now() < end);
		goro_sleep(GORO_MILLISECOND);
	}
}

static void sleeper(void *arg)
{
	uintptr_t who = (uintptr_t)arg;
	volatile uint64_t mine[WORDS];

	for (int i = 0; i < WORDS; i++)
		mine[i] = pattern(who, i);
	words[who] = mine;
	goro_waitgroup_done(&parked);
	goro_chan_recv(gate, NULL);
	for (int i = 0; i < WORDS; i++)
		must(mine[i] == pattern(who, i) + added[who]);
	goro_waitgroup_done(&ended);
}

static void start_sleepers(void)
{
	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&parked, SLEEPERS);
	goro_waitgroup_add(&ended, SLEEPERS);
	for (uintptr_t i = 0; i < SLEEPERS; i++)
		go(sleeper, (void *)i);
	goro_waitgroup_wait(&parked);
	for (int i = 0; i < SLEEPERS; i++)
		wait_until_cold(words[i]);
}

static void end_sleepers(void)
{
	goro_chan_close(gate);
	goro_waitgroup_wait(&ended);
}

/* Reads all, and adds a number to all. */
static void add_to(uintptr_t who, uint64_t n)
{
	for (int i = 0; i < WORDS; i++) {
		must(words[who][i] == pattern(who, i) + added[who]);
		words[who][i] += n;
	}
	added[who] += n;
}

/* ---- touch -----------------------------------------------------------------------------------
 */

static void *thread_adds(void *arg)
{
	add_to((uintptr_t)arg, 5);
	return NULL;
}

static void goroutine_adds(void *arg)
{
	add_to((uintptr_t)arg, 3);
	goro_waitgroup_done(&parked);
}

/* Out of a stack by one system call, into another by the next. */
static void copy_by_kernel(uintptr_t from, uintptr_t to)
{
	const size_t size = WORDS * sizeof(uint64_t);
	uint64_t bytes[WORDS];
	int fds[2];

	must(!pipe(fds));
	must(!in_memory(words[from]));
	must(write(fds[1], (const void *)words[from], size) == (ssize_t)size);
	must(read(fds[0], bytes, size) == (ssize_t)size);
	for (int i = 0; i < WORDS; i++)
		must(bytes[i] == pattern(from, i) + added[from]);
	for (int i = 0; i < WORDS; i++)
		bytes[i] = pattern(to, i) + 77;
	must(write(fds[1], bytes, size) == (ssize_t)size);
	must(!in_memory(words[to]));
	must(read(fds[0], (void *)words[to], size) == (ssize_t)size);
	added[to] = 77;
	close(fds[0]);
	close(fds[1]);
}

static void touch(void)
{
	pthread_t t;

	start_sleepers();
	must(!in_memory(words[0]));
	add_to(0, 1);
	must(in_memory(words[0]));
	must(!in_memory(words[1]));
	goro_waitgroup_add(&parked, 1);
	go(goroutine_adds, (void *)1);
	goro_waitgroup_wait(&parked);
	must(!in_memory(words[2]));
	must(!pthread_create(&t, NULL, thread_adds, (void *)2));
	must(!pthread_join(t, NULL));
	/* Not the next ones: they may have been brought back with these. */
	must(!in_memory(words[13]) && !in_memory(words[24]));
	copy_by_kernel(13, 24);
	/* Touched once and parked on, it gets cold again, with what is there now. */
	wait_until_cold(words[0]);
	wait_until_cold(words[24]);
	add_to(0, 10);
	add_to(24, 10);
	must(!close_range(3, ~0u, 0));
	must(!in_memory(words[40]));
	must(!pthread_create(&t, NULL, thread_adds, (void *)40));
	must(!pthread_join(t, NULL));
	end_sleepers();
}

/* ---- walk ------------------------------------------------------------------------------------
 */

static int by_address(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)words[*(const int *)a], y = (uintptr_t)words[*(const int *)b];

	return (x > y) - (x < y);
}

/* Touches all in this order; returns how many had been brought back before. */
static int walk_over(const int *order, int from, int step)
{
	int ahead = 0;

	for (int i = 0; i < SLEEPERS; i++)
		wait_until_cold(words[i]);
	for (int i = from; i >= 0 && i < SLEEPERS; i += step) {
		ahead += in_memory(words[order[i]]);
		add_to((uintptr_t)order[i], 1);
	}
	return ahead;
}

/*
 * Who touches one stack after another finds most of them there, what they hold included; unless it
 * is so slow that they are cold again.
 */
static void walk(void)
{
	int64_t end = goro_now() + PATIENCE_S * GORO_SECOND;
	int order[SLEEPERS];

	start_sleepers();
	for (int i = 0; i < SLEEPERS; i++)
		order[i] = i;
	qsort(order, SLEEPERS, sizeof(order[0]), by_address);
	while (walk_over(order, 0, 1) < SLEEPERS / 2)
		must(goro_now() < end);
	while (walk_over(order, SLEEPERS - 1, -1) < SLEEPERS / 2)
		must(goro_now() < end);
	/* But who touches some here and there wakes no others. */
	must(walk_over(order, 0, 5) == 0);
	for (int i = 0; i < SLEEPERS; i++)
		must(i % 5 == 0 || !in_memory(words[order[i]]));
	for (int i = 0; i < SLEEPERS; i++)
		wait_until_cold(words[i]);
	end_sleepers();
}

/* ---- deliver ---------------------------------------------------------------------------------
 */

struct message {
	uint64_t words[24];
};

static goro_chan *messages[2];
static volatile struct message *inboxes[SLEEPERS];

static void check_message(const volatile struct message *m)
{
	for (int i = 1; i < 24; i++)
		must(m->words[i] == m->words[0] * (uint64_t)(i + 1));
}

static void receiver(void *arg)
{
	volatile struct message m;

	inboxes[(uintptr_t)arg] = &m;
	goro_waitgroup_done(&parked);
	if ((uintptr_t)arg % 2) {
		must(goro_chan_recv(messages[0], (void *)&m));
	} else {
		struct goro_case cases[] = {
			goro_recv_case(messages[0], (void *)&m),
			goro_recv_case(messages[1], (void *)&m),
		};

		must(goro_select(cases, 2) == 0);
	}
	check_message(&m);
	goro_waitgroup_done(&ended);
}

static void deliver(void)
{
	messages[0] = goro_chan_of(struct message, 0);
	messages[1] = goro_chan_of(struct message, 0);
	goro_waitgroup_add(&parked, SLEEPERS);
	goro_waitgroup_add(&ended, SLEEPERS);
	for (uintptr_t i = 0; i < SLEEPERS; i++)
		go(receiver, (void *)i);
	goro_waitgroup_wait(&parked);
	for (int i = 0; i < SLEEPERS; i++)
		wait_until_cold(inboxes[i]);
	for (uint64_t k = 1; k <= SLEEPERS; k++) {
		struct message m;

		for (int i = 0; i < 24; i++)
			m.words[i] = (k << 32) * (uint64_t)(i + 1);
		goro_chan_send(messages[0], &m);
	}
	goro_waitgroup_wait(&ended);
}

/* ---- fork ------------------------------------------------------------------------------------
 */

static void in_child(void)
{
	for (uintptr_t k = 0; k < SLEEPERS; k++)
		for (int i = 0; i < WORDS; i++)
			if (words[k][i] != pattern(k, i))
				_exit(1);
	_exit(0);
}

static void fork_and_look(void)
{
	pid_t child = fork();
	int status;

	must(child >= 0);
	if (!child)
		in_child();
	must(waitpid(child, &status, 0) == child && status == 0);
}

/* So that stacks come back in the midst of a fork. */
static void *reading_thread(void *unused)
{
	uint64_t random = 3;

	(void)unused;
	while (!atomic_load(&enough)) {
		uintptr_t who = stress_random(&random) % SLEEPERS;

		must(words[who][0] == pattern(who, 0));
		usleep(20);
	}
	return NULL;
}

static void forks(void)
{
	int status;
	pthread_t t;
	pid_t child;

	start_sleepers();
	fork_and_look();
	must(!in_memory(words[0]));
	must(!pthread_create(&t, NULL, reading_thread, NULL));
	for (int i = 0; i < 100; i++) {
		wait_until_cold(words[i % SLEEPERS]);
		fork_and_look();
	}
	atomic_store(&enough, true);
	must(!pthread_join(t, NULL));
	/* Their pages were shared with a child once: they get cold all the same. */
	for (int i = 0; i < SLEEPERS; i++)
		add_to((uintptr_t)i, 2);
	child = fork();
	if (!child)
		_exit(0);
	must(waitpid(child, &status, 0) == child && status == 0);
	for (int i = 0; i < SLEEPERS; i++)
		wait_until_cold(words[i]);
	end_sleepers();
}

/* ---- pinned ----------------------------------------------------------------------------------
 */

struct ring {
	int fd;
	unsigned char *sq;
	size_t size;
	unsigned *tail, *array, *mask;
	struct io_uring_sqe *sqes;
};

static bool open_ring(struct ring *r)
{
	struct io_uring_params p = { 0 };

	r->fd = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (r->fd < 0)
		return false;
	r->size = p.sq_off.array + sizeof(unsigned);
	r->sq = mmap(NULL, r->size, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, IORING_OFF_SQ_RING);
	r->sqes = mmap(NULL, sizeof(*r->sqes), PROT_READ | PROT_WRITE, MAP_SHARED, r->fd,
		       IORING_OFF_SQES);
	must(r->sq != MAP_FAILED && r->sqes != MAP_FAILED);
	r->tail = (unsigned *)(r->sq + p.sq_off.tail);
	r->array = (unsigned *)(r->sq + p.sq_off.array);
	r->mask = (unsigned *)(r->sq + p.sq_off.ring_mask);
	return true;
}

static void close_ring(struct ring *r)
{
	must(!munmap(r->sq, r->size) && !munmap(r->sqes, sizeof(*r->sqes)) && !close(r->fd));
}

/* Into memory that the kernel holds by its pages, whatever lies at their addresses now. */
static void read_fixed(struct ring *r, int fd, volatile void *to, unsigned n)
{
	unsigned tail = *r->tail;

	*r->sqes = (struct io_uring_sqe){
		.opcode = IORING_OP_READ_FIXED, .fd = fd, .addr = (uintptr_t)to, .len = n
	};
	r->array[tail & *r->mask] = 0;
	__atomic_store_n(r->tail, tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1);
}

static void pinned(void)
{
	static char data[] = "what the device delivers";
	struct ring r;
	struct iovec buffer;
	int fds[2];

	if (!open_ring(&r)) {
		printf("skipped: there is no io_uring here\n");
		exit(77);
	}
	start_sleepers();
	buffer = (struct iovec){ (void *)words[7], WORDS * sizeof(uint64_t) };
	must(!syscall(SYS_io_uring_register, r.fd, IORING_REGISTER_BUFFERS, &buffer, 1));
	must(in_memory(words[7]));
	/* Touched at the same time: when these are cold again its turn has come, too. */
	add_to(6, 0);
	add_to(8, 0);
	wait_until_cold(words[6]);
	wait_until_cold(words[8]);
	goro_sleep(200 * GORO_MILLISECOND);
	must(!pipe(fds));
	must(write(fds[1], data, sizeof(data)) == sizeof(data));
	read_fixed(&r, fds[0], words[7], sizeof(data));
	must(memcmp((const void *)words[7], data, sizeof(data)) == 0);
	close_ring(&r);
	for (int i = 0; i < WORDS; i++)
		words[7][i] = pattern(7, i);
	/* It is let go some time after the ring is. */
	wait_until_cold(words[7]);
	end_sleepers();
}

/* ---- locked ----------------------------------------------------------------------------------
 */

static void lock_all(void)
{
	if (mlockall(MCL_CURRENT)) {
		printf("skipped: memory cannot be locked here\n");
		exit(77);
	}
	must(!munlockall());
}

/* Each page there is touched by it. */
static void locked(void)
{
	lock_all();
	start_sleepers();
	lock_all();
	for (int i = 0; i < SLEEPERS; i++)
		add_to((uintptr_t)i, 1);
	for (int i = 0; i < SLEEPERS; i++)
		wait_until_cold(words[i]);
	end_sleepers();
}

/* ---- storm -----------------------------------------------------------------------------------
 */

static _Atomic uint64_t *counters[STORMERS]; /* on their stacks */
static _Atomic uint64_t total;
static _Atomic unsigned seen_cold;
static goro_chan *tokens;
static goro_mutex mutex;

static void stormer(void *arg)
{
	uintptr_t who = (uintptr_t)arg;
	uint64_t random = who * 77 + 1, filled[16];
	_Atomic uint64_t counter;

	atomic_init(&counter, 0);
	counters[who] = &counter;
	goro_waitgroup_done(&parked);
	while (!atomic_load(&enough)) {
		uint64_t salt = stress_random(&random), token = 0;

		for (int i = 0; i < 16; i++)
			filled[i] = salt + (uint64_t)i;
		__asm__ volatile("" : : "r"(filled) : "memory");
		switch (salt % 4) {
		case 0:
			goro_sleep((int64_t)(salt % (8 * GORO_MILLISECOND)));
			break;
		case 1:
			goro_chan_recv(tokens, &token);
			must(token % 1000003 == 0);
			break;
		case 2:
			goro_mutex_lock(&mutex);
			goro_sleep(50 * GORO_MICROSECOND);
			goro_mutex_unlock(&mutex);
			break;
		default:
			goro_yield();
		}
		for (int i = 0; i < 16; i++)
			must(filled[i] == salt + (uint64_t)i);
	}
	/* Those who add have ended by now. */
	goro_chan_recv(gate, NULL);
	atomic_fetch_add(&total, atomic_load(&counter));
	goro_waitgroup_done(&ended);
}

/* By a thread, and by a goroutine. */
static uint64_t add_for_a_while(uint64_t random)
{
	uint64_t n = 0;

	while (!atomic_load(&enough)) {
		_Atomic uint64_t *c = counters[stress_random(&random) % STORMERS];

		if (!in_memory(c))
			atomic_fetch_add(&seen_cold, 1);
		atomic_fetch_add(c, 1);
		n++;
		if (n % 8 == 0)
			usleep(200);
	}
	return n;
}

static void *adding_thread(void *n)
{
	*(uint64_t *)n = add_for_a_while(5);
	return NULL;
}

static void sends_tokens(void *arg)
{
	(void)arg;
	for (uint64_t i = 1; !atomic_load(&enough); i++) {
		uint64_t token = i * 1000003;
		struct goro_case send[] = { goro_send_case(tokens, &token) };

		goro_select_timeout(send, 1, GORO_MILLISECOND);
		goro_sleep(20 * GORO_MICROSECOND);
	}
	goro_chan_close(tokens);
	goro_waitgroup_done(&parked);
}

static void ends_storm(void *arg)
{
	(void)arg;
	goro_sleep(STORM_S * GORO_SECOND);
	atomic_store(&enough, true);
}

static void storm(void)
{
	uint64_t by_thread = 0, by_us;
	pthread_t t;

	gate = goro_chan_make(0, 0);
	tokens = goro_chan_of(uint64_t, 4);
	goro_waitgroup_add(&parked, STORMERS);
	goro_waitgroup_add(&ended, STORMERS);
	for (uintptr_t i = 0; i < STORMERS; i++)
		go(stormer, (void *)i);
	goro_waitgroup_wait(&parked);
	goro_waitgroup_add(&parked, 1);
	go(sends_tokens, NULL);
	go(ends_storm, NULL);
	must(!pthread_create(&t, NULL, adding_thread, &by_thread));
	by_us = add_for_a_while(9);
	must(!pthread_join(t, NULL));
	goro_waitgroup_wait(&parked);
	goro_chan_close(gate);
	goro_waitgroup_wait(&ended);
	must(atomic_load(&total) == by_thread + by_us);
	printf("%lu additions, %u to cold stacks\n", (unsigned long)(by_thread + by_us),
	       atomic_load(&seen_cold));
	must(atomic_load(&seen_cold) > 0);
}

/* ---- refused ---------------------------------------------------------------------------------
 */

static void refused(void)
{
	gate = goro_chan_make(0, 0);
	goro_waitgroup_add(&parked, SLEEPERS);
	goro_waitgroup_add(&ended, SLEEPERS);
	for (uintptr_t i = 0; i < SLEEPERS; i++)
		go(sleeper, (void *)i);
	goro_waitgroup_wait(&parked);
	goro_sleep(300 * GORO_MILLISECOND);
	for (int i = 0; i < SLEEPERS; i++)
		must(in_memory(words[i]));
	end_sleepers();
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} cases[] = {
		{ "touch", touch }, { "deliver", deliver }, { "fork", forks }, { "pinned", pinned },
		{ "storm", storm }, { "refused", refused }, { "walk", walk },  { "locked", locked },
	};

	for (size_t i = 0; argc == 2 && i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(argv[1], cases[i].name) != 0)
			continue;
		if (!goro_introspect.cold_arenas != (cases[i].run == refused)) {
			printf("skipped: GORO_COLD is %s here\n",
			       goro_introspect.cold_arenas ? "possible" : "left out");
			return 77;
		}
		cases[i].run();
		return 0;
	}
	fprintf(stderr, "usage: hazard_cold CASE\n");
	return 2;
}
