/* SPDX-License-Identifier: MIT */
/*
 * A goroutine that is locked to its worker (locked.c): it parks, others make it runnable, its worker
 * stops and is handed a P. It runs once for each wake-up, always with a P, and none is lost.
 *
 * There is one P, which another worker takes when it is idle, a few times: so it is sometimes there
 * to be handed over and sometimes not. (Who makes the goroutine runnable needs none: it may be a
 * poller.) What is between acquire() and release() is under sched.lock.
 *
 * Mutations, each of which must be found:
 *   NO_NOTE       who wakes it does not look whether its worker has stopped
 *   EARLY_LOOK    the worker looks for a note before it takes the lock
 *   LATE_RESET    the worker resets its futex when it has let go of the lock
 *   NO_HAND_OVER  who finds it in the global queue does not hand its P over
 */
#define ROUNDS 3
#define TAKES  4

#define RUNNING	 0
#define WAITING	 1
#define RUNNABLE 2

byte state = RUNNING;
bool lock = false;
bool stopped = false, note = false;
bool futex = false;
byte handed = 0;     /* Ps on their way to the worker */
byte idle = 0;	     /* Ps in the idle list */
byte worker_ps = 1;  /* Ps that the worker has */
bool queued = false; /* the goroutine is in the global queue */
byte woken = 0, ran = 0;

inline acquire()
{
	atomic { !lock -> lock = true }
}

inline release()
{
	lock = false
}

/* goro_pass_p(), lock held */
inline pass()
{
	stopped = false;
	handed++;
	futex = true
}

/* The locked worker: its goroutine has just run and parks. */
active proctype worker()
{
	bool found;

	do
	:: ran == ROUNDS -> break
	:: else ->
		assert(worker_ps == 1);
		state = WAITING; /* after_switch() */
		/* goro_locked_next() */
#ifdef EARLY_LOOK
		found = note;
		acquire();
#else
		acquire();
		found = note;
#endif
		if
		:: found -> note = false; release()
		:: else ->
			stopped = true;
#ifndef LATE_RESET
			futex = false;
#endif
			worker_ps--;
			idle++;
			release();
#ifdef LATE_RESET
			futex = false;
#endif
			futex;
			assert(handed == 1);
			handed--;
			worker_ps++
		fi;
		assert(state == RUNNABLE);
		state = RUNNING;
		ran++
	od
}

/* goro_ready_locked(), by somebody who sees it parked. */
active proctype waker()
{
	do
	:: woken == ROUNDS -> break
	:: else ->
		(state == WAITING);
		state = RUNNABLE;
		woken++;
		acquire();
		if
#ifdef NO_NOTE
		:: false
#else
		:: !stopped -> note = true
#endif
		:: else ->
			if
			:: idle > 0 -> idle--; pass()
			:: else -> queued = true
			fi
		fi;
		release()
	od
}

/* Another worker: takes an idle P now and then, finds what is in the global queue, sleeps again. */
active proctype other()
{
	bool has = false;
	byte takes = 0;

end:	do
	:: !has && idle > 0 && takes < TAKES ->
		takes++;
		acquire();
		if
		:: idle > 0 -> idle--; has = true
		:: else
		fi;
		release()
	:: has && queued ->
		acquire();
		queued = false;
#ifndef NO_HAND_OVER
		has = false;
		assert(stopped);
		pass();
#endif
		release()
	:: has && !queued ->
		acquire();
		if
		:: !queued -> has = false; idle++
		:: else
		fi;
		release()
	od
}

active proctype nothing_is_lost()
{
	timeout -> assert(ran == ROUNDS)
}
