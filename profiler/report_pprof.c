/* SPDX-License-Identifier: MIT */
/*
 * report_pprof.c - pprof's format: protobuf (see pprof.proto), compressed by zlib.
 *
 * pprof knows labels, so what the text formats put on top of a stack (what a goroutine waits for)
 * is a label here: state, beside spawn, goroutine, thread and the program's own labels.
 */
#include "report_profile.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "pprof.pb-c.h"
#include "report.h"

/* Protobuf wants arrays of pointers; everything lives until the end in one chain. */
struct chunk {
	struct chunk *next;
	max_align_t bytes[];
};

struct pointers {
	void **v;
	size_t n, cap;
};

/* A string or a function that was given a number; in a tree of search.h. */
struct numbered {
	const char *name, *file;
	uint64_t number;
};

struct writer {
	const struct profile *p;
	struct goro_scope *scope;
	struct chunk *chunks;
	struct pointers strings, functions, locations, samples, mappings;
	void *string_tree, *function_tree;
	uint64_t *shown_id, *all_id; /* of locations; 0: not written yet */
	bool no_memory;
};

/* ---- memory ---------------------------------------------------------------------------------- */

static void *get(struct writer *w, size_t size)
{
	struct chunk *c = calloc(1, sizeof *c + size);

	if (!c) {
		w->no_memory = true;
		return NULL;
	}
	c->next = w->chunks;
	w->chunks = c;
	return c->bytes;
}

static void push(struct writer *w, struct pointers *list, void *pointer)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 64;
		void **v = realloc(list->v, cap * sizeof *v);

		if (!v) {
			w->no_memory = true;
			return;
		}
		list->v = v;
		list->cap = cap;
	}
	list->v[list->n++] = pointer;
}

static int by_name(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int names = strcmp(x->name, y->name);

	return names ? names : strcmp(x->file, y->file);
}

/* Find or add; *is_new tells which. */
static struct numbered *number(struct writer *w, void **tree, const char *name, const char *file,
			       bool *is_new)
{
	struct numbered key = { name, file, 0 }, *made;
	struct numbered **found = tfind(&key, tree, by_name);

	*is_new = !found;
	if (found)
		return *found;
	made = get(w, sizeof *made);
	if (!made)
		return NULL;
	*made = key;
	if (!tsearch(made, tree, by_name))
		w->no_memory = true;
	return made;
}

/* The strings of protocol buffers are UTF-8; readers refuse all of a file that has others. */
static const char *clean(struct writer *w, const char *text)
{
	const char *at = text ? text : "";
	size_t n, len;
	char *copy;

	while (*at && (n = report_utf8_length(at)))
		at += n;
	if (!*at)
		return text ? text : "";
	len = strlen(text) + 1;
	copy = get(w, len);
	if (!copy)
		return "";
	memcpy(copy, text, len);
	report_clean(copy);
	return copy;
}

static int64_t string(struct writer *w, const char *text)
{
	bool is_new;
	struct numbered *s = number(w, &w->string_tree, clean(w, text), "", &is_new);

	if (s && is_new) {
		size_t len = strlen(s->name) + 1;
		char *copy = get(w, len);

		if (!copy)
			return 0;
		memcpy(copy, s->name, len);
		s->name = copy;
		s->number = w->strings.n;
		push(w, &w->strings, copy);
	}
	return s ? (int64_t)s->number : 0;
}

/* ---- functions, locations, mappings ---------------------------------------------------------- */

static uint64_t function(struct writer *w, const char *name, const char *file)
{
	bool is_new;
	struct numbered *f;
	Pprof__Function *message;

	name = clean(w, name);
	file = clean(w, file);
	f = number(w, &w->function_tree, name, file, &is_new);
	if (!f || !is_new)
		return f ? f->number : 0;
	message = get(w, sizeof *message);
	if (!message)
		return 0;
	pprof__function__init(message);
	message->id = f->number = w->functions.n + 1;
	message->name = message->system_name = string(w, name);
	message->filename = string(w, file);
	/* The tree's strings must stay. */
	f->name = w->strings.v[message->name];
	f->file = w->strings.v[message->filename];
	push(w, &w->functions, message);
	return message->id;
}

static Pprof__Line *line(struct writer *w, const char *name, const char *file, uint32_t number)
{
	Pprof__Line *message = get(w, sizeof *message);

	if (message) {
		pprof__line__init(message);
		message->function_id = function(w, name, file);
		message->line = number;
	}
	return message;
}

