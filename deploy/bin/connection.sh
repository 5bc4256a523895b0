# shellcheck shell=sh
# The connection to the database. It is read by the commands in this directory.

# Sets URL, and PGPASSWORD for the programs of PostgreSQL: arguments are visible to everybody on the machine.
# BACKUP_DATABASE_URL goes before DATABASE_URL, because dumps need a connection without a pooler.
connect() {
    URL=${BACKUP_DATABASE_URL:-${DATABASE_URL:-}}
    [ -n "$URL" ] || refuse "DATABASE_URL is not set"
    case "$URL" in
        postgres://* | postgresql://*) ;;
        *) refuse "DATABASE_URL has to begin with postgres://" ;;
    esac
    secret=$(printf '%s\n' "$URL" | sed -n 's|^[a-z]*://[^:/@?]*:\([^@/]*\)@.*|\1|p')
    if [ -n "$secret" ]; then
        PGPASSWORD=$(printf '%s\n' "$secret" | decode)
        export PGPASSWORD
        URL=$(printf '%s\n' "$URL" | sed 's|^\([a-z]*://[^:/@?]*\):[^@/]*@|\1@|')
    fi
    # A note to TDS about poolers, which the programs of PostgreSQL refuse.
    URL=$(printf '%s\n' "$URL" | sed -e 's/\([?&]\)pgbouncer=[a-z]*&*/\1/' -e 's/[?&]$//')
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

say() { printf '==> %s\n' "$*" >&2; }

refuse() {
    printf 'error: %s\n' "$*" >&2
    exit 2
}

give_up() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs a command, or only shows it.
run() {
    if [ "$DRY_RUN" = yes ]; then
        printf 'would run: %s\n' "$*"
    else
        "$@"
    fi
}
