//! Accounts that expire together, in one process and in eight processes on one store.
//!
//! A worker is this program once more. It opens the store, says that it is ready, and asks for all tokens
//! when a line arrives on its standard input.

use std::{env, process::Stdio};

use dropbox_sign_oauth::TokenManager;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    runtime::Runtime,
};

use crate::{
    Limits,
    asking::Asked,
    counted::Counted,
    endpoint::Endpoint,
    place::{Kind, Place},
    refreshes::RESPONSE,
    series::Series,
    subject::Subject,
    table::{print_series, print_table, three_digits},
    tokens::ClockAhead,
};

/// The numbers of processes.
pub(crate) const PROCESSES: [usize; 2] = [1, 8];

/// The first argument of a worker. The others are the store's kind and address, the number of accounts
/// and the epoch.
const WORKER: &str = "--worker";

/// The seconds until all processes have all tokens.
#[derive(Debug, Default)]
pub(crate) struct Fleets {
    /// For each number of processes.
    pub(crate) seconds: [Vec<Series>; 2],
    /// Rows of a table.
    details: Vec<(String, Vec<String>)>,
}

pub(crate) async fn measure(limits: &Limits, subjects: &mut [Subject]) -> Fleets {
    let mut fleets = Fleets::default();
    for subject in subjects {
        // A single file is for a few accounts.
        let Some(place) = subject
            .place
            .clone()
            .filter(|it| it.kind != Kind::SingleFile)
        else {
            continue;
        };
        for (nth, processes) in PROCESSES.into_iter().enumerate() {
            let mut series = Series::new(subject.name);
            let filled = subject.filled;
            for size in limits.sizes().filter(|&size| size <= filled) {
                let rate = |&(size, seconds): &(usize, f64)| size as f64 / seconds;
                if limits.forbid(size, series.points.last().map_or(f64::MAX, rate)) {
                    break;
                }
                let reports = run(&place, processes, size, subject.next_epoch()).await;
                let last = reports.iter().map(|it| it.seconds).fold(0.0, f64::max);
                let is_complete = reports.iter().all(|it| it.lost + it.failed == 0);
                if is_complete {
                    series.points.push((size, last));
                }
                if size >= 100 {
                    let name = format!("{}, {size} accounts, {processes}", subject.name);
                    fleets.details.push((name, cells(size, last, &reports)));
                }
                if !is_complete {
                    break;
                }
            }
            eprintln!("{processes} on {}: {:?}", subject.name, series.points);
            fleets.seconds[nth].push(series);
        }
    }
    fleets
}

async fn run(place: &Place, processes: usize, accounts: usize, epoch: u32) -> Vec<Report> {
    let start = |_| Worker::start(place, accounts, epoch);
    let mut workers: Vec<_> = (0..processes).map(start).collect();
    for worker in &mut workers {
        worker.line().await;
    }
    for worker in &mut workers {
        worker.orders.write_all(b"go\n").await.expect("it listens");
    }
    let mut reports = Vec::new();
    for worker in &mut workers {
        reports.push(Report::parse(&worker.line().await));
    }
    for worker in &mut workers {
        worker.child.wait().await.expect("it ends");
    }
    reports
}

fn cells(accounts: usize, last: f64, reports: &[Report]) -> Vec<String> {
    let sum = |count: fn(&Report) -> usize| reports.iter().map(count).sum::<usize>();
    let each = |count: usize| format!("{:.2}", count as f64 / accounts as f64);
    let posts = sum(|it| it.posts);
    let leases = sum(|it| it.leases);
    vec![
        three_digits(accounts as f64 / last),
        three_digits(last),
        posts.to_string(),
        sum(|it| it.lost).to_string(),
        sum(|it| it.failed).to_string(),
        each(sum(|it| it.loads)),
        each(leases),
        each(leases - posts),
    ]
}

impl Fleets {
    pub(crate) fn print(&self) {
        for (processes, seconds) in PROCESSES.iter().zip(&self.seconds) {
            let title = format!("Seconds until all have all tokens, processes: {processes}");
            print_series(&title, seconds);
        }
        let headings = [
            "accounts a second",
            "all tokens s",
            "POSTs",
            "lost patience",
            "failed",
            "loads",
            "leases",
            "leases without a POST",
        ];
        let title = "Accounts that expire together in all processes; operations for each account";
        print_table(
            title,
            "store, accounts, processes",
            &headings,
            &self.details,
        );
    }
}

/// A process, which is killed when dropped.
struct Worker {
    child: Child,
    orders: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Worker {
    fn start(place: &Place, accounts: usize, epoch: u32) -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args([WORKER, place.kind.name(), &place.address])
            .args([accounts.to_string(), epoch.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program runs");
        let stdout = child.stdout.take().expect("piped");
        Self {
            orders: child.stdin.take().expect("piped"),
            lines: BufReader::new(stdout).lines(),
            child,
        }
    }

    async fn line(&mut self) -> String {
        let line = self.lines.next_line().await.expect("a line");
        line.expect("the worker lives")
    }
}

/// The figures of one process.
#[derive(Debug)]
struct Report {
    seconds: f64,
    posts: usize,
    lost: usize,
    failed: usize,
    loads: usize,
    leases: usize,
}

impl Report {
    fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let seconds = words.next().and_then(|word| word.parse().ok());
        let mut count = || words.next().and_then(|word| word.parse().ok());
        Self {
            seconds: seconds.expect("seconds"),
            posts: count().expect("POSTs"),
            lost: count().expect("callers"),
            failed: count().expect("callers"),
            loads: count().expect("loads"),
            leases: count().expect("leases"),
        }
    }
}

/// Works, if this process is a worker. `false`: this is the program itself.
pub(crate) fn work_if_asked(arguments: &[String]) -> bool {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let [WORKER, kind, address, accounts, epoch] = *words else {
        return false;
    };
    let place = Place {
        kind: Kind::named(kind).expect("a kind of store"),
        address: address.to_owned(),
    };
    let runtime = Runtime::new().expect("a runtime");
    let accounts = accounts.parse().expect("a number");
    let epoch = epoch.parse().expect("a number");
    runtime.block_on(work(&place, accounts, epoch));
    true
}

async fn work(place: &Place, accounts: usize, epoch: u32) {
    let endpoint = Endpoint::responding_after(RESPONSE);
    let (store, calls) = Counted::new(place.open());
    let manager = TokenManager::builder(endpoint.clone(), store)
        .clock(ClockAhead::in_epoch(epoch))
        .build()
        .expect("a valid configuration");
    println!("ready");
    let mut order = String::new();
    let mut orders = BufReader::new(tokio::io::stdin());
    orders.read_line(&mut order).await.expect("an order");
    let asked = Asked::all(&manager, accounts).await;
    manager.shutdown().await.expect("all tokens are saved");
    let [loads, _, leases] = calls.so_far();
    println!(
        "{} {} {} {} {loads} {leases}",
        asked.taken.as_secs_f64(),
        endpoint.posts(),
        asked.lost_patience,
        asked.failed,
    );
}
