/* SPDX-License-Identifier: MIT */
/*
 * world.c: all Ps in one hand. A worker that has a P is in the program's code, in the runtime, or in
 * the scheduler; another sleeps and is handed an idle P now and then, which takes its time to arrive.
 *
 * A worker that begins to look for work stores attention = 0 and loads `stopping`; the processor may
 * do the second before others see the first. So a request can be wiped out, and must be repeated.
 *
 * Mutations, each of which must be found:
 *   NO_REPEAT     each worker is asked once
 *   TO_IDLE_LIST  a P that is given up meanwhile goes to the idle list
 *   ON_ITS_WAY    a P that is on its way to a sleeper is taken for idle
 */
#define NPS 2

bool lock = false;
bool stopping = false, attention = false;
byte idle = 1, in_transit = 0, stopped = 0;
bool worker_has = true, sleeper_has = false;
bool quiet = false; /* all Ps are ours: nobody may use one */
bool done = false;
bool asked = false;

inline acquire()
{
	atomic { !lock -> lock = true }
}

inline release()
{
	lock = false
}

/* goro_idle_p_put(), under the lock */
inline put()
{
	if
#ifndef TO_IDLE_LIST
	:: stopping -> stopped++
#endif
	:: else -> idle++
	fi
}

/* The flag is seen as it was before attention is reset, or after. */
inline look()
{
	if
	:: seen = stopping; attention = false
	:: attention = false; seen = stopping
	fi
}

active proctype worker()
{
	bool seen;

end:	do
	:: worker_has && !done ->
		assert(!quiet);
		if
		:: attention -> /* it parks, and goes to the scheduler */
			look();
			if
			:: seen ->
				acquire();
				worker_has = false;
				put();
				release()
			:: else /* finds something to run */
			fi
		:: true -> look() /* runs dry by itself, and finds something */
		:: !attention -> /* computes */
end_parked:		attention
		fi
	od
}

active proctype sleeper()
{
	byte turns = 0;

end:	do
	:: turns < 2 && idle > 0 && !sleeper_has ->
		acquire(); /* goro_wake_worker() by somebody */
		if
		:: idle > 0 -> idle--; in_transit++
		:: else
		fi;
		release();
		turns++
	:: in_transit > 0 -> in_transit--; sleeper_has = true
	:: sleeper_has ->
		assert(!quiet);
		acquire(); /* runs something, and finds no more */
		sleeper_has = false;
		put();
		release()
	od
}

active proctype stopper()
{
	acquire();
	stopping = true;
#ifdef ON_ITS_WAY
	stopped = idle + in_transit;
#else
	stopped = idle;
#endif
	idle = 0;
	release();
	do
	:: stopped == NPS -> break
#ifdef NO_REPEAT
	:: !asked -> asked = true; attention = true
#else
	:: stopped < NPS && worker_has && !attention -> attention = true
#endif
	od;
	quiet = true;
	assert(!worker_has && !sleeper_has && in_transit == 0);
	quiet = false;
	done = true
}

active proctype it_ends()
{
	timeout -> assert(done)
}
