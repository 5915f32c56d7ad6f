//! reqsign: the cache of `Signer`, with Google's request signer, since that one sends bearer tokens.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use http::{Request, header::AUTHORIZATION, request::Parts};
use reqsign_core::{Context, Error, ProvideCredential, Signer, time::Timestamp};
use reqsign_google::{Credential, RequestSigner, Token};

use super::ready;
use crate::{
    chain::URL,
    endpoint::{ACCESS_TOKEN, Endpoint, Mode},
    peer::{Answer, Attach, Caller, No, Peer},
};

pub(crate) struct Reqsign;

#[async_trait]
impl Peer for Reqsign {
    fn name(&self) -> &'static str {
        "reqsign"
    }

    /// `Signer` wants the whole head of a request, with its URI.
    async fn attach(&self) -> Answer<Attach> {
        let signer = signer(&Endpoint::new(Mode::Grant));
        let head = head();
        Ok(Box::new(move |headers| {
            let mut head = head.clone();
            ready(signer.sign(&mut head, None)).expect("a token");
            let token = head.headers.remove(AUTHORIZATION).expect("a token");
            headers.insert(AUTHORIZATION, token);
        }))
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let signer = signer(endpoint);
        let head = head();
        Ok(Box::new(move || {
            let (signer, mut head) = (signer.clone(), head.clone());
            async move { signer.sign(&mut head, None).await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No(
            "the cache knows no refresh token; a provider of credentials may",
        ))
    }
}

fn signer(endpoint: &Endpoint) -> Signer<Credential> {
    let signer = RequestSigner::new("storage");
    Signer::new(Context::new(), Posts(endpoint.clone()), signer)
}

fn head() -> Parts {
    let request = Request::get(URL).header("accept", "application/json");
    request.body(()).expect("a request").into_parts().0
}

#[derive(Debug)]
struct Posts(Endpoint);

impl ProvideCredential for Posts {
    type Credential = Credential;

    async fn provide_credential(&self, _: &Context) -> Result<Option<Credential>, Error> {
        let grant = self.0.post(None).await;
        let grant = grant.map_err(|failed| Error::unexpected(failed.to_string()))?;
        Ok(Some(Credential::with_token(Token {
            access_token: ACCESS_TOKEN.to_owned(),
            expires_at: Some(Timestamp::now() + Duration::from_secs(grant.lifetime)),
        })))
    }
}
