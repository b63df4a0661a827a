/* SPDX-License-Identifier: MIT */
/*
 * io.c - read, write, accept, connect and files, in terms of netpoll and blocking calls.
 *
 * Each call tries first and waits when the kernel says EAGAIN, so what is ready costs no more than
 * the system call. A short read from a stream means that nothing is left (epoll(7) on EPOLLET): the
 * next read then waits without a try, which saves a request-and-answer server a third of its calls.
 * Not when an event has told of a hang-up, for which no second one comes.
 */
#include <errno.h>

#include "netpoll.h"

/* ---- blocking kinds ----------------------------------------------------------------------------
 */

enum file_op { OP_READ, OP_WRITE, OP_PREAD, OP_PWRITE, OP_OPEN };

struct file_call {
	enum file_op op;
	int fd, flags;
	unsigned mode;
	union {
		void *buf;
		const void *from;
		const char *path;
	};
	size_t n;
	int64_t offset;
	ssize_t result;
};

static void file_call(void *arg)
{
	struct file_call *c = arg;

	switch (c->op) {
	case OP_READ:
		c->result = os_read(c->fd, FD_BLOCKING, c->buf, c->n);
		break;
	case OP_WRITE:
		c->result = os_write_some(c->fd, FD_BLOCKING, c->from, c->n);
		break;
	case OP_PREAD:
		c->result = os_pread(c->fd, c->buf, c->n, c->offset);
		break;
	case OP_PWRITE:
		c->result = os_pwrite(c->fd, c->from, c->n, c->offset);
		break;
	case OP_OPEN:
		c->result = os_open(c->path, c->flags, c->mode);
		break;
	}
}

static ssize_t blocking(struct file_call call)
{
	goro_blocking(file_call, &call);
	return call.result;
}

/* ---- read and write ----------------------------------------------------------------------------
 */

/* Has the turn. */
static ssize_t read_side(struct poll_desc *pd, int fd, void *buf, size_t n)
{
	struct poll_side *s = &pd->side[SIDE_READ];
	enum fd_kind kind = atomic_load(&pd->kind);
	int err = goro_side_check(pd, SIDE_READ);
	ssize_t k;

	if (!err && n && atomic_load(&s->drained)) {
		atomic_store(&s->drained, false);
		err = goro_side_wait(pd, fd, SIDE_READ);
	}
	while (!err) {
		goro_side_reset(pd, SIDE_READ);
		k = os_read(fd, kind, buf, n);
		if (k != -EAGAIN) {
			atomic_store(&s->drained, kind == FD_STREAM && k > 0 && (size_t)k < n &&
							  !atomic_load(&pd->hangup));
			return k;
		}
		err = goro_side_wait(pd, fd, SIDE_READ);
	}
	return err;
}

ssize_t goro_read(int fd, void *buf, size_t n)
{
	int err;
	struct poll_desc *pd = goro_desc_get(fd, &err);
	ssize_t k;

	if (!pd)
		return err;
	if (atomic_load(&pd->kind) == FD_BLOCKING) {
		k = blocking((struct file_call){ .op = OP_READ, .fd = fd, .buf = buf, .n = n });
	} else {
		goro_side_take(pd, SIDE_READ);
		k = read_side(pd, fd, buf, n);
		goro_side_give(pd, SIDE_READ);
	}
	goro_desc_put(pd, fd);
	return k;
}

static ssize_t write_some(struct poll_desc *pd, int fd, const void *buf, size_t n)
{
	enum fd_kind kind = atomic_load(&pd->kind);
	int err = goro_side_check(pd, SIDE_WRITE);

	if (kind == FD_BLOCKING && !err)
		return blocking(
			(struct file_call){ .op = OP_WRITE, .fd = fd, .from = buf, .n = n });
	while (!err) {
		ssize_t k;

		goro_side_reset(pd, SIDE_WRITE);
		k = os_write_some(fd, kind, buf, n);
		if (k != -EAGAIN)
			return k;
		err = goro_side_wait(pd, fd, SIDE_WRITE);
	}
	return err;
}

