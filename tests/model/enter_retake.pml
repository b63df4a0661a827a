/* SPDX-License-Identifier: MIT */
/*
 * enter(), leave() and sysmon's retake() (runtime.h, retake.c): never do two threads use one P.
 *
 * The worker's stores go through a store buffer, as on every processor: another thread sees them
 * later, in order. Its loads do not wait for them. membarrier(2) empties the buffer.
 *
 * Mutations, each of which must be found:
 *   NO_MEMBARRIER   sysmon does not call it
 *   NO_ASK          sysmon looks first and asks afterwards
 *   NO_WAIT         a worker that meets ASKED goes on at once
 *   NO_SECOND_LOOK  ... or when it was let go, though it may be asked again
 *   EARLY_LEAVE     leave() does not wait for what was done with the P
 */
#define NO    0
#define ASKED 1
#define YES   2

#define ENTERS  3
#define RETAKES 2

byte lost_p = NO;
bool worker_has_p = true; /* m.p */
bool p_idle = false;	  /* in the list of idle Ps */
byte users = 0;		  /* threads that use the P now */
bool in_runtime = false;

chan buffer = [3] of { bool }; /* stores of in_runtime on their way */

proctype memory()
{
	bool value;
end:	do
	:: atomic { buffer?value -> in_runtime = value }
	od
}

inline full_fence()
{
	(len(buffer) == 0)
}

inline use_p()
{
	users++;
	assert(users == 1);
	users--
}

/* goro_regain_p() and settle_lost(). The switch to g0 and the lock are fences. */
inline regain()
{
#ifndef NO_WAIT
	do
	:: lost_p == ASKED ->
		buffer!false;
		(lost_p != ASKED);
		buffer!true;
#ifdef NO_SECOND_LOOK
		break
#endif
	:: lost_p != ASKED -> break
	od;
#endif
	if
	:: lost_p == YES ->
		full_fence();
		atomic { p_idle -> p_idle = false; lost_p = NO; worker_has_p = true }
	:: else
	fi
}

proctype worker()
{
	byte n = 0;

	do
	:: n < ENTERS ->
		n++;
		buffer!true; /* enter() */
		if
		:: lost_p != NO -> regain()
		:: else
		fi;
#ifdef EARLY_LEAVE
		buffer!false;
		use_p()
#else
		use_p();
		buffer!false /* leave() */
#endif
	:: else -> break
	od
}

/* Whoever sysmon gave the P to: works with it for a while, then has nothing to do. */
inline other_worker()
{
	use_p();
	p_idle = true
}

proctype sysmon()
{
	byte n = 0;
	bool seen;

	do
	:: n < RETAKES && worker_has_p ->
		n++;
#ifdef NO_ASK
		seen = in_runtime;
		lost_p = ASKED;
		full_fence();
#else
		lost_p = ASKED;
#ifndef NO_MEMBARRIER
		full_fence();
#endif
		seen = in_runtime;
#endif
		if
		:: seen -> lost_p = NO
		:: else ->
			worker_has_p = false;
			lost_p = YES;
			other_worker()
		fi
	:: n >= RETAKES -> break
	:: timeout -> break /* the worker has ended */
	od
}

init
{
	atomic { run memory(); run worker(); run sysmon() }
}
