/* SPDX-License-Identifier: MIT */
/*
 * report_json.c - what the reports in JSON share.
 */
#include "report.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "goro_introspect.h"

/* json_string() is the judge of the exact rules. */
size_t report_utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = *s < 0x80   ? 1
		   : *s < 0xc2 ? 0
		   : *s < 0xe0 ? 2
		   : *s < 0xf0 ? 3
		   : *s < 0xf5 ? 4
			       : 0;

	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	if (n > 1) {
		json_t *one = json_stringn(text, n);

		if (!one)
			return 0;
		json_decref(one);
	}
	return n;
}

const char *report_json_verdict_name(unsigned verdict)
{
	static const char *const names[] = { "ok", "suspect", "likely", "leaked" };

	return verdict < sizeof names / sizeof *names ? names[verdict] : "unknown";
}

json_t *report_json_verdict(unsigned verdict)
{
	return json_string(report_json_verdict_name(verdict));
}

json_t *report_json_string(const char *text)
{
	json_t *value;
	char *clean;
	size_t n = 0;

	if (!text)
		return json_null();
	value = json_string(text);
	clean = value ? NULL : malloc(strlen(text) + 1);
	if (!clean)
		return value ? value : json_null();
	while (*text) {
		size_t length = report_utf8_length(text);

		if (length)
			memcpy(clean + n, text, length);
		else
			clean[n] = '?';
		n += length ? length : 1;
		text += length ? length : 1;
	}
	value = json_stringn(clean, n);
	free(clean);
	return value;
}

json_t *report_json_hex(uint64_t value)
{
	char text[TEXT_NUMBER];

	if (!value)
		return json_null();
	snprintf(text, sizeof text, "0x%" PRIx64, value);
	return json_string(text);
}

json_t *report_json_frame(const struct goro_frame *f)
{
	return json_pack("{s:o, s:o, s:o, s:b, s:o, s:o, s:b}", "function",
			 report_json_string(f->function), "file", report_json_string(f->file),
			 "line", f->line ? json_integer(f->line) : json_null(), "inlined",
			 f->inlined, "module", report_json_string(f->module), "pc",
			 report_json_hex(f->pc), "runtime", f->runtime);
}

static void add_crash(json_t *head, const struct goro_crash *c)
{
	const char *name = sigabbrev_np(c->signal);
	char signal[TEXT_NUMBER];

	if (!c->signal)
		return;
	snprintf(signal, sizeof signal, "SIG%s", name ? name : "?");
	json_object_set_new(
		head, "crash",
		json_pack("{s:s, s:i, s:o, s:o}", "signal", signal, "thread", c->tid, "address",
			  report_json_hex(c->address), "goroutine",
			  c->goroutine ? json_integer((json_int_t)c->goroutine) : json_null()));
}

json_t *report_json_head(const struct report *r)
{
	const struct goro_snapshot *s = r->snap;
	json_t *head = json_pack(
		"{s:i, s:i, s:o, s:o, s:I, s:I, s:I, s:b, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, "
		"s:I}}",
		"schema_version", REPORT_JSON_VERSION, "pid", s->pid, "name",
		report_json_string(s->name), "runtime", report_json_string(s->runtime), "time_ns",
		(json_int_t)s->wall_time, "uptime_ns", (json_int_t)s->uptime_ns, "rss",
		(json_int_t)s->rss, "stopped", s->stopped, "reclaimed", (json_int_t)s->reclaimed,
		"trust", "cost_ns", (json_int_t)s->cost_ns, "bytes_read", (json_int_t)s->bytes_read,
		"reread", (json_int_t)s->reread, "torn", (json_int_t)s->torn, "truncated",
		(json_int_t)s->truncated, "lost", (json_int_t)s->lost, "bad_records",
		(json_int_t)s->bad_records);

	if (head)
		add_crash(head, &s->crash);
	return head;
}

json_t *report_json_spawn(const struct report *r, const struct goro_info *g)
{
	struct goro_frame site;

	if (!g->spawn_pc || !goro_scope_spawn_site(r->scope, g, &site))
		return json_null();
	return json_pack("{s:o, s:o, s:o}", "function", report_json_string(site.function), "file",
			 report_json_string(site.file), "line",
			 site.line ? json_integer(site.line) : json_null());
}

json_t *report_json_heap(const struct goro_heap *h)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "heap_live", (json_int_t)h->bytes, "heap_objects",
			 (json_int_t)h->objects, "heap_total", (json_int_t)h->total_bytes,
			 "heap_total_objects", (json_int_t)h->total_objects);
}

json_t *report_json_stack(const struct report *r, uint32_t stack_id)
{
	size_t n = 0, user;
	struct goro_frame *frames = goro_scope_frames(r->scope, r->snap, stack_id, &n, &user);
	json_t *list = json_array();

	for (size_t i = 0; frames && i < n; i++)
		json_array_append_new(list, report_json_frame(&frames[i]));
	free(frames);
	return json_pack("{s:i, s:b, s:b, s:o}", "id", (int)stack_id, "complete",
			 r->snap->stacks[stack_id].complete, "by_frame_pointer",
			 r->snap->stacks[stack_id].by_frame_pointer, "frames", list);
}

bool report_json_begin(const struct report *r)
{
	json_t *head = report_json_head(r);
	char *text = json_dumps(head, JSON_COMPACT);
	size_t length = text ? strlen(text) : 0;

	json_decref(head);
	if (length)
		fwrite(text, 1, length - 1, r->out); /* without its "}" */
	free(text);
	return length != 0;
}

void report_json_element(FILE *out, json_t *value, bool first)
{
	fputs(first ? "\n" : ",\n", out);
	json_dumpf(value, out, JSON_COMPACT);
	json_decref(value);
}
