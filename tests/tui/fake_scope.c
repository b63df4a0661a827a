/* SPDX-License-Identifier: MIT */
/* fake_scope.c - the shop. Addresses are small numbers, so that they are easy to see in a test. */
#define _GNU_SOURCE
#include "fake_scope.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct fake fake;

struct goro_scope {
	int pid;
};

#define SECOND UINT64_C(1000000000)
#define START  INT64_C(5000000000000)

/* ---- snapshots ------------------------------------------------------------------------------- */

enum { ST_LEAK, ST_LOCK, ST_TICK, ST_MAIN, ST_PLUGIN, NSTACKS };

static const uint64_t stack_pcs[NSTACKS][8] = {
	[ST_LEAK] = { 0x100, 0x101, 0x210, 0x211, 0x103 },
	[ST_LOCK] = { 0x100, 0x102, 0x220, 0x221, 0x222, 0x103 },
	[ST_TICK] = { 0x100, 0x104, 0x230, 0x103 },
	[ST_MAIN] = { 0x100, 0x101, 0x201, 0x200 },
	[ST_PLUGIN] = { 0x100, 0x101, 0x240, 0x999 },
};

enum { OBJ_CACHE = 0x7f10, OBJ_A = 0x7f20, OBJ_B = 0x7f40, OBJ_DONE = 0x9000, OBJ_ACCEPT = 0x8800 };

static void add_stacks(struct goro_snapshot *s)
{
	s->nstacks = NSTACKS;
	s->stacks = calloc(NSTACKS, sizeof(*s->stacks));
	s->pcs = calloc((size_t)NSTACKS * 8, sizeof(*s->pcs));
	for (int i = 0; i < NSTACKS; i++) {
		struct goro_stack *st = &s->stacks[i];

		st->first = (uint32_t)s->npcs;
		st->complete = i != ST_PLUGIN;
		st->by_frame_pointer = i == ST_PLUGIN;
		for (int k = 0; k < 8 && stack_pcs[i][k]; k++, st->n++)
			s->pcs[s->npcs++] = stack_pcs[i][k];
	}
	s->truncated = 1;
}

static struct goro_info *add_g(struct goro_snapshot *s, uint64_t id, char letter, uint32_t stack)
{
	struct goro_info *g = &s->g[s->ng++];

	g->id = id;
	g->parent = FAKE_MAIN;
	g->letter = letter;
	g->state = letter == 'r' ? 3 : letter == 'R' ? 2 : letter == 'n' ? 1 : 4;
	g->reason = g->state == 4 ? (uint8_t)letter : 0;
	g->stack_id = stack;
	g->stack_lo = 0x10000 * id;
	g->stack_hi = g->stack_lo + 0x10000;
	g->stack_resident = 4096;
	g->stack_used = stack == GORO_NO_STACK ? 0 : 1200;
	g->finding = UINT32_MAX;
	return g;
}

static void add_others(struct goro_snapshot *s)
{
	struct goro_info *g = add_g(s, FAKE_MAIN, 'c', ST_MAIN);

	g->parent = 0;
	g->wait_ns = 211000000;
	g->wait_object = OBJ_ACCEPT;
	for (uint64_t id = 10; id < 22; id++) {
		g = add_g(s, id, 'z', ST_TICK);
		g->spawn_pc = 0x231;
		g->entry = 0x302;
		g->wait_ns = (id - 9) * 1500000000;
	}
	g = add_g(s, FAKE_HOG, 'r', GORO_NO_STACK);
	g->spawn_pc = 0x223;
	g->entry = 0x301;
	g->wait_ns = 3400000;
	g->held_locks = 1;
	for (uint64_t id = FAKE_WAITER; id < FAKE_WAITER + 8; id++) {
		g = add_g(s, id, 'l', ST_LOCK);
		g->spawn_pc = 0x223;
		g->entry = 0x301;
		g->wait_ns = 8 * SECOND + id * 10000000;
		g->wait_object = OBJ_CACHE;
	}
	/* Two that hold what the other wants. */
	for (uint64_t id = 300; id < 302; id++) {
		g = add_g(s, id, 'l', ST_LOCK);
		g->spawn_pc = 0x223;
		g->entry = 0x301;
		g->wait_ns = 8760 * SECOND;
		g->wait_object = id == 300 ? OBJ_B : OBJ_A;
		g->held_locks = 1;
	}
	g = add_g(s, 400, 'c', ST_PLUGIN);
	g->spawn_pc = 0x998;
	g->wait_ns = 42000;
	g = add_g(s, 401, 'R', ST_TICK);
	g->spawn_pc = 0x231;
	g->entry = 0x302;
	g = add_g(s, 402, 'n', GORO_NO_STACK);
	g->spawn_pc = 0x231;
	g->stack_lo = g->stack_hi = g->stack_resident = 0;
	g = add_g(s, 403, 's', GORO_NO_STACK);
	g->spawn_pc = 0x231;
	g->torn = true;
}

