/* SPDX-License-Identifier: MIT */
/*
 * http_hello - an HTTP/1.1 server: http_hello [PORT [SECONDS]]. Without a port, or with 0, one that
 * is free is taken, and printed. SECONDS is its patience with a client, 10 if not given.
 *
 *	GET /         says hello
 *	POST /count   counts the bytes of the body
 *
 * One goroutine for each connection. It reads, has the parser go over what came, and writes the
 * answers: requests that were sent in one go (pipelined) are answered in one go. A request must be
 * there as a whole within the patience, so a client that dribbles a byte a second gets nowhere.
 *
 * SIGINT and SIGTERM cancel a context. All that waits hangs on it: nobody is accepted any more,
 * idle connections are closed, requests that have begun are answered, and then main() returns. The
 * second signal ends the program at once.
 *
 * The parser is llhttp, that of Node.js (Debian: node-llhttp). How long a request's head may be is
 * for its callers to say.
 */
#include <llhttp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "goro.h"

enum { IN_SIZE = 4096, OUT_SIZE = 4096, REPLY_MAX = 512, PATH_MAX_LEN = 256, NAME_MAX_LEN = 24 };

#define HEAD_MAX ((size_t)80 << 10)
#define BODY_MAX (UINT64_C(64) << 20)

static int64_t patience = 10 * GORO_SECOND;
static goro_waitgroup connections;

struct connection {
	int fd;
	goro_context *ctx;
	goro_waitgroup hung_up;
	llhttp_t parser;
	atomic_bool started; /* the parser is inside a request */
	bool close;	     /* nothing follows the answers that are in `out` */
	unsigned answered;

	/* of the request */
	char path[PATH_MAX_LEN], name[NAME_MAX_LEN];
	size_t path_len, name_len, head;
	bool in_value, has_host, expects;
	uint64_t body;

	char in[IN_SIZE], out[OUT_SIZE];
	size_t out_len;
};

/* ---- answers ----------------------------------------------------------------------------------
 */

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ HTTP_STATUS_OK, "OK" },
	{ HTTP_STATUS_BAD_REQUEST, "Bad Request" },
	{ HTTP_STATUS_NOT_FOUND, "Not Found" },
	{ HTTP_STATUS_METHOD_NOT_ALLOWED, "Method Not Allowed" },
	{ HTTP_STATUS_REQUEST_TIMEOUT, "Request Timeout" },
	{ HTTP_STATUS_PAYLOAD_TOO_LARGE, "Payload Too Large" },
	{ HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large" },
};

/* The parser has names of statuses, but they are C's. */
static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "";
}

static void append(struct connection *c, const char *text, int len)
{
	if (len > 0 && (size_t)len <= OUT_SIZE - c->out_len) {
		memcpy(c->out + c->out_len, text, (size_t)len);
		c->out_len += (size_t)len;
	}
}

/* To HEAD the answer is that to GET, without the body. */
static void reply(struct connection *c, int status, const char *extra, const char *body, bool head)
{
	char text[REPLY_MAX], date[64];
	time_t now = time(NULL);
	struct tm tm;
	int n;

	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	n = snprintf(text, sizeof(text),
		     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: text/plain\r\n"
		     "Content-Length: %zu\r\n%s%s\r\n%s",
		     status, reason_of(status), date, strlen(body), extra,
		     c->close ? "Connection: close\r\n" : "", head ? "" : body);
	c->answered++;
	append(c, text, n);
}

/* The last word on this connection. */
static void refuse(struct connection *c, int status)
{
	char text[64];

	c->close = true;
	snprintf(text, sizeof(text), "%s\n", reason_of(status));
	reply(c, status, "", text, false);
}

static bool path_is(const struct connection *c, const char *path)
{
	size_t len = c->path_len;
	const char *query = memchr(c->path, '?', len);

	if (query)
		len = (size_t)(query - c->path);
	return len == strlen(path) && !memcmp(c->path, path, len);
}

static void wrong_method(struct connection *c, const char *allow)
{
	reply(c, HTTP_STATUS_METHOD_NOT_ALLOWED, allow, "Method Not Allowed\n",
	      c->parser.method == HTTP_HEAD);
}

static void route(struct connection *c)
{
	unsigned method = c->parser.method;
	bool head = method == HTTP_HEAD;
	char text[64];

	if (path_is(c, "/")) {
		if (head || method == HTTP_GET)
			reply(c, HTTP_STATUS_OK, "", "Hello, world!\n", head);
		else
			wrong_method(c, "Allow: GET, HEAD\r\n");
	} else if (path_is(c, "/count")) {
		snprintf(text, sizeof(text), "%llu bytes\n", (unsigned long long)c->body);
		if (method == HTTP_POST || method == HTTP_PUT)
			reply(c, HTTP_STATUS_OK, "", text, head);
		else
			wrong_method(c, "Allow: POST, PUT\r\n");
	} else {
		reply(c, HTTP_STATUS_NOT_FOUND, "", "Not Found\n", head);
	}
}

