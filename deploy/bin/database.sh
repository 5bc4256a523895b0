# shellcheck shell=sh
# Where the database is, and how the programs of PostgreSQL reach it. It is read after lib.sh.

# Chooses the database of a command that works with the stack and without it. Sets PLACE to `url` (DATABASE_URL), `host`
# (EXTERNAL_DATABASE), or `db` (the service of the stack). DATABASE_URL goes first, so that the commands need no stack.
choose_database() {
    if [ -n "${BACKUP_DATABASE_URL:-${DATABASE_URL:-}}" ]; then
        connect_by_url
        return 0
    fi
    [ -r "$CONFIG" ] || refuse "DATABASE_URL is not set, and there is no $CONFIG that would describe a stack"
    load_config
    need "$DOCKER" flock
    connect_to_stack
}

# The database of deploy.conf: DATABASE is what the programs of PostgreSQL connect to. It has no password.
connect_to_stack() {
    if [ -n "$EXTERNAL_DATABASE" ]; then
        PLACE=host
        DATABASE=$EXTERNAL_DATABASE
    else
        PLACE=db
        # Commands that name the service start it whatever the profiles are, and would back up an empty database.
        if grep -q '^COMPOSE_PROFILES=' "$HERE/.env" 2>/dev/null; then
            case ",$(setting COMPOSE_PROFILES "")," in
                *,database,*) ;;
                *) refuse "COMPOSE_PROFILES in $HERE/.env does not name database, so the database is elsewhere: name it in EXTERNAL_DATABASE in $CONFIG" ;;
            esac
        fi
        DATABASE=$(in_service "$(setting DB_NAME tds)")
    fi
}

# The connection to a database of the service db, as its superuser.
in_service() { printf "user=postgres dbname='%s'" "$(printf '%s' "$1" | sed "s/['\\\\]/\\\\&/g")"; }

# Reads DATABASE_URL, and sets PGPASSWORD: arguments are visible to everybody on the machine. BACKUP_DATABASE_URL goes
# before DATABASE_URL, because dumps need a connection without a pooler.
connect_by_url() {
    PLACE=url
    DATABASE=${BACKUP_DATABASE_URL:-$DATABASE_URL}
    case "$DATABASE" in
        postgres://* | postgresql://*) ;;
        *) refuse "DATABASE_URL has to begin with postgres://" ;;
    esac
    # It would show in the list of processes.
    case "$DATABASE" in
        *[?\&]password=*) refuse "DATABASE_URL: put the password before the host (postgres://USER:PASSWORD@HOST/NAME), or into ~/.pgpass" ;;
    esac
    secret=$(printf '%s\n' "$DATABASE" | sed -n 's|^[a-z]*://[^:/@?]*:\([^@/]*\)@.*|\1|p')
    if [ -n "$secret" ]; then
        PGPASSWORD=$(printf '%s\n' "$secret" | decode)
        export PGPASSWORD
        DATABASE=$(printf '%s\n' "$DATABASE" | sed 's|^\([a-z]*://[^:/@?]*\):[^@/]*@|\1@|')
    fi
    # A note to TDS about poolers, which the programs of PostgreSQL refuse.
    DATABASE=$(printf '%s\n' "$DATABASE" | sed -e 's/\([?&]\)pgbouncer=[a-z]*&*/\1/' -e 's/[?&]$//')
}

# Reads %40 and the like.
decode() {
    LC_ALL=C awk '
        function digit(c) { return index("0123456789abcdef", tolower(c)) - 1 }
        {
            text = ""
            while (match($0, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
                code = 16 * digit(substr($0, RSTART + 1, 1)) + digit(substr($0, RSTART + 2, 1))
                text = text substr($0, 1, RSTART - 1) sprintf("%c", code)
                $0 = substr($0, RSTART + 3)
            }
            print text $0
        }'
}

literal() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/"/""/g')"; }

# Runs a program of PostgreSQL, in the container of the database if there is one: its version is the right one there.
client() {
    if [ "$PLACE" = db ]; then compose exec -T db "$@"; else run "$@"; fi
}

# Runs statements in a database of the service db, or in DATABASE.
ask() {
    client psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="${2:-$DATABASE}" --command="$1"
}
