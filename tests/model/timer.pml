/* SPDX-License-Identifier: MIT */
/*
 * One timer (time.c, timer.c): its owner arms it, stops it and frees it; a worker fires what is due. What
 * fires sends a value into a channel that holds one. A timer fires or is stopped, once for each time that
 * it was armed; after a stop no value of before is in the channel; and who frees it frees what nobody
 * touches any more.
 *
 * Mutations, each of which must be found:
 *   NULL_BEFORE_FIRE    "not armed" is written before what it does is done
 *   NO_LOCK_TO_STOP     a stop looks and removes without the heap's lock
 *   SEND_AFTER_UNLOCK   the value is sent when the heap is unlocked again
 *   NO_DRAIN            a stop that came too late leaves the value where it is
 */
#define ROUNDS 3

bool lock = false;	/* timer_lock of the P */
bool in_heap = false;
bool p = false;		/* timer.p: armed */
bool firing = false;	/* somebody runs timer.fire */
bool freed = false;
byte values = 0;	/* in the channel */
byte fired = 0, stopped = 0, armed = 0;
bool stale = false;	/* no value may be there now */

inline acquire()
{
	atomic { !lock -> lock = true }
}

inline release()
{
	lock = false
}

inline send()
{
	assert(!freed);
	atomic {
		assert(!stale);
		if
		:: values == 0 -> values = 1
		:: else -> skip
		fi
	}
}

/* goro_timer_disarm() */
inline disarm(was)
{
	was = false;
	if
	:: p ->
#ifndef NO_LOCK_TO_STOP
		acquire();
#endif
		was = p;
		if
		:: was ->
			assert(in_heap);
			in_heap = false;
			p = false
		:: else -> skip
		fi;
#ifndef NO_LOCK_TO_STOP
		release()
#endif
	:: else -> skip
	fi
}

active proctype owner()
{
	byte n = 0;
	bool was;

	do
	:: n < ROUNDS ->
		n++;
		acquire();
		assert(!in_heap && !p && !firing);
		armed++;
		p = true;
		in_heap = true;
		release();
		/* It receives the value, or does not wait for it. */
		if
		:: values > 0 -> values--
		:: true -> skip
		fi;
		disarm(was);
		if
		:: was -> stopped++
		:: else -> skip
		fi;
#ifndef NO_DRAIN
		atomic {
			if
			:: values > 0 -> values--
			:: else -> skip
			fi
		};
#endif
		/* From here until it is armed again nothing may come. */
		atomic { assert(values == 0 && !firing); stale = true };
		stale = false
	:: n == ROUNDS -> break
	od;
	assert(armed == stopped + fired);
	freed = true
}

/* goro_timers_run(), by any worker. */
active [2] proctype worker()
{
end:	do
	:: in_heap ->
		acquire();
		if
		:: in_heap ->
			assert(!freed && p);
#ifdef NULL_BEFORE_FIRE
			p = false;
#endif
			firing = true;
#ifndef SEND_AFTER_UNLOCK
			send();
#endif
			fired++;
			in_heap = false;
			firing = false;
			p = false;
			release();
#ifdef SEND_AFTER_UNLOCK
			send()
#endif
		:: else -> release()
		fi
	od
}