/* ---- what the parser finds --------------------------------------------------------------------
 */

static int on_begin(llhttp_t *p)
{
	struct connection *c = p->data;

	c->started = true;
	c->path_len = c->name_len = c->head = 0;
	c->in_value = c->has_host = c->expects = false;
	c->body = 0;
	return 0;
}

static int head_is_long(const struct connection *c)
{
	return c->head > HEAD_MAX ? HPE_USER : 0;
}

/* Of a path that is too long no more is kept than it needs to be found nowhere. */
static int on_url(llhttp_t *p, const char *at, size_t n)
{
	struct connection *c = p->data;

	c->head += n;
	n = n < PATH_MAX_LEN - c->path_len ? n : PATH_MAX_LEN - c->path_len;
	memcpy(c->path + c->path_len, at, n);
	c->path_len += n;
	return head_is_long(c);
}

/* Names and values come in pieces. */
static int on_name(llhttp_t *p, const char *at, size_t n)
{
	struct connection *c = p->data;

	if (c->in_value)
		c->name_len = 0;
	c->in_value = false;
	c->head += n;
	n = n < NAME_MAX_LEN - c->name_len ? n : NAME_MAX_LEN - c->name_len;
	memcpy(c->name + c->name_len, at, n);
	c->name_len += n;
	return head_is_long(c);
}

static bool name_is(const struct connection *c, const char *name)
{
	return c->name_len == strlen(name) && !strncasecmp(c->name, name, c->name_len);
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct connection *c = p->data;

	(void)at;
	c->head += n;
	c->in_value = true;
	c->has_host |= name_is(c, "host");
	c->expects |= name_is(c, "expect");
	return head_is_long(c);
}

static int on_headers(llhttp_t *p)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct connection *c = p->data;

	p->upgrade = 0; /* to another protocol: we know none */
	if (p->http_major != 1 || (p->http_minor && !c->has_host))
		return -1;
	if (c->expects && llhttp_should_keep_alive(p))
		append(c, go_on, sizeof(go_on) - 1);
	return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
	struct connection *c = p->data;

	(void)at;
	c->body += n;
	return c->body > BODY_MAX ? HPE_USER : 0;
}

/* Pausing gives the others a chance to be written when there is no room for one more answer. */
static int on_complete(llhttp_t *p)
{
	struct connection *c = p->data;

	c->started = false;
	c->close = !llhttp_should_keep_alive(p) || goro_context_err(c->ctx);
	route(c);
	return c->close || OUT_SIZE - c->out_len < 2 * REPLY_MAX ? HPE_PAUSED : 0;
}

static const llhttp_settings_t settings = {
	.on_message_begin = on_begin,
	.on_url = on_url,
	.on_header_field = on_name,
	.on_header_value = on_value,
	.on_headers_complete = on_headers,
	.on_body = on_body,
	.on_message_complete = on_complete,
};

static int status_of(const struct connection *c)
{
	if (head_is_long(c))
		return HTTP_STATUS_REQUEST_HEADER_FIELDS_TOO_LARGE;
	return c->body > BODY_MAX ? HTTP_STATUS_PAYLOAD_TOO_LARGE : HTTP_STATUS_BAD_REQUEST;
}

/* ---- a connection -----------------------------------------------------------------------------
 */

/* False: the client does not take it. */
static bool flush(struct connection *c)
{
	size_t n = c->out_len;

	c->out_len = 0;
	if (!n)
		return true;
	goro_set_deadline(c->fd, GORO_SAME_DEADLINE, goro_now() + patience);
	return goro_write(c->fd, c->out, n) == (ssize_t)n;
}

/* Have the parser go over n bytes, and write the answers. False: that was all. */
static bool parse(struct connection *c, size_t n)
{
	const char *at = c->in, *end = c->in + n;

	do {
		llhttp_errno_t err = llhttp_execute(&c->parser, at, (size_t)(end - at));

		if (err == HPE_PAUSED) {
			at = llhttp_get_error_pos(&c->parser);
			llhttp_resume(&c->parser);
		} else if (err != HPE_OK) {
			refuse(c, status_of(c));
		} else {
			at = end;
		}
		if (!flush(c) || c->close)
			return false;
	} while (at < end);
	return true;
}

/*
 * A request has `patience` from its first byte on, and so has the silence before it. One that was
 * not answered by what was read goes on with what it has left.
 */
