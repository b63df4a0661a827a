/* SPDX-License-Identifier: MIT */
/*
 * symbolize.c - names for program counters.
 *
 * libdw is told of the modules that elf.c opened, so it reads the files that the target runs, and
 * finds separate debug files by itself. Where there is no debug information the symbol table gives
 * the function; where there is none either, module and offset remain.
 *
 * What belongs to the runtime is told by the name (its public functions begin with goro_) or by
 * the directory of the source file (its static functions do not), or by its being in libgoro.so;
 * what has no name, by where it lies.
 */
#include "symbolize.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cxx_name.h"
#include "debuginfo.h"
#include "demangle.h"
#include "goro_introspect.h"

#define MAX_INLINES 64
#define MAX_NESTING 256 /* of functions and blocks */

struct entry {
	uint64_t key; /* pc * 2 + is_return; 0: empty */
	struct goro_frame *frames;
	size_t n;
};

struct symbolizer {
	struct modules *modules;
	unsigned generation; /* of the modules that dwfl knows */
	Dwfl *dwfl;
	struct entry *entries; /* open-addressed */
	size_t nentries, size;
	struct goro_frame **former; /* of told entries that were told anew */
	size_t nformer;
	char **strings; /* open-addressed: each string once */
	size_t nstrings, strings_size;
	uint64_t runtime_pc;
	const char *runtime_directory; /* of its sources; NULL: not known */
	const char *runtime_library;   /* its path, if it is one */
	const struct goro_text_range *runtime_text;
	size_t nruntime_text;
};

/* ---- strings --------------------------------------------------------------------------------- */

static size_t hash_string(const char *s)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 0x100000001b3ull;
	return h ^ h >> 32;
}

static bool grow_strings(struct symbolizer *s)
{
	size_t size = s->strings_size ? s->strings_size * 2 : 256;
	char **table = calloc(size, sizeof *table);

	if (!table)
		return false;
	for (size_t i = 0; i < s->strings_size; i++) {
		size_t at;

		if (!s->strings[i])
			continue;
		for (at = hash_string(s->strings[i]) & (size - 1); table[at];
		     at = (at + 1) & (size - 1))
			;
		table[at] = s->strings[i];
	}
	free(s->strings);
	s->strings = table;
	s->strings_size = size;
	return true;
}

static const char *keep(struct symbolizer *s, const char *string)
{
	size_t at;

	if (!string || (s->nstrings * 2 >= s->strings_size && !grow_strings(s)))
		return NULL;
	for (at = hash_string(string) & (s->strings_size - 1); s->strings[at];
	     at = (at + 1) & (s->strings_size - 1)) {
		if (strcmp(s->strings[at], string) == 0)
			return s->strings[at];
	}
	s->strings[at] = strdup(string);
	s->nstrings += s->strings[at] != NULL;
	return s->strings[at];
}

/* ---- libdw ----------------------------------------------------------------------------------- */

static const Dwfl_Callbacks callbacks = {
	.find_debuginfo = goro_find_debuginfo,
	.section_address = dwfl_offline_section_address,
};

/* Tell libdw of all modules anew when some came or went. */
static void report_modules(struct symbolizer *s)
{
	if (s->dwfl && s->generation == s->modules->generation)
		return;
	dwfl_end(s->dwfl);
	s->generation = s->modules->generation;
	s->dwfl = dwfl_begin(&callbacks);
	if (!s->dwfl)
		return;
	dwfl_report_begin(s->dwfl);
	for (size_t i = 0; i < s->modules->n; i++) {
		struct module *m = s->modules->v[i];
		int fd = m->elf ? dup(m->fd) : -1;
		Dwfl_Module *mod;
		void **userdata;

		if (fd < 0)
			continue;
		mod = dwfl_report_elf(s->dwfl, m->path, m->path, fd, m->bias, true);
		if (!mod)
			close(fd);
		else if (dwfl_module_info(mod, &userdata, NULL, NULL, NULL, NULL, NULL, NULL))
			*userdata = m;
	}
	dwfl_report_end(s->dwfl, NULL, NULL);
}

/* Take out "./" steps, which clang leaves in. ".." stays: what it means depends on symlinks. */
static void remove_dots(char *path)
{
	char *to = path, *from = path;

	while (*from) {
		if (from[0] == '/' && from[1] == '.' && from[2] == '/')
			from += 2;
		else
			*to++ = *from++;
	}
	*to = '\0';
}

