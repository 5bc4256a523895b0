#!/bin/sh
# Runs once in the container of PostgreSQL, when its volume is empty: the database, and one role for each program.
# None of the programs is a superuser. `init.sh database` makes only another database for these roles (deploy/bin/restore).
set -eu
secrets=${SECRETS:-/run/secrets}
user=${DB_USER:-tds}
name=${DB_NAME:-tds}

superuser() {
    psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --set user="$user" --set name="$name" --dbname postgres
}

# The roles first: TDS may not create roles, and grants to these two what it makes.
# psql puts the passwords in as literals, so they show in no list of processes and may hold any character.
[ "${1:-}" = database ] || superuser <<SQL
\\set tds \`cat "$secrets/db_password"\`
\\set erp \`cat "$secrets/erp_password"\`
\\set monitor \`cat "$secrets/monitor_password"\`
CREATE ROLE tds_reader NOLOGIN;
CREATE ROLE tds_writer NOLOGIN;
CREATE ROLE :"user" LOGIN PASSWORD :'tds' CONNECTION LIMIT 40;
GRANT tds_reader, tds_writer TO :"user" WITH ADMIN OPTION;
-- The ERP reads schema erp, and writes it where the mode of an entity type permits it.
CREATE ROLE erp LOGIN PASSWORD :'erp' CONNECTION LIMIT 40;
GRANT tds_writer TO erp;
-- The exporter of PostgreSQL's own figures.
CREATE ROLE monitor LOGIN PASSWORD :'monitor' CONNECTION LIMIT 5;
GRANT pg_monitor TO monitor;
SQL

superuser <<SQL
CREATE DATABASE :"name" OWNER :"user";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"name" TO erp, monitor;
\\connect :"name"
ALTER SCHEMA public OWNER TO :"user";
SQL
