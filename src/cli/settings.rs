//! The settings: flags, environment and file in one, each with its source.

mod file;
mod secrets;

use std::{
    collections::HashMap,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, parser::ValueSource};
use dropbox_sign_oauth::AccountId;
use etcetera::BaseStrategy;

use self::file::Entry;
pub(crate) use self::secrets::has_password;
use crate::failure::{Exit, Failure};

/// A setting that is no secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Setting {
    Account,
    Store,
    ClientId,
    ClientSecretFile,
    EncryptionKeyFile,
    Environment,
    RedirectUri,
    Table,
    Prefix,
    TokenHost,
    ApiHost,
}

impl Setting {
    const ALL: [Self; 11] = [
        Self::Account,
        Self::Store,
        Self::ClientId,
        Self::ClientSecretFile,
        Self::EncryptionKeyFile,
        Self::Environment,
        Self::RedirectUri,
        Self::Table,
        Self::Prefix,
        Self::TokenHost,
        Self::ApiHost,
    ];

    /// The key in the file. The flag and the variable have the same name.
    fn key(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Store => "store",
            Self::ClientId => "client_id",
            Self::ClientSecretFile => "client_secret_file",
            Self::EncryptionKeyFile => "encryption_key_file",
            Self::Environment => "environment",
            Self::RedirectUri => "redirect_uri",
            Self::Table => "table",
            Self::Prefix => "prefix",
            Self::TokenHost => "token_host",
            Self::ApiHost => "api_host",
        }
    }

    fn flag(self) -> String {
        format!("--{}", self.key().replace('_', "-"))
    }

    fn variable(self) -> String {
        format!("DROPBOX_SIGN_{}", self.key().to_uppercase())
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Flag,
    Environment,
    File { path: PathBuf, line: usize },
}

/// A value and its source.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    setting: Setting,
    pub(crate) text: String,
    pub(crate) source: Source,
}

/// Names the value by its source: `--store`, `DROPBOX_SIGN_STORE`, or the line of the file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Flag => f.write_str(&self.setting.flag()),
            Source::Environment => f.write_str(&self.setting.variable()),
            Source::File { path, line } => {
                write!(f, "{}:{line}: `{}`", path.display(), self.setting.key())
            }
        }
    }
}

impl Value {
    /// The value as a path. In the file of settings, a path counts from the file's folder.
    fn path(&self) -> PathBuf {
        match &self.source {
            Source::File { path, .. } => path.parent().unwrap_or(Path::new("")).join(&self.text),
            Source::Flag | Source::Environment => PathBuf::from(&self.text),
        }
    }
}

/// All settings.
#[derive(Debug)]
pub(crate) struct Settings {
    values: HashMap<Setting, Value>,
    /// The file that was read, or would have been.
    file: Option<PathBuf>,
}

impl Settings {
    pub(crate) fn read(matches: &ArgMatches) -> Result<Self, Failure> {
        let named = named_file(matches)?;
        let is_named = named.is_some();
        let file = named.or_else(default_file);
        let mut values = HashMap::new();
        if let Some(path) = &file {
            for Entry {
                setting,
                text,
                line,
            } in file::read(path, is_named)?
            {
                let path = path.clone();
                let source = Source::File { path, line };
                values.insert(
                    setting,
                    Value {
                        setting,
                        text,
                        source,
                    },
                );
            }
        }
        for setting in Setting::ALL {
            values.extend(given(setting, matches)?.map(|value| (setting, value)));
        }
        Ok(Self { values, file })
    }

    pub(crate) fn get(&self, setting: Setting) -> Option<&Value> {
        self.values.get(&setting)
    }

    pub(crate) fn text(&self, setting: Setting) -> Option<&str> {
        self.get(setting).map(|value| value.text.as_str())
    }

    /// The account of `--account`, or `default`.
    pub(crate) fn account(&self) -> AccountId {
        let name = self.text(Setting::Account);
        AccountId::from(name.unwrap_or(AccountId::DEFAULT))
    }

    /// A setting that has to be there.
    pub(crate) fn required(&self, setting: Setting) -> Result<&str, Failure> {
        self.text(setting).ok_or_else(|| {
            let key = setting.key();
            let what = key.replace('_', " ");
            Failure::misconfigured(format!(
                "there is no {what}; set {} or {}{}",
                setting.flag(),
                setting.variable(),
                self.or_in_the_file(key)
            ))
        })
    }

    /// The end of a help.
    fn or_in_the_file(&self, key: &str) -> String {
        match &self.file {
            Some(path) => format!(", or `{key}` in {}", path.display()),
            None => String::new(),
        }
    }
}

/// The value of the flag or of the variable. An empty variable is none. An empty flag is a mistake, such as
/// a variable of the shell that is not set.
fn given(setting: Setting, matches: &ArgMatches) -> Result<Option<Value>, Failure> {
    let key = setting.key();
    let (Some(text), Some(source)) = (matches.get_one::<String>(key), matches.value_source(key))
    else {
        return Ok(None);
    };
    let is_variable = source == ValueSource::EnvVariable;
    match (text.is_empty(), is_variable) {
        (true, true) => Ok(None),
        (true, false) => Err(empty(&setting.flag())),
        (false, _) => Ok(Some(Value {
            setting,
            text: text.clone(),
            source: match is_variable {
                true => Source::Environment,
                false => Source::Flag,
            },
        })),
    }
}

fn empty(flag: &str) -> Failure {
    let message = format!("{flag} is empty; name a value, or leave the flag out");
    Failure::new(Exit::Usage, message)
}

/// The path of `--config` or of its variable.
fn named_file(matches: &ArgMatches) -> Result<Option<PathBuf>, Failure> {
    let is_flag = matches.value_source("config") == Some(ValueSource::CommandLine);
    match matches.get_one::<OsString>("config") {
        Some(path) if !path.is_empty() => Ok(Some(PathBuf::from(path))),
        Some(_) if is_flag => Err(empty("--config")),
        _ => Ok(None),
    }
}

fn default_file() -> Option<PathBuf> {
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(
        strategy
            .config_dir()
            .join("dropbox-sign-oauth")
            .join("config.toml"),
    )
}

/// The directory of the default store.
pub(crate) fn default_store() -> Result<PathBuf, Failure> {
    match etcetera::choose_base_strategy() {
        Ok(strategy) => Ok(strategy
            .data_dir()
            .join("dropbox-sign-oauth")
            .join("tokens")),
        Err(_) => Err(Failure::misconfigured(format!(
            "there is no home directory to keep tokens in; set {} or {}",
            Setting::Store.flag(),
            Setting::Store.variable()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn each_setting_is_a_flag_and_a_variable_of_one_name() {
        let command = Arguments::command();
        for setting in Setting::ALL {
            let key = setting.key();
            let argument = command
                .get_arguments()
                .find(|it| it.get_id() == key)
                .expect(key);
            let flag = argument.get_long().map(|long| format!("--{long}"));
            assert_eq!(flag, Some(setting.flag()));
            let variable = argument.get_env().expect(key);
            assert_eq!(variable.to_str(), Some(setting.variable().as_str()));
        }
    }

    #[test]
    fn no_flag_takes_a_secret() {
        let mut commands = vec![Arguments::command()];
        while let Some(command) = commands.pop() {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let names_a_secret = ["secret", "key", "password"]
                    .iter()
                    .any(|it| id.contains(it));
                assert!(!names_a_secret || id.ends_with("_file"), "{id}");
            }
            commands.extend(command.get_subcommands().cloned());
        }
    }
}
