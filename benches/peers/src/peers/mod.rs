//! The contenders. A file for each.

mod aliri_reqwest;
mod aws_smithy_runtime;
mod azure_core;
mod cf_gears;
mod constant;
mod gcp_auth;
mod google_cloud_auth;
mod huskarl;
mod middle;
mod octocrab;
mod reqsign;
mod reqwest_auth;
mod reqwest_chain;
mod reqwest_chain_0_4;
mod signing_key;
mod this_crate;
mod yup_oauth2;

use std::{future::Future, pin::pin};

use futures_executor::block_on;
use futures_util::FutureExt;
use http::HeaderValue;

use crate::peer::Peer;

/// This crate comes first: the ratios of all others are to it.
pub(crate) fn all() -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(this_crate::ThisCrate),
        Box::new(this_crate::ByName),
        Box::new(constant::Constant),
        Box::new(constant::ConstantAndClone),
        Box::new(huskarl::Huskarl),
        Box::new(middle::Middle),
        Box::new(cf_gears::CfGears),
        Box::new(aliri_reqwest::AliriReqwest),
        Box::new(reqwest_auth::ReqwestAuth),
        Box::new(azure_core::AzureCore),
        Box::new(google_cloud_auth::GoogleCloudAuth),
        Box::new(aws_smithy_runtime::AwsSmithyRuntime),
        Box::new(yup_oauth2::YupOauth2),
        Box::new(gcp_auth::GcpAuth),
        Box::new(octocrab::OctocrabPeer),
        Box::new(reqsign::Reqsign),
    ]
}

/// The header of a peer that leaves the header to the program.
fn bearer(token: &str) -> HeaderValue {
    let mut header = HeaderValue::from_str(&format!("Bearer {token}")).expect("ASCII");
    header.set_sensitive(true);
    header
}

/// The result of a future that waits for other threads at most.
fn ready<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().now_or_never() {
        Some(output) => output,
        None => block_on(future),
    }
}
