/* SPDX-License-Identifier: MIT */
/* input.h - the line at the bottom in which a filter, a search or a goroutine id is typed. */
#ifndef GOTOP_INPUT_H
#define GOTOP_INPUT_H

#include "model.h"

enum input_result { INPUT_RESULT_NONE, INPUT_RESULT_GOTO };

void input_open(struct model *m, int kind); /* INPUT_FILTER ... */
void input_key(struct model *m, int key);

/* Enter: take over what was typed. It stays open, with its error, when it is wrong. */
enum input_result input_enter(struct model *m, uint64_t *id);

#endif /* GOTOP_INPUT_H */
