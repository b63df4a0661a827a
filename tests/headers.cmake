# SPDX-License-Identifier: MIT
# Every header that a user includes compiles by itself, twice in one file, as C17 and as C++17, with
# each compiler that is there, warnings and extensions being errors.
#
#   cmake -DROOT=<tree> -DSCRATCH=<directory> -P headers.cmake
cmake_minimum_required(VERSION 3.25)

set(failures 0)
set(compilers "")
foreach(header runtime/include/goro.h runtime/include/goro_introspect.h profiler/profiler.h)
	cmake_path(GET header FILENAME name)
	foreach(suffix c cpp)
		file(WRITE ${SCRATCH}/${name}.${suffix}
			"#include \"${ROOT}/${header}\"\n#include \"${ROOT}/${header}\"\nextern int unused;\n")
	endforeach()
	foreach(compiler gcc clang g++ clang++)
		find_program(path_of_${compiler} ${compiler})
		if(NOT path_of_${compiler})
			continue()
		endif()
		list(APPEND compilers ${compiler})
		if(compiler MATCHES "\\+\\+$")
			set(source -std=c++17 ${SCRATCH}/${name}.cpp)
		else()
			set(source -std=c17 -Wstrict-prototypes ${SCRATCH}/${name}.c)
		endif()
		execute_process(
			COMMAND ${path_of_${compiler}} -Wall -Wextra -Werror -pedantic-errors -fsyntax-only ${source}
			RESULT_VARIABLE status ERROR_VARIABLE output OUTPUT_VARIABLE output)
		if(NOT status EQUAL 0)
			message(NOTICE "${compiler} refuses ${header}:\n${output}")
			math(EXPR failures "${failures} + 1")
		endif()
	endforeach()
endforeach()
list(REMOVE_DUPLICATES compilers)
message(STATUS "compilers: ${compilers}")
if(failures GREATER 0 OR NOT compilers)
	message(FATAL_ERROR "${failures} failures")
endif()
