/* SPDX-License-Identifier: MIT */
/*
 * test_steps.c - the stack of a thread that is caught anywhere: at every single instruction that a
 * program executes between two breakpoints it is, frame by frame, what was called and has not
 * returned.
 *
 *	test_steps PROGRAM [ARGUMENT]
 *
 * PROGRAM is tests/targets/steps.c, compiled and linked in some way.
 *
 * What was called is known without unwind data: the program is executed step by step, and whenever
 * the address of the next instruction is pushed, that was a call; its frame is there until the
 * stack pointer has passed it. The switches between stacks, the stubs of dynamic linking, the C
 * library's assembly and the making of threads are all on the way.
 */
#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cfi.h"
#include "target.h"
#include "unwind.h"

enum {
	SKIPPED = 77,
	STEPS_MAX = 4000000,
	CALLS_MAX = 256,
	STACKS_MAX = 64,
	THREADS_MAX = 16,
	LONGEST = 15, /* bytes of an instruction */
	MEMORY = 1 << 16,
	SAVED_PC = 16, /* in the frame that the switch leaves: see runtime/context_x86_64.h */
};

static const char *program, *argument;

/* Calls that have not returned, outermost first: where the return address lies, and what it is. */
struct stack {
	struct {
		uint64_t slot, pc;
	} call[CALLS_MAX];
	size_t n;
	uint64_t left_sp; /* where the switch left it */
	uint64_t left_pc; /* what it pushed: where this one goes on */
};

struct thread {
	pid_t tid;
	bool begun;
	struct user_regs_struct before, now;
	struct stack *on;
};

struct steps {
	pid_t pid;
	struct target *target;
	struct modules modules;
	struct unwinder *unwinder;
	struct unwind_layout layout;
	uint64_t switch_lo, switch_hi; /* the code that changes stacks */
	uint64_t waits_lo, waits_hi;
	uint64_t crt_lo, crt_hi; /* what the compiler brings, without unwind data */
	struct thread thread[THREADS_MAX];
	struct stack stack[STACKS_MAX];
	size_t nthreads, nstacks, steps, bad;
	bool done;

	/* Of the thread that is looked at: */
	uint8_t memory[MEMORY]; /* from its stack pointer on */
	uint64_t at;
	size_t size;
	struct unwind_result found;
};

/* ---- the program ----------------------------------------------------------------------------- */

/* False: this system forbids it. */
static bool start(struct steps *s)
{
	pid_t parent = getpid();
	int status;

	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent || setenv("GORO_MAXPROCS", "1", 1))
			_exit(1);
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(SKIPPED);
		execl(program, program, argument, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		return false;
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, s->pid, NULL, PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL);
	return true;
}

static void read_registers(struct thread *t)
{
	struct iovec regs = { &t->now, sizeof t->now };

	t->before = t->now;
	assert_int_equal(ptrace(PTRACE_GETREGSET, t->tid, NT_PRSTATUS, &regs), 0);
}

static const struct target_map *map_of(struct steps *s, uint64_t sp)
{
	return target_maps_find(&s->modules.maps, sp);
}

static void refresh(struct steps *s)
{
	unsigned generation = s->modules.generation;

	assert_null(modules_refresh(&s->modules, s->target));
	if (s->modules.generation != generation)
		unwinder_modules_changed(s->unwinder);
}

static bool far(uint64_t a, uint64_t b)
{
	return a - b + 4096 > 8192;
}

static void read_memory(struct steps *s, const struct thread *t)
{
	const struct target_map *map = map_of(s, t->now.rsp);
	bool ok = false;

	if (!map || far(t->before.rsp, t->now.rsp)) {
		refresh(s);
		map = map_of(s, t->now.rsp);
	}
	assert_non_null(map);
	s->at = t->now.rsp;
	s->size = map->hi - s->at < MEMORY ? map->hi - s->at : MEMORY;
	/* There are guard pages in the midst of a map. */
	for (; s->size <= MEMORY; s->size = ((s->at + s->size - 1) & ~4095ul) - s->at) {
		assert_null(target_read_at(s->target, s->at, s->memory, s->size, &ok));
		if (ok)
			return;
	}
	fail_msg("no stack");
}

static uint64_t word(const struct steps *s, uint64_t address)
{
	uint64_t v;

	assert_true(address >= s->at && address - s->at + 8 <= s->size);
	memcpy(&v, s->memory + (address - s->at), sizeof v);
	return v;
}

/* ---- what was called ------------------------------------------------------------------------- */

static struct stack *new_stack(struct steps *s)
{
	assert_true(s->nstacks < STACKS_MAX);
	return &s->stack[s->nstacks++];
}

static bool in_switch(const struct steps *s, uint64_t pc)
{
	return pc >= s->switch_lo && pc < s->switch_hi;
}