static void add_leaks(struct goro_snapshot *s, unsigned t)
{
	unsigned n = fake.leaks + t * fake.leaks_per_tick;

	for (unsigned i = fake.first_gone ? 1 : 0; i < n; i++) {
		struct goro_info *g = add_g(s, FAKE_FIRST_LEAK + i, 'c', ST_LEAK);

		g->spawn_pc = 0x201;
		g->entry = 0x300;
		g->wait_ns = (fake.reverse ? i + 1 : n - i) * 2 * SECOND;
		g->wait_object = OBJ_DONE + (uint64_t)i * 0x40;
		g->stack_resident = 8192;
		g->stack_peak = 16384;
	}
}

/* Those that leak 2 KiB each, the others a KiB for each 10 of their number. */
static void add_heap(struct goro_snapshot *s)
{
	static const struct goro_heap_site ended = { .spawn_pc = 0x201,
						     .heap = { 5 << 20, 10, 9 << 20, 99 } };

	s->heap = calloc(s->ng, sizeof(*s->heap));
	for (size_t i = 0; i < s->ng; i++) {
		bool leaks = s->g[i].id >= FAKE_FIRST_LEAK;

		s->heap[i].objects = s->heap[i].total_objects = 3;
		s->heap[i].bytes = leaks ? 2048 : s->g[i].id / 10 * 1024;
		s->heap[i].total_bytes = 2 * s->heap[i].bytes;
	}
	s->heap_ended = malloc(sizeof(ended));
	*s->heap_ended = ended;
	s->nheap_ended = 1;
	s->heap_outside = (struct goro_heap){ 70000, 3, 70000, 3 };
}

/* As goro_introspect.h numbers them. */
enum { CLASS_CHAN = 3, CLASS_MUTEX = 5, CLASS_EXTERNAL = 1 };
enum { REASON_CHAN_RECV = 1, REASON_MUTEX = 7 };

/* What each waits for, in the form that a select needs. */
static void add_waits(struct goro_snapshot *s)
{
	s->waits = calloc(s->ng, sizeof(*s->waits));
	for (size_t i = 0; i < s->ng; i++) {
		struct goro_info *g = &s->g[i];

		if (g->state != 4)
			continue;
		g->wait_class = g->letter == 'l'   ? CLASS_MUTEX
				: g->letter == 'c' ? CLASS_CHAN
						   : CLASS_EXTERNAL;
		if (!g->wait_object)
			continue;
		g->waits_first = (uint32_t)s->nwaits;
		g->nwaits = 1;
		s->waits[s->nwaits++] =
			(struct goro_wait){ g->wait_object,
					    g->letter == 'l' ? REASON_MUTEX : REASON_CHAN_RECV,
					    g->wait_class };
	}
}

