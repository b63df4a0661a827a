/* SPDX-License-Identifier: MIT */
/* What a goroutine carries with it: a name, labels, values of its own, a stack of another size. */
#include <stdatomic.h>
#include <string.h>

#include "check.h"
#include "goro_introspect.h"

extern struct goro_introspect goro_introspect;

/* ---- as an observer sees it ------------------------------------------------------------------ */

/* Others write records meanwhile: an observer knows, ThreadSanitizer does not. */
__attribute__((no_sanitize("thread"))) static const char *record_of(uint64_t id)
{
	const struct goro_introspect *gi = &goro_introspect;
	const uint64_t *chunks = (const void *)(uintptr_t)gi->g_chunks;

	for (uint32_t i = 0; i < gi->g_nchunks * gi->g_chunk_len; i++) {
		const char *g = (const char *)(uintptr_t)chunks[i / gi->g_chunk_len] +
				(size_t)(i % gi->g_chunk_len) * gi->g_size;
		if (*(const volatile uint64_t *)g == id)
			return g;
	}
	return NULL;
}

static const struct goro_field *field(enum goro_field_id id)
{
	return (const struct goro_field *)(uintptr_t)goro_introspect.fields + id;
}

static const char *name_seen(uint64_t id)
{
	const void *at = record_of(id) + field(GORO_FIELD_g_name)->offset;
	uint64_t name = __atomic_load_n((const uint64_t *)at, __ATOMIC_ACQUIRE);

	return (const char *)(uintptr_t)name;
}

static void wait_for(void *arg)
{
	goro_chan_recv(arg, NULL);
}

static void name_is_seen(void)
{
	goro_chan *c = goro_chan_make(0, 0);
	uint64_t plain = go(wait_for, c);
	uint64_t named = goro_go_with(&(struct goro_options){ .name = "wörker 7" }, wait_for, c);

	check_parked(plain, GORO_REASON_CHAN_RECV);
	check_parked(named, GORO_REASON_CHAN_RECV);
	check(!name_seen(plain));
	check(!strcmp(name_seen(named), "wörker 7"));
	goro_chan_close(c);
}

static void name_can_change(void)
{
	char longest[200];

	check(!strcmp(goro_name(), ""));
	goro_set_name(NULL);
	check(!name_seen(goro_id()));
	goro_set_name("first");
	check(!strcmp(goro_name(), "first"));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	goro_set_name(longest);
	check_eq(strlen(goro_name()), GORO_NAME_MAX - 1);
	check_eq(strlen(name_seen(1)), GORO_NAME_MAX - 1);
	goro_set_name("short");
	check(!strcmp(name_seen(1), "short"));
	goro_set_name("");
	check(!strcmp(goro_name(), ""));
}

/* ---- labels ---------------------------------------------------------------------------------- */

static bool label_is(const char *key, const char *wanted)
{
	char value[GORO_LABELS_MAX];

	return goro_label(key, value, sizeof(value)) >= 0 && !strcmp(value, wanted);
}

