//! An HTTP service and its actions.

use super::{HttpAuth, Text};

/// An HTTP service and its actions.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name within the product.
    pub tag: Box<str>,
    /// What it is in each environment.
    pub envs: Vec<AppEnv>,
    /// What can be asked of it.
    pub actions: Vec<Action>,
}

/// An HTTP service in one environment.
#[derive(Clone, Debug)]
pub struct AppEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// What the resources of actions come after.
    pub base_url: Text,
    /// Headers of every request.
    pub headers: Vec<(Box<str>, Text)>,
    /// Credentials of every request.
    pub auth: Option<HttpAuth>,
    /// Certificates of authorities in PEM, trusted beside the system's.
    pub ca: Option<Text>,
}

/// One request that can be made of a service.
#[derive(Clone, Debug)]
pub struct Action {
    /// Its name within the app.
    pub tag: Box<str>,
    /// Its method.
    pub method: Method,
    /// Its path.
    pub resource: PathTemplate,
    /// The form of its body.
    pub request_type: RequestType,
    /// Longest attempt for jobs that set none, ms.
    pub timeout: Option<i64>,
    /// Headers, which those of an input go before.
    pub headers: Vec<(Box<str>, Text)>,
    /// JSON object that the query of an input is merged into.
    pub query: Option<Text>,
    /// The same for the parameters of the path.
    pub params: Option<Text>,
    /// JSON that the body of an input is merged into.
    pub body: Option<Text>,
}

/// Method of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the standard")]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    /// Every method, by its name.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("GET", Self::Get),
        ("HEAD", Self::Head),
        ("POST", Self::Post),
        ("PUT", Self::Put),
        ("PATCH", Self::Patch),
        ("DELETE", Self::Delete),
        ("OPTIONS", Self::Options),
    ];

    /// Whether fields without a place of their own go to the body.
    #[must_use]
    pub fn takes_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// The path of an action, as in `/orders/:id?expand=items`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathTemplate {
    /// What stands between slashes; the first slash is not among them.
    pub segments: Vec<Segment>,
    /// What follows the question mark, as it is.
    pub query: Option<Box<str>>,
}

/// What stands between two slashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A text, as it is.
    Literal(Box<str>),
    /// A parameter, and the text that follows it.
    Param {
        /// Its name.
        name: Box<str>,
        /// As in `/:id.json`.
        suffix: Box<str>,
    },
}

impl PathTemplate {
    /// The names of its parameters.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Param { name, .. } => Some(&**name),
        })
    }
}

/// The form of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestType {
    /// JSON, under this media type.
    Json(Box<str>),
    /// `application/x-www-form-urlencoded`.
    Form,
    /// `multipart/form-data`.
    Multipart,
    /// A text, or bytes, under this media type.
    Raw(Box<str>),
}
