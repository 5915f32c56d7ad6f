//! A PostgreSQL server.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tempfile::TempDir;

use super::{
    Lent, Process, ending::ends_with_the_program, find, lent::Reusable, loopback, start, start_on,
    unprivileged::Unprivileged, versioned_folders,
};

/// The user `postgres` may do everything. Only the user `app` needs a password, once a test
/// has created this user.
#[derive(Debug)]
pub(crate) struct Postgres {
    process: Option<Process>,
    port: u16,
    programs: Programs,
    options: Vec<String>,
    data: TempDir,
}

impl Postgres {
    /// Starts a server. `None`: PostgreSQL is not installed, and the test is skipped.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// A server that this test has alone, and neither stops nor configures. `None`: PostgreSQL is not
    /// installed, and the test is skipped.
    pub(crate) fn lent() -> Option<Lent<Self>> {
        Lent::server()
    }

    /// Starts a server with command-line options, for example `["-c", "fsync=on"]`.
    pub(crate) fn start_with(options: &[&str]) -> Option<Self> {
        let data = tempfile::tempdir().expect("a folder");
        let programs = Programs::find(data.path())?;
        programs.make_cluster(data.path());
        Some(Self::run(programs, options, data))
    }

    /// Starts a hot standby of this server.
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

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    pub(crate) fn url(&self) -> String {
        self.url_for("postgres")
    }

    /// Ends the server at once, like a crash. (SIGKILL would leave its child processes behind.)
    pub(crate) fn stop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end("QUIT");
        }
    }

    /// Starts the server again after [`stop`](Self::stop), on the same port with the same data.
    pub(crate) fn resume(&mut self) {
        let programs = &self.programs;
        let server = programs.server(self.port, &self.options, self.data.path());
        let process = start_on(self.port, server, |to| programs.are_ready(to));
        self.process = Some(process.expect("the port is still free"));
    }

    /// Limits the server's files to `bytes`, on connections made from now on. If the limit is within
    /// a page, the server writes only a part of the page, as on a full disk.
    pub(crate) fn limit_files(&self, bytes: u64) {
        let process = self.process.as_ref().expect("it runs");
        let pid = process.0.id().to_string();
        let limit = format!("--fsize={bytes}:{bytes}");
        let mut prlimit = Command::new("prlimit");
        // Only the server's user may set the limit.
        self.programs.user.runs(&mut prlimit);
        succeed(prlimit.args(["--pid", &pid, &limit]));
    }

    /// The server's address for another user than `postgres`: `role`, or `role:password`.
    pub(crate) fn url_for(&self, user: &str) -> String {
        format!("postgres://{user}@{}/postgres", self.address())
    }

    /// Runs a statement, and returns the result without headings.
    pub(crate) fn psql(&self, statement: &str) -> String {
        self.psql_as("postgres", statement)
    }

    /// As [`psql`](Self::psql), as another user than `postgres`.
    pub(crate) fn psql_as(&self, user: &str, statement: &str) -> String {
        let mut psql = self.programs.client("psql");
        // A test that blocks its runtime, on which a transaction is to commit, would wait for ever.
        psql.env("PGOPTIONS", "-c lock_timeout=60s")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--dbname", &self.url_for(user), "--command", statement]);
        succeed(&mut psql)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Reusable for Postgres {
    fn idle() -> &'static Mutex<Vec<Self>> {
        static IDLE: Mutex<Vec<Postgres>> = Mutex::new(Vec::new());

        &IDLE
    }

    fn start_new() -> Option<Self> {
        Self::start()
    }

    fn empty(&self) {
        self.psql(include_str!("empty.sql"));
    }
}

/// The options of a cluster. Small files at first, for the tests that limit the size of files.
const INITDB: [&str; 6] = [
    "--username=postgres",
    "--auth=trust",
    "--no-sync",
    "--encoding=UTF8",
    "--locale=C",
    "--wal-segsize=1",
];

