/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c - GORO_RECLAIM: goroutines that are proved leaked are unwound.
 *
 * What this is: a way for a service to live on with a bug until somebody mends it. A goroutine that
 * can never go on ends as if the call in which it waits were goro_exit(): its deferred functions
 * run, the values of its own are destroyed, its stack goes back. Memory that it had on the heap
 * stays lost unless a deferred function frees it, and a lock that none unlocks stays locked. Off
 * unless the environment asks for it.
 *
 * The proof is made by `goro reclaim`, outside, like every proof: it needs to stop the process and
 * a copy of it. Only what follows from it is done here, by the runtime's own hand. A thread that
 * does nothing else takes requests on a socket, from our own user and from root, and starts that
 * program itself from time to time, if it was not told otherwise; more seldom while there is
 * nothing to find, and not while nothing runs.
 *
 * Why that is sound. "Leaked" stays true: nobody has a pointer by which to wake it, and it cannot
 * run to give itself away. So it does not matter that time goes by between the proof and the end.
 * Nor what the deferred functions of one do to another of the same request: all of a request are
 * condemned at one instant, before any of these runs. That instant is one in which the world stands
 * still: then every park is complete, all queues are whole, and nobody holds their locks. A
 * goroutine that is not parked as the proof saw it (its id, and the number of its park) is left
 * alone, whatever the reason.
 *
 * How. The condemned one is taken out of the queues in which it waits, and gets a frame below those
 * that it has, from which it begins when it is run next; so a park that ends in the ordinary way
 * has no test for this. What was on the stack stays there, since deferred functions point into it.
 * Who waited for a condition first gets its mutex back, as goro_cond_wait() would; who waited for a
 * lock may unlock it, which does nothing. A deferred function may wait in its turn, and be found
 * leaked in its turn: then it ends there, and the next one runs.
 *
 * Rejected: a proof in the process itself (the whole of the profiler in each program, and a stop
 * for all of the search); to free without running deferred functions, as GOLF does (what they would
 * unlock and close is what others wait for); a signal or a word in memory that an observer writes
 * (observers do not write).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "switch.h"

#define FIRST_PAUSE (1 * GORO_SECOND)
#define LAST_PAUSE  (64 * GORO_SECOND)
#define SETTLE	    (1 * GORO_SECOND)
#define PATIENCE    (60 * GORO_SECOND)
enum {
	ROOM = 4096,  /* below the frames that it has, for its deferred functions to begin with */
	STALE = 8192, /* so deep a first call of one of libc's leaves registers (ld.so saves them)
		       */
};

static struct {
	bool on;
	int ear;	      /* the socket that we listen on, or -1 */
	char program[512];    /* to start, or "" */
	char **env;	      /* its environment; the last but one is the socket */
	char socket[64];      /* GORO_RECLAIM_SOCKET=... */
	int64_t pause, next;  /* between proofs that we ask for */
	uint64_t seen_switch; /* what had run at the last one */
} reclaim = { .ear = -1 };

/* ---- one goroutine --------------------------------------------------------------------------- */

/* Begins on the stack of one that is condemned, below all that it has there. */
static void goro_reclaimed(void *unused)
{
	struct stack_owner *owner = __builtin_dwarf_cfa();
	struct m *mp = getm();
	struct g *gp = mp->curg;
	goro_mutex *mu = gp->arg;

	(void)unused;
	san_after_switch(&gp->san);
	after_switch(mp);
	thread_state_load(mp, &(struct thread_state){ 0 });
	owner->record = (uintptr_t)gp;
	owner->id = gp->id;
	owner->spawn_pc = gp->spawn_pc;
	leave(mp);
	if (mu) {
		goro_mutex_lock(mu);
		gp->arg = NULL;
	}
	goro_exit();
}

static struct waitq *queue_of(goro_chan *c, uint32_t kind)
{
	return kind == GORO_REASON_CHAN_SEND ? &c->sendq : &c->recvq;
}

static bool waits_on_chan(uint32_t reason)
{
	return reason == GORO_REASON_CHAN_RECV || reason == GORO_REASON_CHAN_SEND;
}

/*
 * Who sends or receives does not write down where its waiter lies (a store in each message, for
 * nobody else), but the channel's queue has it. There may be many more in it that are condemned
 * too, so one walk finds it for all of them.
 */
