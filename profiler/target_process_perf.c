/* SPDX-License-Identifier: MIT */
/*
 * target_process_perf.c - threads caught by the kernel's perf events.
 *
 * One task-clock event a thread: a timer that runs only while the thread does. At its end the
 * kernel writes the thread's registers and the top of its stack into a ring that we map. After each
 * sample the next distance is drawn anew, so that a program with a period of its own is not always
 * caught at the same place.
 *
 * To start and stop that timer at every switch of threads makes a server that mostly waits for the
 * network several percent slower, at any rate of samples. So who may look at everybody, and finds
 * no fewer threads than processors, takes one event a processor: a timer that always runs. What it
 * catches of other processes is passed over.
 *
 * Rejected: events inherited by new threads (their rings cannot be mapped one by one). New threads
 * are looked for instead.
 */
#include "target_process.h"
#include "target_sample.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define RING_MAX    (256u << 10) /* bytes; less where we may not lock so much */
#define RING_MIN    (64u << 10)
#define RING_ALL    (1024u << 10) /* of a processor's, which catches all that runs there */
#define RINGS_ALL   (64u << 20)	  /* of these together */
#define LOOK_NS	    100000000	  /* how often new threads are looked for */
#define MAX_THREADS 16384u
#define MAX_REGS    40u

struct perf_ring {
	uint32_t tid; /* 0: it is a processor's */
	int fd;
	struct perf_event_mmap_page *ring;
	size_t size;	  /* bytes of data, a power of two */
	uint64_t counted; /* its clock at the last sample */
	bool seen;	  /* by the look that runs */
};

struct perf_sampler {
	struct cpu_sampler base;
	struct process *process;
	struct perf_ring *v;
	struct pollfd *polled;
	size_t n, cap;
	int64_t looked;
	bool by_processor;
	size_t ring_size;
	uint8_t record[65536 + 8];
};

static int64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- events --------------------------------------------------------------------------------- */

/* Of a thread, or with tid 0 of a processor. */
static int open_event(struct perf_sampler *s, uint32_t tid, int processor)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof attr,
		.config = tid ? PERF_COUNT_SW_TASK_CLOCK : PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = s->base.next(s->base.next_arg),
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_READ |
			       PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
		.sample_regs_user = perf_registers,
		.sample_stack_user = SAMPLE_STACK,
		.exclude_hv = 1,
		.exclude_kernel = s->base.without_kernel,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
		.watermark = 0,
		.wakeup_events = 1,
	};
	pid_t task = tid ? (pid_t)tid : -1;
	long fd = syscall(SYS_perf_event_open, &attr, task, processor, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0 && tid && (errno == EACCES || errno == EPERM) && !attr.exclude_kernel) {
		attr.exclude_kernel = 1;
		fd = syscall(SYS_perf_event_open, &attr, task, processor, -1, PERF_FLAG_FD_CLOEXEC);
		s->base.without_kernel = fd >= 0;
	}
	return fd < 0 ? -errno : (int)fd;
}

/* 0, or -errno. A thread that has ended meanwhile is no failure, nor a processor that is off. */
static int add_ring(struct perf_sampler *s, uint32_t tid, int processor)
{
	struct perf_ring t = { .tid = tid, .seen = true };
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *ring = MAP_FAILED;

	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct perf_ring *v = realloc(s->v, cap * sizeof *v);
		struct pollfd *polled = v ? realloc(s->polled, cap * sizeof *polled) : NULL;

		if (v)
			s->v = v;
		if (polled)
			s->polled = polled;
		if (!polled)
			return -ENOMEM;
		s->cap = cap;
	}
	t.fd = open_event(s, tid, processor);
	if (t.fd < 0)
		return t.fd == (tid ? -ESRCH : -ENODEV) ? 0 : t.fd;
	for (t.size = s->ring_size; t.size >= RING_MIN && ring == MAP_FAILED; t.size /= 2)
		ring = mmap(NULL, page + t.size, PROT_READ | PROT_WRITE, MAP_SHARED, t.fd, 0);
	t.size *= 2;
	if (ring == MAP_FAILED) {
		int error = errno;

		close(t.fd);
		return -error;
	}
	t.ring = ring;
	s->v[s->n] = t;
	s->polled[s->n++] = (struct pollfd){ .fd = t.fd, .events = POLLIN };
	return 0;
}

