/* SPDX-License-Identifier: MIT */
/*
 * target_process_trace.c - threads caught by ptrace, where perf events are not permitted.
 *
 * One thread at a time, and only one that is on a processor: it is seized, interrupted, read and
 * let go, which takes it tens of microseconds. Nothing else happens to the target: no SIGSTOP, and
 * no option that would outlive us. The kernel lets go of a thread whose tracer dies, also by
 * SIGKILL and also in the middle of this, because PTRACE_O_EXITKILL is not set.
 *
 * Rejected: staying attached between samples. Each signal of the target would have to pass through
 * us. Interrupting threads that sleep: a system call may notice, and they use no processor anyway.
 */
#include "target_process.h"
#include "target_sample.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_NS	    50000000 /* until a thread that runs must have stopped */
#define MAX_THREADS 16384u

struct traced_thread {
	uint32_t tid;
	uint64_t counted; /* its processor time at its last sample */
	bool seen;	  /* by the round that runs */
	bool stuck;	  /* it was interrupted and has not stopped yet */
};

struct trace_sampler {
	struct cpu_sampler base;
	struct process *process;
	struct traced_thread *v;
	size_t n, cap;
	int64_t due;
	bool permitted, denied; /* once; the last time */
	uint8_t stack[SAMPLE_STACK];
};

static int64_t monotonic(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void sleep_until(int64_t when)
{
	struct timespec ts = { .tv_sec = when / 1000000000, .tv_nsec = when % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

/* ---- one thread ------------------------------------------------------------------------------ */

/* Wait for its stop. False: it has ended, or it does not stop (*stuck). */
static bool wait_for_stop(uint32_t tid, int64_t patience_ns, int *status, bool *stuck)
{
	int64_t deadline = monotonic() + patience_ns;
	pid_t got;

	*stuck = false;
	while ((got = waitpid((pid_t)tid, status, __WALL | WNOHANG)) == 0) {
		if (monotonic() >= deadline) {
			*stuck = true;
			return false;
		}
		sleep_until(monotonic() + 20000);
	}
	return got == (pid_t)tid && WIFSTOPPED(*status);
}

/* A stop at the delivery of a signal is as good as ours: the signal goes on with the thread. */
static void let_go(uint32_t tid, int status)
{
	long sig = status >> 16 ? 0 : WSTOPSIG(status);

	ptrace(PTRACE_DETACH, (pid_t)tid, NULL, (void *)sig);
}

/* How much of the stack there is to copy: up to the end of its map at most. */
static size_t copy_stack(struct trace_sampler *s, uint64_t sp)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	struct target_read pieces[SAMPLE_STACK / 4096 + 1];
	size_t n = 0, len = 0, whole = 0;

	while (len < sizeof s->stack) {
		size_t piece = page - (sp + len) % page;

		if (piece > sizeof s->stack - len)
			piece = sizeof s->stack - len;
		pieces[n++] = (struct target_read){ .address = sp + len,
						    .to = s->stack + len,
						    .len = piece };
		len += piece;
	}
	goro_error_free(s->process->target.ops->read(&s->process->target, pieces, n));
	for (size_t i = 0; i < n && pieces[i].ok; i++)
		whole += pieces[i].len;
	return whole;
}

static bool catch_thread(struct trace_sampler *s, struct traced_thread *t,
			 struct thread_sample *sample)
{
	struct user_regs_struct user;
	struct iovec regs = { &user, sizeof user };
	bool got;
	int status;

	if (ptrace(PTRACE_SEIZE, (pid_t)t->tid, NULL, NULL) < 0) {
		s->denied = errno == EPERM;
		return false;
	}
	s->denied = false;
	s->permitted = true;
	/* If it fails the thread is ending, which ends our hold on it too. */
	ptrace(PTRACE_INTERRUPT, (pid_t)t->tid, NULL, NULL);
	if (!wait_for_stop(t->tid, STOP_NS, &status, &t->stuck))
		return false;
	got = ptrace(PTRACE_GETREGSET, (pid_t)t->tid, (void *)NT_PRSTATUS, &regs) == 0;
	if (got) {
		registers_from_user(&user, &sample->registers);
		sample->stack = s->stack;
		sample->len = copy_stack(s, sample->registers.sp);
	}
	let_go(t->tid, status);
	return got;
}

/* On a processor or waiting for one; and how much it has used. */
static bool is_running(struct trace_sampler *s, uint32_t tid, uint64_t *cpu_ns)
{
	char name[64];
	const char *state;
	char *text;
	size_t len;
	bool is;

	snprintf(name, sizeof name, "task/%u/stat", tid);
	text = process_text(s->process->dir, name, &len);
	state = text ? process_stat(text, 3) : NULL;
	is = state && *state == 'R';
	free(text);
	if (!is)
		return false;
	snprintf(name, sizeof name, "task/%u/schedstat", tid);
	text = process_text(s->process->dir, name, &len);
	*cpu_ns = text ? strtoull(text, NULL, 10) : 0;
	free(text);
	return *cpu_ns != 0;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static struct traced_thread *find_or_add(struct trace_sampler *s, uint32_t tid)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].tid == tid)
			return &s->v[i];
	}
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 16;
		struct traced_thread *v = realloc(s->v, cap * sizeof *v);

		if (!v)
			return NULL;
		s->v = v;
		s->cap = cap;
	}
	s->v[s->n] = (struct traced_thread){ .tid = tid };
	return &s->v[s->n++];
}

