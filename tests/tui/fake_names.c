/* SPDX-License-Identifier: MIT */
/* fake_names.c - the functions and lines of the shop. */
#define _GNU_SOURCE
#include "fake_scope.h"

#include <stdlib.h>
#include <string.h>

static const struct goro_frame symbols[] = {
	{ .pc = 0x100, .function = "goro_park", .file = "proc.c", .line = 118, .runtime = true },
	{ .pc = 0x101,
	  .function = "goro_chan_recv",
	  .file = "chan.c",
	  .line = 140,
	  .runtime = true },
	{ .pc = 0x102,
	  .function = "goro_mutex_lock",
	  .file = "sync.c",
	  .line = 77,
	  .runtime = true },
	{ .pc = 0x103, .function = "goro_entry", .file = "proc.c", .line = 90, .runtime = true },
	{ .pc = 0x104, .function = "goro_sleep", .file = "time.c", .line = 61, .runtime = true },
	{ .pc = 0x200, .function = "main", .file = "main.c", .line = 40 },
	{ .pc = 0x201, .function = "accept_loop", .file = "net.c", .line = 398 },
	{ .pc = 0x210, .function = "session_wait", .file = SHOP "/sess.c", .line = 131 },
	{ .pc = 0x211, .function = "watch_session", .file = SHOP "/sess.c", .line = 94 },
	{ .pc = 0x212, .function = "watch_session", .file = SHOP "/sess.c", .line = 90 },
	{ .pc = 0x220, .function = "lru_touch", .file = SHOP "/cache.c", .line = 240 },
	{ .pc = 0x221,
	  .function = "shard_put",
	  .file = SHOP "/cache.c",
	  .line = 251,
	  .inlined = true },
	{ .pc = 0x222, .function = "shard_run", .file = SHOP "/cache.c", .line = 340 },
	{ .pc = 0x223, .function = "start_shards", .file = SHOP "/cache.c", .line = 201 },
	{ .pc = 0x230, .function = "tick", .file = "/gone/cron.c", .line = 19 },
	{ .pc = 0x231, .function = "start_cron", .file = "/gone/cron.c", .line = 55 },
	{ .pc = 0x240, .module = "/opt/shop/plugin.so", .module_offset = 0x1f40 },
	{ .pc = 0x300, .function = "watch_session", .file = SHOP "/sess.c", .line = 87 },
	{ .pc = 0x301, .function = "shard_run", .file = SHOP "/cache.c", .line = 338 },
	{ .pc = 0x302, .function = "tick", .file = "/gone/cron.c", .line = 17 },
};

static const struct goro_frame *symbol(uint64_t pc)
{
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		if (symbols[i].pc == pc)
			return &symbols[i];
	return NULL;
}

const struct goro_frame *goro_scope_symbolize(struct goro_scope *scope, uint64_t pc, bool is_return,
					      size_t *n)
{
	const struct goro_frame *f = symbol(pc);

	(void)scope;
	(void)is_return;
	*n = f != NULL;
	return f;
}

struct goro_frame *goro_scope_frames(struct goro_scope *scope, const struct goro_snapshot *snap,
				     uint32_t stack_id, size_t *n, size_t *user)
{
	const struct goro_stack *st = &snap->stacks[stack_id];
	struct goro_frame *frames = calloc(st->n + 1, sizeof(*frames));

	(void)scope;
	*n = *user = st->n;
	for (uint32_t i = st->n; i-- > 0;) {
		const struct goro_frame *f = symbol(snap->pcs[st->first + i]);

		if (f)
			frames[i] = *f;
		frames[i].pc = snap->pcs[st->first + i];
		if (!frames[i].runtime)
			*user = i;
	}
	return frames;
}

bool goro_scope_spawn_site(struct goro_scope *scope, const struct goro_info *g,
			   struct goro_frame *ret)
{
	const struct goro_frame *f = symbol(g->spawn_pc);

	(void)scope;
	if (!g->spawn_pc || !f)
		return false;
	*ret = *f;
	return true;
}

const char *goro_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

const char *goro_state_text(const struct goro_info *g)
{
	static const struct {
		char letter;
		const char *text;
	} words[] = {
		{ 'r', "running" },	 { 'R', "runnable" },
		{ 'c', "chan receive" }, { 'l', "sync.Mutex.Lock" },
		{ 'z', "sleep" },	 { 's', "select" },
		{ 'n', "new" },
	};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].letter == g->letter)
			return words[i].text;
	return "?";
}
