# Completion of `fief` for bash. Commands and options are what the program says of itself, so that there
# is one list of them.

_fief_commands() { # PROGRAM
    "$1" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p'
}

_fief_options() { # PROGRAM COMMAND
    "$1" "$2" --help 2>/dev/null | sed -n 's/^  \(--*[a-z][a-z-]*\)[ ,].*/\1/p' | sort -u
}

# What may stand behind an option; FILE: a file, ANY: something that nobody can guess.
_fief_values() { # PROGRAM COMMAND OPTION
    case $3 in
    --color) echo always never auto ;;
    --allocator) echo fief libc mimalloc jemalloc tcmalloc all ;;
    --value) echo allocated blocks peak left ;;
    --to) "$1" "$2" --help 2>/dev/null | sed -n 's/^  --to \([a-z]*\) .*/\1/p' ;;
    -o | --baseline | --emit) echo FILE ;;
    --depth | --rounds | --from | --why) echo ANY ;;
    esac
}

# The command among the words before the cursor, and for `record` whether its program is there.
_fief_find() { # PROGRAM WORD... : sets command and program
    local self=$1 word value=''
    command='' program=''
    shift
    for word in "$@"; do
        if [[ -n $value ]]; then
            value=''
        elif [[ $word == -* ]]; then
            value=$(_fief_values "$self" "$command" "$word")
        elif [[ -z $command ]]; then
            command=$word
        else
            program=$word
        fi
    done
}

_fief_reply() { # WORDS CURRENT
    if [[ $1 == FILE ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$2")
    elif [[ $1 != ANY ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$1" -- "$2")
    fi
}

_fief() {
    local self=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} command program values
    COMPREPLY=()
    _fief_find "$self" "${COMP_WORDS[@]:1:COMP_CWORD-1}"
    values=$(_fief_values "$self" "$command" "${COMP_WORDS[COMP_CWORD - 1]}")
    if [[ -n $values && ($command != record || -z $program) ]]; then
        _fief_reply "$values" "$current"
    elif [[ -z $command && $current == -* ]]; then
        _fief_reply '--color --json --quiet --help --version' "$current"
    elif [[ -z $command ]]; then
        _fief_reply "$(_fief_commands "$self")" "$current"
    elif [[ $current == -* && ($command != record || -z $program) ]]; then
        _fief_reply "$(_fief_options "$self" "$command") --color --json --quiet --help" "$current"
    elif [[ $command == explain ]]; then
        _fief_reply "$("$self" explain 2>/dev/null | sed 's/ .*//')" "$current"
    elif [[ $command == record && -z $program ]]; then
        mapfile -t COMPREPLY < <(compgen -c -- "$current")
    else
        _fief_reply FILE "$current"
    fi
}

complete -F _fief fief