static void recall_waiters(const struct waitq *q)
{
	for (struct goro_waiter *w = q->first; w; w = w->next)
		if (!w->selection)
			w->g->waiting = w;
}

static void forget_case(struct goro_waiter *w)
{
	struct waitq *q = queue_of(w->object, w->kind);

	if (w->prev || w->next || q->first == w)
		waitq_remove(&q->first, &q->last, w);
}

/* Returns the mutex that it had when it began to wait, and is to have again. */
static goro_mutex *forget_wait(struct m *mp, struct g *gp, uint32_t reason)
{
	struct goro_waiter *w, *next;
	void *more;

	if (waits_on_chan(reason) && !gp->waiting)
		recall_waiters(queue_of(gp->wait_object, reason));
	w = gp->waiting;
	switch (reason) {
	case GORO_REASON_CHAN_RECV:
	case GORO_REASON_CHAN_SEND:
	case GORO_REASON_SELECT:
		more = w && w->selection ? w->selection->more : NULL;
		for (; w; w = next) {
			next = w->next_of_g;
			forget_case(w);
		}
		free(more); /* the waiters may lie in it */
		return NULL;
	case GORO_REASON_SEMA:
		goro_sema_forget(mp, w);
		return NULL;
	case GORO_REASON_CHAN_RECV_NIL:
	case GORO_REASON_CHAN_SEND_NIL:
	case GORO_REASON_SELECT_NONE:
	case GORO_REASON_SEMA_OVER:
		return NULL;
	default:
		goro_sync_forget(mp, w);
		return reason == GORO_REASON_COND ? w->elem : NULL;
	}
}

static bool can_be_proved(uint32_t reason)
{
#define REASON(id, letter, name, class) [GORO_REASON_##id] = GORO_CLASS_##class,
	static const uint8_t classes[] = { GORO_REASONS(REASON) };

	return reason < GORO_NREASONS && classes[reason] != GORO_CLASS_NONE &&
	       classes[reason] != GORO_CLASS_EXTERNAL;
}

/* A record at this address, or NULL. */
static struct g *record_at(uint64_t address)
{
	uint32_t n = goro_introspect.g_nchunks;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = address - g_chunks[i];

		if (at < G_CHUNK_LEN * sizeof(struct g))
			return at % sizeof(struct g) ? NULL : (struct g *)(uintptr_t)address;
	}
	return NULL;
}

static bool is_as_it_was(const struct g *gp, const struct goro_reclaim_entry *e)
{
	uint32_t status = g_status(gp);
	uint32_t flags = atomic_load_explicit(&gp->flags, memory_order_relaxed);

	return gp->id == e->id && gp->park_seq == e->park_seq &&
	       GORO_STATUS_STATE(status) == GORO_STATE_WAITING &&
	       can_be_proved(GORO_STATUS_REASON(status)) &&
	       !(flags &
		 (GORO_FLAG_MAIN | GORO_FLAG_SYSTEM | GORO_FLAG_FOREIGN | GORO_FLAG_IGNORE)) &&
	       /* it is on its way already, and has not got the mutex of its condition yet */
	       !(flags & GORO_FLAG_RECLAIMED && gp->arg) && gp->sp - gp->stack_lo >= ROOM;
}

/* The world stands still. */
static void condemn(struct m *mp, struct g *gp)
{
	gp->arg = forget_wait(mp, gp, GORO_STATUS_REASON(g_status(gp)));
	atomic_fetch_or_explicit(&gp->flags, GORO_FLAG_RECLAIMED, memory_order_relaxed);
	g_set_state(gp, GORO_STATE_RUNNABLE, 0);
	barrier();
	/* As whoever is about to run it: sysmon may be at work below its stack pointer. */
	goro_trim_wait(gp);
	count_park(gp);
	goro_g_prepare_stack(gp, gp->sp, goro_reclaimed);
}

/* What is there may be of an earlier wait: see recall_waiters(). */
static void forget_waiter(struct g *gp)
{
	if (waits_on_chan(GORO_STATUS_REASON(g_status(gp))))
		gp->waiting = NULL;
}

/* ---- one request ----------------------------------------------------------------------------- */

struct request {
	struct goro_reclaim_entry *v;
	uint64_t n, done;
};

