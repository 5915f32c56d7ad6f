//! A redirect policy for the reqwest client, which keeps the token from other origins.

use reqwest::{
    Url,
    redirect::{Attempt, Policy},
};

use super::origin::same_origin;

/// A redirect policy that keeps the token from other origins. Recommended for the reqwest client below
/// [`TokenRefreshMiddleware`](super::TokenRefreshMiddleware).
///
/// reqwest follows redirects inside all middlewares, and drops the `Authorization` header when host,
/// port or scheme change. But reqwest 0.13 takes the headers of each step from the *first* request: a
/// foreign server that redirects once more, to itself, gets the token. Older releases of 0.13 also keep
/// the header when only the scheme changes.
///
/// With this policy, a redirect may leave the origin of the request, without the token. The other server
/// may neither redirect to its own host and port, nor back to the first origin. Such a redirect is an
/// error of reqwest (`is_redirect()`). Apart from this, up to 10 redirects are followed, as by reqwest's
/// own policy.
///
/// ```
/// # fn f(manager: dropbox_sign_oauth::TokenManager) -> Result<(), Box<dyn std::error::Error>> {
/// use dropbox_sign_oauth::{TokenRefreshMiddleware, middleware::redirect_policy};
/// use reqwest_middleware::ClientBuilder;
///
/// let http = reqwest::Client::builder()
///     .redirect(redirect_policy())
///     .build()?;
/// let client = ClientBuilder::new(http)
///     .with(TokenRefreshMiddleware::new(&manager))
///     .build();
/// # Ok(())
/// # }
/// ```
pub fn redirect_policy() -> Policy {
    Policy::custom(
        |attempt: Attempt<'_>| match refusal(attempt.previous(), attempt.url()) {
            Some(reason) => attempt.error(reason),
            None => Policy::default().redirect(attempt),
        },
    )
}

/// Why the redirect from the last of `previous` to `next` is not followed.
fn refusal(previous: &[Url], next: &Url) -> Option<&'static str> {
    let (first, last) = (previous.first()?, previous.last()?);
    if same_origin(first, next) {
        let returns = previous.iter().any(|url| !same_origin(first, url));
        return returns.then_some("the redirect comes back from another origin, without the token");
    }
    // Regardless of the scheme, which older releases of reqwest do not compare.
    let same_server = last.host_str() == next.host_str()
        && (last.port_or_known_default() == next.port_or_known_default());
    same_server.then_some("the redirect would send the token to another origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(chain: &[&str]) -> bool {
        let urls: Vec<_> = chain
            .iter()
            .map(|url| Url::parse(url).expect("a URL"))
            .collect();
        let (next, previous) = urls.split_last().expect("a chain");
        refusal(previous, next).is_some()
    }

    #[test]
    fn a_redirect_is_refused_if_reqwest_would_send_the_token_to_another_origin() {
        let (here, there) = ("https://a.example/1", "https://b.example/1");
        for (chain, expected) in [
            (&[here, "https://a.example/2"][..], false),
            (
                &[here, "https://a.example/2", "https://a.example:443/3"],
                false,
            ),
            (&[here, there], false),
            (&[here, "https://a.example:8443/"], false),
            (&[here, there, "https://c.example/"], false),
            (&[here, there, "https://b.example:8443/"], false),
            (&[here, there, "https://b.example/2"], true),
            (
                &[here, there, "https://c.example/", "https://c.example/2"],
                true,
            ),
            (
                &[here, "https://a.example/2", there, "https://b.example/2"],
                true,
            ),
            (&[here, there, here], true),
            (&[here, there, "https://c.example/", here], true),
            (&["https://a.example:8443/", "http://a.example:8443/"], true),
        ] {
            assert_eq!(refused(chain), expected, "{chain:?}");
        }
    }
}
