/* SPDX-License-Identifier: MIT */
/*
 * hog.c - two goroutines that compute for ten milliseconds before they let go, among two that hand
 * a value to each other.
 */
#include <goro.h>

#include <stdint.h>
#include <time.h>

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void hog(void *unused)
{
	(void)unused;
	for (;;) {
		int64_t end = now() + 10 * GORO_MILLISECOND;

		while (now() < end)
			;
		goro_yield();
	}
}

static void echo(void *c)
{
	int value;

	for (;;) {
		goro_chan_recv(c, &value);
		goro_chan_send(c, &value);
	}
}

int main(void)
{
	goro_chan *c = goro_chan_of(int, 0);
	int value = 1;

	goro_go(hog, NULL);
	goro_go(hog, NULL);
	goro_go(echo, c);
	for (;;) {
		goro_chan_send(c, &value);
		goro_chan_recv(c, &value);
		goro_sleep(GORO_MILLISECOND / 10);
	}
}
