/* SPDX-License-Identifier: MIT */
/*
 * screens.h - the one table of screens: a line each.
 *
 * X(ID, name, traits): VIEW_ID and IN_ID, the `struct view_ops name_ops` of view_name.c, and what
 * the screen has, which says what keys work there. Those with a tab are in the bar in this order.
 */
#ifndef GOTOP_SCREENS_H
#define GOTOP_SCREENS_H

enum trait {
	HAS_DATA = 1,	/* is about a target: header, pause, tabs */
	HAS_TABLE = 2,	/* rows: one is selected, and can be searched for */
	HAS_SORT = 4,	/* its columns can be sorted by */
	HAS_FILTER = 8, /* is about goroutines, some of which a filter leaves out */
	HAS_ROWS = HAS_DATA | HAS_TABLE | HAS_SORT | HAS_FILTER,
};

#define GOTOP_SCREENS(X)                                     \
	X(PICKER, picker, HAS_TABLE)                         \
	X(GROUPS, groups, HAS_ROWS)                          \
	X(LIST, list, HAS_ROWS)                              \
	X(WAITS, waits, HAS_ROWS)                            \
	X(LEAKS, leaks, HAS_ROWS)                            \
	X(PROFILE, profile, HAS_DATA | HAS_TABLE | HAS_SORT) \
	X(SCHED, sched, HAS_DATA | HAS_TABLE | HAS_SORT)     \
	X(GOROUTINE, goroutine, HAS_DATA)                    \
	X(HELP, help, 0)

#define SCREEN_ID(id, name, traits) VIEW_##id,
enum view_id { GOTOP_SCREENS(SCREEN_ID) NVIEWS };
#undef SCREEN_ID

/* Where a key binding holds: a bit per screen, and the screens with a trait. */
#define SCREEN_BIT(id, name, traits)	IN_##id = 1u << VIEW_##id,
#define SCREEN_DATA(id, name, traits)	| ((traits)&HAS_DATA ? IN_##id : 0u)
#define SCREEN_TABLE(id, name, traits)	| ((traits)&HAS_TABLE ? IN_##id : 0u)
#define SCREEN_SORT(id, name, traits)	| ((traits)&HAS_SORT ? IN_##id : 0u)
#define SCREEN_FILTER(id, name, traits) | ((traits)&HAS_FILTER ? IN_##id : 0u)
enum view_bit {
	GOTOP_SCREENS(SCREEN_BIT) IN_DATA = 0u GOTOP_SCREENS(SCREEN_DATA),
	IN_TABLES = 0u GOTOP_SCREENS(SCREEN_TABLE),
	IN_SORTED = 0u GOTOP_SCREENS(SCREEN_SORT),
	IN_FILTERED = 0u GOTOP_SCREENS(SCREEN_FILTER),
	IN_ALL = (1u << NVIEWS) - 1,
};
#undef SCREEN_BIT
#undef SCREEN_DATA
#undef SCREEN_TABLE
#undef SCREEN_SORT
#undef SCREEN_FILTER

#endif /* GOTOP_SCREENS_H */
