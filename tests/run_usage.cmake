# SPDX-License-Identifier: MIT
# The script `run` refuses what it does not know before it does anything: usage on stderr, status 2.
# Where it cannot have the packages that it needs it says which, last.
#
#   cmake -DROOT=<tree> -DSCRATCH=<directory> -P run_usage.cmake
cmake_minimum_required(VERSION 3.25)

foreach(arguments "" "frobnicate" "--help me" "demo now" "build all" "test fast" "install here there")
	separate_arguments(words UNIX_COMMAND "${arguments}")
	execute_process(COMMAND ${ROOT}/run ${words}
		RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE error)
	if(NOT status EQUAL 2 OR NOT error MATCHES "^usage: ./run demo" OR NOT output STREQUAL "")
		message(FATAL_ERROR "./run ${arguments}: status ${status}\n${output}${error}")
	endif()
endforeach()

execute_process(COMMAND ${ROOT}/run --help RESULT_VARIABLE status OUTPUT_VARIABLE output)
if(NOT status EQUAL 0 OR NOT output MATCHES "^usage: ./run demo")
	message(FATAL_ERROR "./run --help: status ${status}\n${output}")
endif()

# A machine without any of them, and without network.
file(WRITE ${SCRATCH}/dpkg-query "#!/bin/sh\nexit 1\n")
file(WRITE ${SCRATCH}/apt-get "#!/bin/sh\necho 'E: no network' >&2\nexit 100\n")
file(WRITE ${SCRATCH}/sudo "#!/bin/sh\nexec \"$@\"\n")
file(CHMOD ${SCRATCH}/dpkg-query ${SCRATCH}/apt-get ${SCRATCH}/sudo
	FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
set(ENV{PATH} "${SCRATCH}:$ENV{PATH}")
execute_process(COMMAND ${ROOT}/run build RESULT_VARIABLE status OUTPUT_VARIABLE output
	ERROR_VARIABLE error)
if(NOT status EQUAL 1 OR NOT error MATCHES
		"\nrun: apt-get could not install build-essential [^\n]*: it says why above\n$")
	message(FATAL_ERROR "./run build, without packages: status ${status}\n${output}${error}")
endif()
