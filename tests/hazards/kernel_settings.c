/* SPDX-License-Identifier: MIT */
/*
 * Settings of the whole system under which stacks must do: few mappings for each process, no
 * overcommitted memory, huge pages for everybody. Where the user may not change them: skipped.
 *
 *	kernel_settings maps|overcommit|huge
 *
 * A setting is other than usual for as long as the goroutines need to start, and is put back by a
 * process of its own, which also does it when we are killed. It holds a lock on the setting, so two
 * of us do not take each other's value for the system's.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

enum { SKIPPED = 77, PATIENCE_S = 30, STACK_KB = 140 };

struct setting {
	const char *name, *path, *value;
	int goroutines;
	long max_bytes_each; /* 0: does not matter here */
};

static const struct setting settings[] = {
	{ "maps", "/proc/sys/vm/max_map_count", "1000", 100000, 0 },
	{ "overcommit", "/proc/sys/vm/overcommit_memory", "2", 20000, 0 },
	{ "huge", "/sys/kernel/mm/transparent_hugepage/enabled", "always", 10000, 3 * 4096 },
};

static goro_chan *gate;
static goro_waitgroup parked, ended;

static void wait_at_gate(void *unused)
{
	(void)unused;
	goro_waitgroup_done(&parked);
	goro_chan_recv(gate, NULL);
	goro_waitgroup_done(&ended);
}

static int skip(const char *why)
{
	printf("skipped: %s: %s\n", why, strerror(errno));
	return SKIPPED;
}

/* What is in force: the only word, or the one in brackets. */
static void read_setting(int fd, char *to, size_t size)
{
	char text[256];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	char *from = text;

	must(n > 0);
	text[n] = '\0';
	if (strchr(text, '['))
		from = strchr(text, '[') + 1;
	from[strcspn(from, "]\n")] = '\0';
	must((size_t)snprintf(to, size, "%s", from) < size);
}

/* It outlives us: whatever happens, the end of its input makes it put the value back. */
static int start_keeper(const char *path, char *value)
{
	char *argv[] = { (char[]){ "sh" },
			 (char[]){ "-c" },
			 (char[]){ "(cat <&5; printf %s \"$1\" >\"$2\") >/dev/null 2>&1 &" },
			 (char[]){ "sh" },
			 value,
			 strdup(path),
			 NULL };
	posix_spawn_file_actions_t actions;
	int ends[2], status;
	pid_t child;

	must(!pipe2(ends, O_CLOEXEC) && !posix_spawn_file_actions_init(&actions));
	/* A shell gives what runs in the background no input but what it is told to. */
	must(!posix_spawn_file_actions_adddup2(&actions, ends[0], 5));
	must(!posix_spawn(&child, "/bin/sh", &actions, NULL, argv, NULL));
	must(waitpid(child, &status, 0) == child && status == 0);
	posix_spawn_file_actions_destroy(&actions);
	free(argv[5]);
	close(ends[0]);
	return ends[1];
}

/* What the others of this machine have taken already may leave too little of what there is to
 * commit. */
static bool room_to_commit(const struct setting *s)
{
	FILE *f = fopen("/proc/meminfo", "r");
	long kb, limit = 0, used = 0;
	char line[256];

	must(f);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "CommitLimit: %ld", &kb) == 1)
			limit = kb;
		else if (sscanf(line, "Committed_AS: %ld", &kb) == 1)
			used = kb;
	}
	fclose(f);
	return limit - used > (long)s->goroutines * STACK_KB;
}

static long resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	long pages = 0;

	must(f && fscanf(f, "%*s %ld", &pages) == 1);
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

static void crowd(const struct setting *s)
{
	int64_t start = goro_now();
	long before = resident_bytes(), each;

	goro_waitgroup_add(&parked, s->goroutines);
	goro_waitgroup_add(&ended, s->goroutines);
	stress_start(s->goroutines, wait_at_gate, NULL);
	goro_waitgroup_wait(&parked);
	each = (resident_bytes() - before) / s->goroutines;
	printf("%d goroutines with %s %s: %.1f s, %ld bytes each\n", s->goroutines, s->name,
	       s->value, (double)(goro_now() - start) / 1e9, each);
	must(!s->max_bytes_each || each < s->max_bytes_each);
}

static int try_with(const struct setting *s)
{
	/* Not closed on exec: the lock shall last as long as the keeper. */
	int fd = open(s->path, O_RDWR), keeper; /* NOLINT(android-cloexec-open) */
	char usual[64], now[64];

	if (fd < 0)
		return skip(s->path);
	if (strcmp(s->name, "overcommit") == 0 && !room_to_commit(s)) {
		printf("skipped: too little memory is left to commit (/proc/meminfo)\n");
		return SKIPPED;
	}
	must(!flock(fd, LOCK_EX));
	read_setting(fd, usual, sizeof(usual));
	keeper = start_keeper(s->path, usual);
	if (pwrite(fd, s->value, strlen(s->value), 0) < 0)
		return skip(s->path);
	crowd(s);
	close(keeper);
	for (int i = 0; read_setting(fd, now, sizeof(now)), strcmp(now, usual) != 0; i++) {
		must(i < PATIENCE_S * 1000);
		goro_sleep(GORO_MILLISECOND);
	}
	goro_chan_close(gate);
	goro_waitgroup_wait(&ended);
	return 0;
}

int main(int argc, char **argv)
{
	gate = goro_chan_make(0, 0);
	for (size_t i = 0; argc == 2 && i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!strcmp(argv[1], settings[i].name))
			return try_with(&settings[i]);
	fprintf(stderr, "usage: kernel_settings maps|overcommit|huge\n");
	return 2;
}
