#!/bin/sh
# Runs in the container of certbot: gets the certificate, renews it, and copies it to where nginx reads it.
set -eu
tls=${TDS_TLS:-/tls}
work=${ACME_WORK:-/tmp}

: "${ACME_DOMAIN:?the host name}"
# Each authority has its own place, so that a certificate of a test authority does not stay.
authority=${ACME_SERVER#*://}
kept=/etc/letsencrypt/${authority%%/*}
kept=${ACME_KEPT:-$kept}

# Copies the certificate if nginx has another one.
copy() {
    cmp -s "$kept/live/$ACME_DOMAIN/fullchain.pem" "$tls/fullchain.pem" && return 0
    # The key first: nginx reads both again only when the certificate changed. A rename is never seen half-written.
    for name in privkey.pem fullchain.pem; do
        (umask 077 && cp -L "$kept/live/$ACME_DOMAIN/$name" "$tls/.$name") && mv "$tls/.$name" "$tls/$name" || return 1
    done
}

# `off`: somebody else keeps the certificate in the directory of nginx.
obtain() {
    [ "$ACME_SERVER" != off ] || return 0
    certbot certonly --non-interactive --agree-tos "$contact" --server "$ACME_SERVER" \
        --webroot --webroot-path /acme --domain "$ACME_DOMAIN" --cert-name "$ACME_DOMAIN" --keep-until-expiring \
        --config-dir "$kept" --work-dir "$work/work" --logs-dir "$work/logs" && copy
}

contact=--register-unsafely-without-email
[ -z "${ACME_EMAIL:-}" ] || contact="--email=$ACME_EMAIL"
trap 'exit 0' TERM INT
while :; do
    # After a failure an hour passes: certificate authorities allow a few failures an hour.
    pause=3600
    if obtain; then
        : >"$work/last-success"
        pause=43200
    fi
    # `wait` ends at once on SIGTERM, `sleep` in the foreground would not.
    sleep "$pause" &
    wait $!
done
