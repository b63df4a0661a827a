# SPDX-License-Identifier: MIT
# bash completion for gotop(1)

_gotop() {
	local cur prev i
	cur=${COMP_WORDS[COMP_CWORD]}
	prev=${COMP_WORDS[COMP_CWORD - 1]}

	# Behind "--" it is a command line of its own.
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == -- ]]; then
			if declare -F _command_offset >/dev/null; then
				_command_offset $((i + 1))
			else
				COMPREPLY=($(compgen -c -f -- "$cur"))
			fi
			return
		fi
	done

	# --option=value comes as three words.
	if [[ $cur == = ]]; then
		cur=
	elif [[ $prev == = ]]; then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	fi

	case $prev in
	-s | --sort)
		COMPREPLY=($(compgen -W "count mark rate wait oldest mem heap verdict site gid state for on
			held worker name spawn where waiters chain object proof queue
			switches steals self total function" -- "$cur"))
		return
		;;
	--group)
		COMPREPLY=($(compgen -W "spawn stack state none" -- "$cur"))
		return
		;;
	--screen)
		COMPREPLY=($(compgen -W "groups list waits leaks profile sched" -- "$cur"))
		return
		;;
	--profile)
		COMPREPLY=($(compgen -W "wall offcpu cpu" -- "$cur"))
		return
		;;
	--color)
		COMPREPLY=($(compgen -W "auto always never" -- "$cur"))
		return
		;;
	-n | --iterations | -d | --delay | -F | --filter)
		return
		;;
	esac

	if [[ $cur == -* ]]; then
		COMPREPLY=($(compgen -W "-b --batch -n --iterations -d --delay -s --sort -F --filter
			--group --screen --profile --no-mouse --ascii --color -h --help -V --version --" -- "$cur"))
		return
	fi
	COMPREPLY=($(compgen -W "$(gotop -b 2>/dev/null | while read -r pid _; do
		[[ $pid == [0-9]* ]] && echo "$pid"
	done)" -- "$cur"))
}
complete -F _gotop gotop
