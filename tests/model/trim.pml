/* SPDX-License-Identifier: MIT */
/*
 * Trimming a parked goroutine's stack against running it (trim.c, g_set_running() in switch.h):
 * pages are never dropped under a goroutine that may have gone on.
 *
 * The worker's stores go through a store buffer, as on every processor: another thread sees them
 * later, in order. Its loads do not wait for them. membarrier(2) empties the buffer.
 *
 * Mutations, each of which must be found:
 *   NO_MEMBARRIER   sysmon does not call it
 *   LOOK_FIRST      sysmon looks at the state before it makes the candidate known
 *   NO_WAIT         a worker that meets a candidate goes on at once
 *   EARLY_SP        sysmon takes the stack pointer before, and any later park for the same
 */
#define WAITING 0
#define RUNNING 1

#define RESUMES 2
#define TRIMS	2

chan buffer = [2] of { byte }; /* stores of the status on their way */

byte status = WAITING;
byte sp = 1;
bool trimming = false;
bool runs = false;  /* it uses its stack below where it was parked */
bool drops = false; /* sysmon drops what is below sp */

proctype memory()
{
	byte value;
end:	do
	:: atomic { buffer?value -> status = value }
	od
}

inline full_fence()
{
	(len(buffer) == 0)
}

proctype worker()
{
	byte n = 0;

	do
	:: n < RESUMES ->
		n++;
		buffer!RUNNING; /* g_set_running() */
#ifndef NO_WAIT
		if
		:: trimming -> !trimming
		:: else
		fi;
#endif
		runs = true;
		assert(!drops);
		runs = false;
		sp = n + 1; /* it parks elsewhere; others see sp before they see WAITING */
		buffer!WAITING
	:: else -> break
	od
}

proctype sysmon()
{
	byte n = 0, state, saved;

	do
	:: n < TRIMS ->
		n++;
		(status == WAITING); /* a candidate */
#ifdef EARLY_SP
		saved = sp;
#endif
#ifdef LOOK_FIRST
		state = status;
		trimming = true;
		full_fence();
#else
		trimming = true;
#ifndef NO_MEMBARRIER
		full_fence();
#endif
		state = status;
#endif
		if
		:: state == WAITING ->
#ifndef EARLY_SP
			saved = sp;
#endif
			drops = true;
			assert(!runs);
			assert(saved == sp);
			drops = false
		:: else
		fi;
		trimming = false
	:: n >= TRIMS -> break
	od
}

init
{
	atomic { run memory(); run worker(); run sysmon() }
}
