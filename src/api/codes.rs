//! The table of error codes, and the meaning of each code for the presented token.

use crate::endpoint::EndpointErrorKind::{
    self, AccountRestricted, Configuration, GrantRefused, Transient,
};

/// The help for codes of other operations than the token endpoint's.
const WRONG_ENDPOINT: &str = "the token endpoint does not respond like this; check base_url (the API's own host is a wrong one)";

/// One error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) name: &'static str,
    pub(super) kind: EndpointErrorKind,
    /// The next step for the user.
    pub(super) help: &'static str,
}

const fn code(name: &'static str, kind: EndpointErrorKind, help: &'static str) -> Code {
    Code { name, kind, help }
}

/// Every code of the vendor's error catalog (`error-catalog.yaml` in hellosign-openapi).
///
/// The token endpoint's own codes come first, by the catalog's causes and remedies. The other codes
/// are the API's. The token endpoint may send these codes as well, so the table has them too:
///
/// - An error that passes by itself is transient (`conflict` and `unprocessable_entity` are
///   "conditional" in the catalog).
/// - A refusal of the request or its credentials is a matter of configuration. So is a code of
///   another operation, which cannot come from the token endpoint.
/// - Only `invalid_grant` ends a grant.
pub(super) const CODES: &[Code] = &[
    code("invalid_grant", GrantRefused, "sign in again"),
    code(
        "invalid_client",
        Configuration,
        "check the client id and secret",
    ),
    code(
        "invalid_request",
        Configuration,
        "check the client id, the secret and the request's values",
    ),
    code(
        "unauthorized_client",
        Configuration,
        "check that the API app is approved and has the scopes that it needs",
    ),
    code(
        "unsupported_grant_type",
        Configuration,
        "check the API app's OAuth settings",
    ),
    code("invalid_scope", Configuration, "check the API app's scopes"),
    code(
        "payment_required",
        AccountRestricted,
        "the account needs a paid plan",
    ),
    code(
        "addon_required",
        AccountRestricted,
        "the account's plan lacks an add-on",
    ),
    code(
        "quota_reached",
        AccountRestricted,
        "the account's quota is used up",
    ),
    code("server_error", Transient, "try again"),
    code("temporary_unavailable", Transient, "try again"),
    // The standard's spelling (RFC 6749, section 4.1.2.1) of the vendor's code above.
    code("temporarily_unavailable", Transient, "try again"),
    // The codes of the API host.
    code("exceeded_rate", Transient, "try again more slowly"),
    code("maintenance", Transient, "try again"),
    code("unavailable", Transient, "try again"),
    code("unknown", Transient, "try again"),
    code("conflict", Transient, "try again"),
    code("unprocessable_entity", Transient, "try again"),
    code("max_faxes", Transient, "try again"),
    code(
        "bad_request",
        Configuration,
        "check the client id, the secret and the request's values",
    ),
    code(
        "unauthorized",
        Configuration,
        "check the client id, the secret and base_url",
    ),
    code(
        "forbidden",
        Configuration,
        "check that the API app may use OAuth",
    ),
    code("not_found", Configuration, WRONG_ENDPOINT),
    code("method_not_supported", Configuration, WRONG_ENDPOINT),
    code("deleted", Configuration, WRONG_ENDPOINT),
    code("team_invite_failed", Configuration, WRONG_ENDPOINT),
    code("invalid_recipient", Configuration, WRONG_ENDPOINT),
    code("invalid_reminder", Configuration, WRONG_ENDPOINT),
    code(
        "signature_request_cancel_failed",
        Configuration,
        WRONG_ENDPOINT,
    ),
    code(
        "signature_request_remove_failed",
        Configuration,
        WRONG_ENDPOINT,
    ),
    code("signature_request_expired", Configuration, WRONG_ENDPOINT),
];

/// The table's entry for a code; `None` for an unknown code, which is transient.
pub(super) fn lookup(name: &str) -> Option<Code> {
    CODES.iter().find(|code| code.name == name).copied()
}

/// The kind and the help for a failing response without a code.
///
/// A status alone never ends a grant: proxies and firewalls respond with any status.
pub(super) fn by_status(status: u16) -> (EndpointErrorKind, &'static str) {
    match status {
        300..=399 => (
            Transient,
            "redirects are not followed, so that no secret goes elsewhere; check base_url",
        ),
        402 => (AccountRestricted, "the account needs a paid plan"),
        404 | 405 | 410 => (Configuration, WRONG_ENDPOINT),
        407 => (Configuration, "check the proxy's credentials"),
        _ => (Transient, "try again"),
    }
}

/// Whether a failing status without a known code says that nothing was granted. A gateway's 502 or
/// 504 and a crash's 500 may come after the service has processed the request.
pub(super) fn is_unspent(status: u16) -> bool {
    matches!(status, 300..=499 | 503)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The vendor's error catalog.
    const CATALOG: &str = include_str!("../../tests/data/error-catalog.yaml");

    fn names_in_catalog() -> HashSet<&'static str> {
        let entries = CATALOG.lines();
        let names = entries.filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
        names.filter(|name| !name.starts_with([' ', '-'])).collect()
    }

    #[test]
    fn s35_the_table_has_every_code_of_the_catalog() {
        for name in names_in_catalog() {
            assert!(lookup(name).is_some(), "{name} is not in the table");
        }
    }

    #[test]
    fn s35_the_catalog_has_every_code_of_the_table_but_the_standards_own() {
        let catalog = names_in_catalog();
        let names = CODES.iter().map(|code| code.name);
        let others: Vec<_> = names.filter(|name| !catalog.contains(name)).collect();
        assert_eq!(others, ["temporarily_unavailable"]);
    }

    #[test]
    fn s35_the_table_has_each_code_once() {
        let names = CODES.iter().map(|code| code.name).collect::<HashSet<_>>();
        assert_eq!(names.len(), CODES.len());
    }

    #[test]
    fn s35_no_code_but_invalid_grant_ends_a_grant() {
        let ending = CODES.iter().filter(|code| code.kind == GrantRefused);
        assert_eq!(
            ending.map(|code| code.name).collect::<Vec<_>>(),
            ["invalid_grant"]
        );
        for status in 0..=u16::MAX {
            assert_ne!(by_status(status).0, GrantRefused, "{status}");
        }
    }
}
