# shellcheck shell=sh
# How the database of the stack is replaced by another one of the same server. It is read after steps.sh.
# NAME is the database in service, NEW the one that takes its place, and OLD the name that the present one gets.

# What is to be undone if the command ends before its end, however it ends.
STOPPED=no
MADE=no
CLOSED=no
END=open
clean_up() {
    [ "$END" = open ] || return 0
    # The connection may have ended after the exchange.
    if [ "$CLOSED" = yes ] && database_exists "$OLD"; then
        server_wide "ALTER DATABASE $(quoted "$OLD") ALLOW_CONNECTIONS true" || true
        complain "the names are exchanged: $NAME is the restored database, and $OLD the previous one. To start TDS: deploy/bin/deploy --image $STACK_IMAGE. To go back: deploy/bin/restore --back $OLD"
        return 0
    fi
    if [ "$CLOSED" = yes ]; then server_wide "ALTER DATABASE $(quoted "$NAME") ALLOW_CONNECTIONS true" || true; fi
    if [ "$MADE" = yes ]; then server_wide "DROP DATABASE IF EXISTS $(quoted "$NEW")" || complain "$NEW is left over: drop it"; fi
    if [ "$STOPPED" = yes ]; then
        say "start again what was stopped"
        # shellcheck disable=SC2086 # a list of services
        compose start $WRITERS || complain "$WRITERS: they do not start (deploy/bin/compose up --detach)"
    fi
    complain "the database in service is the same as before"
}

server_wide() { ask "$1" "$(in_service postgres)"; }
database_exists() { [ "$(server_wide "SELECT count(*) FROM pg_database WHERE datname = $(literal "$1")")" = 1 ]; }

# Whether a database exists, is not the one in service, and has the tables of TDS: `migrate` would make them in any other.
is_of_tds() {
    [ "$1" != "$NAME" ] && database_exists "$1" || return 1
    [ "$(ask "SELECT count(*) FROM pg_class WHERE relname = 'tds_outbox' AND relkind = 'r'" "$(in_service "$1")")" -gt 0 ]
}

# Stops what writes to the database and belongs to the stack, and refuses to go on if something else is connected.
stop_writers() {
    WRITERS="tds-a tds-b"
    case " $COMPOSE_FILES " in *compose.erp.yml*) WRITERS="$WRITERS erp" ;; esac
    say "stop $WRITERS. Everything else that writes to the database has to be stopped too"
    # shellcheck disable=SC2086 # a list of services
    if [ -n "$PREVIOUS" ]; then
        STOPPED=yes
        compose stop $WRITERS || return 1
    fi
    # The exporter of PostgreSQL reads statistics and no data. It is disconnected later.
    others=$(server_wide "SELECT string_agg(DISTINCT concat(usename, ' ', nullif(application_name, ''), ' ', client_addr), '; ')
        FROM pg_stat_activity WHERE datname = $(literal "$NAME") AND usename <> $(literal "$(setting STACK_MONITOR_USER monitor)")") ||
        return 1
    [ "$DRY_RUN" = yes ] || [ -z "$others" ] || {
        complain "something else is connected to $NAME, and may write: $others"
        return 1
    }
}

# Refuses if the disk of the database has no room for a second one.
room_for_a_second() {
    [ "$DRY_RUN" = no ] || return 0
    needed=$(server_wide "SELECT COALESCE(sum(pg_database_size(oid)), 0)::bigint / 1024 FROM pg_database WHERE datname = $(literal "$NAME")")
    free=$(client df -P -k "$(server_wide 'SHOW data_directory')" | awk 'NR == 2 { print $4 }')
    [ "${free:-0}" -gt "${needed:-0}" ] || {
        complain "a second database needs $needed kB, and the disk has $free kB: make room first (docs/operations/troubleshooting.md)"
        return 1
    }
}

# Creates NEW as postgres/init.sh created NAME: with its owner, and closed to everybody else. The text of the script goes
# into the container, because the container may have an older one.
create_new() {
    say "create the database $NEW"
    MADE=yes
    compose exec -T --env PGUSER=postgres --env "DB_NAME=$NEW" --env "DB_USER=$OWNER" db sh -s database <"$HERE/postgres/init.sh"
}

# Gives NEW the name NAME, and NAME the name OLD: both or none.
exchange() {
    say "exchange the names: $NAME becomes $OLD, $NEW becomes $NAME"
    CLOSED=yes
    server_wide "ALTER DATABASE $(quoted "$NAME") ALLOW_CONNECTIONS false" || return 1
    server_wide "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $(literal "$NAME")" >/dev/null || return 1
    server_wide "BEGIN; ALTER DATABASE $(quoted "$NAME") RENAME TO $(quoted "$OLD");
        ALTER DATABASE $(quoted "$NEW") RENAME TO $(quoted "$NAME"); COMMIT" || return 1
    END=exchanged
    server_wide "ALTER DATABASE $(quoted "$OLD") ALLOW_CONNECTIONS true"
}

# Starts the two processes on the database that now has the name NAME.
start_servers() {
    say "start tds-a and tds-b with $STACK_IMAGE"
    compose up --detach --no-deps --no-build tds-a tds-b || return 1
    route a b || return 1
    wait_ready a || return 1
    wait_ready b || return 1
    smoke
}
