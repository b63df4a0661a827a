/* SPDX-License-Identifier: MIT */
/*
 * scene.c - a program in trouble, for the picture of gotop in the README: a pool that works, a leak
 * that grows, a lock convoy, and two goroutines that wait for each other for ever.
 */
#include "goro.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

static goro_chan *jobs;
static goro_mutex cache, accounts, audit;

static void handle_session(void *arg)
{
	goro_chan *reply = arg;
	int answer;

	goro_chan_recv(reply, &answer); /* the peer went away: nobody will ever send */
}

static void accept_sessions(void *arg)
{
	(void)arg;
	for (;;) {
		go(handle_session, goro_chan_of(int, 0));
		goro_sleep(20 * GORO_MILLISECOND);
	}
}

static void serve(void *arg)
{
	int job;

	(void)arg;
	while (goro_chan_recv(jobs, &job)) {
		goro_mutex_lock(&cache);
		goro_sleep(3 * GORO_MILLISECOND);
		goro_mutex_unlock(&cache);
	}
}

static void feed(void *arg)
{
	(void)arg;
	for (int job = 0;; job++) {
		goro_chan_send(jobs, &job);
		goro_sleep(2 * GORO_MILLISECOND);
	}
}

static void flush_log(void *arg)
{
	(void)arg;
	for (;;)
		goro_sleep(500 * GORO_MILLISECOND);
}

static void debit(void *arg)
{
	(void)arg;
	goro_mutex_lock(&accounts);
	goro_sleep(10 * GORO_MILLISECOND);
	goro_mutex_lock(&audit);
}

static void credit(void *arg)
{
	(void)arg;
	goro_mutex_lock(&audit);
	goro_sleep(10 * GORO_MILLISECOND);
	goro_mutex_lock(&accounts);
}

int main(void)
{
	jobs = goro_chan_of(int, 64);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	go(debit, NULL);
	go(credit, NULL);
	go(accept_sessions, NULL);
	for (int i = 0; i < 32; i++)
		go(serve, NULL);
	for (int i = 0; i < 4; i++)
		go(feed, NULL);
	for (int i = 0; i < 96; i++)
		go(flush_log, NULL);
	goro_sleep(3600 * GORO_SECOND);
}
