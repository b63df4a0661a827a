/* SPDX-License-Identifier: MIT */
/*
 * context.h - how the rest of the runtime learns that a context was cancelled.
 */
#ifndef GORO_CONTEXT_H
#define GORO_CONTEXT_H

#include "goro.h"

/* Somebody to tell. In the list of a context that can be cancelled, under its mutex. */
struct context_node {
	struct context_node *next, **link; /* link: what points here; NULL: in no list */
	goro_context *child;		   /* a context to cancel in its turn, or NULL: */
	void (*fn)(struct context_node *); /* called once, under the mutex; must not block */
};

/* 0: fn will be called unless unwatched before (never, for a context without an end). Else what
 * goro_context_err() says. */
int goro_context_watch(goro_context *ctx, struct context_node *node);

/* Afterwards fn is not running, nor will it. True: it has not been called. */
bool goro_context_unwatch(goro_context *ctx, struct context_node *node);

#endif /* GORO_CONTEXT_H */
