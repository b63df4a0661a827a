/* SPDX-License-Identifier: MIT */
/*
 * expr_parse.c - from text to a tree.
 *
 * Recursive descent over a text of at most MAX_TEXT bytes, into at most MAX_NODES nodes, at most
 * MAX_DEPTH deep. A bare word becomes one test for each of its three fields.
 *
 * Regular expressions are POSIX, which has two features that let a short text take all memory or
 * time: interval expressions a{1,255} and back-references. Both are refused.
 */
#include "expr_node.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define MAX_TEXT  1024
#define MAX_DEPTH 64

struct parser {
	struct goro_filter *f;
	const char *text, *p;
	int depth;
	char *err;
	size_t err_size;
	bool failed;
};

static struct node *fail(struct parser *ps, const char *at, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static struct node *fail(struct parser *ps, const char *at, const char *fmt, ...)
{
	char what[256];
	va_list ap;

	if (ps->failed)
		return NULL;
	ps->failed = true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(ps->err, ps->err_size, "column %d: %s", (int)(at - ps->text) + 1, what);
	return NULL;
}

static struct node *new_node(struct parser *ps, enum node_kind kind)
{
	if (ps->f->nnodes == MAX_NODES)
		return fail(ps, ps->p, "too long: more than %d terms", MAX_NODES);
	struct node *n = &ps->f->nodes[ps->f->nnodes++];
	n->kind = kind;
	return n;
}

static void skip_blanks(struct parser *ps)
{
	while (isspace((unsigned char)*ps->p))
		ps->p++;
}

static bool word_char(char c)
{
	return c && !isspace((unsigned char)c) && !strchr("()=!~<>\"", c);
}

/* Is the next token this keyword? Then eat it. */
static bool keyword(struct parser *ps, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(ps);
	if (strncasecmp(ps->p, word, n) != 0 || word_char(ps->p[n]))
		return false;
	/* "and=..." would be a field of that name; there is none, and the error says so. */
	ps->p += n;
	return true;
}

static bool quoted(struct parser *ps, char *buf, size_t size)
{
	const char *start = ps->p++;
	size_t n = 0;

	for (; *ps->p && *ps->p != '"'; ps->p++) {
		if (ps->p[0] == '\\' && ps->p[1] == '"')
			ps->p++;
		if (n + 1 >= size) {
			fail(ps, start, "text longer than %zu characters", size - 1);
			return false;
		}
		buf[n++] = *ps->p;
	}
	buf[n] = '\0';
	if (*ps->p != '"') {
		fail(ps, start, "the quote is not closed");
		return false;
	}
	ps->p++;
	return true;
}

/* A value after an operator: quoted, or up to a blank or an unbalanced parenthesis. */
static bool value(struct parser *ps, char *buf, size_t size)
{
	size_t n = 0;
	int open = 0;

	skip_blanks(ps);
	if (*ps->p == '"')
		return quoted(ps, buf, size);
	for (; *ps->p && !isspace((unsigned char)*ps->p); ps->p++) {
		if (*ps->p == '(')
			open++;
		if (*ps->p == ')' && open-- == 0)
			break;
		if (n + 1 >= size) {
			fail(ps, ps->p, "text longer than %zu characters", size - 1);
			return false;
		}
		buf[n++] = *ps->p;
	}
	buf[n] = '\0';
	if (n == 0)
		fail(ps, ps->p, "a value is missing");
	return n > 0;
}

static bool parse_op(struct parser *ps, enum op *op)
{
	static const struct {
		const char *text;
		enum op op;
	} ops[] = {
		{ "!=", OP_NE }, { "!~", OP_NOMATCH }, { ">=", OP_GE }, { "<=", OP_LE },
		{ "=", OP_EQ },	 { "~", OP_MATCH },    { ">", OP_GT },	{ "<", OP_LT },
	};

	skip_blanks(ps);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		size_t n = strlen(ops[i].text);

		if (strncmp(ps->p, ops[i].text, n) == 0) {
			ps->p += n;
			if (ops[i].op == OP_EQ && *ps->p == '=')
				ps->p++;
			*op = ops[i].op;
			return true;
		}
	}
	return false;
}

