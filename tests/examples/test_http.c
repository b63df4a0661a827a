/* SPDX-License-Identifier: MIT */
/*
 * What an HTTP client sees of examples/http_hello: test_http PROGRAM CASE [CURL]. The client here
 * writes bytes, so that it can do what no library would.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define GET   "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
#define HELLO "Content-Length: 14\r\n\r\nHello, world!\n"

static char *program, *curl;
static pid_t pid;
static int port, server_out;
static char got[1 << 20];

static void start(const char *patience)
{
	char any[] = "0", seconds[8], text[32] = "";
	char *argv[] = { program, any, seconds, NULL };
	int out[2];

	snprintf(seconds, sizeof(seconds), "%s", patience);
	check(pipe2(out, O_CLOEXEC) == 0);
	pid = fork();
	check(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* whatever becomes of us */
		dup2(out[1], 1);
		execv(program, argv);
		_exit(127);
	}
	close(out[1]);
	server_out = out[0];
	check(read(server_out, text, sizeof(text) - 1) > 0);
	port = atoi(text);
	check(port > 0);
}

static int status_of_server(void)
{
	int status;

	check(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int dial(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval patience = { 30, 0 };

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(fd >= 0 && !setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)));
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) ? (close(fd), -1) : fd;
}

static void say(int fd, const char *text)
{
	check(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

/* Read until `text` has come n times, into `got`. */
static void hear(int fd, const char *text, int n)
{
	size_t len = 0;
	char *at = got;

	got[0] = '\0';
	while (n) {
		char *next = strstr(at, text);
		ssize_t k;

		if (next) {
			at = next + strlen(text);
			n--;
			continue;
		}
		k = read(fd, got + len, sizeof(got) - 1 - len);
		if (k <= 0)
			fprintf(stderr, "no '%s' in\n%s\n", text, got);
		check(k > 0);
		len += (size_t)k;
		got[len] = '\0';
	}
}

/* All there is until the server closes. */
static void hear_all(int fd)
{
	size_t len = 0;
	ssize_t k;

	while ((k = read(fd, got + len, sizeof(got) - 1 - len)) > 0)
		len += (size_t)k;
	got[len] = '\0';
	check(k == 0); /* neither a reset nor a timeout */
	close(fd);
}

static void gets_(const char *request, const char *status)
{
	int fd = dial();

	say(fd, request);
	shutdown(fd, SHUT_WR);
	hear_all(fd);
	if (strncmp(got, status, strlen(status)) != 0)
		fprintf(stderr, "to\n%s\nthe answer is\n%s\n", request, got);
	check(strncmp(got, status, strlen(status)) == 0);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void one_answer_each(void)
{
	int fd = dial();

	for (int i = 0; i < 3; i++) { /* on one connection */
		say(fd, GET);
		hear(fd, HELLO, 1);
		check(!strncmp(got, "HTTP/1.1 200 OK\r\nDate: ", 23));
	}
	say(fd, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" GET);
	hear(fd, HELLO, 1);
	check(check_match(got, "^Content-Length: 14\r\n\r\nHTTP/1.1 200 OK\r$")); /* no body */
	say(fd, "HEAD /nowhere HTTP/1.1\r\nHost: x\r\n\r\n" GET);
	hear(fd, HELLO, 1);
	check(check_match(got, "^HTTP/1.1 404 Not Found\r\n(.*\r\n)*\r\nHTTP/1.1 200"));
	say(fd, "GET /nowhere?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "\r\n\r\nNot Found\n", 1);
	say(fd, "DELETE / HTTP/1.1\r\nHost: x\r\n\r\n");
	hear(fd, "\r\n\r\nMethod Not Allowed\n", 1);
	check(strstr(got, "Allow: GET, HEAD\r\n"));
	say(fd, "GET /?q HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n" GET);
	hear_all(fd);
	check(strstr(got, "Connection: close\r\n") && check_match(got, "Hello(.|\n)*$") &&
	      !check_match(got, "Hello(.|\n)*Hello"));
	gets_("GET / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\n");
}

/* A thousand in one go, with one byte in between that cuts one in two. */
static void pipelined(void)
{
	static char many[1000 * sizeof(GET)];
	int fd = dial();

	for (int i = 0; i < 1000; i++)
		strcat(many + (size_t)i * (sizeof(GET) - 1), GET);
	say(fd, many);
	hear(fd, HELLO, 1000);
	for (size_t i = 0; i < sizeof(GET) - 1; i++)
		check(write(fd, &GET[i], 1) == 1);
	hear(fd, HELLO, 1);
}

static void chunked(void)
{
	int fd = dial();

	say(fd, "POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc");
	usleep(10000);
	say(fd, "de\r\n1");
	usleep(10000);
	say(fd, "0;ext=1\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n" GET);
	hear(fd, "\r\n\r\n21 bytes\n", 1);
	hear(fd, HELLO, strstr(got, HELLO) ? 0 : 1);
	say(fd,
	    "PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
	hear(fd, "HTTP/1.1 100 Continue\r\n\r\n", 1);
	say(fd, "abc");
	hear(fd, "\r\n\r\n3 bytes\n", 1);
}

static void refused(void)
{
	static char big[200000];

	gets_("what is this\r\n\r\n", "HTTP/1.1 400 Bad Request\r\n");
	check(strstr(got, "Connection: close\r\n"));
	gets_("\x16\x03\x01\x02", "HTTP/1.1 400 ");		     /* TLS */
	gets_("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 ");	     /* no Host */
	gets_("GET / HTTP/2.0\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "); /* not ours */
	gets_("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
	      "HTTP/1.1 400 ");
	gets_("POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	      "HTTP/1.1 400 ");
	gets_("POST /count HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
	      ""); /* the end comes before the body: no answer */
	check(!got[0]);
	gets_(GET "garbage\r\n\r\n", "HTTP/1.1 200 ");
	check(strstr(got, "HTTP/1.1 400 "));
	memset(big, 'a', sizeof(big) - 1);
	memcpy(big, "GET /", 5);
	gets_(big, "HTTP/1.1 431 "); /* and though most of it was not read, it arrives */
	say(dial(), GET);	     /* it still serves */
}

/* One that dribbles has as long as one that says nothing. */
static void slow(void)
{
	int fd = dial(), idle = dial(), mute = dial();
	int64_t begin = goro_now();

	say(fd, "GET / HTTP/1.1\r\nHost: ");
	for (int i = 0; i < 100 && send(fd, "x", 1, MSG_NOSIGNAL) == 1; i++) {
		struct timeval tenth = { 0, 100000 };

		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tenth, sizeof(tenth));
		if (recv(fd, got, 1, MSG_PEEK) >= 0)
			break;
	}
	hear(fd, "HTTP/1.1 408 Request Timeout\r\n", 1);
	check(goro_now() - begin >= 900 * GORO_MILLISECOND);
	hear_all(idle);
	check(!got[0]);
	/* Who asks and does not listen is dropped: its requests cannot all be taken. */
	fcntl(mute, F_SETFL, O_NONBLOCK);
	for (begin = goro_now(); goro_now() - begin < 30 * GORO_SECOND;) {
		if (send(mute, GET, sizeof(GET) - 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			break;
		usleep(100);
	}
	check(goro_now() - begin < 30 * GORO_SECOND);
	fd = dial();
	say(fd, GET);
	hear(fd, HELLO, 1);
}

static void stops(void)
{
	int idle = dial(), begun = dial(), fd;
	char text[32] = "";

	say(idle, GET);
	hear(idle, HELLO, 1);
	say(begun, "GET / HTTP/1.1\r\nHost: ");
	usleep(50000);
	check(kill(pid, SIGTERM) == 0);
	hear_all(idle);
	check(!got[0]);
	while ((fd = dial()) >= 0) /* until nobody listens any more */
		close(fd);
	say(begun, "x\r\n\r\n");
	hear_all(begun);
	check(strstr(got, "Connection: close\r\n") && strstr(got, "Hello, world!\n"));
	check_eq(status_of_server(), 0);
	check(read(server_out, text, sizeof(text) - 1) > 0 && !strcmp(text, "goodbye\n"));
}

/* Those who come while it stops: whoever accepts is then in the midst of anything. */
static void stops_beside_visitors(void)
{
	enum { ROUNDS = 10, VISITORS = 4 };

	for (int round = 0; round < ROUNDS; round++) {
		pid_t visitors[VISITORS];
		char text[32] = "";
		int fd;

		if (round)
			start("60");
		for (int i = 0; i < VISITORS; i++) {
			visitors[i] = fork();
			check(visitors[i] >= 0);
			while (!visitors[i]) {
				fd = dial();
				if (fd < 0)
					_exit(0);
				close(fd);
			}
		}
		usleep(20000);
		check(kill(pid, SIGTERM) == 0);
		check_eq(status_of_server(), 0);
		check(read(server_out, text, sizeof(text) - 1) > 0 && !strcmp(text, "goodbye\n"));
		close(server_out);
		for (int i = 0; i < VISITORS; i++)
			check(waitpid(visitors[i], NULL, 0) == visitors[i]);
	}
}

static void curl_prints(const char *options, const char *path, const char *wanted)
{
	char command[512];
	struct check_run run;

	snprintf(command, sizeof(command), "%s -s %s http://127.0.0.1:%d%s", curl, options, port,
		 path);
	run = check_run((char *[]){ (char[]){ "/bin/sh" }, (char[]){ "-c" }, command, NULL }, 60);
	if (strcmp(run.out, wanted) != 0)
		fprintf(stderr, "%s\nprints\n%s\n", command, run.out);
	check(!strcmp(run.out, wanted));
	free(run.out);
	free(run.err);
}

static void by_curl(void)
{
	if (!curl) {
		kill(pid, SIGKILL);
		puts("skipped: no curl");
		exit(77);
	}
	curl_prints("", "/", "Hello, world!\n");
	curl_prints("--http2", "/",
		    "Hello, world!\n"); /* asks for an upgrade, and may do without */
	curl_prints("-o /dev/null -w '%{http_code} %{num_connects}\\n' "
		    "-o /dev/null http://127.0.0.1:$PORT/",
		    "/x", "200 1\n404 0\n");
	curl_prints("-I -o /dev/null -w '%{http_code} %{size_download}'", "/", "200 0");
	curl_prints("--data-binary @/bin/sh -o /dev/null -w '%{http_code}' "
		    "-H 'Transfer-Encoding: chunked' -H 'Expect:'",
		    "/", "405");
	curl_prints("--data-binary hello -H 'Transfer-Encoding: chunked'", "/count", "5 bytes\n");
	curl_prints("--data-binary hello -H 'Expect: 100-continue'", "/count", "5 bytes\n");
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *patience;
		void (*run)(void);
	} cases[] = {
		{ "one_answer_each", "60", one_answer_each },
		{ "pipelined", "60", pipelined },
		{ "chunked", "60", chunked },
		{ "refused", "60", refused },
		{ "slow", "1", slow },
		{ "stops", "60", stops },
		{ "stops_beside_visitors", "60", stops_beside_visitors },
		{ "by_curl", "60", by_curl },
	};
	char text[16];

	check(argc >= 3);
	program = argv[1];
	curl = argc > 3 && argv[3][0] == '/' ? argv[3] : NULL;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!strcmp(argv[2], cases[i].name)) {
			start(cases[i].patience);
			snprintf(text, sizeof(text), "%d", port);
			setenv("PORT", text, 1);
			cases[i].run();
			kill(pid, SIGKILL);
			return 0;
		}
	return 1;
}
