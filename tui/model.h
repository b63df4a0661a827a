/* SPDX-License-Identifier: MIT */
/*
 * model.h - what gotop knows and what the user chose. Views draw it; app.c changes it.
 *
 * Selections are ids (a group's key, a goroutine's id), never row numbers: after a refresh or a
 * re-sort the cursor is still on the same thing, and Enter opens what was seen.
 */
#ifndef GOTOP_MODEL_H
#define GOTOP_MODEL_H

#include "feed.h"
#include "screens.h"
#include "source.h"
#include "table.h"

/* What the list shows the members of. */
enum members { OF_GROUP, OF_OBJECT, OF_FINDING };

#define HISTORY	    64
#define TRACK_TICKS 16

/* What a group's count was in the last ticks. */
struct track {
	uint64_t key;
	uint32_t counts[HISTORY];
	uint32_t n;    /* used of counts; the newest is the last */
	uint64_t seen; /* number of the tick */
};

struct group_row {
	uint64_t key; /* stable from frame to frame */
	struct goro_group *g;
	uint32_t counts[GORO_NACTIVITIES];
	int64_t since_mark;
	double rate; /* goroutines per second */
	const struct track *track;
};

/*
 * What +MARK counts from: the goroutines of one frame, by all that they can be grouped by. With a
 * filter there is a second one, of those that it kept when it was set, or at the mark after that.
 */
enum { NMARK_KEYS = GORO_BY_STATE + 1 };

struct marked {
	uint64_t keys[NMARK_KEYS]; /* by enum goro_group_key; stable from frame to frame */
	size_t n;
};

struct mark {
	bool set;
	int64_t time; /* of the snapshot */
	struct marked *v;
	size_t n;
};

/* Counts of each group at the mark, by rising key. */
struct mark_row {
	uint64_t key;
	size_t n;
};

/* The selected group, looked at closer. */
#define TOP_STACKS 4
struct group_detail {
	struct {
		const struct goro_info *example;
		size_t n;
	} stacks[TOP_STACKS];		    /* the most frequent first */
	size_t nstacks;			    /* different ones in the group */
	const struct goro_finding *finding; /* of the worst member, or NULL */
};

/* A line that is being typed. */
struct input {
	enum { INPUT_NONE, INPUT_FILTER, INPUT_SEARCH, INPUT_GOTO } kind;
	char text[512];
	size_t len, at;
	char error[256];
};

struct model {
	int64_t now; /* monotonic ns, set before each step */
	int64_t interval_ns;
	bool ascii;

	struct frame *frame; /* NULL: none yet */
	struct mark mark, mark_filtered;
	struct listing *listing;
	bool listing_all;
	bool attached, ended, waiting, paused;
	bool from_picker; /* Esc in the groups leads back there */
	int64_t busy_since;
	bool proving;	   /* a proof was asked for */
	uint64_t pause_ns; /* for how long gotop stopped the target, at most */
	char *read_error;  /* of the last read, until one succeeds */
	char *target;	   /* name of what was asked for, before the first frame */

	uint32_t history[HISTORY]; /* goroutines per tick */
	uint32_t nhistory;
	uint64_t ticks;
	double rate;		/* goroutines per second, over the last ticks */
	int64_t times[HISTORY]; /* when each was */
	double *switch_rates;	/* per P, switches per second */

	struct goro_filter *filter;
	bool *keep; /* by place in the frame's snapshot; NULL: all */
	size_t nkept;

	enum goro_group_key group_key;
	struct goro_group *raw_groups; /* what the rows point into */
	size_t nraw_groups;
	struct group_row *groups;
	struct mark_row *marks;
	size_t nmarks;
	struct track *tracks;
	size_t ntracks;
	struct group_detail detail;

	uint32_t *list; /* rows: places of goro_snapshot_at(); NULL: see model_list() */
	bool in_group;	/* the list shows the members of something */
	enum members in_group_of;
	uint64_t in_group_key;
	enum goro_group_key in_group_kind;
	char in_group_name[256];

	int asked_pid;		    /* that was to be attached */
	struct goro_error *explain; /* box in the picker */
	int explain_pid;

	uint64_t gid; /* of the goroutine screen */
	size_t frame_selected;
	bool runtime_frames;
	struct source source;

	size_t help_top, help_lines, help_height;

	struct table tables[NVIEWS]; /* of the screens that have one */
	void *state[NVIEWS];	     /* private to the screens, see view_state() */
	uint64_t version; /* of frame, filter and verdicts: rows that are older are void */
	enum view_id view, back[8];
	int nback;
	struct input input;
	char search[128];
	char message[256]; /* one line for the user, until the next key */
	bool message_bad;
};

void model_init(struct model *m, bool ascii);
void model_free(struct model *m); /* frames must have been taken out before */

/*
 * A new frame. Returns the one that it replaces, to be given back; then the rows are to be made:
 * for a million goroutines there is not the room for two frames and what making rows takes.
 */
struct frame *model_frame(struct model *m, struct frame *f);
void model_rows(struct model *m);

/* Take the frame out, to be given back; or NULL. */
struct frame *model_drop_frame(struct model *m);

void model_listing(struct model *m, struct listing *l);

/* The list's rows, which are made when somebody looks at them. */
void model_list(struct model *m);

/* Recompute rows after a choice changed. */
void model_refresh(struct model *m);
void model_set_filter(struct model *m, struct goro_filter *f);
void model_set_group_key(struct model *m, enum goro_group_key key);
void model_mark(struct model *m);

/* After the user moved a table's selected row. */
void model_note_selection(struct model *m);

struct table *model_table(struct model *m); /* of the view on show, or NULL */

const struct group_row *model_selected_group(const struct model *m);
/* NULL: it has ended. room: for one that is told out of a crowd. */
const struct goro_info *model_goroutine(const struct model *m, uint64_t id, struct goro_info *room);
const char *group_key_name(enum goro_group_key key);
void model_group_name(const struct model *m, const struct group_row *row, char *buf, size_t size);
bool model_open_group(struct model *m); /* the selected one */
/* The list of those who wait for an object (its address), or belong to a finding (its key). */
void model_open_members(struct model *m, enum members of, uint64_t key, const char *name);
/* Stable from frame to frame. */
uint64_t finding_key(const struct frame *f, const struct goro_finding *finding);
void model_open_goroutine(struct model *m, uint64_t id);

void model_go(struct model *m, enum view_id view); /* remember the one before */
bool model_back(struct model *m);
void model_say(struct model *m, bool bad, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Select the next hit from `from` in a direction; false if there is none. */
bool model_search(struct model *m, size_t from, int step);

#endif /* GOTOP_MODEL_H */
