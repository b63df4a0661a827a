#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# A stripped program whose debug information lies elsewhere: does goro find it?
#   debuginfo.sh CASE, with GORO, PROGRAM (tests/targets/park.c, with -g), SPLIT (inlined.c, with
#   -gsplit-dwarf) and OBJCOPY in the environment
set -euo pipefail
scratch=$(mktemp -d)
pid=
trap 'exec 2>/dev/null; [ -z "$pid" ] || { kill $pid; wait $pid; } || :; rm -rf "$scratch"' EXIT

cd "$scratch"
"$OBJCOPY" --only-keep-debug "$PROGRAM" prog.debug
"$OBJCOPY" --strip-all --add-gnu-debuglink=prog.debug "$PROGRAM" prog
id=$(readelf -n prog | awk '/Build ID/ { print $3 }')
by_id=.build-id/${id:0:2}/${id:2}.debug

# Run the rest in a mount namespace of its own.
apart() {
	if ! unshare -m true 2>/dev/null; then
		echo "skipped: mount namespaces need root"
		exit 77
	fi
	mkdir -p /usr/lib/debug
	exec unshare -m "$@"
}

# start COMMAND... - in the background; it ends up as the program, and all of it waits.
start() {
	"$@" &
	pid=$!
	for _ in $(seq 600); do
		"$GORO" dump $pid >all 2>/dev/null || :
		! grep -q 'chan receive' all || grep -qE '\[(new|runnable|running)' all || return 0
		sleep 0.1
	done
	echo "failed: the program did not start"
	exit 1
}

named() {
	"$GORO" dump $pid >out
	grep -qE '^ +main at .*/park\.c:[0-9]+$' out || { cat out; exit 1; }
}

nameless() {
	"$GORO" dump $pid >out || [ $? = 6 ]
	! grep -q 'park\.c' out || { cat out; exit 1; }
	grep -qE "0x[0-9a-f]+ in .*/prog\+0x[0-9a-f]+" out || { cat out; exit 1; }
	"$GORO" doctor $pid >out || [ $? = 6 ]
	grep -q 'compile it with -g, or install its debug symbols' out || { cat out; exit 1; }
}

case $1 in
beside)
	start ./prog
	named
	;;
below)
	mkdir .debug
	mv prog.debug .debug
	start ./prog
	named
	;;
build-id)
	if [ "${2-}" != apart ]; then
		apart "$0" "$1" apart
	fi
	mount -t tmpfs none /usr/lib/debug
	mkdir -p "/usr/lib/debug/${by_id%/*}"
	mv prog.debug "/usr/lib/debug/$by_id"
	start ./prog
	named
	;;
container) # both files are only where the program sees them
	unshare -m true 2>/dev/null || exit 77
	start unshare -m bash -c 'mount -t tmpfs none /mnt && mv prog prog.debug /mnt && exec /mnt/prog'
	named
	;;
container-build-id)
	unshare -m true 2>/dev/null || exit 77
	mkdir -p /usr/lib/debug
	start unshare -m bash -c 'mount -t tmpfs none /mnt && mount -t tmpfs none /usr/lib/debug &&
		mkdir -p "/usr/lib/debug/'"${by_id%/*}"'" && mv prog.debug "/usr/lib/debug/'"$by_id"'" &&
		mv prog /mnt && exec /mnt/prog'
	named
	;;
nowhere) # the runtime's frames are hidden all the same, and no others
	rm prog.debug
	start "$PROGRAM"
	"$GORO" dump $pid >with_names
	kill $pid
	wait $pid 2>/dev/null || :
	start ./prog
	nameless
	"$GORO" dump $pid >without
	for file in with_names without; do
		grep -E '^ +(goroutine [0-9]+ \[|.* (at|in) )' $file | grep -vE 'started by|\(inlined\)' |
			sed -E 's/\+0x.*|:[0-9]+$//; s/^ +(goroutine [0-9]+ \[[^],]+).*/\1/
				s/^ +.* (at|in) .*/  frame/' >$file.frames
	done
	grep -q frame without.frames
	diff with_names.frames without.frames
	"$GORO" leaks $pid >out || [ $? = 23 ]
	grep -qE '^  goroutine 6 waits in chan receive \(nil chan\) at prog\+0x[0-9a-f]+, which' out ||
		{ cat out; exit 1; }
	;;
compressed) # in both ways that there were first
	for way in zlib zlib-gnu; do
		"$OBJCOPY" --compress-debug-sections=$way "$PROGRAM" prog
		start ./prog
		named
		kill $pid
		wait $pid 2>/dev/null || :
	done
	;;
