//! One account's token: kept, refreshed in time, and never by two flights at once.
//!
//! An [`Account`] is a handle; clones stand for the same account. A module uses modules of lower
//! floors only, which `cargo test --lib acyclic` checks:
//!
//! | floor | module | what is in it |
//! |---|---|---|
//! | 11 | `mod`, `handle` | the handle: serves a fresh token at once |
//! | 10 | `acquire` | other tokens: starts a flight, or waits for a flight |
//! | 9 | `tasks` | the runtime of the work, and waits that end |
//! | 8 | `flight`, `sign_in`, `signed_in` | the plan of one refresh, and of one sign-in, each in a task of its own; whether the account has a sign-in |
//! | 7 | `saving`, `exchange`, `installation` | saving a grant, the token request, installing and signing out |
//! | 6 | `intent`, `lease` | the write-ahead intent in the record, the right to refresh |
//! | 5 | `reload` | what the stored record says is to be done |
//! | 4 | `tokens`, `outcome`, `unfinished`, `thread_cache`, `status` | making tokens that may be sent, what an error means, reports of a loss, a thread's copies of headers, what is known of the account |
//! | 3 | `context` | what one account has, and what every step needs of it |
//! | 2 | `single_flight` | one flight, one result for all waiters |
//! | 1 | `state` | who uses which token, who refreshes, who waits |
//! | 0 | `claims`, `lease_demand`, `live_token`, `record_state`, `refresh_queue`, `retry_pauses`, `sign_ins`, `sync` | who was signed in with which token, who waits for the lease, a token in use, what is known of the stored record, which flight may send a token request, pauses between saves, the sign-ins under way, the lock of a flight |
//!
//! The modules below `context` know no I/O.

mod acquire;
mod claims;
mod context;
mod exchange;
mod flight;
mod handle;
mod installation;
mod intent;
mod lease;
mod lease_demand;
mod live_token;
mod outcome;
mod record_state;
mod refresh_queue;
mod reload;
mod retry_pauses;
mod saving;
mod sign_in;
mod sign_ins;
mod signed_in;
mod single_flight;
mod state;
mod status;
mod sync;
mod tasks;
mod thread_cache;
mod tokens;
mod unfinished;

pub(crate) use claims::Claims;
pub(crate) use context::{Key, ManagerContext, Sweeper};
pub use handle::Account;
pub use installation::Seeded;
pub use live_token::BearerToken;
pub(crate) use refresh_queue::RefreshQueue;
pub(crate) use sign_ins::SignIns;
pub use state::LastRefresh;
pub(crate) use state::Need;
pub use status::{AccountState, AccountStatus, LastError};
pub(crate) use thread_cache::Label;

#[cfg(test)]
mod acyclic;
