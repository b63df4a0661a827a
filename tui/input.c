/* SPDX-License-Identifier: MIT */
/* input.c - edit a line; check a filter and move to a hit while it is typed. */
#include "input.h"
#include "keys.h"
#include "util.h"

#include <stdlib.h>
#include <string.h>

void input_open(struct model *m, int kind)
{
	struct input *in = &m->input;

	memset(in, 0, sizeof(*in));
	in->kind = kind;
	if (kind == INPUT_FILTER && m->filter)
		snprintf(in->text, sizeof(in->text), "%s", goro_filter_source(m->filter));
	in->len = in->at = strlen(in->text);
}

static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static void erase(struct input *in, size_t from, size_t to)
{
	memmove(in->text + from, in->text + to, in->len - to + 1);
	in->len -= to - from;
	in->at = from;
}

static size_t before(const struct input *in)
{
	size_t i = in->at;

	while (i && continues(in->text[--i]))
		;
	return i;
}

static size_t after(const struct input *in)
{
	size_t i = in->at;

	if (i < in->len)
		i++;
	while (i < in->len && continues(in->text[i]))
		i++;
	return i;
}

static void insert(struct input *in, int key)
{
	char utf8[5];
	size_t n = 0;
	unsigned c = (unsigned)key;

	if (c < 0x80) {
		utf8[n++] = (char)c;
	} else if (c < 0x800) {
		utf8[n++] = (char)(0xc0 | c >> 6);
		utf8[n++] = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		utf8[n++] = (char)(0xe0 | c >> 12);
		utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		utf8[n++] = (char)(0x80 | (c & 0x3f));
	} else {
		utf8[n++] = (char)(0xf0 | c >> 18);
		utf8[n++] = (char)(0x80 | (c >> 12 & 0x3f));
		utf8[n++] = (char)(0x80 | (c >> 6 & 0x3f));
		utf8[n++] = (char)(0x80 | (c & 0x3f));
	}
	if (in->len + n >= sizeof(in->text))
		return;
	memmove(in->text + in->at + n, in->text + in->at, in->len - in->at + 1);
	memcpy(in->text + in->at, utf8, n);
	in->len += n;
	in->at += n;
}

/* What is there so far: is it right, and where does it lead? */
static void check(struct model *m)
{
	struct input *in = &m->input;
	struct goro_filter *f;

	in->error[0] = '\0';
	if (in->kind == INPUT_FILTER && in->len) {
		f = goro_filter_parse(in->text, in->error, sizeof(in->error));
		goro_filter_free(f);
	} else if (in->kind == INPUT_SEARCH && in->len) {
		struct table *t = model_table(m);

		snprintf(m->search, sizeof(m->search), "%.127s", in->text);
		if (!model_search(m, t ? t->selected : 0, 1))
			snprintf(in->error, sizeof(in->error), "no row has this");
	}
}

void input_key(struct model *m, int key)
{
	struct input *in = &m->input;

	switch (key) {
	case KEY_ESC_:
		in->kind = INPUT_NONE;
		return;
	case KEY_BACKSPACE_:
		if (!in->len) {
			in->kind = INPUT_NONE;
			return;
		}
		erase(in, before(in), in->at);
		break;
	case KEY_DELETE_:
		erase(in, in->at, after(in));
		break;
	case KEY_CTRL('U'):
		erase(in, 0, in->at);
		break;
	case KEY_LEFT_:
		in->at = before(in);
		return;
	case KEY_RIGHT_:
		in->at = after(in);
		return;
	case KEY_HOME_:
	case KEY_CTRL('A'):
		in->at = 0;
		return;
	case KEY_END_:
	case KEY_CTRL('E'):
		in->at = in->len;
		return;
	default:
		if (key < ' ' || key >= KEY_SPECIAL || key == 127)
			return;
		insert(in, key);
	}
	check(m);
}

static enum input_result enter_id(struct model *m, uint64_t *id)
{
	struct input *in = &m->input;
	const char *p = in->text + (in->text[0] == 'g');
	char digits[32];
	size_t n = 0;
	struct goro_info room;
	char *end;

	for (; *p && n + 1 < sizeof(digits); p++)
		if (*p != ',')
			digits[n++] = *p;
	digits[n] = '\0';
	*id = strtoull(digits, &end, 10);
	if (!n || *end || digits[0] < '0' || digits[0] > '9') {
		snprintf(in->error, sizeof(in->error), "a goroutine id is a number");
		return INPUT_RESULT_NONE;
	}
	if (!model_goroutine(m, *id, &room)) {
		snprintf(in->error, sizeof(in->error), "there is no goroutine %.32s", digits);
		return INPUT_RESULT_NONE;
	}
	in->kind = INPUT_NONE;
	return INPUT_RESULT_GOTO;
}

enum input_result input_enter(struct model *m, uint64_t *id)
{
	struct input *in = &m->input;
	struct goro_filter *f = NULL;

	if (in->kind == INPUT_GOTO)
		return enter_id(m, id);
	if (in->kind == INPUT_FILTER) {
		if (in->text[strspn(in->text, " \t")]) {
			f = goro_filter_parse(in->text, in->error, sizeof(in->error));
			if (!f)
				return INPUT_RESULT_NONE;
		}
		model_set_filter(m, f);
	}
	in->kind = INPUT_NONE;
	return INPUT_RESULT_NONE;
}