/* To one that was left, or to one that has never run. */
static void change_stack(struct steps *s, struct thread *t)
{
	uint64_t pc = word(s, t->now.rsp + s->layout.saved_pc);

	t->on->left_sp = t->before.rsp;
	if (pc >= s->layout.entry_lo && pc < s->layout.entry_hi) {
		t->on = new_stack(s);
		t->on->left_pc = pc;
		return;
	}
	for (size_t i = s->nstacks; i-- > 0;) {
		if (s->stack[i].left_sp == t->now.rsp) {
			t->on = &s->stack[i];
			assert_int_equal(t->on->left_pc, pc);
			return;
		}
	}
	fail_msg("a stack that nobody left");
}

static void follow(struct steps *s, struct thread *t)
{
	const uint64_t sp = t->now.rsp, next = t->before.rip;
	uint64_t pushed = t->before.rsp - sp == 8 ? word(s, sp) : 0;

	if (in_switch(s, t->before.rip) && far(t->before.rsp, sp)) {
		change_stack(s, t);
	} else if (pushed > next && pushed <= next + LONGEST && t->now.rip != pushed) {
		assert_true(t->on->n < CALLS_MAX);
		t->on->call[t->on->n].slot = sp;
		t->on->call[t->on->n++].pc = pushed;
	}
	if (in_switch(s, t->now.rip) && !in_switch(s, t->before.rip))
		t->on->left_pc = t->now.rcx;
	while (t->on->n && t->on->call[t->on->n - 1].slot < sp)
		t->on->n--;
}

/* ---- what is found --------------------------------------------------------------------------- */

static void unwind_now(struct steps *s, const struct thread *t)
{
	struct target_registers registers;
	struct unwind_stack stack = {
		.layout = &s->layout,
		.registers = &registers,
		.sp = s->at,
		.hi = s->at + s->size,
		.bytes = s->memory,
		.len = s->size,
		.still = true,
		.main = true,
	};

	registers_from_user(&t->now, &registers);
	assert_int_equal(unwind(s->unwinder, &stack, &s->found), UNWIND_DONE);
}

/*
 * In the switch itself, who goes on is in a register or in what was pushed for the one that goes
 * on, not where a call would have left it. So it is where the call and the return of a wait are.
 */
static bool same(const struct steps *s, const struct thread *t)
{
	const struct stack *on = t->on;
	const struct unwind_result *f = &s->found;
	const uint64_t pc = t->now.rip;
	size_t n = 1;

	if (pc >= s->crt_lo && pc < s->crt_hi)
		return true;
	if (!f->complete || f->pcs[0] != pc + 1)
		return false;
	if (in_switch(s, pc) && (f->n < 2 || f->pcs[n++] != on->left_pc))
		return false;
	if (pc >= s->waits_lo && pc < s->waits_hi && f->n == on->n + 2 && f->pcs[n++] != t->now.rcx)
		return false;
	if (f->n != on->n + n)
		return false;
	for (size_t i = 0; i < on->n; i++)
		if (f->pcs[n + i] != on->call[on->n - 1 - i].pc)
			return false;
	return true;
}

static void say(const struct steps *s, const struct thread *t)
{
	const struct stack *on = t->on;
	struct module *m = modules_find(&s->modules, t->now.rip);
	uint64_t pc = t->now.rip;

	print_error("step %zu, thread %d, %s+%#" PRIx64 ", %s\n", s->steps, t->tid,
		    m ? m->path : "?", m ? pc - m->bias : pc,
		    s->found.complete ? "to its end" : "cut short");
	for (size_t i = 0; i < s->found.n || i < on->n; i++)
		print_error("%3zu found %-16" PRIx64 " called %" PRIx64 "\n", i,
			    i < s->found.n ? s->found.pcs[i] : 0,
			    i < on->n ? on->call[on->n - 1 - i].pc : 0);
}

/* ---- all of it ------------------------------------------------------------------------------- */

static void open_program(struct steps *s)
{
	assert_null(target_open_process(&s->target, s->pid));
	assert_null(modules_refresh(&s->modules, s->target));
	s->unwinder = unwinder_new(s->target, &s->modules);
	assert_non_null(s->unwinder);
}

static void close_program(struct steps *s)
{
	unwinder_free(s->unwinder);
	modules_free(&s->modules);
	s->target->ops->close(s->target);
	/* It has not ended before all of its threads were waited for. */
	kill(s->pid, SIGKILL);
	while (waitpid(-1, NULL, __WALL) > 0)
		;
}

