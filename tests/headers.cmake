# SPDX-License-Identifier: MIT
# Every header that a user includes compiles by itself, twice in one file, and so does a user of each macro
# of goro.h: from C11 and C++11 to the newest that each compiler knows, warnings and extensions being errors.
#
#   cmake -DROOT=<tree> -DSCRATCH=<directory> -P headers.cmake
cmake_minimum_required(VERSION 3.25)

set(headers runtime/include/goro.h runtime/include/goro_introspect.h profiler/profiler.h)
foreach(suffix c cpp)
	foreach(header ${headers})
		cmake_path(GET header FILENAME name)
		file(WRITE ${SCRATCH}/${name}.${suffix}
			"#include \"${ROOT}/${header}\"\n#include \"${ROOT}/${header}\"\nextern int unused;\n")
	endforeach()
	file(WRITE ${SCRATCH}/user.${suffix} "#include \"${ROOT}/runtime/include/goro.h\"\n" [[

static void nothing(void *arg)
{
	(void)arg;
}

int user(goro_chan *in);
int user(goro_chan *in)
{
	static goro_sema slots = GORO_SEMA(8);
	struct job {
		int n;
		goro_chan *out;
	} job = { 1, goro_chan_of(int, 1) };
	int n = 0;
	struct goro_case cases[] = { goro_recv_case(in, &n), goro_send_case(job.out, &job.n) };

	goro_defer(nothing, &n);
	goro_defer(nothing, &job);
	go(nothing, &n);
	go_copy(nothing, &job);
	goro_sema_acquire(&slots, 1);
	if (errno)
		goro_panic("%s", GORO_VERSION);
	return goro_select_timeout(cases, 2, GORO_SECOND);
}
]])
endforeach()
set(failures 0)
set(compilers "")
foreach(compiler gcc clang g++ clang++)
	find_program(path_of_${compiler} ${compiler})
	if(NOT path_of_${compiler})
		continue()
	endif()
	list(APPEND compilers ${compiler})
	if(compiler MATCHES "\\+\\+$")
		set(suffix cpp)
		set(standards -std=c++11 -std=c++20 -std=c++2b)
		set(strict -Wold-style-cast)
	else()
		set(suffix c)
		set(standards -std=c11 -std=c17 -std=c2x)
		set(strict -Wstrict-prototypes -Wshadow -Wcast-align)
	endif()
	foreach(name goro.h goro_introspect.h profiler.h user)
		foreach(standard ${standards})
			execute_process(COMMAND ${path_of_${compiler}} ${standard} -Wall -Wextra ${strict}
					-Werror -pedantic-errors -fsyntax-only ${SCRATCH}/${name}.${suffix}
				RESULT_VARIABLE status ERROR_VARIABLE output OUTPUT_VARIABLE output)
			if(NOT status EQUAL 0)
				message(NOTICE "${compiler} ${standard} refuses ${name}:\n${output}")
				math(EXPR failures "${failures} + 1")
			endif()
		endforeach()
	endforeach()
endforeach()
message(STATUS "compilers: ${compilers}")
if(failures GREATER 0 OR NOT compilers)
	message(FATAL_ERROR "${failures} failures")
endif()
