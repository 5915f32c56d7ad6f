//! A PostgreSQL server.

use std::{
    fs,
    net::SocketAddr,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{Process, find, loopback, start, start_on, versioned_places};

/// The user `postgres` may do everything, and needs no password.
#[derive(Debug)]
pub(crate) struct Postgres {
    process: Option<Process>,
    port: u16,
    programs: Programs,
    options: Vec<String>,
    data: TempDir,
}

impl Postgres {
    /// `None`: not installed, and the test is to end.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// With options as on the command line: `["-c", "fsync=on"]`.
    pub(crate) fn start_with(options: &[&str]) -> Option<Self> {
        let data = tempfile::tempdir().expect("a folder");
        let programs = Programs::find(data.path())?;
        programs.make_cluster(data.path());
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let server = |port| programs.server(port, &options, data.path());
        let (process, port) = start(server, |address| programs.are_ready(address));
        Some(Self {
            process: Some(process),
            port,
            programs,
            options,
            data,
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.address())
    }

    /// Ends it at once, as by a crash. (Killing it outright would leave its children behind.)
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end("QUIT");
        }
    }

    /// Starts it again after [`stop`](Self::stop), on the same port with its data.
    pub(crate) fn resume(&mut self) {
        let programs = &self.programs;
        let server = programs.server(self.port, &self.options, self.data.path());
        let process = start_on(self.port, server, |to| programs.are_ready(to));
        self.process = Some(process.expect("the port is still free"));
    }

    /// What a statement gives, without headings.
    pub(crate) fn psql(&self, statement: &str) -> String {
        let output = self
            .programs
            .command("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--dbname", &self.url(), "--command", statement])
            .output()
            .expect("psql");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{statement}: {errors}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Debug)]
struct Programs {
    place: PathBuf,
    /// The server refuses to run as root: it runs as this user and group then.
    user: Option<(u32, u32)>,
}

impl Programs {
    /// Gives `data` to whom the server is to run as.
    fn find(data: &Path) -> Option<Self> {
        let server = find("postgres", versioned_places("/usr/lib/postgresql"))?;
        // The other programs stand beside it, not beside a link to it.
        let server = server.canonicalize().expect("found");
        let place = server.parent().expect("a folder").to_owned();
        let we_are_root = fs::metadata(data).expect("our folder").uid() == 0;
        let user = we_are_root.then(|| unprivileged_user().expect("a user besides root"));
        if let Some((uid, gid)) = user {
            chown(data, Some(uid), Some(gid)).expect("a folder of root's");
        }
        Some(Self { place, user })
    }

    fn make_cluster(&self, data: &Path) {
        let output = self
            .command("initdb")
            .args(["--username=postgres", "--auth=trust", "--no-sync"])
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(data.join("cluster"))
            .output()
            .expect("initdb");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "initdb: {errors}");
    }

    fn server(&self, port: u16, options: &[String], data: &Path) -> Command {
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(data.join("cluster"))
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-F", "-k"])
            .arg(data)
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn are_ready(&self, address: SocketAddr) -> bool {
        self.command("pg_isready")
            .args(["--host", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .status()
            .expect("pg_isready")
            .success()
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.place.join(program));
        // Ours may be closed to the other user, and settings of ours are not the test's.
        command.current_dir("/").stdin(Stdio::null());
        for variable in ["PGOPTIONS", "PGSERVICE", "PGSSLMODE", "PGDATA", "PGPORT"] {
            command.env_remove(variable);
        }
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// The user and group whom the package made for it, or nobody.
fn unprivileged_user() -> Option<(u32, u32)> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let user = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(name)).then_some(())?;
            let uid = fields.nth(1)?.parse().ok()?;
            Some((uid, fields.next()?.parse().ok()?))
        })
    };
    user("postgres").or_else(|| user("nobody"))
}
