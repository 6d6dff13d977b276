# Runs a temporary PostgreSQL cluster in folder $1 with the programs in $2 for as long as standard input stays open,
# that is until the test process ends for any reason. Prints `ready`, or what went wrong.

# The test process may end at any moment. This shell ignores signals, so that it can clean up.
trap '' HUP INT TERM PIPE
folder=$1
programs=$2
exec 2>&1
cd "$folder" || exit 1

# PostgreSQL refuses to run as root.
unprivileged() {
    if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}

start() {
    if [ "$(id -u)" = 0 ]; then chown postgres "$folder" || return; fi
    # A linguistic collation, as production databases have. A query that must sort by bytes has to say so.
    unprivileged "$programs/initdb" -D "$folder/data" -U mintmark -A trust -E UTF8 --locale=C \
        --locale-provider=icu --icu-locale=en --no-sync >"$folder/initdb.log" || { cat "$folder/initdb.log"; return 1; }
    unprivileged "$programs/pg_ctl" -D "$folder/data" -l "$folder/postgres.log" -w start \
        -o "-p 5432 -k '$folder' -c listen_addresses='' -c max_connections=200 \
            -c fsync=off -c synchronous_commit=off -c full_page_writes=off" </dev/null >"$folder/start.log" ||
        { cat "$folder/start.log" "$folder/postgres.log"; return 1; }
}

start && echo ready
exec >/dev/null 2>&1
cat
unprivileged "$programs/pg_ctl" -D "$folder/data" -m immediate stop
cd / && rm -rf "$folder"