static void drop_ring(struct perf_sampler *s, size_t i)
{
	munmap(s->v[i].ring, (size_t)sysconf(_SC_PAGESIZE) + s->v[i].size);
	close(s->v[i].fd);
	s->n--;
	s->v[i] = s->v[s->n];
	s->polled[i] = s->polled[s->n];
}

static struct perf_ring *find_thread(struct perf_sampler *s, uint32_t tid)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].tid == tid)
			return &s->v[i];
	}
	return NULL;
}

/* -errno: there are threads that cannot be watched. */
static int look_for_threads(struct perf_sampler *s)
{
	int fd = openat(s->process->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	s->looked = monotonic();
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return -ESRCH;
	}
	for (size_t i = 0; i < s->n; i++)
		s->v[i].seen = false;
	while ((entry = readdir(dir)) && s->n < MAX_THREADS) {
		uint32_t tid = (uint32_t)strtoul(entry->d_name, NULL, 10);
		struct perf_ring *t = tid ? find_thread(s, tid) : NULL;

		if (t)
			t->seen = true;
		else if (tid && !error)
			error = add_ring(s, tid, -1);
	}
	closedir(dir);
	return error;
}

/* If that is permitted, and there are as many threads. */
static bool take_processors(struct perf_sampler *s)
{
	long n = sysconf(_SC_NPROCESSORS_CONF);
	struct stat task;
	int error = 0;

	/* Besides the directories that each has. */
	if (fstatat(s->process->dir, "task", &task, 0) || n <= 0 || task.st_nlink < (nlink_t)n + 2)
		return false;
	s->ring_size = RING_ALL;
	while (s->ring_size > RING_MIN && s->ring_size * (size_t)n > RINGS_ALL)
		s->ring_size /= 2;
	for (int i = 0; i < n && !error; i++)
		error = add_ring(s, 0, i);
	while (error && s->n)
		drop_ring(s, s->n - 1);
	return s->n != 0;
}

/* ---- samples --------------------------------------------------------------------------------- */

/* The record at `tail`, in one piece: in the ring it may go over the end. */
static const struct perf_event_header *take_record(struct perf_sampler *s, struct perf_ring *t,
						   uint64_t tail, uint64_t head)
{
	const uint8_t *data = (const uint8_t *)t->ring + t->ring->data_offset;
	const struct perf_event_header *h = (const void *)s->record;
	size_t at = tail & (t->size - 1), len = sizeof *h;

	for (int pass = 0; pass < 2; pass++) {
		size_t first = t->size - at < len ? t->size - at : len;

		if (len < sizeof *h || len > head - tail)
			return NULL;
		memcpy(s->record, data + at, first);
		memcpy(s->record + first, data, len - first);
		len = h->size;
	}
	return h;
}

