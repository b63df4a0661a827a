/* SPDX-License-Identifier: MIT */
/*
 * cmd_output.c - a file that a command writes at its end, or leaves as it was.
 *
 * It is opened before the work, because nobody wants to learn of a wrong name afterwards, but what
 * was in it stays there until what takes its place is on the disk: that goes into a file beside it,
 * which is then renamed. What is no file of its own (a pipe, /dev/stdout) is written as it
 * is, and a file that already takes our output or errors gets this behind them.
 */
#include "cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "beside.h"

bool cmd_output_open(struct cmd_output *o, const char *name)
{
	*o = (struct cmd_output){ .name = name, .fd = -1, .file = stdout };
	if (name && !strcmp(name, "-"))
		o->name = name = NULL;
	if (!name)
		return true;
	o->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666);
	o->created = o->fd >= 0;
	if (o->fd < 0)
		o->fd = open(name, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	return o->fd >= 0;
}

/* False: there can be none beside it, so it is written itself. */
static bool open_beside(struct cmd_output *o, const struct stat *st)
{
	int fd = beside_open(o->name, st, &o->beside);

	o->file = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (o->file)
		return true;
	if (fd >= 0) {
		close(fd);
		unlink(o->beside);
	}
	free(o->beside);
	o->beside = NULL;
	return false;
}

bool cmd_output_begin(struct cmd_output *o)
{
	struct stat st;
	int fd;

	if (!o->name)
		return true;
	o->file = NULL;
	if (fstat(o->fd, &st))
		return false;
	/* What others have written there, and will, stays: this comes behind it. */
	fd = S_ISREG(st.st_mode) ? beside_our_output(&st) : -1;
	if (fd >= 0) {
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		o->file = fd >= 0 ? fdopen(fd, "w") : NULL;
		return o->file != NULL;
	}
	if (S_ISREG(st.st_mode) && open_beside(o, &st))
		return true;
	if (S_ISREG(st.st_mode) && ftruncate(o->fd, 0))
		return false;
	o->file = fdopen(o->fd, "w");
	if (o->file)
		o->fd = -1;
	return o->file != NULL;
}

int cmd_output_end(struct cmd_output *o, bool good)
{
	int error = 0;

	if (!o->name)
		return good && (fflush(stdout) || ferror(stdout)) ? errno : 0;
	if (o->file && o->file != stdout) {
		if (fflush(o->file) || ferror(o->file))
			error = errno ? errno : EIO;
		if (fclose(o->file) && !error)
			error = errno;
	}
	good = good && !error;
	if (o->beside && good) {
		error = beside_take_place(o->beside, o->name);
		good = !error;
	}
	if (o->beside && !good)
		unlink(o->beside);
	if (o->created && !good)
		unlink(o->name);
	if (o->fd >= 0)
		close(o->fd);
	free(o->beside);
	return error;
}
