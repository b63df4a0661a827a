# SPDX-License-Identifier: MIT
# Configure, build and test project/ by one of its presets:
#   cmake -DCTEST=<ctest> -DPRESET=<name> -DSCRATCH=<directory> -P cross.cmake
foreach(command
		"${CMAKE_COMMAND};--preset;${PRESET};-B;${SCRATCH}"
		"${CMAKE_COMMAND};--build;${SCRATCH}"
		"${CTEST};--test-dir;${SCRATCH};--output-on-failure")
	execute_process(COMMAND ${command} WORKING_DIRECTORY ${CMAKE_CURRENT_LIST_DIR}/project
		RESULT_VARIABLE status)
	if(NOT status EQUAL 0)
		message(FATAL_ERROR "failed: ${command}")
	endif()
endforeach()
