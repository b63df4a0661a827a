/* SPDX-License-Identifier: MIT */
/*
 * A lock that is biased to a P, and somebody who takes it (runtime/bias.h): never do two use what it
 * guards at once.
 *
 * Stores go through a store buffer, as on every processor: the other sees them later, in order. A
 * thread's own loads look there first. An exchange empties its own buffer, membarrier(2) everybody's.
 *
 * Mutations, each of which must be found:
 *   NO_MEMBARRIER  who takes it does not call it
 *   NO_WAIT        ... does not wait for who is inside
 *   LOOK_FIRST     ... waits first, and takes it afterwards
 *   NO_RECHECK     the P does not look at the lock once more when it has said that it is inside
 */
#define FREE  0
#define HELD  1
#define TOKEN 2

#define ROUNDS 3
#define TAKES  2

byte lock = TOKEN;
bool inside = false; /* as others see it */
byte users = 0;

chan buffer = [3] of { bool }; /* the P's stores of `inside` on their way */

proctype memory()
{
	bool value;
end:	do
	:: atomic { buffer?value -> inside = value }
	od
}

inline use()
{
	users++;
	assert(users == 1);
	users--
}

/* The exchange empties the buffer first, whatever it finds. */
inline take(old)
{
	old = HELD;
	do
	:: old != HELD -> break
	:: else -> atomic { (lock != HELD && len(buffer) == 0) -> old = lock; lock = HELD }
	od
}

proctype owner()
{
	byte i, seen, old;

	for (i : 1 .. ROUNDS) {
		seen = lock;
		if
		:: seen == TOKEN ->
			buffer!true;
#ifndef NO_RECHECK
			seen = lock;
#endif
			if
			:: seen == TOKEN -> use()
			:: else
			fi;
			buffer!false
		:: else
		fi;
		if
		:: seen != TOKEN ->
			take(old);
			use();
			/* A store, too, but one that says nothing before it is seen. */
			if
			:: lock = FREE
			:: lock = TOKEN
			fi
		:: else
		fi
	}
}

proctype other()
{
	byte i, old;

	for (i : 1 .. TAKES) {
		old = HELD;
#ifdef LOOK_FIRST
		(!inside);
#endif
		atomic { (lock != HELD) -> old = lock; lock = HELD }
		if
		:: old == TOKEN ->
#ifndef NO_MEMBARRIER
			(len(buffer) == 0);
#endif
#if !defined(NO_WAIT) && !defined(LOOK_FIRST)
			(!inside)
#else
			skip
#endif
		:: else
		fi;
		use();
		lock = FREE
	}
}

init {
	atomic {
		run memory();
		run owner();
		run other();
		run other()
	}
}
