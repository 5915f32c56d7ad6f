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

/// Reads `acme:password globex:password`.
impl FromStr for Tenants {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut tenants = BTreeMap::new();
        for pair in text.split_whitespace() {
            let (name, password) = pair
                .split_once(':')
                .filter(|(name, _)| !name.is_empty())
                .ok_or("write NAME:PASSWORD for each tenant")?;
            if password.len() < SHORTEST {
                let least = format!("at least {SHORTEST} characters");
                return Err(format!("the password of {name} needs {least}"));
            }
            if tenants.insert(name.into(), password.into()).is_some() {
                return Err(format!("{name} is there twice"));
            }
        }
        match tenants.is_empty() {
            true => Err("names no tenant".to_owned()),
            false => Ok(Self(tenants)),
        }
    }
}
