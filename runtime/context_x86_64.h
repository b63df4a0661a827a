/* SPDX-License-Identifier: MIT */
/*
 * context_x86_64.h - what the scheduler needs of the machine, System V AMD64.
 *
 * A port is this file and context_<arch>.S; no other file knows an architecture.
 */
#ifndef GORO_CONTEXT_X86_64_H
#define GORO_CONTEXT_X86_64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The frame that the switch leaves at a goroutine's saved stack pointer, lowest address first. Both
 * sides of a switch have this layout, so one CFA rule holds on every instruction of it.
 */
struct switch_frame {
	uint32_t mxcsr;
	uint16_t x87cw;
	uint16_t pad;
	uint64_t rbp;
	uint64_t pc;
};

/* Make the switch to this frame call fn on an empty stack, by way of goro_entry. */
static inline void switch_frame_init(struct switch_frame *frame, void (*fn)(void *),
				     uintptr_t entry)
{
	*frame = (struct switch_frame){
		.mxcsr = 0x1f80, .x87cw = 0x37f, .rbp = (uintptr_t)fn, .pc = entry
	};
}

/* To look at what was just read is slow, see context_x86_64.S: so it is in two halves. */
struct fp_control {
	uint32_t mxcsr;
	uint16_t x87cw;
};

static inline void fp_control_read(struct fp_control *now)
{
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(now->mxcsr), "=m"(now->x87cw));
}

/*
 * Rounding, precision and traps as a goroutine finds them, after one that left them as they are
 * `now` and has ended on this stack. The lower six bits of mxcsr only say what has happened.
 */
static inline void fp_control_reset(const struct fp_control *now)
{
	const uint32_t usual_mxcsr = 0x1f80;
	const uint16_t usual_x87cw = 0x37f;

	if (__builtin_expect((now->mxcsr & ~0x3fu) != usual_mxcsr, 0))
		__asm__ volatile("ldmxcsr %0" : : "m"(usual_mxcsr));
	if (__builtin_expect(now->x87cw != usual_x87cw, 0))
		__asm__ volatile("fldcw %0" : : "m"(usual_x87cw));
}

/* DWARF register numbers of what the frame holds: X(number, field). */
#define SWITCH_FRAME_REGS(X) X(6, rbp)

/* Give a switch_frame in struct ucontext order to libunwind's local context (a ucontext_t). */
#define SWITCH_FRAME_TO_UCONTEXT(frame, sp_after, uc)                    \
	do {                                                             \
		(uc)->uc_mcontext.gregs[REG_RBP] = (greg_t)(frame)->rbp; \
		(uc)->uc_mcontext.gregs[REG_RIP] = (greg_t)(frame)->pc;  \
		(uc)->uc_mcontext.gregs[REG_RSP] = (greg_t)(sp_after);   \
	} while (0)
/* For syscall(): where the word goes that says whether this thread has a shadow stack, and off. */
#define SHADOW_STACK_STATUS(word) \
	158 /* arch_prctl */, 0x5005 /* ARCH_SHSTK_STATUS */, (word), 0L, 0L, 0L
#define SHADOW_STACK_OFF 158, 0x5002 /* ARCH_SHSTK_DISABLE */, 1L, 0L, 0L, 0L

#define UCONTEXT_PC(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_RIP])
#define UCONTEXT_SP(uc) ((uintptr_t)(uc)->uc_mcontext.gregs[REG_RSP])

/* Back to behind the call that led to a pc where there is no code. */
#define UCONTEXT_UNDO_CALL(uc)                                      \
	do {                                                        \
		greg_t *gregs_ = (uc)->uc_mcontext.gregs;           \
		gregs_[REG_RIP] = *(const greg_t *)gregs_[REG_RSP]; \
		gregs_[REG_RSP] += 8;                               \
	} while (0)

#define GORO_ELF_MACHINE 62 /* EM_X86_64 */

struct m;

/*
 * The calling thread's m. A compiler may keep the address of a thread-local variable over a call
 * that moves the goroutine to another thread; a volatile asm that loads through %fs it may not.
 */