static int youngest_first(const void *a, const void *b)
{
	const struct goro_reclaim_entry *x = a, *y = b;

	return (x->id < y->id) - (x->id > y->id);
}

static void condemn_all(struct m *mp, void *arg)
{
	struct request *r = arg;
	struct g *first = NULL, *last = NULL;

	for (uint64_t i = 0; i < r->n; i++) {
		struct g *gp = record_at(r->v[i].record);

		if (gp && is_as_it_was(gp, &r->v[i]))
			forget_waiter(gp);
	}
	for (uint64_t i = 0; i < r->n; i++) {
		struct goro_reclaim_entry *e = &r->v[i];
		struct g *gp = record_at(e->record);

		e->result = gp && is_as_it_was(gp, e);
		if (!e->result)
			continue;
		condemn(mp, gp);
		gp->link = NULL;
		if (last)
			last->link = gp;
		else
			first = gp;
		last = gp;
		r->done++;
	}
	__atomic_store_n(&goro_introspect.reclaimed, goro_introspect.reclaimed + r->done,
			 __ATOMIC_RELAXED);
	if (r->done)
		goro_ready_batch(mp, first, (uint32_t)r->done);
}

/* Has it ended, or does it wait again? It may be another's record by now, which is as good. */
__attribute__((no_sanitize("thread"))) static bool is_settled(const struct goro_reclaim_entry *e)
{
	const struct g *gp = (struct g *)(uintptr_t)e->record;
	uint32_t status = g_status(gp);

	return ((const volatile struct g *)gp)->id != e->id ||
	       (GORO_STATUS_STATE(status) != GORO_STATE_RUNNABLE &&
		GORO_STATUS_STATE(status) != GORO_STATE_RUNNING);
}

static void settle(const struct request *r)
{
	int64_t until = os_now() + SETTLE;

	for (uint64_t i = 0; i < r->n; i++)
		while (r->v[i].result && !is_settled(&r->v[i]) && os_now() < until)
			os_sleep(GORO_MILLISECOND);
}

/* From now on, for a moment, this thread is a goroutine. */
static void serve_request(struct request *r)
{
	qsort(r->v, r->n, sizeof(*r->v), youngest_first);
	goro_world_still(condemn_all, r);
	goro_foreign_end();
	settle(r);
}

/* A visit: requests until the other side closes. Returns how many were unwound, -1: it asked for
 * nothing at all. */
static int64_t serve(int fd)
{
	int64_t done = -1;
	uint64_t n;

	if (!os_ear_write(fd, GORO_RECLAIM_HELLO, 8))
		return -1;
	while (os_ear_read(fd, &n, sizeof(n)) && n <= GORO_RECLAIM_MAX) {
		struct request r = { .n = n };
		bool ok;

		done = done < 0 ? 0 : done;
		r.v = malloc((n + 1) * sizeof(*r.v));
		ok = r.v && os_ear_read(fd, r.v, n * sizeof(*r.v));
		if (ok && n)
			serve_request(&r);
		ok = ok && os_ear_write(fd, r.v, n * sizeof(*r.v));
		done += (int64_t)r.done;
		free(r.v);
		if (!ok)
			break;
	}
	return done;
}

/* ---- proofs that we ask for ------------------------------------------------------------------ */

static uint64_t count_switches(void)
{
	uint64_t n = 0;

	for (int i = 0; i < sched.nprocs; i++)
		n += atomic_load_explicit(&goro_ps[i]->nswitch, memory_order_relaxed);
	return n;
}

static void say(const char *text)
{
	char line[700];

	snprintf(line, sizeof(line), "goro: GORO_RECLAIM: %s\n", text);
	os_write(STDERR_FILENO, line, strlen(line));
}

/* Start the program; it comes to the ear like everybody. */
static int start_helper(void)
{
	char pid[16], text[600], command[] = "reclaim";
	char *argv[] = { reclaim.program, command, pid, NULL };
	int child;

	snprintf(pid, sizeof(pid), "%d", os_pid());
	child = os_spawn(reclaim.program, argv, reclaim.env);
	if (child < 0) {
		snprintf(text, sizeof(text), "cannot start %s: %s", reclaim.program,
			 strerror(-child));
		say(text);
		return child;
	}
	os_allow_tracer(child);
	return 0;
}

