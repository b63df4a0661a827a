/* SPDX-License-Identifier: MIT */
/*
 * sampler.c - when to look, and what all samplers share.
 */
#include "goro_introspect.h"
#include "sampler.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "scope.h"
#include "text.h"

#define PROGRESS_NS 200000000
#define LABELS_NS   1000000000 /* labels may be this old */

int64_t sampler_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- when ------------------------------------------------------------------------------------ */

/* At most ten times the mean, which one in twenty thousand would be longer than. */
uint64_t sampler_next(void *sampler)
{
	struct sampler *s = sampler;
	double mean = 1e9 / s->o->hz, u, ns;

	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	u = (double)(s->random >> 11) * 0x1p-53; /* [0, 1) */
	ns = -log(1 - u) * mean;
	/* A perf event repeats it until we come to draw the next. */
	if (ns < mean / 8)
		ns = mean / 8;
	if (ns > 10 * mean)
		ns = 10 * mean;
	return (uint64_t)ns;
}

bool sampler_goes_on(struct sampler *s)
{
	int64_t now = sampler_now();

	if (s->o->progress && now - s->told >= PROGRESS_NS) {
		s->told = now;
		s->o->progress(s->profile, (uint64_t)(now - s->start), s->o->progress_arg);
	}
	if (s->o->stopped && s->o->stopped(s->o->stopped_arg))
		return false;
	return now < s->end && !(s->o->stop && *s->o->stop) && !s->profile->no_memory;
}

/* In short sleeps, so that Ctrl-C and progress do not wait for a low rate. */
bool sampler_wait(struct sampler *s, int64_t *due)
{
	int64_t now;

	while (sampler_goes_on(s)) {
		int64_t until = sampler_now() + PROGRESS_NS;
		struct timespec ts;

		if (until > *due)
			until = *due;
		if (until > s->end)
			until = s->end;
		ts = (struct timespec){ .tv_sec = until / 1000000000,
					.tv_nsec = until % 1000000000 };
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
		now = sampler_now();
		if (now < *due)
			continue;
		for (*due += (int64_t)sampler_next(s); *due <= now; s->profile->missed++)
			*due += (int64_t)sampler_next(s);
		return true;
	}
	return false;
}

/* ---- labels ---------------------------------------------------------------------------------- */

struct labelled {
	uint64_t id; /* 0: free */
	int64_t time;
	const char *labels;
};

/* Open-addressed by id. Emptied when it is full of those that have ended. */
struct labels {
	struct labelled v[8192];
	size_t n;
};

const char *sampler_labels(struct sampler *s, uint64_t record, uint64_t id)
{
	const size_t size = sizeof s->labels->v / sizeof *s->labels->v;
	struct labels *l = s->labels;
	char text[READER_LABELS];
	int64_t now = sampler_now();
	size_t at;

	if (l->n > size / 2)
		memset(l, 0, sizeof *l);
	for (at = id % size; l->v[at].id && l->v[at].id != id; at = (at + 1) % size)
		;
	if (l->v[at].id && now - l->v[at].time < LABELS_NS)
		return l->v[at].labels;
	pthread_mutex_lock(&s->scope->lock);
	s->scope->reader->ops->labels(s->scope->reader, s->scope->target, record, id, text);
	pthread_mutex_unlock(&s->scope->lock);
	l->n += !l->v[at].id;
	l->v[at] = (struct labelled){ id, now, *text ? profile_word(s->profile, text) : NULL };
	return l->v[at].labels;
}

/* ---- snapshots ------------------------------------------------------------------------------- */

uint32_t sampler_stack(struct profile *p, const struct goro_snapshot *snap,
		       const struct goro_info *g)
{
	uint64_t entry = g->entry + 1; /* as if it were a return address */

	if (g->stack_id < snap->nstacks) {
		const struct goro_stack *st = &snap->stacks[g->stack_id];

		return profile_stack(p, snap->pcs + st->first, st->n, NULL,
				     st->complete ? NULL : "[truncated]");
	}
	if (!g->entry)
		return profile_stack(p, NULL, 0,
				     g->flags & GORO_FLAG_FOREIGN ? "(a thread)" : "main", NULL);
	return profile_stack(p, &entry, 1, NULL, NULL);
}

/* As sampler_labels(), but what the snapshot holds: a recording has nothing else. */
const char *sampler_snapshot_labels(struct sampler *s, const struct goro_snapshot *snap,
				    const struct goro_info *g)
{
	const char *name = snap->text ? snap->text + g->name : "";
	const char *labels = snap->text ? snap->text + g->labels : "";
	char text[READER_LABELS];

	snprintf(text, sizeof text, "%s%s%s%s", *name ? "name=" : "", name, *name ? "\n" : "",
		 labels);
	return *text ? profile_word(s->profile, text) : NULL;
}

static bool is_truncated(const struct goro_snapshot *snap, const struct goro_info *g)
{
	return g->stack_id < snap->nstacks && !snap->stacks[g->stack_id].complete;
}