static inline struct m *getm(void)
{
	struct m *mp;

	__asm__ volatile("movq goro_tls_m@gottpoff(%%rip), %0\n\t"
			 "movq %%fs:(%0), %0"
			 : "=r"(mp));
	return mp;
}

/*
 * Leave a switch_frame on this stack, its address in *save_sp, and go on with the frame at load_sp.
 * Comes back when somebody switches to *save_sp, maybe on another thread; but for the stack and the
 * frame pointer no register is what it was. (AVX-512 has more of them; the x87 stack is empty
 * here.)
 */
static __always_inline void context_switch(uintptr_t *save_sp, uintptr_t load_sp)
{
	__asm__ volatile("leaq	1f(%%rip), %%rcx\n\t"
			 "jmp	goro_context_switch\n"
			 "1:"
			 : "+D"(save_sp), "+S"(load_sp)
			 :
			 : "rax", "rbx", "rcx", "rdx", "r12", "r13", "r14", "r15", "r8", "r9",
			   "r10", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15",
#ifdef __AVX512F__
			   "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23",
			   "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31",
			   "k1", "k2", "k3", "k4", "k5", "k6", "k7",
#endif
			   "memory", "cc");
}

/*
 * Clear what the goroutine that was here before has left in registers. One that goes on has its own
 * again as soon as it is back in the function that waited. But an idle worker would keep them, and
 * a proof find in them what nobody has. (Zeros at each switch take 5% of a message.)
 */
static __always_inline void context_forget(void)
{
	__asm__ volatile("xorl %%ebx, %%ebx\n\t"
			 "xorl %%r12d, %%r12d\n\t"
			 "xorl %%r13d, %%r13d\n\t"
			 "xorl %%r14d, %%r14d\n\t"
			 "xorl %%r15d, %%r15d"
			 :
			 :
			 : "rbx", "r12", "r13", "r14", "r15", "cc");
}

/*
 * Zeros on this stack below the caller's frame: `size` bytes, a multiple of 16; or down to where
 * the stack's last owner has been. See context_x86_64.S.
 */
extern void goro_wipe(size_t size) __attribute__((visibility("hidden")));
extern void goro_wipe_start(void) __attribute__((visibility("hidden")));

/*
 * fn(mp, a, b), which parks, in the last line of an API function: see goro_wait in the .S file.
 */
extern bool goro_wait(struct m *mp, void *a, void *b, bool (*fn)(struct m *, void *, void *))
	__attribute__((visibility("hidden")));
extern int goro_wait_int(struct m *mp, void *a, void *b, int (*fn)(struct m *, void *, void *))
	__attribute__((visibility("hidden")));

/* What was stored before is seen before what is stored after. (Not a C11 fence: gcc has none for
 * ThreadSanitizer.) */
static inline void store_fence(void)
{
	__asm__ volatile("" ::: "memory");
}

/* Release: one more in a counter that nobody else writes. A store is that here; and in one
 * instruction, which a compiler makes of no atomic store. */
static inline void count_release(uint32_t *counter)
{
	__asm__ volatile("addl	$1, %0" : "+m"(*counter) : : "memory", "cc");
}

/*
 * Loads of what other threads write too, with acquire: a load is that here. A compiler takes two
 * instructions for an atomic load and a test; and there are ten on the way of one message.
 */
static inline bool word_is_set(const uint32_t *word)
{
	bool set;

	__asm__ volatile("cmpl	$0, %1" : "=@ccne"(set) : "m"(*word) : "memory");
	return set;
}

/* `mask`: of the lower byte, which needs no operand that is slow to decode. */
static inline bool half_has(const uint16_t *half, uint8_t mask)
{
	bool has;

	__asm__ volatile("testb	%2, %1"
			 : "=@ccnz"(has)
			 : "m"(*(const uint8_t *)half), "qi"(mask)
			 : "memory");
	return has;
}

static inline void cpu_relax(void)
{
	__builtin_ia32_pause();
}

/* Ticks of a clock that is cheap to read and only used for random seeds and short spins. */
static inline uint64_t cpu_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

#endif /* GORO_CONTEXT_X86_64_H */
