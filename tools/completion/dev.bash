# Completion of `./dev` for bash: `source tools/completion/dev.bash`. The words are what `./dev words`
# says; what has none is completed as a file.

_fief_dev() {
    local self=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} behind=''
    if ((COMP_CWORD > 1)); then
        behind=${COMP_WORDS[1]}
        [[ ${COMP_WORDS[COMP_CWORD - 1]} != --mode ]] || behind=--mode
    fi
    # shellcheck disable=SC2086
    mapfile -t COMPREPLY < <(compgen -W "$("$self" words $behind 2>/dev/null)" -- "$current")
    if ((${#COMPREPLY[@]} == 0)); then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}

complete -F _fief_dev dev
