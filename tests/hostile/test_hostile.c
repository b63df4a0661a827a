/* SPDX-License-Identifier: MIT */
/*
 * test_hostile.c - processes that cannot be looked into, that lie, or that end meanwhile: always
 * the right status and one line that says what to do.
 *
 *	test_hostile FLEETING BOGUS
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>
#include "program.h"

#define NOBODY 65534

static char *fleeting, *bogus;

static void one_line(const struct goro_error *err)
{
	assert_non_null(err->message);
	assert_true(err->message[0] != '\0');
	assert_null(strchr(err->message, '\n'));
}

static void refused(pid_t pid, enum goro_status code, const char *message)
{
	struct goro_scope *scope = NULL;
	struct goro_error *err = goro_scope_open_pid(&scope, pid);

	assert_non_null(err);
	one_line(err);
	if (err->code != code || !strstr(err->message, message))
		fail_msg("%d: %s, not %d: %s", (int)err->code, err->message, (int)code, message);
	goro_error_free(err);
}

static void test_no_such_process(void **state)
{
	pid_t pid = fork();
	struct goro_scope *scope;
	struct goro_error *err;
	siginfo_t info;

	(void)state;
	if (pid == 0)
		_exit(0);
	/* First a zombie, then nothing. */
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	refused(pid, GORO_NO_TARGET, "has ended");
	waitpid(pid, NULL, 0);
	refused(pid, GORO_NO_TARGET, "there is no process");
	refused(0, GORO_NO_TARGET, "there is no process");
	refused(-1, GORO_NO_TARGET, "there is no process");
	err = goro_scope_open(&scope, "99999999999999999999");
	assert_int_equal(err->code, GORO_NO_TARGET);
	goro_error_free(err);
	err = goro_scope_open(&scope, "no such name");
	assert_int_equal(err->code, GORO_NO_TARGET);
	assert_non_null(err->hint);
	goro_error_free(err);
}

static void test_not_ours(void **state)
{
	const char *argv[] = { "/bin/sleep", "1000", NULL };
	pid_t pid = program_start(argv);
	int64_t deadline = now_ns() + DEADLINE_NS;
	struct goro_scope *scope;
	struct goro_error *err;

	(void)state;
	/* Until it has become sleep it is a copy of us. */
	while ((err = goro_scope_open_pid(&scope, pid)) && !strstr(err->message, "(sleep)") &&
	       now_ns() < deadline)
		goro_error_free(err);
	assert_non_null(err);
	assert_int_equal(err->code, GORO_UNSUPPORTED);
	one_line(err);
	assert_non_null(strstr(err->message, "has no goro runtime"));
	assert_non_null(err->hint);
	goro_error_free(err);
	program_stop(pid);
}

/* The program again under a name that no other process has. */
static void copy_program(char *path)
{
	int from = open(fleeting, O_RDONLY), to = mkstemp(path);
	struct stat st;

	assert_true(from >= 0 && to >= 0 && fstat(from, &st) == 0);
	for (off_t left = st.st_size; left > 0;) {
		ssize_t sent = sendfile(to, from, NULL, (size_t)left);

		assert_true(sent > 0);
		left -= sent;
	}
	fchmod(to, 0755);
	close(from);
	close(to);
}

static void test_names(void **state)
{
	char path[] = "named_XXXXXX";
	const char *argv[] = { path, NULL };
	struct goro_scope *scope;
	struct goro_error *err;
	pid_t a, b;

	(void)state;
	copy_program(path);
	a = program_start(argv);
	goro_scope_close(program_open(a));
	err = goro_scope_open(&scope, path);
	if (err)
		fail_msg("%s", err->message);
	goro_scope_close(scope);
	b = program_start(argv);
	goro_scope_close(program_open(b));
	err = goro_scope_open(&scope, path);
	assert_non_null(err);
	assert_int_equal(err->code, GORO_USAGE);
	one_line(err);
	goro_error_free(err);
	program_stop(a);
	program_stop(b);
	unlink(path);
}