static void add_objects(struct goro_snapshot *s, unsigned nleaks)
{
	static const struct goro_object fixed[] = {
		{ .address = OBJ_CACHE,
		  .valid = true,
		  .owner = FAKE_HOG,
		  .nwaiters = 8,
		  .wait_class = CLASS_MUTEX },
		{ .address = OBJ_A,
		  .valid = true,
		  .owner = 300,
		  .nwaiters = 1,
		  .wait_class = CLASS_MUTEX },
		{ .address = OBJ_B,
		  .valid = true,
		  .owner = 301,
		  .nwaiters = 1,
		  .wait_class = CLASS_MUTEX },
		{ .address = OBJ_ACCEPT,
		  .valid = true,
		  .len = 0,
		  .cap = 64,
		  .nwaiters = 1,
		  .wait_class = CLASS_CHAN },
	};

	s->objects = calloc(4 + nleaks, sizeof(*s->objects));
	memcpy(s->objects, fixed, sizeof(fixed));
	s->nobjects = 4;
	for (unsigned i = 0; i < nleaks; i++)
		s->objects[s->nobjects++] = (struct goro_object){
			.address = OBJ_DONE + (uint64_t)i * 0x40,
			.valid = true,
			.wait_class = CLASS_CHAN,
			.make_pc = 0x212,
			.nwaiters = 1,
		};
}

static void add_procs(struct goro_snapshot *s, unsigned t)
{
	s->nprocs = 4;
	s->procs = calloc(4, sizeof(*s->procs));
	for (uint32_t i = 0; i < 4; i++)
		s->procs[i] = (struct goro_proc){ .id = i,
						  .status = i == 0   ? 1
							    : i == 3 ? 2
								     : 0,
						  .running = i == 0 ? FAKE_HOG : 0,
						  .runq_len = i == 0 ? 3 : 0,
						  .tid = i < 2 ? 48214 + i : 0,
						  .nswitch = (uint64_t)t * 41000 / (i + 1),
						  .npark = (uint64_t)t * 40000 / (i + 1),
						  .nyield = (uint64_t)t * 39000 / (i + 1),
						  .nsteal = (uint64_t)t * i * 3,
						  .nretake = i == 0 ? t / 2 : 0,
						  .nspin = (uint64_t)t * 100,
						  .nspawn = (uint64_t)t * 30,
						  .nexit = (uint64_t)t * 7 };
	/* Slow before the first look: a millisecond; since then microseconds. */
	for (int b = 0; b < 8; b++) {
		s->procs[0].latencies.n[11 + b] =
			(uint64_t)t * (uint64_t)(b < 4 ? 1 << b : 16 >> b);
		s->procs[1].slices.n[8 + b] = (uint64_t)t * (uint64_t)(8 - b) * 100;
	}
	s->procs[0].latencies.n[21] = 5000;
}

static struct goro_error *error(enum goro_status code, const char *message, const char *hint)
{
	struct goro_error *err = calloc(1, sizeof(*err));

	err->code = code;
	err->message = strdup(message);
	err->hint = hint ? strdup(hint) : NULL;
	return err;
}

struct goro_error *goro_scope_snapshot(struct goro_scope *scope, struct goro_snapshot **ret)
{
	unsigned t = fake.ticks, nleaks = fake.leaks + t * fake.leaks_per_tick;
	const struct timespec step = { 0, 1000000 };
	struct goro_snapshot *s;

	while (fake.hang)
		nanosleep(&step, NULL);
	if (fake.fail)
		return error(GORO_PARTIAL, "cannot read 8 bytes at 0x1234 of process 48213", NULL);
	if (fake.end_after && t >= fake.end_after)
		return error(GORO_NO_TARGET, "process 48213 has ended", NULL);
	s = calloc(1, sizeof(*s));
	fake.live_snapshots++;
	s->pid = scope->pid;
	s->name = strdup("shop");
	s->runtime = strdup("goro 0.1.0");
	s->time = START + (int64_t)t * (int64_t)SECOND;
	s->uptime_ns = 183600 * SECOND;
	s->rss = UINT64_C(5900) << 20;
	s->cpu = 1.37;
	s->g = calloc(64 + nleaks, sizeof(*s->g));
	add_stacks(s);
	add_others(s);
	add_leaks(s, t);
	add_waits(s);
	add_objects(s, nleaks);
	if (fake.heap)
		add_heap(s);
	add_procs(s, t);
	s->global_runq = 2;
	s->timers = 12;
	s->reread = 3;
	s->torn = 1;
	s->cost_ns = 3800000;
	if (fake.damaged) {
		s->cut = 3u << 20;
		s->damaged = 1234;
	}
	fake.ticks = t + 1;
	*ret = s;
	return NULL;
}

