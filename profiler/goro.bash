# SPDX-License-Identifier: MIT
# bash completion for goro(1)

_goro_commands='ps dump stack leaks reclaim waits profile sched metrics check run record replay diff doctor'

# The long options of a command.
_goro_options() {
	case $1 in
	ps) echo --all --format --help ;;
	dump) echo --at --filter --format --group --help ;;
	stack) echo --at --help ;;
	leaks) echo --at --baseline --fail-on --for --format --max-pause --no-stop --suppress --suspect-age --why --write-baseline --help ;;
	reclaim) echo --max-pause --help ;;
	waits) echo --at --format --help ;;
	profile) echo --at --duration --format --how --mode --output --rate --help ;;
	sched) echo --format --help ;;
	metrics) echo --listen --suspect-age --top --help ;;
	check) echo --allow-leftover --baseline --every --fail-on --format --grace --output --repeat \
		--suppress --timeout --write-baseline --help ;;
	run) echo --heap --help ;;
	record) echo --duration --interval --output --help ;;
	replay) echo --format --from --group --to --help ;;
	diff) echo --format --help ;;
	doctor) echo --format --help ;;
	esac
}

# The values of an option of a command.
_goro_values() {
	case $1,$2 in
	dump,--format | dump,-f) echo text json go pprof folded ;;
	profile,--format | profile,-f) echo pprof folded svg speedscope perfetto ;;
	profile,--mode | profile,-m) echo cpu wall offcpu spawn stack goroutine heap ;;
	profile,--how | profile,-H) echo auto perf ptrace ;;
	waits,--format | waits,-f) echo text json dot ;;
	leaks,--format | leaks,-f) echo text json junit sarif github pprof ;;
	check,--format | check,-f) echo text json junit sarif github ;;
	*,--format | *,-f) echo text json ;;
	dump,--group | dump,-g | replay,--group | replay,-g) echo spawn stack state none ;;
	leaks,--fail-on) echo leaked likely suspect ;;
	check,--fail-on) echo leaked deadlock lockorder pthread leftover none ;;
	esac
}

# The processes that can be looked into; a core file and a recording can be as well.
_goro_targets() {
	goro ps 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_goro() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
	local i words

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "$_goro_commands --help --version" -- "$cur")
		return
	fi
	if [[ $command == profile && ($prev == --output || $prev == -o) ]]; then
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
	fi
	if [[ $command == check || $command == run ]]; then
		for ((i = 2; i < COMP_CWORD; i++)); do
			if [[ ${COMP_WORDS[i]} == -- ]]; then
				mapfile -t COMPREPLY < <(compgen -c -f -- "$cur")
				return
			fi
		done
		if [[ $prev == --output || $prev == -o ]]; then
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
			return
		fi
	fi
	case $prev in
	--baseline | --write-baseline | --suppress)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	esac
	# --format=json comes as three words
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi
	words=$(_goro_values "$command" "$prev")
	if [[ -z $words ]]; then
		if [[ $cur == -* ]]; then
			words=$(_goro_options "$command")
		elif [[ $command != ps && $command != check && $command != run ]]; then
			mapfile -t COMPREPLY < <(compgen -W "$(_goro_targets)" -f -- "$cur")
			return
		fi
	fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _goro goro
