//! The command line.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::failure::EXIT_CODES;

const SETTINGS: &str = "\
Settings: a flag goes before the environment, and the environment before the file. The file is
`$XDG_CONFIG_HOME/dropbox-sign-oauth/config.toml`, or `--config`:

  client_id = \"…\"
  client_secret_file = \"client-secret\"
  store = \"file:/var/lib/example/tokens\"

The keys are the flags' names with `_`. A path counts from the folder of the file. The client secret
and the encryption key stand in files of their own, or in the environment:
`DROPBOX_SIGN_CLIENT_SECRET`, `DROPBOX_SIGN_ENCRYPTION_KEY`.";

/// Signs users in to Dropbox Sign, and gives valid access tokens to shells and programs.
///
/// `login` signs an account in. `token`, `header` and the other commands use its tokens from then on, and
/// refresh the tokens before they expire. Any number of processes and programs may share a store.
#[derive(Debug, Parser)]
#[command(
    name = "dropbox-sign-oauth",
    version,
    after_help = EXIT_CODES,
    after_long_help = format!("{SETTINGS}\n\n{EXIT_CODES}"),
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: SettingArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The names are those of [`Setting`](crate::settings::Setting).
#[derive(Args, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct SettingArguments {
    /// The account: a name of your choice [default: default]
    #[arg(long, global = true, value_name = "NAME")]
    #[arg(env = "DROPBOX_SIGN_ACCOUNT", hide_env_values = true)]
    account: Option<String>,

    /// Where tokens are kept [default: a directory in the user's data folder]
    ///
    /// `file:/DIRECTORY`, `file:/FILE.json` (all accounts in one file), `redis://HOST`, `rediss://HOST` or
    /// `postgres://HOST/DATABASE?sslmode=verify-full`. A URL with a password goes into the environment,
    /// or into the file of settings.
    #[arg(long, global = true, value_name = "URL")]
    #[arg(env = "DROPBOX_SIGN_STORE", hide_env_values = true)]
    store: Option<String>,

    /// The client id of the API app
    #[arg(long, global = true, value_name = "ID")]
    #[arg(env = "DROPBOX_SIGN_CLIENT_ID", hide_env_values = true)]
    client_id: Option<String>,

    /// The file with the client secret of the API app
    ///
    /// Or set DROPBOX_SIGN_CLIENT_SECRET to the secret itself.
    #[arg(long, global = true, value_name = "PATH")]
    #[arg(env = "DROPBOX_SIGN_CLIENT_SECRET_FILE", hide_env_values = true)]
    client_secret_file: Option<String>,

    /// The file with the key that encrypts the stored tokens [default: no encryption]
    ///
    /// The key is `dropbox-sign-oauth-key:ID:` and the 43 characters that
    /// `openssl rand -base64 32 | tr '/+' '_-' | tr -d =` prints. The ID is a name of your choice: 1 to 64
    /// letters, digits, `-`, `_` or `.`. Or set DROPBOX_SIGN_ENCRYPTION_KEY to the key itself.
    #[arg(long, global = true, value_name = "PATH")]
    #[arg(env = "DROPBOX_SIGN_ENCRYPTION_KEY_FILE", hide_env_values = true)]
    encryption_key_file: Option<String>,

    /// The environment that encrypted tokens are bound to, `production` for example: only with a key
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    #[arg(env = "DROPBOX_SIGN_ENVIRONMENT", hide_env_values = true)]
    environment: Option<String>,

    /// The callback URL, if the API app has several
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    #[arg(env = "DROPBOX_SIGN_REDIRECT_URI", hide_env_values = true)]
    redirect_uri: Option<String>,

    /// The PostgreSQL table [default: dropbox_sign_tokens]
    #[arg(long, global = true, value_name = "TABLE", hide_short_help = true)]
    #[arg(env = "DROPBOX_SIGN_TABLE", hide_env_values = true)]
    table: Option<String>,

    /// The beginning of the names of Redis keys [default: dropbox-sign-oauth:]
    #[arg(long, global = true, value_name = "PREFIX", hide_short_help = true)]
    #[arg(env = "DROPBOX_SIGN_PREFIX", hide_env_values = true)]
    prefix: Option<String>,

    /// The token host, for a proxy or a test [default: https://app.hellosign.com]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    #[arg(env = "DROPBOX_SIGN_TOKEN_HOST", hide_env_values = true)]
    token_host: Option<String>,

    /// The API host, for a proxy or a test [default: https://api.hellosign.com]
    #[arg(long, global = true, value_name = "URL", hide_short_help = true)]
    #[arg(env = "DROPBOX_SIGN_API_HOST", hide_env_values = true)]
    api_host: Option<String>,

    /// The file of settings
    #[arg(long, global = true, value_name = "PATH")]
    #[arg(env = "DROPBOX_SIGN_CONFIG", hide_env_values = true)]
    config: Option<OsString>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign the account in
    ///
    /// Prints the URL of the consent page on stdout, and opens a browser where there is one. Dropbox Sign
    /// then sends the browser to the callback URL of the API app. Paste that URL, as the browser's address
    /// bar shows it, even if the page does not load. After a text that is no callback, the program asks
    /// again.
    Login(LoginArguments),
    /// Print a valid access token
    ///
    /// Refreshes the token if need be. If there is no valid token, nothing is printed on stdout.
    Token(TokenArguments),
    /// Print a curl configuration with a valid access token
    ///
    /// `header=$(dropbox-sign-oauth header) || exit`, and then `printf '%s\n' "$header" | curl --config - URL`:
    /// the token is in no list of processes, and the shell sees the exit code. If there is no valid token,
    /// nothing is printed on stdout. With `curl --config <(dropbox-sign-oauth header) URL`, the exit code is
    /// lost: curl sends the request without a token, and gets a 401.
    Header(ForArguments),
    /// Print when the tokens of all accounts expire, or of the account of `--account`
    ///
    /// Reads the store, and sends nothing to the service. The account of the environment or of the file is
    /// the default of the other commands: without `--account`, `status` names all accounts. Ends with the
    /// exit code 77 if an account has to sign in.
    Status(StatusArguments),
    /// Refresh the account's token now
    ///
    /// A token that was granted less than a minute ago is kept: the command ends with the exit code 75, and
    /// the token stays valid.
    Refresh,
    /// Forget the account's tokens
    ///
    /// Dropbox Sign knows no revocation: the user removes the app in the settings of Dropbox Sign. The logout
    /// of an account that is not signed in is no failure. A store that does not exist is a failure.
    Logout,
    /// Check the settings, the store and the token host
    ///
    /// Checks that the client id and the secret are there, that the store is ready, and that the token
    /// host responds. No token is spent, and the client secret is not sent: a wrong secret or a revoked
    /// sign-in shows at the next refresh. A store that `login` has yet to make is a note. If several checks
    /// fail, the exit code is the largest.
    Check,
    /// Print the completions of a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the man page
    Man {
        /// Write a page for each command to this folder instead
        #[arg(long, value_name = "FOLDER")]
        directory: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct LoginArguments {
    /// Open no browser
    ///
    /// With `--listen`, the program opens no browser either: the arguments of the browser's process show the
    /// state to other users of the machine, who could send a callback of their own.
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Serve the callback at this address, for a tunnel, instead of asking for the URL
    ///
    /// Dropbox Sign refuses callbacks to localhost. The API app's callback URL leads to a tunnel with TLS,
    /// and the tunnel to this address, 127.0.0.1:8080 for example. The callback of this sign-in ends the
    /// program. A callback with another state gets a 400, and the program goes on waiting.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
}

#[derive(Args, Debug)]
pub(crate) struct ForArguments {
    /// Ask for a token that is valid for this long, `10m` for example
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) valid_for: Option<Duration>,
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    humantime::parse_duration(text).map_err(|_| "write a number and its unit, `10m` or `1h`")
}

#[derive(Args, Debug)]
pub(crate) struct TokenArguments {
    #[command(flatten)]
    pub(crate) needs: ForArguments,
    /// Print one JSON object with `access_token`, `expires_at` (Unix seconds) and `account`
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct StatusArguments {
    /// Print a JSON array of objects with `account`, `state`, `expires_at` (Unix seconds), `last_error` and
    /// `sign_in_required`, in the words of the library's `AccountStatus`
    #[arg(long)]
    pub(crate) json: bool,
}
