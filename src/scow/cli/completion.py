"""`scow completion`: a script that teaches a shell to complete our command lines. It asks `scow __complete`."""

from __future__ import annotations

from scow.cli.command import Command, Exit
from scow.cli.output import put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from scow.cli.command import Session
    from scow.cli.flags import Flags

# Each gives the words behind the program up to and with the one at the cursor, and gets lines of WORD<tab>DESCRIPTION.
# Where nothing comes the shell offers its files.
SCRIPTS = {
    "bash": """\
# bash completion for PROGRAM; load it with: source <(PROGRAM completion bash)
_PROGRAM_complete() {
    local line word rest=$COMP_LINE last=-1 at
    local -a words=()
    COMPREPLY=()
    # bash takes words apart at : and = and others (COMP_WORDBREAKS); what has no space between is one word
    for (( at = 0; at <= COMP_CWORD; at++ )); do
        word=${COMP_WORDS[at]}
        if (( at == 0 )); then
            rest=${rest#*"$word"}
            continue
        fi
        if (( last >= 0 )) && [[ $rest == "$word"* ]]; then
            words[last]+=$word
        else
            words[++last]=$word
            rest=${rest#"${rest%%[![:space:]]*}"}
        fi
        rest=${rest#"$word"}
    done
    # and wants what comes behind the last of these characters, with it when it is an @
    word=${words[last]}
    for (( at = ${#word}; at > 0; at-- )); do
        [[ $COMP_WORDBREAKS == *"${word:at-1:1}"* ]] && break
    done
    (( at > 0 )) && [[ ${word:at-1:1} == @ ]] && (( at-- ))
    while IFS= read -r line; do
        line=${line%%$'\\t'*}
        COMPREPLY+=("${line:at}")
    done < <(PROGRAM __complete "${words[@]}" 2>/dev/null)
}
complete -o default -F _PROGRAM_complete PROGRAM
""",
    "zsh": """\
#compdef PROGRAM
# zsh completion for PROGRAM; load it with: source <(PROGRAM completion zsh)
_PROGRAM() {
    local -a found
    local line
    for line in "${(@f)$(PROGRAM __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        line=${line//:/\\\\:}
        found+=("${line/$'\\t'/:}")
    done
    if (( ${#found} )); then
        _describe PROGRAM found
    else
        _files
    fi
}
if [ "$funcstack[1]" = "_PROGRAM" ]; then
    _PROGRAM
else
    compdef _PROGRAM PROGRAM
fi
""",
    "fish": """\
# fish completion for PROGRAM; load it with: PROGRAM completion fish | source
function __PROGRAM_complete
    set -l words (commandline -opc) (commandline -ct)
    PROGRAM __complete $words[2..-1] 2>/dev/null
end
complete -c PROGRAM -f -n 'test (count (__PROGRAM_complete)) -gt 0' -a '(__PROGRAM_complete)'
complete -c PROGRAM -F -n 'test (count (__PROGRAM_complete)) -eq 0'
""",
}


def _completion(session: Session, flags: Flags, args: list[str]) -> int:
    script = SCRIPTS.get(args[0])
    if script is None:
        raise Exit(1, f"unknown shell {args[0]}: there are {', '.join(sorted(SCRIPTS))}")
    put(script.replace("PROGRAM", session.program))
    return 0


COMMAND = Command(
    _completion, "bash|zsh|fish", "Print the script that makes a shell complete command lines", "", (), 1, 1
)
