# SPDX-License-Identifier: MIT
# Takes the program and the output of `goro check` out of the README, compiles and checks the program,
# and expects what the README says, to the letter but for times, addresses and amounts.
#
#   cmake -DROOT=<tree> -DGORO=<command> -DLIBRARY=<libgoro.a> -DSCRATCH=<directory> -P readme.cmake
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${SCRATCH})
file(MAKE_DIRECTORY ${SCRATCH})
file(READ ${ROOT}/README.md readme)

if(NOT readme MATCHES "\n```c\n([^`]*)```")
	message(FATAL_ERROR "no C program in README.md")
endif()
file(WRITE ${SCRATCH}/first.c "${CMAKE_MATCH_1}")
if(NOT readme MATCHES "goro check -- ./first\n([^`$]*)\\$ echo \\$\\?\n([0-9]+)\n```")
	message(FATAL_ERROR "no output of goro check in README.md")
endif()
set(expected "${CMAKE_MATCH_1}")
set(expected_status ${CMAKE_MATCH_2})

execute_process(COMMAND cc -g -I${ROOT}/runtime/include first.c -o first ${LIBRARY} -lunwind -pthread
	WORKING_DIRECTORY ${SCRATCH} COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${GORO} check -- ./first WORKING_DIRECTORY ${SCRATCH}
	RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)

string(REPLACE "${SCRATCH}/" "" output "${output}")
foreach(text output expected)
	string(REGEX REPLACE ", [0-9.]+m?s\\]" ", TIME]" ${text} "${${text}}")
	string(REGEX REPLACE "goroutine [0-9]+" "goroutine ID" ${text} "${${text}}")
	string(REGEX REPLACE "0x[0-9a-f]+" "ADDRESS" ${text} "${${text}}")
	string(REGEX REPLACE "[0-9.]+ [KM]iB of roots and [0-9]+ objects \\([0-9.]+ KiB\\)" "SO MUCH" ${text} "${${text}}")
	string(REGEX REPLACE "paused for [0-9.]+ ms" "paused for TIME" ${text} "${${text}}")
endforeach()
if(NOT output STREQUAL expected OR NOT status EQUAL expected_status)
	message(FATAL_ERROR "README.md says, with status ${expected_status}:\n${expected}\n"
		"but this happens, with status ${status}:\n${output}")
endif()
