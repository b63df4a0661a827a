/* SPDX-License-Identifier: MIT */
/*
 * forge.c - asks a program to unwind what nobody has proved.
 *
 *	forge lies PID
 *
 * asks for what must not be: goroutines that are not as is said, records that are none, main. Ends
 * with 0 when each was refused.
 *
 *	forge truth PID
 *
 * asks for all that wait but main: for builds in whose memory nothing can be proved, and a program
 * in which all of them are stuck.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "reclaim.h"

enum { LIES = 6 };

static void die(struct goro_error *err)
{
	fprintf(stderr, "forge: %s\n", err->message);
	exit(2);
}

static struct goro_reclaim_entry truth(const struct goro_info *g)
{
	return (struct goro_reclaim_entry){
		.record = g->record,
		.id = g->id,
		.park_seq = g->park_seq,
	};
}

/* Of one goroutine that is stuck, whatever a lie could be about. */
static size_t lie(const struct goro_info *g, struct goro_reclaim_entry *e)
{
	for (int i = 0; i < LIES; i++)
		e[i] = truth(g);
	e[0].park_seq--;
	e[1].park_seq++;
	e[2].id++;
	e[3].record += 8;
	e[4].record = 0;
	e[5].record = (uint64_t)1 << 46;
	return LIES;
}

static struct goro_error *ask(const struct goro_snapshot *snap, struct goro_reclaim_entry *e,
			      size_t n)
{
	int fd;
	struct goro_error *err = reclaim_connect(snap->reclaim_socket, snap->pid, &fd);

	if (err)
		return err;
	err = reclaim_ask(fd, e, n);
	close(fd);
	return err;
}

static void tell_lies(const struct goro_snapshot *snap)
{
	struct goro_reclaim_entry *e = calloc(GORO_RECLAIM_MAX + 1, sizeof *e);
	struct goro_error *err;
	size_t n = 0;

	for (size_t i = 0; i < snap->ng && n < GORO_RECLAIM_MAX - LIES; i++) {
		const struct goro_info *g = &snap->g[i];

		if (g->id != 1)
			n += lie(g, e + n);
		else
			e[n++] = truth(g);
	}
	err = ask(snap, e, n);
	if (err)
		die(err);
	for (size_t i = 0; i < n; i++) {
		if (e[i].result) {
			fprintf(stderr, "forge: goroutine %lu was unwound by a lie\n",
				(unsigned long)e[i].id);
			exit(1);
		}
	}
	/* More than may come at once: it hangs up, and goes on. */
	err = ask(snap, e, GORO_RECLAIM_MAX + 1);
	if (!err) {
		fprintf(stderr, "forge: it took too much\n");
		exit(1);
	}
	goro_error_free(err);
	free(e);
}

static void tell_the_truth(const struct goro_snapshot *snap)
{
	struct goro_reclaim_entry *e = calloc(snap->ng + 1, sizeof *e);
	struct goro_error *err;
	size_t n = 0;

	for (size_t i = 0; i < snap->ng; i++)
		if (snap->g[i].id != 1 && snap->g[i].state == GORO_STATE_WAITING)
			e[n++] = truth(&snap->g[i]);
	err = ask(snap, e, n);
	if (err)
		die(err);
	free(e);
}

int main(int argc, char **argv)
{
	struct goro_scope *scope = NULL;
	struct goro_snapshot *snap = NULL;
	struct goro_error *err;

	err = argc == 3 ? goro_scope_open(&scope, argv[2])
			: goro_error_new(GORO_USAGE, "forge lies|truth PID");
	if (!err)
		err = goro_scope_snapshot(scope, &snap);
	if (err)
		die(err);
	if (!strcmp(argv[1], "lies"))
		tell_lies(snap);
	else
		tell_the_truth(snap);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	return 0;
}
