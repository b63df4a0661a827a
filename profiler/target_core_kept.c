/* SPDX-License-Identifier: MIT */
/*
 * target_core_kept.c - may the kernel have had pointers of a process of which only a core file is
 * left?
 *
 * A program may give a pointer away and get it back with an event, from a pipe or with a signal. A
 * live process is asked for them (target_process_kept.c); a core file has none of it, and does not
 * even tell what descriptors there were. But it names the programs and libraries that were mapped,
 * and those tell which functions they call. Whoever calls none of these has no such pointers; of
 * who calls one, nothing is unreachable. Nor of a program that is linked statically: it has all of
 * them in itself, be it for a library's sake.
 *
 * The runtime makes such calls of its own, without pointers in them, and not by these names
 * (os_linux.c). Not seen is who calls the kernel by syscall(), as nobody does that who has a
 * function for it, and who looks a function up by its name at run time.
 */
#include "target_core.h"

#include <gelf.h>
#include <string.h>

static const char *const givers[] = {
	"epoll_ctl",
	"eventfd",
	"timer_create",
	"pipe",
	"pipe2",
	"mkfifo",
	"mkfifoat",
	"mknod",
	"mknodat",
	"socketpair",
	"sigqueue",
	"pthread_sigqueue",
	"mq_send",
	"mq_timedsend",
	"mq_notify",
	"msgsnd",
	"shmdt",
	"io_setup",
	"io_submit",
	"io_uring_queue_init",
	"io_uring_queue_init_params",
	"io_uring_setup",
};

/* A program that needs no loader. */
static bool is_static(Elf *elf)
{
	bool program = false;
	GElf_Ehdr eh;
	GElf_Phdr ph;
	size_t n = 0;

	if (!gelf_getehdr(elf, &eh) || elf_getphdrnum(elf, &n))
		return false;
	program = eh.e_type == ET_EXEC;
	for (size_t i = 0; i < n; i++) {
		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_INTERP)
			return false;
	}
	for (Elf_Scn *scn = elf_nextscn(elf, NULL); scn && !program; scn = elf_nextscn(elf, scn)) {
		GElf_Shdr sh;
		GElf_Dyn dyn;
		Elf_Data *data;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNAMIC ||
		    !(data = elf_getdata(scn, NULL)))
			continue;
		for (int i = 0; gelf_getdyn(data, i, &dyn); i++)
			program |= dyn.d_tag == DT_FLAGS_1 && dyn.d_un.d_val & DF_1_PIE;
	}
	return program;
}

static const char *giver(const char *name)
{
	for (size_t i = 0; i < sizeof givers / sizeof *givers; i++) {
		if (!strcmp(name, givers[i]))
			return givers[i];
	}
	return NULL;
}

/* The first of them that it calls, or NULL. */
static const char *find_giver(Elf *elf)
{
	for (Elf_Scn *scn = elf_nextscn(elf, NULL); scn; scn = elf_nextscn(elf, scn)) {
		GElf_Shdr sh;
		GElf_Sym sym;
		Elf_Data *data;

		if (!gelf_getshdr(scn, &sh) || sh.sh_type != SHT_DYNSYM ||
		    !(data = elf_getdata(scn, NULL)))
			continue;
		for (int i = 0; gelf_getsym(data, i, &sym); i++) {
			const char *name = elf_strptr(elf, sh.sh_link, sym.st_name);

			if (sym.st_shndx == SHN_UNDEF && name && giver(name))
				return giver(name);
		}
	}
	return NULL;
}

/* The runtime needs libunwind, which asks by a pipe whether memory can be read. */
static bool is_libunwind(const char *path)
{
	const char *slash = strrchr(path, '/');

	return !strncmp(slash ? slash + 1 : path, "libunwind", 9);
}

bool core_gives(struct target *t, struct target_gives *ret)
{
	struct core *c = (struct core *)t;

	for (size_t i = 0; i < c->file.nmappings; i++) {
		const struct core_backing *b = core_backing_use(c, i);

		/* Code that is not there is a gap in memory: see reach_gaps.c. */
		if (!b->elf || elf_kind(b->elf) != ELF_K_ELF || is_libunwind(b->path))
			continue;
		*ret = (struct target_gives){ b->path, find_giver(b->elf) };
		if (ret->function || is_static(b->elf))
			return true;
	}
	return false;
}
