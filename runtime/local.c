/* SPDX-License-Identifier: MIT */
/*
 * local.c - what few goroutines have: a name, labels, values of their own, a stack of another size.
 *
 * All of it lies in one record that a goroutine gets when it first needs one and gives back when it
 * ends, so that the others pay for it with one pointer. Records are cut from chunks that stay
 * mapped for ever: an observer that comes late reads another goroutine's name, never unmapped
 * memory. The values themselves are a list; nobody has so many that a table would pay.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lockorder.h"
#include "pthreads.h"

enum { CHUNK_LEN = 64, ROUNDS = 4 };

struct local {
	const goro_local *key;
	void *value;
	struct local *next;
	int round; /* set by the destroy function of a value of the round before */
};

static uint32_t free_lock;
static struct g_ext *free_exts;

/* ---- the record --------------------------------------------------------------------------------
 */

/* free_lock held. */
static void chunk_add(void)
{
	struct g_ext *chunk = os_reserve(CHUNK_LEN * sizeof(*chunk));

	if (!chunk)
		goro_throw("out of memory: names and values of goroutines");
	san_root_region(chunk, CHUNK_LEN * sizeof(*chunk));
	for (int i = 0; i < CHUNK_LEN; i++) {
		chunk[i].link = free_exts;
		free_exts = &chunk[i];
	}
}

struct g_ext *goro_ext_of(struct g *gp)
{
	struct g_ext *ext = gp->ext;

	if (ext)
		return ext;
	lock_always(&free_lock);
	if (!free_exts)
		chunk_add();
	ext = free_exts;
	free_exts = ext->link;
	unlock_always(&free_lock);
	memset(ext, 0, sizeof(*ext));
	/* Release: who looks from outside sees a record that is empty, not another's. */
	__atomic_store_n(&gp->ext, ext, __ATOMIC_RELEASE);
	return ext;
}

void goro_ext_free(struct g *gp)
{
	struct g_ext *ext = gp->ext;

	if (unlikely(goro_lockorder))
		goro_order_free(gp);
	if (unlikely(sched.pthreads))
		goro_pthread_free(gp);
	__atomic_store_n(&gp->ext, NULL, __ATOMIC_RELAXED);
	lock_always(&free_lock);
	ext->link = free_exts;
	free_exts = ext;
	unlock_always(&free_lock);
}

void goro_ext_inherit(const struct g *parent, struct g *gp)
{
	if (parent->ext->labels[0])
		memcpy(goro_ext_of(gp)->labels, parent->ext->labels, GORO_LABELS_MAX);
}

static void set_name(struct g *gp, const char *name)
{
	size_t len = name ? strnlen(name, GORO_NAME_MAX - 1) : 0;
	struct g_ext *ext;

	if (!len && !gp->ext)
		return;
	ext = goro_ext_of(gp);
	/* The last byte is never anything but NUL: it ends for whoever reads it meanwhile. */
	memset(ext->name + len, 0, GORO_NAME_MAX - 1 - len);
	if (len)
		memcpy(ext->name, name, len);
}

void goro_ext_options(struct g *gp, const char *name, uint32_t stack_class)
{
	set_name(gp, name);
	if (stack_class)
		goro_ext_of(gp)->stack_class = stack_class;
}

/* ---- name and labels ---------------------------------------------------------------------------
 */

void goro_set_name(const char *name)
{
	struct m *mp = enter();

	set_name(mp->curg, name);
	leave(mp);
}

const char *goro_name(void)
{
	struct m *mp = enter();
	const char *name = mp->curg->ext ? mp->curg->ext->name : "";

	leave(mp);
	return name;
}

/* The value of a label, which ends at a line feed; or NULL. */
static char *find_label(char *labels, const char *key, size_t key_len)
{
	for (char *line = labels; *line; line = strchr(line, '\n') + 1)
		if (!strncmp(line, key, key_len) && line[key_len] == '=')
			return line + key_len + 1;
	return NULL;
}

static int set_label(struct g *gp, const char *key, const char *value)
{
	size_t key_len = strlen(key), value_len = value ? strlen(value) : 0;
	char labels[GORO_LABELS_MAX] = { 0 };
	size_t used;
	char *old;

	if (gp->ext)
		memcpy(labels, gp->ext->labels, sizeof(labels));
	old = find_label(labels, key, key_len);
	if (old) {
		char *end = strchr(old, '\n') + 1;

		memmove(old - key_len - 1, end, strlen(end) + 1);
	}
	used = strlen(labels);
	if (value) {
		if (used + key_len + value_len + 3 > sizeof(labels))
			return -E2BIG;
		used += (size_t)snprintf(labels + used, sizeof(labels) - used, "%s=%s\n", key,
					 value);
	}
	if (!used && !gp->ext)
		return 0;
	/* What follows the text is cleared, so that an end is always near. */
	memset(labels + used, 0, sizeof(labels) - used);
	memcpy(goro_ext_of(gp)->labels, labels, sizeof(labels));
	return 0;
}

int goro_set_label(const char *key, const char *value)
{
	struct m *mp;
	int err;

	if (!key || !*key || strpbrk(key, "=\n") || (value && strchr(value, '\n')))
		return -EINVAL;
	if (strlen(key) + (value ? strlen(value) : 0) > GORO_LABELS_MAX - 3)
		return value ? -E2BIG : 0;
	mp = enter();
	err = set_label(mp->curg, key, value);
	leave(mp);
	return err;
}

int goro_label(const char *key, char *value, size_t size)
{
	struct m *mp = enter();
	struct g_ext *ext = mp->curg->ext;
	char *at = ext && key && *key ? find_label(ext->labels, key, strlen(key)) : NULL;
	size_t len = at ? (size_t)(strchr(at, '\n') - at) : 0;

	leave(mp);
	if (!at)
		return -ENOENT;
	if (value && size) {
		size_t n = len < size ? len : size - 1;

		memcpy(value, at, n);
		value[n] = '\0';
	}
	return (int)len;
}

/* ---- values ------------------------------------------------------------------------------------
 */

static struct local *find_local(const struct g *gp, const goro_local *key)
{
	struct local *l = gp->ext ? gp->ext->locals : NULL;

	while (l && l->key != key)
		l = l->next;
	return l;
}

void *goro_local_get(const goro_local *key)
{
	struct m *mp = enter();
	struct local *l = find_local(mp->curg, key);

	leave(mp);
	return l ? l->value : NULL;
}

void goro_local_set(const goro_local *key, void *value)
{
	struct m *mp = enter();
	struct g *gp = mp->curg;
	struct local *l = find_local(gp, key);

	if (!key)
		goro_throw("goro_local_set: NULL is no key");
	if (l) {
		l->value = value;
	} else if (value) {
		l = malloc(sizeof(*l));
		if (!l)
			goro_throw("out of memory: a value of a goroutine");
		*l = (struct local){ key, value, goro_ext_of(gp)->locals, gp->ext->round };
		gp->ext->locals = l;
	}
	leave(mp);
}

void goro_locals_destroy(struct g *gp)
{
	struct g_ext *ext = gp->ext;

	/* Each leaves the list first: its destroy function may end in
	 * goro_exit(), and we be back. */
	while (ext->locals) {
		struct local *l = ext->locals, was = *l;

		ext->locals = l->next;
		free(l);
		ext->round = was.round + 1;
		if (was.value && was.key->destroy && was.round < ROUNDS)
			was.key->destroy(was.value);
	}
}
