/* SPDX-License-Identifier: MIT */
/*
 * expect.c - see expect.h.
 */
#include "expect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(f);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, f) > 0);
	fclose(f);
	return text;
}

static unsigned line_of_mark(const char *text, const char *mark)
{
	char comment[80];
	const char *at;
	unsigned line = 1;

	snprintf(comment, sizeof comment, "/* @%s */", mark);
	at = strstr(text, comment);
	if (!at)
		fail_msg("there is no mark %s", mark);
	for (; at > text; at--)
		line += at[-1] == '\n';
	return line;
}

static void add_stack(struct expectation *e, const char *line)
{
	struct expected_stack *s = &e->stacks[e->n++];
	size_t len;

	assert_true(e->n <= MAX_STACKS);
	assert_int_equal(sscanf(line, " * stack %u %63[^\n]", &s->count, s->state), 2);
	len = strlen(s->state);
	if (len > 10 && strcmp(s->state + len - 10, " truncated") == 0) {
		s->state[len - 10] = '\0';
		s->truncated = true;
	}
}

static void add_frame(struct expectation *e, const char *line, const char *text)
{
	struct expected_stack *s = &e->stacks[e->n - 1];
	struct expected_frame *f = &s->frames[s->n++];
	char mark[64], plus = 0;

	assert_true(s->n <= MAX_FRAMES);
	f->times = 1;
	assert_true(sscanf(line, " * %63s @%63s *%u%c", f->function, mark, &f->times, &plus) >= 2);
	f->at_least = plus == '+';
	f->line = line_of_mark(text, mark);
}

void expect_read(struct expectation *e, const char *source)
{
	char *text = read_file(source), *copy = strdup(text), *line, *save;
	const char *slash = strrchr(source, '/');

	assert_non_null(copy);
	memset(e, 0, sizeof *e);
	e->file = strdup(slash ? slash + 1 : source);
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "#include"))
			break;
		if (strncmp(line, " * stack ", 9) == 0)
			add_stack(e, line);
		else if (strncmp(line, " *\t", 3) == 0 && e->n)
			add_frame(e, line, text);
	}
	assert_true(e->n > 0);
	free(copy);
	free(text);
}

void expect_free(struct expectation *e)
{
	free(e->file);
}