static void talk(struct connection *c)
{
	for (;;) {
		bool was_started = c->started;
		unsigned answered = c->answered;
		ssize_t n = goro_read(c->fd, c->in, IN_SIZE);

		if (n == -ETIMEDOUT && c->started && !goro_context_err(c->ctx)) {
			refuse(c, HTTP_STATUS_REQUEST_TIMEOUT);
			flush(c);
		}
		if (n <= 0 || !parse(c, (size_t)n))
			return;
		if (was_started && c->answered == answered)
			continue;
		goro_set_deadline(c->fd, goro_now() + patience, GORO_SAME_DEADLINE);
		if (!c->started && goro_context_err(c->ctx))
			return;
	}
}

/* A socket that is closed while it has unread input resets the connection, answers and all. */
static void linger(struct connection *c)
{
	shutdown(c->fd, SHUT_WR);
	goro_set_deadline(c->fd, goro_now() + GORO_SECOND / 2, GORO_SAME_DEADLINE);
	while (goro_read(c->fd, c->in, IN_SIZE) > 0)
		;
}

/* The server stops. Who waits for a request waits no more; one that has begun may yet come in. */
static void hang_up(void *arg)
{
	struct connection *c = arg;

	if (!c->started)
		goro_set_deadline(c->fd, 1, GORO_SAME_DEADLINE);
	goro_waitgroup_done(&c->hung_up);
}

static void serve(void *arg)
{
	struct connection *c = arg;
	goro_context_after *at_the_end;

	llhttp_init(&c->parser, HTTP_REQUEST, &settings);
	c->parser.data = c;
	goro_set_deadline(c->fd, goro_now() + patience, GORO_SAME_DEADLINE);
	goro_waitgroup_add(&c->hung_up, 1);
	at_the_end = goro_context_after_func(c->ctx, hang_up, c);
	talk(c);
	if (c->close)
		linger(c);
	if (!goro_context_after_stop(at_the_end))
		goro_waitgroup_wait(&c->hung_up); /* it uses c */
	goro_close(c->fd);
	free(c);
	goro_waitgroup_done(&connections);
}

static void welcome(int fd, goro_context *ctx)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c) {
		goro_close(fd);
		return;
	}
	c->fd = fd;
	c->ctx = ctx;
	goro_waitgroup_add(&connections, 1);
	go(serve, c);
}

/* ---- the server -------------------------------------------------------------------------------
 */

static void wait_for_signals(void *arg)
{
	struct signalfd_siginfo info;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd >= 0 && goro_read(fd, &info, sizeof(info)) > 0)
		goro_context_cancel(arg);
	if (fd >= 0 && goro_read(fd, &info, sizeof(info)) > 0)
		_exit(128 + (int)info.ssi_signo);
}

/*
 * Whoever accepts gets to know, now or when it comes to it. Closed by somebody else the descriptor
 * could be another's by then.
 */
static void stop_accepting(void *arg)
{
	goro_set_deadline(*(int *)arg, goro_now(), GORO_SAME_DEADLINE);
}

static int run(int port)
{
	goro_context *ctx = goro_context_with_cancel(goro_background());
	int listener = goro_listen_tcp(NULL, port, 1024), fd;
	goro_context_after *at_the_end;

	if (listener < 0) {
		fprintf(stderr, "http_hello: cannot listen on port %d: %s\n", port,
			strerror(-listener));
		return 1;
	}
	go(wait_for_signals, ctx);
	at_the_end = goro_context_after_func(ctx, stop_accepting, &listener);
	printf("%d\n", goro_port(listener));
	fflush(stdout);
	while ((fd = goro_accept(listener)) != -ETIMEDOUT) {
		if (fd >= 0) {
			welcome(fd, ctx);
			continue;
		}
		fprintf(stderr, "http_hello: cannot accept: %s\n", strerror(-fd));
		goro_sleep(100 * GORO_MILLISECOND); /* some descriptors will be free again */
	}
	goro_close(listener);
	goro_waitgroup_wait(&connections);
	goro_context_after_stop(at_the_end);
	puts("goodbye");
	return 0;
}

static long number(const char *text, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	return end == text || *end || n < 0 || n > max ? -1 : n;
}

int main(int argc, char **argv)
{
	long port = argc > 1 ? number(argv[1], 65535) : 0;
	long seconds = argc > 2 ? number(argv[2], 3600) : 10;
	sigset_t set;

	if (argc > 3 || port < 0 || seconds < 1) {
		fprintf(stderr, "usage: http_hello [PORT [SECONDS]]\n");
		return 2;
	}
	patience = seconds * GORO_SECOND;
	/* Before the first goroutine: all threads are to leave these to wait_for_signals(). */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return run((int)port);
}
