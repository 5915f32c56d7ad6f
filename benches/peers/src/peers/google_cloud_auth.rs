//! google-cloud-auth: the credentials of a user, with a token endpoint on loopback.

use async_trait::async_trait;
use futures_util::FutureExt;
use google_cloud_auth::credentials::{CacheableResource, Credentials, user_account::Builder};
use http::Extensions;
use serde_json::json;

use super::ready;
use crate::{
    endpoint::{Endpoint, FIRST_REFRESH_TOKEN, Mode},
    peer::{Answer, Attach, Caller, Peer},
};

pub(crate) struct GoogleCloudAuth;

#[async_trait]
impl Peer for GoogleCloudAuth {
    fn name(&self) -> &'static str {
        "google-cloud-auth"
    }

    async fn attach(&self) -> Answer<Attach> {
        let credentials = credentials(&Endpoint::new(Mode::Grant)).await;
        credentials
            .headers(Extensions::new())
            .await
            .expect("a token");
        Ok(Box::new(move |headers| {
            let authorization = ready(credentials.headers(Extensions::new())).expect("a token");
            if let CacheableResource::New { data, .. } = authorization {
                headers.extend(data);
            }
        }))
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let credentials = credentials(endpoint).await;
        Ok(Box::new(move || {
            let credentials = credentials.clone();
            async move { credentials.headers(Extensions::new()).await.is_ok() }.boxed()
        }))
    }

    /// It presents one, but never takes the next one from a response.
    fn rotates(&self) -> Answer<()> {
        Err(crate::peer::No(
            "ignores the refresh token of a response, and presents the first one for ever",
        ))
    }
}

async fn credentials(endpoint: &Endpoint) -> Credentials {
    let user = json!({
        "type": "authorized_user",
        "client_id": "client",
        "client_secret": "secret",
        "refresh_token": FIRST_REFRESH_TOKEN,
    });
    Builder::new(user)
        .with_token_uri(endpoint.serve().await)
        .build()
        .expect("valid credentials")
}