/* One that did not stop in time must be let go once it does. */
static bool still_stuck(struct traced_thread *t)
{
	int status;
	bool stuck;

	if (!t->stuck)
		return false;
	if (wait_for_stop(t->tid, 0, &status, &stuck))
		let_go(t->tid, status);
	t->stuck = stuck;
	return stuck;
}

static void visit(struct trace_sampler *s, uint32_t tid, sample_fn *fn, void *arg)
{
	struct traced_thread *t = find_or_add(s, tid);
	struct thread_sample sample = { .tid = tid };
	uint64_t cpu_ns;

	if (!t)
		return;
	t->seen = true;
	if (still_stuck(t) || !is_running(s, tid, &cpu_ns))
		return;
	if (!t->counted || cpu_ns <= t->counted) {
		/* The first look tells where its counting starts. */
		t->counted = cpu_ns;
		return;
	}
	sample.time = monotonic();
	sample.cpu_ns = cpu_ns - t->counted;
	if (!catch_thread(s, t, &sample)) {
		s->base.missed += t->stuck;
		return;
	}
	t->counted = cpu_ns;
	fn(&sample, arg);
}

static bool visit_all(struct trace_sampler *s, sample_fn *fn, void *arg)
{
	int fd = openat(s->process->dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	size_t kept = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	for (size_t i = 0; i < s->n; i++)
		s->v[i].seen = false;
	while ((entry = readdir(dir)) && s->n < MAX_THREADS) {
		uint32_t tid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (tid)
			visit(s, tid, fn, arg);
	}
	closedir(dir);
	for (size_t i = 0; i < s->n; i++) {
		if (s->v[i].seen)
			s->v[kept++] = s->v[i];
	}
	s->n = kept;
	return true;
}

static struct goro_error *trace_run(struct cpu_sampler *base, int64_t until, sample_fn *fn,
				    void *arg)
{
	struct trace_sampler *s = (struct trace_sampler *)base;
	int64_t now;

	if (s->due > until) {
		sleep_until(until);
		return NULL;
	}
	sleep_until(s->due);
	if (process_ended(s->process) || !visit_all(s, fn, arg))
		return process_gone(s->process);
	if (s->denied && !s->permitted)
		return process_explain(s->process, EPERM, "threads");
	now = monotonic();
	s->due += (int64_t)base->next(base->next_arg);
	for (; s->due <= now; base->missed++)
		s->due += (int64_t)base->next(base->next_arg);
	return NULL;
}

static void trace_close(struct cpu_sampler *base)
{
	struct trace_sampler *s = (struct trace_sampler *)base;

	/* Who is still held is let go by the kernel when we end. */
	for (size_t i = 0; i < s->n; i++)
		still_stuck(&s->v[i]);
	free(s->v);
	free(s);
}

static const struct cpu_sampler_ops trace_ops = { .run = trace_run, .close = trace_close };

struct goro_error *target_sample_ptrace(struct target *t, uint64_t (*next)(void *), void *next_arg,
					struct cpu_sampler **ret)
{
	struct trace_sampler *s = calloc(1, sizeof *s);

	if (!s)
		return &goro_enomem;
	s->base = (struct cpu_sampler){
		.ops = &trace_ops, .how = "ptrace", .next = next, .next_arg = next_arg
	};
	s->process = (struct process *)t;
	s->due = monotonic();
	*ret = &s->base;
	return NULL;
}
