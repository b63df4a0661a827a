/* SPDX-License-Identifier: MIT */
/*
 * site.h - sites: goroutines that are findings for one reason at one place.
 *
 * What goro check and the machine formats of goro leaks report. All of a site is text or JSON,
 * since its process may have ended when it is printed; what is equal in text is one site, also over
 * several processes and several runs.
 */
#ifndef GORO_SITE_H
#define GORO_SITE_H

#include <jansson.h>
#include "profiler.h"

/* Why goroutines are findings, the worst first. */
enum site_kind {
	SITE_LEAKED,	/* proved to be stuck */
	SITE_DEADLOCK,	/* all goroutines are asleep */
	SITE_LOCKORDER, /* locks are taken in both orders: the program itself said so */
	SITE_PTHREAD,	/* one waits with a lock of its thread's: the same */
	SITE_LIKELY,
	SITE_SUSPECT,
	SITE_LEFTOVER, /* still there after main has ended and the grace period is over */
	SITE_KINDS,
};

struct rule;

struct site {
	enum site_kind kind;
	char id[17];	   /* names the place: equal in every run, see site.c */
	const char *proof; /* "cycle", ...; NULL for none */
	char *program;
	char *state;
	char *blocked;	 /* where it stands; "" if that is not known */
	char *spawn;	 /* who started it; "" for main */
	char *stack;	 /* its functions and those alone, leaf first: "f < g" */
	char *frames;	 /* indented lines */
	char *evidence;	 /* lines; "" for none */
	json_t *details; /* blocked, spawn, stack: as in other reports, or null */
	size_t count;	 /* goroutines */
	size_t runs;	 /* of goro check --repeat in which it was found */
	size_t last_run;
	uint64_t oldest_ns;
	const struct rule *rule; /* that suppresses it, or NULL */
	bool known;		 /* it is in the baseline */
};

struct sites {
	struct site *v;
	size_t n;
	size_t run;	/* the current one, from 1 */
	bool no_memory; /* some are missing */
};

/* "leaked", "deadlock", ... and for people: "stuck for ever", ... */
const char *site_kind_name(enum site_kind kind);
const char *site_kind_text(enum site_kind kind);
/* The program said it about itself (sites_add_text): a piece of
 * code, not a number of goroutines. */
static inline bool site_is_warning(const struct site *site)
{
	return site->kind == SITE_LOCKORDER || site->kind == SITE_PTHREAD;
}

/* One line about a site, without its evidence; into `out`. */
void site_title(FILE *out, const struct site *site);

/*
 * Add goroutines (indices into snap->g) that stand at one place for one reason. They are what a
 * finding has in common or less.
 */
void sites_add(struct sites *sites, struct goro_scope *scope, const struct goro_snapshot *snap,
	       enum site_kind kind, const uint32_t *which, size_t n, const char *evidence);

/*
 * Add a warning that a program wrote about itself, with stacks in Go's form. Each of its frames is
 * one of the site's.
 */
void sites_add_text(struct sites *sites, enum site_kind kind, const char *program,
		    const char *text);

/* The worst first; then by what does not differ from run to run. */
void sites_sort(struct sites *sites);
void sites_free(struct sites *sites);

/* Does it count, or is it suppressed or known? */
static inline bool site_is_new(const struct site *site)
{
	return !site->rule && !site->known;
}

#endif /* GORO_SITE_H */