ssize_t goro_write(int fd, const void *buf, size_t n)
{
	int err;
	struct poll_desc *pd = goro_desc_get(fd, &err);
	const char *at = buf;
	size_t left = n;
	ssize_t k;

	if (!pd)
		return err;
	goro_side_take(pd, SIDE_WRITE);
	do {
		k = write_some(pd, fd, at, left);
		if (k <= 0)
			break;
		at += k;
		left -= (size_t)k;
	} while (left);
	goro_side_give(pd, SIDE_WRITE);
	goro_desc_put(pd, fd);
	if (k < 0)
		return k;
	return left ? -EIO : (ssize_t)n; /* a device that takes nothing */
}

/* ---- files -------------------------------------------------------------------------------------
 */

static ssize_t file_at(struct file_call call)
{
	int err;
	struct poll_desc *pd = goro_desc_get(call.fd, &err);
	ssize_t k;

	if (!pd)
		return err;
	k = blocking(call);
	goro_desc_put(pd, call.fd);
	return k;
}

ssize_t goro_pread(int fd, void *buf, size_t n, int64_t offset)
{
	return file_at((struct file_call){
		.op = OP_PREAD, .fd = fd, .buf = buf, .n = n, .offset = offset });
}

ssize_t goro_pwrite(int fd, const void *buf, size_t n, int64_t offset)
{
	return file_at((struct file_call){
		.op = OP_PWRITE, .fd = fd, .from = buf, .n = n, .offset = offset });
}

int goro_open(const char *path, int flags, unsigned mode)
{
	int fd = (int)blocking(
		(struct file_call){ .op = OP_OPEN, .path = path, .flags = flags, .mode = mode });
	int err = fd < 0 ? fd : goro_desc_adopt(fd, FD_UNKNOWN);

	if (err && fd >= 0)
		os_close(fd);
	return err ? err : fd;
}

int goro_close(int fd)
{
	return goro_desc_close(fd);
}

int goro_set_deadline(int fd, int64_t read_deadline, int64_t write_deadline)
{
	int err;
	struct poll_desc *pd = goro_desc_get(fd, &err);

	if (!pd)
		return err;
	if (atomic_load(&pd->kind) == FD_BLOCKING)
		err = -ENOTSUP;
	else
		goro_desc_deadline(pd, (int64_t[2]){ read_deadline, write_deadline });
	goro_desc_put(pd, fd);
	return err;
}

/* ---- sockets -----------------------------------------------------------------------------------
 */

int goro_fd_adopt(int fd)
{
	int err = fd < 0 ? fd : goro_desc_adopt(fd, FD_STREAM);

	if (err && fd >= 0)
		os_close(fd);
	return err ? err : fd;
}

int goro_accept(int fd)
{
	int err, conn = -EAGAIN;
	struct poll_desc *pd = goro_desc_get(fd, &err);

	if (!pd)
		return err;
	goro_side_take(pd, SIDE_READ);
	err = goro_side_check(pd, SIDE_READ);
	while (!err) {
		goro_side_reset(pd, SIDE_READ);
		conn = os_accept(fd);
		if (conn != -EAGAIN)
			break;
		err = goro_side_wait(pd, fd, SIDE_READ);
	}
	goro_side_give(pd, SIDE_READ);
	goro_desc_put(pd, fd);
	return err ? err : goro_fd_adopt(conn);
}

int goro_connect(int fd, const void *addr, uint32_t len)
{
	int err;
	struct poll_desc *pd = goro_desc_get(fd, &err);

	if (!pd)
		return err;
	goro_side_take(pd, SIDE_WRITE);
	err = goro_side_check(pd, SIDE_WRITE);
	if (!err) {
		goro_side_reset(pd, SIDE_WRITE);
		err = os_connect(fd, addr, len);
		while (err == -EINPROGRESS) {
			err = goro_side_wait(pd, fd, SIDE_WRITE);
			if (!err)
				err = os_connect_result(fd);
		}
	}
	goro_side_give(pd, SIDE_WRITE);
	goro_desc_put(pd, fd);
	return err;
}
