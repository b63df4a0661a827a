/* SPDX-License-Identifier: MIT */
/*
 * filter.h - the filter language.
 *
 *	expr   := and { "or" and }
 *	and    := not { ["and"] not }
 *	not    := ("not" | "!") not | "(" expr ")" | test
 *	test   := field op value | field "in" number ".." number | word
 *	op     := "=" "!=" "~" "!~" ">" ">=" "<" "<="
 *
 *	state=lock and for>5s and on~mutex and not spawn~"^net"
 *
 * A bare word is a substring of where, spawn or stack. `~` is an extended regular expression. Case
 * does not matter. Whoever types is not trusted: the length, the nesting and the cost of a regular
 * expression are bounded.
 */
#ifndef GOTOP_FILTER_H
#define GOTOP_FILTER_H

#include "frame.h"

struct filter;

/* NULL for an error, which is then in err: one line that says what and where. An empty text is an
 * error too: no filter is no struct filter. */
struct filter *filter_parse(const char *text, char *err, size_t size);
void filter_free(struct filter *f);
const char *filter_source(const struct filter *f);

/* Sets keep[i] for each goroutine of the frame; returns how many are kept. */
size_t filter_apply(struct filter *f, const struct frame *frame, bool *keep);

/* Case-insensitive substring, as search and bare words have it. */
bool text_contains(const char *text, const char *word);

#endif /* GOTOP_FILTER_H */
