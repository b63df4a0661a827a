/* SPDX-License-Identifier: MIT */
/*
 * orders - two goroutines take two locks in opposite order, one after the other: nothing deadlocks,
 * and nobody is left over. The exit status is 3.
 */
#include "goro.h"

static goro_mutex a, b;
static goro_waitgroup wg;

static void there(void *unused)
{
	(void)unused;
	goro_mutex_lock(&a); /* THERE */
	goro_mutex_lock(&b);
	goro_mutex_unlock(&b);
	goro_mutex_unlock(&a);
	goro_waitgroup_done(&wg);
}

static void back(void *unused)
{
	(void)unused;
	goro_mutex_lock(&b); /* BACK */
	goro_mutex_lock(&a);
	goro_mutex_unlock(&a);
	goro_mutex_unlock(&b);
	goro_waitgroup_done(&wg);
}

int main(void)
{
	goro_waitgroup_add(&wg, 1);
	go(there, 0);
	goro_waitgroup_wait(&wg);
	goro_waitgroup_add(&wg, 1);
	go(back, 0);
	goro_waitgroup_wait(&wg);
	return 3;
}
