/* SPDX-License-Identifier: MIT */
/*
 * trim.c - a goroutine that went deep and then waits for long does not keep the pages it needed
 * there.
 *
 * sysmon looks at every goroutine, some at a tick. Who is parked as it was a period ago is a
 * candidate, once for each park: pages of its stack below its stack pointer hold nothing (less a
 * margin for the red zone) and go back to the kernel. How deep it has been stays in its record.
 *
 * The danger is that it is woken meanwhile, and runs down into a page that is about to vanish. So
 * sysmon first makes the candidates known, and whoever is about to run one of them waits until it
 * is done (less than a tenth of a millisecond). It is Dekker's algorithm again, with the fence on
 * our side as in retake.c:
 *
 *	worker: status = RUNNING;  (compiler barrier)  if (goro_trimming) look closer, wait;
 *	sysmon: goro_trimming = 1;  membarrier();  if (status is not as it was) hands off;
 *
 * cold.c takes the stacks of those that are parked for longer in the same way. The model is
 * tests/model/trim.pml. For the worker this is a load and a test of a word that hardly
 * ever changes.
 *
 * Rejected: trimming by the goroutine itself when it parks (it may never run again, and to know its
 * depth would take a system call at each park); a watermark word on each page (touches the page).
 */
#include "switch.h"

enum {
	RECORDS_A_TURN = 1024,
	DONE = 0x8000,
	SEQ = 0x7fff,
	UNIT = 4096, /* of stack_peak */
	REST = 20,   /* times as long as a step took, while somebody runs */
};

_Atomic uint32_t goro_trimming __attribute__((aligned(CACHE_LINE)));

static struct candidate {
	_Atomic(struct g *) g;
	uint32_t seq;
	bool cold;
} batch[TRIM_BATCH];
static int nbatch;

static uint64_t at, count; /* the records of this pass */
static bool news;	   /* somebody was seen at its park for the first time */
static int64_t pass_cost, next_pass, next_step;

/* Who is looked at is kept by that no more than by being looked at from outside. */
void goro_trim_init(void)
{
	goro_region_add(batch, sizeof(batch), GORO_REGION_OPAQUE);
}

/* We are about to run gp. */
void goro_trim_wait(const struct g *gp)
{
	if (!atomic_load_explicit(&goro_trimming, memory_order_acquire))
		return;
	for (int i = 0; i < TRIM_BATCH; i++) {
		if (atomic_load_explicit(&batch[i].g, memory_order_acquire) != gp)
			continue;
		for (int k = 0; atomic_load_explicit(&goro_trimming, memory_order_acquire); k++) {
			if (k < 100)
				cpu_relax();
			else
				os_sched_yield();
		}
		return;
	}
}

/* It cannot run now. */
static void trim(struct g *gp)
{
	uintptr_t page = os_page_size(), lo = gp->stack_lo, hi = gp->stack_hi, end, deepest;
	uint64_t peak;

	if (!goro_stack_is_ours(hi))
		return;
	end = (gp->sp - TRIM_MARGIN) & ~(page - 1);
	deepest = os_first_resident(lo, end);
	if (deepest >= end)
		return;
	os_discard((void *)deepest, end - deepest);
	peak = (hi - deepest) / UNIT;
	peak = peak < UINT16_MAX ? peak : UINT16_MAX;
	if (gp->stack_peak < peak)
		__atomic_store_n(&gp->stack_peak, (uint16_t)peak, __ATOMIC_RELAXED);
}

static bool is_parked(struct g *gp)
{
	return GORO_STATUS_STATE(g_status(gp)) == GORO_STATE_WAITING;
}

void goro_trim_flush(void)
{
	if (!nbatch)
		return;
	atomic_store_explicit(&goro_trimming, 1, memory_order_release);
	if (os_membarrier())
		for (int i = 0; i < nbatch; i++) {
			struct g *gp = atomic_load_explicit(&batch[i].g, memory_order_relaxed);

			if (!is_parked(gp) ||
			    __atomic_load_n(&gp->park_seq, __ATOMIC_ACQUIRE) != batch[i].seq)
				continue;
			if (batch[i].cold)
				goro_cold_take(gp);
			else
				trim(gp);
		}
	atomic_store_explicit(&goro_trimming, 0, memory_order_release);
	goro_cold_taken();
	for (int i = 0; i < nbatch; i++)
		atomic_store_explicit(&batch[i].g, NULL, memory_order_relaxed);
	nbatch = 0;
}

void goro_trim_candidate(struct g *gp, uint32_t seq, bool cold)
{
	batch[nbatch].seq = seq;
	batch[nbatch].cold = cold;
	atomic_store_explicit(&batch[nbatch].g, gp, memory_order_release);
	if (++nbatch == TRIM_BATCH)
		goro_trim_flush();
}

/* `trim_seen` is ours alone: the low bits of the park at which we
 * saw it, and whether it is done. */
static void look_at(struct g *gp)
{
	uint32_t seq = __atomic_load_n(&gp->park_seq, __ATOMIC_ACQUIRE);

	if (!is_parked(gp) || gp->trim_seen == ((seq & SEQ) | DONE))
		return;
	if (gp->trim_seen != (seq & SEQ)) {
		gp->trim_seen = (uint16_t)(seq & SEQ);
		news = true;
		return;
	}
	gp->trim_seen |= DONE;
	goro_trim_candidate(gp, seq, false);
}

/*
 * Go on with the pass. Returns when it is to go on; INT64_MAX: it is at its end. As long as nobody
 * runs it does at once. Else it takes a twentieth of a processor: each batch interrupts all who run
 * and takes locks of the kernel that they need for each new page, so that a million goroutines took
 * up to twice as long to start beside a pass that did not rest.
 */
int64_t goro_trim_step(int64_t now, bool idle)
{
	int64_t start, cost;

	if (at == count)
		return INT64_MAX;
	if (now < next_step && !idle)
		return next_step;
	start = os_thread_now();
	for (int i = 0; i < RECORDS_A_TURN && at < count; i++)
		look_at(goro_g_by_index(at++));
	goro_trim_flush();
	cost = os_thread_now() - start;
	pass_cost += cost;
	next_step = now + REST * cost;
	return at < count ? idle ? now : next_step : INT64_MAX;
}

/* Begin another pass, unless one is not at its end, or was so long that it would be too much. True:
 * there is somebody who is to be looked at again. */
bool goro_trim_begin(int64_t now)
{
	bool again = news || at < count;

	if (now < next_pass || at < count || !sched.have_membarrier)
		return again && sched.have_membarrier;
	next_pass = now + 50 * pass_cost;
	pass_cost = 0;
	news = false;
	at = 0;
	count = goro_g_count();
	return again;
}
