# shellcheck shell=sh
# How the database of the stack is replaced by another one of the same server. It is read after steps.sh.
# NAME is the database in service, NEW the one that takes its place, and OLD the name that the present one gets.

# What is to be undone if the command ends before its end, however it ends. END is `open` before the exchange of the names,
# `exchanged` after it, and `told` when the command has said itself what is and what to do.
STOPPED=no
MADE=no
CLOSED=no
END=open
clean_up() {
    [ "$END" != told ] || return 0
    # A lost connection takes no words. The rest is done nevertheless.
    set +e
    trap '' HUP INT TERM PIPE
    say "clean up" || exec >/dev/null 2>&1
    if [ "$CLOSED" = yes ] && [ "$END" = open ]; then
        # The end may have come after the exchange.
        case "$(database_count "$OLD")" in
            0) allow_connections "$NAME" || complain "$NAME is closed to everybody, and TDS cannot connect: deploy/bin/compose exec db psql -U postgres -c 'ALTER DATABASE \"$NAME\" ALLOW_CONNECTIONS true'" ;;
            1) END=exchanged ;;
            *)
                complain "the database does not answer, so nobody knows whether the names are exchanged. TDS is stopped: docs/operations/backup.md, \"If the host itself stops in the middle\""
                return 0
                ;;
        esac
    fi
    if [ "$END" = exchanged ]; then
        allow_connections "$OLD"
        complain "the names are exchanged: $NAME is the restored database, and $OLD the previous one"
        [ -z "$PREVIOUS" ] || compose up --detach --no-deps --no-build tds-a tds-b
        finish
        return 0
    fi
    if [ "$MADE" = yes ]; then server_wide "DROP DATABASE IF EXISTS $(quoted "$NEW")" || complain "$NEW is left over: drop it"; fi
    if [ "$STOPPED" = yes ]; then
        say "start again what was stopped"
        # shellcheck disable=SC2086 # a list of services
        compose start $WRITERS || complain "$WRITERS: they do not start (deploy/bin/compose up --detach)"
    fi
    complain "the database in service is the same as before"
}

server_wide() { ask "$1" "$(in_service postgres)"; }
database_count() { server_wide "SELECT count(*) FROM pg_database WHERE datname = $(literal "$1")"; }
database_exists() { [ "$(database_count "$1")" = 1 ]; }
allow_connections() { server_wide "ALTER DATABASE $(quoted "$1") ALLOW_CONNECTIONS true"; }

# Whether a database exists, is not the one in service, and has the tables of TDS: `migrate` would make them in any other.
# A restore that lost its connection may have left it closed.
is_of_tds() {
    [ "$1" != "$NAME" ] && database_exists "$1" && allow_connections "$1" || return 1
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
    needed=$(server_wide "SELECT COALESCE(sum(pg_database_size(oid)), 0)::bigint / 1024 FROM pg_database WHERE datname = $(literal "$NAME")") &&
        place=$(server_wide 'SHOW data_directory') && free=$(client df -P -k "$place") || {
        complain "the room that a second database needs is not known"
        return 1
    }
    free=$(printf '%s\n' "$free" | awk 'NR == 2 { print $4 }')
    [ "$free" -gt "$needed" ] || {
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
    # The connection may end after the exchange.
    server_wide "BEGIN; ALTER DATABASE $(quoted "$NAME") RENAME TO $(quoted "$OLD");
        ALTER DATABASE $(quoted "$NEW") RENAME TO $(quoted "$NAME"); COMMIT" || database_exists "$OLD" || return 1
    END=exchanged
    allow_connections "$OLD" || complain "$OLD stays closed to everybody; deploy/bin/restore --back opens it"
}

# What is left after the exchange: to write down which image serves, and to say how to go on. Nothing of it keeps TDS from
# being started.
finish() {
    going_back="To go back: deploy/bin/restore --back $OLD. To remove what was before: deploy/bin/compose exec db dropdb -U postgres $OLD"
    if [ -z "$PREVIOUS" ]; then
        note_down restored "$STACK_IMAGE" "$(schema_version)"
        say "$NAME is restored; nothing was deployed yet, so nothing was started: deploy/bin/deploy"
        return 0
    fi
    outcome=0
    book restored "$PREVIOUS" || outcome=1
    case "$WRITERS" in *erp*) say "the ERP is stopped. When its data is right: deploy/bin/compose start erp" ;; esac
    for mirror in $(schemas_with products); do
        [ "$mirror" = "$(tds_setting TDS_ERP_SCHEMA erp)" ] || say "the mirror $mirror belongs to another organization: start its own servers"
    done
    [ "$STARTED" = yes ] || {
        complain "the database is restored, and TDS is not ready (deploy/bin/compose logs tds-a). To start it: deploy/bin/deploy --image $STACK_IMAGE. $going_back"
        return 1
    }
    say "$NAME is restored, and TDS serves. $going_back"
    say "docs/operations/backup.md says what to do next (After a restore)"
    return "$outcome"
}

# Starts the two processes on the database that now has the name NAME. Sets STARTED.
STARTED=no
start_servers() {
    say "start tds-a and tds-b with $STACK_IMAGE"
    compose up --detach --no-deps --no-build tds-a tds-b || return 1
    route a b || return 1
    wait_ready a || return 1
    wait_ready b || return 1
    smoke || return 1
    STARTED=yes
}
