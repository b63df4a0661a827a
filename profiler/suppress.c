/* SPDX-License-Identifier: MIT */
/*
 * suppress.c - findings that a project accepts: a file of rules, in LeakSanitizer's form.
 *
 *	# the logger lives as long as the process
 *	spawn:logger_start
 *	func:legacy_*  until=2027-03-31  reason=rewritten in issue 12
 *
 * leak:TEXT is LeakSanitizer's own kind and matches as it does: anywhere in a function, file or
 * module of the stack; '*' stands for any text, '^' and '$' for the ends. The other kinds take a
 * shell's pattern for the whole of what they name.
 */
#include "filter.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *const kind_names[] = { "leak", "func", "file", "module", "spawn" };

/* ---- reading --------------------------------------------------------------------------------- */

/* A day that exists, as seconds of its end in UTC. */
static bool parse_day(const char *text, time_t *end)
{
	struct tm tm = { 0 };
	const char *rest = strptime(text, "%Y-%m-%d", &tm);
	int day = tm.tm_mday;

	if (!rest || *rest || strlen(text) != 10)
		return false;
	*end = timegm(&tm) + 24 * 3600;
	return tm.tm_mday == day; /* timegm() has made March 1 of February 29 */
}

static char *skip_blanks(char *text)
{
	return text + strspn(text, " \t");
}

static void cut_blanks(char *text)
{
	size_t n = strlen(text);

	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
}

/* The word `name=` that follows a blank: cut it off, return what is behind it. */
static char *take_field(char *text, const char *name)
{
	for (char *at = text; (at = strstr(at, name)); at++) {
		if (at > text && strchr(" \t", at[-1])) {
			*at = '\0';
			cut_blanks(text);
			return at + strlen(name);
		}
	}
	return NULL;
}

/* Returns what is wrong, or NULL. Takes `line` apart; the strings of the rule lie in it. */
/* A word that looks like a field and is none, as `untill=`. What C++ calls operator= is a name. */
static bool has_other_field(const char *pattern)
{
	for (const char *at = pattern; (at = strpbrk(at, " \t"));) {
		size_t n;

		at += strspn(at, " \t");
		n = strspn(at, "abcdefghijklmnopqrstuvwxyz");
		if (n && at[n] == '=' && strncmp(at, "operator", n) != 0)
			return true;
	}
	return false;
}

static const char *parse_rule(struct rule *rule, char *line)
{
	char *colon = strchr(line, ':');
	time_t end;

	if (!colon)
		return "a rule is KIND:PATTERN, where KIND is leak, func, file, module or spawn";
	for (rule->kind = 0; rule->kind < RULE_KINDS; rule->kind++) {
		size_t n = strlen(kind_names[rule->kind]);

		if (n == (size_t)(colon - line) && !strncmp(line, kind_names[rule->kind], n))
			break;
	}
	if (rule->kind == RULE_KINDS)
		return "the kind of a rule is leak, func, file, module or spawn";
	rule->reason = take_field(line, "reason=");
	rule->until = take_field(line, "until=");
	rule->text = line;
	rule->pattern = skip_blanks(colon + 1);
	if (!*rule->pattern)
		return "the pattern is empty: it would match everything";
	if (has_other_field(rule->pattern))
		return "the fields of a rule are until= and reason=";
	if (rule->reason && !*rule->reason)
		return "the reason is empty";
	if (rule->reason && strstr(rule->reason, "until="))
		return "until= comes before reason=, which takes the rest of the line";
	if (!rule->until)
		return NULL;
	if (!parse_day(rule->until, &end))
		return "until= takes a day like 2027-03-31";
	rule->expired = end <= time(NULL);
	return NULL;
}

static bool add_rule(struct rules *rules, const struct rule *rule)
{
	struct rule *v = realloc(rules->v, (rules->n + 1) * sizeof *v);

	if (!v)
		return false;
	rules->v = v;
	v[rules->n++] = *rule;
	return true;
}

static const char *read_line(struct rules *rules, struct rule *rule, const char *text)
{
	char *line = strdup(text);
	const char *wrong;

	if (!line)
		return "out of memory";
	wrong = parse_rule(rule, line);
	if (!wrong && !add_rule(rules, rule))
		wrong = "out of memory";
	if (wrong)
		free(line);
	return wrong;
}

static char *describe(const char *path, unsigned line, const char *wrong)
{
	char *text;
	int n = line ? asprintf(&text, "%s:%u: %s", path, line, wrong)
		     : asprintf(&text, "cannot read %s: %s", path, wrong);

	return n < 0 ? NULL : text;
}

