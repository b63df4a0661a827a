/* SPDX-License-Identifier: MIT */
/* expect.h - what is on a grid, for tests; to be included after cmocka.h. */
#ifndef GOTOP_EXPECT_H
#define GOTOP_EXPECT_H

#include "screen.h"

#include <stdlib.h>

static inline void expect(const struct screen *s, const char *want)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	screen_dump(s, f);
	fclose(f);
	assert_string_equal(text, want);
	free(text);
}

#endif /* GOTOP_EXPECT_H */
