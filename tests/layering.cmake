# SPDX-License-Identifier: MIT
# Who may know whom. Reads the sources (comments taken out) and fails with every offence in one run;
# so it does where the documents that describe the tree name a path that is not there.
#
#   cmake -DROOT=<tree> -P layering.cmake                     check a tree
#   cmake -DROOT=<tree> -DMUTANTS=<scratch> -P layering.cmake  check that each rule can fail:
#                                            break a copy once per rule, expect that it is seen
#
# Text rather than the linker, because the linker sees neither a header nor a system call's name.

cmake_minimum_required(VERSION 3.25)

set(offences "")

function(offence file text why)
	cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${ROOT})
	set(offences "${offences}${file}: ${text}\n    ${why}\n" PARENT_SCOPE)
endfunction()

function(read_code file ret)
	file(READ ${file} code)
	string(REGEX REPLACE "/\\*[^*]*\\*+([^/*][^*]*\\*+)*/" " " code "${code}")
	string(REGEX REPLACE "//[^\n\"]*\n" "\n" code "${code}")
	set(${ret} "${code}" PARENT_SCOPE)
endfunction()

# May include with quotes: what lies in the same part, and the headers named after WITH.
function(includes_of part)
	cmake_parse_arguments(arg "" "" "WITH" ${ARGN})
	file(GLOB files ${ROOT}/${part}/*.[chS])
	foreach(file ${files})
		read_code(${file} code)
		string(REGEX MATCHALL "#[ \t]*include[ \t]*[<\"][^>\"\n]*[>\"]" lines "${code}")
		foreach(line ${lines})
			string(REGEX REPLACE ".*[<\"](.*)[>\"]" "\\1" header "${line}")
			if(header IN_LIST arg_WITH)
				continue()
			endif()
			if(line MATCHES "\"")
				if(header MATCHES "/" OR NOT EXISTS ${ROOT}/${part}/${header})
					offence(${file} "${line}" "${part}/ may only see its own headers and: ${arg_WITH}")
				endif()
			elseif(header MATCHES "^(goro/.*|goro.*|profiler\\.h)$")
				offence(${file} "${line}" "${part}/ may only see its own headers and: ${arg_WITH}")
			endif()
		endforeach()
	endforeach()
	set(offences "${offences}" PARENT_SCOPE)
endfunction()

# Code that matches the pattern may stand in the files after ONLY_IN and in no other of the parts.
function(pattern pattern)
	cmake_parse_arguments(arg "NOT_IN_STRINGS" "WHY" "PARTS;ONLY_IN" ${ARGN})
	foreach(part ${arg_PARTS})
		file(GLOB files ${ROOT}/${part}/*.[chS] ${ROOT}/${part}/include/*.h)
		foreach(file ${files})
			cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${ROOT} OUTPUT_VARIABLE name)
			if(name IN_LIST arg_ONLY_IN)
				continue()
			endif()
			read_code(${file} code)
			if(arg_NOT_IN_STRINGS)
				string(REGEX REPLACE "\"([^\"\\\n]|\\\\.)*\"" "\"\"" code "${code}")
			endif()
			string(REGEX MATCH "${pattern}" found "${code}")
			if(found)
				string(STRIP "${found}" found)
				offence(${file} "${found}" "${arg_WHY}")
			endif()
		endforeach()
	endforeach()
	set(offences "${offences}" PARENT_SCOPE)
endfunction()

# `profiler/judge.c`, `tests/reach`, `runtime/os_linux*.c` in a document are there: at least one file of
# that name.
function(paths_in document)
	if(NOT EXISTS ${ROOT}/${document})
		return()
	endif()
	file(READ ${ROOT}/${document} text)
	string(REGEX MATCHALL "`(runtime|profiler|tui|tests|examples)/[^` ]*`" paths "${text}")
	foreach(path ${paths})
		string(REPLACE "`" "" path ${path})
		string(REGEX REPLACE "<[a-z]+>" "*" files ${path})
		string(REGEX REPLACE "/$" "" files ${files})
		file(GLOB found ${ROOT}/${files})
		if(NOT found)
			offence(${ROOT}/${document} "${path}" "a path that is not there")
		endif()
	endforeach()
	set(offences "${offences}" PARENT_SCOPE)
endfunction()

# Each directory of tests has its line in a document.
function(tests_told_in document)
	if(NOT EXISTS ${ROOT}/${document})
		return()
	endif()
	file(READ ${ROOT}/${document} text)
	file(GLOB directories LIST_DIRECTORIES TRUE RELATIVE ${ROOT}/tests ${ROOT}/tests/*)
	foreach(directory ${directories})
		if(IS_DIRECTORY ${ROOT}/tests/${directory} AND NOT text MATCHES "\n\\| [^|]*`${directory}`")
			offence(${ROOT}/${document} "tests/${directory}" "no line says what is tested there")
		endif()
	endforeach()
	set(offences "${offences}" PARENT_SCOPE)
endfunction()

function(check_tree)
	paths_in(ARCHITECTURE.md)
	paths_in(CONTRIBUTING.md)
	tests_told_in(CONTRIBUTING.md)
	includes_of(runtime WITH goro.h goro_introspect.h)
	includes_of(runtime/heap WITH goro_introspect.h)
	includes_of(profiler WITH goro_introspect.h flame.h pprof.pb-c.h) # the last two are made
	includes_of(tui WITH profiler.h)
	includes_of(examples WITH goro.h)

	pattern("<(ncursesw?/)?(n?curses|panel|menu|form|term)\\.h>"
		PARTS runtime profiler tui ONLY_IN tui/term.c
		WHY "only tui/term.c knows ncurses")
	file(GLOB process_files RELATIVE ${ROOT} ${ROOT}/profiler/target_process*.[ch])
	file(GLOB os_files RELATIVE ${ROOT} ${ROOT}/runtime/os_linux*.c)
	pattern("([^a-zA-Z0-9_\"]ptrace[ \t]*\\(|PTRACE_[A-Z]|process_vm_(read|write)v|perf_event_open|<(sys/ptrace|linux/perf_event)\\.h>)"
		PARTS runtime profiler tui ONLY_IN ${process_files}
		WHY "only profiler/target_process*.c touch another process")
	pattern("\"/proc[/\"]"
		PARTS runtime profiler tui ONLY_IN ${process_files} ${os_files}
		WHY "/proc is read by profiler/target_process*.c, and by runtime/os_linux*.c of itself")

	# The runtime asks the kernel in one file: not by name, nor through a header that serves
	# nothing else. (unistd.h and signal.h do: STDERR_FILENO, siginfo_t.)
	pattern("<(sys/(mman|syscall|socket|un|epoll|eventfd|timerfd|resource|prctl|wait|stat|ioctl|uio)|linux/[a-z_]+|asm/[a-z_]+|fcntl|poll|sched|spawn|syscall|netinet/[a-z]+|arpa/[a-z]+)\\.h>"
		PARTS runtime ONLY_IN ${os_files}
		WHY "only runtime/os_linux*.c makes system calls")
	set(calls syscall mmap munmap mremap mprotect madvise membarrier futex clone clone3 fork vfork
		sigaction sigaltstack sigprocmask pthread_sigmask pthread_kill signal raise kill tgkill
		getpid gettid prctl sched_[a-z_]+ getrlimit setrlimit clock_gettime nanosleep
		clock_nanosleep usleep sleep poll ppoll epoll_[a-z0-9_]+ eventfd timerfd_[a-z]+ open openat
		close read readv write writev pipe pipe2 dup dup2 socket connect accept accept4 bind
		listen send sendmsg recv recvmsg _exit)
	list(JOIN calls "|" calls)
	pattern("([^a-zA-Z0-9_\".>](${calls})[ \t]*\\(|[^a-zA-Z0-9_]SYS_[a-z])"
		NOT_IN_STRINGS PARTS runtime ONLY_IN ${os_files}
		WHY "only runtime/os_linux*.c makes system calls")
	set(offences "${offences}" PARENT_SCOPE)
endfunction()

# One broken line per rule, and a word of the complaint it must cause.
function(check_mutants)
	file(REMOVE_RECURSE ${MUTANTS})
	foreach(part runtime profiler tui examples)
		if(IS_DIRECTORY ${ROOT}/${part})
			file(COPY ${ROOT}/${part} DESTINATION ${MUTANTS})
		endif()
	endforeach()
	set(seen 0)
	macro(mutant file line complaint)
		file(WRITE ${MUTANTS}/${file} "${line}\n")
		execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${MUTANTS} -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
			RESULT_VARIABLE status ERROR_VARIABLE output OUTPUT_QUIET)
		if(status EQUAL 0 OR NOT output MATCHES "${file}: [^\n]*\n    ${complaint}")
			message(FATAL_ERROR "not seen in ${file}: ${line}\n${output}")
		endif()
		file(REMOVE ${MUTANTS}/${file})
		math(EXPR seen "${seen} + 1")
	endmacro()
	mutant(runtime/mutant.c "#include \"profiler.h\"" "runtime/ may only see")
	mutant(runtime/heap/mutant.c "#include \"runtime.h\"" "runtime/heap/ may only see")
	mutant(profiler/mutant.c "#include \"runtime.h\"" "profiler/ may only see")
	mutant(profiler/mutant.h "# include <goro.h>" "profiler/ may only see")
	mutant(tui/mutant.c "#include \"target.h\"" "tui/ may only see")
	mutant(tui/mutant.c "#include \"../profiler/snapshot.h\"" "tui/ may only see")
	mutant(tui/mutant.c "#include \"goro_introspect.h\"" "tui/ may only see")
	mutant(examples/mutant.c "#include \"goro_introspect.h\"" "examples/ may only see")
	mutant(tui/mutant.c "#include <ncursesw/curses.h>" "only tui/term.c")
	mutant(profiler/mutant.c "x = ptrace(PTRACE_SEIZE, pid, 0, 0)" "only profiler/target_process")
	mutant(profiler/mutant.c "#include <linux/perf_event.h>" "only profiler/target_process")
	mutant(tui/mutant.c "process_vm_readv(pid)" "only profiler/target_process")
	mutant(profiler/mutant.c "open(\"/proc/1/maps\", 0)" "/proc is read by")
	mutant(runtime/mutant.c "#include <sys/mman.h>" "only runtime/os_linux")
	mutant(runtime/mutant.c "\tfutex(&word)" "only runtime/os_linux")
	mutant(runtime/mutant.c "\tsigaction(sig, &sa, &old)" "only runtime/os_linux")
	mutant(runtime/mutant.c "/* harmless */ long n = syscall(SYS_gettid)" "only runtime/os_linux")
	mutant(ARCHITECTURE.md "`profiler/judge.c`, `runtime/context_<arch>.S` and `profiler/jugde.c`" "a path that is not")
	file(MAKE_DIRECTORY ${MUTANTS}/tests/gone ${MUTANTS}/tests/told)
	mutant(CONTRIBUTING.md "\n| `told` | what |" "no line says")
	file(REMOVE_RECURSE ${MUTANTS})
	message(STATUS "${seen} broken trees, all seen")
endfunction()

if(MUTANTS)
	check_mutants()
else()
	check_tree()
	if(offences)
		message(NOTICE "${offences}")
		message(FATAL_ERROR "the layers of the tree are broken, see above")
	endif()
endif()
