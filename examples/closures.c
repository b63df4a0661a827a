/* SPDX-License-Identifier: MIT */
/*
 * closures - goroutines that share the loop variable, and goroutines that have a copy of it.
 *
 * C has no closures: what a goroutine knows is what its argument points to. If that is the loop
 * variable, the goroutine sees what is in it when it gets to run, which is after the loop: Piyo,
 * three times. go_copy gives each goroutine the value of its turn.
 *
 * Sharing without any order is a data race: in real code nobody can say which word is printed.
 * Here the goroutines wait for `begin`, so that the lesson is the same in every run.
 */
#include <stdio.h>

#include "goro.h"

static const char *const words[] = { "Hoge", "Fuga", "Piyo" };

struct speaker {
	const char *word;
	goro_chan *begin;
	goro_waitgroup *wg;
};

static void say(void *arg)
{
	struct speaker *speaker = arg;

	goro_chan_recv(speaker->begin, NULL);
	puts(speaker->word);
	goro_waitgroup_done(speaker->wg);
}

static void share_it(void)
{
	goro_waitgroup wg = { 0 };
	struct speaker speaker = { .begin = goro_chan_make(0, 0), .wg = &wg };

	for (int i = 0; i < 3; i++) {
		speaker.word = words[i];
		goro_waitgroup_add(&wg, 1);
		go(say, &speaker); /* all three get the same address */
	}
	goro_chan_close(speaker.begin);
	goro_waitgroup_wait(&wg);
	goro_chan_free(speaker.begin);
}

static void copy_it(void)
{
	goro_waitgroup wg = { 0 };
	struct speaker speaker = { .begin = goro_chan_make(0, 0), .wg = &wg };

	for (int i = 0; i < 3; i++) {
		speaker.word = words[i];
		goro_waitgroup_add(&wg, 1);
		go_copy(say, &speaker); /* each gets a struct of its own */
	}
	goro_chan_close(speaker.begin);
	goro_waitgroup_wait(&wg);
	goro_chan_free(speaker.begin);
}

int main(void)
{
	puts("shared:");
	share_it();
	puts("copied:");
	copy_it();
	return 0;
}
