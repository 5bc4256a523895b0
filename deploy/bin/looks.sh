# shellcheck shell=sh
# The looks of daily-check and weekly-maintenance. Each prints one line. It is read after lib.sh.

FAILED=0
# With --dry-run nothing was done, so nothing passed.
passed() { [ "${QUIET:-no}$DRY_RUN" != nono ] || printf 'ok    %s\n' "$*"; }
failed() {
    FAILED=$((FAILED + 1))
    printf 'FAIL  %s\n' "$*"
}

# With --dry-run every look only says what it would ask.
dry() {
    [ "$DRY_RUN" = yes ] || return 1
    printf 'would look at: %s\n' "$*"
}

finish() {
    if [ "$DRY_RUN" = yes ]; then exit 0; fi
    [ "$FAILED" = 0 ] || {
        printf '%s of the checks failed: docs/operations/troubleshooting.md\n' "$FAILED"
        exit 1
    }
}

tds() { compose exec -T tds-a /usr/bin/tds-server "$@"; }

look_at_containers() {
    dry "compose ps" && return 0
    states=$(compose ps --all --format '{{.Service}} {{.State}} {{.Health}}' 2>/dev/null) && wanted=$(compose config --services 2>/dev/null) || {
        failed "containers: docker compose gives no answer"
        return 0
    }
    wrong=$(printf '%s\n' "$states" | awk 'NF && ($2 != "running" || ($3 != "" && $3 != "healthy"))' | tr '\n' ';')
    for service in $wanted; do
        printf '%s\n' "$states" | grep -q "^$service " || wrong="$wrong$service has no container;"
    done
    if [ -n "$wrong" ]; then
        failed "containers: $wrong"
    else
        passed "containers: $(printf '%s\n' "$states" | wc -l) are running"
    fi
}

# What a deployment leaves behind that did not come to its end. Everything answers then, and one process more or less is
# all that is missing.
look_at_processes() {
    dry "the images of tds-a and tds-b, and where nginx sends to" && return 0
    again="deploy/bin/deploy --image $(recall current-image)"
    begun=$(recall replacing)
    images=$(compose ps --format '{{.Image}}' tds-a tds-b 2>/dev/null) || {
        failed "processes: docker compose gives no answer"
        return 0
    }
    if [ "$(printf '%s\n' "$images" | sort -u | wc -l)" != 1 ]; then
        failed "processes: tds-a and tds-b have different images ($(printf '%s' "$images" | tr '\n' ' ')): deploy/bin/rollback, or $again"
    elif [ -n "$begun" ]; then
        failed "processes: the replacement by $begun did not come to its end: deploy/bin/rollback, or deploy/bin/deploy --image $begun"
    elif [ "$(grep -c '^ *server ' "$STATE_DIR/nginx/upstream.conf" 2>/dev/null)" != 2 ]; then
        failed "processes: nginx does not send to both of them ($STATE_DIR/nginx/upstream.conf): $again"
    else
        passed "processes: both have the same image and get requests"
    fi
}

look_at_answers() {
    dry "/readyz and /health at 127.0.0.1:$LOCAL_PORT, https://$DOMAIN/readyz" && return 0
    for url in "http://127.0.0.1:$LOCAL_PORT/readyz" "https://$DOMAIN/readyz"; do
        # The certificate is looked at by itself, so that one cause is reported once.
        if curl --silent --fail --insecure --max-time 10 --output /dev/null "$url"; then
            passed "$url answers"
        else
            failed "$url does not answer 200"
        fi
    done
    health=$(curl --silent --max-time 10 "http://127.0.0.1:$LOCAL_PORT/health" || true)
    # These bytes appear only while all is well.
    case "$health" in
        *'"status":"healthy"'*) passed "health: healthy" ;;
        *) failed "health: ${health:-no answer}" ;;
    esac
}

