//! octocrab: the token of an app's installation, with GitHub in memory.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{
    Method, Request, Response, StatusCode,
    header::{ACCEPT, AUTHORIZATION},
};
use http_body_util::Full;
use octocrab::{
    AuthState, OctoBody, Octocrab, OctocrabBuilder,
    auth::AppAuth,
    jsonwebtoken::{EncodingKey, crypto::rust_crypto},
    models::{AppId, InstallationId},
};
use secrecy::ExposeSecret;
use tower::{BoxError, service_fn};

use super::{bearer, ready, signing_key};
use crate::{
    chain::{Chain, Gets, gets},
    endpoint::{ACCESS_TOKEN, Endpoint, Mode},
    peer::{Answer, Attach, Caller, No, Peer},
};

/// Without a host: octocrab attaches its token to requests of GitHub alone.
const PATH: &str = "/v3/signature_request/list?page=2";

pub(crate) struct OctocrabPeer;

#[async_trait]
impl Peer for OctocrabPeer {
    fn name(&self) -> &'static str {
        "octocrab"
    }

    async fn attach(&self) -> Answer<Attach> {
        let octocrab = installation(&Endpoint::new(Mode::Grant));
        octocrab.installation_token().await.expect("a token");
        Ok(Box::new(move |headers| {
            let token = ready(octocrab.installation_token()).expect("a token");
            headers.insert(AUTHORIZATION, bearer(token.expose_secret()));
        }))
    }

    async fn chain(&self) -> Answer<Chain> {
        let endpoint = Endpoint::new(Mode::Grant);
        let installation = installation(&endpoint);
        installation.installation_token().await.expect("a token");
        Ok(Chain {
            framework: "its own, through a task",
            with: requests(installation),
            empty: requests(github(&endpoint, AuthState::None)),
        })
    }

    async fn expired(&self, endpoint: &Endpoint) -> Answer<Caller> {
        let octocrab = installation(endpoint);
        Ok(Box::new(move || {
            let octocrab = octocrab.clone();
            async move { octocrab.installation_token().await.is_ok() }.boxed()
        }))
    }

    fn rotates(&self) -> Answer<()> {
        Err(No(
            "an app signs its token requests, and has no refresh token",
        ))
    }
}

fn installation(endpoint: &Endpoint) -> Octocrab {
    // Other peers enable jsonwebtoken's second provider. An error says that one is installed already.
    let _ = rust_crypto::DEFAULT_PROVIDER.install_default();
    let key = EncodingKey::from_rsa_pem(signing_key::pem().as_bytes()).expect("a key");
    let app = AppAuth {
        app_id: AppId(1),
        key,
    };
    github(endpoint, AuthState::App(app))
        .installation(InstallationId(1))
        .expect("an app")
}

fn github(endpoint: &Endpoint, auth: AuthState) -> Octocrab {
    let endpoint = endpoint.clone();
    let service = service_fn(move |request: Request<OctoBody>| {
        let endpoint = endpoint.clone();
        async move { Ok::<_, BoxError>(respond(request, endpoint).await) }
    });
    let octocrab = OctocrabBuilder::new_empty()
        .with_service(service)
        .with_auth(auth)
        .build();
    octocrab.expect("infallible")
}

async fn respond(request: Request<OctoBody>, endpoint: Endpoint) -> Response<Full<Bytes>> {
    if request.method() == Method::GET {
        return Response::new(Full::new(Bytes::from_static(b"{}")));
    }
    let token = format!(
        r#"{{"token":"{ACCESS_TOKEN}","expires_at":"2999-01-01T00:00:00Z","permissions":{{}}}}"#
    );
    let (status, body) = match endpoint.post(None).await {
        Ok(_) => (StatusCode::CREATED, token),
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "{}".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}

fn requests(octocrab: Octocrab) -> Gets {
    gets(octocrab, async |octocrab| {
        let request = Request::get(PATH)
            .header(ACCEPT, "application/json")
            .body(OctoBody::empty())
            .expect("a request");
        std::hint::black_box(octocrab.execute(request).await.expect("a response"));
    })
}
