/* SPDX-License-Identifier: MIT */
/*
 * target_core.c - a core file as a target: a process that stands still for ever.
 *
 * Code and constants are mostly not in a core file but in the programs and libraries that it names
 * by path. Such a file is used only when it is the one that was mapped: same build id; without one,
 * the same first page; and when nothing of it is in the core, at least older than the core.
 *
 * What is in neither place is missing, and a read of it fails: nothing is taken for zeros.
 */
#include "target.h"

#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "core_file.h"
#include "core_threads.h"
#include "elf.h"
#include "target_absent.h"

#define PAGE	  4096u
#define MAX_PHDRS 64u
#define MAX_NOTES (64u << 10)

/* One file that was mapped, however many times. */
struct backing {
	const char *path;
	uint64_t base; /* where its first byte was mapped, if `has_base` */
	bool has_base, tried;
	int fd;		/* -errno: cannot be used */
	bool unchanged; /* nobody wrote to it since: its content is what was mapped */
	Elf *elf;
};

struct core {
	struct target target;
	struct core_file file;
	struct backing *backings; /* by path */
	size_t nbackings;
	uint32_t *backing_of; /* index of each mapping's */
	struct core_threads threads;
};

/* ---- the files behind the maps --------------------------------------------------------------- */

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct backing *)a)->path, ((const struct backing *)b)->path);
}

static bool list_backings(struct core *c)
{
	const struct core_file *f = &c->file;

	c->backings = calloc(f->nmappings + 1, sizeof *c->backings);
	c->backing_of = calloc(f->nmappings + 1, sizeof *c->backing_of);
	if (!c->backings || !c->backing_of)
		return false;
	for (size_t i = 0; i < f->nmappings; i++)
		c->backings[i].path = f->mappings[i].path;
	qsort(c->backings, f->nmappings, sizeof *c->backings, by_path);
	for (size_t i = 0; i < f->nmappings; i++) {
		if (!i || strcmp(c->backings[i].path, c->backings[c->nbackings - 1].path) != 0)
			c->backings[c->nbackings++] = c->backings[i];
	}
	for (size_t i = 0; i < f->nmappings; i++) {
		const struct backing key = { .path = f->mappings[i].path };
		struct backing *b = bsearch(&key, c->backings, c->nbackings, sizeof key, by_path);

		c->backing_of[i] = (uint32_t)(b - c->backings);
		if (f->mappings[i].offset == 0 && !b->has_base) {
			b->base = f->mappings[i].lo;
			b->has_base = true;
		}
	}
	return true;
}

/* The build id of the image at base, as far as the core file itself holds it. */
static void image_build_id(const struct core_file *f, uint64_t base, char id[41])
{
	Elf64_Ehdr eh;
	Elf64_Phdr ph[MAX_PHDRS];
	uint64_t bias = base;
	size_t size;
	uint8_t *notes;

	*id = '\0';
	if (core_file_read(f, base, &eh, sizeof eh) < sizeof eh ||
	    memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_phnum > MAX_PHDRS)
		return;
	size = eh.e_phnum * sizeof *ph;
	if (core_file_read(f, base + eh.e_phoff, ph, size) < size)
		return;
	for (size_t i = 0; i < eh.e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD && ph[i].p_offset < PAGE) {
			bias = base - (ph[i].p_vaddr & ~(uint64_t)(PAGE - 1));
			break;
		}
	}
	for (size_t i = 0; i < eh.e_phnum && !*id; i++) {
		if (ph[i].p_type != PT_NOTE || ph[i].p_filesz > MAX_NOTES)
			continue;
		notes = malloc(ph[i].p_filesz + 1);
		if (notes && core_file_read(f, ph[i].p_vaddr + bias, notes, ph[i].p_filesz) ==
				     ph[i].p_filesz)
			elf_note_build_id(notes, ph[i].p_filesz, ph[i].p_align, id);
		free(notes);
	}
}

