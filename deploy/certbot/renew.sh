#!/bin/sh
# Runs in the container of certbot: gets the certificate, renews it, and copies it to where nginx reads it.
# `renew.sh --copy` is the hook that certbot runs after it got a certificate.
set -eu
tls=${TDS_TLS:-/tls}
work=${ACME_WORK:-/tmp}

if [ "${1:-}" = --copy ]; then
    # The key first: nginx reads both again only when the certificate changed. A rename is never seen half-written.
    umask 077
    for name in privkey.pem fullchain.pem; do
        cp -L "${RENEWED_LINEAGE:?}/$name" "$tls/.$name"
        mv "$tls/.$name" "$tls/$name"
    done
    exit 0
fi

: "${ACME_DOMAIN:?the host name}"
contact=--register-unsafely-without-email
[ -z "${ACME_EMAIL:-}" ] || contact="--email=$ACME_EMAIL"
trap 'exit 0' TERM INT
while :; do
    # After a failure an hour passes: certificate authorities allow a few failures an hour.
    pause=3600
    if certbot certonly --non-interactive --agree-tos "$contact" --server "$ACME_SERVER" \
        --webroot --webroot-path /acme --domain "$ACME_DOMAIN" --cert-name "$ACME_DOMAIN" --keep-until-expiring \
        --config-dir /etc/letsencrypt --work-dir "$work/work" --logs-dir "$work/logs" \
        --deploy-hook "/bin/sh $0 --copy"; then
        : >"$work/last-success"
        pause=43200
    fi
    # `wait` ends at once on SIGTERM, `sleep` in the foreground would not.
    sleep "$pause" &
    wait $!
done
