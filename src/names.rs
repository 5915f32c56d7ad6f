//! Stable names for logs, metrics and JSON.

/// Gives an enum the method `as_str`, by a table of names. Dashboards, alerts and the branches of
/// scripts use the names, so a name never changes.
macro_rules! stable_names {
    ($type:ident { $($variant:ident => $name:literal,)+ }) => {
        impl $type {
            /// The stable name for logs, metrics and JSON, in snake_case.
            pub fn as_str(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $name,)+
                }
            }
        }

        #[cfg(test)]
        impl $type {
            pub(crate) const NAMES: &'static [(&'static str, &'static str)] =
                &[$((stringify!($variant), $name)),+];
        }
    };
}

pub(crate) use stable_names;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::{
        account::AccountState,
        authorization::AuthorizationErrorKind,
        deadlines::Freshness,
        endpoint::EndpointErrorKind,
        error::ErrorKind,
        event::{EventKind, RefreshReason, Unfinished},
        store::StoreErrorKind,
    };

    /// `NotAuthorized` as `not_authorized`.
    fn snake_case(variant: &str) -> String {
        let words = variant.char_indices().map(|(at, c)| match c {
            'A'..='Z' if at > 0 => format!("_{}", c.to_ascii_lowercase()),
            _ => c.to_ascii_lowercase().to_string(),
        });
        words.collect()
    }

    #[test]
    fn s134_each_name_is_its_variant_in_snake_case_and_stands_for_one_variant() {
        for names in [
            AccountState::NAMES,
            AuthorizationErrorKind::NAMES,
            EndpointErrorKind::NAMES,
            ErrorKind::NAMES,
            EventKind::NAMES,
            Freshness::NAMES,
            RefreshReason::NAMES,
            StoreErrorKind::NAMES,
            Unfinished::NAMES,
        ] {
            let distinct: BTreeSet<_> = names.iter().map(|(_, name)| name).collect();
            assert_eq!(distinct.len(), names.len(), "{names:?}");
            for (variant, name) in names {
                assert_eq!(*name, snake_case(variant));
            }
        }
    }

    #[test]
    fn s134_a_kind_gives_its_name() {
        assert_eq!(ErrorKind::LeaseTimeout.as_str(), "lease_timeout");
        assert_eq!(EndpointErrorKind::NotSent.as_str(), "not_sent");
        assert_eq!(StoreErrorKind::NewerFormat.as_str(), "newer_format");
        assert_eq!(RefreshReason::TooShort.as_str(), "too_short");
        assert_eq!(EventKind::SaveRecovered.as_str(), "save_recovered");
    }
}