static const char *absolute_path(struct symbolizer *s, const char *file, Dwarf_Die *cu)
{
	Dwarf_Attribute attr;
	const char *directory, *kept;
	char *path;
	int len;

	if (!file)
		return NULL;
	directory = file[0] == '/' ? NULL : dwarf_formstring(dwarf_attr(cu, DW_AT_comp_dir, &attr));
	len = directory ? asprintf(&path, "%s/%s", directory, file) : asprintf(&path, "%s", file);
	if (len < 0)
		return NULL;
	remove_dots(path);
	kept = keep(s, path);
	free(path);
	return kept;
}

/* The same, of a name that may be C++'s. */
static const char *keep_name(struct symbolizer *s, const char *name)
{
	char *demangled = goro_demangle(name);
	const char *kept = keep(s, demangled ? demangled : name);

	free(demangled);
	return kept;
}

/* A C++ function's own name lacks its class and namespaces; the one that it has for the linker does
 * not. */
static const char *function_name(Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	const char *linkage =
		dwarf_formstring(dwarf_attr_integrate(die, DW_AT_linkage_name, &attr));

	return linkage ? linkage : dwarf_diename(die);
}

/* What one pc is made of while it is looked up. */
struct lookup {
	struct symbolizer *s;
	Dwarf_Die cu;
	Dwarf_Die functions;	  /* of the same unit: where they are described */
	const char *symbol;	  /* the one that pc is in, or NULL */
	Dwarf_Addr symbol_begin;  /* as DWARF counts */
	struct goro_frame common; /* what all frames of the pc share */
	const char *file;	  /* where the next frame is */
	uint32_t line;
	struct goro_frame frames[MAX_INLINES];
	size_t n;
};

static void add_frame(struct lookup *l, const char *function, bool inlined)
{
	struct goro_frame *f;

	if (l->n == MAX_INLINES)
		return;
	f = &l->frames[l->n++];
	*f = l->common;
	f->function = keep_name(l->s, function);
	f->file = l->file;
	f->line = l->line;
	f->inlined = inlined;
}

/* The function, or what a compiler moved out of it as seldom used, begins there. */
static bool begins_at(Dwarf_Die *die, Dwarf_Addr address)
{
	Dwarf_Addr base, begin, end;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &begin, &end)) > 0) {
		if (begin == address)
			return true;
	}
	return false;
}

/*
 * gcc gives no linkage name to what nobody else can name, as lambdas and what is made of them,
 * which would all be "operator()". The symbol table has one, if the function begins where the
 * symbol does.
 */
static const char *own_name(const struct lookup *l, Dwarf_Die *die)
{
	const char *name = function_name(die);

	if (name && strncmp(name, "_Z", 2) != 0 && l->symbol && strncmp(l->symbol, "_Z", 2) == 0 &&
	    begins_at(die, l->symbol_begin))
		return l->symbol;
	return name;
}

/* A function's frame; of what is inlined there is no symbol. */
static void add_function(struct lookup *l, Dwarf_Die *die)
{
	bool inlined = dwarf_tag(die) == DW_TAG_inlined_subroutine;
	const char *name = inlined ? function_name(die) : own_name(l, die);
	bool known = name && !inlined && l->symbol && strcmp(l->symbol, name) == 0;
	char *whole = known ? NULL : cxx_name(die);

	add_frame(l, whole ? whole : name, inlined);
	free(whole);
}

/* The file and line of the call that an inlined subroutine replaced. */
static void go_to_call(struct lookup *l, Dwarf_Die *die)
{
	Dwarf_Attribute attr;
	Dwarf_Files *files;
	Dwarf_Word number;
	size_t nfiles;

	l->file = NULL;
	l->line = 0;
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_file, &attr), &number) == 0 &&
	    dwarf_getsrcfiles(&l->functions, &files, &nfiles) == 0 && number < nfiles)
		l->file = absolute_path(l->s, dwarf_filesrc(files, number, NULL, NULL), &l->cu);
	if (dwarf_formudata(dwarf_attr(die, DW_AT_call_line, &attr), &number) == 0)
		l->line = (uint32_t)number;
}

/*
 * The functions around pc, from the outermost to the innermost inlined one; how many, at most max,
 * which also bounds how deep scopes may be nested. `all`: look
 * inside functions that do not have pc, too, for one may be a member of a class that is local to
 * another. dwarf_getscopes() is not used: it loses those whose abstract instance is in another
 * unit, which is how link-time optimisation leaves them.
 */
