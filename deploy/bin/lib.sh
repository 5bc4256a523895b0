# shellcheck shell=sh
# What the commands in this directory share. It is read by them and is no command itself.

# The directory of the compose files.
HERE=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
# shellcheck disable=SC2034 # the commands use it
ROOT=$(dirname -- "$HERE")
DRY_RUN=no
CONFIG=$HERE/deploy.conf

# What is done, and what is wrong. The result of a command is on stdout and nothing else.
say() { printf '==> %s\n' "$*" >&2; }
complain() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
# Wrong usage or configuration has exit status 2, like the program itself.
refuse() {
    complain "$*"
    exit 2
}

# Reads the options that all commands have. `take_option "$@"` sets TAKEN to the number of arguments that it used.
# shellcheck disable=SC2034 # the commands use TAKEN
take_option() {
    TAKEN=1
    case "$1" in
        -h | --help)
            usage
            exit 0
            ;;
        --dry-run) DRY_RUN=yes ;;
        --config)
            [ $# -ge 2 ] || refuse "--config needs a file"
            CONFIG=$2
            TAKEN=2
            ;;
        *) TAKEN=0 ;;
    esac
}

# Reads the configuration and fills in the defaults.
load_config() {
    [ -r "$CONFIG" ] || refuse "$CONFIG cannot be read: copy deploy.conf.example to it and fill it in"
    # A shell of its own ends at the first mistake, whatever it is.
    # shellcheck disable=SC2016 # that shell expands it
    sh -eu -c '. "$1"' sh "$CONFIG" >/dev/null || refuse "$CONFIG: accepted are lines of the form NAME=value, as in deploy.conf.example"
    # shellcheck source=/dev/null
    . "$CONFIG"
    : "${DOMAIN:=}" "${STATE_DIR:=/srv/tds}" "${COMPOSE_FILES:=compose.yml}" "${LOCAL_PORT:=8000}" "${DOCKER:=docker}"
    : "${BACKUP_DIR:=$STATE_DIR/backups}" "${IMAGE:=tds-server}" "${KEEP_IMAGES:=10}" "${KEEP_BACKUPS:=8}"
    : "${RUST_IMAGE:=}" "${RUNTIME_IMAGE:=}" "${SOURCE_URL:=}" "${EXTERNAL_DATABASE:=}" "${DUMP_ARGUMENTS:=}"
    : "${READY_SECONDS:=180}" "${READY_PAUSE:=2}" "${DRAIN_SECONDS:=3}" "${CERTIFICATE_DAYS:=14}" "${DISK_PERCENT:=85}"
    : "${BACKUP_HOURS:=200}" "${WEBHOOKS_STATUS:=no}"
    [ -n "$DOMAIN" ] || refuse "DOMAIN is empty in $CONFIG"
    for number in LOCAL_PORT KEEP_IMAGES KEEP_BACKUPS READY_SECONDS READY_PAUSE DRAIN_SECONDS CERTIFICATE_DAYS DISK_PERCENT BACKUP_HOURS; do
        eval "value=\$$number"
        # shellcheck disable=SC2154 # eval sets it
        case "$value" in
            '' | *[!0-9]*) refuse "$number in $CONFIG: found \"$value\"; accepted: a whole number" ;;
        esac
    done
    agree DOMAIN "$DOMAIN" STACK_DOMAIN
    agree STATE_DIR "$STATE_DIR" STACK_STATE_DIR
    agree LOCAL_PORT "$LOCAL_PORT" STACK_LOCAL_PORT
    [ "$KEEP_IMAGES" -ge 2 ] || refuse "KEEP_IMAGES in $CONFIG: found \"$KEEP_IMAGES\"; accepted: 2 or more, because a roll-back needs one"
    [ "$KEEP_BACKUPS" -ge 1 ] || refuse "KEEP_BACKUPS in $CONFIG: found \"$KEEP_BACKUPS\"; accepted: 1 or more, because the newest is the last resort"
    for path in "$STATE_DIR" "$BACKUP_DIR"; do
        case "$path" in
            /*) ;;
            *) refuse "STATE_DIR and BACKUP_DIR in $CONFIG have to begin with /; found \"$path\"" ;;
        esac
    done
}

need() {
    [ "$DRY_RUN" = no ] || return 0
    for command in "$@"; do
        command -v "$command" >/dev/null 2>&1 || refuse "$command is missing"
    done
}

# Only one command at a time may change the stack. The lock ends with the process, however it ends.
lock() {
    [ "$DRY_RUN" = no ] || return 0
    mkdir -p "$STATE_DIR"
    exec 9>"$STATE_DIR/.lock"
    flock -n 9 || {
        complain "another command is at work (it holds $STATE_DIR/.lock)"
        exit 1
    }
}

# Executes a command, or says what it would be.
run() {
    if [ "$DRY_RUN" = yes ]; then
        printf 'would run: %s\n' "$*"
        return 0
    fi
    "$@"
}

# docker compose with the files of the configuration. STACK_IMAGE says which image.
compose() {
    # The files go behind the arguments, and then the arguments behind the files, so that a path may have blanks.
    given=$#
    for file in $COMPOSE_FILES; do set -- "$@" --file "$HERE/$file"; done
    while [ "$given" -gt 0 ]; do
        set -- "$@" "$1"
        shift
        given=$((given - 1))
    done
    run env "STACK_IMAGE=${STACK_IMAGE:-$IMAGE:current}" "$DOCKER" compose --project-directory "$HERE" "$@"
}

# The value of a name in a file like .env, as compose reads it: `value_in FILE NAME`. Quotes and comments are no part of it.
value_in() {
    sed -n "s/^$2=//p" "$1" 2>/dev/null | tail -n 1 |
        sed -e "s/^'\([^']*\)'.*/\1/; t" -e 's/^"\([^"]*\)".*/\1/; t' -e 's/ #.*//; s/ *$//'
}

# The value of a name in .env, or a default. Compose reads the same file.
setting() {
    value=$(value_in "$HERE/.env" "$1")
    printf '%s' "${value:-$2}"
}

# The directory of the secrets. Compose takes a relative path from the directory of its files.
secrets_directory() {
    directory=$(setting STACK_SECRETS_DIR "$HERE/secrets")
    case "$directory" in
        /*) printf '%s' "$directory" ;;
        *) printf '%s' "$HERE/$directory" ;;
    esac
}

# Refuses two values of the same thing: `agree NAME VALUE NAME-IN-.ENV`.
agree() {
    there=$(setting "$3" "$2")
    [ "$there" = "$2" ] || refuse "$1 in $CONFIG is $2, and $3 in $HERE/.env is $there: they have to be equal"
}

# The value of a setting of TDS itself, or a default.
tds_setting() {
    value=$(value_in "$HERE/tds.env" "$1")
    printf '%s' "${value:-$2}"
}

# Where nginx answers on this host.
front_address() {
    address=$(setting STACK_PUBLIC_ADDRESS 0.0.0.0)
    if [ "$address" = 0.0.0.0 ]; then address=127.0.0.1; fi
    printf '%s' "$address"
}

# Writes what it reads to a file: all of it or nothing, because a full disk takes a part of what is written.
put() {
    if cat >"$1.new" && sync "$1.new" && mv "$1.new" "$1"; then return 0; fi
    rm -f "$1.new"
    complain "$1 could not be written, and is as it was: is the disk full?"
    return 1
}

# Writes a line to a file of the state directory.
remember() {
    if [ "$DRY_RUN" = yes ]; then
        printf 'would write: %s: %s\n' "$STATE_DIR/$1" "$2"
    else
        printf '%s\n' "$2" | put "$STATE_DIR/$1"
    fi
}

recall() { [ ! -e "$STATE_DIR/$1" ] || cat "$STATE_DIR/$1"; }

# A question that fails is no answer, so a command ends where it asks before it touches anything.
unanswered() {
    complain "docker does not answer: $1; nothing was touched"
    exit 1
}

has_image() {
    if told=$("$DOCKER" image inspect "$1" 2>&1 >/dev/null); then return 0; fi
    case "$told" in *[Nn]'o such image'*) return 1 ;; esac
    unanswered "the image $1 ($told)"
}

# The image in service; nothing on a host that does not have it, such as a new one with the state of another.
current_image() {
    image=$(recall current-image) || exit 1
    if [ -z "$image" ] || [ "$DRY_RUN" = yes ] || has_image "$image"; then printf '%s' "$image"; fi
}

# Adds a line to the diary of deployments: time, what, image, version of the schema. A line that cannot be written keeps
# nothing from being done.
note_down() {
    if [ "$DRY_RUN" = yes ]; then return 0; fi
    printf '%s\t%s\t%s\t%s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$1" "$2" "$3" >>"$STATE_DIR/deployments.log" ||
        complain "$STATE_DIR/deployments.log lacks a line: $1 $2. Is the disk full?"
}

# The version of the schema of the database, or nothing if it has none yet. It fails if the database does not answer. It
# needs database.sh.
schema_version() {
    if [ "$DRY_RUN" = yes ]; then return 0; fi
    schema=$(tds_setting TDS_SCHEMA "")
    table=${schema:+\"$schema\".}_sqlx_migrations
    found=$(ask "SELECT count(*) FROM pg_class WHERE oid = to_regclass($(literal "$table"))") || return 1
    [ "${found:-0}" = 0 ] || ask "SELECT max(version) FROM $table"
}
