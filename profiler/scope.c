/* SPDX-License-Identifier: MIT */
/*
 * scope.c - one look into one target: open, snapshot, names.
 */
#include "proof.h"
#include "proved.h"
#include "scope.h"
#include "spawns.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "record.h"

static int64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* "process 12 (name)" or "core file PATH (name)"; NULL: out of memory. */
static char *label(const struct target *t)
{
	const char *name = t->name ? t->name : "?";
	char *text;
	int len = t->file ? asprintf(&text, "core file %s (%s)", t->file, name)
			  : asprintf(&text, "process %d (%s)", t->pid, name);

	return len < 0 ? NULL : text;
}

/* An error that does not say whose it is gets the target in front. */
static struct goro_error *name_target(struct goro_error *err, const struct target *t)
{
	char *message, *whose;

	if (!err || err == &goro_enomem || strncmp(err->message, "its ", 4) != 0)
		return err;
	whose = label(t);
	if (whose && asprintf(&message, "%s: %s", whose, err->message) >= 0) {
		free(err->message);
		err->message = message;
	}
	free(whose);
	return err;
}

static struct goro_error *no_runtime(const struct target *t)
{
	char *whose = label(t);
	struct goro_error *err = goro_error_new(GORO_UNSUPPORTED, "%s has no goro runtime",
						whose ? whose : "the target");

	free(whose);
	if (t->file)
		return goro_error_hint(err, "goro looks into core files of programs that are "
					    "linked with libgoro; the program and its libraries "
					    "must be where they were");
	return goro_error_hint(err, "goro looks into programs that are linked with libgoro; see "
				    "them with: goro ps");
}

/* What a core file lacks may be in a file that is not there any more: say which. */
static struct goro_error *name_missing_file(struct goro_error *err, const struct modules *ms)
{
	for (size_t i = 0; i < ms->n && err != &goro_enomem; i++) {
		const struct module *m = ms->v[i];

		if (m->no_file == ESTALE)
			return goro_error_hint(err, "%s is not the file that ran", m->path);
		if (m->no_file)
			return goro_error_hint(err, "%s: %s", m->path, strerror(m->no_file));
	}
	return err;
}

static struct goro_error *find_reader(struct goro_scope *scope)
{
	struct target *t = scope->target;
	struct goro_error *err = modules_refresh(&scope->modules, t);
	struct target_usage usage;

	if (!err)
		err = reader_goro.probe(t, &scope->modules, &scope->reader);
	/* It may have been taken from us while we searched. */
	if (!err && !scope->reader)
		err = t->ops->usage ? t->ops->usage(t, &usage) : NULL;
	if (!err && !scope->reader)
		err = no_runtime(t);
	if (err && t->file)
		err = name_missing_file(err, &scope->modules);
	return name_target(err, t);
}

struct goro_error *goro_scope_open_target(struct goro_scope **ret, struct target *target)
{
	struct goro_scope *scope = calloc(1, sizeof *scope);
	struct goro_error *err;

	if (!scope) {
		target->ops->close(target);
		return &goro_enomem;
	}
	pthread_mutex_init(&scope->lock, NULL);
	scope->target = target;
	err = find_reader(scope);
	if (!err) {
		scope->unwinder = unwinder_new(target, &scope->modules);
		scope->symbolizer = symbolizer_new(&scope->modules, scope->reader->runtime_pc);
		if (!scope->unwinder || !scope->symbolizer)
			err = &goro_enomem;
		else
			symbolizer_runtime_text(scope->symbolizer, scope->reader->runtime_text,
						scope->reader->nruntime_text);
	}
	if (err) {
		goro_scope_close(scope);
		return err;
	}
	*ret = scope;
	return NULL;
}

struct goro_error *goro_scope_open_pid(struct goro_scope **ret, int pid)
{
	struct target *target;
	struct goro_error *err = target_open_process(&target, pid);

	return err ? err : goro_scope_open_target(ret, target);
}

