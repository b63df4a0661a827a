# SPDX-License-Identifier: MIT
# The script `run` refuses what it does not know before it does anything: usage on stderr, status 2.
#
#   cmake -DROOT=<tree> -P run_usage.cmake
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
