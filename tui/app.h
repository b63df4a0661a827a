/* SPDX-License-Identifier: MIT */
/* app.h - gotop as the user runs it: the screen, the keys, the feed. */
#ifndef GOTOP_APP_H
#define GOTOP_APP_H

#include "profiler.h"
#include "screens.h"

#include <stdbool.h>
#include <stdint.h>

struct app_options {
	const char *target; /* NULL: the picker, unless child is set */
	int child;	    /* process that was started, or 0 */
	const char *child_name;
	int64_t interval_ns;
	const char *sort; /* column, or NULL */
	bool sort_inverted;
	struct goro_filter *filter; /* NULL: none; app_run() takes it over */
	enum goro_group_key group_key;
	enum goro_profile_mode profile;
	const char *screen; /* name of its tab; NULL: groups, or the list with GORO_BY_NONE */
	bool ascii, mouse, color;
	int64_t (*clock)(void);
};

/* Returns the exit status. *kill_child: the user asked for it. */
int app_run(const struct app_options *opt, bool *kill_child);

/* -b: print and leave. iterations 0: until the target ends. */
int batch_run(const struct app_options *opt, unsigned long iterations);

/* Check and apply --sort; false when no table has such a column. */
struct model;
bool app_apply_sort(struct model *m, const struct app_options *opt);

/* The screen that it begins with. */
enum view_id app_screen(const struct app_options *opt);

/* Where suspicion by age begins: as in `goro leaks`. */
#define SUSPECT_AGE_NS (UINT64_C(300) * 1000000000)

#endif /* GOTOP_APP_H */
