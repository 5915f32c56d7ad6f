//! No secret shows in logs, errors, events or `Debug` output.

use std::{
    fmt::Debug,
    io,
    sync::{Arc, Mutex},
};

use dropbox_sign_oauth::{
    AccountId, Error, Event, OAuthApi, TokenManager, TokenRefreshMiddleware, TokenSet,
    api::OAuthTokenRefreshRequest,
    store::TokenStore,
    testing::{FakeClock, FakeDropboxSign, Fault},
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use serde_json::json;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::fmt::{MakeWriter, format::FmtSpan};

use crate::support::{HOUR, Kind, ScriptedStore};

const CLIENT_SECRET: &str = "canary-client-secret";

/// The text of all logs, errors, events and `Debug` output.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<String>>);

impl Shown {
    fn add(&self, text: &str) {
        self.0.lock().expect("not poisoned").push_str(text);
    }

    fn debug(&self, value: &dyn Debug) {
        self.add(&format!("{value:?}\n{value:#?}\n"));
    }

    fn error(&self, error: &(dyn std::error::Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.add(&format!("{error}\n{error:?}\n"));
            next = error.source();
        }
    }

    fn text(&self) -> String {
        self.0.lock().expect("not poisoned").clone()
    }
}

impl io::Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Shown {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The faults of token requests. A fault with a body repeats the secrets of the request.
fn faults(tokens: &TokenSet) -> Vec<Fault> {
    let refresh_token = tokens.refresh_token().expect("a refresh token");
    let all = format!("{CLIENT_SECRET} {}", refresh_token.expose_secret());
    vec![
        Fault::none(),
        Fault::status(500).with_body(all.clone()),
        Fault::html(403).with_body(format!("<html>{all}</html>")),
        Fault::json(
            400,
            json!({ "error": "invalid_request", "error_description": all }),
        ),
        Fault::json(
            400,
            json!({ "error": { "error_name": "unknown", "error_msg": all } }),
        ),
        Fault::json(200, json!({ "access_token": "", "state": all })),
        Fault::redirect(&format!("http://127.0.0.1:9/?{CLIENT_SECRET}")),
        Fault::response_with(json!({ "expires_in": all.clone(), "token_type": all.clone() })),
        Fault::cut_before_processing(),
        Fault::truncated_response(),
        Fault::json(
            401,
            json!({ "error": "invalid_client", "error_description": all }),
        ),
        Fault::json(
            400,
            json!({ "error": "invalid_grant", "error_description": all }),
        ),
    ]
}

struct Setup {
    shown: Shown,
    secrets: Arc<Mutex<Vec<String>>>,
    fake: FakeDropboxSign,
    clock: FakeClock,
    manager: TokenManager,
    client: ClientWithMiddleware,
}

impl Setup {
    async fn new(store: ScriptedStore, shown: Shown) -> Self {
        let clock = FakeClock::new();
        let fake = FakeDropboxSign::builder()
            .clock(clock.clone())
            .reuse_detection(false)
            .start()
            .await;
        let api = OAuthApi::builder("canary-client-id", CLIENT_SECRET)
            .base_url(fake.url())
            .build()
            .expect("a valid configuration");
        shown.debug(&api);
        let sink = {
            let shown = shown.clone();
            move |event: &Event| shown.debug(event)
        };
        let manager = TokenManager::builder(api, store)
            .clock(clock.clone())
            .event_sink(sink)
            .build()
            .expect("a valid configuration");
        let auth = TokenRefreshMiddleware::builder(&manager)
            .origins([fake.url()])
            .build()
            .expect("a valid configuration");
        shown.debug(&auth);
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(auth)
            .build();
        Self {
            shown,
            secrets: Arc::new(Mutex::new(vec![CLIENT_SECRET.to_owned()])),
            fake,
            clock,
            manager,
            client,
        }
    }

    fn remember(&self, tokens: &TokenSet) {
        let mut secrets = self.secrets.lock().expect("not poisoned");
        let access_token = tokens.access_token().map(|t| t.expose_secret().to_owned());
        let refresh_token = tokens.refresh_token().map(|t| t.expose_secret().to_owned());
        secrets.extend(access_token.into_iter().chain(refresh_token));
    }

    /// Signs in, and sends a request whose refresh meets the n-th fault. `false`: this was the last
    /// fault.
    async fn meet_fault(&self, nth: usize) -> bool {
        let tokens = self.fake.sign_in();
        self.remember(&tokens);
        self.shown.debug(&tokens);
        let mut faults = faults(&tokens);
        let is_last = nth + 1 == faults.len();
        let fault = faults.swap_remove(nth);
        let account = self.manager.account(AccountId::default());
        account.install(tokens).await.expect("installed");
        self.clock.advance(2 * HOUR);
        self.fake.next_token_request(fault);
        self.request().await;
        self.shown.debug(&self.manager);
        self.shown.debug(&account);
        if let Some((token, _)) = account.current() {
            self.shown.debug(&token);
            self.shown.debug(token.header());
        }
        !is_last
    }

    async fn request(&self) {
        let url = format!("{}/v3/account", self.fake.url());
        match self.client.get(url).send().await {
            Ok(response) => self.shown.debug(&response),
            Err(error) => {
                self.shown.error(&error);
                if let Some(error) = Error::from_middleware(&error) {
                    self.shown.error(error);
                }
            }
        }
    }
}

async fn no_canary_shows(store: ScriptedStore) {
    let shown = Shown::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(FmtSpan::FULL)
        .with_writer(shown.clone())
        .finish();
    // With a single subscriber, the first thread at a log statement decides for all threads whether
    // the statement is enabled. On the threads of other tests there is no subscriber.
    let _second = tracing::Dispatch::new(NoSubscriber::default());
    // The default of this thread is enough: the test runs on this thread alone.
    let _guard = tracing::subscriber::set_default(subscriber);

    let setup = Setup::new(store.clone(), shown.clone()).await;
    let mut nth = 0;
    while setup.meet_fault(nth).await {
        setup.fake.revoke_access_tokens();
        setup.request().await;
        let record = store.load(&AccountId::default()).await.expect("loads");
        setup.remember(&record.expect("a record").tokens);
        nth += 1;
    }
    for request in setup.fake.recorded_token_requests() {
        shown.debug(&request);
    }
    for request in setup.fake.recorded_api_requests() {
        shown.debug(&request);
        let bearer = request.bearer();
        let token = bearer.map(|token| token.expose_secret().to_owned());
        setup.secrets.lock().expect("not poisoned").extend(token);
    }
    let account = setup.manager.account(AccountId::default());
    account.sign_out().await.expect("signed out");
    setup.request().await;
    setup.manager.shutdown().await.expect("saved");
    setup.request().await;
    shown.debug(&OAuthTokenRefreshRequest::new("canary-of-a-request"));

    let text = shown.text();
    assert!(text.contains("refresh failed"), "logs are captured");
    assert!(text.contains("NotAuthorized"), "errors are captured");
    let secrets = setup.secrets.lock().expect("not poisoned");
    assert!(secrets.len() > 20, "secrets are collected");
    for secret in secrets.iter().map(String::as_str) {
        assert!(!text.contains(secret), "a secret shows");
    }
    assert!(!text.contains("canary-of-a-request"));
}

#[tokio::test]
async fn s46_no_canary_shows_with_any_store() {
    for kind in Kind::all() {
        no_canary_shows(ScriptedStore::new(kind).await).await;
    }
}