static uint64_t location(struct writer *w, const struct profile_location *l,
			 const struct goro_frame *frames, size_t n)
{
	Pprof__Location *message = get(w, sizeof *message);
	Pprof__Line **lines = get(w, (n + 1) * sizeof(Pprof__Line *));

	if (!message || !lines)
		return 0;
	pprof__location__init(message);
	message->id = w->locations.n + 1;
	message->line = lines;
	if (l->pc) {
		message->address = l->pc - 1;
		message->mapping_id = l->mapping < 0 ? 0 : (uint64_t)l->mapping + 1;
		/* One without a name is left to pprof, which shows its address. */
		for (size_t i = 0; i < n; i++) {
			const char *name = frames[i].function;

			if (!name && frames[i].module && *frames[i].module == '[')
				name = frames[i].module; /* [vdso] */
			if (name)
				lines[message->n_line++] =
					line(w, name, frames[i].file, frames[i].line);
		}
	} else {
		lines[message->n_line++] = line(w, l->word, NULL, 0);
	}
	push(w, &w->locations, message);
	return message->id;
}

static void add_mappings(struct writer *w)
{
	for (size_t i = 0; i < w->p->nmappings; i++) {
		const struct profile_mapping *m = &w->p->mappings[i];
		Pprof__Mapping *message = get(w, sizeof *message);

		if (!message)
			return;
		pprof__mapping__init(message);
		message->id = i + 1;
		message->memory_start = m->lo;
		message->memory_limit = m->hi;
		message->file_offset = m->offset;
		message->filename = string(w, m->path);
		message->build_id = string(w, m->build_id);
		message->has_functions = message->has_filenames = message->has_line_numbers =
			message->has_inline_frames = true;
		push(w, &w->mappings, message);
	}
}

/* ---- samples --------------------------------------------------------------------------------- */

struct labels {
	Pprof__Label *v[32];
	size_t n;
};

static void label(struct writer *w, struct labels *l, const char *key, const char *str,
		  uint64_t num)
{
	Pprof__Label *message = get(w, sizeof *message);

	if (!message || l->n == sizeof l->v / sizeof *l->v)
		return;
	pprof__label__init(message);
	message->key = string(w, key);
	if (str)
		message->str = string(w, str);
	else
		message->num = (int64_t)num;
	l->v[l->n++] = message;
}

/* The program's own: lines of key=value. */
static void own_labels(struct writer *w, struct labels *l, const char *text)
{
	char copy[1024], *save = NULL;

	snprintf(copy, sizeof copy, "%s", text);
	for (char *p = strtok_r(copy, "\n", &save); p; p = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(p, '=');

		if (!value)
			continue;
		*value++ = '\0';
		label(w, l, p, value, 0);
	}
}

static void add_labels(struct writer *w, Pprof__Sample *message, const struct profile_key *key)
{
	struct labels l = { 0 };
	char spawn[512];

	if (key->goroutine)
		label(w, &l, "goroutine", NULL, key->goroutine);
	if (key->tid)
		label(w, &l, "thread", NULL, key->tid);
	if (key->state)
		label(w, &l, "state", key->state, 0);
	if (profile_spawn_name(spawn, sizeof spawn, w->scope, key->spawn_pc))
		label(w, &l, "spawn", spawn, 0);
	if (key->labels)
		own_labels(w, &l, key->labels);
	message->label = get(w, (l.n + 1) * sizeof *message->label);
	if (!message->label)
		return;
	memcpy(message->label, l.v, l.n * sizeof *l.v);
	message->n_label = l.n;
}

