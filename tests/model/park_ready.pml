/* SPDX-License-Identifier: MIT */
/*
 * goro_park(), after_switch(), goro_ready() and the yield (proc.c, switch.h): a goroutine is resumed
 * only when its registers are saved, by one worker only, and no wake-up is lost.
 *
 * One goroutine receives from a channel, and yields; another sends. Two workers run what is
 * runnable. What a parking goroutine leaves undone (m.post) its worker does on the next stack.
 *
 * Mutations, each of which must be found:
 *   UNLOCK_BEFORE_SAVE   the channel is unlocked before the registers are saved
 *   STATE_AFTER_UNLOCK   WAITING is written when the goroutine may have been made runnable already
 *   QUEUE_BEFORE_SAVE    a goroutine that yields is queued before the switch
 */
#define RUNNING	 0
#define WAITING	 1
#define RUNNABLE 2

#define ROUNDS 2

byte state = RUNNABLE;	/* of the receiver */
bool saved = true;	/* its registers are on its stack, and nobody runs on it */
byte queued = 1;	/* entries for it in the run queues */
byte lock = 0;		/* of the channel */
bool waits = false;	/* its waiter record is in the channel's queue */
byte values = 0;	/* in the channel's buffer */
byte received = 0, sent = 0;
byte handed = 0;	/* a sender has put a value into the waiter's hands */

inline acquire()
{
	atomic { lock == 0 -> lock = 1 }
}

inline release()
{
	lock = 0
}

inline enqueue()
{
	atomic { queued++; assert(queued == 1) }
}

/* Take the goroutine from a queue and switch to it. */
inline resume()
{
	atomic { queued > 0 -> queued--; };
	assert(saved);
	assert(state == RUNNABLE);
	state = RUNNING;
	saved = false
}

inline park()
{
#ifdef UNLOCK_BEFORE_SAVE
	release();
#endif
	saved = true; /* the switch; from here on after_switch(), on another stack */
#ifdef STATE_AFTER_UNLOCK
	release();
	state = WAITING
#else
	state = WAITING;
#ifndef UNLOCK_BEFORE_SAVE
	release()
#endif
#endif
}

inline yield()
{
#ifdef QUEUE_BEFORE_SAVE
	state = RUNNABLE;
	enqueue();
	saved = true
#else
	saved = true;
	state = RUNNABLE;
	enqueue()
#endif
}

/* Runs the receiver until it has all values. Where it goes on is its own: a part of its stack. */
bool in_receive = false;

active [2] proctype worker()
{
end:	do
	:: queued > 0 ->
		if
		:: resume()
		:: queued == 0 -> goto end /* the other worker was faster */
		fi;
		if
		:: in_receive -> /* woken: the value is there */
			in_receive = false;
			assert(handed == 1);
			handed--;
			received++;
			yield()
		:: else ->
			acquire();
			if
			:: received == ROUNDS -> release(); break
			:: received < ROUNDS && values > 0 ->
				values--;
				received++;
				release();
				yield()
			:: received < ROUNDS && values == 0 ->
				in_receive = true;
				waits = true;
				park()
			fi
		fi
	od
}

active proctype sender()
{
	do
	:: sent < ROUNDS ->
		sent++;
		acquire();
		if
		:: waits ->
			waits = false;
			handed++;
			release();
			state = RUNNABLE; /* goro_ready() */
			enqueue()
		:: else ->
			values++;
			release()
		fi
	:: else -> break
	od
}

active proctype everything_arrives()
{
	timeout -> assert(received == ROUNDS)
}
