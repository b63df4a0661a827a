# SPDX-License-Identifier: MIT
# Explore one model: without a mutation there must be no error, with one there must be.
#   cmake -DSPIN=<spin> -DMODEL=<file> -DMUTATION=<macro or nothing> -DSCRATCH=<directory> -P model.cmake
file(MAKE_DIRECTORY ${SCRATCH})
set(define "")
if(MUTATION)
	set(define -D${MUTATION})
endif()
# To compile a search takes longer than most of them do, so it is not optimised.
execute_process(COMMAND ${SPIN} ${define} -run -O0 -safety -m100000 ${MODEL}
	WORKING_DIRECTORY ${SCRATCH} OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT output MATCHES "errors: [0-9]+" OR output MATCHES "max search depth too small")
	message(FATAL_ERROR "not explored in full:\n${output}")
elseif(MUTATION AND NOT output MATCHES "assertion violated")
	message(FATAL_ERROR "${MUTATION} is not seen:\n${output}")
elseif(NOT MUTATION AND NOT output MATCHES "errors: 0[^0-9]")
	message(FATAL_ERROR "the model found an error:\n${output}")
endif()
