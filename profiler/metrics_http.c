/* SPDX-License-Identifier: MIT */
/*
 * metrics_http.c - metrics over HTTP, through libmicrohttpd.
 *
 * It listens on the loopback interface unless told otherwise: what a program does, and where its
 * source lies, is not for everybody on the network. One thread serves all, so that looks do not
 * pile up when several ask at once.
 */
#include "report_metrics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define OLDER	    "text/plain; version=0.0.4; charset=utf-8"

/* A client that never ends its request costs little for a while, and keeps nobody out. */
#define MOST_CLIENTS  500u
#define REQUEST_BYTES 8192 /* an answer's memory is not of this */
#define PATIENCE_S    10u

struct metrics_server {
	struct MHD_Daemon *daemon;
	metrics_fn *fn;
	void *arg;
};

/* ---- addresses ------------------------------------------------------------------------------- */

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static bool parse_port(const char *text, in_port_t *port)
{
	char *end;
	unsigned long n;

	if (*text < '0' || *text > '9')
		return false;
	n = strtoul(text, &end, 10);
	*port = htons((uint16_t)n);
	return !*end && n <= 65535;
}

static bool parse_address(const char *text, union address *ret)
{
	const char *colon = strrchr(text, ':');
	char host[64] = "127.0.0.1";
	size_t len = colon ? (size_t)(colon - text) : 0;
	in_port_t port;

	if (!parse_port(colon ? colon + 1 : text, &port) || len >= sizeof host)
		return false;
	if (len) {
		memcpy(host, text, len);
		host[len] = '\0';
	}
	memset(ret, 0, sizeof *ret);
	if (host[0] == '[' && len > 2 && host[len - 1] == ']') {
		host[len - 1] = '\0';
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = port;
		return inet_pton(AF_INET6, host + 1, &ret->v6.sin6_addr) == 1;
	}
	if (!strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	ret->v4.sin_family = AF_INET;
	ret->v4.sin_port = port;
	return inet_pton(AF_INET, host, &ret->v4.sin_addr) == 1;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
			      char *body, size_t len, enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, body, mode);
	enum MHD_Result result;

	if (!r) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(body);
		return MHD_NO;
	}
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return result;
}

static enum MHD_Result answer_words(struct MHD_Connection *c, unsigned status, const char *type,
				    const char *body)
{
	return answer(c, status, type, (char *)body, strlen(body), MHD_RESPMEM_PERSISTENT);
}

static enum MHD_Result answer_error(struct MHD_Connection *c, struct goro_error *err)
{
	char *text = NULL;
	int len = asprintf(&text, "%s\n", err->message);

	goro_error_free(err);
	if (len < 0)
		return MHD_NO;
	return answer(c, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", text,
		      (size_t)len, MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result answer_metrics(struct metrics_server *s, struct MHD_Connection *c)
{
	const char *accept =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	bool older = accept && !strstr(accept, "openmetrics") && strstr(accept, "text/plain");
	struct goro_error *err;
	char *body = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&body, &len);

	if (!out)
		return MHD_NO;
	err = s->fn(out, older, s->arg);
	if (fclose(out) || err) {
		free(body);
		return err ? answer_error(c, err) : MHD_NO;
	}
	return answer(c, MHD_HTTP_OK, older ? OLDER : OPENMETRICS, body, len,
		      MHD_RESPMEM_MUST_FREE);
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **state)
{
	static int seen; /* its address says that the head of the request was seen */

	(void)version, (void)upload;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0) {
		if (*upload_size) {
			*upload_size = 0;
			return MHD_YES;
		}
		return answer_words(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", "GET only\n");
	}
	if (!*state) {
		*state = &seen;
		return MHD_YES;
	}
	if (!strcmp(url, "/metrics"))
		return answer_metrics(arg, c);
	if (!strcmp(url, "/"))
		return answer_words(c, MHD_HTTP_OK, "text/html",
				    "<!DOCTYPE html><title>goro</title><a href=\"/metrics\">"
				    "metrics</a>\n");
	return answer_words(c, MHD_HTTP_NOT_FOUND, "text/plain", "there is only /metrics\n");
}

/* ---- life ------------------------------------------------------------------------------------ */

static void put_url(const struct metrics_server *s, const union address *a, char *url, size_t size)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
	unsigned port = info ? info->port : 0;
	char host[INET6_ADDRSTRLEN] = "?";

	if (a->any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
		snprintf(url, size, "http://[%s]:%u/metrics", host, port);
	} else {
		inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
		snprintf(url, size, "http://%s:%u/metrics", host, port);
	}
}

struct goro_error *metrics_serve(struct metrics_server **ret, const char *address, metrics_fn *fn,
				 void *arg, char *url, size_t size)
{
	struct metrics_server *s;
	unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD;
	union address a;

	if (!parse_address(address, &a))
		return goro_error_new(GORO_USAGE,
				      "--listen takes PORT, ADDR:PORT or [ADDR]:PORT, with a "
				      "numeric ADDR, not '%s'",
				      address);
	s = calloc(1, sizeof *s);
	if (!s)
		return &goro_enomem;
	s->fn = fn;
	s->arg = arg;
	if (a.any.sa_family == AF_INET6)
		flags |= MHD_USE_IPv6;
	errno = 0;
	s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, handle, s, MHD_OPTION_SOCK_ADDR, &a.any,
				     MHD_OPTION_CONNECTION_LIMIT, MOST_CLIENTS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES,
				     MHD_OPTION_CONNECTION_TIMEOUT, PATIENCE_S, MHD_OPTION_END);
	if (!s->daemon) {
		int error = errno;

		free(s);
		return goro_error_new(GORO_USAGE, "cannot listen on %s: %s", address,
				      strerror(error));
	}
	put_url(s, &a, url, size);
	*ret = s;
	return NULL;
}

void metrics_stop(struct metrics_server *s)
{
	MHD_stop_daemon(s->daemon);
	free(s);
}
