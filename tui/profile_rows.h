/* SPDX-License-Identifier: MIT */
/* profile_rows.h - a profile's tree as the rows of a table, in one of three shapes. */
#ifndef GOTOP_PROFILE_ROWS_H
#define GOTOP_PROFILE_ROWS_H

#include "prof.h"

enum profile_shape { PROFILE_BY_FUNCTION, PROFILE_BY_SPAWN, PROFILE_TREE };

struct profile_row {
	const struct goro_profile_node *node; /* its name and line */
	uint64_t self, total;
	uint64_t key; /* of the name, or of the path to it */
	char *prefix; /* of a tree: what is drawn left of it */
	bool folded;
};

struct profile_rows {
	struct profile_row *v;
	size_t n, room;
	uint64_t *folded; /* keys */
	size_t nfolded;
};

/* Fill empty rows; they point into the picture. */
void profile_rows_make(struct profile_rows *r, const struct picture *picture,
		       enum profile_shape shape, bool ascii);
void profile_rows_clear(struct profile_rows *r);
void profile_rows_free(struct profile_rows *r);

/* What is below a row is not to be shown the next time that they are made; or again. */
void profile_rows_fold(struct profile_rows *r, size_t row);

#endif /* GOTOP_PROFILE_ROWS_H */