#[derive(Debug)]
struct Programs {
    folder: PathBuf,
    user: Unprivileged,
}

impl Programs {
    /// Makes the server's user the owner of `data`. `None`: PostgreSQL is not installed.
    fn find(data: &Path) -> Option<Self> {
        let server = find("postgres", versioned_folders("/usr/lib/postgresql"))?;
        // The other programs are beside the server's file, not beside a link to that file.
        let server = server.canonicalize().expect("found");
        let folder = server.parent().expect("a folder").to_owned();
        let user = Unprivileged::owning(data);
        Some(Self { folder, user })
    }

    /// Copies the cluster that another test has made, in a fifth of the time.
    fn make_cluster(&self, data: &Path) {
        let cluster = data.join("cluster");
        let template = self.template();
        if let Some(template) = template.as_deref().filter(|template| template.exists()) {
            copy(template, &cluster);
            return;
        }
        self.init_cluster(&cluster);
        if let Some(template) = template {
            keep(&cluster, &template);
        }
    }

    /// The cluster to copy: of this version and this user, among the files of the build. `None`: cargo has
    /// named no folder.
    fn template(&self) -> Option<PathBuf> {
        let folder = option_env!("CARGO_TARGET_TMPDIR")?;
        let version = self.folder.to_string_lossy().replace('/', "-");
        let name = format!("postgres{version}-{:?}-{INITDB:?}", self.user);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.=".contains(c);
        let name: String = name.chars().filter(|&c| is_plain(c)).collect();
        Some(Path::new(folder).join(name))
    }

    fn init_cluster(&self, cluster: &Path) {
        let mut initdb = self.command("initdb");
        succeed(initdb.args(INITDB).arg("--pgdata").arg(cluster));
        let rules = cluster.join("pg_hba.conf");
        let trusting = fs::read_to_string(&rules).expect("made by initdb");
        let rule = "host all app 127.0.0.1/32 scram-sha-256\n";
        fs::write(rules, rule.to_owned() + &trusting).expect("our folder");
    }

    fn server(&self, port: u16, options: &[String], data: &Path) -> Command {
        let mut command = ends_with_the_program(&self.folder.join("postgres"), data);
        isolate(&mut command);
        self.user.runs(&mut command);
        command
            .arg("-D")
            .arg(data.join("cluster"))
            .args(["-p", &port.to_string(), "-h", "127.0.0.1", "-F", "-k"])
            .arg(data)
            .args(options);
        command
    }

    fn are_ready(&self, address: SocketAddr) -> bool {
        self.client("pg_isready")
            .args(["--host", &address.ip().to_string()])
            .args(["--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .status()
            .expect("pg_isready")
            .success()
    }

    /// A program that runs as the server's user.
    fn command(&self, program: &str) -> Command {
        let mut command = self.client(program);
        self.user.runs(&mut command);
        command
    }

    /// A program that runs as this process's user. A change of the user forks this process, which is large.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.folder.join(program));
        command.stdin(Stdio::null());
        isolate(&mut command);
        command
    }
}

/// The server's user may not enter our folder, and our settings are not the test's.
fn isolate(command: &mut Command) {
    command.current_dir("/");
    for variable in ["PGOPTIONS", "PGSERVICE", "PGSSLMODE", "PGDATA", "PGPORT"] {
        command.env_remove(variable);
    }
}

/// Copies a folder with its owners.
fn copy(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-Rp").args([from, to]));
}

/// Copies a folder to its place, which is whole from its first moment on.
fn keep(folder: &Path, place: &Path) {
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let beside = place.with_extension(format!("{}-{number}", process::id()));
    copy(folder, &beside);
    // Another test was faster.
    if fs::rename(&beside, place).is_err() {
        fs::remove_dir_all(&beside).expect("our folder");
    }
}

/// Runs a command that has to succeed, and returns the text that the command prints.
fn succeed(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
