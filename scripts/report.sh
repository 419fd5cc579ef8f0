#!/bin/sh
# What ran where: report.sh NAME=FILE... prints a table of scripts and environments out of what WORKSHOP_REPORT
# collected in each, with the reasons of what was skipped, and fails if a script ran nowhere. A test of Go has a line only
# where it was skipped.
set -eu
[ $# -gt 0 ] || {
    echo 'usage: report.sh NAME=FILE...' >&2
    exit 2
}
for arg; do
    if ! { [ -f "${arg#*=}" ] && [ -s "${arg#*=}" ] && [ -r "${arg#*=}" ]; }; then
        echo "report.sh: ${arg#*=}: no report of an environment" >&2
        exit 1
    fi
done
for arg; do
    awk -v name="${arg%%=*}" '{ print name "\t" $0 }' "${arg#*=}"
done | awk -F '\t' '
    {
        if (!($1 in known)) { known[$1] = 1; names[++n] = $1 }
        split($2, word, " ")
        script = word[2]
        scripts[script] = 1
        if (word[3] == "ran") {
            result[script, $1] = "ran"
            ran[script] = 1
        } else {
            if (result[script, $1] == "") result[script, $1] = "skipped"
            reason = $2
            sub(/^[^ ]+ [^ ]+ skipped /, "", reason)
            why[script, $1] = reason
        }
    }
    END {
        printf "%-44s", "script"
        for (i = 1; i <= n; i++) printf " %-10s", names[i]
        print ""
        sort = "sort"
        for (script in scripts) {
            line = sprintf("%-44s", script)
            text = ""
            for (i = 1; i <= n; i++) {
                r = result[script, names[i]]
                line = line sprintf(" %-10s", r == "" ? "-" : r)
                if (r == "skipped" && index(text, why[script, names[i]]) == 0)
                    text = text (text == "" ? "" : "; ") why[script, names[i]]
            }
            print line (text == "" ? "" : " (" text ")") | sort
        }
        close(sort)
        for (script in scripts) if (!(script in ran) && script !~ /^Test/) {
            print script ": ran nowhere"
            bad = 1
        }
        exit bad
    }'
