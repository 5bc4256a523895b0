//! What is in `deploy/`: the commands against stubs of docker and its neighbours, the files that compose, nginx,
//! PostgreSQL and systemd read, and a real nginx in front of a real server.

mod care;
mod certificate;
mod components;
mod compose;
mod connected;
mod hidden;
mod interrupted;
mod linted;
mod nginx;
mod proxy;
mod recovered;
mod repeated;
mod restored;
mod roles;
mod rolled;
mod server;
mod stage;