/* What an observer is told once the runtime has started; but no frame pointer is trusted here. */
static void find_code(struct steps *s)
{
	struct module *m = NULL;

	for (size_t i = 0; i < s->modules.n && !s->switch_lo; i++) {
		m = s->modules.v[i];
		s->switch_lo = module_symbol(m, "goro_context_switch");
	}
	if (!m || !s->switch_lo)
		fail_msg("%s has no runtime with symbols", program);
	s->switch_hi = module_symbol(m, "goro_entry");
	s->waits_lo = module_symbol(m, "goro_wait");
	s->waits_hi = s->waits_lo + 32;
	s->layout.entry_lo = s->switch_hi;
	s->layout.entry_hi = module_symbol(m, "goro_entry_end");
	s->layout.saved_pc = SAVED_PC;
	s->layout.frame_pointer = cfi_frame_pointer(EM_X86_64);
	m = modules_find(&s->modules, s->thread[0].now.rip);
	s->crt_lo = module_symbol(m, "deregister_tm_clones");
	s->crt_hi = module_symbol(m, "frame_dummy") + 16;
	assert_true(s->switch_hi && s->waits_lo && s->layout.entry_hi && s->crt_lo);
}

/* The main thread's calls up to the first breakpoint are taken as they are found. */
static void begin(struct steps *s, struct thread *t)
{
	struct stack *on = t->on = new_stack(s);
	uint64_t slot = t->now.rsp;

	unwind_now(s, t);
	assert_true(s->found.complete);
	on->n = s->found.n - 1;
	for (size_t i = 1; i < s->found.n; i++, slot += 8) {
		while (word(s, slot) != s->found.pcs[i])
			slot += 8;
		on->call[on->n - i].slot = slot;
		on->call[on->n - i].pc = s->found.pcs[i];
	}
}

static bool at_breakpoint(struct steps *s, const struct thread *t)
{
	uint8_t byte = 0;
	bool ok;

	assert_null(target_read_at(s->target, t->now.rip, &byte, 1, &ok));
	return ok && byte == 0xcc;
}

static void look(struct steps *s, struct thread *t)
{
	read_registers(t);
	read_memory(s, t);
	if (t->begun)
		follow(s, t);
	else if (s->nthreads == 1)
		begin(s, t);
	else
		t->on = new_stack(s);
	t->begun = true;
	s->steps++;
	unwind_now(s, t);
	if (!same(s, t) && s->bad++ < 5)
		say(s, t);
	s->done = at_breakpoint(s, t);
}

static struct thread *thread_of(struct steps *s, pid_t tid)
{
	for (size_t i = 0; i < s->nthreads; i++)
		if (s->thread[i].tid == tid)
			return &s->thread[i];
	assert_true(s->nthreads < THREADS_MAX);
	s->thread[s->nthreads].tid = tid;
	return &s->thread[s->nthreads++];
}

/* One stop of one thread, which goes on by an instruction. */
static void step(struct steps *s)
{
	long signal = 0;
	struct thread *t;
	int status;
	pid_t tid = waitpid(-1, &status, __WALL);

	assert_true(tid > 0);
	if (!WIFSTOPPED(status)) {
		if (tid == s->pid)
			fail_msg("the program ended: status %#x", status);
		return; /* a thread did */
	}
	t = thread_of(s, tid);
	if (WSTOPSIG(status) == SIGTRAP && status >> 16 == 0)
		look(s, t);
	else if (!t->begun && WSTOPSIG(status) == SIGSTOP)
		look(s, t);
	else if (WSTOPSIG(status) != SIGTRAP)
		signal = WSTOPSIG(status);
	if (!s->done)
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, tid, NULL, signal), 0);
}

static void test_steps(void **state)
{
	static struct steps s;
	cpu_set_t one;
	int status;

	(void)state;
	/* Each step wakes the other one of the two: on one processor that is twice as fast. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof one, &one);
	if (!start(&s))
		skip();
	assert_int_equal(ptrace(PTRACE_CONT, s.pid, NULL, NULL), 0);
	assert_int_equal(waitpid(s.pid, &status, 0), s.pid);
	assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	open_program(&s);
	read_registers(thread_of(&s, s.pid));
	find_code(&s);
	look(&s, thread_of(&s, s.pid));
	assert_false(s.done);
	assert_int_equal(ptrace(PTRACE_SINGLESTEP, s.pid, NULL, NULL), 0);
	while (!s.done && s.steps < STEPS_MAX)
		step(&s);
	close_program(&s);
	print_message("%zu instructions of %zu threads on %zu stacks\n", s.steps, s.nthreads,
		      s.nstacks);
	assert_int_equal(s.bad, 0);
	assert_true(s.done);
	assert_true(s.nstacks > 4 || (argument && s.steps > 1000));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_steps) };

	if (argc < 2)
		return 2;
	program = argv[1];
	argument = argv[2];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
