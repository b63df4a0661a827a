/* SPDX-License-Identifier: MIT */
/*
 * target_core.c - a core file as a target: a process that stands still for ever. See target_core.h.
 */
#include "target_core.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "target_absent.h"

static int core_open_file(struct target *t, const struct target_map *map)
{
	struct core *c = (struct core *)t;
	size_t i = core_find_mapping(&c->file, map->lo);
	const struct core_backing *b;

	if (i == SIZE_MAX)
		return -ENOENT;
	b = core_backing_use(c, i);
	return b->fd < 0 ? b->fd : fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
}

/* A signal that makes a core file by itself; gdb makes one of a process that goes on. */
static bool is_fatal(int signal)
{
	static const int fatal[] = { SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
				     SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS };

	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
		if (fatal[i] == signal)
			return true;
	}
	return false;
}

/* The first thread is the one that it was made for. */
static void find_crash(struct core *c)
{
	const struct core_file *f = &c->file;
	int signal = f->signal ? f->signal : f->nthreads ? f->threads[0].signal : 0;
	bool at_address = f->signal_code > 0 && (signal == SIGSEGV || signal == SIGBUS);

	if (!f->nthreads || !is_fatal(signal))
		return;
	c->target.crash = (struct target_crash){
		.signal = signal,
		.tid = (int)f->threads[0].tid,
		.address = at_address ? f->signal_address : 0,
	};
}

static size_t core_caught(struct target *t, const struct thread_sample **ret)
{
	const struct core *c = (const struct core *)t;

	*ret = c->threads.caught;
	return c->threads.n;
}

/* It stands still by itself. What is missing of its memory is seen when that is searched. */
static struct goro_error *core_freeze(struct target *t, const struct target_freeze *how,
				      struct target_frozen *ret)
{
	const struct core *c = (const struct core *)t;

	(void)how;
	*ret = (struct target_frozen){ .memory = t };
	if (t->cut)
		return goro_error_new(GORO_PARTIAL, "the core file is cut short");
	if (!c->file.lists_all)
		return goro_error_new(
			GORO_PARTIAL,
			"gdb, which does not write down what it leaves out, wrote this "
			"core file: ask the process itself, or let the kernel write "
			"one (ulimit -c unlimited; kill -ABRT)");
	if (*c->threads.lacks)
		return goro_error_new(GORO_PARTIAL, "%s are not in the core file",
				      c->threads.lacks);
	ret->threads = c->threads.all;
	ret->nthreads = c->threads.n;
	return NULL;
}

static struct goro_error *core_usage(struct target *t, struct target_usage *ret)
{
	(void)t;
	*ret = (struct target_usage){ 0 };
	return NULL;
}

static void core_close(struct target *t)
{
	struct core *c = (struct core *)t;

	core_backings_free(c);
	core_threads_free(&c->threads);
	core_file_close(&c->file);
	target_absent_free(t);
	free(t->name);
	free(t->file);
	free(c);
}

static const struct target_ops core_ops = {
	.maps = core_maps,
	.read = core_read,
	.open_file = core_open_file,
	.resident = core_resident,
	.own_pages = core_own_pages,
	.freeze = core_freeze,
	.missing = core_missing,
	.gives = core_gives,
	.caught = core_caught,
	.usage = core_usage,
	.close = core_close,
};

/* The kernel keeps 15 characters of the name; the path of the program has all. */
static char *program_name(const struct core *c)
{
	size_t i = core_find_mapping(&c->file, c->file.entry);
	static const char deleted[] = " (deleted)";
	char *name = strdup(i == SIZE_MAX ? c->file.name : goro_basename(c->file.mappings[i].path));
	size_t len = name ? strlen(name) : 0;

	if (len > sizeof deleted && strcmp(name + len - (sizeof deleted - 1), deleted) == 0)
		name[len - (sizeof deleted - 1)] = '\0';
	return name;
}

struct goro_error *target_open_core(struct target **ret, int fd, const char *path)
{
	struct core *c = calloc(1, sizeof *c);
	struct goro_error *err;

	if (!c) {
		close(fd);
		return &goro_enomem;
	}
	err = core_file_open(&c->file, fd, path);
	if (err) {
		free(c);
		return err;
	}
	c->target.ops = &core_ops;
	c->target.pid = c->file.pid;
	c->target.file = strdup(path);
	c->target.time = c->file.mtime_ns;
	if (c->file.claims > c->file.size)
		c->target.cut = c->file.claims - c->file.size;
	find_crash(c);
	if (!c->target.file || !core_backings_list(c) ||
	    !core_threads_read(&c->file, &c->threads)) {
		core_close(&c->target);
		return &goro_enomem;
	}
	c->target.name = program_name(c);
	*ret = &c->target;
	return NULL;
}
