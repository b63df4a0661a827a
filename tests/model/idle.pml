/* SPDX-License-Identifier: MIT */
/*
 * give_up_p() against publish and wake (sched.c, runtime.h): work that is published while the last
 * worker goes to sleep is not forgotten.
 *
 * The publisher's stores into its queue go through a store buffer; then it looks with plain loads
 * whether somebody sleeps and nobody searches. Who gives up its P lowers nspinning, makes everybody
 * execute a fence, and looks at the queues again.
 *
 * Mutations, each of which must be found:
 *   NO_RECHECK      the queues are not looked at again
 *   NO_MEMBARRIER   without the fence
 *   RECHECK_EARLY   they are looked at before nspinning is lowered
 *   NO_PASSING_ON   the last searcher that finds something wakes nobody
 */
#define WORKERS 2
#define ITEMS	2 /* each keeps its worker busy for ever */

byte nspinning = 1; /* one worker searches; the others sleep, each without its P */
byte nidle = WORKERS - 1;
byte starting = 1;
byte handed = 0; /* idle Ps given to workers that sleep or are about to */
byte queue = 0;	 /* what other threads see of it */

chan buffer = [ITEMS] of { bool }; /* items on their way into the queue */

active proctype memory()
{
end:	do
	:: atomic { buffer?_ -> queue++ }
	od
}

/*
 * goro_wake_worker(): two plain loads, then a locked instruction and what is under sched.lock. A
 * worker that is about to sleep counts as one that sleeps: were it too late, goro_start_m() would
 * start a new one.
 */
inline wake_worker(seen)
{
	seen = nidle;
	if
	:: seen > 0 && nspinning == 0 ->
		if
		:: atomic { nspinning == 0 -> nspinning = 1 };
			atomic {
				if
				:: nidle > 0 -> nidle--; handed++
				:: else -> nspinning--
				fi
			}
		:: nspinning != 0
		fi
	:: else
	fi
}

/* It has a P of its own, with a goroutine that computes: it runs none of the items itself. */
active proctype publisher()
{
	byte n = 0, seen;

	do
	:: n < ITEMS ->
		n++;
		buffer!true;
		wake_worker(seen)
	:: else -> break
	od
}

inline look_again(found)
{
#ifdef NO_RECHECK
	found = false
#else
#ifndef NO_MEMBARRIER
	(len(buffer) == 0);
#endif
	found = queue > 0
#endif
}

active [WORKERS] proctype worker()
{
	byte seen;
	bool found = false;

	if
	:: atomic { starting > 0 -> starting-- }
	:: starting == 0 -> goto end_sleep
	fi;
search:
	if
	:: atomic { queue > 0 -> queue-- };
		/* stop_spinning() */
		atomic { nspinning--; found = nspinning == 0 };
#ifndef NO_PASSING_ON
		if
		:: found -> wake_worker(seen)
		:: else
		fi;
#endif
		goto end_busy
	:: queue == 0
	fi;
	/* give_up_p() */
	nidle++;
#ifdef RECHECK_EARLY
	look_again(found);
	nspinning--;
#else
	nspinning--;
	look_again(found);
#endif
	if
	:: atomic { found && nidle > 0 -> nidle--; nspinning++ };
		goto search
	:: !found || nidle == 0
	fi;
end_sleep:
	atomic { handed > 0 -> handed-- };
	goto search;
end_busy:
	false
}

active proctype nothing_is_forgotten()
{
	timeout -> assert(queue == 0)
}
