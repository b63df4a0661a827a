/* SPDX-License-Identifier: MIT */
/*
 * fuzz_filter.c - the filter language: parsed, applied, and its source parsed again.
 */
#include "fake_scope.h"
#include "frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct frame *the_frame(void)
{
	static const struct goro_verdict_options vo = { .suspect_age_ns = 1 };
	static struct frame *frame;
	static struct goro_scope *scope; /* static: they are no leaks */
	static struct namer *namer;

	if (frame)
		return frame;
	fake_reset();
	goro_error_free(goro_scope_open(&scope, "shop"));
	namer = namer_new(scope);
	goro_error_free(frame_take(namer, &vo, &frame));
	return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct frame *frame = the_frame();
	char *text = strndup((const char *)data, size), err[128];
	bool *keep = calloc(frame->snap->ng + 1, sizeof(*keep));
	struct goro_filter *f = text && keep ? goro_filter_parse(text, err, sizeof(err)) : NULL;

	if (f) {
		struct goro_filter *again =
			goro_filter_parse(goro_filter_source(f), err, sizeof(err));

		if (!again)
			abort();
		goro_filter_free(again);
		goro_filter_apply(f, frame->names, keep);
	}
	goro_filter_free(f);
	free(keep);
	free(text);
	return 0;
}
