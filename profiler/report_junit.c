/* SPDX-License-Identifier: MIT */
/*
 * report_junit.c - findings as JUnit's XML, which every CI server reads.
 *
 * There is no standard, only what the readers agree on: <testsuites>, <testsuite>, <testcase>,
 * <failure>, <error>, <skipped>. The first test case is the run itself, so that a clean run is a
 * passed test and not an empty file, and one that came to no proper end is none: it has an error,
 * or is skipped when there was nothing to look at. Then one for each site. By hand: it is five
 * elements, for which an XML library would be one more thing to install.
 */
#include <string.h>

#include "report.h"
#include "site.h"

/* Text as XML allows it: valid UTF-8, no control characters but line feeds. */
static void put(FILE *out, const char *text)
{
	json_t *clean = report_json_string(text);

	for (const char *c = json_string_value(clean); c && *c; c++) {
		switch (*c) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\n':
			fputc('\n', out);
			break;
		default:
			/* U+FFFE and U+FFFF are characters of UTF-8, but none of XML. */
			if (!strncmp(c, "\xef\xbf\xbe", 3) || !strncmp(c, "\xef\xbf\xbf", 3)) {
				fputc('?', out);
				c += 2;
			} else if (report_is_c1(c)) {
				fputc('?', out);
				c++;
			} else {
				fputc((unsigned char)*c < ' ' || *c == 0x7f ? '?' : *c, out);
			}
		}
	}
	json_decref(clean);
}

static void put_attribute(FILE *out, const char *name, const char *text)
{
	fprintf(out, " %s=\"", name);
	put(out, text);
	fputc('"', out);
}

/*
 * Without ages and numbers: a server compares the names of two runs. Rejected: attributes for file
 * and line, which some readers know, but for which Jenkins' xUnit plugin refuses the whole file;
 * the text has them.
 */
static void put_name(FILE *out, const struct site *s)
{
	fprintf(out, " name=\"%s", site_kind_name(s->kind));
	if (s->proof)
		fprintf(out, " (%s)", s->proof);
	fputs(": ", out);
	put(out, s->stack);
	fputs(" [", out);
	put(out, s->state);
	fputs("]\"", out);
}

static void put_title(FILE *out, const struct site *s)
{
	char *title = NULL;
	size_t size;
	FILE *text = open_memstream(&title, &size);

	if (text) {
		site_title(text, s);
		fclose(text);
	}
	put_attribute(out, "message", title ? title : "");
	free(title);
}

static void put_text(FILE *out, const struct site *s)
{
	put(out, s->evidence);
	if (*s->blocked) {
		fputs("blocked in ", out);
		put(out, s->blocked);
		fputc('\n', out);
	}
	put(out, s->frames);
	if (*s->spawn) {
		fputs("started by ", out);
		put(out, s->spawn);
		fputc('\n', out);
	}
}

static void put_site(const struct report_gate *r, const struct site *s)
{
	fputs("    <testcase", r->out);
	put_attribute(r->out, "classname", *s->program ? s->program : r->subject);
	put_name(r->out, s);
	fputs(" time=\"0\">\n      ", r->out);
	if (!site_is_new(s)) {
		fputs("<skipped", r->out);
		put_attribute(r->out, "message",
			      s->known ? "known: it is in the baseline" : "suppressed");
		fputs("/>\n", r->out);
	} else if (report_site_fails(r, s)) {
		fprintf(r->out, "<failure type=\"%s\"", site_kind_name(s->kind));
		put_title(r->out, s);
		fputc('>', r->out);
		put_text(r->out, s);
		fputs("</failure>\n", r->out);
	} else {
		fputs("<system-out>", r->out);
		put_text(r->out, s);
		fputs("</system-out>\n", r->out);
	}
	fputs("    </testcase>\n", r->out);
}

/* The run itself. */
static void put_run(const struct report_gate *r)
{
	fprintf(r->out, "    <testcase classname=\"goro %s\"", r->command);
	put_attribute(r->out, "name", r->subject);
	fputs(" time=\"0\"", r->out);
	if (r->trouble == REPORT_WHOLE) {
		fputs("/>\n", r->out);
		return;
	}
	fputs(r->trouble == REPORT_UNCHECKED ? ">\n      <skipped" : ">\n      <error type=\"run\"",
	      r->out);
	put_attribute(r->out, "message", r->why);
	fputs("/>\n    </testcase>\n", r->out);
}

void report_junit(const struct report_gate *r)
{
	const bool unchecked = r->trouble == REPORT_UNCHECKED;
	size_t failures = 0, skipped = unchecked;

	for (size_t i = 0; i < r->sites->n; i++) {
		failures += report_site_fails(r, &r->sites->v[i]);
		skipped += !site_is_new(&r->sites->v[i]);
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", r->out);
	fprintf(r->out,
		"  <testsuite name=\"goro %s\" tests=\"%zu\" failures=\"%zu\" errors=\"%d\" "
		"skipped=\"%zu\" time=\"0\">\n",
		r->command, r->sites->n + 1, failures, r->trouble != REPORT_WHOLE && !unchecked,
		skipped);
	put_run(r);
	for (size_t i = 0; i < r->sites->n; i++)
		put_site(r, &r->sites->v[i]);
	fputs("  </testsuite>\n</testsuites>\n", r->out);
}