/* Is the file on disk the one that was mapped? 0 or -ESTALE. */
static int verify(const struct core *c, struct backing *b)
{
	char mapped[41] = "", here[41];
	uint8_t first[PAGE], there[PAGE];
	struct stat st;
	size_t n = 0;

	if (b->has_base) {
		image_build_id(&c->file, b->base, mapped);
		n = core_file_read(&c->file, b->base, first, sizeof first);
	}
	elf_build_id(b->elf, here);
	b->unchanged =
		(*mapped && strcmp(mapped, here) == 0) ||
		(fstat(b->fd, &st) == 0 &&
		 (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec <= c->file.mtime_ns);
	if (*mapped && *here)
		return strcmp(mapped, here) == 0 ? 0 : -ESTALE;
	if (n == sizeof first && !*mapped)
		return pread(b->fd, there, sizeof there, 0) == (ssize_t)sizeof there &&
				       memcmp(first, there, sizeof there) == 0
			       ? 0
			       : -ESTALE;
	if (*mapped || fstat(b->fd, &st))
		return -ESTALE;
	return (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec <= c->file.mtime_ns
		       ? 0
		       : -ESTALE;
}

/* The path is a stranger's word: no device is opened, nothing is waited for. */
static struct backing *use_backing(struct core *c, size_t mapping)
{
	struct backing *b = &c->backings[c->backing_of[mapping]];
	struct stat st;
	int fd, bad;

	if (b->tried)
		return b;
	b->tried = true;
	fd = open(b->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		b->fd = -errno;
		return b;
	}
	b->fd = fd;
	bad = fstat(fd, &st) ? -errno : S_ISREG(st.st_mode) ? 0 : -ENOENT;
	if (!bad) {
		b->elf = elf_begin(fd, ELF_C_READ, NULL);
		bad = verify(c, b);
	}
	if (bad) {
		elf_end(b->elf);
		close(fd);
		b->elf = NULL;
		b->fd = bad;
	}
	return b;
}

static size_t find_mapping(const struct core_file *f, uint64_t address)
{
	size_t lo = 0, hi = f->nmappings;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (address < f->mappings[mid].lo)
			hi = mid;
		else if (address >= f->mappings[mid].hi)
			lo = mid + 1;
		else
			return mid;
	}
	return SIZE_MAX;
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* gdb leaves out what it need not write, permissions included: the file's own headers have them. */
static void flags_of_file(struct core *c, size_t mapping, struct target_map *m)
{
	const struct backing *b = use_backing(c, mapping);
	size_t n = 0;

	m->readable = true;
	if (!b->elf || elf_getphdrnum(b->elf, &n) < 0)
		return;
	for (size_t i = 0; i < n && i < MAX_PHDRS; i++) {
		GElf_Phdr ph;

		if (!gelf_getphdr(b->elf, (int)i, &ph) || ph.p_type != PT_LOAD ||
		    m->offset < (ph.p_offset & ~(uint64_t)(PAGE - 1)) ||
		    m->offset >= ph.p_offset + ph.p_filesz)
			continue;
		m->writable = ph.p_flags & PF_W;
		m->executable = ph.p_flags & PF_X;
		/* A page on a border is mapped twice; the segment that begins there is meant. */
		if ((ph.p_offset & ~(uint64_t)(PAGE - 1)) == m->offset)
			return;
	}
}

static void flags_of_segment(const struct core_segment *s, struct target_map *m)
{
	m->readable = s->readable;
	m->writable = s->writable;
	m->executable = s->executable;
}

/* Name the file of a map that lies within one mapping or within none. */
static void name_map(struct core *c, struct target_map *m)
{
	size_t i = find_mapping(&c->file, m->lo);
	const struct core_mapping *f;

	if (i == SIZE_MAX)
		return;
	f = &c->file.mappings[i];
	m->offset = f->offset + (m->lo - f->lo);
	m->dev = 1;
	m->inode = c->backing_of[i] + 1u;
	m->path = strdup(f->path);
}

/*
 * The borders of all segments and mappings cut the address space into pieces; each piece lies in at
 * most one of either.
 */
static size_t add_piece(struct core *c, struct target_maps *maps, uint64_t lo, uint64_t hi)
{
	const struct core_segment *s = core_file_find(&c->file, lo);
	size_t mapping = find_mapping(&c->file, lo);
	struct target_map *m = &maps->v[maps->n];

	if (lo >= hi || (!s && mapping == SIZE_MAX))
		return maps->n;
	*m = (struct target_map){ .lo = lo, .hi = hi };
	name_map(c, m);
	if (s)
		flags_of_segment(s, m);
	else
		flags_of_file(c, mapping, m);
	return ++maps->n;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static struct goro_error *core_maps(struct target *t, struct target_maps *ret)
{
	struct core *c = (struct core *)t;
	const struct core_file *f = &c->file;
	size_t n = 2 * (f->nsegments + f->nmappings), k = 0;
	uint64_t *borders = calloc(n + 1, sizeof *borders);

	*ret = (struct target_maps){ .v = calloc(n + 1, sizeof *ret->v) };
	if (!borders || !ret->v) {
		free(borders);
		free(ret->v);
		ret->v = NULL;
		return &goro_enomem;
	}
	for (size_t i = 0; i < f->nsegments; i++) {
		borders[k++] = f->segments[i].lo;
		borders[k++] = f->segments[i].hi;
	}
	for (size_t i = 0; i < f->nmappings; i++) {
		borders[k++] = f->mappings[i].lo;
		borders[k++] = f->mappings[i].hi;
	}
	qsort(borders, n, sizeof *borders, by_value);
	for (size_t i = 0; i + 1 < n; i++)
		add_piece(c, ret, borders[i], borders[i + 1]);
	free(borders);
	return NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* What the core file does not hold of a file's map is as it is in that file. */
static size_t read_from_file(struct core *c, uint64_t address, uint8_t *to, size_t len)
{
	size_t i = find_mapping(&c->file, address);
	const struct core_mapping *m;
	const struct backing *b;
	uint64_t n;
	ssize_t got;

	if (i == SIZE_MAX)
		return 0;
	m = &c->file.mappings[i];
	b = use_backing(c, i);
	if (b->fd < 0)
		return 0;
	n = m->hi - address < len ? m->hi - address : len;
	if (m->offset + (address - m->lo) > INT64_MAX)
		return 0;
	got = pread(b->fd, to, n, (off_t)(m->offset + (address - m->lo)));
	return got > 0 ? (size_t)got : 0;
}

/* Up to where the core file's segments say nothing about memory from address on. */
static uint64_t next_dumped(const struct core_file *f, uint64_t address)
{
	size_t lo = 0, hi = f->nsegments;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (f->segments[mid].lo <= address)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < f->nsegments ? f->segments[lo].lo : UINT64_MAX;
}

static bool read_piece(struct core *c, uint64_t address, uint8_t *to, size_t len)
{
	size_t done = 0;

	if (address + len < address)
		return false;
	while (done < len) {
		uint64_t at = address + done, border;
		size_t got = core_file_read(&c->file, at, to + done, len - done);

		done += got;
		if (got)
			continue;
		border = next_dumped(&c->file, at);
		got = read_from_file(c, at, to + done,
				     border - at < len - done ? border - at : len - done);
		if (!got)
			return false;
		done += got;
	}
	return true;
}

static struct goro_error *read_all(struct target *t, struct target_read *v, size_t n)
{
	struct core *c = (struct core *)t;

	for (size_t i = 0; i < n; i++) {
		v[i].ok = read_piece(c, v[i].address, v[i].to, v[i].len);
		if (v[i].ok)
			t->bytes_read += v[i].len;
	}
	return NULL;
}

static const struct target_absent_ops absent_ops = { .read = read_all };

static struct goro_error *core_read(struct target *t, struct target_read *v, size_t n)
{
	return target_absent_read(t, &absent_ops, v, n);
}

/* The end of what of [at, hi) is in one place, or `at` itself: it is in none. */
static uint64_t present_until(struct core *c, uint64_t at, uint64_t hi)
{
	const struct core_file *f = &c->file;
	const struct core_segment *s = core_file_find(f, at);
	uint64_t dumped = 0, border = next_dumped(f, at);
	size_t i;

	if (s && s->offset < f->size)
		dumped = f->size - s->offset < s->filesz ? f->size - s->offset : s->filesz;
	if (s && at - s->lo < dumped)
		return s->lo + dumped < hi ? s->lo + dumped : hi;
	/* What the process could write to may differ from the file; so may a file that changed. */
	i = find_mapping(f, at);
	if (i == SIZE_MAX || !s || s->writable || at - s->lo < s->filesz ||
	    use_backing(c, i)->fd < 0 || !use_backing(c, i)->unchanged)
		return at;
	border = border < s->hi ? border : s->hi;
	border = border < f->mappings[i].hi ? border : f->mappings[i].hi;
	return border < hi ? border : hi;
}

static bool core_missing(struct target *t, uint64_t lo, uint64_t hi, struct target_gap *ret)
{
	struct core *c = (struct core *)t;

	for (uint64_t at = lo, end; at < hi; at = end) {
		const struct core_segment *s;
		size_t i;

		end = present_until(c, at, hi);
		if (end > at)
			continue;
		s = core_file_find(&c->file, at);
		i = find_mapping(&c->file, at);
		*ret = (struct target_gap){ at, s && s->hi < hi ? s->hi : hi, NULL };
		if (i != SIZE_MAX)
			ret->path = c->file.mappings[i].path;
		return true;
	}
	return false;
}

static int core_open_file(struct target *t, const struct target_map *map)
{
	struct core *c = (struct core *)t;
	size_t i = find_mapping(&c->file, map->lo);
	const struct backing *b;

	if (i == SIZE_MAX)
		return -ENOENT;
	b = use_backing(c, i);
	return b->fd < 0 ? b->fd : fcntl(b->fd, F_DUPFD_CLOEXEC, 0);
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* Of [lo, hi) in the core file: bytes that are no hole. */
static uint64_t data_between(int fd, uint64_t lo, uint64_t hi)
{
	uint64_t sum = 0;

	while (lo < hi) {
		off_t data = lseek(fd, (off_t)lo, SEEK_DATA), hole;

		if (data < 0 || (uint64_t)data >= hi)
			break;
		hole = lseek(fd, data, SEEK_HOLE);
		if (hole < 0 || (uint64_t)hole > hi)
			hole = (off_t)hi;
		if (hole <= data)
			break;
		sum += (uint64_t)(hole - data);
		lo = (uint64_t)hole;
	}
	return sum;
}

/* Of one segment, what lies in [lo, hi). */
static uint64_t resident_of(const struct core *c, const struct core_segment *s, uint64_t lo,
			    uint64_t hi)
{
	uint64_t end = s->lo + s->filesz;

	lo = lo > s->lo ? lo : s->lo;
	hi = hi < end ? hi : end;
	if (lo >= hi || s->offset + (hi - s->lo) > INT64_MAX)
		return 0;
	return data_between(c->file.fd, s->offset + (lo - s->lo), s->offset + (hi - s->lo));
}

/* Holes read as zeros: there is no need to read them. Where there are none, all is read. */
static bool core_own_pages(struct target *t, uint64_t lo, uint64_t hi, uint8_t *own)
{
	const struct core *c = (const struct core *)t;
	const struct core_segment *s;

	memset(own, 1, (hi - lo + PAGE - 1) / PAGE);
	for (uint64_t at = lo, end; c->file.sparse && at < hi; at = end) {
		s = core_file_find(&c->file, at);
		end = s && at < s->lo + s->filesz ? s->lo + s->filesz
		      : s			  ? s->hi
						  : next_dumped(&c->file, at);
		end = end < hi ? end : hi;
		if (!s || at >= s->lo + s->filesz || at % PAGE || end % PAGE ||
		    s->offset + (end - s->lo) > INT64_MAX)
			continue;
		for (uint64_t a = at; a < end; a += PAGE) {
			uint64_t offset = s->offset + (a - s->lo);
			off_t data = lseek(c->file.fd, (off_t)offset, SEEK_DATA);

			if (data < 0 && errno != ENXIO)
				break; /* no such call on this file system */
			if (data >= 0 && (uint64_t)data < offset + (end - a)) {
				uint64_t skip = ((uint64_t)data - offset) / PAGE * PAGE;
				off_t hole = lseek(c->file.fd, data, SEEK_HOLE);

				memset(own + (a - lo) / PAGE, 0, skip / PAGE);
				if (hole <= data)
					break;
				a += ((uint64_t)hole - offset + PAGE - 1) / PAGE * PAGE - PAGE;
				continue;
			}
			memset(own + (a - lo) / PAGE, 0, (end - a) / PAGE);
			break;
		}
	}
	target_absent_own(t, &absent_ops, lo, hi, own);
	return true;
}

/* Whoever writes a core leaves holes where no page was; one without holes has lost that. */
static void core_resident(struct target *t, struct target_range *v, size_t n)
{
	struct core *c = (struct core *)t;
	const struct core_segment *s = c->file.segments, *end = s + c->file.nsegments;

	for (size_t i = 0; i < n; i++) {
		v[i].resident = 0;
		while (s < end && s->hi <= v[i].lo)
			s++;
		for (const struct core_segment *of = s;
		     c->file.sparse && of < end && of->lo < v[i].hi; of++)
			v[i].resident += resident_of(c, of, v[i].lo, v[i].hi);
	}
}

/* A signal that makes a core file by itself; gdb makes one of a process that goes on. */
static bool is_fatal(int signal)
{
	static const int fatal[] = { SIGQUIT, SIGILL,  SIGTRAP, SIGABRT, SIGBUS,
				     SIGFPE,  SIGSEGV, SIGXCPU, SIGXFSZ, SIGSYS };

	for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
		if (fatal[i] == signal)
			return true;
	}
	return false;
}

/* The first thread is the one that it was made for. */
static void find_crash(struct core *c)
{
	const struct core_file *f = &c->file;
	int signal = f->signal ? f->signal : f->nthreads ? f->threads[0].signal : 0;
	bool at_address = f->signal_code > 0 && (signal == SIGSEGV || signal == SIGBUS);

	if (!f->nthreads || !is_fatal(signal))
		return;
	c->target.crash = (struct target_crash){
		.signal = signal,
		.tid = (int)f->threads[0].tid,
		.address = at_address ? f->signal_address : 0,
	};
}

static size_t core_caught(struct target *t, const struct thread_sample **ret)
{
	const struct core *c = (const struct core *)t;

	*ret = c->threads.caught;
	return c->threads.n;
}

/* It stands still by itself. What is missing of its memory is seen when that is searched. */
static struct goro_error *core_freeze(struct target *t, const struct target_freeze *how,
				      struct target_frozen *ret)
{
	const struct core *c = (const struct core *)t;

	(void)how;
	*ret = (struct target_frozen){ .memory = t };
	if (t->cut)
		return goro_error_new(GORO_PARTIAL, "the core file is cut short");
	if (!c->file.lists_all)
		return goro_error_new(
			GORO_PARTIAL,
			"gdb, which does not write down what it leaves out, wrote this "
			"core file: ask the process itself, or let the kernel write "
			"one (ulimit -c unlimited; kill -ABRT)");
	if (*c->threads.lacks)
		return goro_error_new(GORO_PARTIAL, "%s are not in the core file",
				      c->threads.lacks);
	ret->threads = c->threads.all;
	ret->nthreads = c->threads.n;
	return NULL;
}

static struct goro_error *core_usage(struct target *t, struct target_usage *ret)
{
	(void)t;
	*ret = (struct target_usage){ 0 };
	return NULL;
}

static void core_close(struct target *t)
{
	struct core *c = (struct core *)t;

	for (size_t i = 0; i < c->nbackings; i++) {
		elf_end(c->backings[i].elf);
		if (c->backings[i].tried && c->backings[i].fd >= 0)
			close(c->backings[i].fd);
	}
	free(c->backings);
	free(c->backing_of);
	core_threads_free(&c->threads);
	core_file_close(&c->file);
	target_absent_free(t);
	free(t->name);
	free(t->file);
	free(c);
}

static const struct target_ops core_ops = {
	.maps = core_maps,
	.read = core_read,
	.open_file = core_open_file,
	.resident = core_resident,
	.own_pages = core_own_pages,
	.freeze = core_freeze,
	.missing = core_missing,
	.caught = core_caught,
	.usage = core_usage,
	.close = core_close,
};

/* The kernel keeps 15 characters of the name; the path of the program has all. */
static char *program_name(const struct core *c)
{
	size_t i = find_mapping(&c->file, c->file.entry);
	static const char deleted[] = " (deleted)";
	char *name = strdup(i == SIZE_MAX ? c->file.name : goro_basename(c->file.mappings[i].path));
	size_t len = name ? strlen(name) : 0;

	if (len > sizeof deleted && strcmp(name + len - (sizeof deleted - 1), deleted) == 0)
		name[len - (sizeof deleted - 1)] = '\0';
	return name;
}

struct goro_error *target_open_core(struct target **ret, int fd, const char *path)
{
	struct core *c = calloc(1, sizeof *c);
	struct goro_error *err;

	if (!c) {
		close(fd);
		return &goro_enomem;
	}
	err = core_file_open(&c->file, fd, path);
	if (err) {
		free(c);
		return err;
	}
	c->target.ops = &core_ops;
	c->target.pid = c->file.pid;
	c->target.file = strdup(path);
	c->target.time = c->file.mtime_ns;
	if (c->file.claims > c->file.size)
		c->target.cut = c->file.claims - c->file.size;
	find_crash(c);
	if (!c->target.file || !list_backings(c) || !core_threads_read(&c->file, &c->threads)) {
		core_close(&c->target);
		return &goro_enomem;
	}
	c->target.name = program_name(c);
	*ret = &c->target;
	return NULL;
}
