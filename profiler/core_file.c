/* SPDX-License-Identifier: MIT */
/*
 * core_file.c - see core_file.h.
 *
 * Through libelf for headers and notes, and by pread() for memory. Rejected: mapping the file. A
 * core that is still being written, or cut while we look, would kill us by SIGBUS.
 */
#include "core_file.h"

#include <elf.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_NOTES (256u << 20)

/* Where things lie in the notes; the same on every 64-bit Linux. */
enum {
	PRSTATUS_SIGNAL = 12, /* u16 */
	PRSTATUS_PID = 32,    /* i32 */
	PRSTATUS_REGISTERS = 112,
	PRSTATUS_TAIL = 8, /* behind the registers */
	PRPSINFO_PID = 24, /* i32 */
	PRPSINFO_NAME = 40,
	PRPSINFO_NAME_SIZE = 16,
	SIGINFO_SIGNAL = 0, /* i32 */
	SIGINFO_CODE = 8,   /* i32 */
	SIGINFO_ADDRESS = 16,
};

#ifndef NT_ARM_SVE
#define NT_ARM_SVE 0x405
#endif
#define NT_ARM_SSVE_FIRST 0x40b /* streaming SVE, ZA, ZT */
#define NT_ARM_SSVE_LAST  0x40d

/* ---- segments -------------------------------------------------------------------------------- */

static int by_segment(const void *a, const void *b)
{
	const struct core_segment *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

static void add_segment(struct core_file *core, const GElf_Phdr *ph)
{
	struct core_segment *s = &core->segments[core->nsegments];
	uint64_t memsz = ph->p_memsz > ph->p_filesz ? ph->p_memsz : ph->p_filesz;

	if (!memsz)
		return;
	if (ph->p_vaddr + memsz < ph->p_vaddr || ph->p_offset + ph->p_filesz < ph->p_offset) {
		core->dropped = true;
		return;
	}
	*s = (struct core_segment){
		.lo = ph->p_vaddr,
		.hi = ph->p_vaddr + memsz,
		.offset = ph->p_offset,
		.filesz = ph->p_filesz,
		.readable = ph->p_flags & PF_R,
		.writable = ph->p_flags & PF_W,
		.executable = ph->p_flags & PF_X,
	};
	if (ph->p_offset + ph->p_filesz > core->claims)
		core->claims = ph->p_offset + ph->p_filesz;
	core->nsegments++;
}

static void drop_overlaps(struct core_file *core)
{
	uint64_t end = 0;
	size_t kept = 0;

	qsort(core->segments, core->nsegments, sizeof *core->segments, by_segment);
	for (size_t i = 0; i < core->nsegments; i++) {
		if (core->segments[i].lo < end) {
			core->dropped = true;
			continue;
		}
		end = core->segments[i].hi;
		core->segments[kept++] = core->segments[i];
	}
	core->nsegments = kept;
}

const struct core_segment *core_file_find(const struct core_file *core, uint64_t address)
{
	size_t lo = 0, hi = core->nsegments;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (address < core->segments[mid].lo)
			hi = mid;
		else if (address >= core->segments[mid].hi)
			lo = mid + 1;
		else
			return &core->segments[mid];
	}
	return NULL;
}