/* "5s" "1.5ms" "64K" "1,000" "leaked" as the field has it. */
static bool parse_number(struct parser *ps, const char *at, enum goro_info_field field,
			 const char *text, uint64_t *ret)
{
	static const struct {
		const char *unit;
		enum goro_field_kind kind;
		double scale;
	} units[] = {
		{ "ns", GORO_FIELD_DURATION, 1 },
		{ "us", GORO_FIELD_DURATION, 1e3 },
		{ "ms", GORO_FIELD_DURATION, 1e6 },
		{ "s", GORO_FIELD_DURATION, 1e9 },
		{ "m", GORO_FIELD_DURATION, 60e9 },
		{ "h", GORO_FIELD_DURATION, 3600e9 },
		{ "d", GORO_FIELD_DURATION, 86400e9 },
		{ "", GORO_FIELD_DURATION, 1e9 },
		{ "K", GORO_FIELD_SIZE, 1024.0 },
		{ "M", GORO_FIELD_SIZE, 1048576.0 },
		{ "G", GORO_FIELD_SIZE, 1073741824.0 },
		{ "B", GORO_FIELD_SIZE, 1 },
		{ "", GORO_FIELD_SIZE, 1 },
		{ "", GORO_FIELD_COUNT, 1 },
	};
	enum goro_field_kind kind = goro_fields[field].kind;
	char digits[64];
	size_t n = 0;
	char *end;

	if (kind == GORO_FIELD_VERDICT) {
		for (uint32_t i = 0; i <= GORO_VERDICT_LEAKED; i++)
			if (strcasecmp(text, goro_verdict_name(i)) == 0) {
				*ret = i;
				return true;
			}
		fail(ps, at, "verdict is one of ok suspect likely leaked, not '%.40s'", text);
		return false;
	}
	if (field == GORO_F_WORKER && (*text == 'W' || *text == 'w'))
		text++;
	while (n + 1 < sizeof(digits) && (isdigit((unsigned char)*text) || strchr(".,", *text)) &&
	       *text) {
		if (*text != ',')
			digits[n++] = *text;
		text++;
	}
	digits[n] = '\0';
	double number = strtod(digits, &end);
	for (size_t i = 0; n && !*end && i < ARRAY_LEN(units); i++) {
		if (units[i].kind != kind || strcasecmp(units[i].unit, text) != 0)
			continue;
		number *= units[i].scale;
		if (number < 1.8e19) {
			*ret = (uint64_t)number;
			return true;
		}
	}
	fail(ps, at, "%s needs a %s", goro_fields[field].name,
	     kind == GORO_FIELD_DURATION ? "time such as 300us, 5s, 2m or 1h"
	     : kind == GORO_FIELD_SIZE	 ? "size such as 512, 64K or 1M"
					 : "number");
	return false;
}

/* glibc copies what a + repeats, so of n in each other it makes 2^n; its time grows faster yet. */
#define MAX_PLUS 6

/* Without what takes regcomp() or regexec() for ever, or all memory. */
static bool is_tame(struct parser *ps, const char *at, const char *regex)
{
	bool bracket = false;
	int plus = 0;

	for (const char *p = regex; *p; p++) {
		if (*p == '\\' && !bracket) {
			p++;
			if (isdigit((unsigned char)*p))
				return fail(ps, at, "a back-reference such as \\%c is not allowed",
					    *p);
			if (!*p)
				break;
		} else if (*p == '[') {
			bracket = true;
		} else if (*p == ']') {
			bracket = false;
		} else if (*p == '{' && !bracket) {
			return fail(ps, at,
				    "{..} is not allowed in a regular expression; use * or +"
				    ", or \\{ for the character");
		} else if (*p == '+' && !bracket && ++plus > MAX_PLUS) {
			return fail(ps, at,
				    "more than %d + in a regular expression: use *, or \\+ for the "
				    "character",
				    MAX_PLUS);
		}
	}
	return true;
}

