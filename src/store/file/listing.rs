//! The accounts of a store, by the names of its files.

use std::{
    fs::{self, DirEntry},
    path::Path,
};

use super::{
    super::{
        AccountsPage, PageRequest,
        fault::{Fault, corrupt},
        page::smallest,
    },
    Inner,
    format::names,
    layout::Layout,
    name::{Named, PREFIX, named, stem},
    shown::shown,
};
use crate::account_id::AccountId;

const RECORD: &str = ".json";

impl Inner {
    pub(super) fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, Fault> {
        match &self.location.real()? {
            Layout::SingleFile(file) => {
                let bytes = self.disk.read(file)?;
                let names = bytes.map(|bytes| names(&bytes)).transpose()?;
                Ok(AccountsPage::of_all(names.unwrap_or_default(), request))
            }
            Layout::Directory(directory) => {
                let page = self.accounts_of_files(directory, request)?;
                // A volume that was unmounted meanwhile has left an empty directory.
                self.location.real()?;
                Ok(page)
            }
        }
    }

    fn accounts_of_files(
        &self,
        directory: &Path,
        request: &PageRequest,
    ) -> Result<AccountsPage, Fault> {
        let (stems, next) = {
            let fault = |error| Fault::io("list the directory", directory, error);
            let mut failure = None;
            let entries = fs::read_dir(directory).map_err(fault)?;
            let entries = entries.map_while(|entry| entry.map_err(|e| failure = Some(e)).ok());
            let page = smallest(entries.filter_map(|entry| stem_of(&entry)), request);
            failure.map_or(Ok(page), |error| Err(fault(error)))?
        };
        let mut page = AccountsPage {
            next,
            ..AccountsPage::default()
        };
        for stem in stems {
            let file = directory.join(format!("{stem}{RECORD}"));
            let fault = match named(&stem) {
                Named::Account(name) => {
                    page.accounts.push(name.into());
                    continue;
                }
                Named::Cut => match self.names_under(&stem, &file) {
                    Ok(names) => {
                        page.accounts.extend(names);
                        continue;
                    }
                    Err(fault) => fault,
                },
                Named::Nobody => {
                    let message = format!("no account has a file of the name {}", shown(&file));
                    corrupt(message).with_help("move the file away")
                }
            };
            page.errors.push(fault.into_error(&self.name, None));
        }
        Ok(page)
    }

    /// The names in a file whose own name was cut. A missing file has none.
    fn names_under(&self, cut: &str, file: &Path) -> Result<Vec<AccountId>, Fault> {
        let Some(bytes) = self.disk.read(file)? else {
            return Ok(Vec::new());
        };
        let names = names(&bytes).map_err(|fault| fault.about(&shown(file)))?;
        match names.iter().find(|name| stem(name.as_str()) != cut) {
            None => Ok(names),
            Some(name) => {
                let fault = corrupt(format!("the file holds the account `{name}`"));
                Err(fault.about(&shown(file)))
            }
        }
    }
}

/// The file's name without the extension, if the file looks like a record.
fn stem_of(entry: &DirEntry) -> Option<String> {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let stem = name.strip_suffix(RECORD)?;
    stem.starts_with(PREFIX).then(|| stem.to_owned())
}
