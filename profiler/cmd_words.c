/* SPDX-License-Identifier: MIT */
/*
 * cmd_words.c - what the options of the subcommands are made of: durations, numbers, and words of
 * which one is meant.
 */
#include "cmd.h"

#include <errno.h>
#include <string.h>

bool cmd_duration(const char *text, uint64_t *ns)
{
	static const struct {
		const char *suffix;
		double ns;
	} units[] = { { "ns", 1 },   { "us", 1e3 },   { "ms", 1e6 },	{ "s", 1e9 },
		      { "m", 60e9 }, { "h", 3600e9 }, { "d", 86400e9 }, { "", 0 } };
	char *end;
	double value;

	if (*text < '0' || *text > '9' || text[strcspn(text, "xXpP")])
		return false;
	errno = 0;
	value = strtod(text, &end);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strcmp(end, units[i].suffix))
			continue;
		if (units[i].ns == 0 && value != 0)
			return false;
		value *= units[i].ns;
		if (errno || value > 9e18)
			return false;
		*ns = (uint64_t)value;
		return true;
	}
	return false;
}

bool cmd_seconds(const char *text, uint64_t *ns)
{
	char with_unit[64];

	if (cmd_duration(text, ns))
		return true;
	return snprintf(with_unit, sizeof with_unit, "%ss", text) < (int)sizeof with_unit &&
	       cmd_duration(with_unit, ns);
}

bool cmd_number(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && !*end;
}

void cmd_duration_option(const char *name, const char *option, const char *arg, uint64_t *ns)
{
	if (!cmd_duration(arg, ns))
		exit(cmd_usage(name, "%s takes a duration like 500ms, 2s or 1m, not '%s'", option,
			       arg));
}

int cmd_one_of(const char *name, const char *what, const char *arg, const char *const *words)
{
	char list[256];
	size_t len = 0;

	for (int i = 0; words[i]; i++) {
		if (!strcmp(arg, words[i]))
			return i;
	}
	for (size_t i = 0; words[i] && len < sizeof list; i++)
		len += (size_t)snprintf(list + len, sizeof list - len, "%s%s",
					!i	       ? ""
					: words[i + 1] ? ", "
						       : " or ",
					words[i]);
	exit(cmd_usage(name, "%s %s, not '%s'", what, list, arg));
}
