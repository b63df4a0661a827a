/* SPDX-License-Identifier: MIT */
/*
 * sampler_cpu.c - threads caught while they compute, and the goroutines that they ran.
 *
 * The samples come from target_sample.h: registers and the copied top of a stack. They are unwound
 * like the stacks of parked goroutines, but from the sampled registers. Whose goroutine it was is
 * written at the end of its stack (reader.h: owner), so it is right also for one that has ended by
 * the time the sample is looked at.
 */
#include "sampler.h"

#include <stdlib.h>
#include <string.h>
#include "scope.h"
#include "target_sample.h"

#define REFRESH_NS 1000000000 /* between two looks for new libraries */
#define THREADS_NS 100000000  /* between two looks which threads are goroutines */

struct cpu {
	struct sampler *s;
	struct unwind_result result; /* too big for a stack */
	int64_t refreshed, threads;
};

/* Code in no known module: a library may have come. */
static void look_for_modules(struct cpu *c)
{
	struct goro_scope *scope = c->s->scope;

	if (!unwinder_unknown(scope->unwinder) || sampler_now() - c->refreshed < REFRESH_NS)
		return;
	c->refreshed = sampler_now();
	goro_error_free(modules_refresh(&scope->modules, scope->target));
	unwinder_modules_changed(scope->unwinder);
}

/* A thread of the program's own becomes a goroutine when it first calls. */
static bool find_owner(struct cpu *c, const struct unwind_stack *stack, uint32_t tid,
		       struct stack_owner *ret)
{
	struct goro_scope *scope = c->s->scope;
	const struct reader_ops *reader = scope->reader->ops;
	bool known = reader->owner(scope->reader, stack, &c->result, tid, ret);

	if (ret->id || c->result.end_sp || sampler_now() - c->threads < THREADS_NS)
		return known;
	goro_error_free(reader->threads(scope->reader, scope->target));
	c->threads = sampler_now();
	return reader->owner(scope->reader, stack, &c->result, tid, ret);
}

static const char *state_of(const struct stack_owner *owner, bool known, bool worker)
{
	if (!known)
		return "unknown";
	return owner->id ? "running" : worker ? "scheduler" : "thread";
}

static void add(const struct thread_sample *sample, void *arg)
{
	struct cpu *c = arg;
	struct goro_scope *scope = c->s->scope;
	struct profile *p = c->s->profile;
	const struct reader_ops *reader = scope->reader->ops;
	const struct unwind_stack stack = {
		.layout = reader->layout(scope->reader),
		.registers = &sample->registers,
		.sp = sample->registers.sp,
		.hi = sample->registers.sp + sample->len,
		.bytes = sample->stack,
		.len = sample->len,
		.main = true, /* where any thread ends is an end */
	};
	struct stack_owner owner = { 0 };
	struct profile_key key;
	bool known;

	if (!sample->cpu_ns)
		return;
	pthread_mutex_lock(&scope->lock);
	unwind(scope->unwinder, &stack, &c->result);
	known = find_owner(c, &stack, sample->tid, &owner);
	look_for_modules(c);
	pthread_mutex_unlock(&scope->lock);
	p->truncated += !c->result.complete;
	key = (struct profile_key){
		.stack = profile_stack(p, c->result.pcs, c->result.n,
				       sample->kernel ? "[kernel]" : NULL,
				       c->result.complete ? NULL : "[truncated]"),
		.tid = sample->tid,
		.goroutine = owner.id,
		.spawn_pc = owner.spawn_pc,
		.state = profile_word(p, state_of(&owner, known, c->result.end_sp != 0)),
		.labels = owner.id ? sampler_labels(c->s, owner.record, owner.id) : NULL,
	};
	profile_add(p, &key, (const uint64_t[PROFILE_VALUES]){ 1, sample->cpu_ns });
	profile_add_run(p,
			&(struct profile_run){
				.tid = sample->tid,
				.stack = key.stack,
				.goroutine = owner.id,
				.begin = sample->time - (int64_t)sample->cpu_ns,
				.end = sample->time,
				.samples = 1,
				.state = key.state,
			},
			1000000000 / p->hz);
	p->taken++;
}

static struct goro_error *open_sampler(struct sampler *s, struct cpu_sampler **ret)
{
	struct target *t = s->scope->target;
	struct goro_error *err = NULL;

	if (s->o->way != SAMPLER_PTRACE)
		err = target_sample_perf(t, sampler_next, s, ret);
	if (s->o->way == SAMPLER_PTRACE ||
	    (err && err->code == GORO_PERMISSION && s->o->way == SAMPLER_AUTO)) {
		goro_error_free(err);
		err = target_sample_ptrace(t, sampler_next, s, ret);
	}
	return err;
}

struct goro_error *sampler_cpu(struct sampler *s)
{
	struct cpu *c = calloc(1, sizeof *c);
	struct cpu_sampler *cpu = NULL;
	struct goro_snapshot *snap;
	struct goro_error *err;

	if (!c)
		return &goro_enomem;
	c->s = s;
	/* It tells the reader where main's stack lies. */
	err = goro_scope_snapshot(s->scope, &snap);
	if (!err) {
		goro_snapshot_free(snap);
		err = open_sampler(s, &cpu);
	}
	if (err) {
		free(c);
		return err;
	}
	s->profile->how = cpu->how;
	while (!err && sampler_goes_on(s)) {
		int64_t until = sampler_now() + 100000000;

		err = cpu->ops->run(cpu, until < s->end ? until : s->end, add, c);
		s->profile->missed = cpu->missed;
	}
	if (cpu->without_kernel)
		s->profile->note = strdup("time in the kernel is not in it: "
					  "kernel.perf_event_paranoid forbids it");
	cpu->ops->close(cpu);
	free(c);
	return err;
}
