# Runs the steps of a script in order, each with a header and its time. Sourced.

steps_passed=0
steps_times=''

# step NAME COMMAND…: runs the command; if it fails, the script ends.
step() {
    local name=$1 started=$SECONDS
    shift
    printf '\n==== %s\n     %s\n' "$name" "$*"
    # Not `if "$@"`: there, bash would go on after an error within a function.
    set +e
    (set -e; "$@")
    local code=$?
    set -e
    local took=$((SECONDS - started))
    if [ "$code" != 0 ]; then
        printf '==== %s: FAILED (exit code %d) after %d s\n' "$name" "$code" "$took"
        printf '\nsteps: %d passed, 1 failed\n' "$steps_passed"
        exit 1
    fi
    printf '==== %s: passed in %d s\n' "$name" "$took"
    steps_passed=$((steps_passed + 1))
    steps_times+=$(printf '%5d s  %s' "$took" "$name")$'\n'
}

# Prints the last lines of the script: how long each step took, and how many passed.
summary() {
    printf '\n%s%5d s  in all\n' "$steps_times" "$SECONDS"
    printf 'steps: %d passed, 0 failed\n' "$steps_passed"
}
