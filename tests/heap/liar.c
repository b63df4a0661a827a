/* SPDX-License-Identifier: MIT */
/*
 * liar.c - a goro program that publishes books of its heap which make no sense.
 *
 *	liar plain | cookie | version | count | size | nowhere | sites | huge | same
 */
#include <goro.h>
#include <goro_introspect.h>
#include <stdio.h>
#include <string.h>

enum { ACCOUNTS = 100, SITES = 64 };

static struct goro_heap_account accounts[ACCOUNTS];
static struct goro_heap_closed sites[SITES];

struct goro_heap_contract liar_contract __attribute__((visibility("hidden"))) = {
	.cookie = { 'G', 'O', 'R', 'O', 'H', 'E', 'A', '1' },
	.version = GORO_HEAP_VERSION,
	.size = sizeof(struct goro_heap_contract),
	.account_size = sizeof(struct goro_heap_account),
	.account_count = ACCOUNTS,
	.site_size = sizeof(struct goro_heap_closed),
	.site_count = SITES,
};

__asm__(".pushsection .note.goro, \"a\", @note\n\t"
	".balign 4\n\t"
	".long 5, 8, 2\n\t" /* GORO_HEAP_NOTE_TYPE */
	".asciz \"GORO\"\n\t"
	".balign 4\n\t"
	"1: .quad liar_contract - 1b\n\t"
	".popsection");

static void lie(const char *how)
{
	struct goro_heap_contract *c = &liar_contract;

	c->accounts = (uintptr_t)accounts;
	c->sites = (uintptr_t)sites;
	accounts[1] = (struct goro_heap_account){
		.id = 1, .bytes = 1234, .objects = 2, .left = GORO_HEAP_BIAS
	};
	if (!strcmp(how, "cookie"))
		c->cookie[7]++;
	if (!strcmp(how, "version"))
		c->version++;
	if (!strcmp(how, "count"))
		c->account_count = UINT32_MAX;
	if (!strcmp(how, "size"))
		c->account_size = 8;
	if (!strcmp(how, "nowhere"))
		c->accounts = 0x1000;
	if (!strcmp(how, "sites"))
		c->sites = UINT64_MAX - 100;
	for (int i = 2; i < ACCOUNTS && !strcmp(how, "huge"); i++)
		accounts[i] = (struct goro_heap_account){ .id = UINT64_MAX - (uint64_t)i,
							  .spawn_pc = ~0ull << i % 64,
							  .bytes = UINT64_MAX,
							  .objects = UINT64_MAX,
							  .own_freed_bytes = 1,
							  .left = (uint64_t)i };
	for (int i = 2; i < ACCOUNTS && !strcmp(how, "same"); i++)
		accounts[i] = accounts[1];
}

int main(int argc, char **argv)
{
	lie(argc > 1 ? argv[1] : "plain");
	puts("ready");
	fflush(stdout);
	for (;;)
		goro_sleep(GORO_SECOND);
}