/* As another user: exits with the error's code, or 100 + what was wrong with the error. */
static int look_as_nobody(pid_t pid)
{
	struct goro_candidate *list;
	struct goro_scope *scope;
	struct goro_error *err;
	size_t n;

	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 100;
	err = goro_scope_open_pid(&scope, pid);
	if (!err)
		return 101;
	if (!err->hint || !strstr(err->hint, "sudo") || !strstr(err->hint, "CAP_SYS_PTRACE") ||
	    !strstr(err->hint, "user 0"))
		return 102;
	if (goro_list_processes(&list, &n, true))
		return 103;
	for (size_t i = 0; i < n; i++) {
		if (list[i].pid == pid && (list[i].attachable || !list[i].why_not))
			return 104;
	}
	goro_candidates_free(list, n);
	return (int)err->code;
}

static void test_no_permission(void **state)
{
	const char *argv[] = { fleeting, NULL };
	int status;
	pid_t pid, child;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can become somebody else\n");
		skip();
	}
	pid = program_start(argv);
	goro_scope_close(program_open(pid));
	child = fork();
	if (child == 0)
		_exit(look_as_nobody(pid));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), GORO_PERMISSION);
	program_stop(pid);
}

static void test_list(void **state)
{
	const char *argv[] = { fleeting, NULL };
	pid_t pid = program_start(argv);
	struct goro_candidate *list;
	bool seen = false;
	size_t n;

	(void)state;
	goro_scope_close(program_open(pid));
	assert_null(goro_list_processes(&list, &n, false));
	for (size_t i = 0; i < n; i++) {
		assert_non_null(list[i].runtime);
		assert_true(list[i].attachable);
		if (list[i].pid != pid)
			continue;
		seen = true;
		assert_string_equal(list[i].name, "hostile_fleeting");
		assert_true(list[i].goroutines >= 1);
		assert_true(list[i].workers >= 1);
		assert_true(list[i].rss > 0);
	}
	assert_true(seen);
	goro_candidates_free(list, n);
	program_stop(pid);
}

/* ---- lies ------------------------------------------------------------------------------------ */

static void survive(const char *const argv[])
{
	pid_t pid = program_start(argv);
	int64_t start, deadline = now_ns() + DEADLINE_NS;
	struct goro_scope *scope = NULL;
	struct goro_snapshot *snap = NULL;
	struct goro_error *err;

	/* Until it has written its lies there is nothing to see. */
	do {
		start = processor_ns();
		err = goro_scope_open_pid(&scope, pid);
		if (!err || !strstr(err->message, "has no goro runtime") || now_ns() > deadline)
			break;
		goro_error_free(err);
		nap();
	} while (true);
	if (!err)
		err = goro_scope_snapshot(scope, &snap);
	if (err) {
		one_line(err);
		if (err->code != GORO_UNSUPPORTED && err->code != GORO_PARTIAL)
			fail_msg("%d: %s", (int)err->code, err->message);
		assert_null(strstr(err->message, "has no goro runtime"));
		goro_error_free(err);
	} else {
		assert_true(snap->bad_records > 0 || snap->ng == 0);
		assert_true(snap->bytes_read < 1ull << 30);
	}
	assert_true(processor_ns() - start < DEADLINE_NS / 2);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	program_stop(pid);
}

static void test_garbage(void **state)
{
	(void)state;
	for (int seed = 0; seed < 30; seed++) {
		char number[16];
		const char *argv[] = { bogus, "garbage", number, NULL };

		snprintf(number, sizeof number, "%d", seed);
		survive(argv);
	}
}

static void test_pointers_to_everywhere(void **state)
{
	const char *argv[] = { bogus, "pointers", NULL };
	struct rusage usage;

	(void)state;
	survive(argv);
	getrusage(RUSAGE_SELF, &usage);
	assert_true(usage.ru_maxrss < 512 * 1024); /* KiB; sanitizers need some themselves */
}

/* ---- gone meanwhile -------------------------------------------------------------------------- */

struct killing {
	pid_t pid;
	long after_ns;
};