static struct node *compile(struct parser *ps, const char *at, struct node *n)
{
	char text[128];
	int rc;

	if (!is_tame(ps, at, n->value))
		return NULL;
	rc = regcomp(&n->regex, n->value, REG_EXTENDED | REG_ICASE | REG_NOSUB);
	if (rc) {
		regerror(rc, &n->regex, text, sizeof(text));
		return fail(ps, at, "bad regular expression '%.60s': %s", n->value, text);
	}
	n->has_regex = true;
	return n;
}

static struct node *range_test(struct parser *ps, struct node *n)
{
	char text[MAX_VALUE], *dots;
	const char *at;

	skip_blanks(ps);
	at = ps->p;
	if (goro_fields[n->field].kind == GORO_FIELD_TEXT)
		return fail(ps, at, "'in' needs a field that is a number, %s is text",
			    goro_fields[n->field].name);
	if (!value(ps, text, sizeof(text)))
		return NULL;
	dots = strstr(text, "..");
	if (!dots)
		return fail(ps, at, "'in' needs a range such as 1..100");
	*dots = '\0';
	n->op = OP_IN;
	if (!parse_number(ps, at, n->field, text, &n->number) ||
	    !parse_number(ps, at, n->field, dots + 2, &n->upto))
		return NULL;
	return n;
}

static struct node *field_test(struct parser *ps, struct node *n)
{
	const char *at;

	skip_blanks(ps);
	at = ps->p;
	if (!value(ps, n->value, sizeof(n->value)))
		return NULL;
	if (n->op == OP_MATCH || n->op == OP_NOMATCH)
		return compile(ps, at, n);
	if (goro_fields[n->field].kind == GORO_FIELD_TEXT) {
		if (n->op == OP_EQ || n->op == OP_NE)
			return n;
		return fail(ps, at, "%s is text: use = != ~ !~", goro_fields[n->field].name);
	}
	return parse_number(ps, at, n->field, n->value, &n->number) ? n : NULL;
}

static struct node *unknown_field(struct parser *ps, const char *at, const char *name)
{
	char list[160];
	size_t used = 0;

	for (int i = 0; i < GORO_NINFO_FIELDS; i++)
		used += (size_t)snprintf(list + used, sizeof(list) - used, " %s",
					 goro_fields[i].name);
	return fail(ps, at, "no field '%.40s'; there are:%s", name, list);
}

static struct node *join(struct parser *ps, enum node_kind kind, struct node *left,
			 struct node *right)
{
	struct node *n = right ? new_node(ps, kind) : NULL;

	if (!n)
		return NULL;
	n->left = left;
	n->right = right;
	return n;
}

static struct node *bare_word(struct parser *ps, struct node *n)
{
	static const enum goro_info_field others[] = { GORO_F_WHERE, GORO_F_STACK };
	struct node *all = n;

	n->op = OP_WORD;
	n->field = GORO_F_SPAWN;
	for (size_t i = 0; all && i < ARRAY_LEN(others); i++) {
		struct node *other = new_node(ps, NODE_TEST);

		if (!other)
			return NULL;
		*other = *n;
		other->field = others[i];
		all = join(ps, NODE_OR, all, other);
	}
	return all;
}

static struct node *test(struct parser *ps)
{
	struct node *n = new_node(ps, NODE_TEST);
	const char *at, *after;
	size_t len = 0;
	int field;