static void labels_come_and_go(void)
{
	char cut[4], big[GORO_LABELS_MAX + 1];

	check_eq(goro_label("a", NULL, 0), -ENOENT);
	check_eq(goro_set_label("a", NULL), 0);
	check_eq(goro_set_label("a", "1"), 0);
	check_eq(goro_set_label("request", "x=y z"), 0);
	check_eq(goro_set_label("b", ""), 0);
	check(label_is("a", "1"));
	check(label_is("request", "x=y z"));
	check(label_is("b", ""));
	check_eq(goro_label("req", NULL, 0), -ENOENT);
	check_eq(goro_label("request", cut, sizeof(cut)), 5);
	check(!strcmp(cut, "x=y"));
	check(!strcmp(name_seen(1) + field(GORO_FIELD_ext_labels)->offset,
		      "a=1\nrequest=x=y z\nb=\n"));
	check_eq(goro_set_label("a", "another"), 0);
	check(label_is("a", "another"));
	check_eq(goro_set_label("request", NULL), 0);
	check_eq(goro_label("request", NULL, 0), -ENOENT);
	check(label_is("b", ""));

	check_eq(goro_set_label(NULL, "v"), -EINVAL);
	check_eq(goro_set_label("", "v"), -EINVAL);
	check_eq(goro_set_label("a=b", "v"), -EINVAL);
	check_eq(goro_set_label("a\nb", "v"), -EINVAL);
	check_eq(goro_set_label("a", "v\nw"), -EINVAL);
	memset(big, 'v', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	check_eq(goro_set_label("a", big), -E2BIG);
	check(label_is("a", "another"));
}

/* Fill it to the last byte, then one more. */
static void labels_are_bounded(void)
{
	char value[GORO_LABELS_MAX];

	for (size_t n = 1; n < sizeof(value); n++) {
		bool fits = n + strlen("k=\n") <= GORO_LABELS_MAX - 1;

		memset(value, 'v', n);
		value[n] = '\0';
		check_eq(goro_set_label("k", value), fits ? 0 : -E2BIG);
		check_eq(strlen(name_seen(1) + field(GORO_FIELD_ext_labels)->offset),
			 fits ? n + 3 : GORO_LABELS_MAX - 1);
		check_eq(goro_set_label("l", "0123"), n + 3 + 7 < GORO_LABELS_MAX ? 0 : -E2BIG);
		goro_set_label("l", NULL);
	}
}

static void see_labels(void *arg)
{
	check(label_is("request", "7"));
	check(!strcmp(goro_name(), ""));
	goro_set_label("request", "8");
	goro_chan_send(arg, &(int){ 1 });
}

static void labels_are_inherited(void)
{
	goro_chan *c = goro_chan_of(int, 0);

	goro_set_name("mine");
	goro_set_label("request", "7");
	go(see_labels, c);
	check(goro_chan_recv(c, NULL));
	check(label_is("request", "7"));
	goro_chan_free(c);
}

/* ---- values ---------------------------------------------------------------------------------- */

static atomic_int destroyed;
static goro_chan *ended;

static void count_destroyed(void *value)
{
	check(value);
	destroyed++;
	goro_yield(); /* it may block */
	free(value);
}

static void count_ended(void *value)
{
	goro_chan_send(ended, &value);
}

static goro_local buffer = { count_destroyed };
static goro_local plain = { NULL };
static goro_local at_end = { count_ended };

static void have_values(void *arg)
{
	check(!goro_local_get(&buffer));
	check(!goro_local_get(&plain));
	goro_local_set(&at_end, arg);
	goro_local_set(&buffer, malloc(10));
	goro_local_set(&plain, arg);
	goro_yield();
	check(goro_local_get(&plain) == arg);
	goro_local_set(&plain, NULL);
	check(!goro_local_get(&plain));
	check(goro_local_get(&buffer));
	if ((uintptr_t)arg % 2)
		goro_exit();
}

static void values_are_ones_own(void)
{
	ended = goro_chan_of(void *, 0);
	for (uintptr_t i = 1; i <= 1000; i++)
		go(have_values, (void *)i);
	for (int i = 1; i <= 1000; i++)
		check(goro_chan_recv(ended, NULL));
	check_eq(destroyed, 1000); /* before at_end: that was set first */
	check(!goro_local_get(&buffer));
	goro_chan_free(ended);
}

static void exit_in_destroy(void *value)
{
	destroyed++;
	if (value)
		goro_exit();
}

static void set_again(void *value);
static goro_local again = { set_again };
static goro_local exits[3] = { { exit_in_destroy }, { exit_in_destroy }, { exit_in_destroy } };

static void set_again(void *value)
{
	destroyed++;
	goro_local_set(&again, value);
}

static void have_stubborn_values(void *arg)
{
	goro_local_set(&at_end, arg);
	goro_local_set(&again, arg);
	for (int i = 0; i < 3; i++)
		goro_local_set(&exits[i], arg);
}

static void stubborn_values_end(void)
{
	ended = goro_chan_of(void *, 0);
	go(have_stubborn_values, &destroyed);
	check(goro_chan_recv(ended, NULL));
	check_eq(destroyed, 3 + 4);
	goro_chan_free(ended);
}

static void note_main(void *value)
{
	fprintf(stderr, "destroyed %s\n", (char *)value);
}

static goro_local of_main = { note_main };
static char of_main_text[] = "of main";

static void values_of_main(void)
{
	goro_local_set(&of_main, of_main_text);
}

static void values_of_main_at_exit(void)
{
	goro_local_set(&of_main, of_main_text);
	goro_exit();
}

/* ---- stacks of another size ------------------------------------------------------------------ */

static size_t stack_of(uint64_t id)
{
	uint64_t lo, hi;

	memcpy(&lo, record_of(id) + field(GORO_FIELD_g_stack_lo)->offset, sizeof(lo));
	memcpy(&hi, record_of(id) + field(GORO_FIELD_g_stack_hi)->offset, sizeof(hi));
	return hi - lo;
}

struct deep {
	goro_chan *c;
	size_t size;
};

static void use_stack(void *arg)
{
	struct deep *deep = arg;
	size_t use = deep->size > 32768 ? deep->size - 16384 : 64;
	volatile char *bytes = __builtin_alloca(use);

	check(stack_of(goro_id()) >= deep->size);
	for (size_t i = 0; i < use; i += 4096)
		bytes[i] = 1;
	goro_chan_send(deep->c, &use);
}

static void nothing(void *arg)
{
	goro_waitgroup_done(arg);
}

static void stacks_of_all_sizes(void)
{
	static const size_t sizes[] = { 0,	 1,	  20000,   70000,    100000,
					1000000, 3000000, 8 << 20, 16 << 20, 64 << 20 };
	struct deep deep = { .c = goro_chan_of(size_t, 0) };
	goro_waitgroup wg = { 0 };

	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 10; i++) {
			deep.size = sizes[i];
			goro_go_with(&(struct goro_options){ .stack_size = sizes[i] }, use_stack,
				     &deep);
			/* Small ones in between, which must not get its stack. */
			goro_waitgroup_add(&wg, 10);
			for (int k = 0; k < 10; k++)
				go(nothing, &wg);
			check(goro_chan_recv(deep.c, NULL));
			goro_waitgroup_wait(&wg);
		}
	deep.size = 0;
	goro_go_with(NULL, use_stack, &deep);
	check(goro_chan_recv(deep.c, NULL));
	goro_chan_free(deep.c);
}

