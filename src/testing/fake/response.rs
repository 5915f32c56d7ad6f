//! Responses as the service writes them, and as a fault changes them.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::Value;

use super::fault::Fault;

pub(super) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(body.to_string().into());
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}

impl Fault {
    /// Turns the service's response into the client's response.
    pub(super) fn apply_to(&self, response: &mut Response<Bytes>) {
        if let Some(status) = self.status {
            *response.status_mut() = status;
        }
        if let Some(body) = &self.body {
            response.headers_mut().remove(header::CONTENT_TYPE);
            *response.body_mut() = body.clone();
        }
        for (name, value) in &self.headers {
            response.headers_mut().insert(name, value.clone());
        }
        if !self.edits.is_empty()
            && let Ok(Value::Object(mut fields)) = serde_json::from_slice(response.body())
        {
            for (name, value) in &self.edits {
                match value {
                    Some(value) => fields.insert(name.clone(), value.clone()),
                    None => fields.remove(name),
                };
            }
            *response.body_mut() = Value::Object(fields).to_string().into();
        }
    }
}
