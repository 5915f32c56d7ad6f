//! A GET through a whole chain, in memory.

use futures_util::future::LocalBoxFuture;

/// Sends this number of GETs, one after another.
pub(crate) type Gets = Box<dyn Fn(u32) -> LocalBoxFuture<'static, ()> + Send + Sync>;

pub(crate) const URL: &str = "https://api.hellosign.com/v3/signature_request/list?page=2";

/// The same framework with and without a token.
pub(crate) struct Chain {
    pub(crate) framework: &'static str,
    pub(crate) with: Gets,
    pub(crate) empty: Gets,
}

/// Repeats a GET. A turn clones the client once, so that two threads share no counter of references.
pub(crate) fn gets<C>(client: C, get: impl AsyncFn(&mut C) + Clone + Send + Sync + 'static) -> Gets
where
    C: Clone + Send + Sync + 'static,
{
    Box::new(move |times| {
        let mut client = client.clone();
        let get = get.clone();
        Box::pin(async move {
            for _ in 0..times {
                get(&mut client).await;
            }
        })
    })
}
