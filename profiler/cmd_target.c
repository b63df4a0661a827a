/* SPDX-License-Identifier: MIT */
/*
 * cmd_target.c - TARGET on a command line, and where in it to look.
 */
#include "cmd.h"
#include "error.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#define DAY_NS 86400000000000ll

const char *cmd_time_of_day(char text[16], int64_t wall_time)
{
	time_t seconds = (time_t)(wall_time / 1000000000);
	struct tm tm;

	if (!localtime_r(&seconds, &tm) || !strftime(text, 16, "%H:%M:%S", &tm))
		strcpy(text, "?");
	return text;
}

static struct goro_error *bad_at(const char *at, size_t ticks)
{
	return goro_error_new(
		GORO_USAGE,
		"where in the recording? A tick from 1 to %zu, -1 for the last, a time 15:04:05, "
		"or +DURATION, not '%s'",
		ticks, at);
}

/* The last tick that is not later. */
static size_t tick_at_time(struct goro_scope *scope, int64_t wall_time)
{
	size_t tick = 1, n = goro_scope_ticks(scope);

	while (tick < n && goro_scope_tick_time(scope, tick + 1) <= wall_time)
		tick++;
	return tick;
}

/* On the day of the first tick, or, if that was over by then, on the next. */
static bool parse_time_of_day(const char *at, int64_t first, int64_t *wall_time)
{
	time_t seconds = (time_t)(first / 1000000000);
	struct tm tm, given = { 0 };
	const char *end = strptime(at, "%H:%M:%S", &given);

	if (!end || *end || !localtime_r(&seconds, &tm))
		return false;
	tm.tm_hour = given.tm_hour;
	tm.tm_min = given.tm_min;
	tm.tm_sec = given.tm_sec;
	*wall_time = (int64_t)mktime(&tm) * 1000000000 + 999999999; /* to the end of that second */
	if (*wall_time < first)
		*wall_time += DAY_NS;
	return true;
}

error_t cmd_parse_target(const char *name, int key, char *arg, const char **target)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (*target)
			exit(cmd_usage(name, "one TARGET, but got '%s' as well", arg));
		*target = arg;
		return 0;
	case ARGP_KEY_END:
		if (!*target)
			exit(cmd_usage(name, "which process? Give a pid or a name"));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

struct goro_error *cmd_find_tick(struct goro_scope *scope, const char *at, size_t *tick)
{
	size_t n = goro_scope_ticks(scope);
	uint64_t number;
	int64_t first;

	if (!n)
		return goro_error_new(GORO_USAGE, "--at is for recordings only");
	first = goro_scope_tick_time(scope, 1);
	if (at[0] == '+' && cmd_duration(at + 1, &number))
		*tick = tick_at_time(scope, first + (int64_t)number);
	else if (at[0] == '-' && cmd_number(at + 1, &number) && number >= 1 && number <= n)
		*tick = n + 1 - number;
	else if (cmd_number(at, &number) && number >= 1 && number <= n)
		*tick = number;
	else if (parse_time_of_day(at, first, &first))
		*tick = tick_at_time(scope, first);
	else
		return bad_at(at, n);
	return NULL;
}

static struct goro_error *open_at(const char *target, const char *at, struct goro_scope **scope)
{
	struct goro_error *err = goro_scope_open(scope, target);
	size_t tick = 1;

	if (err || !at)
		return err;
	err = cmd_find_tick(*scope, at, &tick);
	if (err)
		goro_scope_close(*scope);
	else
		goro_scope_seek(*scope, tick);
	return err;
}

struct goro_error *cmd_open_target(const char *target, const char *at, struct goro_scope **scope)
{
	const char *mark = strrchr(target, '@');
	struct goro_error *err;
	char *file;

	if (at || !mark || access(target, F_OK) == 0)
		return open_at(target, at, scope);
	file = strndup(target, (size_t)(mark - target));
	err = file && access(file, F_OK) == 0 ? open_at(file, mark + 1, scope)
					      : open_at(target, NULL, scope);
	free(file);
	return err;
}

struct goro_error *cmd_open_at(const char *target, const char *at, struct goro_scope **scope,
			       struct goro_snapshot **snap)
{
	struct goro_error *err = cmd_open_target(target, at, scope);

	if (err)
		return err;
	err = goro_scope_snapshot(*scope, snap);
	if (err)
		goro_scope_close(*scope);
	return err;
}

struct goro_error *cmd_open(const char *target, struct goro_scope **scope,
			    struct goro_snapshot **snap)
{
	return cmd_open_at(target, NULL, scope, snap);
}
