/* SPDX-License-Identifier: MIT */
/*
 * Select storm: nodes hand tokens around. A node with a token offers it on one channel and at the
 * same time receives on others, often on the same one; a node without only receives. When the
 * storm is over, the nodes' tokens and those in buffers must be the ones from the beginning.
 */
#include "stress.h"

#define CHANNELS 24
#define NODES	 600
#define TOKENS	 1200
#define HANDS	 16 /* tokens that a node can hold */

struct storm {
	goro_chan *c[CHANNELS], *quit;
	goro_waitgroup wg;
	atomic_uint next;
	atomic_uchar seen[TOKENS];
	atomic_long moves;
};

struct node {
	uint32_t held[HANDS];
	int n;
	uint64_t random;
};

static goro_chan *any(struct storm *s, struct node *node)
{
	return s->c[stress_random(&node->random) % CHANNELS];
}

/* One select; false when the storm is over. */
static bool step(struct storm *s, struct node *node)
{
	uint32_t got, *give = node->n ? &node->held[node->n - 1] : NULL;
	goro_chan *take = node->n < HANDS ? any(s, node) : NULL;
	struct goro_case cases[] = {
		goro_recv_case(s->quit, NULL),
		goro_recv_case(take, &got),
		goro_send_case(give ? any(s, node) : NULL, give),
		goro_recv_case(take && stress_random(&node->random) % 2 ? any(s, node) : take,
			       &got),
	};
	bool wait = stress_random(&node->random) % 8;
	int i = wait ? goro_select(cases, 4) : goro_select_default(cases, 4);

	if (i == 1 || i == 3) {
		must(cases[i].ok && got < TOKENS);
		node->held[node->n++] = got;
	} else if (i == 2) {
		node->n--;
	} else if (i < 0) {
		goro_yield();
	}
	s->moves += i > 0;
	return i != 0;
}

static void count_token(struct storm *s, uint32_t token)
{
	must(token < TOKENS);
	must(s->seen[token]++ == 0);
}

static void run_node(void *arg)
{
	struct storm *s = arg;
	uint32_t me = s->next++;
	struct node node = { .random = stress_seed(me) };

	for (uint32_t t = me; t < TOKENS; t += NODES)
		node.held[node.n++] = t;
	while (step(s, &node))
		;
	while (node.n)
		count_token(s, node.held[--node.n]);
	goro_waitgroup_done(&s->wg);
}

static long run_storm(struct storm *s)
{
	int total = 0;
	uint32_t token;

	memset(s, 0, sizeof(*s));
	s->quit = goro_chan_make(0, 0);
	for (int i = 0; i < CHANNELS; i++)
		s->c[i] = goro_chan_of(uint32_t, i % 3 == 0 ? (size_t)i : 0);
	goro_waitgroup_add(&s->wg, NODES);
	stress_start(NODES, run_node, s);
	goro_sleep(400 * GORO_MILLISECOND);
	goro_chan_close(s->quit);
	goro_waitgroup_wait(&s->wg);

	for (int i = 0; i < CHANNELS; i++) {
		while (goro_chan_try_recv(s->c[i], &token) == GORO_GOT)
			count_token(s, token);
		goro_chan_free(s->c[i]);
	}
	goro_chan_free(s->quit);
	for (int i = 0; i < TOKENS; i++)
		total += s->seen[i];
	must(total == TOKENS);
	must(s->moves > 0);
	return s->moves;
}

int main(int argc, char **argv)
{
	static struct storm storm;
	int64_t end = stress_end(argc, argv);
	long moves = 0;

	do {
		moves += run_storm(&storm);
	} while (goro_now() < end);
	printf("%ld moves of %d tokens: none lost, none twice\n", moves, TOKENS);
	return 0;
}
