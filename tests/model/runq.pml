/* SPDX-License-Identifier: MIT */
/*
 * The run queue of a P (runq.h, runq.c) and the global queue (globalq.c): what one worker makes
 * runnable and others steal runs once, and is not lost.
 *
 * The first worker has a full ring of LEN and a goroutine in the slot in front. It makes more: half
 * of the ring goes to the global queue, and it is full again. Then all run what is in their own
 * queue, from either end, take from the global one, or steal half of another's ring, and at last
 * its slot. Of a ring that is full the owner takes two at once, and has one of them in its hand.
 * Loads and stores are steps of their own; a compare-and-swap and an exchange are one.
 * What is in the slot, or in its hand, the owner puts and takes with plain loads and stores while it
 * is in the runtime, and a thief asks first whether it is (own_next; enter_retake.pml shows that the answer
 * holds); or, without membarrier, both exchange. (Only then is there an eighth goroutine, which
 * what comes from the global queue needs to find no room: the model would be five times as big.)
 * Entries that are copied may be old ones by then: only the top, a head and a count of what was
 * taken at the tail, tells.
 *
 * Mutations, each of which must be found:
 *   TAIL_FIRST       an entry is published before it is written
 *   HEAD_FIRST       a thief moves the head before it has copied the entries
 *   PUBLISH_EARLY    a thief publishes what it has copied before it is its own
 *   PLAIN_TAKE       the owner moves the head with a store
 *   PLAIN_OVERFLOW   so does the overflow
 *   NO_COUNT         what is taken at the tail is not counted
 *   LATE_TAIL        the tail goes back after the count
 *   NO_RESTORE       the tail stays back when thieves were faster
 *   PLAIN_NEXT       the slot is filled with a store, whatever is in it, without membarrier
 *   NEXT_UNASKED     a thief takes what is in the slot and does not ask
 *   HAND_UNASKED     the same of what is in its hand
 *   HAND_UNCLAIMED   the hand is filled before what is in it is claimed
 *   NEXT_NO_WAIT     the owner comes back and does not wait for a thief that has asked
 *   NO_ROOM          what comes from the global queue is put in the ring with the lock held, room
 *                    or not
 */
#define WORKERS 2
#define LEN	4
#define ITEMS	8

typedef queue {
	byte head, count; /* runq_top */
	byte tail;
	byte entry[LEN];
	byte next, hand /* 0: empty */
};

queue q[WORKERS];
chan global = [ITEMS] of { byte };
bool locked = false; /* sched.lock */
bool ran[ITEMS + 1];
bool begun = false;
bool own_next;
bool in_runtime[WORKERS], asked[WORKERS]; /* m.in_runtime, m.lost_p */

inline lock()
{
	atomic { !locked -> locked = true }
}

inline enter()
{
	atomic {
		in_runtime[_pid] = own_next; /* else nobody asks */
#ifndef NEXT_NO_WAIT
		!asked[_pid]
#endif
	}
}

inline runs(x)
{
	d_step {
		assert(x > 0 && !ran[x]);
		ran[x] = true
	}
}

inline read_top(p)
{
	d_step { h = q[p].head; c = q[p].count }
}

#define TOP_IS(p) (q[p].head == h && q[p].count == c)

/* runq_put() and goro_runq_put_slow(). Only the owner writes its tail. */
inline put(x)
{
	do
	:: read_top(_pid);
		if
		:: q[_pid].tail - h < LEN ->
#ifdef TAIL_FIRST
			q[_pid].tail++;
			q[_pid].entry[(q[_pid].tail - 1) % LEN] = x;
#else
			q[_pid].entry[q[_pid].tail % LEN] = x;
			q[_pid].tail++;
#endif
			break
		:: else ->
			b[0] = q[_pid].entry[h % LEN];
			b[1] = q[_pid].entry[(h + 1) % LEN];
			if
#ifdef PLAIN_OVERFLOW
			:: true ->
				q[_pid].head = h + LEN / 2;
#else
			:: atomic { TOP_IS(_pid) -> q[_pid].head = h + LEN / 2 };
#endif
				lock();
				d_step { global!b[0]; global!b[1]; global!x; locked = false };
				break
#ifndef PLAIN_OVERFLOW
			:: !TOP_IS(_pid) /* thieves made room meanwhile */
#endif
			fi
		fi
	od
}

