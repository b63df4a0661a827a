/* SPDX-License-Identifier: MIT */
/*
 * What the examples print, which is what they teach: test_examples DIRECTORY NAME. Text is compared
 * as it is; figures only by range, since they are the machine's.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define SECONDS 60

extern char **environ;

static char path[4096]; /* of the example */

/* The example's output; it must end with status 0 and say nothing on stderr. */
static char *output_of(char *arg1, char *arg2)
{
	struct check_run run = check_run((char *[]){ path, arg1, arg2, NULL }, SECONDS);

	check(!run.timed_out);
	if (run.status != 0 || run.err[0])
		fprintf(stderr, "%s: status %d\n%s%s", path, run.status, run.out, run.err);
	check_eq(run.status, 0);
	check(!run.err[0]);
	free(run.err);
	return run.out;
}

static void prints(const char *wanted)
{
	char *out = output_of(NULL, NULL);

	if (strcmp(out, wanted) != 0)
		fprintf(stderr, "wanted:\n%sgot:\n%s", wanted, out);
	check(strcmp(out, wanted) == 0);
	free(out);
}

/* The number behind `label` at the beginning of a line. */
static double number_behind(const char *text, const char *label)
{
	const char *at = check_match(text, label);
	char *end;
	double number;

	check(at);
	number = strtod(at, &end);
	check(end != at);
	return number;
}

/* ---- one function an example ------------------------------------------------------------------
 */

/*
 * There is no join point: "hello" may come before, after, or not at all, and even cut short or
 * twice when the process ends in the middle of it.
 */
static void hello(void)
{
	for (int i = 0; i < 20; i++) {
		char *out = output_of(NULL, NULL);

		check(strstr(out, "main is done\n"));
		free(out);
	}
}

static void hello_join(void)
{
	for (int i = 0; i < 20; i++)
		prints("hello\nmain is done\n");
}

static void fork_join(void)
{
	prints("part 0: 31125\n"
	       "part 1: 93625\n"
	       "part 2: 156125\n"
	       "part 3: 218625\n"
	       "0 + 1 + ... + 999 = 499500\n");
}

static void closures(void)
{
	char *out = output_of(NULL, NULL);
	const char *copied = check_match(out, "^shared:\nPiyo\nPiyo\nPiyo\ncopied:\n");

	check(copied);
	check_eq(strlen(copied), strlen("Hoge\nFuga\nPiyo\n"));
	check(check_match(copied, "^Hoge$")); /* in any order */
	check(check_match(copied, "^Fuga$"));
	check(check_match(copied, "^Piyo$"));
	free(out);
}

static void count_100k(void)
{
	prints("goroutines now: 100001, main included\n"
	       "counted: 100000\n");
}

static void goroutine_size(void)
{
	char *out = output_of(NULL, NULL);
	double resident = number_behind(out, "^resident: "),
	       tables = number_behind(out, "^page tables: "),
	       size = number_behind(out, "^goroutine: ");

	check(check_match(out, "^10000 goroutines blocked$"));
	check(size >= 1024 && size <= 16384);
	check(size >= resident + tables - 1 && size <= resident + tables + 1);
	free(out);
}

static void context_switch(void)
{
	char *out = output_of(NULL, NULL);
	double ns = number_behind(out, "^");

	check(check_match(out, "^[0-9]+\\.[0-9] ns per switch\n$"));
	check(ns > 1 && ns < 100000);
	free(out);
}

static void gomaxprocs(void)
{
	char three[] = "3", many[] = "65";
	char *out = output_of(three, NULL);
	struct check_run run;

	check(check_match(out, "^GORO_MAXPROCS=1: [0-9]+ ms\n"
			       "GORO_MAXPROCS=2: [0-9]+ ms\n"
			       "GORO_MAXPROCS=3: [0-9]+ ms\n$"));
	free(out);
	run = check_run((char *[]){ path, many, NULL }, SECONDS);
	check_eq(run.status, 2);
	check(check_match(run.err, "^usage: "));
}

static void pipeline(void)
{
	prints("1 * 2 + 1 = 3\n"
	       "2 * 2 + 1 = 5\n"
	       "3 * 2 + 1 = 7\n"
	       "every stage has ended\n");
}

static void workers(void)
{
	prints("100 jobs by 4 workers\n"
	       "1 + 4 + 9 + ... + 10000 = 338350\n");
}

static void fan_out(void)
{
	prints("45 servers answered, 5 were too late\n"
	       "sum: 37425\n");
}

static int connect_to(int port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	return fd;
}

