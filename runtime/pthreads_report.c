/* SPDX-License-Identifier: MIT */
/*
 * pthreads_report.c - a lock of a thread in a goroutine's hands, in words.
 */
#include <stdlib.h>

#include "pthreads.h"

static const char *const locks[] = {
	[HELD_MUTEX] = "a pthread mutex",
	[HELD_READ] = "a pthread rwlock for reading",
	[HELD_WRITE] = "a pthread rwlock for writing",
	[HELD_SPIN] = "a pthread spin lock",
	[HELD_FILE] = "a FILE's lock",
};

/* Names come from the program, and are not to break the line. */
static void put_goroutine(FILE *out, const struct held_warning *w)
{
	fprintf(out, "\ngoroutine %lu", (unsigned long)w->g);
	if (!w->name[0])
		return;
	fputs(" \"", out);
	for (const char *at = w->name; at < w->name + sizeof(w->name) && *at; at++)
		fputc((unsigned char)*at < ' ' || *at == '"' || *at == 127 ? '?' : *at, out);
	fputc('"', out);
}

static void put_waits(FILE *out, const struct held_warning *w)
{
	static const char *const reasons[] = {
#define NAME(id, letter, name, class) [GORO_REASON_##id] = name,
		GORO_REASONS(NAME)
#undef NAME
	};

	fprintf(out, "warning: a goroutine waits while it holds %s\n", locks[w->kind]);
	put_goroutine(out, w);
	fputs(" locked it:\n", out);
	goro_warning_stack(out, &w->at);
	fprintf(out, "  and then, still holding it, waited [%s]:\n", reasons[w->reason]);
	goro_warning_stack(out, &w->here);
	if (w->owned)
		fputs("\nTo the lock its owner is the thread. Until the goroutine goes on, all "
		      "others on that\nthread are taken for the owner, too; and it may go on on "
		      "another thread, where it\ncannot unlock it.",
		      out);
	else
		fprintf(out,
			"\nWho wants it meanwhile %s a whole thread, not a goroutine, for as "
			"long as this\none waits.",
			w->kind == HELD_SPIN ? "spins with" : "blocks");
	fprintf(out,
		" Unlock it before, use goro_%s, or call goro_lock_os_thread()\nbefore it "
		"is locked.\n",
		w->kind == HELD_READ || w->kind == HELD_WRITE ? "rwmutex" : "mutex");
}

static void put_elsewhere(FILE *out, const struct held_warning *w)
{
	fprintf(out, "warning: a goroutine unlocks %s on another thread than it was locked on\n",
		locks[w->kind]);
	put_goroutine(out, w);
	fprintf(out, " locked it on thread %u:\n", w->tids[0]);
	goro_warning_stack(out, &w->at);
	fprintf(out, "  and unlocked it on thread %u:\n", w->tids[1]);
	goro_warning_stack(out, &w->here);
	fputs("\nTo the lock its owner is the thread, so it stays locked, or breaks. Call "
	      "goro_lock_os_thread()\nbefore it is locked.\n",
	      out);
}

char *goro_pthread_describe(const struct held_warning *w)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (w->elsewhere)
		put_elsewhere(out, w);
	else
		put_waits(out, w);
	fclose(out);
	return text;
}
