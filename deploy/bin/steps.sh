# shellcheck shell=sh
# The steps of a deployment. It is read after lib.sh, database.sh and dumps.sh.

# Backs the database up: `back_up NAME`. Sets BACKUP.
back_up() {
    BACKUP=$BACKUP_DIR/$1.dump
    say "back up the database to $BACKUP"
    # shellcheck disable=SC2086 # DUMP_ARGUMENTS must be split into words
    make_dump "$BACKUP" $DUMP_ARGUMENTS
}

# Sends requests to these processes only: `route a`, `route b`, `route a b`. nginx finishes what it has begun.
route() {
    say "nginx sends to: $*"
    if [ "$DRY_RUN" = no ]; then
        mkdir -p "$STATE_DIR/nginx"
        {
            printf 'upstream tds {\n    zone tds 64k;\n'
            # max_fails=0: one slow answer must not take the only process away.
            for kept in "$@"; do printf '    server %s:8000 max_fails=0;\n' "$(address_of "$kept")"; done
            printf '}\n'
        } >"$STATE_DIR/nginx/.upstream.new"
        mv "$STATE_DIR/nginx/.upstream.new" "$STATE_DIR/nginx/upstream.conf"
    fi
    # On the first deployment nginx does not run yet, and reads the file when it starts.
    if [ "${NGINX_RUNS:-yes}" = yes ]; then compose exec -T nginx nginx -s reload; fi
}

nginx_runs() { [ -n "$(compose ps --quiet --status running nginx 2>/dev/null)" ]; }

# The fixed addresses of compose.yml. nginx would look up a name only once.
address_of() {
    prefix=$(setting STACK_EDGE_PREFIX 172.31.250)
    case "$1" in
        a) printf '%s.11' "$prefix" ;;
        b) printf '%s.12' "$prefix" ;;
    esac
}

# Replaces one process by one of STACK_IMAGE, while the other one serves, and waits until it is ready.
# (Variables of sh belong to the whole program, so the functions here name the side as $1.)
replace() {
    say "replace tds-$1 by $STACK_IMAGE"
    if [ "$1" = a ]; then route b; else route a; fi || return 1
    # A request that began before may have waited for the other process first, for as long as nginx waits for a connection.
    run sleep "$DRAIN_SECONDS"
    compose up --detach --no-deps --no-build "tds-$1" || return 1
    wait_ready "$1" || return 1
    # Before it gets a request of the world, it has to accept a signed webhook.
    send_webhook "$1" http://127.0.0.1:8000 || return 1
    route a b
}

# Starts everything but TDS, and replaces what has another configuration. The processes of TDS are not named, because
# docker compose replaces all that it is told to at once.
start_others() {
    say "the other services"
    if [ "$DRY_RUN" = yes ]; then
        others="(all services but those of TDS)"
    else
        others=$(compose config --services | grep -v '^tds-') || return 1
    fi
    # shellcheck disable=SC2086 # one word for each service
    compose up --detach --no-build $others
}

# Old processes would store again what `migrate` of the new one removes.
refuse_other_hidden_columns() {
    [ "$DRY_RUN" = no ] || return 0
    wanted=$(tds_setting TDS_HIDE_COLUMNS "" | tr -d ' ')
    for side in a b; do
        id=$(compose ps --quiet "tds-$side" 2>/dev/null) || id=""
        [ -n "$id" ] || continue
        runs=$("$DOCKER" inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$id" | sed -n 's/^TDS_HIDE_COLUMNS=//p' |
            tr -d "\"' ")
        [ "$runs" = "$wanted" ] || refuse "TDS_HIDE_COLUMNS is \"$wanted\" in tds.env, and tds-$side runs with \"$runs\", and would go on storing these values while it is replaced. First: deploy/bin/compose stop tds-a tds-b"
    done
}

# The order in which the processes are replaced: one that does not serve comes first, because the other one then serves alone.
sides() {
    if [ "$DRY_RUN" = no ] && answers a && ! answers b; then printf 'b a'; else printf 'a b'; fi
}
answers() { compose exec -T "tds-$1" /usr/bin/tds-server healthcheck >/dev/null 2>&1; }

