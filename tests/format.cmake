# SPDX-License-Identifier: MIT
# Every C file looks as .clang-format wants it.
#
#   cmake -DROOT=<tree> -DCLANG_FORMAT=<program> -P format.cmake
cmake_minimum_required(VERSION 3.25)

set(files "")
foreach(part runtime profiler tui tests examples)
	file(GLOB_RECURSE found ${ROOT}/${part}/*.[ch])
	list(APPEND files ${found})
endforeach()
execute_process(COMMAND ${CLANG_FORMAT} --dry-run --Werror ${files} RESULT_VARIABLE status)
if(NOT status EQUAL 0)
	message(FATAL_ERROR "mend with: clang-format-14 -i FILE")
endif()
# It breaks a line of a comment that has a tab in it, and leaves the rest right behind the star.
foreach(file ${files})
	file(STRINGS ${file} broken REGEX "^ [*][^ /\t]" LIMIT_COUNT 1)
	if(broken)
		message(SEND_ERROR "${file}: a comment that was broken badly: ${broken}")
	endif()
endforeach()
