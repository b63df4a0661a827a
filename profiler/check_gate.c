/* SPDX-License-Identifier: MIT */
/*
 * check_gate.c - where goro processes knock before they end.
 *
 * A process of the tree that has a goro runtime and finds GORO_CHECK in its environment connects to
 * this socket when it calls exit() or returns from main, or when all its goroutines are asleep. It
 * sends one line, "exit PID STATUS" or "deadlock PID 2", and waits for an answer, while its other
 * goroutines run on. So it can be looked at, again and again, until nothing is left over or the
 * grace period has gone by. The answer, or our death, lets it go.
 *
 * The socket has a path, and a name without a file that is the same (unix(7), abstract): who has
 * changed his user or his root meanwhile does not come to the path any more, and who has another
 * network not to the name. Any process may know the name, so that there only those are let in that
 * are of the program.
 *
 * Rejected: to preload a library into the program, which static binaries do not load; to stop it
 * with ptrace at exit_group, which a debugger or a container may forbid.
 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "target.h"

#define FIRST_PAUSE INT64_C(1000000) /* between looks: doubles */
#define LAST_PAUSE  INT64_C(100000000)
#define SPEAK_UP    INT64_C(5000000000) /* who has not said its line by then is sent away */

enum { BY_PATH, BY_NAME, DOORS = GATE_DOORS };

struct visitor {
	int fd;
	char line[128];
	size_t length;
	char *text; /* that follows the line, or NULL */
	enum site_kind warning;
	size_t size, got;
	int pid;
	uint64_t caller; /* the goroutine that ends the process, where it is known */
	bool asleep;
	struct goro_scope *scope; /* NULL until the line is complete */
	int64_t until;		  /* end of the grace period */
	int64_t next;		  /* when to look again */
	int64_t pause;
};

struct gate {
	const struct check_options *opt;
	struct check_findings *findings;
	char directory[80];
	struct sockaddr_un address;
	int door[DOORS]; /* by path, by name; -1: shut */
	int group;	 /* of the program's processes */
	bool wide;
	struct visitor visitor[GATE_FDS];
	size_t n;
};

int64_t check_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static bool make_directory(struct gate *gate)
{
	const char *tmp = getenv("TMPDIR");

	/* The path of a socket is short, so a long TMPDIR cannot be used. */
	if (!tmp || *tmp != '/' || strlen(tmp) > 50)
		tmp = "/tmp";
	snprintf(gate->directory, sizeof gate->directory, "%s/goro-check-XXXXXX", tmp);
	if (!mkdtemp(gate->directory)) {
		fprintf(stderr, "goro: check: cannot make a directory in %s: %s\n", tmp,
			strerror(errno));
		return false;
	}
	return true;
}

static int listen_at(const struct sockaddr_un *address, size_t length)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);

	if (fd >= 0 && (bind(fd, (const struct sockaddr *)address, size) || listen(fd, 1024))) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

/* Without the name it does for those who stay what they are. */
static void listen_by_name(struct gate *gate)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t n = strlen(gate->address.sun_path);

	memcpy(address.sun_path + 1, gate->address.sun_path, n);
	gate->door[BY_NAME] = listen_at(&address, n + 1);
}

/* One who knocks is then to be found there. */
static bool can_see(void)
{
	struct goro_error *err = target_proc(true);

	if (err)
		fprintf(stderr, "goro: check: %s\n%s\n", err->message, err->hint ? err->hint : "");
	goro_error_free(err);
	return !err;
}

struct gate *gate_open(const struct check_options *opt, struct check_findings *f)
{
	struct gate *gate = can_see() ? calloc(1, sizeof *gate) : NULL;

	if (!gate || !make_directory(gate)) {
		free(gate);
		return NULL;
	}
	gate->opt = opt;
	gate->findings = f;
	gate->address.sun_family = AF_UNIX;
	snprintf(gate->address.sun_path, sizeof gate->address.sun_path, "%s/gate", gate->directory);
	listen_by_name(gate);
	gate->door[BY_PATH] = listen_at(&gate->address, sizeof gate->address.sun_path);
	if (gate->door[BY_PATH] < 0 || setenv("GORO_CHECK", gate->address.sun_path, 1)) {
		fprintf(stderr, "goro: check: cannot listen on %s: %s\n", gate->address.sun_path,
			strerror(errno));
		gate_close(gate);
		return NULL;
	}
	unsetenv("GORO_RECLAIM"); /* what is leaked is to be found, not tidied up */
	return gate;
}

