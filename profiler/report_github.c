/* SPDX-License-Identifier: MIT */
/*
 * report_github.c - findings as annotations of GitHub's Actions: one a site, at the line where it
 * stands.
 *
 * The service shows ten errors and ten warnings of a step and drops the rest without a word, so
 * with more the tenth says how many there are; all of them are in the step's log below. The runner
 * cuts a message at 4096 characters: we cut it before, where who started it is still told. What a
 * runner reads from a line ends at the line's end: line feeds and the like are escaped as its own
 * toolkit does.
 */
#include <string.h>

#include "report.h"
#include "site.h"

#define SHOWN 10   /* of a kind, in a step */
#define MOST  4096 /* characters of a message */

/* In a property a ':' or ',' would end it. */
static void escape(FILE *out, const char *text, bool property)
{
	while (*text) {
		const size_t n = report_utf8_length(text);
		const unsigned char c = (unsigned char)*text;

		if (c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ',')))
			fprintf(out, "%%%02X", c);
		else if (!n || c < ' ' || c == 0x7f || report_is_c1(text))
			fputc('?', out);
		else
			fwrite(text, 1, n, out);
		text += n ? n : 1;
	}
}

static void put_place(FILE *out, const struct site *s)
{
	const json_t *frame = report_site_frame(s);
	json_int_t line = json_integer_value(json_object_get(frame, "line"));

	if (!frame)
		return;
	fputs(" file=", out);
	escape(out, report_relative(json_string_value(json_object_get(frame, "file"))), true);
	if (line)
		fprintf(out, ",line=%d", (int)line);
	fputc(',', out);
}

/* Cut it behind a line, so that it and what follows, which is `more`, are not too long. */
static void cut(char *text, size_t more)
{
	static const char mark[] = "...\n";
	const size_t room = more + strlen(mark) < MOST ? MOST - more - strlen(mark) : 0;
	size_t n = strlen(text);

	if (n + more <= MOST)
		return;
	for (n = n < room ? n : room; n && text[n - 1] != '\n'; n--)
		;
	strcpy(text + n, mark);
}

static void put_message(FILE *out, const struct site *s)
{
	static const char started[] = "started by ";
	char *text = NULL;
	size_t size;
	FILE *message = open_memstream(&text, &size);

	if (!message)
		return;
	site_title(message, s);
	fprintf(message, "\n%s%s", s->evidence, s->frames);
	fclose(message);
	if (text) {
		cut(text, *s->spawn ? strlen(started) + strlen(s->spawn) : 0);
		escape(out, text, false);
	}
	if (*s->spawn) {
		fputs(started, out);
		escape(out, s->spawn, false);
	}
	free(text);
}

static void put_site(FILE *out, const struct site *s, const char *level)
{
	fprintf(out, "::%s", level);
	put_place(out, s);
	fprintf(out, "%stitle=goroutine%s %s::", report_site_frame(s) ? "" : " ",
		site_is_warning(s) ? "s" : "", site_kind_text(s->kind));
	put_message(out, s);
	fputc('\n', out);
}

static size_t count(const struct report_gate *r, bool fails)
{
	size_t n = 0;

	for (size_t i = 0; i < r->sites->n; i++) {
		const struct site *s = &r->sites->v[i];

		n += site_is_new(s) && report_site_fails(r, s) == fails;
	}
	return n;
}

/* In the log, but no annotations: one line each. */
static void put_rest(const struct report_gate *r, bool fails, size_t shown, const char *level)
{
	size_t n = 0;

	for (size_t i = 0; i < r->sites->n; i++) {
		const struct site *s = &r->sites->v[i];

		if (!site_is_new(s) || report_site_fails(r, s) != fails || n++ < shown)
			continue;
		fprintf(r->out, "%s: ", level);
		site_title(r->out, s);
		fputs(*s->blocked ? " blocked in " : "", r->out);
		fprintf(r->out, "%s\n", s->blocked);
	}
}

/* What of the run is no finding: it takes the place of one. Returns how many it takes. That the
 * program failed, the step says itself. */
static size_t put_trouble(const struct report_gate *r, bool fails, const char *level)
{
	if (r->trouble != (fails ? REPORT_BROKEN : REPORT_UNCHECKED))
		return 0;
	fprintf(r->out, "::%s title=goro %s::", level, r->command);
	escape(r->out, r->why, false);
	fputc('\n', r->out);
	return 1;
}

static void put_level(const struct report_gate *r, bool fails, const char *level)
{
	const size_t room = SHOWN - put_trouble(r, fails, level);
	size_t all = count(r, fails), n = 0, shown = all > room ? room - 1 : all;

	for (size_t i = 0; i < r->sites->n && n < shown; i++) {
		const struct site *s = &r->sites->v[i];

		if (!site_is_new(s) || report_site_fails(r, s) != fails)
			continue;
		put_site(r->out, s, level);
		n++;
	}
	if (all == shown)
		return;
	fprintf(r->out, "::%s title=goro %s::%zu more groups of goroutines; they are in the log\n",
		level, r->command, all - shown);
	put_rest(r, fails, shown, level);
}

void report_github(const struct report_gate *r)
{
	put_level(r, true, "error");
	put_level(r, false, "warning");
}
