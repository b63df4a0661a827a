# SPDX-License-Identifier: MIT
# embed(HEADER FILE...) - a C header with the bytes of each file: flame.js becomes flame_js[].
function(embed header)
	set(text "/* Made of: ${ARGN} */\n")
	foreach(file ${ARGN})
		set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
		file(READ ${file} bytes HEX)
		string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
		string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
		string(MAKE_C_IDENTIFIER ${file} name)
		string(APPEND text "static const unsigned char ${name}[] = {\n${bytes}};\n")
	endforeach()
	file(GENERATE OUTPUT ${header} CONTENT "${text}")
endfunction()