/* What comes of it says when it is worth while again. */
static void prove(void)
{
	int64_t done = -1;
	int fd;

	reclaim.seen_switch = count_switches();
	if (start_helper()) {
		reclaim.program[0] = '\0';
		return;
	}
	fd = os_ear_accept(reclaim.ear, PATIENCE);
	if (fd >= 0) {
		done = serve(fd);
		os_close(fd);
	}
	if (done > 0)
		reclaim.pause = FIRST_PAUSE;
	else if (2 * reclaim.pause <= LAST_PAUSE)
		reclaim.pause *= 2;
	if (done < 0) {
		say("that was no proof: no more will be tried");
		reclaim.program[0] = '\0';
	}
}

static void reclaimer(void *unused)
{
	(void)unused;
	__atomic_store_n(&sched.reclaim_tid, os_tid(), __ATOMIC_RELAXED);
	reclaim.pause = FIRST_PAUSE;
	reclaim.next = os_now() + FIRST_PAUSE;
	for (;;) {
		int64_t wait = reclaim.program[0] ? reclaim.next - os_now() : -1;
		int fd;

		/* What we had to do with a goroutine shall not keep it from being found leaked. */
		goro_wipe(STALE);
		fd = reclaim.program[0] && wait <= 0 ? -ETIMEDOUT
						     : os_ear_accept(reclaim.ear, wait);
		while (atomic_load(&sched.dying))
			os_sleep(GORO_SECOND);
		if (fd >= 0) {
			serve(fd);
			os_close(fd);
		} else if (fd == -EPERM) {
			continue; /* another user */
		} else if (fd == -ETIMEDOUT) {
			if (count_switches() != reclaim.seen_switch)
				prove();
			reclaim.next = os_now() + reclaim.pause;
		} else {
			os_sleep(GORO_SECOND); /* no descriptors left, or the like */
		}
	}
}

/* ---- start ----------------------------------------------------------------------------------- */

static bool find_in_path(char *ret, size_t size)
{
	const char *path = getenv("PATH");

	for (const char *end; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		snprintf(ret, size, "%.*s/goro", (int)(end - path), path);
		if (os_is_program(ret))
			return true;
	}
	ret[0] = '\0';
	return false;
}

/* What we were started with; what is for us is not for goro. */
static bool copy_environment(void)
{
	size_t n = 0, kept = 0;

	while (environ[n])
		n++;
	reclaim.env = calloc(n + 2, sizeof(*reclaim.env));
	if (!reclaim.env)
		return false;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "GORO_", 5) && strncmp(environ[i], "LD_PRELOAD=", 11))
			reclaim.env[kept++] = environ[i];
	reclaim.env[kept] = reclaim.socket;
	return true;
}

void goro_reclaim_init(void)
{
	/* It names a program to run: not for who starts a set-user-ID program. */
	const char *how = secure_getenv("GORO_RECLAIM");

	if (!how || !*how || !strcmp(how, "0"))
		return;
	reclaim.on = copy_environment();
	if (strchr(how, '/')) {
		snprintf(reclaim.program, sizeof(reclaim.program), "%s", how);
		if (!os_is_program(reclaim.program))
			goro_throw("GORO_RECLAIM=%s: no such program", how);
	} else if (!strcmp(how, "1")) {
		if (!find_in_path(reclaim.program, sizeof(reclaim.program)))
			say("no goro in PATH: nothing is reclaimed unless somebody runs `goro "
			    "reclaim' for this process");
	} else if (strcmp(how, "ask")) {
		goro_throw("GORO_RECLAIM=%s: not 1, ask, or the path of goro", how);
	}
}

/* With the first other thread: a program without goroutines needs none of this. */
void goro_reclaim_start(void)
{
	char name[sizeof(goro_introspect.reclaim_socket)] = "";

	if (!reclaim.on)
		return;
	reclaim.ear = os_ear_open(name, sizeof(name));
	if (reclaim.ear < 0) {
		say("cannot open a socket: nothing is reclaimed");
		return;
	}
	snprintf(reclaim.socket, sizeof(reclaim.socket), GORO_RECLAIM_SOCKET "=%s", name);
	if (goro_thread_start(reclaimer, NULL, true)) {
		say("cannot start a thread: nothing is reclaimed");
		os_close(reclaim.ear);
		return;
	}
	memcpy(goro_introspect.reclaim_socket, name, sizeof(name));
}
