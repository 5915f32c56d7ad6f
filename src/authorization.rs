//! The first steps of a sign-in: the request that takes the user to the service, and the response that
//! the callback brings (RFC 6749, section 4.1).
//!
//! Pure, but for the random numbers of a state. The exchange of the code is the token endpoint's.

mod error;
mod request;
mod response;
mod state;

pub use error::{AuthorizationError, AuthorizationErrorKind};
pub use request::AuthorizationRequest;
pub use response::AuthorizationResponse;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use response::check_callback;
pub use state::AuthorizationState;