static void add_sample(struct writer *w, const struct profile_sample *s)
{
	const struct profile_stack *stack = &w->p->stacks[s->key.stack];
	const unsigned ntypes = profile_kinds[w->p->kind].ntypes;
	Pprof__Sample *message = get(w, sizeof *message);

	if (!message)
		return;
	pprof__sample__init(message);
	message->location_id = get(w, (stack->n + 1) * sizeof *message->location_id);
	message->value = get(w, ntypes * sizeof *message->value);
	if (!message->location_id || !message->value)
		return;
	for (uint32_t i = 0; i < stack->n; i++) {
		uint32_t at = w->p->places[stack->first + i];
		const struct profile_location *l = &w->p->locations[at];
		uint64_t *id = stack->bare ? &w->all_id[at] : &w->shown_id[at];
		size_t n;
		const struct goro_frame *frames = profile_shown(stack, l, &n);

		if (l->pc && !n)
			continue;
		if (!*id)
			*id = location(w, l, frames, n);
		message->location_id[message->n_location_id++] = *id;
	}
	for (message->n_value = 0; message->n_value < ntypes; message->n_value++)
		message->value[message->n_value] = (int64_t)s->values[message->n_value];
	add_labels(w, message, &s->key);
	push(w, &w->samples, message);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static Pprof__ValueType *value_type(struct writer *w, const struct profile_type *t)
{
	Pprof__ValueType *message = get(w, sizeof *message);

	if (message) {
		pprof__value_type__init(message);
		message->type = string(w, t->type);
		message->unit = string(w, t->unit);
	}
	return message;
}

static size_t comments(struct writer *w, int64_t ret[4])
{
	char text[256];
	size_t n = 0;

	if (w->p->how) {
		snprintf(text, sizeof text, "sampled by %s", w->p->how);
		ret[n++] = string(w, text);
	}
	if (w->p->missed) {
		snprintf(text, sizeof text, "%" PRIu64 " samples were missed", w->p->missed);
		ret[n++] = string(w, text);
	}
	if (w->p->truncated) {
		snprintf(text, sizeof text, "%" PRIu64 " stacks do not reach their end",
			 w->p->truncated);
		ret[n++] = string(w, text);
	}
	if (w->p->note)
		ret[n++] = string(w, w->p->note);
	return n;
}

/* 31: the widest window, and a gzip header. */
static bool put_compressed(FILE *out, const uint8_t *bytes, size_t n)
{
	uint8_t buffer[16384];
	z_stream z = { .next_in = (uint8_t *)bytes };
	int status;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	do {
		const size_t done = (size_t)(z.next_in - bytes);

		z.avail_in = n - done < (1u << 30) ? (unsigned)(n - done) : 1u << 30;
		z.next_out = buffer;
		z.avail_out = sizeof buffer;
		status = deflate(&z, done + z.avail_in == n ? Z_FINISH : Z_NO_FLUSH);
		fwrite(buffer, 1, sizeof buffer - z.avail_out, out);
	} while (status == Z_OK);
	deflateEnd(&z);
	return status == Z_STREAM_END;
}

static bool put(FILE *out, struct writer *w)
{
	const struct profile *p = w->p;
	const struct profile_kind_info *kind = &profile_kinds[p->kind];
	Pprof__ValueType *types[PROFILE_VALUES];
	Pprof__Profile message = PPROF__PROFILE__INIT;
	int64_t comment[4];
	uint8_t *bytes;
	size_t size;
	bool ok;

	for (unsigned i = 0; i < kind->ntypes; i++)
		types[i] = value_type(w, &kind->types[i]);
	message.sample_type = types;
	message.n_sample_type = kind->ntypes;
	message.period_type = types[kind->shown];
	message.period = p->hz && !strcmp(kind->types[kind->shown].unit, "nanoseconds")
				 ? 1000000000 / p->hz
				 : 1;
	message.default_sample_type = string(w, kind->types[kind->shown].type);
	message.time_nanos = p->wall_begin;
	message.duration_nanos = p->end - p->begin;
	message.comment = comment;
	message.n_comment = comments(w, comment);
	message.sample = (Pprof__Sample **)w->samples.v;
	message.n_sample = w->samples.n;
	message.mapping = (Pprof__Mapping **)w->mappings.v;
	message.n_mapping = w->mappings.n;
	message.location = (Pprof__Location **)w->locations.v;
	message.n_location = w->locations.n;
	message.function = (Pprof__Function **)w->functions.v;
	message.n_function = w->functions.n;
	message.string_table = (char **)w->strings.v;
	message.n_string_table = w->strings.n;
	if (w->no_memory)
		return false;
	size = pprof__profile__get_packed_size(&message);
	bytes = malloc(size + 1);
	ok = bytes != NULL;
	if (ok) {
		pprof__profile__pack(&message, bytes);
		ok = put_compressed(out, bytes, size);
	}
	free(bytes);
	return ok;
}

static void leave(void *node)
{
	(void)node; /* in the chain */
}

bool report_pprof(FILE *out, struct goro_scope *scope, const struct profile *p)
{
	struct writer w = { .p = p, .scope = scope };
	bool ok;

	w.shown_id = calloc(p->nlocations + 1, sizeof *w.shown_id);
	w.all_id = calloc(p->nlocations + 1, sizeof *w.all_id);
	ok = w.shown_id && w.all_id;
	if (ok) {
		string(&w, "");
		add_mappings(&w);
		for (size_t i = 0; i < p->nsamples && !w.no_memory; i++)
			add_sample(&w, &p->samples[i]);
		ok = put(out, &w);
	}
	tdestroy(w.string_tree, leave);
	tdestroy(w.function_tree, leave);
	for (struct chunk *c = w.chunks, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	free(w.strings.v);
	free(w.functions.v);
	free(w.locations.v);
	free(w.samples.v);
	free(w.mappings.v);
	free(w.shown_id);
	free(w.all_id);
	return ok;
}
