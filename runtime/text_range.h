/* SPDX-License-Identifier: MIT */
/*
 * text_range.h - where the functions of each file lie, for the contract: the compiler includes this
 * before all else (-include), so that a reader can hide the runtime's frames where a program that
 * it was linked into has no names any more.
 *
 * Where this file's code begins, and, in a subsection that the assembler puts behind all others,
 * where it ends. The linker collects the pairs. Rejected: to bound all of the runtime by a first
 * and a last file, for nothing promises the order in which a linker takes them; a table of the
 * public functions, for many end in a jump, so that the outermost frame of ours is one of another
 * name.
 */
#ifdef __ASSEMBLER__
/* clang-format off */
	.pushsection .text
1:
	.popsection
	.pushsection .text, 8191
2:
	.popsection
	.pushsection goro_text, "aw"
	.balign	8
	.quad	1b, 2b
	.popsection
/* clang-format on */
#else
__asm__(".pushsection .text\n"
	"1:\n\t"
	".popsection\n\t"
	".pushsection .text, 8191\n"
	"2:\n\t"
	".popsection\n\t"
	".pushsection goro_text, \"aw\"\n\t"
	".balign 8\n\t"
	".quad 1b, 2b\n\t"
	".popsection");
#endif
