/* SPDX-License-Identifier: MIT */
/*
 * cmd_run.c - goro run
 *
 * Becomes the program, with libgoro-heap.so in front of its libraries: process id, terminal,
 * signals and status are the program's without our help. What cannot work is said before.
 */
#include "cmd.h"
#include "error.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#define PRELOAD "LD_PRELOAD"

struct options {
	char **command;
	bool heap;
};

static const struct argp_option options[] = {
	{ "heap", 'H', NULL, 0, "Note for each object on the heap which goroutine allocated it",
	  0 },
	{ 0 },
};

static const char doc[] =
	"Run CMD so that more can be seen of it: with --heap how much memory each goroutine has "
	"allocated and still holds. See it with `goro dump', `goro stack', `goro profile -m heap', "
	"gotop.\v"
	"CMD takes the place of goro: it has the same process id, and the status is its own.\n"
	"\n"
	"Exit status:\n"
	"  2    wrong usage\n"
	"  5    CMD's heap cannot be watched: it is statically linked, or set-user-ID\n"
	"  6    libgoro-heap.so is not where it belongs\n"
	"  126  CMD cannot be run\n"
	"  127  CMD was not found\n"
	"  else that of CMD";

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	(void)arg;
	switch (key) {
	case 'H':
		o->heap = true;
		return 0;
	case ARGP_KEY_ARG:
		o->command = state->argv + state->next - 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_END:
		if (!o->command)
			exit(cmd_usage("run", "which command? Give it after --"));
		if (!o->heap)
			exit(cmd_usage("run", "what shall be seen of it? Give --heap"));
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* Where it lies from the directory of this program: the same when built and when installed. */
static struct goro_error *find_library(char path[PATH_MAX])
{
	const char *self = (const char *)getauxval(AT_EXECFN);
	char ours[PATH_MAX], where[PATH_MAX + sizeof GORO_HEAP_LIBRARY];
	char *slash = self && realpath(self, ours) ? strrchr(ours, '/') : NULL;

	if (!slash)
		return goro_error_new(GORO_PARTIAL, "cannot find out where goro itself is");
	slash[1] = '\0';
	snprintf(where, sizeof where, "%s%s", ours, GORO_HEAP_LIBRARY);
	if (!realpath(where, path))
		return goro_error_hint(
			goro_error_new(GORO_PARTIAL, "cannot load %s: %s", where, strerror(errno)),
			"install goro anew; a build with a sanitizer has none");
	if (strpbrk(path, ": \t\n"))
		return goro_error_new(GORO_PARTIAL,
				      "cannot load %s: " PRELOAD
				      " takes no path with a space or a colon in it",
				      path);
	return NULL;
}

/* What execvp() would run, for a look at it; -1: it will find out what is wrong itself. */
static int open_command(const char *name)
{
	const char *path = getenv("PATH");
	char file[PATH_MAX];
	size_t n;

	if (strchr(name, '/') || !path)
		return open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	for (;; path += n + 1) {
		n = strcspn(path, ":");
		snprintf(file, sizeof file, "%.*s%s%s", (int)n, path, n ? "/" : "", name);
		if (access(file, X_OK) == 0)
			return open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (!path[n])
			return -1;
	}
}

static bool has_interpreter(int fd, const Elf64_Ehdr *eh)
{
	Elf64_Phdr ph;

	for (unsigned i = 0; i < eh->e_phnum; i++) {
		off_t at = (off_t)(eh->e_phoff + (uint64_t)i * sizeof ph);

		if (pread(fd, &ph, sizeof ph, at) != (ssize_t)sizeof ph)
			return true; /* whatever it is: exec will tell */
		if (ph.p_type == PT_INTERP)
			return true;
	}
	return false;
}

/* NULL: a library can be loaded into it, or it is a script, or exec will refuse it. */
static struct goro_error *check_command(const char *name)
{
	int fd = open_command(name);
	const char *why = NULL;
	Elf64_Ehdr eh;
	struct stat st;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    pread(fd, &eh, sizeof eh, 0) == (ssize_t)sizeof eh &&
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) == 0) {
		if (eh.e_ident[EI_CLASS] != ELFCLASS64)
			why = "it is a 32-bit program";
		else if (!has_interpreter(fd, &eh))
			why = "it is statically linked; link it to a shared libc (libgoro may stay "
			      "static)";
		else if (st.st_mode & (S_ISUID | S_ISGID) && geteuid() != 0)
			why = "it is set-user-ID, and the system lets nobody in";
	}
	close(fd);
	return why ? goro_error_new(GORO_UNSUPPORTED, "cannot watch the heap of %s: %s", name, why)
		   : NULL;
}

/* Ours comes first; what is there stays. */
static bool preload(const char *library)
{
	const char *before = getenv(PRELOAD);
	char *all;
	bool ok;

	if (!before || !*before)
		return setenv(PRELOAD, library, 1) == 0;
	if (asprintf(&all, "%s:%s", library, before) < 0)
		return false;
	ok = setenv(PRELOAD, all, 1) == 0;
	free(all);
	return ok;
}

int cmd_run(int argc, char **argv)
{
	static const struct argp argp = {
		options, parse, "-- CMD [ARG...]", doc, NULL, NULL, NULL
	};
	struct options o = { 0 };
	char library[PATH_MAX];
	struct goro_error *err;

	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
	err = find_library(library);
	if (!err)
		err = check_command(o.command[0]);
	if (!err && !preload(library))
		err = &goro_enomem;
	if (err)
		return cmd_fail("run", err);
	execvp(o.command[0], o.command);
	return cmd_not_started("run", o.command[0], errno);
}
