//! The instructions of a token and of a request, counted by Valgrind. A count does not depend on what else
//! the machine does.

use std::{
    env,
    process::{Command, Stdio},
};

use crate::{
    harness::{Effort, print_row, remark},
    request::Subject,
    token_path,
};

/// The first argument of a counted run. The other arguments are the job's name and how often it is done.
const COUNTED: &str = "--counted";

/// The set-up is in both runs, so the difference is that of the jobs alone.
const TIMES: [u32; 2] = [1_000, 5_000];

type Job = (&'static str, fn(u32));

/// Rows are compared with the last row before them that begins with "by hand".
const JOBS: &[Job] = &[
    ("by hand: insert a constant", token_path::insert_constant),
    ("insert a fresh token", token_path::insert_ours),
    ("by hand: a GET, cloned", |times| {
        Subject::ByHand.send(times)
    }),
    ("the same, again: the noise", |times| {
        Subject::ByHand.send(times)
    }),
    ("a GET without a token", |times| {
        Subject::NoToken.send(times)
    }),
    ("a GET with a fresh token", |times| {
        Subject::Bound.send(times)
    }),
    ("by hand: an extension", |times| {
        Subject::ByHandMarked.send(times)
    }),
    ("an `AccountId` as extension", |times| {
        Subject::ById.send(times)
    }),
    ("an `Account` as extension", |times| {
        Subject::ByAccount.send(times)
    }),
];

pub(crate) fn beyond_a_constant(effort: Effort) {
    if effort == Effort::Quick {
        for (_, job) in JOBS {
            job(1);
        }
        return;
    }
    print_row("instructions", &["all".into(), "beyond".into()]);
    print_row("---", &["---:".into(), "---:".into()]);
    let mut by_hand = 0;
    for (name, _) in JOBS {
        let Some([few, many]) = count(name, TIMES[0])
            .zip(count(name, TIMES[1]))
            .map(<[u64; 2]>::from)
        else {
            return remark("valgrind is not installed, or did not count");
        };
        let each = (many - few) / u64::from(TIMES[1] - TIMES[0]);
        if name.starts_with("by hand") {
            by_hand = each;
        }
        let beyond = each as i64 - by_hand as i64;
        print_row(name, &[each.to_string(), format!("{beyond:+}")]);
    }
}

/// Does the job, if this program was started to be counted.
pub(crate) fn run_if_asked() -> bool {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [counted, name, times] = arguments.as_slice() else {
        return false;
    };
    if counted != COUNTED {
        return false;
    }
    let (_, job) = JOBS.iter().find(|(known, _)| known == name).expect("a job");
    job(times.parse().expect("a number"));
    true
}

/// The instructions of a whole run.
fn count(name: &str, times: u32) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().expect("this program"))
        .args([COUNTED, name, &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let counted = report
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    counted?.1.trim().parse().ok()
}