look_at_attention() {
    dry "the dead letters" && return 0
    dead=$(tds queue list --status dead_letter --limit 1 --json 2>/dev/null) || {
        failed "dead letters: tds-server gives no answer"
        return 0
    }
    case "$dead" in
        *'"items":[]'* | *'"items": []'*) passed "dead letters: none" ;;
        *) failed "dead letters: there are some (deploy/bin/compose exec tds-a /usr/bin/tds-server queue list --status dead_letter)" ;;
    esac
}

# What nginx really shows: a renewal that did not reach nginx is found too.
look_at_certificate() {
    dry "the certificate of $DOMAIN" && return 0
    end=$(openssl s_client -connect "$(front_address):${HTTPS_PORT:-443}" -servername "$DOMAIN" </dev/null 2>/dev/null |
        openssl x509 -noout -enddate 2>/dev/null | sed 's/^notAfter=//') || end=""
    if [ -z "$end" ]; then
        failed "certificate: nginx shows none for $DOMAIN"
        return 0
    fi
    left=$((($(date -d "$end" +%s) - $(date +%s)) / 86400))
    if [ "$left" -lt "$CERTIFICATE_DAYS" ]; then
        failed "certificate: $left days left, until $end (deploy/bin/compose logs certbot)"
    else
        passed "certificate: $left days left"
    fi
    # 60: no authority that this host trusts signed it.
    status=0
    curl --silent --max-time 10 --output /dev/null "https://$DOMAIN/readyz" || status=$?
    [ "$status" != 60 ] || failed "certificate: it is self-signed or from a test authority, so Zoho delivers no webhooks"
}

look_at_disk() {
    dry "the disks of $STATE_DIR and of docker" && return 0
    root=$("$DOCKER" info --format '{{.DockerRootDir}}' 2>/dev/null || true)
    for place in "$STATE_DIR" ${root:+"$root"}; do
        used=$(df -P "$place" 2>/dev/null | awk 'NR == 2 { sub("%", "", $5); print $5 }')
        if [ -z "$used" ]; then
            failed "disk: $place cannot be measured"
        elif [ "$used" -ge "$DISK_PERCENT" ]; then
            failed "disk: $place is $used % full"
        else
            passed "disk: $place is $used % full"
        fi
    done
}

look_at_backup() {
    dry "the age of the newest backup" && return 0
    if [ -n "$(find "$BACKUP_DIR" -maxdepth 1 -name '*.dump' -mmin "-$((BACKUP_HOURS * 60))" 2>/dev/null)" ]; then
        passed "backup: the newest is younger than $BACKUP_HOURS hours"
    else
        failed "backup: none in $BACKUP_DIR is younger than $BACKUP_HOURS hours"
    fi
}

look_at_webhooks() {
    [ "$WEBHOOKS_STATUS" = yes ] || return 0
    dry "Zoho's webhooks" && return 0
    if told=$(tds webhooks status --url "https://$DOMAIN" 2>&1); then
        passed "webhooks: as installed"
    else
        failed "webhooks: $(printf '%s' "$told" | tail -n 5 | tr '\n' ';')"
    fi
}

look_at_alerts() {
    case " $COMPOSE_FILES " in *compose.monitoring.yml*) ;; *) return 0 ;; esac
    dry "the receivers of alerts" && return 0
    receivers=$STATE_DIR/alertmanager/alertmanager.yml
    if ! [ -r "$receivers" ]; then
        failed "alerts: $receivers is missing (deploy/bin/prepare)"
    elif grep -v '^ *#' "$receivers" | grep -q 'alert-receiver\.invalid'; then
        failed "alerts: nobody gets them: $receivers still names the receiver of the example"
    else
        passed "alerts: they have a receiver"
    fi
}

# For the eye: no limit is right for everybody. The alerts of docs/monitoring watch them all day.
look_at_load() {
    dry "the load of the containers" && return 0
    [ "${QUIET:-no}" = no ] || return 0
    "$DOCKER" stats --no-stream --format 'load  {{.Name}}: CPU {{.CPUPerc}}, memory {{.MemUsage}}' || true
}