static void absurd_stack(void)
{
	goro_go_with(&(struct goro_options){ .stack_size = SIZE_MAX }, wait_for, NULL);
}

static size_t overflow(size_t n)
{
	volatile char bytes[1024];

	bytes[n % 1024] = 1;
	return (n ? overflow(n + 1) : 0) + (size_t)bytes[n % 7];
}

static void overflow_it(void *arg)
{
	(void)arg;
	overflow(1);
}

static void big_stack_overflows(void)
{
	goro_go_with(&(struct goro_options){ .stack_size = 1000000 }, overflow_it, NULL);
	goro_chan_recv(goro_chan_make(0, 0), NULL);
}

/* Names, labels and odd stacks come and go on all workers at once; records are found again. */
static void named_life(void *arg)
{
	char name[32];

	snprintf(name, sizeof(name), "g%lu", (unsigned long)goro_id());
	goro_set_name(name);
	goro_set_label("n", name);
	goro_yield();
	check(!strcmp(goro_name(), name));
	check(label_is("n", name));
	goro_waitgroup_done(arg);
}

static void many_named(void)
{
	goro_waitgroup wg = { 0 };

	for (int round = 0; round < 20 / CHECK_SLOW; round++) {
		goro_waitgroup_add(&wg, 500);
		for (int i = 0; i < 500; i++)
			goro_go_with(&(struct goro_options){ .stack_size = i % 3 ? 0 : 200000 },
				     named_life, &wg);
		goro_waitgroup_wait(&wg);
	}
}

#define DIES .status = 2, .says

static const struct check_case cases[] = {
	{ .name = "name_is_seen", .run = name_is_seen },
	{ .name = "name_can_change", .run = name_can_change },
	{ .name = "labels_come_and_go", .run = labels_come_and_go },
	{ .name = "labels_are_bounded", .run = labels_are_bounded },
	{ .name = "labels_are_inherited", .run = labels_are_inherited },
	{ .name = "values_are_ones_own", .run = values_are_ones_own },
	{ .name = "stubborn_values_end", .run = stubborn_values_end },
	{ .name = "values_of_main", .run = values_of_main, .never = "destroyed" },
	{ .name = "values_of_main_at_exit",
	  .run = values_of_main_at_exit,
	  DIES = { "^destroyed of main$", "no goroutines \\(main called runtime.Goexit\\)" } },
	{ .name = "stacks_of_all_sizes", .run = stacks_of_all_sizes },
	{ .name = "absurd_stack",
	  .run = absurd_stack,
	  DIES = { "^panic: goro_go_with: a stack of [0-9]+ bytes; the biggest has [0-9]+$" } },
	{ .name = "big_stack_overflows",
	  .run = big_stack_overflows,
	  DIES = { "^runtime: goroutine stack exceeds 1032192-byte limit$",
		   "^fatal error: stack overflow$" } },
	{ .name = "many_named", .run = many_named },
};

int main(int argc, char **argv)
{
	return check_main(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
}
