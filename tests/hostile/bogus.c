/* SPDX-License-Identifier: MIT */
/*
 * bogus.c - a program that pretends to be a goro program, and lies.
 *
 *	bogus garbage SEED	a contract of random numbers
 *	bogus pointers		plausible counts, and tables that point everywhere
 */
#include <elf.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <goro_introspect.h>

#define G_SIZE	  256
#define CHUNK_LEN 64
#define NCHUNKS	  4096

struct goro_introspect bogus_contract __attribute__((visibility("hidden")));

__asm__(".pushsection .note.goro, \"a\", @note\n\t"
	".balign 4\n\t"
	".long 5, 8, 1\n\t"
	".asciz \"GORO\"\n\t"
	".balign 4\n\t"
	"1: .quad bogus_contract - 1b\n\t"
	".popsection");

static struct goro_field fields[GORO_NFIELDS];
static uint64_t chunks[NCHUNKS];
static uint64_t records[CHUNK_LEN * G_SIZE / 8];
static uint64_t stack[512];

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return *seed >> 16 ^ *seed << 40;
}

/* Half of the numbers are small, so that not every lie is seen at the first check. */
static void garbage(uint64_t seed)
{
	uint32_t *words = (uint32_t *)&bogus_contract;

	for (size_t i = 0; i < sizeof bogus_contract / sizeof *words; i++) {
		words[i] = (uint32_t)next_random(&seed);
		if (words[i] & 1)
			words[i] >>= 8 + words[i] % 24;
	}
	bogus_contract.version = GORO_CONTRACT_VERSION;
	bogus_contract.size = sizeof bogus_contract;
	bogus_contract.word_size = 8;
	bogus_contract.machine = EM_X86_64;
}

static uint64_t address(const void *p)
{
	return (uint64_t)(uintptr_t)p;
}

static void make_record(size_t i)
{
	uint64_t *g = records + i * G_SIZE / 8;

	g[GORO_FIELD_g_id] = i + 1;
	g[GORO_FIELD_g_status] = GORO_STATE_WAITING | (uint64_t)GORO_REASON_SELECT << 8;
	g[GORO_FIELD_g_sp] = address(stack) + i % 500 * 8;
	g[GORO_FIELD_g_stack_lo] = i % 3 ? address(stack) : 0;
	g[GORO_FIELD_g_stack_hi] = i % 5 ? address(stack + 512) : UINT64_MAX;
	g[GORO_FIELD_g_waiting] = i % 2 ? address(stack) : address(records);
	g[GORO_FIELD_g_wait_object] = 0xffffffffff600000ull;
}

static void pointers(void)
{
	struct goro_introspect *c = &bogus_contract;

	for (size_t i = 0; i < GORO_NFIELDS; i++)
		fields[i] = (struct goro_field){ (uint16_t)(i * 8 % (G_SIZE - 8)), 8 };
	for (size_t i = 0; i < CHUNK_LEN; i++)
		make_record(i);
	for (size_t i = 0; i < 512; i++)
		stack[i] = address(&stack[(i * 7 + 1) % 512]);
	for (size_t i = 0; i < NCHUNKS; i++)
		chunks[i] = i % 4 == 0	 ? address(records) + i
			    : i % 4 == 1 ? ~(uint64_t)i
			    : i % 4 == 2 ? (uint64_t)i << 36
					 : address(chunks) + i * 16;
	c->version = GORO_CONTRACT_VERSION;
	c->size = sizeof *c;
	c->word_size = 8;
	c->machine = EM_X86_64;
	c->fields = address(fields);
	c->nfields = GORO_NFIELDS;
	c->g_chunks = address(chunks);
	c->g_nchunks = c->g_nchunks_max = NCHUNKS;
	c->g_chunk_len = CHUNK_LEN;
	c->g_size = G_SIZE;
	c->ps = c->ms = address(chunks);
	c->p_count = c->m_count = NCHUNKS;
	c->tombs = address(records);
	c->tomb_count = 1000;
	c->tomb_size = 4096;
	c->saved_pc = 8;
	c->saved_size = 16;
	c->entry_lo = 1;
	c->entry_hi = 2;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "garbage") == 0)
		garbage(strtoull(argv[2], NULL, 10));
	else
		pointers();
	memcpy(bogus_contract.cookie, GORO_CONTRACT_COOKIE, sizeof bogus_contract.cookie);
	for (;;)
		pause();
}