/* What all profiles begin with. snap: of one moment, perhaps a recording's; else NULL. */
static struct goro_error *begin(struct profile *p, struct goro_scope *scope,
				const struct goro_snapshot *snap)
{
	const char *name;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	p->wall_begin = snap ? snap->wall_time : (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	p->begin = p->end = sampler_now();
	p->pid = snap ? snap->pid : scope->target->pid;
	name = snap ? snap->name : scope->target->name;
	p->program = strdup(name ? name : "?");
	return p->program ? NULL : &goro_enomem;
}

static void add_goroutine(struct sampler *s, const struct goro_snapshot *snap,
			  const struct goro_info *g)
{
	const uint64_t values[PROFILE_KINDS][PROFILE_VALUES] = {
		[PROFILE_GOROUTINE] = { 1 },
		[PROFILE_LEAK] = { 1 },
		[PROFILE_STACK] = { 1, g->stack_hi - g->stack_lo, g->stack_used,
				    g->stack_resident },
	};
	const struct profile_key key = {
		.stack = sampler_stack(s->profile, snap, g),
		.spawn_pc = g->spawn_pc,
		.state = profile_word(s->profile, goro_state_text(g)),
		.labels = g->labelled ? sampler_snapshot_labels(s, snap, g) : NULL,
	};

	s->profile->truncated += is_truncated(snap, g);
	profile_add(s->profile, &key, values[s->profile->kind]);
}

/* And not suppressed. */
static bool is_leaked(const struct goro_info *g)
{
	return g->verdict == GORO_VERDICT_LEAKED && g->finding != UINT32_MAX;
}

/* What is not in the picture, but for the ends of stacks, which are counted. */
static struct goro_error *say_what_is_missing(struct profile *p, const struct goro_snapshot *snap)
{
	char cut[TEXT_NUMBER], damaged[TEXT_NUMBER];
	int n = 0;

	if (snap->damaged)
		n = asprintf(&p->note,
			     "%" PRIu32 " records could not be read; the recording is damaged "
			     "behind its tick %zu, %s are lost",
			     snap->bad_records, snap->tick, text_bytes(damaged, snap->damaged));
	else if (snap->cut)
		n = asprintf(&p->note,
			     "%" PRIu32 " records could not be read; the core file is cut short, "
			     "%s are missing",
			     snap->bad_records, text_bytes(cut, snap->cut));
	else if (snap->bad_records)
		n = asprintf(&p->note, "%" PRIu32 " records could not be read", snap->bad_records);
	if (n >= 0)
		return NULL;
	p->note = NULL;
	return &goro_enomem;
}

struct goro_error *goro_scope_profile_snapshot(struct goro_scope *scope,
					       const struct goro_snapshot *snap,
					       enum profile_kind kind, struct profile **ret)
{
	struct sampler s = { .scope = scope, .profile = profile_new(kind, 0) };
	struct goro_walk walk = { .snap = snap };
	const struct goro_info *g;
	struct goro_error *err;

	s.labels = calloc(1, sizeof *s.labels);
	if (!s.profile || !s.labels) {
		profile_free(s.profile);
		free(s.labels);
		return &goro_enomem;
	}
	err = begin(s.profile, scope, snap);
	if (!err)
		err = say_what_is_missing(s.profile, snap);
	if (!err && kind == PROFILE_HEAP)
		err = sampler_heap(&s, snap);
	while (!err && kind != PROFILE_HEAP && (g = goro_snapshot_next(&walk))) {
		if (kind != PROFILE_LEAK || is_leaked(g))
			add_goroutine(&s, snap, g);
	}
	free(s.labels);
	s.profile->taken = 1;
	if (!err && s.profile->no_memory)
		err = &goro_enomem;
	if (err) {
		profile_free(s.profile);
		return err;
	}
	*ret = s.profile;
	return NULL;
}

/* ---- a profile ------------------------------------------------------------------------------- */

static struct goro_error *one_look(struct goro_scope *scope, enum profile_kind kind,
				   struct profile **ret)
{
	struct goro_snapshot *snap;
	struct goro_error *err;

	goro_scope_list(scope); /* one after the other is added */
	err = goro_scope_snapshot(scope, &snap);
	if (err)
		return err;
	err = goro_scope_profile_snapshot(scope, snap, kind, ret);
	goro_snapshot_free(snap);
	return err;
}

static struct goro_error *sample(struct sampler *s)
{
	switch (s->o->kind) {
	case PROFILE_CPU:
		return sampler_cpu(s);
	case PROFILE_SPAWN:
		return sampler_spawn(s);
	default:
		return sampler_wall(s);
	}
}

struct goro_error *goro_scope_profile(struct goro_scope *scope, const struct sampler_options *o,
				      struct profile **ret)
{
	struct sampler s = { .scope = scope, .o = o };
	struct goro_error *err;

	if (o->kind == PROFILE_STACK || o->kind == PROFILE_GOROUTINE || o->kind == PROFILE_HEAP)
		return one_look(scope, o->kind, ret);
	if (scope->record)
		return goro_error_hint(
			goro_error_new(GORO_UNSUPPORTED, "a recording has moments and no samples"),
			"modes stack, goroutine and heap take one moment");
	if (scope->target->file || !scope->target->pid)
		return goro_error_hint(
			goro_error_new(GORO_UNSUPPORTED,
				       "%s is not a live process: nothing moves in it",
				       scope->target->name ? scope->target->name : "it"),
			"modes stack, goroutine and heap take one moment");
	s.profile = profile_new(o->kind, o->hz);
	s.labels = calloc(1, sizeof *s.labels);
	if (!s.profile || !s.labels) {
		profile_free(s.profile);
		free(s.labels);
		return &goro_enomem;
	}
	err = begin(s.profile, scope, NULL);
	s.start = s.told = s.profile->begin;
	s.end = o->duration_ns ? s.start + (int64_t)o->duration_ns : INT64_MAX;
	s.random = (uint64_t)s.start | 1;
	if (!err)
		err = sample(&s);
	free(s.labels);
	s.profile->end = sampler_now();
	if (err && err->code == GORO_NO_TARGET && s.profile->nsamples) {
		s.profile->ended = true;
		goro_error_free(err);
		err = NULL;
	}
	if (!err && s.profile->no_memory)
		err = &goro_enomem;
	if (err) {
		profile_free(s.profile);
		return err;
	}
	*ret = s.profile;
	return NULL;
}
