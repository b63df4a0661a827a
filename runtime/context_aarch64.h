/* SPDX-License-Identifier: MIT */
/*
 * context_aarch64.h - what the scheduler needs of the machine, AAPCS64 on Linux.
 *
 * The same set of names as context_x86_64.h. Of the vector registers only the lower halves of v8 to
 * v15 belong to the caller; fpcr (rounding, flush to zero, traps) does too, fpsr does not.
 */
#ifndef GORO_CONTEXT_AARCH64_H
#define GORO_CONTEXT_AARCH64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * The frame that the switch leaves at a goroutine's saved stack pointer, lowest address first. Both
 * sides of a switch have this layout, so one CFA rule holds on every instruction of it. Its size is
 * a multiple of 16, as the stack pointer must always be.
 */
struct switch_frame {
	uint64_t fpcr, pad;
	uint64_t d8, d9, d10, d11, d12, d13, d14, d15;
	uint64_t x19, x20, x21, x22, x23, x24, x25, x26, x27, x28, x29;
	uint64_t pc;
};

/* Make the switch to this frame call fn on an empty stack, by way of goro_entry. */
static inline void switch_frame_init(struct switch_frame *frame, void (*fn)(void *),
				     uintptr_t entry)
{
	*frame = (struct switch_frame){ .x19 = (uintptr_t)fn, .pc = entry };
}

struct fp_control {
	uint64_t fpcr;
};

static inline void fp_control_read(struct fp_control *now)
{
	__asm__ volatile("mrs %0, fpcr" : "=r"(now->fpcr));
}

/*
 * Rounding and traps as a goroutine finds them, after one that left them as they are `now` and has
 * ended on this stack.
 */
static inline void fp_control_reset(const struct fp_control *now)
{
	if (__builtin_expect(now->fpcr != 0, 0))
		__asm__ volatile("msr fpcr, xzr");
}

/* DWARF register numbers of what the frame holds: X(number, field). */
#define SWITCH_FRAME_REGS(X) \
	X(19, x19)           \
	X(20, x20)           \
	X(21, x21)           \
	X(22, x22)           \
	X(23, x23) X(24, x24) X(25, x25) X(26, x26) X(27, x27) X(28, x28) X(29, x29)

/* Give a switch_frame to libunwind's local context, which begins as a ucontext_t does. */
#define SWITCH_FRAME_TO_UCONTEXT(frame, sp_after, uc)                                          \
	do {                                                                                   \
		memcpy(&(uc)->uc_mcontext.regs[19], &(frame)->x19, 11 * sizeof((frame)->x19)); \
		(uc)->uc_mcontext.regs[30] = (frame)->pc;                                      \
		(uc)->uc_mcontext.pc = (frame)->pc;                                            \
		(uc)->uc_mcontext.sp = (sp_after);                                             \
	} while (0)
/* For syscall(): where the word goes that says whether this thread has a shadow stack, and off. */
#define SHADOW_STACK_STATUS(word) \
	167 /* prctl */, 74 /* PR_GET_SHADOW_STACK_STATUS */, (word), 0L, 0L, 0L
#define SHADOW_STACK_OFF 167, 75 /* PR_SET_SHADOW_STACK_STATUS */, 0L, 0L, 0L, 0L

#define UCONTEXT_PC(uc) ((uintptr_t)(uc)->uc_mcontext.pc)
#define UCONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.sp)

/* Back to behind the call that led to a pc where there is no code. */
#define UCONTEXT_UNDO_CALL(uc) ((uc)->uc_mcontext.pc = (uc)->uc_mcontext.regs[30])

#define GORO_ELF_MACHINE 183 /* EM_AARCH64 */

struct m;

/*
 * The calling thread's m. A compiler may keep the address of a thread-local variable over a call
 * that moves the goroutine to another thread; a volatile asm that reads the thread's base it may
 * not.
 */
static inline struct m *getm(void)
{
	struct m *mp;
	uintptr_t offset;

	__asm__ volatile("mrs	%0, tpidr_el0\n\t"
			 "adrp	%1, :gottprel:goro_tls_m\n\t"
			 "ldr	%1, [%1, :gottprel_lo12:goro_tls_m]\n\t"
			 "ldr	%0, [%0, %1]"
			 : "=&r"(mp), "=&r"(offset));
	return mp;
}

/*
 * Save what a call preserves in a switch_frame on this stack, its address in *save_sp, and go on
 * with the frame at load_sp. Comes back when somebody switches to *save_sp, maybe on another
 * thread.
 */
static inline void context_switch(uintptr_t *save_sp, uintptr_t load_sp)
{
	extern void goro_context_switch(uintptr_t * save, uintptr_t load);

	goro_context_switch(save_sp, load_sp);
}

/* Clear what the goroutine that was here before has left in registers: nothing. */
static inline void context_forget(void)
{
}

/*
 * Zeros on this stack below the caller's frame: `size` bytes, a multiple of 16; or down to where
 * the stack's last owner has been. See context_x86_64.S.
 */
extern void goro_wipe(size_t size) __attribute__((visibility("hidden")));
extern void goro_wipe_start(void) __attribute__((visibility("hidden")));

/* fn(mp, a, b), which parks, in the last line of an API function. */
static inline bool goro_wait(struct m *mp, void *a, void *b, bool (*fn)(struct m *, void *, void *))
{
	return fn(mp, a, b);
}

static inline int goro_wait_int(struct m *mp, void *a, void *b,
				int (*fn)(struct m *, void *, void *))
{
	return fn(mp, a, b);
}

/* What was stored before is seen before what is stored after. (Not a C11 fence: gcc has none for
 * ThreadSanitizer.) */
static inline void store_fence(void)
{
	__asm__ volatile("dmb ishst" ::: "memory");
}

/* Release: one more in a counter that nobody else writes. */
static inline void count_release(uint32_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELEASE);
}

/* Loads of what other threads write too, with acquire. */
static inline bool word_is_set(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static inline bool half_has(const uint16_t *half, uint8_t mask)
{
	return __atomic_load_n(half, __ATOMIC_ACQUIRE) & mask;
}

/* `yield` is a no-op on most cores; `isb` waits some ten nanoseconds. */
static inline void cpu_relax(void)
{
	__asm__ volatile("isb");
}

/* Ticks of a clock that is cheap to read and only used for random seeds and short spins. */
static inline uint64_t cpu_ticks(void)
{
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
}

#endif /* GORO_CONTEXT_AARCH64_H */