static void hand_over(struct perf_sampler *s, struct perf_ring *t,
		      const struct perf_event_header *h, sample_fn *fn, void *arg)
{
	/* See perf_event_open(2): what was asked for, in this order. */
	const struct {
		struct perf_event_header h;
		uint32_t pid, tid;
		uint64_t time, counted, abi;
		uint64_t rest[];
	} *r = (const void *)h;
	const size_t nregs = (size_t)__builtin_popcountll(perf_registers);
	const size_t words = h->size / 8;
	size_t at = sizeof *r / 8 + nregs;
	struct thread_sample sample = { .tid = r->tid };
	uint64_t size, used;

	if (words < at - nregs)
		return;
	/* A processor's time was somebody else's, or nobody's. */
	if (!t->tid && r->pid != (uint32_t)s->process->target.pid) {
		t->counted = r->counted;
		return;
	}
	if (words < at + 2 || r->abi != PERF_SAMPLE_REGS_ABI_64)
		return;
	size = ((const uint64_t *)h)[at++];
	if (size % 8 || size / 8 > words - at)
		return;
	used = size && size / 8 < words - at ? ((const uint64_t *)h)[at + size / 8] : 0;
	registers_from_perf(r->rest, &sample.registers);
	sample.time = (int64_t)r->time;
	sample.kernel = (h->misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL;
	sample.cpu_ns = r->counted > t->counted ? r->counted - t->counted : 0;
	sample.stack = (const uint8_t *)h + at * 8;
	sample.len = used < size ? used : size;
	t->counted = r->counted;
	fn(&sample, arg);
}

static void drain(struct perf_sampler *s, struct perf_ring *t, sample_fn *fn, void *arg)
{
	uint64_t tail = t->ring->data_tail;
	uint64_t head = __atomic_load_n(&t->ring->data_head, __ATOMIC_ACQUIRE);
	const struct perf_event_header *h;
	bool any = false;

	while (tail < head && (h = take_record(s, t, tail, head))) {
		if (h->type == PERF_RECORD_SAMPLE) {
			hand_over(s, t, h, fn, arg);
			any = true;
		} else if (h->type == PERF_RECORD_LOST && h->size >= 24) {
			s->base.missed += ((const uint64_t *)h)[2];
		} else if (h->type == PERF_RECORD_THROTTLE) {
			s->base.missed++;
		}
		tail += h->size;
	}
	__atomic_store_n(&t->ring->data_tail, head, __ATOMIC_RELEASE);
	if (any) {
		uint64_t period = s->base.next(s->base.next_arg);

		ioctl(t->fd, PERF_EVENT_IOC_PERIOD, &period);
	}
}

static struct goro_error *perf_run(struct cpu_sampler *base, int64_t until, sample_fn *fn,
				   void *arg)
{
	struct perf_sampler *s = (struct perf_sampler *)base;
	int64_t now = monotonic(), wait = s->looked + LOOK_NS;
	int ready;

	if (until < wait)
		wait = until;
	wait = wait > now ? (wait - now) / 1000000 + 1 : 0;
	ready = poll(s->polled, s->n, (int)wait);
	for (size_t i = 0; ready > 0 && i < s->n; i++) {
		if (!s->polled[i].revents)
			continue;
		drain(s, &s->v[i], fn, arg);
		/* A hang-up is the end of the thread; it must not wake us again. */
		if (s->polled[i].revents & (POLLHUP | POLLERR))
			s->polled[i].fd = -1;
	}
	if (monotonic() - s->looked < LOOK_NS)
		return NULL;
	if (process_ended(s->process))
		return process_gone(s->process);
	if (s->by_processor) {
		s->looked = monotonic();
		return NULL;
	}
	look_for_threads(s);
	for (size_t i = s->n; i-- > 0;) {
		if (s->v[i].seen)
			continue;
		drain(s, &s->v[i], fn, arg);
		drop_ring(s, i);
	}
	return NULL;
}

static void perf_close(struct cpu_sampler *base)
{
	struct perf_sampler *s = (struct perf_sampler *)base;

	while (s->n)
		drop_ring(s, s->n - 1);
	free(s->v);
	free(s->polled);
	free(s);
}

static const struct cpu_sampler_ops perf_ops = { .run = perf_run, .close = perf_close };

struct goro_error *target_sample_perf(struct target *t, uint64_t (*next)(void *), void *next_arg,
				      struct cpu_sampler **ret)
{
	struct perf_sampler *s = calloc(1, sizeof *s);
	struct goro_error *err;
	int error = 0;

	if (!s)
		return &goro_enomem;
	s->base = (struct cpu_sampler){
		.ops = &perf_ops, .how = "perf events", .next = next, .next_arg = next_arg
	};
	s->process = (struct process *)t;
	s->by_processor = take_processors(s);
	if (!s->by_processor) {
		s->ring_size = RING_MAX;
		error = look_for_threads(s);
	}
	if (!error && s->n) {
		*ret = &s->base;
		return NULL;
	}
	err = process_ended(s->process)
		      ? process_gone(s->process)
		      : goro_error_hint(goro_error_new(GORO_PERMISSION,
						       "perf events are not permitted here: %s",
						       strerror(-error)),
					"set kernel.perf_event_paranoid to 2 or less, or allow "
					"perf_event_open in the container's seccomp filter");
	perf_close(&s->base);
	return err;
}