	if (!n)
		return NULL;
	skip_blanks(ps);
	at = ps->p;
	if (*ps->p == '"')
		return quoted(ps, n->value, sizeof(n->value)) ? bare_word(ps, n) : NULL;
	if (keyword(ps, "and") || keyword(ps, "or"))
		return fail(ps, at, "a condition is missing before this");
	while (word_char(ps->p[len]))
		len++;
	if (len == 0)
		return *at ? fail(ps, at, "'%c' does not belong here", *at)
			   : fail(ps, at, "a condition is missing");
	if (len >= sizeof(n->value))
		return fail(ps, at, "text longer than %zu characters", sizeof(n->value) - 1);
	memcpy(n->value, at, len);
	n->value[len] = '\0';
	ps->p += len;
	after = ps->p;
	for (field = 0; field < GORO_NINFO_FIELDS; field++)
		if (strcasecmp(goro_fields[field].name, n->value) == 0)
			break;
	if (field < GORO_NINFO_FIELDS && keyword(ps, "in")) {
		n->field = (enum goro_info_field)field;
		return range_test(ps, n);
	}
	if (!parse_op(ps, &n->op)) {
		ps->p = after;
		return bare_word(ps, n);
	}
	if (field == GORO_NINFO_FIELDS)
		return unknown_field(ps, at, n->value);
	n->field = (enum goro_info_field)field;
	return field_test(ps, n);
}

static struct node *parse_or(struct parser *ps);

static struct node *parse_not(struct parser *ps)
{
	struct node *n;
	const char *at;

	if (ps->depth > MAX_DEPTH)
		return fail(ps, ps->p, "nested deeper than %d", MAX_DEPTH);
	skip_blanks(ps);
	at = ps->p;
	if (*at == '(') {
		ps->p++;
		ps->depth++;
		n = parse_or(ps);
		ps->depth--;
		if (!n)
			return NULL;
		skip_blanks(ps);
		if (*ps->p != ')')
			return fail(ps, ps->p, "')' is missing for the '(' in column %d",
				    (int)(at - ps->text) + 1);
		ps->p++;
		return n;
	}
	if (*at == '!' || keyword(ps, "not")) {
		if (*at == '!')
			ps->p++;
		n = new_node(ps, NODE_NOT);
		if (!n)
			return NULL;
		ps->depth++;
		n->left = parse_not(ps);
		ps->depth--;
		return n->left ? n : NULL;
	}
	return test(ps);
}

static struct node *parse_and(struct parser *ps)
{
	struct node *n = parse_not(ps);

	while (n) {
		const char *at;

		skip_blanks(ps);
		at = ps->p;
		if (!*at || *at == ')')
			break;
		if (keyword(ps, "or")) {
			ps->p = at;
			break;
		}
		keyword(ps, "and");
		n = join(ps, NODE_AND, n, parse_not(ps));
	}
	return n;
}

static struct node *parse_or(struct parser *ps)
{
	struct node *n = parse_and(ps);

	while (n && keyword(ps, "or"))
		n = join(ps, NODE_OR, n, parse_and(ps));
	return n;
}

struct goro_filter *goro_filter_parse(const char *text, char *err, size_t size)
{
	struct parser ps = { .text = text, .p = text, .err = err, .err_size = size };

	err[0] = '\0';
	if (strlen(text) > MAX_TEXT) {
		snprintf(err, size, "longer than %d characters", MAX_TEXT);
		return NULL;
	}
	ps.f = calloc(1, sizeof(*ps.f));
	if (ps.f)
		ps.f->source = strdup(text);
	if (!ps.f || !ps.f->source) {
		goro_filter_free(ps.f);
		snprintf(err, size, "out of memory");
		return NULL;
	}
	ps.f->root = parse_or(&ps);
	if (!ps.failed) {
		skip_blanks(&ps);
		if (*ps.p)
			fail(&ps, ps.p, "'%c' does not belong here", *ps.p);
	}
	if (ps.failed) {
		goro_filter_free(ps.f);
		return NULL;
	}
	return ps.f;
}

void goro_filter_free(struct goro_filter *f)
{
	if (!f)
		return;
	for (size_t i = 0; i < f->nnodes; i++)
		if (f->nodes[i].has_regex)
			regfree(&f->nodes[i].regex);
	free(f->source);
	free(f);
}

const char *goro_filter_source(const struct goro_filter *f)
{
	return f->source;
}