/* runq_set_next(), and what was in the slot goes to the ring. */
inline put_next(x)
{
	y = q[_pid].next;
	if
	:: y == 0 -> q[_pid].next = x
	:: y != 0 && own_next ->
		q[_pid].next = x;
		put(y)
	:: y != 0 && !own_next ->
#ifdef PLAIN_NEXT
		q[_pid].next = x;
#else
		atomic { y = q[_pid].next; q[_pid].next = x };
#endif
		if
		:: y != 0 -> put(y)
		:: else
		fi
	fi
}

inline exchange_next(p, x)
{
	if
	:: atomic { q[p].next == x -> q[p].next = 0 }
	:: q[p].next != x -> x = 0
	fi
}

/* runq_take_next() */
inline take_next(x)
{
	x = q[_pid].next;
	if
	:: x != 0 && own_next -> q[_pid].next = 0
	:: x != 0 && !own_next -> exchange_next(_pid, x)
	:: else
	fi
}

/* runq_take_hand() */
inline take_hand(p, x)
{
	x = q[p].hand;
	q[p].hand = 0
}

/* steal_next() and goro_take_next_of() */
inline steal_next(p, x)
{
	if
	:: own_next && (q[p].next != 0 || q[p].hand != 0) ->
		asked[p] = true;
		if
#ifdef NEXT_UNASKED
		:: q[p].hand == 0 -> x = q[p].next; q[p].next = 0
#endif
#ifdef HAND_UNASKED
		:: q[p].hand != 0 -> take_hand(p, x)
#endif
		:: in_runtime[p] -> x = 0
		:: !in_runtime[p] && q[p].hand != 0 -> take_hand(p, x)
		:: !in_runtime[p] && q[p].hand == 0 -> x = q[p].next; q[p].next = 0
		fi;
		asked[p] = false
	:: !own_next && q[p].next != 0 ->
		x = q[p].next;
		exchange_next(p, x)
	:: else -> x = 0
	fi
}

/* runq_take_ring() */
inline take_ring(x)
{
	if
	:: q[_pid].hand != 0 -> take_hand(_pid, x)
	:: else ->
		read_top(_pid);
		do
		:: x != 0 || h == q[_pid].tail -> break
		:: x == 0 && h != q[_pid].tail ->
			n = (own_next && q[_pid].tail - h == LEN -> 2 : 1); /* runq_by_hand() */
			y = q[_pid].entry[h % LEN];
#ifdef HAND_UNCLAIMED
			if
			:: n == 2 -> q[_pid].hand = q[_pid].entry[(h + 1) % LEN]
			:: else
			fi;
#endif
#ifdef PLAIN_TAKE
			q[_pid].head = h + n;
			x = y;
#else
			if
			:: atomic { TOP_IS(_pid) -> q[_pid].head = h + n; x = y }
			:: !TOP_IS(_pid) -> read_top(_pid)
			fi;
#endif
			if
			:: x != 0 && n == 2 -> q[_pid].hand = q[_pid].entry[(h + 1) % LEN]
			:: else
			fi
		od
	fi
}

/* runq_take_child() and runq_take_back() */
inline take_back(x)
{
	n = q[_pid].tail;
	if
	:: n != q[_pid].head ->
		y = q[_pid].entry[(n - 1) % LEN];
		read_top(_pid);
#ifndef LATE_TAIL
		q[_pid].tail = n - 1;
#endif
		do
		:: x != 0 || h == n -> break
		:: x == 0 && h != n ->
			if
#ifdef NO_COUNT
			:: atomic { TOP_IS(_pid) -> x = y }
#else
			:: atomic { TOP_IS(_pid) -> q[_pid].count++; x = y }
#endif
			:: !TOP_IS(_pid) -> read_top(_pid)
			fi
		od;
#ifdef LATE_TAIL
		q[_pid].tail = n - (x -> 1 : 0);
#endif
		if
#ifndef NO_RESTORE
		:: x == 0 -> q[_pid].tail = n
#endif
		:: else
		fi
	:: else
	fi
}

/* runq_get_for(): which goroutines are children of the one that waits is left open. That only one
 * worker has any keeps the model small. */
