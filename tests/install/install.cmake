# SPDX-License-Identifier: MIT
# Install to a prefix of our own, then be a user who knows nothing but that prefix: build and run a
# program through pkg-config and through find_package, static and shared, as C and as C++.
#
#   cmake -DBUILD=<build tree> -DSOURCE=<this directory> -DSCRATCH=<directory> -P install.cmake
cmake_minimum_required(VERSION 3.25)

set(prefix ${SCRATCH}/prefix)
file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})

function(must)
	execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
	if(NOT status EQUAL 0)
		list(JOIN ARGN " " command)
		message(FATAL_ERROR "${command}\n${output}\nstatus ${status}")
	endif()
	set(output "${output}" PARENT_SCOPE)
endfunction()

function(must_compute program)
	must(${program})
	if(NOT output STREQUAL "0+1+4+9=14\n")
		message(FATAL_ERROR "${program} printed: ${output}")
	endif()
	message(STATUS "${program} works")
endfunction()

must(${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
foreach(file
	bin/goro bin/gotop
	lib/libgoro.a lib/libgoro.so lib/libgoroscope.a
	include/goro.h include/goro_introspect.h include/goro/profiler.h
	lib/pkgconfig/goro.pc lib/pkgconfig/goroscope.pc lib/cmake/goro/goroConfig.cmake
	share/man/man1/goro.1 share/man/man1/gotop.1 share/man/man3/goro.3
	share/bash-completion/completions/goro share/bash-completion/completions/gotop)
	if(NOT EXISTS ${prefix}/${file})
		message(FATAL_ERROR "not installed: ${file}")
	endif()
endforeach()
must(${prefix}/bin/goro --help)
if(EXISTS ${BUILD}/lib/libgoro-heap.so) # no build with a sanitizer has it
	must(${prefix}/bin/goro run --heap -- /bin/true)
endif()
must(${prefix}/bin/gotop --help)

# pkg-config
set(ENV{PKG_CONFIG_PATH} ${prefix}/lib/pkgconfig)
set(ENV{LD_LIBRARY_PATH} ${prefix}/lib)
function(flags ret)
	must(pkg-config ${ARGN})
	separate_arguments(output UNIX_COMMAND "${output}")
	set(${ret} ${output} PARENT_SCOPE)
endfunction()
flags(shared --cflags --libs goro)
flags(static --static --cflags --libs goro)
must(cc -x c ${SOURCE}/user.c -x none -o ${SCRATCH}/c_shared ${shared})
must(c++ -x c++ ${SOURCE}/user.c -x none -o ${SCRATCH}/cxx_shared ${shared})
must(cc -x c ${SOURCE}/user.c -x none -static -o ${SCRATCH}/c_static ${static})
must(c++ -x c++ ${SOURCE}/user.c -x none -static -o ${SCRATCH}/cxx_static ${static})
foreach(program c_shared cxx_shared c_static cxx_static)
	must_compute(${SCRATCH}/${program})
endforeach()

# What such a program cannot know by itself: its sanitizer wants a library that was built with it.
function(must_say sanitizer linked status words)
	set(program ${SCRATCH}/${sanitizer}_${linked})
	execute_process(COMMAND cc -fsanitize=${sanitizer} ${SOURCE}/user.c -o ${program} ${${linked}}
		RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
	if(failed)
		message(STATUS "cc has no -fsanitize=${sanitizer}: not tried")
		return()
	endif()
	set(ENV{ASAN_OPTIONS} detect_leaks=0)
	execute_process(COMMAND ${program} RESULT_VARIABLE got OUTPUT_VARIABLE output ERROR_VARIABLE output)
	if(output MATCHES "unexpected memory mapping")
		message(STATUS "${sanitizer} does not run here: not tried")
	elseif(NOT got EQUAL ${status} OR NOT output MATCHES "${words}")
		message(FATAL_ERROR "${program}: ${output}\nstatus ${got}, not ${status}")
	endif()
endfunction()

foreach(linked shared static)
	must_say(thread ${linked} 2 "^fatal error: the program has ThreadSanitizer and libgoro has not")
	must_say(address ${linked} 0 "goro: the program has AddressSanitizer and libgoro has not")
endforeach()

# The observer's library.
file(WRITE ${SCRATCH}/observer.c [[
#include <goro/profiler.h>
int main(void)
{
	struct goro_scope *scope;
	struct goro_error *err = goro_scope_open_pid(&scope, -1);

	if (!err || err->code != GORO_NO_TARGET)
		return 1;
	goro_error_free(err);
	return 0;
}
]])
flags(observer --cflags --libs goroscope)
must(cc ${SCRATCH}/observer.c -o ${SCRATCH}/observer ${observer})
must(${SCRATCH}/observer)

# find_package
set(ENV{LD_LIBRARY_PATH} "")
must(${CMAKE_COMMAND} -S ${SOURCE}/project -B ${SCRATCH}/project -DCMAKE_PREFIX_PATH=${prefix})
must(${CMAKE_COMMAND} --build ${SCRATCH}/project)
foreach(program c_goro c_static cxx_goro cxx_static)
	must_compute(${SCRATCH}/project/${program})
endforeach()

# The recipes, as somebody finds them who has installed goro: the case that leaves a goroutine behind
# fails, and the other does not.
set(recipes ${SCRATCH}/recipes)
must(${CMAKE_COMMAND} -S ${SOURCE}/../../examples/recipes -B ${recipes} -DCMAKE_PREFIX_PATH=${prefix})
must(${CMAKE_COMMAND} --build ${recipes} --target with_ctest)
must(${CMAKE_CTEST_COMMAND} --test-dir ${recipes} -R worker_stops --no-tests=error)
execute_process(COMMAND ${CMAKE_CTEST_COMMAND} --test-dir ${recipes} -R jobs_are_done --output-on-failure
	RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0 OR NOT output MATCHES "with_ctest: 1 goroutine ")
	message(FATAL_ERROR "the recipe for CTest finds nothing: ${output}")
endif()
file(REMOVE_RECURSE ${SCRATCH})
