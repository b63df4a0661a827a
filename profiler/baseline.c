/* SPDX-License-Identifier: MIT */
/*
 * baseline.c - the sites that are known, in a file.
 *
 *	# goro baseline 1
 *	90c1d1c6ab1d09b2 leftover shop [chan receive] read_loop < worker, started by main at shop.c
 *
 * A line a site: its id (see site.c), and words for whoever reads the file. So it shows well what
 * changes, in a review as in a merge. Rejected: JSON, of which a merge makes no JSON.
 */
#include "filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cmd.h"
#include "report.h"

#define HEADER "# goro baseline "
#define FORMAT "1"

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

static bool add(struct baseline *b, const char *id)
{
	char(*ids)[17] = reallocarray(b->ids, b->n + 1, sizeof *ids);

	if (!ids)
		return false;
	b->ids = ids;
	memcpy(ids[b->n], id, 16);
	ids[b->n++][16] = '\0';
	return true;
}

/* Returns what is wrong with a line, or NULL. */
static const char *parse(struct baseline *b, char *line, unsigned number)
{
	line[strcspn(line, "\r\n")] = '\0';
	if (number == 1) {
		if (strncmp(line, HEADER, strlen(HEADER)) != 0)
			return "this is no baseline: its first line is not \"" HEADER FORMAT "\"";
		return strcmp(line + strlen(HEADER), FORMAT) != 0
			       ? "this baseline is of another version of goro; write a new one"
			       : NULL;
	}
	if (!*line || *line == '#')
		return NULL;
	if (strspn(line, "0123456789abcdef") != 16 || (line[16] && line[16] != ' '))
		return "a line begins with the 16 hexadecimal digits of a site";
	return add(b, line) ? NULL : "out of memory";
}

bool baseline_read(struct baseline *b, const char *path, char **error)
{
	FILE *in = fopen(path, "re");
	const char *wrong = NULL;
	char *line = NULL;
	size_t size = 0;
	unsigned number = 0;
	int n = 0;

	*error = NULL;
	while (in && !wrong && (errno = 0, getline(&line, &size, in)) > 0)
		wrong = parse(b, line, ++number);
	if (in && !wrong && !ferror(in) && !number)
		wrong = "this is no baseline: it is empty";
	if (wrong)
		n = asprintf(error, "%s:%u: %s", path, number ? number : 1, wrong);
	else if (!in && errno == ENOENT)
		n = asprintf(error, "there is no baseline %s; make it with --write-baseline", path);
	else if (!in || ferror(in))
		n = asprintf(error, "cannot read %s: %s", path, strerror(errno));
	if (n < 0)
		*error = NULL;
	free(line);
	if (in)
		fclose(in);
	if (n || !in)
		return false;
	if (b->n)
		qsort(b->ids, b->n, sizeof *b->ids, by_id);
	b->seen = calloc(b->n + 1, sizeof *b->seen);
	return b->seen != NULL;
}

bool baseline_has(struct baseline *b, const char *id)
{
	char(*found)[17] = b->n ? bsearch(id, b->ids, b->n, sizeof *b->ids, by_id) : NULL;

	if (found)
		b->seen[found - b->ids] = true;
	return found != NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

static char *line_of(const struct site *s)
{
	const json_t *spawn = json_object_get(s->details, "spawn");
	const char *function = json_string_value(json_object_get(spawn, "function"));
	const char *file = json_string_value(json_object_get(spawn, "file"));
	size_t size;
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, "%s %s ", s->id, site_kind_name(s->kind));
	report_put(out, s->program);
	fprintf(out, " [%s] ", s->state);
	report_put(out, s->stack);
	if (function) {
		fputs(", started by ", out);
		report_put(out, function);
	}
	if (file) {
		fputs(" at ", out);
		report_put(out, goro_basename(file));
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* By place, so that a new site is one new line. Of those with one id the first. */
static bool write_lines(FILE *out, const struct sites *sites)
{
	char **lines = calloc(sites->n + 1, sizeof *lines);
	size_t n = 0;
	bool ok = lines != NULL;

	for (size_t i = 0; ok && i < sites->n; i++) {
		if (sites->v[i].rule)
			continue;
		lines[n] = line_of(&sites->v[i]);
		ok = lines[n++] != NULL;
	}
	if (ok && n)
		qsort(lines, n, sizeof *lines, by_text);
	fputs(HEADER FORMAT "\n", out);
	for (size_t i = 0; ok && i < n; i++) {
		if (!i || strncmp(lines[i - 1], lines[i], 16) != 0)
			fprintf(out, "%s\n", lines[i]);
	}
	for (size_t i = 0; lines && i < n; i++)
		free(lines[i]);
	free(lines);
	return ok;
}

/* A new file takes the place of the old one: whoever reads it sees one or the other. */
bool baseline_write(const char *path, const struct sites *sites, char **error)
{
	struct cmd_output out;
	int wrong = cmd_output_open(&out, path) ? 0 : errno, end;

	*error = NULL;
	if (!wrong) {
		wrong = !cmd_output_begin(&out)		? errno
			: !write_lines(out.file, sites) ? ENOMEM
							: 0;
		end = cmd_output_end(&out, !wrong);
		wrong = wrong ? wrong : end;
	}
	if (wrong && asprintf(error, "cannot write %s: %s", path, strerror(wrong)) < 0)
		*error = NULL;
	return !wrong;
}

void baseline_free(struct baseline *b)
{
	free(b->ids);
	free(b->seen);
	*b = (struct baseline){ 0 };
}
