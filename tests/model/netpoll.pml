/* SPDX-License-Identifier: MIT */
/*
 * The word of a descriptor (netpoll.c, io.c): a reader that waits, edges that two pollers bring, and
 * a close. A goroutine is made runnable only when its registers are saved, once, and no news is lost:
 * the reader gets everything that is sent, or hears of the close.
 *
 * Mutations, each of which must be found:
 *   COMMIT_BEFORE_SAVE   the word says who waits before the registers are saved
 *   NO_RECHECK           closing is not looked at again between WAIT and the park
 *   LATE_RESET           what was ready is forgotten after the try, not before it
 *   NO_READY             an edge that finds nobody waiting is dropped
 */
#define NIL   0
#define READY 1
#define WAIT  2
#define G     3 /* the reader's record */

#define ROUNDS 2

byte word = NIL;
bool saved = false;
byte runnable = 0; /* entries for the reader in the run queues */
byte data = 0;	   /* in the kernel */
byte sent = 0;
bool edge = false;
bool closing = false, done = false;

inline make_runnable()
{
	assert(saved);
	atomic { runnable++; assert(runnable == 1) }
}

/* goro_side_reset() */
inline reset()
{
	if
	:: word == READY -> word = NIL
	:: else -> skip
	fi
}

/* block() and goro_after_park_word() */
inline wait()
{
	atomic {
		if
		:: word == NIL -> word = WAIT; waits = true
		:: else -> waits = false
		fi
	};
	if
	:: !waits -> word = NIL
#ifndef NO_RECHECK
	:: waits && closing -> word = NIL
#endif
	:: else ->
#ifdef COMMIT_BEFORE_SAVE
		atomic { waits = (word == WAIT); if :: waits -> word = G :: else -> skip fi };
		saved = true;
#else
		saved = true; /* the switch */
		atomic { waits = (word == WAIT); if :: waits -> word = G :: else -> skip fi };
#endif
		if
		:: waits ->
end_parked:		runnable > 0;
			runnable--
		:: else -> skip /* there were news: it goes on */
		fi;
		saved = false;
		word = NIL
	fi
}

active proctype reader()
{
	byte got = 0, n;
	bool drained = false, waits;

	do
	:: closing || got == ROUNDS -> done = true; break
	:: else ->
		n = 0;
		if
		:: drained -> drained = false /* a try would find nothing */
		:: else ->
#ifndef LATE_RESET
			reset();
#endif
			atomic { n = data; data = 0 };
#ifdef LATE_RESET
			reset()
#endif
		fi;
		if
		:: n > 0 -> got = got + n; drained = (got < ROUNDS)
		:: else -> wait()
		fi
	od
}

/* It may fall silent at any time; then only a close ends the wait. */
active proctype sender()
{
	do
	:: sent < ROUNDS -> sent++; data++; edge = true
	:: true -> break
	od
}

active [2] proctype poller()
{
	byte old;

end:	do
	:: atomic { edge -> edge = false };
		atomic {
			old = word;
#ifdef NO_READY
			if
			:: old == NIL -> skip
			:: else -> word = READY
			fi
#else
			word = READY
#endif
		};
		if
		:: old == G -> make_runnable()
		:: else -> skip
		fi
	od
}

active proctype closer()
{
	byte old;

	if
	:: true -> /* nobody closes it */
	:: true ->
		closing = true;
		atomic {
			old = word;
			if
			:: old == WAIT || old == G -> word = NIL
			:: else -> skip
			fi
		};
		if
		:: old == G -> make_runnable()
		:: else -> skip
		fi
	fi
}

active proctype no_news_is_lost()
{
	timeout -> assert(done || (sent < ROUNDS && !closing && data == 0))
}
