/* SPDX-License-Identifier: MIT */
/*
 * report_util.c - the words that all reports share.
 */
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "goro_introspect.h"

bool report_is_c1(const char *text)
{
	return text[0] == '\xc2' && (text[1] & 0xe0) == 0x80;
}

/* How many bytes of text are one character that does no harm on a terminal; 0: it is none. */
static size_t harmless(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	const bool control = *s < ' ' || *s == 0x7f || report_is_c1(text);

	return control ? 0 : report_utf8_length(text);
}

/* Most of any text: a dump of a million stacks goes through here. */
static size_t plain(const char *text)
{
	size_t n = 0;

	while (text[n] >= ' ' && text[n] < 0x7f)
		n++;
	return n;
}

void report_put(FILE *out, const char *text)
{
	while (text && *text) {
		size_t n = plain(text);

		n = n ? n : harmless(text);
		if (n)
			fwrite(text, 1, n, out);
		else
			putc('?', out);
		text += n ? n : 1;
	}
}

void report_clean(char *text)
{
	while (*text) {
		const size_t n = harmless(text);

		if (!n)
			*text = '?';
		text += n ? n : 1;
	}
}

void report_style(const struct report *r, const char *sgr)
{
	if (r->colour)
		fprintf(r->out, "\033[%sm", sgr);
}

const char *report_state_name(const struct goro_info *g)
{
#define NAME(id, letter, name) name,
	static const char *const names[] = { GORO_STATES(NAME) };
#undef NAME

	return g->state < GORO_NSTATES ? names[g->state] : "unknown";
}

const char *report_verdict_name(unsigned verdict)
{
	static const char *const names[] = { "ok", "SUSPECT", "LIKELY", "LEAKED" };

	return verdict < sizeof names / sizeof *names ? names[verdict] : "unknown";
}

const char *report_proof_name(unsigned proof)
{
	static const char *const names[] = { NULL,  "never",  "cycle",	    "orphan",
					     "age", "growth", "unreachable" };

	return proof < sizeof names / sizeof *names ? names[proof] : NULL;
}

void report_frame(FILE *out, const struct goro_frame *f)
{
	if (f->function)
		report_put(out, f->function);
	else
		fprintf(out, "0x%" PRIx64, f->pc);
	if (f->inlined)
		fputs(" (inlined)", out);
	if (f->file) {
		fputs(" at ", out);
		report_put(out, f->file);
		if (f->line)
			fprintf(out, ":%" PRIu32, f->line);
	} else if (f->module) {
		fputs(" in ", out);
		report_put(out, f->module);
		fprintf(out, "+0x%" PRIx64, f->module_offset);
	}
}

bool report_blocked_frame(const struct report *r, const struct goro_info *g, struct goro_frame *ret)
{
	struct goro_frame *frames;
	size_t n = 0, user = 0;

	if (g->stack_id == GORO_NO_STACK)
		return false;
	frames = goro_scope_frames(r->scope, r->snap, g->stack_id, &n, &user);
	if (!frames || user >= n) {
		free(frames);
		return false;
	}
	*ret = frames[user];
	free(frames);
	return true;
}

static const char *why_no_stack(const struct goro_info *g, bool in_core)
{
	if (g->torn)
		return "it ran while it was read: no stack";
	if (g->lost)
		return "its stack is not in the core file";
	switch (g->state) {
	case GORO_STATE_NEW:
		return "it has not run yet: no stack";
	case GORO_STATE_RUNNING:
		return in_core ? "it was in the scheduler"
			       : "it runs: its stack does not stand still";
	default:
		return "no stack";
	}
}

/*
 * Of a function whose last act is the call in which it waits compilers make a jump, and only the
 * runtime's frames are there: it is named all the same. False: it is the runtime's own.
 */
static bool put_entry(const struct report *r, const struct goro_info *g, const char *indent)
{
	size_t n = 0;
	const struct goro_frame *entry = goro_scope_symbolize(r->scope, g->entry, false, &n);

	if (!entry || !n || !entry[n - 1].function || entry[n - 1].runtime)
		return false;
	fputs(indent, r->out);
	report_frame(r->out, &entry[n - 1]);
	fputs(", whose last call it is\n", r->out);
	return true;
}

/* The runtime's frames are left out unless there are no others. */
void report_frames(const struct report *r, const struct goro_info *g, const char *indent)
{
	struct goro_frame *frames;
	size_t n = 0, user = 0;

	if (g->stack_id == GORO_NO_STACK) {
		fprintf(r->out, "%s(%s)\n", indent, why_no_stack(g, r->snap->source == GORO_CORE));
		return;
	}
	frames = goro_scope_frames(r->scope, r->snap, g->stack_id, &n, &user);
	if (frames && user == n && r->snap->stacks[g->stack_id].complete &&
	    put_entry(r, g, indent)) {
		free(frames);
		return;
	}
	for (size_t i = user < n ? user : 0; frames && i < n; i++) {
		if (user < n && frames[i].runtime)
			continue;
		fputs(indent, r->out);
		report_frame(r->out, &frames[i]);
		fputc('\n', r->out);
	}
	free(frames);
	if (r->snap->stacks[g->stack_id].by_frame_pointer)
		fprintf(r->out,
			"%s(some frames are by frame pointers: their code has no unwind data)\n",
			indent);
	if (!r->snap->stacks[g->stack_id].complete)
		fprintf(r->out, "%s(the rest of the stack could not be unwound)\n", indent);
}

/* It goes into brackets, and may be anything: a name "]" would end them for whoever reads it. */
static void put_remark(FILE *out, const char *text, size_t n, const char *quote)
{
	char *copy = strndup(text, n);

	for (char *c = copy; c && (c = strpbrk(c, "[]\"")); c++)
		*c = '?';
	fprintf(out, ", %s", quote);
	report_put(out, copy);
	fputs(quote, out);
	free(copy);
}

void report_remarks(const struct report *r, const struct goro_info *g)
{
	const char *text = r->snap->text, *line, *end;

	if (!text)
		return;
	if (g->name)
		put_remark(r->out, text + g->name, strlen(text + g->name), "\"");
	for (line = text + g->labels; *line; line = *end ? end + 1 : end) {
		end = strchrnul(line, '\n');
		put_remark(r->out, line, (size_t)(end - line), "");
	}
}

void report_source(FILE *out, const struct goro_snapshot *s)
{
	time_t seconds = (time_t)(s->wall_time / 1000000000);
	char when[32] = "?";
	struct tm tm;

	if (s->stopped)
		fputs(", stopped by a signal or a debugger", out);
	if (s->source == GORO_LIVE)
		return;
	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	fprintf(out, ", not live: %s ", s->source == GORO_CORE ? "core file" : "recording");
	report_put(out, s->file);
	if (s->source == GORO_RECORDING)
		fprintf(out, ", tick %zu of %zu", s->tick, s->nticks);
	fprintf(out, ", %s", when);
}

void report_heading(const struct report *r, const struct goro_info *g)
{
	char age[TEXT_NUMBER];

	fprintf(r->out, "goroutine %" PRIu64 " [%s", g->id, goro_state_text(g));
	if (g->state == GORO_STATE_WAITING && g->wait_ns)
		fprintf(r->out, ", %s", text_duration(age, g->wait_ns));
	if (g->flags & GORO_FLAG_LOCKED)
		fputs(", locked to thread", r->out);
	report_remarks(r, g);
	fputc(']', r->out);
}
