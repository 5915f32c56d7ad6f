//! The application, running on loopback beside a fake Dropbox Sign.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use dropbox_sign_oauth::{
    OAuthApi, TokenManager,
    store::EncryptionKey,
    testing::{FakeClock, FakeDropboxSign},
};
use dropbox_sign_oauth_web::{
    App, Operations, Settings, logs, operations, serve, store,
};
use metrics::{LocalRecorderGuard, set_default_local_recorder};
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter};

use crate::{Result, browser::Browser};

/// How long a token of the fake lives.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3_600);

/// Dropbox Sign, and the folder of the tokens: what outlives the application.
pub(crate) struct World {
    pub(crate) fake: FakeDropboxSign,
    pub(crate) clock: FakeClock,
    pub(crate) folder: TempDir,
    store: String,
    key: EncryptionKey,
}

impl World {
    /// With the tokens in files.
    pub(crate) async fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = format!("file:{}", folder.path().display());
        Self::with_store(store, folder).await
    }

    pub(crate) async fn with_store(
        store: String,
        folder: TempDir,
    ) -> Result<Self> {
        let clock = FakeClock::new();
        let fake = FakeDropboxSign::builder()
            .clock(clock.clone())
            .lifetime(LIFETIME)
            .start()
            .await;
        fake.on(Method::GET, "/v3/signature_request/list").json(
            json!({ "signature_requests": [
                { "title": "NDA <1>", "is_complete": true },
            ] }),
        );
        Ok(Self {
            fake,
            clock,
            folder,
            store,
            key: EncryptionKey::generate("test")?,
        })
    }

    /// Starts the application on this thread: a test of the kind
    /// `#[tokio::test]` runs all tasks here. So the logs and the metrics are
    /// those of the test alone.
    pub(crate) async fn start(&self) -> Result<Running> {
        let variable = |name: &str| self.variable(name);
        let mut settings = Settings::from(variable)?;
        let listeners = settings.listen.bind().await?;
        let origin = format!("http://{}", listeners.app.local_addr()?);
        let operations_origin =
            format!("http://{}", listeners.operations.local_addr()?);
        settings.app.public_url = origin.parse()?;
        self.fake
            .register_callback(&format!("{origin}/dropbox-sign/callback"));

        let logs = Logs::default();
        let every = Targets::new().with_default(tracing::Level::TRACE);
        let subscriber = logs::subscriber(every, logs.clone());
        let recorder = operations::prometheus()?.build_recorder();
        let metrics = recorder.handle();
        let guards = (
            tracing::subscriber::set_default(subscriber),
            set_default_local_recorder(Box::leak(Box::new(recorder))),
        );

        let store =
            store::open(&settings.store, settings.encryption_key).await?;
        let api = OAuthApi::builder(settings.client_id, settings.client_secret)
            .base_url(self.fake.url())
            .build()?;
        let manager = TokenManager::builder(api.clone(), store.clone())
            .clock(self.clock.clone())
            .build()?;
        let app =
            App::new(api, manager.clone(), settings.app, &self.fake.url())?;
        let operations = Operations {
            manager: manager.clone(),
            store,
            metrics,
        };
        let (stop, stopped) = oneshot::channel();
        let stop_signal = async {
            let _ = stopped.await;
        };
        let served = tokio::spawn(serve(
            listeners,
            app.router()?,
            operations.router(),
            stop_signal,
            manager.clone(),
        ));
        Ok(Running {
            origin,
            operations: operations_origin,
            manager,
            logs,
            stop,
            served,
            _guards: guards,
        })
    }

    /// The environment of the application.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let text = match name {
            "DROPBOX_SIGN_CLIENT_ID" => FakeDropboxSign::CLIENT_ID,
            "DROPBOX_SIGN_CLIENT_SECRET" => FakeDropboxSign::CLIENT_SECRET,
            "DROPBOX_SIGN_STORE" => &self.store,
            "DROPBOX_SIGN_ENCRYPTION_KEY" => {
                return Some(self.key.to_text().expose_secret().to_owned());
            }
            "WEB_PUBLIC_URL" => "http://127.0.0.1",
            "WEB_SESSION_KEY" => return Some("k".repeat(64)),
            "WEB_TENANTS" => {
                let of = |name| format!("{name}:{}", password(name));
                return Some(format!("{} {}", of("acme"), of("globex")));
            }
            "WEB_LISTEN" | "WEB_OPERATIONS_LISTEN" => "127.0.0.1:0",
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// Of the users of the tenant.
pub(crate) fn password(tenant: &str) -> String {
    format!("the-password-of-{tenant}")
}

pub(crate) struct Running {
    pub(crate) origin: String,
    pub(crate) operations: String,
    pub(crate) manager: TokenManager,
    pub(crate) logs: Logs,
    stop: oneshot::Sender<()>,
    served: JoinHandle<dropbox_sign_oauth_web::Result<()>>,
    _guards: (DefaultGuard, LocalRecorderGuard<'static>),
}

impl Running {
    pub(crate) fn browser(&self) -> Result<Browser> {
        Browser::new(&self.origin)
    }

    /// A browser whose user is logged in for the tenant.
    pub(crate) async fn browser_of(&self, tenant: &str) -> Result<Browser> {
        let mut browser = self.browser()?;
        assert_eq!(browser.log_in(tenant).await?.location(), "/");
        Ok(browser)
    }

    /// A browser whose tenant is signed in to Dropbox Sign.
    pub(crate) async fn signed_in(&self, tenant: &str) -> Result<Browser> {
        let mut browser = self.browser_of(tenant).await?;
        let callback = browser.consent().await?;
        assert_eq!(browser.get(&callback).await?.location(), "/");
        Ok(browser)
    }

    /// A page of the operators.
    pub(crate) async fn operations(&self, path: &str) -> Result<String> {
        let mut operator = Browser::new(&self.operations)?;
        Ok(operator.get(path).await?.text)
    }

    /// Tells the application to stop.
    pub(crate) fn stop(self) -> JoinHandle<dropbox_sign_oauth_web::Result<()>> {
        let _ = self.stop.send(());
        self.served
    }
}

/// The lines of the log.
#[derive(Clone, Default)]
pub(crate) struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    pub(crate) fn text(&self) -> String {
        let bytes = self.0.lock().expect("no panic");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Logs {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