# Asks STACK_IMAGE whether it works with the schema of the database. `migrate` of a program that is older than the
# schema changes nothing: it succeeds, or says that it refuses.
accepts_schema() {
    say "ask $STACK_IMAGE whether it accepts the schema"
    compose run --rm --no-deps -T tds-task migrate
}

# Asks the health check command of the program, which asks /readyz. A container that does not run is not waited for.
wait_ready() {
    say "wait until tds-$1 is ready"
    if [ "$DRY_RUN" = yes ]; then
        compose exec -T "tds-$1" /usr/bin/tds-server healthcheck
        return
    fi
    waited=0
    restarts=0
    until compose exec -T "tds-$1" /usr/bin/tds-server healthcheck >/dev/null 2>&1; do
        state=$(compose ps --all --format '{{.State}}' "tds-$1" 2>/dev/null || true)
        case "$state" in
            # Docker starts a process that ends again and again.
            restarting) restarts=$((restarts + 1)) ;;
            exited | dead) restarts=3 ;;
        esac
        if [ "$restarts" -ge 3 ]; then
            complain "tds-$1 has ended; its last words:"
            compose logs --no-log-prefix --tail 20 "tds-$1" >&2 || true
            return 1
        fi
        if [ "$waited" -ge "$READY_SECONDS" ]; then
            complain "tds-$1 is not ready after $READY_SECONDS seconds"
            compose logs --no-log-prefix --tail 20 "tds-$1" >&2 || true
            return 1
        fi
        sleep "$READY_PAUSE"
        waited=$((waited + READY_PAUSE + 1))
    done
}

# send_webhook SIDE URL: sends a signed webhook from the container of a process.
# The body names another organization: TDS checks the signature, stores the event as `ignored`, and asks Zoho nothing.
send_webhook() {
    body="{\"organization_id\":\"0\",\"item\":{\"item_id\":\"1\",\"name\":\"smoke test of $STACK_IMAGE\",\"last_modified_time\":\"$(date -u +%Y-%m-%dT%H:%M:%S+0000)\"}}"
    if [ "$DRY_RUN" = yes ]; then
        compose exec -T "tds-$1" /usr/bin/tds-server webhook send products --file - --url "$2"
        return
    fi
    printf '%s' "$body" | compose exec -T "tds-$1" /usr/bin/tds-server webhook send products --file - --url "$2" || {
        complain "$2 does not accept a signed webhook"
        return 1
    }
}

# Sends a signed webhook through nginx to TDS, and asks nginx for /readyz by TLS as the world does.
smoke() {
    say "smoke test: a signed webhook, and /readyz by HTTPS"
    send_webhook a http://nginx:8081 || return 1
    # The first certificate is self-signed, so the check here is about the way and not about the certificate, which
    # daily-check looks at.
    run curl --silent --show-error --fail --insecure --max-time 10 --output /dev/null \
        --resolve "$DOMAIN:443:$(front_address)" "https://$DOMAIN/readyz" || {
        complain "https://$DOMAIN/readyz does not answer 200"
        return 1
    }
}

# The tags of our images, newest first. Tags are dates, so their order is their age.
image_tags() {
    "$DOCKER" image ls --format '{{.Tag}}' "$IMAGE" | grep -E '^[0-9]{8}-[0-9]{6}$' | sort -r || true
}

# Keeps the newest images, and the two that a roll-back may need whatever their age.
prune_images() {
    say "keep the last $KEEP_IMAGES images"
    [ "$DRY_RUN" = no ] || return 0
    keep="$(recall current-image) $(recall previous-image)"
    for tag in $(image_tags | tail -n "+$((KEEP_IMAGES + 1))"); do
        case " $keep " in
            *" $IMAGE:$tag "*) continue ;;
        esac
        "$DOCKER" image rm "$IMAGE:$tag" >/dev/null || complain "the image $IMAGE:$tag could not be removed"
    done
}
