/* SPDX-License-Identifier: MIT */
/*
 * busy.c - works and counts, with channels, selects, locks, conditions and groups, and leaks a
 * goroutine now and then. SIGTERM ends it; with 0 if all of the work was done right.
 *
 * The leaked ones touch what the others use, in their deferred functions.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "goro.h"

enum { WORKERS = 8 };

static _Atomic int ended;
static goro_mutex mu;
static goro_cond changed;
static goro_rwmutex rw;
static goro_chan *work, *results;
static goro_waitgroup workers;
static long locked, leaked, given_back;

static void end(int sig)
{
	(void)sig;
	ended = 1;
}

static void unlock(void *m)
{
	goro_mutex_unlock(m);
}

static void give_back(void *unused)
{
	(void)unused;
	goro_mutex_lock(&mu);
	goro_defer(unlock, &mu);
	given_back++;
	goro_cond_broadcast(&changed);
}

static void leak(void *unused)
{
	goro_chan *nobody = goro_chan_of(int, 0);
	struct goro_case cases[] = {
		goro_recv_case(nobody, NULL),
		goro_recv_case(goro_chan_of(int, 0), NULL),
	};

	(void)unused;
	goro_defer(give_back, NULL);
	goro_rwmutex_rlock(&rw);
	goro_rwmutex_runlock(&rw);
	if (goro_id() % 2)
		goro_select(cases, 2);
	goro_chan_recv(nobody, NULL);
}

static void square(void *unused)
{
	long n;

	(void)unused;
	while (goro_chan_recv(work, &n)) {
		goro_mutex_lock(&mu);
		locked++;
		goro_cond_broadcast(&changed);
		goro_mutex_unlock(&mu);
		n *= n;
		goro_chan_send(results, &n);
	}
	goro_waitgroup_done(&workers);
}

/* Waits for the work to be touched: a condition that others signal, leaked ones among them. */
static void watch(void *unused)
{
	(void)unused;
	goro_mutex_lock(&mu);
	for (long seen = locked; !ended; seen = locked)
		while (locked == seen && !ended)
			goro_cond_wait(&changed, &mu);
	goro_mutex_unlock(&mu);
	goro_waitgroup_done(&workers);
}

static void writer(void *unused)
{
	(void)unused;
	while (!ended) {
		goro_rwmutex_lock(&rw);
		goro_yield();
		goro_rwmutex_unlock(&rw);
		goro_sleep(100 * GORO_MICROSECOND);
	}
	goro_waitgroup_done(&workers);
}

/* 0 .. n-1, all of them squared, in any order. */
static long round_of(long n)
{
	long sum = 0, sent = 0, got = 0, square_of, next = 0;

	while (got < n) {
		struct goro_case cases[] = {
			goro_recv_case(results, &square_of),
			goro_send_case(sent < n ? work : NULL, &next),
		};

		if (goro_select(cases, 2) == 0) {
			sum += square_of;
			got++;
		} else {
			next = ++sent;
		}
	}
	return sum;
}

int main(void)
{
	long rounds = 0;

	signal(SIGTERM, end);
	work = goro_chan_of(long, 2);
	results = goro_chan_of(long, 0);
	goro_waitgroup_add(&workers, WORKERS + 2);
	for (int i = 0; i < WORKERS; i++)
		go(square, NULL);
	go(watch, NULL);
	go(writer, NULL);
	puts("ready");
	fflush(stdout);
	while (!ended) {
		if (round_of(100) != 328350) {
			fprintf(stderr, "busy: wrong in round %ld\n", rounds);
			return 1;
		}
		if (rounds++ % 64 == 0) {
			go(leak, NULL);
			leaked++;
		}
	}
	goro_chan_close(work);
	goro_mutex_lock(&mu);
	goro_cond_broadcast(&changed);
	goro_mutex_unlock(&mu);
	goro_waitgroup_wait(&workers);
	if (locked != rounds * 100 || given_back > leaked) {
		fprintf(stderr, "busy: %ld of %ld locked, %ld of %ld given back\n", locked,
			rounds * 100, given_back, leaked);
		return 1;
	}
	printf("%ld rounds, %ld leaked, %ld given back: went well\n", rounds, leaked, given_back);
	return 0;
}