dwz | dwz-gone) # what two programs share is in a third file; without it functions and lines remain
	command -v dwz >/dev/null || { echo "skipped: no dwz"; exit 77; }
	cp "$PROGRAM" prog
	cp "$PROGRAM" other
	if ! dwz -m common -h prog other 2>said; then
		grep -q 'Unknown debugging section' said || { cat said; exit 1; }
		echo "skipped: this dwz does not know what this compiler writes"
		exit 77
	fi
	[ "$1" = dwz ] || rm -f common other
	start ./prog
	named
	;;
mini) # only names of functions, compressed, in .gnu_debugdata
	command -v xz >/dev/null || { echo "skipped: no xz"; exit 77; }
	"$OBJCOPY" -S --keep-symbol=main prog.debug mini
	xz mini
	"$OBJCOPY" --strip-all --add-section .gnu_debugdata=mini.xz "$PROGRAM" prog
	rm prog.debug
	start ./prog
	"$GORO" dump $pid >out
	grep -qE '^ +main in .*/prog\+0x[0-9a-f]+$' out || { cat out; exit 1; }
	;;
split-gone) # its functions are in files of their own, which are gone or in one package
	for split in $SPLIT; do
		LC_ALL=C sed 's/inlined\.c\.dwo/missing.c.dwo/g' "$split" >prog
		chmod +x prog
		start ./prog
		"$GORO" dump $pid >out
		grep -qE '^ +not_inlined at .*/inlined\.c:[0-9]+$' out || { cat out; exit 1; }
		"$GORO" doctor $pid >out
		grep -qE '^warning +symbols ' out || { cat out; exit 1; }
		grep -qE '/prog: what is inlined is not known: .*missing\.c\.dwo, which says so, is not' out ||
			{ cat out; exit 1; }
		kill $pid
		wait $pid 2>/dev/null || :
		start "$split"
		"$GORO" doctor $pid >out
		grep -qE '^ok +symbols ' out || { cat out; exit 1; }
		kill $pid
		wait $pid 2>/dev/null || :
	done
	;;
unknown) # compressed in a way that libdw may not know: then functions remain
	"$OBJCOPY" --compress-debug-sections=zstd "$PROGRAM" prog 2>/dev/null ||
		{ echo "skipped: this objcopy knows no zstd"; exit 77; }
	start ./prog
	"$GORO" dump $pid >out
	grep -qE '^ +main (at .*/park\.c:[0-9]+|in .*/prog\+0x[0-9a-f]+)$' out || { cat out; exit 1; }
	;;
deleted) # the file, while it runs
	cp "$PROGRAM" prog
	start ./prog
	rm prog
	named
	;;
no-id) # its build id was taken out, and with it the address of the notes beside it: a checksum tells
	"$OBJCOPY" --strip-all -R .note.gnu.build-id --add-gnu-debuglink=prog.debug "$PROGRAM" prog
	! readelf -n prog | grep -q 'Build ID' || exit 1
	start ./prog
	named
	kill $pid
	wait $pid 2>/dev/null || :
	echo >>prog.debug
	start ./prog
	nameless
	;;
no-server) # nobody is asked over the network: it would answer late, or never
	ldconfig -p | grep -q libdebuginfod || { echo "skipped: no libdebuginfod"; exit 77; }
	python3 -u -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen(); print(s.getsockname()[1])
while True: kept = s.accept(); print("asked")' >port &
	server=$!
	until [ -s port ]; do sleep 0.1; done
	rm prog.debug
	DEBUGINFOD_URLS=http://127.0.0.1:$(head -1 port)/
	export DEBUGINFOD_URLS HOME=$scratch
	trap 'exec 2>/dev/null; kill $server $pid; wait; rm -rf "$scratch"' EXIT
	start env --default-signal=QUIT ./prog 2>said
	timeout 60 "$GORO" dump $pid >out || [ $? = 6 ]
	timeout 60 "$GORO" run --heap -- sh -c 'echo $DEBUGINFOD_URLS' >env
	kill -QUIT $pid
	wait $pid || :
	grep -q '^goroutine ' said
	! grep asked port || { echo "failed: a server was asked"; exit 1; }
	grep -q http env || { echo "failed: a program that goro runs lacks the variable"; exit 1; }
	;;
another) # of that name, but of another build
	unshare -m true 2>/dev/null || exit 77
	"$OBJCOPY" --only-keep-debug "$GORO" prog.debug
	start unshare -m bash -c 'mount -t tmpfs none /mnt && mv prog prog.debug /mnt && exec /mnt/prog'
	nameless
	;;
esac
