/* SPDX-License-Identifier: MIT */
/*
 * fuzz_core.c - a core file of any content: opened, mapped, read, looked into, and searched for
 * what is leaked.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "scope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_around(struct target *t, const struct target_maps *maps)
{
	uint8_t bytes[4][256];
	struct target_read v[4];
	struct target_range range;

	for (size_t i = 0; i < maps->n && i < 64; i++) {
		const struct target_map *m = &maps->v[i];

		if (m->lo >= m->hi || (i && maps->v[i - 1].hi > m->lo))
			abort();
		v[0] = (struct target_read){ m->lo, bytes[0], 256, false };
		v[1] = (struct target_read){ m->hi - 1, bytes[1], 256, false };
		v[2] = (struct target_read){ m->lo + (m->hi - m->lo) / 2, bytes[2], 8, false };
		v[3] = (struct target_read){ m->lo - 8, bytes[3], 16, false };
		goro_error_free(t->ops->read(t, v, 4));
		range = (struct target_range){ m->lo, m->hi, 0 };
		t->ops->resident(t, &range, 1);
	}
}

/* And who keeps one of them alive. */
static void prove(struct goro_scope *scope, struct goro_snapshot *snap)
{
	struct goro_verdict_options o = { .reach = true };
	struct goro_verdicts *v = NULL;

	goro_error_free(goro_scope_judge(scope, snap, &o, &v));
	goro_verdicts_free(v);
	if (!snap->ng)
		return;
	o.why = snap->g[snap->ng / 2].id;
	v = NULL;
	goro_error_free(goro_scope_judge(scope, snap, &o, &v));
	goro_verdicts_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = memfd_create("core", MFD_CLOEXEC);
	struct target_maps maps = { 0 };
	struct goro_scope *scope;
	struct goro_snapshot *snap;
	struct goro_error *err;
	struct target *t;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	err = target_open_core(&t, fd, "core");
	if (err) {
		goro_error_free(err);
		return 0;
	}
	err = t->ops->maps(t, &maps);
	if (!err)
		read_around(t, &maps);
	target_maps_free(&maps);
	goro_error_free(err);
	err = goro_scope_open_target(&scope, t);
	if (!err) {
		err = goro_scope_snapshot(scope, &snap);
		if (!err) {
			prove(scope, snap);
			goro_snapshot_free(snap);
		}
		goro_scope_close(scope);
	}
	goro_error_free(err);
	return 0;
}
