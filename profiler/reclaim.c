/* SPDX-License-Identifier: MIT */
/*
 * reclaim.c - whom to unwind first, and the socket by which the program is asked; see reclaim.h and
 * struct goro_reclaim_entry.
 *
 * Rejected: all at once. Of a goroutine that is stuck with a lock in its hands and the thousand
 * that wait for the lock, one has to go. An order by who could reach what by pointers would be more
 * exact than these stages; but what a deferred function does cannot be known, only tried.
 */
#include "reclaim.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "error.h"

#define PATIENCE 90 /* seconds; the one whose turn it is may have 60 */

/* ---- whom ------------------------------------------------------------------------------------ */

static bool is_candidate(const struct goro_info *g)
{
	return g->verdict == GORO_VERDICT_LEAKED && g->id != 1 &&
	       !(g->flags &
		 (GORO_FLAG_MAIN | GORO_FLAG_SYSTEM | GORO_FLAG_FOREIGN | GORO_FLAG_IGNORE));
}

static bool reads(const struct goro_snapshot *snap, const struct goro_info *g, uint64_t lock)
{
	for (uint32_t i = 0; i < g->nrlocks; i++) {
		if (snap->rlocks[g->rlocks_first + i] == lock)
			return true;
	}
	return false;
}

/* A living goroutine that has the lock g waits for, or NULL: none is known. */
static const struct goro_info *holder(const struct goro_snapshot *snap, const struct goro_info *g)
{
	const struct goro_object *lock = goro_snapshot_object(snap, g->wait_object);

	if (!lock || !lock->valid)
		return NULL;
	if (lock->owner)
		return goro_snapshot_find(snap, lock->owner);
	for (size_t i = 0; lock->readers && i < snap->ng; i++) {
		if (reads(snap, &snap->g[i], lock->address))
			return &snap->g[i];
	}
	return NULL;
}

static bool waits_for_lock(const struct goro_info *g)
{
	return g->wait_class == GORO_CLASS_MUTEX || g->wait_class == GORO_CLASS_RWMUTEX;
}

static bool may_be_helped(const struct goro_snapshot *snap, const struct goro_info *g)
{
	const struct goro_object *lock;

	if (g->wait_class == GORO_CLASS_WAITGROUP)
		return true;
	if (!waits_for_lock(g) || g->proof == GORO_PROOF_NEVER)
		return false;
	lock = goro_snapshot_object(snap, g->wait_object);
	/* Nobody has it: somebody else waits in front, who may be helped. */
	return holder(snap, g) || (lock && lock->valid && !lock->owner && !lock->readers);
}

/* In a cycle of locks, and there is no younger one in it. */
static bool is_youngest_of_cycle(const struct goro_snapshot *snap, const struct goro_info *g)
{
	const struct goro_info *at = g;

	for (size_t i = 0; i <= snap->ng && waits_for_lock(at); i++) {
		at = holder(snap, at);
		if (!at || at->id > g->id || at->state != GORO_STATE_WAITING)
			return false;
		if (at == g)
			return true;
	}
	return false;
}

size_t reclaim_choose(const struct goro_snapshot *snap, enum reclaim_stage stage, bool *chosen)
{
	size_t n = 0;

	for (size_t i = 0; i < snap->ng; i++) {
		const struct goro_info *g = &snap->g[i];

		chosen[i] = is_candidate(g) &&
			    (stage == RECLAIM_REST || !may_be_helped(snap, g) ||
			     (stage == RECLAIM_CYCLES && is_youngest_of_cycle(snap, g)));
		n += chosen[i];
	}
	return n;
}

/* ---- the socket ------------------------------------------------------------------------------ */

static bool get(int fd, void *buf, size_t n)
{
	char *at = buf;

	while (n) {
		ssize_t k = recv(fd, at, n, 0);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

static bool put(int fd, const void *buf, size_t n)
{
	const char *at = buf;

	while (n) {
		ssize_t k = send(fd, at, n, MSG_NOSIGNAL);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		at += k;
		n -= (size_t)k;
	}
	return true;
}

static struct goro_error *broken(int fd)
{
	bool late = errno == EAGAIN || errno == EWOULDBLOCK;

	close(fd);
	return late ? goro_error_new(GORO_PERMISSION, "the process does not answer: "
						      "somebody else may have its attention")
		    : goro_error_new(GORO_NO_TARGET, "the process ended, or refuses us");
}

/* After a fork the child has the name of its parent's socket, but does not listen. */
static bool is_theirs(int fd, int pid)
{
	struct ucred who = { 0 };
	socklen_t len = sizeof who;

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) && (!pid || who.pid == pid);
}

struct goro_error *reclaim_connect(const char *name, int pid, int *ret)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = PATIENCE };
	char hello[8];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return goro_error_new(GORO_PERMISSION, "no socket: %s", strerror(errno));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	memcpy(sa.sun_path + 1, name, strnlen(name, sizeof sa.sun_path - 1));
	if (connect(fd, (struct sockaddr *)&sa,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name))) ||
	    !is_theirs(fd, pid)) {
		close(fd);
		return goro_error_hint(goro_error_new(GORO_PERMISSION,
						      "the socket on which it listens is not here"),
				       "if it runs in a container, run goro there");
	}
	errno = 0;
	if (!get(fd, hello, sizeof hello))
		return broken(fd);
	if (memcmp(hello, GORO_RECLAIM_HELLO, sizeof hello)) {
		close(fd);
		return goro_error_new(GORO_UNSUPPORTED, "it speaks another protocol");
	}
	*ret = fd;
	return NULL;
}

struct goro_error *reclaim_ask(int fd, struct goro_reclaim_entry *entries, size_t n)
{
	size_t size = n * sizeof *entries;
	uint64_t count = n;

	errno = 0;
	if (!put(fd, &count, sizeof count) || !put(fd, entries, size) || !get(fd, entries, size))
		return goro_error_new(GORO_NO_TARGET, "the process ended, or does not answer");
	return NULL;
}
