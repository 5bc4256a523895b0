# shellcheck shell=sh
# Dumps: how one is made, what proves it, and which are kept. It is read after lib.sh and database.sh.

# Makes a dump of DATABASE, reads all of it, and only then gives it its name: `make_dump FILE [ARGUMENTS OF pg_dump]`.
# EMPTY=yes: the database may have no tables yet.
make_dump() {
    dump=$1
    shift
    run mkdir -p "$(dirname -- "$dump")"
    if [ "$DRY_RUN" = yes ]; then
        printf 'would run: pg_dump --format=custom, pg_restore --list and --file=/dev/null: %s\n' "$dump"
        return 0
    fi
    # Dumps hold addresses of customers and the like.
    (umask 077 && client pg_dump --format=custom --dbname="$DATABASE" "$@" >"$dump.part") || {
        # PostgreSQL may need the space.
        rm -f "$dump.part"
        complain "pg_dump failed; there is no $dump"
        return 1
    }
    contents=$(contents_of "$dump.part") || return 1
    [ -n "$contents" ] || {
        complain "$dump.part is empty; it is no backup"
        return 1
    }
    if [ "${EMPTY:-no}" = no ]; then
        for table in tds_inbox_events tds_outbox products; do
            has_table "$table" || {
                complain "$dump.part has no table $table; it is no backup"
                return 1
            }
        done
    fi
    # The list is at the beginning of the file. This reads every row.
    client pg_restore --file=/dev/null <"$dump.part" || {
        complain "pg_restore cannot read all of $dump.part; it is no backup"
        return 1
    }
    # The checksum first: a dump with its name and half of a checksum would be refused when it is needed.
    checksum=$(sha256sum <"$dump.part") && printf '%s  %s\n' "${checksum%% *}" "${dump##*/}" | put "$dump.sha256" &&
        mv "$dump.part" "$dump"
}

# The table of contents of a dump.
contents_of() {
    client pg_restore --list <"$1" || {
        complain "pg_restore cannot read $1; it is no backup"
        return 1
    }
}

# Whether $contents has the rows of a table, in any schema.
has_table() { printf '%s\n' "$contents" | grep -q "TABLE DATA [^ ]* $1 "; }

# The schemas of $contents that have this table: `schemas_with products` are the mirrors.
schemas_with() {
    printf '%s\n' "$contents" | awk -v table="$1" '$4 == "TABLE" && $5 == "DATA" && $7 == table { print $6 }' | sort -u
}

# Of the files of a list, those that these commands made: `ours ENDING`. A name has the time of the dump, whatever command
# made it: before-20260102-030405.dump. What others keep in the directory does not count.
ours() { grep -E "/(before|weekly|tds)-[0-9]{8}-[0-9]{6}\\.$1\$"; }

# The dumps of a directory, the newest first.
dumps() {
    find "$1" -maxdepth 1 -type f 2>/dev/null | ours dump | while read -r found; do
        printf '%s %s\n' "$(printf '%s' "${found##*/}" | tr -cd '0-9')" "$found"
    done | sort -r | cut -d ' ' -f 2-
}

# Removes all dumps of a directory but the newest: `prune_dumps DIRECTORY NUMBER`.
prune_dumps() {
    dumps "$1" | tail -n "+$(($2 + 1))" | while read -r old; do
        run rm -f "$old" "$old.list" "$old.sha256"
    done
    # What a command left behind that was ended a day ago or earlier.
    find "$1" -maxdepth 1 -type f -mmin +1440 2>/dev/null | ours 'dump\.part' | while read -r left; do run rm -f "$left"; done
}