bool rules_read(struct rules *rules, const char *path, char **error)
{
	FILE *in = fopen(path, "re");
	const char *wrong = NULL;
	struct rule rule = { .path = path };
	char *line = NULL, *text;
	size_t size = 0;

	*error = NULL;
	while (in && !wrong && (errno = 0, getline(&line, &size, in)) > 0) {
		rule = (struct rule){ .path = path, .line = rule.line + 1 };
		text = skip_blanks(line);
		cut_blanks(text);
		if (*text && *text != '#')
			wrong = read_line(rules, &rule, text);
	}
	if (wrong)
		*error = describe(path, rule.line, wrong);
	else if (!in || ferror(in))
		*error = describe(path, 0, strerror(errno));
	free(line);
	if (!in)
		return false;
	fclose(in);
	return !*error && !wrong;
}

void rules_free(struct rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		free(rules->v[i].text);
	free(rules->v);
	*rules = (struct rules){ 0 };
}

/* ---- matching -------------------------------------------------------------------------------- */

/* LeakSanitizer's templates are a shell's pattern with a '*' at each end that is not anchored. */
static bool matches_template(const char *pattern, const char *text)
{
	size_t n = strlen(pattern);
	bool begin = *pattern == '^', end = n > begin && pattern[n - 1] == '$';
	char *glob;
	bool found;

	if (asprintf(&glob, "%s%.*s%s", begin ? "" : "*", (int)(n - begin - end), pattern + begin,
		     end ? "" : "*") < 0)
		return false;
	found = !fnmatch(glob, text, 0);
	free(glob);
	return found;
}

static const char *member(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

static bool matches(const char *pattern, const char *text)
{
	return *text && !fnmatch(pattern, text, 0);
}

/* A path as it is, without directories, and with a line behind either. */
static bool matches_path(const char *pattern, const char *path, json_int_t line)
{
	const char *base = goro_basename(path);
	char *place;
	bool found = matches(pattern, path) || matches(pattern, base);

	if (found || !line || !*path)
		return found;
	if (asprintf(&place, "%s:%lld", path, (long long)line) < 0)
		return false;
	found = matches(pattern, place) || matches(pattern, place + (base - path));
	free(place);
	return found;
}

static bool matches_frame(const struct rule *rule, const json_t *frame)
{
	const char *function = member(frame, "function"), *file = member(frame, "file");
	const char *module = member(frame, "module");

	switch (rule->kind) {
	case RULE_FUNC:
		return matches(rule->pattern, function);
	case RULE_FILE:
		return matches_path(rule->pattern, file,
				    json_integer_value(json_object_get(frame, "line")));
	case RULE_MODULE:
		return matches_path(rule->pattern, module, 0);
	case RULE_LEAK:
		return matches_template(rule->pattern, function) ||
		       matches_template(rule->pattern, file) ||
		       matches_template(rule->pattern, module);
	default:
		return false;
	}
}

static bool matches_site(const struct rule *rule, const struct site *site)
{
	const json_t *frames = json_object_get(json_object_get(site->details, "stack"), "frames");
	const json_t *spawn = json_object_get(site->details, "spawn");
	bool any = false;

	if (rule->kind == RULE_SPAWN)
		return matches(rule->pattern, member(spawn, "function")) ||
		       matches_path(rule->pattern, member(spawn, "file"),
				    json_integer_value(json_object_get(spawn, "line")));
	for (size_t i = 0; i < json_array_size(frames); i++) {
		const json_t *frame = json_array_get(frames, i);

		if (matches_frame(rule, frame))
			return true;
		any |= !json_is_true(json_object_get(frame, "runtime"));
	}
	/* One that ran has no stack, and one that is a single call no frame but the runtime's; its
	 * function is known all the same. */
	if (any)
		return false;
	return rule->kind == RULE_FUNC	 ? matches(rule->pattern, site->stack)
	       : rule->kind == RULE_LEAK ? matches_template(rule->pattern, site->stack)
					 : false;
}

struct rule *rules_find(const struct rules *rules, const struct site *site)
{
	struct rule *expired = NULL;

	for (size_t i = 0; i < rules->n; i++) {
		struct rule *rule = &rules->v[i];

		if ((rule->expired && expired) || !matches_site(rule, site))
			continue;
		if (!rule->expired)
			return rule;
		expired = rule;
	}
	return expired;
}
