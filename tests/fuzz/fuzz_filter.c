/* SPDX-License-Identifier: MIT */
/*
 * fuzz_filter.c - gotop's filter language: parsed, applied, and its source parsed again.
 */
#include "fake_scope.h"
#include "filter.h"

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
	struct filter *f = text && keep ? filter_parse(text, err, sizeof(err)) : NULL;

	if (f) {
		struct filter *again = filter_parse(filter_source(f), err, sizeof(err));

		if (!again)
			abort();
		filter_free(again);
		filter_apply(f, frame, keep);
	}
	filter_free(f);
	free(keep);
	free(text);
	return 0;
}
