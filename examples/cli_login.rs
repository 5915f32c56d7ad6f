//! Signs a user in from a terminal: prints the URL of the consent page, and
//! reads the callback's URL, which the user pastes. Later starts find the
//! tokens in a file.
//!
//! ```sh
//! cargo run --example cli_login
//! ```
//!
//! By default, a fake Dropbox Sign on loopback stands in for the service and
//! for the user. With `DROPBOX_SIGN_CLIENT_ID` and
//! `DROPBOX_SIGN_CLIENT_SECRET` set, and `--features rustls`, you sign in to
//! the real service.

#![allow(clippy::print_stdout, reason = "a program prints")]

use std::{
    env::{home_dir, var},
    error::Error,
    io::{self, stdin},
    path::Path,
};

use dropbox_sign_oauth::{
    Account, AuthorizationErrorKind, AuthorizationResponse, OAuthApi,
    TokenManager, TokenRefreshMiddleware,
    middleware::{API_ORIGIN, redirect_policy},
    store::FileStore,
    testing::FakeDropboxSign,
};
use reqwest::StatusCode;
use reqwest_middleware::ClientBuilder;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A user who mistypes gets another chance.
const TRIES: usize = 3;

#[tokio::main]
async fn main() -> Result<()> {
    match var("DROPBOX_SIGN_CLIENT_ID") {
        Ok(id) => real(id).await,
        Err(_) => demo().await,
    }
}

async fn real(id: String) -> Result<()> {
    let secret = var("DROPBOX_SIGN_CLIENT_SECRET")
        .map_err(|_| "set DROPBOX_SIGN_CLIENT_SECRET")?;
    let home = home_dir().ok_or("there is no home directory")?;
    let tokens = home.join(".dropbox-sign-oauth-cli-login/tokens.json");
    let api = OAuthApi::builder(id, secret).build()?;
    let status = run(api, API_ORIGIN, &tokens, |url| {
        println!("Open {url}\nand paste the URL of the page after it:");
        let mut line = String::new();
        match stdin().read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line),
        }
    })
    .await?;
    println!("GET /v3/account: {status}");
    Ok(())
}

/// Signs in if need be, and sends a request. `paste` gets the URL of the
/// consent page, and returns the text that the user pastes.
async fn run(
    api: OAuthApi,
    origin: &str,
    tokens: &Path,
    paste: impl FnMut(&str) -> io::Result<String>,
) -> Result<StatusCode> {
    let store = FileStore::single_file(tokens)?;
    let manager = TokenManager::builder(api.clone(), store).build()?;
    let sent = sign_in_and_send(&api, &manager, origin, paste).await;
    // After a failure too: a refresh under way would be lost.
    manager.shutdown().await?;
    sent
}

async fn sign_in_and_send(
    api: &OAuthApi,
    manager: &TokenManager,
    origin: &str,
    paste: impl FnMut(&str) -> io::Result<String>,
) -> Result<StatusCode> {
    let account = manager.account("default");
    match account.token().await {
        Ok(_) => println!("signed in already"),
        Err(error) if error.is_reauthorization_required() => {
            sign_in(api, &account, paste).await?;
            println!("signed in");
        }
        Err(error) => return Err(error.into()),
    }

    let auth = TokenRefreshMiddleware::builder(manager)
        .origins([origin])
        .build()?;
    let http = reqwest::Client::builder()
        .redirect(redirect_policy())
        .build()?;
    let client = ClientBuilder::new(http).with(auth).build();
    let response = client.get(format!("{origin}/v3/account")).send().await?;
    Ok(response.status())
}

async fn sign_in(
    api: &OAuthApi,
    account: &Account,
    mut paste: impl FnMut(&str) -> io::Result<String>,
) -> Result<()> {
    let request = api.authorization_request()?;
    for left in (0..TRIES).rev() {
        let pasted = paste(&request.url())?;
        match AuthorizationResponse::parse(&pasted, request.state()) {
            Ok(response) => return Ok(account.sign_in(response).await?),
            // Text that is no callback: the user pasted something else.
            Err(error) if left > 0 && is_slip(error.kind()) => {
                println!("{error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err("not signed in".into())
}

fn is_slip(kind: AuthorizationErrorKind) -> bool {
    use AuthorizationErrorKind::{Malformed, StateMismatch};
    matches!(kind, Malformed | StateMismatch)
}

/// The fake's user first pastes the wrong text, then the callback.
async fn demo() -> Result<()> {
    let fake = FakeDropboxSign::start().await;
    let api = fake.api();
    let folder = tempfile::tempdir()?;
    let tokens = folder.path().join("tokens.json");

    let mut pastes = 0;
    let status = run(api.clone(), &fake.url(), &tokens, |url| {
        pastes += 1;
        Ok(match pastes {
            1 => "what the clipboard held before".to_owned(),
            _ => fake.authorize(url),
        })
    })
    .await?;
    assert_eq!(status, 200);
    assert_eq!(pastes, 2);

    // The second start asks for nothing.
    let ask = |_: &str| -> io::Result<String> { panic!("asked again") };
    assert_eq!(run(api, &fake.url(), &tokens, ask).await?, 200);
    assert_eq!(fake.token_requests(), 1);
    println!("one sign-in, two starts");
    Ok(())
}