static size_t read_at(int fd, void *to, size_t len, uint64_t offset)
{
	size_t done = 0;

	while (done < len && offset + done <= INT64_MAX) {
		ssize_t got = pread(fd, (char *)to + done, len - done, (off_t)(offset + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/* One piece may reach over several segments that touch each other. */
size_t core_file_read(const struct core_file *core, uint64_t address, void *to, size_t len)
{
	size_t done = 0;

	while (done < len) {
		const struct core_segment *s = core_file_find(core, address + done);
		uint64_t at, n;
		size_t got;

		if (!s || address + done < address)
			break;
		at = address + done - s->lo;
		if (at >= s->filesz)
			break;
		n = s->filesz - at < len - done ? s->filesz - at : len - done;
		got = read_at(core->fd, (char *)to + done, n, s->offset + at);
		done += got;
		if (got < n)
			break;
	}
	return done;
}

/* ---- notes ----------------------------------------------------------------------------------- */

static uint64_t word_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static int32_t int_at(const uint8_t *p)
{
	int32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static void add_thread(struct core_file *core, const uint8_t *desc, size_t size)
{
	struct core_thread *bigger, *t;

	if (size < PRSTATUS_REGISTERS + PRSTATUS_TAIL) {
		core->dropped = true;
		return;
	}
	/* Powers of two: there may be thousands. */
	if ((core->nthreads & (core->nthreads - 1)) == 0) {
		bigger = realloc(core->threads,
				 (core->nthreads ? core->nthreads * 2 : 1) * sizeof *bigger);
		if (!bigger) {
			core->dropped = true;
			return;
		}
		core->threads = bigger;
	}
	t = &core->threads[core->nthreads++];
	*t = (struct core_thread){
		.tid = (uint32_t)int_at(desc + PRSTATUS_PID),
		.signal = desc[PRSTATUS_SIGNAL],
		.registers = desc + PRSTATUS_REGISTERS,
		.registers_size = size - PRSTATUS_REGISTERS - PRSTATUS_TAIL,
	};
}

static void read_prpsinfo(struct core_file *core, const uint8_t *desc, size_t size)
{
	if (size < PRPSINFO_NAME + PRPSINFO_NAME_SIZE)
		return;
	core->pid = int_at(desc + PRPSINFO_PID);
	memcpy(core->name, desc + PRPSINFO_NAME, PRPSINFO_NAME_SIZE);
	core->name[PRPSINFO_NAME_SIZE] = '\0';
}

static void read_auxv(struct core_file *core, const uint8_t *desc, size_t size)
{
	for (size_t at = 0; at + 16 <= size; at += 16) {
		if (word_at(desc + at) == AT_ENTRY)
			core->entry = word_at(desc + at + 8);
		else if (word_at(desc + at) == AT_HWCAP)
			core->hwcap = word_at(desc + at + 8);
		else if (word_at(desc + at) == AT_SYSINFO_EHDR)
			core->vdso = word_at(desc + at + 8);
	}
}

static void read_siginfo(struct core_file *core, const uint8_t *desc, size_t size)
{
	if (core->signal || core->nthreads != 1 || size < SIGINFO_ADDRESS + 8)
		return;
	core->signal = int_at(desc + SIGINFO_SIGNAL);
	core->signal_code = int_at(desc + SIGINFO_CODE);
	core->signal_address = word_at(desc + SIGINFO_ADDRESS);
}

/*
 * NT_FILE: how many, the unit of the offsets, so many triples (start, end, offset), then so many
 * names.
 */
static void read_mappings(struct core_file *core, const uint8_t *desc, size_t size)
{
	uint64_t n, unit, end = 0;
	const char *names, *stop = (const char *)desc + size;

	if (size < 16 || core->mappings)
		return;
	n = word_at(desc);
	unit = word_at(desc + 8);
	if (n > (size - 16) / 25)
		return;
	core->mappings = calloc(n + 1, sizeof *core->mappings);
	names = (const char *)desc + 16 + n * 24;
	for (uint64_t i = 0; core->mappings && i < n; i++) {
		const uint8_t *triple = desc + 16 + i * 24;
		const char *nul = memchr(names, '\0', (size_t)(stop - names));
		struct core_mapping m = { .lo = word_at(triple),
					  .hi = word_at(triple + 8),
					  .offset = word_at(triple + 16) * unit,
					  .path = names };

		if (!nul) {
			core->dropped = true;
			break;
		}
		names = nul + 1;
		if (m.lo < end || m.hi <= m.lo) {
			core->dropped = true;
			continue;
		}
		end = m.hi;
		core->mappings[core->nmappings++] = m;
	}
}

static void read_note(struct core_file *core, const char *owner, size_t owner_size, unsigned type,
		      const uint8_t *desc, size_t size)
{
	struct core_thread *last = core->nthreads ? &core->threads[core->nthreads - 1] : NULL;
	bool is_core = owner_size == 5 && memcmp(owner, "CORE", 5) == 0;
	bool is_linux = owner_size == 6 && memcmp(owner, "LINUX", 6) == 0;
	static const unsigned kernels[] = { NT_PRSTATUS, NT_PRPSINFO, NT_SIGINFO, NT_AUXV,
					    NT_FILE };

	if (core->nnotes < sizeof kernels / sizeof *kernels &&
	    (!is_core || type != kernels[core->nnotes++]))
		core->other_order = true;
	/* What describes a thread follows its NT_PRSTATUS. */
	if (is_core && type == NT_PRSTATUS) {
		add_thread(core, desc, size);
	} else if (is_core && type == NT_PRPSINFO) {
		read_prpsinfo(core, desc, size);
	} else if (is_core && type == NT_AUXV) {
		read_auxv(core, desc, size);
	} else if (is_core && type == NT_FILE) {
		read_mappings(core, desc, size);
	} else if (is_core && type == NT_FPREGSET && last) {
		last->float_registers = desc;
		last->float_registers_size = size;
	} else if (is_core && type == NT_SIGINFO) {
		read_siginfo(core, desc, size);
	} else if (is_linux && type == NT_X86_XSTATE && last) {
		last->xstate = desc;
		last->xstate_size = size;
	} else if (is_linux && type == NT_ARM_SVE && last) {
		last->sve = desc;
		last->sve_size = size;
	} else if (is_linux && type >= NT_ARM_SSVE_FIRST && type <= NT_ARM_SSVE_LAST && last) {
		last->sme = true;
	}
}

static void read_notes(struct core_file *core)
{
	size_t at = 0;

	while (core->notes_size - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		uint64_t name = at + sizeof nh, desc, next;

		memcpy(&nh, core->notes + at, sizeof nh);
		desc = name + (((uint64_t)nh.n_namesz + 3) & ~3ull);
		next = desc + (((uint64_t)nh.n_descsz + 3) & ~3ull);
		if (desc + nh.n_descsz > core->notes_size) {
			core->dropped = true;
			return;
		}
		read_note(core, (const char *)core->notes + name, nh.n_namesz, nh.n_type,
			  core->notes + desc, nh.n_descsz);
		if (next >= core->notes_size)
			return;
		at = next;
	}
}

/* ---- opening --------------------------------------------------------------------------------- */

static struct goro_error *cut_short(const struct core_file *core, const char *path,
				    const char *what)
{
	return goro_error_hint(
		goro_error_new(GORO_UNSUPPORTED,
			       "core file %s is cut short: %s missing (it has %llu bytes)", path,
			       what, (unsigned long long)core->size),
		"was the disk full, or the limit (ulimit -c) too low?");
}

static struct goro_error *damaged(const char *path, const char *what)
{
	return goro_error_new(GORO_UNSUPPORTED, "core file %s is damaged: %s", path, what);
}

static struct goro_error *load_notes(struct core_file *core, const GElf_Phdr *ph, const char *path)
{
	if (core->notes || !ph->p_filesz)
		return NULL;
	if (ph->p_offset + ph->p_filesz < ph->p_offset)
		return damaged(path, "its notes lie nowhere");
	if (ph->p_offset + ph->p_filesz > core->size)
		return cut_short(core, path, "its notes are");
	if (ph->p_filesz > MAX_NOTES)
		return damaged(path, "its notes are too big");
	core->notes = malloc(ph->p_filesz);
	if (!core->notes)
		return &goro_enomem;
	core->notes_size = read_at(core->fd, core->notes, ph->p_filesz, ph->p_offset);
	core->dropped |= core->notes_size < ph->p_filesz;
	read_notes(core);
	return NULL;
}

/* Are all of these addresses in segments, with bytes in the file or without? */
static bool is_listed(const struct core_file *core, uint64_t lo, uint64_t hi)
{
	while (lo < hi) {
		const struct core_segment *s = core_file_find(core, lo);

		if (!s)
			return false;
		lo = s->hi;
	}
	return true;
}

/*
 * The kernel has no sections (but one that holds their number, where there are too many segments),
 * its notes in this order, and a segment for each mapping. Nobody else does so that we know.
 */
static bool lists_all(const struct core_file *core, const GElf_Ehdr *eh)
{
	if ((eh->e_shoff && eh->e_phnum != PN_XNUM) || core->other_order || core->dropped ||
	    core->nnotes < 5)
		return false;
	for (size_t i = 0; i < core->nmappings; i++)
		if (!is_listed(core, core->mappings[i].lo, core->mappings[i].hi))
			return false;
	return true;
}

static struct goro_error *load(struct core_file *core, Elf *elf, const char *path)
{
	struct goro_error *err = NULL;
	GElf_Ehdr eh;
	GElf_Phdr ph;
	size_t n;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &eh) || eh.e_type != ET_CORE)
		return damaged(path, "its header makes no sense");
	if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB)
		return goro_error_new(GORO_UNSUPPORTED,
				      "core file %s is of a machine with another word size or "
				      "byte order",
				      path);
	if (eh.e_machine != EM_X86_64 && eh.e_machine != EM_AARCH64)
		return goro_error_new(GORO_UNSUPPORTED,
				      "core file %s is of a machine that goro does not know (ELF "
				      "machine %u): it knows x86-64 and AArch64",
				      path, eh.e_machine);
	core->machine = eh.e_machine;
	if (elf_getphdrnum(elf, &n) < 0 || n == 0 || !gelf_getphdr(elf, 0, &ph))
		return cut_short(core, path, "its program headers are");
	core->segments = calloc(n, sizeof *core->segments);
	if (!core->segments)
		return &goro_enomem;
	for (size_t i = 0; i < n && !err; i++) {
		if (!gelf_getphdr(elf, (int)i, &ph)) {
			core->dropped = true;
			continue;
		}
		if (ph.p_type == PT_LOAD)
			add_segment(core, &ph);
		else if (ph.p_type == PT_NOTE)
			err = load_notes(core, &ph, path);
	}
	drop_overlaps(core);
	if (!err && !core->nsegments)
		err = damaged(path, "it holds no memory");
	if (!err && !core->nmappings)
		err = goro_error_new(GORO_UNSUPPORTED,
				     "core file %s does not say which files were mapped (NT_FILE), "
				     "as core files of Linux and of gdb do",
				     path);
	core->lists_all = !err && lists_all(core, &eh);
	return err;
}

struct goro_error *core_file_open(struct core_file *core, int fd, const char *path)
{
	struct goro_error *err;
	struct stat st;
	Elf *elf;

	*core = (struct core_file){ .fd = fd };
	if (fstat(fd, &st)) {
		err = goro_error_new(GORO_NO_TARGET, "cannot read %s: %s", path, strerror(errno));
		core_file_close(core);
		return err;
	}
	core->size = (uint64_t)st.st_size;
	core->sparse = (uint64_t)st.st_blocks * 512 < core->size;
	core->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	elf_version(EV_CURRENT);
	elf = elf_begin(fd, ELF_C_READ, NULL);
	err = load(core, elf, path);
	elf_end(elf);
	if (err)
		core_file_close(core);
	return err;
}

void core_file_close(struct core_file *core)
{
	if (core->fd >= 0)
		close(core->fd);
	free(core->notes);
	free(core->segments);
	free(core->mappings);
	free(core->threads);
	*core = (struct core_file){ .fd = -1 };
}