static struct goro_error *find_by_name(const char *name, int *pid)
{
	struct target_process_info *v;
	char pids[128] = "";
	size_t n, found = 0, len = 0;
	struct goro_error *err = target_list_processes(&v, &n);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (!v[i].name || strcmp(v[i].name, name) != 0)
			continue;
		*pid = v[i].pid;
		if (found++ < 8)
			len += (size_t)snprintf(pids + len, sizeof pids - len, " %d", v[i].pid);
	}
	target_list_free(v, n);
	if (found == 1)
		return NULL;
	if (found == 0)
		return goro_error_hint(
			goro_error_new(GORO_NO_TARGET,
				       *name && !access(name, F_OK)
					       ? "there is no process named '%s', and the file is "
						 "neither a core file nor a recording"
					       : "there is no process and no file named '%s'",
				       name),
			"see those that can be looked into with: goro ps");
	return goro_error_hint(goro_error_new(GORO_USAGE, "%zu processes are named '%s':%s%s",
					      found, name, pids, found > 8 ? " ..." : ""),
			       "give the process id instead");
}

/* What a file is by its first bytes; the descriptor is the caller's. */
enum content { CONTENT_OTHER, CONTENT_CORE, CONTENT_RECORDING };

static enum content look_into(int fd)
{
	Elf64_Ehdr eh;
	ssize_t n = pread(fd, &eh, sizeof eh, 0);

	if (n > 0 && record_is(&eh, (size_t)n))
		return CONTENT_RECORDING;
	if (n == (ssize_t)sizeof eh && memcmp(eh.e_ident, ELFMAG, SELFMAG) == 0 &&
	    eh.e_type == ET_CORE)
		return CONTENT_CORE;
	return CONTENT_OTHER;
}

/* *fd -1: there is no such file, or none that we read. */
static struct goro_error *open_file(const char *path, int *ret, enum content *content)
{
	bool must = strchr(path, '/') != NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	*ret = -1;
	if (fd < 0 && must)
		return goro_error_new(errno == EACCES ? GORO_PERMISSION : GORO_NO_TARGET,
				      "cannot open %s: %s", path, strerror(errno));
	if (fd < 0)
		return NULL;
	*content = fstat(fd, &st) || !S_ISREG(st.st_mode) ? CONTENT_OTHER : look_into(fd);
	if (*content != CONTENT_OTHER) {
		*ret = fd;
		return NULL;
	}
	close(fd);
	if (!must)
		return NULL;
	return goro_error_hint(
		goro_error_new(GORO_UNSUPPORTED, "%s is neither a core file nor a recording", path),
		"for a process give its id or its name without directories");
}

static struct goro_error *open_recording(struct goro_scope **ret, int fd, const char *path)
{
	struct goro_scope *scope = calloc(1, sizeof *scope);
	struct goro_error *err;

	if (!scope) {
		close(fd);
		return &goro_enomem;
	}
	pthread_mutex_init(&scope->lock, NULL);
	err = record_open(&scope->record, fd, path);
	if (!err) {
		scope->tick = record_ticks(scope->record) - 1;
		scope->symbolizer = symbolizer_new_told();
		err = scope->symbolizer ? NULL : &goro_enomem;
	}
	if (err) {
		goro_scope_close(scope);
		return err;
	}
	*ret = scope;
	return NULL;
}

static struct goro_error *open_content(struct goro_scope **ret, int fd, enum content content,
				       const char *path)
{
	struct target *target;
	struct goro_error *err;

	if (content == CONTENT_RECORDING)
		return open_recording(ret, fd, path);
	err = target_open_core(&target, fd, path);
	return err ? err : goro_scope_open_target(ret, target);
}

struct goro_error *goro_scope_open(struct goro_scope **ret, const char *target)
{
	enum content content;
	struct goro_error *err;
	char *end;
	long pid;
	int found = 0, fd;

	if (isdigit((unsigned char)target[0])) {
		pid = strtol(target, &end, 10);
		if (*end == '\0') {
			if (pid <= 0 || pid > INT32_MAX)
				return goro_error_new(GORO_NO_TARGET, "there is no process %s",
						      target);
			return goro_scope_open_pid(ret, (int)pid);
		}
	}
	err = open_file(target, &fd, &content);
	if (!err && fd >= 0)
		return open_content(ret, fd, content, target);
	if (!err)
		err = find_by_name(target, &found);
	return err ? err : goro_scope_open_pid(ret, found);
}