/* Two clients at once, the second being served while the first says nothing. */
static void echo_server(void)
{
	char *argv[] = { path, NULL }, text[64] = "";
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], idle, fd;
	struct check_run run;
	pid_t pid;

	check(pipe2(pipe_fds, O_CLOEXEC) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
	check(posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);
	check(read(pipe_fds[0], text, sizeof(text) - 1) > 0);
	check(check_match(text, "^[1-9][0-9]*\n$"));
	idle = connect_to(atoi(text));
	fd = connect_to(atoi(text));
	run = check_run((char *[]){ path, strtok(text, "\n"), NULL }, SECONDS);
	check_eq(run.status, 1);
	check(check_match(run.err,
			  "^echo_server: cannot listen on port .*: Address already in use$"));
	check(write(fd, "hello", 5) == 5);
	check(recv(fd, text, 5, MSG_WAITALL) == 5 && memcmp(text, "hello", 5) == 0);
	check(shutdown(fd, SHUT_WR) == 0 && read(fd, text, 1) == 0);
	check(write(idle, "x", 1) == 1 && read(idle, text, 1) == 1);
	check(kill(pid, SIGTERM) == 0);
	check(waitpid(pid, NULL, 0) == pid);
	snprintf(text, sizeof(text), "70000");
	run = check_run((char *[]){ path, text, NULL }, SECONDS);
	check_eq(run.status, 2);
	check(check_match(run.err, "^usage: "));
}

static void leaky_ends_by_itself(void)
{
	char n[] = "100", seconds[] = "0";
	char *out = output_of(NULL, NULL);

	check(check_match(out, "^[1-9][0-9]*\nworst gap: [0-9]+ us\n$"));
	free(out);
	out = output_of(n, seconds);
	check(check_match(out, "^[1-9][0-9]*\nworst gap: 0 us\n$"));
	free(out);
}

static void leaky_ends_by_signal(int signo)
{
	char n[] = "3", seconds[] = "3600", text[256];
	char *argv[] = { path, n, seconds, NULL };
	posix_spawn_file_actions_t actions;
	int pipe_fds[2], status;
	pid_t pid;
	FILE *out;

	check(pipe2(pipe_fds, O_CLOEXEC) == 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], 1);
	check(posix_spawn(&pid, path, &actions, NULL, argv, environ) == 0);
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fds[1]);

	out = fdopen(pipe_fds[0], "r");
	check(out && fgets(text, sizeof(text), out));
	check_eq(atoi(text), pid); /* at once, also into a pipe: who attaches needs it */
	check(kill(pid, signo) == 0);
	check(fgets(text, sizeof(text), out));
	check(check_match(text, "^worst gap: [0-9]+ us$"));
	check(waitpid(pid, &status, 0) == pid);
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	fclose(out);
}

static void leaky_refuses(const char *text)
{
	char arg[64];
	struct check_run run;

	snprintf(arg, sizeof(arg), "%s", text);
	run = check_run((char *[]){ path, arg, NULL }, SECONDS);
	check_eq(run.status, 2);
	check(!run.out[0]);
	check(check_match(run.err, "^leaky: '.*' is not a number from 0 to 10000000\n"
				   "usage: leaky \\[N \\[SECONDS\\]\\]\n$"));
}

static void leaky(void)
{
	leaky_ends_by_itself();
	leaky_ends_by_signal(SIGINT);
	leaky_ends_by_signal(SIGTERM);
	leaky_refuses("many");
	leaky_refuses("-1");
	leaky_refuses("3x");
	leaky_refuses("");
	leaky_refuses("99999999999999999999999");
}

#define EXAMPLE(name)       \
	{                   \
#name, name \
	}

static const struct {
	const char *name;
	void (*test)(void);
} examples[] = {
	EXAMPLE(hello),		 EXAMPLE(hello_join),	  EXAMPLE(fork_join),  EXAMPLE(closures),
	EXAMPLE(count_100k),	 EXAMPLE(goroutine_size), EXAMPLE(gomaxprocs), EXAMPLE(pipeline),
	EXAMPLE(context_switch), EXAMPLE(workers),	  EXAMPLE(leaky),      EXAMPLE(echo_server),
	EXAMPLE(fan_out),
};

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: test_examples DIRECTORY NAME\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/%s", argv[1], argv[2]);
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++)
		if (strcmp(argv[2], examples[i].name) == 0) {
			examples[i].test();
			return 0;
		}
	fprintf(stderr, "no test for the example '%s'\n", argv[2]);
	return 1;
}