void gate_expect(struct gate *gate, int group)
{
	gate->group = group;
}

static void remove_paths(struct gate *gate)
{
	if (!*gate->directory)
		return;
	unlink(gate->address.sun_path);
	rmdir(gate->directory);
	*gate->directory = '\0';
}

/* Tell a visitor to go on, and forget it. */
static void dismiss(struct gate *gate, struct visitor *v)
{
	(void)!send(v->fd, "go\n", 3, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(v->fd);
	if (v->scope)
		goro_scope_close(v->scope);
	free(v->text);
	*v = gate->visitor[--gate->n];
}

static void close_doors(struct gate *gate)
{
	for (int door = 0; door < DOORS; door++) {
		if (gate->door[door] >= 0)
			close(gate->door[door]);
		gate->door[door] = -1;
	}
}

void gate_close(struct gate *gate)
{
	if (!gate)
		return;
	while (gate->n)
		dismiss(gate, &gate->visitor[0]);
	close_doors(gate);
	remove_paths(gate);
	free(gate);
}

static bool is_ours(const struct gate *gate, int fd)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.pid > 0 &&
	       check_tree_has(gate->group, peer.pid);
}

static void let_in(struct gate *gate, int door)
{
	while (gate->door[door] >= 0 && gate->n < GATE_FDS) {
		int fd = accept4(gate->door[door], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (door == BY_NAME && !is_ours(gate, fd)) {
			close(fd);
			continue;
		}
		gate->visitor[gate->n++] =
			(struct visitor){ .fd = fd, .next = check_now() + SPEAK_UP };
	}
}

static void let_all_in(struct gate *gate)
{
	for (int door = 0; door < DOORS; door++)
		let_in(gate, door);
}

void gate_shut(struct gate *gate)
{
	let_all_in(gate);
	close_doors(gate);
	remove_paths(gate);
}

void gate_open_wide(struct gate *gate)
{
	gate->wide = true;
}

bool gate_busy(const struct gate *gate)
{
	return gate->n != 0;
}

static void complain(struct gate *gate, const struct visitor *v, struct goro_error *err)
{
	/* Who ends while we look needs no judgement any more. */
	if (err->code != GORO_NO_TARGET) {
		fprintf(stderr, "goro: check: process %d was not checked: %s\n", v->pid,
			err->message);
		if (err->hint)
			fprintf(stderr, "%s%s", err->hint,
				err->hint[strlen(err->hint) - 1] == '\n' ? "" : "\n");
		gate->findings->missed++;
	}
	goro_error_free(err);
}

/* "exit PID STATUS" or "deadlock PID 2", and behind that perhaps the goroutine that calls exit. */
static bool understand(struct visitor *v)
{
	struct ucred peer;
	socklen_t size = sizeof peer;
	char word[16];
	int status, n;

	v->caller = 1;
	n = sscanf(v->line, "%15[a-z] %d %d %" SCNu64, word, &v->pid, &status, &v->caller);
	if (n < 3)
		return false;
	v->asleep = !strcmp(word, "deadlock");
	if (!v->asleep && strcmp(word, "exit") != 0)
		return false;
	/* The kernel knows better who that is, also when it lives in another pid namespace. */
	if (!getsockopt(v->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.pid > 0)
		v->pid = peer.pid;
	return true;
}

/*
 * "order PID SIZE PROGRAM", and behind that line a text of that size: it takes locks in both orders
 * (with "pthread": waits with a thread's lock) and goes on as soon as it was heard. What of the
 * text came with the line is there already.
 */
static bool is_warning(struct visitor *v)
{
	enum { MOST = 1 << 16 };
	char *end = memchr(v->line, '\n', v->length);
	char word[16];
	size_t more;

	if (!end || sscanf(v->line, "%15[a-z] %*d %zu", word, &v->size) != 2 || v->size > MOST)
		return false;
	if (!strcmp(word, "order"))
		v->warning = SITE_LOCKORDER;
	else if (!strcmp(word, "pthread"))
		v->warning = SITE_PTHREAD;
	else
		return false;
	v->text = calloc(1, v->size + 1);
	if (!v->text)
		return false;
	*end++ = '\0';
	more = (size_t)(v->line + v->length - end);
	v->got = more < v->size ? more : v->size;
	memcpy(v->text, end, v->got);
	return true;
}

/* True: there is more to come. */
static bool hear_warning(struct gate *gate, struct visitor *v)
{
	char program[64] = "";
	ssize_t n = 0;

	while (v->got < v->size && (n = recv(v->fd, v->text + v->got, v->size - v->got, 0)) > 0)
		v->got += (size_t)n;
	if (v->got < v->size)
		return n < 0 && (errno == EAGAIN || errno == EINTR);
	sscanf(v->line, "%*s %*d %*u %63[^\n]", program);
	sites_add_text(&gate->findings->sites, v->warning, program, v->text);
	return false;
}

/* False: it is to be dismissed. */
static bool begin_looking(struct gate *gate, struct visitor *v)
{
	struct goro_error *err;

	if (!understand(v) || gate->wide)
		return false;
	err = goro_scope_open_pid(&v->scope, v->pid);
	if (err) {
		v->scope = NULL;
		complain(gate, v, err);
		return false;
	}
	check_note_process(gate->findings, v->pid);
	v->next = check_now();
	v->pause = FIRST_PAUSE;
	v->until = v->next + (v->asleep ? 0 : (int64_t)gate->opt->grace_ns);
	return true;
}

static bool listen_to(struct gate *gate, struct visitor *v)
{
	ssize_t n;

	if (v->text)
		return hear_warning(gate, v);
	n = recv(v->fd, v->line + v->length, sizeof v->line - 1 - v->length, 0);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false; /* it was killed */
	v->length += (size_t)n;
	if (v->scope)
		return v->length < sizeof v->line - 1;
	if (!memchr(v->line, '\n', v->length))
		return v->length < sizeof v->line - 1;
	if (is_warning(v))
		return hear_warning(gate, v);
	return begin_looking(gate, v);
}

/* One look; false: it is done with. */
static bool look(struct gate *gate, struct visitor *v)
{
	enum check_what what = v->asleep ? CHECK_ASLEEP : CHECK_AT_EXIT;
	struct goro_snapshot *snap;
	struct goro_error *err = goro_scope_snapshot(v->scope, &snap);
	int64_t now;
	bool found, more;

	if (err) {
		complain(gate, v, err);
		return false;
	}
	now = check_now();
	found = v->asleep || check_leftover(v->scope, snap, gate->opt, v->caller);
	more = found && now < v->until;
	if (more) {
		/* However slow a look is, the program gets most of the time. */
		v->pause = v->pause * 2 < LAST_PAUSE ? v->pause * 2 : LAST_PAUSE;
		if (v->pause < 4 * snap->cost_ns)
			v->pause = 4 * snap->cost_ns;
		v->next = now + v->pause < v->until ? now + v->pause : v->until;
	} else if (found) {
		err = check_find(gate->findings, v->scope, snap, gate->opt, what, v->caller);
		if (err)
			complain(gate, v, err);
	}
	goro_snapshot_free(snap);
	return more;
}

size_t gate_poll(struct gate *gate, struct pollfd *fds, size_t max, int64_t *deadline)
{
	size_t n = 0;

	for (int door = 0; door < DOORS && gate->n < GATE_FDS && n < max; door++) {
		if (gate->door[door] >= 0)
			fds[n++] = (struct pollfd){ .fd = gate->door[door], .events = POLLIN };
	}
	for (size_t i = 0; i < gate->n && n < max; i++) {
		fds[n++] = (struct pollfd){ .fd = gate->visitor[i].fd, .events = POLLIN };
		if (gate->visitor[i].next < *deadline)
			*deadline = gate->visitor[i].next;
	}
	return n;
}

void gate_run(struct gate *gate)
{
	let_all_in(gate);
	for (size_t i = gate->n; i-- > 0;) {
		struct visitor *v = &gate->visitor[i];
		bool stay = listen_to(gate, v);

		if (stay && v->next <= check_now())
			stay = v->scope && !gate->wide && look(gate, v);
		if (!stay)
			dismiss(gate, v);
	}
}