void goro_snapshot_free(struct goro_snapshot *s)
{
	if (!s)
		return;
	fake.live_snapshots--;
	free(s->name);
	free(s->runtime);
	free(s->g);
	free(s->heap);
	free(s->heap_ended);
	free(s->waits);
	free(s->stacks);
	free(s->pcs);
	free(s->objects);
	free(s->procs);
	free(s->tombs);
	free(s);
}

const struct goro_info *goro_snapshot_find(const struct goro_snapshot *s, uint64_t id)
{
	for (size_t i = 0; i < s->ng; i++)
		if (s->g[i].id == id)
			return &s->g[i];
	return NULL;
}

const struct goro_object *goro_snapshot_object(const struct goro_snapshot *s, uint64_t address)
{
	for (size_t i = 0; i < s->nobjects; i++)
		if (s->objects[i].address == address)
			return &s->objects[i];
	return NULL;
}

size_t goro_wait_chain(const struct goro_snapshot *s, uint64_t id, uint64_t *chain, size_t max,
		       bool *cycle)
{
	size_t n = 0;

	*cycle = false;
	while (id && n < max) {
		const struct goro_info *g = goro_snapshot_find(s, id);
		const struct goro_object *o = g ? goro_snapshot_object(s, g->wait_object) : NULL;

		for (size_t i = 0; i < n; i++)
			if (chain[i] == id) {
				*cycle = true;
				return n;
			}
		chain[n++] = id;
		id = o ? o->owner : 0;
	}
	return n;
}

/* ---- scopes ---------------------------------------------------------------------------------- */

struct goro_error *goro_scope_open_pid(struct goro_scope **ret, int pid)
{
	if (pid == 39777)
		return error(GORO_PERMISSION, "process 39777 may not be read: EPERM (1)",
			     "uid         target 0, you 1000: another user\n"
			     "ptrace_scope 1: only children may be read\n"
			     "do one of these:\n"
			     "  sudo gotop 39777\n"
			     "  sudo setcap cap_sys_ptrace=ep $(command -v gotop)");
	if (pid != 48213)
		return error(GORO_NO_TARGET, "there is no process 4", NULL);
	*ret = calloc(1, sizeof(**ret));
	(*ret)->pid = pid;
	fake.open_scopes++;
	return NULL;
}

struct goro_error *goro_scope_open(struct goro_scope **ret, const char *target)
{
	return goro_scope_open_pid(ret, strcmp(target, "shop") == 0 ? 48213 : atoi(target));
}

/* A live process. */
size_t goro_scope_ticks(struct goro_scope *scope)
{
	(void)scope;
	return 0;
}

void goro_scope_seek(struct goro_scope *scope, size_t tick)
{
	(void)scope, (void)tick;
}

void goro_scope_be_thrifty(struct goro_scope *scope, bool thrifty)
{
	(void)scope;
	(void)thrifty;
}

void goro_scope_close(struct goro_scope *scope)
{
	fake.open_scopes--;
	free(scope);
}

void goro_error_free(struct goro_error *err)
{
	if (!err)
		return;
	free(err->message);
	free(err->hint);
	free(err);
}

