//! The rules of the service for tokens, without any I/O.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

/// What a refresh does to the refresh token.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// The response carries a new refresh token, and the presented refresh token is spent.
    #[default]
    NewToken,
    /// The response carries the refresh token that was presented, as in the vendor's example.
    SameToken,
    /// The response carries no refresh token: the presented refresh token stays valid.
    NoToken,
}

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) rotation: Rotation,
    pub(super) reuse_detection: bool,
    pub(super) reuse_grace: u32,
    pub(super) lifetime: Duration,
}

/// How long a code lives. The service's documentation does not say; third parties saw an hour.
pub(super) const CODE_LIFETIME: Duration = Duration::from_secs(3600);

/// The tokens of one sign-in, exchange or refresh.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) access_token: String,
    pub(super) refresh_token: Option<String>,
    pub(super) lifetime: Duration,
}

/// Every token ever issued. The tokens of one sign-in are a family, which is revoked as a whole.
pub(super) struct Grants {
    rules: Rules,
    families: Vec<Family>,
    refresh_tokens: HashMap<String, Refresh>,
    access_tokens: HashMap<String, Access>,
    codes: HashMap<String, Code>,
    issued: u64,
}

/// One sign-in.
struct Family {
    account: String,
    revoked: bool,
}

/// An authorization code, until it is used.
struct Code {
    /// The account that consented; `None` stands for an account of its own.
    account: Option<String>,
    /// `None` if `SystemTime` cannot hold the time.
    expires_at: Option<SystemTime>,
}

struct Refresh {
    family: usize,
    presented: usize,
    /// The tokens that replaced this refresh token; `None` while this token is not spent.
    successor: Option<Granted>,
    grace: u32,
}

struct Access {
    family: usize,
    /// `None` if `SystemTime` cannot hold the time.
    expires_at: Option<SystemTime>,
    revoked: bool,
}

