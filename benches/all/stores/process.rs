//! Another process on the same store: this program once more, under orders.
//!
//! An order is a line on the standard input. A line on the standard output says that the order is
//! carried out.

use std::{env, process::Stdio, time::Duration};

use dropbox_sign_oauth::{
    AccountId, TokenManager,
    store::{Lease, LeaseRequest, TokenStore},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    runtime::Runtime,
};

use super::{
    api,
    place::{Kind, Place},
};

/// The first argument of such a process. The other arguments are the store's kind, its address and
/// the token host.
const UNDER_ORDERS: &str = "--under-orders";

const DONE: &str = "done";

/// A process, which is killed when dropped.
pub(crate) struct Process {
    child: Child,
    orders: ChildStdin,
    reports: Lines<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(place: &Place, token_host: &str) -> Self {
        let mut child = Command::new(env::current_exe().expect("this program"))
            .args([UNDER_ORDERS, place.kind.name(), &place.address, token_host])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program runs");
        let reports = child.stdout.take().expect("piped");
        Self {
            orders: child.stdin.take().expect("piped"),
            reports: BufReader::new(reports).lines(),
            child,
        }
    }

    /// Orders the process to acquire the account's lease, and to keep the lease.
    pub(crate) async fn hold(&mut self, account: &AccountId, life: Duration) {
        let life = life.as_millis();
        self.order(format!("hold {} {life}", account.as_str()))
            .await;
    }

    /// Orders the process to renew the lease.
    pub(crate) async fn renew(&mut self) {
        self.order("renew".to_owned()).await;
    }

    /// Orders the process to get a valid token.
    pub(crate) async fn ask_for_token(&mut self, account: &AccountId) {
        self.order(format!("token {}", account.as_str())).await;
    }

    async fn order(&mut self, mut order: String) {
        order.push('\n');
        let sent = self.orders.write_all(order.as_bytes()).await;
        sent.expect("it listens");
    }

    /// Waits until the last order is carried out.
    pub(crate) async fn done(&mut self) {
        let report = self.reports.next_line().await.expect("a report");
        assert_eq!(report.as_deref(), Some(DONE), "the order failed");
    }

    /// Kills the process, and waits until it is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.expect("killed");
    }
}

/// Carries out orders, if this is such a process. `false`: this is the bench itself.
pub(crate) fn serve_if_asked() -> bool {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [UNDER_ORDERS, kind, address, token_host] =
        &*arguments.iter().map(String::as_str).collect::<Vec<_>>()
    else {
        return false;
    };
    let place = Place {
        kind: Kind::named(kind).expect("a kind of store"),
        address: (*address).to_owned(),
    };
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(serve(&place, token_host));
    true
}

async fn serve(place: &Place, token_host: &str) {
    let store = place.open();
    let manager = TokenManager::builder(api(token_host), store.clone())
        .build()
        .expect("a valid configuration");
    let mut lease: Option<Box<dyn Lease>> = None;
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(order) = orders.next_line().await.expect("an order") {
        match *order.split(' ').collect::<Vec<_>>() {
            ["hold", account, life] => {
                let request = LeaseRequest::new(
                    Duration::from_millis(life.parse().expect("milliseconds")),
                    Duration::ZERO,
                );
                let acquired = store.lease(&account.into(), request).await;
                lease = Some(acquired.expect("the lease is free"));
            }
            ["renew"] => {
                let held = lease.as_ref().expect("held");
                held.renew().await.expect("still held");
            }
            ["token", account] => {
                let token = manager.account(account).token().await;
                token.expect("a token");
            }
            _ => panic!("no such order: {order}"),
        }
        let mut reports = tokio::io::stdout();
        let report = format!("{DONE}\n");
        reports.write_all(report.as_bytes()).await.expect("read");
        reports.flush().await.expect("read");
    }
}
