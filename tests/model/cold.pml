/* SPDX-License-Identifier: MIT */
/*
 * A cold stack (cold.c): whoever touches it, at whatever moment of its being taken away or brought
 * back, reads what was written last; nothing written is lost. And whoever copies the program at any
 * moment (the proof's forked child, a core file) finds the last bytes by the contract's rule: the
 * page if it is there, else what the entry leads to.
 *
 * sysmon takes the page while the goroutine is parked (that hand-shake is trim.pml's); the handler
 * brings it back when a thread has faulted, be it the worker that runs the goroutine. The bytes of
 * the stack are one number, which only grows; EMPTY is what a page of zeros reads as.
 *
 * Mutations, each of which must be found:
 *   COPY_FIRST    the bytes are copied before the page is taken, not after
 *   LATE_ENTRY    the entry is made after the page was taken
 *   EARLY_CLEAR   the entry is cleared before the page is back
 *   NO_LOCK       the handler does not take the lock
 *   COPY_WINS     an observer believes the copy even if the page is there
 */
#define EMPTY	0
#define NOBODY	255
#define TOUCHES 2
#define TAKES	2

#define NONE	0
#define MOVING	1 /* the bytes are still in place, or in the staging area */
#define KEPT	2 /* they are in the copy */

byte page = 1;	     /* NOBODY: not there; a fault waits */
byte stage = NOBODY; /* the same page, on its way */
byte copy = EMPTY;
byte entry = NONE;
byte last = 1; /* what was written last */
bool locked = false;
byte faults = 0; /* who waits in the kernel */

inline lock()
{
	atomic { !locked -> locked = true }
}

inline unlock()
{
	locked = false
}

/* UFFDIO_COPY: in one step; if it is there, nothing happens. */
inline fill(value)
{
	atomic {
		if
		:: page == NOBODY -> page = value
		:: else
		fi
	}
}

/* The lock is held, and the entry is KEPT. */
inline bring_back()
{
#ifdef EARLY_CLEAR
	entry = NONE;
	fill(copy)
#else
	fill(copy);
	entry = NONE
#endif
}

proctype sysmon()
{
	byte n = 0;

	do
	:: n < TAKES ->
		n++;
		lock();
		if
		:: entry == NONE && page != NOBODY ->
#ifdef COPY_FIRST
			copy = page;
#endif
#ifndef LATE_ENTRY
			entry = MOVING;
#endif
			/* UFFDIO_MOVE: in one step. */
			atomic { stage = page; page = NOBODY };
#ifdef LATE_ENTRY
			entry = MOVING;
#endif
#ifndef COPY_FIRST
			copy = stage;
#endif
			entry = KEPT;
			unlock();
			stage = NOBODY
		:: else -> unlock()
		fi
	:: else -> break
	od
}

proctype handler()
{
end:	do
	:: faults > 0 && page == NOBODY ->
#ifndef NO_LOCK
		lock();
#endif
		if
		:: entry == KEPT -> bring_back()
		:: else -> fill(EMPTY)
		fi;
#ifndef NO_LOCK
		unlock()
#endif
	od
}

/* Adds one: a load and a store in one instruction, which faults as long as the page is not there. */
proctype toucher()
{
	byte n = 0;

	do
	:: n < TOUCHES ->
		if
		:: atomic { page != NOBODY -> assert(page == last); page++; last++ };
			n++
		:: atomic { page == NOBODY -> faults++ };
			atomic { page != NOBODY -> faults-- }
		fi
	:: else -> break
	od
}

/* All of it at one instant. */
proctype observer()
{
	byte seen;

	atomic {
#ifdef COPY_WINS
		if
		:: entry == KEPT -> seen = copy
		:: else -> seen = page
		fi;
		if
		:: seen == NOBODY -> seen = stage
		:: else
		fi;
#else
		if
		:: page != NOBODY -> seen = page
		:: page == NOBODY && entry == MOVING -> seen = stage
		:: page == NOBODY && entry == KEPT -> seen = copy
		:: else -> seen = EMPTY
		fi;
#endif
		assert(seen == last)
	}
}

init
{
	atomic { run sysmon(); run handler(); run toucher(); run toucher();
		 run observer() }
}
