/* SPDX-License-Identifier: MIT */
/*
 * sparse_pack_none.c - for machines of which nothing better is known.
 */
#include "sparse_pack.h"

sparse_pack_fn *sparse_pack_best(void)
{
	return NULL;
}
