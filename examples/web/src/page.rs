//! The frame of all pages. `maud` escapes each text that it shows.

use axum::http::StatusCode;
use maud::{DOCTYPE, Markup, html};

pub(crate) fn page(title: &str, content: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
            }
            body {
                h1 { (title) }
                (content)
            }
        }
    }
}

pub(crate) async fn not_found() -> (StatusCode, Markup) {
    let content = html! { p { a href="/" { "To the first page" } } };
    (
        StatusCode::NOT_FOUND,
        page("There is no such page", content),
    )
}
