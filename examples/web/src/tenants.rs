//! The tenants of this application. A real application has a table of them.

use std::{collections::BTreeMap, str::FromStr};

use dropbox_sign_oauth::AccountId;
use subtle::ConstantTimeEq;

/// A guess at a shorter password may succeed.
const SHORTEST: usize = 16;

/// The names of all tenants, each with the password of its users.
pub struct Tenants(BTreeMap<String, String>);

impl Tenants {
    /// The tenant's account at Dropbox Sign.
    ///
    /// `None` for a name that is no tenant's. So no text of a request becomes
    /// an [`AccountId`], unless it names a tenant: an account that a stranger
    /// made up would cost a look into the store.
    pub fn account(&self, name: &str) -> Option<AccountId> {
        self.0.contains_key(name).then(|| AccountId::new(name))
    }

    /// Whether this is the tenant's password. The time tells nothing of the
    /// password; it may tell that there is such a tenant.
    pub fn has_password(&self, name: &str, password: &str) -> bool {
        let found = self.0.get(name);
        found.is_some_and(|found| {
            found.as_bytes().ct_eq(password.as_bytes()).into()
        })
    }
}

/// Reads `acme:password globex:password`. An error names the number of an
/// entry: in a text of another form, each word may be a part of a password.
impl FromStr for Tenants {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tenants = BTreeMap::new();
        for (at, pair) in text.split_whitespace().enumerate() {
            let entry = format!("entry {}", at + 1);
            let (name, password) = pair
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| {
                    format!("{entry}: write NAME:PASSWORD without white space")
                })?;
            if password.len() < SHORTEST {
                return Err(format!(
                    "{entry}: the password needs {SHORTEST} bytes or more, \
                     without white space"
                ));
            }
            if tenants.insert(name.into(), password.into()).is_some() {
                return Err(format!(
                    "{entry}: the name is that of an entry before"
                ));
            }
        }
        match tenants.is_empty() {
            true => Err("names no tenant".to_owned()),
            false => Ok(Self(tenants)),
        }
    }
}