static int find_functions(Dwarf_Die *parent, Dwarf_Addr pc, bool all, Dwarf_Die *path, int max)
{
	Dwarf_Die die;
	int found = 0;

	if (max == 0 || dwarf_child(parent, &die) != 0)
		return 0;
	do {
		int tag = dwarf_tag(&die);
		bool is_function = tag == DW_TAG_subprogram || tag == DW_TAG_inlined_subroutine;

		if (is_function || tag == DW_TAG_lexical_block) {
			if (dwarf_haspc(&die, pc) == 1) {
				if (is_function)
					path[found++] = die;
				return found + find_functions(&die, pc, all, path + found, max - 1);
			}
			if (!all)
				continue;
		} else if (tag != DW_TAG_namespace && tag != DW_TAG_module &&
			   tag != DW_TAG_class_type && tag != DW_TAG_structure_type &&
			   tag != DW_TAG_union_type) {
			continue;
		}
		found = find_functions(&die, pc, all, path, max - 1);
	} while (found == 0 && dwarf_siblingof(&die, &die) == 0);
	return found;
}

static void add_inlines(struct lookup *l, Dwarf_Addr address)
{
	Dwarf_Die path[MAX_NESTING];
	int n = find_functions(&l->functions, address, false, path, MAX_NESTING);

	if (n == 0)
		n = find_functions(&l->functions, address, true, path, MAX_NESTING);
	while (n-- > 0) {
		add_function(l, &path[n]);
		if (dwarf_tag(&path[n]) != DW_TAG_inlined_subroutine)
			break;
		go_to_call(l, &path[n]);
	}
}

/*
 * The compilation unit of pc. libdw looks in .debug_aranges, which clang does not write, and takes
 * the nearest unit that is there; so ask that one, and else all units one by one.
 */
static Dwarf_Die *find_unit(Dwfl_Module *mod, uint64_t pc, Dwarf_Addr *bias)
{
	Dwarf_Die *cu = dwfl_module_addrdie(mod, pc, bias);

	if (cu && dwarf_haspc(cu, pc - *bias) == 1)
		return cu;
	cu = NULL;
	while ((cu = dwfl_module_nextcu(mod, cu, bias))) {
		if (dwarf_haspc(cu, pc - *bias) == 1)
			return cu;
	}
	return NULL;
}

/*
 * With -gsplit-dwarf the program has its lines, and a file for each unit (.dwo) the functions. The
 * unit itself, if that file is not there. All of them in one package (.dwp) is what libdw reads
 * from 0.191 on; before, lines and the symbol table remain.
 */
static Dwarf_Die with_functions(struct module *m, Dwarf_Die *cu)
{
	Dwarf_Die split = { 0 };
	Dwarf_Attribute attr;
	const char *name;
	uint8_t kind = 0;

	if (dwarf_cu_info(cu->cu, NULL, &kind, NULL, &split, NULL, NULL, NULL) != 0 ||
	    kind != DW_UT_skeleton)
		return *cu;
	if (split.addr)
		return split;
	name = dwarf_formstring(dwarf_attr(cu, DW_AT_dwo_name, &attr));
	if (!name)
		name = dwarf_formstring(dwarf_attr(cu, DW_AT_GNU_dwo_name, &attr));
	if (name && m && !m->no_split)
		m->no_split = strdup(name);
	return *cu;
}

static void look_up_dwarf(struct lookup *l, struct module *m, Dwfl_Module *mod, uint64_t pc)
{
	Dwarf_Addr bias;
	Dwarf_Die *cu = find_unit(mod, pc, &bias);
	Dwarf_Line *line = cu ? dwarf_getsrc_die(cu, pc - bias) : NULL;
	int number = 0;

	if (!cu)
		return;
	l->cu = *cu;
	l->functions = with_functions(m, cu);
	if (line) {
		l->file = absolute_path(l->s, dwarf_linesrc(line, NULL, NULL), &l->cu);
		dwarf_lineno(line, &number);
		l->line = (uint32_t)number;
	}
	l->symbol_begin -= bias;
	add_inlines(l, pc - bias);
}

static bool in_directory(const char *file, const char *directory)
{
	size_t len = strlen(directory);

	return strncmp(file, directory, len) == 0 && file[len] == '/' &&
	       !strchr(file + len + 1, '/');
}