static struct goro_candidate candidate(int pid, const char *name, const char *command,
				       int64_t goroutines, int workers, unsigned mib)
{
	return (struct goro_candidate){
		.pid = pid,
		.name = strdup(name),
		.command = strdup(command),
		.runtime = strdup("goro 0.1.0"),
		.goroutines = goroutines,
		.workers = workers,
		.rss = (uint64_t)mib << 20,
		.attachable = goroutines >= 0,
		.why_not = goroutines < 0 ? strdup("EPERM") : NULL,
	};
}

struct goro_error *goro_list_processes(struct goro_candidate **ret, size_t *n, bool all)
{
	struct goro_candidate *c = calloc(3, sizeof(*c));

	*ret = c;
	*n = 0;
	if (fake.no_processes)
		return NULL;
	c[(*n)++] = candidate(48213, "shop", "shop -p 80", 1026, 4, 5900);
	c[(*n)++] = candidate(50110, "logship",
			      "logship --to tcp://10.1.2.9:443 --batch 1000 --spool", 41, 2, 22);
	if (all)
		c[(*n)++] = candidate(39777, "vault", "vault", -1, 0, 310);
	return NULL;
}

void goro_candidates_free(struct goro_candidate *c, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(c[i].name);
		free(c[i].command);
		free(c[i].runtime);
		free(c[i].why_not);
	}
	free(c);
}

/* ---- a profile ------------------------------------------------------------------------------- */

const char *goro_profile_mode_name(enum goro_profile_mode mode)
{
	static const char *const names[] = { "wall", "offcpu", "cpu" };

	return names[mode];
}

static struct goro_profile_node *node(const char *name, const char *where, uint64_t self,
				      struct goro_profile_node *child,
				      struct goro_profile_node *next)
{
	struct goro_profile_node *n = calloc(1, sizeof(*n));

	n->name = strdup(name);
	n->where = where ? strdup(where) : NULL;
	n->self = n->total = self;
	for (struct goro_profile_node *c = child; c; c = c->next)
		n->total += c->total;
	n->child = child;
	n->next = next;
	return n;
}

/* A tenth of a second. 1,000 goroutines wait for sessions, ten for
 * the cache, which calls itself. */
struct goro_error *goro_scope_profile_part(struct goro_scope *scope,
					   const struct goro_profile_options *o,
					   struct goro_profile_part **ret)
{
	const struct timespec step = { 0, 1000000 };
	const uint64_t part = SECOND / 10;
	struct goro_profile_node *sess, *cache;

	(void)scope;
	for (int i = 0; i < 5 && !(o->stop && o->stop(o->arg)); i++)
		nanosleep(&step, NULL);
	if (o->mode == GORO_PROFILE_CPU && fake.no_cpu_profile)
		return error(GORO_PERMISSION, "process 48213 may not be sampled: EPERM (1)", NULL);
	*ret = calloc(1, sizeof(**ret));
	sess = o->mode == GORO_PROFILE_CPU
		       ? node("watch_session", "sess.c:94", 7 * part / 100, NULL, NULL)
		       : node("watch_session", "sess.c:94", 0,
			      node("session_wait", "sess.c:131", 0,
				   node("[chan receive]", NULL, 1000 * part, NULL, NULL), NULL),
			      NULL);
	cache = node("shard_run", "cache.c:340", part,
		     node("lru_touch", "cache.c:240", part,
			  node("lru_touch", "cache.c:240", 8 * part, NULL, NULL), NULL),
		     NULL);
	(*ret)->root = node("all", NULL, 0,
			    node("accept_loop at net.c:398", NULL, 0, sess,
				 node("start_shards at cache.c:201", NULL, 0, cache, NULL)),
			    NULL);
	(*ret)->ns = part;
	(*ret)->taken = 2;
	if (o->mode == GORO_PROFILE_CPU)
		strcpy((*ret)->how, "perf events");
	return NULL;
}

/* ---- the test's side ------------------------------------------------------------------------- */

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.leaks = 1000;
	fake.leaks_per_tick = 23;
}

int64_t fake_clock(void)
{
	unsigned t = fake.ticks;

	return START + (int64_t)(t ? t - 1 : 0) * (int64_t)SECOND;
}
