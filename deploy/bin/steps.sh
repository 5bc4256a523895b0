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
        mkdir -p "$STATE_DIR/nginx" || return 1
        {
            printf 'upstream tds {\n    zone tds 64k;\n'
            # max_fails=0: one slow answer must not take the only process away.
            for kept in "$@"; do printf '    server %s:8000 max_fails=0;\n' "$(address_of "$kept")"; done
            printf '}\n'
        } | put "$STATE_DIR/nginx/upstream.conf" || return 1
    fi
    # An nginx that does not run reads the file when it starts.
    [ "${NGINX_RUNS:-yes}" = yes ] || return 0
    compose exec -T nginx nginx -s reload || {
        complain "nginx was not reloaded"
        return 1
    }
}

# What runs: sets NGINX_RUNS, and SERVES, which is `yes` if a process of TDS runs. A question that fails is no answer.
look() {
    NGINX_RUNS=no
    SERVES=no
    for service in nginx tds-a tds-b; do
        if [ "$DRY_RUN" = yes ]; then
            found=$(recall current-image)
        else
            found=$(compose ps --quiet --status running "$service") || unanswered "whether $service runs"
        fi
        case "$found $service" in
            " "*) ;;
            *nginx) NGINX_RUNS=yes ;;
            *) SERVES=yes ;;
        esac
    done
}

# Whether nginx will do what it is told while processes are replaced: it runs, and accepts its files, such as allow.conf.
# Otherwise its refusal would look like a fault of TDS.
check_nginx() {
    say "ask nginx whether it accepts its configuration"
    if [ "$NGINX_RUNS" = no ]; then
        route a b && compose up --detach --wait --no-deps --no-build nginx || return 1
        NGINX_RUNS=yes
    fi
    compose exec -T nginx nginx -t -q
}

# From `begin` to `book` the processes may have different images: STATE_DIR/replacing says so, also if the host stops.
begin() { remember replacing "$STACK_IMAGE"; }
forget() { run rm -f "$STATE_DIR/replacing"; }

# Writes down that STACK_IMAGE serves: `book WHAT IMAGE-BEFORE`. What fails keeps the rest from nothing.
book() {
    booked=yes
    [ -z "$2" ] || [ "$2" = "$STACK_IMAGE" ] || remember previous-image "$2" || booked=no
    remember current-image "$STACK_IMAGE" && forget || booked=no
    run "$DOCKER" tag "$STACK_IMAGE" "$IMAGE:current" || booked=no
    note_down "$1" "$STACK_IMAGE" "$(schema_version)"
    [ "$booked" = yes ] || {
        complain "$STACK_IMAGE is in service, and that could not be written down (see above). Mend the cause, and write it down: deploy/bin/deploy --image $STACK_IMAGE"
        return 1
    }
}

# What deploy and rollback do if something ends them: a signal, a lost connection, a failure that nobody expected.
# GO_ON is the command that goes on.
TOLD=no
watch_the_end() {
    trap ended EXIT
    trap 'exit 1' HUP INT TERM PIPE
}
ended() {
    [ "$TOLD" = no ] || return 0
    # A lost connection takes no words. The rest is done nevertheless.
    set +e
    trap '' HUP INT TERM PIPE
    complain "ended before its end" || exec >/dev/null 2>&1
    note_down interrupted "$STACK_IMAGE" ""
    if [ -z "$(recall replacing)" ]; then
        complain "nothing was replaced"
        return 0
    fi
    healthy=""
    for side in a b; do
        if answers "$side" && send_webhook "$side" http://127.0.0.1:8000; then healthy="$healthy $side"; fi
    done
    # shellcheck disable=SC2086 # a list of sides
    [ -z "$healthy" ] || route $healthy
    complain "tds-a and tds-b may have different images; ready:${healthy:- none of them}. To go on: $GO_ON. To go back to ${CURRENT:-an image}: deploy/bin/rollback ${CURRENT:-NAME:TAG}"
}
# Ends the command, which has said what is and what to do.
stop() {
    TOLD=yes
    exit 1
}

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
    run sleep "$DRAIN_SECONDS" || return 1
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
        id=$(compose ps --quiet "tds-$side") || unanswered "the container of tds-$side"
        [ -n "$id" ] || continue
        runs=$("$DOCKER" inspect --format '{{range .Config.Env}}{{println .}}{{end}}' "$id") || unanswered "the settings of tds-$side"
        runs=$(printf '%s\n' "$runs" | sed -n 's/^TDS_HIDE_COLUMNS=//p' | tr -d "\"' ")
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