static bool is_in_runtime(const struct symbolizer *s, uint64_t pc)
{
	for (size_t i = 0; i < s->nruntime_text; i++) {
		if (pc >= s->runtime_text[i].lo && pc < s->runtime_text[i].hi)
			return true;
	}
	return false;
}

/* at: where the instruction is that the frame is in. */
static bool is_runtime(const struct symbolizer *s, const struct goro_frame *f, uint64_t at)
{
	if (!f->function && is_in_runtime(s, at))
		return true;
	if (f->function && strncmp(f->function, "goro_", 5) == 0)
		return true;
	if (s->runtime_library && f->module == s->runtime_library)
		return true;
	return s->runtime_directory && f->file && in_directory(f->file, s->runtime_directory);
}

/*
 * libdw would ask a debuginfod server for what it does not find on this machine. A look does not
 * wait for a network, and what a program is built of is nobody's business there. The variable says
 * so for a moment only, for programs that are started from here have it, too.
 */
static char *hush_debuginfod(char *first)
{
	char *urls = getenv("DEBUGINFOD_URLS");

	if (urls) {
		*first = *urls;
		*urls = '\0';
	}
	return urls;
}

static void look_up(struct lookup *l, uint64_t pc, bool is_return)
{
	char first, *urls = hush_debuginfod(&first);

	struct symbolizer *s = l->s;
	uint64_t at = is_return ? pc - 1 : pc;
	struct module *m = s->modules ? modules_find(s->modules, at) : NULL;
	Dwfl_Module *mod;
	const char *symbol;
	GElf_Off offset = 0;
	GElf_Sym sym;

	l->common.pc = pc;
	if (m) {
		l->common.module = keep(s, m->path);
		l->common.module_offset = pc - m->bias;
	}
	if (!m && s->modules) {
		/* No file, but it may have a name: "[vsyscall]". */
		const struct target_map *map = target_maps_find(&s->modules->maps, at);

		l->common.module = map ? keep(s, map->path) : NULL;
		l->common.module_offset = map ? pc - map->lo : 0;
	}
	if (s->modules)
		report_modules(s);
	mod = s->dwfl ? dwfl_addrmodule(s->dwfl, at) : NULL;
	symbol = mod ? dwfl_module_addrinfo(mod, at, &offset, &sym, NULL, NULL, NULL) : NULL;
	if (symbol)
		l->common.function_offset = offset + (pc - at);
	l->symbol = symbol;
	l->symbol_begin = at - offset;
	if (mod)
		look_up_dwarf(l, m, mod, at);
	/* Assembly has lines but no subprograms. */
	if (l->n == 0 || l->frames[l->n - 1].inlined)
		add_frame(l, symbol, false);
	/* Its name may be in a file of dwz's that is not there. */
	if (!l->frames[l->n - 1].function)
		l->frames[l->n - 1].function = keep_name(l->s, symbol);
	for (size_t i = 0; i < l->n; i++)
		l->frames[i].runtime = is_runtime(s, &l->frames[i], at);
	if (urls)
		*urls = first;
}

/* ---- the cache ------------------------------------------------------------------------------- */

static size_t slot_of(const struct symbolizer *s, uint64_t key)
{
	size_t at = (key * 0x9e3779b97f4a7c15ull) >> 32 & (s->size - 1);

	while (s->entries[at].key && s->entries[at].key != key)
		at = (at + 1) & (s->size - 1);
	return at;
}

static bool grow_entries(struct symbolizer *s)
{
	struct entry *old = s->entries;
	size_t old_size = s->size, size = old_size ? old_size * 2 : 256;
	struct entry *table = calloc(size, sizeof *table);

	if (!table)
		return false;
	s->entries = table;
	s->size = size;
	for (size_t i = 0; i < old_size; i++) {
		if (old[i].key)
			s->entries[slot_of(s, old[i].key)] = old[i];
	}
	free(old);
	return true;
}

const char *symbolizer_keep(struct symbolizer *s, const char *string)
{
	return keep(s, string);
}

static uint64_t key_of(uint64_t pc, bool is_return)
{
	uint64_t key = pc * 2 + is_return + 2;

	return key ? key : 1;
}

/* The entry of a key, which is empty if there was none; NULL: out of memory. */
static struct entry *entry_of(struct symbolizer *s, uint64_t key)
{
	if (s->nentries * 2 >= s->size && !grow_entries(s))
		return NULL;
	return &s->entries[slot_of(s, key)];
}

