//! A browser: keeps the cookies of the application, and follows no redirect
//! by itself.

use std::collections::BTreeMap;

use reqwest::{
    Client, RequestBuilder, StatusCode,
    header::{CONTENT_TYPE, COOKIE, HeaderMap, LOCATION, ORIGIN, SET_COOKIE},
    redirect::Policy,
};

use crate::{Result, running::password};

pub(crate) struct Browser {
    http: Client,
    application: String,
    cookies: BTreeMap<String, String>,
}

pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn header(&self, name: impl AsRef<str>) -> &str {
        let value = self.headers.get(name.as_ref());
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    pub(crate) fn location(&self) -> &str {
        self.header(LOCATION)
    }
}

impl Browser {
    pub(crate) fn new(application: &str) -> Result<Self> {
        let http = Client::builder().redirect(Policy::none()).build()?;
        Ok(Self {
            http,
            application: application.to_owned(),
            cookies: BTreeMap::new(),
        })
    }

    /// A path of the application, or the URL of any site.
    pub(crate) async fn get(&mut self, url: &str) -> Result<Page> {
        let url = self.absolute(url);
        self.send(self.http.get(&url), &url).await
    }

    pub(crate) async fn post(
        &mut self,
        path: &str,
        form: &str,
    ) -> Result<Page> {
        let origin = self.application.clone();
        self.post_from(&origin, path, form).await
    }

    /// Sends a form that stands on a page of the site `origin`.
    pub(crate) async fn post_from(
        &mut self,
        origin: &str,
        path: &str,
        form: &str,
    ) -> Result<Page> {
        let url = self.absolute(path);
        let request = self
            .http
            .post(&url)
            .header(ORIGIN, origin)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.to_owned());
        self.send(request, &url).await
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.insert(name.to_owned(), value.to_owned());
    }

    fn absolute(&self, url: &str) -> String {
        match url.starts_with('/') {
            true => format!("{}{url}", self.application),
            false => url.to_owned(),
        }
    }

    async fn send(
        &mut self,
        request: RequestBuilder,
        url: &str,
    ) -> Result<Page> {
        let is_ours = url.starts_with(&self.application);
        let cookies: Vec<_> = self
            .cookies
            .iter()
            .filter(|_| is_ours)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let request = request.header(COOKIE, cookies.join("; "));
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let pair = cookie.to_str()?.split(';').next().unwrap_or("");
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.into(), value.into());
            }
        }
        let text = response.text().await?;
        Ok(Page {
            status,
            headers,
            text,
        })
    }

    /// Logs in to the application.
    pub(crate) async fn log_in(&mut self, tenant: &str) -> Result<Page> {
        let form = format!("tenant={tenant}&password={}", password(tenant));
        self.post("/login", &form).await
    }

    /// Goes to the consent page, and returns the callback's URL, to which
    /// Dropbox Sign redirects the browser.
    pub(crate) async fn consent(&mut self) -> Result<String> {
        let start = self.get("/dropbox-sign/sign-in").await?;
        assert_eq!(start.status, 303, "{}", start.text);
        let consent = self.get(start.location()).await?;
        assert_eq!(consent.status, 302, "{}", consent.text);
        Ok(consent.location().to_owned())
    }
}