void goro_scope_close(struct goro_scope *scope)
{
	if (!scope)
		return;
	proof_forget(scope->begun);
	proof_end_rest(scope);
	if (scope->memory)
		scope->memory_free(scope->memory);
	proved_free(scope->proved);
	spawns_free(scope->spawns);
	if (scope->reader)
		scope->reader->ops->close(scope->reader);
	unwinder_free(scope->unwinder);
	symbolizer_free(scope->symbolizer);
	modules_free(&scope->modules);
	if (scope->target)
		scope->target->ops->close(scope->target);
	record_close(scope->record);
	pthread_mutex_destroy(&scope->lock);
	free(scope);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

struct goro_error *scope_read(struct goro_scope *scope, struct target *t,
			      struct goro_snapshot **ret)
{
	struct snapshot_builder b;
	struct goro_error *err;

	if (!snapshot_begin(&b, scope->unwinder))
		return &goro_enomem;
	b.summarize = scope->summarize;
	b.members = scope->members;
	b.objects = scope->members && scope->objects;
	b.thrifty = scope->thrifty;
	b.confirm = scope->confirm;
	b.proved = scope->proved;
	b.single_out = scope->single_out;
	err = scope->reader->ops->read(scope->reader, t, &b);
	scope->many = b.thrifty && b.summarize;
	if (err) {
		snapshot_abandon(&b);
		return name_target(err, scope->target);
	}
	*ret = snapshot_freeze(&b);
	return *ret ? NULL : &goro_enomem;
}

static struct goro_error *read_once(struct goro_scope *scope, struct goro_snapshot **ret)
{
	/* A look says anew which memory is cold. Only of a first one others may read meanwhile. */
	if (scope->target->absent.n)
		proof_wait(scope->begun);
	return scope_read(scope, scope->target, ret);
}

/*
 * A return address in no known module: libraries may have come since the map was read. Look, and
 * read once more if so.
 */
static struct goro_error *reread_if_modules_changed(struct goro_scope *scope,
						    struct goro_snapshot **snap)
{
	unsigned generation = scope->modules.generation;
	size_t ntext = scope->modules.ntext;
	struct goro_error *err = modules_refresh(&scope->modules, scope->target);

	unwinder_modules_changed(scope->unwinder);
	if (err || (generation == scope->modules.generation && ntext == scope->modules.ntext))
		return err;
	goro_snapshot_free(*snap);
	*snap = NULL;
	return read_once(scope, snap);
}

/* The program may have replaced itself by exec since the last time. */
static struct goro_error *read_after_exec(struct goro_scope *scope, struct goro_snapshot **snap)
{
	struct goro_error *err;

	proof_forget(scope->begun);
	scope->begun = NULL;
	if (scope->reader)
		scope->reader->ops->close(scope->reader);
	scope->reader = NULL;
	if (scope->target->ops->renew)
		scope->target->ops->renew(scope->target);
	err = find_reader(scope);
	unwinder_modules_changed(scope->unwinder);
	return err ? err : read_once(scope, snap);
}

static struct goro_error *take(struct goro_scope *scope, struct goro_snapshot **ret)
{
	struct target *t = scope->target;
	int64_t start = clock_ns(CLOCK_MONOTONIC);
	uint64_t bytes = __atomic_load_n(&t->bytes_read, __ATOMIC_RELAXED);
	size_t unknown = unwinder_unknown(scope->unwinder);
	struct target_usage usage = { 0 };
	struct goro_snapshot *snap = NULL;
	struct goro_error *err = t->ops->usage(t, &usage);

	/* Of very many most names are known by now, and the room is
	 * wanted for two looks at them. */
	if (scope->many)
		symbolizer_close_files(scope->symbolizer);
	if (!err)
		err = scope->reader ? read_once(scope, &snap) : read_after_exec(scope, &snap);
	/* Through /proc/PID/mem the memory of the program before has
	 * just gone, as if it had ended. */
	if (err && (err->code == GORO_UNSUPPORTED || err->code == GORO_NO_TARGET) &&
	    scope->reader) {
		goro_error_free(err);
		err = read_after_exec(scope, &snap);
	}
	if (!err && unwinder_unknown(scope->unwinder) > unknown)
		err = reread_if_modules_changed(scope, &snap);
	if (err || !snap) {
		goro_snapshot_free(snap);
		return err ? err : &goro_enomem;
	}
	snap->pid = t->pid;
	snap->name = strdup(t->name ? t->name : "?");
	snap->runtime = strdup(scope->reader->runtime);
	snap->source = t->file ? GORO_CORE : GORO_LIVE;
	snap->file = t->file ? strdup(t->file) : NULL;
	snap->cut = t->cut;
	snap->crash.signal = t->crash.signal;
	snap->crash.tid = t->crash.tid;
	snap->crash.address = t->crash.address;
	snap->wall_time = t->file ? t->time : clock_ns(CLOCK_REALTIME);
	snap->rss = usage.rss;
	snap->cpu_ns = usage.cpu_ns;
	snap->stopped = usage.stopped;
	snap->cpu = !t->file && scope->last_time && start > scope->last_time
			    ? (double)(usage.cpu_ns - scope->last_cpu_ns) /
				      (double)(start - scope->last_time)
			    : -1;
	scope->last_time = start;
	scope->last_cpu_ns = usage.cpu_ns;
	snap->bytes_read = __atomic_load_n(&t->bytes_read, __ATOMIC_RELAXED) - bytes;
	snap->cost_ns = clock_ns(CLOCK_MONOTONIC) - start;
	if (!snap->name || !snap->runtime || (t->file && !snap->file)) {
		goro_snapshot_free(snap);
		return &goro_enomem;
	}
	*ret = snap;
	return NULL;
}

/* The tick where it stands, or, unless it was chosen, the last before it that can be read. */
static struct goro_error *take_tick(struct goro_scope *scope, struct goro_snapshot **ret)
{
	struct record *r = scope->record;
	struct goro_error *err = record_snapshot(r, scope->tick, scope->symbolizer, ret);

	while (err && !scope->chosen && scope->tick && record_is_bad(r, scope->tick)) {
		scope->tick--;
		if (record_is_bad(r, scope->tick))
			continue;
		goro_error_free(err);
		err = record_snapshot(r, scope->tick, scope->symbolizer, ret);
	}
	return err;
}

struct goro_error *goro_scope_snapshot(struct goro_scope *scope, struct goro_snapshot **ret)
{
	struct goro_error *err;

	pthread_mutex_lock(&scope->lock);
	err = scope->record ? take_tick(scope, ret) : take(scope, ret);
	pthread_mutex_unlock(&scope->lock);
	return err;
}

void goro_scope_summarize(struct goro_scope *scope)
{
	pthread_mutex_lock(&scope->lock);
	scope->summarize = true;
	pthread_mutex_unlock(&scope->lock);
}

void goro_scope_list(struct goro_scope *scope)
{
	pthread_mutex_lock(&scope->lock);
	scope->summarize = scope->members = true;
	pthread_mutex_unlock(&scope->lock);
}

void goro_scope_list_objects(struct goro_scope *scope)
{
	pthread_mutex_lock(&scope->lock);
	scope->summarize = scope->members = scope->objects = true;
	pthread_mutex_unlock(&scope->lock);
}

void goro_scope_be_thrifty(struct goro_scope *scope, bool thrifty)
{
	pthread_mutex_lock(&scope->lock);
	scope->thrifty = thrifty;
	pthread_mutex_unlock(&scope->lock);
}

void goro_scope_single_out(struct goro_scope *scope, uint64_t id)
{
	pthread_mutex_lock(&scope->lock);
	scope->summarize = true;
	scope->single_out = id;
	pthread_mutex_unlock(&scope->lock);
}

/* Of its members nobody will tell: what is proved of none is asked of none. */
static struct goro_error *take_summary(struct goro_scope *scope, struct goro_snapshot **ret)
{
	struct goro_error *err;
	bool members;

	pthread_mutex_lock(&scope->lock);
	members = scope->members;
	scope->members = false;
	scope->confirm = true;
	err = take(scope, ret);
	scope->members = members;
	scope->confirm = false;
	pthread_mutex_unlock(&scope->lock);
	return err;
}

/*
 * A proof does not ask which of two looks was first, and of three only that the second is between
 * the others. So look back, and forward only where there is no past.
 */
static size_t tick_near(size_t tick, size_t n, size_t ticks)
{
	bool forward = tick < 3 && tick + 2 <= ticks;

	if (forward || tick < 2)
		return tick + n <= ticks ? tick + n : 0;
	return tick > n ? tick - n : 0;
}

struct goro_error *scope_look_again(struct goro_scope *scope, const struct goro_snapshot *first,
				    size_t n, struct goro_snapshot **ret)
{
	struct goro_error *err = NULL;
	size_t tick;

	*ret = NULL;
	if (!scope->record)
		return take_summary(scope, ret);
	tick = tick_near(first->tick, n, record_ticks(scope->record));
	pthread_mutex_lock(&scope->lock);
	if (tick)
		err = record_snapshot(scope->record, tick - 1, scope->symbolizer, ret);
	pthread_mutex_unlock(&scope->lock);
	return err;
}

size_t goro_scope_ticks(struct goro_scope *scope)
{
	return scope->record ? record_ticks(scope->record) : 0;
}

int64_t goro_scope_tick_time(struct goro_scope *scope, size_t tick)
{
	return record_wall_time(scope->record, tick - 1);
}

void goro_scope_seek(struct goro_scope *scope, size_t tick)
{
	pthread_mutex_lock(&scope->lock);
	if (tick >= 1 && tick <= goro_scope_ticks(scope)) {
		scope->tick = tick - 1;
		scope->chosen = true;
	}
	pthread_mutex_unlock(&scope->lock);
}

/* ---- names ----------------------------------------------------------------------------------- */

const struct goro_frame *goro_scope_symbolize(struct goro_scope *scope, uint64_t pc, bool is_return,
					      size_t *n)
{
	const struct goro_frame *frames;

	pthread_mutex_lock(&scope->lock);
	frames = symbolize(scope->symbolizer, pc, is_return, n);
	pthread_mutex_unlock(&scope->lock);
	return frames;
}

struct goro_frame *goro_scope_frames(struct goro_scope *scope, const struct goro_snapshot *snap,
				     uint32_t stack_id, size_t *n, size_t *user)
{
	const struct goro_stack *stack;
	struct goro_frame *all = NULL;
	size_t total = 0, cap = 0;

	*n = *user = 0;
	if (stack_id >= snap->nstacks)
		return NULL;
	stack = &snap->stacks[stack_id];
	for (size_t i = 0; i < stack->n; i++) {
		size_t more;
		const struct goro_frame *frames =
			goro_scope_symbolize(scope, snap->pcs[stack->first + i], true, &more);

		if (total + more > cap) {
			struct goro_frame *bigger;

			cap = (total + more) * 2;
			bigger = realloc(all, cap * sizeof *all);
			if (!bigger)
				break;
			all = bigger;
		}
		if (more)
			memcpy(all + total, frames, more * sizeof *all);
		for (size_t k = 0; stack->caught && i == 0 && k < more; k++) {
			all[k].pc--;
			all[k].function_offset--;
			all[k].module_offset--;
		}
		total += more;
	}
	while (*user < total && all[*user].runtime)
		(*user)++;
	*n = total;
	return all;
}

bool goro_scope_spawn_site(struct goro_scope *scope, const struct goro_info *g,
			   struct goro_frame *ret)
{
	const struct goro_frame *frames;
	size_t n, i = 0;

	if (!g->spawn_pc)
		return false;
	frames = goro_scope_symbolize(scope, g->spawn_pc, true, &n);
	while (i + 1 < n && frames[i].runtime)
		i++;
	if (n)
		*ret = frames[i];
	return n != 0;
}