impl Grants {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            families: Vec::new(),
            refresh_tokens: HashMap::new(),
            access_tokens: HashMap::new(),
            codes: HashMap::new(),
            issued: 0,
        }
    }

    /// Starts a family, of this account or of an account of its own.
    pub(super) fn sign_in(&mut self, account: Option<String>, now: SystemTime) -> Granted {
        let family = self.families.len();
        self.families.push(Family {
            account: account.unwrap_or_else(|| format!("account-{}", family + 1)),
            revoked: false,
        });
        let refresh_token = self.issue_refresh_token(family);
        self.grant(family, Some(refresh_token), now)
    }

    pub(super) fn issue_code(&mut self, account: Option<String>, now: SystemTime) -> String {
        let code = self.issue_spent_code();
        let expires_at = now.checked_add(CODE_LIFETIME);
        self.codes.insert(
            code.clone(),
            Code {
                account,
                expires_at,
            },
        );
        code
    }

    /// A code that an exchange is refused for, as for an expired code and a used code.
    pub(super) fn issue_spent_code(&mut self) -> String {
        self.unique("code")
    }

    /// Exchanges a code, once. `None` is the service's `invalid_grant`.
    pub(super) fn exchange(&mut self, code: &str, now: SystemTime) -> Option<Granted> {
        let code = self.codes.remove(code)?;
        let is_alive = code.expires_at.is_none_or(|end| now < end);
        is_alive.then(|| self.sign_in(code.account, now))
    }

    /// The account of an access token or a refresh token, dead or alive.
    pub(super) fn account_of(&self, token: &str) -> Option<&str> {
        let access = self.access_tokens.get(token).map(|access| access.family);
        let family = access.or_else(|| Some(self.refresh_tokens.get(token)?.family))?;
        Some(&self.families[family].account)
    }

    /// Presents a refresh token. `None` is the service's `invalid_grant`.
    pub(super) fn refresh(&mut self, token: &str, now: SystemTime) -> Option<Granted> {
        let known = self.refresh_tokens.get_mut(token)?;
        known.presented += 1;
        let family = known.family;
        if self.families[family].revoked {
            return None;
        }
        if known.successor.is_some() {
            return self.present_again(token);
        }
        let refresh_token = match self.rules.rotation {
            Rotation::NewToken => Some(self.issue_refresh_token(family)),
            Rotation::SameToken => Some(token.to_owned()),
            Rotation::NoToken => None,
        };
        let granted = self.grant(family, refresh_token, now);
        if self.rules.rotation == Rotation::NewToken
            && let Some(spent) = self.refresh_tokens.get_mut(token)
        {
            spent.successor = Some(granted.clone());
        }
        Some(granted)
    }

    /// A spent token comes back: either the response was lost, or the token was stolen.
    fn present_again(&mut self, token: &str) -> Option<Granted> {
        let successor_is_unused = self
            .refresh_tokens
            .get(token)?
            .successor
            .as_ref()
            .and_then(|granted| self.refresh_tokens.get(granted.refresh_token.as_ref()?))
            .is_some_and(|successor| successor.successor.is_none());
        let known = self.refresh_tokens.get_mut(token)?;
        if successor_is_unused && known.grace > 0 {
            known.grace -= 1;
            return known.successor.clone();
        }
        if self.rules.reuse_detection {
            self.families[known.family].revoked = true;
        }
        None
    }

    pub(super) fn admits(&self, access_token: &str, now: SystemTime) -> bool {
        self.access_tokens.get(access_token).is_some_and(|access| {
            !access.revoked
                && !self.families[access.family].revoked
                && access.expires_at.is_none_or(|end| now < end)
        })
    }

    /// Whether this token is unspent, and a refresh with this token would be granted.
    pub(super) fn accepts(&self, refresh_token: &str) -> bool {
        self.refresh_tokens
            .get(refresh_token)
            .is_some_and(|known| known.successor.is_none() && !self.families[known.family].revoked)
    }

    pub(super) fn revoke_access_tokens(&mut self) {
        for access in self.access_tokens.values_mut() {
            access.revoked = true;
        }
    }

    /// Revokes the family of a token. Returns whether the family exists.
    pub(super) fn revoke_family_of(&mut self, refresh_token: &str) -> bool {
        let family = self.refresh_tokens.get(refresh_token).map(|t| t.family);
        if let Some(family) = family {
            self.families[family].revoked = true;
        }
        family.is_some()
    }

    pub(super) fn revoke_all(&mut self) {
        for family in &mut self.families {
            family.revoked = true;
        }
    }

    pub(super) fn families_revoked(&self) -> usize {
        self.families.iter().filter(|family| family.revoked).count()
    }

    pub(super) fn uses_of(&self, refresh_token: &str) -> usize {
        self.refresh_tokens
            .get(refresh_token)
            .map_or(0, |known| known.presented)
    }

    pub(super) fn max_uses(&self) -> usize {
        self.refresh_tokens
            .values()
            .map(|known| known.presented)
            .max()
            .unwrap_or(0)
    }

    fn grant(&mut self, family: usize, refresh_token: Option<String>, now: SystemTime) -> Granted {
        let access_token = self.unique("at");
        let access = Access {
            family,
            expires_at: now.checked_add(self.rules.lifetime),
            revoked: false,
        };
        self.access_tokens.insert(access_token.clone(), access);
        Granted {
            access_token,
            refresh_token,
            lifetime: self.rules.lifetime,
        }
    }

    fn issue_refresh_token(&mut self, family: usize) -> String {
        let token = self.unique("rt");
        let fresh = Refresh {
            family,
            presented: 0,
            successor: None,
            grace: self.rules.reuse_grace,
        };
        self.refresh_tokens.insert(token.clone(), fresh);
        token
    }

    /// Numbered for the reader, random so that a search in logs finds nothing else, and with the
    /// characters of base64, which careless encoding breaks.
    fn unique(&mut self, kind: &str) -> String {
        self.issued += 1;
        format!("{kind}-{}-{:016x}+/=", self.issued, fastrand::u64(..))
    }
}