inline take(x)
{
	take_next(x);
	if
	:: x == 0 && _pid == 0 -> take_back(x)
	:: true
	fi;
	if
	:: x == 0 -> take_ring(x)
	:: else
	fi
}

/* goro_global_get(): one to run, a fair share for the ring. */
inline take_global(x)
{
	x = 0;
	if
	:: len(global) > 0 ->
		lock();
		n = len(global) / WORKERS + 1;
		n = (n < len(global) -> n : len(global));
#ifndef NO_ROOM
		i = LEN - (q[_pid].tail - q[_pid].head) + 1;
		n = (n < i -> n : i);
#endif
		if
		:: n > 0 -> global?x; n--
		:: else
		fi;
		do
		:: n > 0 -> global?z; put(z); n--
		:: else -> break
		od;
		z = 0;
		locked = false
	:: else
	fi
}

/* goro_runq_steal() */
inline steal(from, x)
{
	x = 0;
	read_top(from);
	do
	:: n = (q[from].tail > h -> q[from].tail - h : 0);
		n = n - n / 2;
		if
		:: n == 0 -> steal_next(from, x); break
		:: n > LEN / 2 -> read_top(from)
		:: n > 0 && n <= LEN / 2 ->
#ifdef HEAD_FIRST
			if
			:: atomic { TOP_IS(from) -> q[from].head = h + n };
				i = 0;
				do
				:: i < n ->
					x = q[from].entry[(h + i) % LEN];
					q[_pid].entry[(q[_pid].tail + i) % LEN] = x;
					i++
				:: else -> break
				od;
				q[_pid].tail = q[_pid].tail + n - 1;
				break
			:: !TOP_IS(from) -> read_top(from)
			fi
#else
			i = 0;
			do
			:: i < n ->
				x = q[from].entry[(h + i) % LEN];
				q[_pid].entry[(q[_pid].tail + i) % LEN] = x;
				i++
			:: else -> break
			od;
#ifdef PUBLISH_EARLY
			q[_pid].tail = q[_pid].tail + n - 1;
#endif
			if
			:: atomic { TOP_IS(from) -> q[from].head = h + n };
#ifndef PUBLISH_EARLY
				q[_pid].tail = q[_pid].tail + n - 1;
#endif
				break
			:: !TOP_IS(from) ->
				x = 0;
				read_top(from)
			fi
#endif
		fi
	od
}

/* What no step needs any more: else states differ by it. */
inline forget()
{
	d_step { x = 0; y = 0; h = 0; c = 0; n = 0; i = 0; b[0] = 0; b[1] = 0 }
}

inline leave()
{
	forget();
	in_runtime[_pid] = false
}

/* What was found, or 0. (To run it first and leave then is one step less, and nobody sees it.) */
inline runs_outside(x)
{
	atomic {
		if
		:: x != 0 -> runs(x)
		:: else
		fi;
		leave()
	}
}

#define EMPTY(p) (q[p].head == q[p].tail && q[p].next == 0 && q[p].hand == 0)
#define FULL(p)	 (q[p].tail - q[p].head == LEN)

active [WORKERS] proctype worker()
{
	byte x, y, z, h, c, n, i, from;
	byte b[2];

	if
	:: _pid == 0 ->
		d_step {
			q[0].entry[0] = 1;
			q[0].entry[1] = 2;
			q[0].entry[2] = 4;
			q[0].entry[3] = 5;
			q[0].tail = 4;
			q[0].next = 3
		};
		if
		:: own_next = true
		:: own_next = false
		fi;
		begun = true;
		enter();
		put_next(6);
		leave();
		enter();
		put(7);
		forget();
		if
		:: own_next -> ran[8] = true
		:: else -> put(8)
		fi;
		leave()
	:: else -> begun
	fi;
	from = 1 - _pid;
end:	do
	:: !EMPTY(_pid) ->
		enter();
		take(x);
		runs_outside(x)
	:: len(global) > 0 && (EMPTY(_pid) || FULL(_pid)) -> /* the latter now and then */
		enter();
		take_global(x);
		runs_outside(x)
	:: EMPTY(_pid) && !EMPTY(from) ->
		enter();
		steal(from, x);
		runs_outside(x)
	od
}

active proctype nothing_is_lost()
{
	byte i = 1;

	timeout ->
	do
	:: i <= ITEMS -> assert(ran[i]); i++
	:: else -> break
	od
}
