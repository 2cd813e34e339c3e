//! The shell's way to its node: plain HTTP on this machine, with the token that lies in the node's folder for its owner.

use kith_wire::system::{BootstrapRequest, DeviceList, DeviceListener, ImportProgress, ListenerChange, NodeStats};
use reqwest::{
    Client, Method, Response,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;
use std::{path::Path, time::Duration};

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a call failed, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LinkError(String);

impl From<reqwest::Error> for LinkError {
    fn from(error: reqwest::Error) -> Self {
        // The address is this machine's own; what matters is what went wrong.
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text = inner.to_string();
            source = inner.source();
        }
        Self(text)
    }
}

/// A node that answers at an address.
#[derive(Debug, Clone)]
pub struct Link {
    url: String,
    http: Client,
}

impl Link {
    /// A way to the node that listens at `url` and has its files in `data_dir`.
    ///
    /// # Errors
    /// The token cannot be read.
    pub fn new(url: &str, data_dir: &Path) -> Result<Self, LinkError> {
        let path = data_dir.join("admin.token");
        let token =
            std::fs::read_to_string(&path).map_err(|error| LinkError(format!("cannot read {}: {error}", path.display())))?;
        let mut value = HeaderValue::from_str(token.trim()).map_err(|_| LinkError("the node's token is no token".to_owned()))?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-kith-admin-token"), value)]);
        let http = Client::builder()
            .default_headers(headers)
            .connect_timeout(PATIENCE)
            // A redirect or a proxy would carry the token elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()?;
        Ok(Self { url: url.trim_end_matches('/').to_owned(), http })
    }

    /// Where the node listens, without a slash at the end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of a page, with a ticket in it that lets the window in once.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn ticketed(&self, page: &str) -> Result<String, LinkError> {
        let ticket: BootstrapRequest =
            self.call(Method::POST, "/api/v1/auth/bootstrap-tickets", Some(&serde_json::json!({}))).await?;
        // What stands behind the `#` stays with the window: it is in no request and in no log.
        Ok(format!("{}{}", self.url, signed_in(page, &ticket.ticket)))
    }

    /// What the node is doing.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn stats(&self) -> Result<NodeStats, LinkError> {
        self.call(Method::GET, "/api/admin/stats", None::<&()>).await
    }

    /// Whether paired devices are kept out.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn is_paused(&self) -> Result<bool, LinkError> {
        let list: DeviceList = self.call(Method::GET, "/api/v1/devices", None::<&()>).await?;
        Ok(list.listener.paused)
    }

    /// Keeps paired devices out, or lets them in again.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn pause(&self, paused: bool) -> Result<bool, LinkError> {
        let listener: DeviceListener =
            self.call(Method::POST, "/api/v1/devices/listener", Some(&ListenerChange { paused })).await?;
        Ok(listener.paused)
    }

    /// The library's names.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn models(&self) -> Result<Vec<String>, LinkError> {
        let tags: kith_wire::ollama::TagsResponse = self.call(Method::GET, "/api/tags", None::<&()>).await?;
        Ok(tags.models.into_iter().map(|model| model.name).collect())
    }

    /// Takes a model file of this machine into the library.
    ///
    /// # Errors
    /// The node does not answer, or refuses the file.
    pub async fn import(&self, path: &Path, name: &str) -> Result<(), LinkError> {
        let body = serde_json::json!({"path": path, "name": name});
        let answer = self.http.post(format!("{}/api/v1/models/import", self.url)).json(&body).send().await?;
        // The file is taken while the answer is read; its last line says how that went.
        let lines = good(answer).await?.text().await?;
        let last: ImportProgress = lines.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        match last.error {
            None if last.status == "success" => Ok(()),
            error => Err(LinkError(error.unwrap_or_else(|| "the file was not taken".to_owned()))),
        }
    }

    /// What happens at the node from now on, as the lines of its event stream; without an end.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn events(&self) -> Result<Response, LinkError> {
        let asked = self.http.get(format!("{}/api/v1/events/stream", self.url)).send();
        let answer =
            tokio::time::timeout(PATIENCE, asked).await.map_err(|_| LinkError("the node does not answer".to_owned()))??;
        good(answer).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl serde::Serialize>,
    ) -> Result<T, LinkError> {
        let mut request = self.http.request(method, format!("{}{path}", self.url)).timeout(PATIENCE);
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(good(request.send().await?).await?.json().await?)
    }
}

/// A page with the ticket behind its `#`, after whatever else stands there.
fn signed_in(page: &str, ticket: &str) -> String {
    let before = if page.contains('#') { '&' } else { '#' };
    format!("{page}{before}ticket={ticket}")
}

/// The answer, unless it is a refusal.
async fn good(answer: Response) -> Result<Response, LinkError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    let told = body["error"]["message"].as_str().or_else(|| body["error"].as_str());
    Err(LinkError(told.map_or_else(|| format!("the node answers {status}"), str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ticket_stands_beside_what_a_page_holds_already() {
        assert_eq!(signed_in("/app/models", "t"), "/app/models#ticket=t");
        assert_eq!(signed_in("/app/network#join=abc", "t"), "/app/network#join=abc&ticket=t");
    }
}