static void *kill_later(void *arg)
{
	const struct killing *k = arg;

	nanosleep(&(struct timespec){ .tv_nsec = k->after_ns }, NULL);
	kill(k->pid, SIGKILL);
	return NULL;
}

/* Kill it at moments that are spread over a snapshot. */
static void test_ends_while_it_is_read(void **state)
{
	unsigned whole = 0;

	(void)state;
	for (int round = 0; round < 24; round++) {
		const char *argv[] = { fleeting, NULL };
		struct killing k = { .pid = program_start(argv), .after_ns = round * 700000l };
		struct goro_scope *scope = program_open(k.pid);
		struct goro_error *err;
		pthread_t thread;

		pthread_create(&thread, NULL, kill_later, &k);
		for (;;) {
			struct goro_snapshot *snap = NULL;

			err = goro_scope_snapshot(scope, &snap);
			if (err)
				break;
			whole++;
			goro_snapshot_free(snap);
		}
		pthread_join(thread, NULL);
		one_line(err);
		if (err->code != GORO_NO_TARGET)
			fail_msg("%d: %s", (int)err->code, err->message);
		goro_error_free(err);
		goro_scope_close(scope);
		program_stop(k.pid);
	}
	assert_true(whole > 0);
}

static void test_becomes_another_program(void **state)
{
	const char *argv[] = { fleeting, NULL };
	pid_t pid = program_start(argv);
	struct goro_scope *scope = program_open(pid);
	int64_t deadline = now_ns() + DEADLINE_NS;
	struct goro_snapshot *snap;
	struct goro_error *err;
	size_t ng = 0;

	(void)state;
	/* It takes the signal before it starts them. */
	while (ng < 5000 && now_ns() < deadline) {
		assert_null(goro_scope_snapshot(scope, &snap));
		ng = snap->ng;
		goro_snapshot_free(snap);
	}
	kill(pid, SIGUSR1);
	while (!(err = goro_scope_snapshot(scope, &snap)) && now_ns() < deadline)
		goro_snapshot_free(snap);
	assert_non_null(err);
	if (err->code != GORO_UNSUPPORTED)
		fail_msg("%d: %s", (int)err->code, err->message);
	one_line(err);
	goro_error_free(err);
	/* And it stays so. */
	err = goro_scope_snapshot(scope, &snap);
	assert_non_null(err);
	assert_int_equal(err->code, GORO_UNSUPPORTED);
	goro_error_free(err);
	goro_scope_close(scope);
	program_stop(pid);
}

static bool some_stack(struct goro_scope *scope, const struct goro_snapshot *snap, void *arg)
{
	(void)scope, (void)arg;
	return snap->ng > 5000 && snap->g[snap->ng - 1].stack_id != GORO_NO_STACK;
}

/* The file that runs is still there for us when its name is not. */
static void test_deleted_executable(void **state)
{
	char path[] = "deleted_XXXXXX";
	const char *argv[] = { path, NULL };
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_frame *frames;
	size_t n, user;
	pid_t pid;

	(void)state;
	copy_program(path);
	pid = program_start(argv);
	goro_scope_close(program_open(pid)); /* it runs now */
	unlink(path);
	scope = program_open(pid);
	snap = program_snapshot(scope, some_stack, NULL);
	frames = goro_scope_frames(scope, snap, snap->g[snap->ng - 1].stack_id, &n, &user);
	assert_true(user < n);
	assert_string_equal(frames[user].function, "wait_for_ever");
	assert_string_equal(goro_basename(frames[user].file), "fleeting.c");
	free(frames);
	goro_snapshot_free(snap);
	goro_scope_close(scope);
	program_stop(pid);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_such_process),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_no_permission),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_pointers_to_everywhere),
		cmocka_unit_test(test_ends_while_it_is_read),
		cmocka_unit_test(test_becomes_another_program),
		cmocka_unit_test(test_deleted_executable),
	};

	if (argc != 3)
		return 2;
	fleeting = argv[1];
	bogus = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