static bool fill(struct symbolizer *s, struct entry *e, uint64_t key,
		 const struct goro_frame *frames, size_t n)
{
	struct goro_frame *copy = malloc(n * sizeof *copy + 1);

	if (!copy)
		return false;
	memcpy(copy, frames, n * sizeof *copy);
	s->nentries += !e->key;
	*e = (struct entry){ key, copy, n };
	return true;
}

bool symbolizer_tell(struct symbolizer *s, uint64_t pc, bool is_return,
		     const struct goro_frame *frames, size_t n)
{
	uint64_t key = key_of(pc, is_return);
	struct entry *e = entry_of(s, key);

	if (!e || !n)
		return false;
	if (e->key && e->n == n && memcmp(e->frames, frames, n * sizeof *frames) == 0)
		return true;
	/* Somebody may hold what was said before: it lives as long as all of this. */
	if (e->key) {
		struct goro_frame **more = realloc(s->former, (s->nformer + 1) * sizeof *s->former);

		if (!more)
			return false;
		s->former = more;
		s->former[s->nformer++] = e->frames;
	}
	return fill(s, e, key, frames, n);
}

struct symbolizer *symbolizer_new_told(void)
{
	return calloc(1, sizeof(struct symbolizer));
}

/*
 * Who was only told knows no more of a return address than of the call before it: a function that a
 * goroutine was started with is told as such, and asked for as if it had called something.
 */
static bool fill_by_call(struct symbolizer *s, struct entry *e, uint64_t key, uint64_t pc)
{
	const struct entry *call = &s->entries[slot_of(s, key_of(pc - 1, false))];

	if (!call->key || !fill(s, e, key, call->frames, call->n))
		return false;
	for (size_t i = 0; i < e->n; i++) {
		e->frames[i].pc = pc;
		e->frames[i].module_offset++;
		e->frames[i].function_offset++;
	}
	return true;
}

const struct goro_frame *symbolize(struct symbolizer *s, uint64_t pc, bool is_return, size_t *n)
{
	uint64_t key = key_of(pc, is_return);
	struct lookup l = { .s = s };
	struct entry *e;

	*n = 0;
	e = entry_of(s, key);
	if (!e)
		return NULL;
	if (!e->key && !(is_return && !s->modules && fill_by_call(s, e, key, pc))) {
		look_up(&l, pc, is_return);
		if (!fill(s, e, key, l.frames, l.n))
			return NULL;
	}
	*n = e->n;
	return e->frames;
}

/* ---- life ------------------------------------------------------------------------------------ */

/* Learn where the runtime's sources and its library are, from one address in it. */
static void learn_runtime(struct symbolizer *s)
{
	struct lookup l = { .s = s };
	struct module *m = modules_find(s->modules, s->runtime_pc);
	const char *file;
	char *directory;

	if (m && strncmp(goro_basename(m->path), "libgoro.so", strlen("libgoro.so")) == 0)
		s->runtime_library = keep(s, m->path);
	look_up(&l, s->runtime_pc, false);
	file = l.frames[l.n - 1].file;
	if (!file || file[0] != '/')
		return;
	directory = strndup(file, (size_t)(strrchr(file, '/') - file));
	s->runtime_directory = directory && *directory ? keep(s, directory) : NULL;
	free(directory);
}

struct symbolizer *symbolizer_new(struct modules *ms, uint64_t runtime_pc)
{
	struct symbolizer *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->modules = ms;
	s->runtime_pc = runtime_pc;
	learn_runtime(s);
	return s;
}

void symbolizer_runtime_text(struct symbolizer *s, const struct goro_text_range *v, size_t n)
{
	s->runtime_text = v;
	s->nruntime_text = n;
}

void symbolizer_close_files(struct symbolizer *s)
{
	dwfl_end(s->dwfl);
	s->dwfl = NULL;
}

void symbolizer_free(struct symbolizer *s)
{
	if (!s)
		return;
	dwfl_end(s->dwfl);
	for (size_t i = 0; i < s->size; i++)
		free(s->entries[i].frames);
	for (size_t i = 0; i < s->strings_size; i++)
		free(s->strings[i]);
	for (size_t i = 0; i < s->nformer; i++)
		free(s->former[i]);
	free(s->former);
	free(s->entries);
	free(s->strings);
	free(s);
}
