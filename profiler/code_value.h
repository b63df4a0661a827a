/* SPDX-License-Identifier: MIT */
/*
 * code_value.h - what a register has, in words that are known when code is looked at; for
 * code_use_*.c.
 *
 * Of a[i - n] compilers make b[i], where b is a - n and points anywhere. So a value is one word,
 * and so many times another, and so many bytes. What would take three words is thought to be its
 * first.
 */
#ifndef GORO_CODE_VALUE_H
#define GORO_CODE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

enum { CODE_NOTHING = -1 };

/* word + factor * index + beside */
struct code_value {
	int16_t word;  /* or CODE_NOTHING: then it is no pointer */
	int16_t index; /* or CODE_NOTHING */
	int32_t factor;
	int64_t beside;
};

static const struct code_value code_nothing = { .word = CODE_NOTHING, .index = CODE_NOTHING };

static inline struct code_value code_word(int word)
{
	return (struct code_value){ .word = (int16_t)word, .index = CODE_NOTHING };
}

static inline bool code_is_known(struct code_value v)
{
	return v.word != CODE_NOTHING || v.index != CODE_NOTHING;
}

/* A pointer, but not simply one of the words. */
static inline bool code_is_beside(struct code_value v)
{
	return v.word != CODE_NOTHING && (v.index != CODE_NOTHING || v.beside);
}

/* As processors add. */
static inline int64_t code_plus(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static inline struct code_value code_add(struct code_value v, int64_t n)
{
	if (code_is_known(v))
		v.beside = code_plus(v.beside, n);
	return v;
}

/* As it is written: what is once a word is that word. */
static inline struct code_value code_normal(struct code_value v)
{
	if (v.factor == 0)
		v.index = CODE_NOTHING;
	if (v.word == CODE_NOTHING && v.index != CODE_NOTHING && v.factor == 1) {
		v.word = v.index;
		v.index = CODE_NOTHING;
		v.factor = 0;
	}
	return v;
}

/* A word alone, as an index; else what it is. */
static inline struct code_value code_as_index(struct code_value v)
{
	if (v.word == CODE_NOTHING || v.index != CODE_NOTHING)
		return v;
	return (struct code_value){ CODE_NOTHING, v.word, 1, v.beside };
}

static inline struct code_value code_times(struct code_value v, int64_t n)
{
	const struct code_value i = code_as_index(v);
	const int64_t factor = i.factor * n;

	if (n == 1)
		return v;
	if (!code_is_known(i) || i.word != CODE_NOTHING || factor != (int32_t)factor ||
	    i.beside != (int32_t)i.beside)
		return code_nothing;
	return code_normal(
		(struct code_value){ CODE_NOTHING, i.index, (int32_t)factor, i.beside * n });
}

/* What is not known, or would be a third word, is thought to be a distance. */
static inline struct code_value code_sum(struct code_value a, struct code_value b)
{
	struct code_value i;
	int64_t factor;

	if (a.word == CODE_NOTHING || (b.word != CODE_NOTHING && b.index != CODE_NOTHING)) {
		i = a;
		a = b;
		b = i;
	}
	i = code_as_index(b);
	if (a.word != CODE_NOTHING && a.index == CODE_NOTHING && i.index == a.word)
		a = code_as_index(a);
	if (!code_is_known(i) || i.word != CODE_NOTHING ||
	    (a.index != CODE_NOTHING && a.index != i.index))
		return a.word != CODE_NOTHING ? a : code_nothing;
	factor = (a.index == CODE_NOTHING ? 0 : (int64_t)a.factor) + i.factor;
	if (factor != (int32_t)factor)
		return code_nothing;
	a.factor = (int32_t)factor;
	a.index = i.index;
	return code_normal(code_add(a, i.beside));
}

#endif /* GORO_CODE_VALUE_H */
