//! An HTTP service and its actions.

use super::{HttpAuth, Text};

/// An HTTP service and its actions.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name within the product.
    pub tag: Box<str>,
    /// What it is in each environment.
    pub envs: Vec<AppEnv>,
    /// Requests that jobs can make.
    pub actions: Vec<Action>,
}

/// An HTTP service in one environment.
#[derive(Clone, Debug)]
pub struct AppEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Prefix of the paths of all actions.
    pub base_url: Text,
    /// Headers of every request.
    pub headers: Vec<(Box<str>, Text)>,
    /// Credentials of every request.
    pub auth: Option<HttpAuth>,
    /// CA certificates in PEM, trusted in addition to the system's.
    pub ca: Option<Text>,
}

/// One request that a job can make.
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
    /// Headers; those of an input take precedence.
    pub headers: Vec<(Box<str>, Text)>,
    /// JSON object into which the query of an input is merged.
    pub query: Option<Text>,
    /// JSON object into which the path parameters of an input are merged.
    pub params: Option<Text>,
    /// JSON into which the body of an input is merged.
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

    /// Whether input fields that belong nowhere else go into the body.
    #[must_use]
    pub fn takes_body(self) -> bool {
        matches!(self, Self::Post | Self::Put | Self::Patch)
    }
}

/// The path of an action, as in `/orders/:id?expand=items`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathTemplate {
    /// The segments, without the leading slash.
    pub segments: Vec<Segment>,
    /// The query after the question mark, verbatim.
    pub query: Option<Box<str>>,
}

/// A segment of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// Literal text.
    Literal(Box<str>),
    /// A parameter, with the literal text after it.
    Param {
        /// Its name.
        name: Box<str>,
        /// The text after it, as `.json` in `/:id.json`.
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
