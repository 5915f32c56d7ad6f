//! reqwest-middleware 0.5 with a transport in memory.

use std::hint::black_box;

use async_trait::async_trait;
use http::{Extensions, HeaderValue, Method, StatusCode, header::ACCEPT};
use reqwest::{Request, Response, ResponseBuilderExt, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};

use crate::chain::{Chain, Gets, URL, gets};

pub(crate) fn chain(with: ClientWithMiddleware) -> Chain {
    let empty = ClientBuilder::new(reqwest::Client::new())
        .with(InMemory)
        .build();
    Chain {
        framework: "reqwest-middleware 0.5",
        with: requests(with),
        empty: requests(empty),
    }
}

fn requests(client: ClientWithMiddleware) -> Gets {
    let url: Url = URL.parse().expect("a URL");
    gets((client, url), async |(client, url)| {
        let mut request = Request::new(Method::GET, black_box(&*url).clone());
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        let response = client.execute(request).await.expect("a response");
        assert_eq!(response.status(), StatusCode::OK);
        black_box(response);
    })
}

/// Responds in memory, with the URL of the request, as reqwest's client does.
pub(crate) struct InMemory;

#[async_trait]
impl Middleware for InMemory {
    async fn handle(&self, request: Request, _: &mut Extensions, _: Next<'_>) -> Result<Response> {
        let request = black_box(request);
        Ok(http::Response::builder()
            .url(request.url().clone())
            .body("{}")
            .expect("a valid response")
            .into())
    }
}
