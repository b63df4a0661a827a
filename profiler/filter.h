/* SPDX-License-Identifier: MIT */
/*
 * filter.h - which findings count: suppressions and a baseline, the same for all commands.
 *
 * Suppressions are written by people, for what they know and accept. A baseline is written by goro:
 * the sites that were there when a project began to check, so that only new ones fail.
 */
#ifndef GORO_FILTER_H
#define GORO_FILTER_H

#include <argp.h>
#include "site.h"

enum rule_kind { RULE_LEAK, RULE_FUNC, RULE_FILE, RULE_MODULE, RULE_SPAWN, RULE_KINDS };

/* One line of a file of suppressions. */
struct rule {
	const char *path;
	unsigned line;
	enum rule_kind kind;
	char *text;    /* "func:pool_*": the line without what follows the pattern */
	char *pattern; /* in it */
	char *until;   /* "2027-03-31", or NULL: for ever */
	char *reason;  /* or NULL */
	bool expired;
	size_t sites, goroutines; /* that it hides, or would hide had it not expired */
};

struct rules {
	struct rule *v;
	size_t n;
};

struct baseline {
	char (*ids)[17]; /* sorted */
	bool *seen;
	size_t n;
};

struct filter {
	const char *command;	   /* "check": for messages */
	const char *baseline_path; /* or NULL */
	const char *write_path;	   /* where a new baseline goes, or NULL */
	struct rules rules;
	struct baseline baseline;
};

/*
 * --baseline, --write-baseline and --suppress, as a child of a command's argp; its input is the
 * filter with its command set. A file with an error ends the command: one line, GORO_USAGE.
 */
extern const struct argp filter_argp;

/* Mark what is suppressed or known, and count. May be called again, with more sites. */
void filter_apply(struct filter *filter, struct sites *sites);

/* Write the new baseline if one is wanted. False, with a message on stderr: it failed. */
bool filter_write(const struct filter *filter, const struct sites *sites);

/* Which rules hid what, which matched nothing, which have expired: words for people. */
void filter_report(FILE *out, const struct filter *filter, const struct sites *sites);
void filter_free(struct filter *filter);

/* ---- suppress.c, baseline.c: a wrong file is a message "FILE:LINE: ..." in *error ------------ */

bool rules_read(struct rules *rules, const char *path, char **error);
/* The first rule that fits, expired ones only if no other does; or NULL. */
struct rule *rules_find(const struct rules *rules, const struct site *site);
void rules_free(struct rules *rules);

bool baseline_read(struct baseline *b, const char *path, char **error);
bool baseline_has(struct baseline *b, const char *id);
bool baseline_write(const char *path, const struct sites *sites, char **error);
void baseline_free(struct baseline *b);

#endif /* GORO_FILTER_H */
