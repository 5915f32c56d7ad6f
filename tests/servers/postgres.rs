//! A PostgreSQL server.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::{
    Process, find, loopback, start, start_on, unprivileged::Unprivileged, versioned_places,
};

/// The user `postgres` may do everything. Nobody needs a password but the user `app`, once there is
/// one.
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
        Some(Self::run(programs, options, data))
    }

    /// A hot standby of this one.
    pub(crate) fn standby(&self) -> Option<Self> {
        let data = tempfile::tempdir().expect("a folder");
        let programs = Programs::find(data.path())?;
        let mut copying = programs.command("pg_basebackup");
        copying
            .args(["--dbname", &self.url(), "--checkpoint=fast", "--no-sync"])
            .args(["--write-recovery-conf", "--pgdata"])
            .arg(data.path().join("cluster"));
        succeed(&mut copying);
        Some(Self::run(programs, &[], data))
    }

    fn run(programs: Programs, options: &[&str], data: TempDir) -> Self {
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let server = |port| programs.server(port, &options, data.path());
        let (process, port) = start(server, |address| programs.are_ready(address));
        Self {
            process: Some(process),
            port,
            programs,
            options,
            data,
        }
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

    /// Lets none of its files grow beyond `bytes` on connections made from now on. Where that is
    /// within a page, only a part of the page is written, as on a full disk.
    pub(crate) fn limit_files(&self, bytes: u64) {
        let process = self.process.as_ref().expect("it runs");
        let pid = process.0.id().to_string();
        let limit = format!("--fsize={bytes}:{bytes}");
        let mut prlimit = Command::new("prlimit");
        // Only the server's own user may.
        self.programs.user.runs(&mut prlimit);
        succeed(prlimit.args(["--pid", &pid, &limit]));
    }

    /// What a statement gives, without headings.
    pub(crate) fn psql(&self, statement: &str) -> String {
        let mut psql = self.programs.command("psql");
        psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--dbname", &self.url(), "--command", statement]);
        succeed(&mut psql)
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
    user: Unprivileged,
}

impl Programs {
    /// Gives `data` to whom the server is to run as.
    fn find(data: &Path) -> Option<Self> {
        let server = find("postgres", versioned_places("/usr/lib/postgresql"))?;
        // The other programs stand beside it, not beside a link to it.
        let server = server.canonicalize().expect("found");
        let place = server.parent().expect("a folder").to_owned();
        let user = Unprivileged::owning(data);
        Some(Self { place, user })
    }

    fn make_cluster(&self, data: &Path) {
        let cluster = data.join("cluster");
        let mut initdb = self.command("initdb");
        initdb
            .args(["--username=postgres", "--auth=trust", "--no-sync"])
            // Small files at first, for whoever limits their size.
            .args(["--encoding=UTF8", "--locale=C", "--wal-segsize=1"])
            .arg("--pgdata")
            .arg(&cluster);
        succeed(&mut initdb);
        let rules = cluster.join("pg_hba.conf");
        let trusting = fs::read_to_string(&rules).expect("made by initdb");
        let rule = "host all app 127.0.0.1/32 scram-sha-256\n";
        fs::write(rules, rule.to_owned() + &trusting).expect("our folder");
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
        self.user.runs(&mut command);
        command
    }
}

/// What it prints.
fn succeed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
