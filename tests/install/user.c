/* SPDX-License-Identifier: MIT */
/* A user's program, in the language that C and C++ have in common. Prints "0+1+4+9=14". */
#include <stdio.h>

#include <goro.h>

struct job {
	int n;
	goro_chan *out;
};

static goro_waitgroup wg;
static goro_mutex mu;
static int jobs_done;

static void square(void *arg)
{
	struct job *job = (struct job *)arg;
	int result = job->n * job->n;

	goro_chan_send(job->out, &result);
	goro_mutex_lock(&mu);
	jobs_done++;
	goro_mutex_unlock(&mu);
	goro_waitgroup_done(&wg);
}

int main(void)
{
	goro_chan *out = goro_chan_of(int, 0);
	int sum = 0;

	goro_waitgroup_add(&wg, 4);
	for (int i = 0; i < 4; i++) {
		struct job job = { i, out };

		go_copy(square, &job);
	}
	for (int i = 0; i < 4; i++) {
		int got;
		struct goro_case cases[] = { goro_recv_case(out, &got),
					     goro_recv_case(NULL, NULL) };

		if (goro_select(cases, 2) != 0 || !cases[0].ok)
			return 1;
		sum += got;
	}
	goro_waitgroup_wait(&wg);
	goro_chan_free(out);
	printf("0+1+4+9=%d\n", sum);
	return jobs_done == 4 ? 0 : 1;
}
