#!/usr/bin/env bash
# The same 200 checks of five components, by `cargo torvyn test` and by a shell script around `wasmtime run`, and how many
# times as long the script takes. Both begin when everything is built; the commands are compiled to machine code before,
# so that the script need not do it each time. Runs by turns, and the shortest of each counts.
#
#     tests/compare/compare.sh [ROUNDS]
#
# Needs `cargo-torvyn` and `wasmtime` on the path (`cargo install wasmtime-cli`), and does nothing without. Works in a
# temporary folder; TORVYN and WASMTIME name other programs.
set -euo pipefail

rounds=${1:-5} checks=200
torvyn=${TORVYN:-cargo-torvyn} wasmtime=${WASMTIME:-wasmtime}
here=$(cd "$(dirname "$0")" && pwd)
for program in "$torvyn" "$wasmtime"; do
    if ! command -v "$program" >/dev/null; then
        echo "compare: \`$program\` is not installed: nothing is compared"
        exit 0
    fi
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$torvyn" torvyn new logs --template pipeline --vcs none --quiet
rm logs/tests/*.toml
CARGO_TARGET_DIR=$work/commands cargo build --release --quiet --target wasm32-wasip2 --manifest-path "$here/Cargo.toml"
for name in router transform source sink inspector; do
    "$wasmtime" compile -o "$name.cwasm" "commands/wasm32-wasip2/release/$name.wasm"
done

# Check N of a component, as a case and as two lines of the script.
printf '[pipeline.main]\nstages = ["router"]\n' >logs/Torvyn.toml
cat >script.sh <<END
set -e
check() { # NAME EXPECTED COMMAND...
    local name=\$1 expected=\$2
    shift 2
    "\$@" >"got.\$name" && printf "\$expected" | diff - "got.\$name" >/dev/null || { echo "FAIL \$name"; exit 1; }
}
run() { "$wasmtime" run --allow-precompiled "\$@"; }
END
check() { # NAME INPUT EXPECTED ARGUMENT, for the component of the name
    local stage=${1%-*} config='' expected="expect.output.lines = \"$3\"" input="input.lines = \"$2\""
    case $stage in
        source) config="config = { count = \"$4\" }" input='' ;;
        inspector) config="config = { needle = \"$4\" }" ;;
        sink) expected="log.lines = \"$3\"" ;;
    esac
    printf '[[test]]\nname = "%s"\nstage = "%s"\n%s\n%s\n%s\n' "$1" "$stage" "$config" "$input" "$expected" >>logs/Torvyn.toml
    printf "printf '%s' | check %s '%s' run %s.cwasm %s\n" "$2" "$1" "$3" "$stage" "$4" >>script.sh
}
for ((n = 0; n < checks / 5; n++)); do
    check "router-$n" "a$n\\n\\nb$n\\n" "a$n\\nb$n\\n" ''
    check "transform-$n" "a$n\\nb$n\\n" "A$n\\nB$n\\n" ''
    check "source-$n" '' '1\n2\n3\n' 3
    check "sink-$n" "a$n\\nb\\n" "2 elements, $((2 + ${#n})) bytes\\n" ''
    check "inspector-$n" "a$n\\nb\\n" "a$n\\n" a
done

ours() { (cd logs && "$torvyn" torvyn test --quiet); }
script() { bash script.sh; }
# As many at a time as there are processors, as `cargo torvyn test` does of itself.
at_once() {
    { grep -v '^printf' script.sh; echo 'eval "$1"'; } >one.sh
    grep '^printf' script.sh | tr '\n' '\0' | xargs -0 -P "$(nproc)" -I '{}' bash one.sh '{}'
}
ours
script
at_once
milliseconds() {
    local began=$EPOCHREALTIME
    "$@"
    local ended=$EPOCHREALTIME
    echo $(((${ended/./} - ${began/./}) / 1000))
}
best_ours='' best_script='' best_at_once=''
for ((round = 0; round < rounds; round++)); do
    for what in ours script at_once; do
        took=$(milliseconds "$what")
        declare -n best="best_$what"
        if [ -z "$best" ] || [ "$took" -lt "$best" ]; then best=$took; fi
    done
done
ratio() { echo "$(($1 * 10 / $2))" | sed 's/.$/.&/; s/^\./0./'; }
echo "checks=$checks components=5 rounds=$rounds torvyn_ms=$best_ours script_ms=$best_script script_at_once_ms=$best_at_once" \
    "ratio=$(ratio "$best_script" "$best_ours") ratio_at_once=$(ratio "$best_at_once" "$best_ours")"
