//! PgBouncer, a pooler of connections to PostgreSQL.

use std::{fs, net::SocketAddr};

use tempfile::TempDir;

use super::{
    Postgres, Process, accepts, ending::ends_with_the_program, find, loopback, start,
    unprivileged::Unprivileged,
};

/// A pooler in transaction mode. Two connections to the server serve all clients, each for one
/// transaction at a time.
#[derive(Debug)]
pub(crate) struct PgBouncer {
    _process: Process,
    port: u16,
    _data: TempDir,
}

impl PgBouncer {
    /// Starts a pooler for `postgres`. `None`: PgBouncer is not installed, and the test is skipped.
    pub(crate) fn before(postgres: &Postgres) -> Option<Self> {
        let program = find("pgbouncer", ["/usr/sbin".into()])?;
        let data = tempfile::tempdir().expect("a folder");
        let user = Unprivileged::owning(data.path());
        let users = data.path().join("users");
        fs::write(&users, "\"postgres\" \"\"\n").expect("our folder");
        let server = |port| {
            let settings = data.path().join(format!("{port}.ini"));
            let text = format!(
                "[databases]\n\
                 * = host=127.0.0.1 port={}\n\
                 [pgbouncer]\n\
                 listen_addr = 127.0.0.1\n\
                 listen_port = {port}\n\
                 unix_socket_dir =\n\
                 auth_type = trust\n\
                 auth_file = {}\n\
                 pool_mode = transaction\n\
                 default_pool_size = 2\n",
                postgres.address().port(),
                users.display()
            );
            fs::write(&settings, text).expect("our folder");
            let mut command = ends_with_the_program(&program, data.path());
            command.arg(settings).current_dir("/");
            user.runs(&mut command);
            command
        };
        let (process, port) = start(server, accepts);
        Some(Self {
            _process: process,
            port,
            _data: data,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    fn address(&self) -> SocketAddr {
        loopback(self.port)
    }
}
